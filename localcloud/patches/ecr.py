"""Container registry: repositories whose address leads here, images whose digest is that of their manifest."""

from __future__ import annotations

import hashlib
from typing import Any

from moto.ecr import models

from localcloud.patches import hooks


def apply() -> None:
    """Give repositories an address of this cloud, and images the digest that a registry would compute."""
    stock_init = models.Repository.__init__

    def init(repository: Any, *args: Any, **kwargs: Any) -> None:
        stock_init(repository, *args, **kwargs)
        site = hooks.site(repository.account_id)
        if site is not None:
            host = f"{repository.registry_id}.dkr.ecr.{repository.region_name}.localhost:{site.port}"
            repository.uri = repository.repository_uri = f"{host}/{repository.name}"  # ecr/models.py:91

    models.Repository.__init__ = init

    def create_digest(image: Any) -> None:
        # ecr/models.py:403: the hash of the layers' names, or a random one of a hundred.
        image._image_digest = f"sha256:{hashlib.sha256(image.image_manifest.encode()).hexdigest()}"

    models.Image._create_digest = create_digest
