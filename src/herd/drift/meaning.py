"""Which setting a property of a resource of AWS comes from, and what its value says there. Pure functions.

`MEANINGS` is the table. A property that is not in it has no setting: it can only be reverted.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from herd.review.settings import Changed, Written, changes
from herd.runner.contract import variables
from herd.runner.contract.schedule import of_expression

SWITCHED_OFF = "switched off by hand"
"""The reason of `paused` where nobody wrote one."""

MIB, CPU_UNITS, SECONDS = 1024, 1024, 60

OWNER_TAG = "herd:owner"

KEPT_RULES = ("herd-superseded", "herd-rejected", "overwritten")
"""Rules of a bucket's lifecycle whose days are `keep_versions_days`."""


@dataclass(frozen=True)
class Meant:
    """A value of a setting, before and after. `of_stack`: it is the stack's, and not the workload's."""

    path: tuple[str, ...]
    old: Any
    new: Any
    of_stack: bool = False


Meaning = Callable[[Any, Any, Mapping[str, Any]], Sequence[Meant] | None]
"""Of an old and a new value, with all properties as they are now; None where no setting could say it."""


def setting(*path: str, per: float = 1, otherwise: Any = None, of_stack: bool = False) -> Meaning:
    """The value itself, `per` so many of AWS's units; `otherwise` where AWS answers nothing."""

    def meant(old: Any, new: Any, _: Mapping[str, Any]) -> list[Meant] | None:
        before, after = (_number(otherwise if value is None else value, per) for value in (old, new))
        return None if after is None else [Meant(path, before, after, of_stack)]

    return meant


def _number(value: Any, per: float) -> Any:
    if isinstance(value, bool) or value is None:
        return value
    try:
        number = float(value) / per
    except (TypeError, ValueError):
        return value
    return int(number) if number.is_integer() else number


def _starts(old: Any, new: Any, _: Mapping[str, Any]) -> list[Meant] | None:
    before, after = (of_expression(str(value)) for value in (old, new))
    return None if after is None else [Meant(("schedule",), before, after)]


def _state(old: Any, new: Any, _: Mapping[str, Any]) -> list[Meant]:
    off = new == "DISABLED"
    return [Meant(("paused",), None if off else SWITCHED_OFF, SWITCHED_OFF if off else None)]


def _ends(old: Any, new: Any, now: Mapping[str, Any]) -> list[Meant] | None:
    zone = ZoneInfo(str(now.get("scheduleExpressionTimezone") or "UTC"))
    before, after = (_day(value, zone) for value in (old, new))
    return None if after is None else [Meant(("review_by",), before, after)]


def _day(value: Any, zone: ZoneInfo) -> str | None:
    try:
        moment = datetime.fromisoformat(str(value).replace("Z", "+00:00"))
        return moment.astimezone(zone).date().isoformat()
    except (ValueError, OverflowError):
        return None


def _copies(old: Any, new: Any, _: Mapping[str, Any]) -> list[Meant]:
    return [Meant(("replicas", name), _number(old, 1), _number(new, 1)) for name in ("min", "max")]


def _nested(inner: str, meaning: Meaning) -> Meaning:
    """Of a table of which only `inner` differs."""

    def meant(old: Any, new: Any, now: Mapping[str, Any]) -> Sequence[Meant] | None:
        before, after = (value if isinstance(value, Mapping) else {} for value in (old, new))
        others = {name for name in before if name != inner and before[name] != after.get(name)}
        return None if others else meaning(before.get(inner), after.get(inner), now)

    return meant


def _tags(old: Any, new: Any, now: Mapping[str, Any]) -> list[Meant] | None:
    before, after = old or {}, new or {}
    differ = [name for name in {**before, **after} if before.get(name) != after.get(name)]
    if differ == [OWNER_TAG] and after.get(OWNER_TAG):
        return [Meant(("owner",), before.get(OWNER_TAG), after[OWNER_TAG])]
    return None


def _insights(old: Any, new: Any, _: Mapping[str, Any]) -> list[Meant] | None:
    def is_on(value: Any) -> bool:
        return any(one.get("name") == "containerInsights" and one.get("value") != "disabled" for one in value or ())

    return [Meant(("container_insights",), is_on(old), is_on(new), of_stack=True)]


