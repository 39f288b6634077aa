"""Runs of jobs from end to end: what the workload sees, what is published, what is written down."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from herd.infra.spec.values import SHELL
from herd.runner.contract.due import Marker
from herd.runner.contract.keys import due_key
from herd.runner.errors import RunFailed
from herd.runner.workspace import collect, opened

Make = Callable[..., Any]

AUC = {"file": "metrics.json", "value": "auc"}


def write_auc(value: object) -> str:
    return f"echo '{json.dumps({'auc': value})}' > outputs/metrics.json"


@pytest.mark.parametrize(
    ("files", "named", "profile"),
    [
        (["days.R"], None, "profile.R"),
        (["below/days.r"], "/mine.R", "profile.R"),
        (["days.py"], None, None),
        (["days.py"], "/mine.R", "/mine.R"),
        ([], None, None),
    ],
    ids=["functions", "and a profile of its own", "none of R", "none, and a profile of its own", "no folder"],
)
def test_r_sources_the_folders_that_uses_names(
    make: Make, tmp_path: Path, files: list[str], named: str | None, profile: str | None
) -> None:
    """What R makes of them is tried in containers: tests/live/test_live_r.py."""
    for file in files:
        path = tmp_path / "lib/features" / file
        path.parent.mkdir(parents=True)
        path.write_text("")
    run = make("train", "env").run("r1", **({"R_PROFILE_USER": named} if named else {}))
    seen = dict(line.split("=", 1) for line in run.log.splitlines() if "=" in line)
    read = seen.get("R_PROFILE_USER")
    assert read == profile or (profile == "profile.R" and read is not None and Path(read).name == profile)
    assert seen.get("HERD_R_PROFILE") == (named if profile == "profile.R" else None)
    assert profile != "profile.R" or Path(str(read)).is_file()


def test_the_variables_and_folders_of_a_run(make: Make) -> None:
    script = """
        pwd
        ls
        env | sort
        echo "# changed" >> main.sh
        cat inputs/*/* 2>/dev/null
        echo result > "$HERD_OUTPUTS/a file.txt"
        mkdir outputs/sub && echo x > outputs/sub/x.txt
    """
    job = make("train", script, params={"month": 2, "dry-run": False, "rate": 0.5, "label": "a b"})
    run = job.run("r1", HERD_PARAMS='{"month": "3"}', HERD_TRIGGER="schedule", SECRET_FROM_PLATFORM="s")
    assert run.status == 0, run.log
    seen = dict(line.split("=", 1) for line in run.log.splitlines() if "=" in line)
    assert seen["HERD_ENVIRONMENT"] == "dev" and seen["HERD_WORKLOAD"] == "train" and seen["HERD_RUN_ID"] == "r1"
    assert (seen["HERD_PARAM_MONTH"], seen["HERD_PARAM_DRY_RUN"]) == ("3", "false")
    assert (seen["HERD_PARAM_RATE"], seen["HERD_PARAM_LABEL"]) == ("0.5", "a b")
    assert seen["HERD_OUTPUT_URI"] == f"s3://{job.bucket}/train/versions/r1/"
    assert seen["PYTHONPATH"] == job.environ["HERD_LIB_DIR"] and seen["PYTHONUNBUFFERED"] == "1"
    assert "HERD_TASK" not in seen and "HERD_PARAMS" not in seen and seen["SECRET_FROM_PLATFORM"] == "s"
    assert not Path(seen["HERD_OUTPUTS"]).exists(), "the working copy is removed"
    assert "changed" not in (job.folder / "main.sh").read_text().splitlines()[-1], "the copy is written to"

    latest = job.latest
    assert latest["run_id"] == "r1" and latest["prefix"] == "train/versions/r1/" and latest["items"] is None
    assert [(file["path"], file["bytes"]) for file in latest["files"]] == [("a file.txt", 7), ("sub/x.txt", 2)]
    assert job.read("train/versions/r1/a file.txt") == "result\n"
    record = job.record("r1")
    assert record["status"] == "succeeded" and record["exit_code"] == 0 and record["trigger"] == "schedule"
    assert record["params"]["month"] == 3 and record["files"] == latest["files"]
    assert record["started"] <= record["ended"] and record["ended"].endswith("Z")


DUE = "2027-01-02T03:04:05Z"


def marker(job: Any) -> Marker | None:
    try:
        body = job.s3.client.get_object(Bucket=job.bucket, Key=due_key("train", DUE))["Body"].read()
    except job.s3.client.exceptions.NoSuchKey:
        return None
    return Marker.from_json(body)


@pytest.mark.parametrize(
    ("script", "trigger", "completes"),
    [
        ("echo 1 > outputs/f", "schedule", True),
        ("true", "schedule", True),
        ("exit 3", "schedule", False),
        ("exit 65", "schedule", False),
        ("echo 1 > outputs/f", "manual", False),
        ("echo 1 > outputs/f", "pipeline", False),
    ],
    ids=["published", "writes to a database only", "fails", "a check fails", "by hand", "in a pipeline"],
)
def test_what_was_due_is_marked_as_done_once_it_is_published(
    make: Make, script: str, trigger: str, completes: bool
) -> None:
    job = make("train", script)
    job.run("r1", HERD_TRIGGER=trigger, HERD_SCHEDULED_TIME=DUE)
    done = marker(job)
    assert (done is not None) == completes
    if done is not None:
        assert (done.workload, done.scheduled_time, done.run_id) == ("train", DUE, "r1")
        assert done.completed is not None and done.started <= done.completed


def test_a_retry_marks_what_the_killed_attempt_had_published(make: Make) -> None:
    job = make("train", "echo 1 > outputs/f", retries=1)
    due = {"HERD_TRIGGER": "schedule", "HERD_SCHEDULED_TIME": DUE}
    job.run("r1", **due)
    job.s3.client.delete_object(Bucket=job.bucket, Key=due_key("train", DUE))
    assert job.run("r1", HERD_ATTEMPT="2", **due).status == 0
    assert marker(job) is not None


def test_a_marker_that_cannot_be_written_fails_no_run(make: Make) -> None:
    run = make("train", "echo 1 > outputs/f").run("r1", HERD_TRIGGER="schedule", HERD_SCHEDULED_TIME="../x")
    assert run.status == 0 and "due at ../x is done could not be written down" in run.log


def test_a_reader_gets_what_was_published_and_names_it(make: Make) -> None:
    make("first", "mkdir outputs/d; echo hello > outputs/d/f").run("r1")
    reader = make("second", "cat inputs/first/d/f; echo $HERD_INPUT_FIRST_URI; ls inputs", reads=["first"])
    run = reader.run("r2")
    assert run.status == 0 and f"hello\ns3://{reader.bucket}/first/versions/r1/\nfirst\n" in run.log
    assert reader.record("r2")["inputs"] == [{"name": "first", "run_id": "r1"}]
    only = make("third", "ls inputs; echo $HERD_INPUT_FIRST_URI", reads=[{"name": "first", "fetch": False}])
    assert only.run("r3").log.startswith(f"s3://{reader.bucket}/first/versions/r1/")


def test_missing_inputs_are_all_named_but_the_own_last_output_may_be_missing(make: Make) -> None:
    job = make("job", "ls -A inputs/job; echo 1 > outputs/f", reads=["one", "two", "job"])
    run = job.run("r1")
    assert run.status == 66 and "input one has no" in run.log and "input two has no" in run.log
    assert job.record("r1")["status"] == "failed"
    itself = make("job", "ls -A inputs/job; echo x > outputs/f", reads=["job"])
    assert itself.run("r2").log.count("\nf\n") == 0
    assert itself.run("r3").log.startswith("f\n")


def test_a_damaged_input_fails_the_run(make: Make) -> None:
    first = make("first", "echo hello > outputs/f")
    first.run("r1")
    first.s3.client.put_object(Bucket=first.bucket, Key="first/versions/r1/f", Body=b"hellO\n")
    run = make("second", "cat inputs/first/f", reads=["first"]).run("r2")
    assert run.status == 66 and "first: f of run r1 is damaged" in run.log and "hellO" not in run.log


@pytest.mark.parametrize(
    ("path", "what"),
    [("../../escape", "'../../escape'"), ("/etc/x", "'/etc/x'"), ("a//b", "'a//b'"), ("a\\..\\b", "backslash")],
)
def test_a_manifest_cannot_write_outside_the_inputs(make: Make, path: str, what: str) -> None:
    first = make("first", "echo hello > outputs/f")
    first.run("r1")
    manifest = first.latest
    manifest["files"][0]["path"] = path
    body = json.dumps(manifest).encode()
    first.s3.client.put_object(Bucket=first.bucket, Key="first/latest.json", Body=body)
    run = make("second", "echo ran", reads=["first"]).run("r2")
    assert run.status == 66 and "latest.json cannot be read" in run.log and "ran\n" not in run.log


@pytest.mark.parametrize(
    ("command", "status", "words"),
    [
        (["sh", "-c", "echo last words; exit 3"], 3, "ended with exit status 3"),
        (["sh", "-c", "kill -KILL $$"], 137, "memory_gb"),
        (["sh", "-c", "kill -SEGV $$"], 139, "SIGSEGV"),
        (["sh", "-c", "exit 65"], 65, "not fit to be published"),
        (["no-such-program"], 127, "'no-such-program' is not there"),
        (["./main.sh"], 126, "cannot be started: Permission denied"),
    ],
)
def test_failing_commands(make: Make, command: list[str], status: int, words: str) -> None:
    job = make("job", "", command=command)
    run = job.run("r1")
    record = job.record("r1")
    assert (run.status, record["exit_code"]) == (status, status) and words in run.log and words in record["reason"]
    assert record["status"] == {137: "killed", 65: "check-failed"}.get(status, "failed")
    assert job.latest is None and job.keys() == ["_runs/job/r1.json"]


def test_a_check_keeps_the_last_good_output_and_the_rejected_one(make: Make) -> None:
    checks = [{**AUC, "min": 0.7, "max_drop": 0.05}]
    good = make("train", write_auc(0.8), checks=checks)
    assert good.run("r1").status == 0
    assert good.get("train/baseline.json")["values"] == [
        {"item": None, "file": "metrics.json", "value": "auc", "observed": 0.8}
    ]
    dropped = make("train", write_auc(0.74), checks=checks).run("r2")
    assert dropped.status == 65
    last = dropped.log.splitlines()[-1]
    assert last == ("herd: metrics.json: auc = 0.74 has dropped by 0.06 from the accepted 0.8; max_drop = 0.05")
    assert make("train", write_auc(0.6), checks=checks).run("r3").log.endswith("0.6 is below min = 0.7\n")
    better = make("train", write_auc(0.9), checks=checks)
    assert better.run("r4").status == 0 and make("train", write_auc(0.75), checks=checks).run("r5").status == 0
    assert good.latest["run_id"] == "r5", "0.75 is exactly max_drop below the baseline, which is not yesterday's 0.9"
    assert good.get("train/rejected/r2/metrics.json") == {"auc": 0.74}
    assert good.tags("train/rejected/r2/metrics.json") == {"herd:rejected": "true"}
    record = good.record("r2")
    assert record["status"] == "check-failed" and record["exit_code"] == 65
    assert record["checks"][0]["observed"] == 0.74 and record["checks"][0]["baseline"] == 0.8
    assert good.tags("train/versions/r1/metrics.json") == {"herd:superseded": "true"}
    assert good.tags("train/versions/r5/metrics.json") == {"herd:published": "true"}


def test_a_slow_slide_is_stopped_by_its_trend(make: Make) -> None:
    """Four percent at a time passes every comparison with yesterday."""

    def train(auc: float, run_id: str) -> int:
        return make("train", write_auc(auc), checks=[{**AUC, "trend": 4}]).run(run_id).status

    for number in range(12):
        assert train(0.80 + 0.001 * (number % 3), f"r{number:02}") == 0
    job = make("train", write_auc(0.7), checks=[{**AUC, "trend": 4}])
    assert job.run("r12").status == 65
    assert (
        "0.7 is 101 median deviations from 0.801, the median of the last 12 published runs"
        in job.record("r12")["reason"]
    )
    assert [run["run_id"] for run in job.get("train/history.json")["runs"]] == [f"r{number:02}" for number in range(12)]


def test_yesterdays_file_again_is_not_published(make: Make) -> None:
    checks = [{"file": "metrics.json", "changed": True}]
    job = make("train", write_auc(0.8), checks=checks)
    assert job.run("r1").status == 0 and job.run("r2").status == 65
    assert make("train", write_auc(0.9), checks=checks).run("r3").status == 0
    assert job.latest["run_id"] == "r3"


def test_a_warning_publishes_and_is_recorded(make: Make) -> None:
    job = make("train", write_auc(0.6), checks=[{**AUC, "min": 0.7, "otherwise": "warn"}])
    ran = job.run("r1")
    assert ran.status == 0 and "herd: check WARNS: metrics.json: auc = 0.6 is below min = 0.7" in ran.log
    assert job.latest["run_id"] == "r1" and job.get("train/baseline.json") is None
    [check] = job.record("r1")["checks"]
    assert (check["passed"], check["otherwise"]) == (False, "warn")


def test_tables_and_a_program_of_ones_own_are_asked_too(make: Make) -> None:
    script = "printf 'id,delay\\n1,5\\n1,\\n' > outputs/flights.csv; echo 3 > limit"
    checks = [
        {"file": "flights.csv", "rows": True, "min": 2},
        {"file": "flights.csv", "unique": ["id"]},
        {"query": "SELECT count(*) FROM 'flights.csv'", "min": 3},
        {"command": ["sh", "-c", "echo looking with $HERD_WORKLOAD; test $(cat limit) = 3"]},
        {"command": ["sh", "-c", "exit 4"]},
    ]
    job = make("ingest", script, checks=checks)
    ran = job.run("r1")
    assert ran.status == 65 and "looking with ingest" in ran.log
    assert [check["passed"] for check in job.record("r1")["checks"]] == [True, False, False, True, False]
    assert (
        ran.log.splitlines()[-3:]
        == [
            "herd: flights.csv: rows that repeat id = 1 is above max = 0",
            "herd: query \"SELECT count(*) FROM 'flights.csv'\" = 2 is below min = 3",
            'herd: command "sh -c exit 4" ended with exit status 4; the lines above are its own',
        ]
        or ran.log.splitlines()[-3:]
    )


def test_a_check_that_hangs_is_ended_by_the_time_limit(make: Make) -> None:
    checks = [{"command": ["sleep", "600"]}]
    job = make("train", write_auc(0.8), checks=checks, timeout_seconds=2, stop_seconds=1)
    assert job.run("r1").status == 124
    assert job.record("r1")["status"] == "timed-out" and job.latest is None


def test_a_run_without_outputs_succeeds_and_publishes_nothing(make: Make) -> None:
    job = make("job", "echo done")
    run = job.run("r1")
    assert run.status == 0 and "nothing to publish" in run.log and job.keys() == ["_runs/job/r1.json"]


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("ln -s /etc/passwd outputs/users", "leads out of outputs/"),
        ("ln -s .. outputs/up", "leads out of outputs/"),
        ("ln -s /etc outputs/etc", "leads out of outputs/"),
        ("mkdir outputs/d; ln -s /etc/passwd outputs/d/users; ln -s d/users outputs/e", "leads out of outputs/"),
        ("ln -s ../inputs outputs/inputs", "leads out of outputs/"),
        ("rm -r outputs; ln -s /etc outputs", "outputs/ is a link, or lies behind one"),
        ("rm -r outputs; mkdir /tmp/$$.away; ln -s /tmp/$$.away outputs; rm -r /tmp/$$.away", "outputs/ is a link"),
        ("mkdir real; rm -r outputs; ln -s real outputs; echo 1 > real/f", "outputs/ is a link, or lies behind one"),
        ("mv $PWD $PWD.away; ln -s $PWD.away $PWD", "outputs/ is a link, or lies behind one"),
        ("rm -r outputs; echo 1 > outputs", "outputs/ is not a folder any more"),
        ("mkdir outputs/d; ln -s . outputs/d/e", "a link to a folder that contains it"),
        ("cd outputs; mkdir d e; ln -s ../e d/e; ln -s ../d e/d", "a link to a folder that contains it"),
        ("ln -s self outputs/self", "self"),
        ("mkfifo outputs/pipe", "neither a file"),
        ("mkdir outputs/d; mkfifo outputs/d/pipe; ln -s d outputs/e", "neither a file"),
        ("ln -s /dev/zero outputs/zero", "leads out of outputs/"),
        ("ln -s nowhere outputs/dangling", "No such file"),
        ("touch \"$(printf 'outputs/new\\nline')\"", "cannot be printed"),
        ("touch \"$(printf 'outputs/\\377')\"", "not UTF-8"),
        ("touch 'outputs/a\\b'", "backslash"),
    ],
)
def test_outputs_that_are_not_published(make: Make, script: str, words: str) -> None:
    job = make("job", f"echo fine > outputs/fine; {script}")
    run = job.run("r1")
    assert run.status == 73 and words in run.log and job.latest is None, run.log


def test_a_link_to_a_folder_in_outputs_is_followed(make: Make) -> None:
    job = make("job", "cd outputs; mkdir -p 2026-11-30/deep; echo 1 > 2026-11-30/deep/f; ln -s 2026-11-30 latest")
    assert job.run("r1").status == 0
    assert [file["path"] for file in job.latest["files"]] == ["2026-11-30/deep/f", "latest/deep/f"]


def test_links_that_multiply_are_refused(make: Make) -> None:
    """Twenty folders, each with two links to the next: a million files."""
    links = "ln -s ../$((n-1)) $n/a; ln -s ../$((n-1)) $n/b"
    run = make("job", f"cd outputs; mkdir 0; echo 1 > 0/f; for n in $(seq 20); do mkdir $n; {links}; done").run("r1")
    assert run.status == 73 and "lead to more than 10,000 files" in run.log


def test_a_file_that_becomes_a_link_is_not_published(tmp_path: Path) -> None:
    outputs = tmp_path.resolve() / "outputs"
    (outputs / "d").mkdir(parents=True)
    (outputs / "d" / "f").write_text("mine")
    (outputs / "g").write_text("mine")
    found = collect(outputs)
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "f").write_text("theirs")
    (outputs / "d").rename(tmp_path / "away")
    (outputs / "d").symlink_to(tmp_path / "secret")
    (outputs / "g").unlink()
    os.mkfifo(outputs / "g")
    for path in found.values():
        with pytest.raises(RunFailed, match="changed while it was being published") as refused, opened(path):
            pass
        assert refused.value.status == 73


def test_links_within_outputs_names_in_any_language_and_files_in_parts(make: Make) -> None:
    script = """
        dd if=/dev/zero of=outputs/big bs=1048576 count=20 2>/dev/null
        mkdir outputs/größe && echo x > 'outputs/größe/日本 %2F+&=.txt'
        ln -s größe/日本\\ %2F+\\&=.txt outputs/link
    """
    job = make("job", script)
    assert job.run("r1").status == 0
    reader = make(
        "reader", "cat inputs/job/link 'inputs/job/größe/日本 %2F+&=.txt'; wc -c < inputs/job/big", reads=["job"]
    )
    assert reader.run("r2").log.split() == ["x", "x", "20971520", *reader.run("r2").log.split()[3:]]


def test_files_that_the_workload_streamed_belong_to_the_version(make: Make) -> None:
    program = """
import boto3, os, urllib.parse
to = urllib.parse.urlparse(os.environ["HERD_OUTPUT_URI"])
boto3.client("s3").put_object(Bucket=to.netloc, Key=to.path[1:] + "part-0", Body=b"streamed")
"""
    job = make("job", "", files={"main.py": program}, command=[sys.executable, "main.py"])
    assert job.run("r1").status == 0
    assert job.latest["files"] == [{"path": "part-0", "bytes": 8, "sha256": None}]
    assert "streamed" in make("reader", "cat inputs/job/part-0", reads=["job"]).run("r2").log


def test_a_retry_clears_what_the_failed_attempt_streamed_and_never_repeats_a_published_run(make: Make) -> None:
    job = make("job", "echo ran; echo 1 > outputs/f", retries=2)
    job.s3.client.put_object(Bucket=job.bucket, Key="job/versions/r1/stray", Body=b"x")
    assert job.run("r1", HERD_ATTEMPT="2").status == 0
    assert [file["path"] for file in job.latest["files"]] == ["f"]
    again = job.run("r1", HERD_ATTEMPT="3")
    assert again.status == 0 and "ran\n" not in again.log and job.record("r1")["attempt"] == 3


@pytest.mark.parametrize(
    "script", ["trap 'echo caught; exit 0' TERM; echo up; while :; do sleep 0.05; done", "echo up; exec sleep 300"]
)
def test_a_stopped_run_publishes_nothing(make: Make, script: str) -> None:
    job = make("job", f"echo half > outputs/f; {script}")
    process = job.start("r1")
    assert process.stdout is not None and process.stdout.readline() == "up\n"
    process.send_signal(signal.SIGTERM)
    log, _ = process.communicate(timeout=60)
    assert process.returncode == 143 and "the run was stopped" in log
    assert ("caught" in log) == ("caught" in script)
    assert job.record("r1")["status"] == "killed" and job.latest is None


def test_output_arrives_while_the_command_runs_and_early(make: Make, tmp_path: Path) -> None:
    go_on = tmp_path / "go-on"
    job = make("job", f"echo first; until [ -e {go_on} ]; do sleep 0.1; done; echo second")
    process = job.start("r1")
    assert process.stdout is not None and process.stdout.readline() == "first\n"
    used = psutil.Process(process.pid).cpu_times()
    go_on.touch()
    log, _ = process.communicate(timeout=60)
    assert log.startswith("second\n")
    assert used.user + used.system < 2, "of the runner, before the workload says something"


def test_the_record_does_not_decide_about_the_run(make: Make) -> None:
    job = make("job", "exit 4")
    run = job.run("r1", AWS_ENDPOINT_URL="http://127.0.0.1:1")
    assert run.status == 4 and "the record of this run could not be written" in run.log


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"HERD_TASK": ""}, "cannot be read"),
        ({"HERD_TASK": "{}"}, "HERD_TASK has no 'schema'"),
        ({"HERD_TASK": '{"schema": 9}'}, "this runner reads schema 1"),
        ({"HERD_PARAMS": '{"moth": 1}'}, "unknown parameter 'moth'; [params] has: month"),
        ({"HERD_PARAMS": '{"month": "x"}'}, "parameter month = 'x': must be a whole number, like its default 2"),
        ({"HERD_PARAMS": "[]"}, "HERD_PARAMS is not a JSON object"),
        ({"HERD_RUN_ID": "../x"}, "must not contain '/'"),
    ],
)
def test_wrong_settings(make: Make, variables: dict[str, str], words: str) -> None:
    run = (
        make("job", "echo ran", params={"month": 2}).run(run_id="r1", **variables)
        if "HERD_RUN_ID" not in variables
        else None
    )
    if run is None:
        run = make("job", "echo ran", params={"month": 2}).run(variables["HERD_RUN_ID"])
    assert run.status == 78 and words in run.log and "ran\n" not in run.log
    assert "Traceback" not in run.log


def test_an_input_that_may_not_be_read_is_not_taken_for_a_missing_one(make: Make) -> None:
    job = make("job", "echo ran", reads=["job"])
    job.s3.client.put_object(Bucket=job.bucket, Key="job/latest.json", Body=b"{}")
    job.s3.denied = "job/latest.json"
    try:
        run = job.run("r1")
    finally:
        job.s3.denied = None
    assert run.status == 69 and "AccessDenied" in run.log and "ran\n" not in run.log


@pytest.mark.parametrize(
    ("command", "status"),
    [
        ("sh fails.sh | tee outputs/log.txt", 3),
        ("sh fails.sh\nsh works.sh", 3),
        ("sh fails.sh || sh works.sh", 0),
        ("sh works.sh && sh works.sh | tee outputs/log.txt", 0),
    ],
    ids=["before a pipe", "one of two lines", "expected", "none"],
)
def test_a_step_that_fails_inside_a_command_fails_the_run(make: Make, command: str, status: int) -> None:
    files = {"fails.sh": "echo half of it; exit 3", "works.sh": "echo x > outputs/summary.csv"}
    job = make("steps", "", files, command=[*SHELL, command])
    assert job.run("r1").status == status
    assert (job.latest is None) == (status != 0)
