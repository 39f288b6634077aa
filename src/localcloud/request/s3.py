"""Requests to S3: bucket and key first in the path, the objects that they name, and their XML."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import quote, unquote_to_bytes
from xml.etree import ElementTree

from localcloud.request import documents, models
from localcloud.request.call import Call, ObjectName
from localcloud.request.documents import Pairs
from localcloud.request.errors import Refused
from localcloud.stored import Stored, broken_promise

CONTROL = "/v20180820/"
"""Where the paths of S3 Control begin: it has the same signature as S3."""

BUCKET_HOST = re.compile(r"(?P<bucket>.+)\.s3\.(?P<region>[a-z0-9-]+)\.localhost(:\d+)?")
"""Host of a bucket's own address; what stands before `.s3.` is the bucket, dots included."""

MOST_DELETED = 1_000
NAMESPACE = "{http://s3.amazonaws.com/doc/2006-03-01/"

_DOCUMENTS = frozenset(["tagging", "acl", "retention", "legal-hold", "restore"])
"""Parts of an object that are put as XML."""

_DATES = ("if-modified-since", "if-unmodified-since")
_RANGE = re.compile(r"bytes=(\d+-\d*|-\d+)")
_NUMBERS = {"max-keys": 2**31, "max-uploads": 2**31, "max-parts": 2**31, "part-number-marker": 2**31,
            "partNumber": 10_000}  # fmt: skip
"""Parameters of S3 that are numbers, with the largest."""


def read(call: Call) -> Call:
    """A call to S3 or S3 Control, of which the headers and the service are known. Raises `Refused`.

    Neither looks at a target, by which other services name their operations.
    """
    call = replace(call, operation="", protocol="rest-xml")
    if call.method not in ("GET", "HEAD", "PUT", "POST", "DELETE", "OPTIONS"):
        raise Refused("MethodNotAllowed", "The specified method is not allowed against this resource.", 405)
    path, _, query_text = _path_style(call).partition("?")
    bucket, key, path = _names(path)
    query = documents.pairs(query_text)
    _check_query(query)
    headers, source = _headers(call)
    body, content = call.body, call.content
    if call.method not in ("PUT", "POST") or source is not None:  # passed over, and moto would look into it
        body, content = b"", None
    elif not takes_bytes(call.method, key, query):
        body, content = (content.read() if content is not None else body), None
    if call.method == "POST" and (key or "delete" in query):  # moto would read a form
        if "uploads" in query:
            body = b""
        elif not body and ("select" in query or "restore" in query):
            raise Refused("MissingRequestBodyError", "Request Body is empty")
        elif not body and "uploadId" in query:
            body = b"<CompleteMultipartUpload/>"
        else:
            headers["content-type"] = "application/xml"
    is_control = path.startswith(CONTROL)
    if is_control:
        query.pop("Action", None)  # moto would look for the operation there first
    if is_control and call.method in ("PUT", "POST") or _is_document(call.method, key, query):
        _check_digest(headers, body)
        if (written := documents.xml(body)) != body:
            body = written
            headers = {name: value for name, value in headers.items() if not _of_the_body(name)}
    call = replace(call, url=documents.url(path, query), headers=headers, body=body, query=query, source=source,
                   content=content)  # fmt: skip
    if is_control:
        return _typed(replace(call, model="s3control"))
    call = replace(call, bucket=bucket, key=key)
    if key:
        return call
    if call.method == "POST" and "delete" in query:
        call = replace(call, deleted=tuple(_deleted(bucket, body)))
    return _typed(call) if bucket else call


