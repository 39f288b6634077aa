"""What the fields of a state may hold, by the Amazon States Language, which the interpreter's grammar leaves open.

Sources: https://states-language.net/spec.html and "Amazon States Language" in the Step Functions developer guide. Each
finding is a place below the state and a sentence.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

Value = Any
State = Mapping[str, Any]
Finding = tuple[str, str]

COMMON = {"Type", "Comment", "QueryLanguage", "Assign"}
FLOW = COMMON | {"Next", "End", "InputPath", "OutputPath", "Output"}
RESULTS = FLOW | {"Parameters", "ResultSelector", "ResultPath", "Retry", "Catch", "Arguments"}
FIELDS: Mapping[str, set[str]] = {
    "Pass": FLOW | {"Parameters", "Result", "ResultPath"},
    "Task": RESULTS
    | {"Resource", "TimeoutSeconds", "TimeoutSecondsPath", "HeartbeatSeconds", "HeartbeatSecondsPath", "Credentials"},
    "Choice": COMMON | {"InputPath", "OutputPath", "Output", "Choices", "Default"},
    "Wait": FLOW | {"Seconds", "SecondsPath", "Timestamp", "TimestampPath"},
    "Succeed": COMMON | {"InputPath", "OutputPath", "Output"},
    "Fail": COMMON | {"Error", "ErrorPath", "Cause", "CausePath"},
    "Parallel": RESULTS | {"Branches"},
    "Map": RESULTS
    | {"ItemProcessor", "Iterator", "Items", "ItemsPath", "ItemSelector", "ItemReader", "ItemBatcher", "ResultWriter"}
    | {"MaxConcurrency", "MaxConcurrencyPath", "Label", "ToleratedFailureCount", "ToleratedFailureCountPath"}
    | {"ToleratedFailurePercentage", "ToleratedFailurePercentagePath"},
}
"""Type of a state -> the fields that it may have."""

PATH = re.compile(r"\$.*")
REFERENCE = re.compile(r"\$(?:\.[^\s.\[\]*@,:?]+|\[(?:\d+|'[^']*'|\"[^\"]*\")\])*")
TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)")
DYNAMIC = re.compile(r"(?:\$|States\.).*", re.DOTALL)
MOST = 99_999_999


def _is_number(value: Value) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_count(value: Value, least: int = 0) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= MOST


def _is_path(value: Value) -> bool:
    return isinstance(value, str) and PATH.fullmatch(value) is not None


OPERANDS: Mapping[str, tuple[Callable[[Value], bool], str]] = {
    "String": (lambda value: isinstance(value, str), "a text"),
    "Numeric": (_is_number, "a number"),
    "Boolean": (lambda value: isinstance(value, bool), "true or false"),
    "Timestamp": (lambda value: isinstance(value, str) and TIMESTAMP.fullmatch(value) is not None, "a timestamp"),
    "Is": (lambda value: isinstance(value, bool), "true or false"),
}
"""How a comparison's name begins -> what it compares with."""
COMPARISON = re.compile(r"(String|Numeric|Boolean|Timestamp|Is)\w+")


def findings(state: State, language: str) -> Iterator[Finding]:
    """All that is wrong with a state's own fields. `language`: JSONPath or JSONata."""
    kind = str(state.get("Type"))
    language = str(state.get("QueryLanguage") or language)
    for name in sorted(state.keys() - FIELDS[kind]):
        yield f"/{name}", f"Field is not supported in a {kind} state"
    if language == "JSONPath":
        yield from _paths(state)
        yield from _payloads(state)
    yield from _limits(state, language)
    yield from _errors(state)
    match kind:
        case "Choice":
            for index, rule in enumerate(state.get("Choices") or []):
                yield from _rule(rule, f"/Choices/{index}", language, is_top=True)
        case "Wait":
            yield from _wait(state, language)
        case "Map" if not isinstance(state.get("ItemProcessor", state.get("Iterator")), dict):
            yield "", "ItemProcessor is missing"
        case "Parallel" if not state.get("Branches"):
            yield "", "Branches is missing"
        case "Fail":
            for name in ("Error", "Cause"):
                if {name, f"{name}Path"} <= state.keys():
                    yield f"/{name}Path", f"{name} and {name}Path exclude each other"


def _paths(state: State) -> Iterator[Finding]:
    for name in ("InputPath", "OutputPath", "ItemsPath", "SecondsPath", "TimestampPath", "TimeoutSecondsPath"):
        value = state.get(name)
        if value is not None and not _is_path(value):
            yield f"/{name}", "Value is not a valid JSONPath"
    value = state.get("ResultPath")
    if value is not None and not (isinstance(value, str) and REFERENCE.fullmatch(value)):
        yield "/ResultPath", "Value is not a Reference Path"


def _payloads(state: State) -> Iterator[Finding]:
    for name in ("Parameters", "ResultSelector", "ItemSelector"):
        yield from _payload(state.get(name), f"/{name}")


def _payload(value: Value, place: str) -> Iterator[Finding]:
    match value:
        case dict():
            for key, inner in value.items():
                if not key.endswith(".$"):
                    yield from _payload(inner, f"{place}/{key}")
                elif not isinstance(inner, str) or not DYNAMIC.fullmatch(inner):
                    yield (
                        f"{place}/{key}",
                        "The value for the field must be a valid JSONPath or a valid intrinsic function",
                    )
        case list():
            for index, inner in enumerate(value):
                yield from _payload(inner, f"{place}/{index}")


