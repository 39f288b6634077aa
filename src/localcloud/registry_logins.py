"""Logins to the image registry: what GetAuthorizationToken gives out, and whom a push that shows it acts for.

As with ECR a login is worth what its asker may do, for twelve hours. It is signed instead of remembered: it needs no
state, and one of before a restart stays good.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

USER = "AWS"
LIFETIME = timedelta(hours=12)


class NoLogin(Exception):
    """A password that is no login here, or one no longer; in ECR's words."""


class Logins:
    """Those of one account. `key` is kept secret."""

    def __init__(self, key: bytes, account: str, clock: Callable[[], datetime] = lambda: datetime.now(UTC)):
        self._key, self._account, self._clock = key, account, clock

    def issue(self, principal: str) -> tuple[str, datetime]:
        """A password for `principal` ("root", or the ARN of a role's session), and when it expires."""
        expires = (self._clock() + LIFETIME).replace(microsecond=0)
        claims = json.dumps({"account": self._account, "principal": principal, "expires": expires.timestamp()})
        payload = base64.urlsafe_b64encode(claims.encode()).decode()
        return f"{payload}.{self._sign(payload)}", expires

    def principal(self, user: str, password: str) -> str:
        """Whom a password was given out to. Raises NoLogin."""
        payload, _, signature = password.partition(".")
        if user != USER or not hmac.compare_digest(signature.encode(), self._sign(payload).encode()):
            raise NoLogin("denied: Not Authorized")
        claims = json.loads(base64.urlsafe_b64decode(payload))
        if claims["account"] != self._account:
            raise NoLogin("denied: Not Authorized")
        if self._clock().timestamp() >= claims["expires"]:
            raise NoLogin("denied: Your authorization token has expired. Reauthenticate and try again.")
        return str(claims["principal"])

    def _sign(self, payload: str) -> str:
        return hmac.new(self._key, payload.encode(), hashlib.sha256).hexdigest()
