"""Images: an image folder and a workload's folder become one image, pinned by the digest of what was pushed.

An image folder has one repository an environment; each workload that names it has an image of its own in there. The tag
is the hash of the build context, so unchanged files change nothing, and what is deployed is the digest, never a tag.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pulumi
from pulumi_aws.ecr.get_authorization_token import get_authorization_token
from pulumi_aws.ecr.lifecycle_policy import LifecyclePolicy
from pulumi_aws.ecr.repository import Repository
from pulumi_docker.image import Image as DockerImage

from infra.context import Component, Context
from infra.spec import WorkloadSpec
from infra.staging import Stager, StagingError

PLATFORM = "linux/amd64"
"""Also on a laptop with another processor: it is what the task definitions ask for."""

UNTAGGED_DAYS = 7


@dataclass(frozen=True)
class BuiltImage:
    """`reference` is `repository@sha256:…`; `content_hash` names the context it was built from."""

    reference: pulumi.Output[str]
    content_hash: str


class Images(Component):
    """A repository for each image folder in use, and the images built into them."""

    def __init__(self, images: Iterable[str], root: Path, context: Context, parent: pulumi.Resource) -> None:
        super().__init__("Images", "images", parent)
        self.context = context
        self._root = root
        self._stager = Stager(root, context.settings.environment)
        self._repositories = {image: self._repository(image) for image in sorted(set(images))}
        self.register_outputs({})

    def build(self, spec: WorkloadSpec, parent: Component) -> BuiltImage:
        """The image of `spec`, as a child of `parent`. Raises pulumi.RunError for a folder that cannot be built."""
        try:
            staged = self._stager.stage(spec)
        except StagingError as error:
            raise pulumi.RunError(str(error)) from error
        repository = self._repositories[spec.image]
        image = DockerImage(
            parent.child("image"),
            image_name=pulumi.Output.concat(repository.repository_url, f":{spec.name}.{staged.content_hash}"),
            # Relative to the program's folder: the state must not depend on where somebody keeps the checkout.
            build={
                "context": f"../{staged.context.relative_to(self._root).as_posix()}",
                "platform": PLATFORM,
            },
            registry={
                "server": repository.repository_url,
                "username": self._login.user_name,
                "password": pulumi.Output.secret(self._login.password),
            },
            opts=parent.options(),
        )
        return BuiltImage(image.repo_digest, staged.content_hash)

    @cached_property
    def _login(self) -> "_Login":
        token = get_authorization_token(registry_id=self.context.account.id)
        return _Login(token.user_name, token.password)

    def _repository(self, image: str) -> Repository:
        repository = Repository(
            self.child(image),
            name=self.context.naming.repository(image),
            image_tag_mutability="IMMUTABLE",
            image_scanning_configuration={"scan_on_push": True},
            force_delete=True,
            tags=self.context.tags(),
            opts=self.options(),
        )
        LifecyclePolicy(self.child(image), repository=repository.name, policy=json.dumps(CLEAN_UP), opts=self.options())
        return repository


@dataclass(frozen=True)
class _Login:
    user_name: str
    password: str


CLEAN_UP = {
    "rules": [
        {
            # Tagged images stay: a repository serves many workloads, so "the last 20" could be one busy workload's and
            # take away what the others run.
            "rulePriority": 1,
            "description": "layers that no tag names",
            "selection": {
                "tagStatus": "untagged",
                "countType": "sinceImagePushed",
                "countUnit": "days",
                "countNumber": UNTAGGED_DAYS,
            },
            "action": {"type": "expire"},
        }
    ]
}