def _kept(old: Any, new: Any, _: Mapping[str, Any]) -> list[Meant] | None:
    """The days of the rules, where nothing else of them differs."""
    before, after = (_days_by_rule(value) for value in (old, new))
    changed = {after[name] for name in KEPT_RULES if name in after and before.get(name) != after[name]}
    if _without_days(old) != _without_days(new) or len(changed) != 1:
        return None
    was = {before[name] for name in KEPT_RULES if name in before and before[name] != after.get(name)}
    return [Meant(("keep_versions_days",), min(was), changed.pop(), of_stack=True)] if was else None


def _days_by_rule(rules: Any) -> dict[str, int]:
    return {
        str(rule.get("id")): int(days)
        for rule in rules or ()
        if (
            days := (rule.get("noncurrentVersionExpiration") or {}).get("noncurrentDays")
            or (rule.get("expiration") or {}).get("days")
        )
    }


def _without_days(rules: Any) -> list[Any]:
    bare = deepcopy(list(rules or ()))
    for rule in bare:
        if rule.get("id") in KEPT_RULES:
            for place, name in (("expiration", "days"), ("noncurrentVersionExpiration", "noncurrentDays")):
                (rule.get(place) or {}).pop(name, None)
    return bare


def _machine(old: Any, new: Any, _: Mapping[str, Any]) -> list[Meant] | None:
    """What a job's machine says of its settings, where nothing else of it differs."""
    try:
        before, after = json.loads(old), json.loads(new)
    except (TypeError, ValueError):
        return None
    meant: dict[tuple[str, ...], Meant] = {}
    for path, was, now in leaves(before, after):
        match path:
            case (*_, "TimeoutSeconds") if isinstance(was, int | float) and isinstance(now, int | float):
                if (now - was) % SECONDS:
                    return None
                meant[("timeout_minutes",)] = Meant(("timeout_minutes",), None, Shifted(int((now - was) // SECONDS)))
            case (*_, state, "Choices", "0", "NumericLessThanEquals") if state.endswith("try again?"):
                meant[("retries",)] = Meant(("retries",), was, now)
            case _:
                return None
    return list(meant.values()) or None


@dataclass(frozen=True)
class Shifted:
    """A value that is so much more than the setting, whatever that is."""

    by: int


MEANINGS: Mapping[tuple[str, str], Meaning] = {
    ("aws:scheduler:Schedule", "scheduleExpression"): _starts,
    ("aws:scheduler:Schedule", "scheduleExpressionTimezone"): setting("timezone", otherwise="UTC"),
    ("aws:scheduler:Schedule", "state"): _state,
    ("aws:scheduler:Schedule", "endDate"): _ends,
    ("aws:sfn:StateMachine", "definition"): _machine,
    ("aws:ecs:Service", "desiredCount"): _copies,
    ("aws:ecs:Service", "healthCheckGracePeriodSeconds"): setting("start_minutes", per=SECONDS),
    ("aws:appautoscaling:Target", "minCapacity"): setting("replicas", "min"),
    ("aws:appautoscaling:Target", "maxCapacity"): setting("replicas", "max"),
    ("aws:appautoscaling:Policy", "targetTrackingScalingPolicyConfiguration"): _nested(
        "targetValue", setting("replicas", "target_cpu")
    ),
    ("aws:lb:TargetGroup", "healthCheck"): _nested("path", setting("health")),
    ("aws:lb:LoadBalancer", "enableDeletionProtection"): setting("protect", otherwise=False, of_stack=True),
    ("aws:cloudwatch:LogGroup", "retentionInDays"): setting("log_retention_days", of_stack=True),
    ("aws:s3:BucketLifecycleConfiguration", "rules"): _kept,
    ("aws:ecs:Cluster", "settings"): _insights,
}
"""Type of resource, property -> what its value is as a setting. `tags` of every type are `owner`, or no setting."""


def meaning(type_: str, name: str, old: Any, new: Any, now: Mapping[str, Any]) -> Sequence[Meant] | None:
    """What the change of a property says in settings; None where it has none."""
    known = _tags if name == "tags" else MEANINGS.get((type_, name))
    return known(old, new, now) if known else None


# --- task definitions -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class TaskMeaning:
    """What differs between two task definitions. `others`: name, old, new of what has no setting."""

    meant: tuple[Meant, ...]
    others: tuple[tuple[str, Any, Any], ...]


_TASK_MEMBERS: Mapping[str, Callable[[Any], Any]] = {
    "cpu": lambda value: _number(value, CPU_UNITS),
    "memory": lambda value: _number(value, MIB),
}
_TASK_SETTINGS = {"cpu": "cpu", "memory": "memory_gb"}

_IN_HERD_TASK: Mapping[str, tuple[str, float]] = {
    "command": ("command", 1), "publish": ("publish", 1), "cache": ("cache", 1), "fan_out": ("fan_out", 1),
    "retries": ("retries", 1), "timeout_seconds": ("timeout_minutes", SECONDS), "port": ("port", 1),
    "health": ("health", 1), "start_seconds": ("start_minutes", SECONDS), "footer": ("footer", 1),
    "self_contained": ("self_contained", 1), "memory_gb": ("memory_gb", 1),
}  # fmt: skip
"""Member of HERD_TASK -> setting, and how many of its units make one of the setting's."""


def of_tasks(old: Mapping[str, Any], new: Mapping[str, Any]) -> TaskMeaning:
    """Between two definitions as DescribeTaskDefinition answers them."""
    meant: list[Meant] = []
    others: list[tuple[str, Any, Any]] = []
    for name, read in _TASK_MEMBERS.items():
        if old.get(name) != new.get(name):
            meant.append(Meant((_TASK_SETTINGS[name],), read(old.get(name)), read(new.get(name))))
    sizes = [(one.get("ephemeralStorage") or {}).get("sizeInGiB") for one in (old, new)]
    if sizes[0] != sizes[1]:
        meant.append(Meant(("disk_gb",), sizes[0], sizes[1]))
    before, after = (_container(one) for one in (old, new))
    for name in ("taskRoleArn", "executionRoleArn", "networkMode", "runtimePlatform", "volumes", "pidMode", "ipcMode"):
        if (old.get(name) or None) != (new.get(name) or None):
            others.append((name, old.get(name), new.get(name)))
    if len(old.get("containerDefinitions") or ()) != len(new.get("containerDefinitions") or ()):
        others.append(("containers", _names(old), _names(new)))
    meant += _of_environment(before, after, others)
    for name in sorted({*before, *after} - {"environment", "secrets", "cpu", "name"}):
        if (before.get(name) or None) != (after.get(name) or None):
            others.append((name, before.get(name), after.get(name)))
    meant += [
        Meant(("secrets", name), was, is_)
        for name, was, is_ in _entries(before.get("secrets"), after.get("secrets"), "valueFrom")
    ]
    return TaskMeaning(tuple(_once(meant)), tuple(others))


def _names(definition: Mapping[str, Any]) -> list[str]:
    return [str(one.get("name")) for one in definition.get("containerDefinitions") or ()]


def _container(definition: Mapping[str, Any]) -> Mapping[str, Any]:
    containers = definition.get("containerDefinitions") or [{}]
    return containers[0] if isinstance(containers[0], Mapping) else {}


def _of_environment(before: Mapping[str, Any], after: Mapping[str, Any], others: list[Any]) -> Iterator[Meant]:
    for name, was, is_ in _entries(before.get("environment"), after.get("environment"), "value"):
        if name == variables.TASK:
            yield from _of_herd_task(was, is_, others)
        elif name.startswith(("HERD_", "AWS_")):
            others.append((name, was, is_))
        else:
            yield Meant(("env", name), was, is_)


def _of_herd_task(old: str | None, new: str | None, others: list[Any]) -> Iterator[Meant]:
    try:
        before, after = json.loads(old or "{}"), json.loads(new or "{}")
        differ = [name for name in {**before, **after} if before.get(name) != after.get(name)]
    except (ValueError, TypeError):
        others.append((variables.TASK, "settings", "something that is no JSON"))
        return
    for name in differ:
        was, is_ = before.get(name), after.get(name)
        if name in _IN_HERD_TASK:
            known, per = _IN_HERD_TASK[name]
            yield Meant((known,), _scaled(was, per), _scaled(is_, per))
        elif name == "params":
            was, is_ = was or {}, is_ or {}
            changed = [key for key in {**was, **is_} if was.get(key) != is_.get(key)]
            yield from (Meant(("params", key), was.get(key), is_.get(key)) for key in changed)
        elif name == "checks":
            yield Meant(("check",), _checks(was), _checks(is_))
        elif name == "reads":
            yield Meant(("reads",), _reads(was), _reads(is_))
        elif name == "mail":
            yield Meant(("mail_to",), _recipients(was), _recipients(is_))
        else:
            others.append((name, was, is_))


def _scaled(value: Any, per: float) -> Any:
    return _number(value, per) if isinstance(value, int | float) else value


def _reads(entries: Any) -> list[Any]:
    return [
        one["name"] if one.get("fetch", True) or one.get("uri") else {"name": one["name"], "fetch": False}
        for one in entries or ()
    ]


def _recipients(mail: Any) -> list[Any]:
    return list((mail or {}).get("recipients") or ())


def _checks(entries: Any) -> list[dict[str, Any]]:
    return [{name: value for name, value in check.items() if value is not None} for check in entries or ()]


def _entries(old: Any, new: Any, member: str) -> Iterator[tuple[str, Any, Any]]:
    before, after = ({one["name"]: one.get(member) for one in entries or ()} for entries in (old, new))
    for name in sorted({**before, **after}):
        if before.get(name) != after.get(name):
            yield name, before.get(name), after.get(name)


def _once(meant: Iterable[Meant]) -> Iterator[Meant]:
    """memory_gb stands twice in a task definition."""
    seen = set()
    for one in meant:
        if one.path not in seen:
            seen.add(one.path)
            yield one


# --- settings ---------------------------------------------------------------------------------------------------------


def in_words(meant: Iterable[Meant], owners: Sequence[str], exported: Written) -> tuple[list[Changed], Written]:
    """The changes of settings that these values are, and all settings with them.

    `owners`: the workloads whose settings they are. What is exported is what the files said; a value of AWS stands in
    for what it lacks.
    """
    stack = dict(deepcopy(exported.stack)) or {"schedules": True}
    before = {name: dict(deepcopy(settings)) for name, settings in exported.workloads.items()}
    old_stack, after = deepcopy(stack), deepcopy(before)
    for one in meant:
        places = [(old_stack, stack)] if one.of_stack else [(before[name], after[name]) for name in owners]
        for was, is_ in places:
            _set(was, is_, one)
    old, new = Written(before, old_stack), Written(after, stack)
    return [change for change in changes(old, new) if isinstance(change, Changed)], new


def _set(before: dict[str, Any], after: dict[str, Any], one: Meant) -> None:
    *tables, last = one.path
    for name in tables:
        before, after = before.setdefault(name, {}), after.setdefault(name, {})
    new = one.new
    if isinstance(new, Shifted):
        new = before.get(last, 0) + new.by
    if last not in before and one.old is not None and one.old != []:
        before[last] = one.old
    if last == "check":
        new = _as_exported(before.get(last) or [], one.old or [], new or [])
    if new is None or new == []:
        after.pop(last, None)
    elif last == "review_by":
        after[last] = date.fromisoformat(new).isoformat()
    else:
        after[last] = new


def _as_exported(exported: list[Any], old: list[Any], new: list[Any]) -> list[Any]:
    """The new checks with the defaults that are exported and that a task does not say."""
    if len(exported) != len(old):
        return new
    by_question = {
        _asks(said): {name: value for name, value in full.items() if name not in said}
        for full, said in zip(exported, old, strict=True)
    }
    return [by_question.get(_asks(one), {}) | one for one in new]


def _asks(check: Mapping[str, Any]) -> str:
    limits = ("min", "max", "max_drop", "max_rise", "trend", "otherwise", "min_bytes", "max_bytes", "max_age_hours")
    return json.dumps({name: value for name, value in check.items() if name not in limits}, sort_keys=True)


def leaves(old: Any, new: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any, Any]]:
    """Where two values differ: path, old, new."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for name in {**old, **new}:
            yield from leaves(old.get(name), new.get(name), (*path, str(name)))
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for place, (was, is_) in enumerate(zip(old, new, strict=True)):
            yield from leaves(was, is_, (*path, str(place)))
    elif old != new:
        yield path, old, new
