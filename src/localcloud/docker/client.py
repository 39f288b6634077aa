"""The `docker` command line: which one, which daemon it asks, and what is wrong with either, in a sentence.

A command line rather than a library: it knows contexts, DOCKER_HOST, TLS and logins as the person has set them up, and
building with BuildKit is its work, not the daemon's API's.
"""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PROGRAM = "docker"

PLACES = ("/usr/local/bin", "/usr/bin", "/opt/homebrew/bin", "/Applications/Docker.app/Contents/Resources/bin")
"""Where a client may lie that PATH does not name, or names behind one that cannot build."""

LEAST_SERVER = (20, 10)
"""The oldest daemon that these builds and containers were run with."""

OWN_BUILDKIT, NEEDS_BUILDX = (18, 9), (23, 0)
"""Clients between these have BuildKit built in; later ones have it as the plugin `buildx`."""

ASK_SECONDS = 20.0
"""How long a daemon may take for a word about itself."""

LAST_LINES = 20

_LOCAL = re.compile(r"(unix|npipe)://|tcp://(127\.0\.0\.1|localhost|\[::1\])(:|$)")
"""Addresses of daemons of this machine."""

AS_PLAIN_LINES = {"DOCKER_BUILDKIT": "1", "BUILDKIT_PROGRESS": "plain", "DOCKER_CLI_HINTS": "false"}

EMPTY_CACHE = "docker builder prune"
"""What gives back the room of the build cache: it is the daemon's, and of all who build with it."""

INSTALL = "install it (https://docs.docker.com/engine/install; Debian: apt-get install docker.io docker-buildx)"
WITHOUT = "or go on without Docker: herd up --engine process"


class DockerError(Exception):
    """Docker is not there or did not do what it was asked; the text is for people and says what to do."""


class CommandFailed(DockerError):
    """A command of Docker's ended with an error. `lines` are its last ones."""

    def __init__(self, command: str, code: int, lines: list[str]) -> None:
        self.code, self.lines = code, lines
        super().__init__("\n".join([f"`docker {command}` ended with status {code}:", *(f"    {one}" for one in lines)]))


@dataclass(frozen=True)
class Login:
    """What a registry on this machine asks for."""

    host: str
    user: str
    password: str


@dataclass(frozen=True)
class Versions:
    """Of the two halves, as they say it."""

    client: str
    server: str
    architecture: str
    """The daemon's, in Docker's words: amd64, arm64."""


