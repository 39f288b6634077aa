"""Attacks below HTTP: broken framing, paths that are read in two ways, slow clients, floods.

What a request smuggles would be seen by the service (it remembers what reached it) or change what is deployed.
"""

from __future__ import annotations

import json
import secrets
import select
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress

import psutil
import pytest

from tests.faults.hostile import DATA_BUCKET, Estate, eventually, raise_open_files

pytestmark = [pytest.mark.live, pytest.mark.xdist_group("faults-hostile")]

SLOW_CLIENTS = 200
BIG = 100 * 2**20


@pytest.fixture(autouse=True)
def stays_up(estate: Estate) -> Iterator[None]:
    """The service answers afterwards, from the same process, and the cloud has not grown for good."""
    pid, before = estate.endpoint["pid"], estate.everything()
    yield
    answer = estate.ask(estate.balancer, "/echo/alive")
    assert (answer.status, json.loads(answer.body)["path"]) == (200, "/alive")
    assert psutil.Process(pid).is_running() and estate.endpoint["pid"] == pid
    assert estate.everything() == before


SMUGGLED = b"GET /echo/smuggled HTTP/1.1\r\nHost: HOST\r\n\r\n"
HEAD = b"POST /echo/outer HTTP/1.1\r\nHost: HOST\r\n"


@pytest.mark.parametrize(
    "request_",
    [
        HEAD + b"Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + SMUGGLED,
        HEAD + b"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n2c\r\n" + SMUGGLED + b"\r\n0\r\n\r\n",
        HEAD + b"Content-Length: 0\r\nContent-Length: 45\r\n\r\n" + SMUGGLED,
        HEAD + b"Content-Length: 45\r\nContent-Length: 0\r\n\r\n" + SMUGGLED,
        HEAD + b"Content-Length: 0, 45\r\n\r\n" + SMUGGLED,
        HEAD + b"Content-Length: +0\r\n\r\n" + SMUGGLED,
        HEAD + b"Content-Length: 0x2d\r\n\r\n" + SMUGGLED,
        HEAD + b"Content-Length: 4 5\r\n\r\n" + SMUGGLED,
        HEAD + b"Content-Length : 45\r\n\r\n" + SMUGGLED,
        HEAD + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n" + SMUGGLED,
        HEAD + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n" + SMUGGLED,
        HEAD + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n" + SMUGGLED,
        HEAD + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n" + SMUGGLED,
        HEAD + b"Transfer-Encoding:\x0bchunked\r\n\r\n0\r\n\r\n" + SMUGGLED,
        HEAD + b"X: y\r\n Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + SMUGGLED,
        HEAD + b"X: y\nTransfer-Encoding: chunked\n\n0\r\n\r\n" + SMUGGLED,
        HEAD + b"X: y\rTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + SMUGGLED,
        HEAD + b"X: a\x00b\r\nContent-Length: 0\r\n\r\n" + SMUGGLED,
        HEAD + b"\x00Content-Length: 45\r\n\r\n" + SMUGGLED,
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n-1\r\n" + SMUGGLED,
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n0x0\r\n\r\n" + SMUGGLED,
        HEAD + b"Transfer-Encoding: chunked\r\n\r\nffffffffffffffffd\r\n" + SMUGGLED,
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n0\n\n" + SMUGGLED,
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n1;a\nb\r\nx\r\n0\r\n\r\n" + SMUGGLED,
        b"POST /echo/outer HTTP/1.0\r\nHost: HOST\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + SMUGGLED,
        b"GET /echo/outer HTTP/1.1\nHost: HOST\n\n" + SMUGGLED,
        b"GET /echo/outer HTTP/1.1\r\nHost: HOST\r\nHost: evil.example\r\n\r\n" + SMUGGLED,
        b"GET /echo/outer HTTP/1.1 HTTP/1.1\r\nHost: HOST\r\n\r\n" + SMUGGLED,
        b"G\x00ET /echo/outer HTTP/1.1\r\nHost: HOST\r\n\r\n" + SMUGGLED,
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + SMUGGLED,
        b"CONNECT evil.example:443 HTTP/1.1\r\nHost: HOST\r\n\r\n" + SMUGGLED,
    ],
    ids=lambda data: repr(data[len(HEAD) :][:40]) if data.startswith(HEAD) else repr(data[:30]),
)
def test_nothing_is_smuggled(estate: Estate, request_: bytes) -> None:
    """A doubtful message is refused and its connection closed: what follows in it is not read as a request."""
    host, mark = estate.balancer.encode(), secrets.token_hex(8)
    outer, _, _ = request_.rpartition(SMUGGLED)
    inner = SMUGGLED.replace(b"HOST", host).replace(b"smuggled", mark.encode())
    answer = estate.raw(outer.replace(b"HOST", host).replace(b"45", b"%d" % len(inner)) + inner)
    assert not [line for line in estate.seen() if mark in line], answer
    assert answer.split(b" ")[1:2] in ([b"400"], [b"403"], [b"501"], []), answer


