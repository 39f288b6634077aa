"""A task: HERD_TASK (what the workload is, from the task definition) and the variables of the run."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from . import connections
from .contract import variables
from .contract.keys import Keys, check_segment
from .contract.statuses import BAD_SETTINGS
from .contract.task import Param, TaskSettings
from .errors import RunFailed

STARTED_BY = "this program is started by Herd's task definitions or by `herd try`"

PRIVATE_NETWORKS = ("127.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "172.16.0.0/12", "192.168.0.0/16")
"""Where load balancers speak from. RFC 1918 and RFC 6598, which a VPC's addresses are taken from."""


@dataclass(frozen=True, kw_only=True)
class Task(TaskSettings):
    """One attempt at a task: the settings of its workload, and what its own variables say. Times are ISO 8601 in UTC.

    `params` are the run's own. `pins`: input -> the run whose version of it is read, None for none. `item` and `step`
    are set in a fan-out. It is either an environment's (`DeployedTask`) or one of `herd try` (`Trial`).
    """

    run_id: str
    scheduled_time: str
    trigger: str
    attempt: int
    pins: Mapping[str, str | None]
    item: str | None
    step: str | None
    workload_dir: Path
    lib_dir: Path
    refresh_seconds: float

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


@dataclass(frozen=True, kw_only=True)
class DeployedTask(Task):
    """A task of an environment: what it reads and publishes lies in the environment's `data_bucket`."""

    data_bucket: str


@dataclass(frozen=True, kw_only=True)
class Trial(Task):
    """`herd try`: works in `folder` and leaves it there, publishes nothing.

    `inputs`: those that lie on this machine, by name; others come from `data_bucket`, where the environment is up.
    `with_tests`: the workload's folder tests/ is there, which no image has.
    """

    folder: Path
    with_tests: bool
    inputs: Mapping[str, Path]


AnyTask = DeployedTask | Trial


def task_of(environ: Mapping[str, str]) -> AnyTask:
    """The task that the variables describe. Raises RunFailed (78) with what is wrong in which one."""
    if variables.TASK not in environ:
        raise RunFailed(f"{variables.TASK} is not set: {STARTED_BY}", BAD_SETTINGS)
    try:
        settings = TaskSettings.from_json(environ[variables.TASK])
        if environ.get(variables.TRY_DIR):
            return Trial(**_attempt(settings, environ), **_places(settings, environ))
        if settings.data_bucket is None:
            raise ValueError(f"HERD_TASK has no data_bucket, where a task publishes: {STARTED_BY}")
        return DeployedTask(**_attempt(settings, environ))
    except ValueError as error:
        raise RunFailed(f"the task's settings cannot be read: {error}", BAD_SETTINGS) from error


def _attempt(settings: TaskSettings, environ: Mapping[str, str]) -> dict[str, Any]:
    """What every task has."""
    now = datetime.now(UTC)
    home = Path(__file__).resolve().parents[1]
    return {field.name: getattr(settings, field.name) for field in fields(settings)} | {
        "params": merge_params(settings.params, environ.get(variables.PARAMS, "")),
        "pins": pins_of(environ.get(variables.PINS, "")),
        "run_id": check_segment(environ.get(variables.RUN_ID) or f"manual-{now:%Y%m%dT%H%M%S}-{os.urandom(3).hex()}"),
        "scheduled_time": environ.get(variables.SCHEDULED_TIME) or format_time(now),
        "trigger": environ.get(variables.TRIGGER) or "manual",
        "attempt": int(environ.get(variables.ATTEMPT) or 1),
        "item": check_segment(environ[variables.ITEM]) if environ.get(variables.ITEM) else None,
        "step": environ.get(variables.STEP) or None,
        "workload_dir": Path(environ.get(variables.WORKLOAD_DIR) or home / "workload"),
        "lib_dir": Path(environ.get(variables.LIB_DIR) or home / "lib"),
        "refresh_seconds": float(environ.get(variables.REFRESH_SECONDS) or 15),
    }


def _places(settings: TaskSettings, environ: Mapping[str, str]) -> dict[str, Any]:
    """Where a trial works, and those of its inputs that lie on this machine."""
    folders = Path(environ[variables.TRY_INPUTS]).absolute() if environ.get(variables.TRY_INPUTS) else None
    return {
        "folder": Path(environ[variables.TRY_DIR]).absolute(),
        "with_tests": bool(environ.get(variables.TRY_TESTS)),
        "inputs": {read.name: folders / read.name for read in settings.reads if (folders / read.name).is_dir()}
        if folders
        else {},
    }


def merge_params(defaults: Mapping[str, Param], overrides: str) -> dict[str, Param]:
    """Lay the run's parameters (a JSON object) over the defaults, whose types they take. Raises ValueError.

    >>> merge_params({"month": 2}, '{"month": "3"}')
    {'month': 3}
    """
    params = json.loads(overrides) if overrides else {}
    if not isinstance(params, dict):
        raise ValueError("HERD_PARAMS is not a JSON object")
    unknown = sorted(set(params) - set(defaults))
    if unknown:
        known = ", ".join(sorted(defaults)) or "none"
        raise ValueError(f"unknown parameter {', '.join(map(repr, unknown))}; [params] has: {known}")
    return {**defaults, **{name: _as_type_of(defaults[name], value, name) for name, value in params.items()}}


