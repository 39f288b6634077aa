"""The signature check against botocore's signers as an independent oracle."""

from __future__ import annotations

import base64
import hashlib
import zlib
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from urllib.parse import quote, urlsplit

import pytest
from botocore.auth import S3SigV4Auth, S3SigV4QueryAuth, SigV4Auth, SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given
from hypothesis import strategies as st

from localcloud.gateway import aws_chunked
from localcloud.signing import (
    EMPTY_SHA256,
    Message,
    Reason,
    SignatureRefused,
    Signer,
    Verified,
    read_claim,
    sign,
    signing_key,
    verify,
)


@dataclass(frozen=True)
class Key:
    principal: str = "root"
    secret_key: str = "secret"
    session_token: str | None = None
    expires: datetime | None = None


ROOT = Key()
HOST = "http://127.0.0.1:4000"


def find(key: Key) -> object:
    return lambda name: key if name == "AKIA1" else None


def signed(
    service: str,
    method: str,
    url: str,
    headers: dict[str, str] | None = None,
    body: bytes = b"",
    key: Key = ROOT,
    query: bool = False,
) -> Message:
    """The message that botocore would send."""
    request = AWSRequest(method, HOST + url, headers=dict(headers or {}), data=body)
    credentials = Credentials("AKIA1", key.secret_key, key.session_token)
    if query:
        signer = S3SigV4QueryAuth if service == "s3" else SigV4QueryAuth
        signer(credentials, service, "eu-west-1", expires=60).add_auth(request)
    else:
        signer = S3SigV4Auth if service == "s3" else SigV4Auth
        signer(credentials, service, "eu-west-1").add_auth(request)
    prepared = request.prepare()
    parts = urlsplit(prepared.url)
    values = {
        name.lower(): value.decode() if isinstance(value, bytes) else value for name, value in prepared.headers.items()
    }
    values["host"] = parts.netloc
    return Message(method, parts.path or "/", parts.query, tuple(values.items()))


def check(message: Message, body: bytes = b"", key: Key = ROOT, now: datetime | None = None) -> Verified:
    return verify(message, find(key), now or datetime.now(UTC), hashlib.sha256(body).hexdigest())


def reason(message: Message, **how: object) -> Reason:
    with pytest.raises(SignatureRefused) as refused:
        check(message, **how)
    return refused.value.reason


segments = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=12)
parameters = st.dictionaries(segments, segments, max_size=4)
services = st.sampled_from(["s3", "ecs", "scheduler"])


@given(
    st.lists(segments, max_size=4),
    parameters,
    st.sampled_from(["s3", "ecs", "scheduler"]),
    st.booleans(),
    st.binary(max_size=50),
)
def test_what_botocore_signs_is_accepted(
    path: list[str], given_query: dict[str, str], service: str, query: bool, body: bytes
) -> None:
    url = "/" + "/".join(quote(segment, safe="~") for segment in path)
    if given_query:
        url += "?" + "&".join(
            f"{quote(name, safe='~')}={quote(value, safe='~')}" for name, value in given_query.items()
        )
    body = b"" if query else body
    message = signed(
        service,
        "POST",
        url,
        {"X-Amz-Meta-Note": "a  b", "Content-Type": "text/plain"} if not query else {},
        body,
        query=query,
    )
    verified = check(message, body)
    assert (verified.principal, verified.claim.service, verified.claim.presigned) == ("root", service, query)


@given(st.data())
def test_any_change_is_noticed(data: st.DataObject) -> None:
    message = signed("ecs", "POST", "/a/b?x=1&y=2", {"X-Amz-Target": "T"}, b"{}")
    changed = data.draw(
        st.sampled_from(
            [
                replace(message, method="PUT"),
                replace(message, path="/a/c"),
                replace(message, path="/A/b"),
                replace(message, query="x=1&y=3"),
                replace(message, query="x=1"),
                replace(message, query="x=1&y=2&z"),
                replace(message, headers=tuple((n, "U" if n == "x-amz-target" else v) for n, v in message.headers)),
                replace(message, headers=tuple((n, "evil:1" if n == "host" else v) for n, v in message.headers)),
                replace(message, headers=(*message.headers, ("x-amz-extra", "1"))),
            ]
        )
    )
    assert reason(changed, body=b"{}") is Reason.WRONG_SIGNATURE


def test_the_body_is_signed_too() -> None:
    assert reason(signed("ecs", "POST", "/", body=b"{}"), body=b"{ }") is Reason.WRONG_SIGNATURE


