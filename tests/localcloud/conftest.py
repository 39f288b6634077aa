"""Fixtures that the local cloud's tests share: a server with an account of its own, and an agent that runs commands."""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from localcloud.agent.agent import Agent
from localcloud.agent.identity import TaskIdentity
from localcloud.engines import CannotStart, Container, Exit
from localcloud.images.store import ImageNotFound
from localcloud.plugins import Plugins
from localcloud.server import Server

REGION = "eu-west-1"

LONG_SECONDS = 60.0
"""How long a test waits for what takes a moment: the machine may be busy."""

_accounts = itertools.count(100000000000 + os.getpid() * 1000)


@pytest.fixture
def server() -> Iterator[Server]:
    """An account that no other test has, on a port that nobody listens on."""
    server = Server(str(next(_accounts)), REGION, "http://127.0.0.1:4999")
    yield server
    server.close()


@pytest.fixture
def plugins(server: Server, tmp_path: Path) -> Iterator[Plugins]:
    """The server's providers, with a ledger of their own."""
    plugins = Plugins(server, None, tmp_path / "plugins")
    yield plugins
    plugins.close()


class CommandEngine:
    """Runs a container's command with subprocess: an engine without images."""

    has_own_network = False

    def __init__(self) -> None:
        self.started: list[Container] = []

    def start(self, container: Container, on_line: Callable[[str], None], on_exit: Callable[[Exit], None]) -> Any:
        self.started.append(container)
        command = [*(container.entrypoint or ()), *(container.command or ())]
        environment = {"PATH": os.environ["PATH"], **container.environment}
        try:
            process = subprocess.Popen(
                command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True
            )
        except OSError as error:
            raise CannotStart(str(error)) from error
        return CommandHandle(process, container.stop_timeout_seconds, on_line, on_exit)

    def end_task(self, identity: str) -> None:
        """Nothing is kept for a task."""


class CommandHandle:
    def __init__(self, process: Any, grace: int, on_line: Callable[[str], None], on_exit: Callable[[Exit], None]):
        self.pid: int = process.pid
        self._process = process
        self._grace = grace
        self._exit: Exit | None = None
        self._over = threading.Event()
        threading.Thread(target=self._follow, args=(on_line, on_exit), daemon=True).start()

    def _follow(self, on_line: Callable[[str], None], on_exit: Callable[[Exit], None]) -> None:
        with self._process.stdout as lines:
            for line in lines:
                on_line(line.decode().rstrip("\n"))
        code = self._process.wait()
        self._exit = Exit(128 - code if code < 0 else code)
        self._over.set()
        on_exit(self._exit)

    def stop(self) -> None:
        def end() -> None:
            self._process.terminate()
            if not self._over.wait(self._grace):
                self._process.kill()

        threading.Thread(target=end, daemon=True).start()

    def wait(self, timeout: float | None = None) -> Exit | None:
        self._over.wait(timeout)
        return self._exit


@dataclass(frozen=True)
class NamedImage:
    """An image of which there is nothing but a digest."""

    digest: str
    manifest: str = "{}"


class AnyImage:
    """Every image exists but the one called `missing`."""

    def resolve(self, reference: str) -> NamedImage:
        if "missing" in reference:
            raise ImageNotFound(reference)
        return NamedImage(f"sha256:{hashlib.sha256(reference.encode()).hexdigest()}")


class PlainEnvironment:
    """Task credentials that open nothing; remembers who was given them and who gave them back."""

    def __init__(self) -> None:
        self.given: list[TaskIdentity] = []
        self.released: list[str] = []

    def __call__(self, identity: TaskIdentity) -> dict[str, str]:
        self.given.append(identity)
        return {"AWS_ENDPOINT_URL": "http://127.0.0.1:4999"}

    def release(self, task_arn: str) -> None:
        self.released.append(task_arn)


class FakeClock:
    """A clock that moves when a test says so."""

    def __init__(self, start: datetime):
        self.time = start

    def now(self) -> datetime:
        return self.time

    def advance(self, **amount: float) -> None:
        self.time += timedelta(**amount)


