"""A port that a program may still bind when it comes to it."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from localcloud import ports

RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")


def test_it_is_none_that_an_outgoing_connection_may_take() -> None:
    if RANGE.is_file():
        first, last = (int(number) for number in RANGE.read_text().split())
        assert not first <= ports.free() <= last


def test_it_is_nobodys(monkeypatch: pytest.MonkeyPatch) -> None:
    port = ports.free()
    monkeypatch.setattr(ports, "FIRST", port)
    monkeypatch.setattr(ports, "LAST", port + 1)
    assert ports.free() == port
    with pytest.raises(OSError, match=f"no port from {port} to {port + 1} is free"):
        ports.free({port})
    with socket.create_server(("127.0.0.1", port)), pytest.raises(OSError, match="is free"):
        ports.free()
