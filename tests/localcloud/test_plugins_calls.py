"""What the local plugin asks for each type, held against what the real provider asks, which the roles are made from."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

from herd.bootstrap.api_calls import PHASES, TYPES
from localcloud.iam import accesses, s3
from localcloud.plugins import Plugins
from localcloud.plugins.types import ecs as ecs_types
from localcloud.request import Call
from localcloud.server import Server
from tests.localcloud.plugins_cases import CASES, Case
from tests.localcloud.plugins_cases_aws import AWS_CASES
from tests.localcloud.plugins_cases_lambda import LAMBDA_CASES
from tests.localcloud.plugins_cases_network import NETWORK_CASES
from tests.localcloud.plugins_cases_programs import PROGRAM_CASES
from tests.localcloud.plugins_support import Provider, World

_accounts = itertools.count(320_000_000_000)


class Recorder:
    """In the guard's place: notes the actions of each request and lets it through."""

    def __init__(self) -> None:
        self.actions: set[str] = set()

    def check(self, call: Call) -> None:
        wanted = s3.accesses(call) if call.service == "s3" else accesses.accesses(call)
        self.actions |= {access.action for access in wanted}

    def assume(self, role_arn: str, service: str, source_arn: str | None, session: str) -> str:
        return role_arn


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    monkeypatch.setattr(ecs_types, "_wait", lambda done, otherwise: done())
    server = Server(str(next(_accounts)), "eu-west-1", "http://127.0.0.1:4598")
    plugins = Plugins(server, None, tmp_path)
    provider = Provider(plugins)
    world = World(provider, server)
    yield world
    for urn, made in reversed(world.made):  # names of buckets are taken in all accounts
        provider.delete(urn, made)
    provider.close()
    plugins.close()
    server.close()


USED = {
    case.token.removeprefix("aws:"): case for case in CASES + NETWORK_CASES + PROGRAM_CASES + AWS_CASES + LAMBDA_CASES
}


def live(case: Case, world: World) -> set[str]:
    """The actions of a preview, a creation, a reading, a change and a removal."""
    provider, urn = world.provider, f"urn:pulumi:dev::proj::{case.token}::under-test"
    declared = case.inputs(world)
    world.server.guard = recorder = Recorder()  # type: ignore[assignment]
    inputs = provider.checked(urn, declared)
    provider.create(urn, inputs, preview=True)
    made = provider.create(urn, inputs)
    provider.read(urn, made)
    if case.change:
        changed = {name: value for name, value in {**declared, **case.change}.items() if value is not None}
        made = provider.update(urn, made, provider.checked(urn, changed, made.inputs))
    provider.delete(urn, made)
    world.server.guard = None
    return recorder.actions


OTHERWISE = {
    "ec2/vpcEndpoint:VpcEndpoint": {"ec2:DescribeManagedPrefixLists"},
    # The case starts a task by a role. The targets of the programs here are functions, which are invoked by none.
    "cloudwatch/eventTarget:EventTarget": {"iam:PassRole"},
    # The case turns rotation off, which no program here does.
    "kms/key:Key": {"kms:DisableKeyRotation"},
    # The case publishes versions, which no program here does: the watch runs what was deployed last.
    "lambda/function:Function": {"lambda:PublishVersion"},
}
"""Calls by which the plugin finds out what the provider asks in other words, or that only a case here needs."""


@pytest.mark.parametrize("kind", TYPES)
def test_the_plugin_asks_for_nothing_that_the_provider_does_not(kind: str, world: World) -> None:
    table = {action for action, _ in TYPES[kind].actions(*PHASES)}
    asked = live(USED[kind], world)
    assert asked & table, "it is the same API"
    assert asked - table == OTHERWISE.get(kind, set())


def test_a_state_machine_is_asked_about_as_the_provider_does(world: World) -> None:
    """The one call that a preview makes of what is not there yet."""
    kind = "sfn/stateMachine:StateMachine"
    assert live(USED[kind], world) == {action for action, _ in TYPES[kind].actions(*PHASES)}
