"""Tables of states and versions for the terminal."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from herd import console
from herd.checkout import review_dates
from herd.deploy.environments import Listed
from herd.deploy.image_list import ImageEntry
from herd.review.difference import Difference
from herd.runner.contract import statuses
from herd.runner.contract.documents import Rollback
from herd.runs import services
from herd.runs.alarms import Overview
from herd.runs.checks import Check
from herd.runs.detail import Detail, ItemOutcome, published_words
from herd.runs.follow import describe, last_lines
from herd.runs.inventory import Entry
from herd.runs.outputs import Version
from herd.runs.runs import Run
from herd.runs.status import TROUBLE, WorkloadState
from herd.targets.local_cloud import TASKS_RUN_AS
from herd.targets.target import Target

STYLES = {
    "healthy": "green",
    statuses.SUCCEEDED_RUN: "green",
    "running": "cyan",
    "deploying": "cyan",
    "idle": "",
    "failing": "red",
    "late": "red",
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
"""State or status -> its style in a table."""

ALARM_STYLES = {"well": "green", "trouble": "red", "OK": "green", "ALARM": "red", "INSUFFICIENT_DATA": "dim"}

BARS, ASCII_BARS = "▁▂▃▄▅▆▇█", "_.,-=+*#"
"""From the least to the greatest; the second for terminals that know no other characters."""

MOST_RUNS = 20
"""In a list of runs where nobody says how many."""

COLUMNS = 80
"""Of a terminal that nobody has made wider."""


def differences(one: str, other: str, rows: Sequence[Difference]) -> None:
    """Print what differs between two environments, and how much of it no file names."""
    if not rows:
        console.say(f"{one} and {other} are the same, but for their names")
        return
    console.table([f"{one} → {other}", "WHAT DIFFERS", "NAMED IN"], [[row.whose, row.what, row.named] for row in rows])
    unnamed = sum(not row.named for row in rows)
    console.say()
    if unnamed:
        console.say(f"of these differences {unnamed} of {len(rows)} {'is' if unnamed == 1 else 'are'} named in no file")
    else:
        console.say(f"a file names each of these differences; else {one} and {other} are the same")


def status(target: Target, workloads: list[WorkloadState]) -> None:
    """Print a row for each workload; below, failures with their reason and last log lines, and review dates."""
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
        elif run is not None and run.status == "running":
            console.say()
            console.say(f"▸ {run.workload} running for {_span(run.seconds)}  [run {run.id}]", style=STYLES["running"])
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
        for line in _notes(run):
            console.say()
            console.say(line, style="yellow")
        if workload.rollback is not None:
            console.say()
            console.say(f"– {workload.name}: {rollback(workload.rollback)}", style="yellow")
    reviews = review_dates.deployed(target.checkout, target.name, target.exports.workloads)
    if reviews:
        console.say()
    for review in reviews:
        console.say(f"! {review}", style="red" if review.expired else "yellow")
    if target.engine is not None:
        console.note(f"tasks run as {TASKS_RUN_AS[target.engine]}")


def _notes(run: Run | None) -> list[str]:
    """Of a last run: that it published nothing; a start after it that was skipped."""
    notes = []
    if run is not None and run.published_nothing:
        notes.append(f"– {run.workload} published nothing: it wrote no files to outputs/  [run {run.id}]")
    if run is not None and (start := run.skipped) is not None:
        notes.append(f"– a later start of {run.workload} was skipped: {start.reason}  [run {start.id}]")
    return notes


def runs(runs: Sequence[Run], now: datetime, *, named: bool) -> None:
    """A row for each run; `named`: they are of several workloads. What does not fit 80 columns is left out or cut: how
    long it took, then the workload's name.
    """
    rows = [
        {
            "RUN": run.id,
            "NAME": run.workload,
            "STATUS": run.status,
            "BEGAN": f"{_span((now - run.started).total_seconds())} ago" if run.started else "-",
            "TOOK": _span(run.seconds),
        }
        for run in runs
    ]
    columns = [name for name in rows[0] if named or name != "NAME"]

    def spare() -> int:
        widths = [max(len(name), *(len(row[name]) for row in rows)) for name in columns]
        return COLUMNS - sum(widths) - 2 * (len(columns) - 1)

    if spare() < 0:
        columns.remove("TOOK")
    if named and spare() < 0:
        longest = max(8, max(len(row["NAME"]) for row in rows) + spare())
        for row in rows:
            row["NAME"] = row["NAME"] if len(row["NAME"]) <= longest else f"{row['NAME'][: longest - 1]}…"
    console.table(columns, [[row[name] for name in columns] for row in rows], STYLES)


def run(detail: Detail, after: Sequence[str]) -> None:
    """All that is known of a run; `after`: what can be done with it next."""
    one = detail.run
    console.say(f"{one.workload}, run {one.id}: {one.status}", style=STYLES.get(one.status))
    began = f"{one.started.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC" if one.started else "-"
    took = "running for" if one.status == "running" else "took"
    attempts = f", {one.attempts} attempts" if one.attempts and one.attempts > 1 else ""
    unknown_image = "not known: no task of it left a record, or AWS keeps its history no more"
    commit = detail.commit.words.removeprefix("commit ") if detail.commit else "not known"
    if detail.content_hash:
        commit += f" (content {detail.content_hash[:12]})"
    facts: list[tuple[str, list[str]]] = [
        ("why", [describe(one).partition(": ")[2] or one.reason] if one.failed or one.status == "skipped" else []),
        ("began", [f"{began}, {took} {_span(one.seconds)}{attempts}"]),
        ("started by", [f"{detail.trigger}, for {detail.scheduled_time}" if detail.trigger else "not known"]),
        ("commit", [commit]),
        ("image", [detail.digest or detail.image or unknown_image]),
        ("inputs", [f"{read.name}: run {read.run_id}" for read in detail.inputs]),
        ("parameters", [f"{name} = {json.dumps(value, ensure_ascii=False)}" for name, value in detail.params.items()]),
        ("items", [_of_item(item) for item in detail.items]),
        ("checks", [_of_check(check) for check in detail.checks]),
        ("files", _of_files(detail)),
        ("published", [published_words(detail)] if one.status not in ("running", "skipped") else []),
    ]
    for title, lines in facts:
        for number, line in enumerate(line for text in lines for line in text.split("\n")):
            console.say(f"  {title if not number else '':<11} {line}")
    for line in after:
        console.note(line)


def skipped(run: Run) -> None:
    """A run that did not begin."""
    console.say(f"{run.workload}, run {run.id}: {run.status}: {run.reason}", style=STYLES[run.status])


MOST_FILES = 20
"""Of a run, one under the other; `herd outputs` lists them all."""


def _of_item(item: ItemOutcome) -> str:
    return f"{item.item}: {item.status or 'not known'}{f': {item.reason}' if item.reason else ''}"


def _of_check(check: Mapping[str, Any]) -> str:
    outcome = (
        "passed" if check.get("passed") else "FAILED" if check.get("otherwise", "reject") == "reject" else "warned"
    )
    return f"{outcome}: {check.get('message') or check.get('file')}"


def _of_files(detail: Detail) -> list[str]:
    lines = [f"{file.path}  {size(file.bytes)}" for file in detail.files[:MOST_FILES]]
    more = len(detail.files) - MOST_FILES
    return (
        [*lines, f"and {more} more: `herd outputs {detail.run.workload} --run {detail.run.id}`"] if more > 0 else lines
    )


def inventory(entries: Sequence[Entry]) -> None:
    """A row for each workload; below, what is paused and why."""
    rows = [
        [
            entry.name,
            entry.kind,
            entry.owner or "-",
            f"{entry.review_by}" + (" (passed)" if entry.days_to_review < 0 else ""),
            "paused" if entry.paused else _schedule(entry),
            f"{entry.deadline_minutes} min" if entry.deadline_minutes else "-",
            entry.last_success.strftime("%Y-%m-%d %H:%M") if entry.last_success else "-",
            _span(entry.age_seconds) if entry.age_seconds is not None else "-",
            ", ".join(entry.read_by) or "-",
        ]
        for entry in entries
    ]
    columns = ["NAME", "KIND", "OWNER", "REVIEW BY", "SCHEDULE", "DEADLINE", "LAST SUCCESS", "AGE", "READ BY"]
    console.table(columns, rows, STYLES)
    for entry in entries:
        if entry.paused:
            console.say()
            console.say(f"– {entry.name} is paused: {entry.paused}", style="yellow")
        if entry.rolled_back:
            console.say()
            console.say(f"– {entry.name} was rolled back {entry.rolled_back}", style="yellow")


def _schedule(entry: Entry) -> str:
    when = f"{entry.schedule} {entry.timezone}" if entry.schedule else ""
    if entry.pipeline and entry.pipeline != entry.name:
        return f"with {entry.pipeline}"
    return when or "-"


def checks(checks: list[Check]) -> None:
    """A line for each check: its values as a curve, the oldest first, and the last one; below, what failed last."""
    rows = [
        [
            f"{check.item}: {check}" if check.item else str(check),
            curve([seen.number for seen in check.seen], [seen.passed for seen in check.seen]),
            "-" if check.seen[-1].number is None else f"{check.seen[-1].number:.6g}",
            ", ".join(f"{name} {limit:g}" for name, limit in check.limits.items()) or "-",
            "passed" if check.seen[-1].passed else "FAILED" if check.rejects else "WARNED",
        ]
        for check in checks
    ]
    console.table(
        ["CHECK", "LAST RUNS", "LAST", "LIMITS", ""], rows, {"passed": "green", "FAILED": "red", "WARNED": "yellow"}
    )
    for check in checks:
        if not check.seen[-1].passed:
            console.say()
            style = "red" if check.rejects else "yellow"
            console.say(f"✗ {check.seen[-1].message}  [run {check.seen[-1].run_id}]", style=style)


def curve(numbers: Sequence[float | None], passed: Sequence[bool]) -> str:
    """Numbers as bars between the least and the greatest; `✗` where a check failed or had no number.

    >>> curve([1, 2, None, 3], [True, True, False, True])
    '▁▅✗█'
    """
    bars, failed = (BARS, "✗") if console.knows_blocks() else (ASCII_BARS, "x")
    known = [number for number in numbers if number is not None]
    # Halves, because the distance of two doubles may be no double.
    low, span = min(known, default=0) / 2, max(known, default=0) / 2 - min(known, default=0) / 2

    def bar(number: float) -> str:
        return bars[round((number / 2 - low) / span * (len(bars) - 1))] if span else bars[len(bars) // 2]

    return "".join(
        bar(number) if number is not None and well else failed for number, well in zip(numbers, passed, strict=True)
    )


def version(version: Version) -> None:
    """Print the files of a version."""
    console.table(["FILE", "SIZE"], [[file.path, size(file.bytes)] for file in version.files])
    when = f", published {version.published}" if version.published else ", not published"
    console.note(f"run {version.run_id}{when}")
    if version.rollback is not None:
        console.note(rollback(version.rollback), style="yellow")


def rollback(made: Rollback) -> str:
    """Who made an earlier version current, when and why."""
    return (
        f"readers get run {made.run_id} instead of {made.replaced}: rolled back {made.at} by {made.by}, "
        f"because: {made.because}"
    )


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
    """A duration: `12 s`, `3 min`, `5 h`, `2 d`."""
    for limit, length, unit in ((100, 1, "s"), (6000, 60, "min"), (172_800, 3600, "h")):
        if seconds < limit:
            return f"{max(seconds, 0) / length:.0f} {unit}"
    return f"{seconds / 86_400:.0f} d"


def environments(every: Sequence[Listed], now: datetime) -> None:
    """A row for each environment."""
    rows = [
        [
            one.name,
            one.where,
            one.state,
            f"{_span((now - one.deployed).total_seconds())} ago" if one.deployed else "-",
            one.by or "-",
            one.ends[:16].replace("T", " ") or "-",
        ]
        for one in every
    ]
    troubles = dict.fromkeys(("half made", "half destroyed", "over its time", "orphaned", "unreadable"), "red")
    styles = {"up": "green", "stopped": "yellow", "updating": "cyan", **troubles}
    console.table(["NAME", "WHERE", "STATE", "DEPLOYED", "BY", "ENDS"], rows, styles)


def images(entries: Sequence[ImageEntry]) -> None:
    """A row for each image."""
    now = datetime.now(UTC)
    rows = [
        [
            entry.image,
            entry.digest.removeprefix("sha256:")[:12],
            size(entry.size_bytes) if entry.size_bytes else "-",
            _span((now - entry.pushed).total_seconds()) if entry.pushed else "gone",
            ", ".join(entry.used_by),
        ]
        for entry in entries
    ]
    console.table(["IMAGE", "DIGEST", "SIZE", "AGE", "USED BY"], rows, {"gone": "red"})


def alarms(seen: Overview) -> None:
    """What is watched for whom; below, what CloudWatch watches, and addresses that get nothing."""
    rows = [
        [
            one.name,
            one.for_what,
            ", ".join(one.owners),
            "trouble" if one.trouble else "well",
            f"{one.since:%Y-%m-%d %H:%M}" if one.since else "",
            f"{one.last_at[:16].replace('T', ' ')} {one.last_subject}" if one.last_subject else "",
        ]
        for one in seen.armed
    ]
    console.table(["NAME", "WATCHED FOR", "TOLD", "STATE", "SINCE", "LAST MESSAGE"], rows, ALARM_STYLES)
    console.say()
    rows = [[one.name, one.state, f"{one.since:%Y-%m-%d %H:%M}", one.description] for one in seen.alarms]
    console.table(["ALARM", "STATE", "SINCE", "MEANS"], rows, ALARM_STYLES)
    for address in seen.waiting:
        console.say(f"! {address} has not confirmed: it gets nothing until the link in the mail of AWS is followed")
    for address in seen.vanished:
        console.say(f"! {address} is unsubscribed and gets nothing; `pulumi up --refresh` subscribes it again")
