"""A network for each task, as on Fargate: its containers share it, and nobody else is in it.

A small container without an image of its own holds it open (pause.py). Ports that the task's definition names are
published on this machine's loopback. Inside, the local cloud's address on loopback and the address of ECS's credentials
are answered by the local cloud: pause.py opens them there and hands the open sockets over, so that nothing has to
listen on an address of this machine's that a container could reach.
"""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import socket
import sys
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .. import CannotStart, TaskNetwork
from . import pause
from .api import Daemon, DaemonError

log = logging.getLogger(__name__)

CREDENTIALS = ("169.254.170.2", 80)
"""Where a task's SDKs ask for credentials.
Source: https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-iam-roles.html"""

OPEN_SECONDS = 30.0
"""How long the container that holds a network may take to hand over its sockets."""

CLOSE_SECONDS = 5.0

_BASE = "localcloud-pause:1"
_EMPTY_TAR = bytes(1024)
_CHUNK = 256 << 10

Places = Mapping[tuple[str, int], int]
"""Address and port inside a network -> port on this machine's loopback."""


SPARE = "(spare)"
"""How the task of a network is called that was made before its task."""


@dataclass(eq=False)
class _Network:
    container: str = ""
    places: Places = field(default_factory=dict)
    listeners: list[socket.socket] = field(default_factory=list)
    servers: list[asyncio.Server] = field(default_factory=list)
    failure: str = ""
    ready: threading.Event = field(default_factory=threading.Event)
    """It is open, or `failure` says why not."""

    arrived: threading.Event = field(default_factory=threading.Event)


