"""Application Auto Scaling: tags, which moto does not have and which every refresh reads."""

from __future__ import annotations

import json
from typing import Any

from moto.applicationautoscaling import models, responses


def apply() -> None:
    """Add ListTagsForResource, TagResource and UntagResource, and keep the tags of RegisterScalableTarget."""
    response = responses.ApplicationAutoScalingResponse
    stock = response.register_scalable_target

    def register_scalable_target(self: Any) -> str:
        answer: str = stock(self)
        tags = self._get_param("Tags")
        if tags:
            _tags(self).setdefault(json.loads(answer)["ScalableTargetARN"], {}).update(tags)
        return answer

    def list_tags_for_resource(self: Any) -> str:
        return json.dumps({"Tags": _tags(self).get(self._get_param("ResourceARN"), {})})

    def tag_resource(self: Any) -> str:
        _tags(self).setdefault(self._get_param("ResourceARN"), {}).update(self._get_param("Tags"))
        return "{}"

    def untag_resource(self: Any) -> str:
        tags = _tags(self).get(self._get_param("ResourceARN"), {})
        for key in self._get_param("TagKeys"):
            tags.pop(key, None)
        return "{}"

    # applicationautoscaling/responses.py has none of the three.
    response.register_scalable_target = register_scalable_target
    response.list_tags_for_resource = list_tags_for_resource
    response.tag_resource = tag_resource
    response.untag_resource = untag_resource
    models.ApplicationAutoscalingBackend.resource_tags = None


def _tags(response: Any) -> dict[str, dict[str, str]]:
    backend = response.applicationautoscaling_backend
    if backend.resource_tags is None:
        backend.resource_tags = {}
    return backend.resource_tags  # type: ignore[no-any-return]
