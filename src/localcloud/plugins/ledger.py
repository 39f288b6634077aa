"""Which resource was created for which URN, from which inputs, and whether a state of the engine ever held it.

The engine may be killed at any moment, and on this cloud it writes its state only at the end of an update. So the next
update starts from an old state. The ledger is how it finds what the killed one made. At the beginning of a session each
entry of the stack is held against the last state (`settle`), and stands then in one of these ways:

- `new`: no state ever held it, because the update that made it was interrupted. Create adopts it for the same URN, and
  its name is proposed again, so that the same thing is declared again.
- `held`: it is in the last state, by the URN that stands there; a rename by an alias moves it to another.
- `released`: a state held it, and a later one does not: it was retained (`retain_on_delete`) or removed from the state
  by hand. It stays, belongs to nobody, and is never adopted; who creates another of its name is refused by AWS itself.
- `lost`: the whole state is gone that held it, and somebody has said that what the stack had is to be taken up again.
  Create adopts it; what is not declared any more stays.

Kept in memory and in a small SQLite file; encrypted there, for inputs may hold secrets. An entry's number is never
given again: the journal of requests knows by it which of them were for one resource.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from localcloud.encryption import FileCipher
from localcloud.plugins.resource import REGISTRY, identity_of
from localcloud.plugins.states import Known, State
from localcloud.plugins.values import Props
from localcloud.unreadable import using

Standing = Literal["new", "held", "released", "lost"]


@dataclass(frozen=True)
class Origin:
    """Which state an update began from: the backend (a folder, as the ledger names it) and when it was written.

    Without a backend the state could not be read, and nothing that was made then is ever adopted.
    """

    backend: str = ""
    written: int = 0


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
    """cannot be adopted, and could not be removed yet"""
    includes: tuple[int, ...] = ()
    """numbers of earlier entries for the very same resource"""
    backend: str = ""
    since: int = 0
    """when the state was written that the update began from which made it"""
    standing: Standing = "new"
    formerly: str = ""
    """the identity by which the last state names it, where it has another by now: a refresh has seen that what an
    interrupted update made again by the same name is of another path, or an update has moved it there"""

    @property
    def cause(self) -> str:
        """What the journal is told about requests made for this entry's sake."""
        return str(self.number)

    @property
    def is_leftover(self) -> bool:
        """Made by an update that was interrupted before its state was written: no state ever held it."""
        return self.standing == "new" and bool(self.backend)

    @property
    def is_adoptable(self) -> bool:
        """May a Create take it over?"""
        return (self.is_leftover or self.standing == "lost") and not self.superseded

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
        self._by_identity: dict[tuple[str, str], dict[int, Entry]] = defaultdict(dict)
        self._by_identifier: dict[tuple[str, str], dict[int, Entry]] = defaultdict(dict)
        with using(path or Path(":memory:")):
            self._open(path)

    def _open(self, path: Path | None) -> None:
        self._file = sqlite3.connect(path or ":memory:", check_same_thread=False, isolation_level=None)
        self._cipher = FileCipher(path.with_name("ledger.key")) if path is not None else None
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
            kept = json.loads(self._cipher.decrypt(text, _place(number)) if self._cipher else text)
            entry = Entry(number, **{**kept, "includes": tuple(kept.get("includes", ()))})
            if entry.identity and (token := type_of(entry.urn)) in REGISTRY:
                # Another version of this program may have told two of this type apart by something else.
                entry = replace(entry, identity=identity_of(token, entry.identifier, entry.outputs))
            self._keep(entry)

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

    def begin(self, urn: str, region: str, inputs: Props, origin: Origin, standing: Standing = "new") -> Entry:
        """Note that a creation starts, so that its name is proposed again from now on."""
        with self._lock:
            entry = Entry(
                self._next, urn, "", "", region, inputs, {},
                backend=origin.backend, since=origin.written, standing=standing,
            )  # fmt: skip
            self._write(entry)
            return entry

    def made(self, entry: Entry, identity: str, identifier: str, outputs: Props) -> Entry:
        """Note that it exists. An older entry for the very same resource is dropped: of the same URN, or nobody's; and
        of any URN, where `entry` had another identity and so turns out to be what an interrupted update made.
        """
        with self._lock:
            has_moved = entry.identity not in ("", identity)
            for other in self._same(entry.urn, identity, entry.region):
                is_left_over = has_moved and other.standing != "held" and other.stack == entry.stack
                is_same = other.urn == entry.urn or other.standing == "released" or is_left_over
                if other.number != entry.number and is_same:
                    self.drop(other)
                    entry = replace(entry, includes=(*entry.includes, *other.includes, other.number))
            entry = replace(entry, identity=identity, identifier=identifier, outputs=outputs)
            self._write(entry)
            return entry

    def changed(self, urn: str, identity: str, inputs: Props, outputs: Props) -> None:
        """Note an update of something that is known here, or what a refresh has seen of it."""
        with self._lock:
            if entry := self.find(urn, identity):
                # What was half made may have its ARN by now; an interrupted replacement of the same name, another.
                # The state names the former one until it is written, which the next look at it sees.
                named = identity_of(type_of(urn), entry.identifier, outputs)
                formerly = entry.formerly or (identity if named != identity else "")
                self.made(replace(entry, inputs=inputs, formerly=formerly), named, entry.identifier, outputs)

    def supersede(self, urn: str, identities: set[str]) -> None:
        """Mark what a replacement has just been made for."""
        with self._lock:
            for entry in self.of(urn):
                if entry.identity in identities:
                    self._write(replace(entry, superseded=True))

    def drop(self, entry: Entry) -> None:
        """Forget an entry."""
        with self._lock:
            self._unindex(entry.number)
            self._file.execute("DELETE FROM ledger WHERE number = ?", (entry.number,))

    def removed(self, urn: str, identity: str) -> None:
        """Note that it was deleted."""
        with self._lock:
            if entry := self.find(urn, identity):
                for other in self._same(urn, entry.identity, entry.region):
                    if other.number == entry.number or other.standing == "released":
                        self.drop(other)

    def settle(
        self,
        stack: str,
        backend: str,
        state: State,
        past: Callable[[], Iterable[State]],
        region: str,
        deleted: Callable[[], Collection[tuple[str, str]]] = tuple,
    ) -> None:
        """Hold a stack's entries against its last state; `past` gives earlier ones, `region` is where it lives.

        `deleted`: type and identity of what updates that go on have deleted. The state holds it until they end. It is
        asked here, where nothing can be removed between its answer and the look at the entries.
        Of earlier ones only those count that are younger than what an entry's update began from: an older one may have
        held another resource of the same name.
        """
        with self._lock, self._at_once():
            in_state, gone = set(), deleted()
            for known, match in list(self._matched(state.resources)):
                if match is None and (type_of(known.urn), known.identity) in gone:
                    continue
                entry = match or self._unmade(known, region)
                urn = known.urn if known.identity else entry.urn
                formerly = "" if known.identity == entry.identity else entry.formerly
                self._rewrite(entry, urn=urn, backend=backend, standing="held", formerly=formerly)
                in_state.add(entry.number)
            rest = [
                entry
                for entry in self.of_stack(stack)
                if entry.identity and entry.backend == backend and entry.number not in in_state
            ]
            earlier = list(past()) if any(entry.standing == "new" for entry in rest) else []
            for entry in rest:
                recorded = entry.standing != "new" or any(
                    old.written > entry.since and _holds(old, entry) for old in earlier
                )
                if recorded and entry.standing != "lost":
                    self._rewrite(entry, standing="released")

    def lose_sight(self, stack: str) -> None:
        """An engine works on the stack whose state cannot be read: nobody here knows what it holds from now on."""
        with self._lock:
            for entry in self.of_stack(stack):
                if entry.standing == "held":
                    self._rewrite(entry, backend="")

    def take_up(self, stack: str) -> list[Entry]:
        """The stack's state is lost as a whole: what it held may be adopted by the next update."""
        with self._lock:
            held = [entry for entry in self.of_stack(stack) if entry.standing == "held"]
            for entry in held:
                self._rewrite(entry, standing="lost")
            return held

    def of(self, urn: str) -> list[Entry]:
        """A URN's entries, the newest first."""
        with self._lock:
            return sorted(self._by_urn[urn].values(), key=lambda entry: -entry.number) if urn in self._by_urn else []

    def of_stack(self, stack: str) -> list[Entry]:
        """A stack's entries, the newest first: the order in which they can be deleted."""
        with self._lock:
            return [entry for number, entry in sorted(self._entries.items(), reverse=True) if entry.stack == stack]

    def now(self, entry: Entry) -> Entry | None:
        """The entry as it is by now; None if it was dropped."""
        with self._lock:
            return self._entries.get(entry.number)

    def find(self, urn: str, identity: str) -> Entry | None:
        """The entry of a resource that exists; also by another URN, which an alias has renamed since, and by the
        identity that it had.
        """
        same = self._same(urn, identity) or self._moved(urn, identity)
        return next((entry for entry in same if entry.urn == urn), next(iter(same), None))

    def identities(self, urn: str, identity: str) -> set[str]:
        """All by which a state may name the resource that has, or had, this one."""
        entry = self.find(urn, identity)
        return {identity, *([entry.identity, entry.formerly] if entry else [])} - {""}

    def namesakes(self, urn: str, identifier: str, identity: str, region: str) -> list[Entry]:
        """Other resources of the same id: revisions of a family, or what was made again by a given name."""
        with self._lock:
            own = self.find(urn, identity)
            entries = list(self._by_identifier.get((type_of(urn), identifier), {}).values())
        return [
            entry
            for entry in entries
            if entry.identity not in ("", identity) and entry != own and entry.region in ("", region)
        ]

    def is_shared(self, entry: Entry) -> bool:
        """Has another URN the very same resource? Some calls of AWS make a thing again that is there."""
        return len(self._same(entry.urn, entry.identity, entry.region)) > 1

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

    @contextmanager
    def _at_once(self) -> Iterator[None]:
        """Write what follows to the file in one go: there may be a thousand entries."""
        self._file.execute("BEGIN")
        try:
            yield
        finally:
            self._file.execute("COMMIT")

    def _same(self, urn: str, identity: str, region: str = "") -> list[Entry]:
        """The entries of one resource, the newest first."""
        with self._lock:
            entries = list(self._by_identity.get((type_of(urn), identity), {}).values()) if identity else []
        return [entry for entry in reversed(entries) if not region or not entry.region or entry.region == region]

    def _moved(self, urn: str, identity: str, region: str = "") -> list[Entry]:
        """The entries of a resource that had this identity."""
        with self._lock:
            moved = [it for it in self._entries.values() if identity and it.formerly == identity]
        return [it for it in moved if type_of(it.urn) == type_of(urn) and (not region or it.region in ("", region))]

    def _matched(self, resources: Iterable[Known]) -> Iterator[tuple[Known, Entry | None]]:
        """Each of a state's resources with its entry: that of its URN, else another's that the state does not name."""
        taken: set[int] = set()
        others: list[tuple[Known, list[Entry]]] = []
        for known in resources:
            if not known.identity:  # any of that id may be the one
                same = list(self._by_identifier.get((type_of(known.urn), known.identifier), {}).values())
                taken.update(entry.number for entry in same)
                yield from ((known, entry) for entry in same)
                continue
            same = self._same(known.urn, known.identity, known.region)
            exact = next((entry for entry in same if entry.urn == known.urn and entry.number not in taken), None)
            if exact is None:
                others.append((known, same))
            else:
                taken.add(exact.number)
                yield known, exact
        for known, same in others:
            moved = self._moved(known.urn, known.identity, known.region)
            entry = next((entry for entry in (*same, *moved) if entry.number not in taken), None)
            taken.update([entry.number] if entry else [])
            yield known, entry

    def _unmade(self, known: Known, region: str) -> Entry:
        """An entry for what the state holds and was not made here: it was imported, or a deletion was interrupted."""
        region = known.region or region
        return Entry(self._next, known.urn, known.identity, known.identifier, region, known.inputs, known.outputs)

    def _rewrite(self, entry: Entry, **changes: Any) -> None:
        changed = replace(entry, **changes)
        if changed != self._entries.get(entry.number):
            self._write(changed)

    def _keep(self, entry: Entry) -> None:
        self._unindex(entry.number)
        self._entries[entry.number] = entry
        self._by_urn[entry.urn][entry.number] = entry
        self._by_identity[type_of(entry.urn), entry.identity][entry.number] = entry
        self._by_identifier[type_of(entry.urn), entry.identifier][entry.number] = entry
        self._next = max(self._next, entry.number + 1)

    def _unindex(self, number: int) -> None:
        before = self._entries.pop(number, None)
        if before is not None:
            self._by_urn[before.urn].pop(number, None)
            self._by_identity[type_of(before.urn), before.identity].pop(number, None)
            self._by_identifier[type_of(before.urn), before.identifier].pop(number, None)

    def _write(self, entry: Entry) -> None:
        self._keep(entry)
        text = json.dumps({name: value for name, value in vars(entry).items() if name != "number"})
        if self._cipher is not None:
            text = self._cipher.encrypt(text, _place(entry.number))
        self._file.execute("INSERT OR REPLACE INTO ledger VALUES (?, ?)", (entry.number, text))


def _holds(state: State, entry: Entry) -> bool:
    kind = type_of(entry.urn)
    return any(
        known.identity == entry.identity if known.identity else known.identifier == entry.identifier
        for known in state.resources
        if type_of(known.urn) == kind
    )


def _place(number: int) -> str:
    return f"entry {number} of the ledger"
