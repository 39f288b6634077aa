"""Ports of this machine's loopback for programs that bind them themselves, some seconds later."""

from __future__ import annotations

import random
import socket
from collections.abc import Container

FIRST, LAST = 20_000, 32_000
"""Below what systems hand to outgoing connections (Linux from 32768, others from 49152): a port of those that is free
now is another program's by the time that a slow one binds it.
"""


def free(held: Container[int] = ()) -> int:
    """A port that nobody listens on now and that is none of `held`. Raises OSError where there is none."""
    for port in random.sample(range(FIRST, LAST), LAST - FIRST):
        if port in held:
            continue
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port
    raise OSError(f"no port from {FIRST} to {LAST} is free on 127.0.0.1")
