"""Follows runs until they end: prints changes of their status, log lines, and the reason of a failure."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from herd import console
from herd.runs import logs, runs
from herd.runs.labels import Labels
from herd.runs.logs import Reader
from herd.runs.runs import Run
from herd.targets.target import Target

TAIL_LINES = 10

LONG_SECONDS = 3.0
"""After so long, and at this interval, check whether the task of a silent run waits for capacity."""


@dataclass
class Following:
    """A started run: `machines`, job -> the ARN of its state machine; `parent`: the pipeline's ARN, if it is one."""

    run_id: str
    machines: Mapping[str, str]
    parent: str | None = None
    runs: dict[str, Run] = field(default_factory=dict)
    ended: bool = False

    def poll(self, target: Target) -> list[Run]:
        """Request the status once; the runs whose status has changed."""
        parent = runs.execution(target, self.parent, self.run_id) if self.parent else None
        changed = []
        for name, machine in self.machines.items():
            known = self.runs.get(name)
            if known is not None and known.status != "running":
                continue
            described = runs.execution(target, machine, self.run_id)
            if described is None:
                continue
            run = runs.explained(target, name, described)
            if known is None or known.status != run.status:
                changed.append(run)
            self.runs[name] = run
        if parent is not None and parent["status"] != "RUNNING":
            changed += self._add_skipped(parent)
            self.ended = True
        elif self.parent is None:
            self.ended = all(name in self.runs and self.runs[name].status != "running" for name in self.machines)
        return changed

    def _add_skipped(self, parent: Mapping[str, object]) -> list[Run]:
        statuses = runs.job_statuses(parent)
        skipped = [
            runs.skipped(name, parent)
            for name, status in statuses.items()
            if status == "skipped" and name not in self.runs
        ]
        self.runs |= {run.workload: run for run in skipped}
        return skipped

    @property
    def failed(self) -> list[Run]:
        return [run for run in self.runs.values() if run.failed]


def follow(target: Target, following: list[Following], show_logs: bool, raw: bool = False) -> None:
    """Print what happens until all have ended; log lines unescaped if `raw`.

    Raises KeyboardInterrupt on Ctrl-C; the runs continue.
    """
    groups = {name: target.exports.workloads[name].log_group for entry in following for name in entry.machines}
    readers: dict[str, _Reading] = {}
    patience, began = _Patience(), time.monotonic()
    with console.waiting() as say:
        while True:
            changed = [run for entry in following if not entry.ended for run in entry.poll(target)]
            if show_logs:
                for run in changed:
                    readers.setdefault(run.workload, _Reading(target, run, groups[run.workload], len(groups) > 1))
                for reading in readers.values():
                    reading.show(raw)
            for run in changed:
                _print_change(target, run, groups[run.workload], show_logs)
            if all(entry.ended for entry in following):
                return
            now = [run for entry in following for run in entry.runs.values() if run.status == "running"]
            patience.look(target, now)
            say(" · ".join(f"{run.workload} {run.seconds:.0f} s" for run in now) or "starting")
            time.sleep(target.pace.pause(target.pace.follow, time.monotonic() - began))


class _Patience:
    """Prints once for each run that its task waits, and for what."""

    def __init__(self) -> None:
        self._noted: set[str] = set()
        self._looked = time.monotonic()

    def look(self, target: Target, running: list[Run]) -> None:
        """Check whether one of these runs waits, at most every LONG_SECONDS."""
        wondered = [run for run in running if run.seconds > LONG_SECONDS and run.workload not in self._noted]
        if not wondered or time.monotonic() < self._looked + LONG_SECONDS:
            return
        self._looked = time.monotonic()
        reasons = runs.waiting(target)
        for run in wondered:
            if reason := reasons.get(run.workload):
                self._noted.add(run.workload)
                console.note(f"… {run.workload}: {reason[0].lower()}{reason[1:]}")


class _Reading:
    """Prints the lines of a run as they come. `named`: those of other workloads come between them."""

    def __init__(self, target: Target, run: Run, group: str, named: bool) -> None:
        self._name, self._named = run.workload, named
        self._reader = Reader(target, group, run.started or datetime.now(UTC), whole=True)
        self._labels = Labels(target, target.exports.batch[run.workload].machine, run.id)

    def show(self, raw: bool) -> None:
        """Print what is new."""
        _print_lines(self._reader, lambda stream: self._labels.prefix(self._name, stream, named=self._named), raw)


def _print_lines(reader: Reader, before: Callable[[str], str], raw: bool) -> None:
    """`before`: the name of a line's stream -> what stands before it."""
    write = console.as_printed if raw else console.log_line
    for line in reader.new():
        write(line.text, before(line.stream))


def _print_change(target: Target, run: Run, group: str, logs_shown: bool) -> None:
    console.note(describe(run), style="red" if run.failed else "")
    if run.failed and not logs_shown:
        for line in last_lines(target, run, group):
            console.note(f"    {line}")


def describe(run: Run) -> str:
    """One line about a run: its status, attempts, exit code and reason."""
    code = f", exit code {run.exit_code}" if run.exit_code and f"exit code {run.exit_code}" not in run.reason else ""
    tries = f" after {run.attempts} attempts" if run.attempts and run.attempts > 1 else ""
    why = f": {run.reason}" if run.reason else ""
    match run.status:
        case "running":
            return f"▸ {run.workload} running ({run.id})"
        case "succeeded" if run.confirms:
            return f"✓ {run.workload} up to date: nothing has changed since run {run.confirms}"
        case "succeeded":
            nothing = "; it wrote no files to outputs/, so nothing was published" if run.published_nothing else ""
            return f"✓ {run.workload} succeeded ({run.seconds:.1f} s){nothing}"
        case "skipped":
            return f"– {run.workload} skipped{why}"
        case _:
            return f"✗ {run.workload} {run.status}{tries}{code}{why}"


def last_lines(target: Target, run: Run, group: str, count: int = TAIL_LINES) -> list[str]:
    """The last log lines of the task that failed."""
    return [line.text for line in logs.tail(target, run.workload, group, count, run.task, run.started)]
