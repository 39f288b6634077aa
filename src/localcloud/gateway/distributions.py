"""CloudFront distributions over buckets: what everybody gets to see of a private one.

The bucket's own policy decides, as on AWS: with origin access control the reader is `cloudfront.amazonaws.com`, acting
for the distribution; without, everybody. Not like AWS: nothing is cached, there is no TLS to redirect to, and origins
other than buckets, functions and response headers policies are not there.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import quote

from localcloud.gateway.hosts import BUCKET
from localcloud.gateway.pages import Pages, Reader
from localcloud.gateway.public_access import everyone_may
from localcloud.iam import documents
from localcloud.iam.evaluation import Policies, Who, decide
from localcloud.iam.patterns import Context
from localcloud.request import Response
from localcloud.request.access import Access
from localcloud.signing import Message

_SERVICE = Who(service="cloudfront.amazonaws.com")


class Distributions:
    """Blocking: called from a worker thread. `known` gives moto's distributions of the account."""

    def __init__(self, pages: Pages, known: Callable[[], Sequence[Any]]):
        self._pages = pages
        self._known = known

    def answer(self, message: Message, domain: str) -> Response:
        """The page that `message` asks the distribution at `domain` ("name:port") for."""
        distribution = next((each for each in self._known() if domain in (each.domain_name, *_aliases(each))), None)
        if distribution is None or not distribution.distribution_config.Enabled:
            return _text(404, f"no distribution answers at {domain}\n")
        config = distribution.distribution_config
        if message.method not in ("GET", "HEAD"):
            return _text(403, "this distribution serves GET and HEAD only\n")
        if message.path == "/" and config.DefaultRootObject:
            message = replace(message, path=f"/{quote(config.DefaultRootObject)}")
        origin = _origin(config, message.path)
        response = self._fetch(message, origin, distribution.arn)
        for rule in _items(config.CustomErrorResponses):
            if int(rule["ErrorCode"]) == response.status and rule.get("ResponsePagePath"):
                page = self._fetch(replace(message, path=rule["ResponsePagePath"]), origin, distribution.arn)
                return replace(page, status=int(rule["ResponseCode"])) if page.status < 400 else response
        return response

    def _fetch(self, message: Message, origin: Mapping[str, Any], distribution_arn: str) -> Response:
        bucket = BUCKET.fullmatch(origin["DomainName"].partition(":")[0])
        if bucket is None:
            return _text(501, f"the local distribution reaches buckets only, not {origin['DomainName']}\n")
        # Query strings are not part of what a bucket is asked for, unless a policy says so.
        headers = tuple((name, bucket[0] if name == "host" else value) for name, value in message.headers)
        asked = replace(message, path=origin.get("OriginPath", "") + message.path, query="", headers=headers)
        reader = _service(distribution_arn) if origin.get("OriginAccessControlId") else everyone_may
        return self._pages.answer(asked, bucket[1], bucket[2], reader)


def _service(distribution_arn: str) -> Reader:
    def may(policy: Mapping[str, Any], _: bool, action: str, resource: str, context: Context) -> bool:
        whole = {**context, "aws:sourcearn": distribution_arn, "aws:sourceaccount": distribution_arn.split(":")[4]}
        document = documents.read(json.dumps(policy))
        return decide(Access(action, resource), _SERVICE, Policies(resource=document), whole).allowed

    return may


def _origin(config: Any, path: str) -> Mapping[str, Any]:
    """Where the first behaviour whose pattern takes the path leads; the default one takes every path."""
    behaviours = [*_items(config.CacheBehaviors), {**config.DefaultCacheBehavior, "PathPattern": "*"}]
    wanted = next(each["TargetOriginId"] for each in behaviours if _takes(each["PathPattern"], path))
    origin: Mapping[str, Any] = next(each for each in config.Origins["Items"] if each["Id"] == wanted)
    return origin


def _takes(pattern: str, path: str) -> bool:
    expression = "".join({"*": ".*", "?": "."}.get(character, re.escape(character)) for character in pattern)
    return re.fullmatch(f"/?{expression}", path, re.DOTALL) is not None


def _aliases(distribution: Any) -> Iterable[str]:
    return (str(alias) for alias in _items(distribution.distribution_config.Aliases))


def _items(listed: Mapping[str, Any] | None) -> list[Any]:
    return list((listed or {}).get("Items") or [])


def _text(status: int, text: str) -> Response:
    return Response(status, [("Content-Type", "text/plain; charset=utf-8")], text.encode())
