"""A small engine that drives the plugins in this process, in the order in which Pulumi's step generator does.

Check without old inputs for what is new and for replacements, aliases, deletions at the end, the state written at the
end unless it is killed. AWS is the local cloud's own server. The same stories are held against the real engine in
`tests/localcloud/test_plugins_ownership.py`.
"""

from __future__ import annotations

import functools
import hashlib
import itertools
import json
import os
from collections.abc import Callable, Iterator
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

TRUST = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Principal": {"Service": "ecs-tasks.amazonaws.com"}, "Action": "sts:AssumeRole"}
        ],
    }
)
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
        return urn_of(self.kind, self.name)

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


def urn_of(kind: Kind, name: str) -> str:
    return f"urn:pulumi:dev::proj::{kind.token}::{name}"


@dataclass
class Engine:
    """A stack: the engine's state, and everything that exists."""

    folder: Path
    choose: Choose
    server: Server = field(init=False)
    plugins: Plugins = field(init=False)
    state: list[Held] = field(default_factory=list)
    free: dict[tuple[str, str], Held] = field(default_factory=dict)
    """retained, or removed from the state: it exists, and nobody owns it"""
    unsettled: bool = False
    """an update was killed, and no refresh has been made since"""
    story: list[str] = field(default_factory=list)
    _seconds: int = 0
    _steps_left: int = -1
    _marks: Iterator[int] = field(default_factory=itertools.count)
    _kept_when_written: list[Held] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.server = _server()
        self.backend = Backend(self.folder.as_uri(), self.folder / "state", skips_checkpoints=True)
        self.plugins = Plugins(self.server, None, self.folder / "plugins")
        self.write([])

    def close(self) -> None:
        """Remove everything, so that the next one may have the server."""
        self.plugins.sweep("proj", "dev", released=True)
        self.plugins.close()
        for kind in KINDS:
            assert not _kept(self.server, kind), "a sweep of everything has left something"

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
            self.write([*done, *waiting])
            if blind:
                return False
            self.unsettled = False
            owned = {held.key for held in self.state} | set(self.free)
            taken = {(one.kind.token, one.physical) for one in program if one.physical} & owned
            assert taken, "refused for the sake of what only an interrupted update has made"
            return False
        self.write([*done, *waiting])
        self.unsettled = blind
        return True

    def _register(
        self, session: Provider, declared: Declared, waiting: list[Held], done: list[Held], untouched: bool
    ) -> None:
        urns = (declared.urn, *(urn_of(declared.kind, alias) for alias in declared.aliases))
        live = {held.urn: held for held in waiting if not held.deleting}
        old = next((live[urn] for urn in urns if urn in live), None)
        if untouched:
            if old:
                waiting.remove(old)
                done.append(replace(old, urn=declared.urn))
            return
        if declared.imported and (old is None or old.id != declared.imported):
            imported = self._step(lambda: session.read(declared.urn, declared.imported, {}, {}))
            if imported and old is None:
                identifier, outputs, read = imported
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
            if self.exists(held):
                self._kept_when_written.append(held)
        else:
            self._step(lambda: session.delete(held.urn, held.id, held.outputs))

    def _refreshed(self, session: Provider, state: list[Held]) -> list[Held]:
        read = [(held, session.read(held.urn, held.id, held.inputs, held.outputs)) for held in state]
        return [self.seen(replace(held, outputs=now[1], inputs=now[2])) for held, now in read if now is not None]

    def seen(self, held: Held) -> Held:
        """With the mark of now: interrupted updates may have removed a bucket and made it again by its given name."""
        return replace(held, mark=self.marked(held.id)) if held.key[0] == BUCKET.token else held

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

    def write(self, state: list[Held], by_hand: bool = False) -> None:
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

    def exists(self, held: Held) -> bool:
        """It, and not what an interrupted replacement has made by its name."""
        kind = next(kind for kind in KINDS if kind.token == held.key[0])
        there = _kept(self.server, kind).get(held.id)
        return there is not None and there.arn == held.arn

    def _mark_of(self, declared: Declared, identifier: str) -> str:
        """What is in a bucket; written by who finds none there."""
        if declared.kind is not BUCKET:
            return ""
        if not (mark := self.marked(identifier)):
            mark = f"mark-{next(self._marks)}"
            self.server.client("s3").put_object(Bucket=identifier, Key=mark, Body=b"")
        return mark

    def marked(self, bucket: str) -> str:
        return next(iter(_kept(self.server, BUCKET)[bucket].keys), "")
