"""CodeBuild: a schedule starts a build, which runs with its variables and ends as its commands do."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from localcloud.agent.agent import Agent
from localcloud.agent.builds import script
from localcloud.server import Server

NOON = datetime(2031, 6, 2, 12, 0, tzinfo=UTC)


def project(server: Server, *commands: str, **variables: str) -> Any:
    client = server.client("codebuild")
    lines = "".join(f"      - {command}\n" for command in commands)
    client.create_project(
        name="ends",
        source={"type": "NO_SOURCE", "location": "none", "buildspec": f"phases:\n  build:\n    commands:\n{lines}"},
        artifacts={"type": "NO_ARTIFACTS"},
        environment={
            "type": "LINUX_CONTAINER",
            "image": "aws/codebuild/standard:7.0",
            "computeType": "BUILD_GENERAL1_SMALL",
            "environmentVariables": [{"name": name, "value": value} for name, value in variables.items()],
        },
        serviceRole=f"arn:aws:iam::{server.account}:role/ends",
    )
    return client


def ended(client: Any, identifier: str) -> str:
    deadline = time.monotonic() + 30
    while not (build := client.batch_get_builds(ids=[identifier])["builds"][0]).get("buildComplete"):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return str(build["buildStatus"])


def test_a_schedule_starts_a_build_at_its_moment(server: Server, ticking: Agent, clock: Any, tmp_path: Path) -> None:
    client = project(server, f'echo "$WHO $ELSE" > {tmp_path}/done', WHO="nobody", ELSE="kept")
    clock.time = datetime(2031, 6, 2, 11, 59, tzinfo=UTC)
    server.client("scheduler").create_schedule(
        Name="end",
        ScheduleExpression="at(2031-06-02T12:00:00)",
        FlexibleTimeWindow={"Mode": "OFF"},
        Target={
            "Arn": "arn:aws:scheduler:::aws-sdk:codebuild:startBuild",
            "RoleArn": f"arn:aws:iam::{server.account}:role/r",
            "Input": '{"ProjectName": "ends", "EnvironmentVariablesOverride": [{"Name": "WHO", "Value": "pr-17"}]}',
        },
    )
    ticking.schedules.tick()
    assert client.list_builds_for_project(projectName="ends")["ids"] == []
    clock.time = NOON
    ticking.schedules.tick()
    (identifier,) = client.list_builds_for_project(projectName="ends")["ids"]
    assert ended(client, identifier) == "SUCCEEDED"
    assert (tmp_path / "done").read_text() == "pr-17 kept\n"


@pytest.mark.parametrize(
    ("command", "status"), [("exit 3", "FAILED"), ("no-such-program", "FAILED"), ("exit 0", "SUCCEEDED")]
)
def test_a_build_ends_as_its_commands_do(server: Server, ticking: Agent, command: str, status: str) -> None:
    client = project(server, command)
    assert ended(client, client.start_build(projectName="ends")["build"]["id"]) == status


def test_nothing_of_this_machines_settings_reaches_a_build(
    server: Server, ticking: Agent, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("THE_PERSONS_OWN", "token")
    client = project(server, f"env > {tmp_path}/variables")
    assert ended(client, client.start_build(projectName="ends")["build"]["id"]) == "SUCCEEDED"
    assert "THE_PERSONS_OWN" not in (tmp_path / "variables").read_text()


@pytest.mark.parametrize(
    "more", [{"buildspecOverride": "phases: {}"}, {"imageOverride": "x"}, {"timeoutInMinutesOverride": 5}]
)
def test_what_would_change_what_runs_is_refused_by_name(server: Server, ticking: Agent, more: dict[str, Any]) -> None:
    client = project(server, "exit 0")
    with pytest.raises(ClientError, match=f"starts no build with {next(iter(more))}"):
        client.start_build(projectName="ends", **more)


@pytest.mark.parametrize("text", ["", "phases:", "phases: {build: 1}", "phases: {build: {}}", "[1", "phases: [1]"])
def test_what_is_no_buildspec_runs_nothing(text: str) -> None:
    with pytest.raises(ValueError, match="buildspec"):
        script(text)


def test_commands_run_in_the_order_of_their_phases() -> None:
    assert (
        script("phases: {post_build: {commands: [c]}, install: {commands: [a]}, build: {commands: [b]}}") == "a\nb\nc"
    )
