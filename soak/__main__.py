"""`make soak`: kills, commands that meet, cycles and lives, many of each, and a report of what was really run.

    python -m soak                                   30 kills of each kind, 20 rounds, 20 cycles, 10,000 lives: hours
    python -m soak --kills 1 --rounds 1 --cycles 4 --lives 300    a look at all of it: about twenty minutes
    python -m soak --parts kills --minutes 30        no new case begins after half an hour
    python -m soak --go-on …                         goes on with the record, and skips what it has
    python -m soak --go-on --minutes 0.0001          writes the report anew from the record
    python -m soak --go-on --parts kills --share 2/3 every third case from the second on: three processes, one record
    python -m soak --parts lives                     touches the report's part about lives alone

A failure is in the report with the seed and the case; after three of them a part ends.
"""

from __future__ import annotations

import argparse
import random
import re
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from soak import cycles, kills, lives, meetings, sections
from soak.record import ROOT, Record, grown_too_much, report
from soak.world import World

REPORT = ROOT / "docs" / "soak-report.md"
RECORD = ROOT / ".herd" / "soak.jsonl"
LONGEST_DELAY_SECONDS = 3.0
CASES_IN_A_WORLD = 40
"""So many kills happen to one environment before another one takes its place."""

MOST_FAILURES = 3


class Soak:
    """One run, with the record that it adds to."""

    def __init__(self, options: argparse.Namespace):
        self.options = options
        self.record = Record.opened(options.record, options.go_on)
        self.failures = 0
        self._until = time.monotonic() + options.minutes * 60 if options.minutes else None

    @property
    def over(self) -> bool:
        """Is it too late to begin anything more?"""
        return self._until is not None and time.monotonic() > self._until

    def all_kills(self) -> None:
        """Every case that the record lacks, each in the order in which it was drawn."""
        seed, each = self.options.seed, self.options.kills
        cases = kills.draw(seed, kills.OF_ENVIRONMENT, kills.OF_UPDATES, each)
        cases += kills.draw(seed, ("run",), kills.OF_RUNS, each)
        random.Random(seed).shuffle(cases)  # so that a part of them is a part of each kind
        numbered = [(f"{number}/{each}: {case}", case) for number, case in enumerate(cases)]
        mine, processes = self.options.share
        left = [(key, case) for key, case in numbered[mine - 1 :: processes] if not self.record.has("kill", key)]
        while left and not self.over:
            now, left = left[:CASES_IN_A_WORLD], left[CASES_IN_A_WORLD:]
            done = self._kills(now)
            left = [*now[done:], *left]

    def _kills(self, cases: list[tuple[str, kills.Case]]) -> int:
        """How many of these cases were carried out in one world: one in which something did not hold is left."""
        done = 0
        with (
            _folder() as folder,
            World(folder / "world") as world,
            kills.Driver(world, random.Random(self.options.seed)) as driver,
        ):
            for key, case in cases:
                if self.over:
                    break
                done += 1
                told = {"key": key, "operation": case.operation, "victim": case.victim}
                try:
                    outcome = driver.carry_out(case)
                except Exception as error:
                    self.record.add("kill", **told, met=1, held=False)
                    self._fail(key, error)
                    break
                self.record.add("kill", **told, met=int(outcome.met), held=True, seconds=outcome.recovery_seconds)
        return done

    def all_meetings(self) -> None:
        """Every round that the record lacks."""
        chance = random.Random(self.options.seed)
        for number in range(self.options.rounds):
            delays = [chance.uniform(0, LONGEST_DELAY_SECONDS) for _ in range(4)]
            done = [self.record.has("round", f"{what} {number}") for what in ("alone", "two")]
            if not done[0] and not self.over:
                with _folder() as folder, World(folder / "one") as one:
                    one.start("up").assert_done()
                    self._met("two `up` at once", number, lambda: meetings.two_ups(one, delays[0]))  # noqa: B023
                    up_first = number % 2 == 0
                    self._met("`up` beside `down`", number, lambda: meetings.up_beside_down(one, delays[1], up_first))  # noqa: B023
                self.record.add("round", key=f"alone {number}")
            if not done[1] and not self.over:
                with _folder() as folder, World(folder / "one") as one, World(folder / "other") as other:
                    self._met("two environments", number, lambda: meetings.two_environments(one, delays[2]))  # noqa: B023
                    self._met("two checkouts", number, lambda: meetings.two_checkouts(one, other, delays[3]))  # noqa: B023
                self.record.add("round", key=f"two {number}")

    def _met(self, what: str, number: int, scenario: Callable[[], bool | None]) -> None:
        key = f"{what} {number}"
        try:
            met = scenario()
        except Exception as error:
            self.record.add("meeting", key=key, what=what, met=None, held=False)
            self._fail(key, error)
            return
        self.record.add("meeting", key=key, what=what, met=None if met is None else int(met), held=True)

    def all_cycles(self) -> None:
        """All cycles in one go: they are only worth something one after another in one local cloud."""
        if not self.options.cycles or len(self.record.of("cycle")) >= self.options.cycles:
            return
        with _folder() as folder, World(folder / "world") as world:
            world.start("up", "-e", cycles.OTHER).assert_done()
            for number in range(self.options.cycles):
                if self.over:
                    break
                done = cycles.cycle(world)
                self.record.add("cycle", key=f"cycle {number}", seconds=done.seconds, **asdict(done))
            world.start("down", "-e", cycles.OTHER).assert_done()

    def all_lives(self) -> None:
        """Every batch that the record lacks."""
        mine, processes = self.options.share
        for numbers in lives.batches(self.options.lives)[mine - 1 :: processes]:
            key = f"lives {numbers[0]}-{numbers[-1]}"
            if self.over or self.record.has("lives", key):
                continue
            began = time.monotonic()
            done = lives.carry_out(numbers)
            self.record.add("lives", key=key, seconds=time.monotonic() - began, **vars(done))
            self.failures += len(done.broken)
            if self.failures >= MOST_FAILURES:
                raise AssertionError(*done.broken.values())

    def _fail(self, key: str, error: Exception) -> None:
        """Write a failure down; after a few there is no sense in going on."""
        self.failures += 1
        said = re.sub(
            r"/\S*/soak-\w+/\w+/", "…/", f"{type(error).__name__}: {error}"
        )  # where it was is nobody's concern
        self.record.add("failure", key=f"{key}, seed {self.options.seed}", said=said)
        print(key, error, file=sys.stderr, flush=True)
        if self.failures >= MOST_FAILURES:
            raise error

    def write(self) -> None:
        """Bring the report up to the record, to which another process may have added."""
        options = self.options
        everything = Record.opened(options.record, go_on=True)
        wanted = {"kills": options.kills, "rounds": options.rounds, "cycles": options.cycles}
        if any(everything.of(part) for part in ("kill", "meeting", "cycle", "failure")):
            text = report(everything, options.seed, wanted, options.note)
            options.report.write_text(sections.kept(options.report, text))
        if batches := everything.of("lives"):
            sections.write(options.report, "lives", lives.report(batches, options.lives))


