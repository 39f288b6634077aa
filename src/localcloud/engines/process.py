"""Containers as processes of this machine.

Each is a process group with an environment, a HOME and a TMPDIR of its own, in a folder that is removed when it ends.
Its output arrives line by line. When its first process ends the others are killed, as in a container. A memory limit is
kept over all its processes. Nothing survives the local cloud, however that ends (see supervisor.py).

What this does not do: processes of one user are not isolated from each other, and what a Dockerfile does with RUN or
USER, or takes from its base image, is not exercised. That is said once for each image in the log.
"""

from __future__ import annotations

import logging
import os
import shutil
import signal
import subprocess
import tempfile
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path

from ..images.dockerfile import ImageError
from ..images.store import Image, ImageNotFound, ImageStore
from . import OUT_OF_MEMORY, CannotStart, Container, Exit, health
from .launch import Launch, Program, prepare, prepare_program
from .lines import Lines
from .memory import MemoryWatch
from .supervisor import Supervisor, kill_all

log = logging.getLogger(__name__)

_LAST_OUTPUT_SECONDS = 2.0
"""How long output may still arrive after all processes were killed; then a stray that holds the pipe is given up."""


class ProcessEngine:
    """Starts containers as processes. `scratch` is where their HOME and TMPDIR go; by default with temporary files."""

    has_own_network = False

    def __init__(self, images: ImageStore, scratch: Path | None = None) -> None:
        self._images = images
        self._scratch = scratch
        self._supervisor = Supervisor()
        self._memory = MemoryWatch()
        self._lock = threading.Lock()
        self._running: set[_Run] = set()
        self._described: set[str] = set()

    def start(self, container: Container, on_line: Callable[[str], None], on_exit: Callable[[Exit], None]) -> _Run:
        """Start a container; see `Engine`. Takes milliseconds, unless the image's environment must be made again."""
        image = self._image(container)
        check, on_health = container.isolation.health_check, container.isolation.on_health
        place: list[tuple[str, Path]] = []

        def launch(identity: str, scratch: Path) -> Launch:
            place.append((identity, scratch))
            return prepare(image, container, identity, scratch)

        with ExitStack() as undo:
            undo.enter_context(self._images.hold(image))
            run = self._run(launch, container, signal.Signals[image.config.stop_signal], on_line, on_exit, undo)
        if check is not None and on_health is not None and (asking := health.words(check)):
            asked = replace(container, entrypoint=asking, command=())
            health.watch(run, check, lambda: prepare(image, asked, *place[0]), on_health)
        return run

    def start_program(self, program: Program, on_line: Callable[[str], None], on_exit: Callable[[Exit], None]) -> _Run:
        """Start a program that needs no image. Raises `CannotStart`."""
        with ExitStack() as undo:
            return self._run(
                lambda identity, scratch: prepare_program(program, identity, scratch), program,
                signal.SIGTERM, on_line, on_exit, undo,
            )  # fmt: skip

    def _run(
        self,
        launch: Callable[[str, Path], Launch],
        limits: Container | Program,
        stop_signal: signal.Signals,
        on_line: Callable[[str], None],
        on_exit: Callable[[Exit], None],
        undo: ExitStack,
    ) -> _Run:
        """Start what `launch` makes of an id and a scratch folder; `undo` is closed when it has ended."""
        scratch = Path(tempfile.mkdtemp(prefix="container-", dir=self._scratch))
        undo.callback(shutil.rmtree, scratch, ignore_errors=True)
        for name in ("home", "tmp"):
            (scratch / name).mkdir()
        identity = uuid.uuid4().hex
        process = _spawn(launch(identity, scratch))
        self._supervisor.add(process.pid, identity, scratch)
        undo.callback(self._supervisor.remove, process.pid)
        run = _Run(process, identity, stop_signal, limits.stop_timeout_seconds)
        with self._lock:
            self._running.add(run)
        undo.callback(self._forget, run)
        if limits.memory_mb is not None:
            self._memory.add(process.pid, limits.memory_mb << 20, run.kill_for_memory)
            undo.callback(self._memory.remove, process.pid)
        run.follow(on_line, on_exit, undo.pop_all().close)
        return run

    def end_task(self, identity: str) -> None:
        """Nothing is kept for a task beside its containers."""

    def close(self) -> None:
        """Kill what runs and wait until it is gone."""
        with self._lock:
            running = list(self._running)
        for run in running:
            run.kill()
        for run in running:
            run.wait(_LAST_OUTPUT_SECONDS * 2)
        self._supervisor.close()

    def _image(self, container: Container) -> Image:
        try:
            image = self._images.resolve(container.image)
            self._images.make_ready(image)
        except (ImageNotFound, ImageError) as error:
            raise CannotStart(str(error)) from error
        with self._lock:
            first = image.digest not in self._described
            self._described.add(image.digest)
        if first and image.not_exercised:
            log.info("image %s: not exercised without Docker: %s", container.image, "; ".join(image.not_exercised))
        return image

    def _forget(self, run: _Run) -> None:
        with self._lock:
            self._running.discard(run)


