"""Lines on their way to CloudWatch Logs: whole, in order, and a flood of one container slows that one only."""

from __future__ import annotations

import itertools
import os
import threading
import time
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localcloud.agent import logs
from localcloud.agent.logs import LogShipper, Stream, cut
from localcloud.agent.worker import Worker
from localcloud.engines.lines import MAX_LINE_BYTES
from localcloud.server import Server

_accounts = itertools.count(550_000_000_000 + os.getpid() * 1000)


@given(st.sampled_from("a日é😀"), st.integers(0, 3), st.integers(MAX_LINE_BYTES // 4, MAX_LINE_BYTES + 5))
def test_a_long_line_is_cut_within_no_character(character: str, before: int, count: int) -> None:
    line = "x" * before + character * count
    parts = cut(line)
    assert "".join(parts) == line
    assert all(len(part.encode()) <= MAX_LINE_BYTES for part in parts)


def test_an_empty_line_is_a_space() -> None:
    assert cut("") == [" "]


@pytest.fixture
def server() -> Iterator[Server]:
    account = str(next(_accounts))
    server = Server(account, "eu-west-1", "http://127.0.0.1:4999")
    server.client("logs").create_log_group(logGroupName="/jobs")
    yield server
    server.close()


def stream(server: Server, name: str) -> Stream:
    return Stream(server.account, "eu-west-1", "/jobs", name)


def test_lines_arrive_in_order_whoever_ships_them(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "PUT_AT_ONCE", 7)
    worker = Worker("agent")
    shipper = LogShipper(server, worker)
    streams = [stream(server, f"s{number}") for number in range(2)]
    for one in streams:
        shipper.open(one, create_group=False)
    worker.start()

    def write(one: Stream) -> None:
        for number in range(1000):
            shipper.write(one, str(number))
            if number % 50 == 0:
                shipper.flush()
        shipper.flush()
        assert [event["message"] for event in events(server, one)] == [str(number) for number in range(1000)]

    problems: list[BaseException] = []

    def kept(one: Stream) -> None:
        try:
            write(one)
        except BaseException as error:
            problems.append(error)

    threads = [threading.Thread(target=kept, args=(one,)) for one in streams]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    shipper.stop()
    worker.stop()
    assert not problems and not any(thread.is_alive() for thread in threads)


def events(server: Server, one: Stream) -> list[dict[str, str]]:
    client = server.client("logs")
    page = client.get_log_events(logGroupName=one.group, logStreamName=one.name, startFromHead=True, limit=10_000)
    return list(page["events"])


def test_who_writes_faster_than_lines_are_shipped_waits_and_nobody_else(server: Server) -> None:
    shipper = LogShipper(server, Worker("agent"))  # whose thread does not run: nothing is shipped by itself
    loud, quiet = stream(server, "loud"), stream(server, "quiet")
    for one in (loud, quiet):
        shipper.open(one, create_group=False)
    count = logs.MOST_WAITING + 500

    def flood() -> None:
        for number in range(count):
            shipper.write(loud, str(number))

    writer = threading.Thread(target=flood)
    writer.start()
    deadline = time.monotonic() + 30
    while len(shipper._waiting.get(loud, ())) < logs.MOST_WAITING and time.monotonic() < deadline:
        threading.Event().wait(0.01)
    writer.join(0.2)
    assert writer.is_alive() and len(shipper._waiting[loud]) == logs.MOST_WAITING
    shipper.write(quiet, "heard at once")
    shipper.flush()
    writer.join(30)
    assert not writer.is_alive()
    shipper.stop()
    assert len(events(server, loud)) == count
    assert [event["message"] for event in events(server, quiet)] == ["heard at once"]


def test_a_line_of_a_megabyte_counts_for_many(server: Server) -> None:
    shipper = LogShipper(server, Worker("agent"))
    loud = stream(server, "loud")
    shipper.open(loud, create_group=False)
    shipper.write(loud, "x" * 2_000_000)
    writer = threading.Thread(target=shipper.write, args=(loud, "next"))
    writer.start()
    writer.join(0.2)
    assert writer.is_alive()
    shipper.flush()
    writer.join(30)
    assert not writer.is_alive()
    shipper.stop()
