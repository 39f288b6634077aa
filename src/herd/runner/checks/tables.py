"""Checks of tables: asked of a program of their own (query.py), which the time limit and signals reach."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from ..contract.checks import Check, to_entry
from ..contract.statuses import KILLED
from .files import Unanswered

PROGRAM = Path(__file__).with_name("query.py")

MEMORY_MB = 256
"""What DuckDB may hold; beyond that it writes to disk. Its own code and buffers come to about 150 MB more."""

_INHERITED = ("PATH", "LANG", "LC_ALL", "TMPDIR", "LD_LIBRARY_PATH")


def ask(
    checks: Sequence[Check],
    root: Path,
    memory_gb: float | None,
    start: Callable[[Sequence[str], Mapping[str, str], Path], int],
) -> list[float | Unanswered]:
    """The number of each check, or why there is none. `root` has outputs/ and inputs/."""
    with tempfile.TemporaryDirectory(prefix="checks-") as made:
        request, answers = Path(made, "request.json"), Path(made, "answers.jsonl")
        question = {
            "outputs": str(root / "outputs"),
            "inputs": str(root / "inputs"),
            "memory_mb": MEMORY_MB if memory_gb is None else min(MEMORY_MB, int(memory_gb * 1024 / 4)),
            "questions": [to_entry(check) for check in checks],
        }
        request.write_text(json.dumps(question), encoding="utf-8")
        # Nothing of the task's own: no credentials, no secrets.
        environment = {name: os.environ[name] for name in _INHERITED if name in os.environ} | {"HOME": made}
        status = start([sys.executable, "-I", str(PROGRAM), str(request), str(answers)], environment, Path(made))
        lines = answers.read_text(encoding="utf-8").splitlines() if answers.exists() else []
    results = [_answer(json.loads(line)) for line in lines[: len(checks)] if line.endswith("}")]
    memory = "" if memory_gb is None else f"; the task has memory_gb = {memory_gb:g}"
    why = f"needed too much memory{memory}" if status in KILLED else f"ended with exit status {status}"
    ended = Unanswered(f"cannot be checked: the program that reads tables {why}")
    return [*results, *([ended] * (len(checks) - len(results)))]


def _answer(line: Mapping[str, object]) -> float | Unanswered:
    number = line.get("number")
    return number if isinstance(number, int | float) else Unanswered(str(line.get("problem")))
