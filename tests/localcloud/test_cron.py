"""Schedule expressions: named cases, and agreement with another implementation over random ones."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from aws_croniter.aws_croniter import AwsCroniter
from hypothesis import given, settings
from hypothesis import strategies as st

from localcloud import cron

UTC_ZONE = ZoneInfo("UTC")
AMSTERDAM = ZoneInfo("Europe/Amsterdam")


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def due(expression: str, after: str, zone: ZoneInfo = UTC_ZONE, count: int = 1) -> list[str]:
    moment: datetime | None = at(after)
    found = []
    for _ in range(count):
        assert moment is not None
        moment = cron.next_fire(cron.parse(expression), zone, moment, at(after))
        if moment is None:
            return found
        found.append(f"{moment:%Y-%m-%d %H:%M}")
    return found


CASES = {
    "every weekday": ("cron(0 6 ? * MON-FRI *)", "2026-11-06 07:00", ["2026-11-09 06:00"]),
    "every 15 minutes": ("cron(0/15 * * * ? *)", "2026-11-06 07:50", ["2026-11-06 08:00"]),
    "steps in a range": ("cron(10-30/10 5 * * ? *)", "2026-11-06 05:10", ["2026-11-06 05:20"]),
    "days that wrap round": ("cron(0 0 ? * FRI-MON *)", "2026-11-02 00:00", ["2026-11-06 00:00"]),
    "numbers of days": ("cron(0 0 ? * 1 *)", "2026-11-02 00:00", ["2026-11-08 00:00"]),
    "every second day of a month": ("cron(0 0 1/2 * ? *)", "2026-11-01 00:00", ["2026-11-03 00:00"]),
    "last day": ("cron(0 12 L * ? *)", "2026-02-01 00:00", ["2026-02-28 12:00"]),
    "third last day": ("cron(0 12 L-2 * ? *)", "2028-02-01 00:00", ["2028-02-27 12:00"]),
    "last working day": ("cron(0 12 LW * ? *)", "2026-05-01 00:00", ["2026-05-29 12:00"]),
    "working day nearest to the 15th": ("cron(0 12 15W * ? *)", "2026-11-01 00:00", ["2026-11-16 12:00"]),
    "nearest working day stays in the month": (
        "cron(0 0 1W 8 ? *)",
        "2026-01-01 00:00",
        ["2026-08-03 00:00"],
    ),
    "second Sunday": ("cron(0 0 ? * 1#2 *)", "2026-11-01 00:00", ["2026-11-08 00:00"]),
    "first Monday by name": ("cron(0 0 ? * MON#1 *)", "2026-11-03 00:00", ["2026-12-07 00:00"]),
    "last Friday": ("cron(0 0 ? * 6L *)", "2026-11-01 00:00", ["2026-11-27 00:00"]),
    "last Friday by name": ("cron(0 0 ? * FRIL *)", "2026-11-01 00:00", ["2026-11-27 00:00"]),
    "bare L is Saturday": ("cron(0 0 ? * L *)", "2026-11-02 00:00", ["2026-11-07 00:00"]),
    "months by name": ("cron(0 0 1 JAN,JUL ? *)", "2026-02-01 00:00", ["2026-07-01 00:00"]),
    "a leap day": ("cron(0 0 29 2 ? *)", "2026-01-01 00:00", ["2028-02-29 00:00"]),
    "a year of its own": ("cron(0 0 1 1 ? 2099)", "2026-01-01 00:00", ["2099-01-01 00:00"]),
    "a year that is over": ("cron(0 0 1 1 ? 2020)", "2026-01-01 00:00", []),
    "at": ("at(2026-11-06T09:30:00)", "2026-11-06 09:00", ["2026-11-06 09:30"]),
    "at, over": ("at(2026-11-06T09:30:00)", "2026-11-06 09:30", []),
    "rate": ("rate(90 minutes)", "2026-11-06 09:00", ["2026-11-06 10:30"]),
}


@pytest.mark.parametrize("case", CASES)
def test_next(case: str) -> None:
    expression, after, expected = CASES[case]
    assert due(expression, after) == expected


def test_the_hour_that_spring_skips_is_left_out() -> None:
    assert due("cron(30 2 * * ? *)", "2026-03-28 12:00", AMSTERDAM, 2) == ["2026-03-30 00:30", "2026-03-31 00:30"]


def test_the_hour_that_autumn_repeats_is_due_once() -> None:
    assert due("cron(30 2 * * ? *)", "2026-10-24 12:00", AMSTERDAM, 2) == ["2026-10-25 00:30", "2026-10-26 01:30"]


def test_a_rate_is_due_at_its_anchor_and_on_its_grid() -> None:
    expression, anchor = cron.parse("rate(2 hours)"), at("2026-11-06 09:00")
    assert cron.next_fire(expression, UTC_ZONE, anchor - timedelta(days=1), anchor) == anchor
    assert cron.next_fire(expression, UTC_ZONE, at("2026-11-06 14:10"), anchor) == at("2026-11-06 15:00")


BAD = [
    "every day",
    "cron(* * * * *)",
    "cron(* * * * * *)",
    "cron(* * ? * ? *)",
    "cron(99 99 * * ? *)",
    "cron(0 0 32 * ? *)",
    "cron(0 0 ? * MOON *)",
    "cron(0 0 ? * MON#6 *)",
    "cron(0 0 99W * ? *)",
    "cron(0/0 * * * ? *)",
    "cron(a * * * ? *)",
    "cron(0 0 ? * 9L *)",
    "rate(0 minutes)",
    "rate(5 weeks)",
    "rate(minutes)",
    "at(tomorrow)",
    "at(2026-11-06)",
    "",
]


@pytest.mark.parametrize("expression", BAD)
def test_what_is_no_expression_is_refused(expression: str) -> None:
    with pytest.raises(cron.BadExpression):
        cron.parse(expression)


def test_unknown_zone_is_refused() -> None:
    with pytest.raises(cron.BadExpression, match="Mars"):
        cron.zone("Mars/Olympus")


minute_fields = st.one_of(
    st.just("*"),
    st.integers(0, 59).map(str),
    st.tuples(st.integers(0, 30), st.integers(1, 29)).map(lambda pair: f"{pair[0]}/{pair[1]}"),
    st.lists(st.integers(0, 59), min_size=1, max_size=4).map(lambda numbers: ",".join(map(str, numbers))),
)
hour_fields = st.one_of(st.just("*"), st.integers(0, 23).map(str), st.just("8-17"), st.just("0/6"))
day_fields = st.one_of(
    st.tuples(st.sampled_from(["*", "1", "15", "31", "10-20", "L", "1/2"]), st.just("?")),
    st.tuples(st.just("?"), st.sampled_from(["MON", "MON-FRI", "SAT,SUN", "2", "6L", "3#2"])),
)
month_fields = st.one_of(st.just("*"), st.integers(1, 12).map(str), st.just("JAN-MAR"), st.just("1/3"))


@settings(max_examples=150)
@given(minute_fields, hour_fields, day_fields, month_fields, st.datetimes(datetime(2024, 1, 1), datetime(2030, 1, 1)))
def test_agrees_with_another_implementation(
    minute: str, hour: str, days: tuple[str, str], month: str, after: datetime
) -> None:
    expression = f"{minute} {hour} {days[0]} {month} {days[1]} *"
    start = after.replace(tzinfo=UTC)
    ours = cron.next_fire(cron.parse(f"cron({expression})"), UTC_ZONE, start, start)
    (theirs,) = AwsCroniter(expression).get_next(start.replace(second=0, microsecond=0), n=1)
    assert ours == theirs
