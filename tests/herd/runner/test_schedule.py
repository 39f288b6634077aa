"""Schedules: the translation to AWS, and that the next runs are what AWS would do."""

import re
from datetime import UTC, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo

import pytest
from aws_croniter import AwsCroniter
from hypothesis import example, given, settings
from hypothesis import strategies as st

from herd.runner.contract.schedule import Schedule, next_runs, parse

TRANSLATIONS = {
    "0 6 * * 1-5": "cron(0 6 ? * MON-FRI *)",
    "  0   6 * * *  ": "cron(0 6 * * ? *)",
    "*/20 8-18 * * *": "cron(0/20 8-18 * * ? *)",
    "*/7 * * * *": "cron(0/7 * * * ? *)",
    "5-20/5 * * * *": "cron(5,10,15,20 * * * ? *)",
    # Cron's */2 is every odd day of the month and every even day of the week; dropped it would be daily.
    "0 4 */2 * *": "cron(0 4 1/2 * ? *)",
    "0 0 * * */2": "cron(0 0 ? * SUN,TUE,THU,SAT *)",
    "0 0 * * 0": "cron(0 0 ? * SUN *)",
    "0 0 * * 7": "cron(0 0 ? * SUN *)",
    "0 0 * * 0,7": "cron(0 0 ? * SUN *)",
    "0 0 * * 0-7": "cron(0 0 * * ? *)",
    "0 0 * * 1-7": "cron(0 0 * * ? *)",
    "0 0 * * 5-7": "cron(0 0 ? * SUN,FRI,SAT *)",
    "0 0 * * FRI-MON": "cron(0 0 ? * SUN,MON,FRI,SAT *)",
    "0 0 * * mon-sun": "cron(0 0 * * ? *)",
    "0 0 * * 7-2/2": "cron(0 0 ? * SUN,TUE *)",
    "0 22-23,0-2 * * *": "cron(0 0-2,22,23 * * ? *)",
    "0 0 * * 5-0": "cron(0 0 ? * SUN,FRI,SAT *)",
    "0 0 1 JAN,jul *": "cron(0 0 1 JAN,JUL ? *)",
    "0 0 * NOV-FEB *": "cron(0 0 * JAN,FEB,NOV,DEC ? *)",
    "0 0 29 2 *": "cron(0 0 29 FEB ? *)",
    "@hourly": "cron(0 * * * ? *)",
    "@daily": "cron(0 0 * * ? *)",
    "@weekly": "cron(0 0 ? * SUN *)",
    "@monthly": "cron(0 0 1 * ? *)",
    "@midnight": "cron(0 0 * * ? *)",
    "@yearly": "cron(0 0 1 JAN ? *)",
    "@annually": "cron(0 0 1 JAN ? *)",
    "@Daily": "cron(0 0 * * ? *)",
    "every 2 hours": "rate(2 hours)",
    "every hour": "rate(1 hour)",
    "every 1 day": "rate(1 day)",
    "every 2 weeks": "rate(14 days)",
    "every 15 minutes": "rate(15 minutes)",
}


@pytest.mark.parametrize("text", TRANSLATIONS)
def test_translation(text: str) -> None:
    assert parse(text) == Schedule(TRANSLATIONS[text], text)


REFUSED = {
    "": "is not a schedule; allowed: a cron line",
    "tomorrow": "is not a schedule; allowed: a cron line",
    "@yearl": "is not a schedule; allowed: a cron line",
    "@reboot": "starts with a machine, and here none stays; allowed: a cron line",
    "@every 90m": 'is the way Go writes it; write "every 90 minutes"',
    "@every 1h30m": "is not a schedule; allowed: a cron line",
    "* * * *": "has 4 fields; allowed: a cron line",
    "0 6 * * 1-5 *": "has 6 fields; allowed: a cron line",
    "cron(0 6 ? * MON-FRI *)": "is the way AWS writes it; allowed here: a cron line",
    "rate(2 hours)": "is the way AWS writes it",
    "0 25 * * *": "has hour 25; allowed: 0 to 23",
    "60 * * * *": "has minute 60; allowed: 0 to 59",
    "0 0 0 * *": "has day of the month 0; allowed: 1 to 31",
    "0 0 * 13 *": "has month 13; allowed: 1 to 12 or a name like FEB",
    "0 0 * * 8": "has day of the week 8; allowed: 0 to 7 or a name like MON",
    "0 0 * * monday": "has 'monday' as day of the week; allowed: * or 0 to 7 or a name like MON",
    "0 22-2 * * *": "has 22-2 as hour, a range that runs backwards; write 2-22, or 22-23,0-2 for one",
    "0 9 5-2 * *": "has 5-2 as day of the month, a range that runs backwards; write 2-5, or 5-31,1-2",
    "0 9 * 11-2 *": "has 11-2 as month, a range that runs backwards; write 2-11, or 11-12,1-2",
    "0 9 * * 5-2": "has 5-2 as day of the week, a range that runs backwards; write 2-5, or 5-6,0-2",
    "5/15 * * * *": "has '5/15' as minute: a step needs a range; write 5-59/15",
    "*/0 * * * *": "has the step '0' in its minute; allowed: 1 to 60",
    "1- * * * *": "has '' as minute",
    ", * * * *": "has '' as minute",
    "² * * * *": "has '²' as minute",
    "0 0 L * *": "has 'L' as day of the month: ?, L, W and # are not part of cron",
    "0 0 ? * 1": "has '?' as day of the month",
    "0 0 * * 5L": "has '5L' as day of the week",
    "0 0 * * FRI#2": "has 'FRI#2' as day of the week",
    "0 0 1 * 1": "sets both the day of the month and the day of the week",
    "0 0 */2 * 1": "sets both the day of the month and the day of the week",
    "0 0 1-31 * 1": "sets both the day of the month and the day of the week",
    "0 0 30 2 *": "never comes",
    "0 0 31 2,4,6 *": "never comes",
    "every 0 hours": "is out of range",
    "every 367 days": "is out of range",
    "every 90 seconds": "is not a rate; allowed:",
    "every day at six": "is not a rate; allowed:",
    "0 " * 200: "is too long",
}


