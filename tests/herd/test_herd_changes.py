"""The engine's events, condensed: what counts as a change, what is an error, how it is shown."""

from __future__ import annotations

from typing import Any

import pytest

from herd.engine.changes import Changes

STACK = "urn:pulumi:dev::herd::pulumi:pulumi:Stack::herd-dev"
JOB = "urn:pulumi:dev::herd::herd:infra:Environment$herd:infra:Job::train"
TASK = "urn:pulumi:dev::herd::herd:infra:Job$aws:ecs/taskDefinition:TaskDefinition::train-task"


def event(operation: str, urn: str = TASK, parent: str = JOB, **more: Any) -> dict[str, Any]:
    state = {"parent": parent, "urn": urn}
    metadata = {"op": operation, "urn": urn, "old": state, "new": state, **more}
    return {"resOutputsEvent": {"metadata": metadata}}


def diagnostic(severity: str, message: str, urn: str = "") -> dict[str, Any]:
    return {"diagnosticEvent": {"severity": severity, "message": message, "urn": urn, "prefix": f"{severity}: "}}


@pytest.mark.parametrize(
    ("operation", "shown"),
    [
        pytest.param("create", "+ aws:ecs:TaskDefinition train-task", id="create"),
        pytest.param("update", "~ aws:ecs:TaskDefinition train-task  [cpu]", id="update names the properties"),
        pytest.param("replace", "± aws:ecs:TaskDefinition train-task  [cpu]", id="replace"),
        pytest.param("delete", "- aws:ecs:TaskDefinition train-task", id="delete"),
        pytest.param("same", None, id="same"),
        pytest.param("create-replacement", None, id="a step of a replacement"),
        pytest.param("delete-replaced", None, id="the other step of a replacement"),
        pytest.param("read", None, id="only looked at"),
        pytest.param("refresh", None, id="looked at before an update"),
    ],
)
def test_what_is_a_change(operation: str, shown: str | None) -> None:
    change = Changes().add(event(operation, diffs=["cpu"]))
    assert (None if change is None else str(change)) == shown


@pytest.mark.parametrize("urn", [STACK, "urn:pulumi:dev::herd::pulumi:providers:aws::default"])
def test_the_stack_and_its_providers_are_not_counted(urn: str) -> None:
    changes = Changes()
    changes.add(event("create", urn, parent=""))
    assert changes.count() == "nothing changed"


def test_counting_says_what_was_done_and_what_would_be() -> None:
    for preview, expected in ((False, "2 created, 1 deleted"), (True, "2 to create, 1 to delete")):
        changes = Changes(preview=preview)
        for number, operation in enumerate(("create", "create", "delete")):
            told = event(operation, f"{TASK}{number}")["resOutputsEvent"]
            changes.add({"resourcePreEvent": told} if preview else {"resOutputsEvent": told})
        assert changes.count() == expected


def test_many_changes_of_one_component_are_counted_few_are_listed() -> None:
    changes = Changes()
    for number in range(5):
        changes.add(event("create", f"{TASK}{number}"))
    changes.add(event("create", "urn:pulumi:dev::herd::aws:ecs/cluster:Cluster::ecs", parent=STACK))
    assert changes.lines() == ["+ train: 5 created", "+ aws:ecs:Cluster ecs"]


def test_an_error_is_told_once_with_its_resource() -> None:
    changes = Changes()
    changes.add(diagnostic("error", "error: no such subnet\n", TASK))
    changes.add(diagnostic("error", "error: update failed\n", STACK))
    changes.add({"summaryEvent": {"result": "failed"}})
    assert changes.errors == ["train-task: no such subnet"]
    assert changes.succeeded is False


def test_what_the_program_prints_and_warns_is_kept_and_debug_is_not() -> None:
    changes = Changes()
    changes.add(diagnostic("info", "hello\n", STACK))
    changes.add(diagnostic("warning", "soon\n", TASK))
    changes.add(diagnostic("debug", "noise\n"))
    changes.add({"diagnosticEvent": {"severity": "info", "message": "12 %\n", "ephemeral": True}})
    assert changes.messages == ["hello", "warning: train-task: soon"]


def test_a_preview_whose_summary_says_nothing_of_success_is_one() -> None:
    changes = Changes(preview=True)
    changes.add({"summaryEvent": {"resourceChanges": {"same": 1}}})
    assert changes.succeeded is True


def test_findings_of_the_policy_pack_are_kept_once_and_mandatory_ones_are_errors() -> None:
    changes = Changes(preview=True)
    told = {"policyName": "no-secrets", "message": "a secret in the open\n", "resourceUrn": TASK}
    for level in ("advisory", "mandatory", "mandatory"):
        changes.add({"policyEvent": {**told, "enforcementLevel": level}})
    assert list(map(str, changes.findings)) == [
        "policy warning no-secrets: train-task: a secret in the open",
        "policy no-secrets: train-task: a secret in the open",
    ]
    assert changes.errors == ["policy no-secrets: train-task: a secret in the open"]
