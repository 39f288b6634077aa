"""The output gate: does what a run wrote hold what its [[check]]s ask? Exit 0 is not enough to be published."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .contract.documents import Baseline
from .contract.task import Check

# A check reads a small file of results. Without a limit a mistaken file name could fill the task's memory.
LARGEST_FILE = 16 * 1024 * 1024

# 0.80 - 0.75 is 0.050000000000000044: a value that lies exactly on a limit passes.
_TOLERANCE = 1e-9


@dataclass(frozen=True)
class Result:
    """A check's outcome as it goes into the record; `message` is one line for people."""

    item: str | None
    file: str
    value: str
    observed: float | None
    min: float | None
    max: float | None
    max_drop: float | None
    baseline: float | None
    passed: bool
    message: str


def accepted_values(run_id: str, results: Iterable[Result]) -> Baseline:
    """The baseline that a run's own results would be."""
    observed = {(r.item, r.file, r.value): r.observed for r in results}
    return Baseline(run_id, {key: value for key, value in observed.items() if value is not None})


def evaluate(
    checks: Iterable[Check], outputs: Path, baseline: Baseline | None, item: str | None = None
) -> list[Result]:
    """Hold each check against the files in `outputs`. Never raises for what a workload may have written."""
    return [_evaluate(check, outputs, baseline, item) for check in checks]


def _evaluate(check: Check, outputs: Path, baseline: Baseline | None, item: str | None) -> Result:
    accepted = baseline.values.get((item, check.file, check.value)) if baseline else None
    observed: float | None = None
    try:
        observed = read_number(outputs, check.file, check.value)
        problem = _judge(check, observed, accepted)
    except _Unreadable as error:
        problem = str(error)
    label = f"{check.file}: {check.value}" + (f" of {item}" if item is not None else "")
    passed = problem is None
    message = f"{label} = {observed:.6g} {problem or 'passed'}" if observed is not None else f"{label} {problem}"
    if passed and check.max_drop is not None and accepted is None:
        message += " (max_drop had nothing to compare with: this value has no accepted baseline yet)"
    return Result(
        item, check.file, check.value, observed, check.min, check.max, check.max_drop, accepted, passed, message
    )


def _judge(check: Check, observed: float, accepted: float | None) -> str | None:
    """What is wrong with the value, or None."""
    if check.min is not None and _below(observed, check.min):
        return f"is below min = {check.min:g}"
    if check.max is not None and _below(check.max, observed):
        return f"is above max = {check.max:g}"
    if check.max_drop is not None and accepted is not None and _below(observed, accepted - check.max_drop):
        return (
            f"has dropped by {accepted - observed:.6g} from the accepted {accepted:.6g}; max_drop = {check.max_drop:g}"
        )
    return None


def _below(value: float, limit: float) -> bool:
    return value < limit and not math.isclose(value, limit, rel_tol=_TOLERANCE, abs_tol=_TOLERANCE)


class _Unreadable(Exception):
    """There is no number to hold a limit against; the message continues `<file>: <value> …`."""


def read_number(outputs: Path, file: str, value: str) -> float:
    """The finite number at a dotted path in a JSON file of `outputs`; list elements by their index, `a.0.b`."""
    path = outputs / file
    if not path.resolve().is_relative_to(outputs.resolve()):
        raise _Unreadable("cannot be checked: the file lies outside outputs/")
    if not path.is_file():
        raise _Unreadable("is missing: the run did not write this file to outputs/")
    size = path.stat().st_size
    if size > LARGEST_FILE:
        raise _Unreadable(f"cannot be checked: the file has {size:,} bytes, more than {LARGEST_FILE:,}")
    try:
        content = json.loads(path.read_bytes())
    except (ValueError, RecursionError, OSError) as error:
        raise _Unreadable(f"cannot be checked: the file is not JSON ({error})") from error
    return _finite_number(_follow(content, value))


def _follow(content: Any, value: str) -> object:
    """Go down a dotted path. A key that itself contains the dots wins."""
    if isinstance(content, dict) and value in content:
        return content[value]
    head, dot, rest = value.partition(".")
    if isinstance(content, dict) and head in content:
        below = content[head]
    elif isinstance(content, list) and head.isdecimal() and int(head) < len(content):
        below = content[int(head)]
    else:
        raise _Unreadable("is missing: the file has no such value")
    return _follow(below, rest) if dot else below


def _finite_number(found: object) -> float:
    if isinstance(found, bool) or not isinstance(found, int | float):
        raise _Unreadable(f"is not a number but {json.dumps(found)[:40]}")
    try:
        number = float(found)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise _Unreadable(f"is not a finite number but {number}")
    return number
