"""Signature Version 4, from the side that checks it.

Source of the rules: "Signature Version 4 signing process" in the IAM user guide and "Authenticating requests" in the
S3 API reference. Written out here rather than borrowed from botocore's signer, which can only sign what it is about
to send: it drops headers that other clients sign, and encodes a path that it takes for unencoded.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Any, Protocol
from urllib.parse import quote, unquote_to_bytes

ALGORITHM = "AWS4-HMAC-SHA256"
EMPTY_SHA256 = hashlib.sha256(b"").hexdigest()
UNSIGNED_PAYLOAD = "UNSIGNED-PAYLOAD"
MAX_SKEW = timedelta(minutes=15)
MAX_PRESIGNED_SECONDS = 7 * 24 * 3600

_CREDENTIAL = re.compile(r"(?P<key>[^/]+)/(?P<date>\d{8})/(?P<region>[^/]*)/(?P<service>[^/]+)/aws4_request")


class Reason(Enum):
    """Why a request is refused. Each service family has its own code for it (see gateway/errors.py)."""

    MISSING = "the request is not signed"
    MALFORMED = "the signature is incomplete or malformed"
    UNKNOWN_KEY = "nobody has this access key"
    WRONG_SIGNATURE = "the signature is not that of this request"
    WRONG_TOKEN = "the session token does not belong to the access key"
    EXPIRED_TOKEN = "the temporary credentials have expired"
    SKEWED = "the request was signed too long ago or for a later time"
    EXPIRED_REQUEST = "the presigned address has expired"
    WRONG_PAYLOAD = "the body is not the one that was signed"


class SignatureRefused(Exception):
    """`reason` says which rule was broken, `str()` the particulars in AWS's words; `service` is the credential
    scope's, if readable.
    """

    def __init__(self, reason: Reason, message: str, service: str = ""):
        super().__init__(message)
        self.reason = reason
        self.service = service


class Signer(Protocol):
    """Whose signature is checked; `localcloud.credentials.Key` is one."""

    @property
    def principal(self) -> str: ...
    @property
    def secret_key(self) -> str: ...
    @property
    def session_token(self) -> str | None: ...
    @property
    def expires(self) -> datetime | None: ...


@dataclass(frozen=True)
class Message:
    """What is signed: `path` and `query` as they stood in the request line, header names in lower case, values as
    latin-1 text.
    """

    method: str
    path: str
    query: str
    headers: tuple[tuple[str, str], ...]

    def header(self, name: str) -> str | None:
        return next((value for key, value in self.headers if key == name), None)

    @property
    def parameters(self) -> list[tuple[str, str]]:
        """Query parameters, still encoded, in the order sent; `?acl` counts as `acl=`."""
        return [(name, value) for name, _, value in (pair.partition("=") for pair in self.query.split("&") if pair)]


@dataclass(frozen=True)
class Signature:
    """A claim, read from the headers or (`expires_seconds` is not None) from the query of a presigned address."""

    access_key: str
    date: str
    region: str
    service: str
    timestamp: str
    signed_headers: tuple[str, ...]
    signature: str
    token: str | None
    expires_seconds: int | None = None

    @property
    def scope(self) -> str:
        return f"{self.date}/{self.region}/{self.service}/aws4_request"

    @property
    def presigned(self) -> bool:
        return self.expires_seconds is not None


@dataclass(frozen=True)
class Verified:
    """An accepted signature, with what checking the rest of its body needs."""

    claim: Signature
    principal: str
    signing_key: bytes
    payload_hash: str | None
    """What the signature says of the body: a sha256, or one of S3's words for "not signed" and "signed in chunks"."""


def read_claim(message: Message) -> Signature:
    """The signature that a request carries. Raises SignatureRefused (MISSING, MALFORMED)."""
    header = message.header("authorization")
    if header is not None:
        return _claim_in_header(message, header)
    query = {unquote(name): unquote(value) for name, value in message.parameters}
    if "X-Amz-Algorithm" in query:
        return _claim_in_query(query)
    raise SignatureRefused(Reason.MISSING, "Missing Authentication Token")