class DockerClient:
    """One command line and the daemon that it asks. Safe with several threads."""

    def __init__(self, program: Path, version: str, has_buildx: bool, environment: Mapping[str, str]) -> None:
        self.program, self.version, self.has_buildx = program, version, has_buildx
        # What a build prints is read by programs and kept in logs.
        self._environment = {**environment, **AS_PLAIN_LINES}
        self._host: str | None = None
        self._lock = threading.Lock()

    @classmethod
    def find(cls, environment: Mapping[str, str] | None = None) -> DockerClient:
        """The first client that can build with BuildKit. Raises DockerError with all that were looked at."""
        environment = dict(os.environ if environment is None else environment)
        old = []
        for program in _programs(environment.get("PATH", "")):
            version = _client_version(program, environment)
            if version is None:
                old.append(f"{program} does not start")
                continue
            has_buildx = _ends_well([str(program), "buildx", "version"], environment)
            if has_buildx or OWN_BUILDKIT <= _numbers(version) < NEEDS_BUILDX:
                return cls(program, version, has_buildx, environment)
            why = "without the plugin buildx" if _numbers(version) >= NEEDS_BUILDX else "too old for BuildKit"
            old.append(f"{program} ({version}) is {why}")
        if not old:
            raise DockerError(f"there is no `{PROGRAM}` on PATH: {INSTALL}, {WITHOUT}")
        raise DockerError(
            f"images are built with BuildKit, and no `{PROGRAM}` here has it: {'; '.join(old)}. Install buildx "
            f"(Debian: apt-get install docker-buildx; elsewhere docker-buildx-plugin), {WITHOUT}"
        )

    @property
    def host(self) -> str:
        """The daemon's address, whether DOCKER_HOST or the person's context names it."""
        with self._lock:
            if self._host is None:
                self._host = self._environment.get("DOCKER_HOST") or self._host_of_context()
            return self._host

    def check(self) -> Versions:
        """What client and daemon say of themselves. Raises DockerError with the way out where the daemon does not
        answer.
        """
        try:
            said: Any = json.loads(self.run("version", "--format", "{{json .}}", timeout_seconds=ASK_SECONDS))
            server = said["Server"]
            versions = Versions(str(said["Client"]["Version"]), str(server["Version"]), str(server["Arch"]))
        except CommandFailed as error:
            raise DockerError(self._unreachable("\n".join(error.lines))) from None
        except (ValueError, KeyError, TypeError):
            raise DockerError(f"{self.program} does not say what its daemon is; {WITHOUT}") from None
        if not _LOCAL.match(self.host):
            raise DockerError(
                f"the Docker daemon at {self.host} is reached over a network: it cannot push to the registry of this "
                f"machine's local cloud, which is open on loopback only. Unset DOCKER_HOST or choose another context "
                f"(docker context use default), {WITHOUT}"
            )
        if _numbers(versions.server) < LEAST_SERVER:
            least = ".".join(map(str, LEAST_SERVER))
            raise DockerError(
                f"the Docker daemon is {versions.server}; at least {least} is needed: upgrade it, {WITHOUT}"
            )
        return versions

    def build_cache(self) -> str:
        """What BuildKit keeps of earlier builds, in Docker's words such as `1.2GB`; "" where it does not say."""
        try:
            said = self.run("system", "df", "--format", "{{.Type}}\t{{.Size}}", timeout_seconds=ASK_SECONDS)
        except DockerError:
            return ""
        sizes = dict(line.split("\t", 1) for line in said.splitlines() if "\t" in line)
        return sizes.get("Build Cache", "").strip()

    def run(
        self,
        *arguments: str,
        on_line: Callable[[str], None] | None = None,
        timeout_seconds: float | None = None,
        login: Login | None = None,
        environment: Mapping[str, str] | None = None,
        hopeless: threading.Event | None = None,
    ) -> str:
        """Run one command and return its standard output. It is ended as a failed one when `hopeless` is set.

        `on_line` gets each line as it comes, of standard error too. Raises CommandFailed with the last lines, those of
        standard error at the end: two pipes have no common order, and the reason is on this one. Raises DockerError
        where the command does not start or takes longer than `timeout_seconds`. `login` is kept from the process list:
        it lies in a folder of its own while the command runs.
        """
        with self._environment_for(login) as variables:
            command = [str(self.program), *arguments]
            process = self._start(command, {**variables, **(environment or {})})
            output: deque[str] = deque()
            errors: deque[str] = deque(maxlen=LAST_LINES)

            def read(stream: Any, kept: deque[str]) -> None:
                for raw in stream:
                    line = raw.rstrip("\r\n")
                    kept.append(line)
                    if line.strip() and on_line is not None:
                        on_line(line)

            readers = [
                threading.Thread(target=read, args=(process.stdout, output), daemon=True),
                threading.Thread(target=read, args=(process.stderr, errors), daemon=True),
            ]
            for reader in readers:
                reader.start()
            try:
                code = _ended(process, timeout_seconds, hopeless)
            except subprocess.TimeoutExpired:
                raise DockerError(
                    f"`docker {arguments[0]}` did not answer within {timeout_seconds:g} s: is the Docker daemon "
                    f"overloaded? Restart it, {WITHOUT}"
                ) from None
            finally:
                _end(process)
                for reader in readers:
                    reader.join(5)
                for stream in (process.stdout, process.stderr):
                    with suppress(OSError, ValueError):
                        stream.close()  # type: ignore[union-attr]
        if code != 0:
            lines = [line for line in [*output, *errors] if line.strip()]
            raise CommandFailed(arguments[0], code, lines[-LAST_LINES:])
        return "\n".join(output)

    def _start(self, command: list[str], environment: Mapping[str, str]) -> subprocess.Popen[str]:
        try:
            # A session of its own: Ctrl-C in a person's terminal is for who runs us, and that one ends this.
            return subprocess.Popen(
                command,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                errors="replace",
                start_new_session=True,
            )
        except OSError as error:
            raise DockerError(f"{self.program} does not start: {error.strerror}; {INSTALL}, {WITHOUT}") from None

    @contextmanager
    def _environment_for(self, login: Login | None) -> Iterator[dict[str, str]]:
        if login is None:
            yield dict(self._environment)
            return
        with tempfile.TemporaryDirectory(prefix="localcloud-login-") as folder:
            token = base64.b64encode(f"{login.user}:{login.password}".encode()).decode()
            file = Path(folder) / "config.json"
            file.touch(mode=0o600)
            file.write_text(json.dumps({"auths": {login.host: {"auth": token}}}))
            # With a configuration of its own the command no longer knows the person's context.
            kept = {name: value for name, value in self._environment.items() if name != "DOCKER_CONTEXT"}
            yield {**kept, "DOCKER_CONFIG": folder, "DOCKER_HOST": self.host}

    def _host_of_context(self) -> str:
        try:
            return self.run(
                "context", "inspect", "--format", "{{.Endpoints.docker.Host}}", timeout_seconds=ASK_SECONDS
            ).strip()
        except CommandFailed as error:
            raise DockerError(
                f"Docker's context cannot be read: {' '.join(error.lines)}; see `docker context ls`"
            ) from None

    def _unreachable(self, said: str) -> str:
        where = f"the Docker daemon at {self.host}"
        words = said.lower()
        if "permission denied" in words:
            return (
                f"this user may not use {where}: join its group (sudo usermod -aG docker $USER, then log in again), "
                f"or use rootless Docker; {WITHOUT}"
            )
        name = re.search(r"lookup (\S+)( on \S+)?: (no such host|server misbehaving|.*temporary failure)", words)
        if name:
            return f"{where}: the name {name[1]} does not resolve; correct DOCKER_HOST or the context, {WITHOUT}"
        if "is the docker daemon running" in words or "connection refused" in words or "no such file" in words:
            return f"{where} does not answer: start it (sudo systemctl start docker, or Docker Desktop), {WITHOUT}"
        last = next((line for line in reversed(said.splitlines()) if line.strip()), "it says nothing")
        return f"{where} does not answer: {last.strip()}; {WITHOUT}"


