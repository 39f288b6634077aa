"""Which operation of a REST service a method and path are: botocore's model of the service knows."""

from __future__ import annotations

import re
from functools import cache
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import botocore.session
from botocore.exceptions import UnknownServiceError

from localcloud.signing import unquote

NAMES = {"elasticfilesystem": "efs", "execute-api": "apigateway"}
"""Service as a signature names it -> as botocore does, where they differ and a REST protocol is spoken."""

Route = tuple[str, re.Pattern[str], str]


def name(service: str, method: str, url: str) -> str:
    """The operation's name; "" if no operation has such a path."""
    found = _find(service, method, url)
    return found[0] if found else ""


def parameters(service: str, method: str, url: str) -> dict[str, Any]:
    """What path and query say, under the names that the path's template and the query have."""
    found = _find(service, method, url)
    query = dict(parse_qsl(urlsplit(url).query, keep_blank_values=True))
    renamed = {f"{key[:1].upper()}{key[1:]}": value for key, value in query.items()}
    return {**query, **renamed, **(found[1] if found else {})}


def _find(service: str, method: str, url: str) -> tuple[str, dict[str, str]] | None:
    path = urlsplit(url).path
    for verb, pattern, operation in _routes(service):
        match = pattern.fullmatch(path) if verb == method else None
        if match:
            return operation, {name: unquote(value) for name, value in match.groupdict().items()}
    return None


@cache
def _routes(service: str) -> tuple[Route, ...]:
    """Longest template first: the more it says, the better it fits."""
    try:
        model = botocore.session.get_session().get_service_model(NAMES.get(service, service))
    except UnknownServiceError:
        return ()
    found = []
    for operation in model.operation_names:
        http = model.operation_model(operation).http
        template = str(http.get("requestUri", "/")).partition("?")[0]
        found.append((str(http.get("method", "POST")), re.compile(_expression(template)), operation))
    return tuple(sorted(found, key=lambda route: -len(re.sub(r"\(\?P<.*?\)", "", route[1].pattern))))


def _expression(template: str) -> str:
    def part(piece: str) -> str:
        match = re.fullmatch(r"\{(\w+)(\+?)\}", piece)
        if match is None:
            return re.escape(piece)
        return f"(?P<{match[1]}>{'.+' if match[2] else '[^/]+'})"

    return "".join(part(piece) for piece in re.split(r"(\{\w+\+?\})", template))