class Networks:
    """The networks of one local cloud. Safe with several threads.

    `labels` go on all that is made, `bridge` is the network that leads outside; `places` says, whenever one is made,
    what is to be reached from inside. `folder` is empty, and nobody else may look into it.

    When a task has ended, a network is made for the next one that publishes no port: opening one takes as long as
    starting a container.
    """

    def __init__(
        self, daemon: Daemon, labels: Mapping[str, str], bridge: str, places: Callable[[], Places], folder: Path
    ) -> None:
        self._daemon = daemon
        self._labels = dict(labels)
        self._bridge = bridge
        self._places = places
        self._lock = threading.Lock()
        self._networks: dict[str, _Network] = {}
        self._awaited: dict[str, _Network] = {}
        self._spare: _Network | None = None
        self._preparing = threading.Lock()
        self._closed = False
        # Who may not look into the outer folder does not come to the inner one, which the containers are given.
        self._folder = folder
        shared = self._folder / "shared"
        shared.mkdir()
        shared.chmod(0o755)
        self._door = socket.socket(socket.AF_UNIX)
        self._door.bind(str(shared / "door"))
        (shared / "door").chmod(0o666)
        self._door.listen(64)
        self._loop = asyncio.new_event_loop()
        self._serving = threading.Thread(target=self._loop.run_forever, name="task-networks", daemon=True)
        self._serving.start()
        threading.Thread(target=self._take_in, name="task-network-door", daemon=True).start()

    def of(self, task: TaskNetwork) -> str:
        """The container that holds the task's network open, made where there is none. Raises `CannotStart`."""
        places = self._places()
        with self._lock:
            network = self._networks.get(task.identity)
            if network is None and not task.ports and self._spare is not None and self._spare.places == places:
                network, self._spare = self._spare, None
                self._networks[task.identity] = network
            is_new = network is None
            if network is None:
                network = self._networks[task.identity] = _Network()
        if is_new:
            try:
                self._open(task, network)
            except (DaemonError, CannotStart, OSError) as error:
                network.failure = f"its network could not be made: {error}"
            network.ready.set()
        network.ready.wait()
        if network.failure:
            raise CannotStart(network.failure)
        return network.container

    def end(self, identity: str) -> None:
        """Remove a task's network. Its containers have ended."""
        with self._lock:
            network = self._networks.pop(identity, None)
        if network is None:
            return
        network.ready.wait(OPEN_SECONDS)
        self._remove(network)

    def prepare(self) -> None:
        """Make a network for the next task, unless one is there."""
        if not self._preparing.acquire(blocking=False):
            return
        try:
            places = self._places()
            with self._lock:
                old, current = self._spare, self._closed
                if current or old is not None and old.places == places:
                    return
                self._spare = None
            if old is not None:
                self._remove(old)
            network = _Network()
            try:
                self._open(TaskNetwork(identity=SPARE), network)
            except (DaemonError, CannotStart, OSError) as error:
                log.info("no network could be made for the next task: %s", error)
                self._remove(network)
                return
            network.ready.set()
            with self._lock:
                is_late = self._closed
                if not is_late:
                    self._spare = network
            if is_late:
                self._remove(network)
        finally:
            self._preparing.release()

    def _remove(self, network: _Network) -> None:
        for server in network.servers:
            self._loop.call_soon_threadsafe(server.close)
        if network.container:
            with suppress(DaemonError):
                self._daemon.call("DELETE", f"/containers/{network.container}", force=True, v=True)

    def close(self) -> None:
        """Remove all of them."""
        with self._lock:
            self._closed = True
            spare, self._spare = self._spare, None
        with self._preparing:  # one that is being made is removed by who makes it
            if spare is not None:
                self._remove(spare)
        for identity in list(self._networks):
            self.end(identity)
        # A thread that waits for a connection is woken by one, not by the closing of its socket.
        with suppress(OSError), socket.socket(socket.AF_UNIX) as last:
            last.connect(str(self._folder / "shared" / "door"))
        self._door.close()
        asyncio.run_coroutine_threadsafe(_cancel_others(), self._loop).result(CLOSE_SECONDS)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._serving.join(CLOSE_SECONDS)
        self._loop.close()
        with suppress(DaemonError):  # another local cloud may use it
            self._daemon.call("DELETE", f"/images/{_BASE}")

    def _open(self, task: TaskNetwork, network: _Network) -> None:
        token = secrets.token_urlsafe(24)
        places = network.places = dict(self._places())
        with self._lock:
            self._awaited[token] = network
        try:
            settings = self._settings(task, token, list(places))
            network.container = self._create(settings)
            self._daemon.call("POST", f"/containers/{network.container}/start")
            if not network.arrived.wait(OPEN_SECONDS):
                raise CannotStart(self._why_silent(network.container))
        finally:
            with self._lock:
                self._awaited.pop(token, None)
        serving = [
            asyncio.run_coroutine_threadsafe(self._serve(listener, port), self._loop)
            for listener, port in zip(network.listeners, places.values(), strict=True)
        ]
        network.servers = [each.result() for each in serving]

    def _create(self, settings: Mapping[str, Any]) -> str:
        try:
            return str(self._daemon.call("POST", "/containers/create", settings)["Id"])
        except DaemonError as error:
            if error.status != 404:
                raise
        repository, _, tag = _BASE.partition(":")
        self._daemon.call("POST", "/images/create", _EMPTY_TAR, fromSrc="-", repo=repository, tag=tag)
        return str(self._daemon.call("POST", "/containers/create", settings)["Id"])

    def _settings(self, task: TaskNetwork, token: str, places: list[tuple[str, int]]) -> dict[str, Any]:
        published = {
            f"{inside}/tcp": [{"HostIp": "127.0.0.1", "HostPort": str(outside)}] for inside, outside in task.ports
        }
        python = os.path.realpath(sys.executable)
        read = {folder: folder for folder in _folders(python)}
        read |= {str(Path(pause.__file__).resolve()): "/pause.py", str(self._folder / "shared"): "/run/localcloud"}
        return {
            "Image": _BASE,
            "Entrypoint": [python, "-I", "-S", "/pause.py"],
            "Cmd": ["/run/localcloud/door", *(f"{address}:{port}" for address, port in places)],
            "Env": [f"LOCALCLOUD_PAUSE={token}"],
            "Labels": {**self._labels, "localcloud.task": task.identity, "localcloud.container": "(network)"},
            "ExposedPorts": {port: {} for port in published},
            "HostConfig": {
                "NetworkMode": self._bridge,
                "PortBindings": published,
                "ReadonlyRootfs": True,
                "CapDrop": ["ALL"],
                "CapAdd": ["NET_ADMIN", "NET_BIND_SERVICE"],
                "SecurityOpt": ["no-new-privileges"],
                "Mounts": [
                    {"Type": "bind", "Source": source, "Target": target, "ReadOnly": True}
                    for source, target in read.items()
                ],
            },
        }

    def _why_silent(self, container: str) -> str:
        with suppress(DaemonError):
            state = self._daemon.call("GET", f"/containers/{container}/json")["State"]
            if not state["Running"]:
                return f"this machine's Python does not start in it (status {state['ExitCode']})"
        return (
            f"nothing was heard of it for {OPEN_SECONDS:.0f} s. It needs a daemon on this machine itself, not in a "
            "virtual machine as Docker Desktop's"
        )

    def _take_in(self) -> None:
        """Receive the sockets that networks hand over."""
        while True:
            try:
                guest, _ = self._door.accept()
            except OSError:
                return
            with guest, suppress(OSError):
                guest.settimeout(OPEN_SECONDS)
                said, descriptors, _, _ = socket.recv_fds(guest, 256, 64)
                with self._lock:
                    network = self._awaited.pop(said.decode("ascii", "replace"), None)
                if network is None:
                    for descriptor in descriptors:
                        os.close(descriptor)
                    continue
                network.listeners = [socket.socket(fileno=descriptor) for descriptor in descriptors]
                network.arrived.set()
                guest.send(b"+")

    async def _serve(self, listener: socket.socket, port: int) -> asyncio.Server:
        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                out_reader, out_writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                writer.transport.abort()
                return
            await asyncio.gather(_pump(reader, out_writer), _pump(out_reader, writer))
            for end in (writer, out_writer):
                end.close()

        listener.setblocking(False)
        return await asyncio.start_server(answer, sock=listener, limit=_CHUNK)


async def _cancel_others() -> None:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Copy one direction to its end."""
    try:
        while chunk := await reader.read(_CHUNK):
            writer.write(chunk)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()
    except OSError:
        writer.transport.abort()


def _folders(python: str) -> list[str]:
    """Where this machine's Python and what it is linked with lie."""
    prefix = str(Path(python).parent.parent)
    wanted = ["/usr", "/lib", "/lib64", *(() if prefix.startswith("/usr") else (prefix,)), "/nix/store"]
    return [folder for folder in dict.fromkeys(wanted) if os.path.isdir(folder)]
