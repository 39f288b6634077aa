"""Who is let in at all: host names, other origins, moto's back door, limits."""

from __future__ import annotations

import gc
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from typing import Any

import pytest

from localcloud import gateway
from localcloud.agent.identity import TaskIdentity
from localcloud.gateway.hosts import Api, Bucket, LoadBalancer, Registry, site_of


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1:4000", Api()),
        ("LOCALHOST:4000", Api()),
        ("my.bucket.s3.eu-west-1.localhost:4000", Bucket("my.bucket", "eu-west-1")),
        ("herd-dev-123.eu-west-1.elb.localhost:4000", LoadBalancer("herd-dev-123.eu-west-1.elb.localhost")),
        ("123456789012.dkr.ecr.eu-west-1.localhost:4000", Registry()),
        ("127.0.0.1", None),
        ("127.0.0.1:4001", None),
        ("evil.example:4000", None),
        ("evil.example", None),
        ("127.0.0.1:4000.evil.example:4000", None),
        ("x.s3.eu-west-1.localhost.evil.example:4000", None),
        ("xxx.s3.eu-west-1.localhost:4000 ", None),
        ("[::1]:4000", None),
        ("", None),
    ],
)
def test_hosts_are_those_the_cloud_gave_out(host: str, expected: Any) -> None:
    assert site_of(host, 4000) == expected


def test_another_host_is_refused_whatever_it_asks(site: Any) -> None:
    answer = site.ask("attacker.example", "/latest")
    assert answer.status == 403
    assert "own names only" in answer.text
    assert site.ask(f"evil.example:{site.port}").status == 403


def test_without_a_host_or_with_two_nothing_is_served(site: Any) -> None:
    assert b" 403 " in site.raw(b"GET / HTTP/1.0\r\n\r\n").split(b"\r\n")[0]
    two = f"GET / HTTP/1.1\r\nHost: {site.address}\r\nHost: evil.example\r\n\r\n".encode()
    assert site.raw(two).split(b" ")[1] in (b"400", b"403")


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "null", "http://127.0.0.1:1", "http://localhost.evil.example"]
)
def test_pages_of_other_origins_are_refused_and_told_nothing(site: Any, origin: str) -> None:
    for method in ("GET", "POST", "OPTIONS"):
        answer = site.ask(site.address, "/", method, Origin=origin, Access_Control_Request_Method="PUT")
        assert answer.status == 403
        assert not [name for name in answer.headers if name.startswith("access-control")]


def test_no_answer_ever_has_a_cors_header(site: Any) -> None:
    s3 = site.client("s3")
    bucket = site.bucket()
    rule = {"AllowedMethods": ["GET"], "AllowedOrigins": ["*"]}
    s3.put_bucket_cors(Bucket=bucket, CORSConfiguration={"CORSRules": [rule]})
    headers = s3.list_buckets()["ResponseMetadata"]["HTTPHeaders"]
    assert not [name for name in headers if name.startswith("access-control")]


@pytest.mark.parametrize(
    "path", ["/moto-api/data.json", "/moto-api/reset", "/moto-api/", "//moto-api/reset", "/./moto-api/reset"]
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_motos_control_interface_has_no_route(site: Any, path: str, method: str) -> None:
    answer = site.ask(site.address, path, method, b"" if method == "POST" else None)
    assert answer.status in (403, 404)
    assert b"reset" not in answer.body or b"Denied" in answer.body


def test_a_signed_request_to_motos_control_interface_does_nothing(site: Any) -> None:
    s3 = site.client("s3")
    kept = site.bucket()
    url = s3.generate_presigned_url("get_object", Params={"Bucket": "moto-api", "Key": "reset"})
    assert site.ask(site.address, url.partition(site.address)[2]).status in (403, 404)
    assert [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]] == [kept]


def test_the_registry_says_that_it_is_none(site: Any) -> None:
    answer = site.ask(f"123456789012.dkr.ecr.eu-west-1.localhost:{site.port}", "/v2/")
    assert answer.status == 501
    assert "no registry protocol" in answer.text


