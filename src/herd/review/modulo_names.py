"""The resources of an environment modulo names, so that those of two environments can be compared.

Two environments of one program differ in what follows from their names and from chance: physical names, ARNs, ids that
AWS chooses, account and region. Here each of those becomes what it refers to (`<aws:ec2:Vpc network-vpc>`); the rest
is chosen. Documents (policies, state machines, containers) are compared as what they say, not as text.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from herd.engine.changes import group_of, short, type_and_name
from herd.engine.plan import ENVIRONMENT, Resource
from herd.infra.naming import ENVIRONMENT_TAG
from herd.runner.contract import variables

State = Mapping[str, Any]
"""A resource as `pulumi stack export` has it."""

OWN_NAME = "<environment>"

CHOSEN = re.compile(
    r"(?<![\w-])[a-z]{1,20}-[0-9a-f]{8,17}\b"  # vpc-…, subnet-…
    r"|\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b"  # keys, event source mappings
    r"|(?<=/)[0-9a-f]{16}\b"  # load balancers, listeners, target groups
    r"|\bE[0-9A-Z]{12,13}\b|\bd[0-9a-z]{12,13}(?=\.cloudfront)"  # distributions
    r"|(?<=-)[0-9]{8,10}(?=\.[a-z0-9-]+\.elb\.)"  # names of load balancers in the DNS
)
"""What AWS makes up by itself."""

CUT = re.compile(r"(?<=[a-z0-9])-[0-9a-f]{8}$")
"""The end of a physical name that was too long for its service (`herd.infra.naming.fit`)."""

SECRET_SUFFIX = re.compile(r"(:secret:[\w/+=.@-]+)-[A-Za-z0-9]{6}\b(?!-)")
"""Secrets Manager puts six random characters behind the name in each ARN."""

REVISION = re.compile(r"(:task-definition/[\w-]+):[0-9]+\b")

IMAGE = re.compile(r"[\w.:/-]+@(sha256:[0-9a-f]{64})")
"""A reference to an image: where it lies is its repository's matter, which bytes it is are its digest's."""

IDENTITIES = ("id", "arn", "arnSuffix", "dnsName", "domainName", "keyId", "uniqueId", "repositoryUrl", "qualifiedArn")

NAMES = ("name", "bucket", "family", "repository", "roleName")
"""Properties with the physical name of a resource."""

SECRET_MARK, SECRET_VALUE = "4dabf18193072939515e22adb298388d", "1b47061264138c4ac30d75fd1eb44270"
"""The key that marks special values in Pulumi's state, and what it says of an encrypted one."""

BY_NAME_ONLY = ("environment", ENVIRONMENT_TAG, variables.ENVIRONMENT)
"""Keys whose value is the environment's name and nothing else."""


@dataclass(frozen=True)
class Place:
    """Whose the names are: `environment` of `project` in an account and a region."""

    project: str
    environment: str
    account: str
    region: str


@dataclass
class Plain:
    """The resources of one environment, by type and logical name. `names`: the physical name of each that has one."""

    resources: dict[tuple[str, str], Resource] = field(default_factory=dict)
    names: dict[tuple[str, str], str] = field(default_factory=dict)


def plain(states: Iterable[State], place: Place) -> Plain:
    """The resources of a state as they are declared, modulo names."""
    declared = [state for state in states if _counts(state)]
    names = _Names(place, declared)
    result = Plain()
    for state in declared:
        type_, name = type_and_name(state["urn"])
        owner = group_of({"new": state}) or ENVIRONMENT
        if type_and_name(state.get("parent") or "")[0].endswith(":Environment"):
            owner, name = ENVIRONMENT, name.removeprefix(f"{place.environment}-")
        key = (short(type_), name)
        inputs = names.of(state.get("inputs") or {})
        result.resources[key] = Resource(*key, owner, inputs)
        if name_of := next((str(inputs[prop]) for prop in NAMES if prop in inputs), ""):
            result.names[key] = name_of
    return result


def alias(one: Plain, other: Plain) -> None:
    """Give names that were cut in one of the two the name that the same resource has in the other."""
    cut = {
        name: other.names[key]
        for key, name in one.names.items()
        if key in other.names and name != other.names[key] and (CUT.search(name) or CUT.search(other.names[key]))
    }
    if not cut:
        return
    token = re.compile(
        "|".join(rf"(?<![\w-]){re.escape(name)}(?![\w-])" for name in sorted(cut, key=len, reverse=True))
    )
    for key, resource in one.resources.items():
        inputs = _replaced(resource.inputs, lambda text: token.sub(lambda match: cut[match[0]], text))
        one.resources[key] = Resource(resource.type, resource.name, resource.owner, inputs)


