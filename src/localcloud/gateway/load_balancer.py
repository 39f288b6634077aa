"""Application Load Balancers: requests to a load balancer's host go to the healthy targets of the rule that takes them.

Source of the behaviour: "How Application Load Balancers work", "HTTP headers" and "Troubleshoot" in the ELB user guide.
Not like AWS: a target that refuses the connection is passed over for the next one (AWS answers 502), because here
targets start and stop in milliseconds; HTTPS listeners are served without TLS; no HTTP/2, no mutual TLS, no sign-in by
Cognito, no sticky sessions.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import aiohttp
from aiohttp import web
from multidict import CIMultiDict

from localcloud.agent.traffic import Traffic
from localcloud.gateway.http import forwardable, own_text, read_body
from localcloud.gateway.routing import (
    Asked,
    Balancer,
    Fixed,
    Forward,
    Redirect,
    RoundRobin,
    Rule,
    Unsupported,
    read_balancers,
)
from localcloud.gateway.sign_in import CALLBACK, HEADERS, SignIns
from localcloud.gateway.tunnel import is_websocket, tunnel
from localcloud.gateway.upstream import Answer, BadAnswer, CannotConnect, ClientStalled, Targets

log = logging.getLogger(__name__)

SMALL_BODY = 64 * 1024  # up to here a body of known length goes in one piece, which is much cheaper than a stream
FRESH_SECONDS = 0.2
STALE_SECONDS = 2.0


class RoutingTable:
    """The rules of all load balancers, read again from the API's state when older than a fifth of a second.

    Reading needs the server's lock. It is taken only if nobody holds it: requests are not kept waiting by a long API
    call, they are routed by the rules of a moment ago. Targets and their health are not copied: those are always the
    latest.
    """

    def __init__(
        self, lock: threading.RLock, backends: Callable[[], Sequence[Any]], zones: Callable[[], Sequence[Any]]
    ):
        self._lock = lock
        self._backends = backends
        self._zones = zones
        self._balancers: Mapping[str, Balancer] = {}
        self._read_at = float("-inf")

    async def find(self, dns_name: str) -> Balancer | None:
        age = time.monotonic() - self._read_at
        if age > FRESH_SECONDS and self._lock.acquire(blocking=False):
            try:
                self._read()
            finally:
                self._lock.release()
        elif age > STALE_SECONDS:
            await asyncio.to_thread(self._wait_and_read)
        return self._balancers.get(dns_name)

    def _wait_and_read(self) -> None:
        with self._lock:
            self._read()

    def _read(self) -> None:
        self._balancers = read_balancers(self._backends(), self._zones())
        self._read_at = time.monotonic()


@dataclass(frozen=True)
class OwnAnswer:
    """An answer of the load balancer itself, for the target group whose targets could not answer; "" for none."""

    response: web.Response
    group: str = ""


class LoadBalancers:
    """Answers requests to load balancers' hosts. Lives on the gateway's event loop."""

    def __init__(self, table: RoutingTable, port: int, traffic: Traffic | None = None):
        self._table = table
        self._port = port
        self._traffic = traffic or Traffic()
        self._turns = RoundRobin()
        self._targets = Targets()
        self._sign_ins = SignIns()

    def close(self) -> None:
        self._targets.close()

    async def answer(self, request: web.BaseRequest, dns_name: str) -> web.StreamResponse:
        balancer = await self._table.find(dns_name)
        if balancer is None:
            return own_text(404, f"no load balancer is called {dns_name}\n")
        path, _, query = request.raw_path.partition("?")
        asked = Asked(
            method=request.method,
            host=dns_name,
            path=path,
            query=query,
            headers=[(name.lower(), value) for name, value in request.headers.items()],
            client=request.remote or "127.0.0.1",
        )
        if path == CALLBACK and balancer.signs_in:
            return await self._sign_ins.finish(request, dns_name)
        rule = balancer.route(asked)
        identity: CIMultiDict[str] = CIMultiDict()
        if rule and rule.sign_in:
            person = self._sign_ins.person(request, dns_name, rule.sign_in)
            if person is not None:
                identity = self._sign_ins.headers(rule.sign_in, person)
            elif rule.sign_in.otherwise != "allow":
                return self._sign_ins.begin(request, dns_name, rule.sign_in)
        match rule.action if rule else None:
            case Forward() as forward:
                assert rule
                group = forward.choose()
                answer = await self._forward(request, balancer, rule, group, identity)
                if isinstance(answer, OwnAnswer):
                    self._traffic.failed(balancer.arn, answer.group, answer.response.status)
                    return answer.response
                return answer
            case Redirect() as redirect:
                return own_text(redirect.status, "", Location=redirect.location(asked, self._port))
            case Fixed() as fixed:
                return web.Response(
                    status=fixed.status, body=fixed.body.encode(), headers={"Content-Type": fixed.content_type}
                )
            case Unsupported() as unsupported:
                return own_text(501, unsupported.text + "\n")
            case None:
                return own_text(503, f"{dns_name} has no listener\n")

    async def _forward(
        self, request: web.BaseRequest, balancer: Balancer, rule: Rule, group: Any | None, identity: CIMultiDict[str]
    ) -> web.StreamResponse | OwnAnswer:
        targets = self._turns.order(group) if group is not None else []
        if group is None or not targets:
            return OwnAnswer(own_text(503, "503 Service Temporarily Unavailable: no healthy target\n"))
        chosen = str(group.arn)
        try:
            url = rule.url(request.raw_path)
        except ValueError as error:
            log.warning("%s", error)
            return OwnAnswer(own_text(500, f"{error}\n"), chosen)
        headers = self._headers_for_target(request, rule)
        headers.extend(identity)
        try:
            body = await _body(request)
        except TimeoutError:
            return OwnAnswer(_stalled(), chosen)
        began = time.monotonic()
        for address in targets:
            try:
                answer = await self._targets.ask(address, request.method, url, headers, body, balancer.idle_seconds)
            except CannotConnect:
                continue  # nothing has been sent, so the next target can be asked instead
            except ClientStalled:
                return OwnAnswer(_stalled(), chosen)
            except TimeoutError:
                return OwnAnswer(own_text(504, "504 Gateway Time-out: the target did not answer\n"), chosen)
            except BadAnswer as error:
                log.info("%s %s: %s", request.method, request.raw_path, error)
                text = "502 Bad Gateway: the target closed the connection or sent no valid response\n"
                return OwnAnswer(own_text(502, text), chosen)
            self._traffic.answered(balancer.arn, chosen, answer.status, time.monotonic() - began)
            try:
                return await _relay(request, answer, balancer.idle_seconds)
            finally:
                self._targets.release(answer)
        return OwnAnswer(own_text(502, "502 Bad Gateway: no target accepted the connection\n"), chosen)

    def _headers_for_target(self, request: web.BaseRequest, rule: Rule) -> CIMultiDict[str]:
        headers = forwardable(request.headers.items())
        for name in HEADERS:
            headers.popall(name, None)  # only the load balancer says who somebody is
        if request.body_exists and request.content_length is not None:
            headers["Content-Length"] = str(request.content_length)
        if is_websocket(request):
            headers["Connection"], headers["Upgrade"] = "Upgrade", "websocket"
        for rewrite in rule.rewrite_host:
            headers["Host"] = rewrite.apply(headers["Host"])
        # All of a request's X-Forwarded-For lines count as one list, to which the client's address is added.
        chain = [*request.headers.getall("X-Forwarded-For", []), request.remote or "127.0.0.1"]
        headers["X-Forwarded-For"] = ", ".join(chain)
        headers["X-Forwarded-Proto"] = "http"
        headers["X-Forwarded-Port"] = str(self._port)
        if "X-Amzn-Trace-Id" not in headers:
            headers["X-Amzn-Trace-Id"] = f"Root=1-{int(time.time()):08x}-{secrets.token_hex(12)}"
        return headers


async def _body(request: web.BaseRequest) -> bytes | aiohttp.StreamReader:
    if not request.body_exists:
        return b""
    if request.content_length is not None and request.content_length <= SMALL_BODY:
        return await read_body(request, SMALL_BODY)
    return request.content


def _stalled() -> web.Response:
    response = own_text(408, "408 Request Timeout: the rest of the body did not come\n")
    response.force_close()
    return response


async def _relay(request: web.BaseRequest, answer: Answer, idle_seconds: float) -> web.StreamResponse:
    """Passes a target's answer on, piece by piece as it comes."""
    headers = forwardable(answer.headers.items())
    if answer.status == 101:
        return await tunnel(request, answer, headers, idle_seconds)
    length = answer.headers.get("Content-Length")
    response: web.StreamResponse
    if length is not None and int(length) <= SMALL_BODY and request.method != "HEAD":
        try:
            body = await answer.content.read()
        except (aiohttp.ClientError, TimeoutError):
            return own_text(502, "502 Bad Gateway: the target's response ended too early\n")
        response = web.Response(status=answer.status, reason=answer.reason, headers=headers, body=body)
        if is_websocket(request):
            response.force_close()  # what follows a refused upgrade would not be read as requests
        return response
    if length is not None:
        headers["Content-Length"] = length
    response = web.StreamResponse(status=answer.status, reason=answer.reason, headers=headers)
    if is_websocket(request):
        response.force_close()
    await response.prepare(request)
    try:
        async for chunk in answer.content.iter_any():
            await response.write(chunk)
        await response.write_eof()
    except (aiohttp.ClientError, TimeoutError) as error:
        # Too late for a status: the only honest thing is to let the client see that the response is cut off.
        request.protocol.force_close()
        raise ConnectionResetError("the target's response ended too early") from error
    return response
