"""What a soak has carried out so far, a line each, kept so that it can be gone on with; and the report made from it."""

from __future__ import annotations

import itertools
import json
import platform
import statistics
import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from soak import cycles, kills

ROOT = Path(__file__).parents[1]
MOST_GROWTH = 0.05
"""Of memory, disk, time and open files over the cycles, as a share."""

Entry = dict[str, Any]


@dataclass
class Record:
    """A file of JSON lines. Each has `part` (kill, meeting, cycle, lives, failure), `when` and `code` (the commit)."""

    path: Path
    entries: list[Entry] = field(default_factory=list)

    @classmethod
    def opened(cls, path: Path, go_on: bool) -> Record:
        """The record at a path, empty unless it is gone on with."""
        path.parent.mkdir(parents=True, exist_ok=True)
        if not go_on or not path.exists():
            path.write_text("")
        return cls(path, [json.loads(line) for line in path.read_text().splitlines()])

    def add(self, part: str, **told: Any) -> None:
        """Write down one thing that was carried out."""
        entry = {"part": part, "when": f"{datetime.now(UTC):%Y-%m-%d %H:%M}", "code": commit(), **told}
        self.entries.append(entry)
        with self.path.open("a") as file:
            file.write(json.dumps(entry) + "\n")

    def of(self, part: str) -> list[Entry]:
        """The entries of a part, in order."""
        return [entry for entry in self.entries if entry["part"] == part]

    def has(self, part: str, key: str) -> bool:
        """Was this one carried out already?"""
        return any(entry["key"] == key for entry in self.of(part))


def commit() -> str:
    """The commit that is checked out, with a `+` where files have changed since."""
    try:
        command = ["git", "-C", str(ROOT), "describe", "--always", "--dirty=+", "--exclude=*"]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "?"


def report(record: Record, seed: int, wanted: dict[str, int], note: str = "") -> str:
    """The report. `wanted`: how many kills, rounds and cycles a whole soak has; `note`: what else is to be said."""
    entries = [entry for entry in record.entries if entry["part"] != "lives"]
    if not entries:
        return "# Soak report\n\nNothing was carried out.\n"
    versions = list(dict.fromkeys(entry["code"] for entry in entries))
    text = [
        "# Soak report",
        "",
        f"What `python -m soak` carried out from {entries[0]['when']} to {entries[-1]['when']} (UTC) with seed {seed}, "
        f"on {platform.system()}, Python {platform.python_version()}, commit {', '.join(versions)}. It lists what was "
        "run, nothing else.",
        "",
        *([note, ""] if note else []),
        *_kills(record.of("kill"), wanted["kills"]),
        *_meetings(record.of("meeting"), wanted["rounds"]),
        *_cycles(record.of("cycle"), wanted["cycles"]),
    ]
    for failure in record.of("failure"):
        mended = f" Mended since: {failure['mended']}" if failure.get("mended") else ""
        text += [f"## It did not hold: {failure['key']}", "", f"{failure['when']}, {failure['code']}.{mended}", ""]
        text += ["```", *failure["said"].splitlines()[:60], "```", ""]
    return "\n".join(text)


def _kills(entries: list[Entry], wanted: int) -> Iterator[str]:
    if not entries:
        yield from ("No kills were carried out.", "")
        return
    yield from (
        "## Kills",
        "",
        f"`kill -9` at random points; a whole soak has {wanted} of each row. After each the next `up` or `down` had to "
        "end well, and everything to be as it says: no change in a preview, nothing missing, double or left over, no "
        "half an output seen by a reader who reads all the time.",
        "",
        "| operation | victim | cases | met it alive | result |",
        "| --- | --- | --- | --- | --- |",
    )
    rows = [*itertools.product(kills.OF_ENVIRONMENT, kills.OF_UPDATES), *(("run", victim) for victim in kills.OF_RUNS)]
    for operation, victim in rows:
        mine = [entry for entry in entries if (entry["operation"], entry["victim"]) == (operation, victim)]
        met = sum(entry["met"] for entry in mine)
        bad = sum(not entry["held"] for entry in mine)
        result = "all converged" if not bad else f"{bad} did not converge (below)"
        result = result if mine else "not carried out"
        yield f"| {operation} | {victim} | {len(mine)} | {met} | {result} |"
    took = [entry["seconds"] for entry in entries if entry["held"]]
    if took:
        told = f"median {statistics.median(took):.1f} s, longest {max(took):.1f} s"
        yield from (
            "",
            f"{len(entries)} of {len(rows) * wanted} cases; the command that put things right took {told}.",
            "",
        )


def _meetings(entries: list[Entry], wanted: int) -> Iterator[str]:
    if not entries:
        yield from ("No commands met.", "")
        return
    yield from (
        "## Two at once",
        "",
        f"A whole soak has {wanted} rounds of each.",
        "",
        "| what | rounds | met | result |",
        "| --- | --- | --- | --- |",
    )
    for what in dict.fromkeys(entry["what"] for entry in entries):
        mine = [entry for entry in entries if entry["what"] == what]
        met = "-" if mine[0]["met"] is None else sum(entry["met"] or 0 for entry in mine)
        bad = sum(not entry["held"] for entry in mine)
        yield f"| {what} | {len(mine)} | {met} | {'held' if not bad else f'{bad} did not hold (below)'} |"
    yield ""


def _cycles(entries: list[Entry], wanted: int) -> Iterator[str]:
    if len(entries) < 4:
        yield from ("Too few cycles were carried out to say anything of growth.", "")
        return
    yield from (
        "## Cycles",
        "",
        f"{len(entries)} of {wanted} cycles of `up` and `down` beside a second environment that keeps the local cloud "
        "up. Growth is the median of the last quarter against that of the second; the first warms up. Time is the "
        "processor time of the commands and of the local cloud, for the machine may have been busy with other things; "
        "the clock's time stands beside it.",
        "",
        "| what | second quarter | last quarter | growth |",
        "| --- | --- | --- | --- |",
    )
    for what, unit, values, judged in figures(entries):
        grown = cycles.growth(values)
        verdict = ("within 5 %" if grown <= MOST_GROWTH else "**more than 5 %**") if judged else "not judged"
        early, late = cycles.quarters(values)
        yield f"| {what} | {early:.1f} {unit} | {late:.1f} {unit} | {grown:+.1%}: {verdict} |"
    yield ""


def figures(entries: Iterable[Entry]) -> Iterator[tuple[str, str, list[float], bool]]:
    """What is measured over the cycles: label, unit, values, and whether it is held to the limit."""
    entries = list(entries)
    for what, unit, name, judged in (
        ("memory of the local cloud", "MB", "memory_mb", True),
        ("disk, `.herd` and temporary files", "MB", "disk_mb", True),
        ("processor time", "s", "processor_seconds", True),
        ("open files of the local cloud", "", "files_open", True),
        ("threads of the local cloud", "", "threads", True),
        ("time on the clock", "s", "seconds", False),
    ):
        yield what, unit, [float(entry[name]) for entry in entries], judged


def grown_too_much(entries: list[Entry]) -> list[str]:
    """What of the figures that are judged grew by more than it may."""
    if len(entries) < 4:
        return []
    return [what for what, _, values, judged in figures(entries) if judged and cycles.growth(values) > MOST_GROWTH]
