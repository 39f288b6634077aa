"""Signed requests: who signed them, whether the body is the one that was signed, and then on to the server."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol

from localcloud.credentials import Key, utc_now
from localcloud.gateway import aws_chunked
from localcloud.gateway.errors import unauthenticated
from localcloud.request import Request, Response, s3
from localcloud.signing import (
    UNSIGNED_PAYLOAD,
    Message,
    Reason,
    Signature,
    SignatureRefused,
    Verified,
    read_claim,
    unquote,
    verify,
)
from localcloud.stored import Stored

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

    def refusal(self, request: Request) -> Response | None: ...


@dataclass(frozen=True)
class Admitted:
    """A request for putting an object whose signature holds, whatever its bytes are."""

    message: Message
    verified: Verified

    def decoder(self) -> aws_chunked.Decoder | None:
        """Takes the framing off the body, if it has one."""
        if self.verified.payload_hash not in aws_chunked.FORMS:
            return None
        return aws_chunked.Decoder(self.verified, self.verified.claim.timestamp)


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

    # --- objects, whose bytes go to the disk before anybody is asked to carry out something ---

    def puts_bytes(self, message: Message) -> bool:
        """Whether a request's body is the bytes of an object, and its headers say what was signed of them."""
        if message.method != "PUT" or message.header("x-amz-target") is not None:
            return False
        claim = read_claim(message)
        signed = claim.presigned or message.header("x-amz-content-sha256") is not None
        if claim.service != "s3" or not signed or message.header("x-amz-copy-source") is not None:
            return False
        in_host = s3.BUCKET_HOST.fullmatch((message.header("host") or "").lower())
        key = message.path.lstrip("/") if in_host else message.path.lstrip("/").partition("/")[2]
        return s3.takes_bytes("PUT", key, [unquote(name) for name, _ in message.parameters])

    def admit(self, message: Message) -> Admitted | Response:
        """Whether the bytes are worth reading: who asks, and whether they may. Else the answer."""
        try:
            verified = verify(message, self._find, self._clock(), None)
        except SignatureRefused as refused:
            return self.refuse(refused, message)
        headers = [(name, value) for name, value in message.headers if not _is_promise(name)]
        request = _request(message, verified, headers, b"")
        return self._server.refusal(replace(request, content=Stored())) or Admitted(message, verified)

    def answer_put(self, admitted: Admitted, decoder: aws_chunked.Decoder | None, content: Stored) -> Response:
        """Put what has been read, if it is what was signed."""
        message, verified = admitted.message, admitted.verified
        headers = list(message.headers)
        try:
            if decoder is not None:
                trailers = decoder.finish(message.header("x-amz-decoded-content-length"))
                aws_chunked.check(content, trailers)
                headers += trailers
            else:
                _check_payload(verified, content.digest("sha256").hex())
        except SignatureRefused as refused:
            return self.refuse(refused, message)
        request = _request(message, verified, headers, b"")
        return self._server.handle(replace(request, content=content))

    def _verified(self, message: Message, body: bytes) -> Request:
        digest = hashlib.sha256(body).hexdigest()
        verified = verify(message, self._find, self._clock(), digest)
        headers = list(message.headers)
        if verified.payload_hash in aws_chunked.FORMS:
            length = message.header("x-amz-decoded-content-length")
            body, trailers = aws_chunked.decode(body, verified, verified.claim.timestamp, length)
            headers += trailers
        else:
            _check_payload(verified, digest)
        return _request(message, verified, headers, body)


def _check_payload(verified: Verified, digest: str) -> None:
    if verified.payload_hash not in (None, UNSIGNED_PAYLOAD, digest):
        raise SignatureRefused(
            Reason.WRONG_PAYLOAD,
            "The provided 'x-amz-content-sha256' header does not match what was computed.",
            verified.claim.service,
        )


def _is_promise(name: str) -> bool:
    """Whether a header says something of bytes that nobody has read yet."""
    return name == "content-md5" or name.startswith("x-amz-checksum-")


def _request(message: Message, verified: Verified, headers: list[tuple[str, str]], body: bytes) -> Request:
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
