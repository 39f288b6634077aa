"""Whatever a stack lives through, each resource has one owner: sequences of updates, renames, kills, surgery, by seed.

    python -m soak --parts lives                       10,000 sequences: about a quarter of an hour, into the report
    python -m soak.ownership --sequences 500           fewer, and no report
    python -m soak.ownership --from 7 --sequences 1    one again, by its number

A small engine drives the plugins in this process, in the order in which Pulumi's step generator does: Check without old
inputs for what is new and for replacements, aliases, deletions at the end, the state written at the end unless it is
killed. AWS is the local cloud's own server. `tests/localcloud/test_plugins_ownership.py` holds the same stories against
the real engine.
"""

from __future__ import annotations

import argparse
import functools
import hashlib
import itertools
import json
import os
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from moto.backends import get_backend

from localcloud.plugins import Plugins
from localcloud.plugins.provider import Provider
from localcloud.plugins.refusals import Refused
from localcloud.plugins.states import Backend
from localcloud.plugins.values import Props
from localcloud.server import Server

Choose = Callable[[int], int]
"""A number below the argument: of a random generator, or of hypothesis, which then finds the shortest story."""
Happening = Callable[["Life"], None]

TRUST = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Principal": {"Service": "ecs-tasks.amazonaws.com"}, "Action": "sts:AssumeRole"}
        ],
    }
)
LOGICAL = ("data", "lake", "pond")
REFUSALS = ("BucketAlreadyOwnedByYou", "EntityAlreadyExists", "ResourceAlreadyExists")
REFUSALS_UNREFRESHED = (*REFUSALS, "NoSuch", "NotFound", "is gone, and an interrupted update has made")
"""Where the state names what is gone."""


@dataclass(frozen=True)
class Kind:
    """A type: the property that names it, what is always given, and how its other properties come about."""

    token: str
    named: str
    given: Props
    updated: str
    replaced: str
    service: str
    kept: str
    """where moto keeps them"""


BUCKET = Kind("aws:s3/bucket:Bucket", "bucket", {"forceDestroy": True}, "tags", "", "s3", "buckets")
ROLE = Kind("aws:iam/role:Role", "name", {"assumeRolePolicy": TRUST}, "description", "path", "iam", "roles")
KINDS = (BUCKET, ROLE, Kind("aws:cloudwatch/logGroup:LogGroup", "name", {}, "tags", "", "logs", "groups"))


@dataclass(frozen=True)
class Declared:
    """One resource of the program."""

    kind: Kind
    name: str
    physical: str = ""
    edition: int = 0
    path: int = 0
    retain: bool = False
    aliases: tuple[str, ...] = ()
    imported: str = ""

    @property
    def urn(self) -> str:
        return _urn(self.kind, self.name)

    @property
    def inputs(self) -> Props:
        edition = f"edition {self.edition}"
        changing: Props = {self.kind.updated: {"edition": edition} if self.kind.updated == "tags" else edition}
        if self.kind.replaced:
            changing[self.kind.replaced] = f"/path{self.path}/"
        return {**self.kind.given, **changing, **({self.kind.named: self.physical} if self.physical else {})}


@dataclass(frozen=True)
class Held:
    """One resource of the state. `mark` is in the thing itself, if it can hold one."""

    urn: str
    id: str
    inputs: Props
    outputs: Props
    retain: bool
    mark: str
    deleting: bool = False

    @property
    def key(self) -> tuple[str, str]:
        return self.urn.split("::")[2], self.id

    @property
    def arn(self) -> str:
        return str(self.outputs["arn"])


class Killed(Exception):
    """The engine ends here, at once."""


@functools.cache
def _server() -> Server:
    """One for all: its clients take a second to make."""
    return Server(f"{620_000_000_000 + os.getpid()}", "eu-west-1", "http://127.0.0.1:4998")


