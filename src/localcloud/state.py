"""What of a local cloud survives its process: everything below `journal/`, `runtime/`, `plugins/`, `images/` and
`functions/` of its home.

`State` opens it before the server is made, and brings the server back to it. `forget` removes it, `set_aside` moves it
out of the way.
"""

from __future__ import annotations

import logging
import shlex
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from localcloud import atomic
from localcloud.agent.clock import Clock, SystemClock
from localcloud.config import Config
from localcloud.control import clear_after_kill
from localcloud.unreadable import Reason, Unreadable, using

if TYPE_CHECKING:
    from localcloud.agent.memory import Memory
    from localcloud.journal.compactor import Compactor
    from localcloud.plugins import Plugins
    from localcloud.request import Call, Request, Response
    from localcloud.runtime import Runtime
    from localcloud.server import Server

log = logging.getLogger(__name__)

FOLDERS = ("journal", "runtime", "plugins", "images", "functions", "databases")
STORE = "runtime/runtime.sqlite"
OBJECTS = "runtime/objects"
LEDGER = "plugins/ledger.sqlite"
FORGETTING = "forgetting"
"""File of the home that is there while what the cloud held is removed: its journal was renamed so."""

LOST = 1_000_000
"""More requests than a disk can lose."""


class State:
    """The kept state of a home, opened by the process that serves it. Raises `JournalDamaged` and `Unreadable`; nothing
    is removed then.
    """

    def __init__(self, config: Config, clock: Clock | None = None):
        from localcloud.journal import Journal
        from localcloud.runtime.store import Store

        self._config = config
        self._clock = clock or SystemClock()
        self._runtime: Runtime | None = None
        self._compactor: Compactor | None = None
        self._closing = threading.Lock()
        self._closed = False
        _finish_forgetting(config.home)
        refuse_without_journal(config.home)
        self.journal = Journal(config.home / "journal", way_out(config.home))
        try:
            refuse_without_ledger(config.home, self.journal.highest_cause)
            (config.home / "runtime").mkdir(mode=0o700, exist_ok=True)
            self._store = Store(config.home / STORE, len(self.journal) > 0, lambda: self.journal.last)
            self._notice_losses()
            self.journal.sync_too = tuple(config.home / f"{name}-wal" for name in (STORE, LEDGER))
        except BaseException:
            self.journal.close()
            raise

    def _notice_losses(self) -> None:
        """Has the journal lost its end since the last process wrote what it knew of it?"""
        store, journal = self._store, self.journal
        journal.skip_to(store.used_up)
        self._lost_its_end = store.last_request > journal.last
        if self._lost_its_end:
            self._note_loss(f"{journal.path} has lost its end: request {store.last_request} was the last")
        elif not store.ended_well:
            self._note_loss(f"{journal.path} may have lost its last second: the machine ended before the local cloud")

    def _note_loss(self, what: str) -> None:
        log.warning(what)
        store, journal = self._store, self.journal
        journal.skip_to(max(store.last_request, journal.last) + LOST)
        with using(store.path):
            store.note_loss(max(store.used_up, store.last_request, journal.last) + LOST)

    @property
    def unused(self) -> bool:
        """Whether nobody has made or changed anything yet, ever."""
        return self.journal.last == 0 and not self.losses

    @property
    def losses(self) -> int:
        """How often the cloud has lost, or may have lost, the end of what it had been asked."""
        return self._store.losses

    @property
    def identity(self) -> str:
        """The same from start to start, until what the cloud held is lost or forgotten."""
        return self.journal.identity

    def restore(self, server: Server, plugins: Plugins) -> None:
        """Bring a new server to where the last one was, and record from now on."""
        from localcloud.journal.compactor import Compactor
        from localcloud.runtime import Runtime

        left_out = plugins.unfinished()
        if not plugins.knows(self.journal.highest_cause):
            self._note_loss(f"{self._config.home / LEDGER} has lost its end")
        elif self._lost_its_end:
            # The ledger knows that they were removed; as resources of nobody they would be in the way for ever.
            left_out |= self.journal.come_back(plugins.living() | left_out)
        replayed = self.journal.replay(server, left_out)
        self._runtime = Runtime(server, self._config.home / "runtime", self._clock, self._store)
        with using(self._store.path):
            # What lies in something that the journal does not have is only then of no use when the journal is whole.
            self._runtime.restore(journal_is_whole=not self.losses)
        server.recorder = self
        self._compactor = Compactor(self.journal, server, plugins.living)
        log.info("%d requests carried out again in %.2f s", replayed.requests, replayed.seconds)
        if replayed.differing:
            log.warning("%d of them were answered otherwise than the first time", len(replayed.differing))

    @property
    def memory(self) -> Memory:
        """What the agent remembers by."""
        assert self._runtime
        return self._runtime.tasks

    def perform(self, call: Call, request: Request, carry_out: Callable[[Request], Response]) -> Response:
        """Carry out a request, and keep what it declared or did. A `server.Recorder`."""
        assert self._runtime
        if self.journal.keeps(call, request):
            response = self.journal.perform(call, request, carry_out)
            self._runtime.find_again()
            return response
        return self._runtime.perform(call, request, carry_out)

    def abort_running(self) -> None:
        """End the executions that run, with the reason."""
        if self._runtime:
            self._runtime.executions.abort_running()

    def compact(self) -> None:
        """Forget what led to nothing that exists: at once what happened, in the background what was declared."""
        with self._closing:
            if self._runtime and self._compactor and not self._closed:
                self._runtime.tidy()
                self._compactor.consider()

    def close(self) -> None:
        with self._closing:
            self._closed = True
        if self._compactor:
            self._compactor.close()
        if self._runtime:
            self._runtime.close()
        self._store.close()
        self.journal.close()


