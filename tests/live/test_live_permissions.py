"""A job whose code wants what belongs to another job: it fails in every way that it tries."""

from __future__ import annotations

import json
import sysconfig
from pathlib import Path
from typing import Any

import pytest

from harness.sandbox import Sandbox

pytestmark = [pytest.mark.live, pytest.mark.xdist_group("live-permissions")]

ACCOUNT, REGION = "123456789012", "eu-west-1"
BUCKET = f"herd-dev-{ACCOUNT}-data"
HUSH = "the-vaults-own-secret-value"

TEAM = {
    "jobs/vault/workload.toml": 'retries = 0\n[secrets]\nVAULT_KEY = "vault-key"\n',
    "jobs/vault/main.py": (
        "import os, pathlib\n"
        'assert os.environ["VAULT_KEY"] == "' + HUSH + '"\n'
        '(pathlib.Path(os.environ["HERD_OUTPUTS"]) / "private.txt").write_text("nobody else may read this")\n'
    ),
    "jobs/thief/workload.toml": 'retries = 0\n[params]\ntarget = ""\n',
}


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("permissions")
    with Sandbox(folder / "checkout", samples=False) as sandbox:
        for path, text in TEAM.items():
            sandbox.write(path, text)
        sandbox.write("jobs/thief/main.py", (Path(__file__).parent / "thief.py").read_text())
        sandbox.write("value", HUSH)
        sandbox.herd("secret", "set", "vault-key", "--file", "value", "--yes")
        sandbox.herd("up", timeout_seconds=280)
        yield sandbox


@pytest.fixture(scope="module")
def target(sandbox: Sandbox) -> dict[str, Any]:
    """What there is to steal, as exactly as somebody could know it."""
    keys = [entry["Key"] for entry in sandbox.client("s3").list_objects_v2(Bucket=BUCKET)["Contents"]]
    roles = [role["Arn"] for role in sandbox.client("iam").list_roles()["Roles"] if "/herd-dev/" in role["Arn"]]
    ecs = sandbox.client("ecs")
    families = ecs.list_task_definition_families(status="ACTIVE")["families"]
    family = next(name for name in families if "vault" in name)
    definition = ecs.describe_task_definition(taskDefinition=family)["taskDefinition"]
    machines = sandbox.client("stepfunctions").list_state_machines()["stateMachines"]
    secret = sandbox.client("secretsmanager").list_secrets()["SecretList"][0]
    mine = [definition["taskRoleArn"], definition["executionRoleArn"]]
    return {
        "packages": sysconfig.get_path("purelib"),
        "account": ACCOUNT,
        "bucket": BUCKET,
        "key": next(key for key in keys if key.startswith("vault/versions/") and key.endswith("private.txt")),
        "own": "thief",
        "secret": secret["Name"],
        "secret_arn": secret["ARN"],
        "roles": [*mine, *(role for role in roles if "/tasks/" not in role)],
        "my_role": next(role for role in roles if "thief" in role and "task" in role.rsplit("/", 1)[-1]),
        "scheduler_role": next(role for role in roles if "scheduler" in role),
        "cluster": "herd-dev",
        "family": family,
        "container": definition["containerDefinitions"][0]["name"],
        "machine": next(machine["stateMachineArn"] for machine in machines if "vault" in machine["name"]),
        "log_group": definition["containerDefinitions"][0]["logConfiguration"]["options"]["awslogs-group"],
        "subnets": [s["SubnetId"] for s in sandbox.client("ec2").describe_subnets()["Subnets"]],
    }


def objects(sandbox: Sandbox, prefix: str) -> dict[str, str]:
    listed = sandbox.client("s3").list_objects_v2(Bucket=BUCKET, Prefix=prefix)
    return {entry["Key"]: entry["ETag"] for entry in listed["Contents"]}


def test_a_job_cannot_get_what_is_anothers_however_it_tries(sandbox: Sandbox, target: dict[str, Any]) -> None:
    before = objects(sandbox, "vault/")
    sandbox.herd("run", "thief", "--param", f"target={json.dumps(target)}", timeout_seconds=240)
    s3 = sandbox.client("s3")
    run = json.loads(s3.get_object(Bucket=BUCKET, Key="thief/latest.json")["Body"].read())["run_id"]
    told = s3.get_object(Bucket=BUCKET, Key=f"thief/versions/{run}/outcomes.json")["Body"].read().decode()
    outcomes: dict[str, str] = json.loads(told)
    for name in [name for name in outcomes if name.startswith("allowed: ")]:
        assert outcomes.pop(name).startswith("SUCCEEDED"), name
    assert len(outcomes) >= 50
    assert {name: answer for name, answer in outcomes.items() if answer.startswith("SUCCEEDED")} == {}
    assert HUSH not in told
    denied = [name for name, answer in outcomes.items() if "is not authorized to perform" in answer]
    assert len(denied) >= 40, json.dumps({n: a for n, a in outcomes.items() if n not in denied}, indent=1)
    assert objects(sandbox, "vault/") == before
    kept = sandbox.client("secretsmanager").get_secret_value(SecretId=target["secret"])
    assert kept["SecretString"] == HUSH
    assert sandbox.client("iam").list_users()["Users"] == []


def test_the_log_says_once_what_was_missing(sandbox: Sandbox, target: dict[str, Any]) -> None:
    lines = (sandbox.folder / ".herd/cloud/cloud.log").read_text().splitlines()
    arn = f"arn:aws:s3:::{BUCKET}/{target['key']}"
    wanted = f'add: {{"Effect":"Allow","Action":"s3:GetObject","Resource":"{arn}"}}'
    assert len([line for line in lines if wanted in line]) == 1
