"""The spans of time that an alarm looks at: its periods, back from now.

A sliding window ends with the last full minute and moves with it. One of the wall clock has the calendar's hours, days
and weeks (from Monday) of a time zone, complete ones only. Source:
https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarm-evaluation-window.html
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta, timezone, tzinfo
from zoneinfo import ZoneInfo

from localcloud.metrics.series import DAY, HOUR, MINUTE

WEEK = 7 * DAY

WALL_CLOCK_PERIODS = (MINUTE, 5 * MINUTE, HOUR, DAY, WEEK)

Span = tuple[float, float]
"""From, up to; seconds since 1970."""

_OFFSET = re.compile(r"(?:UTC|GMT)?([+-])(\d\d):(\d\d)")


def zone(name: str) -> tzinfo:
    """An IANA name, an offset (`+05:30`) or one with a prefix (`UTC+05:30`). Raises ValueError."""
    if match := _OFFSET.fullmatch(name):
        hours, minutes = int(match[2]), int(match[3])
        if minutes % 5 or minutes > 59 or hours > 18:
            raise ValueError(f"{name}: an offset is a multiple of five minutes")
        offset = timedelta(hours=hours, minutes=minutes)
        return timezone(-offset if match[1] == "-" else offset)
    try:
        return ZoneInfo(name)
    except Exception as error:
        raise ValueError(f"{name} is no time zone") from error


def sliding(now: float, period: int, count: int) -> list[Span]:
    """The last `count` periods up to the last full minute (shorter ones: up to the last full one), oldest first."""
    step = min(period, MINUTE)
    end = now // step * step
    return [(end - (place + 1) * period, end - place * period) for place in reversed(range(count))]


def wall_clock(now: float, period: int, count: int, where: tzinfo) -> list[Span]:
    """The last `count` complete periods of the calendar in a time zone, oldest first."""
    spans: list[Span] = []
    end = _start(now, period, where)
    for _ in range(count):
        start = _start(end - 1, period, where)
        spans.insert(0, (start, end))
        end = start
    return spans


def is_within(span: Span, gaps: Iterable[Span]) -> bool:
    """Does at least half of a span lie in gaps, which do not overlap?"""
    inside = sum(max(0.0, min(span[1], end) - max(span[0], start)) for start, end in gaps)
    return inside * 2 >= span[1] - span[0]


def _start(moment: float, period: int, where: tzinfo) -> float:
    """When the period began that a moment lies in."""
    local = datetime.fromtimestamp(moment, UTC).astimezone(where)
    if period < DAY:
        offset = local.utcoffset() or timedelta()
        shifted = moment + offset.total_seconds()
        return shifted // period * period - offset.total_seconds()
    day: date = local.date()
    if period == WEEK:
        day -= timedelta(days=day.weekday())
    return datetime(day.year, day.month, day.day, tzinfo=where).timestamp()
