"""The real Pulumi engine with the plugins' executables: a small environment's life, and what a `kill -9` leaves."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.localcloud.plugins_engine import Engine, engine_in

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
class Environment(Engine):
    """The engine, and what this file's program makes."""

    def destroy(self) -> str:
        return self("destroy", "--yes", "--skip-preview")

    def names(self) -> list[str]:
        """Everything that exists, by logical name."""
        iam, s3, logs = map(self.client, ("iam", "s3", "logs"))
        roles = [role["RoleName"] for role in iam.list_roles()["Roles"]]
        policies = [name for role in roles for name in iam.list_role_policies(RoleName=role)["PolicyNames"]]
        buckets = [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]]
        groups = [group["logGroupName"] for group in logs.describe_log_groups()["logGroups"]]
        return sorted(name.split("-")[0] for name in [*roles, *policies, *buckets, *groups])


EVERYTHING = sorted(f"{kind}{number}" for kind in ("role", "policy", "bucket", "logs") for number in range(8))


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Environment]:
    with engine_in(tmp_path_factory.mktemp("plugins")) as engine:
        (engine.folder / "program" / "__main__.py").write_text(PROGRAM)
        engine("stack", "init", "dev")
        yield Environment(engine.folder, engine.pulumi)


def test_an_environment_goes_up_stays_changes_and_goes(engine: Environment) -> None:
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
def test_kills_leave_no_duplicate_and_no_orphan(engine: Environment, share: float) -> None:
    engine.killed_up("/one/", int(RESOURCES * share), engine.destroy)
    engine.up("/one/")
    assert engine.names() == EVERYTHING
    engine.killed_up("/two/", RESOURCES + max(1, int(16 * share)), lambda: engine.up("/one/"))
    engine.up("/two/")
    assert engine.names() == EVERYTHING
    engine("preview", "--expect-no-changes", path="/two/")
    engine("destroy", "--yes", "--skip-preview")
    assert engine.names() == [] and engine.known() == 0


def test_a_sweep_removes_what_a_kill_left(engine: Environment) -> None:
    engine.killed_up("/one/", RESOURCES // 2, engine.destroy)
    engine.destroy()
    removed = engine.ask(do="sweep", project="proj", stack="dev")["removed"]
    assert removed and engine.names() == [] and engine.known() == 0


@pytest.fixture
def program(engine: Environment) -> Iterator[Path]:
    """The program's file, to be replaced by another for one test."""
    file = engine.folder / "program" / "__main__.py"
    yield file
    file.write_text(PROGRAM)


def test_a_refused_property_stops_the_update_with_its_name(engine: Environment, program: Path) -> None:
    program.write_text("from pulumi_aws.s3.bucket import Bucket\nBucket('b', acl='private')\n")
    output = engine("up", "--yes", "--skip-preview", status=1)
    assert "does not support the property 'acl' of aws:s3/bucket:Bucket" in output


def test_what_exists_is_looked_up_imported_and_brought_back(engine: Environment, program: Path) -> None:
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


def test_a_secret_stays_one(engine: Environment, program: Path) -> None:
    program.write_text(
        "import pulumi\nfrom pulumi_aws.cloudwatch.log_group import LogGroup\n"
        "group = LogGroup('g', name=pulumi.Output.secret('/hidden-name'))\npulumi.export('name', group.name)\n"
    )
    assert "name: [secret]" in engine.up("")
    engine("destroy", "--yes", "--skip-preview")


EXPLICIT = """
import pulumi, pulumi_aws as aws
from pulumi_aws.cloudwatch.log_group import LogGroup
provider = aws.Provider("team", region="eu-central-1", allowed_account_ids=["ACCOUNT"],
    default_tags={"tags": {"owner": "team"}})
group = LogGroup("g", name="/explicit", tags={"a": "1"}, opts=pulumi.ResourceOptions(provider=provider))
pulumi.export("arn", group.arn)
pulumi.export("tags", group.tags_all)
pulumi.export("account", aws.get_caller_identity(opts=pulumi.InvokeOptions(provider=provider)).account_id)
"""


def test_an_explicit_provider_has_its_own_region_tags_and_accounts(engine: Environment, program: Path) -> None:
    account = engine.client("sts").get_caller_identity()["Account"]
    program.write_text(EXPLICIT.replace("ACCOUNT", account))
    output = engine.up("")
    assert f"arn:aws:logs:eu-central-1:{account}:log-group:/explicit" in output and account in output
    assert 'owner: "team"' in output or '"owner": "team"' in output, output
    engine("preview", "--expect-no-changes")
    program.write_text(EXPLICIT.replace("ACCOUNT", "999999999999"))
    refused = engine("preview", status=1)
    assert f"the account here is {account}" in refused and "999999999999" in refused
    program.write_text(EXPLICIT.replace("ACCOUNT", account))
    engine("destroy", "--yes", "--skip-preview")
