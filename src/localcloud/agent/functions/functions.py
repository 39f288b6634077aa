"""The account's functions: who may be invoked now, by which environment, and what is written down about it."""

from __future__ import annotations

import logging
import secrets
import tempfile
import threading
import time
import uuid
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Protocol

from botocore.exceptions import ClientError

from localcloud import backends
from localcloud.agent.functions.code import Packages
from localcloud.agent.functions.environment import Environment, Event, Outcome, Programs
from localcloud.agent.functions.function import Function, read
from localcloud.agent.functions.runtime_api import RuntimeApi
from localcloud.agent.functions.runtimes import CannotRun
from localcloud.agent.identity import TaskIdentity
from localcloud.agent.logs import LogShipper, Stream
from localcloud.agent.meters import Meters
from localcloud.agent.worker import Worker
from localcloud.engines import CannotStart
from localcloud.iam.errors import CannotAssume, Denied
from localcloud.patches.hooks import BadPackage
from localcloud.request.access import Access
from localcloud.server import Server

log = logging.getLogger(__name__)

SERVICE = "lambda.amazonaws.com"

AT_ONCE = 100
"""Invocations of functions without a reserved concurrency at the same time. An account on AWS has 1,000."""

IDLE_SECONDS = 300.0
"""How long an environment waits for another event."""

TIDY_SECONDS = 30.0
"""How often environments that wait are looked at."""

OLDEST_SECONDS = 3 * 3600.0
"""When an environment is replaced: its credentials are valid for six hours, and an event may take a quarter of one."""


class Failed(Exception):
    """An invocation that did not come about: AWS's error code, text, HTTP status and, of a throttle, its reason."""

    def __init__(self, code: str, message: str, status: int, reason: str = ""):
        super().__init__(message)
        self.code, self.status, self.reason = code, status, reason


class Credentials(Protocol):
    """Gives an environment the AWS_* variables of its role, and takes them back."""

    def __call__(self, identity: TaskIdentity) -> Mapping[str, str]: ...
    def release(self, task_arn: str) -> None: ...


@dataclass(frozen=True)
class Target:
    """A function that was looked up: what runs, its zip, how many of it may run at once (None: no limit of its own)."""

    function: Function
    content: bytes
    reserved: int | None
    arn: str
    """as it was asked for: with the qualifier"""


