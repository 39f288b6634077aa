"""The time limit of an attempt, kept by the runner; and what a command leaves running does not outlive it."""

from __future__ import annotations

import json
import os
import shlex
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from harness.processes import runs
from herd.runner.descendants import can_be_listed

Make = Callable[..., Any]

PYTHON = shlex.quote(sys.executable)
"""For a command that a shell reads: the checkout may lie in a folder with a space in its name."""

TOOK_LONGER = "took longer than timeout_minutes = 0.03"
LIMIT = {"timeout_seconds": 1.8, "stop_seconds": 0.6}

# A process in a session and with an environment of its own, of which nothing tells where it came from.
HELPER = """
import subprocess, sys
helper = subprocess.Popen(["/bin/sh", "-c", "trap '' TERM; echo $$ > '%s'; while :; do sleep 0.1; done"],
    start_new_session=True, env={"PATH": "/usr/bin:/bin"}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
"""


@pytest.fixture
def stall(s3: Any) -> Iterator[Callable[[str, str], None]]:
    """Let requests of a method for a path hang."""

    def begin(method: str, path: str) -> None:
        s3.go_on.clear()
        s3.is_stalled.clear()
        s3.stalled = (method, path)

    yield begin
    s3.stalled = None
    s3.go_on.set()


def gone(pid_file: Path) -> bool:
    return not runs(int(pid_file.read_text()))


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("echo begun; exec sleep 300", "begun"),
        ("trap 'echo saved; exit 0' TERM; while :; do sleep 0.05; done", "saved"),
        ("trap '' TERM; while :; do sleep 0.05; done", "stopping the command"),
        ("sleep 300 & sleep 300; echo never", "stopping the command"),
    ],
    ids=["ends by SIGTERM", "ends well after SIGTERM", "does not listen to SIGTERM", "with a child"],
)
def test_a_command_that_takes_too_long_is_ended(make: Make, script: str, said: str) -> None:
    job = make("slow", f"{script}", **LIMIT)
    run = job.run("r1")
    assert run.status == 124, run.log
    assert said in run.log and run.log.endswith(f"herd: {TOOK_LONGER}\n") and "never" not in run.log
    record = job.record("r1")
    assert (record["status"], record["exit_code"], record["reason"]) == ("timed-out", 124, TOOK_LONGER)
    assert job.latest is None and job.keys() == ["_runs/slow/r1.json"]


@pytest.mark.parametrize("limit", [{}, LIMIT], ids=["ends by itself", "takes too long"])
@pytest.mark.skipif(not can_be_listed(), reason="only Linux gives a process the orphans below it")
def test_no_process_outlives_its_task(make: Make, tmp_path: Path, limit: dict[str, Any]) -> None:
    pid_file = tmp_path / "pid"
    wait = f"while [ ! -s {pid_file} ]; do sleep 0.02; done; {'exec sleep 300' if limit else 'echo done'}"
    files = {"helper.py": HELPER % pid_file}
    job = make("helper", f"{PYTHON} helper.py; {wait}", files, **{**limit, "timeout_seconds": 3 if limit else None})
    run = job.run("r1")
    assert run.status == (124 if limit else 0), run.log
    assert gone(pid_file)


