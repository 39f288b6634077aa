"""S3's `aws-chunked` bodies: the framing in which SDKs send a stream, each chunk or a trailing checksum vouching for
the data.

Source: "Signature calculations for the Authorization header: transferring payload in multiple chunks" and "…
including trailing headers" in the S3 API reference. Five forms, told apart by `x-amz-content-sha256`: `STREAMING-
UNSIGNED-PAYLOAD-TRAILER` (what boto3 sends over TLS), `STREAMING-AWS4-HMAC-SHA256-PAYLOAD` with or without
`-TRAILER`.
"""

from __future__ import annotations

import hashlib
import hmac
import re

from localcloud.signing import EMPTY_SHA256, Reason, SignatureRefused, Verified, sign
from localcloud.stored import Stored, broken_promise

SIGNED = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
SIGNED_TRAILER = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"
UNSIGNED_TRAILER = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
FORMS = (SIGNED, SIGNED_TRAILER, UNSIGNED_TRAILER)

_CHUNK_HEAD = re.compile(rb"([0-9a-fA-F]{1,8})(?:;chunk-signature=([0-9a-f]{64}))?")

MOST_HEAD_BYTES = 100
MOST_TRAILER_BYTES = 16 * 1024


class Decoder:
    """Takes an aws-chunked body as it arrives, and gives the data in it.

    `timestamp` is the request's own. Raises SignatureRefused: MALFORMED for broken framing, WRONG_SIGNATURE where data
    and promise differ.
    """

    def __init__(self, verified: Verified, timestamp: str):
        self._verified = verified
        self._timestamp = timestamp
        self._signed = verified.payload_hash != UNSIGNED_TRAILER
        self._previous = verified.claim.signature
        self._rest = b""
        self._left = 0
        self._in_data = False
        self._last = False
        self._signature = b""
        self._digest = hashlib.sha256()
        self.size = 0
        """So many bytes of data have been given."""

    def feed(self, piece: bytes) -> list[bytes]:
        """The data that `piece` goes on with."""
        rest = self._rest + piece if self._rest else piece
        data = []
        while not self._last:
            if self._in_data:
                part = rest[: self._left]
                if not part and self._left:
                    break
                rest = rest[len(part) :]
                self._take(part)
                data.append(part)
                if self._left:
                    break
                if len(rest) < 2:
                    break
                if rest[:2] != b"\r\n":
                    raise _malformed("a chunk's end")
                rest = rest[2:]
                self._end_chunk()
            elif (end := rest.find(b"\r\n")) >= 0:
                self._begin_chunk(rest[:end])
                rest = rest[end + 2 :]
            elif len(rest) > MOST_HEAD_BYTES:
                raise _malformed("a chunk's head")
            else:
                break
        if self._last and len(rest) > MOST_TRAILER_BYTES:
            raise _malformed("its trailers are too long")
        self._rest = rest
        return [part for part in data if part]

    def _begin_chunk(self, head: bytes) -> None:
        match = _CHUNK_HEAD.fullmatch(head)
        if match is None:
            raise _malformed("a chunk's head")
        self._left, self._signature = int(match[1], 16), match[2] or b""
        self._digest = hashlib.sha256()
        self._in_data = True
        if self._left == 0:
            self._end_chunk()
            self._last = True

    def _take(self, part: bytes) -> None:
        self._left -= len(part)
        self.size += len(part)
        if self._signed:
            self._digest.update(part)

    def _end_chunk(self) -> None:
        self._in_data = False
        if self._signed:
            expected = _chunk_signature(self._verified, self._timestamp, self._previous, self._digest.hexdigest())
            if not hmac.compare_digest(expected.encode(), self._signature):
                raise SignatureRefused(Reason.WRONG_SIGNATURE, "The signature of a chunk does not match.", "s3")
            self._previous = expected

    def finish(self, decoded_length: str | None = None) -> list[tuple[str, str]]:
        """The body has ended: its trailers (names in lower case), which are checksums that nobody has looked at yet.

        `decoded_length` is what the request says of the data's length in bytes.
        """
        if not self._last:
            raise _malformed("a chunk is shorter than it says" if self._in_data else "a line has no end")
        if decoded_length is not None and str(self.size) != decoded_length:
            says = f"x-amz-decoded-content-length says {decoded_length}"
            raise _malformed(f"it has {self.size} bytes of data where {says}")
        trailers = _trailers(self._rest)
        if self._verified.payload_hash == SIGNED_TRAILER:
            _check_trailer_signature(trailers, self._verified, self._timestamp, self._previous)
        return [(name, value) for name, value in trailers if name != "x-amz-trailer-signature"]


def decode(
    body: bytes, verified: Verified, timestamp: str, decoded_length: str | None = None
) -> tuple[bytes, list[tuple[str, str]]]:
    """The data of a whole aws-chunked body and its trailers; see `Decoder`."""
    decoder = Decoder(verified, timestamp)
    data = b"".join(decoder.feed(body))
    trailers = decoder.finish(decoded_length)
    check(Stored.of(data), trailers)
    return data, trailers


def check(data: Stored, trailers: list[tuple[str, str]]) -> None:
    """Raise SignatureRefused (WRONG_PAYLOAD) if a trailer says another checksum than the data has."""
    if name := broken_promise(data, trailers):
        raise SignatureRefused(Reason.WRONG_PAYLOAD, f"Value for {name} header is invalid.", "s3")


def _trailers(body: bytes) -> list[tuple[str, str]]:
    trailers = []
    lines = body.split(b"\r\n")
    if lines.pop():
        raise _malformed("a line has no end")
    for line in filter(None, lines):
        name, colon, value = line.decode("latin-1").partition(":")
        if not colon:
            raise _malformed("a trailer")
        name = name.strip().lower()
        if not name.startswith("x-amz-checksum-") and name != "x-amz-trailer-signature":
            raise _malformed(f"a trailer {name[:40]!r}")
        trailers.append((name, value.strip()))
    return trailers


def _chunk_signature(verified: Verified, timestamp: str, previous: str, digest: str) -> str:
    scope = verified.claim.scope
    text = f"AWS4-HMAC-SHA256-PAYLOAD\n{timestamp}\n{scope}\n{previous}\n{EMPTY_SHA256}\n{digest}"
    return sign(verified.signing_key, text)


def _check_trailer_signature(
    trailers: list[tuple[str, str]], verified: Verified, timestamp: str, previous: str
) -> None:
    lines = "".join(f"{name}:{value}\n" for name, value in trailers if name != "x-amz-trailer-signature")
    digest = hashlib.sha256(lines.encode("latin-1")).hexdigest()
    text = f"AWS4-HMAC-SHA256-TRAILER\n{timestamp}\n{verified.claim.scope}\n{previous}\n{digest}"
    signature = dict(trailers).get("x-amz-trailer-signature", "")
    if not hmac.compare_digest(sign(verified.signing_key, text).encode(), signature.encode()):
        raise SignatureRefused(Reason.WRONG_SIGNATURE, "The signature of the trailer does not match.", "s3")


def _malformed(what: str) -> SignatureRefused:
    return SignatureRefused(Reason.MALFORMED, f"The aws-chunked body is malformed: {what}.", "s3")
