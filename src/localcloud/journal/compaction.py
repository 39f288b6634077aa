"""What a journal may forget.

Lines of one cause made, changed and removed one thing. Once that thing is gone its lines can go too, if the last one
undid the first. Of a thing that lives, a change can go that a later one has replaced whole. Revisions of task
definitions count those before them: they are told their number.

Whether nothing else hung on what is left out is not decided here: `proof` carries both journals out.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs, parse_qsl, unquote_plus

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

REPLACING = frozenset(
    {
        "ModifyListener",
        "ModifyRule",
        "PutLifecyclePolicy",
        "PutMetricAlarm",
        "PutRetentionPolicy",
        "PutRolePolicy",
        "SetRepositoryPolicy",
        "UpdateAssumeRolePolicy",
        "UpdateService",
        "UpdateStateMachine",
    }
)
"""Actions that set each parameter they have, whatever was set before."""

WORD = re.compile(r"[A-Za-z0-9_.:/+=@-]{2,}")
"""What may be somebody's name, ARN or identifier."""

BodyOf = Callable[[Line], bytes]


def compacted(
    lines: list[Line], ended: Callable[[str], bool], body_of: BodyOf, needed: Collection[str] = ()
) -> list[Line]:
    """The lines that are still needed, in order: not those of causes that have `ended` and left no trace, but for
    those of `needed` causes.
    """
    actions = {line.number: action_of(line, body_of) for line in lines}
    # The last revision of each family stays, also when it is gone: the next one is counted from it.
    last = {
        (line.region, _family(line, body_of)): line.cause
        for line in lines
        if actions[line.number] == "RegisterTaskDefinition"
    }
    gone = undone(lines, ended, body_of) - {*needed, *last.values()}
    replaced = _replaced(lines, actions, body_of)
    revisions: dict[tuple[str, str], int] = defaultdict(int)
    kept = []
    for line in lines:
        if actions[line.number] == "RegisterTaskDefinition":
            family = line.region, _family(line, body_of)
            revisions[family] = line.count or revisions[family] + 1
            line = replace(line, count=revisions[family])
        if line.cause not in gone and line.number not in replaced:
            kept.append(replace(line, loose=True) if line.cause and ended(line.cause) else line)
    return kept


def undone(lines: list[Line], ended: Callable[[str], bool], body_of: BodyOf) -> set[str]:
    """The causes that have ended and whose last request undid the first."""
    of_cause: dict[str, list[Line]] = defaultdict(list)
    for line in lines:
        of_cause[line.cause].append(line)
    return {
        cause
        for cause, mine in of_cause.items()
        if cause and ended(cause) and _undo(action_of(mine[0], body_of), action_of(mine[-1], body_of))
    }


def mentioned(line: Line, among: Collection[str], lines: list[Line], body_of: BodyOf) -> set[str]:
    """Which of these causes made something that a line names: what undid them names it too."""
    said = _words(line, body_of)
    last = {other.cause: other for other in lines if other.cause in among}
    return {cause for cause, other in last.items() if said & _words(other, body_of)}


def action_of(line: Line, body_of: BodyOf) -> str:
    """The action of a request; a REST request's is `Create` or `Delete` by its method."""
    headers = {name.lower(): value for name, value in line.headers}
    if target := headers.get("x-amz-target"):
        return target.rsplit(".", 1)[-1]
    if "x-www-form-urlencoded" in headers.get("content-type", ""):
        return parse_qs(body_of(line).decode("utf-8", "replace")).get("Action", [""])[0]
    return "Delete" if line.method == "DELETE" else "Create"


def _family(line: Line, body_of: BodyOf) -> str:
    return str(json.loads(body_of(line)).get("family"))


def _replaced(lines: list[Line], actions: dict[int, str], body_of: BodyOf) -> set[int]:
    """Numbers of the changes that a later one of the same cause makes again, parameter by parameter."""
    found = set()
    later: dict[tuple[str, str], list[set[str]]] = defaultdict(list)
    first = {}
    for line in reversed(lines):
        first[line.cause] = line.number
    for line in reversed(lines):
        action = actions[line.number]
        if not line.cause or action not in REPLACING or first[line.cause] == line.number:
            continue
        named = _parameters(line, body_of)
        if any(named <= others for others in later[line.cause, action]):
            found.add(line.number)
        else:
            later[line.cause, action].append(named)
    return found


def _parameters(line: Line, body_of: BodyOf) -> set[str]:
    text = body_of(line).decode("utf-8", "replace")
    try:
        told = json.loads(text)
    except ValueError:
        return set(parse_qs(text, keep_blank_values=True))
    return set(told) if isinstance(told, dict) else set()


def _words(line: Line, body_of: BodyOf) -> set[str]:
    """Names, ARNs and identifiers in a request, also the last part of each."""
    text = body_of(line).decode("utf-8", "replace")
    try:
        values = [str(value) for value in _leaves(json.loads(text))]
    except ValueError:
        values = [value for name, value in parse_qsl(text) if name not in ("Action", "Version")] or [text]
    words = set(WORD.findall(" ".join([unquote_plus(line.url), *values])))
    return words | {part for word in words for part in [re.split(r"[/:=]", word)[-1]] if part}


def _leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, dict | list):
        for each in value.values() if isinstance(value, dict) else value:
            yield from _leaves(each)
    else:
        yield value


def _undo(first: str, last: str) -> bool:
    made, unmade = (_first_word(action.removeprefix("Batch")) for action in (first, last))
    return UNDONE_BY.get(made) == unmade


def _first_word(action: str) -> str:
    match = re.match(r"[A-Z][a-z]+", action)
    return match[0] if match else ""
