"""Lambda's Runtime API: where an environment's process fetches events and leaves its answers.

One server on the loopback address for all environments. Each has a secret in the path of its address, because other
users of this machine can reach the port, too: `AWS_LAMBDA_RUNTIME_API` is `127.0.0.1:PORT/SECRET`.
Source: https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html
"""

from __future__ import annotations

import json
import re
import secrets
import socket
import threading
from collections.abc import Mapping
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Protocol

LOOPBACK = "127.0.0.1"

MAX_RESPONSE_BYTES = 6_291_556
"""Of a synchronous answer, as Lambda's error text says it."""

_INVOCATION = re.compile(r"invocation/(?P<id>[0-9a-f-]{36})/(?P<what>response|error)")
_PATH = re.compile(r"/(?P<secret>[A-Za-z0-9_-]+)/2018-06-01/runtime/(?P<rest>.+)")


class Caller(Protocol):
    """An environment, as its process speaks to it. Called from a thread of the connection."""

    def next(self) -> tuple[Mapping[str, str], bytes] | None:
        """Wait for the next event: headers and payload. None when there will be none."""

    def respond(self, request_id: str, body: bytes) -> bool:
        """The answer to an event; False if nobody waits for it."""

    def fail(self, request_id: str, body: bytes, kind: str) -> bool:
        """The function failed on an event; False if nobody waits for it."""

    def fail_to_start(self, body: bytes, kind: str) -> None:
        """The process cannot take any event."""


class RuntimeApi:
    """The server. It starts with the first environment."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._callers: dict[str, Caller] = {}
        self._server: _Server | None = None

    def admit(self, caller: Caller) -> str:
        """The address for an environment's process."""
        secret = secrets.token_urlsafe(32)
        with self._lock:
            if self._server is None:
                self._server = self._start()
            self._callers[secret] = caller
            return f"{LOOPBACK}:{self._server.server_address[1]}/{secret}"

    def dismiss(self, address: str) -> None:
        """The environment is gone."""
        with self._lock:
            self._callers.pop(address.partition("/")[2], None)

    def find(self, secret: str) -> Caller | None:
        with self._lock:
            return self._callers.get(secret)

    def close(self) -> None:
        """Answer nobody any more. Environments are to be closed before."""
        with self._lock:
            server, self._server = self._server, None
        if server is not None:
            server.close()

    def _start(self) -> _Server:
        api = self

        class Handler(_Handler):
            def find(self, secret: str) -> Caller | None:
                return api.find(secret)

        return _Server((LOOPBACK, 0), Handler)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    closing = False

    def __init__(self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler]):
        super().__init__(address, handler)
        self._thread = threading.Thread(target=self._serve, name="lambda-runtime-api", daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while not self.closing:  # `serve_forever` would look twice a second
            self.handle_request()

    def close(self) -> None:
        self.closing = True
        with suppress(OSError):
            socket.create_connection(self.server_address[:2]).close()  # type: ignore[arg-type]
        self._thread.join(5)
        self.server_close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A process was killed in the middle of a call: that is told elsewhere."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1

    def find(self, secret: str) -> Caller | None:
        raise NotImplementedError

    def log_message(self, format: str, *args: Any) -> None:
        """Addresses have secrets: none of them is written down."""

    def do_GET(self) -> None:
        caller, rest = self._addressed()
        if caller is None or rest != "invocation/next":
            return self._answer(404 if caller else 403, {})
        event = caller.next()
        if event is None:
            self.close_connection = True
            return self._answer(410, {})
        headers, payload = event
        self._send(200, {"Content-Type": "application/json", **headers}, payload)

    def do_POST(self) -> None:
        caller, rest = self._addressed()
        if caller is None:
            self.close_connection = True
            return self._answer(403, {})
        body = self._body()
        if body is None:
            self.close_connection = True
            return self._answer(413, _error("RequestEntityTooLarge", "The body is too long"))
        kind = self.headers.get("Lambda-Runtime-Function-Error-Type") or "Runtime.Unknown"
        if rest == "init/error":
            caller.fail_to_start(body, kind)
            return self._answer(202, {"status": "OK"})
        match = _INVOCATION.fullmatch(rest)
        if match is None:
            return self._answer(404, {})
        taken = (
            caller.respond(match["id"], body) if match["what"] == "response" else caller.fail(match["id"], body, kind)
        )
        if taken:
            return self._answer(202, {"status": "OK"})
        self._answer(400, _error("InvalidRequestID", "Invalid request ID"))

    def _addressed(self) -> tuple[Caller | None, str]:
        match = _PATH.fullmatch(self.path)
        return (self.find(match["secret"]), match["rest"]) if match else (None, "")

    def _body(self) -> bytes | None:
        """The request's body, one byte more than an answer may have at most; None for what is longer still."""
        most = MAX_RESPONSE_BYTES + 1
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            return self._chunked(most)
        length = self.headers.get("Content-Length", "0")
        if not length.isdecimal():
            return None
        body = self.rfile.read(min(int(length), most))
        left = int(length) - len(body)
        while left > 0 and (more := self.rfile.read(min(left, 1 << 16))):
            left -= len(more)
        return body

    def _chunked(self, most: int) -> bytes | None:
        body = b""
        while True:
            size_text = self.rfile.readline(64).split(b";")[0].strip()
            try:
                size = int(size_text, 16)
            except ValueError:
                return None
            if size == 0:
                while self.rfile.readline(1 << 16).strip():  # trailers
                    pass
                return body
            if size < 0 or len(body) + size > most:
                return None
            body += self.rfile.read(size)
            self.rfile.readline(8)

    def _answer(self, status: int, document: Mapping[str, str]) -> None:
        self._send(status, {"Content-Type": "application/json"}, json.dumps(document).encode())

    def _send(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        self.send_response_only(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()


def _error(kind: str, message: str) -> dict[str, str]:
    return {"errorType": kind, "errorMessage": message}
