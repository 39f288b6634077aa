"""A PostgreSQL server for tests: Debian's, started below a temporary folder; one a session, as each takes seconds."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from localcloud import ports
from localcloud.engines.postgres import INSTALL, LOOPBACK, Postgres, identifier, literal, programs

MISSING = f"no PostgreSQL on this machine; {INSTALL}"


class Database:
    """A database and the login that it belongs to."""

    def __init__(self, server: Postgres) -> None:
        self.server = server
        self.user = self.name = f"test_{secrets.token_hex(4)}"
        self.password = f"p@ss/{secrets.token_hex(8)}"
        server.say(
            f"CREATE ROLE {identifier(self.user)} LOGIN PASSWORD {literal(self.password)};\n"
            f"CREATE DATABASE {identifier(self.name)} OWNER {identifier(self.user)};\n"
        )

    @property
    def secret(self) -> dict[str, str]:
        """As a connection's secret has it."""
        return {"username": self.user, "password": self.password, "dbname": self.name}

    @property
    def url(self) -> str:
        login = f"{self.user}:{quote(self.password, safe='')}"
        return f"postgresql://{login}@{LOOPBACK}:{self.server.port}/{self.name}"

    def run(self, sql: str) -> list[Any]:
        """A statement as the owner; its rows."""
        from pg8000 import native

        with native.Connection(self.user, LOOPBACK, self.name, self.server.port, self.password) as connection:
            return list(connection.run(sql) or [])

    def drop(self) -> None:
        self.server.say(f"DROP DATABASE {identifier(self.name)} WITH (FORCE);\nDROP ROLE {identifier(self.user)};\n")


@contextmanager
def server(folder: Path) -> Iterator[Postgres]:
    """A running server. Skips the test where there is no PostgreSQL."""
    binaries = programs()
    if binaries is None:
        pytest.skip(MISSING)
    postgres = Postgres(folder / "postgres", ports.free(), binaries, safe=False)
    postgres.start()
    try:
        yield postgres
    finally:
        postgres.stop()
