"""A thousand runs in virtual time, and a hundred jobs that are due at the same moment."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from localcloud.agent import tasks as agent_tasks
from localcloud.agent.agent import Agent
from localcloud.agent.slots import Capacity
from localcloud.engines import Container, Exit
from localcloud.metrics.series import KEPT_SECONDS
from localcloud.server import Server
from tests.localcloud import long_run
from tests.localcloud.conftest import AnyImage, Cloud, CommandEngine, PlainEnvironment

RUNS = 1_000
MOST_GROWTH = 0.10
WARM = 200
"""Runs after which the process has met all that it will meet: caches are full, modules loaded."""


# --- long ------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def months(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What a thousand runs over four months have left behind."""
    home = tmp_path_factory.mktemp("long") / "cloud"
    command = [sys.executable, str(Path(long_run.__file__)), str(home), str(RUNS)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def due(until: int) -> Iterator[str]:
    """Job and moment of the runs that must have been, worked out without a schedule."""
    day, count = long_run.START.date() + timedelta(days=1), 0
    while count < until:
        midnight = datetime(day.year, day.month, day.day, tzinfo=UTC)
        night = datetime(day.year, day.month, day.day, 2, 30, tzinfo=ZoneInfo("Europe/Amsterdam")).astimezone(UTC)
        exists = night.astimezone(ZoneInfo("Europe/Amsterdam")).hour == 2  # not on the day the clock goes forward
        moments = [(midnight, name) for name in long_run.TWICE_A_DAY]
        moments += [(midnight + timedelta(hours=12), name) for name in long_run.TWICE_A_DAY]
        moments += [(night, long_run.AT_NIGHT)] if exists else []
        for moment, name in sorted(moments):
            yield f"{name} {moment:%Y-%m-%dT%H:%M:%SZ}"
            count += 1
        day += timedelta(days=1)


def test_a_thousand_runs_are_neither_missed_nor_doubled(months: Any) -> None:
    record = months["record"]
    assert len(record) >= RUNS
    expected = sorted(due(len(record)), key=lambda line: line.split()[1])[: len(record)]
    assert sorted(record) == sorted(expected)


def test_what_is_over_is_forgotten_in_time(months: Any) -> None:
    executions = months["executions"]
    assert {status for statuses in executions.values() for status in statuses} == {"SUCCEEDED"}
    assert {name: len(statuses) for name, statuses in executions.items()} == {
        **dict.fromkeys(long_run.TWICE_A_DAY, pytest.approx(180, abs=2)),  # 90 days
        long_run.AT_NIGHT: pytest.approx(90, abs=2),
    }
    assert months["tasks"] <= 5, "a stopped task is shown for an hour"
    assert months["streams"] <= 9 * (long_run.RETENTION_DAYS + 1)
    total = sum(len(statuses) for statuses in executions.values())
    assert months["rows"] == {"task": months["tasks"], "execution": total, "stream": months["streams"]}


def test_memory_does_not_grow_with_the_runs(months: Any) -> None:
    memory = {int(runs): size for runs, size in months["memory"].items()}
    warm = next(size for runs, size in memory.items() if runs >= WARM)
    grown = memory[max(memory)] / warm - 1
    assert grown <= MOST_GROWTH, f"{warm >> 20} MiB after {WARM} runs, {grown:+.1%} at the end"


def test_of_very_many_stopped_tasks_the_first_are_forgotten(cloud: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agent_tasks, "MOST_STOPPED_TASKS", 3)
    definition = cloud.define("true")
    arns = [cloud.run(definition) for _ in range(1)]
    for _ in range(5):
        cloud.stopped(arns[-1])
        arns.append(cloud.run(definition))
    cloud.stopped(arns[-1])
    assert cloud.ecs.list_tasks(cluster="c", desiredStatus="STOPPED")["taskArns"] == arns[-4:]


def test_old_metrics_are_forgotten(server: Server) -> None:
    metrics = server.client("cloudwatch")
    now = datetime.now(UTC)
    ages = {
        "old": timedelta(seconds=KEPT_SECONDS + 60),
        "kept": timedelta(seconds=KEPT_SECONDS - 3600),
        "new": timedelta(),
    }
    for name, age in ages.items():
        metrics.put_metric_data(Namespace="n", MetricData=[{"MetricName": name, "Value": 1, "Timestamp": now - age}])
    assert sorted(metric["MetricName"] for metric in metrics.list_metrics()["Metrics"]) == ["kept", "new"]


# --- wide ------------------------------------------------------------------------------------------------------------

JOBS, AT_ONCE = 100, 6


class CountingEngine(CommandEngine):
    """Counts how many containers of jobs run at once."""

    def __init__(self) -> None:
        super().__init__()
        self.running: set[str] = set()
        self.most = 0
        self._counting = threading.Lock()

    def start(self, container: Container, on_line: Callable[[str], None], on_exit: Callable[[Exit], None]) -> Any:
        name = container.environment.get("JOB", "")

        def ended(exit: Exit) -> None:
            with self._counting:
                self.running.discard(name)
            on_exit(exit)

        if name:
            with self._counting:
                self.running.add(name)
                self.most = max(self.most, len(self.running))
        return super().start(container, on_line, ended)


class Crowd(Cloud):
    """A cloud on a small machine, with jobs that are all due at once."""

    moment: datetime

    def job(self, number: int, command: str, limit: int = 600) -> str:
        name = f"job-{number:03d}"
        definition = self.define("sh", "-c", command, family=name, environment=[{"name": "JOB", "value": name}])
        parameters = {
            "Cluster": "c",
            "TaskDefinition": definition,
            "LaunchType": "FARGATE",
            "NetworkConfiguration": {"AwsvpcConfiguration": {"Subnets": self._subnets()}},
        }
        state = {"Type": "Task", "Resource": "arn:aws:states:::ecs:runTask.sync", "Parameters": parameters, "End": True}
        machine = self.machine({"StartAt": "Run", "States": {"Run": {**state, "TimeoutSeconds": limit}}}, name)
        self.server.client("scheduler").create_schedule(
            Name=name,
            ScheduleExpression=f"at({self.moment:%Y-%m-%dT%H:%M:%S})",
            FlexibleTimeWindow={"Mode": "OFF"},
            Target={"Arn": machine, "RoleArn": f"arn:aws:iam::{self.server.account}:role/r", "Input": "{}"},
        )
        return machine

    def _subnets(self) -> list[str]:
        return self.network["awsvpcConfiguration"]["subnets"]

    def executions(self) -> list[dict[str, Any]]:
        return [
            execution
            for machine in self.sfn.get_paginator("list_state_machines").paginate().build_full_result()["stateMachines"]
            for execution in self.sfn.list_executions(stateMachineArn=machine["stateMachineArn"])["executions"]
        ]

    def tasks(self, status: str) -> list[dict[str, Any]]:
        pages = self.ecs.get_paginator("list_tasks").paginate(cluster="c", desiredStatus=status)
        arns = pages.build_full_result()["taskArns"]
        found: list[dict[str, Any]] = []
        for start in range(0, len(arns), 100):
            found += self.ecs.describe_tasks(cluster="c", tasks=arns[start : start + 100])["tasks"]
        return found


@pytest.fixture
def crowd(server: Server, clock: Any) -> Iterator[Crowd]:
    """Six tasks of jobs at once, 6 GiB for them; a clock that a test moves."""
    agent = Agent(server, CountingEngine(), AnyImage(), PlainEnvironment(), clock, capacity=Capacity(AT_ONCE, 6144))
    agent.start()
    made = Crowd(server, agent, agent.tasks._engine, agent.tasks._environment)  # type: ignore[arg-type]
    made.moment = clock.now() + timedelta(hours=1)
    yield made
    agent.stop(timeout=5)


def test_a_hundred_jobs_due_at_once_all_run_in_order_and_services_do_not_wait(
    crowd: Crowd, clock: Any, wait_until: Any, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    for number in range(JOBS):
        crowd.job(number, f"until [ -e {gate} ]; do sleep 0.1; done")
    clock.advance(hours=1)
    crowd.agent.schedules.changed()
    wait_until(lambda: len(crowd.tasks("RUNNING")) > 2 * AT_ONCE)
    waiting = [task for task in crowd.tasks("RUNNING") if task["lastStatus"] == "PROVISIONING"]
    reasons = {task["containers"][0].get("reason", "") for task in waiting[1:]}
    assert any("6 tasks of jobs run at once on this machine" in reason for reason in reasons), reasons

    service = crowd.define("sleep", "60", family="web")
    crowd.ecs.create_service(
        cluster="c", serviceName="web", taskDefinition=service, desiredCount=1, launchType="FARGATE",
        networkConfiguration=crowd.network,
    )  # fmt: skip
    wait_until(lambda: crowd.ecs.describe_services(cluster="c", services=["web"])["services"][0]["runningCount"] == 1)
    assert not crowd.tasks("STOPPED"), "no job has ended yet"

    gate.touch()
    wait_until(lambda: len([e for e in crowd.executions() if e["status"] == "SUCCEEDED"]) == JOBS, 120)
    assert crowd.engine.most == AT_ONCE, "as many as there are places, and no more"
    stopped = [task for task in crowd.tasks("STOPPED") if task["group"] != "service:web"]
    assert len(stopped) == JOBS
    assert all("reason" not in task["containers"][0] for task in stopped), "who has run waits no more"
    in_order = sorted(stopped, key=lambda task: task["createdAt"])
    begun = [task["pullStartedAt"] for task in in_order]
    late = [n for n, moment in enumerate(begun) if any(moment < earlier for earlier in begun[: max(0, n - AT_ONCE)])]
    assert late == [], "somebody was overtaken by more than those that start beside it"


def test_who_waits_can_be_stopped_and_the_next_has_its_place(crowd: Crowd, wait_until: Any) -> None:
    sleeper = crowd.define("sleep", "60")
    first = [crowd.run(sleeper) for _ in range(AT_ONCE)]
    waiting, last = crowd.run(sleeper), crowd.run(sleeper)
    for arn in first:
        crowd.running(arn)
    crowd.ecs.stop_task(cluster="c", task=waiting, reason="enough")
    stopped = crowd.stopped(waiting)
    assert (stopped["stopCode"], stopped["stoppedReason"]) == ("UserInitiated", "enough")
    assert "startedAt" not in stopped and "exitCode" not in stopped["containers"][0]
    assert crowd.task(last)["lastStatus"] == "PROVISIONING"
    crowd.ecs.stop_task(cluster="c", task=first[0])
    crowd.running(last)
    assert "reason" not in crowd.task(last)["containers"][0]


def test_who_waits_for_memory_is_not_passed_and_a_giant_runs_alone(crowd: Crowd, wait_until: Any) -> None:
    sleeper = crowd.define("sleep", "60")
    half = [crowd.run(sleeper, overrides={"cpu": "512", "memory": "3072"}) for _ in range(2)]
    for arn in half:
        crowd.running(arn)
    giant = crowd.run(sleeper, overrides={"cpu": "2048", "memory": "9216"})
    small = crowd.run(sleeper, overrides={"cpu": "256", "memory": "512"})
    wait_until(lambda: crowd.task(giant)["containers"][0].get("reason"))
    assert "6144 of the 6144 MiB" in crowd.task(giant)["containers"][0]["reason"]
    crowd.ecs.stop_task(cluster="c", task=half[0])
    crowd.stopped(half[0])
    assert crowd.task(small)["lastStatus"] == crowd.task(giant)["lastStatus"] == "PROVISIONING"
    crowd.ecs.stop_task(cluster="c", task=half[1])
    crowd.running(giant)
    crowd.ecs.stop_task(cluster="c", task=giant)
    crowd.running(small)


def test_a_states_time_limit_does_not_run_while_its_task_waits(crowd: Crowd) -> None:
    blocked = [crowd.run(crowd.define("sleep", "60")) for _ in range(AT_ONCE)]
    quick, slow = crowd.job(0, "true", limit=3), crowd.job(1, "sleep 60", limit=3)
    started = [crowd.sfn.start_execution(stateMachineArn=machine)["executionArn"] for machine in (quick, slow)]
    time.sleep(4)
    assert [crowd.sfn.describe_execution(executionArn=arn)["status"] for arn in started] == ["RUNNING"] * 2
    for arn in blocked:
        crowd.ecs.stop_task(cluster="c", task=arn)
    assert crowd.finished(started[0])["status"] == "SUCCEEDED"
    late = crowd.finished(started[1])
    assert (late["status"], late.get("error")) == ("FAILED", "States.Timeout")


def test_the_number_is_the_machines_or_the_persons() -> None:
    own = Capacity.of_this_machine()
    assert own.tasks >= 4 and own.memory_mb > 0
    assert Capacity.of_this_machine(2) == Capacity(2, own.memory_mb)
