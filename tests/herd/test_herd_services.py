"""The state of a service, from what ECS and the load balancer answer."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any
from unittest.mock import ANY

import pytest

from herd.runs import services
from herd.targets.local import LocalTarget
from tests.herd.outputs import parsed, service_export
from tests.herd.outputs import service as service_output

NEW, OLD = (
    "arn:aws:ecs:eu-west-1:1:task-definition/herd-dev-api:2",
    "arn:aws:ecs:eu-west-1:1:task-definition/herd-dev-api:1",
)
API = service_export()


class Answers:
    """A target whose clients answer with one service and the health of its targets."""

    def __init__(self, service: dict[str, Any], health: list[str], description: str = "") -> None:
        self.exports = parsed()
        self.pace = LocalTarget.pace
        self._ecs = SimpleNamespace(
            describe_services=lambda **_: {"services": [service] if service else []},
            describe_task_definition=lambda **_: {"taskDefinition": {"taskDefinitionArn": NEW}},
            list_tasks=lambda **_: {"taskArns": []},
            exceptions=SimpleNamespace(ClientException=KeyError),
        )
        found = [{"TargetHealth": {"State": state, "Description": description}} for state in health]
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
    looked = services.look(Answers(found, health), "api", API)  # type: ignore[arg-type]
    assert (looked.state, looked.reason) == (state, reason)
    assert looked.healthy == (state == "healthy")


UNHEALTHY = "(service s) (port 8000) is unhealthy in (target-group arn:tg) due to (reason {})"
CODES_404 = "Health checks failed with these codes: [404]"
STEADY = {"message": "(service s) has reached a steady state."}
ADVICE_404 = 'GET /up answers 404; name a path that answers 200 in apis/api/workload.toml, like health = "/"'
NO_ANSWER = (
    "nothing answers GET /up on $PORT (Request timed out); if it takes longer to start, raise start_minutes = 2 in "
    "apis/api/workload.toml"
)


def events(*messages: str) -> list[dict[str, str]]:
    """The newest first, as ECS gives them."""
    return [{"message": message} for message in messages]


@pytest.mark.parametrize(
    ("found", "description", "reason"),
    [
        pytest.param(service("COMPLETED"), CODES_404, ADVICE_404, id="its only target is unhealthy"),
        pytest.param(
            service("FAILED", events=events("deployment failed: …", UNHEALTHY.format(CODES_404))),
            "",
            f"it is FAILED; {ADVICE_404}",
            id="given up, and no target is left",
        ),
        pytest.param(
            service(
                "COMPLETED",
                OLD,
                events=[
                    STEADY,
                    *events("rolling back", "deployment failed: tasks failed.", UNHEALTHY.format(CODES_404)),
                ],
            ),
            "",
            f"runs herd-dev-api:1, wanted is herd-dev-api:2: deployment failed: tasks failed; {ADVICE_404}",
            id="rolled back",
        ),
        pytest.param(service("COMPLETED"), "Request timed out", NO_ANSWER, id="no answer"),
        pytest.param(
            service("COMPLETED"),
            "Health checks failed with these codes: [503]",
            "GET /up answers 503, and must answer 200 while the process is up",
            id="never ready",
        ),
        pytest.param(
            service("FAILED", events=[*events("deployment failed: …"), STEADY, *events(UNHEALTHY.format(CODES_404))]),
            "",
            "it is FAILED",
            id="what was wrong before it worked is not what is wrong now",
        ),
    ],
)
def test_what_the_load_balancer_complains_of_names_the_setting(
    found: dict[str, Any], description: str, reason: str
) -> None:
    export = service_export(health="/up", start_seconds=120)
    target = Answers(found, ["unhealthy"] if description else [], description)
    assert services.look(target, "api", export).reason == reason  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        ("", 'GET /up answers 404; name a path that answers 200: health = "/"'),
        (
            f"runs x:1, wanted is x:2; {ADVICE_404}",
            'runs x:1, wanted is x:2; GET /up answers 404; name a path that answers 200: health = "/"',
        ),
        ("the service does not exist", "the service does not exist"),
    ],
)
def test_what_the_runner_saw_says_more_and_checks_are_no_news(
    monkeypatch: pytest.MonkeyPatch, reason: str, expected: str
) -> None:
    printed = [
        'herd: GET /up answers 404; name a path that answers 200: health = "/"',
        "loading",
        *['INFO:  10.0.0.1:5 - "GET /api/up HTTP/1.1" 404 Not Found'] * 30,
        "Traceback",
    ]
    monkeypatch.setattr("herd.runs.logs.tail", lambda *_: [SimpleNamespace(text=line) for line in printed])
    export = service_export(health="/up")
    why, lines = services.explain(Answers(service("FAILED"), []), "api", export, reason)  # type: ignore[arg-type]
    assert why == expected
    assert lines == [printed[0], "loading", "Traceback"]


def test_slow_starts_are_waited_for() -> None:
    assert services.longest_start([service_export(start_seconds=60), service_export(start_seconds=300), API]) == 300
    assert services.longest_start([API]) == services.USUAL_START_SECONDS, "exports of an earlier release"


def test_what_was_deployed_is_what_the_exports_say_not_what_was_registered_since() -> None:
    export = service_export(task_definition_arn=OLD)
    looked = services.look(Answers(service("COMPLETED", OLD), ["healthy"]), "api", export)  # type: ignore[arg-type]
    assert looked.state == "healthy"


def test_up_waits_for_nothing_but_names_what_does_not_run_what_was_deployed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("herd.runs.logs.tail", lambda *_: [])
    for found, expected in (
        (service("COMPLETED", OLD), ["✗ api is rolled-back: runs herd-dev-api:1, wanted is herd-dev-api:2"]),
        ({}, ["✗ api is stopped: the service does not exist"]),
        (service("COMPLETED"), []),
    ):
        target = Answers(found, ["healthy"])
        target.exports = parsed(workloads={"api": service_output()})
        assert services.wait(target) == expected  # type: ignore[arg-type]
