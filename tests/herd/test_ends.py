"""Environments that end by themselves: which times are allowed, who may have how many, and what the janitor removes."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from herd.checkout import names
from herd.checkout.find import Checkout
from herd.deploy import ends, environments, janitor
from herd.deploy.ends import End
from herd.deploy.environments import Environment, Trouble
from herd.errors import HerdError, WrongInput
from herd.infra import lifetime

NOON = datetime(2027, 1, 31, 12, 0, tzinfo=UTC)
PASSED, AHEAD = NOON - timedelta(hours=1), NOON + timedelta(hours=1)


@pytest.mark.parametrize(
    ("text", "length"),
    [
        ("1m", timedelta(minutes=1)),
        ("90m", timedelta(minutes=90)),
        ("48h", timedelta(days=2)),
        ("30d", timedelta(days=30)),
    ],
)
def test_a_time_to_live_is_a_whole_number_with_its_unit(text: str, length: timedelta) -> None:
    assert lifetime.parse(text) == length


WRONG = [
    "",
    "0",
    "0m",
    "0h",
    "-1h",
    "48",
    "h",
    "1.5h",
    "31d",
    "721h",
    "43201m",
    "1w",
    "1H",
    " 1h",
    "1h ",
    "1h30m",
    "９h",
    "9" * 20 + "m",
]


@pytest.mark.parametrize("text", WRONG)
def test_any_other_is_refused_with_what_is_allowed(text: str) -> None:
    with pytest.raises(WrongInput, match="from 1m to 30d, like 48h"):
        names.time_to_live(text)


def test_owners_are_told_a_day_before_and_of_a_short_life_a_quarter_before() -> None:
    assert lifetime.told_at(NOON, timedelta(days=7)) == NOON - timedelta(days=1)
    assert lifetime.told_at(NOON, timedelta(hours=8)) == NOON - timedelta(hours=2)
    assert lifetime.of_expression(lifetime.at(NOON)) == NOON
    assert lifetime.of_expression("rate(5 minutes)") is None


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Checkout]:
    monkeypatch.setenv("HERD_NOW", NOON.isoformat())
    (tmp_path / "Pulumi.yaml").write_text("name: herd\n")
    (tmp_path / "Pulumi.dev.yaml").write_text("config: {}\n")
    (tmp_path / "Pulumi.acme.yaml").write_text("config:\n  herd:profile: prod\n")
    yield Checkout(tmp_path, tmp_path / "cache")


def target(checkout: Checkout, name: str, shared: bool = False) -> Any:
    return SimpleNamespace(
        name=name, checkout=checkout, deployed=None, is_shared=shared, option=("--stack" if shared else "-e", name)
    )


@pytest.mark.parametrize(("name", "why"), [("dev", "is kept"), ("prod", "is kept"), ("acme", "is protected")])
def test_what_is_kept_gets_no_end(checkout: Checkout, name: str, why: str) -> None:
    with pytest.raises(WrongInput, match=rf"--ttl 48h: {name} {why}, and does not end by itself"):
        ends.refuse_kept(target(checkout, name), "--ttl 48h")
    ends.refuse_kept(target(checkout, "pr-17"), "--ttl 48h")


def test_one_too_many_is_refused_with_the_list_of_theirs(checkout: Checkout) -> None:
    mine = [Environment(target(checkout, f"pr-{n}"), 9, End(AHEAD, "48h", "ada")) for n in (1, 2)]
    others = [
        Environment(target(checkout, "pr-3"), 9, End(AHEAD, "48h", "bob")),
        Environment(target(checkout, "dev"), 9, None),
    ]
    environments.refuse_too_many(target(checkout, "pr-9"), "ada", 3, [*mine, *others])
    environments.refuse_too_many(target(checkout, "pr-2"), "ada", 2, [*mine, *others])  # its own is no further one
    with pytest.raises(WrongInput) as refused:
        environments.refuse_too_many(target(checkout, "pr-9"), "ada", 2, [*mine, *others])
    assert str(refused.value).splitlines()[1:] == [
        "    -e pr-1, ends 2027-01-31T13:00:00Z",
        "    -e pr-2, ends 2027-01-31T13:00:00Z",
    ]


END = End(PASSED, "48h", "ada")
CASES: dict[str, tuple[str, Trouble | None, End | None, bool, str]] = {
    "over its time": ("pr-17", "over its time", END, False, ""),
    "half destroyed": ("pr-17", "half destroyed", None, False, ""),
    "half made": ("pr-17", "half made", END, False, ""),
    "half made, and it does not end by itself": ("try", "half made", None, False, "herd up -e try` goes on with it"),
    "empty": ("pr-17", "empty", None, False, ""),
    "orphaned here": ("pr-17", "orphaned", None, False, ""),
    "orphaned on AWS": ("pr-17", "orphaned", None, True, "no stack knows it"),
    "dev, half made": ("dev", "half made", None, False, "dev is kept"),
    "prod, over its time": ("prod", "over its time", END, True, "prod is kept"),
    "protected by its file": ("acme", "half destroyed", None, True, "acme is protected"),
}


@pytest.mark.parametrize("case", CASES)
def test_what_the_janitor_removes_and_what_it_leaves_to_a_person(checkout: Checkout, case: str) -> None:
    name, trouble, end, shared, kept = CASES[case]
    (finding,) = janitor.look([Environment(target(checkout, name, shared), 9, end, trouble)])
    assert kept in finding.kept and bool(finding.kept) == bool(kept)
    removed: list[str] = []
    (swept,) = janitor.sweep([finding], lambda one: removed.append(one.name))
    assert (swept.outcome, removed) == (("kept", []) if kept else ("removed", [name]))


def test_what_is_in_order_or_worked_on_is_let_alone(checkout: Checkout) -> None:
    assert janitor.look([Environment(target(checkout, "pr-1"), 9, End(AHEAD, "48h", "ada"))]) == []
    (busy,) = janitor.look(
        [Environment(target(checkout, "pr-1"), 9, END, "over its time", busy="`herd up` (process 7)")]
    )
    assert busy.kept == "`herd up` (process 7) works on it"
    (unread,) = janitor.look([Environment(target(checkout, "pr-1"), 0, None, unreadable="its state cannot be read")])
    assert unread.kept == "its state cannot be read"


def test_a_removal_that_fails_is_said_and_stops_no_other(checkout: Checkout) -> None:
    findings = janitor.look([Environment(target(checkout, f"pr-{n}"), 9, END, "over its time") for n in (1, 2)])

    def remove(one: Environment) -> None:
        if one.name == "pr-1":
            raise HerdError("a bucket is not empty")

    swept = janitor.sweep(findings, remove)
    assert [(one.finding.name, one.outcome, one.why) for one in swept] == [
        ("pr-1", "failed", "a bucket is not empty"),
        ("pr-2", "removed", ""),
    ]
    assert swept[0].as_json()["why"] == "a bucket is not empty"


class Scheduler:
    """The two schedules of an environment; `fails_after` so many updates."""

    class exceptions:  # noqa: N801 - boto3's name
        ResourceNotFoundException = KeyError

    def __init__(self, fails_after: int = 9) -> None:
        self.at = {
            "herd-pr-17-environment_ends": lifetime.at(PASSED),
            "herd-pr-17-environment_ends_soon": lifetime.at(PASSED),
        }
        self.fails_after = fails_after

    def get_schedule(self, GroupName: str, Name: str) -> dict[str, Any]:  # noqa: N803
        return {"ScheduleExpression": self.at[Name], "Target": {"Arn": "a"}, "FlexibleTimeWindow": {"Mode": "OFF"}}

    def update_schedule(self, Name: str, ScheduleExpression: str, **kept: Any) -> None:  # noqa: N803
        if not self.fails_after:
            raise ClientError({"Error": {"Code": "InternalServerException"}}, "UpdateSchedule")
        self.fails_after -= 1
        assert kept["Target"] == {"Arn": "a"}
        self.at[Name] = ScheduleExpression


def up(checkout: Checkout, scheduler: Scheduler) -> Any:
    made = target(checkout, "pr-17")
    made.deployed = SimpleNamespace(
        protected=False,
        ends_at=lifetime.written(PASSED),
        settings=SimpleNamespace(stack={"ttl": "48h", "made_by": "ada"}),
    )
    made.require_exports = lambda: made.deployed
    made.client = lambda _: scheduler
    return made


def test_an_end_is_moved_and_looked_up_where_it_is_kept(checkout: Checkout) -> None:
    scheduler = Scheduler()
    made = up(checkout, scheduler)
    assert ends.keep(made, "8h").at == NOON + timedelta(hours=8)
    assert ends.of(made) == End(NOON + timedelta(hours=8), "48h", "ada")
    assert scheduler.at["herd-pr-17-environment_ends_soon"] == lifetime.at(NOON + timedelta(hours=6))


def test_cut_off_in_between_nothing_is_removed_too_early(checkout: Checkout) -> None:
    scheduler = Scheduler(fails_after=1)
    with pytest.raises(ClientError):
        ends.keep(up(checkout, scheduler), "8h")
    assert scheduler.at["herd-pr-17-environment_ends"] == lifetime.at(PASSED)


def test_a_preview_does_not_move_the_end_and_a_deployment_does(checkout: Checkout) -> None:
    made = up(checkout, Scheduler())
    assert ends.as_it_is(made) == {"ttl": "48h", "ends_at": "2027-01-31T11:00:00Z", "made_by": "ada"}
    assert ends.decide(made, None) == {"ttl": "48h", "ends_at": "2027-02-02T12:00:00Z", "made_by": "ada"}
    assert ends.decide(made, "2h")["ends_at"] == "2027-01-31T14:00:00Z"