def _kept(server: Server, kind: Kind) -> dict[str, Any]:
    """What moto has of a kind, by id."""
    backends = get_backend(kind.service)[server.account]
    backend: Any = backends["aws" if kind.replaced or kind is BUCKET else server.region]
    kept = getattr(backend, kind.kept)
    return {one.name: one for one in kept.values()}


def _urn(kind: Kind, name: str) -> str:
    return f"urn:pulumi:dev::proj::{kind.token}::{name}"


@dataclass
class Life:
    """A stack, its program, the engine's state, and everything that exists."""

    folder: Path
    choose: Choose
    server: Server = field(init=False)
    plugins: Plugins = field(init=False)
    program: list[Declared] = field(default_factory=list)
    state: list[Held] = field(default_factory=list)
    free: dict[tuple[str, str], Held] = field(default_factory=dict)
    unsettled: bool = False
    kinds: tuple[Kind, ...] = KINDS
    names: tuple[str, ...] = ("", "", "fixed-name-of-soak")
    events: tuple[Happening, ...] = field(default_factory=lambda: EVENTS)
    edits: tuple[Happening, ...] = field(default_factory=lambda: EDITS)
    story: list[str] = field(default_factory=list)
    _seconds: int = 0
    _steps_left: int = -1
    _marks: Iterator[int] = field(default_factory=itertools.count)

    def __post_init__(self) -> None:
        self.server = _server()
        self.backend = Backend(self.folder.as_uri(), self.folder / "state", skips_checkpoints=True)
        self.plugins = Plugins(self.server, None, self.folder / "plugins")
        self._write([])

    def close(self) -> None:
        """Remove everything, so that the next one may have the server."""
        self.plugins.sweep("proj", "dev", released=True)
        self.plugins.close()
        for kind in KINDS:
            assert not _kept(self.server, kind), "a sweep of everything has left something"

    # ── the engine ───────────────────────────────────────────────────────────────────────────────────────────────────

    def update(self, program: list[Declared], kill_after: int = -1, only: str = "", refresh: bool = True) -> bool:
        """One update; whether it succeeded. One that is killed writes no state; one that fails writes what it did."""
        blind = self.unsettled and not refresh
        session = self.plugins.provider("aws", backend=self.backend)
        self._steps_left = kill_after
        done: list[Held] = []
        waiting = list(self.state)
        try:
            if self.unsettled and refresh:
                waiting = self._refreshed(session, waiting)
            for declared in program:
                self._register(session, declared, waiting, done, bool(only) and declared.name != only)
            if not only:
                for held in [*reversed([one for one in waiting if not one.deleting])]:
                    self._delete(session, held)
                    waiting.remove(held)
            for held in [one for one in (*done, *waiting) if one.deleting]:
                self._delete(session, held)
                (done if held in done else waiting).remove(held)
            if self._steps_left == 0:
                raise Killed  # before it writes the state
        except Killed:
            self.story.append("killed")
            self.unsettled = True
            return False
        except Refused as refusal:
            self.story.append(f"refused: {refusal}")
            assert any(code in str(refusal) for code in (REFUSALS_UNREFRESHED if blind else REFUSALS)), refusal
            self._write([*done, *waiting])
            if blind:
                return False
            self.unsettled = False
            owned = {held.key for held in self.state} | set(self.free)
            taken = {(one.kind.token, one.physical) for one in program if one.physical} & owned
            assert taken, "refused for the sake of what only an interrupted update has made"
            return False
        self._write([*done, *waiting])
        self.unsettled = blind
        return True

    def _register(
        self, session: Provider, declared: Declared, waiting: list[Held], done: list[Held], untouched: bool
    ) -> None:
        urns = (declared.urn, *(_urn(declared.kind, alias) for alias in declared.aliases))
        live = {held.urn: held for held in waiting if not held.deleting}
        old = next((live[urn] for urn in urns if urn in live), None)
        if untouched:
            if old:
                waiting.remove(old)
                done.append(replace(old, urn=declared.urn))
            return
        if declared.imported and (old is None or old.id != declared.imported):
            found = self._step(lambda: session.read(declared.urn, declared.imported, {}, {}))
            if found and old is None:
                identifier, outputs, read = found
                inputs = self._checked(session, declared, read)
                outputs |= {name: value for name, value in inputs.items() if not name.startswith("__")}
                mark = self._mark_of(declared, identifier)
                done.append(Held(declared.urn, identifier, inputs, outputs, declared.retain, mark))
                return
        if old is None:
            done.append(self._create(session, declared))
            return
        inputs = self._checked(session, declared, old.inputs)
        difference = session.diff(declared.urn, old.id, old.inputs, old.outputs, inputs, ())
        if not difference.changed:
            waiting.remove(old)
            done.append(replace(old, urn=declared.urn, inputs=inputs, retain=declared.retain))
        elif not difference.replaces:
            outputs = self._step(
                lambda: session.update(declared.urn, old.id, old.inputs, old.outputs, inputs, preview=False)
            )
            waiting.remove(old)
            done.append(replace(old, urn=declared.urn, inputs=inputs, outputs=outputs, retain=declared.retain))
        elif difference.delete_first:
            self._delete(session, old)
            waiting.remove(old)
            done.append(self._create(session, declared))
        else:
            made = self._create(session, declared)
            waiting.remove(old)
            done += [made, replace(old, urn=declared.urn, deleting=True)]

    def _create(self, session: Provider, declared: Declared) -> Held:
        inputs = self._checked(session, declared, {})
        identifier, outputs = self._step(lambda: session.create(declared.urn, inputs, preview=False))
        return Held(declared.urn, identifier, inputs, outputs, declared.retain, self._mark_of(declared, identifier))

    def _checked(self, session: Provider, declared: Declared, olds: Props) -> Props:
        seed = self._seed()
        inputs, problems = session.check(declared.urn, olds, declared.inputs, seed, None)
        assert not problems, problems
        return inputs

    def _seed(self) -> bytes:
        return hashlib.sha256(f"{self.folder}{next(self._marks)}".encode()).digest()

    def _delete(self, session: Provider, held: Held) -> None:
        if held.retain:
            if self._exists(held):
                self._kept_when_written.append(held)
        else:
            self._step(lambda: session.delete(held.urn, held.id, held.outputs))

    def _refreshed(self, session: Provider, state: list[Held]) -> list[Held]:
        found = [(held, session.read(held.urn, held.id, held.inputs, held.outputs)) for held in state]
        return [self._seen(replace(held, outputs=now[1], inputs=now[2])) for held, now in found if now is not None]

    def _seen(self, held: Held) -> Held:
        """With the mark of now: interrupted updates may have removed a bucket and made it again by its given name."""
        return replace(held, mark=self._marked(held.id)) if held.key[0] == BUCKET.token else held

    def _step(self, action: Callable[[], Any]) -> Any:
        """Something that changes the cloud: here the engine may be killed, before it or before it hears the answer."""
        if self._steps_left == 0:
            raise Killed
        result = action()
        self._steps_left -= 1
        if self._steps_left == 0 and self.choose(2):
            raise Killed
        return result

    # ── the state ────────────────────────────────────────────────────────────────────────────────────────────────────

    _kept_when_written: list[Held] = field(default_factory=list)

    def _write(self, state: list[Held], by_hand: bool = False) -> None:
        """The engine's file with the copies that Pulumi makes; `pulumi state` keeps the time and the last copy only."""
        for held in self._kept_when_written:
            if held.key not in {one.key for one in state}:
                self.free[held.key] = held
        self._kept_when_written = []
        self.state = state
        self._seconds += not by_hand
        minutes, seconds = divmod(self._seconds, 60)
        time_ = f"2026-01-01T{minutes // 60:02}:{minutes % 60:02}:{seconds:02}.5Z"
        resources = [
            {"urn": one.urn, "custom": True, "id": one.id, "type": one.key[0], "inputs": one.inputs,
             "outputs": one.outputs, "delete": one.deleting}
            for one in state
        ]  # fmt: skip
        latest = {"manifest": {"time": time_}, "resources": resources}
        pulumi = self.folder / "state" / ".pulumi"
        file = pulumi / "stacks" / "proj" / "dev.json"
        file.parent.mkdir(parents=True, exist_ok=True)
        if file.exists():
            file.replace(file.with_name("dev.json.bak"))
        file.write_text(json.dumps({"version": 3, "checkpoint": {"stack": "dev", "latest": latest}}))
        if not by_hand:
            history = pulumi / "history" / "proj" / "dev"
            history.mkdir(parents=True, exist_ok=True)
            (history / f"dev-{self._seconds}.checkpoint.json").write_bytes(file.read_bytes())

    # ── what exists ──────────────────────────────────────────────────────────────────────────────────────────────────

    def everything(self) -> set[tuple[str, str]]:
        """Type and id of all that there is: looked up where the server keeps it, because that is done very often."""
        return {(kind.token, name) for kind in KINDS for name in _kept(self.server, kind)}

    def _exists(self, held: Held) -> bool:
        """It, and not what an interrupted replacement has made by its name."""
        kind = next(kind for kind in KINDS if kind.token == held.key[0])
        there = _kept(self.server, kind).get(held.id)
        return there is not None and there.arn == held.arn

    def _mark_of(self, declared: Declared, identifier: str) -> str:
        """What is in a bucket; written by who finds none there."""
        if declared.kind is not BUCKET:
            return ""
        if not (mark := self._marked(identifier)):
            mark = f"mark-{next(self._marks)}"
            self.server.client("s3").put_object(Bucket=identifier, Key=mark, Body=b"")
        return mark

    def _marked(self, bucket: str) -> str:
        return next(iter(_kept(self.server, BUCKET)[bucket].keys), "")

    # ── what happens ─────────────────────────────────────────────────────────────────────────────────────────────────

    def live(self, events: int) -> None:
        """So many things happen, and after each the promises hold. A third of lives is about one role's given name."""
        if self.choose(3) == 0:
            self.kinds, self.names, self.events, self.edits = (
                (ROLE,),
                ("fixed-name-of-soak",),
                EVENTS_OF_ONE,
                EDITS_OF_ONE,
            )
        for _ in range(events):
            event = self.events[self.choose(len(self.events))]
            self.story.append(event.__name__)
            event(self)
            self.check()

    def edit(self) -> None:
        """Change the program."""
        for _ in range(1 + self.choose(3)):
            self.edits[self.choose(len(self.edits))](self)
        told = [(d.kind.named, d.name, d.physical, d.path, d.retain, d.aliases, d.imported) for d in self.program]
        self.story.append(f"program: {told}")

    def up(self) -> None:
        """`herd up`: the update, and what interrupted ones left is swept."""
        if self.update(self.program):
            self.plugins.sweep("proj", "dev")
            there, known = self.everything(), {held.key for held in self.state} | set(self.free)
            assert there == known, f"nobody's: {there - known}; gone: {known - there}"
            self.plugins.unowned("proj/dev")  # forgets what a killed deletion removed and the state went on naming
            assert self.plugins.stacks().get("proj/dev", 0) == len(self.state) + len(self.free)
        elif self.story[-1].startswith("refused"):
            # The person gives up the name that AWS refuses.
            self.program = [replace(one, physical="") for one in self.program]

    def edited_up(self) -> None:
        self.edit()
        self.up()

    def killed_up(self) -> None:
        self.edit()
        self.update(self.program, kill_after=self.choose(5))

    def plain_up(self) -> None:
        """`pulumi up` alone, now and then killed: whatever was interrupted before, nobody refreshes or sweeps."""
        self.edit()
        self.update(self.program, kill_after=self.choose(5) if self.choose(3) == 0 else -1, refresh=False)

    def targeted_up(self) -> None:
        self.edit()
        if self.program and not self.unsettled:
            self.update(self.program, only=self.program[self.choose(len(self.program))].name)

    def destroy(self) -> None:
        """`pulumi destroy`, now and then killed."""
        self.update([], kill_after=self.choose(4) if self.choose(2) else -1)

    def forget_one(self) -> None:
        """`pulumi state delete`."""
        live = [held for held in self.state if not held.deleting]
        if not live:
            return
        held = live[self.choose(len(live))]
        if self._exists(held):
            self.free[held.key] = self._seen(held) if self.unsettled else held
        self._write([one for one in self.state if one is not held], by_hand=True)

    def rename_in_state(self) -> None:
        """`pulumi state rename`."""
        live = [held for held in self.state if not held.deleting]
        if live:
            held, name = live[self.choose(len(live))], LOGICAL[self.choose(len(LOGICAL))]
            urn = f"{held.urn.rpartition('::')[0]}::{name}"
            if urn not in {one.urn for one in self.state}:
                self._write([replace(one, urn=urn) if one is held else one for one in self.state], by_hand=True)

    def take_in(self) -> None:
        """Import one that is nobody's."""
        if not self.free or self.unsettled:
            return
        held = list(self.free.values())[self.choose(len(self.free))]
        kind = next(kind for kind in KINDS if kind.token == held.key[0])
        unused = [name for name in LOGICAL if self._is_unused(kind, name)]
        if unused:
            declared = Declared(kind, unused[0], physical=held.id, imported=held.id)
            if self.update([*self.program, declared]):
                self.program.append(replace(declared, imported=""))
                if any(one.key == held.key for one in self.state):
                    del self.free[held.key]

    def restart(self) -> None:
        """The local cloud starts again, with what it has kept."""
        self.plugins.close()
        self.plugins = Plugins(self.server, None, self.folder / "plugins")

    def _is_unused(self, kind: Kind, name: str) -> bool:
        urn = _urn(kind, name)
        declared = {_urn(one.kind, name) for one in self.program for name in (one.name, *one.aliases)}
        return urn not in declared | {held.urn for held in self.state}

    # ── edits ────────────────────────────────────────────────────────────────────────────────────────────────────────

    def add(self) -> None:
        kind, name = self.kinds[self.choose(len(self.kinds))], LOGICAL[self.choose(len(LOGICAL))]
        if any(one.kind is kind and one.name == name for one in self.program):
            return
        physical = self.names[self.choose(len(self.names))]
        if any(one.kind is kind and one.physical == physical for one in self.program if physical):
            physical = ""
        # Who uses a name again has taken it out of the aliases.
        self.program = [
            replace(one, aliases=tuple(alias for alias in one.aliases if alias != name)) if one.kind is kind else one
            for one in self.program
        ]
        self.program.append(Declared(kind, name, physical, retain=self.choose(4) == 0))

    def remove(self) -> None:
        if self.program:
            self.program.pop(self.choose(len(self.program)))

    def rename(self) -> None:
        if not self.program:
            return
        number, name = self.choose(len(self.program)), LOGICAL[self.choose(len(LOGICAL))]
        one = self.program[number]
        others = [other for other in self.program if other.kind is one.kind and other is not one]
        used = {one.name, *(taken for other in others for taken in (other.name, *other.aliases))}
        if name not in used:
            aliases = tuple(dict.fromkeys(alias for alias in (one.name, *one.aliases) if alias != name))
            self.program[number] = replace(one, name=name, aliases=aliases)

    def forget_aliases(self) -> None:
        self._alter(lambda one: replace(one, aliases=()))

    def change(self) -> None:
        self._alter(lambda one: replace(one, edition=one.edition + 1))

    def move(self) -> None:
        self._alter(lambda one: replace(one, path=1 - one.path))

    def toggle(self) -> None:
        self._alter(lambda one: replace(one, retain=not one.retain))

    def call(self) -> None:
        """Give a name of its own, or leave that to Pulumi."""
        fixed = "other-name-of-soak"
        self._alter(
            lambda one: (
                replace(one, physical="", imported="")
                if one.physical or any(o.kind is one.kind and o.physical == fixed for o in self.program)
                else replace(one, physical=fixed)
            )
        )

    def _alter(self, change: Callable[[Declared], Declared]) -> None:
        if self.program:
            number = self.choose(len(self.program))
            self.program[number] = change(self.program[number])

    # ── promises ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def check(self) -> None:
        """What must hold at any time."""
        keys = [held.key for held in self.state]
        arns = [held.arn for held in self.state]
        assert len(set(arns)) == len(arns), f"two URNs with one resource: {arns}"
        there = self.everything()
        assert set(self.free) <= there, f"retained or removed from the state, and gone: {set(self.free) - there}"
        if not self.unsettled:
            assert set(keys) <= there, f"in the state, and gone: {set(keys) - there}"
            for held in self.state:
                if held.mark:
                    assert self._marked(held.id) == held.mark, f"{held.urn} is another bucket than it was"
        for held in self.free.values():
            if held.mark:
                assert self._marked(held.id) == held.mark, f"{held.urn}, which was retained, is another than it was"
        if self.choose(3):
            return  # the cloud is not asked each time: asking lets it look at the state
        unowned = {(entry.urn.split("::")[2], entry.identifier) for entry in self.plugins.unowned("proj/dev")}
        assert unowned == set(self.free), f"said to be nobody's: {unowned}; are: {set(self.free)}"


