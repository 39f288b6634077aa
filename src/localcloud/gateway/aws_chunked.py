"""S3's `aws-chunked` bodies: the framing in which SDKs send a stream, each chunk or a trailing checksum vouching for
the data.

Source: "Signature calculations for the Authorization header: transferring payload in multiple chunks" and "…
including trailing headers" in the S3 API reference. Five forms, told apart by `x-amz-content-sha256`: `STREAMING-
UNSIGNED-PAYLOAD-TRAILER` (what boto3 sends over TLS), `STREAMING-AWS4-HMAC-SHA256-PAYLOAD` with or without
`-TRAILER`.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import zlib
from collections.abc import Callable

from localcloud.signing import EMPTY_SHA256, Reason, SignatureRefused, Verified, sign

SIGNED = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
SIGNED_TRAILER = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"
UNSIGNED_TRAILER = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
FORMS = (SIGNED, SIGNED_TRAILER, UNSIGNED_TRAILER)

_CHUNK_HEAD = re.compile(rb"([0-9a-fA-F]{1,8})(?:;chunk-signature=([0-9a-f]{64}))?")

# CRC32C and CRC64NVME need tables of their own and no SDK chooses them unasked: their values are passed on unchecked.
_CHECKSUMS: dict[str, Callable[[bytes], bytes]] = {
    "x-amz-checksum-crc32": lambda data: zlib.crc32(data).to_bytes(4, "big"),
    "x-amz-checksum-sha1": lambda data: hashlib.sha1(data).digest(),
    "x-amz-checksum-sha256": lambda data: hashlib.sha256(data).digest(),
}


def decode(
    body: bytes, verified: Verified, timestamp: str, decoded_length: str | None = None
) -> tuple[bytes, list[tuple[str, str]]]:
    """The data of an aws-chunked `body` and its trailers (names in lower case), which are checksums.

    `decoded_length` is what the request says of the data's length in bytes.

    Raises SignatureRefused: MALFORMED for broken framing, WRONG_SIGNATURE or WRONG_PAYLOAD where data and promise
    differ.
    """
    form = verified.payload_hash
    previous = verified.claim.signature
    data = bytearray()
    position = 0
    while True:
        head, position = _line(body, position)
        match = _CHUNK_HEAD.fullmatch(head)
        if match is None:
            raise _malformed("a chunk's head")
        size = int(match[1], 16)
        chunk = body[position : position + size]
        if len(chunk) < size:
            raise _malformed("a chunk is shorter than it says")
        if form != UNSIGNED_TRAILER:
            expected = _chunk_signature(verified, timestamp, previous, chunk)
            if not hmac.compare_digest(expected.encode(), match[2] or b""):
                raise SignatureRefused(Reason.WRONG_SIGNATURE, "The signature of a chunk does not match.", "s3")
            previous = expected
        position += size
        if size == 0:
            break
        data += chunk
        if body[position : position + 2] != b"\r\n":
            raise _malformed("a chunk's end")
        position += 2
    if decoded_length is not None and str(len(data)) != decoded_length:
        raise _malformed(f"it has {len(data)} bytes of data where x-amz-decoded-content-length says {decoded_length}")
    trailers = _trailers(body, position)
    if form == SIGNED_TRAILER:
        _check_trailer_signature(trailers, verified, timestamp, previous)
    _check_checksums(bytes(data), trailers)
    return bytes(data), [(name, value) for name, value in trailers if name != "x-amz-trailer-signature"]


def _line(body: bytes, position: int) -> tuple[bytes, int]:
    end = body.find(b"\r\n", position)
    if end < 0:
        raise _malformed("a line has no end")
    return body[position:end], end + 2


def _trailers(body: bytes, position: int) -> list[tuple[str, str]]:
    trailers = []
    while position < len(body):
        line, position = _line(body, position)
        if not line:
            continue
        name, colon, value = line.decode("latin-1").partition(":")
        if not colon:
            raise _malformed("a trailer")
        name = name.strip().lower()
        if not name.startswith("x-amz-checksum-") and name != "x-amz-trailer-signature":
            raise _malformed(f"a trailer {name[:40]!r}")
        trailers.append((name, value.strip()))
    return trailers


def _chunk_signature(verified: Verified, timestamp: str, previous: str, chunk: bytes) -> str:
    digest = hashlib.sha256(chunk).hexdigest()
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


def _check_checksums(data: bytes, trailers: list[tuple[str, str]]) -> None:
    for name, value in trailers:
        checksum = _CHECKSUMS.get(name)
        if checksum and base64.b64encode(checksum(data)).decode() != value:
            raise SignatureRefused(Reason.WRONG_PAYLOAD, f"Value for {name} header is invalid.", "s3")


def _malformed(what: str) -> SignatureRefused:
    return SignatureRefused(Reason.MALFORMED, f"The aws-chunked body is malformed: {what}.", "s3")
