"""What a task is told: HERD_TASK (what the workload is, from the task definition) and the run's own variables."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from .checks import Check
from .connections import Connection, login_variable
from .errors import BAD_SETTINGS, RunFailed
from .layout import SCHEMA, BadPath, Keys, check_segment

Param = bool | int | float | str

PRIVATE_NETWORKS = ("127.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "172.16.0.0/12", "192.168.0.0/16")
"""Where load balancers speak from. RFC 1918 and RFC 6598, which a VPC's addresses are taken from."""

# Meant for the runner; the workload does not see them. HERD_TRY_* and HERD_*_DIR are how `herd try` speaks to it.
_OURS = frozenset(
    [
        "HERD_TASK",
        "HERD_TRIGGER",
        "HERD_ATTEMPT",
        "HERD_PARAMS",
        "HERD_STEP",
        "HERD_REFRESH_SECONDS",
        "HERD_TRY_DIR",
        "HERD_TRY_INPUTS",
        "HERD_WORKLOAD_DIR",
        "HERD_LIB_DIR",
    ]
)


@dataclass(frozen=True)
class Read:
    """One entry of `reads`; without `fetch` the workload gets the URI only. `uri`: a dataset's, which others made."""

    name: str
    fetch: bool = True
    uri: str | None = None


@dataclass(frozen=True)
class Try:
    """`herd try`: work in `folder` and leave it there, publish nothing; `inputs` may hold inputs, one folder each."""

    folder: Path
    inputs: Path | None


@dataclass(frozen=True)
class Task:
    """Everything a task is told. Times are ISO 8601 in UTC.

    `timeout_seconds` is the limit of an attempt, `stop_seconds` lies between SIGTERM and SIGKILL. A service has
    `start_seconds` to answer `health`, and should keep idle connections for `keep_alive_seconds`.
    """

    environment: str
    workload: str
    kind: str
    command: tuple[str, ...]
    data_bucket: str | None
    reports_bucket: str | None
    reads: tuple[Read, ...]
    connections: tuple[Connection, ...]
    params: Mapping[str, Param]
    checks: tuple[Check, ...]
    fan_out: tuple[str, ...]
    retries: int
    timeout_seconds: float | None
    stop_seconds: float
    memory_gb: float | None
    port: int | None
    base_path: str
    health: str | None
    start_seconds: float
    keep_alive_seconds: float | None
    image: str
    content_hash: str
    run_id: str
    scheduled_time: str
    trigger: str
    attempt: int
    item: str | None
    step: str | None
    workload_dir: Path
    lib_dir: Path
    refresh_seconds: float
    trial: Try | None

    @property
    def keys(self) -> Keys:
        return Keys(self.workload, self.run_id, self.item)

    @property
    def is_last_attempt(self) -> bool:
        return self.attempt > self.retries

    @property
    def limit_words(self) -> str:
        """The time limit as the workload's author has written it: `timeout_minutes = 30`."""
        return f"timeout_minutes = {(self.timeout_seconds or 0) / 60:g}"

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> Task:
        """Read the variables. Raises RunFailed (78) with what is wrong in which one."""
        try:
            told = json.loads(environ["HERD_TASK"])
            if told["schema"] != SCHEMA:
                raise ValueError(f"schema {told['schema']!r}; this runner reads schema {SCHEMA}")
            return cls._from(told, environ)
        except KeyError as error:
            missing = error.args[0]
            where = "HERD_TASK is not set" if missing == "HERD_TASK" else f"HERD_TASK has no {missing!r}"
            raise RunFailed(
                f"{where}: this program is started by Herd's task definitions or by `herd try`", BAD_SETTINGS
            ) from error
        except (BadPath, TypeError, ValueError) as error:
            raise RunFailed(f"the task's settings cannot be read: {error}", BAD_SETTINGS) from error

    @classmethod
    def _from(cls, told: Mapping[str, Any], environ: Mapping[str, str]) -> Task:
        now = datetime.now(UTC)
        home = Path(__file__).resolve().parents[1]
        return cls(
            environment=told["environment"],
            workload=check_segment(told["workload"]),
            kind=told["kind"],
            command=tuple(told["command"]),
            data_bucket=told["data_bucket"],
            reports_bucket=told.get("reports_bucket"),
            reads=tuple(
                Read(check_segment(read["name"]), read.get("fetch", True), read.get("uri")) for read in told["reads"]
            ),
            connections=tuple(Connection(**connection) for connection in told.get("connections", ())),
            params=merge_params(told["params"], environ.get("HERD_PARAMS", "")),
            checks=tuple(Check(**check) for check in told["checks"]),
            fan_out=tuple(check_segment(item) for item in told["fan_out"]),
            retries=int(told["retries"]),
            timeout_seconds=_positive(told, "timeout_seconds"),
            stop_seconds=_positive(told, "stop_seconds") or 30.0,
            memory_gb=_positive(told, "memory_gb"),
            port=told.get("port"),
            base_path=told.get("base_path") or "",
            health=told.get("health"),
            start_seconds=_positive(told, "start_seconds") or 60.0,
            keep_alive_seconds=_positive(told, "keep_alive_seconds"),
            image=told.get("image", ""),
            content_hash=told.get("content_hash", ""),
            run_id=check_segment(environ.get("HERD_RUN_ID") or f"manual-{now:%Y%m%dT%H%M%S}-{os.urandom(3).hex()}"),
            scheduled_time=environ.get("HERD_SCHEDULED_TIME") or format_time(now),
            trigger=environ.get("HERD_TRIGGER") or "manual",
            attempt=int(environ.get("HERD_ATTEMPT") or 1),
            item=check_segment(environ["HERD_ITEM"]) if environ.get("HERD_ITEM") else None,
            step=environ.get("HERD_STEP") or None,
            workload_dir=Path(environ.get("HERD_WORKLOAD_DIR") or home / "workload"),
            lib_dir=Path(environ.get("HERD_LIB_DIR") or home / "lib"),
            refresh_seconds=float(environ.get("HERD_REFRESH_SECONDS") or 15),
            trial=_trial(environ),
        )


