"""Images: an image folder and a workload's folder become one image, pinned by the digest of what was pushed.

An image folder has one repository an environment, or one that several environments share (`image_repositories`); each
workload that names it has an image of its own in there. The tag is the hash of the build context, so unchanged files
change nothing, and what is deployed is the digest, never a tag. A tag is written once: what is in the repository
already, whoever put it there, is taken as it is. So prod runs the bytes that dev ran; a commit that is reverted, a
workload that comes back and an update that was killed after a push find their image.

Only who may deploy can have pushed it (docs/decisions/0019). How Docker logs in is Docker's configuration, not ours.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pulumi
from pulumi_aws.ecr.get_image import get_image
from pulumi_aws.ecr.lifecycle_policy import LifecyclePolicy
from pulumi_aws.ecr.repository import Repository
from pulumi_docker.image import Image as DockerImage

from herd.infra.context import Component, Context
from herd.infra.images.build_context import Staged, Stager, StagingError
from herd.infra.images.registry import refuse_without_login
from herd.infra.offer import is_arm64
from herd.infra.settings.frozen import Pushed
from herd.infra.spec.load import Specs, WorkloadSpec
from herd.infra.storage.absence import IMAGE

PLATFORMS = {False: "linux/amd64", True: "linux/arm64"}
"""Also on a laptop with another processor: it is what the task definitions ask for."""

UNTAGGED_DAYS = 7


@dataclass(frozen=True)
class BuiltImage:
    """`reference` is `repository@sha256:…`; `content_hash` names the context it was built from."""

    reference: pulumi.Output[str]
    content_hash: str


@dataclass(frozen=True)
class Planned:
    """The image of one workload, before anything is made.

    `context`: where it is built from, relative to the program's folder: the state must not depend on where somebody
    keeps the checkout. `digest`: of the image that has this tag already; None for one that is built in this update, or
    that is a resource of this environment since it was.
    """

    content_hash: str
    tag: str
    context: str
    platform: str
    digest: str | None


def plan_images(specs: Specs, root: Path, context: Context, pushed: Mapping[str, Pushed]) -> dict[str, Planned]:
    """By workload. `pushed`: the images in Pulumi's state, by repository and tag.

    Raises pulumi.RunError for what cannot be staged (all of it at once) or looked up, and in an update that has
    something to push where Docker has no login.
    """
    planned = {}
    for spec, staged in _stage(specs, root, context.settings.environment):
        arm64 = is_arm64(context.offer.pool(spec.hardware))
        # The same files for another processor are other bytes, and a tag is never written twice.
        tag = f"{spec.name}.{staged.content_hash}{'-arm64' if arm64 else ''}"
        built_from = Pushed(f"../{staged.context.relative_to(root).as_posix()}", PLATFORMS[arm64])
        repository = context.repository(spec.image)
        # A resource that would be changed would be pushed again, under a tag that is there.
        is_ours = pushed.get(f"{repository}:{tag}") == built_from
        digest = None if is_ours else image_digest(repository, tag)
        if not is_ours and digest is None:
            account = context.account
            refuse_without_login(f"{account.id}.dkr.ecr.{account.region}.", spec.name)
        planned[spec.name] = Planned(staged.content_hash, tag, built_from.context, built_from.platform, digest)
    return planned


def _stage(specs: Specs, root: Path, environment: str) -> list[tuple[WorkloadSpec, Staged]]:
    stager, problems = Stager(root, environment), list[str]()
    staged: list[tuple[WorkloadSpec, Staged]] = []
    for spec in specs.workloads.values():
        try:
            staged.append((spec, stager.stage(spec)))
        except StagingError as error:
            problems.append(str(error))
    if problems:
        raise pulumi.RunError("\n".join(dict.fromkeys(problems)))
    return staged


class Images(Component):
    """A repository for each image folder in use, and the images that are built into them.

        images = Images({"python"}, project.images, project.context, project)
        images.build(project.jobs[0], parent).reference    # repository@sha256:…

    `planned`: by workload. `repositories`: image folder -> address of a repository that was made elsewhere; with it
    none is made here.
    """

    def __init__(
        self,
        images: Iterable[str],
        planned: Mapping[str, Planned],
        context: Context,
        parent: pulumi.Resource,
        repositories: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__("Images", "images", parent)
        self.context = context
        self._planned = planned
        self._repositories = repositories or {}
        self._addresses: Mapping[str, pulumi.Input[str]] = self._repositories or {
            image: self._repository(image).repository_url for image in sorted(set(images))
        }
        self.register_outputs({})

    def build(self, spec: WorkloadSpec, parent: Component) -> BuiltImage:
        """The image of `spec`; where it has to be pushed, as a child of `parent`."""
        address, planned = self._addresses[spec.image], self._planned[spec.name]
        if planned.digest is not None:
            return BuiltImage(pulumi.Output.concat(address, f"@{planned.digest}"), planned.content_hash)
        image = DockerImage(
            parent.child("image"),
            image_name=pulumi.Output.concat(address, f":{planned.tag}"),
            build={"context": planned.context, "platform": planned.platform},
            # What others may run stays where it is when this environment needs it no more.
            opts=pulumi.ResourceOptions.merge(
                parent.options(), pulumi.ResourceOptions(retain_on_delete=bool(self._repositories) or None)
            ),
        )
        return BuiltImage(image.repo_digest, planned.content_hash)

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
