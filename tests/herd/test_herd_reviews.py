"""`review_by`: a warning with the line to edit from 30 days before; then the schedule is off, and nobody is blocked."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from herd.checkout import review_dates, stack_config, team_files
from herd.checkout.find import Checkout
from herd.deploy.up import look_over
from herd.errors import WrongInput
from herd.runner.contract.schedule import end_of
from herd.runs import start, status
from herd.targets.aws import AwsTarget
from herd.targets.exports import BatchExport
from tests.herd.outputs import batch, job_export, parsed, service_export

NOW = datetime(2027, 1, 31, 5, tzinfo=UTC)


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(review_dates.CLOCK, NOW.isoformat())


def set_date(root: Path, line: str) -> None:
    (root / "jobs/hello/workload.toml").write_text(f'schedule = "0 6 * * *"\n\n{line}\n')


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("review_by = 2027-01-31", "is today"),
        ("review_by = 2027-02-01", "is in 1 day"),
        ("review_by = 2027-03-02", "is in 30 days"),
        ("review_by = 2027-03-03", None),
    ],
)
def test_from_thirty_days_before_each_workload_is_mentioned_with_its_line(
    checkout: Checkout, line: str, told: str | None
) -> None:
    set_date(checkout.root, line)
    found = [str(review) for review in review_dates.due(team_files.load(checkout, "dev"))]
    assert found == (
        [
            f"hello: {line} {told}: after that day its schedule is off; "
            "look it over, then edit jobs/hello/workload.toml, line 3"
        ]
        if told
        else []
    )


def deployed(review_by: str, **more: Any) -> BatchExport:
    schedule = {"expression": "cron(0 6 * * ? *)", "timezone": "UTC", "text": "0 6 * * *"}
    return job_export(schedule=schedule, review_by=review_by, **more)


@pytest.mark.parametrize(
    ("in_the_file", "advice"),
    [
        ("review_by = 2027-01-30", "look it over, then edit jobs/hello/workload.toml, line 3"),
        ("review_by = 2027-12-31", "`herd up` brings the new date, 2027-12-31"),
        ("review_by = nonsense", "look it over, then set a later date"),
    ],
)
def test_status_speaks_of_what_is_deployed(checkout: Checkout, in_the_file: str, advice: str) -> None:
    set_date(checkout.root, in_the_file)
    (found,) = review_dates.deployed(checkout, "dev", {"hello": deployed("2027-01-30")})
    assert str(found) == f"hello: review_by = 2027-01-30 has passed: its schedule is off; {advice}"


def test_an_api_keeps_running_and_says_what_will_be_refused(checkout: Checkout) -> None:
    (found,) = review_dates.deployed(checkout, "dev", {"web": service_export(review_by="2027-02-10")})
    assert str(found).startswith(
        "web: review_by = 2027-02-10 is in 10 days: after that day it stays as it is, and nobody vouches for it;"
    )


def test_a_pipeline_expires_with_the_first_of_its_jobs_and_says_whose_date_it_was() -> None:
    workloads = {"a": deployed("2027-06-30"), "b": deployed("2027-01-30")}
    found = status._of_job("a", workloads["a"], None, True, NOW, workloads)
    assert (found.state, found.reason, found.next_run) == ("expired", "review_by 2027-01-30 of b has passed", None)


@pytest.mark.parametrize(
    ("moment", "timezone", "names"),
    [
        ("2027-01-30T23:59:59+00:00", "UTC", ()),
        ("2027-01-31T00:00:00+00:00", "UTC", ("hello",)),
        ("2027-01-30T22:59:59+00:00", "Europe/Amsterdam", ()),
        ("2027-01-30T23:00:00+00:00", "Europe/Amsterdam", ("hello",)),
        ("2027-01-31T07:59:59+00:00", "America/Los_Angeles", ()),
        ("2027-01-31T08:00:00+00:00", "America/Los_Angeles", ("hello",)),
        ("2027-01-30T10:00:00+00:00", "Pacific/Kiritimati", ("hello",)),
        ("2029-01-15", "UTC", ("hello",)),
    ],
)
def test_a_day_ends_where_the_workload_is_at_home(
    checkout: Checkout, monkeypatch: pytest.MonkeyPatch, moment: str, timezone: str, names: tuple[str, ...]
) -> None:
    """By the calendar, in the status, and on AWS: all three change in the same second."""
    monkeypatch.setenv(review_dates.CLOCK, moment)
    set_date(checkout.root, f'review_by = 2027-01-30\ntimezone = "{timezone}"')
    assert review_dates.expired(team_files.load(checkout, "dev")) == names
    export = deployed("2027-01-30", timezone=timezone)
    assert (status._of_job("hello", export, None, True, review_dates.now()).state == "expired") == bool(names)
    assert (end_of(date(2027, 1, 30), timezone) < review_dates.now()) == bool(names)


@given(st.dates(), st.sampled_from(["UTC", "Asia/Tokyo", "America/Sao_Paulo", "Pacific/Apia", "Africa/Cairo"]))
def test_every_day_has_an_end(day: date, timezone: str) -> None:
    assert abs((end_of(day, timezone) - datetime.combine(day, time(12), UTC)).total_seconds()) < 2 * 86_400


@pytest.mark.parametrize("value", ["", "yesterday", "2027-13-01"])
def test_a_clock_that_says_nothing_is_refused(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv(review_dates.CLOCK, value)
    with pytest.raises(WrongInput, match="is no moment"):
        review_dates.now()


def test_what_has_expired_is_said_by_the_place_of_its_date(checkout: Checkout, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(review_dates.CLOCK, "2029-01-15")
    for name in ("other", "third"):
        (checkout.root / "jobs" / name).mkdir()
        (checkout.root / "jobs" / name / "main.py").touch()
        (checkout.root / "jobs" / name / "workload.toml").touch()
    (checkout.root / "defaults.toml").write_text('owner = "t@example.com"\nimage = "python"\nreview_by = 2026-12-31\n')
    set_date(checkout.root, "review_by = 2028-01-30")
    assert review_dates.summary(review_dates.due(team_files.load(checkout, "dev"))) == [
        "expired, so no schedule starts them: other, third; look them over, then move review_by in defaults.toml, "
        "line 3 and `herd up`",
        "expired, so no schedule starts it: hello; look it over, then move review_by in jobs/hello/workload.toml, "
        "line 3 and `herd up`",
    ]


# ── what Pulumi is told ─────────────────────────────────────────────────────────────────────────────────────────────


def copied(checkout: Checkout, expired: tuple[str, ...] | None) -> Any:
    return stack_config.read(stack_config.prepare(checkout, "dev", expired=expired))["config"].get("herd:expired")


def test_the_copy_of_the_settings_says_what_has_expired_until_the_calendar_is_looked_at_again(
    checkout: Checkout,
) -> None:
    assert copied(checkout, None) is None
    assert copied(checkout, ("hello",)) == ["hello"]
    assert copied(checkout, None) == ["hello"], "`herd down` and plain Pulumi see what was deployed"
    (checkout.root / "Pulumi.dev.yaml").write_text("config:\n  herd:allow_public: false\n")
    assert copied(checkout, None) == ["hello"], "also once the team's file has changed"
    assert copied(checkout, ()) is None
    assert "expired" not in (checkout.root / "Pulumi.dev.yaml").read_text()


def test_a_stack_on_aws_has_a_copy_only_where_its_file_says_otherwise(
    checkout: Checkout, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PULUMI_OPTION_CONFIG_FILE", raising=False)
    tracked = checkout.root / "Pulumi.prod.yaml"
    text = "secretsprovider: awskms://x\nconfig:\n  herd:profile: prod\n  herd:secret:\n    secure: v1:x\n"
    tracked.write_text(text)
    assert stack_config.with_calendar(checkout, "acme/prod", None) is None
    assert stack_config.with_calendar(checkout, "prod", ()) is None
    copy = stack_config.with_calendar(checkout, "prod", ("hello",))
    assert copy is not None and copy.stat().st_mode & 0o077 == 0
    told = stack_config.read(copy)
    assert told["config"].pop("herd:expired") == ["hello"]
    assert told == stack_config.read(tracked) and tracked.read_text() == text
    tracked.write_text(f"{text}  herd:expired: [hello, gone]\n")
    copy = stack_config.with_calendar(checkout, "prod", ("hello",))
    assert copy is not None and stack_config.read(copy)["config"]["herd:expired"] == ["hello"]
    copy = stack_config.with_calendar(checkout, "prod", ())
    assert copy is not None and "herd:expired" not in stack_config.read(copy)["config"]


def test_files_that_cannot_be_read_say_nothing_of_the_calendar(checkout: Checkout) -> None:
    set_date(checkout.root, "review_by = nonsense")
    assert review_dates.expired_in(checkout, "dev") is None


# ── commands ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_new_workload_has_half_a_year(cli: Any, root: Path) -> None:
    for kind, folder in (("job", "jobs"), ("report", "reports"), ("api", "apis")):
        assert cli("new", kind, f"new-{kind}").exit_code == 0
        assert "\nreview_by = 2027-08-01 " in (root / folder / f"new-{kind}" / "workload.toml").read_text()


def test_looking_over_refuses_nobody_and_passes_the_names_on(cli: Any, root: Path) -> None:
    from herd.targets.choose import local

    set_date(root, "review_by = 2027-01-30")
    target = local(None)
    look_over(target)
    assert target.expired == ("hello",)


def test_pulumi_is_led_to_the_copy_of_a_stack_on_aws(checkout: Checkout, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PULUMI_OPTION_CONFIG_FILE", raising=False)
    (checkout.root / "Pulumi.prod.yaml").write_text("config:\n  herd:profile: prod\n")
    target = AwsTarget(checkout, "prod")
    monkeypatch.setattr(AwsTarget, "pulumi", Path("/usr/bin/pulumi"))
    assert "PULUMI_OPTION_CONFIG_FILE" not in target.pulumi_environment()
    target.expired = ("hello",)
    told = Path(target.pulumi_environment()["PULUMI_OPTION_CONFIG_FILE"])
    assert stack_config.read(told)["config"] == {"herd:profile": "prod", "herd:expired": ["hello"]}


def test_a_run_by_hand_of_what_has_expired_says_so(checkout: Checkout, monkeypatch: pytest.MonkeyPatch) -> None:
    set_date(checkout.root, "review_by = 2027-01-30")
    lines: list[str] = []
    monkeypatch.setattr(start.console, "note", lambda text, style=None: lines.append(text))
    exports = parsed(workloads={"hello": batch()})
    target = SimpleNamespace(checkout=checkout, name="dev", deployed=exports, require_exports=lambda: exports)
    assert start.plan(cast(Any, target), "hello", [], False).machine == "arn:x"
    assert len(lines) == 1 and lines[0].startswith("! hello: review_by = 2027-01-30 has passed")