def way_out(home: Path) -> str:
    """What a person can do about a state that is lost."""
    return (
        "Put a copy back, or go on without what is lost (all of it is kept aside): "
        f"python -m localcloud set-aside --home {shlex.quote(str(home))}"
    )


def forget(config: Config, keep: bool) -> list[Path]:
    """Remove what a home's cloud holds, or move it aside with `keep`; the folders that went, or where they went to.

    Port, credentials and log stay. Raises `AlreadyRunning`.
    """
    with config.exclusively(), using(config.home):
        clear_after_kill(config.control_note)
        config.endpoint_file.unlink(missing_ok=True)
        return list(_set_aside(config.home)) if keep else _remove(config.home, FOLDERS)


def _remove(home: Path, folders: tuple[str, ...]) -> list[Path]:
    # First, in one step and without any room, what says that all of it is to go: whoever is killed from here on leaves
    # nothing that is half there, and a full disk can be emptied.
    journal = home / "journal" / "requests"
    if journal.exists():
        journal.replace(home / FORGETTING)
    elif not (home / FORGETTING).exists():
        atomic.write(home / FORGETTING, "")
    existing = [home / name for name in folders if (home / name).exists()]
    for folder in existing:
        shutil.rmtree(folder)
    (home / FORGETTING).unlink()
    return existing


def _finish_forgetting(home: Path) -> None:
    """Go on where a process was killed that removed what the cloud held."""
    with using(home / FORGETTING):
        if (home / FORGETTING).exists():
            _remove(home, FOLDERS)


def refuse_without_journal(home: Path) -> None:
    """A cloud that has held something and lost its journal is not new."""
    journal = home / "journal" / "requests"
    with using(journal):
        rest = [name for name in (STORE, LEDGER) if (home / name).exists()]
        if rest and not journal.exists():
            raise Unreadable(journal, Reason.missing, f"but there is {home / rest[0]}")


def refuse_without_ledger(home: Path, highest_cause: int) -> None:
    """What was made for a stack has an entry in the ledger."""
    ledger = home / LEDGER
    with using(ledger):
        if highest_cause and not (ledger.exists() and ledger.stat().st_size):
            raise Unreadable(ledger, Reason.missing, "or empty, but the local cloud has made resources")


def _set_aside(home: Path) -> Iterator[Path]:
    aside = home / time.strftime("set-aside-%Y%m%d-%H%M%S")
    for name in FOLDERS:
        if (home / name).exists():
            aside.mkdir(exist_ok=True)
            yield (home / name).rename(aside / name)
