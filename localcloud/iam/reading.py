"""Requests that two readers could read in two ways are refused: what is judged here must be what moto carries out.

moto takes the first of two parameters of one name where Python's dictionaries keep the last, looks for an action in the
query where a body has none, and so on. No SDK sends such requests.
"""

from __future__ import annotations

from collections import Counter
from functools import cache
from urllib.parse import parse_qsl, urlsplit

import botocore.session
from botocore.exceptions import UnknownServiceError

from localcloud.calls import Call, Refused
from localcloud.iam import operations
from localcloud.iam.s3 import BUCKET_PART, OBJECT_PART


def check(call: Call) -> None:
    """Raise `Refused` if a request can be read in more than one way."""
    parts = urlsplit(call.url)
    query = [name for name, _ in parse_qsl(parts.query, keep_blank_values=True)]
    _once(query)
    if call.service != call.service.lower():
        raise Refused("SignatureDoesNotMatch", f"Credential should be scoped to a service, not {call.service!r}.", 403)
    if call.service == "s3":
        _one_part(query)
        return
    if call.protocol == "rest-json":
        if not speaks_rest(call.service):
            raise Refused("InvalidAction", f"{call.service} names its actions in x-amz-target or in a form.", 400)
        return
    if parts.path != "/" or any(not name.startswith("X-Amz-") for name in query):
        raise Refused("MalformedQueryString", "Parameters belong into the body, and the path is /.", 400)
    if call.protocol in ("query", "ec2"):
        _once([name for name, _ in parse_qsl(call.body.decode("utf-8", "replace"), keep_blank_values=True)])


def _once(names: list[str]) -> None:
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise Refused("InvalidArgument", f"The parameter {twice[0]} is there more than once.", 400)


def _one_part(query: list[str]) -> None:
    parts = [name for name in query if name in BUCKET_PART or name in OBJECT_PART]
    if len(parts) > 1:
        raise Refused("InvalidArgument", f"One of {' and '.join(parts)} can be asked for at a time.", 400)


@cache
def speaks_rest(service: str) -> bool:
    """Whether a service's operations are told apart by method and path. Of one that nobody knows nothing is known."""
    try:
        model = botocore.session.get_session().get_service_model(operations.NAMES.get(service, service))
    except UnknownServiceError:
        return True
    return str(model.metadata.get("protocol", "")).startswith("rest-")
