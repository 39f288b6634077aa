"""What a request asks for, in botocore's terms: the operation and its arguments, whatever protocol they came in.

moto's own parsers read it (moto 5.2.5, core/parse.py and core/routing.py), so that what is judged is what moto sees.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from botocore.exceptions import UnknownServiceError
from botocore.model import OperationModel
from moto.core.parse import PROTOCOL_PARSERS
from moto.core.request import Request, determine_request_protocol
from moto.core.routing import get_service_router
from moto.core.utils import get_service_model
from werkzeug.exceptions import HTTPException

from localcloud.request.call import S3_CONTROL, Call
from localcloud.request.errors import Refused

NAMES: Mapping[str, str] = {
    "elasticloadbalancing": "elbv2",
    "monitoring": "cloudwatch",
    "states": "stepfunctions",
    "elasticfilesystem": "efs",
    "email": "sesv2",
    "tagging": "resourcegroupstaggingapi",
    "elasticmapreduce": "emr",
}
"""Service as a signature names it → as botocore does, where they differ."""

Arguments = dict[str, Any]


@dataclass(frozen=True)
class Asked:
    """A request that has been understood. `service` is botocore's name; `arguments` are typed and nested."""

    service: str
    operation: str
    arguments: Arguments
    account: str
    region: str

    def text(self, name: str) -> str:
        """An argument as text, "" where there is none."""
        value = self.arguments.get(name)
        return "" if value is None else str(value)


@cache
def model(service: str) -> Any:
    """The model of a service, None for one that botocore does not know."""
    try:
        return get_service_model(service)
    except UnknownServiceError:
        return None


def service_of(call: Call) -> str:
    """botocore's name of the service that a request is for."""
    if call.service == "s3" and call.url.startswith(S3_CONTROL):
        return "s3control"
    if call.service == "elasticloadbalancing" and call.parameters.get("Version") == "2012-06-01":
        return "elb"
    return NAMES.get(call.service, call.service)


def operation_of(call: Call, method: str, headers: Mapping[str, str]) -> tuple[OperationModel, Arguments] | None:
    """The operation, and what the path says; None where the request is none of the service's."""
    service = model(service_of(call))
    if service is None:
        return None
    if call.protocol in ("json", "query", "ec2"):
        return (service.operation_model(call.action), {}) if call.action in service.operation_names else None
    request = _request(call, method, headers)
    try:
        found, parameters = get_service_router(service.service_name).match(request)
    except (HTTPException, NotImplementedError):
        return None
    return found, parameters


def arguments_of(
    call: Call, method: str, headers: Mapping[str, str], operation: OperationModel, in_path: Arguments
) -> Arguments | None:
    """The operation's arguments; None where they cannot be read (moto then says so in its own words).

    Raises `Refused` for a body that is no JSON: moto would take it for an empty one.
    """
    protocol = determine_request_protocol(operation.service_model, headers.get("content-type"))
    if protocol == "json" and call.body and not isinstance(_json(call.body), dict):
        raise Refused("SerializationException", "The body of the request is no JSON object.")
    if protocol in ("query", "ec2"):
        values: Any = dict(parse_qsl(call.body.decode("utf-8", "replace"), keep_blank_values=True))
    else:
        values = {} if protocol == "json" else _request(call, method, headers).args
    told = {
        "method": method, "values": values, "headers": _Headers(headers), "body": call.body,
        "url_path": urlsplit(call.url).path, "url_params": in_path,
    }  # fmt: skip
    try:
        return dict(PROTOCOL_PARSERS[protocol](operation).parse(told))
    except Exception:  # a body that is no JSON, a number that is none: whatever the parser stumbles over
        return None


def lower(headers: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Headers by their names in lower case."""
    return {name.lower(): value for name, value in headers}


class _Headers(dict[str, str]):
    """Headers that are found in any case."""

    def __contains__(self, name: object) -> bool:
        return super().__contains__(str(name).lower())

    def __getitem__(self, name: str) -> str:
        return super().__getitem__(name.lower())


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return None


def _request(call: Call, method: str, headers: Mapping[str, str]) -> Request:
    kept = {name: value for name, value in headers.items() if name != "content-length"}
    return Request.from_primitives(method, f"http://localhost{call.url}", kept, b"")
