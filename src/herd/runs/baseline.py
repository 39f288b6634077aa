"""The accepted values that `max_drop` compares with: a run's own, taken over by a person (DESIGN 6)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from herd.errors import HerdError, WrongInput
from herd.runs import runs
from herd.targets.target import Target

FORMAT = 1
"""Of baseline.json; the runner reads it (src/herd/runner/checks.py, Baseline)."""


@dataclass(frozen=True)
class Value:
    """What one check saw in a run, beside what was accepted until now."""

    item: str | None
    file: str
    value: str
    observed: float
    accepted: float | None

    def __str__(self) -> str:
        where = f"{self.item}: " if self.item else ""
        before = "nothing was accepted before" if self.accepted is None else f"was {self.accepted:g}"
        return f"{where}{self.file}: {self.value} = {self.observed:g} ({before})"


def values(target: Target, workload: str, run_id: str) -> list[Value]:
    """The values that a run's checks saw. Raises WrongInput for a run without a record, HerdError without values."""
    record = runs.read_record(target, workload, run_id)
    if record is None:
        raise WrongInput(f"{workload} has no record of a run {run_id!r}; `herd status` shows the last one")
    baseline = runs.read_json(target, _key(workload)) or {"values": []}
    accepted = {_name(entry): float(entry["observed"]) for entry in baseline["values"]}
    found = [
        Value(*_name(check), observed=float(check["observed"]), accepted=accepted.get(_name(check)))
        for check in {_name(check): check for check in record["checks"]}.values()
        if check["observed"] is not None
    ]
    if not found:
        raise HerdError(f"run {run_id} of {workload} ({record['status']}) has no checked value that could be accepted")
    return found


def accept(target: Target, workload: str, run_id: str, accepted: list[Value]) -> None:
    """Make them the baseline. From the next run on `max_drop` compares with these values."""
    entries = [{"item": v.item, "file": v.file, "value": v.value, "observed": v.observed} for v in accepted]
    target.client("s3").put_object(
        Bucket=target.exports.data_bucket,
        Key=_key(workload),
        Body=json.dumps({"schema": FORMAT, "run_id": run_id, "values": entries}, indent=2).encode(),
        ContentType="application/json",
    )


def _key(workload: str) -> str:
    return f"{workload}/baseline.json"


def _name(entry: dict[str, Any]) -> tuple[str | None, str, str]:
    return entry["item"], entry["file"], entry["value"]
