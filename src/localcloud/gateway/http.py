"""What HTTP asks of everything that stands between a client and a server, and what this gateway never lets through."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from aiohttp import web
from multidict import CIMultiDict

# RFC 9110 §7.6.1: these concern one connection only. Content-Length is set anew by whoever writes the message.
_HOP_BY_HOP = frozenset(
    [
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "expect",
        "content-length",
    ]
)

BODY_SECONDS = 60.0
"""How long a client may send nothing in the middle of a body."""


class BodyTooLarge(Exception):
    """The body is longer than allowed; `limit` is in bytes."""

    def __init__(self, limit: int):
        super().__init__(limit)
        self.limit = limit


def forwardable(headers: Iterable[tuple[str, str]]) -> CIMultiDict[str]:
    """Headers without those of the connection, and without any that would let pages of other origins read answers."""
    pairs = list(headers)
    named = {
        token.strip().lower() for name, value in pairs if name.lower() == "connection" for token in value.split(",")
    }
    kept: CIMultiDict[str] = CIMultiDict()
    for name, value in pairs:
        lower = name.lower()
        if lower not in _HOP_BY_HOP and lower not in named and not lower.startswith("access-control-"):
            kept.add(name, value)
    return kept


def own_text(status: int, text: str, **headers: str) -> web.Response:
    """An answer of the gateway itself, for people to read."""
    return web.Response(status=status, text=text, headers={"Server": "localcloud", **headers})


async def read_body(request: web.BaseRequest, limit: int) -> bytes:
    """The whole body. Raises BodyTooLarge, and TimeoutError when the client stalls."""
    if request.content_length is not None and request.content_length > limit:
        raise BodyTooLarge(limit)
    pieces = []
    size = 0
    while not request.content.at_eof():
        async with asyncio.timeout(BODY_SECONDS):
            piece = await request.content.readany()
        size += len(piece)
        if size > limit:
            raise BodyTooLarge(limit)
        pieces.append(piece)
    return b"".join(pieces)
