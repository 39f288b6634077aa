"""What the agent changes of declared state it declares like anybody else, so that the journal has it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest

from localcloud.agent.agent import Agent
from localcloud.journal.scope import declares
from localcloud.request import Call, Request, Response
from localcloud.server import Server


class Declared:
    """Remembers the names of declaring requests."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def perform(self, call: Call, request: Request, carry_out: Callable[[Request], Response]) -> Response:
        if declares(call):
            self.names.append(call.operation or f"{request.method} {request.url}")
        return carry_out(request)


@pytest.fixture
def declared(server: Server) -> Iterator[Declared]:
    server.recorder = declared = Declared()
    yield declared
    server.recorder = None


def test_a_rollback(cloud: Any, declared: Declared, wait_until: Any) -> None:
    # One that cannot start: a program that ends at once was up for a moment, and without a health check that counts.
    good, bad = cloud.define("sleep", "60", family="web"), cloud.define("/no/such/program", family="web")
    cloud.ecs.create_service(
        cluster="c", serviceName="web", taskDefinition=good, desiredCount=1, launchType="FARGATE",
        networkConfiguration=cloud.network,
        deploymentConfiguration={"deploymentCircuitBreaker": {"enable": True, "rollback": True}},
    )  # fmt: skip

    def shown() -> dict[str, Any]:
        found: dict[str, Any] = cloud.ecs.describe_services(cluster="c", services=["web"])["services"][0]
        return found

    wait_until(lambda: shown()["deployments"][0]["rolloutState"] == "COMPLETED")
    declared.names.clear()
    cloud.ecs.update_service(cluster="c", service="web", taskDefinition=bad)
    wait_until(lambda: shown()["taskDefinition"] == good)
    assert declared.names == ["UpdateService"] * 2, "ours and the agent's"


def test_a_schedule_that_removes_itself(server: Server, ticking: Agent, clock: Any, declared: Declared) -> None:
    moment: datetime = clock.now() + timedelta(hours=1)
    server.client("scheduler").create_schedule(
        Name="once", ScheduleExpression=f"at({moment:%Y-%m-%dT%H:%M:%S})", FlexibleTimeWindow={"Mode": "OFF"},
        ActionAfterCompletion="DELETE",
        Target={"Arn": f"arn:aws:sqs:eu-west-1:{server.account}:q", "RoleArn": "arn:aws:iam::123456789012:role/r"},
    )  # fmt: skip
    ticking.schedules.tick()
    declared.names.clear()
    clock.advance(hours=2)
    ticking.schedules.tick()
    assert [name.split("?")[0] for name in declared.names] == ["DeleteSchedule"]


def test_a_log_group_made_for_a_task(cloud: Any, declared: Declared, wait_until: Any) -> None:
    options = {"awslogs-group": "/new", "awslogs-region": "eu-west-1", "awslogs-stream-prefix": "p",
               "awslogs-create-group": "true"}  # fmt: skip
    definition = cloud.define("true", logConfiguration={"logDriver": "awslogs", "options": options})
    declared.names.clear()
    cloud.ecs.run_task(cluster="c", taskDefinition=definition, launchType="FARGATE", networkConfiguration=cloud.network)
    wait_until(lambda: "CreateLogGroup" in declared.names)
    assert declared.names == ["CreateLogGroup"]
