"""Settings as plain values, as a file would have them: what a stack exports, and a review compares. No Pulumi.

No secret is among them: what people write secrets into, or where they might, is left out (`NOT_SHOWN`, `repr=False`).
"""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import date
from typing import Any

from pydantic import BaseModel

from herd.infra.settings.reading import NOT_SHOWN, declared
from herd.infra.settings.schema import SETTINGS, Settings
from herd.infra.spec.deadlines import deadline_minutes, default_minutes, longest_minutes
from herd.infra.spec.models import FROM_FOLDER, AnySpec, BatchSpec, Read, settings_of
from herd.runner.contract.schedule import Schedule

BY_THE_CALENDAR = ("expired", "ends_at")
"""Settings that `herd up` writes by the day: a review lists review dates anyway."""


def workload(spec: AnySpec) -> dict[str, Any]:
    """Setting -> value in force, also where it is the default; without those that are empty.

    Beside them are its `kind` and, with a schedule, `default_deadline_minutes`: what the deadline would be by itself.

    >>> workload(spec)
    {'kind': 'job', 'owner': 'ada@example.com', 'schedule': '0 6 * * 1-5', 'cpu': 1, …}
    """
    settings = {name: _plain(getattr(spec, field)) for name, field in settings_of(type(spec)).items()}
    derived: dict[str, Any] = {"kind": spec.kind}
    if isinstance(spec, BatchSpec) and spec.schedule is not None:
        settings["deadline_minutes"] = deadline_minutes(spec)
        derived["default_deadline_minutes"] = default_minutes(longest_minutes(spec))
    return derived | {name: value for name, value in settings.items() if not _is_empty(value)}


def stack(settings: Settings) -> dict[str, Any]:
    """Setting of the stack -> value in force; without those that are empty."""
    values = {name: _plain(getattr(settings, name)) for name in SETTINGS if name not in BY_THE_CALENDAR}
    return {name: value for name, value in values.items() if not _is_empty(value)}


def _is_empty(value: Any) -> bool:
    return value is None or value in ("", [], {})


def _plain(value: Any) -> Any:
    if isinstance(value, Schedule):
        return value.text
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Read):
        return value.name if value.fetch else {"name": value.name, "fetch": False}
    if isinstance(value, BaseModel):
        named = {name: _plain(getattr(value, name)) for name in type(value).model_fields if name not in FROM_FOLDER}
        return {name: one for name, one in named.items() if not _is_empty(one)}
    if is_dataclass(value) and not isinstance(value, type):
        return _table(value)
    if isinstance(value, Mapping):
        return {str(key): _plain(one) for key, one in sorted(value.items())}
    if isinstance(value, list | tuple | set | frozenset):
        items = [_plain(one) for one in value]
        return sorted(items) if isinstance(value, set | frozenset) else items
    return value


def _table(value: Any) -> dict[str, Any]:
    """A table of the stack's settings, without what is never shown."""
    known = declared(type(value))
    shown = (one.name for one in fields(value) if one.repr)
    named = {
        name: _plain(getattr(value, name))
        for name in shown
        if name not in known or NOT_SHOWN not in known[name].info.metadata
    }
    return {name: one for name, one in named.items() if not _is_empty(one)}
