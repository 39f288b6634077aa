"""Removes from a Docker daemon what a local cloud has made there: at its start, at its end, and after it was killed.

    python -m localcloud.engines.docker.reaper <socket> <label> <folder>

is started by the engine and waits until its standard input closes. That happens however the local cloud ends, so
nothing of it stays even after `kill -9`.
"""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from .api import Daemon, DaemonError

REMOVED_AT_ONCE = 8


def remove_all(daemon: Daemon, label: str) -> int:
    """Remove every container, volume and network with a label (`name=value`); how many there were.

    Raises DaemonError where the daemon does not answer; what something else still uses stays.
    """
    filters = {"label": [label]}
    containers = [one["Id"] for one in daemon.call("GET", "/containers/json", all=True, filters=filters)]

    def remove(path: str) -> None:
        # Of volumes and networks there are no others with them.
        with suppress(DaemonError):
            daemon.call("DELETE", path, force=True, v=True)

    if containers:
        with ThreadPoolExecutor(REMOVED_AT_ONCE) as pool:
            list(pool.map(lambda one: remove(f"/containers/{one}"), containers))
    volumes = [one["Name"] for one in daemon.call("GET", "/volumes", filters=filters)["Volumes"] or ()]
    networks = [one["Id"] for one in daemon.call("GET", "/networks", filters=filters)]
    for path in [*(f"/volumes/{one}" for one in volumes), *(f"/networks/{one}" for one in networks)]:
        remove(path)
    return len(containers) + len(volumes) + len(networks)


class Reaper:
    """The engine's side: a process that outlives this one by a moment."""

    def __init__(self, daemon: Daemon, label: str, folder: Path) -> None:
        command = [sys.executable, "-m", __name__, daemon.socket_path, label, str(folder)]
        self._process = subprocess.Popen(
            command,
            cwd="/",
            env={"PYTHONPATH": str(Path(__file__).resolve().parents[3])},
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def close(self) -> None:
        """Let it remove what there is, and wait for its end."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


def main(socket_path: str, label: str, folder: str) -> None:
    """Wait for the end of who has started this; then remove what it had, and the folder."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    sys.stdin.read()
    with suppress(DaemonError):
        remove_all(Daemon(socket_path), label)
        # A start that was under way in the daemon is not in the first list.
        remove_all(Daemon(socket_path), label)
    shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
