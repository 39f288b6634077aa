"""`review_by`: a warning with the line to edit from 30 days before, a refusal after, a pause where it is deployed."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from herd import deployment, reviews, state
from herd.checkout import Checkout

NOW = datetime(2027, 1, 31, 5, tzinfo=UTC)


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reviews, "today", lambda: NOW.date())


@pytest.fixture
def nothing_done(monkeypatch: pytest.MonkeyPatch) -> None:
    def touched(*_: Any) -> None:
        raise AssertionError("something was touched")

    monkeypatch.setattr(deployment, "start_cloud", touched)


def set_date(root: Path, line: str) -> None:
    (root / "jobs/hello/workload.toml").write_text(f'schedule = "0 6 * * *"\n\n{line}\n')


@pytest.mark.parametrize("command", ["up", "preview"])
def test_a_date_that_has_passed_is_refused_with_the_line_before_anything_starts(
    cli: Any, root: Path, nothing_done: None, command: str
) -> None:
    set_date(root, "review_by = 2027-01-30")
    result = cli(command)
    assert result.exit_code == 2
    assert "jobs/hello/workload.toml: review_by = 2027-01-30 (line 3) has passed" in result.stderr


def test_so_is_one_that_stands_in_defaults(cli: Any, root: Path, nothing_done: None) -> None:
    (root / "defaults.toml").write_text('owner = "t"\nimage = "python"\nreview_by = 2026-12-31\n')
    result = cli("up")
    assert (result.exit_code, result.stderr.count("\n")) == (2, 1)
    assert "defaults.toml: review_by = 2026-12-31 (line 3) has passed" in result.stderr


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
    from herd import project

    set_date(checkout.root, line)
    found = [str(review) for review in reviews.due(project.load(checkout, "dev"))]
    assert found == (
        [
            f"hello: {line} {told}: after that day it is not started any more; "
            "look it over, then edit jobs/hello/workload.toml, line 3"
        ]
        if told
        else []
    )


def deployed(review_by: str, **more: Any) -> dict[str, Any]:
    schedule = {"expression": "cron(0 6 * * ? *)", "timezone": "UTC", "text": "0 6 * * *"}
    return {"kind": "job", "schedule": schedule, "review_by": review_by, "url": None, "log_group": "/x", **more}


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
    (found,) = reviews.deployed(checkout, "dev", {"hello": deployed("2027-01-30")})
    assert str(found) == f"hello: review_by = 2027-01-30 has passed: it is not started any more; {advice}"


def test_an_api_keeps_running_and_says_what_will_be_refused(checkout: Checkout) -> None:
    (found,) = reviews.deployed(checkout, "dev", {"web": {"kind": "api", "review_by": "2027-02-10", "schedule": None}})
    assert str(found).startswith("web: review_by = 2027-02-10 is in 10 days: after that day `herd up` is refused;")


def test_a_pipeline_is_paused_by_the_first_of_its_jobs_and_says_whose_date_it_was() -> None:
    workloads = {"a": deployed("2027-06-30"), "b": deployed("2027-01-30")}
    first = state._first_to_end("a", {"levels": [["a"], ["b"]]}, workloads)
    assert first == ("b", "2027-01-30")
    found = state._of_job("a", workloads["a"], None, True, NOW, first)
    assert (found.state, found.reason) == ("paused", "review_by 2027-01-30 of b has passed")
