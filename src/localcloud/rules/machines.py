"""Step Functions: names. What a machine's role must be able to do is judged by `localcloud/iam`."""

from __future__ import annotations

import json
import re

from localcloud import backends
from localcloud.patches.stepfunctions.definitions import diagnose
from localcloud.request import Call, Refused

NAME = re.compile(r"[^\s<>{}\[\]?*\"#%\\^|~`$&,;:/]{1,80}")

ROLE = re.compile(r"arn:[\w-]+:iam::\d{12}:role/.+")
CHANGEABLE = {"definition", "roleArn", "loggingConfiguration", "encryptionConfiguration", "tracingConfiguration"}
WAITING = re.compile(r':states:::[\w:-]+(\.sync|\.waitForTaskToken)(?::2)?"')


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


def settings_are_valid(asked: Call) -> None:
    """A role's ARN, a log group where there is to be a log, no waiting in an express machine; and something to change.

    Source: CreateStateMachine and UpdateStateMachine, Step Functions API reference.
    """
    arguments = asked.arguments
    role = arguments.get("roleArn")
    if role is not None and not ROLE.fullmatch(str(role)):
        raise Refused("InvalidArn", f"Invalid Role Arn: '{role}'")
    logging = arguments.get("loggingConfiguration") or {}
    if logging.get("level", "OFF") != "OFF" and not logging.get("destinations"):
        raise Refused("InvalidLoggingConfiguration", "Logging Configuration: a destination must be specified.")
    if len(logging.get("destinations") or []) > 1:
        raise Refused("InvalidLoggingConfiguration", "Logging Configuration: at most one destination is allowed.")
    if asked.operation == "UpdateStateMachine" and not CHANGEABLE & arguments.keys():
        message = "Either the definition, the role ARN, the LoggingConfiguration, the EncryptionConfiguration or the "
        raise Refused("MissingRequiredParameter", f"{message}TracingConfiguration must be specified")
    waiting = WAITING.search(asked.text("definition"))
    if arguments.get("type") == "EXPRESS" and waiting:
        message = f"Express state machine does not support '{waiting[1]}' service integration"
        raise Refused("InvalidDefinition", f"Invalid State Machine Definition: '{message}'")


def input_is_json(asked: Call) -> None:
    """An execution's input is JSON."""
    try:
        json.loads(asked.text("input") or "{}")
    except ValueError as error:
        raise Refused("InvalidExecutionInput", f"Invalid State Machine Execution Input: '{error}'") from None


def is_new(asked: Call) -> None:
    """A state machine's name is taken, unless the very same one is made again."""
    for machine in backends.stepfunctions(asked.account, asked.region).state_machines:
        if machine.name == asked.arguments.get("name") and (
            machine.definition != asked.arguments.get("definition") or machine.roleArn != asked.arguments.get("roleArn")
        ):
            raise Refused("StateMachineAlreadyExists", f"State Machine Already Exists: '{machine.arn}'")
