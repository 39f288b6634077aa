"""The bytes of objects as lists of pieces of files that never change: cut, joined and shared without being read.

    stored = Stored([Piece(file, 0, file.size)])
    stored[10:20].read()

What was hashed once is remembered: by a file, and by what has been cut or joined from files.
"""

from __future__ import annotations

import base64
import hashlib
import os
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

BLOCK_BYTES = 1024 * 1024
"""So much is read at a time."""

REMEMBERED_CUTS = 64

DRAFT = ".draft-"
"""Beginning of the names of files that are being written."""


class Crc32:
    """The checksum of zlib, used like those of hashlib."""

    def __init__(self) -> None:
        self._value = 0

    def update(self, data: bytes) -> None:
        self._value = zlib.crc32(data, self._value)

    def digest(self) -> bytes:
        return self._value.to_bytes(4, "big")


HASHES: dict[str, Callable[[], Any]] = {
    "md5": lambda: hashlib.md5(usedforsecurity=False),
    "sha256": hashlib.sha256,
    "sha1": lambda: hashlib.sha1(usedforsecurity=False),
    "crc32": Crc32,
}
"""What is known about bytes, by S3's names in lower case."""


class ContentFile:
    """A file that never changes. Until somebody keeps it, it is a draft and goes with the last who knows it.

    `readers` are those who will still read it: it must not be removed before they are done.
    """

    def __init__(self, path: Path, size: int, kept: bool, digests: dict[str, bytes] | None = None):
        self.path = path
        self.size = size
        self.kept = kept
        self.digests = digests or {}
        self.readers: set[int] = set()

    def __del__(self) -> None:
        if not self.kept:
            with suppress(OSError):
                os.unlink(self.path)


@dataclass(frozen=True, eq=False)
class Piece:
    """`size` bytes of a file, from the byte `start` on."""

    file: ContentFile
    start: int
    size: int

    @property
    def is_whole(self) -> bool:
        """Whether it is all of its file."""
        return self.start == 0 and self.size == self.file.size

    def open(self) -> BinaryIO:
        """Its file, to be read."""
        return open(self.file.path, "rb")


class Stored:
    """Bytes that lie in files; small ones that were never in a file lie here."""

    def __init__(self, pieces: Iterable[Piece | bytes] = ()):
        self.pieces: list[Piece | bytes] = [piece for piece in pieces if _size(piece)]
        self.size = sum(_size(piece) for piece in self.pieces)
        self._digests: dict[str, bytes] = {}
        self._cuts: dict[tuple[int, int], Stored] = {}

    @classmethod
    def of(cls, value: Stored | bytes | str) -> Stored:
        """What moto sets as an object's value."""
        if isinstance(value, Stored):
            return value
        return cls([value.encode() if isinstance(value, str) else bytes(value)])

    @classmethod
    def joined(cls, parts: Iterable[Stored]) -> Stored:
        """One after the other."""
        return cls(piece for part in parts for piece in part.pieces)

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, part: slice) -> Stored:
        start, stop, step = part.indices(self.size)
        if step != 1:
            raise ValueError("only whole ranges can be cut out")
        if (start, stop) == (0, self.size):
            return self
        cut = self._cuts.get((start, stop))
        if cut is None:
            cut = Stored(self._between(start, stop))
            while len(self._cuts) >= REMEMBERED_CUTS:
                del self._cuts[next(iter(self._cuts))]
            self._cuts[start, stop] = cut
        return cut

    def _between(self, start: int, stop: int) -> Iterator[Piece | bytes]:
        place = 0
        for piece in self.pieces:
            first, last = max(start - place, 0), min(stop - place, _size(piece))
            if first < last:
                yield (
                    piece[first:last]
                    if isinstance(piece, bytes)
                    else Piece(piece.file, piece.start + first, last - first)
                )
            place += _size(piece)

    def __iter__(self) -> Iterator[bytes]:
        """The bytes, a block at a time. Raises OSError."""
        for piece in self.pieces:
            if isinstance(piece, bytes):
                yield piece
                continue
            with open(piece.file.path, "rb", buffering=0) as file:
                file.seek(piece.start)
                left = piece.size
                while left:
                    block = file.read(min(left, BLOCK_BYTES))
                    if not block:
                        raise OSError(f"{piece.file.path} is shorter than it was")
                    left -= len(block)
                    yield block

    def read(self) -> bytes:
        """All of the bytes."""
        return b"".join(self)

    __bytes__ = read

    def __deepcopy__(self, memo: dict[int, Any]) -> Stored:
        return self  # of a copy, the files would not be drafts of its own

    def digest(self, name: str) -> bytes:
        """One of `HASHES` of the bytes; reads them if nobody has done it yet."""
        if len(self.pieces) == 1 and isinstance(only := self.pieces[0], Piece) and only.is_whole:
            known = only.file.digests
        else:
            known = self._digests
        if name not in known:
            hashed = HASHES[name]()
            for block in self:
                hashed.update(block)
            known[name] = hashed.digest()
        return known[name]

    def held(self) -> Stored:
        """The same for a reader: none of its files is removed as long as this one is there."""
        return _Held(self.pieces)


class _Held(Stored):
    def __init__(self, pieces: Iterable[Piece | bytes]):
        super().__init__(pieces)
        self._files = [piece.file for piece in self.pieces if isinstance(piece, Piece)]
        for file in self._files:
            file.readers.add(id(self))

    def __del__(self) -> None:
        for file in self._files:
            file.readers.discard(id(self))


def crc32_of_parts(parts: Iterable[tuple[bytes, int]]) -> bytes:
    """The CRC-32 of bytes of whose parts the CRC-32 and the size are known, in order (as zlib's `crc32_combine`)."""
    whole = 0
    for digest, size in parts:
        whole = _after_zeros(whole, size) ^ int.from_bytes(digest, "big")
    return whole.to_bytes(4, "big")


def _after_zeros(crc: int, size: int) -> int:
    """The checksum once so many zero bytes more have been read: a linear map, squared for each bit of the size."""
    rows = [0xEDB88320] + [1 << bit for bit in range(31)]  # one zero bit
    for _ in range(3):
        rows = [_times(rows, row) for row in rows]
    while size:
        if size & 1:
            crc = _times(rows, crc)
        rows = [_times(rows, row) for row in rows]
        size >>= 1
    return crc


def _times(rows: list[int], vector: int) -> int:
    product, place = 0, 0
    while vector:
        if vector & 1:
            product ^= rows[place]
        vector >>= 1
        place += 1
    return product


def broken_promise(stored: Stored, headers: Iterable[tuple[str, str]]) -> str:
    """The header that says another checksum of the bytes than they have; "" if all hold.

    CRC32C and CRC64NVME need tables of their own: what a client says of them is passed on unchecked.
    """
    for name, value in headers:
        algorithm = name.removeprefix("x-amz-checksum-") if name.startswith("x-amz-checksum-") else ""
        if algorithm in HASHES and base64.b64encode(stored.digest(algorithm)).decode() != value.strip():
            return name
    return ""


def _size(piece: Piece | bytes) -> int:
    return len(piece) if isinstance(piece, bytes) else piece.size