@pytest.mark.parametrize("text", REFUSED)
def test_refused(text: str) -> None:
    with pytest.raises(ValueError, match=re.escape(REFUSED[text])):
        parse(text)


def field(low: int, high: int) -> st.SearchStrategy[str]:
    value = st.integers(low, high)
    single = value.map(str)
    span = st.tuples(value, value).map(sorted).map(lambda pair: f"{pair[0]}-{pair[1]}")
    step = st.tuples(st.just("*") | span, st.integers(1, 7)).map(lambda pair: f"{pair[0]}/{pair[1]}")
    return st.just("*") | st.lists(single | span | step, min_size=1, max_size=3).map(",".join)


@st.composite
def cron_lines(draw: st.DrawFn) -> str:
    day, weekday = draw(st.sampled_from([("*", "*"), (None, "*"), ("*", None)]))
    day = day or draw(field(1, 28))
    weekday = weekday or draw(field(0, 7))
    return f"{draw(field(0, 59))} {draw(field(0, 23))} {day} {draw(field(1, 12))} {weekday}"


@cache
def cron_allows(part: str, value: int, low: int, high: int, period: int) -> bool:
    """Whether cron's own rules let `value` through: written from crontab(5), by trying, not by building sets."""
    for piece in part.split(","):
        body, _, step = piece.partition("/")
        start, end = (low, low + period - 1) if body == "*" else (int(body.split("-")[0]), int(body.split("-")[-1]))
        at = start
        while at <= (end if end >= start else end + period):
            if (at - low) % period == (value - low) % period:
                return True
            at += int(step or 1)
    return False


def cron_matches(line: str, moment: datetime) -> bool:
    minute, hour, day, month, weekday = line.split()
    return (
        cron_allows(minute, moment.minute, 0, 59, 60)
        and cron_allows(hour, moment.hour, 0, 23, 24)
        and cron_allows(day, moment.day, 1, 31, 31)
        and cron_allows(month, moment.month, 1, 12, 12)
        and cron_allows(weekday, moment.isoweekday() % 7, 0, 7, 7)
    )


@given(cron_lines(), st.datetimes(datetime(2026, 1, 1), datetime(2027, 12, 1)))
@example("0 0 */2 * *", datetime(2026, 1, 30))
@example("0 0 * * */2", datetime(2026, 1, 30))
@settings(max_examples=60)
def test_next_runs_are_those_of_cron_minute_by_minute(line: str, start: datetime) -> None:
    start = start.replace(second=0, microsecond=0, tzinfo=UTC)
    minutes = [start + timedelta(minutes=i) for i in range(1, 60 * 24 * 2)]
    wanted = [moment for moment in minutes if cron_matches(line, moment)][:200]
    found = next_runs(parse(line), "UTC", start, len(wanted) + 1)
    assert found[: len(wanted)] == wanted
    assert len(wanted) == 200 or not found[len(wanted) :] or found[len(wanted)] > minutes[-1]


@given(cron_lines(), st.datetimes(datetime(2026, 1, 1), datetime(2027, 12, 1)))
@settings(max_examples=100)
def test_an_independent_reader_of_the_aws_expression_agrees(line: str, start: datetime) -> None:
    start = start.replace(second=0, microsecond=0, tzinfo=UTC)
    schedule = parse(line)
    oracle = AwsCroniter(schedule.expression.removeprefix("cron(").removesuffix(")"))
    for found in next_runs(schedule, "UTC", start, 5):
        start = oracle.get_next(start)[0]
        assert found == start


@pytest.mark.parametrize(
    "line", ["0 4 */2 * *", "30 5 * * */2", "*/17 8-18 * * 1-5", "0 0 * * FRI-MON", "5 22-23,0-2 1,15 * *"]
)
def test_a_month_of_minutes(line: str) -> None:
    start = datetime(2026, 1, 20, tzinfo=UTC)
    minutes = (start + timedelta(minutes=i) for i in range(1, 60 * 24 * 31))
    wanted = [moment for moment in minutes if cron_matches(names_to_numbers(line), moment)]
    assert wanted and next_runs(parse(line), "UTC", start, len(wanted)) == wanted


