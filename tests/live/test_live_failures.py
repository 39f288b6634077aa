"""Work that fails, on the real thing: it is retried or not, published or not, and always said."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator

import pytest

from harness.sandbox import Sandbox
from tests.live.support import fetch

pytestmark = [pytest.mark.live, pytest.mark.xdist_group("live-failures")]

BUCKET = "herd-dev-123456789012-data"

TEAM = {
    "jobs/breaks/workload.toml": "retries = 1\n",
    "jobs/breaks/main.py": 'import sys\nprint("opening the ledger")\nsys.exit("the ledger is locked by somebody")\n',
    "jobs/later/workload.toml": 'after = ["breaks"]\n',
    "jobs/later/main.py": 'print("never reached")\n',
    "jobs/gate/workload.toml": (
        "retries = 2\n[params]\nauc = 0.9\n"
        '[[check]]\nfile = "metrics.json"\nvalue = "auc"\nmin = 0.7\nmax_drop = 0.05\n'
    ),
    "jobs/gate/main.py": (
        "import json, os, pathlib\n"
        'out = pathlib.Path(os.environ["HERD_OUTPUTS"])\n'
        '(out / "metrics.json").write_text(json.dumps({"auc": float(os.environ["HERD_PARAM_AUC"])}))\n'
    ),
    "jobs/greedy/workload.toml": "memory_gb = 0.5\ncpu = 0.25\nretries = 0\n",
    "jobs/greedy/main.py": 'import time\nhoard = b"x" * (700 * 2**20)\ntime.sleep(120)\n',
    "jobs/absent/workload.toml": 'command = ["no-such-program"]\nretries = 0\n',
    "jobs/slow/workload.toml": "timeout_minutes = 1\nretries = 0\n",
    "jobs/slow/main.py": "import time\ntime.sleep(600)\n",
    "jobs/numbers/workload.toml": "[params]\nnumber = 1\n",
    "jobs/numbers/main.py": ('import os\nopen("outputs/numbers.txt", "w").write(os.environ["HERD_PARAM_NUMBER"])\n'),
    "jobs/total/workload.toml": 'after = ["numbers"]\nreads = ["numbers"]\n',
    "jobs/total/main.py": (
        'open("outputs/total.txt", "w").write(open("inputs/numbers/numbers.txt").read())\nprint("added up")\n'
    ),
    "reports/waits/workload.toml": (
        'schedule = "@yearly"\nretries = 0\n'
        'command = "test $HERD_PARAM_READY = yes && echo \\"<p>here\\" > outputs/index.html"\n[params]\nready = "no"\n'
    ),
    "jobs/sleeps/workload.toml": "retries = 0\n[params]\nseconds = 0\n",
    "jobs/sleeps/main.py": (
        'import os, time\nseconds = int(os.environ["HERD_PARAM_SECONDS"])\n'
        'print(f"asleep for {seconds} s", flush=True)\ntime.sleep(seconds)\n'
    ),
}


@pytest.fixture(scope="module")
def team(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """An environment with one job for each way to fail, none of them started yet."""
    with Sandbox(tmp_path_factory.mktemp("failures") / "checkout", samples=False) as sandbox:
        for path, text in TEAM.items():
            sandbox.write(path, text)
        sandbox.herd("up", "--no-run")
        yield sandbox


@pytest.fixture(scope="module")
def slow(team: Sandbox) -> Iterator[subprocess.Popen[str]]:
    """A run that is followed for its minute while others are tried."""
    with subprocess.Popen(
        [str(team.folder / ".venv/bin/python"), "-m", "herd", "run", "slow"],
        cwd=team.folder,
        env=team.environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as following:
        team.wait_for("it to run", lambda: (team.status("slow")["last_run"] or {}).get("status") == "running")
        yield following
        following.kill()


def test_a_failing_job_is_retried_shown_and_stops_its_dependants(team: Sandbox, slow: object) -> None:
    run = team.herd("run", "breaks", "--with-dependants", check=False)
    printed = run.stdout + run.stderr
    assert run.returncode == 1
    assert "the ledger is locked by somebody" in printed and "later" in printed and "skipped" in printed
    last = team.status("breaks")["last_run"]
    assert (last["status"], last["exit_code"]) == ("failed", 1)
    assert team.status("breaks")["state"] == "failing"
    assert team.status("later")["last_run"]["status"] == "skipped"
    assert "the ledger is locked by somebody" in team.herd("status").stdout
    logs = team.herd("logs", "breaks").stdout
    assert logs.count("opening the ledger") == 2, "one attempt and one retry"


def test_up_does_not_hide_a_failing_first_run(team: Sandbox, slow: object) -> None:
    up = team.herd("up", check=False)
    assert up.returncode == 1
    assert "breaks" in up.stdout + up.stderr


def test_a_failed_check_publishes_nothing_and_keeps_the_last_good_output(team: Sandbox) -> None:
    team.herd("run", "gate")
    good = team.status("gate")["last_run"]["id"]
    run = team.herd("run", "gate", "--param", "auc=0.8", check=False)
    printed = run.stdout + run.stderr
    assert run.returncode == 1
    assert "auc" in printed and "0.8" in printed and "0.05" in printed
    assert printed.count("✗ gate check-failed") == 1, "one run is told of once"
    last = team.status("gate")["last_run"]
    assert (last["status"], last["exit_code"]) == ("check-failed", 65)
    shown = team.herd("outputs", "gate")
    assert good in shown.stdout + shown.stderr, "the last good output is still the current one"
    listed = team.client("s3").list_objects_v2(Bucket=BUCKET, Prefix="gate/rejected/")["Contents"]
    assert f"gate/rejected/{last['id']}/metrics.json" in [entry["Key"] for entry in listed]
    assert team.herd("logs", "gate").stdout.count("0.8") >= 1


def test_a_person_may_accept_a_lower_value(team: Sandbox) -> None:
    assert "auc = 0.8 (was 0.9)" in team.herd("accept", "gate").stdout
    assert team.herd("run", "gate", "--param", "auc=0.8").returncode == 0
    assert team.herd("run", "gate", "--param", "auc=0.7", check=False).returncode == 1


def test_too_much_memory_is_killed_and_said(team: Sandbox) -> None:
    run = team.herd("run", "greedy", check=False)
    last = team.status("greedy")["last_run"]
    assert (run.returncode, last["status"], last["exit_code"]) == (1, "killed", 137)
    assert last["reason"].startswith("used more than memory_gb = 0.5 (jobs/greedy/workload.toml): OutOfMemoryError")


def test_a_missing_program_is_said(team: Sandbox) -> None:
    run = team.herd("run", "absent", check=False)
    assert run.returncode == 1 and "no-such-program" in run.stdout + run.stderr
    assert team.status("absent")["last_run"]["exit_code"] == 127


def test_cancel_stops_the_processes_and_is_recorded(team: Sandbox) -> None:
    started = team.herd("run", "sleeps", "--param", "seconds=600", "--detach").stdout

    def running() -> str | None:
        last = team.status("sleeps")["last_run"] or {}
        return last["id"] if last.get("status") == "running" else None

    run = team.wait_for("the run to be listed", running)
    assert run in started
    team.wait_for("its first line", lambda: "asleep for 600 s" in team.herd("logs", "sleeps", check=False).stdout)
    team.herd("cancel", run)
    team.wait_for("the run to end", lambda: team.status("sleeps")["last_run"]["status"] == "aborted", 120)


def test_a_run_that_takes_too_long_is_timed_out(team: Sandbox, slow: subprocess.Popen[str]) -> None:
    printed, _ = slow.communicate(timeout=150)
    last = team.status("slow")["last_run"]
    assert slow.returncode == 1
    assert (last["status"], last["exit_code"]) == ("timed-out", 124)
    assert last["reason"] == "took longer than timeout_minutes = 1 (jobs/slow/workload.toml)"
    assert f"✗ slow timed-out, exit code 124: {last['reason']}" in printed


def test_what_failed_is_in_the_record(team: Sandbox) -> None:
    run = team.status("breaks")["last_run"]["id"]
    record = team.client("s3").get_object(Bucket=BUCKET, Key=f"_runs/breaks/{run}.json")["Body"].read()
    assert json.loads(record)["status"] == "failed"


def test_what_is_up_to_date_is_not_run_again(team: Sandbox) -> None:
    def run(number: int) -> str:
        done = team.herd("run", "numbers", "--with-dependants", "--param", f"number={number}")
        return done.stdout + done.stderr

    assert "added up" in run(2)
    first = team.status("total")["last_run"]["id"]
    again = run(2)
    assert f"✓ total up to date: nothing has changed since run {first}" in again and "added up" not in again
    assert team.status("total")["state"] == "idle" and team.status("total")["last_run"]["confirms"] == first
    assert (
        f"total is up to date: its next run in the pipeline would repeat run {first}"
        in team.herd("why", "total").stdout
    )
    assert "would have repeated run" in team.herd("show", team.status("total")["last_run"]["id"]).stdout
    assert first in team.herd("outputs", "total").stderr
    assert "added up" in run(3), "another input"
    team.write("jobs/total/main.py", f"# a comment\n{TEAM['jobs/total/main.py']}")
    assert "jobs/total/main.py" in team.herd("why", "total").stderr
    team.herd("up", "--no-run")
    assert "jobs/total/main.py" in team.herd("why", "total").stdout
    assert "added up" in run(3)


def test_an_address_without_a_page_yet_answers_in_words(team: Sandbox) -> None:
    url = team.status("waits")["url"]
    status, headers, page = fetch(url)
    assert (status, "waits is not there yet" in page, "a schedule: @yearly (UTC)" in page) == (200, True, True)
    assert headers["content-type"] == "text/html; charset=utf-8" and headers["cache-control"] == "no-cache"
    assert team.herd("run", "waits", check=False).returncode == 1
    assert "not there yet" in fetch(url)[2], "a run that fails puts no page there"
    team.herd("run", "waits", "--param", "ready=yes")
    assert "<p>here" in fetch(url)[2]
    team.herd("up", "--no-run")
    assert "<p>here" in fetch(url)[2]
