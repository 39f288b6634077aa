"""Load balancers end to end: real targets behind rules declared with boto3, asked over sockets."""

from __future__ import annotations

import http.client
import json
import socket
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
import websockets.sync.client
import websockets.sync.server

from localcloud.gateway import upstream
from tests.localcloud.gateway.serving import REGION, Balancer, Target


def test_its_name_is_the_gateways(balancer: Balancer, site: Any) -> None:
    assert balancer.host.endswith(f".{REGION}.elb.localhost:{site.port}")
    assert site.ask(f"other-1.{REGION}.elb.localhost:{site.port}").status == 404


def test_a_request_reaches_the_target_without_the_prefix(api: Balancer) -> None:
    answer = api.ask("/api/predict?month=3&q=a%20b", "POST", b"x" * 10, X_Own="1", Content_Type="text/csv")
    said = json.loads(answer.body)
    assert (answer.status, said["method"], said["url"], said["body"]) == (200, "POST", "/predict?month=3&q=a%20b", 10)
    headers = said["headers"]
    assert headers["host"] == api.host
    assert (headers["x-own"], headers["content-type"]) == ("1", "text/csv")
    assert headers["x-forwarded-for"] == "127.0.0.1"
    assert headers["x-forwarded-proto"] == "http"
    assert headers["x-forwarded-port"] == str(api.site.port)
    assert headers["x-amzn-trace-id"].startswith("Root=1-")
    assert "accept-encoding" not in headers or headers["accept-encoding"] == "identity"


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has more than one address of its own")
def test_targets_are_not_asked_from_the_address_that_servers_trust(api: Balancer, target: Target) -> None:
    """What a server only believes of its own machine would work here and fail on AWS."""
    assert api.ask("/api/x").status == 200
    assert {host for host, _ in target.peers} == {"127.0.0.2"}


def test_forwarded_for_is_added_to(api: Balancer) -> None:
    said = json.loads(api.ask("/api/x", X_Forwarded_For="10.0.0.1, 10.0.0.2").body)
    assert said["headers"]["x-forwarded-for"] == "10.0.0.1, 10.0.0.2, 127.0.0.1"


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "PATCH", "DELETE"])
def test_every_method(api: Balancer, method: str) -> None:
    answer = api.ask("/api/x", method)
    assert answer.status == 200
    if method == "HEAD":
        assert (answer.body, int(answer.headers["content-length"]) > 100) == (b"", True)
    else:
        assert json.loads(answer.body)["method"] == method


def test_status_reason_and_cookies_come_back_but_no_cors(api: Balancer) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", api.site.port, timeout=10)
    connection.request("GET", "/api/headers", headers={"Host": api.host})
    response = connection.getresponse()
    assert (response.status, response.reason, response.read()) == (201, "Made", b"ok")
    assert response.headers.get_all("Set-Cookie") == ["a=1", "b=2"]
    assert "Access-Control-Allow-Origin" not in response.headers
    assert "X-Private" not in response.headers
    connection.close()


def test_no_content(api: Balancer) -> None:
    answer = api.ask("/api/empty")
    assert (answer.status, answer.body) == (204, b"")


def test_large_bodies_go_both_ways(api: Balancer) -> None:
    assert len(api.ask("/api/large").body) == 5_000_000
    assert json.loads(api.ask("/api/x", "POST", b"y" * 3_000_000).body)["body"] == 3_000_000


def test_a_chunked_upload(api: Balancer) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", api.site.port, timeout=10)
    connection.request(
        "POST", "/api/x", body=iter([b"a" * 1000, b"b" * 500]), headers={"Host": api.host}, encode_chunked=True
    )
    assert json.loads(connection.getresponse().read())["body"] == 1500
    connection.close()


def test_events_arrive_when_they_are_sent(api: Balancer, target: Target) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", api.site.port, timeout=10)
    connection.request("GET", "/api/stream", headers={"Host": api.host})
    response = connection.getresponse()  # the head alone has come, nothing has been written yet
    assert response.headers["Content-Type"] == "text/event-stream"
    target.next_step()
    assert response.readline() + response.readline() == b"data: one\n\n"
    target.next_step()
    assert response.read() == b"data: two\n\n"
    connection.close()


def test_the_targets_request_ends_when_the_client_hangs_up(api: Balancer, target: Target) -> None:
    with socket.create_connection(("127.0.0.1", api.site.port)) as connection:
        connection.sendall(f"GET /api/forever HTTP/1.1\r\nHost: {api.host}\r\n\r\n".encode())
        deadline = time.monotonic() + 60
        while not target.requests and time.monotonic() < deadline:
            time.sleep(0.01)
    assert target.gone.wait(50), "it would have been answered after a minute"


