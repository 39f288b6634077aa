"""A request is read here, once and strictly, into one value; everybody behind works on that.

What could be read in two ways is refused, whoever asks: no SDK sends such requests. Codes are AWS's own as far as
known. What moto gets is written from what was read: the path and the query decoded once and encoded again, one value
for each header, its name in lower case, and JSON, forms and XML without anything that parsers differ about.
"""

from __future__ import annotations

import json
import re
import zlib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import quote, unquote_to_bytes, urlencode

from localcloud.request import documents, models, s3
from localcloud.request.call import Call
from localcloud.request.documents import Pairs
from localcloud.request.errors import Refused
from localcloud.request.message import Request

MAX_BODY_BYTES = 16 * 1024 * 1024
"""Of a body once it is decompressed."""

FORM = "application/x-www-form-urlencoded"

_MANY = re.compile(r"x-amz-meta-.*|x-amz-checksum-.*")
_ONE = frozenset(
    ["authorization", "host", "content-type", "content-length", "content-encoding", "content-md5", "range", "if-match",
     "if-none-match", "if-modified-since", "if-unmodified-since", "smithy-protocol", "user-agent"]
)  # fmt: skip
_BALANCERS = {"2012-06-01": "elb", "2015-12-01": "elbv2"}
"""Two services have one name in signatures, and are told apart by the version of their API."""

_SCOPE = re.compile(r"Credential=([^,\s]+)")


def address(request: Request, account: str, default_region: str) -> Call:
    """Whom a request is for, and in which protocol, told from its signature and headers alone. The rest is empty."""
    headers = {name.lower(): value for name, value in request.headers}
    scope = _SCOPE.search(headers.get("authorization", ""))
    credential = scope[1] if scope else _presigned(request.url)
    parts = credential.split("/")
    region, service = (parts[2], parts[3]) if len(parts) == 5 else (default_region, "s3")
    call = Call(
        service, "", "", account, region, request.url, b"", request.method, headers, request.principal,
        models.NAMES.get(service, service),
    )  # fmt: skip
    if headers.get("x-amz-target"):
        return replace(call, protocol="json", operation=headers["x-amz-target"].rsplit(".", 1)[-1])
    if _media_type(headers) == FORM:
        return replace(call, protocol="ec2" if service == "ec2" else "query")
    return replace(call, protocol="rest-xml" if service == "s3" else "rest-json")


def _presigned(url: str) -> str:
    match = re.search(r"[?&]X-Amz-Credential=([^&]*)", url)
    return unquote_to_bytes(match[1]).decode("utf-8", "replace") if match else ""


def read(request: Request, addressed: Call) -> Call:
    """What a request asks for; `addressed` says whom. Raises `Refused`."""
    headers = _headers(request.headers)
    if "#" in request.url or not request.url.startswith("/"):
        raise Refused("InvalidURI", "Couldn't parse the specified URI.")
    service = addressed.service
    if service != service.lower():
        raise Refused("SignatureDoesNotMatch", f"Credential should be scoped to a service, not {service!r}.", 403)
    call = replace(addressed, headers=headers, body=request.body, content=request.content)
    if service == "s3":
        return s3.read(call)
    path, _, query_text = request.url.partition("?")
    if service == "ses" and unquote_to_bytes(path).startswith(b"/v2/"):  # two APIs have one name in signatures
        call = replace(call, model="sesv2")
    if "//" in path or any(unquote_to_bytes(part) in (b".", b"..") for part in path.split("/")):
        raise Refused("InvalidAction", f"The path {path!r} is not in its plain form.")
    query = documents.pairs(query_text)
    call = _decompressed(call)
    if call.protocol == "rest-json":
        if models.speaks_rest(call.model):
            return _rest(call, path, query)
        call, path, query = _posted(call, path, query)
    if call.method != "POST":
        raise Refused("InvalidAction", f"{call.service} takes a body by POST, and not by {call.method[:40]}.")
    if path != "/" or any(not name.startswith("X-Amz-") for name in query):
        raise Refused("MalformedQueryString", "Parameters belong into the body, and the path is /.")
    call = replace(call, query=query, url=f"/?{urlencode(query)}" if query else "/")
    return _json(call) if call.protocol == "json" else _form(call)


# --- dialects --------------------------------------------------------------------------------------------------------


def _json(call: Call) -> Call:
    if _media_type(call.headers) == FORM:
        raise Refused("InvalidAction", "The request names an action in x-amz-target and sends a form.")
    document = documents.json_object(call.body)
    headers = {**call.headers, "content-type": models.media_type(call.model, "json")}
    call = replace(call, headers=headers, body=json.dumps(document).encode() if call.body else b"")
    return _typed(call, document, document=document)


def _form(call: Call) -> Call:
    fields = documents.form(call.body)
    operation = fields.get("Action", "")
    model = call.model
    if call.service == "elasticloadbalancing":
        version = fields.get("Version", "")
        if version not in _BALANCERS:
            raise Refused("InvalidAction", f"Could not find operation {operation} for version {version[:40]!r}")
        model = _BALANCERS[version]
    call = replace(
        call, operation=operation, model=model, body=urlencode(fields).encode(),
        headers={**call.headers, "content-type": f"{FORM}; charset=utf-8"},
    )  # fmt: skip
    return _typed(call, fields, fields=fields)


