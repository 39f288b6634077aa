"""`review_by` that bites: a warning from 30 days before, schedules that are off after, always with the line to edit.

The program knows no clock: to it the date is the schedule's end date, after which AWS starts nothing more. What depends
on today is worked out here, and the names of what has expired are handed to the program as a setting (`herd:expired`).
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any, Protocol
from zoneinfo import ZoneInfo

from herd.checkout import team_files
from herd.checkout.find import Checkout
from herd.errors import WrongInput

if TYPE_CHECKING:
    from herd.infra.spec.load import Specs

WARN_DAYS = 30
NEW_DAYS = 182
"""A new workload is looked over after half a year at the latest."""

CLOCK = "HERD_NOW"
"""The moment that counts as now, ISO 8601: what a later day will bring can be tried before it comes."""


@dataclass(frozen=True)
class Review:
    """A workload's review that is due within 30 days, or overdue: what happens after that day, and what to do.

    `days` until its last day, negative after it; `place` where the date stands, empty where no file has it any more.
    """

    name: str
    review_by: date
    days: int
    starts_by_itself: bool
    advice: str
    place: str = ""

    @property
    def expired(self) -> bool:
        return self.days < 0

    def __str__(self) -> str:
        if self.expired:
            when = "has passed"
        elif self.days == 0:
            when = "is today"
        else:
            when = f"is in {self.days} day{'s' if self.days > 1 else ''}"
        after = "its schedule is off" if self.starts_by_itself else "it stays as it is, and nobody vouches for it"
        ends = after if self.expired else f"after that day {after}"
        return f"{self.name}: review_by = {self.review_by} {when}: {ends}; {self.advice}"


class Deployed(Protocol):
    """What is deployed of a workload, as far as its review goes."""

    @property
    def review_by(self) -> date: ...

    @property
    def timezone(self) -> str: ...

    @property
    def starts_by_itself(self) -> bool: ...


def now() -> datetime:
    """The moment at which the calendar is looked at. Raises WrongInput if the variable for it says none."""
    text = os.environ.get(CLOCK)
    if text is None:
        return datetime.now(UTC)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise WrongInput(f"{CLOCK}={text!r} is no moment; like 2029-01-15 or 2029-01-15T12:00:00+00:00") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def days_left(review_by: date, timezone: str) -> int:
    """Until the last day, as people there count days; negative once it has passed."""
    return (review_by - now().astimezone(ZoneInfo(timezone)).date()).days


def new_date() -> date:
    """For a workload that is made now."""
    return now().date() + timedelta(days=NEW_DAYS)


def expired(specs: Specs) -> tuple[str, ...]:
    """The names of workloads whose last day has passed."""
    return tuple(
        sorted(name for name, spec in specs.workloads.items() if days_left(spec.review_by, _timezone(spec)) < 0)
    )


def expired_in(checkout: Checkout, environment: str) -> tuple[str, ...] | None:
    """The same of the team's files; None where those cannot be read."""
    from herd.infra.spec.load import SpecErrors

    try:
        return expired(team_files.read(checkout, environment))
    except SpecErrors:
        return None


def due(specs: Specs) -> list[Review]:
    """Reviews of the team's files that are due within 30 days or overdue, the earliest first."""
    reviews = []
    for name, spec in specs.workloads.items():
        starts = name in specs.batch and bool(specs.batch[name].schedule or specs.batch[name].after)
        place = _place(specs, name)
        reviews += _review(name, spec.review_by, _timezone(spec), starts, f"look it over, then edit {place}", place)
    return _by_date(reviews)


def deployed(checkout: Checkout, environment: str, workloads: Mapping[str, Deployed]) -> list[Review]:
    """The same for what is deployed, whatever the files say by now; `workloads` are those of the exports."""
    from herd.infra.spec.load import SpecErrors

    try:
        specs = team_files.read(checkout, environment)
    except SpecErrors:
        specs = None
    reviews = []
    for name, workload in workloads.items():
        review_by = workload.review_by
        if specs is None or name not in specs.workloads:
            advice = "look it over, then set a later date"
        elif specs.workloads[name].review_by > review_by:
            advice = f"`herd up` brings the new date, {specs.workloads[name].review_by}"
        else:
            advice = f"look it over, then edit {_place(specs, name)}"
        reviews += _review(name, review_by, workload.timezone, workload.starts_by_itself, advice)
    return _by_date(reviews)


def summary(reviews: Sequence[Review]) -> list[str]:
    """A line for each place with a date that has passed: whose it is and that it is to be moved."""
    places: dict[str, list[str]] = {}
    for review in reviews:
        if review.expired:
            places.setdefault(review.place, []).append(review.name)
    return [
        f"expired, so no schedule starts {'them' if len(names) > 1 else 'it'}: {', '.join(names)}; "
        f"look {'them' if len(names) > 1 else 'it'} over, then move review_by in {place} and `herd up`"
        for place, names in places.items()
    ]


def _review(name: str, review_by: date, timezone: str, starts: bool, advice: str, place: str = "") -> list[Review]:
    days = days_left(review_by, timezone)
    return [Review(name, review_by, days, starts, advice, place)] if days <= WARN_DAYS else []


def _timezone(spec: Any) -> str:
    """Of its days. A service has none: nothing of it goes by the clock."""
    return str(getattr(spec, "timezone", "UTC"))


def _place(specs: Specs, name: str) -> str:
    origin = specs.origins[name]["review_by"]
    return f"{origin}, line {origin.line}" if origin.line else str(origin)


def _by_date(reviews: list[Review]) -> list[Review]:
    return sorted(reviews, key=lambda review: (review.days, review.name))
