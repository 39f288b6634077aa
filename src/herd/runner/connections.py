"""Connections to databases: the address with user and password, made inside the task: it stands nowhere else."""

from __future__ import annotations

import json
from collections.abc import Mapping
from urllib.parse import quote

from .contract import variables
from .contract.statuses import BAD_SETTINGS
from .contract.task import Connection
from .errors import RunFailed

FORM = '{"username": …, "password": …, "host": …, "port": …, "dbname": …}'
"""That of Secrets Manager's own secrets for databases; whatever is not in it comes from the stack's settings."""


def url(connection: Connection, environ: Mapping[str, str]) -> str:
    """`postgresql://user:password@host:5432/database`. Raises RunFailed (78), in which no value of the secret is.

    The secret is a JSON object in the form above, or such an address already.
    """
    login = environ.get(variables.connection_secret(connection.name))
    if login is None:
        raise RunFailed(f"connection {connection.name}: its secret was not given to this task", BAD_SETTINGS)
    login = login.strip()
    if not login.startswith("{"):
        if "://" not in login:
            raise _wrong(connection, "is neither an address nor a JSON object")
        return login
    try:
        secret = json.loads(login)
    except ValueError:
        raise _wrong(connection, "is not JSON") from None
    host = connection.host or _text(secret.get("host"))
    # The port of the secret belongs to the secret's own host.
    port = None if connection.host else secret.get("port")
    if not host:
        raise _wrong(connection, "has no host, nor have the stack's settings")
    user, password = _text(secret.get("username")), _text(secret.get("password"))
    login = quote(user, safe="") + (f":{quote(password, safe='')}" if password else "")
    address = f"[{host}]" if ":" in host else host
    database = quote(_text(secret.get("dbname")), safe="")
    return f"{connection.driver}://{login}{'@' if login else ''}{address}:{port or connection.port}/{database}"


def _wrong(connection: Connection, what: str) -> RunFailed:
    return RunFailed(f"connection {connection.name}: its secret {what}; it must be like {FORM}", BAD_SETTINGS)


def _text(value: object) -> str:
    return "" if value is None else str(value)
