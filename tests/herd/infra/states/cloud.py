"""The local cloud's API and agent, with tasks whose exit codes a test scripts. Definitions run there as they are."""

import itertools
import json
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from herd.infra.states.asl import Target
from herd.runner.contract.due import Marker
from herd.runner.contract.keys import due_key
from localcloud.agent.agent import Agent
from localcloud.engines import CannotStart, Container, Exit
from localcloud.server import Server

REGION = "eu-west-1"

Script = Callable[[Mapping[str, str]], "int | Exit | None"]
"""Environment of a task -> how it ends; None runs until it is stopped. May raise CannotStart."""

_accounts = itertools.count(200000000000 + os.getpid() * 1000)


class _Handle:
    pid = 0

    def __init__(self, end: int | Exit | None, on_exit: Callable[[Exit], None]) -> None:
        self._over = threading.Event()
        self._exit: Exit | None = None
        self._on_exit = on_exit
        if end is not None:
            self._end(end if isinstance(end, Exit) else Exit(end))

    def _end(self, end: Exit) -> None:
        if not self._over.is_set():
            self._exit = end
            self._over.set()
            threading.Thread(target=self._on_exit, args=(self._exit,), daemon=True).start()

    def stop(self) -> None:
        self._end(Exit(143))

    def wait(self, timeout: float | None = None) -> Exit | None:
        self._over.wait(timeout)
        return self._exit


@dataclass
class ScriptedEngine:
    """Starts nothing; a task's end is what the script says."""

    script: Script = lambda environment: 0
    started: list[Mapping[str, str]] = field(default_factory=list)
    has_own_network = False

    def end_task(self, identity: str) -> None:
        """Nothing is kept for a task."""

    def start(self, container: Container, on_line: Callable[[str], None], on_exit: Callable[[Exit], None]) -> Any:
        self.started.append(container.environment)
        return _Handle(self.script(container.environment), on_exit)


@dataclass(frozen=True)
class _Image:
    digest: str
    manifest: str = "{}"


class _Images:
    def resolve(self, reference: str) -> _Image:
        return _Image("sha256:" + "0" * 64)


class _NoCredentials:
    def __call__(self, identity: object) -> dict[str, str]:
        return {}

    def release(self, task_arn: str) -> None:
        """Nothing was given."""


class Cloud:
    """`cloud.run(definition)` creates the machine, starts it and waits for its end."""

    def __init__(self, server: Server, engine: ScriptedEngine) -> None:
        self.engine = engine
        self._sfn, self._ecs, self._s3 = (server.client(name) for name in ("stepfunctions", "ecs", "s3"))
        self._role = f"arn:aws:iam::{server.account}:role/states"
        self._bucket = f"herd-dev-{server.account}-data"
        self._s3.create_bucket(Bucket=self._bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
        cluster = self._ecs.create_cluster(clusterName="herd-dev", capacityProviders=["FARGATE", "FARGATE_SPOT"])[
            "cluster"
        ]["clusterArn"]
        ec2 = server.client("ec2")
        vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
        subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.0.0/24")["Subnet"]["SubnetId"]
        group = ec2.create_security_group(GroupName="tasks", Description="tasks", VpcId=vpc)["GroupId"]
        self.target = Target("dev", "aws", cluster, self._bucket, (subnet,), (group,))

    def define(self, family: str) -> None:
        """A task definition whose tasks are told their `FAMILY`, so that a script can tell them apart."""
        self._ecs.register_task_definition(
            family=family,
            requiresCompatibilities=["FARGATE"],
            networkMode="awsvpc",
            cpu="256",
            memory="512",
            executionRoleArn=self._role,
            taskRoleArn=self._role,
            containerDefinitions=[
                {
                    "name": "main",
                    "image": "image",
                    "essential": True,
                    "environment": [{"name": "FAMILY", "value": family}],
                }
            ],
        )

    def machine(self, name: str, definition: Mapping[str, Any]) -> str:
        arn: str = self._sfn.create_state_machine(name=name, definition=json.dumps(definition), roleArn=self._role)[
            "stateMachineArn"
        ]
        return arn

    def start(self, machine: str, name: str, **given: Any) -> str:
        started = self._sfn.start_execution(stateMachineArn=machine, name=name, input=json.dumps(given))
        arn: str = started["executionArn"]
        return arn

    def end(self, execution: str) -> "Outcome":
        """Waits for the end of an execution."""
        wait_until(lambda: self._sfn.describe_execution(executionArn=execution)["status"] != "RUNNING", execution)
        found = self._sfn.describe_execution(executionArn=execution)
        return Outcome(
            found["status"],
            json.loads(found["output"]) if found.get("output") else None,
            found.get("error"),
            json.loads(found["cause"]) if found.get("cause", "").startswith("{") else found.get("cause"),
        )

    def run(self, machine: str, name: str = "run-1", **given: Any) -> "Outcome":
        return self.end(self.start(machine, name, **given))

    def history(self, machine: str) -> int:
        """How many events the one execution of a machine has."""
        (execution,) = self._sfn.list_executions(stateMachineArn=machine)["executions"]
        pages = self._sfn.get_paginator("get_execution_history").paginate(executionArn=execution["executionArn"])
        return sum(len(page["events"]) for page in pages)

    def record(self, key: str) -> dict[str, Any]:
        found = self._s3.get_object(Bucket=self._bucket, Key=f"_runs/{key}.json")
        loaded: dict[str, Any] = json.loads(found["Body"].read())
        return loaded

    def put_record(self, key: str, record: Mapping[str, Any]) -> None:
        self._s3.put_object(Bucket=self._bucket, Key=f"_runs/{key}.json", Body=json.dumps(record))

    def marker(self, of: str, due: str) -> Marker:
        return Marker.from_json(self._s3.get_object(Bucket=self._bucket, Key=due_key(of, due))["Body"].read())

    def put_marker(self, marker: Marker) -> None:
        key = due_key(marker.workload, marker.scheduled_time)
        self._s3.put_object(Bucket=self._bucket, Key=key, Body=marker.to_json())

    def records(self) -> list[str]:
        return [found["Key"] for found in self._s3.list_objects_v2(Bucket=self._bucket).get("Contents", [])]


@dataclass(frozen=True)
class Outcome:
    status: str
    output: Any
    error: str | None
    cause: Any


def wait_until(condition: Callable[[], object], what: str, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited {seconds} s for {what}"
        time.sleep(0.02)


@contextmanager
def cloud() -> Iterator[Cloud]:
    server = Server(str(next(_accounts)), REGION, "http://127.0.0.1:4999")
    engine = ScriptedEngine()
    agent = Agent(server, engine, _Images(), _NoCredentials())
    agent.start()
    try:
        yield Cloud(server, engine)
    finally:
        agent.stop(timeout=5)
        server.close()


__all__ = ["CannotStart", "Cloud", "Exit", "Outcome", "cloud", "wait_until"]
