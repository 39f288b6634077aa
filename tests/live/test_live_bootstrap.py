"""The bootstrap project on the local cloud, with plain Pulumi as docs/aws.md has it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from bench.sandbox import Sandbox

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
    """A person at a shell in which `herd env` was evaluated, with a state of their own."""

    def __init__(self, sandbox: Sandbox):
        self.sandbox = sandbox
        state = sandbox.folder / "state"
        state.mkdir()
        self.variables = {
            key: value for key, value in sandbox.herd_env().items() if not key.startswith("PULUMI_OPTION_")
        } | {"PULUMI_BACKEND_URL": f"file://{state}", "PULUMI_CONFIG_PASSPHRASE": "of this test"}
        self.variables.pop("PULUMI_CONFIG_PASSPHRASE_FILE", None)

    def pulumi(self, *arguments: str, check: bool = True) -> Any:
        command = ["pulumi", "-C", str(self.sandbox.folder / "bootstrap"), "--non-interactive", *arguments]
        return self.sandbox.run(*command, check=check, env=self.variables)

    def aws(self, *arguments: str) -> Any:
        return json.loads(self.sandbox.run("aws", *arguments, "--output", "json", env=self.variables).stdout or "null")


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Account]:
    with Sandbox(tmp_path_factory.mktemp("bootstrap") / "checkout", samples=False) as sandbox:
        sandbox.write("bootstrap/Pulumi.main.yaml", SETTINGS)
        sandbox.write("jobs/count/workload.toml", 'schedule = "none"\ncommand = "true"\n')
        sandbox.herd("up", "--no-run")
        account = Account(sandbox)
        account.pulumi("stack", "init", "main")
        account.pulumi("up", "--yes", "--stack", "main")
        yield account
        sandbox.herd("down", check=False)


def test_it_makes_the_account_ready(account: Account) -> None:
    exports = json.loads(account.pulumi("stack", "output", "--json", "--stack", "main").stdout)
    assert exports["backend"] == f"s3://herd-{ACCOUNT}-state?region=eu-west-1"
    assert exports["roles"].keys() == {"preview", "deploy"}
    limit = account.aws("iam", "get-policy", "--policy-arn", exports["boundary"])["Policy"]
    assert limit["PolicyName"] == "herd-boundary"
    attached = account.aws("iam", "list-attached-role-policies", "--role-name", "herd-deploy")["AttachedPolicies"]
    assert len(attached) == 6
    versioning = account.aws("s3api", "get-bucket-versioning", "--bucket", f"herd-{ACCOUNT}-state")
    assert versioning["Status"] == "Enabled"


def test_again_changes_nothing(account: Account) -> None:
    account.pulumi("preview", "--expect-no-changes", "--stack", "main")
    account.pulumi("refresh", "--yes", "--expect-no-changes", "--stack", "main")


def test_nothing_of_it_goes_by_mistake(account: Account) -> None:
    refused = account.pulumi("destroy", "--yes", "--stack", "main", check=False)
    assert refused.returncode != 0 and "protect" in (refused.stdout + refused.stderr).lower()
    assert account.aws("s3api", "get-bucket-versioning", "--bucket", f"herd-prod-{ACCOUNT}-data")["Status"] == "Enabled"


def test_on_purpose_it_goes_wholly(account: Account) -> None:
    account.pulumi("state", "unprotect", "--all", "--yes", "--stack", "main")
    account.pulumi("destroy", "--yes", "--stack", "main")
    names = [bucket["Name"] for bucket in account.aws("s3api", "list-buckets")["Buckets"]]
    assert not [name for name in names if name.endswith("-state") or "prod" in name]
