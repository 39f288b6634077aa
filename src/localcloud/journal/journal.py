"""Recording requests, and carrying them out again."""

from __future__ import annotations

import base64
import logging
import os
import re
import secrets
import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from localcloud import atomic, request_context
from localcloud.journal.lines import UNANSWERED, File, Header, JournalDamaged, Line, answer_of, sync_folder
from localcloud.journal.scope import declares
from localcloud.journal.superseded import operation_of, undone
from localcloud.patches import determinism
from localcloud.request import Call, Refused, Request, Response, address, read
from localcloud.server import Server
from localcloud.unreadable import Reason, Unreadable, using

log = logging.getLogger(__name__)

SYNC_SECONDS = 1.0
"""A power cut loses at most so much. A killed process loses nothing: a line is in the kernel's hands before its request
is carried out."""

COMPACT_AT_LEAST = 400
COMPACT_FACTOR = 1.5
"""A look at what is still needed is worth while at so many lines, and so many times those of the last look."""

KEPT_HEADERS = re.compile(r"host|content-type|content-md5|x-amz-(?!date$|security-token$|content-sha256$).*", re.I)
"""What a request says about itself. Who signed it, and how, is dropped."""

SIGNATURE_PARAMETERS = re.compile(r"(?<=[?&])X-Amz-(Signature|Credential|Security-Token|Date)=[^&]*&?")


@dataclass(frozen=True)
class Replayed:
    """How a replay went: requests, seconds, and the numbers of those that were answered otherwise than the first
    time.
    """

    requests: int
    seconds: float
    differing: tuple[int, ...] = ()


