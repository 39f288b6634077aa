"""The state of a service, from what ECS and the load balancer answer."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any
from unittest.mock import ANY

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
    primary = {
        "status": "PRIMARY",
        "taskDefinition": definition,
        "rolloutState": rollout,
        "rolloutStateReason": f"it is {rollout}",
    }
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
            "runs herd-dev-api:1, wanted is herd-dev-api:2: deployment failed: tasks failed to start.",
            id="rolled back, with the reason",
        ),
        pytest.param(service("COMPLETED", desired=0), [], "stopped", "", id="scaled to nothing"),
        pytest.param(
            service("COMPLETED", OLD, desired=0),
            [],
            "rolled-back",
            "runs herd-dev-api:1, wanted is herd-dev-api:2",
            id="scaled to nothing, with the wrong definition",
        ),
        pytest.param(service("IN_PROGRESS", OLD), ["healthy"], "rolled-back", ANY, id="on its way back"),
        pytest.param(service(""), ["healthy"], "deploying", "", id="not said to be completed"),
        pytest.param({}, [], "stopped", "the service does not exist", id="gone"),
    ],
)
def test_the_state_of_a_service(found: dict[str, Any], health: list[str], state: str, reason: str) -> None:
    looked = services.look(Answers(found, health), "api", TOLD)  # type: ignore[arg-type]
    assert (looked.state, looked.reason) == (state, reason)
    assert looked.healthy == (state == "healthy")


def test_what_was_deployed_is_what_the_exports_say_not_what_was_registered_since() -> None:
    told = {**TOLD, "task_definition_arn": OLD}
    looked = services.look(Answers(service("COMPLETED", OLD), ["healthy"]), "api", told)  # type: ignore[arg-type]
    assert looked.state == "healthy"


def test_up_waits_for_nothing_but_names_what_does_not_run_what_was_deployed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("herd.logs.tail", lambda *_: [])
    for found, expected in (
        (service("COMPLETED", OLD), ["✗ api is rolled-back: runs herd-dev-api:1, wanted is herd-dev-api:2"]),
        ({}, ["✗ api is stopped: the service does not exist"]),
        (service("COMPLETED"), []),
    ):
        target = Answers(found, ["healthy"])
        target.exports = Exports({"cluster": "herd-dev", "workloads": {"api": TOLD}})
        assert services.wait(target) == expected  # type: ignore[arg-type]
