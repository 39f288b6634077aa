"""Which resource was created for which URN, from which inputs: what Pulumi's own state would say had it been written.

The engine may be killed at any moment, and on this cloud it writes its state only at the end of an update. So the next
update starts from an old state. The ledger is how it finds what the killed one made:

- Create adopts what its URN has here, unless this session knows it already (a Check, Diff, Read or Delete named it):
  what the session knows is in the engine's state, so a Create for the same URN is a replacement and really creates.
- The name that a killed session chose is proposed again, so that the same thing is declared again.
- When a replacement is made the old one is marked `superseded`: the engine is to delete it, it is never adopted.
- A sweep after the stack is gone deletes whatever is left.

Kept in memory and in a small SQLite file; sealed there, for inputs may hold secrets. An entry's number is never given
again: the journal of requests knows by it which of them were for one resource.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from localcloud.plugins.values import Props
from localcloud.sealing import Seal
from localcloud.unreadable import using


@dataclass(frozen=True)
class Entry:
    """One resource that was created, or is being created (then `identity` is empty)."""

    number: int
    urn: str
    identity: str
    identifier: str
    region: str
    inputs: Props = field(hash=False)
    outputs: Props = field(hash=False)
    superseded: bool = False
    includes: tuple[int, ...] = ()
    """numbers of earlier entries for the very same resource"""

    @property
    def cause(self) -> str:
        """What the journal is told about requests made for this entry's sake."""
        return str(self.number)

    @property
    def stack(self) -> str:
        """`project/stack` of the URN."""
        return stack_of(self.urn)


def stack_of(urn: str) -> str:
    """urn:pulumi:STACK::PROJECT::TYPE::NAME → PROJECT/STACK."""
    head, project, *_ = urn.split("::")
    return f"{project}/{head.removeprefix('urn:pulumi:')}"


def type_of(urn: str) -> str:
    """The type's token; the types of the components around it come before it, joined by `$`."""
    return urn.split("::")[2].split("$")[-1]


def name_of(urn: str) -> str:
    """The logical name."""
    return urn.split("::", 3)[3]