def test_no_rule_takes_it(api: Balancer) -> None:
    answer = api.ask("/elsewhere")
    assert (answer.status, answer.body, answer.headers["content-type"]) == (404, b"nothing here", "text/plain")


def test_redirects(balancer: Balancer) -> None:
    balancer.rule("/old/*", {"Type": "redirect", "RedirectConfig": {"Path": "/new/#{path}", "StatusCode": "HTTP_301"}})
    answer = balancer.ask("/old/x?y=1")
    assert (answer.status, answer.headers["location"]) == (301, f"http://{balancer.host}/new/old/x?y=1")


def test_healthy_targets_take_turns_and_changes_count_at_once(balancer: Balancer, target: Target) -> None:
    other = Target("two")
    try:
        group = balancer.group(target.port, other.port)
        balancer.forward("/*", group)
        assert [json.loads(balancer.ask("/").body)["target"] for _ in range(4)] == ["one", "two", "one", "two"]
        balancer.health(group, "unhealthy", target.port)
        assert {json.loads(balancer.ask("/").body)["target"] for _ in range(4)} == {"two"}
        balancer.health(group, "draining", other.port)
        assert json.loads(balancer.ask("/").body)["target"] == "one"  # fails open: all that is left is unhealthy
    finally:
        other.close()


def test_requests_are_counted_by_what_became_of_them(balancer: Balancer, site: Any, target: Target) -> None:
    empty, group = balancer.group(), balancer.group(target.port)
    balancer.forward("/none/*", empty)
    balancer.forward("/*", group)
    site.traffic.take()
    statuses = [balancer.ask(path).status for path in ("/a", "/broken", "/none/x", "/hang-up")]
    assert statuses == [200, 500, 503, 502]
    taken = site.traffic.take()
    counts = {(of, name): values.count for _, arn, of, name, values in taken if arn == balancer.arn}
    assert counts == {
        (group, "RequestCount"): 3,
        (group, "TargetResponseTime"): 2,
        (group, "HTTPCode_Target_2XX_Count"): 1,
        (group, "HTTPCode_Target_5XX_Count"): 1,
        ("", "HTTPCode_ELB_5XX_Count"): 2,
    }
    assert site.traffic.take() == []


@pytest.mark.parametrize("state", ["initial", "draining"])
def test_without_a_target_that_may_be_asked_it_is_503(balancer: Balancer, target: Target, state: str) -> None:
    balancer.forward("/none/*", balancer.group())
    balancer.forward("/*", balancer.group(target.port, state=state))
    assert balancer.ask("/none/x").status == 503
    assert balancer.ask("/x").status == 503
    assert target.requests == 0


def test_a_target_that_refuses_is_passed_over(balancer: Balancer, target: Target) -> None:
    with socket.socket() as dead:  # has the port, so that nobody else gets it, and does not listen
        dead.bind(("127.0.0.1", 0))
        closed = dead.getsockname()[1]
        balancer.forward("/one/*", balancer.group(closed))
        balancer.forward("/*", balancer.group(closed, target.port))
        assert {json.loads(balancer.ask("/x", "POST", b"abc").body)["body"] for _ in range(4)} == {3}
        assert balancer.ask("/one/x").status == 502


def test_a_target_that_hangs_up_is_502(api: Balancer) -> None:
    assert api.ask("/api/hang-up", "POST", b"x").status == 502


def test_a_target_that_is_silent_is_504(api: Balancer) -> None:
    api.elb.modify_load_balancer_attributes(
        LoadBalancerArn=api.arn, Attributes=[{"Key": "idle_timeout.timeout_seconds", "Value": "1"}]
    )
    time.sleep(0.25)
    assert api.ask("/api/forever").status == 504


def test_a_response_that_breaks_off_is_seen_to_break_off(api: Balancer) -> None:
    with pytest.raises((http.client.IncompleteRead, ConnectionResetError)):
        api.ask("/api/cut")


def test_a_client_that_stops_in_the_middle_of_its_body_is_408(api: Balancer) -> None:
    api.elb.modify_load_balancer_attributes(
        LoadBalancerArn=api.arn, Attributes=[{"Key": "idle_timeout.timeout_seconds", "Value": "1"}]
    )
    time.sleep(0.25)
    head = f"POST /api/x HTTP/1.1\r\nHost: {api.host}\r\nContent-Length: 100000\r\n\r\n"
    assert api.site.raw(head.encode() + b"x" * 500, timeout=20).startswith(b"HTTP/1.1 408 ")


