"""Earlier runs: listed, found by the beginning of an id, remembered; on real executions of small machines."""

from __future__ import annotations

import itertools
import json
import os
import sqlite3
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from herd.commands import tables
from herd.errors import WrongInput
from herd.runs import history, runs
from herd.runs.index import FORMAT, Execution, RunIndex
from herd.runs.runs import Run
from localcloud.server import Server
from tests.herd.outputs import batch, parsed

NOW = datetime(2027, 1, 31, 6, 0, tzinfo=UTC)

_accounts = itertools.count(540_000_000_000 + os.getpid() * 1000)

SKIPPED = {"status": "skipped", "reason": "the last run is still going on"}
DEFINITION = {
    "StartAt": "How",
    "States": {
        "How": {
            "Type": "Choice",
            "Choices": [
                {"Variable": "$.how", "StringEquals": how, "Next": how} for how in ("succeed", "skip", "fail", "wait")
            ],
        },
        "succeed": {"Type": "Pass", "Result": {"status": "succeeded"}, "End": True},
        "skip": {"Type": "Pass", "Result": SKIPPED, "End": True},
        "fail": {"Type": "Fail", "Error": "Herd.Failed", "Cause": '{"exit_code": 3, "reason": "exit code 3"}'},
        "wait": {"Type": "Wait", "Seconds": 600, "Next": "succeed"},
    },
}


class Environment(SimpleNamespace):
    """Two jobs whose runs end as they are told to."""

    def run(self, job: str, run_id: str, how: str) -> None:
        states = self.client("stepfunctions")
        machine = self.exports.batch[job].machine
        arn = states.start_execution(stateMachineArn=machine, name=run_id, input=json.dumps({"how": how}))
        ended = threading.Event()
        while how != "wait" and states.describe_execution(executionArn=arn["executionArn"])["status"] == "RUNNING":
            ended.wait(0.01)
        # One that is stopped before it has begun is none that another gave way to.
        while how == "wait" and len(states.get_execution_history(executionArn=arn["executionArn"])["events"]) < 2:
            ended.wait(0.01)


@pytest.fixture
def target(tmp_path: Path) -> Iterator[Environment]:
    server = Server(str(next(_accounts)), "eu-west-1", "http://127.0.0.1:4999")
    states = server.client("stepfunctions")
    machines = {
        name: states.create_state_machine(
            name=f"herd-dev-{name}", definition=json.dumps(DEFINITION), roleArn="arn:aws:iam::123456789012:role/r"
        )["stateMachineArn"]
        for name in ("train", "clean")
    }
    exports = parsed(workloads={name: batch(machine=machine) for name, machine in machines.items()})
    yield Environment(
        client=server.client,
        exports=exports,
        name="dev",
        option=("-e", "dev"),
        checkout=SimpleNamespace(state=tmp_path / ".herd"),
    )
    for machine in machines.values():
        for execution in states.list_executions(stateMachineArn=machine, statusFilter="RUNNING")["executions"]:
            states.stop_execution(executionArn=execution["executionArn"])
    server.close()


def ids(listed: list[Run]) -> list[tuple[str, str, str]]:
    return [(run.workload, run.id, run.status) for run in listed]


def test_runs_of_all_jobs_are_listed_newest_first_and_by_their_state(target: Environment) -> None:
    for job, run_id, how in (
        ("train", "r1", "succeed"),
        ("clean", "r2", "fail"),
        ("train", "r3", "skip"),
        ("clean", "r4", "wait"),
    ):
        target.run(job, run_id, how)
    whole = [
        ("clean", "r4", "running"),
        ("train", "r3", "skipped"),
        ("clean", "r2", "failed"),
        ("train", "r1", "succeeded"),
    ]
    for _ in range(2):  # asked of AWS, then of the index
        assert ids(history.listed(target, ["train", "clean"])) == whole  # type: ignore[arg-type]
    assert ids(history.listed(target, ["train", "clean"], most=2)) == whole[:2]  # type: ignore[arg-type]
    assert ids(history.listed(target, ["train"])) == [whole[1], whole[3]]  # type: ignore[arg-type]
    (failed,) = history.listed(target, ["train", "clean"], failed=True)  # type: ignore[arg-type]
    assert (failed.id, failed.exit_code, failed.reason) == ("r2", 3, "exit code 3")
    began = history.listed(target, ["clean"])[0].started  # type: ignore[arg-type]
    assert ids(history.listed(target, ["train", "clean"], after=began)) == whole[:1]  # type: ignore[arg-type]


