"""Looks at a service from inside, as the load balancer does from outside, and says in its log what is wrong with it.

ECS only says that a task failed its health checks and stops it. Which answer there was, and which setting helps, is
then found in the log, here and on AWS.
"""

from __future__ import annotations

import http.client
import threading
import time

from runner.errors import say

INTERVAL_SECONDS = 1.0
LATER_SECONDS = 15.0
"""Between looks at a service of which something was said already: its own log is not to be flooded."""

TIMEOUT_SECONDS = 5.0
TWICE = 2
"""An answer counts when it was given so often: a server that is just starting may say anything once."""


def watch(port: int, path: str, start_seconds: float, ended: threading.Event) -> None:
    """Ask until the answer is 200 once, or the service has ended; say each kind of trouble once."""
    began = time.monotonic()
    said: set[int | None] = set()
    last: int | None = None
    times = 0
    while not ended.wait(LATER_SECONDS if said else INTERVAL_SECONDS):
        status = answer(port, path)
        if status == http.client.OK:
            if said:
                say(f"GET {path} answers 200")
            return
        times = times + 1 if status == last else 1
        last = status
        late = time.monotonic() - began > start_seconds
        # 5xx, or nothing at all, is what a program says that is not ready yet.
        excused = not late and (status is None or status >= 500)
        if status not in said and times >= TWICE and not excused:
            said.add(status)
            say(advice(port, path, status, start_seconds))


def answer(port: int, path: str) -> int | None:
    """The status of a GET, redirects not followed; None without an answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_SECONDS)
    try:
        connection.request("GET", path, headers={"User-Agent": "herd"})
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()


def advice(port: int, path: str, status: int | None, start_seconds: float) -> str:
    """One line: what the load balancer will hold against the service, and the setting that helps."""
    if status is None:
        return (
            f"nothing answers on port {port} {start_seconds:.0f} s after the start: the program must listen on $PORT; "
            f"if it takes longer to start, say so: start_minutes = {start_seconds // 60 + 1:.0f}"
        )
    if status >= 500:
        return (
            f"GET {path} still answers {status} {start_seconds:.0f} s after the start, and must answer 200 while the "
            f"process is up; if it takes longer to start, say so: start_minutes = {start_seconds // 60 + 1:.0f}"
        )
    if path != "/" and answer(port, "/") == http.client.OK:
        return f'GET {path} answers {status}; name a path that answers 200: health = "/"'
    return f'GET {path} answers {status}; name a path that answers 200 to everybody: health = "/…"'