def _rest(call: Call, path: str, query: Pairs) -> Call:
    """A request of a REST service. What its operation does not have in its query or its JSON is left out: AWS passes
    over it, but moto might not.
    """
    path = "/".join(quote(unquote_to_bytes(part), safe="~:@") for part in path.split("/"))
    operation, in_path = models.route(call.model, call.method, documents.url(path, query), call.headers)
    wire = models.wire(call.model, operation)
    if wire.query is not None:
        query = {name: value for name, value in query.items() if name in wire.query}
    opaque = (call.model, operation) in models.OPAQUE
    body, document = (call.body, {}) if opaque else _rest_body(call)
    if not opaque and not _is_text(body):
        raise Refused("SerializationException", "The body of the request is not encoded in UTF-8.")
    if wire.body is not None and not wire.body:
        body, document = b"", {}
    elif wire.body is not None and body[:1] == b"{":
        document = {name: value for name, value in document.items() if name in wire.body}
        body = json.dumps(document).encode()
    headers = {**call.headers, "content-type": models.media_type(call.model, "rest")} if operation else call.headers
    url = documents.url(path, query)
    call = replace(call, operation=operation, url=url, query=query, headers=headers, body=body)
    return _typed(call, {**query, **document}, fields=query, document=document, in_path=in_path)


def _rest_body(call: Call) -> tuple[bytes, dict[str, Any]]:
    """XML and JSON, wherever a body is one of them, written again, and what JSON says; other bodies are data."""
    beginning = call.body.lstrip()[:1]
    media = _media_type(call.headers)
    if media.startswith("multipart/") or media == FORM and call.body:
        raise Refused("SerializationException", f"A body of the type {media} is not read here.")
    if beginning == b"<":
        return documents.xml(call.body), {}
    if call.body and (beginning in (b"{", b"[") or media.endswith("json")):
        document = documents.json_object(call.body)
        return json.dumps(document).encode(), document
    return call.body, {}


def _is_text(body: bytes) -> bool:
    try:
        body.decode()
    except UnicodeDecodeError:
        return False
    return True


def _posted(call: Call, path: str, query: Pairs) -> tuple[Call, str, Pairs]:
    """The form that a GET of the query protocols stands for: a presigned GetCallerIdentity is sent so."""
    if call.method != "GET" or path != "/" or call.body or "Action" not in query:
        raise Refused("InvalidAction", f"{call.service} names its actions in x-amz-target or in a form.")
    signature = {name: value for name, value in query.items() if name.startswith("X-Amz-")}
    form = urlencode({name: value for name, value in query.items() if name not in signature})
    return replace(call, method="POST", body=form.encode()), path, signature


def _typed(
    call: Call,
    as_sent: Mapping[str, Any],
    *,
    fields: Mapping[str, str] | None = None,
    document: Any = None,
    in_path: Mapping[str, Any] | None = None,
) -> Call:
    """The call with its arguments; as the client sent them where botocore does not know the operation."""
    if models.operation(call.model, call.operation) is None:
        return replace(call, arguments=as_sent)
    protocol = call.protocol
    if protocol == "rest-json":
        protocol = str(models.model(call.model).metadata["protocol"])
    try:
        arguments = models.arguments(
            call.model, call.operation, protocol, fields=fields or {}, document=document, body=call.body,
            path=call.url.partition("?")[0], in_path=in_path or {}, headers=call.headers,
        )  # fmt: skip
    except models.Mistyped as error:
        code = "MalformedInput" if protocol in ("query", "ec2") else "SerializationException"
        raise Refused(code, str(error)[:400]) from None
    return replace(call, arguments=arguments)


def _decompressed(call: Call) -> Call:
    """SDKs compress large bodies of some operations (PutMetricData)."""
    coding = call.headers.get("content-encoding", "").strip().lower()
    if coding in ("", "identity"):
        return call
    if coding != "gzip":
        raise Refused("SerializationException", f"The content encoding {coding[:40]!r} is not supported.")
    try:
        inflate = zlib.decompressobj(wbits=31)
        body = inflate.decompress(call.body, MAX_BODY_BYTES + 1)
    except zlib.error as error:
        raise Refused("SerializationException", f"The body is not compressed with gzip: {error}") from None
    if len(body) > MAX_BODY_BYTES or inflate.unconsumed_tail:
        raise Refused(
            "RequestEntityTooLargeException", f"The request's body is longer than {MAX_BODY_BYTES} bytes", 413
        )
    if not inflate.eof or inflate.unused_data:
        raise Refused("SerializationException", "The compressed body ends too early or too late.")
    headers = {name: value for name, value in call.headers.items() if name != "content-encoding"}
    return replace(call, headers=headers, body=body)


# --- headers ---------------------------------------------------------------------------------------------------------


def _headers(headers: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Headers by their names in lower case; two of one name are one with a comma where that says the same."""
    counted = Counter(name.lower() for name, _ in headers)
    for name, count in counted.items():
        single = name in _ONE or name.startswith("x-amz-") and not _MANY.fullmatch(name)
        if count > 1 and single:
            raise Refused("InvalidRequest", f"The header {name} is there more than once.")
    lower: dict[str, str] = {}
    for name, value in headers:
        name = name.lower()
        lower[name] = f"{lower[name]},{value}" if name in lower else value
    for framing in ("content-length", "transfer-encoding"):  # of a body that is whole
        lower.pop(framing, None)
    return lower


def _media_type(headers: Mapping[str, str]) -> str:
    return headers.get("content-type", "").partition(";")[0].strip().lower()
