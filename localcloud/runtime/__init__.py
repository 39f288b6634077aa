"""What happened, kept beside what is declared: objects, log events, executions, tasks, deployments.

`Runtime` is opened with the journal and brought back after it. What was running when the process ended is over: its
executions are ABORTED and its tasks STOPPED, with the reason.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from pathlib import Path

from localcloud.agent.clock import Clock, SystemClock
from localcloud.calls import Call
from localcloud.patches import logs_kept, stepfunctions_kept
from localcloud.runtime.executions import Executions
from localcloud.runtime.logs import Logs
from localcloud.runtime.objects import Objects
from localcloud.runtime.store import Store
from localcloud.runtime.tasks import Tasks
from localcloud.server import Request, Response, Server

log = logging.getLogger(__name__)


class Runtime:
    """The runtime of one server's account, kept in `folder`."""

    def __init__(self, server: Server, folder: Path, clock: Clock | None = None):
        clock = clock or SystemClock()
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o700)
        self._server = server
        self._store = Store(folder / "runtime.sqlite")
        self.objects = Objects(server.account, self._store, folder / "objects")
        self.logs = Logs(server.account, self._store, clock)
        self.executions = Executions(server.account, self._store, server.lock, clock)
        self.tasks = Tasks(server.account, self._store)

    def restore(self) -> None:
        """Bring back what is kept, and keep from now on."""
        began = time.monotonic()
        account = self._server.account
        with self._server.lock:
            objects, events = self.objects.restore(), self.logs.restore()
            executions, aborted = self.executions.restore()
            tasks, stopped = self.tasks.restore()
            logs_kept.connect(account, self.logs)
            stepfunctions_kept.connect(account, self.executions)
        log.info(
            "%d objects, %d log events, %d executions (%d aborted) and %d tasks (%d stopped) brought back in %.2f s",
            objects, events, executions, aborted, tasks, stopped, time.monotonic() - began,
        )  # fmt: skip

    def perform(self, call: Call, request: Request, carry_out: Callable[[Request], Response]) -> Response:
        """Carry out a request that declares nothing, and keep what it did."""
        if call.service == "s3" and request.method not in ("GET", "HEAD", "OPTIONS"):
            return self.objects.perform(call, request, carry_out)
        return carry_out(request)

    def tidy(self) -> None:
        """Let go of what belonged to clusters that are gone, and give the disk back what is free."""
        with self._server.lock:
            self.tasks.tidy()
        self._store.tidy()

    def close(self) -> None:
        """Keep nothing from now on."""
        logs_kept.connect(self._server.account, None)
        stepfunctions_kept.connect(self._server.account, None)
        self.executions.close()
        self._store.close()