class Journal:
    """The journal in `folder`; made if there is none. The server's lock is held by whoever calls `perform`.

    `way_out` ends the text of `JournalDamaged`: what a person can do.
    """

    def __init__(self, folder: Path, way_out: str = ""):
        self._path = folder / "requests"
        with using(self._path):
            folder.mkdir(parents=True, exist_ok=True)
            folder.chmod(0o700)
            self.is_new = not self._path.exists()
            if self.is_new:
                if not (folder / "key").exists():
                    atomic.write(folder / "key", base64.b64encode(secrets.token_bytes(32)).decode())
                header = Header(secrets.token_hex(16), round(time.time(), 6))
                self._codec = RequestCodec(self._path, way_out, header)
                self._file = File.create(self._path, header, [])
                self._lines: list[Line] = []
            else:
                self._file, self._lines = File.open(self._path, way_out)
                try:
                    self._codec = RequestCodec(self._path, way_out, self._file.header)
                except BaseException:
                    self._file.close()
                    raise
                for left in (*folder.glob("requests.draft"), *folder.glob("requests.new")):
                    left.unlink()  # of a process that was killed while it wrote
        self._way_out = way_out
        self._next = max([self._file.header.next, *(line.number + 1 for line in self._lines)])
        self._last = self._next - 1
        self.sync_too: tuple[Path, ...] = ()
        """Files that tell of the same requests: the disk is to have them as soon."""

        self._busy = False
        self._dirty = threading.Event()
        self._closed = False
        self._syncing = threading.Lock()
        self._syncer = threading.Thread(target=self._sync_now_and_then, name="journal", daemon=True)
        self._syncer.start()

    @property
    def identity(self) -> str:
        """The same for as long as nothing is lost; another journal has another one."""
        return self._file.header.identity

    @property
    def born(self) -> float:
        """When it was made, in seconds since 1970."""
        return self._file.header.born

    @property
    def path(self) -> Path:
        return self._path

    def __len__(self) -> int:
        """How many requests it holds."""
        return self._file.count

    @property
    def last(self) -> int:
        """The highest number that one of its requests has had; of the one under way when that has been answered."""
        return self._last

    @property
    def highest_cause(self) -> int:
        """The highest of the causes that are numbers. Before `replay`, which lets go of the lines."""
        return max((int(line.cause) for line in self._lines if line.cause.isdecimal()), default=0)

    def come_back(self, living: Collection[str]) -> set[str]:
        """Causes of what is not `living` any more, but whose removal is not here. Before `replay`.

        Not task definitions: the next one is counted from those before it, also from those that are gone.
        """
        kept = {line.cause for line in self._lines if operation_of(line, self._codec.call) == "RegisterTaskDefinition"}
        gone = {line.cause for line in self._lines if line.cause} - {*living, *kept}
        return gone - undone(self._lines, gone.__contains__, self._codec.call)

    def skip_to(self, number: int) -> None:
        """Give no number up to this one: requests that are lost may have had them, and what follows from them."""
        self._next = max(self._next, number + 1)

    # --- recording ---

    def keeps(self, call: Call, request: Request) -> bool:
        """Whether a request is to be kept: it declares something, and is no part of one that is being carried out."""
        return not self._busy and declares(call)

    def perform(self, call: Call, request: Request, carry_out: Callable[[Request], Response]) -> Response:
        """Carry out a request that declares something; keep it if it is not refused.

        Raises what `carry_out` raises, and `Refused` if the disk takes no more.
        """
        line = self._line(call, request)
        try:
            self._file.append(line)
        except OSError as error:
            message = f"{call.name} was not carried out: {self._path} cannot be written: {error.strerror}"
            log.error(message)
            raise Refused("ServiceUnavailable", message, 503) from error
        self._busy = True
        try:
            with determinism.deterministic(self._codec.seed(line), line.time):
                response = carry_out(request)
        except (NotImplementedError, Refused):
            self._file.take_back()
            raise
        except Exception:
            # Whatever it did before it failed, it will do again.
            self._file.answer(answer_of(500, b""))
            self._last = line.number
            raise
        finally:
            self._busy = False
            self._dirty.set()
        if 400 <= response.status < 500:
            self._file.take_back()
        else:
            self._file.answer(answer_of(response.status, response.body))
            self._last = line.number
        return response

    def _line(self, call: Call, request: Request) -> Line:
        number, self._next = self._next, self._next + 1
        return Line(
            number=number,
            time=round(time.time(), 6),
            method=request.method,
            url=SIGNATURE_PARAMETERS.sub("", request.url).rstrip("?&"),
            headers=[(name, value) for name, value in request.headers if KEPT_HEADERS.fullmatch(name)],
            service=call.service,
            region=call.region,
            operation=call.operation,
            principal=request.principal,
            body=self._codec.encrypt(number, request.body),
            cause=request_context.current(),
        )

    # --- carrying out again ---

    def replay(self, server: Server, unfinished: Collection[str] = ()) -> Replayed:
        """Bring a server that nobody has used yet to the state that the journal describes.

        `unfinished` are causes that did not come to their end before the process died; what they did is left out.
        Raises `JournalDamaged`.
        """
        if any(line.cause in unfinished for line in self._lines):
            self._lines = [line for line in self._lines if line.cause not in unfinished]
            self._rewrite(self._lines)
        began, differing = time.monotonic(), []
        for line, answer in carry_out(self._codec, server, self._lines):
            if line.answer not in (UNANSWERED, answer) and not (line.loose and answer.startswith("4")):
                differing.append(line.number)
                what = f"{line.method} {line.url} of {line.service}"
                log.info("request %d (%s) was answered %s, now %s", line.number, what, line.answer, answer)
        count, self._lines = len(self._lines), []
        return Replayed(count, time.monotonic() - began, tuple(differing))

    # --- compaction (`compactor`, `compaction`) ---

    @property
    def is_worth_compacting(self) -> bool:
        """Has it grown enough since it was looked at last?"""
        return len(self) >= COMPACT_AT_LEAST and len(self) >= COMPACT_FACTOR * self._file.header.whole

    @property
    def size(self) -> int:
        """Bytes of the lines so far."""
        return self._file.size

    def take(self, draft: Path, size: int) -> None:
        """Put a journal that says the same as this one's first `size` bytes in their place. Hold the server's lock.

        A process that is killed in the middle has the one or the other, whole. Raises OSError, and nothing has changed.
        """
        with self._syncing:
            header, lines = File.read(draft, self._way_out)
            tail = self._file.tail(size)
            with draft.open("ab") as file:
                file.write(tail)
                file.flush()
                os.fsync(file.fileno())
            taken = File(draft, header, len(lines) + tail.count(b"\n"), draft.stat().st_size)
            try:
                os.replace(draft, self._path)
            except OSError:
                taken.close()
                raise
            taken.path = self._path
            old, self._file = self._file, taken
            old.close()
            sync_folder(self._path.parent)

    def _rewrite(self, lines: list[Line]) -> None:
        with self._syncing:
            self._file.close()
            self._file = File.create(self._path, replace(self._file.header, next=self._next), lines)

    # --- the disk ---

    def _sync_now_and_then(self) -> None:
        while not self._closed:
            self._dirty.wait()
            self._dirty.clear()
            time.sleep(SYNC_SECONDS)
            with self._syncing:
                if self._closed:
                    return
                try:
                    self._file.sync()
                    for path in self.sync_too:
                        _sync(path)
                except OSError as error:
                    log.error("%s: the disk does not take it: %s", self._path, error)

    def close(self) -> None:
        """Everything is on the disk when this returns."""
        with self._syncing:
            if not self._closed:
                self._closed = True
                self._file.close()
        self._dirty.set()


