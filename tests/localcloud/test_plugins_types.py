"""Every resource type's life over the provider protocol, on the real server: made, read, unchanged, changed, gone."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from localcloud.plugins import Plugins
from localcloud.plugins.acceptance import accept
from localcloud.plugins.resource import REGISTRY, Cloud
from localcloud.plugins.types import ecs as ecs_types
from localcloud.plugins.values import UNKNOWN, Props
from localcloud.server import Server
from tests.localcloud.plugins_cases import CASES, Case
from tests.localcloud.plugins_cases_aws import AWS_CASES
from tests.localcloud.plugins_cases_lambda import LAMBDA_CASES
from tests.localcloud.plugins_cases_network import NETWORK_CASES
from tests.localcloud.plugins_cases_programs import PROGRAM_CASES
from tests.localcloud.plugins_support import Made, Provider, World

_accounts = itertools.count(310_000_000_000)
MAY_LACK = {
    "stateMachineVersionArn", "description", "creationDate", "lastModificationDate", "revisionId", "cidrBlocks",
    "prefixListId", "requesterManaged", "dhcpOptionsId", "state",
}  # fmt: skip
"""Outputs that AWS leaves out at times."""


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    monkeypatch.setattr(ecs_types, "_wait", lambda done, otherwise: done())  # no agent here that would drain services
    server = Server(str(next(_accounts)), "eu-west-1", "http://127.0.0.1:4599")
    plugins = Plugins(server, None, tmp_path)
    provider = Provider(plugins)
    yield World(provider, server)
    provider.close()
    plugins.close()
    server.close()


def named(case: Case) -> str:
    return case.token.split(":")[-1]


def merged(inputs: Props, change: Props) -> Props:
    return {name: value for name, value in {**inputs, **change}.items() if value is not None}


def cloud_of(world: World) -> Cloud:
    """The cloud as somebody else sees it, who knows nothing of Pulumi."""
    return Cloud(world.server, region=world.server.region)


def changed_elsewhere(case: Case, declared: Props) -> Callable[[World, Made], None]:
    """The case's own change, made with API calls behind Pulumi's back."""

    def change(world: World, made: Made) -> None:
        kind, cloud = REGISTRY[case.token], cloud_of(world)
        wanted = {**made.inputs, **accept(kind.fields, merged(declared, case.change), of=case.token)[0]}
        wanted = {name: value for name, value in wanted.items() if case.change.get(name, "") is not None}
        kind.update(cloud, made.id, made.outputs, wanted, set(case.change))
        if kind.tagging is not None and "tags" in case.change:
            tagged, old = kind.tagged(made.id, made.outputs), made.outputs.get("tagsAll") or {}
            kind.tagging.change(cloud.client(kind.service), tagged, old, case.change["tags"])

    return change


@pytest.mark.parametrize("case", CASES + NETWORK_CASES + PROGRAM_CASES + AWS_CASES + LAMBDA_CASES, ids=named)
def test_the_life_of_a_resource(case: Case, world: World) -> None:
    provider, urn = world.provider, f"urn:pulumi:dev::proj::{case.token}::under-test"
    declared = case.inputs(world)
    inputs = provider.checked(urn, declared)

    foreseen = provider.create(urn, inputs, preview=True)
    assert foreseen.id == ""
    made = provider.create(urn, inputs)
    assert made.id
    for name, value in foreseen.outputs.items():
        assert value is UNKNOWN or made.outputs.get(name) == value, f"the preview foresaw {name} wrongly"

    again = provider.checked(urn, declared, made.inputs)
    assert again == made.inputs
    assert not provider.diff(urn, made, again).diffs

    read = provider.read(urn, made)
    assert read is not None and read.id == made.id
    assert read.inputs == made.inputs, "reading what was made is no drift"
    assert not provider.diff(urn, read, again).diffs
    missing = {name for name, known in REGISTRY[case.token].fields.items() if known.output and name not in read.outputs}
    assert not missing - MAY_LACK

    if case.same:
        assert not provider.diff(urn, made, provider.checked(urn, merged(declared, case.same), made.inputs)).diffs
    # Whatever else a thing is replaced for, it cannot move to another region.
    for replace in (case.replace, {"region": "eu-central-1"} if "region" in REGISTRY[case.token].fields else {}):
        if replace:
            difference = provider.diff(urn, made, provider.checked(urn, merged(declared, replace), made.inputs))
            assert set(difference.replaces) == set(replace)
    somebody = case.drift or (changed_elsewhere(case, declared) if case.change else None)
    if somebody:
        somebody(world, made)
        drifted = provider.read(urn, made)
        assert drifted is not None
        found = provider.diff(urn, drifted, provider.checked(urn, declared, drifted.inputs))
        assert found.diffs and not found.replaces
        made = provider.update(urn, drifted, provider.checked(urn, declared, drifted.inputs))
        healed = provider.read(urn, made)
        assert healed is not None and not provider.diff(urn, healed, made.inputs).diffs
    if case.change:
        changed = merged(declared, case.change)
        wanted = provider.checked(urn, changed, made.inputs)
        difference = provider.diff(urn, made, wanted)
        assert set(case.change) <= set(difference.diffs) | {"desiredCount"} and not difference.replaces
        provider.update(urn, made, wanted, preview=True)
        made = provider.update(urn, made, wanted)
        provider.update(urn, made, wanted)  # may be repeated
        read = provider.read(urn, made)
        assert read is not None and read.inputs == wanted
        assert not provider.diff(urn, read, provider.checked(urn, changed, read.inputs)).diffs

    if case.imported:
        imported = provider.read(urn, Made(case.imported(read), {}, {}))
        assert imported is not None
        assert not provider.diff(urn, imported, imported.inputs).diffs
        assert not set(provider.check(urn, imported.inputs)[1]) - case.unreadable
    if not somebody and not case.stays:
        REGISTRY[case.token].delete(cloud_of(world), made.id, made.outputs)
        assert provider.read(urn, made) is None, "what somebody else deleted is gone from the state"
        made = provider.create(urn, inputs)
    provider.delete(urn, made)
    provider.delete(urn, made)
    if not case.stays:
        assert provider.read(urn, made) is None
    for needed, thing in reversed(world.made):
        provider.delete(needed, thing)
