"""The bootstrap project on the local cloud, with plain Pulumi as docs/aws.md has it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from typing import Any

import pytest

from harness.sandbox import Sandbox

pytestmark = [pytest.mark.live, pytest.mark.xdist_group("live-bootstrap")]

ACCOUNT = "123456789012"
SETTINGS = f"""
config:
  aws:region: eu-west-1
  herd-bootstrap:account: "{ACCOUNT}"
  herd-bootstrap:repository: acme/delays
  herd-bootstrap:repository_id: "123"
  herd-bootstrap:owner_id: "45"
"""


class Account:
    """A person at a shell in which `herd env` was evaluated, and whose state is in the account's bucket."""

    def __init__(self, sandbox: Sandbox):
        self.sandbox = sandbox
        env = sandbox.herd_env()
        self.s3, self.iam = sandbox.client("s3"), sandbox.client("iam")
        self.variables = {key: value for key, value in env.items() if not key.startswith("PULUMI_OPTION_")}
        for name in ("PULUMI_CONFIG_PASSPHRASE_FILE", "PULUMI_SKIP_CHECKPOINTS"):  # theirs are for a state in files
            self.variables.pop(name, None)
        port = (sandbox.folder / ".herd/cloud/port").read_text().strip()
        place = f"region=eu-west-1&endpoint=http://127.0.0.1:{port}&use_path_style=true"
        # A copy: Pulumi writes into the file that it is given.
        settings = sandbox.home / "Pulumi.main.yaml"
        shutil.copyfile(sandbox.folder / "bootstrap/Pulumi.main.yaml", settings)
        self.variables |= {
            "PULUMI_OPTION_CONFIG_FILE": str(settings),
            "PULUMI_BACKEND_URL": f"s3://herd-{ACCOUNT}-state?{place}",
            "PULUMI_CONFIG_PASSPHRASE": "",
        }

    def pulumi(self, *arguments: str, check: bool = True) -> Any:
        command = ["pulumi", "-C", str(self.sandbox.folder / "src/herd/bootstrap"), "--non-interactive", *arguments]
        return self.sandbox.run(*command, check=check, env=self.variables)


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Account]:
    with Sandbox(tmp_path_factory.mktemp("bootstrap") / "checkout", samples=False) as sandbox:
        sandbox.write("bootstrap/Pulumi.main.yaml", SETTINGS)
        done = sandbox.herd("bootstrap", "--local", check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        for line in (
            f"the account {ACCOUNT} is ready",
            f"herd:data_bucket: herd-prod-{ACCOUNT}-data",
            f"herd:boundary: arn:aws:iam::{ACCOUNT}:policy/herd-boundary",
            f"AWS_DEPLOY_ROLE=arn:aws:iam::{ACCOUNT}:role/herd-deploy",
        ):
            assert line in done.stdout, done.stdout
        yield Account(sandbox)


def test_it_makes_the_account_ready(account: Account) -> None:
    exports = json.loads(account.pulumi("stack", "output", "--json", "--stack", "main").stdout)
    assert exports["backend"] == f"s3://herd-{ACCOUNT}-state?region=eu-west-1"
    assert exports["roles"].keys() == {"preview", "deploy", "environments", "run-dev", "run-prod"}
    limit = account.iam.get_policy(PolicyArn=exports["boundary"])["Policy"]
    assert limit["PolicyName"] == "herd-boundary"
    attached = account.iam.list_attached_role_policies(RoleName="herd-deploy")["AttachedPolicies"]
    assert len(attached) == 7
    versioning = account.s3.get_bucket_versioning(Bucket=f"herd-{ACCOUNT}-state")
    assert versioning["Status"] == "Enabled"


def test_its_state_is_in_the_bucket_and_nowhere_else(account: Account) -> None:
    keys = account.s3.list_objects_v2(Bucket=f"herd-{ACCOUNT}-state", Prefix=".pulumi/stacks/")
    assert ".pulumi/stacks/herd-bootstrap/main.json" in [entry["Key"] for entry in keys["Contents"]]
    assert not list(account.sandbox.folder.glob(".herd/bootstrap/**/.pulumi"))
    assert not (account.sandbox.folder / "bootstrap/Pulumi.main.yaml").read_text().count("encryptionsalt")


def test_the_command_again_changes_nothing_and_says_the_same(account: Account) -> None:
    done = account.sandbox.herd("bootstrap", "--local")
    assert f"the account {ACCOUNT} is ready" in done.stdout and "+ " not in done.stdout


def test_again_changes_nothing(account: Account) -> None:
    account.pulumi("preview", "--expect-no-changes", "--stack", "main")
    account.pulumi("refresh", "--yes", "--expect-no-changes", "--stack", "main")


def test_nothing_of_it_goes_by_mistake(account: Account) -> None:
    refused = account.pulumi("destroy", "--yes", "--stack", "main", check=False)
    assert refused.returncode != 0 and "protect" in (refused.stdout + refused.stderr).lower()
    assert account.s3.get_bucket_versioning(Bucket=f"herd-prod-{ACCOUNT}-data")["Status"] == "Enabled"


def test_on_purpose_it_goes_wholly(account: Account) -> None:
    """As docs/aws.md has it: its state is taken out of the bucket first, which must be empty to go."""
    out, bucket = account.sandbox.folder / "out", f"herd-{ACCOUNT}-state"
    out.mkdir()
    account.pulumi("stack", "export", "--stack", "main", "--file", str(out / "main.json"))
    account.variables["PULUMI_BACKEND_URL"] = f"file://{out}"
    account.pulumi("stack", "init", "main")
    account.pulumi("stack", "import", "--stack", "main", "--file", str(out / "main.json"))
    versions = account.s3.list_object_versions(Bucket=bucket)
    for entry in [*versions.get("Versions", []), *versions.get("DeleteMarkers", [])]:
        account.s3.delete_object(Bucket=bucket, Key=entry["Key"], VersionId=entry["VersionId"])
    account.pulumi("state", "unprotect", "--all", "--yes", "--stack", "main")
    account.pulumi("destroy", "--yes", "--stack", "main")
    names = [bucket["Name"] for bucket in account.s3.list_buckets()["Buckets"]]
    assert not [name for name in names if name.endswith("-state") or "prod" in name]
