"""The lives of `soak/ownership.py` in a soak: in batches, so that it can be gone on with; their part of the report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from soak import ownership

BATCH = 100


@dataclass
class Batch:
    """Lives that were carried out: how many, how often what happened in them, and what broke a promise, by number."""

    lives: int = 0
    events: Counter[str] = field(default_factory=Counter)
    broken: dict[str, str] = field(default_factory=dict)


def batches(lives: int) -> list[range]:
    """The numbers from 1 on, in batches."""
    return [range(first, min(first + BATCH, lives + 1)) for first in range(1, lives + 1, BATCH)]


def carry_out(numbers: range) -> Batch:
    """Tell these lives."""
    done = Batch()
    for number in numbers:
        done.lives += 1
        try:
            done.events += ownership.tell(number)
        except AssertionError as broken:
            done.broken[str(number)] = str(broken)
    return done


def report(entries: list[dict[str, Any]], wanted: int) -> Iterator[str]:
    """The lines of the report's part; `entries`: the batches of the record."""
    events: Counter[str] = Counter()
    broken: dict[str, str] = {}
    for entry in entries:
        events.update(entry["events"])
        broken |= entry["broken"]
    lives, seconds = sum(entry["lives"] for entry in entries), sum(entry["seconds"] for entry in entries)
    commits = ", ".join(dict.fromkeys(entry["code"] for entry in entries))
    happened = sum(events[event.__name__] for event in {*ownership.EVENTS})
    yield from (
        "## Lives",
        "",
        f"{lives:,} of {wanted:,} lives of a stack, from {min(entry['when'] for entry in entries)} to "
        f"{max(entry['when'] for entry in entries)} (UTC), commit {commits}: {seconds / lives * 1000:.0f} ms each.",
        "",
        "A model of the engine drives the plugins: updates of all or of one resource, with and without a refresh, "
        "kills, renames, aliases, replacements, what is retained, imported, or renamed and removed in the state, "
        "restarts. After each event no two URNs may have one resource, nothing of the state may be gone, and what is "
        "nobody's is named as such.",
        "",
        "| what | figure |",
        "| --- | --- |",
        f"| events | {happened:,} |",
        f"| updates killed | {events['killed']:,} |",
        f"| updates refused: a name is taken, or the state is out of date | {events['refused']:,} |",
        f"| lives that broke a promise | {', '.join(broken) or 'none'} |",
    )
    for story in broken.values():
        yield from ("", "```", *story.splitlines()[:60], "```")
