"""What a journal may forget.

Lines of one cause made, changed and removed one thing. Once that thing is gone its lines can go too, if the last one
undid the first. Where it did not (a default that was changed and never put back), they stay, and may be refused when
what they changed is gone as well. Revisions of task definitions count those before them: they are told their number.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from urllib.parse import parse_qs

from localcloud.journal.lines import Line

UNDONE_BY = {
    "Add": "Remove",
    "Allocate": "Release",
    "Associate": "Disassociate",
    "Attach": "Detach",
    "Authorize": "Revoke",
    "Create": "Delete",
    "Import": "Delete",
    "Put": "Delete",
    "Register": "Deregister",
    "Request": "Delete",
    "Run": "Terminate",
}
"""First word of an action -> first word of the one that undoes it. `BatchDelete…` undoes as `Delete…` does."""


def compacted(lines: list[Line], ended: Callable[[str], bool], body_of: Callable[[Line], bytes]) -> list[Line]:
    """The lines that are still needed, in order: all but those of causes that have `ended` and left no trace."""
    actions = {line.number: action_of(line, body_of) for line in lines}
    of_cause: dict[str, list[Line]] = defaultdict(list)
    for line in lines:
        of_cause[line.cause].append(line)
    over = {cause for cause in of_cause if cause and ended(cause)}
    gone = {cause for cause in over if _undo(actions[of_cause[cause][0].number], actions[of_cause[cause][-1].number])}
    revisions: dict[tuple[str, str], int] = defaultdict(int)
    needed = []
    for line in lines:
        if actions[line.number] == "RegisterTaskDefinition":
            family = (line.region, str(json.loads(body_of(line)).get("family")))
            revisions[family] = line.count or revisions[family] + 1
            line = replace(line, count=revisions[family])
        if line.cause not in gone:
            needed.append(replace(line, loose=True) if line.cause in over else line)
    return needed


def action_of(line: Line, body_of: Callable[[Line], bytes]) -> str:
    """The action of a request; a REST request's is `Create` or `Delete` by its method."""
    headers = {name.lower(): value for name, value in line.headers}
    if target := headers.get("x-amz-target"):
        return target.rsplit(".", 1)[-1]
    if "x-www-form-urlencoded" in headers.get("content-type", ""):
        return parse_qs(body_of(line).decode("utf-8", "replace")).get("Action", [""])[0]
    return "Delete" if line.method == "DELETE" else "Create"


def _undo(first: str, last: str) -> bool:
    made, unmade = (_first_word(action.removeprefix("Batch")) for action in (first, last))
    return UNDONE_BY.get(made) == unmade


def _first_word(action: str) -> str:
    match = re.match(r"[A-Z][a-z]+", action)
    return match[0] if match else ""