@pytest.mark.skipif(not can_be_listed(), reason="only Linux gives a process the orphans below it")
def test_no_process_outlives_a_trial(offline: Make, tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    job = offline("helper", f"{PYTHON} helper.py; while [ ! -s {pid_file} ]; do sleep 0.02; done")
    (job.folder / "helper.py").write_text(HELPER % pid_file)
    assert job.run("t1").status == 0
    assert gone(pid_file)


def test_a_trial_has_the_same_limit_and_words(offline: Make) -> None:
    run = offline("slow", "exec sleep 300", **LIMIT).run("t1")
    assert run.status == 124 and run.log.endswith(f"herd: {TOOK_LONGER}\n")


def test_what_hangs_before_the_command_counts(make: Make, stall: Callable[[str, str], None]) -> None:
    make("first", "echo hello > outputs/f").run("r1")
    stall("GET", "first/versions/r1/f")
    job = make("second", "echo never", reads=["first"], **LIMIT)
    run = job.run("r2")
    assert run.status == 124 and run.log.endswith(f"herd: {TOOK_LONGER}\n") and "never" not in run.log
    assert job.record("r2")["status"] == "timed-out"


@pytest.mark.parametrize("kind", ["job", "item", "publish step"])
def test_what_hangs_after_the_command_counts(make: Make, kind: str, stall: Callable[[str, str], None]) -> None:
    items = {} if kind == "job" else {"fan_out": ["a"]}
    job = make("job", "echo hello > outputs/f", **items)
    if kind == "publish step":
        assert job.run("r1", HERD_ITEM="a").status == 0
        stall("PUT", "job/versions/r1/a/f")  # its tag
    else:
        stall("PUT", "versions/r1/f" if kind == "job" else "versions/r1/a/f")
    late = make("job", "echo hello > outputs/f", **items, timeout_seconds=1.5, stop_seconds=0.6)
    run = late.run("r1", **{"job": {}, "item": {"HERD_ITEM": "a"}, "publish step": {"HERD_STEP": "publish"}}[kind])
    assert run.status == 124, run.log
    assert job.get("_runs/job/r1/a.json" if kind == "item" else "_runs/job/r1.json")["status"] == "timed-out"
    assert job.latest is None


def test_what_is_being_published_is_not_torn_apart(make: Make, s3: Any, stall: Callable[[str, str], None]) -> None:
    limit_seconds, started = 5.0, time.monotonic()  # long enough to come to its publishing on a busy machine
    job = make("job", "echo hello > outputs/f", timeout_seconds=limit_seconds, stop_seconds=0.3)
    stall("PUT", "job/latest.json")
    process = job.start("r1")
    assert s3.is_stalled.wait(60)
    time.sleep(max(0.0, started + limit_seconds + 1 - time.monotonic()))
    assert process.poll() is None
    s3.go_on.set()
    log, _ = process.communicate(timeout=60)
    assert process.returncode == 0, log
    assert job.record("r1")["status"] == "succeeded" and job.latest["run_id"] == "r1"


@pytest.mark.parametrize(
    ("status", "reason", "words"),
    [
        ("timed-out", TOOK_LONGER, "each attempt took longer than timeout_minutes = 0.1"),
        ("timed-out", f"attempt 1 {TOOK_LONGER}", "attempt 3 took longer than timeout_minutes = 0.1"),
        ("failed", "the command ended with exit status 3", "attempt 3 took longer than timeout_minutes = 0.1"),
        (None, "", "attempt 3 took longer than timeout_minutes = 0.1"),
    ],
    ids=["after late ones", "after a late one and another", "after a failed one", "after a killed one"],
)
def test_what_is_said_after_retries(make: Make, status: str | None, reason: str, words: str) -> None:
    job = make("slow", "exec sleep 300", timeout_seconds=6, stop_seconds=5, retries=2)
    number = 3 if words.startswith("attempt") else 2
    if status is not None:
        earlier = {"schema": 1, "status": status, "reason": reason, "attempt": number - 1}
        job.s3.client.put_object(Bucket=job.bucket, Key="_runs/slow/r1.json", Body=json.dumps(earlier).encode())
    assert job.run("r1", HERD_ATTEMPT=str(number)).status == 124
    assert job.record("r1")["reason"] == words


def test_a_limit_of_the_program_s_own_is_told_apart(make: Make) -> None:
    job = make("own", "exit 124", timeout_seconds=60)
    assert job.run("r1").status == 124
    record = job.record("r1")
    assert record["status"] == "timed-out" and record["reason"].endswith("it took longer than a limit of its own")


def test_a_stop_reaches_the_program_below_a_shell(make: Make) -> None:
    """As on ECS, where a container's init process tells its one child: the runner."""
    child = "import signal, sys, time\ndef save(*_):\n    time.sleep(0.3); print('saved', flush=True); sys.exit(0)\n"
    child += "signal.signal(signal.SIGTERM, save); print('ready', flush=True); time.sleep(300)\n"
    job = make("child", f"{PYTHON} child.py && echo after", {"child.py": child})
    process = job.start("r1")
    assert process.stdout.readline() == "ready\n"
    os.kill(process.pid, signal.SIGTERM)
    log, _ = process.communicate(timeout=60)
    assert process.returncode == 143 and "saved" in log and "after" not in log
    assert job.record("r1")["status"] == "killed"


def test_a_long_service_collects_no_zombies(make: Make) -> None:
    api = make("api", "(sleep 0.1 &); (sleep 0.1 &); sleep 0.6; echo now; exec sleep 300", kind="api", port=8000)
    process = api.start("s1")
    assert process.stdout.readline() == "now\n"
    below = psutil.Process(process.pid).children()
    assert [child.status() for child in below if child.status() == psutil.STATUS_ZOMBIE] == []
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
