"""`herd bootstrap` before it reaches an account: what is missing is said, what is given is written down."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from harness.tools import with_pulumi
from herd.checkout.find import Checkout
from herd.deploy import bootstrap_account
from herd.deploy.bootstrap_account import Options
from herd.errors import HerdError, WrongInput
from herd.targets import exports


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "bootstrap").mkdir()
    (tmp_path / "Pulumi.yaml").write_text("name: herd\n")
    checkout = Checkout(tmp_path, with_pulumi(tmp_path / "cache"))
    monkeypatch.setattr(bootstrap_account, "find_checkout", lambda: checkout)
    return tmp_path


def test_without_settings_it_asks_for_account_and_region(root: Path) -> None:
    with pytest.raises(WrongInput, match=r"Pulumi.main.yaml is not there; to write it give --account and --region"):
        bootstrap_account.choose(Options(), here=False)
    assert not (root / bootstrap_account.SETTINGS).exists()


def test_what_is_given_is_written_down_beside_what_was_there(root: Path) -> None:
    (root / bootstrap_account.SETTINGS).write_text("config:\n  herd-bootstrap:images: [python, r]\n")
    account = bootstrap_account.choose(Options("123456789012", "eu-west-1", "acme/delays", "1", "2"), here=False)
    written = yaml.safe_load((root / bootstrap_account.SETTINGS).read_text())["config"]
    assert written["herd-bootstrap:images"] == ["python", "r"]
    assert (written["aws:region"], written["herd-bootstrap:account"]) == ("eu-west-1", "123456789012")
    assert account.bucket == "herd-123456789012-state"
    assert account.backend == "s3://herd-123456789012-state?region=eu-west-1"


def test_pulumi_gets_a_copy_of_the_settings_and_no_rules(root: Path) -> None:
    account = bootstrap_account.choose(Options("123456789012", "eu-west-1"), here=False)
    before = (root / bootstrap_account.SETTINGS).read_text()
    variables = account.environment("file:///somewhere")
    copy = Path(variables["PULUMI_OPTION_CONFIG_FILE"])
    assert (
        copy.is_relative_to(root / ".herd") and yaml.safe_load(copy.read_text())["config"]["aws:region"] == "eu-west-1"
    )
    assert variables["PULUMI_OPTION_POLICY_PACK"] == "" and variables["PULUMI_CONFIG_PASSPHRASE"] == ""
    assert (root / bootstrap_account.SETTINGS).read_text() == before


def made(**other: Any) -> dict[str, Any]:
    """What the project exports, as Pulumi has it."""
    return {
        "account": "123456789012",
        "region": "eu-west-1",
        "backend": "s3://state",
        "secrets_provider": "awskms://alias/x",
        "boundary": "arn:boundary",
        "image_repositories": "herd",
        "data_buckets": {"prod": "herd-prod-data"},
        "roles": {"preview": "arn:preview", "deploy": "arn:deploy"},
    } | other


def test_the_advice_names_what_goes_where() -> None:
    lines = bootstrap_account.advice(exports.parse_account(made(), "main")).splitlines()
    assert "    herd:data_bucket: herd-prod-data    # of prod" in lines
    assert "    AWS_DEPLOY_ROLE=arn:deploy" in lines and "    AWS_PREVIEW_ROLE=arn:preview" in lines
    without = exports.parse_account(made(roles={}), "main")
    assert not any("ROLE" in line for line in bootstrap_account.advice(without).splitlines())


def test_what_it_exports_is_checked_in_one_place() -> None:
    """A dictionary would fail where a value is used, after everything was made."""
    broken = made(boundary=None, of_ours=1)
    del broken["data_buckets"]
    with pytest.raises(HerdError) as refused:
        exports.parse_account(broken, "main")
    assert str(refused.value).splitlines() == [
        "the outputs of the stack main cannot be read; `herd bootstrap` writes them again:",
        "    boundary is None: input should be a valid string",
        "    data_buckets is missing",
    ]
