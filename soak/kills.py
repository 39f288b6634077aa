"""`kill -9` at seeded points, and that the next command puts everything right.

A case is an operation (create, update, replace, down, run), a victim, and a point: a share of the time that the
operation takes, or of what the local cloud writes down meanwhile. What follows is `herd up` or `herd down`, which must
end well and leave exactly what the files say, or nothing at all.
"""

from __future__ import annotations

import itertools
import os
import random
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal

import psutil

from harness.processes import ENDED, variables_of, words_of
from soak.reader import Reader
from soak.world import World

Operation = Literal["create", "update", "replace", "down", "run"]
Victim = Literal["engine", "cloud", "herd", "task", "runner"]
OF_ENVIRONMENT: tuple[Operation, ...] = ("create", "update", "replace", "down")
OF_UPDATES: tuple[Victim, ...] = ("engine", "cloud", "herd")
OF_RUNS: tuple[Victim, ...] = ("task", "runner")
POLL_SECONDS = 0.01
PUBLISHING_SECONDS = 10.0
UPLOAD_SECONDS = 0.15
"""About as long as the runner takes to publish."""


@dataclass(frozen=True)
class Case:
    """One kill. `share` of the operation's time (or of its growth of the journal, if `by_progress`) comes before it."""

    operation: Operation
    victim: Victim
    share: float
    by_progress: bool
    then: Literal["up", "down"]

    def __str__(self) -> str:
        if self.victim == "runner":
            return f"runner while it publishes, then {self.then}"
        unit = "of what is declared" if self.by_progress else "of the time"
        return f"{self.victim} at {self.share:.0%} {unit} of {self.operation}, then {self.then}"


@dataclass
class Outcome:
    """How a case ended: whether the victim was met alive, and how long the command took that put things right."""

    case: Case
    met: bool
    recovery_seconds: float


@dataclass
class Usual:
    """How long an operation takes when nobody disturbs it, and how much it makes the journal grow."""

    seconds: float = 4.0
    bytes: int = 100_000


def draw(seed: int, operations: tuple[Operation, ...], victims: tuple[Victim, ...], each: int) -> list[Case]:
    """`each` cases of every pair, in an order in which little has to be put up or down between them."""
    chance = random.Random(seed)
    cases = [
        Case(
            operation,
            victim,
            0.0 if victim == "runner" else round(chance.uniform(0.0, 0.9), 3),
            chance.random() < 0.5,
            "down" if chance.random() < (0.5 if operation in ("create", "down") else 0.15) else "up",
        )
        for operation, victim in itertools.product(operations, victims)
        for _ in range(each)
    ]
    chance.shuffle(cases)
    return cases


