"""`--stack`: account, region and stack are shown and confirmed, and nothing is done without."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from herd.targets.aws import AwsTarget
from herd.toolchain import pulumi_cli
from tests.herd.outputs import batch, outputs

PULUMI = """#!/bin/sh
echo "$PULUMI_OPTION_STACK: $*" >> "{log}"
case "$*" in
    *"config get aws:region"*) echo eu-central-1 ;;
    *"stack output"*) echo '{outputs}' ;;
    *preview*) echo '{{"summaryEvent": {{"resourceChanges": {{"same": 1}}}}}}' ;;
    *) echo "unexpected: $*" >&2; exit 1 ;;
esac
"""
MACHINE = "arn:aws:states:eu-central-1:210987654321:stateMachine:herd-prod-hello"
OUTPUTS = outputs(environment="prod", workloads={"hello": batch(machine=MACHINE, task_definition="herd-prod-hello")})


class Aws:
    """Stands in for boto3's session: knows who one is, and remembers what was started."""

    def __init__(self) -> None:
        self.started: list[dict[str, Any]] = []

    def client(self, name: str, **_: Any) -> Any:
        identity = SimpleNamespace(get_caller_identity=lambda: {"Account": "210987654321"})
        states = SimpleNamespace(start_execution=lambda **told: self.started.append(told))
        return {"sts": identity, "stepfunctions": states}[name]


@pytest.fixture
def aws(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Aws:
    made = Aws()
    pulumi = tmp_path / "pulumi"
    pulumi.write_text(PULUMI.format(log=tmp_path / "calls", outputs=json.dumps(OUTPUTS)))
    pulumi.chmod(0o755)
    monkeypatch.setattr(pulumi_cli, "ensure", lambda cache: pulumi)
    monkeypatch.setattr(AwsTarget, "_session", made)
    return made


def test_without_a_yes_nothing_is_started(cli: Any, aws: Aws) -> None:
    result = cli("run", "hello", "--stack", "prod")
    assert result.exit_code == 1
    assert "stack prod, AWS account 210987654321, region eu-central-1" in result.stderr
    assert "nothing was done" in result.stderr
    assert aws.started == []


def test_with_a_yes_it_is_started_there(cli: Any, aws: Aws) -> None:
    result = cli("run", "hello", "--stack", "prod", "--yes", "--detach", "--param", "month=3")
    assert result.exit_code == 0, result.stderr
    assert "AWS account 210987654321" in result.stderr
    assert aws.started[0]["stateMachineArn"] == MACHINE
    assert json.loads(aws.started[0]["input"])["params"] == {"month": 3}


def test_up_shows_the_preview_and_asks(cli: Any, aws: Aws, tmp_path: Path) -> None:
    result = cli("up", "--stack", "prod")
    assert result.exit_code == 1
    assert "nothing was done" in result.stderr
    calls = (tmp_path / "calls").read_text()
    assert "prod: " in calls and " preview --json" in calls and " up " not in calls


def test_down_asks(cli: Any, aws: Aws, tmp_path: Path) -> None:
    assert cli("down", "--stack", "prod").exit_code == 1
    assert "destroy" not in (tmp_path / "calls").read_text()


def test_wrong_settings_are_told_before_anything_is_asked(cli: Any, aws: Aws, root: Path, tmp_path: Path) -> None:
    (root / "jobs/hello/workload.toml").write_text("cpu = 3\n")
    assert cli("up", "--stack", "prod").exit_code == 2
    assert not (tmp_path / "calls").exists()


def test_a_preview_of_a_stack_is_a_comment_and_a_list_and_up_is_held_against_it(
    cli: Any, aws: Aws, tmp_path: Path
) -> None:
    saved = tmp_path / "reviewed.json"
    result = cli("preview", "--stack", "prod", "--format", "markdown", "--save", str(saved))
    assert result.exit_code == 0, result.stderr
    assert result.stdout.startswith("<!-- herd preview of prod -->\n### What this changes in `prod`\n")
    assert "stack prod, AWS account 210987654321, region eu-central-1" in result.stderr
    told = json.loads(saved.read_text())
    assert (told["environment"], told["changes"]) == ("prod", [])
    told["changes"] = [
        {"operation": "create", "urn": "u", "type": "aws:s3:Bucket", "name": "b", "differs": [], "digest": ""}
    ]
    saved.write_text(json.dumps(told))
    result = cli("up", "--stack", "prod", "--expect", str(saved), "--yes")
    assert result.exit_code == 1
    assert "reviewed, and not to be done any more: create aws:s3:Bucket b" in result.stderr
    assert " up " not in (tmp_path / "calls").read_text()


def test_account_and_region_are_said_before_anything_is_compared(cli: Any, aws: Aws) -> None:
    said = cli("up", "--stack", "prod").stderr
    assert said.index("AWS account 210987654321, region eu-central-1") < said.index("comparing prod")