@given(st.integers(min_value=0, max_value=63), st.sampled_from("0123456789abcdef"))
def test_no_other_signature_passes(position: int, digit: str) -> None:
    message = signed("ecs", "GET", "/")
    right = read_claim(message).signature
    wrong = right[:position] + digit + right[position + 1 :]
    forged = replace(message, headers=tuple((n, v.replace(right, wrong)) for n, v in message.headers))
    if wrong == right:
        check(forged)
    else:
        assert reason(forged) is Reason.WRONG_SIGNATURE


CLOCKS = {
    "right": (0, None),
    "14 minutes slow": (14, None),
    "14 minutes fast": (-14, None),
    "16 minutes slow": (16, Reason.SKEWED),
    "16 minutes fast": (-16, Reason.SKEWED),
}


@pytest.mark.parametrize("case", CLOCKS)
def test_clock_skew(case: str) -> None:
    minutes, expected = CLOCKS[case]
    message, now = signed("ecs", "GET", "/"), datetime.now(UTC) + timedelta(minutes=minutes)
    if expected is None:
        check(message, now=now)
    else:
        assert reason(message, now=now) is expected


def test_a_presigned_address_ends() -> None:
    message = signed("s3", "GET", "/b/k", query=True)
    check(message, now=datetime.now(UTC) + timedelta(seconds=55))
    assert reason(message, now=datetime.now(UTC) + timedelta(seconds=62)) is Reason.EXPIRED_REQUEST
    assert reason(message, now=datetime.now(UTC) - timedelta(minutes=16)) is Reason.EXPIRED_REQUEST


def test_session_tokens() -> None:
    key = Key(session_token="token", expires=datetime.now(UTC) + timedelta(hours=1))
    for query in (False, True):
        check(signed("s3", "GET", "/b", key=key, query=query), key=key)
        assert (
            reason(signed("s3", "GET", "/b", key=replace(key, session_token=None), query=query), key=key)
            is Reason.WRONG_TOKEN
        )
        assert (
            reason(signed("s3", "GET", "/b", key=replace(key, session_token="x"), query=query), key=key)
            is Reason.WRONG_TOKEN
        )
        later = datetime.now(UTC) + timedelta(minutes=1)
        expired = replace(key, expires=later)
        assert reason(signed("s3", "GET", "/b", key=key), key=expired, now=later) is Reason.EXPIRED_TOKEN
    assert reason(signed("s3", "GET", "/b", key=key)) is Reason.WRONG_TOKEN  # a token on a key that has none


MALFORMED = {
    "empty": "",
    "basic": "Basic dXNlcjpwYXNz",
    "version 2": "AWS AKIA1:c2ln",
    "version 4a": "AWS4-ECDSA-P256-SHA256 Credential=AKIA1/20200101/s3/aws4_request, SignedHeaders=host, Signature=0",
    "no signature": "AWS4-HMAC-SHA256 Credential=AKIA1/20200101/r/s3/aws4_request, SignedHeaders=host",
    "no headers": "AWS4-HMAC-SHA256 Credential=AKIA1/20200101/r/s3/aws4_request, SignedHeaders=, Signature=0",
    "short scope": "AWS4-HMAC-SHA256 Credential=AKIA1/20200101/s3/aws4_request, SignedHeaders=host, Signature=0",
    "no date header": "AWS4-HMAC-SHA256 Credential=AKIA1/20200101/r/s3/aws4_request, SignedHeaders=host, Signature=0",
    "only commas": "AWS4-HMAC-SHA256 ,,,=,",
}


@pytest.mark.parametrize("case", MALFORMED)
def test_malformed(case: str) -> None:
    assert reason(Message("GET", "/", "", (("host", "h"), ("authorization", MALFORMED[case])))) is Reason.MALFORMED


@given(st.text(st.characters(max_codepoint=255), max_size=80))
def test_no_header_makes_it_fail_in_any_other_way(header: str) -> None:
    for text in (
        header,
        f"AWS4-HMAC-SHA256 {header}",
        f"AWS4-HMAC-SHA256 Credential={header}, SignedHeaders={header}, Signature={header}",
    ):
        reason(Message("GET", "/", header.replace("?", ""), (("host", "h"), ("authorization", text))))


def test_unsigned_and_unknown() -> None:
    assert reason(Message("GET", "/", "", (("host", "h"),))) is Reason.MISSING
    with pytest.raises(SignatureRefused) as refused:
        verify(signed("ecs", "GET", "/"), lambda name: None, datetime.now(UTC), EMPTY_SHA256)
    assert (refused.value.reason, refused.value.service) == (Reason.UNKNOWN_KEY, "ecs")


