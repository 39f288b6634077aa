"""What a deployment changes, in the words of the settings: `job train: check auc: min 0.6 → 0.5`.

The stack exports its settings (`herd.infra.as_written`), so a plan has those in force and those to come. Pure
functions of the two.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from herd.engine.plan import ENVIRONMENT
from herd.runner.contract import checks, schedule

Plain = Mapping[str, Any]

DERIVED = frozenset({"kind", "default_deadline_minutes"})
"""What is exported beside a workload's settings and is none."""

NAMED_TABLES = frozenset({"params", "env", "secrets", "replicas", "pools", "connections", "datasets", "notifications"})
"""Settings whose entries are compared one by one: `replicas.min`, `params.month`."""

DEEPER = frozenset({"notifications", "pools", "connections", "datasets"})
"""Those whose entries are tables again."""

MOST_CHARACTERS = 60
"""Of one value in a line."""


@dataclass(frozen=True)
class Written:
    """The settings of an environment: workload -> setting -> value, and those of its stack."""

    workloads: Mapping[str, Plain] = field(default_factory=dict)
    stack: Plain = field(default_factory=dict)

    @classmethod
    def of(cls, outputs: Mapping[str, Any]) -> Written | None:
        """From a stack's outputs; None where an earlier Herd deployed it, which did not export them."""
        if not outputs:
            return cls()
        exported = outputs.get("settings")
        if not isinstance(exported, Mapping):
            return None
        return cls(exported.get("workloads") or {}, exported.get("stack") or {})


@dataclass(frozen=True)
class Changed:
    """One setting that changes. `old`, `new`: its values, None for none. `path`: `("replicas", "min")`, or
    `("check", "auc", "min")`. `kind` of the workload; "" for the stack's.
    """

    owner: str
    kind: str
    path: tuple[str, ...]
    old: Any
    new: Any

    @property
    def setting(self) -> str:
        """The setting itself, without what is below it."""
        return self.path[0]

    @property
    def who(self) -> str:
        """`job train`, or `environment`."""
        return f"{self.kind} {self.owner}".strip()

    @property
    def what(self) -> str:
        """`check auc: min 0.6 → 0.5`."""
        return _what(self)

    def __str__(self) -> str:
        return f"{self.who}: {self.what}"


@dataclass(frozen=True)
class Come:
    """A workload that is new, or that goes. `settings`: its own."""

    owner: str
    settings: Plain
    is_new: bool

    @property
    def who(self) -> str:
        return f"{self.settings.get('kind', 'workload')} {self.owner}"

    def __str__(self) -> str:
        return f"{'new ' if self.is_new else ''}{self.who}{'' if self.is_new else ' is removed'}"


Change = Changed | Come


def changes(before: Written, after: Written) -> list[Change]:
    """Every difference, the stack's first, then by workload. Of an environment that is new, its workloads."""
    differences: list[Change] = list(_of_settings(ENVIRONMENT, "", before.stack, after.stack)) if before.stack else []
    for name in sorted({*before.workloads, *after.workloads}):
        old, new = before.workloads.get(name), after.workloads.get(name)
        if old is None or new is None:
            differences.append(Come(name, new or old or {}, is_new=old is None))
        elif old.get("kind") != new.get("kind"):
            differences += [Come(name, old, is_new=False), Come(name, new, is_new=True)]
        else:
            differences += _of_settings(name, str(new.get("kind", "")), old, new)
    return differences


def lines(differences: Sequence[Change], after: Written, now: datetime) -> list[str]:
    """A line for each change. `now` decides when a schedule starts next."""
    return [str(change) + _afterwards(change, after, now) for change in differences]


def by_owner(differences: Sequence[Change], after: Written, now: datetime) -> dict[str, list[str]]:
    """The same by whose they are: `job train` -> its lines; none beside the head for one that is new or goes."""
    grouped: dict[str, list[str]] = {}
    renamed = renames(differences)
    for change in differences:
        if isinstance(change, Changed):
            grouped.setdefault(change.who, []).append(_what(change) + _afterwards(change, after, now))
            continue
        lines = grouped.setdefault(str(change) + _afterwards(change, after, now), [])
        if change.owner in renamed:
            was = renamed[change.owner]
            lines.append(f"has the settings of {was}, which goes: a new name is a new {change.settings.get('kind')}")
            lines.append(f"the versions, the history and the baseline of {was} stay behind under the old name")
    return grouped


