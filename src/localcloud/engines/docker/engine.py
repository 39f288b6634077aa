"""Containers as containers of this machine's Docker daemon, with what their task definition says of them.

Each has its output read from its first byte on; its exit code and whether it ran out of memory are the daemon's. All
that is made has the local cloud's label; nothing of it stays, however the local cloud ends (see reaper.py).
"""

from __future__ import annotations

import logging
import re
import shutil
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol, TypeVar

from ...docker.client import DockerError
from ...images.store import ImageNotFound
from .. import KILLED, OUT_OF_MEMORY, CannotStart, Container, Exit, TaskNetwork
from ..lines import Lines
from .api import Daemon, DaemonError, frames
from .network import Networks, Places
from .reaper import Reaper, remove_all
from .settings import settings

log = logging.getLogger(__name__)

LABEL = "localcloud.home"

AWS_CONFIG_FILE = "AWS_CONFIG_FILE"
"""A variable that names a file of this machine, which a container gets to see."""

_THERE = "/run/localcloud/aws-config"

_STOP_EXTRA_SECONDS = 30.0


class NamedImage(Protocol):
    """An image that the daemon knows by `name`."""

    @property
    def name(self) -> str: ...


Known = TypeVar("Known", bound=NamedImage)


class Images(Protocol[Known]):
    """Where images are: `localcloud.docker.images.DockerImages`."""

    def resolve(self, reference: str) -> Known:
        """The image of a task definition's reference. Raises `ImageNotFound`."""

    def make_ready(self, image: Known) -> None:
        """Bring it into the daemon, from which it has gone. Raises `DockerError`."""