def verify(
    message: Message, find: Callable[[str], Signer | None], now: datetime, payload_sha256: str | None
) -> Verified:
    """Checks everything about a request but its body.

    `payload_sha256` is the body's own hash; it stands in where the client sent no `x-amz-content-sha256` (services
    other than S3). Raises SignatureRefused.
    """
    claim = read_claim(message)
    _check_time(claim, now)
    signer = find(claim.access_key)
    if signer is None:
        raise _refused(Reason.UNKNOWN_KEY, "The AWS Access Key Id you provided does not exist in our records.", claim)
    _check_token(claim, signer, now)
    _check_required_headers(claim, message)
    payload = message.header("x-amz-content-sha256")
    if claim.presigned and claim.service == "s3":
        payload = UNSIGNED_PAYLOAD
    key = signing_key(signer.secret_key, claim)
    canonical = canonical_request(message, claim, payload or payload_sha256 or EMPTY_SHA256)
    if not hmac.compare_digest(sign(key, string_to_sign(claim, canonical)).encode(), claim.signature.encode()):
        raise _refused(
            Reason.WRONG_SIGNATURE,
            "The request signature we calculated does not match the signature you provided. "
            "Check your AWS Secret Access Key and signing method. Consult the service documentation for details.",
            claim,
        )
    return Verified(claim, signer.principal, key, payload)


def canonical_request(message: Message, claim: Signature, payload_hash: str) -> str:
    if claim.service == "s3":
        path = "/".join(_recoded(segment) for segment in message.path.split("/"))
    else:  # every service but S3 normalises the path, and encodes it twice
        path = quote(_without_dots(message.path), safe="/~")
    parameters = sorted(
        (_recoded(name), _recoded(value)) for name, value in message.parameters if unquote(name) != "X-Amz-Signature"
    )
    headers = [
        f"{name}:{','.join(' '.join(value.split()) for key, value in message.headers if key == name)}\n"
        for name in claim.signed_headers
    ]
    query = "&".join(f"{name}={value}" for name, value in parameters)
    return "\n".join(
        [message.method, path or "/", query, "".join(headers), ";".join(claim.signed_headers), payload_hash]
    )


def string_to_sign(claim: Signature, canonical: str) -> str:
    digest = hashlib.sha256(canonical.encode("latin-1")).hexdigest()
    return f"{ALGORITHM}\n{claim.timestamp}\n{claim.scope}\n{digest}"


