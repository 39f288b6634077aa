"""No change is taken and not made: for each property that an update may change, a call of AWS follows."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from botocore.exceptions import BotoCoreError, ClientError

from localcloud import backends
from localcloud.plugins.resource import REGISTRY, Cloud
from localcloud.plugins.schema import SCALARS, Field
from tests.localcloud.plugins_cases import CASES, Case
from tests.localcloud.plugins_cases_aws import AWS_CASES
from tests.localcloud.plugins_cases_network import NETWORK_CASES
from tests.localcloud.plugins_cases_programs import PROGRAM_CASES
from tests.localcloud.plugins_support import World
from tests.localcloud.test_plugins_types import named
from tests.localcloud.test_plugins_types import world as world

NOT_SENT: dict[str, tuple[str, ...]] = {
    "what a deletion does": (
        "forceDelete", "forceDestroy", "forceDetachPolicies", "skipDestroy", "revokeRulesOnDelete", "retainOnDelete",
        "deletionWindowInDays", "recoveryWindowInDays", "skipFinalSnapshot", "finalSnapshotIdentifier",
        "deleteAutomatedBackups",
    ),
    "what is waited for": (
        "waitForSteadyState", "waitForDeployment", "waitForCapacityTimeout", "confirmationTimeoutInMinutes",
        "endpointAutoConfirms",
    ),
    "how other calls are made": (
        "trackLatest", "forceOverwriteReplicaSecret", "bypassPolicyLockoutSafetyCheck", "allowMajorVersionUpgrade",
        "applyImmediately",
    ),
    "a launch template with updateDefaultVersion has the newest one": ("defaultVersion",),
    "goes with the index that it is of": ("attributes",),
    "goes with streamViewType, without which AWS takes none": ("streamEnabled",),
}  # fmt: skip
"""Why properties are in no call of their own."""

UNSENT = {name for names in NOT_SENT.values() for name in names}


class Recorded:
    """The server, whose clients note the calls that change something."""

    def __init__(self, server: Any):
        self._server, self.calls = server, list[str]()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._server, name)

    def client(self, *arguments: Any) -> Any:
        client, calls = self._server.client(*arguments), self.calls

        class Client:
            def __getattr__(self, name: str) -> Any:
                if not name.startswith(("get_", "list_", "describe_", "head_", "can_", "meta", "exceptions")):
                    calls.append(name)
                return getattr(client, name)

        return Client()


def other(field: Field, value: Any) -> Iterator[tuple[str, Any]]:
    """Values that differ from a declared one in one property, with that property's name; of no object that has none."""
    if field.kind in ("object", "objects", "bag"):
        first = value if field.kind == "object" else value[0] if value else None
        for name, inner in field.fields.items() if first else ():
            if name in first and not inner.output:
                for path, changed in other(inner, first[name]):
                    whole = {**first, name: changed}
                    yield f"{name}.{path}", whole if field.kind == "object" else [whole, *value[1:]]
    elif field.kind in SCALARS:
        policy = json.dumps({"Version": "2012-10-17", "Statement": []})
        scalars = {"int": 77.0, "number": 77.0, "bool": not (field.default if value is None else value)}
        yield "", scalars.get(field.kind, "aaaa" if field.kind == "string" else policy)
    elif field.kind != "asset":
        yield "", {"other": "other"} if field.kind == "map" else ["other"]


@pytest.mark.parametrize("case", CASES + NETWORK_CASES + PROGRAM_CASES + AWS_CASES, ids=named)
def test_each_change_that_is_taken_is_made(case: Case, world: World) -> None:
    kind, urn = REGISTRY[case.token], f"urn:pulumi:dev::proj::{case.token}::under-test"
    inputs = world.provider.checked(urn, case.inputs(world))
    made = world.provider.create(urn, inputs)
    silent = []
    for name, field in kind.fields.items():
        if field.replaces or field.output or name in ("tags", *UNSENT):
            continue
        for path, value in other(field, inputs.get(name)):
            recorded = Recorded(world.server)
            wanted = {**made.outputs, **inputs, name: value}
            # AWS, or its client, need not take the value that was made up here.
            with suppress(BotoCoreError, ClientError, ValueError):
                kind.update(Cloud(recorded, region=world.server.region), made.id, made.outputs, wanted, {name})
            if not recorded.calls:
                silent.append(f"{name}.{path}".strip("."))
    backends.forget(world.server.account)  # what has got deletion protection too
    assert silent == []
