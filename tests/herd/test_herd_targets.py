"""What differs between the laptop and AWS is a target's own to say."""

from __future__ import annotations

import ast
from pathlib import Path

import herd
from herd.targets.aws import AwsTarget
from herd.targets.local import LocalTarget
from herd.targets.target import Target

HERD = Path(herd.__file__).parent
KINDS = {"LocalTarget", "AwsTarget"}


def test_only_the_targets_ask_which_one_it_is() -> None:
    """Elsewhere an attribute of the target says what matters, or a function is registered for the kind."""
    asking = []
    for file in HERD.rglob("*.py"):
        if file.parent == HERD / "targets":
            continue
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "isinstance":
                names = {each.id for each in ast.walk(node.args[1]) if isinstance(each, ast.Name)}
                asking += [f"{file.relative_to(HERD)}:{node.lineno}"] if names & KINDS else []
    assert asking == []


def test_both_say_all_that_differs() -> None:
    declared = set(Target.__annotations__) | {"is_shared"}
    for kind in (LocalTarget, AwsTarget):
        assert all(hasattr(kind, name) for name in declared)
        assert not kind.__abstractmethods__
    assert LocalTarget.pace.poll < AwsTarget.pace.poll and LocalTarget.pace.healthy < AwsTarget.pace.healthy