def _sync(path: Path) -> None:
    try:
        handle = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


class RequestCodec:
    """Lines of a journal as requests: their bodies are encrypted, their identifiers follow from its header."""

    def __init__(self, path: Path, way_out: str, header: Header):
        self.path, self.header, self._way_out = path, header, way_out
        key_file = path.parent / "key"
        try:
            with using(key_file):
                self._cipher = AESGCM(base64.b64decode(key_file.read_bytes().strip(), validate=True))
        except ValueError:
            raise JournalDamaged(f"{key_file} holds no key, so {path} cannot be read. {way_out}") from None
        except Unreadable as error:
            if error.reason is not Reason.missing:
                raise
            raise JournalDamaged(f"{key_file} is missing, without which {path} cannot be read. {way_out}") from None

    def encrypt(self, number: int, body: bytes) -> str:
        """A body as its line keeps it."""
        if not body:
            return ""
        nonce = secrets.token_bytes(12)
        return base64.b64encode(nonce + self._cipher.encrypt(nonce, body, str(number).encode())).decode()

    def decrypt(self, line: Line) -> bytes:
        """The body of a line. Raises `JournalDamaged`."""
        if not line.body:
            return b""
        encrypted = base64.b64decode(line.body)
        try:
            return self._cipher.decrypt(encrypted[:12], encrypted[12:], str(line.number).encode())
        except InvalidTag:
            problem = f"{self.path}: request {line.number} was encrypted with another key than the one beside it"
            raise JournalDamaged(f"{problem}. {self._way_out}") from None

    def call(self, line: Line, account: str = "") -> Call:
        """The request of a line, read as it was the first time, whichever format it was written in.

        Raises `JournalDamaged`, and `Refused` for what the reader takes no more.
        """
        request = _request(line, self.decrypt(line))
        return read(request, address(request, account, line.region))

    def seed(self, line: Line) -> str:
        return f"{self.header.identity}/{line.number}"


def carry_out(codec: RequestCodec, server: Server, lines: Iterable[Line]) -> Iterator[tuple[Line, str]]:
    """Carry lines out again on a server that nobody has used yet; each with its answer now."""
    determinism.settle(server.account, codec.header.identity, codec.header.born)
    for line in lines:
        try:
            call = codec.call(line, server.account)
        except Refused as refused:
            log.warning(
                "request %d (%s of %s) is not carried out again: %s", line.number, line.url, line.service, refused
            )
            yield line, answer_of(refused.status, b"")
            continue
        with server.lock, determinism.deterministic(codec.seed(line), line.time, line.count):
            answer = _repeat(server, call)
        yield line, answer


def _request(line: Line, body: bytes) -> Request:
    scope = f"local/20000101/{line.region}/{line.service}/aws4_request"
    authorization = f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0"
    headers = [*line.headers, ("Authorization", authorization)]
    return Request(line.method, line.url, headers, body, line.principal)


def _repeat(server: Server, call: Call) -> str:
    try:
        response = server.repeat(call)
    except Exception:
        return answer_of(500, b"")
    return answer_of(response.status, response.body)
