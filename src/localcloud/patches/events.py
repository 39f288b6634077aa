"""EventBridge: AWS's pattern matching, and delivery left to the agent, target by target."""

from __future__ import annotations

import json
from functools import wraps
from typing import Any

from jsonpath_ng.ext import parse
from moto.core.utils import iso_8601_datetime_without_milliseconds, utcfromtimestamp
from moto.events import models

from localcloud.patches import hooks

Pattern = models.EventPattern
_filters = Pattern("", {})


def apply() -> None:
    """Match as AWS does, respect a rule's state and each target's input, and deliver through the agent."""
    Pattern.matches_event = _matches_event  # events/models.py:958
    models.Rule.send_to_targets = _send_to_targets  # events/models.py:139
    models.EventsBackend.put_own_events = models.EventsBackend.put_events
    models.EventsBackend.put_events = _put_events
    for name in ("put_rule", "delete_rule", "enable_rule", "disable_rule"):
        setattr(models.EventsBackend, name, _telling(getattr(models.EventsBackend, name)))


def _put_events(self: Any, events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    # events/models.py:1416: anybody may speak as a service of AWS's, whose events rules rely on.
    taken = [event for event in events if not str(event.get("Source", "")).startswith("aws.")]
    answers = iter(self.put_own_events(taken))
    refused = {"ErrorCode": "NotAuthorizedForSourceException", "ErrorMessage": "Not authorized for the source."}
    return [next(answers) if event in taken else refused for event in events]


def _telling(stock: Any) -> Any:
    @wraps(stock)
    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        result = stock(self, *args, **kwargs)
        listener = hooks.listener(self.account_id)
        if listener is not None:
            listener.rules_changed()
        return result

    return method


def _matches_event(pattern: Any, event: Any) -> bool:
    # The stock matcher does not descend into lists of objects (`detail.containers.exitCode`), and takes a rule that has
    # a schedule instead of a pattern for one that matches everything.
    return bool(pattern._pattern) and matches(pattern._pattern, json.loads(json.dumps(event)))


def matches(pattern: dict[str, Any], node: Any) -> bool:
    """Whether an event, or a part of it, has what the pattern asks for.

    A list of objects matches if any of them does. Source:
    https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-event-patterns.html
    """
    if isinstance(node, list):
        return any(matches(pattern, item) for item in node)
    for key, wanted in pattern.items():
        if key == "$or":
            if not any(matches(choice, node) for choice in wanted):
                return False
        elif isinstance(wanted, dict):
            if not isinstance(node, dict) or not matches(wanted, node.get(key, {})):
                return False
        else:
            value = node.get(key, models.UNDEFINED) if isinstance(node, dict) else models.UNDEFINED
            if not _filters._does_item_match_filters(_told_apart(value), [_told_apart(each) for each in wanted]):
                return False
    return True


def _told_apart(value: Any) -> Any:
    """`true` is not 1 and `false` not 0, other than in Python."""
    if isinstance(value, bool):
        return json.dumps(value) + "\0"
    return [_told_apart(each) for each in value] if isinstance(value, list) else value


def _send_to_targets(rule: Any, event: dict[str, Any], transform_input: bool = True) -> None:
    # The stock method delivers for DISABLED rules too, ignores Input and InputPath, sends no `account`, and raises for
    # targets other than queues, logs and buses, so that PutEvents itself fails.
    listener = hooks.listener(rule.account_id)
    if listener is None or rule.state == "DISABLED" or not rule.event_pattern.matches_event(event):
        return
    whole = {key: value for key, value in event.items() if key != "ingestion-time"}
    if not isinstance(whole["time"], str):
        whole["time"] = iso_8601_datetime_without_milliseconds(utcfromtimestamp(float(whole["time"])))
    for target in rule.targets:
        listener.event_matched(rule, target, render(target, whole))


def render(target: dict[str, Any], event: dict[str, Any]) -> str:
    """What a target gets of an event: its constant input, a part of the event, a template filled in, or the event."""
    if "Input" in target:
        return str(target["Input"])
    if "InputPath" in target:
        matches = parse(target["InputPath"]).find(event)
        return json.dumps(matches[0].value if matches else None)
    if "InputTransformer" in target:
        transformer = target["InputTransformer"]
        filled = models.EventTemplateParser.parse(
            transformer["InputTemplate"],
            transformer.get("InputPathsMap", {}),
            {**event, "ingestion-time": event["time"]},
        )
        return filled if isinstance(filled, str) else json.dumps(filled)
    return json.dumps(event)
