"""The state of a service, from what ECS and the load balancer answer."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from herd import services
from herd.target import Exports

NEW, OLD = (
    "arn:aws:ecs:eu-west-1:1:task-definition/herd-dev-api:2",
    "arn:aws:ecs:eu-west-1:1:task-definition/herd-dev-api:1",
)
TOLD = {"service": "herd-dev-api", "task_definition": "herd-dev-api", "log_group": "/x"}


class Answers:
    """A target whose clients answer with one service and the health of its targets."""

    def __init__(self, service: dict[str, Any], health: list[str]) -> None:
        self.exports = Exports({"cluster": "herd-dev"})
        self._ecs = SimpleNamespace(
            describe_services=lambda **_: {"services": [service] if service else []},
            describe_task_definition=lambda **_: {"taskDefinition": {"taskDefinitionArn": NEW}},
            exceptions=SimpleNamespace(ClientException=KeyError),
        )
        found = [{"TargetHealth": {"State": state}} for state in health]
        self._elbv2 = SimpleNamespace(describe_target_health=lambda **_: {"TargetHealthDescriptions": found})

    def client(self, name: str) -> Any:
        return {"ecs": self._ecs, "elbv2": self._elbv2}[name]


def service(rollout: str, definition: str = NEW, desired: int = 1, **more: Any) -> dict[str, Any]:
    primary = {"status": "PRIMARY", "rolloutState": rollout, "rolloutStateReason": f"it is {rollout}"}
    return {
        "status": "ACTIVE",
        "desiredCount": desired,
        "runningCount": desired,
        "taskDefinition": definition,
        "deployments": [primary],
        "events": [],
        "loadBalancers": [{"targetGroupArn": "arn:tg"}],
        **more,
    }


@pytest.mark.parametrize(
    ("found", "health", "state", "reason"),
    [
        pytest.param(service("COMPLETED"), ["healthy"], "healthy", "", id="healthy"),
        pytest.param(
            service("COMPLETED", desired=2), ["healthy", "unhealthy"], "healthy", "", id="one of two is enough"
        ),
        pytest.param(service("COMPLETED"), ["unhealthy"], "unhealthy", "", id="no healthy target"),
        pytest.param(service("IN_PROGRESS"), ["initial"], "deploying", "", id="deploying"),
        pytest.param(service("IN_PROGRESS"), ["healthy"], "deploying", "", id="old copies still serve"),
        pytest.param(service("FAILED"), ["unhealthy"], "unhealthy", "it is FAILED", id="first deployment failed"),
        pytest.param(
            service("COMPLETED", OLD),
            ["healthy"],
            "rolled-back",
            "runs herd-dev-api:1, wanted is herd-dev-api:2",
            id="rolled back",
        ),
        pytest.param(
            service("COMPLETED", OLD, events=[{"message": "deployment failed: tasks failed to start."}]),
            ["healthy"],
            "rolled-back",
            "deployment failed: tasks failed to start.",
            id="rolled back, with the reason",
        ),
        pytest.param(service("COMPLETED", desired=0), [], "stopped", "", id="scaled to nothing"),
        pytest.param({}, [], "stopped", "the service does not exist", id="gone"),
    ],
)
def test_the_state_of_a_service(found: dict[str, Any], health: list[str], state: str, reason: str) -> None:
    looked = services.look(Answers(found, health), "api", TOLD)  # type: ignore[arg-type]
    assert (looked.state, looked.reason) == (state, reason)
    assert looked.healthy == (state == "healthy")
