"""The list of changes: saved, compared with what would be done now, and refused with what differs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from herd.engine import saved_plan
from herd.engine.plan import Plan
from herd.errors import HerdError, WrongInput
from herd.policy.wire import ARCHIVE, ASSET, SIGNATURE
from tests.herd.planning import event, plan

TASK = "aws:ecs/taskDefinition:TaskDefinition"
BUCKET = "aws:s3/bucket:Bucket"


def update(memory: str, differs: tuple[str, ...] = ("memory",)) -> dict[str, Any]:
    return event(
        "update", TASK, "train-task", old={"memory": "512"}, new={"memory": memory}, detailedDiff=dict.fromkeys(differs)
    )


def create(name: str = "x") -> dict[str, Any]:
    return event("create", BUCKET, name, new={"bucket": name})


@pytest.mark.parametrize(
    ("now", "told"),
    [
        pytest.param([create(), update("1024")], None, id="the same, in another order"),
        pytest.param([update("1024")], "reviewed, and not to be done any more: create aws:s3:Bucket x", id="one less"),
        pytest.param(
            [update("1024"), create(), create("y")], "not reviewed: create aws:s3:Bucket y", id="one that is new"
        ),
        pytest.param(
            [update("2048"), create()],
            "has other values than the reviewed: update aws:ecs:TaskDefinition train-task  [memory]",
            id="another value",
        ),
        pytest.param(
            [update("1024", ("cpu", "memory")), create()],
            "was to update aws:ecs:TaskDefinition train-task  [memory], "
            "now to update aws:ecs:TaskDefinition train-task  [cpu, memory]",
            id="another property",
        ),
        pytest.param(
            [event("delete", TASK, "train-task", old={"memory": "512"}), create()],
            "was to update aws:ecs:TaskDefinition train-task  [memory], "
            "now to delete aws:ecs:TaskDefinition train-task",
            id="another operation",
        ),
    ],
)
def test_only_what_was_reviewed_is_done(tmp_path: Path, now: list[dict[str, Any]], told: str | None) -> None:
    file = tmp_path / "lists" / "reviewed.json"
    saved_plan.save(plan(update("1024"), create()), file)
    if told is None:
        saved_plan.expect(plan(*now), file)
        return
    with pytest.raises(HerdError) as refused:
        saved_plan.expect(plan(*now), file)
    lines = str(refused.value).splitlines()
    assert lines[0] == "nothing was done: the list of changes is not the reviewed one any more"
    assert lines[1:-1] == [f"    {told}"]


def test_a_list_of_another_environment_is_refused(tmp_path: Path) -> None:
    saved_plan.save(plan(create(), environment="prod"), tmp_path / "prod.json")
    with pytest.raises(WrongInput, match="is of herd/prod, not of herd/dev"):
        saved_plan.expect(plan(create()), tmp_path / "prod.json")


@pytest.mark.parametrize(
    "text", ["", "{}", "[]", '{"schema": 1}', '{"schema": 1, "changes": [{"x": 1}]}', '{"schema": 9, "changes": []}']
)
def test_what_is_no_list_is_refused_before_anything_starts(cli: Any, tmp_path: Path, text: str) -> None:
    (tmp_path / "list.json").write_text(text)
    result = cli("up", "--expect", str(tmp_path / "list.json"))
    assert (result.exit_code, str(tmp_path / "list.json") in result.stderr) == (2, True)
    assert cli("up", "--expect", str(tmp_path / "none.json")).exit_code == 2


def test_the_list_has_no_value_of_any_property_and_does_not_depend_on_the_place() -> None:
    first = plan(event("create", BUCKET, "x", new={"a": "hunter2", "path": "/checkout/here"}))
    second = Plan("herd", "dev", Path("/elsewhere"))
    second.add(event("create", BUCKET, "x", new={"path": "/elsewhere/here", "a": "hunter2"}))
    assert saved_plan.as_json(first) == saved_plan.as_json(second)
    assert "hunter2" not in json.dumps(saved_plan.as_json(first))


@pytest.mark.parametrize(
    ("folder", "hash_", "same"), [("/opt/herd", "aa", True), ("/usr/lib/herd", "aa", True), ("/opt/herd", "bb", False)]
)
def test_a_file_is_what_it_holds_wherever_it_lies(folder: str, hash_: str, same: bool) -> None:
    def made(folder: str, hash_: str) -> Plan:
        file = {SIGNATURE: ASSET, "hash": hash_, "path": f"{folder}/call.py"}
        code = {SIGNATURE: ARCHIVE, "hash": f"of {hash_}", "assets": {"call.py": file}}
        return plan(event("create", "aws:lambda/function:Function", "x", new={"code": code, "path": "/a"}))

    assert (saved_plan.listed(made(folder, hash_)) == saved_plan.listed(made("/opt/herd", "aa"))) is same


def test_components_and_what_stays_are_no_changes() -> None:
    made = plan(
        event("create", "herd:infra:Job", "train", new={}, custom=False),
        event("same", BUCKET, "x", old={}, new={}),
        event("create-replacement", BUCKET, "y", old={}, new={}),
        event("create", "pulumi:providers:aws", "default", new={}),
    )
    assert made.steps == []


def test_whether_only_rules_stand_in_the_way() -> None:
    rule = {"policyEvent": {"policyName": "x", "enforcementLevel": "mandatory", "message": "no"}}
    error = {"diagnosticEvent": {"severity": "error", "message": "no such file", "urn": ""}}
    assert [plan(*events).only_refused for events in ([], [rule], [error], [rule, error])] == [
        False,
        True,
        False,
        False,
    ]
