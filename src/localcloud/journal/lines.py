"""The journal's file: one line a request, each with a checksum, and what is done about lines that are not whole.

    first line   1d2c3b4a {"journal": 2, "identity": …, "born": …, "next": …}
    other lines  5e6f7081 200:9c8b7a69 {"number": 17, "time": …, "method": "POST", …}

The first word is the CRC-32 of what stands after the answer's place; the answer (status and CRC-32 of the body) is
filled in afterwards, over the same number of bytes, so that a full disk is met before a request is carried out and not
after it.
"""

from __future__ import annotations

import json
import logging
import os
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from localcloud.config import LocalCloudError

log = logging.getLogger(__name__)

FORMAT = 2
"""Of the file. A journal of format 1 holds requests as they came, without their operation. The same reader reads them
(`journal.RequestCodec.call`), so that lines of both may stand in one file; a file keeps the format it was begun with.
"""
READABLE = (1, FORMAT)
CUT_OFF = "cut-off"
"""File beside the journal: what stood after its last whole line when it was opened last."""
UNANSWERED = "---:--------"
ANSWER = slice(9, 9 + len(UNANSWERED))
"""Where an answer stands in its line."""


class JournalDamaged(LocalCloudError):
    """The journal cannot be read; the text names file and line, and the way out."""


OMITTED = ("body", "cause", "count", "loose", "operation")
"""Members of a line that are left out when they say nothing."""


@dataclass(frozen=True)
class Header:
    """What identifies a journal: `identity` is 32 hex digits, `born` seconds since 1970, `next` the first number that
    no line has had, `whole` how many lines it had when it was compacted last.
    """

    identity: str
    born: float
    next: int = 1
    whole: int = 0


@dataclass
class Line:
    """A request that declared something, in the form that moto got.

    `time` is seconds since 1970; `body` is encrypted; `cause` is whatever asked for it, "" if nobody said. `count` is
    the number that what it makes must get, if lines before it are gone that were counted; `loose` says that what it
    changed may be gone. `answer` is `status:crc32` or UNANSWERED.
    """

    number: int
    time: float
    method: str
    url: str
    headers: list[tuple[str, str]]
    service: str
    region: str
    principal: str
    body: str
    cause: str = ""
    count: int | None = None
    loose: bool = False
    operation: str = ""
    answer: str = UNANSWERED


def answer_of(status: int, body: bytes) -> str:
    """What a line keeps of an answer."""
    return f"{status:03d}:{zlib.crc32(body):08x}"


class File:
    """The open file. One thread at a time."""

    def __init__(self, path: Path, header: Header, count: int, size: int):
        self.path = path
        self.header = header
        self.count = count
        self._size = size
        self._last = 0
        self._file = os.open(path, os.O_RDWR)

    @classmethod
    def create(cls, path: Path, header: Header, lines: Sequence[Line]) -> File:
        """Write a whole journal beside the old one, and put it in its place in one step."""
        draft = path.with_suffix(".new")
        size = cls.write(draft, header, lines)
        os.replace(draft, path)
        sync_folder(path.parent)
        return cls(path, header, len(lines), size)

    @staticmethod
    def write(path: Path, header: Header, lines: Sequence[Line]) -> int:
        """Write a journal that is nobody's yet; how many bytes. The disk has all of it when this returns."""
        data = _header_text(header) + b"".join(_line_text(line) for line in lines)
        with open(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600), "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        return len(data)

    @staticmethod
    def read(path: Path, way_out: str, size: int | None = None) -> tuple[Header, list[Line]]:
        """What a journal holds, or its first `size` bytes; nothing is changed. Raises `JournalDamaged`."""
        header, lines, _ = _parse(path, way_out, size)
        return header, lines

    @classmethod
    def open(cls, path: Path, way_out: str) -> tuple[File, list[Line]]:
        """An existing journal and what it holds. A last line that is not whole is cut off, and kept beside it: its
        request was never carried out, or the disk has lost a part of it.

        Raises `JournalDamaged`, whose text ends with `way_out`.
        """
        header, lines, good = _parse(path, way_out)
        opened = cls(path, header, len(lines), good)
        if torn := os.pread(opened._file, path.stat().st_size - good, good):
            path.with_name(CUT_OFF).write_bytes(torn)
            os.ftruncate(opened._file, good)
        return opened, lines

    def append(self, line: Line) -> None:
        """Add a line. Raises OSError, and the file is then as it was."""
        text = _line_text(line)
        try:
            written = os.pwrite(self._file, text, self._size)
            if written < len(text):  # a full disk takes a part and says nothing
                os.pwrite(self._file, text[written:], self._size + written)
        except OSError:
            os.ftruncate(self._file, self._size)
            raise
        self._last, self._size, self.count = self._size, self._size + len(text), self.count + 1

    def take_back(self) -> None:
        """Remove the line that was appended last: its request was refused."""
        self._size, self.count = self._last, self.count - 1
        os.ftruncate(self._file, self._size)

    def answer(self, answer: str) -> None:
        """Fill in the answer of the line that was appended last, where its place is kept."""
        os.pwrite(self._file, answer.encode(), self._last + ANSWER.start)

    @property
    def size(self) -> int:
        """Bytes of the lines that stand."""
        return self._size

    def tail(self, size: int) -> bytes:
        """What was added after the first `size` bytes."""
        return os.pread(self._file, self._size - size, size)

    def sync(self) -> None:
        """Wait until the disk has all of it."""
        os.fsync(self._file)

    def close(self) -> None:
        self.sync()
        os.close(self._file)


