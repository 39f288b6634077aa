"""A server whose guard is on, with an account of its own."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator

import pytest

from localcloud.server import Server
from tests.localcloud.iam.acting import REGION, Account

_accounts = itertools.count(600000000000 + os.getpid() * 1000)


@pytest.fixture
def account() -> Iterator[Account]:
    """An account that no other test has."""
    server = Server(str(next(_accounts)), REGION, "http://127.0.0.1:4999")
    yield Account(server)
    server.close()
