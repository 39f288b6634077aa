"""How states and versions look on a terminal."""

from __future__ import annotations

from datetime import UTC, datetime

from herd import console
from herd.checkout import review_dates
from herd.runner.contract import statuses
from herd.runs import services
from herd.runs.follow import describe, last_lines
from herd.runs.outputs import Version
from herd.runs.status import WorkloadState
from herd.targets.target import Target

STYLES = {
    "healthy": "green",
    statuses.SUCCEEDED_RUN: "green",
    "running": "cyan",
    "deploying": "cyan",
    "idle": "",
    "failing": "red",
    statuses.FAILED_RUN: "red",
    statuses.CHECK_FAILED_RUN: "red",
    statuses.TIMED_OUT_RUN: "red",
    statuses.KILLED_RUN: "red",
    "unhealthy": "red",
    "rolled-back": "red",
    statuses.ABORTED_RUN: "yellow",
    statuses.SKIPPED_RUN: "yellow",
    "paused": "yellow",
    "expired": "yellow",
    "never-run": "dim",
    "stopped": "yellow",
}
"""Of a word in a table."""

TROUBLE = frozenset({"failing", "unhealthy", "rolled-back"})


def status(target: Target, workloads: list[WorkloadState]) -> None:
    """A line for each workload; below, what is wrong, in full."""
    now = datetime.now(UTC)
    rows = [[w.name, w.kind, w.state, _last(w, now), _when(w.next_run, now), w.url or ""] for w in workloads]
    console.table(["NAME", "KIND", "STATE", "LAST RUN", "NEXT RUN", "ADDRESS"], rows, STYLES)
    for workload in workloads:
        run = workload.last_run
        if run is not None and (run.status in statuses.FAILED_RUNS or run.status == statuses.SKIPPED_RUN):
            console.say()
            console.say(f"{describe(run)}  [run {run.id}]", style=STYLES[run.status])
            if run.status != statuses.SKIPPED_RUN:
                for line in last_lines(target, run, workload.log_group):
                    console.say(f"    {line}")
        elif workload.state in TROUBLE or (workload.reason and workload.state not in ("paused", "expired")):
            service = target.exports.services.get(workload.name)
            reason, lines = workload.reason, list[str]()
            if service is not None:
                reason, lines = services.explain(target, workload.name, service, workload.reason)
            console.say()
            console.say(
                f"✗ {workload.name} {workload.state}: {reason or 'see `herd logs ' + workload.name + '`'}", style="red"
            )
            for line in lines:
                console.say(f"    {line}")
        if workload.state in ("paused", "expired") and workload.reason:
            console.say()
            console.say(f"– {workload.name} is {workload.state}: {workload.reason}", style="yellow")
    reviews = review_dates.deployed(target.checkout, target.name, target.exports.workloads)
    if reviews:
        console.say()
    for review in reviews:
        console.say(f"! {review}", style="red" if review.expired else "yellow")


def version(version: Version) -> None:
    """The files of a version."""
    console.table(["FILE", "SIZE"], [[file.path, size(file.bytes)] for file in version.files])
    when = f", published {version.published}" if version.published else ", not published"
    console.note(f"run {version.run_id}{when}")


def size(count: int) -> str:
    """`812 B`, `1.4 MB`."""
    value = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000 or unit == "GB":
            break
        value /= 1000
    return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"


def _last(workload: WorkloadState, now: datetime) -> str:
    run = workload.last_run
    if run is None:
        return "-"
    if run.status == "running":
        return f"running {_span(run.seconds)}"
    when = run.ended or run.started
    return f"{run.status} {_span((now - when).total_seconds())} ago" if when else run.status


def _when(moment: datetime | None, now: datetime) -> str:
    return f"in {_span((moment - now).total_seconds())}" if moment else "-"


def _span(seconds: float) -> str:
    """A length of time as people say it: `12 s`, `3 min`, `5 h`, `2 d`."""
    for limit, length, unit in ((100, 1, "s"), (6000, 60, "min"), (172_800, 3600, "h")):
        if seconds < limit:
            return f"{max(seconds, 0) / length:.0f} {unit}"
    return f"{seconds / 86_400:.0f} d"