class DockerEngine:
    """Starts containers. `identity` tells this local cloud's from all others' of the daemon, also after its end;
    `places` says what tasks may reach on their own loopback.

    Where something of an earlier process of this cloud is left in the daemon, it is removed first. Raises
    `DaemonError`.
    """

    has_own_network = True

    def __init__(self, daemon: Daemon, identity: str, images: Images[Any], places: Callable[[], Places] = dict) -> None:
        self._daemon = daemon
        self._images = images
        self._label = f"{LABEL}={identity}"
        self._prefix = f"localcloud-{identity}-"
        self._labels = {LABEL: identity}
        if left := remove_all(daemon, self._label):
            log.warning("%d things in Docker that an earlier process has left were removed", left)
        self._processors = float(daemon.call("GET", "/info")["NCPU"])
        for old in Path(tempfile.gettempdir()).glob(f"{self._prefix}*"):
            shutil.rmtree(old, ignore_errors=True)  # of a process whose reaper was killed too
        folder = Path(tempfile.mkdtemp(prefix=self._prefix))
        self._reaper = Reaper(daemon, self._label, folder)
        self._lock = threading.Lock()
        self._running: set[_Run] = set()
        self._volumes: dict[str, set[str]] = {}
        self._closed = False
        self._health: dict[str, Callable[[str], None]] = {}
        self._started = time.time()
        self._listens = False
        self._networks = Networks(daemon, self._labels, self._make_bridge(), places, folder)

    def start(self, container: Container, on_line: Callable[[str], None], on_exit: Callable[[Exit], None]) -> _Run:
        """Start a container; see `Engine`."""
        alone = container.task is None
        task = container.task or TaskNetwork(identity=f"alone-{uuid.uuid4().hex}")
        try:
            image = self._images.resolve(container.image)
            network = self._networks.of(task)
            made = self._create(container, image, network, task)
            try:
                run = _Run(self._daemon, made, container.stop_timeout_seconds)
                output = self._daemon.attach(made)
                with self._lock:
                    if self._closed:
                        raise CannotStart("the local cloud is being stopped")
                    self._running.add(run)
                self._listen(made, container)
                try:
                    self._daemon.call("POST", f"/containers/{made}/start")
                except BaseException:
                    output.close()
                    self._forget(run)
                    raise
            except BaseException:
                self._remove(made)
                raise
        except (DaemonError, DockerError, ImageNotFound, CannotStart) as error:
            if alone:
                self.end_task(task.identity)
            raise _in_words(error) from error

        def clean_up() -> None:
            self._remove(made)
            self._forget(run)
            self._health.pop(made, None)
            if alone:
                self.end_task(task.identity)

        run.follow(frames(output), on_line, on_exit, clean_up)
        return run

    def end_task(self, identity: str) -> None:
        """Remove its network and its volumes, in the background."""
        thread = threading.Thread(target=self._end_task, args=(identity,), name="task-end", daemon=True)
        thread.start()

    def close(self) -> None:
        """Kill what runs and remove all that was made."""
        with self._lock:
            self._closed = True
            running = list(self._running)
        for run in running:
            run.kill()
        for run in running:
            run.wait(_STOP_EXTRA_SECONDS)
        self._networks.close()
        self._reaper.close()

    def _make_bridge(self) -> str:
        """The way outside: tasks reach the internet by it, and not one another."""
        name = f"{self._prefix}tasks"
        options = {"com.docker.network.bridge.enable_icc": "false"}
        body = {"Name": name, "Driver": "bridge", "Labels": self._labels, "Options": options, "CheckDuplicate": True}
        self._daemon.call("POST", "/networks/create", body)
        return name

    def _create(self, container: Container, image: NamedImage, network: str, task: TaskNetwork) -> str:
        prefix = f"{self._prefix}{task.identity}-"
        labels = {**self._labels, "localcloud.task": task.identity}
        environment, files = _readable(container.environment)
        with self._lock:
            self._volumes.setdefault(task.identity, set()).update(
                prefix + one.volume for one in container.isolation.mounts
            )
        wanted = settings(container, image.name, network, labels, files, self._processors, prefix)
        wanted["Env"] = [f"{name}={value}" for name, value in environment.items()]
        try:
            return str(self._daemon.call("POST", "/containers/create", wanted)["Id"])
        except DaemonError as error:
            if not _is_missing_image(error):
                raise
        self._images.make_ready(image)
        return str(self._daemon.call("POST", "/containers/create", wanted)["Id"])

    def _listen(self, made: str, container: Container) -> None:
        """Have the container's health told."""
        on_health = container.isolation.on_health
        if on_health is None or container.isolation.health_check is None:
            return
        with self._lock:
            self._health[made] = on_health
            if self._listens:
                return
            self._listens = True
        threading.Thread(target=self._tell_health, name="container-health", daemon=True).start()

    def _tell_health(self) -> None:
        try:
            for event in self._daemon.events(self._started, label=[self._label], event=["health_status"]):
                status = str(event["Action"]).rpartition(" ")[2].upper()
                with self._lock:
                    on_health = self._health.get(str(event["id"]))
                if on_health is not None:
                    on_health(status)
        except (DaemonError, KeyError):
            log.warning("the health of containers is not told any more: the Docker daemon has ended")

    def _end_task(self, identity: str) -> None:
        self._networks.end(identity)
        with self._lock:
            volumes = self._volumes.pop(identity, set())
        for volume in volumes:
            with suppress(DaemonError):
                self._daemon.call("DELETE", f"/volumes/{volume}")
        self._networks.prepare()

    def _remove(self, container: str) -> None:
        with suppress(DaemonError):
            self._daemon.call("DELETE", f"/containers/{container}", force=True, v=True)

    def _forget(self, run: _Run) -> None:
        with self._lock:
            self._running.discard(run)