def test_what_is_no_attack_is_served(estate: Estate) -> None:
    """The same forms without the trick: so that the test above would notice a request that gets through."""
    host = estate.balancer.encode()
    chunked = HEAD + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
    plain = HEAD + b"Content-Length: 3\r\n\r\nabc"
    last = SMUGGLED.replace(b"smuggled", b"pipelined").replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
    for first in (chunked, plain):
        answer = estate.raw((first + last).replace(b"HOST", host), silence_seconds=30)
        assert answer.count(b"HTTP/1.1 200") == 2 and b"/pipelined" in answer


@pytest.mark.parametrize(
    "target",
    [
        "/../DATA/tick/latest.json",
        "/%2e%2e/DATA/tick/latest.json",
        "/..%2fDATA%2ftick/latest.json",
        "/%252e%252e/DATA/tick/latest.json",
        "/..%5cDATA/tick/latest.json",
        "/.//DATA/tick/latest.json",
        "//DATA/tick/latest.json",
        "/DATA/tick/latest.json",
        "/tick/latest.json%00.html",
        "/tick/latest.json%2500",
        "/tick/latest.json?x=%00",
        "/%c0%ae%c0%ae/etc/passwd",
        "/..%2f..%2f..%2f..%2fetc/passwd",
        "/?list-type=2",
        "/?prefix=",
        "/tick/?acl",
        "/tick/latest.json?x-amz-acl=public-read&tagging",
        "/;tick/latest.json",
    ],
)
def test_paths_that_are_read_in_two_ways_open_nothing(estate: Estate, target: str) -> None:
    named = target.replace("DATA", DATA_BUCKET)
    estate.sandbox.wait_for("the job's output", lambda: _published(estate))
    for host in (estate.bucket, estate.bucket.replace("-data.", "-reports."), estate.api):
        for method in ("GET", "HEAD", "PUT", "DELETE"):
            answer = estate.ask(host, named, method, b"x" if method == "PUT" else None)
            assert answer.status in (400, 403, 404), (host, method)
            assert b"nobody else" not in answer.body and b"root:" not in answer.body and b"run_id" not in answer.body


def _published(estate: Estate) -> bool:
    keys = estate.client("s3").list_objects_v2(Bucket=DATA_BUCKET, Prefix="tick/latest.json")
    if not keys["KeyCount"]:
        estate.sandbox.herd("run", "tick")
    return True


@pytest.mark.parametrize(
    "line",
    [
        b"GET http://HOST/echo/absolute HTTP/1.1",
        b"GET http://evil.example/echo/absolute HTTP/1.1",
        b"GET http://127.0.0.1:1/echo/absolute HTTP/1.1",
        b"GET //evil.example/echo/absolute\\@x HTTP/1.1",
        b"GET echo/absolute HTTP/1.1",
        b"GET @evil.example/echo/absolute HTTP/1.1",
        b"OPTIONS * HTTP/1.1",
        b"GET /echo/absolute#fragment HTTP/1.1",
        b"GET /echo/abs\x00olute HTTP/1.1",
        b"GET /echo/abs\xe9olute HTTP/1.1",
        b"GET /echo/abs\tolute HTTP/1.1",
        b"GET /echo/absolute\x7f HTTP/1.1",
    ],
)
def test_targets_that_are_no_paths_are_refused(estate: Estate, line: bytes) -> None:
    host = estate.balancer.encode()
    answer = estate.raw((line + b"\r\nHost: HOST\r\nConnection: close\r\n\r\n").replace(b"HOST", host))
    refused = answer.split(b" ")[1:2] in ([b"400"], [b"403"], [b"404"], [])
    assert refused, answer
    assert not [seen for seen in estate.seen() if "abs" in seen]


def test_dots_do_not_lead_from_one_service_to_another(estate: Estate) -> None:
    """The rule is chosen by the path as it was sent, and only its own service is asked."""
    for target in ("/echo/../v2/credentials/x", "/echo/%2e%2e/%2e%2e/x", "/echo/..%2f..%2fmoto-api/reset"):
        answer = estate.ask(estate.balancer, target)
        assert answer.status in (200, 400, 404)
        if answer.status == 200:
            assert json.loads(answer.body)["path"].endswith(target.removeprefix("/echo"))
    for target in ("/%65cho/x", "/x/../echo/x", "//echo/x", "/ECHO/x"):
        assert estate.ask(estate.balancer, target).status in (400, 404)