class Driver:
    """Carries cases out, one after another, in one world. What is `usual` need not be measured."""

    def __init__(self, world: World, chance: random.Random, usual: Mapping[Operation, Usual] | None = None):
        self.world = world
        self.reader = Reader(world)
        self._chance = chance
        self._is_up = False
        self._expected: Counter[str] | None = None
        self._usual: dict[Operation, Usual] = dict(usual or {})
        self._editions = (f"edition {number}" for number in itertools.count(1))

    def close(self) -> None:
        self.reader.close()

    def __enter__(self) -> Driver:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def carry_out(self, case: Case) -> Outcome:
        """Bring the world to where the case begins, disturb it, put it right, look at everything."""
        self._begin(case.operation)
        if case.operation not in self._usual:
            self._usual[case.operation] = self._measure(case.operation)
            self._begin(case.operation)
        self._edit(case.operation)
        self.reader.expect(self._is_up and case.operation != "down")
        self.reader.be_eager(case.operation == "run")
        command = self.world.start(*self._command(case.operation))
        try:
            met = self._strike(command.process, case, self._usual[case.operation])
            status = command.wait()
            assert "Traceback" not in command.said
            assert case.victim not in OF_RUNS or status == 0, "the run was not tried again"
            began = time.monotonic()
            self._put_right(case.then)
        except AssertionError as error:
            raise AssertionError(f"{error}\nthe killed command said:\n{command.said}") from error
        return Outcome(case, met, time.monotonic() - began)

    # ── before ───────────────────────────────────────────────────────────────────────────────────────────────────────

    def _begin(self, operation: Operation) -> None:
        """Up or down, as the operation needs it."""
        wanted = operation != "create"
        if wanted != self._is_up:
            self._put_right("up" if wanted else "down")

    def _measure(self, operation: Operation) -> Usual:
        """Do it once undisturbed."""
        self._edit(operation)
        self.reader.expect(self._is_up and operation != "down")
        before, began = self.world.journal_bytes(), time.monotonic()
        highest = before
        command = self.world.start(*self._command(operation))
        while command.process.poll() is None:
            highest = max(highest, self.world.journal_bytes())
            time.sleep(POLL_SECONDS)
        command.assert_done()
        self._is_up = operation != "down"
        return Usual(time.monotonic() - began, highest - before)

    def _edit(self, operation: Operation) -> None:
        if operation == "update":
            self.world.edit(edition=next(self._editions))
        elif operation == "replace":
            self.world.edit(port=8001 if self.world.port == 8000 else 8000)

    def _command(self, operation: Operation) -> list[str]:
        if operation == "run":
            return ["run", "alpha", "--with-dependants", "--param", "seconds=0.5"]
        return ["down"] if operation == "down" else ["up"]

    # ── the blow ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def _strike(self, process: subprocess.Popen[bytes], case: Case, usual: Usual) -> bool:
        """Wait for the case's point and kill its victim; False if the command was over before that."""
        began, start = time.monotonic(), self.world.journal_bytes()
        while process.poll() is None:
            done = self.world.journal_bytes() - start if case.by_progress else time.monotonic() - began
            if done >= case.share * (usual.bytes if case.by_progress else usual.seconds) and self._kill(
                process, case.victim
            ):
                return True
            time.sleep(POLL_SECONDS)
        return False

    def _kill(self, process: subprocess.Popen[bytes], victim: Victim) -> bool:
        """Kill it if it is there. False also when there is none yet."""
        with suppress(*ENDED):
            if victim == "herd":
                os.killpg(process.pid, signal.SIGKILL)
                return True
            if victim == "cloud":
                cloud = self.world.cloud_process()
                return cloud is not None and _killed(cloud)
            if victim == "engine":
                children = psutil.Process(process.pid).children()
                return any(_killed(child) for child in children if child.name() == "pulumi")
            tasks = [task for task in self.world.containers() if "/opt/herd/runner" in " ".join(words_of(task))]
            workers = [task for task in tasks if variables_of(task).get("HERD_RUN_ID")]
            if not workers:
                return False
            chosen = self._chance.choice(workers)
            if victim == "runner":
                return self._kill_while_publishing(chosen)
            return _killed(self._chance.choice([chosen, *chosen.children(recursive=True)]))
        return False

    def _kill_while_publishing(self, runner: psutil.Process) -> bool:
        """Wait until the workload's own command has begun and ended; a random moment later files are on their way."""
        for has_ended in (False, True):
            until = time.monotonic() + PUBLISHING_SECONDS
            while bool(runner.children()) == has_ended:
                if not runner.is_running() or time.monotonic() > until:
                    return False
                time.sleep(0.002)
        time.sleep(self._chance.uniform(0, UPLOAD_SECONDS))
        return _killed(runner)

    # ── after ────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _put_right(self, command: Literal["up", "down"]) -> None:
        """The next command must end well, and everything must be as it says."""
        self.reader.expect(False)
        done = self.world.herd(command, check=False)
        assert done.returncode == 0, f"herd {command} does not put it right:\n{done.stdout}\n{done.stderr}"
        self._is_up = command == "up"
        if self._is_up:
            self._expected = self.world.assert_whole(self._expected)
            self.world.wait_for("a first run that goes on to be published", self._published)
        else:
            self.world.assert_nothing_left()
        assert not self.reader.offences, self.reader.offences

    def _published(self) -> bool:
        """Has the job succeeded, so that there is something to read?"""
        last = self.world.status("beta")["last_run"]
        return bool(last) and last["status"] != "running"


def _killed(process: psutil.Process) -> bool:
    if process.status() == psutil.STATUS_ZOMBIE:
        return False
    process.kill()
    return True