class _Run:
    """A container that was started: the `Handle` of this engine."""

    def __init__(self, daemon: Daemon, container: str, grace: int) -> None:
        self._daemon = daemon
        self._container = container
        self._grace = grace
        self._lock = threading.Lock()
        self._stopping = False
        self._exit: Exit | None = None
        self._ended = threading.Event()
        self._pid: int | None = None

    @property
    def pid(self) -> int:
        """Of the container's init process, or its first one."""
        if self._pid is None:
            with suppress(DaemonError):
                self._pid = int(self._daemon.call("GET", f"/containers/{self._container}/json")["State"]["Pid"])
        return self._pid or 0

    def stop(self) -> None:
        """The image's stop signal (SIGTERM), SIGKILL after the grace period."""
        with self._lock:
            if self._stopping or self._exit is not None:
                return
            self._stopping = True
        threading.Thread(target=self._stop, name="container-stop", daemon=True).start()

    def _stop(self) -> None:
        timeout = self._grace + _STOP_EXTRA_SECONDS
        with suppress(DaemonError):
            self._daemon.call("POST", f"/containers/{self._container}/stop", timeout=timeout, t=self._grace)

    def kill(self) -> None:
        """End it at once."""
        with suppress(DaemonError):
            self._daemon.call("POST", f"/containers/{self._container}/kill", signal="SIGKILL")

    def wait(self, timeout: float | None = None) -> Exit | None:
        """The exit, or None after `timeout` seconds."""
        self._ended.wait(timeout)
        return self._exit

    def follow(
        self, output: Any, on_line: Callable[[str], None], on_exit: Callable[[Exit], None], clean_up: Callable[[], None]
    ) -> None:
        """Read its output to the end, then wait for its own, on a thread of its own."""
        threading.Thread(
            target=self._follow, args=(output, on_line, on_exit, clean_up), name="container", daemon=True
        ).start()

    def _follow(
        self, output: Any, on_line: Callable[[str], None], on_exit: Callable[[Exit], None], clean_up: Callable[[], None]
    ) -> None:
        def say(line: str) -> None:
            try:
                on_line(line)
            except Exception:
                log.exception("a line of output was lost")

        streams: dict[int, Lines] = {}
        with suppress(OSError):
            for number, chunk in output:
                for line in streams.setdefault(number, Lines()).feed(chunk):
                    say(line)
        for stream in streams.values():
            for line in stream.end():
                say(line)
        end = self._wait_for_end()
        with self._lock:
            self._exit = end
        try:
            on_exit(end)
        except Exception:
            log.exception("the end of a container was not handled")
        self._ended.set()
        clean_up()

    def _wait_for_end(self) -> Exit:
        try:
            # Its output may end before it does.
            code = int(self._daemon.call("POST", f"/containers/{self._container}/wait", timeout=None)["StatusCode"])
            state = self._daemon.call("GET", f"/containers/{self._container}/json")["State"]
        except DaemonError as error:
            log.error("the end of a container was not seen: %s", error)
            return Exit(KILLED, f"CannotInspectContainerError: {error}")
        return Exit(code, OUT_OF_MEMORY if state["OOMKilled"] else str(state.get("Error") or ""))


def _readable(environment: Mapping[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    """The variables of a container, and the files of this machine that they name: here -> there."""
    here = environment.get(AWS_CONFIG_FILE)
    if here is None or not Path(here).is_file():
        return dict(environment), {}
    return {**environment, AWS_CONFIG_FILE: _THERE}, {here: _THERE}


def _is_missing_image(error: Exception) -> bool:
    return isinstance(error, DaemonError) and error.status == 404 and "No such image" in str(error)


def _in_words(error: Exception) -> CannotStart:
    """Why a container does not start: of a runtime's chain of errors the last, which names the program."""
    if isinstance(error, CannotStart):
        return error
    text = str(error)
    if isinstance(error, DockerError | ImageNotFound) or _is_missing_image(error):
        return CannotStart(f"CannotPullContainerError: {text}")
    match = re.search(r'(exec: ".*?": .*?|stat .*?: .*?|chdir to cwd .*?)(: unknown)?$', text)
    return CannotStart(match[1] if match else text)