class _Run:
    """A container that was started: the `Handle` of this engine."""

    def __init__(
        self, process: subprocess.Popen[bytes], identity: str, stop_signal: signal.Signals, grace: int
    ) -> None:
        self._process = process
        self._identity = identity
        self._stop_signal = stop_signal
        self._grace = grace
        self._lock = threading.Lock()
        self._stopping = False
        self._reaped = False
        self._reason = ""
        self._exit: Exit | None = None
        self._ended = threading.Event()
        self._deadline: threading.Timer | None = None

    @property
    def pid(self) -> int:
        """The first process, which leads the process group."""
        return self._process.pid

    def stop(self) -> None:
        """The image's stop signal (SIGTERM) to the first process, SIGKILL to all after the grace period.

        To the first one only, as on ECS: a container's init process passes it to its one child.
        """
        with self._lock:
            if self._stopping or self._reaped:
                return
            self._stopping = True
            with suppress(ProcessLookupError, PermissionError):
                os.kill(self.pid, self._stop_signal)
            self._deadline = threading.Timer(self._grace, self.kill)
            self._deadline.daemon = True
            self._deadline.start()

    def kill(self, reason: str = "") -> None:
        """End every process of the container at once."""
        with self._lock:
            if not self._reaped:
                self._reason = reason
                kill_all(self.pid, self._identity)

    def kill_for_memory(self) -> None:
        """End it because it has passed its memory limit."""
        self.kill(OUT_OF_MEMORY)

    def wait(self, timeout: float | None = None) -> Exit | None:
        """The exit, or None after `timeout` seconds."""
        self._ended.wait(timeout)
        return self._exit

    def follow(
        self, on_line: Callable[[str], None], on_exit: Callable[[Exit], None], clean_up: Callable[[], None]
    ) -> None:
        """Read the output and wait for the end, on two threads of this container's own."""
        reader = threading.Thread(target=self._read, args=(on_line,), name=f"output-{self.pid}", daemon=True)
        waiter = threading.Thread(
            target=self._wait, args=(reader, on_exit, clean_up), name=f"wait-{self.pid}", daemon=True
        )
        reader.start()
        waiter.start()

    def _read(self, on_line: Callable[[str], None]) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as output:
            for line in _lines(output.fileno()):
                if self._ended.is_set():
                    return
                try:
                    on_line(line)
                except Exception:
                    log.exception("a line of output was lost")

    def _wait(self, reader: threading.Thread, on_exit: Callable[[Exit], None], clean_up: Callable[[], None]) -> None:
        if hasattr(os, "waitid"):
            # Left unreaped, the process keeps its id, so that its group can be killed without meeting another's.
            os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT)
        else:
            self._process.wait()
        with self._lock:
            kill_all(self.pid, self._identity, first_ended=True)
            self._reaped = True
            status = self._process.wait()
            if self._deadline is not None:
                self._deadline.cancel()
        reader.join(_LAST_OUTPUT_SECONDS)
        killed = status == -signal.SIGKILL
        self._exit = Exit(128 - status if status < 0 else status, self._reason if killed else "")
        try:
            on_exit(self._exit)
        except Exception:
            log.exception("the end of a container was not handled")
        self._ended.set()
        clean_up()


def _spawn(launch: Launch) -> subprocess.Popen[bytes]:
    try:
        # No preexec_fn: the interpreter then uses vfork, which does not copy this process's page tables.
        return subprocess.Popen(
            launch.arguments,
            env=launch.environment,
            cwd=launch.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            bufsize=0,
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise CannotStart(f'exec: "{launch.arguments[0]}": {(reason or "failed").lower()}') from error


def _lines(descriptor: int) -> Iterator[str]:
    """Lines of a pipe as they come."""
    lines = Lines()
    while chunk := os.read(descriptor, 1 << 16):
        yield from lines.feed(chunk)
    yield from lines.end()
