"""docs/reference/resource-types.md: what the local cloud can be asked to make, from the tables of its plugins."""

import re
from collections.abc import Iterator
from keyword import iskeyword
from pathlib import Path

from localcloud.plugins.functions import FUNCTIONS
from localcloud.plugins.resource import REGISTRY, Resource
from localcloud.plugins.schema import Field
from localcloud.plugins.types import load_types

PAGE = Path(__file__).parent / "reference" / "resource-types.md"

HEAD = """\
<!-- Written by docs/generate.py from the code. Do not edit. -->
# Resource types of the local cloud

What `pulumi up` can make on a laptop. Anything that is not on this page is refused by name.
[The local cloud](../local-cloud.md) says what the resources then do.

**Bold** must be given; ↻ replaces the resource when it changes; the properties of an object are in brackets after it.
"""


def page() -> str:
    load_types()
    kinds = sorted(REGISTRY.values(), key=lambda kind: short(kind.token))
    lines = [HEAD, f"{len(kinds)} resource types, {len(FUNCTIONS)} functions.", "", "| type | |", "| --- | --- |"]
    lines += [f"| [{short(kind.token)}](#{anchor(kind.token)}) | {meaning(kind)} |" for kind in kinds]
    lines += ["", "## Functions", "", *(f"- `{short(token)}`" for token in sorted(FUNCTIONS))]
    for kind in kinds:
        lines += ["", f"## {short(kind.token)}", "", *resource(kind)]
    return "\n".join(lines) + "\n"


def resource(kind: Resource) -> Iterator[str]:
    """What it is, what can be given, what is answered beside that."""
    yield meaning(kind)
    yield ""
    given = [told(field) for field in kind.fields.values() if not field.output]
    answered = [f"`{field.name}`" for field in kind.fields.values() if field.output]
    yield f"- Properties: {', '.join(given)}"
    if answered:
        yield f"- Answers also: {', '.join(answered)}"


def meaning(kind: Resource) -> str:
    return " ".join((kind.__doc__ or "").split()).replace("|", "\\|")


def told(field: Field) -> str:
    name = f"**`{field.name}`**" if field.required else f"`{field.name}`"
    inner = [told(each) for each in field.fields.values() if not each.output]
    return name + (" ↻" if field.replaces else "") + (f" ({', '.join(inner)})" if inner else "")


def short(token: str) -> str:
    """`aws:ecs/taskDefinition:TaskDefinition` -> `aws.ecs.TaskDefinition`, as one writes it in Python."""
    package, module, name = re.split("[:]", token)
    room = module.split("/")[0].replace("index", "")
    return ".".join(part for part in (package, f"{room}_" if iskeyword(room) else room, name) if part)


def anchor(token: str) -> str:
    """How GitHub names the heading."""
    return short(token).lower().replace(".", "")
