"""What a journal may forget.

Lines of one cause made, changed and removed one thing. Once it is gone they can go too, unless something of it stays
behind that others see: the number of a task definition's revision counts those that went before.
"""

from __future__ import annotations

import json
from collections.abc import Callable

from localcloud.journal.lines import Line


def compacted(lines: list[Line], ended: Callable[[str], bool], body_of: Callable[[Line], bytes]) -> list[Line]:
    """The lines that are still needed: those of nobody's, of causes that have not `ended`, or that others count on."""
    counted: dict[str, set[str]] = {}
    for line in lines:
        family = _family(line, body_of)
        if family is not None:
            counted.setdefault(line.cause, set()).add(family)
    gone = {line.cause for line in lines if line.cause and ended(line.cause)}
    needed = {family for cause, families in counted.items() if cause not in gone for family in families}
    gone -= {cause for cause, families in counted.items() if families & needed}
    return [line for line in lines if line.cause not in gone]


def _family(line: Line, body_of: Callable[[Line], bytes]) -> str | None:
    target = next((value for name, value in line.headers if name.lower() == "x-amz-target"), "")
    if not target.endswith(".RegisterTaskDefinition"):
        return None
    return str(json.loads(body_of(line)).get("family"))