class Functions:
    """Invokes functions. Safe with several threads; none of them may hold the server's lock when it invokes."""

    def __init__(
        self,
        server: Server,
        programs: Programs,
        credentials: Credentials,
        shipper: LogShipper,
        meters: Meters,
        worker: Worker,
        folder: Path | None = None,
    ):
        self._server = server
        self._programs = programs
        self._credentials = credentials
        self._shipper = shipper
        self._meters = meters
        self._scratch = tempfile.TemporaryDirectory(prefix="functions-") if folder is None else None
        self.folder = folder or Path(self._scratch.name if self._scratch else "")
        self.packages = Packages(self.folder / "code")
        self._api = RuntimeApi()
        self._lock = threading.Lock()
        self._idle: list[Environment] = []
        self._all: set[Environment] = set()
        self._busy: Counter[str] = Counter()
        self._unreserved = 0
        self._closed = False
        self._used = False
        self._tidying = False
        self._tidier = ThreadPoolExecutor(1, thread_name_prefix="functions")
        self._step = worker.add("idle functions", self._look_after_idle)

    # --- looking up ---

    def find(self, region: str, name: str, qualifier: str = "") -> Target:
        """The function that a name, an ARN or a part of one means. Raises `Failed`."""
        name = name if name.startswith("arn:") else name.rpartition("function:")[2]
        with self._server.lock:
            model = backends.function(self._server.account, region, name, qualifier)
            if model is None:
                arn = (
                    name
                    if name.startswith("arn:")
                    else f"arn:aws:lambda:{region}:{self._server.account}:function:{name}"
                )
                arn = f"{arn}:{qualifier}" if qualifier and arn.count(":") == 6 else arn
                raise Failed("ResourceNotFoundException", f"Function not found: {arn}", 404)
            latest = backends.function(self._server.account, region, str(model.function_name), "")
            limit = getattr(latest, "reserved_concurrency", None)
            function = read(model)
            named = name.split(":")[7:8] if name.startswith("arn:") else name.split(":")[1:2]
            qualifier = qualifier or "".join(named)
            arn = f"{function.arn}:{qualifier}" if qualifier else function.arn
            if model.package_type != "Zip":
                raise Failed("InvalidParameterValueException", "The local cloud runs functions of zip packages only; "
                             f"{function.name} is a container image", 400)  # fmt: skip
            return Target(function, model.code_bytes, None if limit is None else int(limit), arn)

    # --- invoking ---

    def invoke(self, target: Target, payload: bytes, request_id: str = "") -> Outcome:
        """Run a function on an event and wait for its answer. Raises `Failed`."""
        function = target.function
        self._admit(target)
        try:
            request_id = request_id or str(uuid.uuid4())
            environment = self._take(target)
            try:
                outcome = environment.invoke(Event(payload or b"{}", target.arn, request_id))
            finally:
                self._give_back(environment)
            self._measure(function, outcome)
            return outcome
        finally:
            with self._lock:
                self._busy[function.name] -= 1
                self._unreserved -= target.reserved is None

    def _admit(self, target: Target) -> None:
        """Count an invocation, or refuse it because there are too many."""
        name = target.function.name
        with self._lock:
            if self._closed:
                raise Failed("ServiceException", "The local cloud is stopping", 500)
            reason = ""
            if target.reserved is not None and self._busy[name] >= target.reserved:
                reason = "ReservedFunctionConcurrentInvocationLimitExceeded"
            elif target.reserved is None and self._unreserved >= AT_ONCE:
                reason = "ConcurrentInvocationLimitExceeded"
            else:
                self._busy[name] += 1
                self._unreserved += target.reserved is None
            busy = self._busy[name]
        if reason:
            self._put_metrics(target.function, {"Throttles": 1})
            raise Failed("TooManyRequestsException", "Rate Exceeded.", 429, reason)
        self._put_metrics(target.function, {"ConcurrentExecutions": busy})

    def _take(self, target: Target) -> Environment:
        with self._lock:
            for place, environment in enumerate(self._idle):
                if environment.function == target.function and not environment.broken and not _is_old(environment):
                    return self._idle.pop(place)
        return self._start(target)

    def _give_back(self, environment: Environment) -> None:
        with self._lock:
            keep = not self._closed and not environment.broken
            if keep:
                self._idle.append(environment)
        if keep:
            self._step.wake(TIDY_SECONDS)
        else:
            self._end(environment)

    def _start(self, target: Target) -> Environment:
        """A new environment. Raises `Failed`."""
        function = target.function
        session = f"{function.arn}/{secrets.token_hex(8)}/{function.name}"
        stream = f"{datetime.now(UTC):%Y/%m/%d}/[{function.version}]{secrets.token_hex(16)}"
        try:
            principal = self._server.assume(function.role, SERVICE, function.arn, function.name)
            package = self.packages.unpacked(function.code, target.content)
            logged = self._open_log(function, principal, stream)
            write = partial(self._shipper.write, logged) if logged else _discard
            variables = self._credentials(TaskIdentity(session, function.role, function.name))
            environment = Environment(function, package, self._api, self._programs, variables, stream, write)
        except CannotAssume as refused:
            self._credentials.release(session)
            text = f"The role defined for the function cannot be assumed by Lambda. {refused}"
            raise Failed("AccessDeniedException", text, 403) from refused
        except (BadPackage, CannotRun) as error:
            self._credentials.release(session)
            raise Failed("InvalidRuntimeException", str(error), 502) from error
        except CannotStart as error:
            self._credentials.release(session)
            raise Failed("InvalidRuntimeException", f"{function.runtime} did not start: {error}", 502) from error
        environment.session = session
        with self._lock:
            self._all.add(environment)
            self._used = True
        return environment

    def _end(self, environment: Environment) -> None:
        environment.close()
        self._credentials.release(environment.session)
        with self._lock:
            self._all.discard(environment)

    def _open_log(self, function: Function, principal: str, stream: str) -> Stream | None:
        """Where the environment's lines go, as far as the role permits; None where it does not: they are lost."""
        place = Stream(function.account, function.region, function.log_group, stream)
        client = self._server.client("logs", function.region, principal)
        with self._server.lock:
            try:
                if function.log_group not in backends.logs(function.account, function.region).groups:
                    client.create_log_group(logGroupName=function.log_group)
                client.create_log_stream(logGroupName=function.log_group, logStreamName=stream)
                if self._server.guard is not None and principal != "root":
                    group = f"arn:aws:logs:{function.region}:{function.account}:log-group:{function.log_group}"
                    access = Access("logs:PutLogEvents", f"{group}:log-stream:{stream}")
                    self._server.guard.demand(principal, access)
            except (ClientError, Denied) as denied:
                log.warning("the lines of the function %s are lost: %s", function.name, denied)
                return None
        return place

    # --- what is written down ---

    def _measure(self, function: Function, outcome: Outcome) -> None:
        self._put_metrics(
            function,
            {
                "Invocations": 1,
                "Errors": 1 if outcome.error else 0,
                "Duration": outcome.duration_ms,
            },
        )

    def count(self, function: Function, metric: str) -> None:
        """Something happened once more."""
        self._put_metrics(function, {metric: 1})

    def _put_metrics(self, function: Function, values: Mapping[str, float]) -> None:
        for name, value in values.items():
            self._meters.record(function.region, "AWS/Lambda", name, {"FunctionName": function.name}, value)

    # --- environments that nobody needs ---

    def changed(self) -> None:
        """A function was changed or removed: idle environments of what it was end. The server's lock may be held."""
        self._step.wake()

    def tidy(self, now: float | None = None) -> None:
        """End environments that are idle for long, or of what is not there any more, and remove packages of nobody."""
        now = time.monotonic() if now is None else now
        with self._server.lock:
            models = [each for each in backends.functions(self._server.account) if each.package_type == "Zip"]
            living = {read(model) for model in models}
            kept = {name for model in models for name in getattr(model, "kept_packages", ())}
        with self._lock:
            leaving = [
                each
                for each in self._idle
                if each.broken or each.function not in living or now - each.idle_since > IDLE_SECONDS or _is_old(each)
            ]
            for environment in leaving:
                self._idle.remove(environment)
            used = {each.function.code for each in self._all} | {each.code for each in living}
        for environment in leaving:
            self._end(environment)
        self.packages.keep(used)
        from_s3 = self.folder / "packages"
        for path in from_s3.iterdir() if from_s3.is_dir() else ():
            if path.name not in kept:
                path.unlink(missing_ok=True)

    def _look_after_idle(self) -> float | None:
        """Tidy up elsewhere: a process may take a moment to end. In how many seconds to look again."""
        with self._lock:
            if self._closed or self._tidying or not self._used:
                return TIDY_SECONDS if self._idle else None
            self._tidying = True
            waiting = bool(self._idle)
        self._tidier.submit(self._tidy_once)
        return TIDY_SECONDS if waiting else None

    def _tidy_once(self) -> None:
        with self._lock:
            self._tidying = False
        try:
            self.tidy()
        except Exception:
            log.exception("idle functions were not tidied up")

    def close(self) -> None:
        """End all environments, those at work too. Whoever waits for an answer gets an error."""
        with self._lock:
            self._closed = True
            running, self._idle = list(self._all), []
        self._step.remove()
        self._tidier.shutdown()
        for environment in running:
            self._end(environment)
        self._api.close()
        if self._scratch is not None:
            self.packages.keep(())
            self._scratch.cleanup()


def _is_old(environment: Environment) -> bool:
    return time.monotonic() - environment.born > OLDEST_SECONDS


def _discard(line: str) -> None:
    """Where the lines of a function go that may not write a log."""
