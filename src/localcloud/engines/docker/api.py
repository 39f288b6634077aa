"""The Docker daemon's HTTP interface on its socket: the few calls that running containers needs.

Not by the command line: a start takes three calls, each of which would be a process of its own; and environments, which
hold secrets, are in no list of processes this way.
"""

from __future__ import annotations

import http.client
import io
import json
import socket
from collections.abc import Iterator, Mapping
from contextlib import closing
from typing import Any
from urllib.parse import quote, urlencode

CALL_SECONDS = 60.0


class DaemonError(Exception):
    """The daemon refused, or did not answer (`status` 0); the text is its own."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class _Connection(http.client.HTTPConnection):
    def __init__(self, path: str, timeout: float | None) -> None:
        super().__init__("docker", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


class Daemon:
    """A daemon on a socket of this machine. Safe with several threads: each call has a connection of its own."""

    def __init__(self, socket_path: str) -> None:
        self.socket_path = socket_path

    def call(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | bytes | None = None,
        timeout: float | None = CALL_SECONDS,
        **query: Any,
    ) -> Any:
        """One request; the answer's JSON, None where it has none. Raises DaemonError. No `timeout` waits for ever."""
        connection = _Connection(self.socket_path, timeout)
        try:
            answer = self._ask(connection, method, path, body, query)
            content = answer.read()
        except (OSError, http.client.HTTPException) as error:
            raise DaemonError(0, f"the Docker daemon at {self.socket_path} does not answer: {error}") from error
        finally:
            connection.close()
        if answer.status >= 400:
            raise DaemonError(answer.status, _message(content))
        try:
            return json.loads(content)
        except ValueError:
            return None

    def attach(self, container: str) -> socket.socket:
        """A connection on which the container's output comes from its first byte on: see `frames`."""
        connection = _Connection(self.socket_path, CALL_SECONDS)
        path = f"/containers/{container}/attach"
        query = {"stream": True, "stdout": True, "stderr": True}
        try:
            connection.putrequest("POST", _with(path, query), skip_accept_encoding=True)
            for name, value in (("Connection", "Upgrade"), ("Upgrade", "tcp"), ("Content-Length", "0")):
                connection.putheader(name, value)
            connection.endheaders()
            raw = connection.sock
            head = b""
            while not head.endswith(b"\r\n\r\n"):  # byte by byte: what follows it is the container's
                byte = raw.recv(1)
                if not byte:
                    raise DaemonError(0, "the Docker daemon closed the connection")
                head += byte
        except OSError as error:
            connection.close()
            raise DaemonError(0, f"the Docker daemon at {self.socket_path} does not answer: {error}") from error
        status = int(head.split(b" ", 2)[1])
        if status not in (101, 200):
            connection.close()
            raise DaemonError(status, head.decode("latin-1").splitlines()[0])
        raw.settimeout(None)
        return raw

    def events(self, since: float, **filters: list[str]) -> Iterator[dict[str, Any]]:
        """Events from a moment on (time.time()), as they happen, until the daemon ends. Raises DaemonError."""
        connection = _Connection(self.socket_path, None)
        try:
            answer = self._ask(connection, "GET", "/events", None, {"since": f"{since:.3f}", "filters": filters})
            while line := answer.readline():
                yield json.loads(line)
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise DaemonError(0, str(error)) from error
        finally:
            connection.close()

    @staticmethod
    def _ask(
        connection: _Connection,
        method: str,
        path: str,
        body: Mapping[str, Any] | bytes | None,
        query: Mapping[str, Any],
    ) -> http.client.HTTPResponse:
        headers = {"Content-Type": "application/x-tar" if isinstance(body, bytes) else "application/json"}
        content = body if isinstance(body, bytes) else None if body is None else json.dumps(body).encode()
        connection.request(method, _with(path, query), content, headers)
        return connection.getresponse()


def frames(stream: socket.socket) -> Iterator[tuple[int, bytes]]:
    """What an attached container says: number of its stream (1 or 2) and bytes; ends when it has ended."""
    with stream, closing(io.BufferedReader(socket.SocketIO(stream, "r"), 1 << 16)) as file:
        while len(head := file.read(8)) == 8:
            left = int.from_bytes(head[4:], "big")
            while left and (chunk := file.read1(min(left, 1 << 16))):
                left -= len(chunk)
                yield head[0], chunk


def _with(path: str, query: Mapping[str, Any]) -> str:
    words = {name: value if isinstance(value, str) else json.dumps(value) for name, value in query.items()}
    return quote(path) + (f"?{urlencode(words)}" if words else "")


def _message(content: bytes) -> str:
    try:
        return str(json.loads(content)["message"])
    except (ValueError, KeyError, TypeError):
        return content.decode("utf-8", "replace").strip() or "it does not say why"
