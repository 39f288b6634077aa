"""A local cloud that lost its last requests in a power failure has no bucket until the next `herd up`: what asks of it
finds nothing, and says so as where nothing was published yet.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from herd.errors import HerdError
from herd.runs import baseline, checks, outputs, rollback, runs
from localcloud.server import Server
from tests.herd.outputs import parsed

_accounts = itertools.count(530_000_000_000 + os.getpid() * 1000)


@pytest.fixture
def target() -> Iterator[Any]:
    server = Server(str(next(_accounts)), "eu-west-1", "http://127.0.0.1:4999")
    yield SimpleNamespace(client=server.client, exports=parsed(), require_exports=parsed, name="dev")
    server.close()


ASKED: dict[str, tuple[Callable[[Any], Any], Any]] = {
    "a record": (lambda target: runs.read_record(target, "gate", "r1"), None),
    "a list": (lambda target: list(runs.listing(target, "gate/")), []),
    "its checks": (lambda target: checks.last_seen(target, "gate"), []),
    "the current version": (lambda target: rollback.latest(target, "gate"), (None, None)),
    "what was rolled back": (lambda target: rollback.rolled_back(target), {}),
    "its files": (lambda target: list(rollback._objects(target, target.exports.data_bucket, "gate/")), []),
}


@pytest.mark.parametrize("what", ASKED)
def test_nothing_is_there(target: Any, what: str) -> None:
    ask, answer = ASKED[what]
    assert ask(target) == answer


REFUSED: dict[str, tuple[Callable[[Any], Any], str]] = {
    "outputs": (lambda target: outputs.find(target, "gate", None), "has published nothing yet"),
    "outputs of a run": (lambda target: outputs.find(target, "gate", "r1"), "no record of a run"),
    "rollback": (lambda target: rollback.plan(target, "gate", None), "published"),
    "rollback to a run": (lambda target: rollback.plan(target, "gate", "r1"), "published"),
    "accept": (lambda target: baseline.values(target, "gate", "r1"), "r1"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_cannot_be_done_is_said(target: Any, what: str) -> None:
    ask, words = REFUSED[what]
    with pytest.raises(HerdError, match=words):
        ask(target)
