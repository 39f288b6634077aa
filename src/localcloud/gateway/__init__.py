"""The gateway: the local cloud's one port. Everything from outside comes through here, and is told apart by its host
name.

In this order: is the host one of ours; does a page of another origin stand behind it; what does the host name. Signed
requests go to the AWS API, load balancers' hosts to the services behind them, unsigned ones to a bucket's host read
public objects.
"""

from __future__ import annotations

import asyncio
import logging
import re
import socket
import tempfile
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from aiohttp import web
from multidict import CIMultiDict

from localcloud.agent.traffic import Traffic
from localcloud.credentials import CREDENTIALS_PATH, Keyring
from localcloud.gateway import hosts, origins
from localcloud.gateway.aws_api import AwsApi
from localcloud.gateway.distributions import Distributions
from localcloud.gateway.errors import s3_error, too_large
from localcloud.gateway.http import BodyTooLarge, forwardable, own_text, read_body
from localcloud.gateway.inbox import InboxPage
from localcloud.gateway.load_balancer import LoadBalancers, RoutingTable
from localcloud.gateway.mail_links import MailLinks
from localcloud.gateway.pages import Pages
from localcloud.gateway.spooling import CannotSpool, Spool, hashes_for, spool
from localcloud.gateway.website import Websites
from localcloud.request import Response
from localcloud.server import Server
from localcloud.signing import Message, SignatureRefused, read_claim

log = logging.getLogger(__name__)

MAX_LINE_BYTES = 16 * 1024  # request line and each header field, as an Application Load Balancer
MAX_HEADERS = 200
MAX_OBJECT_BYTES = 5 * 1024**3  # of one request, as S3 says itself; SDKs send larger ones in parts
SPOOLED_BYTES = 128 * 1024  # smaller objects are not worth a file before they are known to be wanted
SENT_AT_ONCE_BYTES = 512 * 1024
MAX_CALL_BYTES = 16 * 1024 * 1024
_TURNS = 3
"""Of the loop, until what was accepted is a connection."""

IDLE_SECONDS = 65  # how long a connection may be without a complete request, from its first byte on
MAX_PACKAGE_BYTES = 70_167_211  # of a request with a function's package, as Lambda says itself

MAIL_PATH = "/v2/email/outbound-emails"
MAX_MAIL_BYTES = 57 * 1024 * 1024  # 40 MB of a message in Base64, which SES takes

_PACKAGE = re.compile(r"/2015-03-31/functions/?")

WAITERS = 256
"""Invocations of functions that somebody waits for: what they call themselves must find a worker."""

_INVOCATION = re.compile(r"/\d{4}-\d\d-\d\d/functions/[^/]+/invocations/?")

WORKERS = 32  # requests wait for the server's lock in these threads

_TARGET = re.compile(r"/[!\"$-~]*")  # visible ASCII but "#": a path and query, neither an address nor a fragment

_T = TypeVar("_T")


