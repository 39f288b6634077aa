"""What a refused request is answered, in the protocol that its client speaks.

Clients decide by the code what to do (fetch new credentials, correct their clock, give up), so the codes and statuses
are AWS's own, per family of services. Source: the common-errors pages of the S3, EC2, IAM (query) and ECS (JSON) API
references.
"""

from __future__ import annotations

import json
import uuid
from xml.sax.saxutils import escape

from localcloud.request import Response
from localcloud.signing import Message, Reason, SignatureRefused

_QUERY = "query"
_EC2 = "ec2"
_S3 = "s3"
_JSON = "json"
_CBOR = "cbor"
_REST = "rest-json"

_XML_SERVICES = {"route53", "cloudfront"}

# reason → (status, code), by family
_CODES: dict[str, dict[Reason, tuple[int, str]]] = {
    _S3: {
        Reason.MISSING: (403, "AccessDenied"),
        Reason.MALFORMED: (400, "AuthorizationHeaderMalformed"),
        Reason.UNKNOWN_KEY: (403, "InvalidAccessKeyId"),
        Reason.WRONG_SIGNATURE: (403, "SignatureDoesNotMatch"),
        Reason.WRONG_TOKEN: (400, "InvalidToken"),
        Reason.EXPIRED_TOKEN: (400, "ExpiredToken"),
        Reason.SKEWED: (403, "RequestTimeTooSkewed"),
        Reason.EXPIRED_REQUEST: (403, "AccessDenied"),
        Reason.WRONG_PAYLOAD: (400, "XAmzContentSHA256Mismatch"),
    },
    _EC2: {
        Reason.MISSING: (401, "AuthFailure"),
        Reason.MALFORMED: (400, "IncompleteSignature"),
        Reason.UNKNOWN_KEY: (401, "AuthFailure"),
        Reason.WRONG_SIGNATURE: (401, "AuthFailure"),
        Reason.WRONG_TOKEN: (401, "AuthFailure"),
        Reason.EXPIRED_TOKEN: (400, "RequestExpired"),
        Reason.SKEWED: (400, "RequestExpired"),
        Reason.EXPIRED_REQUEST: (400, "RequestExpired"),
        Reason.WRONG_PAYLOAD: (401, "AuthFailure"),
    },
    _QUERY: {
        Reason.MISSING: (403, "MissingAuthenticationToken"),
        Reason.MALFORMED: (400, "IncompleteSignature"),
        Reason.UNKNOWN_KEY: (403, "InvalidClientTokenId"),
        Reason.WRONG_SIGNATURE: (403, "SignatureDoesNotMatch"),
        Reason.WRONG_TOKEN: (403, "InvalidClientTokenId"),
        Reason.EXPIRED_TOKEN: (403, "ExpiredToken"),
        Reason.SKEWED: (403, "SignatureDoesNotMatch"),
        Reason.EXPIRED_REQUEST: (403, "SignatureDoesNotMatch"),
        Reason.WRONG_PAYLOAD: (403, "SignatureDoesNotMatch"),
    },
    _JSON: {
        Reason.MISSING: (400, "MissingAuthenticationTokenException"),
        Reason.MALFORMED: (400, "IncompleteSignatureException"),
        Reason.UNKNOWN_KEY: (400, "UnrecognizedClientException"),
        Reason.WRONG_SIGNATURE: (400, "InvalidSignatureException"),
        Reason.WRONG_TOKEN: (400, "UnrecognizedClientException"),
        Reason.EXPIRED_TOKEN: (400, "ExpiredTokenException"),
        Reason.SKEWED: (400, "InvalidSignatureException"),
        Reason.EXPIRED_REQUEST: (400, "InvalidSignatureException"),
        Reason.WRONG_PAYLOAD: (400, "InvalidSignatureException"),
    },
}
_CODES[_CBOR] = _CODES[_JSON]
_CODES[_REST] = {reason: (403, code) for reason, (_, code) in _CODES[_JSON].items()}

