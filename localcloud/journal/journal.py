"""Recording requests, and carrying them out again."""

from __future__ import annotations

import base64
import logging
import os
import re
import secrets
import threading
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from localcloud import calls, causes
from localcloud.config import write_private
from localcloud.journal.compaction import compacted
from localcloud.journal.lines import UNANSWERED, File, Header, JournalDamaged, Line, answer_of
from localcloud.journal.scope import declares
from localcloud.patches import backends, determinism
from localcloud.server import Request, Response, Server

log = logging.getLogger(__name__)

SYNC_SECONDS = 1.0
"""A power cut loses at most so much. A killed process loses nothing: a line is in the kernel's hands before its request
is carried out."""

COMPACT_AT_LEAST = 400
COMPACT_FACTOR = 2
"""The journal is shortened when it has at least so many lines, and so many times the lines that are needed."""

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
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o700)
        self._path, self._before = folder / "requests", folder / "requests.before"
        key_file = folder / "key"
        self.is_new = not self._path.exists()
        if self.is_new:
            write_private(key_file, base64.b64encode(secrets.token_bytes(32)).decode())
            header = Header(secrets.token_hex(16), round(time.time(), 6))
            self._file = File.create(self._path, header, [])
            self._lines: list[Line] = []
        else:
            self._file, self._lines = File.open(self._path, way_out)
            if not key_file.exists():
                raise JournalDamaged(f"{key_file} is missing, without which {self._path} cannot be read. {way_out}")
        self._way_out = way_out
        self._cipher = AESGCM(base64.b64decode(key_file.read_text()))
        self._next = max([self._file.header.next, *(line.number + 1 for line in self._lines)])
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

    # --- recording ---

    def keeps(self, call: calls.Call, request: Request) -> bool:
        """Whether a request is to be kept: it declares something, and is no part of one that is being carried out."""
        return not self._busy and declares(call, request.method)

    def perform(self, call: calls.Call, request: Request, carry_out: Callable[[Request], Response]) -> Response:
        """Carry out a request that declares something; keep it if it is not refused.

        Raises what `carry_out` raises, and `calls.Refused` if the disk takes no more.
        """
        line = self._line(call, request)
        try:
            self._file.append(line)
        except OSError as error:
            message = f"{call.name} was not carried out: {self._path} cannot be written: {error.strerror}"
            log.error(message)
            raise calls.Refused("ServiceUnavailable", message, 503) from error
        self._busy = True
        try:
            with determinism.given(self._seed(line), line.time):
                response = carry_out(request)
        except NotImplementedError:
            self._file.take_back()
            raise
        except Exception:
            # Whatever it did before it failed, it will do again.
            self._file.answer(answer_of(500, b""))
            raise
        finally:
            self._busy = False
            self._dirty.set()
        if 400 <= response.status < 500:
            self._file.take_back()
        else:
            self._file.answer(answer_of(response.status, response.body))
        return response

    def _line(self, call: calls.Call, request: Request) -> Line:
        number, self._next = self._next, self._next + 1
        return Line(
            number=number,
            time=round(time.time(), 6),
            method=request.method,
            url=SIGNATURE_PARAMETERS.sub("", request.url).rstrip("?&"),
            headers=[(name, value) for name, value in request.headers if KEPT_HEADERS.fullmatch(name)],
            service=call.service,
            region=call.region,
            principal=request.principal,
            body=self._seal(number, request.body),
            cause=causes.current(),
        )

    def _seed(self, line: Line) -> str:
        return f"{self.identity}/{line.number}"

    # --- carrying out again ---

    def replay(self, server: Server, unfinished: Collection[str] = ()) -> Replayed:
        """Bring a server that nobody has used yet to the state that the journal describes.

        `unfinished` are causes that did not come to their end before the process died; what they did is left out.
        Raises `JournalDamaged`.
        """
        if any(line.cause in unfinished for line in self._lines):
            self._lines = [line for line in self._lines if line.cause not in unfinished]
            self._rewrite(self._lines)
        replayed = self._replay(server)
        if replayed.differing and self._before.exists():
            log.warning("%s: the shortened journal answers otherwise; going back to the whole one", self._path)
            _, self._lines = File.open(self._before, self._way_out)
            self._rewrite(self._lines, whole=len(self._lines))
            backends.forget(server.account)
            replayed = self._replay(server)
        self._before.unlink(missing_ok=True)
        self._lines = []
        return replayed

    def _replay(self, server: Server) -> Replayed:
        determinism.settle(server.account, self.identity, self.born)
        began = time.monotonic()
        differing = []
        for line in self._lines:
            body = self._open(line)
            with server.lock, determinism.given(self._seed(line), line.time, line.count):
                answer = _repeat(server, line, body)
            if line.answer not in (UNANSWERED, answer) and not (line.loose and answer.startswith("4")):
                differing.append(line.number)
                what = f"{line.method} {line.url} of {line.service}"
                log.info("request %d (%s) was answered %s, now %s", line.number, what, line.answer, answer)
        return Replayed(len(self._lines), time.monotonic() - began, tuple(differing))

    def compact(self, ended: Callable[[str], bool]) -> int:
        """Forget requests whose causes have `ended` and leave no trace; how many lines went. Does nothing if it is not
        worth while.

        The whole journal is kept until a replay of the shortened one has given the same answers.
        """
        if len(self) < COMPACT_AT_LEAST or len(self) <= COMPACT_FACTOR * self._file.header.whole:
            return 0
        _, lines = File.open(self._path, self._way_out)
        shorter = compacted(lines, ended, self._open)
        gone = len(lines) - len(shorter)
        if len(lines) < COMPACT_FACTOR * len(shorter):
            return 0
        self._before.unlink(missing_ok=True)
        os.link(self._path, self._before)
        self._rewrite(shorter)
        log.info("%s: %d of %d lines were no longer needed", self._path, gone, len(lines))
        return gone

    def _rewrite(self, lines: list[Line], whole: int = 0) -> None:
        with self._syncing:
            self._file.close()
            self._file = File.create(self._path, replace(self._file.header, next=self._next, whole=whole), lines)

    # --- sealing ---

    def _seal(self, number: int, body: bytes) -> str:
        if not body:
            return ""
        nonce = secrets.token_bytes(12)
        return base64.b64encode(nonce + self._cipher.encrypt(nonce, body, str(number).encode())).decode()

    def _open(self, line: Line) -> bytes:
        if not line.body:
            return b""
        sealed = base64.b64decode(line.body)
        try:
            return self._cipher.decrypt(sealed[:12], sealed[12:], str(line.number).encode())
        except InvalidTag:
            problem = f"{self._path}: request {line.number} was sealed with another key than the one beside it"
            raise JournalDamaged(f"{problem}. {self._way_out}") from None

    # --- the disk ---

    def _sync_now_and_then(self) -> None:
        while not self._closed:
            self._dirty.wait()
            self._dirty.clear()
            time.sleep(SYNC_SECONDS)
            with self._syncing:
                if not self._closed:
                    self._file.sync()

    def close(self) -> None:
        """Everything is on the disk when this returns."""
        with self._syncing:
            if not self._closed:
                self._closed = True
                self._file.close()
        self._dirty.set()


def _repeat(server: Server, line: Line, body: bytes) -> str:
    scope = f"local/20000101/{line.region}/{line.service}/aws4_request"
    authorization = f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0"
    headers = [*line.headers, ("Authorization", authorization)]
    try:
        response = server.repeat(Request(line.method, line.url, headers, body, line.principal))
    except Exception:
        return answer_of(500, b"")
    return answer_of(response.status, response.body)
