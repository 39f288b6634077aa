"""The tables against the real thing: each property exists in pulumi-aws and pulumi-docker under that name and kind."""

from __future__ import annotations

import importlib
import keyword
import re
import warnings
from types import ModuleType
from typing import Any

import pytest

from localcloud.plugins.resource import REGISTRY
from localcloud.plugins.schema import Fields
from localcloud.plugins.types import load_types

load_types()


def sdk_class(token: str, suffix: str = "", prefix: str = "") -> tuple[ModuleType, type]:
    """aws:ec2/vpc:Vpc → pulumi_aws.ec2.vpc.Vpc."""
    package, place, name = token.split(":")
    module, file = place.split("/")
    file = re.sub(r"(?<!^)(?=[A-Z])", "_", file).lower()
    module = f"{module}_" if keyword.iskeyword(module) else module
    folder = f"pulumi_{package}" if module == "index" else f"pulumi_{package}.{module}"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = importlib.import_module(f"{folder}.{file}")
        inputs = importlib.import_module(f"{folder}._inputs")
    return inputs, getattr(found, f"{prefix}{name}{suffix}")


def properties(cls: type) -> dict[str, str]:
    """camelCase name → annotation, of a generated class."""
    return {
        member.fget._pulumi_name: str(member.fget.__annotations__.get("return"))
        for base in cls.__mro__
        for member in vars(base).values()
        if isinstance(member, property) and hasattr(member.fget, "_pulumi_name")
    }


def kind_of(annotation: str) -> set[str]:
    if "pulumi.asset" in annotation:
        return {name.lower() for name in ("Asset", "Archive") if f"pulumi.asset.{name}" in annotation}
    if "Sequence[" in annotation:
        return {"list", "set", "objects", "bag"}
    if "Mapping[str" in annotation:
        return {"map"}
    if "bool" in annotation:
        return {"bool"}
    if "int]" in annotation or "float]" in annotation:
        return {"int", "number"}
    return {"string", "json", "policy", "object", "int", "number"}


def compare(fields: Fields, cls: type, inputs: ModuleType, where: str, problems: list[str]) -> None:
    known = properties(cls)
    for name, field in fields.items():
        if field.output:
            continue
        annotation = known.get(name)
        if annotation is None:
            problems.append(f"{where}{name} is not in the SDK")
        elif field.kind not in kind_of(annotation):
            problems.append(f"{where}{name} is {field.kind}, the SDK says {annotation}")
        elif field.fields:
            inner = re.search(r"(\w+Args)'", annotation)
            nested: Any = getattr(inputs, inner[1], None) if inner else None
            if nested is not None:
                compare(field.fields, nested, inputs, f"{where}{name}.", problems)


@pytest.mark.parametrize("token", sorted(REGISTRY))
def test_tables_say_what_the_sdk_says(token: str) -> None:
    inputs, arguments = sdk_class(token, "Args")
    fields = {name: field for name, field in REGISTRY[token].fields.items()}
    problems: list[str] = []
    if token not in READ_FROM_THE_CLASS:
        compare(fields, arguments, inputs, "", problems)
    resource = sdk_class(token)[1]
    outputs = properties(resource)
    problems += [
        f"output {name} is not in the SDK" for name, field in fields.items() if field.output and name not in outputs
    ]
    required = {name for name, text in properties(arguments).items() if "Optional" not in text and "None" not in text}
    ours = {name for name, field in fields.items() if field.required}
    if token not in READ_FROM_THE_CLASS:
        problems += [f"{name} is required by the SDK" for name in required - ours]
        problems += [f"{name} is not required by the SDK" for name in ours - required - REQUIRED_BY_AWS]
    assert not problems


READ_FROM_THE_CLASS = {  # their Args classes are named alike with another class's
    "aws:s3/bucketVersioning:BucketVersioning",
    "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration",
    "aws:s3/bucketLogging:BucketLogging",
}
REQUIRED_BY_AWS = {
    "comparisonOperator",
    "evaluationPeriods",
    "imageName",
    "rules",
    "conditions",
    "serviceName",
    "policy",
    "versioningConfiguration",
}


def test_every_output_of_the_sdk_is_answered() -> None:
    """What the SDK promises as an output and nobody answers would be None in a program."""
    missing = {}
    for token, kind in REGISTRY.items():
        inputs, arguments = sdk_class(token, "Args")
        outputs = set(properties(sdk_class(token)[1])) - set(properties(arguments))
        if lacking := outputs - set(kind.fields) - NOT_ANSWERED.get(token, set()):
            missing[token] = lacking
    assert not missing


NOT_ANSWERED = {
    "aws:ec2/vpc:Vpc": {"ipv6AssociationId"},
    "aws:ec2/natGateway:NatGateway": {"regionalNatGatewayAddresses"},
    "aws:s3/bucketLogging:BucketLogging": {"expectedBucketOwner", "targetGrants", "targetObjectKeyFormat"},
    "aws:ec2/subnet:Subnet": {"ipv6CidrBlockAssociationId"},
    "aws:ec2/route:Route": {"instanceId", "instanceOwnerId"},
    "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup": {"namePrefix"},
    "aws:ec2/vpcEndpoint:VpcEndpoint": {"dnsEntries", "networkInterfaceIds"},
    "aws:s3/bucket:Bucket": {"websiteDomain", "websiteEndpoint"},
    "aws:s3/bucketVersioning:BucketVersioning": {"expectedBucketOwner", "mfa"},
    "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration": {"expectedBucketOwner"},
    "aws:sfn/stateMachine:StateMachine": {"versionDescription"},
    "aws:rds/instance:Instance": {"upgradeRolloutOrder"},
}
