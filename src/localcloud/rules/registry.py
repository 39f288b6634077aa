"""ECR: a tag that may not move is written once."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Any

from moto.backends import get_backend

from localcloud.request import Call, Refused


def tag_may_be_written(asked: Call) -> None:
    """Not even with the image that has it: `docker push` of what is there is refused too (containers-roadmap#2380)."""
    name, tag = asked.text("repositoryName"), asked.text("imageTag")
    repository = get_backend("ecr")[asked.account][asked.region].repositories.get(name)
    if repository is None or not tag or not _is_immutable(repository, tag):
        return
    if any(tag in image.image_tags for image in repository.images):
        raise Refused(
            "ImageTagAlreadyExistsException",
            f"The image tag '{tag}' already exists in the '{name}' repository and cannot be overwritten because the "
            "tag is immutable.",
        )


def _is_immutable(repository: Any, tag: str) -> bool:
    """A filter makes an exception of what is otherwise so for the whole repository."""
    filters = repository.image_tag_mutability_exclusion_filters or []
    excluded = any(fnmatchcase(tag, str(one["filter"])) for one in filters)
    return bool(str(repository.image_tag_mutability).startswith("IMMUTABLE") is not excluded)
