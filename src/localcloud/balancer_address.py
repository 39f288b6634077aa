"""The address of this machine that load balancers speak to their targets from.

Not 127.0.0.1: servers believe what comes from there, X-Forwarded-Proto for one. On AWS a load balancer has an address
of the network, and a service that trusts only its own machine would fail there first.
"""

from __future__ import annotations

import socket
from contextlib import closing
from functools import cache

_WANTED = "127.0.0.2"


@cache
def balancer_address() -> str:
    """127.0.0.2, where this machine has it (Linux has all of 127.0.0.0/8), else 127.0.0.1."""
    with closing(socket.socket()) as probe:
        try:
            probe.bind((_WANTED, 0))
        except OSError:
            return "127.0.0.1"
    return _WANTED
