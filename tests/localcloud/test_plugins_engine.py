"""The real Pulumi engine with the plugins' executables: a small environment's life, and what a `kill -9` leaves."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config

from herd.toolchain import pulumi_cli
from herd.toolchain.machine import user_cache

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.live

PROGRAM = """
import json, os
import pulumi
from pulumi_aws.cloudwatch.log_group import LogGroup
from pulumi_aws.iam.role import Role
from pulumi_aws.iam.role_policy import RolePolicy
from pulumi_aws.s3.bucket import Bucket

path = os.environ["ROLE_PATH"]
trust = json.dumps({"Version": "2012-10-17", "Statement": [
    {"Effect": "Allow", "Principal": {"Service": "ecs-tasks.amazonaws.com"}, "Action": "sts:AssumeRole"}]})
for number in range(8):
    role = Role(f"role{number}", assume_role_policy=trust, path=path, tags={"n": str(number)})
    bucket = Bucket(f"bucket{number}", force_destroy=True)
    LogGroup(f"logs{number}", retention_in_days=7)
    allow = {"Effect": "Allow", "Action": ["s3:GetObject"], "Resource": "RES"}
    policy = {"Version": "2012-10-17", "Statement": [allow]}
    text = bucket.arn.apply(lambda arn, policy=policy: json.dumps(policy).replace("RES", arn + "/*"))
    RolePolicy(f"policy{number}", role=role.name, policy=text)
pulumi.export("role", role.arn)
pulumi.export("host", bucket.bucket_regional_domain_name)
"""
RESOURCES = 8 * 4


@dataclass
class Engine:
    """A project, a local cloud of its own, and the real `pulumi`."""

    folder: Path
    pulumi: Path

    @property
    def endpoint(self) -> dict[str, Any]:
        return dict(json.loads((self.folder / "cloud" / "endpoint.json").read_text()))

    def start(self, *arguments: str, path: str = "/one/") -> subprocess.Popen[str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("PULUMI_", "AWS_"))}
        variables = {
            "ROLE_PATH": path, "PULUMI_HOME": str(self.folder / "pulumi-home"), "PULUMI_CONFIG_PASSPHRASE": "x",
            "PULUMI_BACKEND_URL": (self.folder / "state").as_uri(), "PULUMI_SKIP_UPDATE_CHECK": "true",
            "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true", "PULUMI_IGNORE_AMBIENT_PLUGINS": "true",
            "PULUMI_OPTION_NON_INTERACTIVE": "true", "PULUMI_OPTION_COLOR": "never", "PULUMI_SKIP_CHECKPOINTS": "true",
        }  # fmt: skip
        command = [str(self.pulumi), "-C", str(self.folder / "program"), *arguments]
        return subprocess.Popen(
            command, env={**kept, **variables}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            start_new_session=True,
        )  # fmt: skip

    def __call__(self, *arguments: str, path: str = "/one/", status: int = 0) -> str:
        with self.start(*arguments, path=path) as process:
            output = process.communicate(timeout=120)[0]
        assert process.returncode == status, output
        return output

    def up(self, path: str) -> str:
        return self("up", "--yes", "--skip-preview", path=path)

    def killed_up(self, path: str, entries: int) -> None:
        """Start an update, and kill the engine when the cloud knows so many resources."""
        with self.start("up", "--yes", "--skip-preview", path=path) as process:
            deadline = time.monotonic() + 60
            while self.known() < entries and process.poll() is None and time.monotonic() < deadline:
                time.sleep(0.005)
            process.kill()
        assert process.returncode == -9, "the update was over before it could be killed"
        self("cancel", "--yes")

    def ask(self, **request: Any) -> dict[str, Any]:
        with socket.socket(socket.AF_UNIX) as control:
            control.connect(self.endpoint["control"])
            control.sendall(json.dumps(request).encode() + b"\n")
            return dict(json.loads(control.makefile().readline()))

    def known(self) -> int:
        return int(self.ask(do="status")["stacks"].get("proj/dev", 0))

    def client(self, service: str) -> Any:
        session = boto3.session.Session(**self.credentials(), region_name="eu-west-1")
        config = Config(s3={"addressing_style": "path"})
        return session.client(service, endpoint_url=f"http://127.0.0.1:{self.endpoint['port']}", config=config)

    def names(self) -> list[str]:
        """Everything that exists, by logical name."""
        iam, s3, logs = map(self.client, ("iam", "s3", "logs"))
        roles = [role["RoleName"] for role in iam.list_roles()["Roles"]]
        policies = [name for role in roles for name in iam.list_role_policies(RoleName=role)["PolicyNames"]]
        buckets = [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]]
        groups = [group["logGroupName"] for group in logs.describe_log_groups()["logGroups"]]
        return sorted(name.split("-")[0] for name in [*roles, *policies, *buckets, *groups])

    def credentials(self) -> dict[str, str]:
        lines = (self.folder / "cloud" / "aws" / "credentials").read_text().splitlines()
        found = dict(line.replace(" ", "").split("=", 1) for line in lines if "=" in line)
        return {name: found[name] for name in ("aws_access_key_id", "aws_secret_access_key")}


EVERYTHING = sorted(f"{kind}{number}" for kind in ("role", "policy", "bucket", "logs") for number in range(8))


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    folder = tmp_path_factory.mktemp("plugins")
    engine = Engine(folder, pulumi_cli.ensure(user_cache()))
    for name in ("cloud", "cache", "program", "state", "pulumi-home/plugins"):
        (folder / name).mkdir(parents=True)
    (folder / "program" / "Pulumi.yaml").write_text(
        f"name: proj\nruntime:\n  name: python\n  options:\n    virtualenv: {Path(sys.prefix)}\n"
    )
    (folder / "program" / "__main__.py").write_text(PROGRAM)
    if not pulumi_cli.has_language_host(engine.pulumi):
        host = folder / "pulumi-home" / "plugins" / f"language-python-v{pulumi_cli.VERSION}" / "pulumi-language-python"
        host.parent.mkdir()
        host.write_text(f'#!/bin/sh\ncd "{ROOT}" && exec "{sys.executable}" -m herd.language_host "$@"\n')
        host.chmod(0o755)
    python, home = [sys.executable, "-m", "localcloud"], ["--home", str(folder / "cloud")]
    install = [*python, "install-plugins", *home, "--pulumi-home", str(folder / "pulumi-home")]
    subprocess.run(install, check=True, cwd=ROOT)
    serve = [*python, "serve", *home, "--cache", str(folder / "cache"), "--uv", "uv"]
    cloud = subprocess.Popen(serve, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert cloud.stdout is not None and "ready" in cloud.stdout.readline()
    engine("stack", "init", "dev")
    yield engine
    cloud.terminate()
    cloud.stdout.close()
    cloud.wait(30)


def test_an_environment_goes_up_stays_changes_and_goes(engine: Engine) -> None:
    output = engine.up("/one/")
    assert f"+ {RESOURCES + 1} created" in output
    assert f":{engine.endpoint['port']}" in output, "addresses lead to the local cloud"
    assert engine.names() == EVERYTHING
    engine("preview", "--expect-no-changes")
    engine("refresh", "--yes", "--skip-preview", "--expect-no-changes")
    preview = engine("preview", path="/two/")
    assert "+-16 to replace" in preview.replace("+- 16", "+-16"), preview
    engine.up("/two/")
    assert engine.names() == EVERYTHING
    engine("preview", "--expect-no-changes", path="/two/")
    engine("destroy", "--yes", "--skip-preview")
    assert engine.names() == [] and engine.known() == 0


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_kills_leave_no_duplicate_and_no_orphan(engine: Engine, share: float) -> None:
    engine.killed_up("/one/", int(RESOURCES * share))
    engine.up("/one/")
    assert engine.names() == EVERYTHING
    engine.killed_up("/two/", RESOURCES + max(1, int(16 * share)))
    engine.up("/two/")
    assert engine.names() == EVERYTHING
    engine("preview", "--expect-no-changes", path="/two/")
    engine("destroy", "--yes", "--skip-preview")
    assert engine.names() == [] and engine.known() == 0


def test_a_sweep_removes_what_a_kill_left(engine: Engine) -> None:
    engine.killed_up("/one/", RESOURCES // 2)
    engine("destroy", "--yes", "--skip-preview")
    time.sleep(1)  # what was being created when the engine was killed is finished
    removed = engine.ask(do="sweep", project="proj", stack="dev")["removed"]
    assert removed and engine.names() == [] and engine.known() == 0


@pytest.fixture
def program(engine: Engine) -> Iterator[Path]:
    """The program's file, to be replaced by another for one test."""
    file = engine.folder / "program" / "__main__.py"
    yield file
    file.write_text(PROGRAM)


