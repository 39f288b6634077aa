"""Thirty changes and more as a team makes them, each with the comment that people read.

`recorded/base` is what is deployed, `recorded/NAME.diff` a change, `recorded/NAME.md` its comment, worked out by the
program itself. `UPDATE_GOLDEN=1` writes the comments anew: read each as the person who has to approve it.
"""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import pytest

from herd.checkout.find import Checkout
from herd.review import between_files
from herd.review.comment import MOST_BYTES, comment
from herd.review.review import Review
from tests.herd.review import recorded

# The first test runs the program for all of them.
pytestmark = [pytest.mark.xdist_group("review-recorded"), pytest.mark.timeout(900)]

NOW = datetime.fromisoformat(recorded.NOW)

HARMLESS = {
    "access-narrower", "base-image-changed", "check-added", "check-tightened", "code-changed", "comment-in-a-file",
    "hardware-added", "more-memory-and-cpu", "more-replicas", "new-job", "package-removed", "package-upgraded",
    "reads-less", "review-date-moved", "schedule-moved", "shared-code-changed", "spot", "time-limit-longer",
    "time-zone-moved",
}  # fmt: skip
"""Changes of which none may be called dangerous."""


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("recorded")
    variables = {**os.environ, "PYTHONPATH": f"{recorded.ROOT}{os.pathsep}{recorded.ROOT / 'src'}"}
    command = [sys.executable, "-m", "tests.herd.review.recorded", str(folder)]
    done = subprocess.run(command, cwd=recorded.ROOT, env=variables, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder


def review_of(change: str, results: Path) -> Review:
    before, after = recorded.load(recorded.BASE, results), recorded.load(change, results)
    plan = between_files.plan_between(before, after, Checkout(recorded.RECORDED / "base", results), recorded.STACK)
    workloads = plan.outputs_after["settings"]["workloads"].items()
    public = frozenset(name for name, settings in workloads if settings.get("access") == "public")
    return Review(plan, public, (), (), tuple(between_files.rebuilds(before, after)))


@pytest.mark.parametrize("change", recorded.CHANGES)
def test_a_recorded_change_is_said_as_people_read_it(change: str, results: Path) -> None:
    review = review_of(change, results)
    text = comment(review.document(NOW), recorded.STACK)
    golden = recorded.RECORDED / f"{change}.md"
    if os.environ.get("UPDATE_GOLDEN"):
        golden.write_text(text, encoding="utf-8")
    assert text == golden.read_text(encoding="utf-8")
    assert len(text.encode()) <= MOST_BYTES
    dangers = review.words(NOW).dangers
    assert (not dangers) == (change in HARMLESS), [danger.what for danger in dangers]


def test_there_are_thirty_at_least_and_each_comment_is_of_one() -> None:
    assert len(recorded.CHANGES) >= 30
    assert {path.stem for path in recorded.RECORDED.glob("*.md")} == set(recorded.CHANGES)
    assert set(recorded.CHANGES) >= HARMLESS
