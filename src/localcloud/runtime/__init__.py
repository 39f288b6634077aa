"""What happened, kept beside what is declared: objects, log events, executions, tasks, deployments, mail.

`Runtime` is opened with the journal and brought back after it. What was running when the process ended is over: its
executions are ABORTED and its tasks STOPPED, with the reason.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from pathlib import Path

from localcloud import mail
from localcloud.agent.clock import Clock, SystemClock
from localcloud.patches.logs import log_streams
from localcloud.patches.stepfunctions import stored_executions
from localcloud.request import Call, Request, Response
from localcloud.runtime.executions import Executions
from localcloud.runtime.inbox import Inbox
from localcloud.runtime.logs import Logs
from localcloud.runtime.metrics import Metrics
from localcloud.runtime.objects import Objects
from localcloud.runtime.store import Store
from localcloud.runtime.tasks import Tasks
from localcloud.server import Server

log = logging.getLogger(__name__)


class Runtime:
    """The runtime of one server's account, kept in `folder`; `store` is its open file. Raises `Unreadable`."""

    def __init__(self, server: Server, folder: Path, clock: Clock | None = None, store: Store | None = None):
        clock = clock or SystemClock()
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o700)
        self._server = server
        self._store = store or Store(folder / "runtime.sqlite")
        self._owns_store = store is None
        self.objects = Objects(server.account, self._store, folder / "objects")
        self.logs = Logs(server.account, self._store, clock)
        self.executions = Executions(server.account, self._store, server.lock, clock)
        self.tasks = Tasks(server.account, self._store)
        self.metrics = Metrics(server.account, self._store, server.lock, clock)
        self.inbox = Inbox(self._store, clock)

    def restore(self, journal_is_whole: bool = True) -> None:
        """Bring back what is kept, and keep from now on.

        What lay in a bucket, log group, state machine or cluster that is not declared is dropped only if the journal is
        known to be whole; else it waits for `find_again`.
        """
        began = time.monotonic()
        account = self._server.account
        with self._server.lock:
            objects, events = self.objects.restore(journal_is_whole), self.logs.restore(journal_is_whole)
            executions, aborted = self.executions.restore(journal_is_whole)
            tasks, stopped = self.tasks.restore(journal_is_whole)
            points, states = self.metrics.restore(journal_is_whole)
            self.metrics.connect()
            log_streams.connect(account, self.logs)
            stored_executions.connect(account, self.executions)
            mail.connect(account, self.inbox)
        log.info(
            "%d objects, %d log events, %d executions (%d aborted), %d tasks (%d stopped), %d data points and the "
            "states of %d alarms brought back in %.2f s",
            objects, events, executions, aborted, tasks, stopped, points, states, time.monotonic() - began,
        )  # fmt: skip

    def find_again(self) -> None:
        """Bring back what waits for something that has been declared again. The server's lock is held."""
        for part in (self.objects, self.logs, self.executions, self.metrics):
            if part.homeless:
                part.find_again()

    def perform(self, call: Call, request: Request, carry_out: Callable[[Request], Response]) -> Response:
        """Carry out a request that declares nothing, and keep what it did."""
        if call.service == "s3" and request.method not in ("GET", "HEAD", "OPTIONS"):
            return self.objects.perform(call, request, carry_out)
        return carry_out(request)

    def tidy(self) -> None:
        """Let go of what belonged to clusters that are gone, and give the disk back what is free."""
        with self._server.lock:
            self.tasks.tidy()
            self.objects.tidy()
        self._store.tidy()

    def close(self) -> None:
        """Keep nothing from now on."""
        log_streams.connect(self._server.account, None)
        stored_executions.connect(self._server.account, None)
        mail.connect(self._server.account, None)
        self.executions.close()
        self.metrics.close()
        if self._owns_store:
            self._store.close()
