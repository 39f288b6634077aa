"""What a journal may forget.

Lines of one cause made, changed and removed one thing. Once that thing is gone its lines can go too, if the last one
undid the first. Of a thing that lives, a change can go that a later one has replaced whole. Revisions of task
definitions count those before them: they are told their number.

Whether nothing else hung on what is left out is not decided here: `compaction` carries both journals out.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator
from dataclasses import replace
from typing import Any
from urllib.parse import unquote_plus

from localcloud.journal.lines import Line
from localcloud.request import Call, Refused

UNDONE_BY = {
    "Add": "Remove",
    "Allocate": "Release",
    "Associate": "Disassociate",
    "Attach": "Detach",
    "Authorize": "Revoke",
    "Create": "Delete",
    "Import": "Delete",
    "Publish": "Delete",
    "Put": "Delete",
    "Register": "Deregister",
    "Request": "Delete",
    "Run": "Terminate",
    "Subscribe": "Unsubscribe",
    "Tag": "Untag",
}
"""First word of an action -> first word of the one that undoes it. `BatchDelete…` undoes as `Delete…` does."""

REPLACING = frozenset(
    {
        "ModifyListener",
        "ModifyRule",
        "PutCompositeAlarm",
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

CallOf = Callable[[Line], Call]
"""Reads the request that a line keeps. Raises `Refused`."""


def remaining(
    lines: list[Line], ended: Callable[[str], bool], call_of: CallOf, needed: Collection[str] = ()
) -> list[Line]:
    """The lines that are still needed, in order: not those of causes that have `ended` and left no trace, but for
    those of `needed` causes.
    """
    actions = {line.number: operation_of(line, call_of) for line in lines}
    # The last revision of each family stays, also when it is gone: the next one is counted from it.
    last = {
        (line.region, _family(line, call_of)): line.cause
        for line in lines
        if actions[line.number] == "RegisterTaskDefinition"
    }
    gone = undone(lines, ended, call_of) - {*needed, *last.values()}
    replaced = _replaced(lines, actions, call_of)
    revisions: dict[tuple[str, str], int] = defaultdict(int)
    kept = []
    for line in lines:
        if actions[line.number] == "RegisterTaskDefinition":
            family = line.region, _family(line, call_of)
            revisions[family] = line.count or revisions[family] + 1
            line = replace(line, count=revisions[family])
        if line.cause not in gone and line.number not in replaced:
            kept.append(replace(line, loose=True) if line.cause and ended(line.cause) else line)
    return kept


def undone(lines: list[Line], ended: Callable[[str], bool], call_of: CallOf) -> set[str]:
    """The causes that have ended and whose last request undid the first."""
    of_cause: dict[str, list[Line]] = defaultdict(list)
    for line in lines:
        of_cause[line.cause].append(line)
    return {
        cause
        for cause, mine in of_cause.items()
        if cause and ended(cause) and _undo(operation_of(mine[0], call_of), operation_of(mine[-1], call_of))
    }


def mentioned(line: Line, among: Collection[str], lines: list[Line], call_of: CallOf) -> set[str]:
    """Which of these causes made something that a line names: what undid them names it too."""
    said = _words(line, call_of)
    last = {other.cause: other for other in lines if other.cause in among}
    return {cause for cause, other in last.items() if said & _words(other, call_of)}


def operation_of(line: Line, call_of: CallOf) -> str:
    """The operation of a request; "" for one that cannot be read any more, or is none of its service's."""
    if line.operation:
        return line.operation
    try:
        return call_of(line).operation
    except Refused:
        return ""


def _family(line: Line, call_of: CallOf) -> str:
    return call_of(line).text("family")


def _replaced(lines: list[Line], actions: dict[int, str], call_of: CallOf) -> set[int]:
    """Numbers of the changes that a later one of the same cause makes again, parameter by parameter."""
    replaced = set()
    later: dict[tuple[str, str], list[set[str]]] = defaultdict(list)
    first = {}
    for line in reversed(lines):
        first[line.cause] = line.number
    for line in reversed(lines):
        action = actions[line.number]
        if not line.cause or action not in REPLACING or first[line.cause] == line.number:
            continue
        named = _parameters(line, call_of)
        if any(named <= others for others in later[line.cause, action]):
            replaced.add(line.number)
        else:
            later[line.cause, action].append(named)
    return replaced


def _parameters(line: Line, call_of: CallOf) -> set[str]:
    return set(call_of(line).arguments)


def _words(line: Line, call_of: CallOf) -> set[str]:
    """Names, ARNs and identifiers in a request, also the last part of each."""
    call = call_of(line)
    values = [str(value) for value in _leaves(call.arguments)] or [call.body.decode("utf-8", "replace")]
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
