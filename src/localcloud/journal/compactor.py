"""Compacts the journal while its cloud serves: `compaction` finds the shorter one, the cloud puts it in its place."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from localcloud.journal.journal import Journal
from localcloud.server import Server

log = logging.getLogger(__name__)

ROOT = Path(__file__).parents[2]


class Compactor:
    """Compacts the journal of a server now and then, when there is enough to gain. `living` returns the causes of what
    exists.
    """

    def __init__(self, journal: Journal, server: Server, living: Callable[[], set[str]]):
        self._journal, self._server, self._living = journal, server, living
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._process: subprocess.Popen[str] | None = None
        self._closed = False

    def consider(self) -> None:
        """Begin if it is worth while and not under way. Returns at once."""
        with self._lock:
            if self._closed or self._thread is not None or not self._journal.is_worth_compacting:
                return
            self._thread = threading.Thread(target=self._run, name="compactor", daemon=True)
            self._thread.start()

    @property
    def busy(self) -> bool:
        """Is it under way?"""
        return self._thread is not None

    def wait(self, seconds: float | None = None) -> None:
        """Until what is under way has come to its end."""
        if thread := self._thread:
            thread.join(seconds)

    def close(self) -> None:
        """Break off: what is half-done is not used."""
        with self._lock:
            self._closed = True
            if self._process is not None:
                self._process.kill()
        self.wait(10)

    def _run(self) -> None:
        try:
            self._compact()
        except (OSError, ValueError) as error:
            log.warning("the journal stays as long as it is: %s", error)
        finally:
            with self._lock:
                self._thread = self._process = None

    def _compact(self) -> None:
        journal, server = self._journal, self._server
        # In this order: what comes to its end between the two lies behind the part that is looked at.
        with server.lock:
            living, size = self._living(), journal.size
        draft = journal.path.with_name(f"{journal.path.name}.draft")
        request = {
            "journal": str(journal.path), "size": size, "draft": str(draft), "living": sorted(living),
            "account": server.account, "region": server.region, "endpoint": server.endpoint, "parent": os.getpid(),
        }  # fmt: skip
        with self._lock:
            if self._closed:
                return
            self._process = process = subprocess.Popen(
                [sys.executable, "-m", "localcloud.journal.compaction"],
                cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
            )  # fmt: skip
        try:
            said, _ = process.communicate(json.dumps(request) + "\n")
            if process.returncode or not said:
                if not self._closed:
                    log.warning("the journal could not be compacted: status %s", process.returncode)
                return
            result = json.loads(said)
            with server.lock, self._lock:
                if not self._closed:
                    journal.take(draft, size)
            log.info("%s: %d lines were no longer needed", journal.path, result["gone"])
            if not result["verified"]:
                log.info("%s: nothing shorter answers the same", journal.path)
        finally:
            draft.unlink(missing_ok=True)
