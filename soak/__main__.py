"""`make soak`: kills, commands that meet and cycles, many of each, and a report of what was really run.

    python -m soak                                   30 kills of each kind, 20 rounds, 20 cycles: hours
    python -m soak --kills 1 --rounds 1 --cycles 4   a look at all of it: about twenty minutes

A failure ends it with the seed and the case; what was carried out until then is in the report all the same.
"""

from __future__ import annotations

import argparse
import platform
import random
import statistics
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from soak import cycles, kills, meetings
from soak.world import World

REPORT = Path(__file__).parents[1] / "docs" / "soak-report.md"
LONGEST_DELAY_SECONDS = 3.0
MOST_GROWTH = 0.05
"""Of memory, disk, time and open files over the cycles, as a share."""


def main(arguments: list[str] | None = None) -> int:
    """0 when all of it held, 1 when something did not."""
    options = _options(arguments)
    lines: list[str] = []
    failure = ""

    def tell(line: str) -> None:
        print(line, flush=True)
        lines.append(line)

    grown = False
    try:
        _kills(options, tell)
        _meetings(options, tell)
        grown = _cycles(options, tell)
    except AssertionError as error:
        failure = str(error)
        print(failure, file=sys.stderr)
    _write(options, lines, failure)
    return 1 if failure or grown else 0


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m soak", description="Hurt an environment on purpose, by seed.")
    for name, count, what in (
        ("kills", 30, "cases of each pair of operation and victim"),
        ("rounds", 20, "rounds of each way in which commands meet"),
        ("cycles", 20, "cycles of up and down; four at least, or none"),
        ("seed", 1, "what the cases are drawn from"),
    ):
        parser.add_argument(f"--{name}", type=int, default=count, help=what)
    return parser.parse_args(arguments)


def _kills(options: argparse.Namespace, tell: Callable[[str], None]) -> None:
    cases = kills.draw(options.seed, kills.OF_ENVIRONMENT, kills.OF_UPDATES, options.kills)
    cases += kills.draw(options.seed, ("run",), kills.OF_RUNS, options.kills)
    if not cases:
        return
    seen: Counter[str] = Counter()
    met: Counter[str] = Counter()
    recovery: list[float] = []
    try:
        with _folder() as folder, World(folder / "world") as world:
            for outcome in kills.carried_out(world, options.seed, cases, lambda _: None):
                seen[outcome.case.victim] += 1
                met[outcome.case.victim] += outcome.met
                recovery.append(outcome.recovery_seconds)
    finally:
        for victim, count in sorted(seen.items()):
            tell(f"| kill -9 of the {victim} | {count} cases, {met[victim]} met it alive | all converged |")
        if recovery:
            took = f"median {statistics.median(recovery):.1f} s, longest {max(recovery):.1f} s"
            tell(f"| the command that put things right | {len(recovery)} times | {took} |")


def _meetings(options: argparse.Namespace, tell: Callable[[str], None]) -> None:
    chance = random.Random(options.seed)
    together = 0
    for number in range(options.rounds):
        with _folder() as folder, World(folder / "one") as one:
            one.start("up").assert_done()
            together += meetings.two_ups(one, chance.uniform(0, LONGEST_DELAY_SECONDS))
            together += meetings.up_beside_down(one, chance.uniform(0, LONGEST_DELAY_SECONDS), number % 2 == 0)
        with _folder() as folder, World(folder / "one") as one, World(folder / "other") as other:
            meetings.two_environments(one, chance.uniform(0, LONGEST_DELAY_SECONDS))
            meetings.two_checkouts(one, other, chance.uniform(0, LONGEST_DELAY_SECONDS))
    if options.rounds:
        tell(f"| two `up`, and `up` beside `down` | {2 * options.rounds} rounds, {together} met | state valid |")
        tell(f"| two environments, and two checkouts | {2 * options.rounds} rounds | neighbours untouched |")


def _cycles(options: argparse.Namespace, tell: Callable[[str], None]) -> bool:
    """Did anything grow by more than it may?"""
    if not options.cycles:
        return False
    too_much = False
    with _folder() as folder, World(folder / "world") as world:
        world.start("up", "-e", cycles.OTHER).assert_done()
        done = [cycles.cycle(world) for _ in range(options.cycles)]
        world.start("down", "-e", cycles.OTHER).assert_done()
    for what, values in (
        ("memory", [cycle.memory_mb for cycle in done]),
        ("disk", [cycle.disk_mb for cycle in done]),
        ("time", [cycle.seconds for cycle in done]),
        ("open files", [float(cycle.files_open) for cycle in done]),
    ):
        grown = cycles.growth(values)
        too_much |= grown > MOST_GROWTH
        verdict = "within 5 %" if grown <= MOST_GROWTH else "MORE THAN 5 %"
        tell(f"| {what} over {len(done)} cycles | from {values[0]:.1f} to {values[-1]:.1f} | {grown:+.1%}: {verdict} |")
    return too_much


@contextmanager
def _folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="soak-") as folder:
        yield Path(folder)


def _write(options: argparse.Namespace, lines: list[str], failure: str) -> None:
    asked = f"--kills {options.kills} --rounds {options.rounds} --cycles {options.cycles} --seed {options.seed}"
    text = [
        "# Soak report",
        "",
        f"Written by `python -m soak {asked}` on {datetime.now(UTC):%Y-%m-%d}, {platform.system()}, Python "
        f"{platform.python_version()}. It says what this run carried out, nothing else.",
        "",
        "| what | how often | result |",
        "| --- | --- | --- |",
        *lines,
        "",
        *(["It ended with a failure:", "", "```", failure, "```", ""] if failure else []),
    ]
    REPORT.write_text("\n".join(text))


if __name__ == "__main__":
    sys.exit(main())
