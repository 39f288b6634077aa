"""Ends containers whose local cloud has died, even by `kill -9`.

The engine starts this file as a process of its own and tells it, through a pipe, which containers run:

    + <process group> <container id> <scratch folder>
    - <process group>

When the pipe closes, nobody is left to look after what is still on the list: it is killed and its scratch folder
removed. One such process serves all containers and sleeps in between. It works wherever there are pipes and process
groups; a parent-death signal would reach only the first process of a container, and only on Linux.

Imported, this module gives `Supervisor`, the engine's side of the pipe. Run, it imports the standard library only.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

CONTAINER_VARIABLE = "LOCALCLOUD_CONTAINER"
"""In the environment of every process of a container: tells its descendants even when they left the process group."""


def kill_all(group: int, container: str, *, first_ended: bool = False) -> None:
    """Kill every process of a container: its process group, and those that have moved to a session of their own."""
    # Once the first process has ended, what was below it is somebody else's child.
    below = [] if first_ended else _below(group)
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)
    for pid in below:
        with suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGKILL)
    for _ in range(5):  # a process may have forked while the list was read
        strays = list(_strays(container))
        if not strays:
            return
        for pid in strays:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)


def _strays(container: str) -> Iterator[int]:
    """Living processes with the container's mark. Only Linux shows another process's environment cheaply."""
    mark = f"{CONTAINER_VARIABLE}={container}\0".encode()
    with suppress(FileNotFoundError):
        for name in os.listdir("/proc"):
            if name.isdecimal():
                with suppress(OSError):
                    # A zombie's environment is empty: only what lives is found.
                    if mark in Path(f"/proc/{name}/environ").read_bytes():
                        yield int(name)


def _below(pid: int) -> list[int]:
    """Process ids of a process's living descendants: they may have another group, session and environment."""
    children: dict[int, list[int]] = {}
    for child, parent in _parents():
        children.setdefault(parent, []).append(child)
    below, look_at = [], [pid]
    while look_at:
        more = children.pop(look_at.pop(), [])
        below += more
        look_at += more
    return below


def _parents() -> Iterator[tuple[int, int]]:
    """Each process of this machine and its parent."""
    if not Path("/proc/self/stat").exists():  # macOS
        listed = subprocess.run(["ps", "-axo", "pid=,ppid="], capture_output=True, text=True, check=False).stdout
        for line in listed.splitlines():
            child, parent = line.split()
            yield int(child), int(parent)
        return
    for name in os.listdir("/proc"):
        if name.isdecimal():
            with suppress(OSError, IndexError):
                # The name, in parentheses, may itself have any character.
                parent = Path(f"/proc/{name}/stat").read_bytes().rpartition(b")")[2].split()[1].decode()
                yield int(name), int(parent)


class Supervisor:
    """The engine's side. Safe with several threads; a supervisor process that dies is replaced."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: dict[int, str] = {}
        self._closed = False
        self._process = self._start()

    def add(self, group: int, container: str, scratch: Path) -> None:
        """A container runs."""
        with self._lock:
            self._kept[group] = f"+ {group} {container} {scratch}\n"
            self._say(self._kept[group])

    def remove(self, group: int) -> None:
        """It has ended. One that ended too late for `close` was ended by it."""
        with self._lock:
            if self._kept.pop(group, None) and not self._closed:
                self._say(f"- {group}\n")

    def close(self) -> None:
        """End the supervisor; what is still on its list ends with it."""
        with self._lock:
            self._closed = True
            assert self._process.stdin is not None
            with suppress(OSError):
                self._process.stdin.close()
            self._process.wait()

    def _say(self, line: str) -> None:
        try:
            self._write(line)
        except OSError:
            self._process.wait()
            self._process = self._start()
            self._write("".join(self._kept.values()))

    def _write(self, text: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(text.encode())
        self._process.stdin.flush()

    @staticmethod
    def _start() -> subprocess.Popen[bytes]:
        command = [sys.executable, "-I", "-S", __file__]
        return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, start_new_session=True)


def main() -> None:
    """Keep the list until the pipe closes, then end what is on it."""
    kept: dict[int, tuple[str, str]] = {}
    for line in sys.stdin:
        sign, group, *rest = line.rstrip("\n").split(" ", 3)
        if sign == "+":
            kept[int(group)] = (rest[0], rest[1])
        else:
            kept.pop(int(group), None)
    for number, (container, scratch) in kept.items():
        kill_all(number, container)
        shutil.rmtree(scratch, ignore_errors=True)


if __name__ == "__main__":
    main()