def _counts(state: State) -> bool:
    """Images are left out: how one was made does not matter, and its digest stands in the task definition."""
    type_ = str(state.get("type") or type_and_name(state["urn"])[0])
    return bool(state.get("custom")) and not state.get("delete") and not type_.startswith(("pulumi:", "docker:"))


class _Names:
    """Turns what is an environment's own into what it refers to."""

    def __init__(self, place: Place, states: list[State]) -> None:
        self._place = place
        own = rf"(?<![a-z0-9]){re.escape(f'{place.project}-{place.environment}')}(?![a-z0-9])"
        self._own = re.compile(own)
        self._account = re.compile(rf"(?<![0-9]){re.escape(place.account)}(?![0-9])") if place.account else None
        self._region = re.compile(rf"(?<![a-z0-9-]){re.escape(place.region)}(?![0-9-])") if place.region else None
        self._said = re.compile(rf"\b(environment |build/){re.escape(place.environment)}(?![\w-])")
        self._chosen: dict[str, str] = {}
        for text, whose in sorted(_identities(states), key=lambda entry: len(entry[0])):
            for match in CHOSEN.finditer(text):
                self._chosen.setdefault(match[0], whose)

    def of(self, value: Any, key: str = "") -> Any:
        match value:
            case {**table} if table.get(SECRET_MARK) == SECRET_VALUE:
                return "<secret>"
            case {**table} if SECRET_MARK in table and ("assets" in table or "hash" in table):
                return self._archive({str(name): one for name, one in table.items()})
            case {"name": str(name), "value": str(text), **rest} if not rest:
                return {"name": name, "value": self.of(text, name)}
            case {**table}:
                return {self._text(str(name)): self.of(one, str(name)) for name, one in table.items()}
            case [*items]:
                return _by_name([self.of(one) for one in items])
            case str():
                return self._string(value, key)
            case _:
                return value

    def _archive(self, table: Mapping[str, Any]) -> Any:
        """Files by their content; those that the program wrote itself, as what they say."""
        if "assets" in table:
            return {str(name): self.of(one) for name, one in table["assets"].items()}
        return self._string(str(table["text"])) if table.get("text") else str(table["hash"])

    def _string(self, text: str, key: str = "") -> Any:
        if key in BY_NAME_ONLY and text == self._place.environment:
            return OWN_NAME
        if text[:1] in ("{", "[") and (document := _document(text)) is not None:
            return self.of(document)
        return self._text(text)

    def _text(self, text: str) -> str:
        text = IMAGE.sub(r"\1", text)
        text = SECRET_SUFFIX.sub(r"\1", REVISION.sub(r"\1", text))
        text = CHOSEN.sub(lambda match: self._chosen.get(match[0], match[0]), text)
        text = self._own.sub(f"{self._place.project}-{OWN_NAME}", text)
        text = self._said.sub(rf"\1{OWN_NAME}", text)
        if self._account:
            text = self._account.sub("<account>", text)
        return self._region.sub("<region>", text) if self._region else text


def _identities(states: list[State]) -> Iterator[tuple[str, str]]:
    """What AWS calls a resource -> the resource."""
    for state in states:
        type_, name = type_and_name(state["urn"])
        whose = f"<{short(type_)} {name}>"
        outputs = state.get("outputs") or {}
        for value in (state.get("id"), *(outputs.get(key) for key in IDENTITIES)):
            if isinstance(value, str):
                yield value, whose


def _document(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None


def _by_name(items: list[Any]) -> Any:
    """Lists of named things (variables, containers, tags) as a table, so that one more moves no other."""
    if items and all(isinstance(one, dict) and isinstance(one.get("name"), str) for one in items):
        names = [one["name"] for one in items]
        if len(set(names)) == len(names):
            return {one["name"]: _but_name(one) for one in items}
    return items


def _but_name(item: dict[str, Any]) -> Any:
    rest = {key: value for key, value in item.items() if key != "name"}
    return rest["value"] if rest.keys() == {"value"} else rest


def _replaced(value: Any, change: Any) -> Any:
    match value:
        case {**table}:
            return {change(str(name)): _replaced(one, change) for name, one in table.items()}
        case [*items]:
            return [_replaced(one, change) for one in items]
        case str():
            return change(value)
        case _:
            return value
