"""Two years of the watch, in three zones with summer time and crons of every cadence: nothing missed, nothing false.

One run in a hundred never starts, one fails, one passes its deadline, and one event in thirty is lost. Each of them is
told, once, within its deadline and five minutes; so is each recovery; and nothing else is.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import takewhile
from random import Random

import pytest

from herd.runner.contract.due import scheduled
from herd.runner.contract.plan import Due, PlannedWorkload
from herd.runner.contract.schedule import Schedule, parse, runs
from herd.watch.events import Event, Tick
from herd.watch.known import RunKey, ScheduleSeen
from tests.herd.watch.plans import job, plan
from tests.herd.watch.world import World, at

FIVE_MINUTES = timedelta(minutes=5)
SPACE = timedelta(hours=13)
"""Between two bad runs of a workload, so that it does not count as going back and forth."""
BEGIN, END = at("2026-11-01 00:00"), at("2028-11-01 00:00")

CADENCES = {
    "twenty": ("*/20 9-11 * * 1-5", 15),
    "hours": ("17 */4 * * *", 50),
    "night": ("30 2 * * *", 75),
    "daily": ("0 6 * * *", 360),
    "weekdays": ("30 1 * * 1-5", 90),
    "weekly": ("0 3 * * 0", 2000),
    "monthly": ("0 0 1 * *", 60),
    "last-days": ("45 23 28-31 * *", 30),
    "quarterly": ("15 2 1 */3 *", 60),
    "yearly": ("0 12 29 3 *", 600),
    "rate": ("every 7 hours", 60),
    "slow-rate": ("every 3 days", 60),
}
OFTEN = {"twenty": "Europe/Amsterdam", "hours": "America/New_York", "rate": "Australia/Lord_Howe"}
"""What comes often is played in one zone only."""
ZONES = ("Europe/Amsterdam", "America/New_York", "Australia/Lord_Howe")


@dataclass
class Bad:
    """A run that went wrong: it is to be told at the earliest and latest at these times, and until when it goes on."""

    workload: str
    kind: str
    due: datetime
    earliest: datetime
    latest: datetime
    well: datetime | None = None
    told: list[datetime] = field(default_factory=list)
    recovered: list[datetime] = field(default_factory=list)


def of_zone(zone: str) -> list[PlannedWorkload]:
    return [workload(zone, name) for name in CADENCES if OFTEN.get(name, zone) == zone]


def workload(zone: str, name: str) -> PlannedWorkload:
    text, deadline = CADENCES[name]
    return job(name, Due(f"herd-prod-{name}", parse(text).expression, text, zone, deadline))


def due_times(one: PlannedWorkload, created: datetime) -> Iterator[datetime]:
    """As AWS has them: a rate from the moment its schedule was made."""
    assert one.due is not None
    times = runs(Schedule(one.due.expression, ""), one.due.timezone, created)
    return (time for time in takewhile(lambda time: time < END, times) if time > BEGIN)


@dataclass
class Years:
    """What happens, as a heap of (time, order, what to do)."""

    world: World
    random: Random
    is_every_tick: bool
    bad: list[Bad] = field(default_factory=list)
    agenda: list[tuple[datetime, int, str, PlannedWorkload, datetime, str]] = field(default_factory=list)
    pushed: int = 0
    open_: dict[str, Bad] = field(default_factory=dict)
    keys: dict[tuple[str, datetime], RunKey] = field(default_factory=dict)

    def push(self, time: datetime, what: str, one: PlannedWorkload, due: datetime, how: str) -> None:
        self.pushed += 1
        heapq.heappush(self.agenda, (time, self.pushed, what, one, due, how))

    def play(self, until: datetime) -> None:
        for number, one in enumerate(self.world.plan.workloads):
            created = BEGIN - timedelta(hours=7, minutes=13 * number + 1, seconds=11)
            self.world.schedules[f"herd-prod-{one.name}"] = ScheduleSeen(True, created, created)
            self._arrange(one, created, until)
        self.world.call()
        tick = BEGIN
        while self.agenda:
            time, _, what, one, due, how = heapq.heappop(self.agenda)
            while self.is_every_tick and tick + FIVE_MINUTES < time:
                tick += FIVE_MINUTES
                self.world.call(Tick(), tick)
            self.world.now = time
            getattr(self, what)(one, due, how)

    def _arrange(self, one: PlannedWorkload, created: datetime, until: datetime) -> None:
        assert one.due is not None
        deadline = timedelta(minutes=one.due.deadline_minutes)
        last = BEGIN
        for due in takewhile(lambda time: time < until, due_times(one, created)):
            how = self.random.choices(["fine", "dropped", "failed", "late"], [97, 1, 1, 1])[0]
            how = how if due - last > SPACE else "fine"
            last = due if how != "fine" else last
            took = deadline * (1.2 if how == "late" else self.random.uniform(0.05, 0.6))
            if how != "dropped":
                self.push(due + timedelta(seconds=self.random.randint(0, 20)), "begin", one, due, how)
                self.push(due + took, "end", one, due, how)
            self.push(_next_tick(due + deadline), "tick", one, due, how)

    def begin(self, one: PlannedWorkload, due: datetime, how: str) -> None:
        self.keys[one.name, due] = self.world.begins(one.name, f"{due:%Y%m%dT%H%M%S}", due)

    def end(self, one: PlannedWorkload, due: datetime, how: str) -> None:
        assert one.due is not None
        key = self.keys.pop((one.name, due))
        now, limit = self.world.now, due + timedelta(minutes=one.due.deadline_minutes) + FIVE_MINUTES
        is_lost = self.random.random() < 1 / 30
        event: Event
        if how == "failed":
            event = self.world.ends(key, "FAILED", "Herd.Failed", {"exit_code": 1, "reason": "exit code 1"})
            self._goes_wrong(Bad(one.name, "failed", due, now, limit if is_lost else now))
        else:
            event = self.world.succeeds(one.name, key)
            if (bad := self.open_.pop(one.name, None)) is not None:
                # The end of a late run is looked for every hour, that of another at its deadline.
                bad.well = max(limit, now + timedelta(minutes=65)) if is_lost else now
                for number in range(14 if is_lost else 0):
                    self.push(_next_tick(now + number * FIVE_MINUTES), "tick", one, due, "looks")
        if not is_lost:
            self.world.call(event)

    def tick(self, one: PlannedWorkload, due: datetime, how: str) -> None:
        assert one.due is not None
        limit = due + timedelta(minutes=one.due.deadline_minutes)
        if how in ("dropped", "late"):
            self._goes_wrong(Bad(one.name, "late", due, limit, limit + FIVE_MINUTES))
        self.world.call()
        self._tidy(one.name, due - timedelta(days=2))

    def _tidy(self, name: str, before: datetime) -> None:
        """Markers that nobody asks for any more only make this test slow."""
        markers = self.world.markers.get(name, {})
        for text in [text for text in markers if text < scheduled(before)]:
            self.world.executions.pop(RunKey(self.world.machine(name), markers.pop(text).run_id), None)

    def _goes_wrong(self, bad: Bad) -> None:
        self.bad.append(bad)
        self.open_[bad.workload] = bad


def _next_tick(time: datetime) -> datetime:
    return BEGIN + FIVE_MINUTES * -((BEGIN - time) // FIVE_MINUTES)


def judge(years: Years) -> None:
    """Each message belongs to a bad run, and each bad run has its messages."""
    for when, message in years.world.sent:
        owner = [bad for bad in years.bad if bad.workload == message.workload and bad.earliest <= when]
        assert owner, f"false alarm: {when} {message.subject}"
        bad = max(owner, key=lambda bad: bad.earliest)
        if "has recovered" in message.subject:
            assert not bad.recovered, f"recovers twice: {when} {message.subject}"
            bad.recovered.append(when)
        else:
            assert not bad.recovered, f"false alarm: {when} {message.subject}"
            bad.told.append(when)
    for bad in years.bad:
        assert bad.told, f"missed: {bad}"
        assert bad.earliest <= bad.told[0] <= bad.latest, f"told at the wrong time: {bad}"
        # Told again only after a week, as long as it goes on.
        assert all(b - a >= timedelta(days=7) for a, b in zip(bad.told, bad.told[1:], strict=False)), bad
        if bad.well is not None:
            assert bad.recovered and bad.recovered[0] <= bad.well + FIVE_MINUTES, f"recovery missed: {bad}"


@pytest.mark.parametrize("zone", ZONES)
def test_two_years(zone: str) -> None:
    years = Years(World(plan(*of_zone(zone)), BEGIN, kept_every=25), Random(zone), False)
    years.play(END)
    judge(years)
    assert {bad.workload for bad in years.bad} >= {
        "night",
        "daily",
        "weekdays",
        *(n for n in OFTEN if OFTEN[n] == zone),
    }


def test_every_five_minutes_of_the_weeks_in_which_clocks_change() -> None:
    """Above only those calls are made in which something may be due; here all of them."""
    years = Years(
        World(plan(*(workload("Europe/Amsterdam", name) for name in CADENCES)), BEGIN, kept_every=25),
        Random("all"),
        True,
    )
    years.play(BEGIN + timedelta(days=14))
    judge(years)