def _names(path: str) -> tuple[str, str, str]:
    """Bucket and key of a path, and the path written again."""
    # Divided before it is decoded: a slash that is encoded belongs to a name, and no bucket's name has one.
    first, slash, rest = path.removeprefix("/").partition("/")
    try:
        # In a path, too, S3 takes a plus for a space; SDKs write %2B for a plus.
        bucket, key = (unquote_to_bytes(part.replace("+", "%20")).decode() for part in (first, rest))
    except UnicodeError:
        raise Refused("InvalidURI", "Couldn't parse the specified URI.") from None
    if path.startswith("//") or not path.startswith("/") or "\0" in f"{bucket}{key}":
        raise Refused("InvalidURI", "Couldn't parse the specified URI.")
    if path.startswith(CONTROL):
        segments = path.split("/")
        if any(unquote_to_bytes(part) in (b"", b".", b"..") for part in segments[1:-1]):
            raise Refused("InvalidURI", "Couldn't parse the specified URI.")
        return "", "", "/".join(quote(unquote_to_bytes(part), safe="~:@") for part in segments)
    if f"/{bucket}/" == CONTROL or any(character.isspace() or character in "%?#;\\/+" for character in bucket):
        raise Refused("InvalidBucketName", "The specified bucket is not valid.")
    if len(key.encode()) > 1024:
        raise Refused("KeyTooLongError", "Your key is too long")
    return bucket, key, f"/{quote(bucket, safe='~')}{slash}{quote(key, safe='/~')}"


def _check_query(query: Pairs) -> None:
    for name, value in query.items():
        if name == "versionId" and not value:
            raise Refused("InvalidArgument", "Version id cannot be the empty string")
        if name in _NUMBERS and not (value.isascii() and value.isdecimal() and int(value[:12]) <= _NUMBERS[name]):
            raise Refused("InvalidArgument", f"Provided {name} not an integer or within integer range")


def _headers(call: Call) -> tuple[dict[str, str], ObjectName | None]:
    """The headers that moto gets, and the object that one of them says to copy."""
    headers = {name: value for name, value in call.headers.items()
               if name not in ("x-amz-content-sha256", "x-amz-decoded-content-length", "x-amz-target")}  # fmt: skip
    # Any other name than localhost would be taken for a bucket's by moto.
    headers["host"] = "localhost"
    for name in _DATES:  # S3 passes over conditions and ranges that it cannot read
        if name in headers and not _is_date(headers[name]):
            del headers[name]
    if "range" in headers and not _RANGE.fullmatch(headers["range"]):
        del headers["range"]
    if "x-amz-copy-source" not in headers:
        return headers, None
    source = copy_source(headers["x-amz-copy-source"])
    version = f"?versionId={quote(source.version, safe='')}" if source.version else ""
    headers["x-amz-copy-source"] = f"{source.bucket}/{quote(source.key, safe='/')}{version}"
    return headers, source


def copy_source(text: str) -> ObjectName:
    """The object that a header `x-amz-copy-source` names: `bucket/key?versionId=…`, encoded. Raises `Refused`."""
    path, _, query = text.partition("?")
    try:
        decoded = unquote_to_bytes(path.replace("+", "%20")).decode()
    except UnicodeError:
        decoded = ""
    bucket, _, key = decoded.removeprefix("/").partition("/")
    parameters = documents.pairs(query)
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", bucket) or not key or "\0" in key:
        raise Refused("InvalidArgument", "Copy Source must mention the source bucket and key: sourcebucket/sourcekey")
    if query and (list(parameters) != ["versionId"] or not parameters["versionId"]):
        raise Refused("InvalidArgument", "Copy Source may name a versionId and nothing else")
    return ObjectName(bucket, key, parameters.get("versionId", ""))


def _path_style(call: Call) -> str:
    """The address with a bucket in its host name moved into its path. Host names are the same in capitals."""
    match = BUCKET_HOST.fullmatch(call.headers.get("host", "").lower())
    return call.url if match is None else f"/{match['bucket']}{call.url}"


def takes_bytes(method: str, key: str, parameters: Iterable[str]) -> bool:
    """Whether a request's body is the bytes of an object, or of a part of one."""
    return method == "PUT" and bool(key) and not _DOCUMENTS.intersection(parameters)