def test_what_has_ended_is_read_once(target: Environment, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(3):
        target.run("train", f"r{number}", "succeed")
    first = history.listed(target, ["train"])  # type: ignore[arg-type]
    monkeypatch.setattr(runs, "execution", lambda *_: pytest.fail("read again"))
    assert history.listed(target, ["train"]) == first  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("hows", "last", "skipped"),
    [
        pytest.param([], None, None, id="never ran"),
        pytest.param(["succeed", "fail"], ("r1", "failed"), None, id="the newest"),
        pytest.param(["succeed", "wait", "skip"], ("r1", "running"), "r2", id="a start while one runs"),
        pytest.param(["wait", *["skip"] * 12], ("r0", "running"), "r12", id="many starts while one runs"),
        pytest.param(["wait", "succeed"], ("r0", "running"), None, id="one that ended beside it"),
        pytest.param(["skip"], ("r0", "skipped"), None, id="a skipped start and nothing else"),
    ],
)
def test_a_skipped_start_hides_no_run(
    target: Environment, hows: list[str], last: tuple[str, str] | None, skipped: str | None
) -> None:
    for number, how in enumerate(hows):
        target.run("train", f"r{number}", how)
    run = runs.last_runs(target).get("train")  # type: ignore[arg-type]
    assert (run and (run.id, run.status)) == last
    assert (run and run.skipped and run.skipped.id) == skipped


def test_a_skipped_start_leaves_the_run_it_gave_way_to_once_that_has_ended(target: Environment) -> None:
    target.run("train", "before", "succeed")
    target.run("train", "long", "wait")
    for number in range(3):
        target.run("train", f"start-{number}", "skip")
    states, machine = target.client("stepfunctions"), target.exports.batch["train"].machine
    arn = runs.execution_arn(machine, "long")
    states.stop_execution(executionArn=arn, cause="stopped by ann")
    while states.describe_execution(executionArn=arn)["status"] == "RUNNING":
        time.sleep(0.01)
    run = runs.last_runs(target)["train"]  # type: ignore[arg-type]
    assert (run.id, run.status, run.reason) == ("long", "aborted", "stopped by ann")
    assert run.skipped is not None and run.skipped.id == "start-2"


def test_a_run_that_ends_between_two_questions_is_not_lost(
    target: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    target.run("train", "before", "succeed")
    target.run("train", "long", "wait")
    states, arn = target.client("stepfunctions"), runs.execution_arn(target.exports.batch["train"].machine, "long")
    listed = runs._listed

    def and_then_it_ends(*arguments: Any) -> Any:
        executions = listed(*arguments)
        states.stop_execution(executionArn=arn, cause="stopped by ann")
        while states.describe_execution(executionArn=arn)["status"] == "RUNNING":
            time.sleep(0.01)
        return executions

    monkeypatch.setattr(runs, "_listed", and_then_it_ends)
    run = runs.last_runs(target)["train"]  # type: ignore[arg-type]
    assert (run.id, run.status) == ("long", "aborted")


def test_a_run_is_found_by_the_beginning_of_its_id(target: Environment) -> None:
    for job, run_id in (("train", "2027a-1"), ("train", "2027a-12"), ("clean", "2027b-1")):
        target.run(job, run_id, "succeed")
    assert history.find(target, "2027b") == [("clean", "2027b-1")]  # type: ignore[arg-type]
    assert history.find(target, "2027a-1") == [("train", "2027a-1")]  # type: ignore[arg-type]
    with pytest.raises(WrongInput, match=r"'2027a' may mean 2 runs(.|\n)*2027a-12  train\n    2027a-1  train"):
        history.find(target, "2027a")  # type: ignore[arg-type]
    with pytest.raises(WrongInput, match="no run in dev begins with 'x'; `herd runs` lists"):
        history.find(target, "x")  # type: ignore[arg-type]
    with pytest.raises(WrongInput, match="no run of clean in dev begins with '2027a'"):
        history.find(target, "2027a", "clean")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2d", NOW - timedelta(days=2)),
        ("36h", NOW - timedelta(hours=36)),
        ("90m", NOW - timedelta(minutes=90)),
        ("1w", NOW - timedelta(weeks=1)),
        ("2026-11-01", datetime(2026, 11, 1, tzinfo=UTC)),
        ("2026-11-01T08:30", datetime(2026, 11, 1, 8, 30, tzinfo=UTC)),
        ("999999w", datetime.min.replace(tzinfo=UTC)),
    ],
)
def test_since_when(text: str, moment: datetime) -> None:
    assert history.since(text, NOW) == moment


