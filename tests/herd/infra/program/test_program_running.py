"""What an update cannot give to an environment that runs is refused before anything is looked at."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pulumi
import pytest

from herd.infra.settings.frozen import changed, values
from herd.infra.settings.schema import PROFILES, Profile, Settings
from tests.herd.infra.program.mocks import ACCOUNT, REGION, TEAM, Answer, run_program, write_team
from tests.herd.infra.program.stack_changes import CHANGES, VPC, before_and_after, replaced

pytestmark = pytest.mark.xdist_group("program-changes")  # the runs of stack_changes

KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/1234abcd"
ADVICE = (
    "nothing was changed; put back what dev runs with, or take it down and make it anew (`herd down`, then `herd up`), "
    "or make another environment beside it"
)


def dev(account: str = ACCOUNT, region: str = REGION, **given: Any) -> Settings:
    return Settings.by_profile("dev", "herd", "dev", region, account, **{"allow_public": True, **given})


def runs_with(exports: Mapping[str, Any]) -> dict[str, Answer]:
    """The stack as Pulumi knows it: deployed, with these exports."""
    return {"readStackOutputs": lambda asked: {"name": asked["name"], "outputs": exports, "secretOutputNames": []}}


REFUSED: dict[str, tuple[Settings, Settings, list[str]]] = {
    "other addresses": (
        dev(), dev(vpc_cidr="10.9.0.0/16"),
        ["herd:vpc_cidr is 10.9.0.0/16, but dev runs with 10.0.0.0/16"]),
    "the company's network": (dev(), dev(**VPC), ["herd:vpc is vpc-company, but dev runs without one"]),
    "a network of its own": (dev(**VPC), dev(), ["herd:vpc is not set, but dev runs with vpc-company"]),
    "a key for the images that are there": (
        dev(), dev(encryption_key="create"), ["herd:encryption_key is create, but dev runs with none"]),
    "another key for them": (
        dev(encryption_key="create"), dev(encryption_key=KEY),
        [f"herd:encryption_key is {KEY}, but dev runs with create"]),
    "no key any more, with images that others keep": (
        dev(image_repositories="acme", encryption_key="create"), dev(image_repositories="acme"),
        ["herd:encryption_key is none, but dev runs with create: that key would go, and with it what only it can"]),
    "another place": (
        dev(), dev(account="210987654321", region="us-east-1"),
        [f"herd:account is 210987654321, but dev runs with {ACCOUNT}",
         f"aws:region is us-east-1, but dev runs with {REGION}"]),
    "all at once": (
        dev(), dev(vpc_cidr="10.9.0.0/16", encryption_key="create"),
        ["herd:vpc_cidr is 10.9.0.0/16, but", "herd:encryption_key is create, but"]),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_change_while_it_runs_is_refused_all_at_once(case: str, tmp_path: Path) -> None:
    before, after, expected = REFUSED[case]
    with pytest.raises(pulumi.RunError) as error:
        run_program(write_team(tmp_path, TEAM), after, runs_with({"runs_with": values(before)}))
    *lines, advice = str(error.value).splitlines()
    assert advice == ADVICE
    assert len(lines) == len(expected)
    for line, start in zip(lines, expected, strict=True):
        assert line.startswith(f"Pulumi.dev.yaml: {start}")


GIVEN: dict[str, tuple[Mapping[str, Any], Settings]] = {
    "nothing runs yet": ({}, dev(vpc_cidr="10.9.0.0/16")),
    "deployed before this was written down": ({"workloads": {}}, dev(vpc_cidr="10.9.0.0/16")),
    "the same": ({"runs_with": values(dev())}, dev()),
    "the same, of which an earlier Herd told less": ({"runs_with": {"vpc_cidr": "10.0.0.0/16"}}, dev(**VPC)),
    "another kind of network and more zones": ({"runs_with": values(dev())}, dev(network="nat", zones=3)),
    "addresses that are not its own": ({"runs_with": values(dev(**VPC))}, dev(vpc_cidr="10.9.0.0/16", **VPC)),
    "a key, with images that others keep": (
        {"runs_with": values(dev(image_repositories="acme"))}, dev(image_repositories="acme", encryption_key="create")),
    "a key, together with images that others keep": (
        {"runs_with": values(dev())}, dev(image_repositories="acme", encryption_key="create")),
}  # fmt: skip


@pytest.mark.parametrize("case", GIVEN)
def test_everything_else_is_given_to_it(case: str, tmp_path: Path) -> None:
    exports, settings = GIVEN[case]
    assert run_program(write_team(tmp_path, TEAM), settings, runs_with(exports)).exports["runs_with"] == values(
        settings
    )


IN_USE = ("ec2/securityGroup:", "ec2/subnet:", "ec2/vpc:", "ecr/repository:", "lb/targetGroup:")
"""What cannot be made anew while others stand in it, point to it or start from it."""


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("change", CHANGES)
def test_it_is_refused_just_where_something_in_use_would_be_replaced(change: str, profile: Profile) -> None:
    before, after = before_and_after(profile, change)
    refused = changed(before.exports["runs_with"], after.exports["runs_with"])
    assert bool(refused) == any(line.startswith(IN_USE) for line in replaced(before, after))


def test_the_stack_is_asked_for_by_its_whole_name(tmp_path: Path) -> None:
    """A short name would be looked up in the organization that the person works in by default."""
    asked = []

    def answer(told: Mapping[str, Any]) -> dict[str, Any]:
        asked.append(told["name"])
        return {}

    run_program(write_team(tmp_path, TEAM), dev(), {"readStackOutputs": answer})
    assert asked == ["acme/herd/dev"]
