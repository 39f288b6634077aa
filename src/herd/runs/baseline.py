"""The baseline: accepted values that `max_drop` and `max_rise` compare with; `herd accept` replaces them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from herd.errors import HerdError, WrongInput
from herd.runner.contract.checks import MEASURED
from herd.runner.contract.documents import Baseline, History
from herd.runner.contract.keys import baseline_key, history_key
from herd.runs import runs
from herd.targets.target import Target


@dataclass(frozen=True)
class Value:
    """The value of one check in a run (`observed`), and in the present baseline (`accepted`)."""

    item: str | None
    file: str
    value: str
    observed: float
    accepted: float | None

    def __str__(self) -> str:
        where = f"{self.item}: " if self.item else ""
        before = "nothing was accepted before" if self.accepted is None else f"was {self.accepted:g}"
        asked = " ".join((f"{self.file}: {self.value}" if self.file else self.value).split())
        return f"{where}{asked} = {self.observed:g} ({before})"


def values(target: Target, workload: str, run_id: str) -> list[Value]:
    """The values of a run's checks. Raises WrongInput for a run without a record, HerdError without values."""
    record = runs.read_record(target, workload, run_id)
    if record is None:
        raise WrongInput(f"{workload} has no record of a run {run_id!r}; `herd status` shows the last one")
    baseline = runs.read_json(target, baseline_key(workload)) or {"values": []}
    accepted = {_name(entry): float(entry["observed"]) for entry in baseline["values"]}
    seen = [
        Value(*_name(check), observed=float(check["observed"]), accepted=accepted.get(_name(check)))
        for check in {_name(check): check for check in record["checks"]}.values()
        if check["observed"] is not None and check.get("kind", "value") in MEASURED
    ]
    if not seen:
        raise HerdError(f"run {run_id} of {workload} ({record['status']}) has no checked value that could be accepted")
    return seen


def accept(target: Target, workload: str, run_id: str, accepted: list[Value]) -> None:
    """Write these values as the baseline, which `max_drop` and `max_rise` compare with from the next run on.

    The history that `trend` compares with begins anew, because it would reject the level that was accepted.
    """
    values = {(one.item, one.file, one.value): one.observed for one in accepted}
    documents = {baseline_key(workload): Baseline(run_id, values).to_json()}
    if runs.read_json(target, history_key(workload)) is not None:
        documents[history_key(workload)] = History(((run_id, values),)).to_json()
    for key, body in documents.items():
        target.client("s3").put_object(
            Bucket=target.exports.data_bucket, Key=key, Body=body, ContentType="application/json"
        )


def _name(entry: dict[str, Any]) -> tuple[str | None, str, str]:
    return entry["item"], entry["file"], entry["value"]
