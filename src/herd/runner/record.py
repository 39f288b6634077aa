"""The record of a run: what is written down of it in the data bucket, whatever became of it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

from .checks import Result
from .contract.documents import SCHEMA, BuiltFrom, File, InputVersion, files_from, from_json, to_json
from .contract.due import BY_SCHEDULE, Marker
from .contract.keys import BadPath, built_from_key, due_key, record_key
from .contract.made_of import settings_of
from .contract.statuses import CHECK_FAILED, status_of
from .errors import say
from .storage import Storage, StorageError
from .task import DeployedTask, Task, format_time


@dataclass
class Progress:
    """What is known of a run so far: filled in as it goes on, so that a run that fails midway still has it recorded."""

    started: str
    inputs: tuple[InputVersion, ...] = ()
    checks: list[Result] = field(default_factory=list)
    files: tuple[File, ...] = ()
    elsewhere: tuple[str, ...] = ()
    """What its pages load from other servers."""
    contents: Mapping[str, str] = field(default_factory=dict)
    """Of what it read: input -> its content (`contract.made_of`)."""
    confirms: str = ""
    """The run whose result this one would have repeated, so that it was not carried out."""
    all_late: bool = False
    """Whether each attempt before this one has passed its time limit."""

    @classmethod
    def begin(cls) -> Progress:
        return cls(format_time(datetime.now(UTC)))

    def take_over(self, record: Mapping[str, Any]) -> None:
        """Know what an earlier attempt has written down, so that writing it again loses nothing."""
        self.started, self.files = str(record["started"]), files_from(record["files"])
        self.checks = results_of([dict(record)])
        self.contents, self.confirms = record.get("contents") or {}, str(record.get("confirms") or "")


def compose(
    task: Task, progress: Progress, exit_code: int, reason: str, source: BuiltFrom | None = None
) -> dict[str, Any]:
    """The record as it is stored. `reason` is for people, empty for success; `source`: the commit of the image."""
    return {
        "schema": SCHEMA,
        "environment": task.environment,
        "workload": task.workload,
        "kind": task.kind,
        "run_id": task.run_id,
        "item": task.item,
        "status": status_of(exit_code),
        "attempt": task.attempt,
        "exit_code": exit_code,
        "reason": reason,
        "trigger": task.trigger,
        "scheduled_time": task.scheduled_time,
        "started": progress.started,
        "ended": format_time(datetime.now(UTC)),
        "image": task.image,
        "content_hash": task.content_hash,
        "commit": source.commit if source else None,
        "changed": source.changed if source else None,
        "params": dict(task.params),
        "inputs": [asdict(version) for version in progress.inputs],
        "checks": [asdict(result) for result in progress.checks],
        "files": [asdict(file) for file in progress.files],
        **({"settings": settings, "contents": dict(progress.contents)} if (settings := settings_of(task)) else {}),
        **({"confirms": progress.confirms} if progress.confirms else {}),
        **({"elsewhere": list(progress.elsewhere)} if progress.elsewhere else {}),
    }


def write(task: DeployedTask, storage: Storage, progress: Progress, exit_code: int, reason: str) -> None:
    """Write the record; if that fails, say so: it must not change what becomes of the run.

    An item of a fan-out that has failed for good writes the whole run's record too, unless another item did: the state
    machine knows that a task failed, but not which check.
    """
    record = compose(task, progress, exit_code, reason, built_from(task, storage))
    try:
        storage.put(task.data_bucket, task.keys.record, to_json(record))
        if task.item is not None and exit_code != 0 and (exit_code == CHECK_FAILED or task.is_last_attempt):
            whole = {**record, "item": None, "reason": f"{task.item}: {reason}"}
            storage.put(task.data_bucket, record_key(task.workload, task.run_id), to_json(whole), only_if_absent=True)
    except StorageError as error:
        say(f"the record of this run could not be written: {error}")


def built_from(task: DeployedTask, storage: Storage) -> BuiltFrom | None:
    """The commit that the image was built from, if `herd up` has written that; with plain Pulumi nobody knows it."""
    if not re.fullmatch(r"[0-9a-f]{6,64}", task.content_hash):
        return None
    try:
        text = storage.get(task.data_bucket, built_from_key(task.content_hash))
        return BuiltFrom.from_json(text) if text is not None else None
    except (StorageError, ValueError):
        return None


def complete_due_time(task: DeployedTask, storage: Storage, progress: Progress) -> None:
    """A run that was due has done what it is for: its marker says so. An item of a fan-out has not, alone.

    The marker is written whole, as the machine's own may be missing. That it cannot be written must not change what
    becomes of the run: the watch then says that the run is late, and the log why.
    """
    if task.trigger != BY_SCHEDULE or task.item is not None:
        return
    marker = Marker(
        workload=task.workload,
        scheduled_time=task.scheduled_time,
        run_id=task.run_id,
        started=progress.started,
        completed=format_time(datetime.now(UTC)),
    )
    try:
        storage.put(task.data_bucket, due_key(task.workload, task.scheduled_time), marker.to_json())
    except (StorageError, BadPath) as error:
        say(f"that the run due at {task.scheduled_time} is done could not be written down: {error}")


def read(storage: Storage, bucket: str, workload: str, run_id: str, item: str | None = None) -> dict[str, Any] | None:
    """A record, or None if there is none. Raises ValueError if it is not one."""
    text = storage.get(bucket, record_key(workload, run_id, item))
    return from_json(text) if text is not None else None


def results_of(records: Sequence[dict[str, Any]]) -> list[Result]:
    return [Result(**entry) for record in records for entry in record["checks"]]


def earliest(records: Sequence[dict[str, Any]]) -> str:
    return min(str(record["started"]) for record in records)
