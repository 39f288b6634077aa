"""How long an environment lasts that ends by itself: what people write, and the moments that follow. No clock here."""

import re
from datetime import UTC, datetime, timedelta

LIFETIME = re.compile(r"([0-9]{1,9})(m|h|d)")
UNITS = {"m": "minutes", "h": "hours", "d": "days"}
LEAST, MOST = timedelta(minutes=1), timedelta(days=30)
ALLOWED = "a whole number of minutes, hours or days from 1m to 30d, like 48h"
WARNING = timedelta(hours=24)
"""So long before the end its owners are told; of a short life a quarter before."""

FORMAT = "%Y-%m-%dT%H:%M:%SZ"


def parse(text: str) -> timedelta:
    """Raises ValueError with what is allowed.

    >>> parse("48h")
    datetime.timedelta(days=2)
    """
    match = LIFETIME.fullmatch(text)
    length = timedelta(**{UNITS[match[2]]: int(match[1])}) if match else None
    if length is None or not LEAST <= length <= MOST:
        raise ValueError(f"is not how long an environment can last; allowed: {ALLOWED}")
    return length


def written(moment: datetime) -> str:
    """As a stack's settings have it: in UTC, to the second."""
    return moment.astimezone(UTC).strftime(FORMAT)


def read(text: str) -> datetime:
    """Raises ValueError."""
    return datetime.strptime(text, FORMAT).replace(tzinfo=UTC)


def at(moment: datetime) -> str:
    """The expression of EventBridge Scheduler.

    >>> at(datetime(2027, 1, 31, 6, tzinfo=UTC))
    'at(2027-01-31T06:00:00)'
    """
    return f"at({moment.astimezone(UTC):%Y-%m-%dT%H:%M:%S})"


def of_expression(text: str) -> datetime | None:
    """The moment of an expression of Scheduler; None for one of another kind."""
    try:
        return datetime.strptime(text, "at(%Y-%m-%dT%H:%M:%S)").replace(tzinfo=UTC)
    except ValueError:
        return None


def told_at(ends_at: datetime, length: timedelta) -> datetime:
    """When its owners are told that it ends."""
    return ends_at - min(WARNING, length / 4)
