"""The spans of time that alarms look at: sliding ones, and those of the calendar."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localcloud.metrics import windows
from localcloud.metrics.windows import WALL_CLOCK_PERIODS, WEEK

BERLIN, KOLKATA = "Europe/Berlin", "+05:30"


def told(spans: list[windows.Span]) -> list[str]:
    return [" ".join(f"{datetime.fromtimestamp(moment, UTC):%m-%d %H:%M}" for moment in span) for span in spans]


@pytest.mark.parametrize(
    ("now", "period", "count", "spans"),
    [
        ("2026-03-10T14:07:30Z", 3600, 1, ["03-10 13:07 03-10 14:07"]),
        ("2026-03-10T14:08:02Z", 3600, 1, ["03-10 13:08 03-10 14:08"]),
        ("2026-03-10T14:08:02Z", 300, 2, ["03-10 13:58 03-10 14:03", "03-10 14:03 03-10 14:08"]),
        ("2026-03-10T14:00:00Z", 60, 1, ["03-10 13:59 03-10 14:00"]),
    ],
)
def test_a_sliding_window_ends_with_the_last_full_minute(now: str, period: int, count: int, spans: list[str]) -> None:
    assert told(windows.sliding(datetime.fromisoformat(now).timestamp(), period, count)) == spans


@pytest.mark.parametrize(
    ("now", "zone", "period", "count", "spans"),
    [
        ("2026-03-10T14:07:30Z", "UTC", 3600, 1, ["03-10 13:00 03-10 14:00"]),
        ("2026-03-10T14:07:30Z", KOLKATA, 3600, 1, ["03-10 12:30 03-10 13:30"]),
        ("2026-03-10T14:07:30Z", BERLIN, 86400, 1, ["03-08 23:00 03-09 23:00"]),
        # The day on which summer time begins has 23 hours, the one on which it ends 25.
        ("2026-03-30T10:00:00Z", BERLIN, 86400, 2, ["03-27 23:00 03-28 23:00", "03-28 23:00 03-29 22:00"]),
        ("2026-10-26T10:00:00Z", BERLIN, 86400, 1, ["10-24 22:00 10-25 23:00"]),
        # Weeks begin on Monday.
        ("2026-03-10T14:07:30Z", "UTC", WEEK, 1, ["03-02 00:00 03-09 00:00"]),
        ("2026-03-09T00:00:00Z", "UTC", WEEK, 1, ["03-02 00:00 03-09 00:00"]),
    ],
)
def test_a_wall_clock_window_has_complete_periods_of_the_calendar(
    now: str, zone: str, period: int, count: int, spans: list[str]
) -> None:
    moment = datetime.fromisoformat(now).timestamp()
    assert told(windows.wall_clock(moment, period, count, windows.zone(zone))) == spans


@given(
    st.datetimes(datetime(2024, 1, 1), datetime(2028, 1, 1)),
    st.sampled_from(WALL_CLOCK_PERIODS),
    st.integers(1, 5),
    st.sampled_from(("UTC", BERLIN, "America/New_York", "Australia/Lord_Howe", KOLKATA, "UTC-03:30")),
)
def test_spans_follow_one_another_and_are_over(now: datetime, period: int, count: int, zone: str) -> None:
    moment, where = now.replace(tzinfo=UTC).timestamp(), windows.zone(zone)
    spans = windows.wall_clock(moment, period, count, where)
    assert len(spans) == count
    assert all(before[1] == after[0] for before, after in zip(spans, spans[1:], strict=False))
    assert all(start < end for start, end in spans) and spans[-1][1] <= moment
    for start, _ in spans:
        local = datetime.fromtimestamp(start, UTC).astimezone(where)
        assert (local.second, local.minute % min(60, max(1, period // 60))) == (0, 0)
        if period >= 86400:
            assert (local.hour, local.minute) == (0, 0)


@pytest.mark.parametrize("name", ["Mars/Olympus", "+05:31", "+25:00", "", "UTC+5", "../etc/passwd"])
def test_what_is_no_time_zone(name: str) -> None:
    with pytest.raises(ValueError, match="time zone|offset"):
        windows.zone(name)


def test_the_names_of_time_zones() -> None:
    assert windows.zone("Europe/Berlin") == ZoneInfo("Europe/Berlin")
    assert windows.zone("UTC+05:30") == windows.zone("+05:30")
