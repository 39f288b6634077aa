"""`herd image list`: the images that deployed workloads run, as the registry knows them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from herd.runs import runs
from herd.targets.target import Target

_REFERENCE = re.compile(r"[^/]+/(?P<repository>.+)@(?P<digest>sha256:[0-9a-f]{64})")


@dataclass(frozen=True)
class ImageEntry:
    """One image. `image`: its folder. `size_bytes`: compressed, as the registry has it; None where it has none, as the
    local cloud without Docker. `pushed`: None where it is gone from the registry. `used_by`: workloads.
    """

    image: str
    repository: str
    digest: str
    size_bytes: int | None
    pushed: datetime | None
    used_by: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        return {
            "image": self.image,
            "repository": self.repository,
            "digest": self.digest,
            "size_bytes": self.size_bytes,
            "pushed": self.pushed.isoformat() if self.pushed else None,
            "used_by": list(self.used_by),
        }


def collect(target: Target, folders: Mapping[str, str]) -> list[ImageEntry]:
    """Each image that a deployed workload's newest task definition names, by folder and user.

    `folders`: workload -> image folder, of the files; the repository's name says it for others.
    """
    ecs, ecr = target.client("ecs"), target.client("ecr")
    workloads = target.exports.workloads

    def reference(name: str) -> re.Match[str] | None:
        try:
            described = ecs.describe_task_definition(taskDefinition=workloads[name].task_definition)
        except ecs.exceptions.ClientException:  # it was removed outside of Pulumi
            return None
        return _REFERENCE.fullmatch(described["taskDefinition"]["containerDefinitions"][0]["image"])

    users: dict[tuple[str, str], list[str]] = {}
    for name, match in zip(workloads, runs.in_parallel(reference, workloads), strict=True):
        if match:
            users.setdefault((match["repository"], match["digest"]), []).append(name)

    def entry(place: tuple[str, str]) -> ImageEntry:
        repository, digest = place
        names = sorted(users[place])
        try:
            answer = ecr.describe_images(repositoryName=repository, imageIds=[{"imageDigest": digest}])
            details = (answer.get("imageDetails") or [{}])[0]
        except (ecr.exceptions.ImageNotFoundException, ecr.exceptions.RepositoryNotFoundException):
            details = {}
        folder = folders.get(names[0]) or re.split(r"[/]|-images-", repository)[-1]
        size = details.get("imageSizeInBytes") or None
        return ImageEntry(folder, repository, digest, size, details.get("imagePushedAt"), tuple(names))

    return sorted(runs.in_parallel(entry, users), key=lambda one: (one.image, one.used_by))
