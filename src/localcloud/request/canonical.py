"""A request in the one form that the judge, the rules, the journal and moto read alike.

What could be read in two ways is refused here, whoever asks: no SDK sends such requests. Codes are AWS's own as far as
known. What is left has its bucket first in the path, a plain body, one value for each header that says what to do.
"""

from __future__ import annotations

import json
import re
import zlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, quote, unquote_to_bytes, urlencode
from xml.parsers import expat

from localcloud.request import operations
from localcloud.request.call import S3_CONTROL, Call
from localcloud.request.errors import Refused

if TYPE_CHECKING:
    from localcloud.request.message import Request

MAX_PARAMETERS = 10_000
"""Of a form; a call that is described by more is none that AWS takes."""

MAX_DEPTH = 64
"""Of what is nested in a document; AWS's own limits are lower (DynamoDB: 32)."""

MAX_ELEMENTS = 50_000
"""Of an XML document: a completed upload has 10,000 parts of some elements each."""

MAX_BODY_BYTES = 16 * 1024 * 1024
"""Of a body once it is decompressed."""

BUCKET_HOST = re.compile(r"(?P<bucket>.+)\.s3\.(?P<region>[a-z0-9-]+)\.localhost(:\d+)?")
"""Host of a bucket's own address; what stands before `.s3.` is the bucket, dots included."""

FORM = "application/x-www-form-urlencoded"

_MANY = re.compile(r"x-amz-meta-.*|x-amz-checksum-.*")
_ONE = frozenset(
    ["authorization", "host", "content-type", "content-length", "content-encoding", "content-md5", "range", "if-match",
     "if-none-match", "if-modified-since", "if-unmodified-since", "smithy-protocol"]
)  # fmt: skip
_DATES = ("if-modified-since", "if-unmodified-since")
_RANGE = re.compile(r"bytes=(\d+-\d*|-\d+)")
_NUMBERS = {"max-keys": 2**31, "max-uploads": 2**31, "max-parts": 2**31, "part-number-marker": 2**31,
            "partNumber": 10_000}  # fmt: skip
"""Parameters of S3 that are numbers, with the largest."""


def canonical(request: Request, call: Call) -> Request:
    """The request in its one form; `call` says its service and protocol, told from its headers alone.

    Raises `Refused`.
    """
    _check_headers(request.headers)
    if "#" in request.url or not request.url.startswith("/"):
        raise Refused("InvalidURI", "Couldn't parse the specified URI.")
    if call.service != call.service.lower():
        raise Refused("SignatureDoesNotMatch", f"Credential should be scoped to a service, not {call.service!r}.", 403)
    if call.service == "s3":
        return _of_s3(request)
    _once(name for name, _ in _query(request.url))
    path = request.url.partition("?")[0]
    if "//" in path or any(unquote_to_bytes(part) in (b".", b"..") for part in path.split("/")):
        raise Refused("InvalidAction", f"The path {path!r} is not in its plain form.")
    request = _decompressed(request)
    if call.protocol == "rest-json":
        if operations.speaks_rest(call.service):
            _check_rest_body(request)
            return _only_known(request, call.service)
        request = _posted(request, call.service)
    if path != "/" or any(not name.startswith("X-Amz-") for name, _ in _query(request.url)):
        raise Refused("MalformedQueryString", "Parameters belong into the body, and the path is /.")
    if call.protocol == "json":
        if _media_type(request) == FORM:
            raise Refused("InvalidAction", "The request names an action in x-amz-target and sends a form.")
        check_json(request.body)
        return request
    _check_form(request)
    return _with(request, {"content-type": f"{FORM}; charset=utf-8"})


# --- S3 --------------------------------------------------------------------------------------------------------------


