"""`herd rollback` on what real runs have published: which versions can be had, and what meets a run that publishes."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from moto.core import DEFAULT_ACCOUNT_ID
from moto.s3.models import s3_backends

from herd.errors import HerdError, WrongInput
from herd.runs import checks, outputs, rollback

Make = Callable[..., Any]
NOW = datetime(2027, 2, 3, 4, 5, 6, tzinfo=UTC)
CHECKS = [{"file": "m.json", "value": "auc", "min": 0.5, "max_drop": 0.9, "trend": 4}]


@dataclass
class Environment:
    """The target of a command: the buckets of one workload."""

    workload: Any
    before: Callable[[str, dict[str, Any]], None] = lambda operation, arguments: None
    exports: Any = field(init=False)

    def __post_init__(self) -> None:
        kind, settings = self.workload.settings["kind"], self.workload.settings
        url = "http://reports.localhost" if kind == "report" else None
        one = SimpleNamespace(url=url, machine="arn:machine", kind=kind)
        self.exports = SimpleNamespace(
            data_bucket=self.workload.bucket,
            reports_bucket=settings["reports_bucket"],
            workload=lambda name: one,
            batch={self.workload.name: one},
        )

    def client(self, service: str) -> Any:
        if service != "s3":
            return boto3.client(
                service,
                endpoint_url=self.workload.s3.endpoint,
                region_name="eu-west-1",
                aws_access_key_id="a",
                aws_secret_access_key="b",
            )
        return _Client(self.workload.s3.client, self.before)


class _Client:
    """S3's, with something that comes before a request."""

    def __init__(self, client: Any, before: Callable[[str, dict[str, Any]], None]) -> None:
        self._client, self._before = client, before

    def __getattr__(self, name: str) -> Any:
        attribute = getattr(self._client, name)
        if name not in ("put_object", "copy_object", "put_object_tagging"):
            return attribute

        def call(**arguments: Any) -> Any:
            self._before(name, arguments)
            return attribute(**arguments)

        return call


def job(make: Make, auc: float, **settings: Any) -> Any:
    return make("model", f"echo '{{\"auc\": {auc}}}' > outputs/m.json", checks=CHECKS, **settings)


def report(make: Make, text: str, **settings: Any) -> Any:
    return make("sales", f"echo '<p>{text}</p>' > outputs/index.html", kind="report", **settings)


def back(environment: Environment, run_id: str | None = None, because: str = "nonsense") -> Any:
    name = environment.workload.name
    return rollback.carry_out(environment, rollback.plan(environment, name, run_id), because, NOW)  # type: ignore[arg-type]


def page(workload: Any) -> str:
    return str(workload.read("sales/index.html", workload.settings["reports_bucket"]))


# --- what it does ---------------------------------------------------------------------------------------------------


def test_the_version_before_the_current_one_is_current_again_with_who_and_why(make: Make) -> None:
    for number in (1, 2, 3):
        model = job(make, 0.5 + number / 10)
        assert model.run(f"r{number}").status == 0
    environment = Environment(model)
    back(environment)
    latest = model.latest
    assert (latest["run_id"], latest["prefix"], latest["previous"]) == ("r2", "model/versions/r2/", "r3")
    made = latest["rollback"]
    assert (made["replaced"], made["because"], made["at"]) == ("r3", "nonsense", "2027-02-03T04:05:06Z")
    assert "arn:aws:" in made["by"]
    assert model.get("_rollbacks/model/20270203T040506-r2.json") == {"schema": 1, **made}
    assert model.tags("model/versions/r2/m.json") == {"herd:published": "true"}
    assert model.tags("model/versions/r3/m.json") == {"herd:superseded": "true"}
    reader = make("reader", "cat inputs/model/m.json", reads=["model"])
    assert '{"auc": 0.7}' in reader.run("q1").log
    assert outputs.find(environment, "model", None).rollback is not None  # type: ignore[arg-type]
    assert list(rollback.rolled_back(environment)) == ["model"]  # type: ignore[arg-type]
    back(environment)
    assert model.latest["run_id"] == "r1", "once more goes one further back"
    back(environment, "r3")
    assert model.latest["run_id"] == "r3", "and forward again, to what was taken back"


