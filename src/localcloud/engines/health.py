"""The health check of a container that is a process: its command, again and again, as Docker runs it in a container."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import suppress

from . import CannotStart, Handle, HealthCheck
from .launch import Launch

log = logging.getLogger(__name__)

HEALTHY, UNHEALTHY = "HEALTHY", "UNHEALTHY"
SHELL = "CMD-SHELL"


def words(check: HealthCheck) -> tuple[str, ...]:
    """What its `test` executes; empty for NONE."""
    kind, *rest = check.test
    if kind == "NONE":
        return ()
    return ("/bin/sh", "-c", " ".join(rest)) if kind == SHELL else tuple(rest if kind == "CMD" else check.test)


def watch(run: Handle, check: HealthCheck, launch: Callable[[], Launch], on_health: Callable[[str], None]) -> None:
    """Ask for a container's health on a thread of its own until it ends; `on_health` is told of each change.

    `launch`: what to execute for one check; raises CannotStart, which is a check that failed.
    """
    threading.Thread(target=_watch, args=(run, check, launch, on_health), name="health", daemon=True).start()


def _watch(run: Handle, check: HealthCheck, launch: Callable[[], Launch], on_health: Callable[[str], None]) -> None:
    status, failures = "", 0
    grace_until = time.monotonic() + check.start_period_seconds
    while run.wait(check.interval_seconds) is None:
        is_well = _passes(launch, check.timeout_seconds)
        if run.wait(0) is not None:
            return
        if is_well:
            failures, seen = 0, HEALTHY
        elif status == "" and time.monotonic() < grace_until:
            continue
        else:
            failures += 1
            seen = UNHEALTHY if failures >= check.retries else status
        if seen != status:
            status = seen
            try:
                on_health(status)
            except Exception:
                log.exception("a container's health was not handled")


def _passes(launch: Callable[[], Launch], timeout_seconds: float) -> bool:
    try:
        prepared = launch()
        process = subprocess.Popen(
            prepared.arguments,
            env=prepared.environment,
            cwd=prepared.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    except (CannotStart, OSError, ValueError):
        return False
    try:
        return process.wait(timeout_seconds) == 0
    except subprocess.TimeoutExpired:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        return False