def test_two_hundred_slow_clients_keep_nobody_waiting(estate: Estate) -> None:
    raise_open_files()
    half = [
        b"GET /echo/slow HTTP/1.1\r\nHost: HOST\r\nX-Slow: ",
        b"POST /echo/slow HTTP/1.1\r\nHost: HOST\r\nContent-Length: 100000\r\n\r\nxx",
        b"POST / HTTP/1.1\r\nHost: API\r\nContent-Length: 100000\r\n\r\n",
        b"POST /echo/slow HTTP/1.1\r\nHost: HOST\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
        b"",
    ]
    slow = []
    try:
        for number in range(SLOW_CLIENTS):
            connection = socket.create_connection(("127.0.0.1", estate.port), 30)
            head = half[number % len(half)].replace(b"HOST", estate.balancer.encode())
            connection.sendall(head.replace(b"API", estate.api.encode()))
            slow.append(connection)
        times = []
        for _ in range(20):
            for connection in slow:
                dribble(connection)
            began = time.monotonic()
            assert estate.ask(estate.balancer, "/echo/quick").status == 200
            estate.client("sts").get_caller_identity()
            times.append(time.monotonic() - began)
        # Some hundredths; the rest is for a busy machine. Who waited for a slow client would wait for a minute.
        assert sorted(times)[len(times) // 2] < 2.0 and max(times) < 20.0, times
    finally:
        for connection in slow:
            connection.close()


def dribble(connection: socket.socket) -> None:
    """One more byte, unless the gateway has had enough of it."""
    with suppress(OSError):
        connection.sendall(b"x")


def pour(connection: socket.socket, total: int) -> int:
    """Send up to `total` bytes of a body, or until the other side has answered or closed; how many went."""
    piece, sent = b"x" * (1 << 18), 0
    connection.setblocking(False)
    deadline = time.monotonic() + 200
    while sent < total and time.monotonic() < deadline:
        readable, writable, _ = select.select([connection], [connection], [], 5)
        if readable:
            break
        if writable:
            try:
                sent += connection.send(piece[: total - sent])
            except OSError:
                break
    connection.setblocking(True)
    return sent


@pytest.mark.parametrize("framing", [b"Content-Length: %d" % BIG, b"Transfer-Encoding: chunked"])
def test_a_hundred_megabytes_of_a_stranger_are_not_read(estate: Estate, framing: bytes) -> None:
    before = estate.rss_mb()
    for host, line in ((estate.api, b"POST /"), (estate.bucket, b"PUT /tick/big"), (estate.api, b"PUT /bucket/key")):
        with socket.create_connection(("127.0.0.1", estate.port), 30) as connection:
            head = line + b" HTTP/1.1\r\nHost: " + host.encode() + b"\r\n" + framing + b"\r\n\r\n"
            connection.sendall(head + (b"%x\r\n" % BIG if b"chunked" in framing else b""))
            assert pour(connection, BIG) < BIG / 2
    assert estate.rss_mb() - before < 50


def test_a_signed_call_of_a_hundred_megabytes_is_refused(estate: Estate) -> None:
    before = estate.rss_mb()
    with pytest.raises(Exception, match=r"(?i)large|413|closed|reset|pipe"):
        estate.client("sqs").create_queue(QueueName="q", Attributes={"Policy": "x" * (20 * 2**20)})
    assert estate.rss_mb() - before < 80


def test_a_hundred_megabytes_go_through_to_a_service_without_being_kept(estate: Estate) -> None:
    before, most = estate.rss_mb(), 0.0
    done = threading.Event()

    def watch() -> None:
        nonlocal most
        while not done.wait(0.05):
            most = max(most, estate.rss_mb())

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        with socket.create_connection(("127.0.0.1", estate.port), 60) as connection:
            head = f"POST /echo/big HTTP/1.1\r\nHost: {estate.balancer}\r\nContent-Length: {BIG}\r\n\r\n"
            connection.sendall(head.encode())
            assert pour(connection, BIG) == BIG
            answer = b""
            while str(BIG).encode() not in answer and (piece := connection.recv(65536)):
                answer += piece
    finally:
        done.set()
        watcher.join()
    assert b" 200 " in answer and str(BIG).encode() in answer
    assert most - before < 50, f"{most - before:.0f} MB more while it went through"


@pytest.mark.parametrize(
    "headers",
    [
        b"".join(b"X-%d: y\r\n" % number for number in range(10_000)),
        b"X: " + b"y" * 1_000_000 + b"\r\n",
        b"X" * 1_000_000 + b": y\r\n",
        b"Cookie: " + b"a=b; " * 100_000 + b"\r\n",
        b"X:\r\n" * 100_000,
    ],
    ids=["ten-thousand", "long-value", "long-name", "cookies", "empty"],
)
def test_floods_of_headers_are_refused(estate: Estate, headers: bytes) -> None:
    before = estate.rss_mb()
    for host in (estate.api, estate.balancer):
        for _ in range(5):
            answer = estate.raw(b"GET /echo/flood HTTP/1.1\r\nHost: " + host.encode() + b"\r\n" + headers + b"\r\n")
            assert answer.split(b" ")[1:2] in ([b"400"], [b"403"], [b"431"], []), answer[:200]
    assert estate.rss_mb() - before < 50
    assert not [line for line in estate.seen() if "flood" in line]


def test_connections_do_not_pile_up(estate: Estate) -> None:
    """After all this the cloud holds no more connections and files than a client or two need."""
    eventually("connections to be closed", lambda: psutil.Process(estate.pid).num_fds() < 150)