def _programs(path: str) -> Iterator[Path]:
    """Every client, in PATH's order and then in the usual places, each once."""
    seen = set()
    for folder in [*path.split(os.pathsep), *PLACES]:
        program = shutil.which(PROGRAM, path=folder) if folder else None
        if program is not None and (real := os.path.realpath(program)) not in seen:
            seen.add(real)
            yield Path(program)


def _client_version(program: Path, environment: Mapping[str, str]) -> str | None:
    # It ends with an error where no daemon answers, and names its own version all the same.
    asked = {**environment, "DOCKER_HOST": "unix:///nonexistent"}
    try:
        done = subprocess.run(
            [program, "version", "--format", "{{.Client.Version}}"],
            env=asked, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", timeout=ASK_SECONDS,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return None
    version = done.stdout.strip()
    return version if re.match(r"\d+\.\d+", version) else None


def _ends_well(command: list[str], environment: Mapping[str, str]) -> bool:
    try:
        done = subprocess.run(
            command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, timeout=ASK_SECONDS
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def _numbers(version: str) -> tuple[int, ...]:
    match = re.match(r"(\d+)\.(\d+)", version)
    return (int(match[1]), int(match[2])) if match else (0, 0)


def _ended(process: subprocess.Popen[str], seconds: float | None, hopeless: threading.Event | None) -> int:
    """Its exit code. Raises TimeoutExpired."""
    if hopeless is None:
        return process.wait(seconds)
    deadline = None if seconds is None else time.monotonic() + seconds
    while True:
        try:
            return process.wait(0.2)
        except subprocess.TimeoutExpired:
            if deadline is not None and time.monotonic() > deadline:
                raise
            if hopeless.is_set():
                _end(process)
                return process.returncode or 1


def _end(process: subprocess.Popen[str]) -> None:
    """With what it started: a build is carried on by a plugin of the command line."""
    if process.poll() is None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
