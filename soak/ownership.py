"""Whatever a stack lives through, each resource has one owner: sequences of updates, renames, kills, surgery, by seed.

    python -m soak --parts lives                       10,000 sequences: about a quarter of an hour, into the report
    python -m soak.ownership --sequences 500           fewer, and no report
    python -m soak.ownership --from 7 --sequences 1    one again, by its number

`soak/engine.py` is the engine; here is what happens to the stack, and what holds after each.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from localcloud.plugins import Plugins
from soak.engine import KINDS, ROLE, Choose, Declared, Engine, Kind, urn_of

Happening = Callable[["Life"], None]

LOGICAL = ("data", "lake", "pond")


@dataclass
class Life(Engine):
    """A stack with its program, and all that happens to the two."""

    program: list[Declared] = field(default_factory=list)
    kinds: tuple[Kind, ...] = KINDS
    names: tuple[str, ...] = ("", "", "fixed-name-of-soak")
    events: tuple[Happening, ...] = field(default_factory=lambda: EVENTS)
    edits: tuple[Happening, ...] = field(default_factory=lambda: EDITS)

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
        program = [(d.kind.named, d.name, d.physical, d.path, d.retain, d.aliases, d.imported) for d in self.program]
        self.story.append(f"program: {program}")

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
        if self.exists(held):
            self.free[held.key] = self.seen(held) if self.unsettled else held
        self.write([one for one in self.state if one is not held], by_hand=True)

    def rename_in_state(self) -> None:
        """`pulumi state rename`."""
        live = [held for held in self.state if not held.deleting]
        if live:
            held, name = live[self.choose(len(live))], LOGICAL[self.choose(len(LOGICAL))]
            urn = f"{held.urn.rpartition('::')[0]}::{name}"
            if urn not in {one.urn for one in self.state}:
                self.write([replace(one, urn=urn) if one is held else one for one in self.state], by_hand=True)

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
        urn = urn_of(kind, name)
        declared = {urn_of(one.kind, name) for one in self.program for name in (one.name, *one.aliases)}
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
                    assert self.marked(held.id) == held.mark, f"{held.urn} is another bucket than it was"
        for held in self.free.values():
            if held.mark:
                assert self.marked(held.id) == held.mark, f"{held.urn}, which was retained, is another than it was"
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
