"""One execution environment: a process that takes one event at a time."""

from __future__ import annotations

import json
import secrets
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from localcloud.agent.functions import runtimes
from localcloud.agent.functions.function import Function
from localcloud.agent.functions.runtime_api import MAX_RESPONSE_BYTES, RuntimeApi
from localcloud.engines import Exit
from localcloud.engines.launch import Program
from localcloud.engines.memory import memory_of_tree

INIT_SECONDS = 10.0
"""How long a function may take to load, on top of its time-out.
Source: https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html"""

LAST_LINES_SECONDS = 1.0
"""How long an answer waits for the mark that ends its output; a runtime of one's own writes none."""

OWN_RUNTIME_LINES_SECONDS = 0.05

TAIL_BYTES = 4096
"""Of the log that an invocation can ask for. Source: Invoke (Lambda API reference, LogType)"""

UNHANDLED = "Unhandled"


class Handle(Protocol):
    @property
    def pid(self) -> int: ...
    def kill(self, reason: str = "") -> None: ...
    def wait(self, timeout: float | None = None) -> Exit | None: ...


class Programs(Protocol):
    """What starts processes: a `ProcessEngine`."""

    def start_program(
        self, program: Program, on_line: Callable[[str], None], on_exit: Callable[[Exit], None]
    ) -> Handle: ...


@dataclass(frozen=True)
class Event:
    """Something to invoke a function with. `arn` is the function's as the caller named it, maybe with a qualifier."""

    payload: bytes
    arn: str
    request_id: str


@dataclass(frozen=True)
class Outcome:
    """What became of an event: the answer, or the error where `error` is not "", the last lines, the time it took."""

    payload: bytes
    error: str
    tail: bytes
    duration_ms: float


