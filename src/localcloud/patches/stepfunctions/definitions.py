"""What ValidateStateMachineDefinition says of a definition: the language, where states lead, what integrations know.

Codes and places are AWS's (API_ValidateStateMachineDefinition in the API reference); messages are in its manner. What
it cannot know here is which fields Step Functions' own copies of the services' models lack.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import botocore.session
from botocore.exceptions import UnknownServiceError
from moto.stepfunctions.parser.asl.antlr.runtime.ASLLexer import ASLLexer  # noqa: F401 - loads the grammar first
from moto.stepfunctions.parser.asl.parse.asl_parser import AmazonStateLanguageParser, ASLParserException

from localcloud.patches.stepfunctions import state_rules

MOST_CHARACTERS = 1024 * 1024
"""Source: "Quotas related to state machines", Step Functions developer guide."""

TYPES = ("Choice", "Fail", "Map", "Parallel", "Pass", "Succeed", "Task", "Wait")
ENDS = ("Fail", "Succeed")

SDK = re.compile(r"arn:[\w-]+:states:::aws-sdk:(?P<service>\w+):(?P<action>\w+)(?:\.waitForTaskToken)?")
OPTIMIZED = re.compile(
    r"arn:[\w-]+:states:::(?P<service>dynamodb|ecs|lambda|sns|sqs|states):(?P<action>\w+)(?:\.\w+(?::2)?)?"
)
SERVICES = {"cloudwatchlogs": "logs", "eventbridge": "events", "sfn": "stepfunctions", "states": "stepfunctions"}
"""Service as integrations spell it -> as botocore does, where they differ."""

State = Mapping[str, Any]


@dataclass(frozen=True)
class Diagnostic:
    """One finding; `location` is a JSON pointer into the definition."""

    severity: str
    code: str
    message: str
    location: str = ""

    def diagnostic(self) -> dict[str, str]:
        return {key: value for key, value in vars(self).items() if value}


def diagnose(definition: str, *, language: bool = True) -> list[Diagnostic]:
    """All that is wrong with a definition. Without `language` its grammar is left to whoever makes the machine."""
    if len(definition) > MOST_CHARACTERS:
        return [_error("SCHEMA_VALIDATION_FAILED", f"the definition has more than {MOST_CHARACTERS} characters")]
    try:
        document = json.loads(definition)
    except ValueError as error:
        return [_error("INVALID_JSON_DESCRIPTION", str(error))]
    if not isinstance(document, dict):
        return [_error("INVALID_JSON_DESCRIPTION", "the definition is no object")]
    query_language = str(document.get("QueryLanguage") or "JSONPath")
    problems = list(_scope(document, "", {}, query_language))
    if language and not problems:
        try:
            AmazonStateLanguageParser.parse(definition)
        except ASLParserException as error:
            problems = [_error("SCHEMA_VALIDATION_FAILED", str(error.errors[0] if error.errors else error))]
        except Exception as error:  # the interpreter's own objections have no class of their own
            problems = [_error("SCHEMA_VALIDATION_FAILED", str(error))]
    return problems


def _error(code: str, message: str, location: str = "") -> Diagnostic:
    return Diagnostic("ERROR", code, message, location)


def _scope(scope: State, place: str, seen: dict[str, str], language: str) -> Iterator[Diagnostic]:
    """A machine, a branch or an item processor. `seen`: names of states so far, unique in a whole machine."""
    states, first = scope.get("States"), scope.get("StartAt")
    if not isinstance(states, dict) or not states or not all(isinstance(state, dict) for state in states.values()):
        yield _error("SCHEMA_VALIDATION_FAILED", "States must be an object of states", f"{place}/States")
        return
    if first not in states:
        yield _error("MISSING_TRANSITION_TARGET", f"Missing 'StartAt' target: {first}", f"{place}/StartAt")
    reached = {first}
    for name, state in states.items():
        where = f"{place}/States/{_escaped(name)}"
        if name in seen:
            yield _error("DUPLICATE_STATE_NAME", f"Duplicate State name: {name}", where)
        seen[name] = where
        yield from _state(state, where, states, seen, language)
        reached |= set(_followers(state).values())
    for name in states.keys() - reached:
        message = f'State "{name}" is not reachable.'
        yield _error("MISSING_TRANSITION_TARGET", message, f"{place}/States/{_escaped(name)}")


def _state(state: State, where: str, states: State, seen: dict[str, str], language: str) -> Iterator[Diagnostic]:
    kind = state.get("Type")
    if kind not in TYPES:
        message = f"Type must be one of {', '.join(TYPES)}, not {kind!r}"
        yield _error("SCHEMA_VALIDATION_FAILED", message, f"{where}/Type")
        return
    if len(where.rsplit("/", 1)[-1]) > 80:
        yield _error("SCHEMA_VALIDATION_FAILED", "a state's name has at most 80 characters", where)
    for path, target in _followers(state).items():
        if target not in states:
            message = f"Missing '{path.rsplit('/', 1)[-1]}' target: {target}"
            yield _error("MISSING_TRANSITION_TARGET", message, f"{where}{path}")
    leaves = state.get("End") is True or kind in ENDS
    if kind != "Choice" and leaves == ("Next" in state):
        yield _error("SCHEMA_VALIDATION_FAILED", "a state must have either Next or End", where)
    if kind == "Choice" and not state.get("Choices"):
        yield _error("SCHEMA_VALIDATION_FAILED", "Choices is missing", where)
    for below, message in state_rules.findings(state, language):
        yield _error("SCHEMA_VALIDATION_FAILED", message, f"{where}{below}")
    if kind == "Task":
        yield from _task(state, where)
    for index, branch in enumerate(state.get("Branches", [])):
        yield from _scope(branch, f"{where}/Branches/{index}", seen, language)
    for key in ("ItemProcessor", "Iterator"):
        if isinstance(state.get(key), dict):
            yield from _scope(state[key], f"{where}/{key}", seen, language)


def _followers(state: State) -> dict[str, Any]:
    """Place in the state -> the state that it names."""
    followers = {f"/{key}": state[key] for key in ("Next", "Default") if key in state}
    for key in ("Choices", "Catch"):
        for index, rule in enumerate(state.get(key, [])):
            if isinstance(rule, dict) and "Next" in rule:
                followers[f"/{key}/{index}/Next"] = rule["Next"]
    return followers


def _task(state: State, where: str) -> Iterator[Diagnostic]:
    resource = state.get("Resource")
    if not isinstance(resource, str) or not resource:
        yield _error("SCHEMA_VALIDATION_FAILED", "Resource is missing", where)
        return
    if not resource.startswith(("arn:", "{%")):
        yield _error("SCHEMA_VALIDATION_FAILED", "Value is not a valid resource ARN", f"{where}/Resource")
        return
    match = SDK.fullmatch(resource) or OPTIMIZED.fullmatch(resource)
    if match is None:
        return
    fields = _fields(SERVICES.get(match["service"], match["service"]), match["action"])
    if fields is None:
        message = f"The resource provided {resource} is not recognized."
        yield _error("SCHEMA_VALIDATION_FAILED", message, f"{where}/Resource")
        return
    parameters = state.get("Parameters")
    if not isinstance(parameters, dict):  # the state's whole input is handed over
        return
    named = {name.removesuffix(".$") for name in parameters}
    for name in sorted(name for name, is_required in fields.items() if is_required and name not in named):
        message = f"The field '{name}' is required but was missing"
        yield _error("SCHEMA_VALIDATION_FAILED", message, f"{where}/Parameters")
    for name in parameters:
        if name.removesuffix(".$") not in fields:
            message = f"The field '{name.removesuffix('.$')}' is not supported by Step Functions"
            yield _error("SCHEMA_VALIDATION_FAILED", message, f"{where}/Parameters")


@cache
def _fields(service: str, action: str) -> Mapping[str, bool] | None:
    """What an operation takes, as integrations spell it, and whether it must; None if there is no such operation."""
    try:
        model = botocore.session.get_session().get_service_model(service)
    except UnknownServiceError:
        return None
    name = next((name for name in model.operation_names if name[:1].lower() + name[1:] == action), None)
    if name is None:
        return None
    shape = model.operation_model(name).input_shape
    needed = shape.required_members if shape else ()
    generated = (
        {name for name, member in shape.members.items() if member.metadata.get("idempotencyToken")} if shape else ()
    )
    return {
        member[:1].upper() + member[1:]: member in needed and member not in generated
        for member in (shape.members if shape else {})
    }


def _escaped(name: str) -> str:
    """A part of a JSON pointer (RFC 6901)."""
    return name.replace("~", "~0").replace("/", "~1")