def signing_key(secret_key: str, claim: Signature) -> bytes:
    key = b"AWS4" + secret_key.encode()
    for part in (claim.date, claim.region, claim.service, "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    return key


def sign(key: bytes, text: str) -> str:
    return hmac.digest(key, text.encode("latin-1"), "sha256").hex()


def unquote(text: str) -> str:
    return unquote_to_bytes(text).decode("utf-8", "surrogateescape")


def _recoded(text: str) -> str:
    """An encoded piece of a path or query in the one encoding that is signed; `+` is a plus, as it is for AWS."""
    return quote(unquote_to_bytes(text), safe="~")


def _without_dots(path: str) -> str:
    """`/a/./b//../c` → `/a/c`: RFC 3986 §5.2.4, with empty segments dropped as the signing rules want."""
    kept: list[str] = []
    for segment in path.split("/"):
        if segment == "..":
            kept[-1:] = []
        elif segment not in ("", "."):
            kept.append(segment)
    return "/" + "/".join(kept) + ("/" if kept and path.endswith("/") else "")


def _claim_in_header(message: Message, header: str) -> Signature:
    algorithm, _, rest = header.partition(" ")
    if algorithm != ALGORITHM:
        raise SignatureRefused(
            Reason.MALFORMED, f"The authorization mechanism {algorithm!r} is not supported. Use {ALGORITHM}."
        )
    fields = {name.strip(): value.strip() for name, _, value in (part.partition("=") for part in rest.split(","))}
    missing = [name for name in ("Credential", "SignedHeaders", "Signature") if not fields.get(name)]
    if missing:
        raise SignatureRefused(Reason.MALFORMED, f"Authorization header requires {', '.join(missing)}.")
    return Signature(
        **_credential(fields["Credential"]),
        timestamp=message.header("x-amz-date") or "",
        signed_headers=tuple(fields["SignedHeaders"].split(";")),
        signature=fields["Signature"],
        token=message.header("x-amz-security-token"),
    )


def _claim_in_query(query: Mapping[str, str]) -> Signature:
    required = ("X-Amz-Credential", "X-Amz-Date", "X-Amz-SignedHeaders", "X-Amz-Signature")
    missing = [name for name in required if not query.get(name)]
    if missing or query["X-Amz-Algorithm"] != ALGORITHM:
        wrong = ", ".join(missing) or "X-Amz-Algorithm"
        raise SignatureRefused(Reason.MALFORMED, f"Error parsing the signature in the query: {wrong}.")
    # Services other than S3 let the lifetime out: then the ordinary quarter of an hour holds.
    expires = query.get("X-Amz-Expires", str(int(MAX_SKEW.total_seconds())))
    if not expires.isdecimal() or not 1 <= int(expires) <= MAX_PRESIGNED_SECONDS:
        raise SignatureRefused(
            Reason.MALFORMED, f"X-Amz-Expires must be between 1 and {MAX_PRESIGNED_SECONDS} seconds."
        )
    return Signature(
        **_credential(query["X-Amz-Credential"]),
        timestamp=query["X-Amz-Date"],
        signed_headers=tuple(query["X-Amz-SignedHeaders"].split(";")),
        signature=query["X-Amz-Signature"],
        token=query.get("X-Amz-Security-Token"),
        expires_seconds=int(expires),
    )


def _credential(text: str) -> dict[str, Any]:
    match = _CREDENTIAL.fullmatch(text)
    if match is None:
        raise SignatureRefused(
            Reason.MALFORMED, "The Credential is malformed; expecting <key>/YYYYMMDD/REGION/SERVICE/aws4_request."
        )
    return {"access_key": match["key"], "date": match["date"], "region": match["region"], "service": match["service"]}


def _check_time(claim: Signature, now: datetime) -> None:
    try:
        signed = datetime.strptime(claim.timestamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError:
        raise _refused(Reason.MALFORMED, "X-Amz-Date must be in the ISO8601 form YYYYMMDDTHHMMSSZ.", claim) from None
    if claim.timestamp[:8] != claim.date:
        raise _refused(
            Reason.MALFORMED, "Date in Credential scope does not match YYYYMMDD of the request's date.", claim
        )
    stamp = now.strftime("%Y%m%dT%H%M%SZ")
    if claim.expires_seconds is not None:
        if now > signed + timedelta(seconds=claim.expires_seconds):
            raise _refused(Reason.EXPIRED_REQUEST, "Request has expired", claim)
        if signed > now + MAX_SKEW:
            raise _refused(Reason.EXPIRED_REQUEST, "Request is not yet valid", claim)
    elif signed < now - MAX_SKEW:
        oldest = (now - MAX_SKEW).strftime("%Y%m%dT%H%M%SZ")
        raise _refused(
            Reason.SKEWED,
            f"Signature expired: {claim.timestamp} is now earlier than {oldest} ({stamp} - 15 min.)",
            claim,
        )
    elif signed > now + MAX_SKEW:
        newest = (now + MAX_SKEW).strftime("%Y%m%dT%H%M%SZ")
        raise _refused(
            Reason.SKEWED,
            f"Signature not yet current: {claim.timestamp} is still later than {newest} ({stamp} + 15 min.)",
            claim,
        )


def _check_token(claim: Signature, signer: Signer, now: datetime) -> None:
    if not hmac.compare_digest((claim.token or "").encode(), (signer.session_token or "").encode()):
        raise _refused(Reason.WRONG_TOKEN, "The security token included in the request is invalid.", claim)
    if signer.expires is not None and signer.expires <= now:
        raise _refused(Reason.EXPIRED_TOKEN, "The security token included in the request is expired", claim)


def _check_required_headers(claim: Signature, message: Message) -> None:
    """Host and every x-amz-* header sent must be signed: otherwise they could be changed under way."""
    sent = {name for name, _ in message.headers if name == "host" or name.startswith("x-amz-")}
    unsigned = sorted(sent - set(claim.signed_headers))
    if unsigned:
        message_text = f"There were headers present in the request which were not signed: {', '.join(unsigned)}"
        raise _refused(Reason.WRONG_SIGNATURE, message_text, claim)


def _refused(reason: Reason, message: str, claim: Signature) -> SignatureRefused:
    return SignatureRefused(reason, message, claim.service)
