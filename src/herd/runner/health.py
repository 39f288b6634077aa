"""Looks at a service from inside, as the load balancer does from outside, and says in its log what is wrong with it.

ECS only says that a task failed its health checks and stops it. Which answer there was, and which setting helps, is
then found in the log, here and on AWS.
"""

from __future__ import annotations

import http.client
import socket
import time
from collections.abc import Callable
from contextlib import closing, suppress

from .errors import say
from .task import Task, Trial

INTERVAL_SECONDS = 1.0
LOOK_SECONDS = 0.2
LATER_SECONDS = 15.0
"""Between looks at a service of which something was said already: its own log is not to be flooded."""

TIMEOUT_SECONDS = 5.0
TWICE = 2
"""An answer counts when it was given so often: a server that is just starting may say anything once."""

START_SECONDS = 60.0
"""How long a service may take to answer `health`, where its settings do not say."""

IDLE_MARGIN_SECONDS = 10.0


def watch(task: Task, port: int, chosen_host: bool, over: Callable[[], bool]) -> None:
    """Say what is wrong with the service's health, then whether the load balancer can reuse its connections.

    `chosen_host`: the platform has said where to listen (HOST); else it is to be every address of the container.
    """
    assert task.health is not None
    if not _become_healthy(port, task.health, task.start_seconds or START_SECONDS, over, tells=isinstance(task, Trial)):
        return
    if not chosen_host and only_this_machine(port):
        say(
            f"port {port} answers on 127.0.0.1 only: nobody outside this container reaches it; listen on 0.0.0.0, "
            "or on HOST where that is set"
        )
    if task.keep_alive_seconds is None:
        return
    closed_after = idle_seconds(port, task.health, task.keep_alive_seconds - IDLE_MARGIN_SECONDS, over)
    # A program that is just ending closes its connections too.
    if closed_after is not None and pause(INTERVAL_SECONDS, over) and answer(port, task.health) is not None:
        say(
            f"the server closes idle connections after {closed_after:.0f} s, sooner than the load balancer: now and "
            f"then a caller gets a 502; let it keep them for {task.keep_alive_seconds:.0f} s"
        )


def _become_healthy(
    port: int, path: str, start_seconds: float, over: Callable[[], bool], *, tells: bool = False
) -> bool:
    """Ask until the answer is 200 once, or it is over; say each kind of trouble once, and with `tells` the 200 too."""
    began = time.monotonic()
    said: set[int | None] = set()
    last: int | None = None
    times = 0
    while pause(LATER_SECONDS if said else INTERVAL_SECONDS, over):
        status = answer(port, path)
        if status == http.client.OK:
            if said or tells:
                say(f"GET {path} answers 200")
            return True
        times = times + 1 if status == last else 1
        last = status
        late = time.monotonic() - began > start_seconds
        # 5xx, or nothing at all, is what a program says that is not ready yet.
        excused = not late and (status is None or status >= 500)
        if status not in said and times >= TWICE and not excused:
            said.add(status)
            say(advice(port, path, status, start_seconds))
    return False


def pause(seconds: float, over: Callable[[], bool]) -> bool:
    """Wait; False as soon as the service is over."""
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        if over():
            return False
        time.sleep(min(left, LOOK_SECONDS))
    return not over()


def idle_seconds(port: int, path: str, longest: float, over: Callable[[], bool]) -> float | None:
    """After how long the server closes a connection that nothing is sent on; None if it keeps it for `longest`.

    None too if it says that it closes each connection: then nobody sends anything on one that is being closed.
    """
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_SECONDS)
    began = time.monotonic()
    try:
        connection.request("GET", path, headers={"User-Agent": "herd"})
        connection.getresponse().read()
        if connection.sock is None:
            return None
        began = time.monotonic()
        connection.sock.settimeout(LOOK_SECONDS)
        while time.monotonic() - began < longest and not over():
            with suppress(TimeoutError):
                if not connection.sock.recv(1):
                    return time.monotonic() - began
        return None
    except ConnectionResetError:
        return time.monotonic() - began
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()


def own_address() -> str | None:
    """The address with which this container speaks to others; None where it has none. Nothing is sent."""
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # TEST-NET-1, RFC 5737: nobody's
        except OSError:
            return None
        return str(probe.getsockname()[0])


def only_this_machine(port: int) -> bool:
    """Whether a port that answers on 127.0.0.1 refuses the container's own address."""
    own = own_address()
    if own is None:
        return False
    try:
        with socket.create_connection((own, port), TIMEOUT_SECONDS):
            return False
    except ConnectionRefusedError:
        return True
    except OSError:
        return False


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
