"""What was retained stays until somebody says that it goes: named by `herd up`, `doctor` and `down`."""

from __future__ import annotations

import shutil
from collections.abc import Callable

import pytest

from soak.world import World
from tests.herd.policy.partner import declare

pytestmark = [pytest.mark.live, pytest.mark.xdist_group("faults-retained")]

OWN = """
from pulumi import ResourceOptions
from pulumi_aws.cloudwatch.log_group import LogGroup
LogGroup("archive", name="/herd-dev/archive", retention_in_days=30, tags=project.context.tags(),
         opts=ResourceOptions(retain_on_delete=RETAIN))
"""


@pytest.fixture(scope="module")
def world(worlds: Callable[[str], World]) -> World:
    """Small: only a service."""
    made = worlds("retained")
    for folder in ("jobs", "reports"):
        shutil.rmtree(made.folder / folder)
    return made


def archive(world: World, retain: str = "") -> None:
    """The program as it is, with an archive of the team's own if `retain` is a word of Python."""
    declare(world.folder, OWN.replace("RETAIN", retain) if retain else "")


def groups(world: World) -> list[str]:
    found = world.target().client("logs").describe_log_groups(logGroupNamePrefix="/herd-dev/archive")
    return [one["logGroupName"] for one in found["logGroups"]]


def test_what_was_retained_is_named_and_goes_only_when_told(world: World) -> None:
    archive(world, "True")
    world.herd("up", "--no-run")
    archive(world)
    world.herd("up", "--no-run")
    assert groups(world) == ["/herd-dev/archive"]
    assert "logGroup:LogGroup archive (/herd-dev/archive) of dev" in world.herd("doctor", check=False).stdout

    archive(world, "False")
    refused = world.herd("up", "--no-run", check=False)
    assert refused.returncode == 1 and "ResourceAlreadyExistsException" in refused.stderr, refused.stderr
    archive(world)
    world.herd("up", "--no-run")

    down = world.herd("down")
    assert "not removed, because it was retained" in down.stderr and "herd down --retained" in down.stderr, down.stderr
    assert groups(world) == ["/herd-dev/archive"], "the local cloud stays up for it"
    world.herd("up", "--no-run")
    assert groups(world) == ["/herd-dev/archive"], "a new environment has not taken it for its own"
    world.herd("down", "--retained")
    world.assert_nothing_left()


def test_a_state_that_is_gone_as_a_whole_is_taken_up_again(world: World) -> None:
    archive(world)
    world.herd("up", "--no-run")
    before = world.counts()
    shutil.rmtree(world.checkout.pulumi)
    done = world.herd("up", "--no-run")
    assert "Pulumi's state of dev is gone" in done.stderr, done.stderr
    assert world.counts() == before
    assert "nothing changed" in world.herd("up", "--no-run").stdout
    world.herd("down")
    world.assert_nothing_left()
