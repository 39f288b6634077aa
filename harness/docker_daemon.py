"""A Docker daemon for the tests of one run, shared by its workers and touching no other one.

It has a data folder, socket and processes of its own, and a bridge in a network that nothing on this machine uses. Its
rules for the network are its own few lines: a daemon that writes them itself empties those of another one.

A small keeper process holds it. Each worker holds a shared lock on a file while it needs the daemon; when nobody does
any more, whether they ended well or were killed, the keeper ends the daemon by its id and removes all that it had.

    with running(folder, cache) as host:        # "unix:///tmp/herd-docker-…/docker.sock"
        ...
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil

from harness.processes import runs
from herd.toolchain import docker, machine
from herd.toolchain.machine import ToolMissing

READY_SECONDS = 60.0

GRACE_SECONDS = 3.0
"""How long nobody may need it before it ends: between two tests of different workers it is nobody's."""

STOP_SECONDS = 20.0

NETWORKS = range(200, 250)
"""10.N.0.0/16 is one daemon's: its bridge in the lower half, networks of tasks in the upper."""


ANSWERS = ("-m", "conntrack", "--ctstate", "RELATED,ESTABLISHED")


@contextmanager
def running(folder: Path, cache: Path, size_mb: int | None = None) -> Iterator[str]:
    """The daemon of everybody who names this folder, started by the first of them. Raises ToolMissing.

    `size_mb`: of its whole disk, which is in memory then.
    """
    docker.ensure(cache)
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "users").open("a") as users:
        fcntl.flock(users, fcntl.LOCK_SH)
        yield _host(folder, cache, size_mb)
    # Who was the last need not wait: the keeper sees that nobody holds the lock.


def _host(folder: Path, cache: Path, size_mb: int | None) -> str:
    note = folder / "daemon.json"
    with machine.exclusive(folder / "start.lock", lambda: None):
        if (said := _read(note)) is None or not runs(said["keeper"]):
            note.unlink(missing_ok=True)
            _start_keeper(folder, cache, size_mb)
            said = _read(note)
            assert said is not None
    return str(said["host"])


def _start_keeper(folder: Path, cache: Path, size_mb: int | None) -> None:
    log = folder / "dockerd.log"
    root = Path(__file__).parents[1]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(root), str(root / "src")])}
    with log.open("ab") as sink:
        done = subprocess.run(
            [sys.executable, "-m", "harness.docker_daemon", str(folder), str(cache), str(size_mb or 0)],
            cwd=root, env=environment, stdin=subprocess.DEVNULL, stdout=sink, stderr=sink, start_new_session=True,
        )  # fmt: skip
    if done.returncode != 0:
        tail = "\n".join(f"    {line}" for line in log.read_text(errors="replace").splitlines()[-15:])
        raise ToolMissing(f"the tests' Docker daemon did not start:\n{tail}\n{docker.advice()}")


def _read(note: Path) -> dict[str, Any] | None:
    try:
        said: dict[str, Any] = json.loads(note.read_text())
    except (FileNotFoundError, ValueError):
        return None
    return said