_WORDS = {  # where a family words a reason differently from S3
    (_QUERY, Reason.UNKNOWN_KEY): "The security token included in the request is invalid.",
    (_JSON, Reason.UNKNOWN_KEY): "The security token included in the request is invalid.",
    (_CBOR, Reason.UNKNOWN_KEY): "The security token included in the request is invalid.",
    (_REST, Reason.UNKNOWN_KEY): "The security token included in the request is invalid.",
    (_S3, Reason.MISSING): "Access Denied",
    (_EC2, Reason.UNKNOWN_KEY): "AWS was not able to validate the provided access credentials",
    (_EC2, Reason.WRONG_SIGNATURE): "AWS was not able to validate the provided access credentials",
}


def unauthenticated(refused: SignatureRefused, message: Message) -> Response:
    """The answer to a request whose signature was refused."""
    family = _family(message, refused.service)
    status, code = _CODES[family][refused.reason]
    text = _WORDS.get((family, refused.reason), str(refused))
    return _render(family, status, code, text, message)


def s3_error(status: int, code: str, text: str, resource: str, **details: str) -> Response:
    """An error document of S3's; `details` become elements of their own (`Key`, `BucketName`)."""
    request_id = uuid.uuid4().hex[:16].upper()
    elements = {"Code": code, "Message": text, **details, "Resource": resource, "RequestId": request_id}
    inner = "".join(f"<{name}>{escape(value)}</{name}>" for name, value in elements.items())
    body = f'<?xml version="1.0" encoding="UTF-8"?>\n<Error>{inner}</Error>'
    return Response(status, [("Content-Type", "application/xml"), ("x-amz-request-id", request_id)], _bytes(body))


def too_large(message: Message, limit: int) -> Response:
    """The answer to a body longer than `limit` bytes."""
    family = _family(message, "")
    code = "EntityTooLarge" if family == _S3 else "RequestEntityTooLargeException"
    status = 400 if family == _S3 else 413
    return _render(family, status, code, f"The request's body is longer than {limit} bytes", message)


def _family(message: Message, service: str) -> str:
    content_type = message.header("content-type") or ""
    if message.header("smithy-protocol") == "rpc-v2-cbor":
        return _CBOR
    if message.header("x-amz-target") or content_type.startswith("application/x-amz-json"):
        return _JSON
    if content_type.startswith("application/x-www-form-urlencoded") and service != "s3":
        return _EC2 if service == "ec2" else _QUERY
    if service in ("", "s3"):
        return _S3
    if service in _XML_SERVICES or any(name == "Action" for name, _ in message.parameters):
        return _EC2 if service == "ec2" else _QUERY
    return _REST


def _render(family: str, status: int, code: str, text: str, message: Message) -> Response:
    request_id = str(uuid.uuid4())
    ids = [("x-amzn-RequestId", request_id)]
    if family == _S3:
        return s3_error(status, code, text, message.path)
    if family == _EC2:
        error = f"<Code>{code}</Code><Message>{escape(text)}</Message>"
        body = f"<Response><Errors><Error>{error}</Error></Errors><RequestID>{request_id}</RequestID></Response>"
        return Response(
            status, [("Content-Type", "text/xml"), *ids], _bytes(f'<?xml version="1.0" encoding="UTF-8"?>\n{body}')
        )
    if family == _QUERY:
        error = f"<Type>Sender</Type><Code>{code}</Code><Message>{escape(text)}</Message>"
        body = f"<ErrorResponse><Error>{error}</Error><RequestId>{request_id}</RequestId></ErrorResponse>"
        return Response(status, [("Content-Type", "text/xml"), *ids], _bytes(body))
    if family == _CBOR:
        headers = [("Content-Type", "application/cbor"), ("smithy-protocol", "rpc-v2-cbor"), *ids]
        return Response(status, headers, b"\xa2" + _cbor("__type") + _cbor(code) + _cbor("message") + _cbor(text))
    headers = [("x-amzn-ErrorType", code), *ids]
    if family == _REST:
        return Response(
            status, [("Content-Type", "application/json"), *headers], json.dumps({"message": text}).encode()
        )
    version = message.header("content-type") or "application/x-amz-json-1.1"
    return Response(
        status, [("Content-Type", version), *headers], json.dumps({"__type": code, "message": text}).encode()
    )


def _cbor(text: str) -> bytes:
    """A text string in CBOR (RFC 8949 §3.1, major type 3), up to 65,535 bytes."""
    data = text.encode()
    return b"\x79" + len(data).to_bytes(2, "big") + data


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "replace")
