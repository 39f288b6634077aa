"""When a job runs: what people write, what AWS is given, and when that will be.

People write five-field cron with cron's own numbering (Sunday is 0 or 7), a word (`@daily`) or `every 2 hours`. AWS
wants six fields, Sunday as 1, and a `?` in one of the two day fields. Between the dialects each field is a set of
numbers, so what is handed to AWS does not depend on how AWS reads a step or a range:

    0 6 * * 1-5      cron(0 6 ? * MON-FRI *)
    */20 8-18 * * *  cron(0/20 8-18 * * ? *)
    0 4 */2 * *      cron(0 4 1/2 * ? *)
    every 2 hours    rate(2 hours)

Clock changes follow EventBridge Scheduler: a wall time that does not exist in spring is skipped, one that comes twice
in autumn runs once; a rate counts elapsed time and does not care.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from calendar import monthrange
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from itertools import count, islice, takewhile
from zoneinfo import ZoneInfo

WORDS = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
"""Those of cron, in any case: https://man7.org/linux/man-pages/man5/crontab.5.html"""

HELP = 'a cron line like "0 6 * * 1-5", @hourly, @daily, @weekly, @monthly, @yearly, "every 2 hours" or "none"'

MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
DAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")

_LONGEST_RATE = timedelta(days=366)
# 29 February can be eight years away (1896 to 1904, 2096 to 2104).
_HORIZON_DAYS = 9 * 366


@dataclass(frozen=True)
class Schedule:
    """A schedule as AWS takes it (`cron(0 6 ? * MON-FRI *)`, `rate(2 hours)`) and as the person wrote it."""

    expression: str
    text: str


@dataclass(frozen=True)
class _Field:
    """One field of a cron line: `size` values from `low` on; `names` begin at `low`."""

    name: str
    low: int
    size: int
    names: tuple[str, ...] = ()
    spare: int = 0
    """Numbers past the end that begin again: cron takes 7 for Sunday, which is 0."""

    @property
    def high(self) -> int:
        return self.low + self.size - 1

    def number(self, word: str) -> int:
        """`5` or `FRI` -> 5; raises ValueError with the choice."""
        if word.upper() in self.names:
            return self.low + self.names.index(word.upper())
        allowed = f"{self.low} to {self.high + self.spare}" + (f" or a name like {self.names[1]}" if self.names else "")
        if not re.fullmatch(r"[0-9]{1,4}", word):
            raise ValueError(f"has {word!r} as {self.name}; allowed: * or {allowed}, ranges and lists of these")
        if not self.low <= int(word) <= self.high + self.spare:
            raise ValueError(f"has {self.name} {int(word)}; allowed: {allowed}")
        return int(word)

    def values(self, text: str) -> set[int]:
        """`1-5`, `*/15`, `MON,WED` -> the numbers meant. A range of names may pass the end: `FRI-MON`."""
        numbers: set[int] = set()
        for part in text.split(","):
            body, slash, step_text = part.partition("/")
            first, dash, last = body.partition("-")
            if body == "*":
                start, end = self.low, self.high
            else:
                start = self.number(first)
                end = self.number(last) if dash else start
            step = self._step(step_text) if slash else 1
            if slash and not dash and body != "*":
                raise ValueError(f"has {part!r} as {self.name}: a step needs a range; write {body}-{self.high}/{step}")
            if end < start:
                # Of numbers it is as often a slip, and what a cron makes of one differs. Sunday is both 0 and 7.
                is_sunday = self.spare and (end == self.low or start > self.high)
                if first.upper() not in self.names and not is_sunday:
                    meant = ",".join(str(a) if a == b else f"{a}-{b}" for a, b in ((start, self.high), (self.low, end)))
                    raise ValueError(
                        f"has {body} as {self.name}, a range that runs backwards; write {last}-{first}, "
                        f"or {meant} for one that passes the end"
                    )
                end += self.size
            numbers |= {self.low + (value - self.low) % self.size for value in range(start, end + 1, step)}
        return numbers

    def _step(self, text: str) -> int:
        if not re.fullmatch(r"[0-9]{1,2}", text) or not 1 <= int(text) <= self.size:
            raise ValueError(f"has the step {text!r} in its {self.name}; allowed: 1 to {self.size}")
        return int(text)

    def write(self, values: set[int]) -> str:
        """The shortest usual way to write a set: `*`, `0/15`, `1-5`, `1,3,7-9`."""
        ordered = sorted(values)
        if len(ordered) == self.size:
            return "*"
        steps = {b - a for a, b in zip(ordered, ordered[1:], strict=False)}
        # AWS takes no step in the day of the week; names are listed in both fields that have them.
        if (
            not self.names
            and len(ordered) > 2
            and len(steps) == 1
            and (step := steps.pop()) > 1
            and ordered[-1] + step > self.high
        ):
            return f"{ordered[0]}/{step}"
        return ",".join(self._word(a) if a == b else f"{self._word(a)}-{self._word(b)}" for a, b in _ranges(ordered))

    def _word(self, value: int) -> str:
        return self.names[value - self.low] if self.names else str(value)