def test_runs_that_end_in_one_second_come_in_their_order(make: Make) -> None:
    """S3 dates objects to the second, and lists them by name."""
    for run_id in ("r-a", "r-c", "r-b"):
        model = job(make, 0.8)
        assert model.run(run_id).status == 0
    for name, stored in s3_backends[DEFAULT_ACCOUNT_ID]["aws"].buckets[model.bucket].keys.items():
        if name.startswith("_runs/"):
            stored.last_modified = NOW.replace(tzinfo=None)
    plan = rollback.plan(Environment(model), "model", "r-a")  # type: ignore[arg-type]
    assert plan.taken_back == ("r-b", "r-c")
    assert rollback.plan(Environment(model), "model", None).target.version.run_id == "r-c"  # type: ignore[arg-type]
    [seen] = checks.last_seen(Environment(model), "model")  # type: ignore[arg-type]
    assert [run.run_id for run in seen.seen] == ["r-a", "r-c", "r-b"]


def test_the_next_run_publishes_as_usual_and_what_was_taken_back_expires(make: Make) -> None:
    for number in (1, 2):
        model = job(make, 0.8)
        assert model.run(f"r{number}").status == 0
    back(environment := Environment(model))
    assert model.run("r3").status == 0
    assert (model.latest["run_id"], "rollback" in model.latest) == ("r3", False)
    for run_id in ("r1", "r2"):
        assert model.tags(f"model/versions/{run_id}/m.json") == {"herd:superseded": "true"}
    assert rollback.rolled_back(environment) == {}  # type: ignore[arg-type]


def test_trend_forgets_what_was_taken_back_and_the_baseline_stays(make: Make) -> None:
    for number in (1, 2, 3, 4):
        model = job(make, 0.5 + number / 100)
        assert model.run(f"r{number}").status == 0
    environment = Environment(model)
    plan = rollback.plan(environment, "model", "r2")  # type: ignore[arg-type]
    assert plan.taken_back == ("r4", "r3") and plan.baseline is None
    back(environment, "r2")
    assert [run["run_id"] for run in model.get("model/history.json")["runs"]] == ["r1", "r2"]
    assert model.get("model/baseline.json")["run_id"] == "r1"


def test_a_baseline_of_a_run_that_is_taken_back_is_named(make: Make) -> None:
    make("model", "echo 1 > outputs/m.txt").run("r1")
    model = job(make, 0.8)
    assert model.run("r2").status == 0
    assert rollback.plan(Environment(model), "model", None).baseline == "r2"  # type: ignore[arg-type]


def test_a_report_shows_the_page_of_then(make: Make) -> None:
    for text in ("one", "two"):
        sales = report(make, text, footer=True)
        assert sales.run(f"r-{text}").status == 0
    bucket = sales.settings["reports_bucket"]
    before = sales.read("sales/r-one.page.html", bucket)
    back(Environment(sales))
    assert page(sales) == before and "<p>one</p>" in page(sales) and "Run r-one " in page(sales)
    served = sales.s3.client.head_object(Bucket=bucket, Key="sales/index.html")
    assert (served["ContentType"], served["CacheControl"]) == ("text/html; charset=utf-8", "no-cache")
    assert sales.tags("sales/index.html", bucket) == {}
    assert sales.tags("sales/r-one.page.html", bucket) == {"herd:published": "true"}
    assert sales.tags("sales/r-two.page.html", bucket) == {"herd:superseded": "true"}