def _of_s3(request: Request) -> Request:
    if request.method not in ("GET", "HEAD", "PUT", "POST", "DELETE", "OPTIONS"):
        raise Refused("MethodNotAllowed", "The specified method is not allowed against this resource.", 405)
    request = _path_style(request)
    if request.method not in ("PUT", "POST"):
        request = replace(
            _with(request, {"content-length": None}), body=b""
        )  # passed over, and moto would look into it
    path, _, query = request.url.partition("?")
    # In a path, too, S3 takes a plus for a space; SDKs write %2B for a plus.
    path = path.replace("+", "%20")
    try:
        decoded = unquote_to_bytes(path).decode()
    except UnicodeDecodeError:
        raise Refused("InvalidURI", "Couldn't parse the specified URI.") from None
    if path.startswith("//") or not path.startswith("/") or "\0" in decoded:
        raise Refused("InvalidURI", "Couldn't parse the specified URI.")
    bucket, _, key = decoded.removeprefix("/").partition("/")
    misread = f"/{bucket}/" == S3_CONTROL and not path.startswith(S3_CONTROL)
    if misread or any(character.isspace() or character in "%?#;\\" for character in bucket):
        raise Refused("InvalidBucketName", "The specified bucket is not valid.")
    if len(key.encode()) > 1024 and not decoded.startswith(S3_CONTROL):
        raise Refused("KeyTooLongError", "Your key is too long")
    parameters = _query(request.url)
    _once(name for name, _ in parameters)
    for name, value in parameters:
        if name == "versionId" and not value:
            raise Refused("InvalidArgument", "Version id cannot be the empty string")
        if name in _NUMBERS and not (value.isascii() and value.isdecimal() and int(value[:12]) <= _NUMBERS[name]):
            raise Refused("InvalidArgument", f"Provided {name} not an integer or within integer range")
    changed: dict[str, str | None] = {"x-amz-content-sha256": None, "x-amz-decoded-content-length": None}
    source = request.header("x-amz-copy-source")
    if source is not None:
        changed["x-amz-copy-source"] = copy_source(source)
    for name in _DATES:  # S3 passes over conditions and ranges that it cannot read
        if (date := request.header(name)) is not None and not _is_date(date):
            changed[name] = None
    if (wanted := request.header("range")) is not None and not _RANGE.fullmatch(wanted):
        changed["range"] = None
    if _is_document(request.method, key, {name for name, _ in parameters}):
        check_xml(request.body)
    return replace(_with(request, changed), url=path + (f"?{query}" if query else ""))


def _path_style(request: Request) -> Request:
    """The same request with a bucket in its host name moved into its path, which is the form that moto reads surely.

    Host names are the same in capitals. Any other name than localhost would be taken for a bucket's by moto.
    """
    match = BUCKET_HOST.fullmatch((request.header("host") or "").lower())
    request = _with(request, {"host": "localhost"})
    if match is None:
        return request
    path = request.url if request.url.startswith("/") else f"/{request.url}"
    return replace(request, url=f"/{match['bucket']}{path}")


def copy_source(text: str) -> str:
    """The header `x-amz-copy-source` in the one form `bucket/key?versionId=…`, percent-encoded. Raises `Refused`."""
    path, _, query = text.partition("?")
    try:
        decoded = unquote_to_bytes(path.replace("+", "%20")).decode()
    except (UnicodeDecodeError, UnicodeEncodeError):
        decoded = ""
    bucket, _, key = decoded.removeprefix("/").partition("/")
    parameters = parse_qsl(query, keep_blank_values=True)
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", bucket) or not key or "\0" in key:
        raise Refused("InvalidArgument", "Copy Source must mention the source bucket and key: sourcebucket/sourcekey")
    if query and (len(parameters) != 1 or parameters[0][0] != "versionId" or not parameters[0][1]):
        raise Refused("InvalidArgument", "Copy Source may name a versionId and nothing else")
    version = f"?versionId={quote(parameters[0][1], safe='')}" if parameters else ""
    return f"{bucket}/{quote(key, safe='/')}{version}"


