"""A local cloud that was killed or stopped comes back as it was: the same process is never asked twice."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from localcloud.config import Config
from localcloud.state import forget

DRIVER = Path(__file__).with_name("restarting.py")
STOPPED = "the local cloud was stopped while it ran"


def run(home: Path, *command: str, killed: bool = False) -> Any:
    done = subprocess.run(
        [sys.executable, str(DRIVER), str(home), *command], capture_output=True, text=True, timeout=240
    )
    assert done.returncode == (-9 if killed else 0), done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def lives(tmp_path_factory: pytest.TempPathFactory) -> list[Any]:
    """What three processes in a row have said; the first two were killed."""
    home = tmp_path_factory.mktemp("restart") / "cloud"
    made = run(home, "make", killed=True)
    again = run(home, "look-and-die", killed=True)
    return [made, again, run(home, "look")]


def test_address_and_identity_stay(lives: list[Any]) -> None:
    assert len({(life["instance"], life["port"]) for life in lives}) == 1


def test_objects_stay_with_bytes_versions_tags_and_dates(lives: list[Any]) -> None:
    made, again, third = (life["objects"] for life in lives)
    assert len(made["plain"]["Versions"]) == 4 and len(made["kept"]["Versions"]) == 3
    assert len(made["kept"]["DeleteMarkers"]) == 1
    assert made["plain/parts/null"][1] == 10 << 20
    assert again == made and third == made


def test_declared_things_stay(lives: list[Any]) -> None:
    for life in lives:
        for subnet in life["subnets"]:
            subnet.pop("AvailableIpAddressCount")  # running tasks have addresses
    assert all(life[name] == lives[0][name] for life in lives for name in ("subnets", "definitions"))


def test_runs_that_had_ended_stay_with_their_history(lives: list[Any]) -> None:
    made, *later = (life["executions"] for life in lives)
    for name, status in {"quick/quick-1": "SUCCEEDED", "fail/fail-1": "FAILED"}.items():
        assert made[name]["described"]["status"] == status
        assert len(made[name]["history"]) > 4
        assert all(life[name] == made[name] for life in later)


def test_a_run_that_was_under_way_is_aborted_once_with_the_reason(lives: list[Any]) -> None:
    made, again, third = (life["executions"] for life in lives)
    assert made["long/long-1"]["described"]["status"] == "RUNNING"
    assert (again["long/long-1"]["described"]["status"], again["long/long-1"]["described"]["cause"]) == (
        "ABORTED",
        STOPPED,
    )
    before, after = made["long/long-1"]["history"], again["long/long-1"]["history"]
    assert after[: len(before)] == before
    assert [event["type"] for event in after[len(before) :]] == ["ExecutionAborted"]
    assert third == again
    assert made.keys() == again.keys(), "nothing was started again"


def test_tasks_that_ran_are_stopped_with_the_reason(lives: list[Any]) -> None:
    made, again = lives[0]["tasks"], lives[1]["tasks"]
    ran = {arn for arn, task in made.items() if task["lastStatus"] == "RUNNING"}
    assert len(ran) == 4
    for arn, task in made.items():
        if arn not in ran:
            assert again[arn] == task
            continue
        assert (again[arn]["lastStatus"], again[arn]["desiredStatus"]) == ("STOPPED", "STOPPED")
        assert (again[arn]["stopCode"], again[arn]["stoppedReason"]) == ("TerminationNotice", STOPPED)
        assert again[arn]["startedAt"] == task["startedAt"]
        assert "exitCode" not in again[arn]["containers"][0]


def test_services_start_anew_in_the_same_deployment(lives: list[Any]) -> None:
    made, again = lives[0]["service"], lives[1]["service"]
    assert made["deployments"][0]["rolloutState"] == "COMPLETED"
    same = ("id", "taskDefinition", "rolloutState", "createdAt", "updatedAt")
    assert {name: again["deployments"][0][name] for name in same} == {
        name: made["deployments"][0][name] for name in same
    }
    assert again["createdAt"] == made["createdAt"]
    assert again["events"][-len(made["events"]) :] == made["events"]
    new = [task for arn, task in lives[2]["tasks"].items() if arn not in made and task["group"] == "service:web"]
    assert new, "it has tasks again"


def test_logs_stay(lives: list[Any]) -> None:
    made = lives[0]["logs"]
    assert sorted(len(stream["events"]) for stream in made.values()) == [1] * 8
    for life in lives[1:]:
        assert made.items() <= life["logs"].items()


def test_an_orderly_stop_aborts_what_runs_and_nothing_is_tried_again(tmp_path: Path) -> None:
    home = tmp_path / "cloud"
    made = run(home, "make-and-stop")
    again = run(home, "look")
    long = again["executions"]["long/long-1"]
    assert (long["described"]["status"], long["described"]["cause"]) == ("ABORTED", STOPPED)
    assert [event["type"] for event in long["history"]].count("TaskScheduled") == 1
    assert again["executions"].keys() == made["executions"].keys()
    assert again["objects"] == made["objects"]


def test_schedules_neither_fire_again_nor_make_up_for_what_they_missed(tmp_path: Path) -> None:
    for seconds in (6, 30, 120):  # on a busy machine the process may be killed too late
        home = tmp_path / f"cloud{seconds}"
        made = run(home, "schedule", str(seconds), killed=True)
        due = datetime.fromisoformat(f"{made['due']}Z")
        if datetime.now(UTC) < due:
            break
    assert [name.split("/")[0] for name in made["executions"]] == ["rate"], "a rate fires as it is made"
    while datetime.now(UTC) < due + timedelta(seconds=1):
        time.sleep(0.1)
    again = run(home, "look")
    assert again["executions"] == made["executions"]
    assert again["schedules"] == made["schedules"]


# --- what cannot be read ---------------------------------------------------------------------------------------------


def serve(home: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "localcloud", "serve", "--home", home, "--cache", home, "--uv", "/bin/true"]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


def set_aside(home: Path, said: str) -> Path:
    """Do what the sentence says; where the copy lies."""
    advice = said.strip().split(": ")[-1]
    assert advice == f"python -m localcloud set-aside --home {shlex.quote(str(home))}"
    done = subprocess.run([sys.executable, *shlex.split(advice)[1:]], capture_output=True, text=True, check=True)
    return Path(done.stdout.strip())


def test_a_damaged_journal_is_refused_and_the_way_out_leads_out(tmp_path: Path) -> None:
    home = tmp_path / "my team's cloud"
    before = run(home, "schedule", "-86400", killed=True)
    journal = home / "journal/requests"
    lines = journal.read_bytes().splitlines(keepends=True)
    damaged = b"".join([*lines[:2], lines[2].replace(b"POST", b"PUT "), *lines[3:]])
    journal.write_bytes(damaged)
    refused = serve(home)
    assert refused.returncode == 1
    assert refused.stderr.startswith(f"localcloud: {journal}, line 3: its checksum does not fit. Put a copy back, or")
    aside = set_aside(home, refused.stderr)
    assert (aside / "journal/requests").read_bytes() == damaged
    assert {path.name for path in aside.iterdir()} == {"journal", "runtime", "plugins", "images"}
    after = run(home, "look")
    assert after["instance"] != before["instance"] and after["port"] == before["port"]
    assert after["executions"] == {}


def test_a_runtime_that_cannot_be_read_is_refused_and_the_rest_goes_on(tmp_path: Path) -> None:
    home = tmp_path / "cloud"
    before = run(home, "schedule", "-86400", killed=True)
    for suffix in ("", "-wal", "-shm"):
        file = home / f"runtime/runtime.sqlite{suffix}"
        if file.exists():
            file.write_bytes(b"not a database" * 500)
    for _ in range(2):
        refused = serve(home)
        assert refused.returncode == 1
        assert refused.stderr.startswith(f"localcloud: {home}/runtime/runtime.sqlite cannot be used: it is damaged")
    aside = set_aside(home, refused.stderr)
    assert (aside / "runtime/runtime.sqlite").read_bytes() == b"not a database" * 500
    after = run(home, "look")
    assert (after["schedules"], after["instance"]) == (before["schedules"], before["instance"])
    assert after["executions"] == {}


def test_to_forget_leaves_address_and_keys(tmp_path: Path) -> None:
    home = tmp_path / "cloud"
    before = run(home, "schedule", "-86400", killed=True)
    gone = forget(Config(home, home, home), keep=False)
    assert {path.name for path in gone} == {"journal", "runtime", "plugins", "images"}
    assert not any(path.exists() for path in gone)
    after = run(home, "look")
    assert after["port"] == before["port"] and after["executions"] == {}


def test_to_forget_may_be_cut_short_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As by `kill -9`: the next start finds a cloud that is as good as new, and no half of the old one."""
    home = tmp_path / "cloud"
    before = run(home, "schedule", "-86400", killed=True)

    def killed(folder: Path, **_: Any) -> None:
        if folder == home / "journal":
            (folder / "key").unlink()
            raise KeyboardInterrupt

    monkeypatch.setattr("localcloud.state.shutil.rmtree", killed)
    with pytest.raises(KeyboardInterrupt):
        forget(Config(home, home, home), keep=False)
    after = run(home, "look")
    assert after["instance"] != before["instance"] and after["port"] == before["port"]
    assert before["schedules"] and not after["schedules"]
