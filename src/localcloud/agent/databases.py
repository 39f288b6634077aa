"""A real PostgreSQL behind each RDS instance of engine `postgres`, on machines that have one.

An instance is `available` when its server lets people in, and not before. Where no PostgreSQL is installed it exists
and is `stopped`: nothing answers behind it. A server's files and its port belong to the instance; they survive a stop,
a kill and a reboot, and go when it is deleted.
"""

from __future__ import annotations

import logging
import shutil
import socket
import threading
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from localcloud import backends, ports
from localcloud.agent.worker import Worker
from localcloud.engines.postgres import (
    LOOPBACK,
    NOBODY_ANSWERS,
    Postgres,
    PostgresError,
    identifier,
    literal,
    programs,
)
from localcloud.engines.supervisor import CONTAINER_VARIABLE, Supervisor, kill_all
from localcloud.server import Server

log = logging.getLogger(__name__)

ENGINE = "postgres"
WATCH_SECONDS = 5.0
"""How soon a server that has ended by itself is started again."""


@dataclass(frozen=True)
class Wanted:
    """What an instance asks of its server."""

    key: str
    name: str
    user: str
    password: str
    database: str | None
    runs: bool


class Databases:
    """Makes an account's instances true. `folder` is where their files lie; None: none of them runs."""

    def __init__(self, server: Server, folder: Path | None, worker: Worker) -> None:
        self._server = server
        self._folder = folder
        self._binaries = programs() if folder is not None else None
        self._running: dict[str, Postgres] = {}
        self._set_up: dict[str, Wanted] = {}
        self._failed: dict[str, str] = {}
        self._marks: dict[str, str] = {}
        self._lock = threading.Lock()
        self._supervisor: Supervisor | None = None
        # What takes seconds is done here, one after the other, so that nobody waits for it.
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="databases")
        self._watch = worker.add("databases", self._look)
        self._stopping = False

    def start(self) -> None:
        """Begin with what was declared before."""
        with self._server.lock:
            for instance in self._instances():
                if instance.status == "available":
                    self._expect(instance)
        self._submit()

    def changed(self, instance: Any, operation: str) -> None:
        """An instance was made, changed or removed. The server's lock is held."""
        if instance.engine != ENGINE:
            return
        if operation in ("create_db_instance", "start_db_instance"):
            self._expect(instance)
        self._submit()

    def stop(self) -> None:
        """End all servers."""
        self._stopping = True
        self._watch.remove()
        self._worker.shutdown(wait=True, cancel_futures=True)
        for key in list(self._running):
            self._end(key)
        if self._supervisor is not None:
            self._supervisor.close()

    def tick(self) -> None:
        """Start again what has ended by itself."""
        self._look()

    def settle(self) -> None:
        """Wait until everything that was asked has been done."""
        self._worker.submit(lambda: None).result()

    def _expect(self, instance: Any) -> None:
        if self._folder is None:
            return
        if self._binaries is None:
            instance.status = "stopped"
            instance.status_infos = [_why(NOBODY_ANSWERS)]
            return
        folder = self._folder / instance.dbi_resource_id
        instance.status = "starting" if (folder / "data").exists() else "creating"
        instance.answers_at = (LOOPBACK, self._port(folder))

    def _port(self, folder: Path) -> int:
        """The server's own, chosen once: addresses contain it."""
        note = folder / "port"
        if not note.exists():
            folder.mkdir(parents=True, exist_ok=True)
            folder.chmod(0o700)
            note.write_text(str(ports.free()))
        return int(note.read_text())

    def _submit(self) -> None:
        if not self._stopping and self._binaries is not None:
            with suppress(RuntimeError):  # it is stopping
                self._worker.submit(self._safely)

    def _safely(self) -> None:
        try:
            self._reconcile()
        except Exception:
            log.exception("databases could not be made what was declared")
        self._watch.wake(WATCH_SECONDS)

    def _look(self) -> float | None:
        if self._failed or any(not server.running for server in list(self._running.values())):
            self._submit()
        return WATCH_SECONDS if self._failed or self._running else None

    def _instances(self) -> Iterator[Any]:
        yield from (one for one in backends.database_instances(self._server.account) if one.engine == ENGINE)

    def _wanted(self) -> dict[str, Wanted]:
        with self._server.lock:
            return {
                one.dbi_resource_id: Wanted(
                    one.dbi_resource_id,
                    one.db_instance_identifier,
                    str(one.master_username or ""),
                    str(one._master_user_password or ""),  # moto's own getter refuses
                    one.db_name,
                    one.status not in ("stopped", "stopping"),
                )
                for one in self._instances()
            }

    def _reconcile(self) -> None:
        wanted = self._wanted()
        for key in [key for key in {**self._running, **self._failed} if key not in wanted or not wanted[key].runs]:
            self._end(key)
        self._remove_forgotten(set(wanted))
        for key, one in wanted.items():
            if not one.runs or self._stopping:
                continue
            try:
                self._make_true(one)
            except (PostgresError, OSError) as error:
                if self._failed.get(key) != str(error):
                    log.warning("database %s: %s", one.name, error)
                self._failed[key] = str(error)
                self._say(key, "failed", str(error))
            else:
                self._failed.pop(key, None)
                self._say(key, "available")

    def _make_true(self, one: Wanted) -> None:
        assert self._folder is not None and self._binaries is not None
        server = self._running.get(one.key)
        if server is None or not server.running:
            self._end(one.key)
            folder = self._folder / one.key
            server = Postgres(folder, self._port(folder), self._binaries)
            if _is_taken(server.port):
                raise PostgresError(f"its port {server.port} is taken by another program")
            mark = uuid.uuid4().hex
            self._running[one.key], self._marks[one.key] = server, mark
            server.launch({CONTAINER_VARIABLE: mark})
            assert server.process is not None
            if self._supervisor is None:
                self._supervisor = Supervisor()
            self._supervisor.add(server.process.pid, mark, folder / "scratch")
            server.wait()
        if self._set_up.get(one.key) != one:
            _set_up(server, one)
            self._set_up[one.key] = one

    def _end(self, key: str) -> None:
        server = self._running.pop(key, None)
        self._set_up.pop(key, None)
        self._failed.pop(key, None)
        if server is not None and server.process is not None:
            server.stop()
            # Of a server that was killed, processes may go on for a moment, and hold its port.
            kill_all(server.process.pid, self._marks.pop(key, ""), first_ended=True)
            if self._supervisor is not None:
                self._supervisor.remove(server.process.pid)

    def _remove_forgotten(self, known: set[str]) -> None:
        assert self._folder is not None
        for folder in self._folder.iterdir() if self._folder.is_dir() else ():
            if folder.name not in known and folder.name.startswith("db-"):
                shutil.rmtree(folder, ignore_errors=True)

    def _say(self, key: str, status: str, reason: str = "") -> None:
        with self._server.lock:
            for instance in self._instances():
                if instance.dbi_resource_id == key and instance.status not in ("stopped", "deleting"):
                    instance.status, instance.status_infos = status, [_why(reason)] if reason else []


