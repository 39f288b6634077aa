"""A change of each setting of a stack shows in the preview, in each profile; what it replaces is written down."""

import tomllib
from pathlib import Path

import pulumi
import pytest

from herd.engine.changes import short
from herd.infra.settings.schema import PROFILES, SETTINGS, Profile
from herd.review import follows
from herd.review.bill import BY_USE, COUNTED, is_free
from tests.herd.infra.program import setting_reach, stack_changes
from tests.herd.infra.program.mocks import run_program, write_team
from tests.herd.infra.program.stack_changes import CHANGES, REFUSES, TABLE, WIDE_TEAM, before_and_after

pytestmark = pytest.mark.xdist_group("program-changes")  # the runs of stack_changes


def test_every_setting_has_its_change() -> None:
    changed = {change.partition(" ")[0] for change in CHANGES}
    assert changed | REFUSES | {"profile"} == SETTINGS.keys()


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("change", CHANGES)
def test_a_setting_of_the_stack_changes_what_is_deployed(change: str, profile: Profile) -> None:
    before, after = before_and_after(profile, change)
    assert (before.everything(), before.exports) != (after.everything(), after.exports)


@pytest.mark.parametrize("profile", PROFILES)
def test_nothing_that_a_setting_makes_is_without_a_price(profile: Profile) -> None:
    programs = [program for change in CHANGES for program in before_and_after(profile, change)]
    made = {short(one.type) for program in programs for one in program.resources if not one.is_component}
    assert {type_ for type_ in made if type_ not in COUNTED and type_ not in BY_USE and not is_free(type_)} == set()


def test_a_profile_is_all_of_its_defaults() -> None:
    for setting, value in PROFILES["prod"].items():
        assert PROFILES["dev"][setting] != value, f"{setting} need not be a profile's"


@pytest.mark.parametrize(
    ("profile", "given", "words"),
    [
        ("dev", {"allow_public": False}, 'access = "public" is not allowed in the stack dev'),
        ("prod", {"allow_public": False}, 'access = "public" is not allowed in the stack prod'),
        ("dev", {"require_tls": True}, "the stack dev serves by HTTPS only"),
        ("prod", {"domain": "", "dns_zone": ""}, "the stack prod serves by HTTPS only"),
    ],
)
def test_what_is_not_allowed_is_refused(profile: Profile, given: dict[str, object], words: str, tmp_path: Path) -> None:
    with pytest.raises(pulumi.RunError, match=words):
        run_program(write_team(tmp_path, WIDE_TEAM), stack_changes.settings(profile, given))


def test_what_a_change_replaces_is_written_down() -> None:
    assert stack_changes.table() == TABLE.read_text(encoding="utf-8")


def test_what_a_setting_reaches_is_written_down() -> None:
    """`herd diff` tells by it what follows from a setting that differs. Of one that is not in it nothing follows."""
    table = tomllib.loads(follows.TABLE.read_text(encoding="utf-8"))["stack"]
    reached = setting_reach.of_stack()
    assert {setting: set(places) for setting, places in table.items()} == {one: reached[one] for one in table}