class Environment:
    """A process of a function. `invoke` is called by one thread at a time; `write` gets each line of its log."""

    def __init__(
        self,
        function: Function,
        package: Path,
        api: RuntimeApi,
        programs: Programs,
        variables: Mapping[str, str],
        stream: str,
        write: Callable[[str], None],
    ):
        self.function = function
        self.session = ""
        """Whose credentials it has"""

        self.broken = False
        """It takes no further event: its process has ended, or was made to."""

        self.born = self.idle_since = time.monotonic()
        self._write_to_log = write
        self._api = api
        self._changed = threading.Condition()
        self._waiting: Event | None = None
        self._taken: tuple[Event, float] | None = None
        self._answer: tuple[bytes, str] | None = None
        self._start_error: tuple[bytes, str] | None = None
        self._loaded = False
        self._exit: Exit | None = None
        self._closed = False
        self._marked = False
        self._mark = f"end-of-output-{secrets.token_hex(16)}"
        self._marks = not function.runtime.startswith("provided")
        self._tail: deque[str] = deque()
        self._tail_bytes = 0
        self._init_ms: float | None = None
        self._most_memory = 0
        self._address = api.admit(self)
        try:
            self._handle = programs.start_program(self._program(package, variables, stream), self._line, self._exited)
        except BaseException:
            api.dismiss(self._address)
            raise

    def _program(self, package: Path, variables: Mapping[str, str], stream: str) -> Program:
        function = self.function
        task = str(package)
        environment = {
            **dict(function.variables),
            **variables,
            "AWS_EXECUTION_ENV": runtimes.execution_environment(function.runtime),
            "AWS_LAMBDA_FUNCTION_NAME": function.name,
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(function.memory_mb),
            "AWS_LAMBDA_FUNCTION_VERSION": function.version,
            "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
            "AWS_LAMBDA_LOG_GROUP_NAME": function.log_group,
            "AWS_LAMBDA_LOG_STREAM_NAME": stream,
            "AWS_LAMBDA_RUNTIME_API": self._address,
            "LAMBDA_TASK_ROOT": task,
            "LAMBDA_RUNTIME_DIR": str(runtimes.BOOTSTRAPS),
            "_HANDLER": function.handler,
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        return Program(
            arguments=runtimes.command(function, package, self._mark),
            folder=package,
            environment=environment,
            search_path=(f"{task}/bin", task),
            memory_mb=function.memory_mb,
        )

    def invoke(self, event: Event) -> Outcome:
        """Hand over an event and wait for what becomes of it; afterwards look at `broken`."""
        function, began = self.function, time.monotonic()
        self._tail.clear()
        self._tail_bytes = 0
        self._log(f"START RequestId: {event.request_id} Version: {function.version}")
        with self._changed:
            self._answer, self._taken, self._marked = self._start_error, None, False
            self._waiting = event
            self._changed.notify_all()
            self._wait_for_end(began)
            taken, answer, exit = self._taken, self._answer, self._exit
            self._waiting = self._taken = None
        started = taken[1] if taken else began
        duration = time.monotonic() - started
        if answer is None:
            answer = self._without_answer(event, exit)
            if exit is None:
                duration = float(function.timeout_seconds)
        self._wait_for_lines()
        payload, error = answer
        self._report(event, duration)
        self.idle_since = time.monotonic()
        return Outcome(payload, error, self._last_lines(), duration * 1000)

    def close(self) -> None:
        """End the process; nothing more is written to the log."""
        self.broken = True
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._api.dismiss(self._address)
        self._handle.kill()
        self._handle.wait(5)

    # --- waiting ---

    def _wait_for_end(self, began: float) -> None:
        """Until there is an answer, the process has ended, or the time is over. Hold the condition."""
        timeout = float(self.function.timeout_seconds)
        while self._answer is None and self._exit is None:
            deadline = self._taken[1] + timeout if self._taken else began + INIT_SECONDS + timeout
            left = deadline - time.monotonic()
            if left <= 0:
                return
            self._changed.wait(left)

    def _without_answer(self, event: Event, exit: Exit | None) -> tuple[bytes, str]:
        """The process has ended, or is to be ended because its time is over."""
        self.broken = True
        if exit is None:
            text = f"Task timed out after {self.function.timeout_seconds:.2f} seconds"
            self._log(f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%f}"[:-3] + f"Z {event.request_id} {text}")
            self._handle.kill()
            kind = "Sandbox.Timedout"
        else:
            how = "signal: killed" if exit.code == 137 else f"exit status {exit.code}"
            text, kind = f"Runtime exited with error: {how}", "Runtime.ExitError"
            if exit.code == 0:
                text = "Runtime exited without providing a reason"
            self._log(f"RequestId: {event.request_id} Error: {text}\n{kind}")
        report = {"errorType": kind, "errorMessage": f"RequestId: {event.request_id} Error: {text}"}
        return json.dumps(report).encode(), UNHANDLED

    def _wait_for_lines(self) -> None:
        """What the function has printed is on its way through a pipe."""
        seconds = LAST_LINES_SECONDS if self._marks else OWN_RUNTIME_LINES_SECONDS
        with self._changed:
            self._changed.wait_for(lambda: self._marked or self._exit is not None, seconds)

    # --- the log ---

    def _line(self, line: str) -> None:
        text, marked, _ = line.partition(self._mark)
        if text or not marked:
            self._log(text)
        if marked:
            with self._changed:
                self._marked = True
                self._changed.notify_all()

    def _log(self, text: str) -> None:
        if self._closed:
            return
        self._write_to_log(text)
        self._tail.append(text)
        self._tail_bytes += len(text)
        while len(self._tail) > 1 and self._tail_bytes - len(self._tail[0]) > TAIL_BYTES:
            self._tail_bytes -= len(self._tail.popleft())

    def _last_lines(self) -> bytes:
        return "".join(f"{line}\n" for line in list(self._tail)).encode()[-TAIL_BYTES:]

    def _report(self, event: Event, seconds: float) -> None:
        self._most_memory = max(self._most_memory, memory_of_tree(self._handle.pid) if self._exit is None else 0)
        duration = seconds * 1000
        parts = [
            f"REPORT RequestId: {event.request_id}",
            f"Duration: {duration:.2f} ms",
            f"Billed Duration: {int(duration) + 1} ms",
            f"Memory Size: {self.function.memory_mb} MB",
            f"Max Memory Used: {self._most_memory >> 20} MB",
        ]
        if self._init_ms is not None:
            parts.append(f"Init Duration: {self._init_ms:.2f} ms")
            self._init_ms = None
        self._log(f"END RequestId: {event.request_id}")
        self._log("\t".join(parts))

    # --- the process: a `runtime_api.Caller` ---

    def next(self) -> tuple[Mapping[str, str], bytes] | None:
        with self._changed:
            if not self._loaded:
                self._loaded, self._init_ms = True, (time.monotonic() - self.born) * 1000
            while self._waiting is None or self._taken is not None:
                if self._closed:
                    return None
                self._changed.wait()
            event, now = self._waiting, time.monotonic()
            self._taken = event, now
            self._changed.notify_all()
        deadline = int((time.time() + self.function.timeout_seconds) * 1000)
        trace = uuid.uuid4().hex
        return {
            "Lambda-Runtime-Aws-Request-Id": event.request_id,
            "Lambda-Runtime-Deadline-Ms": str(deadline),
            "Lambda-Runtime-Invoked-Function-Arn": event.arn,
            "Lambda-Runtime-Trace-Id": f"Root=1-{int(time.time()):08x}-{trace[:24]};Parent={trace[:16]};Sampled=0",
        }, event.payload

    def respond(self, request_id: str, body: bytes) -> bool:
        if len(body) > MAX_RESPONSE_BYTES:
            text = f"Response payload size exceeded maximum allowed payload size ({MAX_RESPONSE_BYTES} bytes)."
            report = {"errorType": "Function.ResponseSizeTooLarge", "errorMessage": text}
            return self._answered(request_id, json.dumps(report).encode(), UNHANDLED)
        return self._answered(request_id, body, "")

    def fail(self, request_id: str, body: bytes, kind: str) -> bool:
        return self._answered(request_id, _error_body(body, kind), UNHANDLED)

    def fail_to_start(self, body: bytes, kind: str) -> None:
        with self._changed:
            self.broken = True
            self._answer = self._start_error = _error_body(body, kind), UNHANDLED
            self._changed.notify_all()

    def _answered(self, request_id: str, body: bytes, error: str) -> bool:
        with self._changed:
            if self._taken is None or self._taken[0].request_id != request_id or self._answer is not None:
                return False
            self._answer = body, error
            self._changed.notify_all()
            return True

    def _exited(self, exit: Exit) -> None:
        with self._changed:
            self.broken = True
            self._exit = exit
            self._changed.notify_all()


def _error_body(body: bytes, kind: str) -> bytes:
    """What the runtime says about an error, as it says it; something in its place if it is no JSON."""
    try:
        report: Any = json.loads(body)
    except ValueError:
        report = None
    return body if isinstance(report, dict) else json.dumps({"errorType": kind, "errorMessage": ""}).encode()