def test_a_report_of_several_files_leads_to_those_of_then(make: Make) -> None:
    sales = make("sales", "echo x > outputs/index.html; echo y > outputs/more.html", kind="report")
    for run_id in ("r1", "r2"):
        assert sales.run(run_id).status == 0
    back(Environment(sales))
    assert 'url=r1/index.html"' in page(sales)
    assert sales.tags("sales/r1/more.html", sales.settings["reports_bucket"]) == {"herd:published": "true"}


def test_a_fan_out_is_whole_again_with_its_items(make: Make) -> None:
    for run_id in ("r1", "r2"):
        model = make("model", f"echo {run_id} > outputs/m.txt", fan_out=["a", "b"])
        for item in ("a", "b"):
            assert model.run(run_id, HERD_ITEM=item).status == 0
        assert model.run(run_id, HERD_STEP="publish").status == 0
    now = model.latest
    back(Environment(model))
    was = model.latest
    assert (was["run_id"], was["items"]) == ("r1", ["a", "b"])
    assert [file["path"] for file in was["files"]] == [file["path"] for file in now["files"]]


# --- what cannot be had ---------------------------------------------------------------------------------------------


@pytest.fixture
def many(make: Make) -> Any:
    """r5 came first and wrote nothing, r1 and r2 were published, r3 was rejected, r4 failed, r6 is current."""
    assert make("model", "true").run("r5").status == 0
    for number, auc in ((1, 0.7), (2, 0.8)):
        assert job(make, auc).run(f"r{number}").status == 0
    assert job(make, 0.1).run("r3").status == 65
    assert make("model", "exit 3").run("r4").status == 3
    model = job(make, 0.9)
    assert model.run("r6").status == 0
    return model


@pytest.mark.parametrize(
    ("run_id", "words"),
    [
        ("r9", "run r9 is none of model that is known"),
        ("r3", "run r3 was rejected and never published: m.json: auc = 0.1 is below min = 0.5"),
        ("r4", "run r4 did not succeed (failed) and was never published"),
        ("r5", "run r5 wrote no files, so nothing of it was published"),
        ("r6", "run r6 is the current version already"),
    ],
)
def test_what_was_never_published_is_refused_with_what_can_be_had(many: Any, run_id: str, words: str) -> None:
    with pytest.raises(WrongInput) as refused:
        rollback.plan(Environment(many), "model", run_id)  # type: ignore[arg-type]
    first, *_ = str(refused.value).splitlines()
    assert first.startswith(words)
    listed = str(refused.value).partition("these can be had:\n")[2].splitlines()
    assert [line.split()[0] for line in listed] == ["r2,", "r1,"]
    assert "published 20" in listed[0] and "m.json: auc = 0.8 passed" in listed[0]
    assert many.latest["run_id"] == "r6"


def test_a_version_that_has_expired_is_refused_and_passed_over(many: Any) -> None:
    many.s3.client.delete_object(Bucket=many.bucket, Key="model/versions/r2/m.json")
    with pytest.raises(WrongInput, match="run r2 is none|run r2 has expired: 1 of its 1 files are gone"):
        rollback.plan(Environment(many), "model", "r2")  # type: ignore[arg-type]
    assert rollback.plan(Environment(many), "model", None).target.version.run_id == "r1"  # type: ignore[arg-type]


def test_without_an_earlier_version_there_is_nothing_to_go_back_to(make: Make) -> None:
    model = job(make, 0.8)
    with pytest.raises(WrongInput, match="has published nothing yet"):
        rollback.plan(Environment(model), "model", None)  # type: ignore[arg-type]
    assert model.run("r1").status == 0
    with pytest.raises(WrongInput, match="no version before the current one, run r1"):
        rollback.plan(Environment(model), "model", None)  # type: ignore[arg-type]