def renames(differences: Sequence[Change]) -> dict[str, str]:
    """New name -> old name of each workload that goes while another comes with the same settings."""
    come = [one for one in differences if isinstance(one, Come) and one.is_new]
    gone = [one for one in differences if isinstance(one, Come) and not one.is_new]
    pairs = [(new.owner, old.owner) for new in come for old in gone if _alike(new.settings, old.settings)]
    once = Counter(name for pair in pairs for name in pair)
    return {new: old for new, old in pairs if once[new] == once[old] == 1}


def _alike(one: Plain, other: Plain) -> bool:
    """Whether they say the same, but for reading what they wrote themselves."""
    return {**one, "reads": None} == {**other, "reads": None}


def _of_settings(owner: str, kind: str, old: Plain, new: Plain) -> Iterator[Changed]:
    for setting in sorted({*old, *new} - DERIVED):
        before, after = old.get(setting), new.get(setting)
        if before == after or setting == "deadline_minutes" and ("schedule" in old) != ("schedule" in new):
            continue  # without a schedule there is no deadline
        if setting == "check":
            yield from _of_checks(owner, kind, before or [], after or [])
        elif setting in NAMED_TABLES:
            yield from _of_table(owner, kind, (setting,), before or {}, after or {}, 2 if setting in DEEPER else 1)
        else:
            yield Changed(owner, kind, (setting,), before, after)


def _of_table(owner: str, kind: str, path: tuple[str, ...], old: Plain, new: Plain, depth: int) -> Iterator[Changed]:
    for name in sorted({*old, *new}):
        before, after = old.get(name), new.get(name)
        if before == after:
            continue
        if depth > 1 and isinstance(before, Mapping) and isinstance(after, Mapping):
            yield from _of_table(owner, kind, (*path, name), before, after, depth - 1)
        else:
            yield Changed(owner, kind, (*path, name), before, after)


def _of_checks(owner: str, kind: str, old: Sequence[Plain], new: Sequence[Plain]) -> Iterator[Changed]:
    before, after = _by_question(old), _by_question(new)
    for question in [*before, *(name for name in after if name not in before)]:
        was, is_ = before.get(question), after.get(question)
        if was is None or is_ is None:
            yield Changed(owner, kind, ("check", question), was, is_)
        else:
            yield from _of_table(owner, kind, ("check", question), was, is_, 1)


def _by_question(entries: Sequence[Plain]) -> dict[str, Plain]:
    """The checks by what they ask; a second one that asks the same gets a number."""
    named: dict[str, Plain] = {}
    for entry in entries:
        question = _question(entry)
        number = sum(name.partition(" #")[0] == question for name in named)
        named[f"{question} #{number + 1}" if number else question] = entry
    return named


def place_of_check(entries: Sequence[Plain], question: str) -> int | None:
    """Which of the checks asks that, as the lines of a review call it."""
    return next((place for place, name in enumerate(_by_question(entries)) if name == question), None)


def _question(entry: Plain) -> str:
    """`auc`, `rows of flights.parquet`: how people call a check."""
    file, kind = str(entry.get("file", "")), checks.kind_of(entry)
    match kind:
        case "value":
            return str(entry.get("value"))
        case "command":
            return f"command {' '.join(map(str, entry.get('command', ())))}"
        case "query" | "connection":
            return f"query {_short(str(entry.get('query', '')))}"
        case "nulls" | "newest":
            return f"{kind} {entry[kind]} of {file}"
        case "unique":
            return f"unique {', '.join(map(str, entry['unique']))} of {file}"
        case "file":
            return file
        case _:
            return f"{kind} of {file}"