MINUTE = _Field("minute", 0, 60)
HOUR = _Field("hour", 0, 24)
DAY = _Field("day of the month", 1, 31)
MONTH = _Field("month", 1, 12, MONTHS)
CRON_WEEKDAY = _Field("day of the week", 0, 7, DAYS, spare=1)
AWS_WEEKDAY = _Field("day of the week", 1, 7, DAYS)


def parse(text: str) -> Schedule:
    """`"0 6 * * 1-5"`, `"@daily"`, `"every 2 hours"` -> Schedule.

    Raises ValueError with the rest of a sentence that begins `schedule = "…"`.
    """
    stripped = text.strip()
    words = stripped.split()
    if len(text) > 250:
        raise ValueError("is too long for a schedule; allowed: up to 250 characters")
    if stripped.startswith("every"):
        return Schedule(_rate(stripped), text)
    if stripped.startswith("@"):
        words = _words(stripped.lower()).split()
    if re.match(r"(cron|rate|at)\(", stripped):
        raise ValueError(f"is the way AWS writes it; allowed here: {HELP}")
    if len(words) != 5:
        count = f"has {len(words)} fields" if len(words) in (4, 6, 7) else "is not a schedule"
        raise ValueError(f"{count}; allowed: {HELP}")
    return Schedule(_cron(*words), text)


def _words(word: str) -> str:
    """The cron line that a word stands for."""
    if word in WORDS:
        return WORDS[word]
    if word == "@reboot":
        raise ValueError(f"starts with a machine, and here none stays; allowed: {HELP}")
    if match := re.fullmatch(r"@every ([0-9]{1,6})([mh])", word):
        unit = {"m": "minute", "h": "hour"}[match[2]]
        raise ValueError(f'is the way Go writes it; write "every {match[1]} {unit}s"')
    raise ValueError(f"is not a schedule; allowed: {HELP}")


def _rate(text: str) -> str:
    match = re.fullmatch(r"every (?:([0-9]{1,6}) )?(minute|hour|day|week)s?", " ".join(text.split()))
    if not match:
        raise ValueError('is not a rate; allowed: "every 15 minutes", "every hour", "every 2 days", "every week"')
    number, unit = int(match[1] or 1), match[2]
    if unit == "week":
        number, unit = number * 7, "day"
    if not timedelta(0) < timedelta(**{f"{unit}s": number}) <= _LONGEST_RATE:
        raise ValueError("is out of range; allowed: from every minute to every 366 days")
    return f"rate({number} {unit}{'s' if number > 1 else ''})"