class Gateway:
    """Serves `listener` (a listening socket on loopback) from an event loop on its own thread.

    `backends` gives moto's elbv2 backends of the account, `zones` its hosted zones of Route 53,
    `distributions` those of CloudFront; `traffic` counts the requests to load balancers. Objects that arrive are
    drafts in the folder `spool`.
    """

    def __init__(
        self,
        listener: socket.socket,
        server: Server,
        keyring: Keyring,
        backends: Callable[[], Sequence[Any]],
        zones: Callable[[], Sequence[Any]],
        distributions: Callable[[], Sequence[Any]],
        traffic: Traffic | None = None,
        spool: Path | None = None,
    ):
        self._listener = listener
        self._port = int(listener.getsockname()[1])
        self._keyring = keyring
        self._traffic = traffic
        self._spool = spool or Path(tempfile.gettempdir())
        self._api = AwsApi(server, keyring.find)
        self._pages = Pages(server)
        self._inbox, self._mail_links = InboxPage(server.account), MailLinks(server)
        self._websites = Websites(server, self._pages)
        self._distributions = Distributions(self._pages, distributions)
        self._table = RoutingTable(server.lock, backends, zones)
        self._workers = ThreadPoolExecutor(WORKERS, thread_name_prefix="gateway")
        self._waiters = ThreadPoolExecutor(WAITERS, thread_name_prefix="gateway-invoke")
        self._thread = threading.Thread(target=self._run, name="gateway", daemon=True)
        self._started = threading.Event()
        self._failure: BaseException | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ended: asyncio.Event | None = None
        self._load_balancers: LoadBalancers | None = None

    def start(self) -> None:
        """Returns when the port answers. Raises what kept it from doing so."""
        self._thread.start()
        self._started.wait()
        if self._failure is not None:
            raise self._failure

    def stop(self) -> None:
        """Closes the port; requests under way have a second to end."""
        if self._loop is not None and self._ended is not None and self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._ended.set)
            self._thread.join()
        self._workers.shutdown(wait=False, cancel_futures=True)
        self._waiters.shutdown(wait=False, cancel_futures=True)
        self._listener.close()

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as error:
            self._failure = error
            log.exception("the gateway ended")
        finally:
            self._started.set()

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._ended = asyncio.Event()
        self._load_balancers = LoadBalancers(self._table, self._port, self._traffic)
        runner = web.ServerRunner(
            web.Server(
                self._answer,
                handler_cancellation=True,
                auto_decompress=False,
                keepalive_timeout=IDLE_SECONDS,
                max_line_size=MAX_LINE_BYTES,
                max_field_size=MAX_LINE_BYTES,
                max_headers=MAX_HEADERS,
                access_log=None,
            ),
            shutdown_timeout=1.0,
        )
        await runner.setup()
        await web.SockSite(runner, self._listener).start()
        self._started.set()
        await self._ended.wait()
        # asyncio (python/cpython#109564) and aiohttp leave a connection open that is made while they close the others.
        self._loop.remove_reader(self._listener)
        for _ in range(_TURNS):
            await asyncio.sleep(0)
        await runner.cleanup()
        self._load_balancers.close()

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        host_headers = request.headers.getall("Host", [])
        site = hosts.site_of(host_headers[0], self._port) if len(host_headers) == 1 else None
        if site is None or (isinstance(site, hosts.Declared) and await self._table.find(site.name) is None):
            named = host_headers[0] if host_headers else "nothing"
            return _refusal(403, f"this port serves the local cloud's own names only, not {named[:200]!r}\n")
        target = request.raw_path
        if _TARGET.fullmatch(target) is None:
            return _refusal(400, "the request's target is not a path\n")
        # Pages of other origins may neither ask nor be told that they could: there is no CORS here, not even a
        # refusal's header.
        if origins.is_foreign(request.method, request.headers, host_headers[0]):
            return _refusal(403, "requests from pages of other origins are not served\n")
        match site:
            case hosts.LoadBalancer(dns_name) | hosts.Declared(dns_name):
                assert self._load_balancers
                await _continue(request)
                return await self._load_balancers.answer(request, dns_name)
            case hosts.Registry():
                return own_text(501, "images are kept by the local cloud itself; there is no registry protocol here\n")
            case hosts.Api() if request.path.startswith(CREDENTIALS_PATH):
                return self._credentials(request, request.headers.get("Authorization", ""))
            case hosts.TaskCredentials():
                return self._credentials(request, None)
            case hosts.Api():
                return await self._aws(request)
            case hosts.Distribution(domain):
                message = _message(request)
                return await self._sent(lambda: self._distributions.answer(message, domain), request)
            case hosts.Inbox():
                message = _message(request)
                return _reply(await self._in_worker(lambda: self._inbox.answer(message)), request)
            case hosts.MailLink(service, region):
                message = _message(request)
                return _reply(await self._in_worker(lambda: self._mail_links.answer(message, service, region)), request)
            case hosts.Website(name, region):
                message = _message(request)
                return await self._sent(lambda: self._websites.answer(message, name, region), request)
            case hosts.Bucket(name, region):
                message = _message(request)
                if _is_signed(message):
                    return await self._aws(request)
                return await self._sent(lambda: self._pages.answer(message, name, region), request)

    async def _aws(self, request: web.BaseRequest) -> web.StreamResponse:
        message = _message(request)
        try:
            # Before the body is read: strangers may not fill the memory.
            self._api.precheck(message)
            if self._api.puts_bytes(message) and not _is_small(request):
                return await self._put(request, message)
            await _continue(request)
            is_object = message.header("x-amz-target") is None and message.method == "PUT"
            is_package = _PACKAGE.fullmatch(message.path) is not None
            most = MAX_PACKAGE_BYTES if is_object or is_package else MAX_CALL_BYTES
            most = MAX_MAIL_BYTES if message.path == MAIL_PATH else most
            body = await read_body(request, most)
        except SignatureRefused as refused:
            return _reply(self._api.refuse(refused, message), request, close=request.body_exists)
        except BodyTooLarge as large:
            return _reply(too_large(message, large.limit), request, close=True)
        except TimeoutError:
            return _refusal(408, "the request's body did not arrive in time\n")
        assert self._loop
        workers = self._waiters if _INVOCATION.fullmatch(message.path) else self._workers
        return await self._sent(lambda: self._api.answer(message, body), request, workers)

    async def _put(self, request: web.BaseRequest, message: Message) -> web.StreamResponse:
        """An object that is written to the disk as it arrives. Raises what `spool` raises."""
        admitted = await self._in_worker(lambda: self._api.admit(message))
        if isinstance(admitted, Response):
            return _reply(admitted, request, close=True)
        await _continue(request)
        decoder = admitted.decoder()
        try:
            into = Spool(self._spool, hashes_for(message.headers), decoder)
            await spool(request, into, self._workers, MAX_OBJECT_BYTES)
        except CannotSpool as error:
            log.error("an object is not taken: %s", error)
            text = f"The object was not stored: the local cloud cannot write it: {error}"
            return _reply(s3_error(503, "ServiceUnavailable", text, message.path), request, close=True)
        return await self._sent(lambda: self._api.answer_put(admitted, decoder, into.finished()), request)

    async def _sent(
        self, answer: Callable[[], Response], request: web.BaseRequest, workers: ThreadPoolExecutor | None = None
    ) -> web.StreamResponse:
        assert self._loop
        work = self._loop.run_in_executor(workers or self._workers, lambda: _with_small_body(answer(), request))
        return await self._send(await work, request)

    async def _send(self, answer: Response, request: web.BaseRequest) -> web.StreamResponse:
        """Answer; the bytes of an object go from their files to the client."""
        content = answer.content
        if content is None or request.method == "HEAD":
            return _reply(answer, request)
        response = web.StreamResponse(status=answer.status, headers=_headers(answer, request))
        response.content_length = len(content)
        await response.prepare(request)
        assert self._loop
        for piece in content.pieces:
            if isinstance(piece, bytes):
                await response.write(piece)
                continue
            if request.transport is None:
                raise ConnectionResetError("the client has gone")
            file = await self._in_worker(piece.open)
            try:
                for start in range(0, piece.size, SENT_AT_ONCE_BYTES):  # one system call each: others have their turn
                    size = min(SENT_AT_ONCE_BYTES, piece.size - start)
                    await self._loop.sendfile(request.transport, file, piece.start + start, size)
            finally:
                file.close()
        await response.write_eof()
        return response

    def _credentials(self, request: web.BaseRequest, token: str | None) -> web.StreamResponse:
        if request.method != "GET":
            return _refusal(405, "")
        credentials = self._keyring.fetch(request.path, token)
        if credentials is None:
            return web.json_response(
                {"code": "InvalidIdInRequest", "message": "no credentials for this path and token"}, status=403
            )
        return web.json_response(credentials, headers={"Cache-Control": "no-store"})

    async def _in_worker(self, call: Callable[[], _T]) -> _T:
        assert self._loop
        return await self._loop.run_in_executor(self._workers, call)


