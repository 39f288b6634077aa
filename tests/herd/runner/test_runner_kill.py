"""Publishing can be killed at any point: readers have the old version or the new one, and a retry completes it."""

from __future__ import annotations

import hashlib
import os
import random
import signal
import subprocess
import threading
from collections.abc import Callable
from typing import Any

import pytest

Make = Callable[..., Any]

SCRIPT = """
for n in 1 2 3 4; do echo $HERD_RUN_ID $n > outputs/f$n; done
echo '{"auc": 0.8}' > outputs/m.json
echo $HERD_RUN_ID > outputs/index.html
"""
WRITES = ("PUT", "POST", "DELETE")


def kill_at(job: Any, run_id: str, point: int, moment: str, **variables: str) -> bool:
    """Start the run and kill its whole group before or after the server carries out its nth writing request."""
    seen = 0
    started = threading.Event()
    process: list[subprocess.Popen[str]] = []

    def hook(method: str, path: str, now: str) -> None:
        nonlocal seen
        if method not in WRITES or not path.startswith(f"/{job.bucket.removesuffix('-data')}"):
            return
        if now == "before":
            seen += 1
        if seen == point and now == moment:
            started.wait(60)
            os.killpg(process[0].pid, signal.SIGKILL)

    job.s3.hook = hook
    try:
        process.append(job.start(run_id, **variables))
        started.set()
        process[0].communicate(timeout=60)
    finally:
        job.s3.hook = None
    return process[0].returncode == -signal.SIGKILL


def assert_readers_see_a_whole_version(job: Any, runs: set[str]) -> str:
    """Read as a reader does; every file must be the one that the manifest describes."""
    latest = job.latest
    assert latest["run_id"] in runs
    assert [file["path"] for file in latest["files"]] == ["f1", "f2", "f3", "f4", "index.html", "m.json"]
    for file in latest["files"]:
        body = job.read(latest["prefix"] + file["path"])
        assert hashlib.sha256(body.encode()).hexdigest() == file["sha256"], file
        assert job.tags(latest["prefix"] + file["path"]) == {"herd:published": "true"}, "the current version stays"
    index = job.read("sales/index.html", job.settings["reports_bucket"])
    shown = index.split("url=")[1].split("/")[0]
    assert shown in runs and job.read(f"sales/{shown}/index.html", job.settings["reports_bucket"]) == f"{shown}\n"
    return str(latest["run_id"])


# What a run writes, in order: 1-6 files to the data bucket, 7 the baseline (refused), 8-13 files to the reports bucket,
# 14 its index, 15-20 tags on what is about to be published, 21 latest.json, 22-33 tags on what is superseded, 34 the
# record. The seed keeps the sample the same.
SWITCHES = [(1, "before"), (6, "after"), (14, "before"), (14, "after"), (21, "before"), (21, "after")]
SAMPLE = random.Random(3).sample([(n, moment) for n in range(2, 34) for moment in ("before", "after")], 4)


@pytest.mark.parametrize(("point", "moment"), SWITCHES + SAMPLE)
def test_killed_while_publishing(make: Make, point: int, moment: str) -> None:
    checks = [{"file": "m.json", "value": "auc", "min": 0.7}]
    job = make("sales", SCRIPT, kind="report", checks=checks, retries=3)
    assert job.run("r1").status == 0
    assert kill_at(job, "r2", point, moment), "the run ended before the point that was to be tried"
    seen = assert_readers_see_a_whole_version(job, {"r1", "r2"})

    retry = job.run("r2", HERD_ATTEMPT="2")
    assert retry.status == 0, retry.log
    assert assert_readers_see_a_whole_version(job, {"r2"}) == "r2"
    assert job.record("r2")["status"] == "succeeded"
    if seen == "r2":
        assert "an earlier attempt had already" in retry.log

    assert job.run("r3").status == 0
    assert_readers_see_a_whole_version(job, {"r3"})
    for old in ("r1", "r2"):
        assert job.tags(f"sales/versions/{old}/f1") == {"herd:superseded": "true"}, f"{old} expires"
    assert job.get("sales/baseline.json")["run_id"] == "r1"


@pytest.mark.parametrize(("point", "moment"), [(3, "after"), (6, "after")])
def test_what_a_run_leaves_that_died_for_good_expires(make: Make, point: int, moment: str) -> None:
    job = make("sales", SCRIPT)
    assert job.run("r1").status == 0
    assert kill_at(job, "r2", point, moment), "the run ended before the point that was to be tried"
    there = job.keys()
    left = [key for key in there if key.startswith("sales/versions/r2/")]
    assert left and all(job.tags(key) == {"herd:rejected": "true"} for key in left)
    assert job.run("r3").status == 0
    there = job.keys()
    kept = {key for key in there if "/versions/" in key and job.tags(key) == {"herd:published": "true"}}
    assert kept == {f"sales/versions/r3/{file['path']}" for file in job.latest["files"]}


def test_two_first_runs_at_once_agree_on_one_baseline(make: Make) -> None:
    checks = [{"file": "m.json", "value": "auc", "min": 0.7}]
    job = make("sales", SCRIPT, checks=checks)
    both = [job.start(run_id) for run_id in ("r1", "r2")]
    logs = [process.communicate(timeout=60)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0], logs
    assert job.get("sales/baseline.json")["run_id"] in ("r1", "r2") and job.latest["run_id"] in ("r1", "r2")
