"""What a person is told of pauses, of what is late, and by the inventory of all workloads."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from herd.checkout import pauses, review_dates, team_files
from herd.checkout.find import Checkout
from herd.commands import tables
from herd.deploy import up
from herd.engine.plan import Plan
from herd.errors import WrongInput
from herd.review.comment import comment
from herd.review.document import document
from herd.review.markdown import code
from herd.runs import due_times, inventory, runs, start, status
from herd.runs.runs import Run
from herd.targets.exports import ScheduleExport
from tests.herd.outputs import batch, job_export, parsed, service

NOW = datetime(2027, 1, 31, 12, 0, tzinfo=UTC)
MADE = datetime(2027, 1, 1, tzinfo=UTC)
DAILY = {"expression": "cron(0 6 * * ? *)", "timezone": "UTC", "text": "0 6 * * *"}
REASON = "the source is rebuilt, until 2027-03-01"


class Cloud:
    """The data bucket as a client of itself; it counts the requests."""

    def __init__(self, objects: dict[str, Any], **outputs: Any) -> None:
        self.objects, self.exports, self.asked = objects, parsed(**outputs), list[str]()
        self.deployed, self.name, self.checkout = self.exports, "dev", None

    def require_exports(self) -> Any:
        return self.exports

    def client(self, _: str) -> Cloud:
        return self

    def get_object(self, Bucket: str, Key: str) -> dict[str, Any]:  # noqa: N803 - boto3's names
        from botocore.exceptions import ClientError

        self.asked.append(Key)
        if Key not in self.objects:
            raise ClientError({"Error": {"Code": "NoSuchKey"}}, "GetObject")
        return {"Body": io.BytesIO(json.dumps(self.objects[Key]).encode())}

    def get_paginator(self, _: str) -> Cloud:
        return self

    def paginate(self, Bucket: str, Prefix: str, StartAfter: str) -> Iterator[dict[str, Any]]:  # noqa: N803
        self.asked.append(Prefix)
        yield {"Contents": [{"Key": k} for k in sorted(self.objects) if k.startswith(Prefix) and k > StartAfter]}


# --- what is late ---------------------------------------------------------------------------------------------------


def overdue(objects: dict[str, Any], run: Run | None = None, now: datetime = NOW, **more: Any) -> datetime | None:
    cloud: Any = Cloud({f"_due/load/{time}.json": {"completed": done} for time, done in objects.items()})
    schedule = ScheduleExport(**{**DAILY, **more.pop("schedule", {})})
    return due_times.overdue(cloud, "load", schedule, more.get("minutes", 60), more.get("since", MADE), now, run)


SIX, DONE = datetime(2027, 1, 31, 6, tzinfo=UTC), "2027-01-31T06:20:00Z"
SUCCEEDED = Run("load", "r", "succeeded", SIX)


@pytest.mark.parametrize(
    ("arguments", "due"),
    [
        pytest.param({"objects": {}}, SIX, id="never started"),
        pytest.param({"objects": {"2027-01-31T06:00:00Z": None}}, SIX, id="started, not done"),
        pytest.param({"objects": {"2027-01-31T06:00:00Z": DONE}}, None, id="done"),
        pytest.param({"objects": {}, "run": SUCCEEDED}, None, id="a run since then succeeded"),
        pytest.param({"objects": {}, "run": Run("load", "r", "succeeded", SIX - timedelta(1))}, SIX, id="an older run"),
        pytest.param({"objects": {}, "minutes": 361, "since": SIX - timedelta(hours=1)}, None, id="too early"),
        pytest.param({"objects": {}, "minutes": 361}, SIX - timedelta(1), id="yesterday's"),
        pytest.param({"objects": {}, "since": SIX + timedelta(hours=1)}, None, id="due before it was deployed"),
        pytest.param(
            {"objects": {}, "schedule": {"expression": "cron(0 6 29 2 ? *)"}, "since": MADE.replace(year=2023)},
            datetime(2024, 2, 29, 6, tzinfo=UTC),
            id="the rarest",
        ),
        pytest.param(
            {"objects": {}, "schedule": {"timezone": "Europe/Amsterdam"}}, SIX - timedelta(hours=1), id="its own zone"
        ),
        pytest.param(
            {"objects": {"2027-01-31T09:17:00Z": DONE}, "schedule": {"expression": "rate(2 hours)"}}, None, id="a rate"
        ),
        pytest.param(
            {"objects": {"2027-01-31T06:17:00Z": DONE}, "schedule": {"expression": "rate(2 hours)"}},
            datetime(2027, 1, 31, 9, tzinfo=UTC),
            id="a rate that stopped",
        ),
        pytest.param(
            {"objects": {"2027-01-31T09:17:00Z": None}, "schedule": {"expression": "rate(2 hours)"}},
            datetime(2027, 1, 31, 9, 17, tzinfo=UTC),
            id="a rate that hangs",
        ),
        pytest.param(
            {"objects": {}, "schedule": {"expression": "rate(2 hours)"}, "since": NOW - timedelta(hours=2)},
            None,
            id="a rate that has just begun",
        ),
    ],
)  # fmt: skip
def test_late_is_what_passed_its_deadline_and_is_not_done(arguments: dict[str, Any], due: datetime | None) -> None:
    assert overdue(**arguments) == due


def test_without_a_bucket_there_is_no_marker() -> None:
    """A local cloud that lost its last requests in a power failure has none until the next `herd up`."""
    from botocore.exceptions import ClientError

    class Lost(Cloud):
        def paginate(self, **_: str) -> Iterator[dict[str, Any]]:
            raise ClientError({"Error": {"Code": "NoSuchBucket"}}, "ListObjectsV2")
            yield {}

    schedule = ScheduleExport(**{**DAILY, "expression": "rate(2 hours)"})
    cloud: Any = Lost({})
    due = due_times.overdue(cloud, "load", schedule, 60, MADE, NOW, None)
    assert due is not None and MADE < due < NOW


@pytest.mark.parametrize(
    ("more", "armed", "run", "due", "state"),
    [
        ({}, True, None, SIX, "late"),
        ({}, True, Run("t", "r", "running", SIX), SIX, "late"),
        ({}, True, Run("t", "r", "failed", SIX), SIX, "failing"),
        ({}, True, Run("t", "r", "failed", SIX - timedelta(1)), SIX, "late"),
        ({}, True, Run("t", "r", "succeeded", SIX), None, "idle"),
        ({"paused": REASON}, False, None, None, "paused"),
        ({"review_by": "2027-01-01"}, False, None, SIX, "expired"),
    ],
)
def test_states_of_due_times(more: dict[str, Any], armed: bool, run: Run | None, due: datetime, state: str) -> None:
    seen = status._of_job("t", job_export(schedule=DAILY, **more), run, armed, NOW, due=due)
    assert seen.state == state
    reasons = {"late": "was due at 2027-01-31T06:00:00Z, has passed its deadline, and nothing was published"}
    assert seen.reason == {**reasons, "paused": REASON, "expired": "review_by 2027-01-01 has passed"}.get(state, "")


# --- what is paused -------------------------------------------------------------------------------------------------


@pytest.fixture
def paused(checkout: Checkout) -> Checkout:
    text = f'schedule = "0 6 * * *"\npaused = "{REASON}"\n'
    (checkout.root / "jobs/hello/workload.toml").write_text(text)
    later = checkout.root / "jobs/later"
    later.mkdir()
    (later / "workload.toml").write_text('after = ["hello"]\n')
    (later / "main.py").touch()
    return checkout


LINE = (
    f"hello is paused (and with it later): {REASON}; to go on, remove paused in jobs/hello/workload.toml, line 2, and "
    "`herd up`"
)


def test_a_pause_is_shown_with_its_reason_and_its_line(paused: Checkout) -> None:
    specs = team_files.load(paused, "dev")
    (pause,) = pauses.in_files(specs)
    assert str(pause) == LINE
    assert pauses.of(specs, "hello") == pauses.of(specs, "later") == pause
    text = comment(document(Plan("herd", "dev", paused.root), paused=[pause]), "dev")
    assert f"#### ⏸️ Paused\n\n- {code(LINE, 400)}\n" in text


def test_explain_says_who_is_told_and_what_rests(paused: Checkout, cli: Any) -> None:
    shown = cli("explain", "later").stderr
    assert "who is told: data@example.com\n" in shown and f"– {LINE}\n" in shown


def test_a_run_by_hand_of_what_is_paused_says_so(paused: Checkout, capsys: pytest.CaptureFixture[str]) -> None:
    cloud: Any = Cloud({}, workloads={"hello": batch(), "later": batch()})
    cloud.checkout = paused
    assert start.plan(cloud, "hello", [], with_dependants=False).machines == {"hello": "arn:x"}
    assert REASON in capsys.readouterr().err


def test_up_does_not_start_what_is_paused(paused: Checkout, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[str] = []
    monkeypatch.setattr(up, "_is_due", lambda *_: True)
    monkeypatch.setattr(runs, "start", lambda _, machine, __: started.append(machine) or "run")
    rests = {"machine": "arn:pipeline", "levels": [["hello"], ["later"]], "paused": REASON}
    workloads = {
        "hello": batch(pipeline="hello", paused=REASON),
        "later": batch(pipeline="hello"),
        "other": batch(machine="arn:other"),
        "rests": batch(machine="arn:rests", paused=REASON),
    }
    cloud: Any = Cloud({}, workloads=workloads, pipelines={"hello": rests})
    up.start_first_runs(cloud, team_files.load(paused, "dev"))
    assert started == ["arn:other"]


def test_owners_are_not_refused_where_the_stacks_settings_cannot_be_read(checkout: Checkout) -> None:
    """The program refuses those, and says what is wrong in them."""
    (checkout.root / "jobs/hello/workload.toml").write_text('owner = "analytics"\n')
    with pytest.raises(WrongInput, match="neither an e-mail address nor a team"):
        team_files.load(checkout, "dev")
    for mapped in ('{owners: {analytics: "a@example.com"}}', "{owners: {analytics: nobody}}"):
        (checkout.root / "Pulumi.dev.yaml").write_text(f"config:\n  herd:notifications: {mapped}\n")
        assert team_files.load(checkout, "dev").workloads["hello"].owner == "analytics"


# --- the inventory --------------------------------------------------------------------------------------------------


def published(when: str, run_id: str = "r1", **more: Any) -> dict[str, Any]:
    return {"published": when, "run_id": run_id, **more}


BACK = {"by": "ana", "replaced": "r9", "because": "the labels were shuffled"}
WORKLOADS = {
    "load": batch(
        owner="analytics",
        owners=["ana@example.com", "bea@example.com"],
        schedule=DAILY,
        pipeline="load",
        reads=["load"],
    ),
    "train": batch(owner="ana@example.com", owners=["ana@example.com"], pipeline="load", reads=["load"]),
    "once": batch(owner="=cmd|' /C calc'!A0", review_by="2027-01-30", paused="-2+3", schedule=DAILY),
    "web": service(owner="ana@example.com", reads=["train", "load"]),
}
PIPELINES = {"load": {"machine": "arn:p", "levels": [["load"], ["train"]], "schedule": DAILY, "deadline_minutes": 90}}
MANIFESTS = {
    "load": published("2027-01-31T06:20:00Z"),
    "train": published("2027-01-30T12:00:00+00:00", "r0", rollback=BACK),
}


@pytest.fixture
def entries(monkeypatch: pytest.MonkeyPatch) -> list[inventory.Entry]:
    monkeypatch.setenv(review_dates.CLOCK, NOW.isoformat())
    objects = {f"{name}/latest.json": manifest for name, manifest in MANIFESTS.items()}
    cloud: Any = Cloud(objects, workloads=WORKLOADS, pipelines=PIPELINES)
    found = inventory.collect(cloud)
    assert sorted(cloud.asked) == ["load/latest.json", "once/latest.json", "train/latest.json"]
    return found


def test_the_inventory_joins_what_is_deployed_with_what_was_published(entries: list[inventory.Entry]) -> None:
    assert [entry.name for entry in entries] == ["load", "once", "train", "web"]
    load, once, train, web = entries
    assert inventory.as_json(load) == {
        "name": "load",
        "kind": "job",
        "owner": "analytics",
        "owners": ("ana@example.com", "bea@example.com"),
        "review_by": "2027-06-30",
        "days_to_review": 150,
        "schedule": "0 6 * * *",
        "timezone": "UTC",
        "pipeline": "load",
        "deadline_minutes": 90,
        "last_success": "2027-01-31T06:20:00Z",
        "run": "r1",
        "age_seconds": 20_400,
        "read_by": ("train", "web"),
        "paused": None,
        "rolled_back": None,
    }
    assert train.rolled_back == "by ana, from run r9: the labels were shuffled"
    assert (train.schedule, train.deadline_minutes, train.age_seconds, train.read_by) == (
        "0 6 * * *",
        90,
        86_400,
        ("web",),
    )
    assert (once.last_success, once.days_to_review, once.paused) == (None, -1, "-2+3")
    assert (web.schedule, web.last_success, web.read_by) == ("", None, ())


def test_a_spreadsheet_takes_no_cell_for_a_formula(entries: list[inventory.Entry]) -> None:
    rows = list(csv.reader(io.StringIO(inventory.as_csv(entries))))
    assert rows[0] == list(inventory.COLUMNS) and {len(row) for row in rows} == {len(inventory.COLUMNS)}
    once = dict(zip(rows[0], rows[2], strict=True))
    assert (once["owner"], once["paused"]) == ("'=cmd|' /C calc'!A0", "'-2+3")
    assert once["days_to_review"] == "-1", "a number is none"


@given(st.text(max_size=30))
def test_any_text_comes_back_from_the_table_and_begins_no_formula(text: str) -> None:
    cell = inventory._cell(text)
    assert cell.removeprefix("'") == text or cell == text
    assert not cell.lstrip().startswith(("=", "+", "-", "@"))


def test_the_inventory_as_a_table(entries: list[inventory.Entry], capsys: pytest.CaptureFixture[str]) -> None:
    from herd import console

    console.out.cache_clear()
    tables.inventory(entries)
    console.out.cache_clear()
    shown = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert shown[0][:3] == ["NAME", "KIND", "OWNER"]
    assert shown[1] == ["load", "job", "analytics", "2027-06-30", "0", "6", "*", "*", "*", "UTC", "90", "min",
                        "2027-01-31", "06:20", "6", "h", "train,", "web"]  # fmt: skip
    assert "(passed)" in shown[2] and "paused" in shown[2]
    assert ["–", "once", "is", "paused:", "-2+3"] in shown


def test_two_hundred_workloads_take_a_request_each(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(review_dates.CLOCK, NOW.isoformat())
    workloads = {f"job-{n:03}": batch(owner="a@example.com", reads=[f"job-{n - 1:03}"]) for n in range(200)}
    cloud: Any = Cloud({}, workloads=workloads)
    found = inventory.collect(cloud)
    assert len(found) == len(cloud.asked) == 200
    assert found[0].read_by == ("job-001",)
