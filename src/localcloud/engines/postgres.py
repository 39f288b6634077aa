"""PostgreSQL of this machine: a server of our own in a folder, reachable by password at the loopback address only.

No driver is needed: what is set up is said to `psql`, by its standard input, so that no password is an argument.
"""

from __future__ import annotations

import os
import pwd
import re
import secrets
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

LOOPBACK = "127.0.0.1"
ADMINISTRATOR = "rdsadmin"
"""The superuser. As on RDS it is nobody's but the service's own."""

INSTALL = "install one with `apt-get install postgresql` (Debian, Ubuntu) or `brew install postgresql` (macOS)"

NOBODY_ANSWERS = (
    f"nothing answers behind this database: this machine has no PostgreSQL; {INSTALL}, and start the local cloud again"
)

_FOLDERS = (
    "/usr/lib/postgresql/*/bin",
    "/usr/pgsql-*/bin",
    "/opt/homebrew/opt/postgresql*/bin",
    "/usr/local/opt/postgresql*/bin",
)
"""Where distributions put servers, which is mostly not on PATH."""

_PROGRAMS = ("initdb", "postgres", "psql")

START_SECONDS = 60.0
STOP_SECONDS = 20.0


class PostgresError(Exception):
    """What kept a server from being made or started, in words."""


def programs() -> Path | None:
    """The folder of the newest PostgreSQL server of this machine; None where there is none."""
    on_path = shutil.which("postgres")
    folders = [Path(on_path).resolve().parent] if on_path else []
    for pattern in _FOLDERS:
        matching = Path("/").glob(pattern.removeprefix("/"))
        folders += sorted(matching, key=lambda folder: _numbers(str(folder)), reverse=True)
    return next((one for one in folders if all((one / name).is_file() for name in _PROGRAMS)), None)


def _numbers(text: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", text)]


class Postgres:
    """One server: its files in `folder`, its address 127.0.0.1:`port`. `safe`: what is committed survives a power cut.

    `process` is the running server, for who looks after processes.
    """

    def __init__(self, folder: Path, port: int, binaries: Path, safe: bool = True) -> None:
        self.folder, self.port = folder, port
        self._binaries = binaries
        self._safe = safe
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> Path:
        return self.folder / "server.log"

    @property
    def running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def start(self, marks: Mapping[str, str] | None = None) -> None:
        """Start the server, which is made first if it is not there yet, and return when it answers.

        `marks` are put into its environment. Raises PostgresError.
        """
        self.launch(marks)
        self.wait()

    def wait(self) -> None:
        """Until it answers. Raises PostgresError, and ends it, if it does not."""
        deadline = time.monotonic() + START_SECONDS
        while not self.answers():
            if not self.running or time.monotonic() > deadline:
                self.stop()
                raise PostgresError(self.last_words())
            time.sleep(0.05)

    def launch(self, marks: Mapping[str, str] | None = None) -> None:
        """Start the server without waiting for its answer."""
        if not (self.folder / "data" / "PG_VERSION").exists():
            self._make()
        settings = {
            "listen_addresses": LOOPBACK,
            "port": str(self.port),
            "unix_socket_directories": "",
            "fsync": "on" if self._safe else "off",
            # The text of a statement may hold a password.
            "log_min_error_statement": "panic",
            "password_encryption": "scram-sha-256",
        }
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*self._as_somebody(), str(self._binaries / "postgres"), "-D", str(self.folder / "data"), *options],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.folder,
                env={**_ENVIRONMENT, **(marks or {})},
                start_new_session=True,
            )

    def stop(self) -> None:
        """End it: open sessions are ended, what is committed stays."""
        if self.process is None:
            return
        with suppress(ProcessLookupError):
            self.process.send_signal(signal.SIGINT)
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def answers(self) -> bool:
        """Does it let its administrator in?"""
        with suppress(PostgresError):
            self.say("SELECT 1")
            return True
        return False

    def say(self, sql: str, database: str = "postgres") -> str:
        """Statements as the administrator; what they answer, a row a line. Raises PostgresError."""
        address = f"host={LOOPBACK} port={self.port} user={ADMINISTRATOR} dbname={database} connect_timeout=10"
        done = subprocess.run(
            [str(self._binaries / "psql"), "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", address],
            input=sql,
            env={**_ENVIRONMENT, "PGPASSWORD": self._password()},
            capture_output=True,
            text=True,
            timeout=START_SECONDS,
        )
        if done.returncode:
            raise PostgresError(done.stderr.strip() or f"psql ended with exit status {done.returncode}")
        return done.stdout

    def last_words(self) -> str:
        """Why it does not run, as far as its log says."""
        lines = self.log.read_text(errors="replace").splitlines()[-3:] if self.log.exists() else []
        return "PostgreSQL does not start: " + (" / ".join(lines) or "it said nothing")

    def _make(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.folder.chmod(0o700)
        # What an initdb that was killed has left is no server.
        shutil.rmtree(self.folder / "data", ignore_errors=True)
        secret = self.folder / "administrator"
        secret.touch(mode=0o600)
        secret.write_text(secrets.token_urlsafe(32))
        made = subprocess.run(
            [
                *self._as_somebody(),
                str(self._binaries / "initdb"),
                *("-D", str(self.folder / "draft"), "-U", ADMINISTRATOR, "--pwfile", str(secret)),
                *("-A", "scram-sha-256", "-E", "UTF8", "--locale", "C.UTF-8" if _has_c_utf8() else "C", "--no-sync"),
            ],
            capture_output=True,
            text=True,
            cwd=self.folder,
            env=_ENVIRONMENT,
        )
        if made.returncode:
            shutil.rmtree(self.folder / "draft", ignore_errors=True)
            raise PostgresError(f"initdb: {made.stderr.strip()}")
        (self.folder / "draft").rename(self.folder / "data")

    def _password(self) -> str:
        return (self.folder / "administrator").read_text()

    def _as_somebody(self) -> Sequence[str]:
        """PostgreSQL refuses to run as root. In a user namespace root is somebody else, and files stay its own."""
        if os.geteuid() != 0:
            return ()
        somebody = _somebody()
        unshare = shutil.which("unshare")
        if unshare is None or somebody is None:
            raise PostgresError("PostgreSQL does not run as root; run as an ordinary user, or install util-linux")
        return (unshare, "--user", f"--map-user={somebody.pw_uid}", f"--map-group={somebody.pw_gid}", "--")


_ENVIRONMENT = {
    name: value for name, value in os.environ.items() if name in ("PATH", "TMPDIR", "LD_LIBRARY_PATH", "HOME")
}
"""PG… variables of the person's own shell would lead psql to another server."""


def _has_c_utf8() -> bool:
    return os.uname().sysname == "Linux"


def _somebody() -> pwd.struct_passwd | None:
    for name in ("postgres", "nobody"):
        with suppress(KeyError):
            return pwd.getpwnam(name)
    return None


def identifier(name: str) -> str:
    """A name as SQL has it.

    >>> identifier('a"b')
    '"a""b"'
    """
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """A text as SQL has it.

    >>> literal("it's")
    "'it''s'"
    """
    return "'" + text.replace("'", "''") + "'"
