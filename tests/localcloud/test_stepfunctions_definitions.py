"""ValidateStateMachineDefinition says what is wrong, where, and makes nothing; CreateStateMachine refuses the same."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError
from moto.stepfunctions.parser.asl.parse.asl_parser import AmazonStateLanguageParser, ASLParserException

from localcloud import patches
from localcloud.patches.stepfunctions.language import KEPT_CHARACTERS
from localcloud.server import Server

PUT = "arn:aws:states:::aws-sdk:s3:putObject"
END = {"Type": "Pass", "End": True}


def machine(**states: Any) -> str:
    return json.dumps({"StartAt": "One", "States": states})


WRONG: dict[str, tuple[str, str, str, str]] = {
    # name -> definition, code, message, location
    "no JSON": ("{", "INVALID_JSON_DESCRIPTION", "Expecting property name", ""),
    "no object": ("[]", "INVALID_JSON_DESCRIPTION", "no object", ""),
    "no states": ('{"StartAt": "One", "States": {}}', "SCHEMA_VALIDATION_FAILED", "States must be", "/States"),
    "no such start": (machine(Other=END), "MISSING_TRANSITION_TARGET", "Missing 'StartAt' target: One", "/StartAt"),
    "no such next state": (
        machine(One={"Type": "Pass", "Next": "Two"}),
        "MISSING_TRANSITION_TARGET", "Missing 'Next' target: Two", "/States/One/Next",
    ),
    "no such state of a choice": (
        machine(One={"Type": "Choice", "Choices": [{"Variable": "$.a", "IsPresent": True, "Next": "Two"}],
                     "Default": "End"}, End=END),
        "MISSING_TRANSITION_TARGET", "Missing 'Next' target: Two", "/States/One/Choices/0/Next",
    ),
    "no such state of a catcher": (
        machine(One={"Type": "Task", "Resource": PUT, "Parameters": {"Bucket": "b", "Key": "k"}, "End": True,
                     "Catch": [{"ErrorEquals": ["States.ALL"], "Next": "Two"}]}),
        "MISSING_TRANSITION_TARGET", "Missing 'Next' target: Two", "/States/One/Catch/0/Next",
    ),
    "neither Next nor End": (machine(One={"Type": "Pass"}), "SCHEMA_VALIDATION_FAILED", "either Next or End",
                             "/States/One"),
    "a state that nothing leads to": (
        machine(One=END, **{"a/b": END}), "MISSING_TRANSITION_TARGET", 'State "a/b" is not reachable.',
        "/States/a~1b",
    ),
    "one name twice, in a branch": (
        machine(One={"Type": "Parallel", "End": True, "Branches": [{"StartAt": "One", "States": {"One": END}}]}),
        "DUPLICATE_STATE_NAME", "Duplicate State name: One", "/States/One/Branches/0/States/One",
    ),
    "a type that there is not": (machine(One={"Type": "Loop", "End": True}), "SCHEMA_VALIDATION_FAILED",
                                 "not 'Loop'", "/States/One/Type"),
    "a field that S3 does not know": (
        machine(One={"Type": "Task", "Resource": PUT, "Parameters": {"Bucket": "b", "Key": "k", "Keyy.$": "$.k"},
                     "End": True}),
        "SCHEMA_VALIDATION_FAILED", "The field 'Keyy' is not supported by Step Functions", "/States/One/Parameters",
    ),
    "an action that S3 does not know": (
        machine(One={"Type": "Task", "Resource": "arn:aws:states:::aws-sdk:s3:putThing", "End": True}),
        "SCHEMA_VALIDATION_FAILED", "aws-sdk:s3:putThing is not recognized", "/States/One/Resource",
    ),
    "a field that RunTask does not know": (
        machine(One={"Type": "Task", "Resource": "arn:aws:states:::ecs:runTask.sync", "End": True,
                     "Parameters": {"TaskDefinition": "x", "Timeout": 1}}),
        "SCHEMA_VALIDATION_FAILED", "The field 'Timeout' is not supported", "/States/One/Parameters",
    ),
    "a path that is none": (
        machine(One={"Type": "Wait", "Seconds": "ten", "End": True}), "SCHEMA_VALIDATION_FAILED", "a whole number",
        "/States/One/Seconds",
    ),
}  # fmt: skip


@pytest.fixture
def sfn(server: Server) -> Any:
    return server.client("stepfunctions")


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_said_with_its_place(sfn: Any, name: str) -> None:
    definition, code, message, location = WRONG[name]
    answer = sfn.validate_state_machine_definition(definition=definition)
    assert answer["result"] == "FAIL" and answer["truncated"] is False
    found = [one for one in answer["diagnostics"] if one.get("location", "") == location]
    assert found and found[0]["code"] == code and message in found[0]["message"], answer["diagnostics"]
    assert found[0]["severity"] == "ERROR"
    assert sfn.list_state_machines()["stateMachines"] == []


@pytest.mark.parametrize("name", [name for name in WRONG if WRONG[name][3]])
def test_a_machine_is_not_made_of_it(sfn: Any, name: str) -> None:
    role = "arn:aws:iam::123456789012:role/any"
    with pytest.raises(ClientError, match="InvalidDefinition"):
        sfn.create_state_machine(name="m", definition=WRONG[name][0], roleArn=role)


def test_what_is_right_is_ok(sfn: Any) -> None:
    answer = sfn.validate_state_machine_definition(definition=machine(One=END), type="STANDARD")
    assert (answer["result"], answer["diagnostics"]) == ("OK", [])


def test_no_more_is_said_than_was_asked_for(sfn: Any) -> None:
    definition = machine(**{name: {"Type": "Pass"} for name in ("One", "Two", "Three")})
    answer = sfn.validate_state_machine_definition(definition=definition, maxResults=2)
    assert (len(answer["diagnostics"]), answer["truncated"]) == (2, True)


def test_a_definition_is_parsed_once_and_evaluated_anew() -> None:
    patches.apply()
    text = machine(One={"Type": "Wait", "Seconds": 1, "Next": "Two"}, Two=END)
    (first, tree), (second, same) = AmazonStateLanguageParser.parse(text), AmazonStateLanguageParser.parse(text)
    assert tree is same and first is not second
    _, long = AmazonStateLanguageParser.parse(text + " " * KEPT_CHARACTERS)
    assert long is not AmazonStateLanguageParser.parse(text + " " * KEPT_CHARACTERS)[1], "it would fill the memory"
    for _ in range(2):
        with pytest.raises(ASLParserException, match="no viable|mismatched|extraneous"):
            AmazonStateLanguageParser.parse('{"StartAt": "One", "States": {"One": {"Type": "Wait", "Seconds": []}}}')
