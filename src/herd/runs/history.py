"""Earlier runs of jobs and reports: listed newest first from their executions, and found by the beginning of an id."""

from __future__ import annotations

import heapq
import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice

from herd.errors import WrongInput
from herd.runs import runs
from herd.runs.index import FILE, Execution, RunIndex
from herd.runs.runs import Run
from herd.targets.target import Target

FAILED_STATES = ("FAILED", "TIMED_OUT", "ABORTED")

PAGE = 1000
"""The most that ListExecutions answers at once."""

DAYS_KEPT = 90
"""How long AWS keeps an execution that has ended. Source: "Quotas", Step Functions developer guide."""

MOST_NAMED = 10
"""Of the runs that an ambiguous id may mean."""

UNITS = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}


def index_of(target: Target) -> RunIndex:
    """The index beside the checkout."""
    return RunIndex(target.checkout.state / FILE)


def since(text: str, now: datetime) -> datetime:
    """`2d`, `36h`, `90m`, `1w` before `now`, or a date or time in UTC. Raises WrongInput."""
    if (span := re.fullmatch(r"(\d{1,6})([mhdw])", text.strip())) is not None:
        try:
            return now - int(span[1]) * UNITS[span[2]]
        except OverflowError:
            return datetime.min.replace(tzinfo=UTC)
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        raise WrongInput(
            f"--since {text!r}: must be like 90m, 36h, 2d or 1w, or a date like {now - timedelta(days=2):%Y-%m-%d}"
        ) from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def listed(
    target: Target,
    workloads: Sequence[str],
    *,
    after: datetime | None = None,
    failed: bool = False,
    most: int | None = None,
) -> list[Run]:
    """The runs of these workloads, newest first: those that began `after`, `most` of them at most.

    Executions are listed by their state until there are enough; only one that has ended and is not in the index is
    read. Details that only a record has are left out.
    """
    machines = [(name, target.exports.batch[name].machine) for name in workloads]
    target.client("stepfunctions")  # made once, before the threads
    states = FAILED_STATES if failed else (None,)
    asked = [(name, machine, state) for name, machine in machines for state in states]
    several = runs.in_parallel(lambda one: list(islice(_executions(target, *one, after, most), most)), asked)
    newest = heapq.merge(*several, key=lambda one: one.started, reverse=True)
    return resolved(target, list(islice(newest, most)))


def resolved(target: Target, executions: Sequence[Execution]) -> list[Run]:
    """The runs of these executions, from the index as far as it knows them."""
    index = index_of(target)
    known = index.known(executions)

    def read(one: Execution) -> Run:
        if one in known:
            return known[one]
        if one.ended is None:
            return Run(one.workload, one.id, "running", one.started)
        described = runs.execution(target, one.machine, one.id)
        if described is None:  # gone meanwhile
            return Run(one.workload, one.id, one.state.lower(), one.started, one.ended)
        return runs.run_of(one.workload, described)

    all_runs = runs.in_parallel(read, executions)
    index.remember(
        (one, run)
        for one, run in zip(executions, all_runs, strict=True)
        if one not in known and run.status != "running" and run.started == one.started and run.ended == one.ended
    )
    return all_runs


def _executions(
    target: Target, workload: str, machine: str, state: str | None, after: datetime | None, most: int | None
) -> Iterator[Execution]:
    """Newest first, read page by page as they are asked for."""
    states = target.client("stepfunctions")
    filters = {"statusFilter": state} if state else {}
    pages = states.get_paginator("list_executions").paginate(
        stateMachineArn=machine, PaginationConfig={"PageSize": min(most or PAGE, PAGE)}, **filters
    )
    try:
        for page in pages:
            for entry in page["executions"]:
                if after is not None and entry["startDate"] < after:
                    return
                yield Execution(
                    machine, workload, entry["name"], entry["status"], entry["startDate"], entry.get("stopDate")
                )
    except states.exceptions.StateMachineDoesNotExist:  # removed by hand, or lost by the local cloud
        return


def find(target: Target, text: str, workload: str | None = None) -> list[tuple[str, str]]:
    """The runs that the beginning of an id means: (workload or pipeline, id), of one id; a pipeline's runs and those of
    its jobs have the same. Raises WrongInput where there is none, or several may be meant.
    """
    exports = target.exports
    machines = {name: entry.machine for name, entry in exports.batch.items()}
    machines |= {f"pipeline {name}": entry.machine for name, entry in exports.pipelines.items()}
    if workload is not None:
        machines = {workload: machines[workload]}
    target.client("stepfunctions")
    exact = runs.in_parallel(lambda one: runs.execution(target, one[1], text), machines.items())
    matches = [(name, text) for name, described in zip(machines, exact, strict=True) if described]
    if matches:
        return matches

    def begin_so(one: tuple[str, str]) -> list[tuple[datetime, str, str]]:
        name, machine = one
        listing = _executions(target, name, machine, None, None, None)
        return [(entry.started, name, entry.id) for entry in listing if entry.id.startswith(text)]

    several = sorted(
        (entry for entries in runs.in_parallel(begin_so, machines.items()) for entry in entries), reverse=True
    )
    ids = list(dict.fromkeys(run_id for _, _, run_id in several))
    of_whom = f" of {workload}" if workload else ""
    option = " ".join(target.option) if target.option != ("-e", "dev") else ""
    command = " ".join(part for part in ("herd runs", workload or "", option) if part)
    if not ids:
        raise WrongInput(
            f"no run{of_whom} in {target.name} begins with {text!r}; `{command}` lists those of the last "
            f"{DAYS_KEPT} days"
        )
    if len(ids) > 1:
        lines = [f"    {run_id}  {name}" for _, name, run_id in several[:MOST_NAMED]]
        if len(several) > MOST_NAMED:
            lines.append(f"    and {len(several) - MOST_NAMED} more")
        raise WrongInput(
            "\n".join([f"{text!r} may mean {len(ids)} runs; write more of the one that you mean:", *lines])
        )
    return [(name, run_id) for _, name, run_id in several]