class Ledger:
    """All entries of a local cloud. Safe with several threads."""

    def __init__(self, path: Path | None = None):
        self._lock = threading.RLock()
        self._creating: dict[str, threading.RLock] = defaultdict(threading.RLock)
        self._entries: dict[int, Entry] = {}
        self._by_urn: dict[str, dict[int, Entry]] = defaultdict(dict)
        with using(path or Path(":memory:")):
            self._open(path)

    def _open(self, path: Path | None) -> None:
        self._file = sqlite3.connect(path or ":memory:", check_same_thread=False, isolation_level=None)
        self._seal = Seal(path.with_name("ledger.key")) if path is not None else None
        if path is not None:
            path.chmod(0o600)
        self._file.execute("PRAGMA journal_mode=WAL")
        self._file.execute("PRAGMA synchronous=NORMAL")
        self._file.execute(
            "CREATE TABLE IF NOT EXISTS ledger (number INTEGER PRIMARY KEY AUTOINCREMENT, entry TEXT NOT NULL)"
        )
        highest = self._file.execute("SELECT seq FROM sqlite_sequence WHERE name = 'ledger'").fetchone()
        self._next = highest[0] + 1 if highest else 1
        for number, text in self._file.execute("SELECT number, entry FROM ledger ORDER BY number").fetchall():
            kept = json.loads(self._seal.open(text, _place(number)) if self._seal else text)
            self._keep(Entry(number, **{**kept, "includes": tuple(kept.get("includes", ()))}))

    def has_reached(self, number: int) -> bool:
        """Has an entry had this number, or a higher one? If not, the next gets a higher one."""
        with self._lock:
            reached = number < self._next
            self._next = max(self._next, number + 1)
            return reached

    def close(self) -> None:
        """Close the file; the ledger must not be used afterwards."""
        with self._lock:
            self._file.close()

    @contextmanager
    def creating(self, urn: str) -> Iterator[None]:
        """Held while a resource is made: a killed engine's Create may still run when the next engine's begins."""
        with self._lock:
            lock = self._creating[urn]
        with lock:
            yield

    def begin(self, urn: str, region: str, inputs: Props) -> Entry:
        """Note that a creation starts, so that its name is proposed again from now on."""
        with self._lock:
            entry = Entry(self._next, urn, "", "", region, inputs, {})
            self._write(entry)
            return entry

    def made(self, entry: Entry, identity: str, identifier: str, outputs: Props) -> Entry:
        """Note that it exists; an older entry for the very same resource is dropped."""
        with self._lock:
            for other in list(self._by_urn[entry.urn].values()):
                if other.identity == identity and other.number != entry.number:
                    self.drop(other)
                    entry = replace(entry, includes=(*entry.includes, *other.includes, other.number))
            entry = replace(entry, identity=identity, identifier=identifier, outputs=outputs)
            self._write(entry)
            return entry

    def changed(self, urn: str, identity: str, inputs: Props, outputs: Props) -> None:
        """Note an update of something that is known here."""
        with self._lock:
            for entry in self.of(urn):
                if entry.identity == identity:
                    self._write(replace(entry, inputs=inputs, outputs=outputs))

    def supersede(self, urn: str, identities: set[str]) -> None:
        """Mark what a replacement has just been made for."""
        with self._lock:
            for entry in self.of(urn):
                if entry.identity in identities:
                    self._write(replace(entry, superseded=True))

    def drop(self, entry: Entry) -> None:
        """Forget an entry."""
        with self._lock:
            self._entries.pop(entry.number, None)
            self._by_urn[entry.urn].pop(entry.number, None)
            self._file.execute("DELETE FROM ledger WHERE number = ?", (entry.number,))

    def removed(self, urn: str, identity: str) -> None:
        """Note that it was deleted."""
        with self._lock:
            for entry in self.of(urn):
                if entry.identity == identity:
                    self.drop(entry)

    def of(self, urn: str) -> list[Entry]:
        """A URN's entries, the newest first."""
        with self._lock:
            return sorted(self._by_urn[urn].values(), key=lambda entry: -entry.number) if urn in self._by_urn else []

    def of_stack(self, stack: str) -> list[Entry]:
        """A stack's entries, the newest first: the order in which they can be deleted."""
        with self._lock:
            return [entry for number, entry in sorted(self._entries.items(), reverse=True) if entry.stack == stack]

    def find(self, urn: str, identity: str) -> Entry | None:
        """The entry of a resource that exists."""
        return next((entry for entry in self.of(urn) if entry.identity == identity), None)

    def unfinished(self) -> set[str]:
        """Causes of creations that are under way, or were when the process was killed."""
        with self._lock:
            return {entry.cause for entry in self._entries.values() if not entry.identity}

    def living(self) -> set[str]:
        """Causes of everything that exists."""
        with self._lock:
            return {str(number) for entry in self._entries.values() for number in (entry.number, *entry.includes)}

    def stacks(self) -> dict[str, int]:
        """`project/stack` → number of resources."""
        counts: dict[str, int] = defaultdict(int)
        with self._lock:
            for entry in self._entries.values():
                counts[entry.stack] += 1
        return dict(counts)

    def _keep(self, entry: Entry) -> None:
        self._entries[entry.number] = entry
        self._by_urn[entry.urn][entry.number] = entry
        self._next = max(self._next, entry.number + 1)

    def _write(self, entry: Entry) -> None:
        self._keep(entry)
        text = json.dumps({name: value for name, value in vars(entry).items() if name != "number"})
        if self._seal is not None:
            text = self._seal.close(text, _place(entry.number))
        self._file.execute("INSERT OR REPLACE INTO ledger VALUES (?, ?)", (entry.number, text))


def _place(number: int) -> str:
    return f"entry {number} of the ledger"