def pins_of(text: str) -> dict[str, str | None]:
    """The run of each input that is not to be the current version. Raises ValueError.

    >>> pins_of('{"orders": "20270131T060000-manual-4f2a"}')
    {'orders': '20270131T060000-manual-4f2a'}
    """
    pins = json.loads(text) if text else {}
    if not isinstance(pins, dict) or not all(run is None or isinstance(run, str) for run in pins.values()):
        raise ValueError(f"{variables.PINS} is not a JSON object of run ids")
    return {check_segment(name): None if run is None else check_segment(run) for name, run in pins.items()}


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


def workload_environment(
    task: AnyTask, environ: Mapping[str, str], inputs: Path, outputs: Path, input_uris: Mapping[str, str]
) -> dict[str, str]:
    """The workload's variables (those of `contract.variables`): the container's own, less the runner's, and these."""
    hidden = variables.FOR_THE_RUNNER | {
        variables.connection_secret(connection.name) for connection in task.connections
    }
    environment = {name: value for name, value in environ.items() if name not in hidden}
    environment |= {
        variables.ENVIRONMENT: task.environment,
        variables.WORKLOAD: task.workload,
        variables.RUN_ID: task.run_id,
        variables.SCHEDULED_TIME: task.scheduled_time,
        variables.INPUTS: str(inputs),
        variables.OUTPUTS: str(outputs),
        # Python finds what `uses` names by its path; other languages by this.
        variables.LIB: str(task.lib_dir),
    }
    environment |= {variables.param(name): variable_text(value) for name, value in task.params.items()}
    environment |= {variables.input_uri(name): uri for name, uri in input_uris.items()}
    environment |= {variables.connection_url(one.name): connections.url(one, environ) for one in task.connections}
    if task.is_service:
        # The platform may have chosen a port (several containers on one host); the setting is its value on AWS.
        environment[variables.PORT] = environ.get(variables.PORT) or str(task.port)
        environment[variables.BASE_PATH] = task.base_path or ""
        environment = server_variables(task) | environment
    elif isinstance(task, DeployedTask):
        environment[variables.OUTPUT_URI] = f"s3://{task.data_bucket}/{task.keys.outputs}"
    else:
        environment[variables.OUTPUT_URI] = outputs.as_uri()
    if task.item is not None:
        environment[variables.ITEM] = task.item
    if _holds_r(task.lib_dir):
        environment |= _sourcing(environ)
    search = [str(task.lib_dir)] + ([environ["PYTHONPATH"]] if environ.get("PYTHONPATH") else [])
    environment["PYTHONPATH"] = os.pathsep.join(search)
    # A log that arrives when the program ends is no log.
    environment.setdefault("PYTHONUNBUFFERED", "1")
    return environment


def _holds_r(lib: Path) -> bool:
    """Whether one of the folders that `uses` names holds functions of R. `herd try` links them."""
    folders = [folder.resolve() for folder in lib.iterdir()] if lib.is_dir() else []
    return any(True for folder in folders for _ in folder.rglob("*.[Rr]"))


def _sourcing(environ: Mapping[str, str]) -> dict[str, str]:
    """The variables by which R sources them at its start, and then the person's own profile, as ever."""
    own = {variables.R_PROFILE: environ["R_PROFILE_USER"]} if "R_PROFILE_USER" in environ else {}
    return {"R_PROFILE_USER": str(Path(__file__).with_name("r") / "profile.R"), **own}


def server_variables(task: Task) -> dict[str, str]:
    """What makes the usual servers fit to stand behind a load balancer, where `[env]` does not say otherwise.

    X-Forwarded-* is believed when it comes from a private network: a service's security group lets nobody in but the
    load balancer. A server that closes an idle connection before the load balancer does answers a request that is
    just being sent with a reset, which callers see as 502. uvicorn puts the root path, which the load balancer has
    taken away, before each path again: so redirects, mounts and static files come out right.
    """
    environment = {"FORWARDED_ALLOW_IPS": ",".join(PRIVATE_NETWORKS)}
    # gunicorn takes no networks; of these headers it believes only the scheme.
    gunicorn = ["--forwarded-allow-ips=*"]
    if task.keep_alive_seconds is not None:
        environment["UVICORN_TIMEOUT_KEEP_ALIVE"] = f"{task.keep_alive_seconds:.0f}"
        gunicorn.append(f"--keep-alive={task.keep_alive_seconds:.0f}")
    if task.base_path:
        environment["UVICORN_ROOT_PATH"] = task.base_path
        environment["PLUMBER_APIPATH"] = task.base_path
    return {**environment, "GUNICORN_CMD_ARGS": " ".join(gunicorn)}


def format_time(moment: datetime) -> str:
    """ISO 8601 in UTC to the millisecond: `2027-01-31T06:00:00.000Z`."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
