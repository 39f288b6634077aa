"""One environment in a local cloud of this process, by a virtual clock: the program's own resources, its schedules,
state machines, roles, rules, alarms and topics; the runner's own checks and records; the watch's own function.

What is not real: containers and processes. A task does what the story's `Act` says, in the runner if it says so, and
takes as many minutes; the function's handler is called in a thread that speaks Lambda's Runtime API.
"""

from __future__ import annotations

import http.client
import io
import json
import logging
import os
import re
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, redirect_stderr
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TypeVar
from unittest.mock import patch
from urllib.parse import parse_qs, urlsplit

import boto3
from moto.stepfunctions.parser.asl.component.state.wait.wait_function.wait_function import WaitFunction

from herd.infra.settings.schema import Settings
from herd.runner import batch, main
from herd.runner.contract import variables
from herd.runner.contract.plan import FILE, Plan
from herd.runner.contract.statuses import NOT_FOUND
from herd.runner.errors import RunFailed
from herd.runner.storage import Storage
from herd.watch import handler
from herd.watch.aws import Aws
from localcloud import mail
from localcloud.agent.agent import Agent, FunctionParts
from localcloud.agent.functions import asynchronous
from localcloud.agent.identity import TaskIdentity
from localcloud.agent.slots import Capacity
from localcloud.engines import Container, Exit
from localcloud.engines.launch import Program
from localcloud.iam.guard import Guard
from localcloud.images.store import ImageNotFound
from localcloud.mail.content import read
from localcloud.patches.stepfunctions import stored_executions
from localcloud.plugins import Plugins
from localcloud.runtime.inbox import Inbox
from localcloud.runtime.store import Store
from localcloud.server import Server
from tests.herd.watch.local_program import DIGEST, Made, deploy
from tests.herd.watch.virtual_time import VirtualClock, all_by

REGION = "eu-west-1"
PORT = 4999
TICK = timedelta(minutes=5)
CONFIRMATION = "AWS Notification - Subscription Confirmation"
REAL_SECONDS = 60.0
"""How long something may take that happens at once by the virtual clock: the machine may be busy."""

BEGINNING = datetime(2031, 6, 2, tzinfo=UTC)
"""A Monday. Whatever the day is when the tests run, this one is what all parts of the world go by."""


@dataclass(frozen=True)
class Act:
    """What a task does: after so many minutes it ends, with files that the runner judges, or otherwise.

    `files`: what the command leaves in outputs/. `says`: its last lines. `code`: its exit status, which the runner
    sees. `hangs`: the runner's own limit ends it. `kills`: the container ends for this reason, and no runner says why.
    """

    minutes: float = 5
    files: Mapping[str, str] = field(default_factory=lambda: {"data.csv": "day,rows\n2031-06-02,1\n"})
    says: str = ""
    code: int = 0
    hangs: bool = False
    kills: str = ""


@dataclass(eq=False)
class Attempt:
    """A container that runs: until the clock says that it ends."""

    workload: str
    container: Container
    act: Act
    ends: datetime
    on_line: Callable[[str], None]
    on_exit: Callable[[Exit], None]
    pid: int = field(default_factory=os.getpid)
    stopped: bool = False
    exit: Exit | None = None

    def stop(self) -> None:
        self.stopped = True

    def wait(self, timeout: float | None = None) -> Exit | None:
        return self.exit