class Cloud:
    """A server with a running agent, and shortcuts for what most tests need of them."""

    def __init__(self, server: Server, agent: Agent, engine: CommandEngine, environment: PlainEnvironment):
        self.server = server
        self.agent = agent
        self.engine = engine
        self.environment = environment
        self.ecs = server.client("ecs")
        self.logs = server.client("logs")
        self.sfn = server.client("stepfunctions")
        self.ecs.create_cluster(clusterName="c")
        self.logs.create_log_group(logGroupName="/g")
        vpc = server.client("ec2").create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
        self.vpc = vpc
        wanted = {"VpcId": vpc, "CidrBlock": "10.0.0.0/24", "AvailabilityZone": "eu-west-1a"}
        subnet = server.client("ec2").create_subnet(**wanted)["Subnet"]["SubnetId"]
        self.network = {"awsvpcConfiguration": {"subnets": [subnet]}}

    def define(self, *command: str, family: str = "f", **container: Any) -> str:
        """Register a Fargate task definition of one container; its ARN."""
        definition = {
            "name": "main",
            "image": "image",
            "essential": True,
            "command": list(command),
            "logConfiguration": {
                "logDriver": "awslogs",
                "options": {"awslogs-group": "/g", "awslogs-region": REGION, "awslogs-stream-prefix": "p"},
            },
            **container,
        }
        return self.define_containers(family, [definition])

    def define_containers(
        self, family: str, containers: list[dict[str, Any]], task_role: bool = True, **more: Any
    ) -> str:
        role = f"arn:aws:iam::{self.server.account}:role/r"
        arn: str = self.ecs.register_task_definition(
            family=family,
            requiresCompatibilities=["FARGATE"],
            networkMode="awsvpc",
            cpu="256",
            memory="512",
            executionRoleArn=role,
            **({"taskRoleArn": role} if task_role else {}),
            containerDefinitions=containers,
            **more,
        )["taskDefinition"]["taskDefinitionArn"]
        return arn

    def run(self, task_definition: str, **parameters: Any) -> str:
        """RunTask; the task's ARN."""
        arn: str = self.ecs.run_task(
            cluster="c",
            launchType="FARGATE",
            taskDefinition=task_definition,
            networkConfiguration=self.network,
            **parameters,
        )["tasks"][0]["taskArn"]
        return arn

    def task(self, arn: str) -> dict[str, Any]:
        found: dict[str, Any] = self.ecs.describe_tasks(cluster="c", tasks=[arn])["tasks"][0]
        return found

    def stopped(self, arn: str, timeout: float = LONG_SECONDS) -> dict[str, Any]:
        """The task once it has stopped."""
        eventually(lambda: self.task(arn)["lastStatus"] == "STOPPED", timeout)
        return self.task(arn)

    def running(self, arn: str) -> dict[str, Any]:
        """The task once it runs."""
        eventually(lambda: self.task(arn)["lastStatus"] == "RUNNING")
        return self.task(arn)

    def lines(self, task_arn: str) -> list[str]:
        """What a task's container `main` has logged."""
        stream = f"p/main/{task_arn.rsplit('/', 1)[-1]}"
        events = self.logs.get_log_events(logGroupName="/g", logStreamName=stream, startFromHead=True)["events"]
        return [event["message"] for event in events]

    def machine(self, definition: dict[str, Any], name: str = "m") -> str:
        """Create a state machine; its ARN."""
        role = f"arn:aws:iam::{self.server.account}:role/r"
        arn: str = self.sfn.create_state_machine(name=name, definition=json.dumps(definition), roleArn=role)[
            "stateMachineArn"
        ]
        return arn

    def execute(self, machine: str, input: Any = None, **parameters: Any) -> dict[str, Any]:
        """Start an execution and wait for its end; its description."""
        arn = self.sfn.start_execution(stateMachineArn=machine, input=json.dumps(input or {}), **parameters)[
            "executionArn"
        ]
        return self.finished(arn)

    def finished(self, execution_arn: str, timeout: float = LONG_SECONDS) -> dict[str, Any]:
        """The execution once it has ended."""
        eventually(lambda: self.sfn.describe_execution(executionArn=execution_arn)["status"] != "RUNNING", timeout)
        found: dict[str, Any] = self.sfn.describe_execution(executionArn=execution_arn)
        return found


@pytest.fixture
def cloud(server: Server) -> Iterator[Cloud]:
    """A server with a running agent."""
    engine, environment = CommandEngine(), PlainEnvironment()
    agent = Agent(server, engine, AnyImage(), environment)
    agent.start()
    yield Cloud(server, agent, engine, environment)
    agent.stop(timeout=5)


@pytest.fixture
def clock() -> FakeClock:
    """Tomorrow, at half past some hour: later than whatever a test creates, and not when an hourly schedule is due."""
    return FakeClock(datetime.now(UTC).replace(minute=30, second=0, microsecond=0) + timedelta(days=1))


@pytest.fixture
def ticking(server: Server, clock: FakeClock) -> Iterator[Agent]:
    """An agent that does nothing by itself: `tick` it, in the time of `clock`."""
    agent = Agent(server, CommandEngine(), AnyImage(), PlainEnvironment(), clock)
    yield agent
    agent.stop(timeout=5)


def eventually(condition: Callable[[], object], timeout: float = LONG_SECONDS, message: str = "") -> None:
    """Wait until a condition holds; fail when it does not in time."""
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail(message or f"it did not come true within {timeout} s")
        time.sleep(0.01)


@pytest.fixture
def wait_until() -> Callable[..., None]:
    return eventually