def _cron(minute: str, hour: str, day: str, month: str, weekday: str) -> str:
    for field, text in ((DAY, day), (CRON_WEEKDAY, weekday)):
        if re.search(r"[?LW#]", re.sub(r"[A-Za-z]{2,}", "", text.upper())):
            raise ValueError(
                f"has {text!r} as {field.name}: ?, L, W and # are not part of cron; allowed: *, numbers, ranges, steps"
            )
    days = DAY.values(day)
    months = MONTH.values(month)
    weekdays = {value + 1 for value in CRON_WEEKDAY.values(weekday)}
    any_day, any_weekday = day in ("*", "*/1"), weekday in ("*", "*/1")
    if not (any_day or any_weekday):
        raise ValueError(
            "sets both the day of the month and the day of the week: cron would take either, AWS takes only one; "
            "write * in one of them"
        )
    by_weekday = len(weekdays) < 7
    if min(days) > max(monthrange(2024, month)[1] for month in months):
        raise ValueError("never comes: no such day in that month")
    return "cron({} {} {} {} {} *)".format(
        MINUTE.write(MINUTE.values(minute)),
        HOUR.write(HOUR.values(hour)),
        "?" if by_weekday else DAY.write(days),
        MONTH.write(months),
        AWS_WEEKDAY.write(weekdays) if by_weekday else "?",
    )


def of_expression(expression: str) -> str | None:
    """What a person would write for an expression of AWS, so that `parse` gives what means the same; None where the
    five fields of cron cannot say it (a year, the last day of the month, a single moment).

    >>> of_expression("cron(0 6 ? * MON-FRI *)"), of_expression("rate(2 hours)")
    ('0 6 * * 1-5', 'every 2 hours')
    """
    if match := re.fullmatch(r"rate\(([0-9]{1,6}) (minute|hour|day)s?\)", expression.strip()):
        number, unit = int(match[1]), match[2]
        text = f"every {unit}" if number == 1 else f"every {number} {unit}s"
    elif match := re.fullmatch(r"cron\((\S+) (\S+) (\S+) (\S+) (\S+) \*\)", expression.strip()):
        try:
            weekdays = _weekdays({value - 1 for value in _aws_values(AWS_WEEKDAY, match[5])})
        except ValueError:
            return None
        fields = zip((MINUTE, HOUR, DAY, MONTH), match.groups(), strict=False)
        text = " ".join([*(_with_range(field, text) for field, text in fields), weekdays])
    else:
        return None
    try:
        parse(text)
    except ValueError:
        return None
    return text


def in_words(text: str) -> str:
    """A schedule as people say it, where it is one of a time of day: `06:00`, `06:00 MON-FRI`; else as it is written.

    >>> in_words("0 6 * * 1-5"), in_words("@yearly"), in_words("*/5 * * * *")
    ('06:00 Mon-Fri', '00:00 on 1 Jan', '*/5 * * * *')
    """
    expression = parse(text).expression
    body = re.fullmatch(r"cron\((\d+) ([\d,]+) (\?|\*|\d+|1-31) (\*|1-12|[A-Z,-]+) (\S+) \*\)", expression)
    if not body:
        return text
    minute, hours, day, month, weekday = body.groups()
    times = " and ".join(f"{int(hour):02}:{int(minute):02}" for hour in hours.split(","))
    months = month.title().replace(",", ", ") if month.isupper() else ""
    if day.isdigit():
        return f"{times} on {day} {months}" if months else f"{times} on day {day} of the month"
    days = times if weekday in ("?", "*") else f"{times} {weekday.title()}"
    return f"{days} in {months}" if months else days


def _with_range(field: _Field, text: str) -> str:
    """AWS's `5/15` and `?` as cron has them: `5-59/15`, `*`."""

    def part(one: str) -> str:
        start, slash, step = one.partition("/")
        if not slash or "-" in start or start == "*":
            return one
        return f"*/{step}" if start == str(field.low) else f"{start}-{field.high}/{step}"

    return "*" if text == "?" else ",".join(map(part, text.split(",")))


def _weekdays(days: set[int]) -> str:
    if len(days) == len(DAYS):
        return "*"
    return ",".join(str(a) if a == b else f"{a}-{b}" for a, b in _ranges(sorted(days)))


def _ranges(ordered: list[int]) -> Iterator[tuple[int, int]]:
    """Runs of neighbours; two neighbours stay two single values, because `1,2` reads easier than `1-2`."""
    start = previous = ordered[0]
    for value in [*ordered[1:], ordered[-1] + 2]:
        if value != previous + 1:
            if previous == start + 1:
                yield start, start
                yield previous, previous
            else:
                yield start, previous
            start = value
        previous = value


