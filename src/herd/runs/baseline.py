"""The accepted values that `max_drop` compares with: a run's own, taken over by a person."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from herd.errors import HerdError, WrongInput
from herd.runner.contract.documents import Baseline
from herd.runner.contract.keys import baseline_key
from herd.runs import runs
from herd.targets.target import Target


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
    baseline = runs.read_json(target, baseline_key(workload)) or {"values": []}
    accepted = {_name(entry): float(entry["observed"]) for entry in baseline["values"]}
    seen = [
        Value(*_name(check), observed=float(check["observed"]), accepted=accepted.get(_name(check)))
        for check in {_name(check): check for check in record["checks"]}.values()
        if check["observed"] is not None
    ]
    if not seen:
        raise HerdError(f"run {run_id} of {workload} ({record['status']}) has no checked value that could be accepted")
    return seen


def accept(target: Target, workload: str, run_id: str, accepted: list[Value]) -> None:
    """Make them the baseline. From the next run on `max_drop` compares with these values."""
    baseline = Baseline(run_id, {(one.item, one.file, one.value): one.observed for one in accepted})
    target.client("s3").put_object(
        Bucket=target.exports.data_bucket,
        Key=baseline_key(workload),
        Body=baseline.to_json(),
        ContentType="application/json",
    )


def _name(entry: dict[str, Any]) -> tuple[str | None, str, str]:
    return entry["item"], entry["file"], entry["value"]
