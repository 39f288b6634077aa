"""Connections to databases: the address with user and password, made inside the task: it stands nowhere else."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote

from .errors import BAD_SETTINGS, RunFailed

FORM = '{"username": …, "password": …, "host": …, "port": …, "dbname": …}'
"""That of Secrets Manager's own secrets for databases; whatever is not in it comes from the stack's settings."""


@dataclass(frozen=True)
class Connection:
    """What is known of a connection before the task starts; the rest is in its secret."""

    name: str
    driver: str
    host: str
    port: int

    def url(self, environ: Mapping[str, str]) -> str:
        """`postgresql://user:password@host:5432/database`. Raises RunFailed (78), in which no value of the secret is.

        The secret is a JSON object in the form above, or such an address already.
        """
        login = environ.get(login_variable(self.name))
        if login is None:
            raise RunFailed(f"connection {self.name}: its secret was not given to this task", BAD_SETTINGS)
        login = login.strip()
        if not login.startswith("{"):
            if "://" not in login:
                raise self._wrong("is neither an address nor a JSON object")
            return login
        try:
            told = json.loads(login)
        except ValueError:
            raise self._wrong("is not JSON") from None
        host, port = self.host or _text(told.get("host")), told.get("port") if not self.host else None
        if not host:
            raise self._wrong("has no host, nor have the stack's settings")
        user, password = _text(told.get("username")), _text(told.get("password"))
        login = quote(user, safe="") + (f":{quote(password, safe='')}" if password else "")
        place = f"[{host}]" if ":" in host else host
        database = quote(_text(told.get("dbname")), safe="")
        return f"{self.driver}://{login}{'@' if login else ''}{place}:{port or self.port}/{database}"

    def _wrong(self, what: str) -> RunFailed:
        return RunFailed(f"connection {self.name}: its secret {what}; it must be like {FORM}", BAD_SETTINGS)


def login_variable(connection: str) -> str:
    """Where a task finds a connection's secret; the workload's own program does not see it."""
    return f"HERD_CONNECTION_{connection.upper().replace('-', '_')}_SECRET"


def _text(value: object) -> str:
    return "" if value is None else str(value)
