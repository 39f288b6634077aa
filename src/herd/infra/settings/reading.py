"""Pulumi's configuration -> the values that a dataclass declares, all problems at once. No Pulumi.

A program declares its settings as a dataclass: each field's annotation has its type, its limits and, by
`Field(description=…)`, its meaning; fields without a description are no settings. pydantic checks each value by that
annotation, and here its findings become lines in the words of the file:

    zones = 4 is not allowed; allowed: 2, 3
    pools.big.instance_type = "large" must be the name of an EC2 instance type, like m7i.large
"""

import re
from collections.abc import Container, Mapping
from dataclasses import MISSING, dataclass, fields, is_dataclass
from functools import cached_property
from typing import Any, get_args, get_origin, get_type_hints

from pydantic import TypeAdapter, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from herd.infra.messages import bounds, did_you_mean, printable, quoted, rule, show


@dataclass(frozen=True)
class IfMissing:
    """Of a field of a table: what helps where it is missing."""

    hint: str


WEB_ADDRESSES_NOT_SHOWN = "addresses of the web are not shown"
"""Of a setting: people write the address of a webhook in it, which is a secret, so messages show its server only."""

NOT_SHOWN = "not shown"
"""Of a field of a table: people write secrets where this belongs, so no message shows the value."""


@dataclass(frozen=True)
class Declared:
    """A setting as it is declared. `default`: as the program has it; MISSING where it must be set."""

    hint: Any
    info: FieldInfo
    default: Any

    @property
    def description(self) -> str:
        return self.info.description or ""

    @cached_property
    def adapter(self) -> TypeAdapter[Any]:
        """pydantic's own form of it, made when it is needed first."""
        return TypeAdapter(self.hint)

    @property
    def table(self) -> type[Any] | None:
        """The dataclass of its entries, or of itself, where it is a table."""
        return _table(self.hint)

    @property
    def is_collection(self) -> bool:
        """Is it a list or a table? A message names what is wrong in it and does not show it whole."""
        return self.table is not None or get_origin(self.info.annotation) in (tuple, dict)

    @property
    def written(self) -> Any:
        """Its default as a stack's file would have it."""
        return self.adapter.dump_python(self.default, mode="json")

    @property
    def json_schema(self) -> dict[str, Any]:
        """What a stack's file may have, as a JSON schema; tables are below `$defs`."""
        return self.adapter.json_schema()

    def mark(self, kind: type[Any]) -> Any:
        """What is declared beside its type; None where nothing of this kind is."""
        return next((mark for mark in self.info.metadata if isinstance(mark, kind)), None)

    def read(self, value: Any) -> Any:
        """The value as the program takes it. Raises pydantic's ValidationError, which is a ValueError."""
        return self.adapter.validate_python(value)


def declared(settings: type[Any]) -> Mapping[str, Declared]:
    """The settings that a dataclass declares, by name, in its order."""
    hints = get_type_hints(settings, include_extras=True)
    known = {}
    for one in fields(settings):
        info = FieldInfo.from_annotation(hints[one.name])
        if info.description:
            default = one.default_factory() if one.default_factory is not MISSING else one.default
            known[one.name] = Declared(hints[one.name], info, default)
    return known


def read(
    known: Mapping[str, Declared], config: Mapping[str, Any], secret: Container[str] = ()
) -> tuple[dict[str, Any], list[tuple[str, str]]]:
    """The values of `config` that are right, and what is wrong: the setting, and the line, which begins with it.

    `secret`: settings of which no value is shown.
    """
    values: dict[str, Any] = {}
    problems: list[tuple[str, str]] = []
    for name, value in sorted(config.items()):
        if name not in known:
            problems.append((name, f"{printable(name)}: unknown setting {quoted(name)}{did_you_mean(name, known)}"))
            continue
        try:
            values[name] = known[name].read(value)
        except ValidationError as invalid:
            for error in invalid.errors(include_url=False):
                problems.append((name, _line(name, known[name], error, name in secret)))
    return values, problems


def _line(name: str, one: Declared, error: ErrorDetails, secret: bool) -> str:
    location, value = error["loc"], error["input"]
    if WEB_ADDRESSES_NOT_SHOWN in one.info.metadata:
        location = tuple(without_path(part) if isinstance(part, str) else part for part in location)
        value = without_path(value) if isinstance(value, str) else value
    path = [name, *(quoted(str(part))[1:-1] for part in location if isinstance(part, str) and part != "[key]")]
    place, table = ".".join(path), one.table
    if secret and not (table and _is_partly_secret(table)):
        return f"{name} is not allowed; its value is secret and not shown"
    if error["type"] == "missing":
        return f"{place} is missing{_if_missing(table, location[-1])}"
    if error["type"] == "unexpected_keyword_argument" and table:
        choices = [each.name for each in fields(table)]
        return f"{'.'.join(path[:-1])}: unknown setting {quoted(path[-1])}{did_you_mean(path[-1], choices)}"
    if location and location[-1] == "[key]":
        return f"{'.'.join(path[:-1])}: {quoted(path[-1])} {rule(error, None)}"
    info = one.info if not location else _info(table, location[-1])
    words = rule(error, info)
    if error["type"] == "int_type" and info and (limits := bounds(info, {})):
        words = f"must be a whole number; allowed: {limits}"
    if location and isinstance(location[-1], int):
        return f"{place}: {show(value)} {words}"
    if not location and not one.is_collection:
        return f"{place} = {show(value)[1:-1] if isinstance(value, str) else show(value)} {words}"
    if not location or not isinstance(value, str | int | float) or table and str(location[-1]) in _hidden(table):
        return f"{place} {words}"
    return f"{place} = {show(value)} {words}"


def without_path(text: str) -> str:
    """An address of the web without what may be secret in it: `https://hooks.slack.com/…`."""
    match = re.match(r"\s*(?P<server>([a-z][a-z0-9+.-]*:)?//[^/?#@\s]*|[^/?#@\s]+)[/?#]", text, re.IGNORECASE)
    return f"{match['server']}/…" if match else text


def _table(hint: Any) -> type[Any] | None:
    """The first dataclass in an annotation."""
    if isinstance(hint, type) and is_dataclass(hint):
        return hint
    return next((table for part in get_args(hint) if (table := _table(part))), None)


def _info(table: type[Any] | None, key: object) -> FieldInfo | None:
    one = declared(table).get(str(key)) if table else None
    return one.info if one else None


def _if_missing(table: type[Any] | None, key: object) -> str:
    info = _info(table, key)
    hints = [mark.hint for mark in info.metadata if isinstance(mark, IfMissing)] if info else []
    return f"; {hints[0]}" if hints else ""


def _is_partly_secret(table: type[Any]) -> bool:
    """Is one part of it meant to be encrypted, which has no place in its `repr`? The others may be shown."""
    return not all(one.repr for one in fields(table))


def _hidden(table: type[Any]) -> set[str]:
    marked = {name for name, one in declared(table).items() if NOT_SHOWN in one.info.metadata}
    return marked | {one.name for one in fields(table) if not one.repr}