def main(arguments: list[str] | None = None) -> int:
    """0 when all of it held, 1 when something did not."""
    options = _options(arguments)
    soak = Soak(options)
    for part in options.parts:
        try:
            parts = {"kills": soak.all_kills, "meetings": soak.all_meetings, "cycles": soak.all_cycles}
            {**parts, "lives": soak.all_lives}[part]()
        except Exception as error:
            soak.failures += 1
            print(error, file=sys.stderr, flush=True)
        soak.write()
    print(options.report.read_text() if options.report.exists() else "Nothing was carried out.")
    return 1 if soak.failures or grown_too_much(soak.record.of("cycle")) else 0


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m soak", description="Hurt an environment on purpose, by seed.")
    for name, count, what in (
        ("kills", 30, "cases of each pair of operation and victim"),
        ("rounds", 20, "rounds of each way in which commands meet"),
        ("cycles", 20, "cycles of up and down; four at least, or none"),
        ("lives", 10_000, "lives of a stack, by number"),
        ("seed", 1, "what the cases are drawn from"),
    ):
        parser.add_argument(f"--{name}", type=int, default=count, help=what)
    parser.add_argument("--share", type=_share, default=(1, 1), help="of kills and lives, as 1/2: the first of two")
    everything = ["kills", "meetings", "cycles", "lives"]
    parser.add_argument("--parts", nargs="+", choices=everything, default=everything, help="only these")
    parser.add_argument("--minutes", type=float, help="begin nothing more after so long")
    parser.add_argument("--go-on", action="store_true", help="add to the record, and skip what it has")
    parser.add_argument("--record", type=Path, default=RECORD, help="what was carried out; default: .herd/soak.jsonl")
    parser.add_argument("--note", default="", help="a paragraph for the report: what else was at work, what is mended")
    parser.add_argument("--report", type=Path, default=REPORT, help="default: docs/soak-report.md")
    return parser.parse_args(arguments)


def _share(text: str) -> tuple[int, int]:
    mine, _, processes = text.partition("/")
    if not 1 <= int(mine) <= int(processes):
        raise ValueError(text)
    return int(mine), int(processes)


@contextmanager
def _folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="soak-") as folder:
        yield Path(folder)


if __name__ == "__main__":
    sys.exit(main())
