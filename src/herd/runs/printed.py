"""What a workload printed, as `herd logs` shows it: each task of a run by itself, and which item it was for."""

from __future__ import annotations

import time
from contextlib import suppress
from datetime import UTC, datetime

from herd import console
from herd.runs import history, runs, tasks
from herd.runs.labels import Labels
from herd.runs.logs import Line, Reader, by_task, of_tasks, tail
from herd.runs.runs import Run
from herd.runs.tasks import RunTask
from herd.targets.target import Target


def show(target: Target, name: str, run_id: str | None, count: int, *, follow: bool, raw: bool) -> None:
    """Print the last `count` lines of each task: of a run, or of a service; then those that come, if `follow`."""
    exports = target.exports
    group, job = exports.workload(name).log_group, exports.batch.get(name)
    write = console.as_printed if raw else console.log_line
    began = datetime.now(UTC)
    run = _chosen(target, name, run_id) if job else None
    labels = Labels(target, job.machine, run.id) if job and run else None
    if run is not None and run.status == "skipped":
        console.note(f"– run {run.id} was skipped: {run.reason}", style="yellow")
    shown = list[Line]()
    for title, lines in _by_task(target, name, group, job.machine if job else "", run, count):
        if title:
            console.note(f"── {title} ──", style="dim")
        for line in lines:
            write(line.text, labels.prefix(name, line.stream, named=False) if labels else "")
        shown += lines
    if not follow:
        if not shown:
            console.note(f"{name} has printed nothing yet" if not run_id else f"run {run_id} has printed nothing")
        return
    reader = Reader(target, group, max((line.at for line in shown), default=began))
    known = {(line.at, line.stream, line.text) for line in shown}
    with suppress(KeyboardInterrupt):
        while True:
            for line in reader.new():
                if (line.at, line.stream, line.text) not in known:
                    write(line.text, labels.prefix(name, line.stream, named=False) if labels else "")
            if run_id is not None and run is not None and run.status == "running":
                run = _chosen(target, name, run.id)
            elif run_id is not None:
                return  # it has ended, and the lines that came until then are shown
            time.sleep(target.pace.follow)


def _chosen(target: Target, name: str, run_id: str | None) -> Run | None:
    """The run of that id; without one the last that really ran, or runs."""
    if run_id is None:
        return runs.last_run(target, name, with_record=False)
    ((_, whole),) = history.find(target, run_id, name)
    described = runs.execution(target, target.exports.batch[name].machine, whole)
    return runs.run_of(name, described) if described else None


def _by_task(
    target: Target, name: str, group: str, machine: str, run: Run | None, count: int
) -> list[tuple[str, list[Line]]]:
    """A title for each task, if there are several, and its last lines."""
    if run is None:
        return [("", tail(target, name, group, count))]
    started = tasks.of_run(target, machine, run.id)
    if started:
        lines = of_tasks(target, name, group, started, count)
        titles = [_title(task) for task in started.values()]
        return list(zip(titles if len(titles) > 1 else [""], lines, strict=True))
    # AWS keeps its history no more.
    several = by_task(target, group, count, run.started or datetime.now(UTC))
    titles = [f"task {number} of {len(several)}" if len(several) > 1 else "" for number in range(1, len(several) + 1)]
    return list(zip(titles, several, strict=True))


def _title(task: RunTask) -> str:
    """`north`, `north, attempt 2`, `publish`, `attempt 2`."""
    parts = [task.label] if task.label else []
    return ", ".join([*parts, *([f"attempt {task.attempt}"] if task.attempt > 1 or not parts else [])])