def _why(message: str) -> dict[str, object]:
    """An entry of the instance's StatusInfos."""
    return {"StatusType": "local cloud", "Normal": False, "Status": "error", "Message": message}


def _is_taken(port: int) -> bool:
    with socket.socket() as asking:
        asking.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            asking.bind((LOOPBACK, port))
        except OSError:
            return True
    return False


def _set_up(server: Postgres, one: Wanted) -> None:
    """The master user, who may make databases and roles, as RDS's may, and is no superuser; and its first database."""
    user = identifier(one.user)
    server.say(
        f"""
        SELECT 'CREATE ROLE rds_superuser'
            WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'rds_superuser') \\gexec
        GRANT pg_monitor, pg_signal_backend TO rds_superuser WITH ADMIN OPTION;
        SELECT format('CREATE ROLE %I', {literal(one.user)})
            WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = {literal(one.user)}) \\gexec
        ALTER ROLE {user} LOGIN CREATEDB CREATEROLE NOSUPERUSER PASSWORD {literal(one.password)};
        GRANT rds_superuser TO {user} WITH ADMIN OPTION;
        """
    )
    if one.database:
        server.say(
            f"""
            SELECT format('CREATE DATABASE %I OWNER %I', {literal(one.database)}, {literal(one.user)})
                WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = {literal(one.database)}) \\gexec
            """
        )
