"""HERD_TASK: what a task definition says about its workload. One type, with the one writer and the one reader."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, TypeVar, get_args

from .checks import Check, from_entry, to_entry
from .keys import check_path, check_segment
from .kinds import KINDS, PAGES, SERVICES, Kind

T = TypeVar("T")

VERSION = 1
"""Of HERD_TASK. A field that older runners may leave alone is added with a default; any other change raises it."""

CONTAINER = "main"
"""The one container of each task; it is part of the name of its log stream."""

STOP_SECONDS = 30
"""Between SIGTERM and SIGKILL: time to finish a request, or to leave a record."""

Param = bool | int | float | str


@dataclass(frozen=True)
class Read:
    """One entry of `reads`; without `fetch` the workload gets the URI only. `uri`: a dataset's, which others made."""

    name: str
    fetch: bool = True
    uri: str | None = None


@dataclass(frozen=True)
class Connection:
    """What is known of a connection before a task starts; user and password are in its secret. `host` may be empty."""

    name: str
    driver: str
    host: str
    port: int


@dataclass(frozen=True)
class Deadline:
    """When a run is due, and how many minutes later it is to have published.

    `expression` is AWS's, `cron(0 6 ? * MON-FRI *)`; of a job in a pipeline they are the pipeline's.
    """

    expression: str
    timezone: str
    minutes: int


MailForm = Literal["link", "attachment"]


@dataclass(frozen=True)
class Mail:
    """To whom a report is mailed each time that it is published, and how: its address, or itself."""

    sender: str
    recipients: tuple[str, ...]
    form: MailForm


