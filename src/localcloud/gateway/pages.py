"""Unsigned requests to a bucket's own address, answered as S3's REST endpoint does: what is public can be read, no
more.

There is no index document and no directory listing: those belong to S3's website endpoint, which is another address.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from localcloud import backends
from localcloud.gateway import plain_objects
from localcloud.gateway.errors import s3_error
from localcloud.gateway.public_access import everyone_may
from localcloud.iam.guard import circumstances
from localcloud.iam.patterns import Context
from localcloud.request import Request, Response
from localcloud.request.access import Value
from localcloud.server import Server
from localcloud.signing import Message, unquote

# Query parameters that ask for something else than the object itself. Nobody may ask for these unsigned.
_SUBRESOURCES = frozenset(
    [
        "accelerate",
        "acl",
        "analytics",
        "attributes",
        "cors",
        "encryption",
        "intelligent-tiering",
        "inventory",
        "legal-hold",
        "lifecycle",
        "location",
        "logging",
        "metrics",
        "notification",
        "object-lock",
        "ownershipControls",
        "partNumber",
        "policy",
        "policyStatus",
        "publicAccessBlock",
        "replication",
        "requestPayment",
        "restore",
        "retention",
        "select",
        "tagging",
        "torrent",
        "uploadId",
        "uploads",
        "versioning",
        "versions",
        "website",
    ]
)
_OBJECT_HEADERS = frozenset(
    [
        "if-match",
        "if-none-match",
        "if-modified-since",
        "if-unmodified-since",
        "accept",
        "accept-encoding",
        "user-agent",
    ]
)
_ONE_RANGE = re.compile(r"bytes=(\d+-\d*|-\d+)")  # S3 ignores any other form and sends the whole object
_LIST_PARAMETERS = frozenset(
    [
        "list-type",
        "prefix",
        "delimiter",
        "marker",
        "max-keys",
        "continuation-token",
        "start-after",
        "encoding-type",
        "fetch-owner",
    ]
)


Reader = Callable[[Mapping[str, Any], bool, str, str, Context], bool]
"""Whether whoever asks may, by the bucket's policy: `everyone_may` for people, and what a distribution may."""


class Pages:
    """Blocking: called from a worker thread."""

    def __init__(self, server: Server):
        self._server = server

    def answer(self, message: Message, bucket: str, region: str, may: Reader = everyone_may) -> Response:
        key = unquote(message.path.removeprefix("/").replace("+", "%20"))  # a plus is a space, as S3 reads a path
        parameters = {unquote(name): value for name, value in message.parameters}
        denied = s3_error(403, "AccessDenied", "Access Denied", message.path)
        overriding = [name for name in parameters if name.startswith("response-")]
        if message.method not in ("GET", "HEAD") or _SUBRESOURCES & parameters.keys():
            return denied
        rules = self._policy(bucket)
        if rules is None:
            return s3_error(404, "NoSuchBucket", "The specified bucket does not exist", message.path, BucketName=bucket)
        policy, restricted = rules
        context = _context(message, parameters)
        arn = f"arn:aws:s3:::{bucket}"
        listable = may(policy, restricted, "s3:ListBucket", arn, context)
        if not key:
            query = "&".join(f"{name}={value}" for name, value in parameters.items() if name in _LIST_PARAMETERS)
            return self._fetch(message, region, query) if listable else denied
        action = "s3:GetObjectVersion" if "versionId" in parameters else "s3:GetObject"
        if not may(policy, restricted, action, f"{arn}/{key}", context):
            return denied
        if overriding:
            text = "Request specific response headers cannot be used for anonymous GET requests."
            return s3_error(400, "InvalidRequest", text, message.path)
        version = f"versionId={parameters['versionId']}" if "versionId" in parameters else ""
        response = None
        if not version:
            with self._server.lock:
                response = plain_objects.answer(self._server.account, message, bucket, key)
        response = response or self._fetch(message, region, version)
        # Whoever may not list a bucket is not told either which keys it lacks.
        return denied if response.status == 404 and not listable else response

    def _policy(self, bucket: str) -> tuple[dict[str, Any], bool] | None:
        """The bucket's policy (empty if it has none) and its RestrictPublicBuckets; None if there is no such bucket."""
        with self._server.lock:
            model = backends.s3(self._server.account).buckets.get(bucket)
            if model is None:
                return None
            text, block = model.policy, model.public_access_block
        if not text:
            return {}, True
        return _parsed(bytes(text)), block is not None and str(block.restrict_public_buckets).lower() == "true"

    def _fetch(self, message: Message, region: str, query: str) -> Response:
        headers = [
            (name, value)
            for name, value in message.headers
            if name in _OBJECT_HEADERS or name == "host" or (name == "range" and _ONE_RANGE.fullmatch(value))
        ]
        # moto has rules of its own for anonymous callers, which are not S3's; the decision was made here.
        scope = f"AWS4-HMAC-SHA256 Credential=local/20000101/{region}/s3/aws4_request"
        headers.append(("authorization", f"{scope}, SignedHeaders=host, Signature=0"))
        url = message.path + (f"?{query}" if query else "")
        return self._server.handle(Request(message.method, url, headers, b"", "anonymous"))


@lru_cache(maxsize=64)
def _parsed(policy: bytes) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(policy)
    return document


def _context(message: Message, parameters: dict[str, str]) -> dict[str, Value]:
    """Condition keys of an unsigned request."""
    context = circumstances()
    for key, value in (
        ("aws:referer", message.header("referer")),
        ("aws:useragent", message.header("user-agent")),
        ("s3:prefix", parameters.get("prefix")),
        ("s3:delimiter", parameters.get("delimiter")),
        ("s3:max-keys", parameters.get("max-keys")),
    ):
        if value is not None:
            context[key] = unquote(value.replace("+", "%20"))
    return context
