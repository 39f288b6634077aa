"""getPolicyDocument: an IAM policy written as a program's objects, in the JSON that pulumi-aws makes of it."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from typing import Any

from localcloud.plugins.refusals import Refused
from localcloud.plugins.resource import Cloud
from localcloud.plugins.values import Props

_ARGUMENTS = {"statements", "version", "policyId", "sourcePolicyDocuments", "overridePolicyDocuments"}


def policy_document(cloud: Cloud, arguments: Props) -> Props:
    """Statements of all sources, of which a later one replaces an earlier one of the same Sid."""
    for name, value in arguments.items():
        if name not in _ARGUMENTS and value not in (None, [], {}):
            raise Refused(f"getPolicyDocument: the local cloud does not support the argument '{name}'")
    document: Props = {"Version": arguments.get("version") or "2012-10-17"}
    if arguments.get("policyId"):
        document["Id"] = arguments["policyId"]
    sources = [_parsed(text) for text in arguments.get("sourcePolicyDocuments") or []]
    own = [_statement(each) for each in arguments.get("statements") or []]
    overrides = [_parsed(text) for text in arguments.get("overridePolicyDocuments") or []]
    statements: list[Props] = []
    for each in [
        *(item for part in sources for item in part),
        *own,
        *(item for part in overrides for item in part),
    ]:
        sid = each.get("Sid")
        place = next((index for index, other in enumerate(statements) if sid and other.get("Sid") == sid), None)
        if place is None:
            statements.append(each)
        else:
            statements[place] = each
    document["Statement"] = statements
    text = json.dumps(document, indent=2)
    return {
        **arguments, "json": text, "minifiedJson": json.dumps(document, separators=(",", ":")),
        "id": str(zlib.crc32(text.encode())), "version": document["Version"],
    }  # fmt: skip


def _parsed(text: str) -> list[Props]:
    try:
        statements = json.loads(text)["Statement"]
    except (ValueError, KeyError, TypeError) as error:
        raise Refused(f"getPolicyDocument: a source is no policy document: {error!r}") from error
    return list(statements) if isinstance(statements, list) else [statements]


def _statement(source: Mapping[str, Any]) -> Props:
    statement: Props = {"Sid": source["sid"]} if source.get("sid") else {}
    statement["Effect"] = source.get("effect") or "Allow"
    for name, member in (("principals", "Principal"), ("notPrincipals", "NotPrincipal")):
        if source.get(name):
            statement[member] = _principals(source[name])
    for name, member in (
        ("actions", "Action"), ("notActions", "NotAction"), ("resources", "Resource"), ("notResources", "NotResource"),
    ):  # fmt: skip
        if source.get(name):
            statement[member] = _one_or_many(source[name])
    conditions: dict[str, dict[str, Any]] = {}
    for each in source.get("conditions") or []:
        conditions.setdefault(each["test"], {})[each["variable"]] = _one_or_many(each["values"])
    return {**statement, "Condition": conditions} if conditions else statement


def _principals(principals: list[Mapping[str, Any]]) -> Any:
    by_type: dict[str, list[str]] = {}
    for each in principals:
        if each["type"] == "*" and each["identifiers"] == ["*"]:
            return "*"
        by_type.setdefault(each["type"], []).extend(each["identifiers"])
    return {kind: _one_or_many(names) for kind, names in by_type.items()}


def _one_or_many(values: list[str]) -> Any:
    return values[0] if len(values) == 1 else sorted(values, reverse=True)