def _parse(path: Path, way_out: str, size: int | None = None) -> tuple[Header, list[Line], int]:
    """Header, lines, and the number of bytes up to the end of the last whole line."""
    data = path.read_bytes()[:size]
    header: Header | None = None
    lines: list[Line] = []
    good = 0
    for number, raw in enumerate(_split(data), start=1):
        try:
            if not raw.endswith(b"\n"):
                raise ValueError("it has no end")
            if header is None:
                header = _read_header(raw)
            else:
                lines.append(_read_line(raw))
        except (ValueError, KeyError, TypeError) as error:
            if header is None or good + len(raw) < len(data):
                raise JournalDamaged(f"{path}, line {number}: {error}. {way_out}") from None
            log.warning("%s, line %d: the last line is not whole (%s): dropped", path, number, error)
            break
        good += len(raw)
    if header is None:
        raise JournalDamaged(f"{path} is empty. {way_out}")
    return header, lines, good


def sync_folder(folder: Path) -> None:
    """Wait until the disk has the names of a folder's files."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _split(data: bytes) -> Iterator[bytes]:
    start = 0
    while start < len(data):
        end = data.find(b"\n", start) + 1 or len(data)
        yield data[start:end]
        start = end


def _header_text(header: Header) -> bytes:
    text = json.dumps({"journal": FORMAT, **vars(header)}).encode()
    return b"%08x %s\n" % (zlib.crc32(text), text)


def _line_text(line: Line) -> bytes:
    content = {name: value for name, value in vars(line).items() if name != "answer" and (value or name not in OMITTED)}
    text = json.dumps(content, separators=(",", ":")).encode()
    return b"%08x %s %s\n" % (zlib.crc32(text), line.answer.encode(), text)


def _read_header(raw: bytes) -> Header:
    fields = _checked(raw[:8], raw[9:].rstrip(b"\n"))
    version = fields.pop("journal", 1)
    if version not in READABLE:
        raise ValueError(f"it was written by another version of the local cloud: its format is {version}")
    return Header(**fields)


def _read_line(raw: bytes) -> Line:
    if raw[ANSWER.start - 1 : ANSWER.start] + raw[ANSWER.stop : ANSWER.stop + 1] != b"  ":
        raise ValueError("it is no line of a journal")
    fields = _checked(raw[:8], raw[ANSWER.stop + 1 :].rstrip(b"\n"))
    headers = [(str(name), str(value)) for name, value in fields.pop("headers")]
    return Line(**{"body": "", **fields}, headers=headers, answer=raw[ANSWER].decode("ascii", "replace"))


def _checked(checksum: bytes, text: bytes) -> dict[str, Any]:
    if len(checksum) < 8 or int(checksum, 16) != zlib.crc32(text):
        raise ValueError("its checksum does not fit")
    fields = json.loads(text)
    if not isinstance(fields, dict):
        raise ValueError("it is no line of a journal")
    return fields
