"""Images: an image folder and a workload's folder become one image, pinned by the digest of what was pushed.

An image folder has one repository an environment, or one that several environments share (`image_repositories`); each
workload that names it has an image of its own in there. The tag is the hash of the build context, so unchanged files
change nothing, and what is deployed is the digest, never a tag. In a shared repository a tag that is there is not built
again: prod runs the bytes that dev ran.
"""

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pulumi
from pulumi_aws.ecr.get_authorization_token import get_authorization_token
from pulumi_aws.ecr.get_image import get_image
from pulumi_aws.ecr.lifecycle_policy import LifecyclePolicy
from pulumi_aws.ecr.repository import Repository
from pulumi_docker.image import Image as DockerImage

from infra.absence import IMAGE
from infra.context import Component, Context
from infra.offer import is_arm64
from infra.spec import WorkloadSpec
from infra.staging import Stager, StagingError

PLATFORMS = {False: "linux/amd64", True: "linux/arm64"}
"""Also on a laptop with another processor: it is what the task definitions ask for."""

UNTAGGED_DAYS = 7


@dataclass(frozen=True)
class BuiltImage:
    """`reference` is `repository@sha256:…`; `content_hash` names the context it was built from."""

    reference: pulumi.Output[str]
    content_hash: str


class Images(Component):
    """A repository for each image folder in use, and the images built into them.

    `repositories`: image folder -> address of a repository that was made elsewhere; with it none is made here. `built`:
    the names of images in there that this environment built before; they stay its resources. `shared`: those it has.
    """

    def __init__(
        self,
        images: Iterable[str],
        root: Path,
        context: Context,
        parent: pulumi.Resource,
        repositories: Mapping[str, str] | None = None,
        built: Collection[str] = (),
    ) -> None:
        super().__init__("Images", "images", parent)
        self.context = context
        self._root = root
        self._stager = Stager(root, context.settings.environment)
        self.shared: list[str] = []
        self._repositories = repositories or {}
        self._built = built
        self._addresses: Mapping[str, pulumi.Input[str]] = self._repositories or {
            image: self._repository(image).repository_url for image in sorted(set(images))
        }
        self.register_outputs({})

    def build(self, spec: WorkloadSpec, parent: Component) -> BuiltImage:
        """The image of `spec`, as a child of `parent`. Raises pulumi.RunError for a folder that cannot be built."""
        try:
            staged = self._stager.stage(spec)
        except StagingError as error:
            raise pulumi.RunError(str(error)) from error
        address = self._addresses[spec.image]
        arm64 = is_arm64(self.context.offer.pool(spec.hardware))
        # The same files for another processor are other bytes, and a tag is never written twice.
        tag = f"{spec.name}.{staged.content_hash}{'-arm64' if arm64 else ''}"
        if self._repositories:
            name, repository = f"{self._repositories[spec.image]}:{tag}", self.context.repository(spec.image)
            if name not in self._built and (digest := image_digest(repository, tag)):
                return BuiltImage(pulumi.Output.concat(address, f"@{digest}"), staged.content_hash)
            self.shared.append(name)
        image = DockerImage(
            parent.child("image"),
            image_name=pulumi.Output.concat(address, f":{tag}"),
            # Relative to the program's folder: the state must not depend on where somebody keeps the checkout.
            build={
                "context": f"../{staged.context.relative_to(self._root).as_posix()}",
                "platform": PLATFORMS[arm64],
            },
            registry={
                "server": address,
                "username": self._login.user_name,
                "password": pulumi.Output.secret(self._login.password),
            },
            # What others may run stays where it is when this environment needs it no more.
            opts=pulumi.ResourceOptions.merge(
                parent.options(), pulumi.ResourceOptions(retain_on_delete=bool(self._repositories) or None)
            ),
        )
        return BuiltImage(image.repo_digest, staged.content_hash)

    @cached_property
    def _login(self) -> "_Login":
        token = get_authorization_token(registry_id=self.context.account.id)
        return _Login(token.user_name, token.password)

    def _repository(self, image: str) -> Repository:
        key = self.context.key_arn
        repository = Repository(
            self.child(image),
            name=self.context.repository(image),
            image_tag_mutability="IMMUTABLE",
            image_scanning_configuration={"scan_on_push": True},
            encryption_configurations=(None if key is None else [{"encryption_type": "KMS", "kms_key": key}]),
            force_delete=not self.context.settings.protect,
            tags=self.context.tags(),
            opts=self.options(),
        )
        LifecyclePolicy(self.child(image), repository=repository.name, policy=json.dumps(CLEAN_UP), opts=self.options())
        return repository


def image_digest(repository: str, tag: str) -> str | None:
    """Of the image that has this tag in a repository that exists; None if there is none."""
    try:
        return get_image(repository_name=repository, image_tag=tag).image_digest
    except Exception as error:  # an invoke raises Exception itself, with the provider's words
        if IMAGE.says_none(error):
            return None
        raise pulumi.RunError(f"the image {repository}:{tag} could not be looked up: {error}") from None


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
