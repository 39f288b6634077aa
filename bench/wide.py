"""200 jobs and 20 services in one environment: what a person waits for, and what it costs while nothing happens."""

from __future__ import annotations

import json
import statistics
import time
from functools import partial
from pathlib import Path

import psutil

from bench.engine import EmptyProgram, resources
from bench.environment import SERVICE
from bench.measure import Result, seconds
from harness.sandbox import Sandbox

JOBS, SERVICES = 200, 20
PREVIEWS = 3
SETTLE_SECONDS, IDLE_SECONDS = 15, 30
DEPLOY_TIMEOUT_SECONDS = 900.0


def write(sandbox: Sandbox) -> None:
    """The team's files: jobs that run at night, services that answer `ok`."""
    for number in range(JOBS):
        sandbox.write(f"jobs/job-{number:03d}/workload.toml", f'schedule = "{number % 60} {number // 60} * * *"\n')
        sandbox.write(f"jobs/job-{number:03d}/main.py", f"print({number})\n")
    for number in range(SERVICES):
        sandbox.write(
            f"apis/api-{number:02d}/workload.toml",
            'command = ["python", "main.py"]\naccess = "public"\ncpu = 0.25\nmemory_gb = 0.5\n',
        )
        sandbox.write(f"apis/api-{number:02d}/main.py", SERVICE)


def wide(folder: Path) -> list[Result]:
    """From nothing to everything up, previews of no change, at rest, and down."""
    with Sandbox(folder / "checkout", samples=False) as sandbox:
        sandbox.write("jobs/first/workload.toml", "")
        sandbox.write("jobs/first/main.py", "print(1)\n")
        sandbox.herd("up", "--no-run")  # tools installed, packages realised, files in the page cache
        sandbox.herd("down", "--yes")
        write(sandbox)
        up = seconds(partial(sandbox.herd, "up", "--no-run", timeout_seconds=DEPLOY_TIMEOUT_SECONDS))
        count = resources(sandbox)
        idle, memory = _at_rest(sandbox)
        empty, preview, review = _previews(sandbox, folder)
        comment = len(sandbox.herd("preview", "--format", "markdown").stdout.encode())
        down = seconds(partial(sandbox.herd, "down", "--yes", timeout_seconds=DEPLOY_TIMEOUT_SECONDS))
    what = f"{JOBS} jobs and {SERVICES} services"
    yardstick = f"empty program {empty:.2f} s, {count} resources"
    return [
        Result(f"herd up of {what}", up, 90, "s", f"{up / empty:.1f} x the empty program's preview; {yardstick}"),
        Result(f"no-change preview of {what}", preview, 1.5 * empty + 0.010 * count, "s", yardstick),
        Result(f"review of {what}, unchanged", review, preview + 1, "s", f"the engine's preview {preview:.2f} s + 1 s"),
        Result(f"comment of {what}, unchanged", comment / 1000, 60, "kB", "GitHub takes 65"),
        Result(f"herd down of {what}", down, 45, "s", f"{down / empty:.1f} x the empty program's preview; {yardstick}"),
        Result(f"idle with {what}, processor", idle, 3, "% of a core", f"over {IDLE_SECONDS} s, {memory:.0f} MB"),
    ]


def _previews(sandbox: Sandbox, folder: Path) -> tuple[float, float, float]:
    """Medians of the empty program's preview, ours, and `herd preview` with its review, in turns."""
    empty = EmptyProgram(sandbox, folder / "empty")
    variables = sandbox.herd_env()
    floors, ours, reviews = [], [], []
    for _ in range(PREVIEWS):
        floors.append(seconds(partial(empty, "preview")))
        command = partial(sandbox.run, "pulumi", "preview", "--expect-no-changes", env=variables)
        ours.append(seconds(partial(command, timeout_seconds=DEPLOY_TIMEOUT_SECONDS)))
        review = partial(sandbox.herd, "preview", "--format", "markdown", timeout_seconds=DEPLOY_TIMEOUT_SECONDS)
        reviews.append(seconds(review))
    return statistics.median(floors), statistics.median(ours), statistics.median(reviews)


def _at_rest(sandbox: Sandbox) -> tuple[float, float]:
    """The local cloud's share of a core and its memory in MiB, its containers not counted."""
    endpoint = json.loads((sandbox.folder / ".herd/cloud/endpoint.json").read_text())
    process = psutil.Process(endpoint["pid"])
    time.sleep(SETTLE_SECONDS)
    before = process.cpu_times()
    time.sleep(IDLE_SECONDS)
    after = process.cpu_times()
    used = (after.user + after.system) - (before.user + before.system)
    return 100 * used / IDLE_SECONDS, process.memory_info().rss / 2**20
