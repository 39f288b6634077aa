"""The tables against botocore's service models: what a property is sent as and read from is a member of AWS's API."""

from __future__ import annotations

from typing import Any

import boto3
import pytest
from botocore import xform_name

from localcloud.plugins.conversion import Spelling
from localcloud.plugins.resource import REGISTRY, Resource
from localcloud.plugins.schema import Fields
from localcloud.plugins.types import load_types
from localcloud.plugins.types.attributes import Attributed

load_types()
SHAPES = {
    "string": {"string", "timestamp", "blob", "double", "float", "integer", "long"},
    "json": {"string"},
    "policy": {"string"},
    "int": {"integer", "long", "double", "string"},
    "number": {"double", "float"},
    "bool": {"boolean"},
    "list": {"list"},
    "set": {"list"},
    "map": {"map", "list"},
    "object": {"structure"},
    "objects": {"list"},
    "bag": {"list"},
}
_session = boto3.session.Session(region_name="eu-west-1", aws_access_key_id="x", aws_secret_access_key="x")
_models: dict[str, Any] = {}


def operation(kind: Resource, call: str) -> Any:
    """The model of a type's call."""
    if kind.service not in _models:
        _models[kind.service] = _session.client(kind.service).meta.service_model
    model = _models[kind.service]
    name = next(name for name in model.operation_names if xform_name(name) == call)
    return model.operation_model(name)


def members(shape: Any) -> dict[str, Any]:
    """What a structure holds, or each item of a list of structures."""
    while shape is not None and shape.type_name == "list":
        shape = shape.member
    return dict(shape.members) if shape is not None and shape.type_name == "structure" else {}


def found(shape: Any, path: str) -> Any:
    for part in path.split("."):
        shape = members(shape).get(part)
    return shape


def disagreements(fields: Fields, shape: Any, spelling: Spelling, where: str = "") -> list[str]:
    """Properties that are sent and have no place in the input, or one of another kind."""
    problems = []
    for name, known in fields.items():
        if known.output or known.member == "-":
            continue
        place = known.member or spelling(name)
        inner = found(shape, place)
        if inner is None:
            problems.append(f"{where}{name}: no {place}")
        elif inner.type_name not in SHAPES.get(known.kind, {inner.type_name}):
            problems.append(f"{where}{name}: {known.kind}, but {place} is a {inner.type_name}")
        else:
            problems += disagreements(known.fields, inner, spelling, f"{where}{name}.")
    return problems


def attributes_of(kind: Resource) -> set[str]:
    """Properties that are text under a key, of which the models know nothing."""
    if isinstance(kind, Attributed):
        return set(kind.fields) - kind.plain
    keyed = getattr(kind, "attributes", {})
    return {path.partition(".")[0] for path in keyed}


CREATING = sorted(token for token, kind in REGISTRY.items() if kind.create_call)


@pytest.mark.parametrize("token", CREATING)
def test_what_is_declared_has_a_place_in_the_api(token: str) -> None:
    kind = REGISTRY[token]
    apart = ELSEWHERE.get(token, set()) | attributes_of(kind)
    fields = {name: known for name, known in kind.fields.items() if name not in apart}
    assert not disagreements(fields, operation(kind, kind.create_call).input_shape, kind.spelling)


@pytest.mark.parametrize("token", sorted(REGISTRY))
def test_calls_and_what_names_their_subject_are_the_apis(token: str) -> None:
    kind = REGISTRY[token]
    for call, key in (
        (kind.read_call, kind.read_key),
        (kind.update_call, kind.delete_key or kind.read_key),
        (kind.delete_call, kind.delete_key or kind.read_key),
    ):
        if call:
            shape = operation(kind, call).input_shape
            if key and call != kind.create_call:
                argument = found(shape, key.removesuffix("[]"))
                assert argument is not None, f"{call} has no {key}"
                assert (argument.type_name == "list") == key.endswith("[]")


ELSEWHERE = {
    "aws:cloudwatch/logGroup:LogGroup": {"retentionInDays"},
    "aws:ec2/eip:Eip": {"instance", "networkInterface"},
}
"""Properties that another call sets, or that the type's own code spells: token → names."""
