"""Where one local cloud keeps its files, and the port and address that it keeps for life.

Addresses of everything the cloud serves contain its port, and Pulumi's state contains addresses: so the port is
chosen once, written down, and bound again at each start. A port that something else has taken meanwhile is an error
with a way out, not a silent change.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from localcloud import atomic

LOOPBACK = "127.0.0.1"

TASKS_AT_ONCE = "LOCALCLOUD_TASKS_AT_ONCE"
"""Variable of whoever starts the local cloud: how many tasks of jobs run at the same time."""


ENGINES = ("process", "docker")
"""What runs tasks: processes of this machine, or its Docker daemon. The first holds where nobody has chosen."""


class LocalCloudError(Exception):
    """Something that the person who started the local cloud can put right; `str()` says what and how."""


class AlreadyRunning(LocalCloudError):
    """Another process serves this home."""


class PortTaken(LocalCloudError):
    """The port that this cloud's addresses contain belongs to another program now."""


@dataclass(frozen=True)
class Config:
    """One local cloud: `home` is its state (a folder of its own), `cache` may be shared by all clouds of a person,
    `uv` is the executable that makes virtual environments.
    """

    home: Path
    cache: Path
    uv: Path
    account: str = "123456789012"
    region: str = "eu-west-1"

    @property
    def endpoint_file(self) -> Path:
        return self.home / "endpoint.json"

    @property
    def control_note(self) -> Path:
        """Where the control socket lies."""
        return self.home / "control"

    @property
    def log_file(self) -> Path:
        return self.home / "cloud.log"

    @property
    def aws_folder(self) -> Path:
        """What a person's `aws` and boto3 read: `credentials` and `config`."""
        return self.home / "aws"

    @property
    def port_file(self) -> Path:
        return self.home / "port"

    @property
    def engine_file(self) -> Path:
        return self.home / "engine"

    @property
    def engine(self) -> str:
        """Which of `ENGINES` was chosen. Raises LocalCloudError for a file that names none of them."""
        try:
            name = self.engine_file.read_text(errors="replace").strip()
        except FileNotFoundError:
            return ENGINES[0]
        if name in ENGINES:
            return name
        raise LocalCloudError(
            f"{self.engine_file} names no engine but {name[:40]!r}; write {' or '.join(ENGINES)} into it"
        )

    @property
    def identity(self) -> str:
        """Tells what is this cloud's from what is others' of the machine, in a place that they share."""
        return hashlib.sha256(str(self.home.absolute()).encode()).hexdigest()[:12]

    def prepare(self) -> None:
        """Makes the folders, closed to other users of the machine."""
        for folder in (self.home, self.aws_folder):
            folder.mkdir(parents=True, exist_ok=True)
            folder.chmod(0o700)

    @property
    def exists(self) -> bool:
        """Is the home still there? Somebody may remove a whole checkout, with a cloud that runs in it."""
        return (self.home / "lock").exists()

    @contextmanager
    def exclusively(self) -> Iterator[None]:
        """Holds this home for one process. The kernel drops the lock however the process ends, so there is no stale
        one.

        Raises AlreadyRunning.
        """
        with open(self.home / "lock", "a+") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                file.seek(0)
                holder = file.read().strip()
                who = f" (process {holder})" if holder else ""
                raise AlreadyRunning(f"a local cloud already serves {self.home}{who}; stop that one first") from None
            file.truncate(0)
            file.write(str(os.getpid()))
            file.flush()
            yield

    def bind(self, wanted: int | None = None) -> socket.socket:
        """The bound, not yet listening socket on this cloud's port; `wanted` replaces the port that it kept until now.

        With 0 it is whatever port is free, for this once; the kept one stays.

        Raises PortTaken, and LocalCloudError for a file that holds no port.
        """
        kept = self._kept_port() or 0
        port = kept if wanted is None else wanted
        bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            bound.bind((LOOPBACK, port))
            bound.listen(1024)
        except OSError as error:
            bound.close()
            if error.errno not in (errno.EADDRINUSE, errno.EACCES):
                raise
            reason = (
                f"is taken by {holder_of(port)}" if error.errno == errno.EADDRINUSE else "may not be used by this user"
            )
            raise PortTaken(
                f"port {port} of the local cloud in {self.home} {reason}; end that program, "
                f"or choose another port with --port (addresses of what is deployed contain the old one)"
            ) from None
        chosen = int(bound.getsockname()[1])
        if chosen != kept and not (kept and wanted == 0):
            atomic.write(self.port_file, f"{chosen}\n")
        return bound

    def _kept_port(self) -> int | None:
        """The port that this cloud's addresses contain; None before its first start."""
        try:
            text = self.port_file.read_bytes().decode(errors="replace").strip()
        except FileNotFoundError:
            return None
        if re.fullmatch("[0-9]{1,5}", text) and 0 < int(text) < 1 << 16:
            return int(text)
        raise LocalCloudError(
            f"{self.port_file} holds no number of a port but {text[:40]!r}; write the port of what is deployed into "
            "it, or remove it, and the next start chooses another"
        )


@dataclass(frozen=True)
class Endpoint:
    """How to find a running local cloud: what `endpoint.json` says.

    `instance` is another one when the cloud has lost what it held; `control` is the control socket's path; `started` is
    ISO-8601 in UTC.
    """

    port: int
    pid: int
    instance: str
    control: str
    version: str
    started: str

    @property
    def url(self) -> str:
        return f"http://{LOOPBACK}:{self.port}"

    def write(self, path: Path) -> None:
        atomic.write(path, json.dumps(asdict(self), indent=2) + "\n")

    @classmethod
    def read(cls, path: Path) -> Endpoint | None:
        """None when no cloud has said that it is ready. The file may be left from one that was killed: ask the
        control socket.
        """
        try:
            return cls(**json.loads(path.read_text()))
        except (FileNotFoundError, ValueError, TypeError):
            return None


def holder_of(port: int) -> str:
    """Who listens on a port of this machine, for people: another local cloud by its home, others by their command.

    Processes of other users may not be seen.
    """
    for process in psutil.process_iter():
        try:
            taken = any(
                one.status == psutil.CONN_LISTEN and one.laddr.port == port for one in process.net_connections("tcp4")
            )
            command = process.cmdline() if taken else []
        except (psutil.Error, OSError):
            continue  # it has ended
        if taken and "localcloud" in command and "--home" in command[:-1]:
            return f"the local cloud of {command[command.index('--home') + 1]} (process {process.pid})"
        if taken:
            return f"another program (process {process.pid}: {' '.join(command)[:100]})"
    return "another program"
