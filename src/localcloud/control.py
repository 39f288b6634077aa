"""The control socket: how the command line and the plugin executables talk to a running local cloud.

A unix socket that only its owner can reach. One JSON object a line is asked, one a line is answered: what was wanted,
or `{"error": "…"}`. Some requests own something that lasts as long as their connection (a plugin's provider).
"""

from __future__ import annotations

import json
import logging
import re
import secrets
import shutil
import socket
import tempfile
import threading
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

from localcloud import atomic
from localcloud.config import LocalCloudError

log = logging.getLogger(__name__)

MAX_LINE_BYTES = 64 * 1024
FOLDER_PREFIX = "localcloud-"
FOLDER = re.compile(FOLDER_PREFIX + "[0-9a-f]{8}")

Request = Mapping[str, Any]
Answer = dict[str, Any]
Action = Callable[[Request, ExitStack], Answer]
"""Answers one request. What it pushes on the stack is closed when the connection is."""


class NotRunning(LocalCloudError):
    """Nobody listens on the control socket."""


class Control:
    """Serves `actions` by the name that a request gives as `do`, a thread for each connection.

    `note` is a file in which the place of the socket stands from before there is one: see `clear_after_kill`.
    """

    def __init__(self, actions: Mapping[str, Action], note: Path):
        self._actions, self._note = actions, note
        # A folder of its own: made 0700, and short, because a unix socket's path may have 108 bytes (104 on macOS).
        self._folder = Path(tempfile.gettempdir()) / f"{FOLDER_PREFIX}{secrets.token_hex(4)}"
        atomic.write(note, str(self._folder))
        self._folder.mkdir(mode=0o700)
        self.path = self._folder / "control"
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.bind(str(self.path))
        self.path.chmod(0o600)
        self._socket.listen(64)
        self._lock = threading.Lock()
        self._connections: set[socket.socket] = set()
        self._closed = False
        self._thread = threading.Thread(target=self._accept, name="control", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        """Ends every connection, and what belongs to it."""
        with self._lock:
            self._closed = True
            connections = list(self._connections)
        for one in (self._socket, *connections):
            with suppress(OSError):  # it may have ended by itself
                one.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        if self._thread.is_alive():
            self._thread.join(5)
        shutil.rmtree(self._folder, ignore_errors=True)
        self._note.unlink(missing_ok=True)

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:  # closed
                return
            with self._lock:
                if self._closed:
                    connection.close()
                    return
                self._connections.add(connection)
            threading.Thread(target=self._serve, args=(connection,), name="control-connection", daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            with connection, ExitStack() as owned, connection.makefile("rb") as lines:
                while line := lines.readline(MAX_LINE_BYTES):
                    answer = self._answer(line, owned)
                    connection.sendall(json.dumps(answer).encode() + b"\n")
        except OSError:
            log.debug("a control connection broke", exc_info=True)
        finally:
            with self._lock:
                self._connections.discard(connection)

    def _answer(self, line: bytes, owned: ExitStack) -> Answer:
        try:
            request = json.loads(line)
            action = self._actions.get(str(request.get("do"))) if isinstance(request, dict) else None
        except (ValueError, RecursionError):
            action = None
        if action is None:
            return {"error": f'expected a line of JSON with "do" one of: {", ".join(sorted(self._actions))}'}
        try:
            return action(request, owned)
        except Exception as error:
            log.exception("control request %r failed", request)
            return {"error": str(error) or type(error).__name__}


def clear_after_kill(note: Path) -> None:
    """Remove the folder that a killed cloud has left. Only for who holds its home: then nobody listens there."""
    with suppress(OSError, ValueError):  # there is no note, or none that can be read, or no folder any more
        folder = Path(note.read_text())
        if FOLDER.fullmatch(folder.name):
            (folder / "control").unlink(missing_ok=True)
            folder.rmdir()
    with suppress(OSError):
        note.unlink()


def ask(path: str | Path, request: Request, timeout: float = 30.0) -> Answer:
    """One request on a connection of its own. Raises NotRunning, and LocalCloudError for an answer that is an error."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(timeout)
            connection.connect(str(path))
            connection.sendall(json.dumps(request).encode() + b"\n")
            with connection.makefile("rb") as lines:
                line = lines.readline()
    except TimeoutError as error:
        raise LocalCloudError(f"the local cloud did not answer {request['do']!r} in {timeout:.0f} s") from error
    except OSError as error:
        raise NotRunning("the local cloud is not running") from error
    if not line:
        raise NotRunning("the local cloud ended while it was asked")
    answer: Answer = json.loads(line)
    if "error" in answer:
        raise LocalCloudError(str(answer["error"]))
    return answer