@pytest.mark.parametrize("text", ["yesterday", "2", "2 days", "-2d", "2026-13-01", "2y", "٢d x"])
def test_a_wrong_since_says_what_is_allowed(text: str) -> None:
    with pytest.raises(WrongInput, match="90m, 36h, 2d or 1w, or a date like 2027-01-29"):
        history.since(text, NOW)


# --- the index -------------------------------------------------------------------------------------------------------


def execution(number: int, machine: str = "arn:dev") -> Execution:
    began = NOW + timedelta(seconds=number)
    return Execution(machine, "train", f"r{number}", "SUCCEEDED", began, began + timedelta(seconds=1))


def run_of(one: Execution) -> Run:
    return Run(one.workload, one.id, "succeeded", one.started, one.ended, 0)


def test_the_index_knows_what_it_was_told_of_that_environment_and_time(tmp_path: Path) -> None:
    index, one = RunIndex(tmp_path / "deep" / "runs.sqlite"), execution(1)
    assert index.known([one]) == {}
    index.remember([(one, run_of(one))])
    again = Execution(one.machine, "train", "r1", "SUCCEEDED", one.started + timedelta(days=1), one.ended)
    redriven = Execution(one.machine, "train", "r1", "SUCCEEDED", one.started, NOW + timedelta(days=2))
    goes_on = Execution(one.machine, "train", "r1", "RUNNING", one.started, None)
    assert index.known([execution(1, "arn:prod"), again, redriven, goes_on]) == {}
    assert index.known([execution(2), one]) == {one: run_of(one)}


@pytest.mark.parametrize("damage", ["garbage", "cut", "format", "folder"])
def test_a_damaged_index_is_made_anew(tmp_path: Path, damage: str) -> None:
    path, one = tmp_path / "runs.sqlite", execution(1)
    RunIndex(path).remember([(one, run_of(one))])
    match damage:
        case "garbage":
            path.write_bytes(b"no database" * 1000)
        case "cut":
            path.write_bytes(path.read_bytes()[:5000])
        case "format":
            with sqlite3.connect(path) as database:
                database.execute(f"PRAGMA user_version = {FORMAT + 1}")
        case "folder":  # nothing can be remembered, and nothing fails
            path.unlink()
            path.mkdir()
    index = RunIndex(path)
    index.known([one])
    index.remember([(one, run_of(one))])
    assert index.known([one]) == ({} if damage == "folder" else {one: run_of(one)})


def test_two_at_once(tmp_path: Path) -> None:
    path = tmp_path / "runs.sqlite"

    def write(first: int) -> None:
        for number in range(first, first + 200, 20):
            some = [execution(one) for one in range(number, number + 20)]
            RunIndex(path).remember((one, run_of(one)) for one in some)

    threads = [threading.Thread(target=write, args=(first,)) for first in (0, 200)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(RunIndex(path).known([execution(number) for number in range(400)])) == 400


def test_ten_thousand_runs_are_known_in_a_moment(tmp_path: Path) -> None:
    index, many = RunIndex(tmp_path / "runs.sqlite"), [execution(number) for number in range(10_000)]
    began = datetime.now(UTC)
    index.remember((one, run_of(one)) for one in many)
    assert len(index.known(many)) == 10_000
    assert datetime.now(UTC) - began < timedelta(seconds=10)  # half a second where nothing else runs


# --- the table -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("named", [True, False])
@pytest.mark.parametrize(
    ("run_id", "workload"),
    [
        ("20270131T060000-manual-4f2a", "clean"),
        ("20270131T060000-manual-4f2a", "the-longest-name-that-there-is"),
        ("0b9bb5c6-b4fa-4a43-97ad-f6c3d5a2e1aa", "the-longest-name-that-there-is"),
    ],
)
def test_the_table_of_runs_fits_a_terminal(
    capsys: pytest.CaptureFixture[str], run_id: str, workload: str, named: bool
) -> None:
    run = Run(workload, run_id, "check-failed", NOW - timedelta(hours=99), NOW)
    tables.runs([run], NOW, named=named)
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    assert run_id in lines[1] and "check-failed" in lines[1]
    assert (workload[:7] in lines[1]) is named
