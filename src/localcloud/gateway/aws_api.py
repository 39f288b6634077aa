"""Signed requests: who signed them, whether the body is the one that was signed, and then on to the server."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable
from datetime import datetime
from typing import Protocol

from localcloud.credentials import Key, utc_now
from localcloud.gateway import aws_chunked
from localcloud.gateway.errors import unauthenticated
from localcloud.request import Request, Response
from localcloud.signing import UNSIGNED_PAYLOAD, Message, Reason, Signature, SignatureRefused, read_claim, verify

log = logging.getLogger(__name__)

# Headers that describe the body's framing, or what was signed of it. What everybody behind sees is a plain body.
_FRAMING = {
    "x-amz-content-sha256",
    "x-amz-decoded-content-length",
    "x-amz-trailer",
    "transfer-encoding",
    "content-length",
}


class Handler(Protocol):
    """What answers verified requests: `localcloud.server.Server`."""

    def handle(self, request: Request) -> Response: ...


class AwsApi:
    """The AWS API as strangers see it. Blocking: called from a worker thread, never from the event loop."""

    def __init__(self, server: Handler, find: Callable[[str], Key | None], clock: Callable[[], datetime] = utc_now):
        self._server = server
        self._find = find
        self._clock = clock

    def precheck(self, message: Message) -> None:
        """What can be refused before the body has been read. Does not block. Raises SignatureRefused."""
        claim = read_claim(message)
        if self._find(claim.access_key) is None:
            text = "The AWS Access Key Id you provided does not exist in our records."
            raise SignatureRefused(Reason.UNKNOWN_KEY, text, claim.service)

    def refuse(self, refused: SignatureRefused, message: Message) -> Response:
        log.info("refused %s %s: %s (%s)", message.method, message.path, refused.reason.value, refused)
        return unauthenticated(refused, message)

    def answer(self, message: Message, body: bytes) -> Response:
        try:
            request = self._verified(message, body)
        except SignatureRefused as refused:
            return self.refuse(refused, message)
        return self._server.handle(request)

    def _verified(self, message: Message, body: bytes) -> Request:
        digest = hashlib.sha256(body).hexdigest()
        verified = verify(message, self._find, self._clock(), digest)
        headers = list(message.headers)
        if verified.payload_hash in aws_chunked.FORMS:
            length = message.header("x-amz-decoded-content-length")
            body, trailers = aws_chunked.decode(body, verified, verified.claim.timestamp, length)
            headers += trailers
        elif verified.payload_hash not in (None, UNSIGNED_PAYLOAD, digest):
            raise SignatureRefused(
                Reason.WRONG_PAYLOAD,
                "The provided 'x-amz-content-sha256' header does not match what was computed.",
                verified.claim.service,
            )
        headers = [*_unframed(headers, body), _scope(verified.claim)]
        url = message.path + (f"?{message.query}" if message.query else "")
        return Request(message.method, url, headers, body, verified.principal)


def _scope(claim: Signature) -> tuple[str, str]:
    """What was signed for, in the one form that everybody behind reads alike: service and region are told from it."""
    scope = f"{claim.access_key}/{claim.date}/{claim.region}/{claim.service}/aws4_request"
    return "authorization", f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0"


def _unframed(headers: list[tuple[str, str]], body: bytes) -> list[tuple[str, str]]:
    kept = []
    for name, value in headers:
        if name in _FRAMING or name == "authorization":
            continue
        if name == "content-encoding":
            codings = [part.strip() for part in value.split(",")]
            value = ",".join(part for part in codings if part and part.lower() != "aws-chunked")
            if not value:
                continue
        kept.append((name, value))
    return [*kept, ("content-length", str(len(body)))]
