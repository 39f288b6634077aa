"""One run in detail: its execution, its record, its tasks, and what its image was built from, as one thing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from herd.runner.contract.documents import BuiltFrom, InputVersion
from herd.runner.contract.keys import built_from_key, latest_key
from herd.runner.contract.statuses import CHECK_FAILED_RUN, SUCCEEDED_RUN
from herd.runs import runs, tasks
from herd.runs.runs import Run
from herd.targets.target import Target


@dataclass(frozen=True)
class File:
    """One file that a run wrote. `sha256` is None for one that the workload itself wrote to HERD_OUTPUT_URI."""

    path: str
    bytes: int
    sha256: str | None


@dataclass(frozen=True)
class ItemOutcome:
    """What became of one item of a fan-out; `status` is empty where it left no record."""

    item: str
    status: str
    reason: str


@dataclass(frozen=True)
class Detail:
    """A run with all that is known of it. `image` is a reference with a digest; `commit`: None where nobody wrote it;
    `params` are all of its parameters; `is_current`: readers get this run's version.
    """

    run: Run
    trigger: str
    scheduled_time: str
    commit: BuiltFrom | None
    image: str
    content_hash: str
    params: Mapping[str, Any]
    inputs: Sequence[InputVersion]
    checks: Sequence[Mapping[str, Any]]
    files: Sequence[File]
    items: Sequence[ItemOutcome]
    is_current: bool
    has_inputs: bool
    """Whether `inputs` are all that it read: a task that was killed, or never began, has not written that down."""

    @property
    def digest(self) -> str:
        """`sha256:…` of the image; empty where it is not known."""
        return self.image.partition("@")[2]

    def as_json(self) -> dict[str, Any]:
        """The entry of `herd show --json`, which scripts rely on."""
        return {
            **self.run.as_json(),
            "trigger": self.trigger or None,
            "scheduled_time": self.scheduled_time or None,
            "commit": self.commit.commit if self.commit else None,
            "changed": self.commit.changed if self.commit else None,
            "image": self.image or None,
            "digest": self.digest or None,
            "content_hash": self.content_hash or None,
            "params": dict(self.params),
            "inputs": [asdict(one) for one in self.inputs],
            "checks": [dict(check) for check in self.checks],
            "files": [asdict(file) for file in self.files],
            "items": [asdict(item) for item in self.items],
            "is_current": self.is_current,
        }


def of_run(target: Target, workload: str, run_id: str) -> Detail | None:
    """A run of a job or report; None if there is no such execution."""
    machine = target.exports.batch[workload].machine
    described = runs.execution(target, machine, run_id)
    if described is None:
        return None
    run = runs.explained(target, workload, described)
    record = runs.read_record(target, workload, run_id) or {}
    started = tasks.of_run(target, machine, run_id)
    image = str(record.get("image") or next((task.image for task in started.values() if task.image), ""))
    definition = next((task.definition for task in started.values() if task.definition), "")
    deployed = {} if record.get("content_hash") else tasks.settings_of(target, definition)
    content = str(record.get("content_hash") or deployed.get("content_hash") or "")
    settings = runs.parsed(described.get("input"))
    settings = settings if isinstance(settings, dict) else {}
    current = runs.read_json(target, latest_key(workload)) or {}
    return Detail(
        run=run,
        trigger=str(record.get("trigger") or settings.get("trigger") or ""),
        scheduled_time=str(record.get("scheduled_time") or settings.get("scheduled_time") or ""),
        commit=_commit(target, record, content),
        image=image,
        content_hash=content,
        params={**(deployed.get("params") or {}), **(record.get("params") or settings.get("params") or {})},
        inputs=[InputVersion(str(one["name"]), str(one["run_id"])) for one in record.get("inputs") or ()],
        checks=record.get("checks") or (),
        files=[File(str(one["path"]), int(one["bytes"]), one.get("sha256")) for one in record.get("files") or ()],
        items=_items(target, workload, run, list(dict.fromkeys(task.item for task in started.values() if task.item))),
        is_current=current.get("run_id") == run_id,
        has_inputs=record.get("image") is not None,
    )


def _items(target: Target, workload: str, run: Run, items: Sequence[str]) -> list[ItemOutcome]:
    records = runs.in_parallel(lambda item: runs.read_record(target, workload, run.id, item), items)
    return [
        ItemOutcome(item, str((record or {}).get("status") or ""), str((record or {}).get("reason") or ""))
        for item, record in zip(items, records, strict=True)
    ]


def _commit(target: Target, record: Mapping[str, Any], content: str) -> BuiltFrom | None:
    """As the run wrote it down; for runs of earlier releases, as `herd up` did."""
    document = record if record.get("commit") else runs.read_json(target, built_from_key(content)) if content else None
    commit, changed = (document or {}).get("commit"), (document or {}).get("changed")
    return BuiltFrom(commit, changed) if isinstance(commit, str) and isinstance(changed, bool) else None


def skipped_of_pipeline(target: Target, pipeline: str, run_id: str) -> list[Run]:
    """The jobs that a pipeline's run has skipped; they have no execution of their own."""
    described = runs.execution(target, target.exports.pipelines[pipeline].machine, run_id)
    if described is None:
        return []
    statuses = runs.job_statuses(described)
    return [runs.skipped(name, described) for name, status in statuses.items() if status == "skipped"]


def published_words(detail: Detail) -> str:
    """What readers have of it, in a few words."""
    count = len(detail.files)
    amount = f"{count} file{'s' if count != 1 else ''}"
    if detail.run.status == CHECK_FAILED_RUN:
        return "nothing: a check failed; what was published before stays"
    if detail.run.status != SUCCEEDED_RUN:
        return "nothing"
    if detail.run.confirms:
        return f"nothing: it would have repeated run {detail.run.confirms}, which readers have had since"
    if not count:
        return "nothing: it wrote no files to outputs/"
    return f"{amount}; {'the current version' if detail.is_current else 'a later version is current'}"
