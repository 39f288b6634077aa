"""Container registry: repositories whose address leads here, images with their manifest's digest and sizes, logins."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any

from moto.core.responses import ActionResult
from moto.ecr import models, responses

from localcloud.patches import hooks
from localcloud.patches.sts import PRINCIPAL_HEADER
from localcloud.registry_logins import USER


def apply() -> None:
    """Give repositories an address of this cloud, and images the digest that a registry would compute."""
    stock_init = models.Repository.__init__

    def init(repository: Any, *args: Any, **kwargs: Any) -> None:
        stock_init(repository, *args, **kwargs)
        site = hooks.site(repository.account_id)
        if site is not None:
            host = _host(repository.registry_id, repository.region_name, site.port)
            repository.uri = repository.repository_uri = f"{host}/{repository.name}"  # ecr/models.py:91

    models.Repository.__init__ = init

    def create_digest(image: Any) -> None:
        # ecr/models.py:403: the hash of the layers' names, or a random one of a hundred.
        image._image_digest = f"sha256:{hashlib.sha256(image.image_manifest.encode()).hexdigest()}"

    models.Image._create_digest = create_digest

    def size(image: Any) -> int | None:
        # ecr/models.py:422: the size of the configuration, or 50 MiB for a manifest that names none.
        return stored_bytes(image.image_manifest)

    models.Image.get_image_size_in_bytes = size

    stock_token = responses.ECRResponse.get_authorization_token

    def get_authorization_token(self: Any) -> ActionResult:
        # ecr/responses.py:169: one password for everybody and for ever, which expired in 2015.
        site = hooks.site(self.current_account)
        if site is None:
            return stock_token(self)
        password, expires = site.logins.issue(self.headers.get(PRINCIPAL_HEADER) or "root")
        login = {
            "authorizationToken": base64.b64encode(f"{USER}:{password}".encode()).decode(),
            "expiresAt": expires,
            "proxyEndpoint": f"http://{_host(self.current_account, self.region, site.port)}",
        }
        return ActionResult({"authorizationData": [login]})

    responses.ECRResponse.get_authorization_token = get_authorization_token


def stored_bytes(manifest: str) -> int | None:
    """What a registry stores of an image: its layers, as they are compressed, and its configuration. None where the
    manifest says no sizes, as that of an image whose files lie on this machine.

    >>> stored_bytes('{"config": {"size": 10}, "layers": [{"size": 200}, {"size": 3000}]}')
    3210
    """
    try:
        document = json.loads(manifest)
        sizes = [int(part["size"]) for part in [document["config"], *document["layers"]] if "size" in part]
    except (ValueError, TypeError, KeyError):
        return None
    return sum(sizes) or None


def _host(account: str, region: str, port: int) -> str:
    return f"{account}.dkr.ecr.{region}.localhost:{port}"