def test_the_documents_own_example() -> None:
    """GET Object from "Examples: Signature calculations in AWS Signature Version 4" (S3 API reference)."""
    headers = (
        ("host", "examplebucket.s3.amazonaws.com"),
        ("range", "bytes=0-9"),
        ("x-amz-content-sha256", EMPTY_SHA256),
        ("x-amz-date", "20130524T000000Z"),
        ("authorization", "AWS4-HMAC-SHA256 Credential=AKIA1/20130524/us-east-1/s3/aws4_request,"
         "SignedHeaders=host;range;x-amz-content-sha256;x-amz-date,"
         "Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"),
    )  # fmt: skip
    key: Signer = Key(secret_key="wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")
    verify(Message("GET", "/test.txt", "", headers), lambda name: key, datetime(2013, 5, 24, tzinfo=UTC), None)


# --- aws-chunked bodies, framed here by hand as the S3 API reference describes ---

STAMP = "20261124T120000Z"


def seed(form: str) -> Verified:
    claim = replace(read_claim(signed("s3", "PUT", "/b/k")), date="20261124", timestamp=STAMP, signature="5eed")
    return Verified(claim, "root", signing_key("secret", claim), form)


def framed(data: bytes, form: str, size: int, trailers: list[tuple[str, str]]) -> bytes:
    verified = seed(form)
    previous, out = "5eed", b""
    for start in [*range(0, len(data), size), len(data)]:
        chunk = data[start : start + size]
        head = f"{len(chunk):x}"
        if form != aws_chunked.UNSIGNED_TRAILER:
            digest = hashlib.sha256(chunk).hexdigest()
            text = f"AWS4-HMAC-SHA256-PAYLOAD\n{STAMP}\n{verified.claim.scope}\n{previous}\n{EMPTY_SHA256}\n{digest}"
            previous = sign(verified.signing_key, text)
            head += f";chunk-signature={previous}"
        out += head.encode() + b"\r\n" + chunk + (b"\r\n" if chunk else b"")
    for name, value in trailers:
        out += f"{name}:{value}\r\n".encode()
    if form == aws_chunked.SIGNED_TRAILER:
        lines = hashlib.sha256("".join(f"{name}:{value}\n" for name, value in trailers).encode()).hexdigest()
        text = f"AWS4-HMAC-SHA256-TRAILER\n{STAMP}\n{verified.claim.scope}\n{previous}\n{lines}"
        out += f"x-amz-trailer-signature:{sign(verified.signing_key, text)}\r\n".encode()
    return out + b"\r\n"


def crc32(data: bytes) -> tuple[str, str]:
    return "x-amz-checksum-crc32", base64.b64encode(zlib.crc32(data).to_bytes(4, "big")).decode()


@given(st.binary(max_size=300), st.integers(min_value=1, max_value=100), st.sampled_from(aws_chunked.FORMS))
def test_chunked_bodies_are_put_together(data: bytes, size: int, form: str) -> None:
    trailers = [] if form == aws_chunked.SIGNED else [crc32(data)]
    assert aws_chunked.decode(framed(data, form, size, trailers), seed(form), STAMP) == (data, trailers)


@given(st.data(), st.sampled_from(aws_chunked.FORMS))
def test_a_changed_byte_of_a_chunked_body_is_noticed(data: st.DataObject, form: str) -> None:
    trailers = [] if form == aws_chunked.SIGNED else [crc32(b"hello world")]
    body = bytearray(framed(b"hello world", form, 4, trailers))
    position = data.draw(st.integers(min_value=0, max_value=len(body) - 1))
    body[position] ^= data.draw(st.integers(min_value=1, max_value=255))
    try:
        decoded, _ = aws_chunked.decode(bytes(body), seed(form), STAMP)
    except SignatureRefused:
        return
    # What may change unnoticed is what is not data: a line's end, the name of a checksum nobody asked for.
    assert decoded == b"hello world"


@pytest.mark.parametrize(
    "body", [b"", b"5\r\nhel", b"5\r\nhello", b"5\r\nhelloXX0\r\n\r\n", b"-1\r\n", b"zz\r\n\r\n", b"fffffffff\r\n"]
)
def test_broken_framing_is_refused(body: bytes) -> None:
    with pytest.raises(SignatureRefused):
        aws_chunked.decode(body, seed(aws_chunked.UNSIGNED_TRAILER), STAMP)
