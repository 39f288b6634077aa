"""Which operation of a service a request is, and which parameters it has: botocore's models of the services know."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import botocore.session
from botocore.exceptions import UnknownServiceError
from botocore.model import OperationModel

from localcloud.signing import unquote

NAMES = {
    "elasticfilesystem": "efs",
    "elasticloadbalancing": "elbv2",
    "email": "sesv2",
    "execute-api": "apigateway",
    "monitoring": "cloudwatch",
    "states": "stepfunctions",
    "tagging": "resourcegroupstaggingapi",
}
"""Service as a signature names it -> as botocore does, where they differ."""


@dataclass(frozen=True)
class Route:
    """An operation of a REST service: its method, path, and the names of what stands in query and body (None: any)."""

    method: str
    path: re.Pattern[str]
    operation: str
    query: frozenset[str] | None
    body: frozenset[str] | None


def name(service: str, method: str, url: str) -> str:
    """The operation's name; "" if no operation has such a path."""
    found = _find(service, method, url)
    return found[0].operation if found else ""


def parameters(service: str, method: str, url: str) -> dict[str, Any]:
    """What path and query say, under the names that the path's template and the query have."""
    found = _find(service, method, url)
    query = dict(parse_qsl(urlsplit(url).query, keep_blank_values=True))
    renamed = {f"{key[:1].upper()}{key[1:]}": value for key, value in query.items()}
    return {**query, **renamed, **(found[1] if found else {})}


def places(service: str, method: str, url: str) -> tuple[frozenset[str] | None, frozenset[str] | None]:
    """The names that may stand in the query, and those in the body, of whatever operation has such a path.

    None where any may.
    """
    found = [route for route, _ in _matching(service, method, url)]
    return _union([route.query for route in found]), _union([route.body for route in found])


def _union(names: list[frozenset[str] | None]) -> frozenset[str] | None:
    known = [each for each in names if each is not None]
    return None if not names or len(known) < len(names) else frozenset().union(*known)


@cache
def inputs(service: str, action: str) -> frozenset[str]:
    """The names of an action's parameters as a JSON body or a form has them; empty for an action that nobody knows."""
    model = _model(service)
    if model is None or action not in model.operation_names:
        return frozenset()
    shape = model.operation_model(action).input_shape
    return frozenset(wire for member in (shape.members if shape else {}) for wire in _wire_names(shape, member))


def _wire_names(shape: Any, member: str) -> Iterator[str]:
    serialized = shape.members[member].serialization
    yield member
    for key in ("name", "queryName"):
        if key in serialized:
            yield serialized[key]
            yield f"{serialized[key][:1].upper()}{serialized[key][1:]}"  # as EC2 has it
    element = getattr(shape.members[member], "member", None)
    if element is not None and "name" in element.serialization:
        yield element.serialization["name"]  # of a flat list


@cache
def speaks_rest(service: str) -> bool:
    """Whether a service's operations are told apart by method and path. Of one that nobody knows nothing is known."""
    model = _model(service)
    return model is None or str(model.metadata.get("protocol", "")).startswith("rest-")


@cache
def _model(service: str) -> Any:
    try:
        return botocore.session.get_session().get_service_model(NAMES.get(service, service))
    except UnknownServiceError:
        return None


def _find(service: str, method: str, url: str) -> tuple[Route, dict[str, str]] | None:
    return next(_matching(service, method, url), None)


def _matching(service: str, method: str, url: str) -> Iterator[tuple[Route, dict[str, str]]]:
    path = urlsplit(url).path
    for route in _routes(service):
        match = route.path.fullmatch(path) if route.method == method else None
        if match:
            yield route, {name: unquote(value) for name, value in match.groupdict().items()}


@cache
def _routes(service: str) -> tuple[Route, ...]:
    """Longest template first: the more it says, the better it fits."""
    model = _model(service)
    found = [_route(model.operation_model(name)) for name in model.operation_names] if model is not None else []
    return tuple(sorted(found, key=lambda route: -len(re.sub(r"\(\?P<.*?\)", "", route.path.pattern))))


def _route(operation: OperationModel) -> Route:
    template, _, query = str(operation.http.get("requestUri", "/")).partition("?")
    in_query, in_body = set(re.findall(r"(?:^|&)([^=&]+)", query)), set()
    shape = operation.input_shape
    members = shape.members if shape else {}
    for member, its in members.items():
        place, wire = its.serialization.get("location", "body"), its.serialization.get("name", member)
        if place == "querystring":
            in_query.add(wire)
        elif place == "body":
            in_body.add(wire)
    any_query = any(
        its.type_name == "map" and its.serialization.get("location") == "querystring" for its in members.values()
    )
    return Route(
        str(operation.http.get("method", "POST")),
        re.compile(_expression(template)),
        str(operation.name),
        None if any_query else frozenset(in_query),
        None if shape is not None and "payload" in shape.serialization else frozenset(in_body),
    )


def _expression(template: str) -> str:
    def part(piece: str) -> str:
        match = re.fullmatch(r"\{(\w+)(\+?)\}", piece)
        if match is None:
            return re.escape(piece)
        return f"(?P<{match[1]}>{'.+' if match[2] else '[^/]+'})"

    return "".join(part(piece) for piece in re.split(r"(\{\w+\+?\})", template))