def check_bytes(call: Call) -> None:
    """Raise `Refused` unless the object that is put has the checksums that the headers say. Slow for large ones."""
    if call.source is not None or not takes_bytes(call.method, call.key, call.query):
        return
    content = Stored.of(call.body) if call.content is None else call.content
    if (digest := call.headers.get("content-md5")) is not None:
        _compare(digest, content.digest("md5"))
    if name := broken_promise(content, call.headers.items()):
        algorithm = name.removeprefix("x-amz-checksum-").upper()
        raise Refused("BadDigest", f"The {algorithm} you specified did not match the calculated checksum.")


def _is_document(method: str, key: str, parameters: Mapping[str, str]) -> bool:
    """Whether a request's body is to be XML: neither the bytes of an object, a form, nor a policy."""
    if method == "PUT":
        return "policy" not in parameters if not key else bool(parameters.keys() & _DOCUMENTS)
    return method == "POST" and (bool(key) or "delete" in parameters)


def _check_digest(headers: Mapping[str, str], body: bytes) -> None:
    if (digest := headers.get("content-md5")) is not None:
        _compare(digest, hashlib.md5(body, usedforsecurity=False).digest())


def _compare(digest: str, md5: bytes) -> None:
    try:
        same = base64.b64decode(digest, validate=True) == md5
    except (binascii.Error, ValueError):
        raise Refused("InvalidDigest", "The Content-MD5 you specified is not valid.") from None
    if not same:
        raise Refused("BadDigest", "The Content-MD5 you specified did not match what we received.")


def _of_the_body(name: str) -> bool:
    """Whether a header is about the bytes as they were sent."""
    return name == "content-md5" or name.startswith("x-amz-checksum-") or name == "x-amz-sdk-checksum-algorithm"


def _deleted(bucket: str, body: bytes) -> Iterator[ObjectName]:
    """What DeleteObjects names; each entry has one key and at most one version."""
    malformed = Refused(
        "MalformedXML", "The XML you provided was not well-formed or did not validate against our published schema"
    )
    try:
        root = ElementTree.fromstring(body)
    except ElementTree.ParseError as error:
        raise Refused("MalformedXML", f"The XML you provided was not well-formed: {error}") from error
    space, _, name = root.tag.rpartition("}")
    entries = [entry for entry in root if entry.tag not in (f"{space}}}Quiet", "Quiet")]
    if name != "Delete" or space not in ("", NAMESPACE) or not 0 < len(entries) <= MOST_DELETED:
        raise malformed
    for entry in entries:
        fields: dict[str, str] = {}
        for member in entry:
            within, _, tag = member.tag.rpartition("}")
            if within != space or tag in fields or len(member) or member.attrib:
                raise malformed
            fields[tag] = member.text or ""
        if entry.tag.rpartition("}")[::2] != (space, "Object") or not fields.get("Key"):
            raise malformed
        yield ObjectName(bucket, fields["Key"], fields.get("VersionId", ""))


def _typed(call: Call) -> Call:
    """The call with its operation and arguments. Those about objects are many and large; botocore says little of them.

    An operation that nobody knows (a form that a browser posts) has neither.
    """
    operation, in_path = models.route(call.model, call.method, call.url, call.headers)
    if not operation:
        return call
    call = replace(call, operation=operation)
    try:
        arguments: dict[str, Any] = models.arguments(
            call.model, operation, "rest-xml", fields=call.query, document=None, body=call.body,
            path=call.url.partition("?")[0], in_path=in_path, headers=call.headers,
        )  # fmt: skip
    except models.Mistyped as error:
        code = "MalformedXML" if call.body else "InvalidArgument"
        raise Refused(code, str(error)[:400]) from None
    return replace(call, arguments=arguments)


def _is_date(text: str) -> bool:
    try:
        return text.endswith(" GMT") and parsedate_to_datetime(text) is not None
    except ValueError:
        return False