@dataclass(frozen=True, kw_only=True)
class TaskSettings:
    """What a task definition says about its workload. The order of the fields is that of the JSON.

    `data_bucket` is None where nothing is read or published; `reports_bucket` and `reports_url` are set for a report
    that is published; `footer`: its pages say which run they are of, and by `deadline` when the next one is due.
    `self_contained`: they load nothing from other servers. `mail`: who gets it by e-mail. `timeout_seconds` is the
    limit of an attempt, `stop_seconds` lies between SIGTERM and SIGKILL. `publish` makes current what the command has
    staged outside of outputs/, once the checks have passed. `cache`: paths below the working directory that are kept
    from run to run.
    A service has `port`, `base_path`, `health`, `start_seconds` to answer `health`, and should keep idle connections
    for `keep_alive_seconds`. `image` is a reference with a digest, `content_hash` that of the build context.
    `settings_digest` stands for settings that the runner does not see, and is set where a run that would repeat the
    last one is left out.
    """

    environment: str
    workload: str
    kind: Kind
    command: tuple[str, ...]
    data_bucket: str | None
    reports_bucket: str | None = None
    reports_url: str | None = None
    footer: bool = False
    self_contained: bool = False
    deadline: Deadline | None = None
    mail: Mail | None = None
    reads: tuple[Read, ...] = ()
    connections: tuple[Connection, ...] = ()
    params: Mapping[str, Param]
    checks: tuple[Check, ...] = ()
    publish: tuple[str, ...] = ()
    cache: tuple[str, ...] = ()
    fan_out: tuple[str, ...] = ()
    retries: int = 0
    timeout_seconds: float | None = None
    stop_seconds: float = STOP_SECONDS
    memory_gb: float | None = None
    port: int | None = None
    base_path: str | None = None
    health: str | None = None
    start_seconds: float | None = None
    keep_alive_seconds: float | None = None
    image: str = ""
    content_hash: str = ""
    settings_digest: str = ""

    @property
    def is_service(self) -> bool:
        """Does it always run?"""
        return self.kind in SERVICES

    @property
    def is_page(self) -> bool:
        """Is its result a page?"""
        return self.kind in PAGES

    def to_json(self) -> str:
        """The value of HERD_TASK. The same settings give the same text, so that a preview shows no difference."""
        value: dict[str, Any] = {"schema": VERSION}
        value |= {field.name: getattr(self, field.name) for field in fields(TaskSettings)}
        value["reads"] = [_without_none(asdict(read)) for read in self.reads]
        value["connections"] = [asdict(connection) for connection in self.connections]
        value["deadline"] = asdict(self.deadline) if self.deadline else None
        value["mail"] = asdict(self.mail) if self.mail else None
        value["params"] = dict(self.params)
        value["checks"] = [to_entry(check) for check in self.checks]
        said = {name: entry for name, entry in value.items() if entry or name not in _LATER}
        return json.dumps(said, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> TaskSettings:
        """Read the value of HERD_TASK. Raises ValueError with the field that is missing or wrong, or another version.

        Fields that this release does not know are left alone, as `VERSION` says.
        """
        value = json.loads(text)
        if not isinstance(value, dict):
            raise ValueError("HERD_TASK is not a JSON object")
        if _required(value, "schema") != VERSION or isinstance(value["schema"], bool):
            raise ValueError(f"HERD_TASK has schema {value['schema']!r}; this runner reads schema {VERSION}")
        optional = {name: read(value, name) for name, read in _OPTIONAL.items() if value.get(name) is not None}
        return cls(
            environment=_text(value, "environment"),
            workload=check_segment(_text(value, "workload")),
            kind=_kind(value, "kind"),
            command=_texts(value, "command"),
            data_bucket=None if _required(value, "data_bucket") is None else _text(value, "data_bucket"),
            params=_params(value, "params"),
            **optional,
        )


_LATER = ("footer", "self_contained", "deadline", "mail", "publish", "cache", "settings_digest")
"""Fields that are left out where they say nothing: so what earlier releases have written stays the same text."""


def _without_none(value: Mapping[str, Any]) -> dict[str, Any]:
    return {name: inner for name, inner in value.items() if inner is not None}


def _required(value: Mapping[str, Any], name: str) -> Any:
    if name not in value:
        raise ValueError(f"HERD_TASK has no {name!r}")
    return value[name]


def _wrong(name: str, value: object, rule: str) -> ValueError:
    return ValueError(f"HERD_TASK has {name} = {value!r}; it must be {rule}")


def _text(value: Mapping[str, Any], name: str) -> str:
    text = _required(value, name)
    if not isinstance(text, str):
        raise _wrong(name, text, "text")
    return text


def _kind(value: Mapping[str, Any], name: str) -> Kind:
    for kind in KINDS:
        if kind == _text(value, name):
            return kind
    raise _wrong(name, value[name], f"one of {', '.join(KINDS)}")


def _list(value: Mapping[str, Any], name: str) -> list[Any]:
    entries = _required(value, name)
    if not isinstance(entries, list):
        raise _wrong(name, entries, "a list")
    return entries


def _texts(value: Mapping[str, Any], name: str) -> tuple[str, ...]:
    entries = _list(value, name)
    if not all(isinstance(entry, str) for entry in entries):
        raise _wrong(name, entries, "a list of texts")
    return tuple(entries)


def _params(value: Mapping[str, Any], name: str) -> dict[str, Param]:
    params = _required(value, name)
    if not isinstance(params, dict) or not all(
        isinstance(inner, bool | int | float | str) for inner in params.values()
    ):
        raise _wrong(name, params, "an object of texts, numbers, true and false")
    return params


def _whole(value: Mapping[str, Any], name: str) -> int:
    number = value[name]
    if isinstance(number, bool) or not isinstance(number, int) or number < 0:
        raise _wrong(name, number, "a whole number that is not below 0")
    return number


def _positive(value: Mapping[str, Any], name: str) -> float:
    number = value[name]
    if isinstance(number, bool) or not isinstance(number, int | float) or not number > 0:
        raise _wrong(name, number, "a number above 0")
    return number


def _entries(make: Callable[..., T]) -> Callable[[Mapping[str, Any], str], tuple[T, ...]]:
    def read(value: Mapping[str, Any], name: str) -> tuple[T, ...]:
        try:
            return tuple(make(**entry) for entry in _list(value, name))
        except TypeError as error:
            raise _wrong(name, value[name], f"a list of {make.__name__}: {error}") from None

    return read


def _reads(value: Mapping[str, Any], name: str) -> tuple[Read, ...]:
    reads = _entries(Read)(value, name)
    for read in reads:
        check_segment(read.name)
    return reads


def _yes_or_no(value: Mapping[str, Any], name: str) -> bool:
    answer = value[name]
    if not isinstance(answer, bool):
        raise _wrong(name, answer, "true or false")
    return answer


def _deadline(value: Mapping[str, Any], name: str) -> Deadline:
    entry = value[name]
    if not isinstance(entry, dict):
        raise _wrong(name, entry, "an object")
    return Deadline(_text(entry, "expression"), _text(entry, "timezone"), _whole(entry, "minutes"))


def _mail(value: Mapping[str, Any], name: str) -> Mail:
    entry = value[name]
    if not isinstance(entry, dict):
        raise _wrong(name, entry, "an object")
    for form in get_args(MailForm):
        if entry.get("form") == form:
            return Mail(_text(entry, "sender"), _texts(entry, "recipients"), form)
    raise _wrong(name, entry, f"an object whose form is one of {', '.join(get_args(MailForm))}")


def _checks(value: Mapping[str, Any], name: str) -> tuple[Check, ...]:
    try:
        return tuple(map(from_entry, _list(value, name)))
    except ValueError as error:
        raise _wrong(name, value[name], f"a list of checks: {error}") from None


_OPTIONAL: Mapping[str, Callable[[Mapping[str, Any], str], Any]] = {
    "reports_bucket": _text,
    "reports_url": _text,
    "footer": _yes_or_no,
    "self_contained": _yes_or_no,
    "deadline": _deadline,
    "mail": _mail,
    "reads": _reads,
    "connections": _entries(Connection),
    "checks": _checks,
    "publish": _texts,
    "cache": lambda value, name: tuple(check_path(path) for path in _texts(value, name)),
    "fan_out": lambda value, name: tuple(check_segment(item) for item in _texts(value, name)),
    "retries": _whole,
    "timeout_seconds": _positive,
    "stop_seconds": _positive,
    "memory_gb": _positive,
    "port": _whole,
    "base_path": _text,
    "health": _text,
    "start_seconds": _positive,
    "keep_alive_seconds": _positive,
    "image": _text,
    "content_hash": _text,
    "settings_digest": _text,
}
"""Readers of the fields that have a default; null counts as left out."""
