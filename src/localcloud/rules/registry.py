"""ECR: a tag that may not move is written once."""

from __future__ import annotations

import json
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


def lifecycle_is_valid(asked: Call) -> None:
    """Rules in an order of their own; tagged images by prefix or pattern, and untold ones last.

    Source: "Lifecycle policy properties in Amazon ECR", Amazon ECR user guide.
    """
    try:
        rules = json.loads(asked.text("lifecyclePolicyText"))["rules"]
        places = [(int(rule["rulePriority"]), rule["selection"]) for rule in rules]
        statuses = [str(selection["tagStatus"]) for _, selection in places]
    except (ValueError, KeyError, TypeError):
        return  # moto says what is malformed
    if len({place for place, _ in places}) < len(places):
        raise _invalid("Lifecycle policy validation failure: rulePriority must be unique.")
    for place, selection in places:
        named = selection.get("tagPrefixList") or selection.get("tagPatternList")
        if selection["tagStatus"] == "tagged" and not named:
            raise _invalid(
                "Lifecycle policy validation failure: tagPrefixList or tagPatternList is required for tagged."
            )
        if selection["tagStatus"] != "tagged" and named:
            raise _invalid("Lifecycle policy validation failure: tagPrefixList is for tagged images only.")
        if selection["tagStatus"] == "any" and place != max(priority for priority, _ in places):
            raise _invalid(
                "Lifecycle policy validation failure: a rule of tagStatus 'any' must have the last priority."
            )
    if statuses.count("any") > 1 or statuses.count("untagged") > 1:
        raise _invalid("Lifecycle policy validation failure: only one rule is allowed for a tagStatus.")


def manifest_is_valid(asked: Call) -> None:
    """A manifest is a JSON object."""
    try:
        manifest = json.loads(asked.text("imageManifest"))
    except ValueError:
        manifest = None
    if not isinstance(manifest, dict):
        raise _invalid("Invalid parameter at 'ImageManifest' failed to satisfy constraint: 'Invalid JSON syntax'")


def policy_is_valid(asked: Call) -> None:
    """A repository's policy is about that repository: its statements name no resource."""
    try:
        statements = json.loads(asked.text("policyText"))["Statement"]
    except (ValueError, KeyError, TypeError):
        return
    for statement in statements if isinstance(statements, list) else [statements]:
        if isinstance(statement, dict) and {"Resource", "NotResource"} & statement.keys():
            raise _invalid(
                "Invalid parameter at 'PolicyText' failed to satisfy constraint: 'Invalid repository policy provided'"
            )


def _invalid(message: str) -> Refused:
    return Refused("InvalidParameterException", message)
