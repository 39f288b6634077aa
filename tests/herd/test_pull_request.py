"""The settings of a pull request's environment: dev's, without what is shared with those that are kept."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from botocore.exceptions import ClientError

from herd.checkout import pull_request
from herd.checkout.find import Checkout
from herd.deploy import ends
from herd.errors import HerdError, WrongInput
from herd.targets.aws import AwsTarget

DEV = {
    "secretsprovider": "awskms://alias/herd-state?region=eu-west-1",
    "encryptedkey": "AQID",
    "config": {
        "aws:region": "eu-west-1",
        "herd:account": "123456789012",
        "herd:boundary": "arn:aws:iam::123456789012:policy/herd-boundary",
        "herd:data_bucket": "herd-dev-123456789012-data",
        "herd:image_repositories": "herd",
        "herd:domain": "dev.example.com",
        "herd:sign_in": {"client_id": "x", "client_secret": {"secure": "v1:x"}},
        "herd:allow_public": True,
    },
}


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    (tmp_path / "Pulumi.yaml").write_text("name: herd\n")
    (tmp_path / "Pulumi.dev.yaml").write_text(yaml.safe_dump(DEV))
    return Checkout(tmp_path, tmp_path / "cache")


@pytest.mark.parametrize("number", ["", "0", "017", "-1", "1.5", "17 ", "17\n", "1" * 10, "१७", "17;ls", "../17", "x"])
def test_a_number_is_one(number: str) -> None:
    with pytest.raises(WrongInput, match="is no pull request's number, like 17"):
        pull_request.stack_name(number)
    assert pull_request.stack_name("17") == "pr-17"


def test_it_is_like_dev_and_shares_nothing_with_others(checkout: Checkout) -> None:
    assert pull_request.write(checkout, "pr-17") == DEV["secretsprovider"]
    written = yaml.safe_load((checkout.root / "Pulumi.pr-17.yaml").read_text())
    assert written == {
        "secretsprovider": DEV["secretsprovider"],
        "config": {
            "aws:region": "eu-west-1",
            "herd:account": "123456789012",
            "herd:boundary": "arn:aws:iam::123456789012:policy/herd-pr-boundary",
            "herd:allow_public": True,
        },
    }


def test_a_file_of_the_teams_own_is_left_alone(checkout: Checkout) -> None:
    path = checkout.root / "Pulumi.pr-17.yaml"
    path.write_text("config: {}\n")
    assert pull_request.write(checkout, "pr-17") == ""
    assert path.read_text() == "config: {}\n"


def test_dev_must_be_there_and_be_like_dev(checkout: Checkout) -> None:
    path = checkout.root / "Pulumi.dev.yaml"
    path.write_text("config:\n  herd:profile: prod\n")
    with pytest.raises(WrongInput, match=r"Pulumi\.dev\.yaml: herd:profile is prod"):
        pull_request.write(checkout, "pr-17")
    path.unlink()
    with pytest.raises(WrongInput, match=r"Pulumi\.dev\.yaml is not there"):
        pull_request.write(checkout, "pr-17")


@pytest.mark.parametrize(
    ("projects", "nightly", "why"),
    [
        ([{"name": "herd-ends"}], False, ""),
        ([], True, ""),
        ([], False, "nothing would remove pr-17 when its time is over"),
        (None, True, "cannot be read"),
    ],
)
def test_an_environment_on_aws_ends_by_codebuild_or_by_the_nightly_workflow(
    checkout: Checkout, monkeypatch: pytest.MonkeyPatch, projects: list[Any] | None, nightly: bool, why: str
) -> None:
    def batch_get_projects(names: list[str]) -> dict[str, Any]:
        if projects is None:
            raise ClientError({"Error": {"Code": "AccessDeniedException", "Message": "no"}}, "BatchGetProjects")
        return {"projects": projects}

    target = AwsTarget(checkout, "pr-17")
    monkeypatch.setattr(target, "client", lambda service: SimpleNamespace(batch_get_projects=batch_get_projects))
    if nightly:
        (checkout.root / ends.NIGHTLY).parent.mkdir(parents=True)
        (checkout.root / ends.NIGHTLY).write_text("name: janitor\n")
    if why:
        with pytest.raises(HerdError, match=why):
            ends.prepare(target)
    else:
        ends.prepare(target)