def test_a_client_that_hangs_up_in_the_middle_of_its_body_harms_nobody(api: Balancer) -> None:
    head = f"POST /api/x HTTP/1.1\r\nHost: {api.host}\r\nContent-Length: 100000\r\n\r\n"
    with socket.create_connection(("127.0.0.1", api.site.port)) as connection:
        connection.sendall(head.encode() + b"x" * 500)
    assert json.loads(api.ask("/api/x", "POST", b"y" * 100_000).body)["body"] == 100_000


def test_connections_to_a_target_are_kept_and_given_up(
    api: Balancer, target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upstream, "POOL_SECONDS", 60)
    for _ in range(4):
        assert api.ask("/api/x").status == 200
    monkeypatch.setattr(upstream, "POOL_SECONDS", 0.5)
    assert api.ask("/api/x").status == 200
    assert target.connections == 1
    time.sleep(2)
    assert api.ask("/api/x").status == 200
    assert target.connections == 2


def test_a_rewrite_to_nowhere_is_500(balancer: Balancer, target: Target) -> None:
    rewrite = {"Type": "url-rewrite", "UrlRewriteConfig": {"Rewrites": [{"Regex": "^/(.*)$", "Replace": "$1"}]}}
    balancer.forward("/*", balancer.group(target.port), Transforms=[rewrite])
    assert balancer.ask("/x").status == 500
    assert target.requests == 0


def test_many_requests_on_one_connection(api: Balancer) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", api.site.port, timeout=10)
    for number in range(50):
        connection.request("GET", f"/api/{number}", headers={"Host": api.host})
        assert json.loads(connection.getresponse().read())["url"] == f"/{number}"
    connection.close()


def test_a_page_of_its_own_may_post_and_another_may_not(api: Balancer) -> None:
    assert api.ask("/api/x", "POST", b"{}", Origin=f"http://{api.host}").status == 200
    assert api.ask("/api/x", "POST", b"{}", Origin="https://evil.example").status == 403


@pytest.fixture
def echo() -> Iterator[int]:
    """A websocket server that sends back what it gets; `bye` makes it close."""

    def answer(connection: websockets.sync.server.ServerConnection) -> None:
        connection.send(connection.request.path)
        for message in connection:
            if message == "bye":
                connection.close(1001, "as you wish")
                return
            connection.send(message)

    server = websockets.sync.server.serve(answer, "127.0.0.1", 0, subprotocols=["chat"], max_size=None)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server.socket.getsockname()[1]
    server.shutdown()
    thread.join()


def connect(balancer: Balancer, path: str, **options: Any) -> websockets.sync.client.ClientConnection:
    sock = socket.create_connection(("127.0.0.1", balancer.site.port))
    return websockets.sync.client.connect(
        f"ws://{balancer.host}{path}", sock=sock, max_size=None, proxy=None, **options
    )


def test_websockets(balancer: Balancer, echo: int) -> None:
    rewrite = {"Type": "url-rewrite", "UrlRewriteConfig": {"Rewrites": [{"Regex": "^/app/?(.*)$", "Replace": "/$1"}]}}
    balancer.forward("/app/*", balancer.group(echo), Transforms=[rewrite])
    with connect(balancer, "/app/live?x=1", subprotocols=["chat"], origin=f"http://{balancer.host}") as client:
        assert client.subprotocol == "chat"
        assert client.recv(10) == "/live?x=1"
        for message in ("hello", b"\x00\x01", "ü" * 100_000, b"z" * 2_000_000):
            client.send(message)
            assert client.recv(10) == message
        client.ping().wait(5)
        client.send("bye")
        with pytest.raises(websockets.exceptions.ConnectionClosed) as closed:
            client.recv(10)
        assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (1001, "as you wish")


def test_a_websocket_that_is_refused_gets_the_targets_answer(api: Balancer, target: Target) -> None:
    with pytest.raises(websockets.exceptions.InvalidStatus) as refused:
        connect(api, "/api/headers")
    assert refused.value.response.status_code == 201
    with pytest.raises(websockets.exceptions.InvalidStatus):
        connect(api, "/api/x", origin="https://evil.example")


def test_an_idle_websocket_is_closed(balancer: Balancer, echo: int) -> None:
    balancer.elb.modify_load_balancer_attributes(
        LoadBalancerArn=balancer.arn, Attributes=[{"Key": "idle_timeout.timeout_seconds", "Value": "3"}]
    )
    balancer.forward("/*", balancer.group(echo))
    with connect(balancer, "/", subprotocols=["chat"]) as client:
        assert client.recv(10) == "/"
        for _ in range(5):  # traffic keeps it open past the time-out
            time.sleep(0.8)
            client.send("x")
            assert client.recv(10) == "x"
        with pytest.raises(websockets.exceptions.ConnectionClosed):
            client.recv(15)
