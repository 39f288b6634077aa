"""EventBridge Scheduler's expressions: `cron(…)`, `rate(…)`, `at(…)` and when they are due next.

Source: https://docs.aws.amazon.com/scheduler/latest/UserGuide/schedule-types.html
"""

from __future__ import annotations

import calendar
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

MONTHS = dict(
    zip(("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"), range(1, 13), strict=True)
)
WEEKDAYS = dict(zip(("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"), range(1, 8), strict=True))
FIRST_YEAR, LAST_YEAR = 1970, 2199
SUNDAY, SATURDAY = 1, 7


class BadExpression(ValueError):
    """The text is no schedule expression; the message says what is wrong with it."""


@dataclass(frozen=True)
class Rate:
    """Every `step`, counted from an anchor."""

    step: timedelta


@dataclass(frozen=True)
class At:
    """Once, at this wall-clock time."""

    moment: datetime


@dataclass(frozen=True)
class Cron:
    """Six fields. `day` and `weekday` stay text because what they mean depends on the month; one of them is `?`."""

    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    day: str
    months: frozenset[int]
    weekday: str
    years: frozenset[int]


Expression = Cron | Rate | At


def zone(name: str) -> ZoneInfo:
    """The time zone of that IANA name. Raises `BadExpression`."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise BadExpression(f"unknown time zone {name!r}") from error


@lru_cache(maxsize=512)
def parse(text: str) -> Expression:
    """Read an expression such as `cron(0 6 ? * MON-FRI *)`. Raises `BadExpression`."""
    match = re.fullmatch(r"(cron|rate|at)\((.*)\)", text.strip())
    if match is None:
        raise BadExpression(f"{text!r} is neither cron(…) nor rate(…) nor at(…)")
    kind, body = match.groups()
    if kind == "cron":
        return _parse_cron(body)
    if kind == "rate":
        return _parse_rate(body)
    try:
        moment = datetime.strptime(body, "%Y-%m-%dT%H:%M:%S")
    except ValueError as error:
        raise BadExpression(f"at({body}) must be at(yyyy-mm-ddThh:mm:ss)") from error
    return At(moment)


def next_fire(expression: Expression, timezone: ZoneInfo, after: datetime, anchor: datetime) -> datetime | None:
    """When the expression is due for the first time later than `after`; None if never again.

    `after`, `anchor` and the result are aware, the result is in UTC. A rate is due at `anchor` and every step from then
    on. Cron and at are wall-clock times of `timezone`: what falls into the hour that is skipped in spring is left out,
    what falls into the hour that comes twice in autumn is due once, the first time.
    """
    match expression:
        case Rate(step):
            steps = max(0, (after - anchor) // step + 1) if after >= anchor else 0
            return (anchor + step * steps).astimezone(UTC)
        case At(moment):
            due = moment.replace(tzinfo=timezone).astimezone(UTC)
            return due if due > after else None
        case Cron():
            return _next_cron(expression, timezone, after)


def _parse_rate(body: str) -> Rate:
    match = re.fullmatch(r"([1-9]\d*) (minute|hour|day)(s?)", body.strip())
    if match is None:
        raise BadExpression(f"rate({body}) must be rate(<number> minutes|hours|days)")
    number, unit, _ = match.groups()
    return Rate(timedelta(**{f"{unit}s": int(number)}))


def _parse_cron(body: str) -> Cron:
    fields = body.upper().split()
    if len(fields) != 6:
        raise BadExpression(f"cron({body}) must have 6 fields: minutes hours day-of-month month day-of-week year")
    minute, hour, day, month, weekday, year = fields
    if (day == "?") == (weekday == "?"):
        raise BadExpression(f"cron({body}): exactly one of day-of-month and day-of-week must be ?")
    cron = Cron(
        tuple(sorted(_numbers(minute, 0, 59))),
        tuple(sorted(_numbers(hour, 0, 23))),
        day,
        frozenset(_numbers(month, 1, 12, MONTHS)),
        weekday,
        frozenset(_numbers(year, FIRST_YEAR, LAST_YEAR)),
    )
    _days_of(cron, 2024, 1)  # reads the day fields, and so refuses what they must not be
    return cron


def _numbers(field: str, low: int, high: int, names: dict[str, int] | None = None) -> set[int]:
    """The numbers that a field such as `1,10-20/5,FRI-MON` lists."""
    numbers: set[int] = set()
    for part in field.split(","):
        body, slash, step_text = part.partition("/")
        if body == "*":
            first, last = low, high
        elif "-" in body:
            first, last = (_number(text, field, names) for text in body.split("-", 1))
        else:
            first = _number(body, field, names)
            last = high if slash else first
        step = _number(step_text, field) if slash else 1
        if not (low <= first <= high and low <= last <= high and step >= 1):
            raise BadExpression(f"{field!r} must lie between {low} and {high}")
        values = [*range(first, last + 1)] if first <= last else [*range(first, high + 1), *range(low, last + 1)]
        numbers.update(values[::step])
    return numbers


def _number(text: str, field: str, names: dict[str, int] | None = None) -> int:
    if names and text in names:
        return names[text]
    if not text.isdigit():
        raise BadExpression(f"{text!r} in {field!r} is not a number")
    return int(text)


def _weekday(year: int, month: int, day: int) -> int:
    """1 for Sunday to 7 for Saturday, as AWS counts."""
    return (calendar.weekday(year, month, day) + 1) % 7 + 1


def _days_of(cron: Cron, year: int, month: int) -> list[int]:
    """The days of a month on which the cron is due, ascending."""
    last = calendar.monthrange(year, month)[1]
    days = _by_day(cron.day, year, month, last) if cron.weekday == "?" else _by_weekday(cron.weekday, year, month, last)
    return sorted(day for day in days if 1 <= day <= last)


def _by_day(field: str, year: int, month: int, last: int) -> set[int]:
    if field == "L":
        return {last}
    if match := re.fullmatch(r"L-(\d+)", field):
        return {last - int(match[1])}
    if match := re.fullmatch(r"(L|\d+)W", field):
        day = last if match[1] == "L" else int(match[1])
        if not 1 <= day <= 31:
            raise BadExpression(f"{field!r} must lie between 1W and 31W")
        return {_nearest_working_day(year, month, day, last)} if day <= last else set()
    return _numbers(field, 1, 31)


def _nearest_working_day(year: int, month: int, day: int, last: int) -> int:
    """The working day next to a day without leaving the month."""
    weekday = _weekday(year, month, day)
    if weekday == SATURDAY:
        return day - 1 if day > 1 else day + 2
    if weekday == SUNDAY:
        return day + 1 if day < last else day - 2
    return day


def _by_weekday(field: str, year: int, month: int, last: int) -> set[int]:
    def falling_on(weekdays: set[int]) -> list[int]:
        return [day for day in range(1, last + 1) if _weekday(year, month, day) in weekdays]

    if match := re.fullmatch(r"(\w+)#([1-5])", field):
        nth = int(match[2])
        return set(falling_on(_numbers(match[1], SUNDAY, SATURDAY, WEEKDAYS))[nth - 1 : nth])
    if field == "L":
        return set(falling_on({SATURDAY}))
    if match := re.fullmatch(r"([A-Z]{3}|\d)L", field):
        return {falling_on(_numbers(match[1], SUNDAY, SATURDAY, WEEKDAYS))[-1]}
    return set(falling_on(_numbers(field, SUNDAY, SATURDAY, WEEKDAYS)))


def _next_cron(cron: Cron, timezone: ZoneInfo, after: datetime) -> datetime | None:
    local = after.astimezone(timezone)
    year, month = local.year, local.month
    while year <= max(cron.years):
        if year in cron.years and month in cron.months:
            first_day = local.day if (year, month) == (local.year, local.month) else 1
            for day in _days_of(cron, year, month):
                if day >= first_day and (due := _next_on(cron, timezone, datetime(year, month, day), after)):
                    return due
        year, month = (year + 1, 1) if month == 12 else (year, month + 1)
    return None


def _next_on(cron: Cron, timezone: ZoneInfo, day: datetime, after: datetime) -> datetime | None:
    """The first time on a day that is later than `after`."""
    for hour in cron.hours:
        for minute in cron.minutes:
            wall = day.replace(hour=hour, minute=minute)
            due = wall.replace(tzinfo=timezone).astimezone(UTC)
            skipped = due.astimezone(timezone).replace(tzinfo=None) != wall
            if due > after and not skipped:
                return due
    return None
