"""What of a local cloud survives its process: everything below `journal/`, `runtime/`, `plugins/` and `images/`
of its home.

`State` opens it before the server is made, and brings the server back to it. `forget` removes it, `set_aside` moves it
out of the way.
"""

from __future__ import annotations

import logging
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from localcloud.agent.clock import Clock, SystemClock
from localcloud.config import Config
from localcloud.control import clear_after_kill

if TYPE_CHECKING:
    from localcloud.agent.memory import Memory
    from localcloud.calls import Call
    from localcloud.journal.shortening import Shortening
    from localcloud.plugins import Plugins
    from localcloud.runtime import Runtime
    from localcloud.server import Request, Response, Server

log = logging.getLogger(__name__)

FOLDERS = ("journal", "runtime", "plugins", "images")


class State:
    """The kept state of a home, opened by the process that serves it. Raises `JournalDamaged`."""

    def __init__(self, config: Config, clock: Clock | None = None):
        from localcloud.journal import Journal

        self._config = config
        self._clock = clock or SystemClock()
        self._runtime: Runtime | None = None
        self._shortening: Shortening | None = None
        self._closing = threading.Lock()
        self._closed = False
        self.journal = Journal(config.home / "journal", way_out(config.home))
        if self.journal.is_new:
            # What others have kept describes a cloud that is no more.
            _remove(config.home, FOLDERS[1:])

    @property
    def identity(self) -> str:
        """The same from start to start, until what the cloud held is lost or forgotten."""
        return self.journal.identity

    def restore(self, server: Server, plugins: Plugins) -> None:
        """Bring a new server to where the last one was, and record from now on."""
        from localcloud.journal.shortening import Shortening
        from localcloud.runtime import Runtime

        replayed = self.journal.replay(server, plugins.unfinished())
        self._runtime = Runtime(server, self._config.home / "runtime", self._clock)
        self._runtime.restore()
        server.recorder = self
        self._shortening = Shortening(self.journal, server, plugins.living)
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
            return self.journal.perform(call, request, carry_out)
        return self._runtime.perform(call, request, carry_out)

    def abort_running(self) -> None:
        """End the executions that run, with the reason."""
        if self._runtime:
            self._runtime.executions.abort_running()

    def shorten(self) -> None:
        """Forget what led to nothing that exists: at once what happened, in the background what was declared."""
        with self._closing:
            if self._runtime and self._shortening and not self._closed:
                self._runtime.tidy()
                self._shortening.consider()

    def close(self) -> None:
        with self._closing:
            self._closed = True
        if self._shortening:
            self._shortening.close()
        if self._runtime:
            self._runtime.close()
        self.journal.close()


def way_out(home: Path) -> str:
    """What a person can do about a state that cannot be read."""
    command = f"python -m localcloud forget --home {home}"
    return f"To go on without what the cloud held: {command} (with --keep it is moved aside, not removed)"


def forget(config: Config, keep: bool) -> list[Path]:
    """Remove what a home's cloud holds, or move it aside with `keep`; the folders that went, or where they went to.

    Port, credentials and log stay. Raises `AlreadyRunning`.
    """
    with config.exclusively():
        clear_after_kill(config.control_note)
        config.endpoint_file.unlink(missing_ok=True)
        return list(_set_aside(config.home)) if keep else _remove(config.home, FOLDERS)


def _remove(home: Path, folders: tuple[str, ...]) -> list[Path]:
    # First, in one step, what makes the cloud new: whoever is killed from here on leaves nothing that is half there.
    if "journal" in folders:
        (home / "journal" / "requests").unlink(missing_ok=True)
    found = [home / name for name in folders if (home / name).exists()]
    for folder in found:
        shutil.rmtree(folder)
    return found


def _set_aside(home: Path) -> Iterator[Path]:
    aside = home / time.strftime("set-aside-%Y%m%d-%H%M%S")
    for name in FOLDERS:
        if (home / name).exists():
            aside.mkdir(exist_ok=True)
            yield (home / name).rename(aside / name)
