"""A resource's outputs and inputs, worked out from what was declared and what AWS answers. Nothing here calls AWS."""

from __future__ import annotations

from localcloud.plugins.comparison import covers, same
from localcloud.plugins.resource import Cloud, Resource
from localcloud.plugins.values import UNKNOWN, Props


def declared(inputs: Props) -> Props:
    """The inputs without what is noted beside them."""
    return {name: value for name, value in inputs.items() if not name.startswith("__")}


def foreseen(kind: Resource, cloud: Cloud, inputs: Props) -> Props:
    """What a preview can say: inputs, what follows from them, and "unknown" for what only AWS can answer."""
    own = declared(inputs)
    asked = {name: UNKNOWN for name, known in kind.fields.items() if known.output or known.chosen}
    region = {"region": cloud.region} if "region" in kind.fields else {}
    return {**asked, **region, **own, **derived(kind, cloud, own), **tags(kind, cloud, inputs)}


def complete(kind: Resource, cloud: Cloud, inputs: Props, identifier: str, live: Props) -> Props:
    """All outputs of what exists: `live` is what AWS says of it."""
    own = declared(inputs)
    region = {"region": cloud.region} if "region" in kind.fields else {}
    outputs = {**live, **region, **own, "id": identifier}
    return {**outputs, **derived(kind, cloud, outputs), **tags(kind, cloud, inputs)}


def tags(kind: Resource, cloud: Cloud, inputs: Props) -> Props:
    """The output that names all tags, the provider's own included; nothing for types without tags."""
    if "tagsAll" not in kind.fields:
        return {}
    return {"tagsAll": UNKNOWN if has_unknown_tags(inputs) else kind.all_tags(cloud, inputs)}


def derived(kind: Resource, cloud: Cloud, props: Props) -> Props:
    """Derived outputs; one that was made with something unknown is unknown."""
    mark = repr(UNKNOWN)
    values = kind.derived(cloud, props)
    return {name: UNKNOWN if isinstance(value, str) and mark in value else value for name, value in values.items()}


def has_unknown_tags(inputs: Props) -> bool:
    """Are there tags that only the update will know?"""
    tags = inputs.get("tags")
    return tags is UNKNOWN or (isinstance(tags, dict) and UNKNOWN in tags.values())


def refreshed(kind: Resource, cloud: Cloud, old_inputs: Props, live: Props) -> Props:
    """The inputs that would describe what exists: as they were where that still holds, what AWS says where not."""
    inputs = {name: value for name, value in old_inputs.items() if name.startswith("__")}
    live = dict(live)
    if isinstance(live.get("tagsAll"), dict):
        own = old_inputs.get("tags") or {}
        live["tags"] = {
            key: text for key, text in live["tagsAll"].items() if key in own or cloud.default_tags.get(key) != text
        }
    for name, known in kind.fields.items():
        if known.output:
            continue
        if name in old_inputs and covers(known, live.get(name), old_inputs[name]):
            inputs[name] = old_inputs[name]
        elif (
            name in live
            and not same(known, live[name], None)
            and (name in old_inputs or not known.chosen or not old_inputs)
        ):
            inputs[name] = live[name]
    return inputs


def surely_done(kind: Resource, inputs: Props) -> Props:
    """The inputs of something half-made that its first step took; the rest is a difference for the next update."""
    fields = kind.fields
    return {
        name: value
        for name, value in inputs.items()
        if name.startswith("__") or fields[name].replaces or fields[name].required
    }