class Acts:
    """An engine whose containers do what the story says."""

    has_own_network = False

    def __init__(self, clock: VirtualClock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self.acts: dict[str, list[Act]] = {}
        """What a workload does, run by run; the last goes on."""
        self.usual: Mapping[str, Act] = {}
        """What it does where the story says nothing."""
        self.alive: list[Attempt] = []

    def start(self, container: Container, on_line: Callable[[str], None], on_exit: Callable[[Exit], None]) -> Attempt:
        name = str(json.loads(container.environment[variables.TASK])["workload"])
        with self._lock:
            acts = self.acts.get(name) or [self.usual.get(name, Act())]
            act = acts.pop(0) if len(acts) > 1 else acts[0]
            ends = self._clock.now() + timedelta(minutes=act.minutes)
            attempt = Attempt(name, container, act, ends, on_line, on_exit)
            self.alive.append(attempt)
        return attempt

    def end_task(self, identity: str) -> None:
        """Nothing is kept for a task."""

    def due(self) -> Attempt | None:
        """The next one to end by now."""
        with self._lock:
            ended = [one for one in self.alive if one.stopped or one.ends <= self._clock.now()]
            return min(ended, key=lambda one: (one.ends, one.workload), default=None)

    def next_end(self) -> datetime | None:
        with self._lock:
            return min((one.ends for one in self.alive), default=None)

    def end(self, attempt: Attempt, exit: Exit) -> None:
        with self._lock:
            self.alive.remove(attempt)
        attempt.exit = exit
        attempt.on_exit(exit)


class AnyImage:
    """Every image is there but those of `gone` repositories."""

    def __init__(self) -> None:
        self.gone = False

    def resolve(self, reference: str) -> object:
        if self.gone:
            raise ImageNotFound(reference)
        return SimpleNamespace(digest=DIGEST)


@dataclass
class RoleKeys:
    """Credentials that name whom they are for: no port here takes them."""

    server: Server
    service: str

    def __call__(self, identity: TaskIdentity) -> Mapping[str, str]:
        principal = self.server.assume(identity.role_arn, self.service, None, "session")
        return {"AWS_REGION": REGION, "AWS_ACCESS_KEY_ID": principal}

    def release(self, task_arn: str) -> None:
        """They open nothing by themselves."""


class Clients:
    """boto3's clients in this process whose every call is a principal's, in whichever thread."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._made: dict[tuple[str, str], Any] = {}
        self._lock = threading.Lock()

    def client(self, service: str, principal: str) -> Any:
        with self._lock:
            if (service, principal) not in self._made:
                self._made[service, principal] = self._make(service, principal)
            return self._made[service, principal]

    def _make(self, service: str, principal: str) -> Any:
        client, acting = self._server._make_client(service, REGION), self._server._acting
        events = client.meta.events
        events.register_first("before-send.*.*", lambda **_: setattr(acting, "principal", principal))
        events.register_last("before-send.*.*", lambda **_: setattr(acting, "principal", "root"))
        return client


class Handlers:
    """Runs Lambda functions in threads: `localcloud.agent.functions.environment.Programs`."""

    def __init__(self, clients: Clients) -> None:
        self._clients = clients

    def start_program(
        self, program: Program, on_line: Callable[[str], None], on_exit: Callable[[Exit], None]
    ) -> _Function:
        return _Function(program, on_line, on_exit, self._clients)


class _Function:
    """The watch's own handler behind the Runtime API, with the plan of its package."""

    def __init__(
        self, program: Program, on_line: Callable[[str], None], on_exit: Callable[[Exit], None], clients: Clients
    ) -> None:
        self.pid = os.getpid()
        self._variables, self._on_line, self._on_exit = program.environment, on_line, on_exit
        self._mark = str(program.arguments[-1])
        plan = Plan.from_json((program.folder / FILE).read_text(encoding="utf-8"))
        principal = self._variables["AWS_ACCESS_KEY_ID"]
        self._aws = Aws(
            plan,
            self._variables[handler.watching.DATA_BUCKET],
            self._variables[handler.watching.TOPIC],
            lambda service: clients.client(service, principal),
        )
        self._exit: Exit | None = None
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def kill(self, reason: str = "") -> None:
        self._thread.join(5)

    def wait(self, timeout: float | None = None) -> Exit | None:
        self._thread.join(timeout)
        return self._exit

    def _serve(self) -> None:
        host, _, secret = self._variables["AWS_LAMBDA_RUNTIME_API"].partition("/")
        path = f"/{secret}/2018-06-01/runtime/invocation"
        connection = http.client.HTTPConnection(host)
        try:
            while True:
                connection.request("GET", f"{path}/next")
                answer = connection.getresponse()
                payload = answer.read()
                if answer.status != 200:
                    return
                id, what, body = answer.headers["Lambda-Runtime-Aws-Request-Id"], "response", b""
                try:
                    with patch.object(handler, "_aws", lambda: self._aws):
                        body = json.dumps(handler.handle(json.loads(payload), None)).encode()
                except Exception as error:
                    self._on_line(f"[ERROR] {type(error).__name__}: {error}")
                    what, report = "error", {"errorType": type(error).__name__, "errorMessage": str(error)}
                    body = json.dumps(report).encode()
                self._on_line(self._mark)
                connection.request("POST", f"{path}/{id}/{what}", body)
                connection.getresponse().read()
        except (OSError, http.client.HTTPException):
            pass
        finally:
            connection.close()
            self._exit = Exit(0)
            self._on_exit(self._exit)


class _InProcess:
    """In place of `runner.command.Command`: the program of a workload is the story's; what checks start is real."""

    stopped = running = False

    def __init__(self, attempt: Attempt) -> None:
        self._act, self._on_line = attempt.act, attempt.on_line
        self._started = False
        self._code = 0
        self.timed_out = False

    def start(self, arguments: Sequence[str], environment: Mapping[str, str], folder: Path) -> None:
        if self._started:
            self._code = subprocess.run(arguments, env=dict(environment), cwd=folder, check=False).returncode
            return
        self._started, act = True, self._act
        for path, text in act.files.items():
            (folder / "outputs" / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / "outputs" / path).write_text(text, encoding="utf-8")
        for line in act.says.splitlines():
            self._on_line(line)
        if act.code == NOT_FOUND:
            raise RunFailed(f"the command {arguments[0]!r}, or what it is run by, is not there", NOT_FOUND)
        self.timed_out, self._code = act.hangs, 128 + signal.SIGTERM if act.hangs else act.code

    def wait(self) -> int:
        return self._code

    @property
    def last_words(self) -> str:
        return self._act.says


class LocalWorld:
    """The environment, its clock and its mail. Everything happens in `until`, tick by tick."""

    def __init__(self, server: Server, folder: Path, root: Path, settings: Settings, clock: VirtualClock):
        self.server, self.settings, self.clock = server, settings, clock
        server.guard = Guard()
        self.clients = Clients(server)
        self.acts, self.images = Acts(clock), AnyImage()
        self.inbox = Inbox(Store(folder / "runtime.sqlite"), clock)
        mail.connect(server.account, self.inbox)
        self._empty = folder / "nothing"
        self._empty.mkdir()
        keys = RoleKeys(server, "lambda.amazonaws.com")
        parts = FunctionParts(Handlers(self.clients), keys, folder / "functions")
        tasks = RoleKeys(server, "ecs-tasks.amazonaws.com")
        # Of two events that are due at one moment the watch takes the second up later. Which one that is, and when it
        # comes again, hangs on how quick this machine is: here they come one after the other.
        with patch.object(asynchronous, "AT_ONCE", 1):
            self.agent = Agent(
                server, self.acts, self.images, tasks, clock, functions=parts, capacity=Capacity(100, 1 << 20)
            )
        self.plugins = Plugins(server, None, folder / "plugins")
        self.made: tuple[Made, ...] = ()
        self.exports: Mapping[str, Any] = {}
        self.root = root
        self._seen = self._answered = 0

    def deploy(self) -> None:
        """What `herd up` makes, but services: their copies would be processes. Each address confirms."""
        made, self.exports = deploy(self.plugins, self.root, self.settings, _is_running_service)
        self.made = tuple(made)
        self.confirm()

    def confirm(self) -> None:
        """Everybody follows the link of each mail that has come since."""
        sns = self.client("sns")
        letters = self.inbox.letters(after=self._answered)
        self._answered = max((letter.number for letter in letters), default=self._answered)
        for letter in letters:
            for link in _links(self.inbox, letter.number):
                query = parse_qs(urlsplit(link).query)
                sns.confirm_subscription(TopicArn=query["TopicArn"][0], Token=query["Token"][0])

    def close(self) -> None:
        self.agent.stop(timeout=5)
        self.plugins.close()

    # --- what is in it ---

    def client(self, service: str) -> Any:
        """As the account's owner."""
        return self.server.client(service)

    @property
    def topics(self) -> list[str]:
        return [one.id for one in self.made if one.type == "aws:sns/topic:Topic"]

    def of(self, type: str, name: str) -> Made:
        """A resource that the program made: `of("eventRule:EventRule", "watch-ticks")`."""
        (found,) = [one for one in self.made if one.type.endswith(type) and one.urn.endswith(f"::{name}")]
        return found

    @property
    def bucket(self) -> str:
        return str(self.exports["data_bucket"])

    # --- time ---

    def at(self, text: str) -> datetime:
        """`06:15` of the story's day; `+1 06:15` of the day after."""
        days, _, clock = text.rpartition(" ")
        hours, minutes = clock.split(":")
        return self.day + timedelta(days=int(days or 0), hours=int(hours), minutes=int(minutes))

    def begin(self, text: str = "04:00") -> None:
        """The first of a month, on which nothing is remembered; the watch has run a few times before it begins."""
        self._come_to_an_end()
        later = self.clock.now() + timedelta(days=32)
        self.day = later.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
        self._move_to(self.at(text) - 2 * TICK)
        self.agent.schedules._armed.clear()  # of the days between nothing is due
        self._forget()
        for _ in range(2):
            self._step(self.clock.now() + TICK)
        self._seen = max((letter.number for letter in self.inbox.letters()), default=0)

    def _come_to_an_end(self) -> None:
        """Whatever the last story left ends as if nothing were wrong."""
        self.acts.acts.clear()
        while self.acts.alive:
            for attempt in self.acts.alive:
                attempt.act, attempt.ends = Act(), self.clock.now()
            self._step(self.clock.now())

    def until(self, text: str) -> None:
        """Minutes pass; whatever is due happens."""
        end = self.at(text)
        while self.clock.now() < end:
            ending = self.acts.next_end()
            tick = self.clock.now() + TICK
            tick -= timedelta(minutes=tick.minute % 5, seconds=tick.second, microseconds=tick.microsecond)
            self._step(min(end, tick, max(ending, self.clock.now()) if ending else tick))

    def sleep_until(self, text: str) -> None:
        """The machine sleeps: time passes, and nothing happens."""
        self._move_to(self.at(text))

    def _move_to(self, moment: datetime) -> None:
        """Nobody measures in between, which the local cloud's alarms know of a machine that slept."""
        if moment - self.clock.now() > TICK:
            gap = self.clock.now().timestamp() + 1, moment.timestamp()
            self.agent.alarms._gaps[:] = [*self.agent.alarms._gaps[-20:], gap]
        self.clock.move_to(moment)

    def _step(self, moment: datetime) -> None:
        self._move_to(moment)
        self.settle()
        # One after the other, as the watch runs once at a time: what it cannot take now comes minutes later.
        for tick in (self.agent.schedules.tick, self.agent.rules.tick, self.agent.tick):
            tick()
            self.settle()

    def settle(self) -> None:
        """Wait until all that follows from what has happened has happened; of tasks that end, one after the other."""
        self._rest()
        while attempt := self.acts.due():
            self._end(attempt)
            self._rest()

    def _rest(self) -> None:
        deadline = time.monotonic() + REAL_SECONDS
        quiet = 0
        while quiet < 2:  # what one of these delivers may be news for another
            assert time.monotonic() < deadline, "it does not come to rest"
            if any(attempt.stopped for attempt in self.acts.alive):
                return  # which others wait for
            self.agent.settle()
            self.agent.functions.tick()
            assert self.agent.functions.events.settle()
            if self._is_busy():
                quiet = 0
                time.sleep(0.002)
            else:
                quiet += 1

    def _is_busy(self) -> bool:
        """Does an execution go on that does not wait for a task which ends later?"""
        with self.server.lock:
            running = [one.state_machine.name for one in stored_executions.running(self.server.account)]
            jobs = sum(not name.endswith("_pipeline") for name in running)
            tasks = len(self.acts.alive)
            return jobs != tasks or (bool(running) and not jobs)

    # --- tasks ---

    def _end(self, attempt: Attempt) -> None:
        act = attempt.act
        if attempt.stopped:
            self.acts.end(attempt, Exit(143))
        elif act.kills:
            self.acts.end(attempt, Exit(137, act.kills))
        else:
            self.acts.end(attempt, Exit(self._run(attempt)))

    def _run(self, attempt: Attempt) -> int:
        """The runner, with this task's variables and role; its lines are the task's."""
        environ = {
            **attempt.container.environment,
            variables.WORKLOAD_DIR: str(self._empty),
            variables.LIB_DIR: str(self._empty),
        }
        principal, lines = environ["AWS_ACCESS_KEY_ID"], io.StringIO()
        clients = self.clients

        def connect(storage: Storage) -> None:
            storage._client = clients.client("s3", principal)

        with (
            patch.object(batch, "Command", lambda *_: _InProcess(attempt)),
            patch.object(Storage, "_connect", connect),
            patch.object(boto3, "client", lambda service, **_: clients.client(service, principal)),
            redirect_stderr(lines),
        ):
            status = main.main(environ)
        for line in lines.getvalue().splitlines():
            attempt.on_line(line)
        return status

    # --- mail ---

    @property
    def told(self) -> list[tuple[datetime, tuple[str, ...], str]]:
        """Each message since the story began, as those to whom it went got it."""
        same: dict[tuple[datetime, str], list[str]] = {}
        for letter in self.inbox.letters(after=self._seen):
            if letter.subject == CONFIRMATION:
                continue
            text = f"{letter.subject}\n~\n{_body(self._text(letter.number))}"
            same.setdefault((letter.arrived, text), []).extend(letter.recipients)
        return [(when, tuple(sorted(to)), text) for (when, text), to in same.items()]

    def _text(self, number: int) -> str:
        kept = self.inbox.message(number)
        assert kept is not None
        return str(read(kept[1]).text)

    # --- between stories ---

    def _forget(self) -> None:
        s3, logs = self.client("s3"), self.client("logs")
        for one in s3.list_objects_v2(Bucket=self.bucket).get("Contents", []):
            s3.delete_object(Bucket=self.bucket, Key=one["Key"])
        for group in (one.id for one in self.made if one.type.endswith(":LogGroup")):
            for stream in logs.describe_log_streams(logGroupName=group)["logStreams"]:
                logs.delete_log_stream(logGroupName=group, logStreamName=stream["logStreamName"])


def _is_running_service(type: str, name: str) -> bool:
    return type in ("aws:ecs/service:Service", "aws:appautoscaling/target:Target", "aws:appautoscaling/policy:Policy")


def _links(inbox: Inbox, number: int) -> Iterator[str]:
    kept = inbox.message(number)
    assert kept is not None
    yield from re.findall(r"http\S*confirmation\.html\S*Token=[^\s\"<]*", str(read(kept[1]).text))


def _body(text: str) -> str:
    """Without what SNS puts below each message."""
    return text.partition("\n--\n")[0].rstrip()


World = TypeVar("World", bound=LocalWorld)


@contextmanager
def local_world(kind: type[World], folder: Path, account: str, root: Path, settings: Settings) -> Iterator[World]:
    """A world of that kind, deployed; `folder` keeps its files."""
    clock = VirtualClock(BEGINNING)
    with ExitStack() as stack:
        logger = logging.getLogger("localcloud")
        stack.callback(logger.setLevel, logger.level)
        logger.setLevel(logging.ERROR)
        server = Server(account, REGION, f"http://127.0.0.1:{PORT}")
        stack.callback(server.close)
        stack.enter_context(all_by(clock))
        # Between attempts the state machine waits for seconds, which are nothing among minutes.
        stack.enter_context(patch.object(WaitFunction, "_wait_interval", lambda *_, **__: None))
        stack.enter_context(patch.dict(os.environ, {"AWS_ENDPOINT_URL": server.endpoint}))
        world = kind(server, folder, root, settings, clock)
        stack.callback(world.close)
        world.deploy()
        yield world
