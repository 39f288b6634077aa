"""For a project's own tests: the environment as the program declares it, without any cloud.

from herd.testing import declared
buckets = declared(Path("."), "dev", "aws:s3/bucket:Bucket")
"""

from __future__ import annotations

from pathlib import Path

from herd.checkout.find import Checkout
from herd.policy.model import Resource
from herd.review import check
from herd.toolchain import machine


def declared(root: Path, environment: str = "dev", type: str | None = None) -> list[Resource]:
    """The resources that the project at `root` declares for an environment, under Pulumi's mocks; those of one type.

    Raises herd.errors.WrongInput with every problem of the settings, if there are any.
    """
    resources = check.declared(Checkout(root.resolve(), machine.user_cache()), environment)
    return [resource for resource in resources if type in (None, resource.type)]
