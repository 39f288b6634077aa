"""How a check is evaluated.

A kind of check is a type in `contract.checks`, a line in `_ANSWERS` that says where its number comes from, and, if it
has limits of its own, one in `_judge`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from ..contract.checks import (
    ChangedCheck,
    Check,
    ColumnsCheck,
    CommandCheck,
    ConnectionCheck,
    FileCheck,
    Measured,
    NewestCheck,
    NullsCheck,
    QueryCheck,
    UniqueCheck,
    ValueCheck,
)
from ..contract.statuses import BAD_SETTINGS, CANNOT_EXECUTE, NOT_FOUND
from ..errors import RunFailed
from . import Result, Subject, files, limits
from .files import Unanswered
from .limits import show

FUTURE_HOURS = 24.0
"""How far ahead of UTC the newest date may lie: the zones are up to 14 hours ahead, and some write tomorrow's date."""

_LONGEST_LABEL = 80


def evaluate(checks: Sequence[Check], subject: Subject) -> list[Result]:
    """Hold each check against what the run wrote. Never raises for what a workload may have written.

    Raises RunFailed if a database cannot be asked.
    """
    tables = _ask_tables([check for check in checks if check.reads_tables], subject)
    numbers = _ask_databases([check for check in checks if isinstance(check, ConnectionCheck)], subject)

    def answer(check: Check) -> float | Unanswered | None:
        return next(tables) if check.reads_tables else next(numbers) if isinstance(check, ConnectionCheck) else None

    return [_evaluate(check, subject, answer(check)) for check in checks]


def _ask_tables(checks: Sequence[Check], subject: Subject) -> Iterator[float | Unanswered]:
    """All of them at once: to start DuckDB takes longer than to ask it."""
    if not checks or subject.start is None:
        return iter([Unanswered("cannot be checked here")] * len(checks))
    from .tables import ask

    return iter(ask(checks, subject.root, subject.memory_gb, subject.start))


def _ask_databases(checks: Sequence[ConnectionCheck], subject: Subject) -> Iterator[float | Unanswered]:
    if not checks:
        return iter(())
    from .database import ask

    return iter(ask(checks, subject.connections))


def _evaluate(check: Check, subject: Subject, answer: float | Unanswered | None) -> Result:
    key = (subject.item, *check.key)
    accepted = subject.baseline.values.get(key) if subject.baseline else None
    earlier = subject.history.of(key)
    observed: float | None = None
    note = ""
    try:
        if answer is None:
            answer = _ANSWERS[type(check)](check, subject)
        if isinstance(answer, Unanswered):
            raise answer
        observed = answer
        problem = _judge(check, observed, accepted, earlier)
        if problem is None:
            note = _note(check, subject, accepted, earlier)
    except Unanswered as unanswered:
        problem = str(unanswered)
    label = _label(check) + (f" of {subject.item}" if subject.item is not None else "")
    own = {name: getattr(check, name, None) for name in ("min", "max", "max_drop", "max_rise", "trend")}
    shown = "" if observed is None or isinstance(check, _YES_OR_NO) else f" = {show(observed, accepted, *own.values())}"
    return Result(
        item=subject.item,
        file=check.key[0],
        value=check.key[1],
        observed=observed,
        baseline=accepted,
        passed=problem is None,
        message=f"{label}{shown} {problem or 'passed'}{note}",
        kind=check.kind,
        otherwise=check.otherwise,
        **own,
    )


_YES_OR_NO = (ChangedCheck, ColumnsCheck, CommandCheck)
"""Their number is 1 or 0, which nobody needs to read."""


def _judge(check: Check, observed: float, accepted: float | None, earlier: Sequence[float]) -> str | None:
    """What is wrong with the number, as the rest of a sentence, or None."""
    match check:
        case Measured():
            return limits.judge(check, observed, accepted, earlier)
        case FileCheck(min_bytes=least) if least is not None and observed < least:
            return f"is below min_bytes = {least}"
        case FileCheck(max_bytes=most) if most is not None and observed > most:
            return f"is above max_bytes = {most}"
        case NewestCheck(max_age_hours=most) if observed > most:
            return f"is above max_age_hours = {show(most)}"
        case NewestCheck() if observed < -FUTURE_HOURS:
            return "lies in the future: such a date would hide that no newer ones come"
        case ChangedCheck() if not observed:
            return "is not: the file is byte for byte that of the last published version"
        case CommandCheck() if observed:
            return f"ended with exit status {observed:g}; the lines above are its own"
    return None


def _note(check: Check, subject: Subject, accepted: float | None, earlier: Sequence[float]) -> str:
    if isinstance(check, Measured):
        return limits.without_comparison(check, accepted, earlier)
    if isinstance(check, ChangedCheck) and subject.published is None:
        return " (there is no published version to compare with)"
    return ""


def _label(check: Check) -> str:
    """What is asked, for people: the file and what of it."""
    match check:
        case QueryCheck(query=text):
            return f"query {_short(text)}"
        case ConnectionCheck(connection=name, query=text):
            return f"{name}: query {_short(text)}"
        case CommandCheck():
            return f"command {_short(check.key[1])}"
        case NullsCheck(nulls=column):
            return f"{check.file}: share of rows without {column}"
        case UniqueCheck(unique=columns):
            return f"{check.file}: rows that repeat {', '.join(columns)}"
        case NewestCheck(newest=column):
            return f"{check.file}: hours since the newest {column}"
    return ": ".join(check.key)


def _short(text: str) -> str:
    line = " ".join(text.split())
    return f'"{line if len(line) <= _LONGEST_LABEL else line[: _LONGEST_LABEL - 1] + "…"}"'


def _command(check: Any, subject: Subject) -> float:
    """Raises RunFailed (78) for a program that cannot be started: no other attempt would find it."""
    if subject.start is None:
        raise Unanswered("cannot be run here")
    try:
        return subject.start(check.command, None, subject.root)
    except RunFailed as error:
        if error.status not in (NOT_FOUND, CANNOT_EXECUTE):
            raise
        setting = f"[[check]] command = {json.dumps(list(check.command), ensure_ascii=False)}"
        raise RunFailed(f"{setting}: {error}; nothing is published", BAD_SETTINGS) from error


_ANSWERS: Mapping[type[Check], Callable[[Any, Subject], float]] = {
    ValueCheck: lambda check, subject: files.number_at(subject.outputs, check.file, check.value),
    FileCheck: lambda check, subject: files.size_of(subject.outputs, check.file),
    ChangedCheck: lambda check, subject: files.has_changed(subject.outputs, check.file, subject.published),
    CommandCheck: _command,
}
"""Where the number of a check comes from, if neither a table nor a database is asked."""
