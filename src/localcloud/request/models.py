"""botocore's models of the services: which operation a REST request is, and the types of its arguments.

moto's own routes and parsers are used (moto 5.2.5, core/routing.py and core/parse.py): it looks at the same models.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from botocore.exceptions import UnknownServiceError
from moto.core.parse import PROTOCOL_PARSERS
from moto.core.request import Request as MotoRequest
from moto.core.routing import get_service_router
from moto.core.utils import get_service_model
from werkzeug.datastructures import MultiDict
from werkzeug.exceptions import HTTPException

NAMES: Mapping[str, str] = {
    "elasticfilesystem": "efs",
    "elasticloadbalancing": "elbv2",
    "elasticmapreduce": "emr",
    "email": "sesv2",
    "execute-api": "apigateway",
    "monitoring": "cloudwatch",
    "states": "stepfunctions",
    "tagging": "resourcegroupstaggingapi",
}
"""Service as a signature names it → as botocore does, where they differ."""


OPAQUE = {("lambda", "Invoke"), ("lambda", "InvokeAsync")}
"""Operations whose body is the caller's own data, whatever it looks like: nobody here reads it."""


class Mistyped(Exception):
    """An argument has another type than the operation's model says."""


@dataclass(frozen=True)
class Wire:
    """Where the members of an operation stand: their names in the query and in the body (None: any)."""

    query: frozenset[str] | None
    body: frozenset[str] | None


@cache
def model(name: str) -> Any:
    """The model of a service, None for one that botocore does not know."""
    try:
        return get_service_model(name)
    except UnknownServiceError:
        return None


@cache
def operation(service: str, name: str) -> Any:
    """The model of an operation, None for one that botocore does not know."""
    known = model(service)
    return known.operation_model(name) if known is not None and name in known.operation_names else None


@cache
def speaks_rest(service: str) -> bool:
    """Whether a service's operations are told apart by method and path. Of one that nobody knows nothing is known."""
    known = model(service)
    return known is None or str(known.metadata.get("protocol", "")).startswith("rest-")


@cache
def media_type(service: str, dialect: str) -> str:
    """How the bodies of a service are called; moto takes another protocol where they are called otherwise."""
    known = model(service)
    if dialect == "json":
        return f"application/x-amz-json-{known.metadata.get('jsonVersion', '1.1') if known is not None else '1.1'}"
    return "application/json" if known.metadata.get("protocol") == "rest-json" else "application/xml"


def route(service: str, method: str, url: str, headers: Mapping[str, str]) -> tuple[str, dict[str, Any]]:
    """Name of a REST operation, and what its path says; "" where no operation has such a path."""
    if model(service) is None:
        return "", {}
    kept = {name: value for name, value in headers.items() if name != "content-length"}
    try:
        operation, in_path = get_service_router(service).match(
            MotoRequest.from_primitives(method, f"http://localhost{url}", kept, b"")
        )
    except (HTTPException, NotImplementedError):
        return "", {}
    return str(operation.name), in_path


@cache
def wire(service: str, name: str) -> Wire:
    """Where the members of a REST operation stand; anywhere for one that nobody knows."""
    known = operation(service, name)
    if known is None:
        return Wire(None, None)
    query, body = set(dict(known.http_trait.query_args)), set()
    shape = known.input_shape
    members = shape.members if shape is not None else {}
    for member, each in members.items():
        place, name_there = each.serialization.get("location", "body"), each.serialization.get("name", member)
        if place == "querystring":
            query.add(name_there)
        elif place == "body":
            body.add(name_there)
    any_query = any(
        each.type_name == "map" and each.serialization.get("location") == "querystring" for each in members.values()
    )
    any_body = shape is not None and "payload" in shape.serialization
    return Wire(None if any_query else frozenset(query), None if any_body else frozenset(body))


def arguments(
    service: str,
    name: str,
    protocol: str,
    *,
    fields: Mapping[str, str],
    document: Any,
    body: bytes,
    path: str,
    in_path: Mapping[str, Any],
    headers: Mapping[str, str],
) -> dict[str, Any]:
    """An operation's arguments, typed. `fields` are those of the form or the query, `document` is the JSON that was
    read. Raises `Mistyped`.
    """
    known = operation(service, name)
    if known.input_shape is None:
        return {}
    if protocol in ("json", "rest-json"):
        _check_types(known.input_shape, document, protocol == "rest-json")
    parser = PROTOCOL_PARSERS[protocol](known)
    parser._parse_body_as_json = lambda _: document
    values: Any = MultiDict(fields) if protocol.startswith("rest-") else fields
    parts = {"method": "", "values": values, "headers": _Headers(headers), "body": body, "url_path": path,
             "url_params": in_path}  # fmt: skip
    try:
        return dict(parser.parse(parts))
    except Exception as error:  # a number that is none, a date that is none: whatever the parser stumbles over
        raise Mistyped(f"an argument of {name} cannot be read: {error}") from error


class _Headers(dict[str, str]):
    """Headers that are found in any case."""

    def __contains__(self, name: object) -> bool:
        return super().__contains__(str(name).lower())

    def __getitem__(self, name: str) -> str:
        return super().__getitem__(name.lower())


_TYPES: Mapping[str, tuple[type, ...]] = {
    "structure": (dict,),
    "map": (dict,),
    "list": (list,),
    "string": (str,),
    "blob": (str,),
    "boolean": (bool,),
}
"""Type of a shape → what JSON has for it. Numbers and dates are written in several ways."""


def _check_types(shape: Any, value: Any, rest: bool) -> None:
    if rest and "payload" in shape.serialization:
        shape = shape.members[shape.serialization["payload"]]
        if shape.type_name != "structure":
            return
    todo = [(shape, value, "the body")]
    while todo:
        shape, value, place = todo.pop()
        wanted = _TYPES.get(shape.type_name)
        if value is None or getattr(shape, "is_document_type", False):
            continue
        if wanted is not None and type(value) not in wanted:
            raise Mistyped(f"{place} is to be a {shape.type_name}, and is a {_json_type(value)}")
        todo += _inner(shape, value, rest)


def _inner(shape: Any, value: Any, rest: bool) -> Iterator[tuple[Any, Any, str]]:
    match shape.type_name:
        case "structure":
            for name, member in shape.members.items():
                if not (rest and member.serialization.get("location")):
                    written = member.serialization.get("name", name)
                    if written in value:
                        yield member, value[written], written
        case "list":
            yield from ((shape.member, each, "an entry of a list") for each in value)
        case "map":
            yield from ((shape.value, each, str(name)) for name, each in value.items())


def _json_type(value: Any) -> str:
    names = {dict: "structure", list: "list", str: "string", bool: "boolean"}
    return names.get(type(value), "number")
