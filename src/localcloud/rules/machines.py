"""Step Functions: names. What a machine's role must be able to do is judged by `localcloud/iam`."""

from __future__ import annotations

import re

from localcloud import backends
from localcloud.patches.stepfunctions.definitions import diagnose
from localcloud.request import Call, Refused

NAME = re.compile(r"[^\s<>{}\[\]?*\"#%\\^|~`$&,;:/]{1,80}")


def name_is_valid(asked: Call) -> None:
    """Up to 80 characters, without those that mean something elsewhere."""
    name = asked.text("name")
    if name and not NAME.fullmatch(name):
        raise Refused("InvalidName", f"Invalid Name: '{name}' must satisfy the pattern {NAME.pattern}")


def definition_is_valid(asked: Call) -> None:
    """States lead to states, and integrations take what is handed to them; the grammar is the interpreter's."""
    definition = asked.text("definition")
    problems = diagnose(definition, language=False) if definition else []
    if problems:
        words = "; ".join(f"{one.code}: {one.message} at {one.location}" for one in problems)
        raise Refused("InvalidDefinition", f"Invalid State Machine Definition: '{words}'")


def is_new(asked: Call) -> None:
    """A state machine's name is taken, unless the very same one is made again."""
    for machine in backends.stepfunctions(asked.account, asked.region).state_machines:
        if machine.name == asked.arguments.get("name") and (
            machine.definition != asked.arguments.get("definition") or machine.roleArn != asked.arguments.get("roleArn")
        ):
            raise Refused("StateMachineAlreadyExists", f"State Machine Already Exists: '{machine.arn}'")
