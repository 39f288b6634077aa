"""Connections to targets: a pool of them, and one request and response on each at a time.

Made of aiohttp's own connection protocol and parsers, without its client session: that does for each request what
only matters to clients of the open web (cookies, redirects, proxies, address parsing), and costs more than everything
else in the gateway.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass

import aiohttp
from aiohttp import web
from aiohttp.client_proto import ResponseHandler
from aiohttp.http_exceptions import HttpProcessingError
from multidict import CIMultiDict, CIMultiDictProxy

from localcloud.balancer_address import balancer_address

CONNECT_SECONDS = 10.0  # an Application Load Balancer's own, not configurable
MAX_HEADER_BYTES = 64 * 1024
# Shorter than the keep-alive of the usual Python servers (gunicorn 2 s, uvicorn 5 s): a connection that we take for
# usable must not be one that the target is just closing.
POOL_SECONDS = 1.5
_REPEATABLE = frozenset(("GET", "HEAD", "PUT", "DELETE", "OPTIONS"))

Address = tuple[str, int]
Body = bytes | aiohttp.StreamReader


class CannotConnect(Exception):
    """The target refuses connections; nothing has been sent."""


class ClientStalled(Exception):
    """The client sends no more of its body."""


class BadAnswer(Exception):
    """The target closed the connection before it answered, or answered something that is not HTTP."""


@dataclass
class Answer:
    """The head of a target's response; `content` is its body as it arrives. Give it back with `Targets.release`."""

    status: int
    reason: str
    headers: CIMultiDictProxy[str]
    content: aiohttp.StreamReader
    connection: ResponseHandler
    address: Address


class Targets:
    """Asks targets. Lives on the gateway's event loop."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._idle: dict[Address, deque[tuple[ResponseHandler, asyncio.TimerHandle]]] = {}

    async def ask(
        self,
        address: Address,
        method: str,
        url: str,
        headers: CIMultiDict[str],
        body: Body,
        idle_seconds: float,
    ) -> Answer:
        """Sends a request and reads the head of the response.

        A `body` that is a stream needs "Content-Length" in `headers`, or is sent in chunks. Raises CannotConnect,
        BadAnswer, and TimeoutError: no connection in `CONNECT_SECONDS`, or silence for `idle_seconds`.
        """
        connection = self._take(address)
        if connection is not None:
            try:
                return await self._exchange(connection, address, method, url, headers, body, idle_seconds)
            except BadAnswer:
                # The target may have closed a connection that it thought idle just as it was used.
                if method not in _REPEATABLE or not isinstance(body, bytes):
                    raise
        connection = await self._connect(address)
        return await self._exchange(connection, address, method, url, headers, body, idle_seconds)

    def release(self, answer: Answer) -> None:
        """Keeps the connection for the next request if the response has been read to its end; else closes it."""
        connection = answer.connection
        if connection.should_close or not connection.is_connected():
            connection.close()
            return
        timer = self._loop.call_later(POOL_SECONDS, self._expire, answer.address)
        self._idle.setdefault(answer.address, deque()).append((connection, timer))

    def close(self) -> None:
        for connections in self._idle.values():
            for connection, timer in connections:
                timer.cancel()
                connection.close()
        self._idle.clear()

    def _take(self, address: Address) -> ResponseHandler | None:
        connections = self._idle.get(address)
        while connections:
            connection, timer = connections.pop()
            timer.cancel()
            if connection.is_connected() and not connection.should_close:
                return connection
            connection.close()
        self._idle.pop(address, None)
        return None

    def _expire(self, address: Address) -> None:
        """The oldest idle connection has not been used for a while."""
        connections = self._idle[address]
        connection, _ = connections.popleft()
        connection.close()
        if not connections:
            del self._idle[address]

    async def _connect(self, address: Address) -> ResponseHandler:
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                _, connection = await self._loop.create_connection(
                    lambda: ResponseHandler(self._loop), *address, local_addr=(balancer_address(), 0)
                )
        except TimeoutError:
            raise
        except OSError as error:
            raise CannotConnect(str(error)) from error
        return connection

    async def _exchange(
        self,
        connection: ResponseHandler,
        address: Address,
        method: str,
        url: str,
        headers: CIMultiDict[str],
        body: Body,
        idle_seconds: float,
    ) -> Answer:
        connection.set_response_params(
            skip_payload=method == "HEAD",
            read_until_eof=True,
            auto_decompress=False,
            read_timeout=idle_seconds,
            max_line_size=MAX_HEADER_BYTES,
            max_field_size=MAX_HEADER_BYTES,
        )
        chunked = isinstance(body, aiohttp.StreamReader) and "Content-Length" not in headers
        lines = [f"{method} {url} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
        if chunked:
            lines.append("Transfer-Encoding: chunked")
        head = ("\r\n".join(lines) + "\r\n\r\n").encode("utf-8", "surrogateescape")
        upload: asyncio.Task[None] | None = None
        try:
            assert connection.transport
            if isinstance(body, bytes):
                connection.transport.write(head + body)
                connection.start_timeout()
            else:
                connection.transport.write(head)
                upload = asyncio.create_task(_upload(connection, body, chunked, idle_seconds))
                upload.add_done_callback(_seen)
            message, content = await connection.read()
            while 100 <= message.code < 200 and message.code != 101:
                message, content = await connection.read()
        except aiohttp.SocketTimeoutError:  # a ClientError, but also what TimeoutError means here
            connection.close()
            raise TimeoutError from None
        except (aiohttp.ClientError, aiohttp.EofStream, HttpProcessingError, OSError) as error:
            connection.close()
            if upload is not None and upload.done() and isinstance(upload.exception(), TimeoutError):
                raise ClientStalled from error
            raise BadAnswer(str(error) or type(error).__name__) from error
        except BaseException:
            connection.close()
            raise
        finally:
            if upload is not None and not upload.done():
                # Answered before everything was sent: the rest is not wanted, and the connection is of no further use.
                upload.cancel()
                connection.force_close()
        return Answer(message.code, message.reason, message.headers, content, connection, address)


async def _upload(connection: ResponseHandler, body: aiohttp.StreamReader, chunked: bool, idle_seconds: float) -> None:
    try:
        while True:
            async with asyncio.timeout(idle_seconds):
                piece = await body.readany()
            if not piece or connection.transport is None:
                break
            connection.transport.write(b"%x\r\n%b\r\n" % (len(piece), piece) if chunked else piece)
            await connection._drain_helper()
        if chunked and connection.transport is not None:
            connection.transport.write(b"0\r\n\r\n")
        connection.start_timeout()
    except (TimeoutError, OSError, aiohttp.ClientError, web.RequestPayloadError):
        connection.close()  # whoever waits for the answer is told by this
        raise


def _seen(upload: asyncio.Task[None]) -> None:
    """Its failure has closed the connection, which is how it is noticed."""
    if not upload.cancelled():
        upload.exception()
