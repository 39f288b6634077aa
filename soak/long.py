"""`python -m soak.long`: jobs that are due one after another for a quarter of an hour, in a real environment.

    python -m soak.long --minutes 15 --jobs-per-second 1

Each run is a one-time schedule, an execution of the job's state machine, a task, the runner, a published output. None
may be missed or doubled, the service beside them must always answer, and the local cloud's memory must not grow with
what is over. The figures become a section of docs/soak-report.md.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import sys
import tempfile
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psutil

from soak import sections
from soak.record import ROOT, commit
from soak.team import SMALL
from soak.world import World

REPORT = ROOT / "docs" / "soak-report.md"
JOBS = 10
AHEAD = timedelta(seconds=5)
SAMPLE_SECONDS = 5.0
DRAIN_SECONDS = 900.0
MOST_GROWTH = 0.10
WARM_SHARE = 1 / 6
"""Of the time; until then the process meets things for the first time."""

TICK = """import os, pathlib
moment = os.environ["HERD_SCHEDULED_TIME"]
(pathlib.Path(os.environ["HERD_OUTPUTS"]) / "moment.txt").write_text(moment)
print("run of", moment)
"""


@dataclass
class Seen:
    """What was measured while the jobs ran."""

    asked: list[tuple[str, str]] = field(default_factory=list)
    """Job and moment of each run that has to be."""

    memory: list[tuple[float, int]] = field(default_factory=list)
    """Seconds since the beginning, bytes."""

    processor_seconds: float = 0.0
    answers: int = 0
    offences: list[str] = field(default_factory=list)


def run(world: World, minutes: float, rate: float) -> tuple[Seen, list[str]]:
    """Carry it out; what was seen and the lines of the report. Raises AssertionError for what does not hold."""
    for number in range(JOBS):
        world.write(f"jobs/tick-{number}/workload.toml", SMALL + 'schedule = "0 3 1 1 *"\noverlap = "allow"\n')
        world.write(f"jobs/tick-{number}/main.py", TICK)
    world.start("up", "--no-run").assert_done()
    driver = Driver(world)
    watcher = threading.Thread(target=driver.watch, daemon=True)
    watcher.start()
    driver.ask(minutes * 60, rate)
    ended = driver.settle()
    driver.over.set()
    watcher.join()
    return driver.seen, driver.judge(ended, minutes, rate)


class Driver:
    """Asks for the runs, watches, and judges."""

    def __init__(self, world: World):
        self.seen = Seen()
        self.over = threading.Event()
        self._world = world
        target = world.target()
        self._scheduler, self._states = target.client("scheduler"), target.client("stepfunctions")
        jobs = target.require_exports().batch
        self._machines = {name: job.machine for name, job in jobs.items() if name.startswith("tick-")}
        self._service = world.status("gamma")["url"]
        found = [
            self._scheduler.get_schedule(Name=each["Name"], GroupName=each["GroupName"])
            for each in self._scheduler.get_paginator("list_schedules").paginate().build_full_result()["Schedules"]
        ]
        self._schedules = {
            name: next(each for each in found if each["Target"]["Arn"] == machine)
            for name, machine in self._machines.items()
        }
        self._began = time.monotonic()

    def ask(self, seconds: float, rate: float) -> None:
        """Declare one run after another, each a few seconds before it is due."""
        first = datetime.now(UTC).replace(microsecond=0) + AHEAD
        for number in range(int(seconds * rate)):
            moment = first + timedelta(seconds=int(number / rate))
            time.sleep(max(0.0, (moment - AHEAD - datetime.now(UTC)).total_seconds()))
            self._once(f"tick-{number % JOBS}", moment, number)
        time.sleep(AHEAD.total_seconds())

    def _once(self, job: str, moment: datetime, number: int) -> None:
        like = self._schedules[job]
        self._scheduler.create_schedule(
            Name=f"soak-{number}",
            GroupName=like["GroupName"],
            ScheduleExpression=f"at({moment:%Y-%m-%dT%H:%M:%S})",
            FlexibleTimeWindow={"Mode": "OFF"},
            ActionAfterCompletion="DELETE",
            Target=like["Target"],
        )
        self.seen.asked.append((job, f"{moment:%Y-%m-%dT%H:%M:%SZ}"))

    def watch(self) -> None:
        """Look at the local cloud's process and ask the service until it is over."""
        cloud = self._world.cloud_process()
        assert cloud is not None
        before = cloud.cpu_times()
        while not self.over.wait(SAMPLE_SECONDS):
            try:
                self.seen.memory.append((time.monotonic() - self._began, cloud.memory_info().rss))
                now = cloud.cpu_times()
                self.seen.processor_seconds = now.user + now.system - before.user - before.system
                assert self._world.answer(self._service) == self._world.edition
                self.seen.answers += 1
            except (psutil.Error, AssertionError, OSError) as error:
                self.seen.offences.append(f"after {time.monotonic() - self._began:.0f} s: {error}")

    def settle(self) -> list[dict[str, Any]]:
        """Wait until all that was asked for has ended: the executions, with their inputs."""

        def none_runs() -> bool:
            return not any(
                self._states.list_executions(stateMachineArn=machine, statusFilter="RUNNING")["executions"]
                for machine in self._machines.values()
            )

        self._world.wait_for("the last runs to end", none_runs, DRAIN_SECONDS)
        ended = []
        for job, machine in self._machines.items():
            pages = self._states.get_paginator("list_executions").paginate(stateMachineArn=machine)
            for each in pages.build_full_result()["executions"]:
                described = self._states.describe_execution(executionArn=each["executionArn"])
                moment = json.loads(described["input"])["scheduled_time"]
                ended.append({**described, "job": job, "moment": moment})
        return ended

    def judge(self, ended: list[dict[str, Any]], minutes: float, rate: float) -> list[str]:
        """What the report says; raises AssertionError."""
        wanted, had = Counter(self.seen.asked), Counter((run["job"], run["moment"]) for run in ended)
        missed, doubled = list((wanted - had).elements()), list((had - wanted).elements())
        failed = [f"{run['job']} {run['moment']}: {run.get('cause')}" for run in ended if run["status"] != "SUCCEEDED"]
        late = sorted((run["startDate"] - datetime.fromisoformat(run["moment"])).total_seconds() for run in ended)
        took = sorted((run["stopDate"] - run["startDate"]).total_seconds() for run in ended)
        warm_until = minutes * 60 * WARM_SHARE
        early = [size for at, size in self.seen.memory if warm_until <= at < 2 * warm_until]
        last = [size for at, size in self.seen.memory if (minutes * 60) - warm_until <= at]
        warm, final = statistics.median(early) / 2**20, statistics.median(last) / 2**20
        grown = final / warm - 1
        problems: dict[str, list[Any]] = {
            "missed": missed, "doubled or unasked": doubled, "failed": failed, "the service": self.seen.offences,
            "memory": [f"grew by {grown:.1%}"] if grown > MOST_GROWTH else [],
        }  # fmt: skip
        lines = [
            f"{minutes:g} minutes at {rate:g} job{'s' if rate != 1 else ''} a second, each a schedule, an execution, a "
            f"task, the runner and a published output; {datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {platform.system()}, "
            f"Python {platform.python_version()}, {psutil.cpu_count()} cores that others used too, commit {commit()}.",
            "",
            "| what | figure |",
            "| --- | --- |",
            f"| runs asked for, carried out | {len(self.seen.asked)}, {len(ended)} |",
            f"| missed, doubled, failed | {len(missed)}, {len(doubled)}, {len(failed)} |",
            f"| from due to the execution's start | median {middle(late)}, longest {late[-1]:.1f} s |",
            f"| an execution, waiting for a place included | median {middle(took)}, longest {took[-1]:.1f} s |",
            f"| the service beside them | answered {self.seen.answers} times, failed {len(self.seen.offences)} times |",
            f"| memory of the local cloud | {warm:.0f} MiB at first (minutes {warm_until / 60:.1f} to "
            f"{warm_until / 30:.1f}), {final:.0f} MiB at the end: {grown:+.1%} |",
            f"| processor time of the local cloud | {1000 * self.seen.processor_seconds / max(1, len(ended)):.0f} ms "
            "a run |",
        ]
        for what, found in problems.items():
            lines += [f"| did not hold: {what} | {len(found)}: {' / '.join(map(str, found[:5]))} |"] if found else []
        return lines


def middle(values: list[float]) -> str:
    return f"{statistics.median(values):.1f} s"


def holds(lines: list[str]) -> bool:
    """Did all hold?"""
    return not any(line.startswith("| did not hold") for line in lines)


def main(arguments: list[str] | None = None) -> int:
    """0 when all held."""
    parser = argparse.ArgumentParser(prog="python -m soak.long", description=__doc__.partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=15.0)
    parser.add_argument("--jobs-per-second", type=float, default=1.0)
    parser.add_argument("--report", type=Path, default=REPORT)
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="soak-") as folder, World(Path(folder) / "world") as world:
        _, lines = run(world, options.minutes, options.jobs_per_second)
    print("\n".join(lines))
    sections.write(options.report, "long", ["## Long", "", *lines])
    return 0 if holds(lines) else 1


if __name__ == "__main__":
    sys.exit(main())