class Keeper:
    """One daemon, its bridge and its rules."""

    def __init__(self, folder: Path, cache: Path, size_mb: int) -> None:
        self.folder, self._cache, self._size_mb = folder, cache, size_mb
        # Short: a socket's path has at most 107 bytes, and temporary folders of tests are long.
        self.place = Path(tempfile.mkdtemp(prefix="herd-docker-"))
        self.bridge = f"hd{hashlib.sha256(str(self.place).encode()).hexdigest()[:8]}"
        self.network = 0
        self._daemon: subprocess.Popen[bytes] | None = None
        self._is_asked = False

    @property
    def host(self) -> str:
        return f"unix://{self.place}/docker.sock"

    def run(self) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._ask)
        try:
            self._start()
            note = self.folder / "daemon.json"
            draft = note.with_suffix(".draft")
            draft.write_text(
                json.dumps({"host": self.host, "keeper": os.getpid(), "bridge": self.bridge, "network": self.network})
            )
            draft.replace(note)
            self._wait_until_nobody_needs_it()
            note.unlink(missing_ok=True)
        finally:
            self._end()

    def _ask(self, *_: object) -> None:
        self._is_asked = True

    def _start(self) -> None:
        # One at a time: a network is free until the bridge is there.
        with machine.exclusive(self._cache / "docker-network.lock", lambda: None):
            self.network = _free_network()
            _do("ip", "link", "add", self.bridge, "type", "bridge")
            _do("ip", "address", "add", f"10.{self.network}.0.1/17", "dev", self.bridge)
            _do("ip", "link", "set", self.bridge, "up")
        Path("/proc/sys/net/ipv4/ip_forward").write_text("1")
        for rule in self._rules():
            _do("iptables", "--wait", *rule[:2], "-I", *rule[2:])
        if self._size_mb:
            (self.place / "data").mkdir()
            _do("mount", "-t", "tmpfs", "-o", f"size={self._size_mb}m", "tmpfs", str(self.place / "data"))
        dockerd = docker.program("dockerd")
        assert dockerd is not None
        place = self.place
        (place / "daemon.json").write_text("{}")  # not this machine's settings
        self._daemon = subprocess.Popen(
            [
                *(dockerd, "--config-file", place / "daemon.json", "--host", self.host),
                *("--data-root", place / "data", "--exec-root", place / "exec", "--pidfile", place / "pid"),
                *("--bridge", self.bridge, "--iptables=false", "--ip6tables=false", "--ip", "127.0.0.1"),
                *("--default-address-pool", f"base=10.{self.network}.128.0/17,size=26"),
            ],
            env={**os.environ, "PATH": f"{docker.PATH}:{os.environ.get('PATH', '')}"},
            stdin=subprocess.DEVNULL,
        )
        client = docker.program("docker")
        deadline = time.monotonic() + READY_SECONDS
        asked = {**os.environ, "DOCKER_HOST": self.host}
        while subprocess.run([str(client), "info"], env=asked, capture_output=True).returncode != 0:
            if self._daemon.poll() is not None or time.monotonic() > deadline:
                raise SystemExit("dockerd has ended, or does not answer")
            time.sleep(0.1)

    def _rules(self) -> list[list[str]]:
        """Out of the daemon's networks to anywhere, and the answers back; table, chain and rule."""
        ours = f"10.{self.network}.0.0/16"
        return [
            ["-t", "nat", "POSTROUTING", "-s", ours, "!", "-d", ours, "-j", "MASQUERADE"],
            ["-t", "filter", "FORWARD", "-s", ours, "-j", "ACCEPT"],
            ["-t", "filter", "FORWARD", "-d", ours, *ANSWERS, "-j", "ACCEPT"],
        ]

    def _wait_until_nobody_needs_it(self) -> None:
        unused_since = None
        with (self.folder / "users").open("a") as users:
            while not self._is_asked and self._daemon is not None and self._daemon.poll() is None:
                try:
                    fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except OSError:
                    unused_since = None
                else:
                    unused_since = unused_since or time.monotonic()
                    if time.monotonic() - unused_since > GRACE_SECONDS:
                        # With the lock held: who comes now finds no note, and starts another.
                        (self.folder / "daemon.json").unlink(missing_ok=True)
                        return
                    fcntl.flock(users, fcntl.LOCK_UN)
                if not self.folder.exists():
                    return
                time.sleep(0.3)

    def _end(self) -> None:
        """Containers first: a daemon that ends leaves the processes of some."""
        with suppress(OSError, subprocess.TimeoutExpired):
            self._remove_containers()
        if self._daemon is not None and self._daemon.poll() is None:
            self._daemon.terminate()
            try:
                self._daemon.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._daemon.kill()
                self._daemon.wait()
        self._end_leftovers()
        for rule in self._rules() if self.network else []:
            _do("iptables", "--wait", *rule[:2], "-D", *rule[2:], check=False)
        _do("ip", "link", "delete", self.bridge, check=False)
        for interface in psutil.net_if_addrs():
            # Bridges of networks that were still there.
            if interface.startswith("br-") and _is_ours(interface, self.network):
                _do("ip", "link", "delete", interface, check=False)
        with open("/proc/mounts") as mounts:
            points = [line.split()[1] for line in mounts]
        for point in reversed([point for point in points if point.startswith(f"{self.place}/")]):
            _do("umount", "-l", point, check=False)
        shutil.rmtree(self.place, ignore_errors=True)

    def _remove_containers(self) -> None:
        command = [str(docker.program("docker")), "ps", "-aq"]
        asked = {**os.environ, "DOCKER_HOST": self.host}
        names = subprocess.run(command, env=asked, capture_output=True, text=True, timeout=STOP_SECONDS).stdout.split()
        if names:
            subprocess.run([command[0], "rm", "-f", *names], env=asked, capture_output=True, timeout=60)

    def _end_leftovers(self) -> None:
        """Processes that name this daemon's folder: its containerd and shims, where the daemon was killed."""
        for process in psutil.process_iter(["cmdline"]):
            if process.pid != os.getpid() and any(str(self.place) in part for part in process.info["cmdline"] or ()):
                with suppress(psutil.Error):
                    process.kill()


def _free_network() -> int:
    taken = {
        int(address.address.split(".")[1])
        for addresses in psutil.net_if_addrs().values()
        for address in addresses
        if address.address.startswith("10.")
    }
    routes = subprocess.run([str(docker.program("ip")), "route"], capture_output=True, text=True).stdout
    taken |= {int(word.split(".")[1]) for word in routes.split() if word.startswith("10.")}
    free = [number for number in NETWORKS if number not in taken]
    if not free:
        raise SystemExit("no network 10.200 to 10.249 is free")
    return free[os.getpid() % len(free)]


def _is_ours(interface: str, network: int) -> bool:
    addresses = psutil.net_if_addrs().get(interface, [])
    return network != 0 and any(address.address.startswith(f"10.{network}.") for address in addresses)


def _do(name: str, *arguments: str, check: bool = True) -> None:
    program = docker.program(name) or name
    done = subprocess.run([str(program), *arguments], capture_output=True, text=True)
    if check and done.returncode != 0:
        raise SystemExit(f"{name} {' '.join(arguments)}: {done.stderr.strip()}")


def main(folder: Path, cache: Path, size_mb: int) -> int:
    """Start the keeper, which is nobody's child; return once the daemon answers, or has failed to."""
    keeper = os.fork()
    if keeper == 0:
        Keeper(folder, cache, size_mb).run()
        return 0
    deadline = time.monotonic() + 2 * READY_SECONDS
    while not (folder / "daemon.json").exists():
        if os.waitpid(keeper, os.WNOHANG) != (0, 0) or time.monotonic() > deadline:
            return 1
        time.sleep(0.02)
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])))
