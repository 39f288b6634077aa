"""The review in the words of the settings: each line, each danger, and no danger where none is."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from herd.infra import as_written
from herd.infra.settings.schema import SETTINGS, Settings
from herd.infra.settings.tables import Connection, Notifications, SignIn
from herd.infra.spec.checks import CHECKS
from herd.infra.spec.models import KINDS, ApiSpec, JobSpec, Replicas, settings_of
from herd.review import dangers, settings
from herd.review.dangers import CHECK_RISKS, STACK_RISKS, WORKLOAD_RISKS, Harmless, Risk
from herd.review.settings import Written

MONDAY_EVENING = datetime(2027, 3, 1, 20, 0, tzinfo=UTC)


def job(**settings_: Any) -> dict[str, Any]:
    usual = {"owner": "ada@example.com", "review_by": date(2027, 6, 30), "command": ["python", "main.py"]}
    spec = JobSpec.model_validate({"name": "train", "folder": Path("jobs/train"), **usual, **settings_})
    return as_written.workload(spec)


def api(**settings_: Any) -> dict[str, Any]:
    usual = {"owner": "ada@example.com", "review_by": date(2027, 6, 30), "command": ["python", "main.py"]}
    spec = ApiSpec.model_validate({"name": "scores", "folder": Path("apis/scores"), **usual, **settings_})
    return as_written.workload(spec)


def stack(**settings_: Any) -> dict[str, Any]:
    return as_written.stack(Settings("herd", "prod", "eu-west-1", "123456789012", **settings_))


@dataclass(frozen=True)
class Case:
    """What is deployed and what is to come; the lines and, of those, the dangerous ones."""

    name: str
    old: dict[str, Any]
    new: dict[str, Any]
    lines: list[str]
    dangers: list[str] = field(default_factory=list)
    owner: str = "train"

    def written(self, one: dict[str, Any]) -> Written:
        if self.owner == settings.ENVIRONMENT:
            return Written({}, one)
        return Written({self.owner: one} if one else {}, {"schedules": True})


AUC = {"file": "metrics.json", "value": "auc"}
ROWS = {"file": "flights.parquet", "rows": True}
MORNING = {"schedule": "0 6 * * 1-5", "timezone": "Europe/Amsterdam"}

CASES = [
    Case("nothing", job(), job(), []),
    Case(
        "a schedule moves",
        job(**MORNING), job(**MORNING | {"schedule": "0 7 * * 1-5"}),
        ["job train: schedule 06:00 Mon-Fri → 07:00 Mon-Fri Europe/Amsterdam, next run Tue 07:00"],
    ),
    Case(
        "a zone moves",
        job(**MORNING), job(**MORNING | {"timezone": "Europe/London"}),
        ["job train: timezone Europe/Amsterdam → Europe/London, next run Tue 06:00"],
    ),
    Case(
        "a schedule goes",
        job(**MORNING), job(timezone="Europe/Amsterdam"),
        ["job train: schedule 06:00 Mon-Fri → nothing"],
        ["schedule"],
    ),
    Case(
        "it becomes a part of a pipeline",
        job(**MORNING), job(after=["ingest"], timezone="Europe/Amsterdam"),
        ["job train: after: nothing → ingest",
         "job train: schedule 06:00 Mon-Fri → nothing"],
    ),
    Case(
        "a floor is lowered",
        job(check=[AUC | {"min": 0.6}]), job(check=[AUC | {"min": 0.5}]),
        ["job train: check auc: min 0.6 → 0.5"], ["check.auc.min"],
    ),
    Case(
        "a floor is raised",
        job(check=[AUC | {"min": 0.6}]), job(check=[AUC | {"min": 0.7}]),
        ["job train: check auc: min 0.6 → 0.7"],
    ),
    Case(
        "a limit of a check goes, another comes",
        job(check=[AUC | {"min": 0.6}]), job(check=[AUC | {"max_drop": 0.05}]),
        ["job train: check auc: max_drop nothing → 0.05", "job train: check auc: min 0.6 → nothing"], ["check.auc.min"],
    ),
    Case(
        "a ceiling is raised",
        job(check=[ROWS | {"max": 10}]), job(check=[ROWS | {"max": 20}]),
        ["job train: check rows of flights.parquet: max 10 → 20"], ["check.rows of flights.parquet.max"],
    ),
    Case(
        "a check only warns",
        job(check=[AUC | {"min": 0.6}]), job(check=[AUC | {"min": 0.6, "otherwise": "warn"}]),
        ["job train: check auc: otherwise reject → warn"], ["check.auc.otherwise"],
    ),
    Case(
        "a check rejects again",
        job(check=[AUC | {"min": 0.6, "otherwise": "warn"}]), job(check=[AUC | {"min": 0.6}]),
        ["job train: check auc: otherwise warn → reject"],
    ),
    Case(
        "a check goes",
        job(check=[AUC | {"min": 0.6}, ROWS | {"min": 1}]), job(check=[ROWS | {"min": 1}]),
        ["job train: check auc is removed (file metrics.json, min 0.6, otherwise reject, value auc)"], ["check.auc"],
    ),
    Case(
        "a check is new",
        job(), job(check=[AUC | {"min": 0.6}]),
        ["job train: check auc is new (file metrics.json, min 0.6, otherwise reject, value auc)"],
    ),
    Case(
        "of two checks that ask the same one is loosened",
        job(check=[AUC | {"min": 0.6}, AUC | {"max": 0.99, "otherwise": "warn"}]),
        job(check=[AUC | {"min": 0.6}, AUC | {"max": 1.0, "otherwise": "warn"}]),
        ["job train: check auc #2: max 0.99 → 1.00"], ["check.auc #2.max"],
    ),
    Case(
        "the time limit grows, and the deadline with it",
        job(**MORNING), job(**MORNING, timeout_minutes=120),
        ["job train: deadline_minutes 196 → 376, which follows from its limits", "job train: timeout_minutes 60 → 120"],
    ),
    Case(
        "the deadline is later",
        job(**MORNING), job(**MORNING, deadline_minutes=600),
        ["job train: deadline_minutes 196 → 600"], ["deadline_minutes"],
    ),
    Case(
        "the deadline is sooner",
        job(**MORNING), job(**MORNING, deadline_minutes=30),
        ["job train: deadline_minutes 196 → 30"],
    ),
    Case(
        "paused",
        job(**MORNING), job(**MORNING, paused="the source is rebuilt, until 2027-04-01"),
        ["job train: paused nothing → the source is rebuilt, until 2027-04-01"], ["paused"],
    ),
    Case(
        "an owner leaves",
        job(), job(owner="grace@example.com"),
        ["job train: owner ada@example.com → grace@example.com"], ["owner"],
    ),
    Case(
        "a review is held",
        job(), job(review_by=date(2027, 12, 31)),
        ["job train: review_by 2027-06-30 → 2027-12-31"],
    ),
    Case(
        "a review is put off for years",
        job(), job(review_by=date(2030, 6, 30)),
        ["job train: review_by 2027-06-30 → 2030-06-30"], ["review_by"],
    ),
    Case(
        "parameters, memory, what it reads",
        job(params={"month": 2}, reads=["ingest"]),
        job(params={"month": 3, "deep": True}, memory_gb=4, reads=["ingest", "weather"]),
        ["job train: memory_gb 2 → 4", "job train: params.deep nothing → on", "job train: params.month 2 → 3",
         "job train: reads: + weather"],
    ),
    Case(
        "new",
        {}, job(**MORNING),
        ["new job train, first run after deploying, next run Tue 06:00"],
    ),
    Case("removed", job(), {}, ["job train is removed"], ["removed"]),
    Case(
        "more copies",
        api(replicas=Replicas(min=2, max=4)), api(replicas=Replicas(min=4, max=4)),
        ["api scores: replicas.min 2 → 4"], owner="scores",
    ),
    Case(
        "open to the internet",
        api(), api(access="public"),
        ["api scores: access internal → public"], ["access"], owner="scores",
    ),
    Case(
        "closed again",
        api(access="public"), api(),
        ["api scores: access public → internal"], owner="scores",
    ),
    Case(
        "logs are kept shorter, and the protection goes",
        stack(protect=True, log_retention_days=400), stack(log_retention_days=30),
        ["environment: log_retention_days 400 → 30", "environment: protect on → off"],
        ["log_retention_days", "protect"], owner=settings.ENVIRONMENT,
    ),
    Case(
        "somebody hears no more",
        stack(notifications=Notifications({"team": ("ada@example.com", "bo@example.com")})),
        stack(notifications=Notifications({"team": ("ada@example.com",)})),
        ["environment: notifications.owners.team: - bo@example.com"],
        ["notifications.owners.team"], owner=settings.ENVIRONMENT,
    ),
    Case(
        "another network of the company",
        stack(company_cidrs=("10.1.0.0/16",)), stack(company_cidrs=("10.1.0.0/16", "10.2.0.0/16")),
        ["environment: company_cidrs: + 10.2.0.0/16"], ["company_cidrs"], owner=settings.ENVIRONMENT,
    ),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_change_is_said_in_the_words_of_the_settings(case: Case) -> None:
    before, after = case.written(case.old), case.written(case.new)
    differences = settings.changes(before, after)
    assert settings.lines(differences, after, MONDAY_EVENING) == case.lines
    dangerous = [danger.change for danger in dangers.of(differences, before, after)]
    paths = [".".join(one.path) if isinstance(one, settings.Changed) else "removed" for one in dangerous]
    assert paths == case.dangers


def test_a_report_that_goes_is_dangerous() -> None:
    before, after = Written({"flights": {"kind": "report"}}, {}), Written({}, {})
    differences = settings.changes(before, after)
    assert [one.what for one in dangers.of(differences, before, after)] == ["report flights is removed"]


def test_every_setting_has_its_risk_or_the_reason_why_it_has_none() -> None:
    """A setting that is added must be judged: is a change of it dangerous, and in which direction?"""
    workload = {name for kind in KINDS.values() for name in settings_of(kind.model)}
    assert workload - _heads(WORKLOAD_RISKS) == set()
    assert _heads(WORKLOAD_RISKS) - workload == set()
    assert set(SETTINGS) - {as_written.BY_THE_CALENDAR} - _heads(STACK_RISKS) == set()
    assert _heads(STACK_RISKS) - set(SETTINGS) == set()
    assert {name for check in CHECKS.values() for name in check.model_fields} == set(CHECK_RISKS)
    assert {f"replicas.{name}" for name in Replicas.model_fields} <= set(WORKLOAD_RISKS)


def _heads(risks: Any) -> set[str]:
    return {name.partition(".")[0] for name in risks}


@pytest.mark.parametrize("risks", [WORKLOAD_RISKS, STACK_RISKS, CHECK_RISKS], ids=["workload", "stack", "check"])
def test_every_risk_says_why_and_what_to_do(risks: Any) -> None:
    for name, risk in risks.items():
        assert risk.why, name
        assert isinstance(risk, Harmless) or risk.instead, name


NUMBERS = st.floats(-1e9, 1e9, allow_nan=False)


@given(NUMBERS, NUMBERS)
def test_a_limit_is_dangerous_in_one_direction_only(old: float, new: float) -> None:
    for name in ("min", "max", "max_drop", "max_rise", "trend"):
        risk = CHECK_RISKS[name]
        assert isinstance(risk, Risk)
        assert not (risk.when(old, new) and risk.when(new, old))
        assert risk.when(old, new) or risk.when(new, old) or old == new
        assert risk.when(old, None) and not risk.when(None, new)


def test_no_secret_is_exported() -> None:
    sign_in = SignIn(*["https://login.example.com"] * 4, "herd", "canary-of-the-client")
    written = stack(sign_in=sign_in, connections={"warehouse": Connection("postgresql", "canary-of-a-name", 5432)})
    assert written["connections"] == {"warehouse": {"driver": "postgresql", "port": 5432}}
    assert "canary" not in str(written)