def test_a_refused_property_stops_the_update_with_its_name(engine: Engine, program: Path) -> None:
    program.write_text("from pulumi_aws.s3.bucket import Bucket\nBucket('b', acl='private')\n")
    output = engine("up", "--yes", "--skip-preview", status=1)
    assert "does not support the property 'acl' of aws:s3/bucket:Bucket" in output


def test_what_exists_is_looked_up_imported_and_brought_back(engine: Engine, program: Path) -> None:
    logs = engine.client("logs")
    for name in ("/looked-up", "/imported"):
        logs.create_log_group(logGroupName=name)
        logs.put_retention_policy(logGroupName=name, retentionInDays=7)
    program.write_text(
        "import pulumi\nfrom pulumi_aws.cloudwatch.log_group import LogGroup\n"
        "pulumi.export('days', LogGroup.get('seen', '/looked-up').retention_in_days)\n"
        "LogGroup('kept', name='/imported', retention_in_days=7, opts=pulumi.ResourceOptions(import_='/imported'))\n"
    )
    output = engine.up("")
    assert "= 1 imported" in output and "days: 7" in output
    engine("preview", "--expect-no-changes")
    logs.put_retention_policy(logGroupName="/imported", retentionInDays=30)
    engine("preview", "--expect-no-changes")  # nobody looked
    assert "retentionInDays" in engine("up", "--refresh", "--yes", "--skip-preview", "--diff")
    assert logs.describe_log_groups(logGroupNamePrefix="/imported")["logGroups"][0]["retentionInDays"] == 7
    engine("destroy", "--yes", "--skip-preview")
    assert [group["logGroupName"] for group in logs.describe_log_groups()["logGroups"]] == ["/looked-up"]
    logs.delete_log_group(logGroupName="/looked-up")


def test_a_secret_stays_one(engine: Engine, program: Path) -> None:
    program.write_text(
        "import pulumi\nfrom pulumi_aws.cloudwatch.log_group import LogGroup\n"
        "group = LogGroup('g', name=pulumi.Output.secret('/hidden-name'))\npulumi.export('name', group.name)\n"
    )
    assert "name: [secret]" in engine.up("")
    engine("destroy", "--yes", "--skip-preview")