def end_of(day: date, timezone: str) -> datetime:
    """The last second of a day in a time zone, in UTC."""
    last = time(23, 59, 59)
    try:
        return datetime.combine(day, last, ZoneInfo(timezone)).astimezone(UTC)
    except OverflowError:  # at either end of the calendar
        return datetime.combine(day, last, UTC)


def next_runs(schedule: Schedule, timezone: str, after: datetime, count: int) -> list[datetime]:
    """The next `count` starts after `after` (aware), in UTC.

    AWS counts a rate from the moment the schedule was made, which is not known here: a rate is counted from `after`.
    """
    return list(islice(runs(schedule, timezone, after), count))


def runs(schedule: Schedule, timezone: str, after: datetime) -> Iterator[datetime]:
    """All starts after `after`, as `next_runs` has them, one by one."""
    step = rate_of(schedule.expression)
    if step is not None:
        first = after.astimezone(UTC)
        return (first + step * (i + 1) for i in count())
    return _cron_runs(schedule.expression.removesuffix(")").partition("(")[2], ZoneInfo(timezone), after)


def last_runs(schedule: Schedule, timezone: str, after: datetime, until: datetime, count: int) -> list[datetime]:
    """The last `count` starts of a cron after `after`, up to and with `until`.

    Looked for from the end, so that a year costs no more than a day.
    """
    window = timedelta(days=1)
    while True:
        start = max(after, until - window)
        past = list(takewhile(lambda time: time <= until, runs(schedule, timezone, start)))
        if start == after or len(past) >= count:
            return past[-count:]
        window *= 8


def rate_of(expression: str) -> timedelta | None:
    """The step of `rate(2 hours)`; None for a cron.

    >>> rate_of("rate(2 hours)")
    datetime.timedelta(seconds=7200)
    """
    kind, _, body = expression.removesuffix(")").partition("(")
    if kind != "rate":
        return None
    number, unit = body.split()
    return timedelta(**{f"{unit.removesuffix('s')}s": int(number)})


@dataclass(frozen=True)
class _Cron:
    """What AWS's fields mean. `times`: of a day, in order."""

    times: tuple[time, ...]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]


@lru_cache(maxsize=1024)
def _cron_of(body: str) -> _Cron:
    minute, hour, day, month, weekday, _year = body.split()
    minutes, hours = sorted(_aws_values(MINUTE, minute)), sorted(_aws_values(HOUR, hour))
    return _Cron(
        tuple(time(h, m) for h in hours for m in minutes),
        frozenset(_aws_values(DAY, day)),
        frozenset(_aws_values(MONTH, month)),
        frozenset(_aws_values(AWS_WEEKDAY, weekday)),
    )


def _cron_runs(body: str, zone: ZoneInfo, after: datetime) -> Iterator[datetime]:
    cron = _cron_of(body)
    local = after.astimezone(zone)
    first = local.date()
    # Of two wall times of a day the later one never comes earlier: those before `after`'s own need no look.
    today_from = bisect_left(cron.times, local.time())
    for offset in range(_HORIZON_DAYS):
        today = first + timedelta(days=offset)
        if today.month in cron.months and today.day in cron.days and today.isoweekday() % 7 + 1 in cron.weekdays:
            times = cron.times if offset else cron.times[today_from:]
            yield from (run for run in _times_of_day(today, times, zone) if run > after)


def _times_of_day(day: date, times: Sequence[time], zone: ZoneInfo) -> Iterator[datetime]:
    for wall_time in times:
        local = datetime.combine(day, wall_time, zone)
        run = local.astimezone(UTC)
        # A wall time in the gap of spring comes back from UTC as another one.
        if run.astimezone(zone).replace(tzinfo=None) == local.replace(tzinfo=None):
            yield run


def _aws_values(field: _Field, text: str) -> set[int]:
    """Reads what `write` wrote: there `5/15` means from 5 to the end, and `?` any day."""
    start, slash, step = text.partition("/")
    if slash:
        return set(range(field.number(start), field.high + 1, int(step)))
    return field.values("*" if text == "?" else text)