def _message(request: web.BaseRequest) -> Message:
    path, _, query = request.raw_path.partition("?")
    headers = tuple((name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in request.raw_headers)
    return Message(request.method, path, query, headers)


def _is_signed(message: Message) -> bool:
    try:
        read_claim(message)
    except SignatureRefused:
        return message.header("authorization") is not None or "X-Amz-" in message.query
    return True


async def _continue(request: web.BaseRequest) -> None:
    """Lets a client that asks first (`Expect: 100-continue`, as boto3 does for objects) send its body."""
    if request.headers.get("Expect", "").lower() == "100-continue" and request.transport is not None:
        request.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")


def _with_small_body(answer: Response, request: web.BaseRequest) -> Response:
    """An answer that is sent in one piece is read here, in the worker that has it."""
    if answer.content is None or request.method == "HEAD" or len(answer.content) > SENT_AT_ONCE_BYTES:
        return answer
    return replace(answer, body=answer.read(), content=None)


def _is_small(request: web.BaseRequest) -> bool:
    return request.content_length is not None and request.content_length <= SPOOLED_BYTES


def _headers(answer: Response, request: web.BaseRequest) -> CIMultiDict[str]:
    headers = forwardable(answer.headers)
    if request.method == "HEAD":
        length = next((value for name, value in answer.headers if name.lower() == "content-length"), None)
        if length is not None:
            headers["Content-Length"] = length
    headers.setdefault("Content-Type", "application/octet-stream" if answer.body or answer.content else "text/plain")
    return headers


def _reply(answer: Response, request: web.BaseRequest, *, close: bool = False) -> web.Response:
    response = web.Response(status=answer.status, headers=_headers(answer, request), body=answer.body)
    if close:
        response.force_close()
    return response


def _refusal(status: int, text: str) -> web.Response:
    response = own_text(status, text)
    response.force_close()
    return response