EVENTS: tuple[Happening, ...] = (
    Life.edited_up, Life.edited_up, Life.edited_up, Life.killed_up, Life.killed_up, Life.up, Life.targeted_up,
    Life.destroy, Life.forget_one, Life.rename_in_state, Life.take_in, Life.restart, Life.plain_up,
)  # fmt: skip
EDITS: tuple[Happening, ...] = (
    Life.add, Life.add, Life.add, Life.remove, Life.rename, Life.rename, Life.change, Life.move, Life.toggle, Life.call,
    Life.forget_aliases,
)  # fmt: skip
EVENTS_OF_ONE = (
    Life.killed_up, Life.killed_up, Life.killed_up, Life.plain_up, Life.plain_up, Life.plain_up, Life.edited_up,
    Life.rename_in_state,
)  # fmt: skip
EDITS_OF_ONE = (
    Life.add, Life.add, Life.remove, Life.rename, Life.forget_aliases, Life.move, Life.move, Life.move, Life.change,
)  # fmt: skip


@contextmanager
def life(choose: Choose) -> Iterator[Life]:
    """A stack in a cloud of its own; both are gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="ownership-") as folder:
        one = Life(Path(folder), choose)
        try:
            yield one
        finally:
            one.close()


def tell(number: int) -> Counter[str]:
    """One sequence, by its number: how often what happened. Raises AssertionError with the story when a promise is
    broken.
    """
    chance = random.Random(number)
    with life(chance.randrange) as one:
        try:
            one.live(4 + chance.randrange(9))
        except Exception as error:
            raise AssertionError(f"sequence {number}: {error}\n  " + "\n  ".join(one.story)) from error
        return Counter(line.partition(":")[0] for line in one.story)


def main(arguments: Iterable[str] | None = None) -> int:
    """0 when every sequence held, 1 otherwise."""
    parser = argparse.ArgumentParser(prog="python -m soak.ownership", description="Who owns what, by seed.")
    parser.add_argument("--sequences", type=int, default=10_000)
    parser.add_argument("--from", type=int, default=1, dest="first", help="the first one's number")
    options = parser.parse_args(list(arguments) if arguments is not None else None)
    began, failures = time.monotonic(), 0
    for number in range(options.first, options.first + options.sequences):
        try:
            tell(number)
        except AssertionError as broken:
            failures += 1
            print(broken, file=sys.stderr, flush=True)
            if failures >= 3:
                break
    took = time.monotonic() - began
    print(f"{number - options.first + 1} sequences in {took:.0f} s, {failures} failures")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
