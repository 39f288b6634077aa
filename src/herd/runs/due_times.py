"""Which scheduled workload is late: a due time has passed its deadline, and its marker does not say that it is done.

The watch tells people of it; this is what `herd status` shows, from the same markers, with one or two requests for what
has no successful run since.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import takewhile
from pathlib import PurePosixPath

from herd.runner.contract.due import due_time, scheduled
from herd.runner.contract.keys import due_key, due_prefix
from herd.runner.contract.schedule import Schedule, last_runs, rate_of
from herd.runner.contract.statuses import SUCCEEDED_RUN
from herd.runs.runs import Run, listing, read_json
from herd.targets.exports import ScheduleExport
from herd.targets.target import Target


def overdue(
    target: Target,
    of: str,
    schedule: ScheduleExport,
    deadline_minutes: int,
    since: datetime,
    now: datetime,
    run: Run | None,
) -> datetime | None:
    """The last due time past its deadline if it was not kept, else None.

    `of`: the job or pipeline whose markers there are. `since`: when the schedule was made or changed last, as what was
    due before does not count. `run`: the last run, which answers for most without a request.
    """
    until = now - timedelta(minutes=deadline_minutes)
    step = rate_of(schedule.expression)
    # AWS does not say from when it counts a rate: its due times are known by their markers only.
    due = last_due(schedule, since, until) if step is None else until - step
    if due is None or due < since:
        return None
    if run is not None and run.status == SUCCEEDED_RUN and run.started is not None and run.started >= due:
        return None
    if step is None:
        return None if _is_complete(target, due_key(of, scheduled(due))) else due
    keys = _keys(target, of, due, until)
    if not keys:
        return due
    return None if _is_complete(target, keys[-1]) else due_time(PurePosixPath(keys[-1]).stem)


def last_due(schedule: ScheduleExport, since: datetime, until: datetime) -> datetime | None:
    """The last time at which a cron was due after `since`, up to `until`."""
    last = last_runs(Schedule(schedule.expression, schedule.text), schedule.timezone, since, until, 1)
    return last[0] if last else None


def _is_complete(target: Target, key: str) -> bool:
    return bool((read_json(target, key) or {}).get("completed"))


def _keys(target: Target, of: str, after: datetime, until: datetime) -> list[str]:
    """Of the markers of due times after `after`, up to `until`, the oldest first; none where the bucket was lost."""
    pages = listing(target, due_prefix(of), StartAfter=due_key(of, scheduled(after)))
    last = due_key(of, scheduled(until))
    keys = (entry["Key"] for page in pages for entry in page.get("Contents", ()))
    return list(takewhile(lambda key: key <= last, keys))