def _is_document(method: str, key: str, parameters: set[str]) -> bool:
    """Whether a request's body is to be XML: neither the bytes of an object, a form, nor a policy."""
    if method == "PUT":
        own = {"tagging", "acl", "retention", "legal-hold", "restore"}
        return "policy" not in parameters if not key else bool(parameters & own)
    return method == "POST" and (bool(key) or "delete" in parameters)


# --- bodies ----------------------------------------------------------------------------------------------------------


def check_xml(body: bytes) -> None:
    """Raise `Refused` for what is no plain XML document: no document type, no prefixed elements, not too deep."""
    depth = count = 0

    def start(name: str, _: Any) -> None:
        nonlocal depth, count
        depth, count = depth + 1, count + 1
        if depth > MAX_DEPTH or count > MAX_ELEMENTS:
            raise Refused("MalformedXML", "The XML you provided is nested too deeply or has too many elements.")
        if ":" in name:
            raise Refused("MalformedXML", f"The XML you provided has an element of another namespace: {name[:80]}")

    def end(_: str) -> None:
        nonlocal depth
        depth -= 1

    def declaration(_: str, encoding: str | None, __: int) -> None:
        if encoding is not None and encoding.lower() not in ("utf-8", "utf8", "us-ascii"):
            raise Refused("MalformedXML", f"The XML you provided is encoded in {encoding[:40]!r} and not in UTF-8.")

    def doctype(*_: Any) -> None:
        raise Refused("MalformedXML", "The XML you provided has a document type.")

    if not body:
        return
    parser = expat.ParserCreate("utf-8")
    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.XmlDeclHandler, parser.StartDoctypeDeclHandler = declaration, doctype
    try:
        parser.Parse(body, True)
    except expat.ExpatError as error:
        raise Refused("MalformedXML", f"The XML you provided was not well-formed: {error}") from None


def check_json(body: bytes) -> None:
    """Raise `Refused` for a body that is no JSON object, or one whose readers may differ about it."""
    if not body:
        return
    try:
        found = json.loads(body.decode(), object_pairs_hook=_object, parse_constant=_no_constant)
    except RecursionError:
        raise _not_json("it is nested too deeply") from None
    except ValueError as error:
        raise _not_json(str(error)) from None
    if not isinstance(found, dict):
        raise _not_json("it is no object")
    todo: list[tuple[Any, int]] = [(found, 1)]
    while todo:
        value, depth = todo.pop()
        if depth > MAX_DEPTH:
            raise _not_json("it is nested too deeply")
        if isinstance(value, str) and not value.isascii() and any("\ud800" <= each <= "\udfff" for each in value):
            raise _not_json("it has half of a character")
        if isinstance(value, dict):
            todo += [(each, depth) for each in value]
            todo += [(each, depth + 1) for each in value.values()]
        elif isinstance(value, list):
            todo += [(each, depth + 1) for each in value]


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name is there more than once")
    return found


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no number")


def _not_json(why: str) -> Refused:
    return Refused("SerializationException", f"The body of the request is no JSON object: {why}")


def _check_rest_body(request: Request) -> None:
    """XML and JSON, wherever a body is one of them; other bodies are data."""
    beginning = request.body.lstrip()[:1]
    media = _media_type(request)
    if media.startswith("multipart/") or media == FORM and request.body:
        raise Refused("SerializationException", f"A body of the type {media} is not read here.")
    if beginning == b"<":
        check_xml(request.body)
    elif beginning in (b"{", b"[") or media.endswith("json"):
        check_json(request.body)


def _only_known(request: Request, service: str) -> Request:
    """Without what no operation of that path has in its query or its JSON: AWS passes over it, but moto might not."""
    in_query, in_body = operations.places(service, request.method, request.url)
    path, _, query = request.url.partition("?")
    if query and in_query is not None:
        pairs = [pair for pair in query.split("&") if any(name in in_query for name, _ in _query(f"?{pair}"))]
        request = replace(request, url="?".join([path, "&".join(pairs)]) if pairs else path)
    if in_body is None:
        return request
    if not in_body:
        return replace(_with(request, {"content-length": None}), body=b"")
    if request.body.lstrip()[:1] != b"{":
        return request
    found = json.loads(request.body)
    kept = {name: value for name, value in found.items() if name in in_body}
    return request if len(kept) == len(found) else replace(request, body=json.dumps(kept).encode())


