"""Checks with a connection: one SELECT in a read-only transaction of a database that speaks PostgreSQL's protocol.

The address with user and password never leaves this process: it is no argument, no variable of another program, and
part of no message.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from ..contract.checks import CONNECTION_DRIVERS, ConnectionCheck, dialect
from ..contract.statuses import BAD_SETTINGS, UNAVAILABLE
from ..errors import RunFailed
from .files import Unanswered
from .query import MOST_SHOWN, Problem, number

CONNECT_SECONDS = 15.0
STATEMENT_SECONDS = 300
"""How long one query may take; the server ends it."""

_ANSWER_SECONDS = STATEMENT_SECONDS + 15.0
"""After so long without a word the server, or the network, is taken for gone."""

_GONE = ("08", "57P", "53")
"""SQLSTATEs of a server that goes away, is not up yet, or is full: another attempt may find it well.
Source: "PostgreSQL error codes", classes 08, 53 and 57P.
"""

_NO_CHECK_OF_THE_SERVER = ("allow", "prefer", "require")


class Unreachable(Exception):
    """The database does not answer, or lets nobody in. The message goes on after the connection's name."""


def ask(checks: Iterable[ConnectionCheck], urls: Mapping[str, str]) -> list[float | Unanswered]:
    """The number of each check, or why there is none; `urls`: the address of each connection.

    Raises RunFailed (69), to be tried again, if the database of a check that rejects cannot be reached; (78) if its
    address is not of a kind that can be asked. Of a check that only warns both are its answer.
    """
    checks = list(checks)
    answers: dict[int, float | Unanswered] = {}
    for name in dict.fromkeys(check.connection for check in checks):
        mine = {place: check for place, check in enumerate(checks) if check.connection == name}
        try:
            with _Database(urls[name]) as database:
                answers |= {place: database.answer(check.query) for place, check in mine.items()}
        except Unreachable as error:
            _or_fail(name, str(error), mine.values(), UNAVAILABLE)
            answers |= dict.fromkeys(mine, Unanswered(f"cannot be checked: connection {name} {error}"))
        except ValueError as error:
            _or_fail(name, str(error), mine.values(), BAD_SETTINGS)
            answers |= dict.fromkeys(mine, Unanswered(f"cannot be checked: connection {name} {error}"))
    return [answers[place] for place in range(len(checks))]


def _or_fail(name: str, why: str, checks: Iterable[ConnectionCheck], status: int) -> None:
    if any(check.otherwise == "reject" for check in checks):
        raise RunFailed(f"the checks of connection {name} could not be asked: it {why}", status)


class _Database:
    """A connection for queries. Raises `Unreachable`, and ValueError for an address of another kind."""

    def __init__(self, url: str) -> None:
        from pg8000 import native
        from pg8000.exceptions import DatabaseError, InterfaceError

        self._refused, self._lost = DatabaseError, (InterfaceError, OSError)
        address = _Address(url)
        self._secret = address.password
        try:
            self._connection: Any = native.Connection(
                user=address.user,
                password=address.password,
                host=address.host,
                port=address.port,
                database=address.database,
                ssl_context=address.tls(),
                timeout=CONNECT_SECONDS,
                application_name="herd-checks",
            )
        except DatabaseError as error:
            raise Unreachable(f"does not let in: {self._words(error)}") from None
        except self._lost as error:
            reason = error.__cause__ or error
            where = f"{address.host}:{address.port}"
            raise Unreachable(f"cannot be reached at {where}: {self._shown(str(reason))}") from None
        self._connection._usock.settimeout(_ANSWER_SECONDS)

    def __enter__(self) -> _Database:
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(self._refused, *self._lost):
            self._connection.close()

    def answer(self, query: str) -> float | Unanswered:
        """The number, or why there is none. Raises `Unreachable` when the server goes away meanwhile."""
        try:
            return self._number(query)
        except Problem as problem:
            return Unanswered(str(problem))
        except self._refused as error:
            code = str(self._fields(error).get("C", ""))
            if code.startswith(_GONE):
                raise Unreachable(f"went away: {self._words(error)}") from None
            if code == "57014":
                return Unanswered(f"cannot be checked: it took longer than {STATEMENT_SECONDS} s")
            return Unanswered(f"cannot be checked: {self._words(error)}")
        except self._lost as error:
            raise Unreachable(f"went away: {self._shown(str(error.__cause__ or error))}") from None

    def _number(self, query: str) -> float:
        # The extended protocol takes one statement at a time, and a cursor nothing but a SELECT that changes nothing:
        # so a query can neither end the transaction nor leave its bounds, and of its rows two are fetched.
        execute = self._connection.execute_unnamed
        execute("BEGIN READ ONLY")
        try:
            execute(f"SET LOCAL statement_timeout = {STATEMENT_SECONDS * 1000}")
            execute(f"DECLARE herd_check NO SCROLL CURSOR FOR {query}")
            rows = execute("FETCH FORWARD 2 FROM herd_check").rows or []
        finally:
            with suppress(self._refused, *self._lost):
                execute("ROLLBACK")
        if len(rows) != 1:
            raise Problem(f"must answer one number; it answers {'no row' if not rows else 'more than one row'}")
        if len(rows[0]) != 1:
            raise Problem(f"must answer one number; it answers {len(rows[0])} columns")
        return number(rows[0][0])

    @staticmethod
    def _fields(error: Exception) -> Mapping[str, Any]:
        return error.args[0] if error.args and isinstance(error.args[0], Mapping) else {}

    def _words(self, error: Exception) -> str:
        """What the server says: message and hint, in one line."""
        fields = self._fields(error)
        return self._shown(". ".join(str(fields[name]) for name in ("M", "H") if fields.get(name)) or str(error))

    def _shown(self, text: str) -> str:
        line = " ".join(text.split())
        return (line.replace(self._secret, "…") if self._secret else line)[:MOST_SHOWN]


class _Address:
    """`postgresql://user:password@host:5432/database?sslmode=verify-full`. Raises ValueError, without the address."""

    def __init__(self, url: str) -> None:
        scheme, separator, _ = url.partition("://")
        if not separator or dialect(scheme) not in CONNECTION_DRIVERS:
            raise ValueError(f"has no address of a database that checks can ask: {' or '.join(CONNECTION_DRIVERS)}")
        try:
            parts = urlsplit(url)
            self.host, self.port = parts.hostname or "", parts.port or CONNECTION_DRIVERS[dialect(scheme)]
        except ValueError:
            raise ValueError("has an address that cannot be read") from None
        if not self.host:
            raise ValueError("has an address without a host")
        options = {name: values[-1] for name, values in parse_qs(parts.query).items()}
        self.user = unquote(parts.username or "") or options.get("user", "")
        self.password = unquote(parts.password or "") or options.get("password")
        if not self.user:
            raise ValueError("has an address without a user")
        self.database = unquote(parts.path.removeprefix("/")) or None
        self._sslmode, self._roots = options.get("sslmode", "prefer"), options.get("sslrootcert")

    def tls(self) -> ssl.SSLContext | bool | None:
        """As libpq reads `sslmode`; None is its default, encrypted where the server can."""
        if self._sslmode == "disable":
            return False
        if self._sslmode in _NO_CHECK_OF_THE_SERVER and self._roots is None:
            return True if self._sslmode == "require" else None
        context = ssl.create_default_context(cafile=None if self._roots in (None, "system") else self._roots)
        context.check_hostname = self._sslmode == "verify-full"
        return context
