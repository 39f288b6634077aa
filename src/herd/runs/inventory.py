"""`herd inventory`: whose each workload is, until when it is looked over, when it is due, and how old what it shows is.

One request for each job and report: its `latest.json`. All else stands in the exports and, for what an earlier Herd
deployed without it, in the team's files.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

from herd.checkout import review_dates, team_files
from herd.runner.contract import keys
from herd.runs import runs
from herd.targets.exports import BatchExport, Exports, PipelineExport
from herd.targets.target import Target

if TYPE_CHECKING:
    from herd.infra.spec.load import Specs


@dataclass(frozen=True)
class Entry:
    """One workload. `owners`: the addresses of its owner. `schedule`: as the team wrote it, of its pipeline where it
    has none of its own. `last_success`: when what readers see was published, by the run `run`; `age_seconds` is its
    age; after a rollback that of the version that somebody went back to, and `rolled_back` says who and why.
    `deadline_minutes`: after each due time, of its pipeline's for a part of one. `read_by`: who reads its output.
    """

    name: str
    kind: str
    owner: str
    owners: tuple[str, ...]
    review_by: date
    days_to_review: int
    schedule: str
    timezone: str
    pipeline: str
    deadline_minutes: int | None
    last_success: datetime | None
    run: str
    age_seconds: int | None
    read_by: tuple[str, ...]
    paused: str
    rolled_back: str


COLUMNS = tuple(field.name for field in fields(Entry))


def collect(target: Target) -> list[Entry]:
    """Every deployed workload, sorted by name."""
    exports = target.require_exports()
    now = review_dates.now()
    target.client("s3")  # made before the threads: making clients is not thread-safe
    names = sorted(exports.batch)
    manifests = runs.in_parallel(lambda name: runs.read_json(target, keys.latest_key(name)), names)
    return entries(exports, dict(zip(names, manifests, strict=True)), _specs(target), now)


def entries(
    exports: Exports, manifests: Mapping[str, Mapping[str, Any] | None], specs: Specs | None, now: datetime
) -> list[Entry]:
    """The same from what is known. `manifests`: `latest.json` of each workload that has published."""
    return [_entry(name, exports, manifests.get(name) or {}, specs, now) for name in sorted(exports.workloads)]


def _entry(name: str, exports: Exports, manifest: Mapping[str, Any], specs: Specs | None, now: datetime) -> Entry:
    export = exports.workloads[name]
    batch = export if isinstance(export, BatchExport) else None
    pipeline = exports.pipelines.get(batch.pipeline) if batch and batch.pipeline else None
    timed: BatchExport | PipelineExport | None = pipeline or batch
    schedule = timed.schedule if timed else None
    published = _moment(manifest.get("published"))
    spec = specs.workloads.get(name) if specs else None
    return Entry(
        name=name,
        kind=export.kind,
        owner=export.owner or (spec.owner if spec else ""),
        owners=export.owners,
        review_by=export.review_by,
        days_to_review=review_dates.days_left(export.review_by, export.timezone),
        schedule=schedule.text if schedule else "",
        timezone=schedule.timezone if schedule else "",
        pipeline=(batch.pipeline or "") if batch else "",
        deadline_minutes=timed.deadline_minutes if timed else None,
        last_success=published,
        run=str(manifest.get("run_id") or ""),
        age_seconds=max(0, int((now - published).total_seconds())) if published else None,
        read_by=_readers(name, exports, specs),
        paused=(timed.paused if timed else None) or "",
        rolled_back=_rollback(manifest.get("rollback")),
    )


def _readers(name: str, exports: Exports, specs: Specs | None) -> tuple[str, ...]:
    reading = {other for other, export in exports.workloads.items() if name in export.reads}
    if specs and not any(export.reads for export in exports.workloads.values()):
        reading = {other for other, spec in specs.workloads.items() if name in (read.name for read in spec.reads)}
    return tuple(sorted(reading - {name}))


def _rollback(entry: object) -> str:
    if not isinstance(entry, Mapping):
        return ""
    return f"by {entry.get('by')}, from run {entry.get('replaced')}: {entry.get('because')}"


def _specs(target: Target) -> Specs | None:
    """The team's files, where they can be read: for what the exports of an earlier Herd do not have."""
    from herd.infra.spec.load import SpecErrors

    if all(export.owner for export in target.exports.workloads.values()):
        return None
    try:
        return team_files.read(target.checkout, target.name)
    except SpecErrors:
        return None


def _moment(text: object) -> datetime | None:
    try:
        moment = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


# --- for programs ---------------------------------------------------------------------------------------------------


def as_json(entry: Entry) -> dict[str, Any]:
    """Times in UTC, lists as lists, null where there is nothing."""
    values = asdict(entry)
    plain = {name: value if value != "" else None for name, value in values.items()}
    return {**plain, "review_by": entry.review_by.isoformat(), "last_success": _text(entry.last_success)}


def as_csv(inventory: Sequence[Entry]) -> str:
    """A table for spreadsheets, which take a cell that begins like a formula for one: such text gets an apostrophe."""
    output = io.StringIO()
    writer = csv.writer(output, lineterminator="\n")
    writer.writerow(COLUMNS)
    for entry in inventory:
        writer.writerow([_cell(value) for value in as_json(entry).values()])
    return output.getvalue()


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, int):
        return str(value)
    text = " ".join(value) if isinstance(value, list | tuple) else str(value)
    # As OWASP's page on CSV injection lists them; white space before one does not make it harmless.
    return f"'{text}" if text.lstrip().startswith(("=", "+", "-", "@")) else text


def _text(moment: datetime | None) -> str | None:
    return runs.utc(moment) if moment else None