def _posted(request: Request, service: str) -> Request:
    """The form that a GET of the query protocols stands for: a presigned GetCallerIdentity is sent so."""
    path, _, query = request.url.partition("?")
    parameters = parse_qsl(query, keep_blank_values=True)
    if request.method != "GET" or path != "/" or request.body or "Action" not in dict(parameters):
        raise Refused("InvalidAction", f"{service} names its actions in x-amz-target or in a form.")
    signature = [pair for pair in parameters if pair[0].startswith("X-Amz-")]
    form = urlencode([pair for pair in parameters if pair not in signature])
    url = f"/?{urlencode(signature)}" if signature else "/"
    return replace(_with(request, {"content-length": str(len(form))}), method="POST", url=url, body=form.encode())


def _check_form(request: Request) -> None:
    if request.body.count(b"&") >= MAX_PARAMETERS:
        raise Refused("MalformedQueryString", f"The form has more than {MAX_PARAMETERS} parameters.")
    try:
        text = request.body.decode()
    except UnicodeDecodeError:
        raise Refused("MalformedQueryString", "The form is not encoded in UTF-8.") from None
    _once(name for name, _ in parse_qsl(text, keep_blank_values=True))


def _decompressed(request: Request) -> Request:
    """SDKs compress large bodies of some operations (PutMetricData)."""
    coding = (request.header("content-encoding") or "").strip().lower()
    if coding in ("", "identity"):
        return request
    if coding != "gzip":
        raise Refused("SerializationException", f"The content encoding {coding[:40]!r} is not supported.")
    try:
        inflate = zlib.decompressobj(wbits=31)
        body = inflate.decompress(request.body, MAX_BODY_BYTES + 1)
    except zlib.error as error:
        raise Refused("SerializationException", f"The body is not compressed with gzip: {error}") from None
    if len(body) > MAX_BODY_BYTES or inflate.unconsumed_tail:
        raise Refused(
            "RequestEntityTooLargeException", f"The request's body is longer than {MAX_BODY_BYTES} bytes", 413
        )
    if not inflate.eof or inflate.unused_data:
        raise Refused("SerializationException", "The compressed body ends too early or too late.")
    return replace(_with(request, {"content-encoding": None, "content-length": None}), body=body)


# --- headers and parameters ------------------------------------------------------------------------------------------


def _check_headers(headers: Iterable[tuple[str, str]]) -> None:
    counted = Counter(name.lower() for name, _ in headers)
    for name, count in counted.items():
        single = name in _ONE or name.startswith("x-amz-") and not _MANY.fullmatch(name)
        if count > 1 and single:
            raise Refused("InvalidRequest", f"The header {name} is there more than once.")


def _media_type(request: Request) -> str:
    return (request.header("content-type") or "").partition(";")[0].strip().lower()


def _query(url: str) -> list[tuple[str, str]]:
    return parse_qsl(url.partition("?")[2], keep_blank_values=True)


def _once(names: Iterable[str]) -> None:
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise Refused("InvalidArgument", f"The parameter {twice[0][:80]} is there more than once.")


def _is_date(text: str) -> bool:
    try:
        return text.endswith(" GMT") and parsedate_to_datetime(text) is not None
    except ValueError:
        return False


def _with(request: Request, changed: dict[str, str | None]) -> Request:
    """The request with these headers (in lower case) instead of its own; None leaves one out."""
    kept = [(name, value) for name, value in request.headers if name.lower() not in changed]
    return replace(request, headers=kept + [(name, value) for name, value in changed.items() if value is not None])