def _limits(state: State, language: str) -> Iterator[Finding]:
    for name in ("TimeoutSeconds", "HeartbeatSeconds"):
        value = state.get(name)
        if value is not None and not _is_count(value, 1) and not _is_expression(value, language):
            yield f"/{name}", f"Value must be a whole number from 1 to {MOST}"
        if {name, f"{name}Path"} <= state.keys():
            yield f"/{name}Path", f"{name} and {name}Path exclude each other"
    limit: Value = state.get("TimeoutSeconds")
    beat: Value = state.get("HeartbeatSeconds")
    if _is_count(limit) and _is_count(beat) and beat >= limit:
        yield "/HeartbeatSeconds", "HeartbeatSeconds must be smaller than TimeoutSeconds"
    for name in ("MaxConcurrency", "ToleratedFailureCount"):
        value = state.get(name)
        if value is not None and not _is_count(value) and not _is_expression(value, language):
            yield f"/{name}", "Value must be a whole number that is not negative"
    percentage: Value = state.get("ToleratedFailurePercentage")
    is_plain = percentage is not None and not _is_expression(percentage, language)
    if is_plain and not (_is_number(percentage) and 0 <= percentage <= 100):
        yield "/ToleratedFailurePercentage", "Value must be a number from 0 to 100"


def _is_expression(value: Value, language: str) -> bool:
    return language == "JSONata" and isinstance(value, str) and value.startswith("{%") and value.endswith("%}")


def _errors(state: State) -> Iterator[Finding]:
    for name in ("Retry", "Catch"):
        entries = state.get(name)
        if not isinstance(entries, list):
            continue
        for index, entry in enumerate(entries):
            place, is_last = f"/{name}/{index}", index == len(entries) - 1
            errors = entry.get("ErrorEquals") if isinstance(entry, dict) else None
            if not isinstance(errors, list) or not errors or not all(isinstance(error, str) for error in errors):
                yield f"{place}/ErrorEquals", "ErrorEquals must be a list of names of errors"
                continue
            if "States.ALL" in errors and (len(errors) > 1 or not is_last):
                yield f"{place}/ErrorEquals", "States.ALL must appear alone and in the last entry"
            if name == "Catch" and not entry.get("Next"):
                yield place, "Next is missing"
            if name == "Retry":
                yield from _retrier(entry, place)


def _retrier(entry: State, place: str) -> Iterator[Finding]:
    for name, least in (("IntervalSeconds", 1), ("MaxAttempts", 0), ("MaxDelaySeconds", 1)):
        if name in entry and not _is_count(entry[name], least):
            yield f"{place}/{name}", f"Value must be a whole number from {least} to {MOST}"
    rate = entry.get("BackoffRate", 1)
    if not _is_number(rate) or rate < 1:
        yield f"{place}/BackoffRate", "Value must be a number of 1 or more"
    first, longest = entry.get("IntervalSeconds", 1), entry.get("MaxDelaySeconds")
    if _is_count(first) and _is_count(longest) and longest <= first:
        yield f"{place}/MaxDelaySeconds", "MaxDelaySeconds must be greater than IntervalSeconds"
    if entry.get("JitterStrategy", "NONE") not in ("FULL", "NONE"):
        yield f"{place}/JitterStrategy", "Value must be FULL or NONE"


def _rule(rule: Value, place: str, language: str, *, is_top: bool) -> Iterator[Finding]:
    if not isinstance(rule, dict):
        yield place, "A choice rule must be an object"
        return
    if is_top != bool(rule.get("Next")):
        yield place, "Next is missing" if is_top else "Next is allowed in the outermost rule only"
    if language == "JSONata":
        if "Condition" not in rule:
            yield place, "Condition is missing"
        return
    for name in ("And", "Or"):
        if name in rule:
            inner = rule[name]
            if not isinstance(inner, list) or not inner:
                yield f"{place}/{name}", "Value must be a list of rules, not empty"
                return
            for index, one in enumerate(inner):
                yield from _rule(one, f"{place}/{name}/{index}", language, is_top=False)
            return
    if "Not" in rule:
        yield from _rule(rule["Not"], f"{place}/Not", language, is_top=False)
        return
    yield from _comparison(rule, place)


def _comparison(rule: State, place: str) -> Iterator[Finding]:
    if not _is_path(rule.get("Variable")):
        yield f"{place}/Variable", "Value is not a valid JSONPath"
    names: Sequence[str] = [name for name in rule if COMPARISON.fullmatch(name)]
    if len(names) != 1:
        yield place, "A choice rule must have exactly one comparison operator"
        return
    (name,) = names
    is_allowed, words = (_is_path, "a JSONPath") if name.endswith("Path") else OPERANDS[COMPARISON.fullmatch(name)[1]]  # type: ignore[index]
    if not is_allowed(rule[name]):
        yield f"{place}/{name}", f"Value must be {words}"


def _wait(state: State, language: str) -> Iterator[Finding]:
    ways = [name for name in ("Seconds", "SecondsPath", "Timestamp", "TimestampPath") if name in state]
    if len(ways) != 1:
        yield "", "A Wait state must have exactly one of Seconds, SecondsPath, Timestamp and TimestampPath"
        return
    (way,) = ways
    if _is_expression(state[way], language):
        return
    if way == "Seconds" and not _is_count(state[way]):
        yield "/Seconds", f"Value must be a whole number from 0 to {MOST}"
    if way == "Timestamp" and not OPERANDS["Timestamp"][0](state[way]):
        yield "/Timestamp", "Value must be a timestamp of RFC 3339 with a capital T"
