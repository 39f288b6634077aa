"""Taking down what is protected: what is said, what must be typed, what is turned off before."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from herd import console
from herd.checkout.find import Checkout
from herd.deploy import down, protection
from herd.errors import HerdError, WrongInput
from herd.targets.aws import AwsTarget
from tests.herd.outputs import parsed

STATE = [
    {"urn": "urn:pulumi:prod::herd::pulumi:pulumi:Stack::herd-prod", "type": "pulumi:pulumi:Stack"},
    {"urn": "urn:pulumi:prod::herd::herd:infra:Bucket::reports", "type": "herd:infra:Bucket"},
    {
        "urn": "urn:pulumi:prod::herd::herd:infra:Bucket$aws:s3/bucket:Bucket::reports-bucket",
        "custom": True,
        "inputs": {"forceDestroy": False},
    },
    {
        "urn": "urn:pulumi:prod::herd::aws:lb/loadBalancer:LoadBalancer::public-balancer",
        "custom": True,
        "inputs": {"enableDeletionProtection": True},
    },
    {"urn": "urn:pulumi:prod::herd::aws:ecs/cluster:Cluster::ecs", "custom": True},
    {"urn": "urn:pulumi:prod::herd::pulumi:providers:aws::default", "custom": True},
]
OUTPUTS = {"protected": True, "adopted": {"data_bucket": "acme-data"}}


class Prod(AwsTarget):
    """A stack on AWS whose Pulumi and AWS are not asked."""

    account, region = "210987654321", "eu-central-1"  # type: ignore[assignment]

    def state_resources(self) -> list[dict[str, Any]]:
        return STATE


@pytest.fixture
def prod(checkout: Checkout) -> Prod:
    target = Prod(checkout, "prod")
    target.__dict__["deployed"] = parsed(**OUTPUTS)
    return target


@pytest.fixture
def done(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What the engine was told to do, in order."""
    told: list[Any] = []

    class Engine:
        def __init__(self, target: Any) -> None:
            pass

        def unprotect(self, settings: Path, urns: list[str]) -> None:
            told.append(([urn.rsplit("::")[-1] for urn in urns], yaml.safe_load(settings.read_text())["config"]))

        def destroy(self) -> None:
            told.append("destroy")

        def remove(self) -> None:
            told.append("remove")

    monkeypatch.setattr(down, "Engine", Engine)
    monkeypatch.setattr(down, "_stop_runs", lambda target: None)
    left = SimpleNamespace(own=[], unseen=())
    monkeypatch.setattr("herd.deploy.leftovers.look", lambda *_: left)
    monkeypatch.setattr(
        "herd.runs.secret_store.clear", lambda target, keep: told.append("keep secrets" if keep else "secrets")
    )
    return told


def typed(monkeypatch: pytest.MonkeyPatch, text: str | None) -> None:
    monkeypatch.setattr(console, "ask", lambda question: text)


def test_what_is_said(prod: Prod) -> None:
    assert protection.explain(prod, protection.resources_of(prod)) == [
        "prod is protected. Taking it down removes all of its 3 resources, and with them",
        "    aws:ecs:Cluster ecs: everything that runs in it",
        "    aws:lb:LoadBalancer public-balancer: its address: people and programs must use another one",
        "    aws:s3:Bucket reports-bucket: every object in it",
        "before that it turns off what keeps these from being deleted: public-balancer, reports-bucket",
        "what it only adopted stays: the data bucket acme-data",
        "its secrets stay; `herd secret rm` removes one",
    ]


@pytest.mark.parametrize(
    ("answer", "yes", "confirmed", "error"),
    [
        pytest.param("yes", False, None, HerdError, id="another word"),
        pytest.param("", False, None, HerdError, id="nothing"),
        pytest.param(None, True, None, HerdError, id="--yes is not enough"),
        pytest.param("prod", False, "dev", WrongInput, id="another name on the command line"),
    ],
)
def test_without_its_name_nothing_is_done(
    prod: Prod,
    done: list[Any],
    monkeypatch: pytest.MonkeyPatch,
    answer: str | None,
    yes: bool,
    confirmed: str | None,
    error: type[HerdError],
) -> None:
    typed(monkeypatch, answer)
    with pytest.raises(HerdError) as refused:
        down.take_down(prod, yes, confirmed)
    assert type(refused.value) is error
    assert yes is False or "herd down --stack prod --confirm prod" in str(refused.value)
    assert done == []


@pytest.mark.parametrize(("answer", "confirmed"), [("prod", None), (None, "prod")])
def test_with_its_name_the_protection_is_turned_off_first(
    prod: Prod,
    done: list[Any],
    checkout: Checkout,
    monkeypatch: pytest.MonkeyPatch,
    answer: str | None,
    confirmed: str | None,
) -> None:
    (checkout.root / "Pulumi.prod.yaml").write_text("secretsprovider: awskms://x\nconfig:\n  herd:profile: prod\n")
    typed(monkeypatch, answer)
    down.take_down(prod, False, confirmed)
    unprotected = {"herd:profile": "prod", "herd:protect": False}
    assert done == [(["reports-bucket", "public-balancer"], unprotected), "destroy", "keep secrets", "remove"]
    assert not list(checkout.state.glob("unprotected-*")), "the copy of the settings is gone"


def test_it_goes_as_it_runs_whatever_its_file_asks_for_by_now(prod: Prod, done: list[Any], checkout: Checkout) -> None:
    runs_with = {"vpc": "", "vpc_cidr": "10.0.0.0/16", "aws:region": "eu-central-1"}
    prod.__dict__["deployed"] = parsed(**OUTPUTS, runs_with=runs_with)
    (checkout.root / "Pulumi.prod.yaml").write_text("config:\n  herd:vpc_cidr: 10.9.0.0/16\n")
    down.take_down(prod, False, "prod")
    assert done[0][1] == {
        "herd:vpc": "",
        "herd:vpc_cidr": "10.0.0.0/16",
        "aws:region": "eu-central-1",
        "herd:protect": False,
    }


def test_one_that_is_not_protected_is_asked_for_with_yes_or_no(
    prod: Prod, done: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    prod.__dict__["deployed"] = parsed(protected=False)
    with pytest.raises(WrongInput):
        down.take_down(prod, True, "dev")
    down.take_down(prod, True)
    assert done == ["destroy", "secrets", "remove"]


@pytest.mark.parametrize(
    ("config", "protected"),
    [("herd:profile: prod", True), ("herd:protect: true", True), ("herd:profile: dev", False), ("herd:x: 1", False)],
)
def test_what_was_never_finished_is_as_protected_as_its_settings_say(prod: Prod, config: str, protected: bool) -> None:
    prod.__dict__["deployed"] = None
    (prod.checkout.root / "Pulumi.prod.yaml").write_text(f"config:\n  {config}\n")
    assert prod.is_protected is protected
