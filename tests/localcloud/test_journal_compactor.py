"""The journal is compacted while its cloud serves; the runtime lets go of what belonged to clusters that are gone."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from harness.processes import words_of
from localcloud import backends
from localcloud.journal import Journal
from localcloud.journal import journal as recording
from localcloud.journal.compactor import Compactor
from localcloud.request import Call, Request, Response
from localcloud.request_context import caused_by
from localcloud.runtime import Runtime
from localcloud.server import Server

PAIRS = 40


class Recorder:
    """A journal as the server's recorder."""

    def __init__(self, journal: Journal):
        self.journal = journal

    def perform(self, call: Call, request: Request, carry_out: Callable[[Request], Response]) -> Response:
        if self.journal.keeps(call, request):
            return self.journal.perform(call, request, carry_out)
        return carry_out(request)


@pytest.fixture
def journal(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(recording, "COMPACT_AT_LEAST", PAIRS)
    journal = Journal(tmp_path / "journal")
    journal.replay(server)
    server.recorder = Recorder(journal)
    yield journal
    server.recorder = None
    journal.close()


def come_and_go(server: Server, first: int = 0) -> None:
    logs = server.client("logs")
    for number in range(first, first + PAIRS):
        with caused_by(str(number)):
            logs.create_log_group(logGroupName=f"/{number}")
            logs.delete_log_group(logGroupName=f"/{number}")


def groups(server: Server) -> list[tuple[str, int]]:
    answer = server.client("logs").describe_log_groups()["logGroups"]
    return [(group["arn"], group["creationTime"]) for group in answer]


def test_while_requests_go_on(server: Server, journal: Journal, tmp_path: Path) -> None:
    come_and_go(server)
    with caused_by("living"):
        server.client("logs").create_log_group(logGroupName="/living")
    compactor = Compactor(journal, server, lambda: {"living"})
    compactor.consider()
    compactor.consider()  # one at a time
    meanwhile = 0
    while compactor.busy:
        server.client("logs").create_log_group(logGroupName=f"/meanwhile{meanwhile}")
        meanwhile += 1
        assert meanwhile < 4000
        time.sleep(0.01)
    compactor.wait()
    server.client("logs").create_log_group(logGroupName="/afterwards")
    assert meanwhile and len(journal) == meanwhile + 2
    shown = groups(server)
    compactor.consider()
    assert len(journal) == meanwhile + 2, "it is not looked at again before there is more"
    compactor.close()
    server.recorder = None
    journal.close()
    backends.forget(server.account)
    again = Journal(tmp_path / "journal")
    assert again.replay(server).differing == ()
    again.close()
    assert groups(server) == shown
    assert sorted(path.name for path in (tmp_path / "journal").iterdir()) == ["key", "requests"]


def test_a_cloud_that_stops_breaks_it_off(server: Server, journal: Journal) -> None:
    come_and_go(server)
    compactor = Compactor(journal, server, set)
    compactor.consider()
    time.sleep(0.2)
    began = time.monotonic()
    compactor.close()
    assert time.monotonic() - began < 20
    assert len(journal) == 2 * PAIRS
    assert not [one for one in psutil.Process().children() if "localcloud.journal.compaction" in words_of(one)]
    compactor.consider()
    assert len(journal) == 2 * PAIRS


def test_tasks_and_services_go_with_their_cluster(server: Server, tmp_path: Path) -> None:
    runtime = Runtime(server, tmp_path)
    runtime.restore()
    ecs = server.client("ecs")
    file = sqlite3.connect(tmp_path / "runtime.sqlite", isolation_level=None)
    for cluster in ("stays", "goes"):
        ecs.create_cluster(clusterName=cluster)
        arn = f"arn:aws:ecs:eu-west-1:{server.account}"
        file.execute("INSERT INTO task VALUES (?, NULL, '{}')", (f"{arn}:task/{cluster}/1",))
        file.execute("INSERT INTO service VALUES (?, '{}')", (f"{arn}:service/{cluster}/1",))
    ecs.delete_cluster(cluster="goes")
    runtime.tidy()
    left = [arn for table in ("task", "service") for (arn,) in file.execute(f"SELECT arn FROM {table}")]
    assert len(left) == 2 and all("/stays/" in arn for arn in left)
    file.close()
    runtime.close()


def test_what_was_written_ahead_and_deleted_is_given_back(server: Server, tmp_path: Path) -> None:
    runtime = Runtime(server, tmp_path)
    runtime.restore()
    store = runtime.executions._store
    for number in range(400):
        store.write("INSERT INTO task VALUES (?, NULL, ?)", (f"a:b:c:eu-west-1:e:task/gone/{number}", "x" * 8000))

    def size() -> int:
        return sum(path.stat().st_size for path in tmp_path.glob("runtime.sqlite*"))

    assert size() > 3_000_000
    runtime.tidy()
    assert size() < 300_000
    runtime.close()
