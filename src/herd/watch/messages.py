"""What a message says: the kinds of it, and its text.

The first line says what happened to what; then since when and how often, what readers see meanwhile, the last lines of
the log, who depends on it, and the command that shows more.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from herd.runner.contract.plan import Plan, Wanted
from herd.runner.contract.statuses import CHECK_FAILED_RUN

LONGEST_SUBJECT: Final = 99
"""Of SNS: less than 100 characters, no line breaks or control characters (Publish, SNS API reference)."""
LONGEST_BODY: Final = 200_000
"""Bytes. SNS takes 262,144 with the attributes, where the recipients stand."""
LONGEST_LOG_LINE: Final = 400


@dataclass(frozen=True)
class Kind:
    """`wanted`: who of `notifications` gets it. `goes_on`: how it is called when it is told again.

    `advice`: what can be done. `lasts`: it is a state, which is told again each day though nothing new happens.
    """

    wanted: Wanted
    goes_on: str
    advice: str = ""
    lasts: bool = False


KINDS: Final[Mapping[str, Kind]] = {
    CHECK_FAILED_RUN: Kind("failures", "fails", "What it wrote is kept apart; nothing was published."),
    "out-of-memory": Kind("failures", "fails", "Give it more memory_gb, or less to hold at once."),
    "killed": Kind("failures", "fails"),
    "never-started": Kind("failures", "fails", "Its program was not reached: this is not in its code."),
    "image": Kind("failures", "fails", "`herd up` builds and pushes the image again."),
    "permission": Kind("failures", "fails", "Its role does not allow it; `herd up` writes the roles as declared."),
    "time-limit": Kind("failures", "fails", "Raise timeout_minutes, or make it do less."),
    "failed": Kind("failures", "fails"),
    "input-missing": Kind("failures", "fails", "What it reads has not been published yet."),
    "unavailable": Kind("failures", "fails", "S3 could not be reached, or refused."),
    "cannot-publish": Kind("failures", "fails", "What it wrote could not be published."),
    "bad-settings": Kind("failures", "fails", "`herd check` says what is wrong with its settings."),
    "not-started": Kind("late", "is late"),
    "not-done": Kind("late", "is late", lasts=True),
    "skipped": Kind("late", "is late"),
    "schedule-off": Kind("late", "is switched off"),
    "schedule-gone": Kind("late", "has no schedule"),
    "deployment-failed": Kind("failures", "is not deployed"),
    "rolling-back": Kind("failures", "is not deployed"),
    "copies": Kind("failures", "lacks healthy copies", lasts=True),
    "errors": Kind("failures", "answers with errors", lasts=True),
    "warning": Kind("warnings", "warns"),
    "review": Kind("warnings", ""),
    "subscription-gone": Kind("failures", "gets no mail", lasts=True),
    "watch": Kind("failures", ""),
    "digest": Kind("all", ""),
    "drill": Kind("all", ""),
}


@dataclass(frozen=True)
class Message:
    """One message: `to` are addresses, each once. `workload`: whom it is about; empty for the environment itself."""

    to: tuple[str, ...]
    subject: str
    body: str
    kind: str
    workload: str = ""


@dataclass(frozen=True)
class Account:
    """What there is to say of one thing. `sentences`: each on a line. `log`: last lines, the oldest first."""

    name: str
    what: str
    sentences: tuple[str, ...] = ()
    log: tuple[str, ...] = ()
    readers: tuple[str, ...] = ()
    owner: str = ""
    commands: tuple[str, ...] = ()


def first_line(plan: Plan, account: Account) -> str:
    return f"[{plan.project} {plan.environment}] {account.name}: {account.what}"


def body(plan: Plan, account: Account) -> str:
    parts = [first_line(plan, account), "\n".join(filter(None, account.sentences))]
    if account.log:
        lines = (clean(line)[:LONGEST_LOG_LINE] for line in account.log)
        parts.append("\n".join(("The last lines of its log:", *(f"    {line}" for line in lines))))
    about = []
    if account.readers:
        about.append(f"Read by: {', '.join(account.readers)}.")
    if account.owner:
        about.append(f"Owner: {account.owner}.")
    if about:
        parts.append("\n".join(about))
    if account.commands:
        parts.append("\n".join(("More:", *(f"    {command}" for command in account.commands))))
    return shortened("\n\n".join(filter(None, parts)) + "\n")


def digest(plan: Plan, lines: Iterable[str], left_out: int, more: str) -> tuple[str, str]:
    """Subject and body of many messages as one."""
    items = list(lines)
    count = len(items) + left_out
    head = f"[{plan.project} {plan.environment}] {counted(count, 'message')} within ten minutes"
    rest = f"\n… and {left_out} more." if left_out else ""
    if count == 1 and items and subject(items[0]):
        head = items[0]
    text = f"{head}\n\n" + "\n".join(f"- {line}" for line in items) + rest + f"\n\nMore:\n    {more}\n"
    return subject(head), shortened(text)


def subject(line: str) -> str:
    """A first line as SNS and mail programs take it: printable ASCII, short."""
    ascii_only = unicodedata.normalize("NFKD", line.replace("…", "...").replace("—", "-"))
    kept = "".join(c if " " <= c <= "~" else " " if c.isspace() else "?" for c in ascii_only if not _is_mark(c))
    text = " ".join(kept.split())
    return text if len(text) <= LONGEST_SUBJECT else text[: LONGEST_SUBJECT - 3].rstrip() + "..."


def _is_mark(character: str) -> bool:
    """An accent that normalizing has taken off its letter."""
    return unicodedata.combining(character) != 0


def clean(line: str) -> str:
    """A line without what a terminal or a mail program would act on."""
    return "".join(c if c.isprintable() or c == "\t" else " " for c in line).rstrip()


def shortened(text: str) -> str:
    encoded = text.encode(errors="replace")
    if len(encoded) <= LONGEST_BODY:
        return encoded.decode()
    return encoded[: LONGEST_BODY - 20].decode(errors="ignore") + "\n… cut here.\n"


def moment(at: datetime, timezone: str) -> str:
    """`Tue 2 Feb 2027 06:12 Europe/Amsterdam`."""
    try:
        zone: ZoneInfo | None = ZoneInfo(timezone)
    except (ZoneInfoNotFoundError, ValueError):
        zone, timezone = None, "UTC"
    local = at.astimezone(zone or ZoneInfo("UTC"))
    day = f"{_DAYS[local.weekday()]} {local.day} {_MONTHS[local.month - 1]} {local.year}"
    return f"{day} {local:%H:%M} {timezone}"


_DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def age(span: timedelta) -> str:
    """`5 days`, `3 hours`, `1 minute`."""
    minutes = max(0, int(span.total_seconds() // 60))
    for size, unit in ((1440, "day"), (60, "hour"), (1, "minute")):
        if minutes >= 2 * size or size == 1:
            return counted(minutes // size, unit)
    return ""


def counted(number: int, unit: str) -> str:
    several = f"{unit[:-1]}ies" if unit.endswith("y") and unit != "day" else f"{unit}s"
    return f"{number} {unit if number == 1 else several}"


SWINGS: Final = (
    "This is the third time within a day that it got into trouble. From now on there is one message a day, until it "
    "has been well, or in trouble, for a whole day."
)
STILL_SWINGS: Final = "There is one message a day of it, until it has been well, or in trouble, for a whole day."