def _positive(told: Mapping[str, Any], name: str) -> float | None:
    """A number that a task may be told; None if it is not. Raises ValueError."""
    value = told.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or value <= 0:
        raise ValueError(f"{name} = {value!r}: must be a number above 0")
    return float(value)


def _trial(environ: Mapping[str, str]) -> Try | None:
    if not environ.get("HERD_TRY_DIR"):
        return None
    inputs = environ.get("HERD_TRY_INPUTS")
    return Try(Path(environ["HERD_TRY_DIR"]).absolute(), Path(inputs).absolute() if inputs else None)


def merge_params(defaults: Mapping[str, Param], overrides: str) -> dict[str, Param]:
    """Lay the run's parameters (a JSON object) over the defaults, whose types they take. Raises ValueError.

    >>> merge_params({"month": 2}, '{"month": "3"}')
    {'month': 3}
    """
    given = json.loads(overrides) if overrides else {}
    if not isinstance(given, dict):
        raise ValueError("HERD_PARAMS is not a JSON object")
    unknown = sorted(set(given) - set(defaults))
    if unknown:
        known = ", ".join(sorted(defaults)) or "none"
        raise ValueError(f"unknown parameter {', '.join(map(repr, unknown))}; [params] has: {known}")
    return {**defaults, **{name: _as_type_of(defaults[name], value, name) for name, value in given.items()}}


def _as_type_of(default: Param, value: object, name: str) -> Param:
    text = variable_text(value) if isinstance(value, bool | int | float | str) else None
    kind = type(default)
    try:
        if text is None:
            raise ValueError
        if kind is bool:
            return {"true": True, "false": False}[text.lower()]
        return kind(text)
    except (KeyError, ValueError):
        words = {bool: "true or false", int: "a whole number", float: "a number"}[kind] if kind is not str else "text"
        raise ValueError(f"parameter {name} = {value!r}: must be {words}, like its default {default!r}") from None