def _what(change: Changed) -> str:
    name = _name(change.path)
    match change.old, change.new:
        case list(), list():
            return f"{name}: {_items(change.old, change.new)}"
        case None, list() as new if new:
            return f"{name}: {_items([], new)}"
        case list() as old, None if old:
            return f"{name}: {_items(old, [])}"
        case None, Mapping():
            return f"{name} is new{_limits(change.new)}"
        case Mapping(), None:
            return f"{name} is removed{_limits(change.old)}"
        case old, new if change.path == ("schedule",):
            before, after = (schedule.in_words(one) if one else "nothing" for one in (old, new))
            return f"{name} {before} → {after}"
        case float(), float():
            return f"{name} {' → '.join(_as_precise(change.old, change.new))}"
        case _:
            return f"{name} {value(change.old)} → {value(change.new)}"


def _as_precise(*numbers: float) -> list[str]:
    """With as many digits behind the point: `0.60`, `0.55`."""
    shown = [value(number) for number in numbers]
    digits = max(len(text.partition(".")[2]) for text in shown)
    return shown if "e" in "".join(shown) else [f"{number:.{digits}f}" for number in numbers]


def _name(path: tuple[str, ...]) -> str:
    """`schedule`, `replicas.min`, `check auc: min`."""
    if path[0] == "check":
        return f"check {path[1]}" + (f": {path[2]}" if len(path) > 2 else "")
    return ".".join(path)


def _items(old: Sequence[Any], new: Sequence[Any]) -> str:
    """What a list gains and loses; whole where only its order differs, or its order is what it says."""
    gained, lost = [item for item in new if item not in old], [item for item in old if item not in new]
    if not old or not new or (gained and lost) or not (gained or lost):
        return f"{value(list(old)) if old else 'nothing'} → {value(list(new)) if new else 'nothing'}"
    return ", ".join([*(f"+ {value(item)}" for item in gained), *(f"- {value(item)}" for item in lost)])


def _limits(table: Plain) -> str:
    shown = ", ".join(
        f"{name} {value(one)}" for name, one in sorted(table.items()) if isinstance(one, int | float | str)
    )
    return f" ({_short(shown, 100)})" if shown else ""


def value(one: Any) -> str:
    """A value as a line has it: text as it is, numbers short, nothing for None.

    >>> value(0.60), value(True), value(None)
    ('0.6', 'on', 'nothing')
    """
    match one:
        case None:
            return "nothing"
        case bool():
            return "on" if one else "off"
        case int() | float():
            return f"{one:g}" if abs(one) < 1e6 else f"{one:,}"
        case Mapping():
            return _short(", ".join(f"{name} {value(entry)}" for name, entry in sorted(one.items())) or "nothing")
        case list() | tuple():
            return _short(" ".join(map(value, one)) or "nothing")
        case _:
            return _short(str(one))


def _short(text: str, most: int = MOST_CHARACTERS) -> str:
    text = " ".join(text.split())
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _default_deadline(change: Changed, after: Written) -> Any:
    return after.workloads.get(change.owner, {}).get("default_deadline_minutes")


def _afterwards(change: Change, after: Written, now: datetime) -> str:
    """When a schedule that is new or other starts next, in its own time zone."""
    if isinstance(change, Come):
        if not change.is_new:
            return ""
        settings, intro = change.settings, ", first run after deploying" if "schedule" in change.settings else ""
    elif change.setting in ("schedule", "timezone") and change.owner in after.workloads:
        settings, intro = after.workloads[change.owner], ""
    elif change.setting == "deadline_minutes" and change.new == _default_deadline(change, after):
        return ", which follows from its limits"
    else:
        return ""
    if "schedule" not in settings:
        return intro
    zone = str(settings.get("timezone", "UTC"))
    text = f" {zone}" if isinstance(change, Changed) and change.setting == "schedule" else ""
    if settings.get("paused") or after.stack.get("schedules") is False:
        return f"{text}{intro}; its schedule rests"
    upcoming = schedule.next_runs(schedule.parse(str(settings["schedule"])), zone, now, 1)
    return text + intro + "".join(f", next run {time.astimezone(ZoneInfo(zone)):%a %H:%M}" for time in upcoming)