def test_a_page_that_was_not_kept_is_refused(make: Make) -> None:
    sales = report(make, "one")
    for run_id in ("r1", "r2"):
        assert sales.run(run_id).status == 0
    sales.s3.client.delete_object(Bucket=sales.settings["reports_bucket"], Key="sales/r1.page.html")
    with pytest.raises(WrongInput, match="has no page any more, or was published by a release of Herd that kept none"):
        rollback.plan(Environment(sales), "sales", "r1")  # type: ignore[arg-type]


@pytest.mark.parametrize("because", ["", "  ", "two\nlines", "x" * 501, "\x1b[2J"])
def test_a_reason_is_one_line(because: str) -> None:
    with pytest.raises(WrongInput, match="--because: .* must be one line"):
        rollback.reason(because)


# --- at the same moment ---------------------------------------------------------------------------------------------


def test_a_run_that_publishes_before_the_switch_wins(make: Make) -> None:
    for text in ("one", "two"):
        sales = report(make, text)
        assert sales.run(f"r-{text}").status == 0
    ran = []

    def another(operation: str, arguments: dict[str, Any]) -> None:
        if operation == "put_object" and arguments["Key"] == "sales/latest.json" and not ran:
            ran.append(report(make, "three").run("r-three").status)

    with pytest.raises(HerdError, match="run r-three of sales was published at the same moment"):
        back(Environment(sales, another), "r-one")
    assert ran == [0]
    assert sales.latest["run_id"] == "r-three" and page(sales) == "<p>three</p>\n"
    assert sales.tags("sales/versions/r-one/index.html") == {"herd:superseded": "true"}
    assert not any(key.startswith("_rollbacks/") for key in list(sales.keys()))


def test_a_run_that_was_about_to_switch_does_it_over_the_rollback_with_its_own_page(make: Make) -> None:
    for text in ("one", "two"):
        sales = report(make, text)
        assert sales.run(f"r-{text}").status == 0
    third, s3 = report(make, "three"), sales.s3
    s3.is_stalled.clear()
    s3.go_on.clear()
    s3.stalled = ("PUT", "/sales/latest.json")
    process = third.start("r-three")
    try:
        assert s3.is_stalled.wait(60)
        s3.stalled = None
        back(Environment(sales))
        assert sales.latest["run_id"] == "r-one"
    finally:
        s3.stalled = None
        s3.go_on.set()
        process.communicate(timeout=60)
    assert process.returncode == 0
    assert sales.latest["run_id"] == "r-three" and page(sales) == "<p>three</p>\n"
    for run_id in ("r-one", "r-two"):
        assert sales.tags(f"sales/versions/{run_id}/index.html") == {"herd:superseded": "true"}


def test_what_is_current_is_not_left_to_expire_by_a_run_that_ends_late(make: Make) -> None:
    """The run has switched, and marks the versions before it; meanwhile one of those becomes current."""
    for number in (1, 2):
        model = job(make, 0.8)
        assert model.run(f"r{number}").status == 0
    s3 = model.s3
    s3.is_stalled.clear()
    s3.go_on.clear()
    s3.stalled = ("PUT", "/model/versions/r1/m.json")
    process = model.start("r3")
    try:
        assert s3.is_stalled.wait(60)
        s3.stalled = None
        back(Environment(model), "r1")
    finally:
        s3.stalled = None
        s3.go_on.set()
        process.communicate(timeout=60)
    assert process.returncode == 0 and model.latest["run_id"] == "r1"
    assert model.tags("model/versions/r1/m.json") == {"herd:published": "true"}


def test_a_switch_whose_answer_was_lost_was_made(make: Make) -> None:
    for number in (1, 2):
        model = job(make, 0.8)
        assert model.run(f"r{number}").status == 0

    def twice(operation: str, arguments: dict[str, Any]) -> None:
        if operation == "put_object" and arguments["Key"] == "model/latest.json":
            model.s3.client.put_object(**arguments)

    back(Environment(model, twice))
    assert model.latest["run_id"] == "r1" and json.loads(json.dumps(model.latest["rollback"]))["replaced"] == "r2"
