"""Websockets: once both sides have agreed to switch, bytes go through unread, so every extension and subprotocol
works.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any

import aiohttp
from aiohttp import web
from multidict import CIMultiDict

from localcloud.gateway.upstream import Answer

_BUFFER = 64 * 1024


def is_websocket(request: web.BaseRequest) -> bool:
    tokens = {token.strip().lower() for token in request.headers.get("Connection", "").split(",")}
    return "upgrade" in tokens and request.headers.get("Upgrade", "").lower() == "websocket"


async def tunnel(
    request: web.BaseRequest, answer: Answer, headers: CIMultiDict[str], idle_seconds: float
) -> web.StreamResponse:
    """Carries bytes both ways until one side closes, or neither has sent anything for `idle_seconds`."""
    headers["Connection"], headers["Upgrade"] = "Upgrade", answer.headers.get("Upgrade", "websocket")
    response = web.StreamResponse(status=101, reason=answer.reason, headers=headers)
    await response.prepare(request)
    near, far = request.protocol, answer.connection
    far.read_timeout = None
    pulse = _Pulse()
    from_client, from_target = _Pipe(near, pulse), _Pipe(far, pulse)
    near.set_parser(from_client)  # type: ignore[arg-type]
    far.set_parser(from_target, from_target.stream)
    carriers = [
        asyncio.create_task(from_client.pour_into(far)),
        asyncio.create_task(from_target.pour_into(near)),
        asyncio.create_task(pulse.silence(idle_seconds)),
    ]
    try:
        await asyncio.wait(carriers, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for carrier in carriers:
            carrier.cancel()
        await asyncio.gather(*carriers, return_exceptions=True)
        far.close()
        near.force_close()
    return response


class _Pulse:
    """When something last went through, in either direction."""

    def __init__(self) -> None:
        self.at = time.monotonic()

    async def silence(self, seconds: float) -> None:
        """Returns when nothing has gone through for so long."""
        while (left := self.at + seconds - time.monotonic()) > 0:
            await asyncio.sleep(left)


class _Pipe:
    """What aiohttp calls a payload parser: it is given every byte that arrives on a connection that has been
    upgraded.
    """

    def __init__(self, source: Any, pulse: _Pulse):
        # Holds its source back while more than the buffer waits to be poured.
        self.stream = aiohttp.StreamReader(source, _BUFFER, loop=asyncio.get_running_loop())
        self._pulse = pulse

    def feed_data(self, data: bytes) -> tuple[bool, bytes]:
        self._pulse.at = time.monotonic()
        self.stream.feed_data(data)
        return False, b""

    def feed_eof(self) -> None:
        self.stream.feed_eof()

    async def pour_into(self, sink: Any) -> None:
        """Until the source ends or the sink is gone."""
        while data := await self.stream.readany():
            if sink.transport is None:
                return
            sink.transport.write(data)
            await sink._drain_helper()