def variable_text(value: Param) -> str:
    """A parameter as an environment variable's text: `true`, not Python's `True`."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def variable_name(name: str) -> str:
    """The part of a variable's name that stands for a workload or parameter: `delay-model` -> `DELAY_MODEL`."""
    return name.upper().replace("-", "_")


def workload_environment(
    task: Task, environ: Mapping[str, str], inputs: Path, outputs: Path, input_uris: Mapping[str, str]
) -> dict[str, str]:
    """The workload's variables (the table in DESIGN 6): the container's own, less the runner's, and these."""
    logins = {login_variable(connection.name) for connection in task.connections}
    variables = {name: value for name, value in environ.items() if name not in _OURS and name not in logins}
    variables |= {
        "HERD_ENVIRONMENT": task.environment,
        "HERD_WORKLOAD": task.workload,
        "HERD_RUN_ID": task.run_id,
        "HERD_SCHEDULED_TIME": task.scheduled_time,
        "HERD_INPUTS": str(inputs),
        "HERD_OUTPUTS": str(outputs),
    }
    variables |= {f"HERD_PARAM_{variable_name(name)}": variable_text(value) for name, value in task.params.items()}
    variables |= {f"HERD_INPUT_{variable_name(name)}_URI": uri for name, uri in input_uris.items()}
    variables |= {
        f"HERD_CONNECTION_{variable_name(connection.name)}_URL": connection.url(environ)
        for connection in task.connections
    }
    if task.kind == "api":
        # The platform may have chosen a port (several containers on one host); the setting is its value on AWS.
        variables["PORT"] = environ.get("PORT") or str(task.port)
        variables["HERD_BASE_PATH"] = task.base_path
        variables = server_variables(task) | variables
    elif task.trial is None and task.data_bucket is not None:
        variables["HERD_OUTPUT_URI"] = f"s3://{task.data_bucket}/{task.keys.outputs}"
    else:
        variables["HERD_OUTPUT_URI"] = outputs.as_uri()
    if task.item is not None:
        variables["HERD_ITEM"] = task.item
    search = [str(task.lib_dir)] + ([environ["PYTHONPATH"]] if environ.get("PYTHONPATH") else [])
    variables["PYTHONPATH"] = os.pathsep.join(search)
    # A log that arrives when the program ends is no log.
    variables.setdefault("PYTHONUNBUFFERED", "1")
    return variables


def server_variables(task: Task) -> dict[str, str]:
    """What makes the usual servers fit to stand behind a load balancer, where `[env]` does not say otherwise.

    X-Forwarded-* is believed when it comes from a private network: a service's security group lets nobody in but the
    load balancer. A server that closes an idle connection before the load balancer does answers a request that is
    just being sent with a reset, which callers see as 502. uvicorn puts the root path, which the load balancer has
    taken away, before each path again: so redirects, mounts and static files come out right.
    """
    variables = {"FORWARDED_ALLOW_IPS": ",".join(PRIVATE_NETWORKS)}
    # gunicorn takes no networks; of these headers it believes only the scheme.
    gunicorn = ["--forwarded-allow-ips=*"]
    if task.keep_alive_seconds is not None:
        variables["UVICORN_TIMEOUT_KEEP_ALIVE"] = f"{task.keep_alive_seconds:.0f}"
        gunicorn.append(f"--keep-alive={task.keep_alive_seconds:.0f}")
    if task.base_path:
        variables["UVICORN_ROOT_PATH"] = task.base_path
    return {**variables, "GUNICORN_CMD_ARGS": " ".join(gunicorn)}


def format_time(moment: datetime) -> str:
    """ISO 8601 in UTC to the millisecond: `2027-01-31T06:00:00.000Z`."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
