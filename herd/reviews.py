"""`review_by` that bites: a warning from 30 days before, a refusal after, always with the line to edit.

The program knows no clock: to it the date is only the schedule's end date, after which AWS starts nothing more. What
depends on today is worked out here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

from herd import project
from herd.checkout import Checkout
from herd.errors import WrongInput

if TYPE_CHECKING:
    from infra.spec import Specs

WARN_DAYS = 30


@dataclass(frozen=True)
class Review:
    """A workload's review that is due within 30 days, or overdue: what happens after that day, and what to do."""

    name: str
    review_by: date
    days: int
    starts_by_itself: bool
    advice: str

    def __str__(self) -> str:
        if self.days < 0:
            when = "has passed"
        elif self.days == 0:
            when = "is today"
        else:
            when = f"is in {self.days} day{'s' if self.days > 1 else ''}"
        after = "it is not started any more" if self.starts_by_itself else "`herd up` is refused"
        ends = after if self.days < 0 else f"after that day {after}"
        return f"{self.name}: review_by = {self.review_by} {when}: {ends}; {self.advice}"


def today() -> date:
    """In UTC, as the end of a schedule is."""
    return datetime.now(UTC).date()


def refuse_expired(specs: Specs) -> None:
    """Raises WrongInput with the line to edit for each review that is overdue: nothing has been touched by then."""
    from infra.spec import expired

    if problems := expired(specs, today()):
        raise WrongInput("\n".join(map(str, problems)))


def due(specs: Specs) -> list[Review]:
    """Reviews of the team's files that are due within 30 days, the nearest first."""
    found = []
    for name, spec in specs.workloads.items():
        starts = bool(getattr(spec, "schedule", None) or getattr(spec, "after", ()))
        found += _review(name, spec.review_by, starts, f"look it over, then edit {_place(specs, name)}")
    return _by_date(found)


def deployed(checkout: Checkout, environment: str, workloads: Mapping[str, dict[str, Any]]) -> list[Review]:
    """The same for what is deployed, whatever the files say by now; `workloads` are those of the exports."""
    from infra.spec import SpecErrors

    try:
        specs = project.read(checkout, environment)
    except SpecErrors:
        specs = None
    found = []
    for name, told in workloads.items():
        review_by = date.fromisoformat(told["review_by"])
        starts = bool(told.get("schedule") or told.get("pipeline"))
        if specs is None or name not in specs.workloads:
            advice = "look it over, then set a later date"
        elif specs.workloads[name].review_by > review_by:
            advice = f"`herd up` brings the new date, {specs.workloads[name].review_by}"
        else:
            advice = f"look it over, then edit {_place(specs, name)}"
        found += _review(name, review_by, starts, advice)
    return _by_date(found)


def _review(name: str, review_by: date, starts: bool, advice: str) -> list[Review]:
    days = (review_by - today()).days
    return [Review(name, review_by, days, starts, advice)] if days <= WARN_DAYS else []


def _place(specs: Specs, name: str) -> str:
    origin = specs.origins[name]["review_by"]
    return f"{origin}, line {origin.line}" if origin.line else str(origin)


def _by_date(found: list[Review]) -> list[Review]:
    return sorted(found, key=lambda review: (review.days, review.name))