@pytest.mark.parametrize(
    ("head", "statuses"),
    [
        (b"GET http://evil.example/ HTTP/1.1\r\nHost: HOST\r\n\r\n", (b"400",)),
        (b"GET /a#b HTTP/1.1\r\nHost: HOST\r\n\r\n", (b"400",)),
        (b"GET /\xc3\xa9 HTTP/1.1\r\nHost: HOST\r\n\r\n", (b"400",)),
        (b"GET / HTTP/1.1\r\nHost: HOST\r\nX: " + b"a" * 20000 + b"\r\n\r\n", (b"400", b"431")),
        (b"GET /" + b"a" * 20000 + b" HTTP/1.1\r\nHost: HOST\r\n\r\n", (b"400", b"414")),
        (
            b"POST / HTTP/1.1\r\nHost: HOST\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            (b"400",),
        ),
        (b"POST / HTTP/1.1\r\nHost: HOST\r\nContent-Length: -1\r\n\r\n", (b"400",)),
        (b"nonsense\r\n\r\n", (b"400",)),
    ],
)
def test_broken_or_oversized_heads_are_refused(site: Any, head: bytes, statuses: tuple[bytes, ...]) -> None:
    answer = site.raw(head.replace(b"HOST", site.address.encode()), timeout=20)
    assert answer.split(b" ")[1] in statuses


def test_a_head_that_never_ends_is_cut_off(site: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    # The gateway of the fixture has the real limit: this test makes one of its own with a short one.
    monkeypatch.setattr(gateway, "IDLE_SECONDS", 1)
    listener = socket.create_server(("127.0.0.1", 0))
    slow = gateway.Gateway(listener, site.server, site.keyring, list, list, list)
    slow.start()
    try:
        with socket.create_connection(("127.0.0.1", listener.getsockname()[1]), 30) as connection:
            connection.sendall(b"GET / HTTP/1.1\r\n")
            began = time.monotonic()
            connection.sendall(b"X-Slow: 1\r\n")
            assert connection.recv(100) == b""
            assert time.monotonic() - began < 20
    finally:
        slow.stop()


def test_connections_that_are_made_while_it_ends_are_closed(site: Any) -> None:
    for _ in range(5):
        listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        ending = gateway.Gateway(listener, site.server, site.keyring, list, list, list)
        ending.start()
        address, closed = listener.getsockname(), threading.Event()

        def connect(address: tuple[str, int] = address, closed: threading.Event = closed) -> None:
            with ExitStack() as connections, suppress(OSError):
                while not closed.is_set():
                    connections.enter_context(socket.create_connection(address, 1))

        with ThreadPoolExecutor(4) as clients:
            for _ in range(4):
                clients.submit(connect)
            time.sleep(0.03)
            ending.stop()
            closed.set()
        del ending
        gc.collect()  # a connection that is still open is warned of, which fails this test


def test_a_stranger_cannot_make_it_read_a_body(site: Any) -> None:
    head = f"PUT /b/k HTTP/1.1\r\nHost: {site.address}\r\nContent-Length: 900000000\r\nExpect: 100-continue\r\n\r\n"
    with socket.create_connection(("127.0.0.1", site.port), 10) as connection:
        connection.sendall(head.encode())
        assert connection.recv(65536).startswith(b"HTTP/1.1 403 ")


def test_the_port_is_on_loopback_only(site: Any) -> None:
    addresses = {info[4][0] for info in socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET)}
    for address in addresses - {"127.0.0.1"}:
        if not address.startswith("127."):
            with pytest.raises(OSError), socket.create_connection((address, site.port), 1):
                pass


def test_a_task_fetches_and_uses_its_own_keys(site: Any) -> None:
    task = TaskIdentity("arn:aws:ecs:eu-west-1:1:task/herd/abc123", "arn:aws:iam::1:role/herd-dev/tasks/train", "train")
    path, token = site.keyring.admit(task)
    assert site.ask(site.address, path).status == 403
    assert site.ask(site.address, path, Authorization="wrong").status == 403
    assert site.ask(site.address, path, "POST", b"", Authorization=token).status == 405
    answer = site.ask(site.address, path, Authorization=token)
    assert answer.status == 200
    assert answer.headers["content-type"].startswith("application/json")
    assert "train" in answer.text
