"""Bodies of objects go into files as they arrive, hashed on the way; nobody waits and nothing is held in memory."""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import Iterable
from concurrent.futures import Executor
from pathlib import Path

from aiohttp import web

from localcloud.gateway.aws_chunked import Decoder
from localcloud.gateway.http import BODY_SECONDS, BodyTooLarge
from localcloud.stored import DRAFT, HASHES, ContentFile, Piece, Stored

BATCH_BYTES = 512 * 1024
"""So much arrives while what came before is written."""


class CannotSpool(Exception):
    """The disk takes no more; the text says where and why."""


class Spool:
    """A draft in `folder` that a body is written into. `hashes` are names of `HASHES`; used by one thread at a time.

    Raises CannotSpool. What nobody keeps of it is gone when the last who has it is.
    """

    def __init__(self, folder: Path, hashes: Iterable[str], decoder: Decoder | None = None):
        self._decoder = decoder
        self._hashes = {name: HASHES[name]() for name in hashes}
        try:
            handle, path = tempfile.mkstemp(dir=folder, prefix=DRAFT)
        except OSError as error:
            raise CannotSpool(f"{folder}: {error.strerror}") from error
        self._file = os.fdopen(handle, "wb", buffering=0)
        self._content = ContentFile(Path(path), 0, kept=False)

    def write(self, pieces: list[bytes]) -> None:
        """Go on with these. Raises SignatureRefused for broken framing."""
        for piece in pieces:
            for data in self._decoder.feed(piece) if self._decoder else (piece,):
                for hashed in self._hashes.values():
                    hashed.update(data)
                self._append(data)

    def _append(self, data: bytes) -> None:
        view = memoryview(data)
        try:
            while view:
                written = self._file.write(view)
                view = view[written:]
                self._content.size += written
        except OSError as error:
            raise CannotSpool(f"{self._content.path.parent}: {error.strerror}") from error

    def finished(self) -> Stored:
        """All of it, with its hashes."""
        self.close()
        self._content.digests = {name: hashed.digest() for name, hashed in self._hashes.items()}
        if not self._content.size:
            return Stored()
        return Stored([Piece(self._content, 0, self._content.size)])

    def close(self) -> None:
        self._file.close()

    def discard(self) -> None:
        """Nobody wants it: the disk has its room back at once."""
        self.close()
        self._content.path.unlink(missing_ok=True)


async def spool(request: web.BaseRequest, into: Spool, workers: Executor, limit: int) -> None:
    """Write the whole body, up to `limit` bytes of it. Raises BodyTooLarge, TimeoutError when the client stalls, and
    what `Spool.write` raises.
    """
    if request.content_length is not None and request.content_length > limit:
        raise BodyTooLarge(limit)
    loop = asyncio.get_running_loop()
    size = 0
    writing: asyncio.Future[None] | None = None
    try:
        while not request.content.at_eof():
            pieces, batch = [], 0
            while batch < BATCH_BYTES and not request.content.at_eof():
                async with asyncio.timeout(BODY_SECONDS):
                    piece = await request.content.readany()
                pieces.append(piece)
                batch += len(piece)
            size += batch
            if size > limit:
                raise BodyTooLarge(limit)
            if writing is not None:
                await writing
            writing = loop.run_in_executor(workers, into.write, pieces)
        if writing is not None:
            await writing
            writing = None
    except BaseException:
        if writing is not None:  # it may not be closed under who writes
            await asyncio.wait([writing])
            writing.exception()
        into.discard()
        raise


def hashes_for(headers: Iterable[tuple[str, str]]) -> set[str]:
    """What a body is hashed for: its entity tag, its name, and the checksums that its headers announce."""
    said = " ".join(
        f"{name} {value}".lower()
        for name, value in headers
        if name.startswith("x-amz-checksum-") or name in ("x-amz-trailer", "x-amz-sdk-checksum-algorithm")
    )
    return {"md5", "sha256"} | {name for name in HASHES if name in said}