def names_to_numbers(line: str) -> str:
    return line.replace("FRI", "5").replace("MON", "1")


@given(cron_lines(), st.sampled_from(["Europe/Amsterdam", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu"]))
@settings(max_examples=60)
def test_runs_rise_and_lie_on_the_wall_clock(line: str, zone: str) -> None:
    runs = next_runs(parse(line), zone, datetime(2026, 3, 28, tzinfo=UTC), 50)
    assert runs == sorted(set(runs)) and all(run.tzinfo is UTC for run in runs)
    assert all(cron_matches(line, run.astimezone(ZoneInfo(zone))) for run in runs)


def local_runs(line: str, zone: str, start: str, count: int) -> list[str]:
    after = datetime.fromisoformat(start).replace(tzinfo=ZoneInfo(zone))
    return [run.astimezone(ZoneInfo(zone)).isoformat() for run in next_runs(parse(line), zone, after, count)]


def test_a_time_that_spring_skips_is_skipped() -> None:
    assert local_runs("30 2 * * *", "Europe/Amsterdam", "2026-03-28T00:00", 2) == [
        "2026-03-28T02:30:00+01:00",
        "2026-03-30T02:30:00+02:00",
    ]


def test_a_time_that_comes_twice_in_autumn_runs_once() -> None:
    assert local_runs("30 2 * * *", "Europe/Amsterdam", "2026-10-24T12:00", 2) == [
        "2026-10-25T02:30:00+02:00",
        "2026-10-26T02:30:00+01:00",
    ]


def test_a_time_between_the_two_autumn_hours_has_passed_already() -> None:
    between = datetime(2026, 10, 25, 0, 45, tzinfo=UTC)  # 02:45 for the first time
    assert next_runs(parse("30 2 * * *"), "Europe/Amsterdam", between, 1) == [datetime(2026, 10, 26, 1, 30, tzinfo=UTC)]


def test_the_29th_of_february_is_found_over_the_century_gap() -> None:
    after = datetime(2096, 3, 1, tzinfo=UTC)
    assert next_runs(parse("0 0 29 2 *"), "UTC", after, 1) == [datetime(2104, 2, 29, tzinfo=UTC)]


def test_a_rate_counts_elapsed_time() -> None:
    after = datetime(2026, 3, 29, 0, 30, tzinfo=ZoneInfo("Europe/Amsterdam"))
    tomorrow = after.astimezone(UTC) + timedelta(hours=24)
    assert next_runs(parse("every 1 day"), "Europe/Amsterdam", after, 1) == [tomorrow]


@given(st.text(max_size=60) | st.text("0123456789*/-,LW#?@ ", max_size=40))
def test_any_text_is_a_schedule_or_a_message(text: str) -> None:
    try:
        schedule = parse(text)
    except ValueError as error:
        assert "allowed" in str(error) or "AWS" in str(error) or "never" in str(error) or "write" in str(error)
    else:
        assert next_runs(schedule, "UTC", datetime(2026, 1, 1, tzinfo=UTC), 1)


TWO_YEARS = (datetime(2026, 1, 1, tzinfo=UTC), datetime(2028, 1, 1, tzinfo=UTC))
SWITCHING = ["Europe/Amsterdam", "America/New_York", "Australia/Lord_Howe", "America/Santiago", "UTC"]
"""Forward and back twice each in two years; Lord Howe by half an hour, Santiago at midnight."""

REGULAR = [
    "0 6 * * 1-5",
    "30 2 * * *",
    "15 1-3 * * *",
    "0 0 * * *",
    "45 23 */2 * *",
    "*/20 1-4 * * SUN",
    "@monthly",
    "0 4 29 2 *",
]


@pytest.mark.parametrize("zone", SWITCHING)
@pytest.mark.parametrize("line", REGULAR)
def test_two_years_over_every_switch_of_the_clock(line: str, zone: str) -> None:
    """What AWS's expression says to an independent reader, on the wall clock, and what Scheduler makes of a switch:
    a time that is skipped is skipped, a time that comes twice runs at the first ("Schedule types", Scheduler guide)."""
    schedule, place = parse(line), ZoneInfo(zone)
    oracle = AwsCroniter(schedule.expression.removeprefix("cron(").removesuffix(")"))
    wall, wanted = TWO_YEARS[0] - timedelta(days=2), []
    while wall < TWO_YEARS[1] + timedelta(days=2):
        found = oracle.get_next(wall)
        if not found:
            break
        wall = found[0]
        there = wall.replace(tzinfo=place, fold=0)
        moment = there.astimezone(UTC)
        exists = moment.astimezone(place).replace(tzinfo=None) == wall.replace(tzinfo=None)
        if exists and TWO_YEARS[0] < moment < TWO_YEARS[1]:
            wanted.append(moment)
    runs = next_runs(schedule, zone, TWO_YEARS[0], len(wanted) + 1)
    assert runs[: len(wanted)] == wanted
    assert all(run >= TWO_YEARS[1] for run in runs[len(wanted) :])
