"""Filter policies: which messages a subscription accepts."""

from __future__ import annotations

import json
from typing import Any

import pytest

from localcloud.patches.sns.filters import accepts


def text(value: str) -> dict[str, str]:
    return {"Type": "String", "Value": value}


def texts(*values: Any) -> dict[str, str]:
    return {"Type": "String.Array", "Value": json.dumps(values)}


def number(value: float) -> dict[str, str]:
    return {"Type": "Number", "Value": str(value)}


IN_ATTRIBUTES: dict[str, tuple[Any, dict[str, Any], bool]] = {
    "one of several texts": ({"to": ["a", "b"]}, {"to": text("b")}, True),
    "none of several texts": ({"to": ["a", "b"]}, {"to": text("c")}, False),
    "a part of a text": ({"to": ["a"]}, {"to": text("ab")}, False),
    "one of a list": ({"to": ["b@x.org"]}, {"to": texts("a@x.org", "b@x.org")}, True),
    "none of a list": ({"to": ["c@x.org"]}, {"to": texts("a@x.org", "b@x.org")}, False),
    "an empty list": ({"to": ["a"]}, {"to": texts()}, False),
    "a list that is none": ({"to": ["a"]}, {"to": {"Type": "String.Array", "Value": "[a"}}, False),
    "all names have to match": ({"to": ["a"], "kind": ["x"]}, {"to": text("a")}, False),
    "no attributes": ({"to": ["a"]}, {}, False),
    "an attribute that nobody asks for": ({"to": ["a"]}, {"to": text("a"), "kind": text("x")}, True),
    "a number is no text": ({"n": ["5"]}, {"n": number(5)}, False),
    "a text is no number": ({"n": [5]}, {"n": text("5")}, False),
    "a number": ({"n": [5]}, {"n": number(5.0)}, True),
    "a number of a list": ({"n": [5]}, {"n": texts(1, 5)}, True),
    "prefix": ({"to": [{"prefix": "a"}]}, {"to": text("ab")}, True),
    "no prefix": ({"to": [{"prefix": "b"}]}, {"to": text("ab")}, False),
    "prefix in a list": ({"to": [{"prefix": "b"}]}, {"to": texts("a", "bc")}, True),
    "suffix": ({"to": [{"suffix": "@x.org"}]}, {"to": text("a@x.org")}, True),
    "no suffix": ({"to": [{"suffix": "@x.org"}]}, {"to": text("a@x.org.evil")}, False),
    "case does not matter": ({"to": [{"equals-ignore-case": "A@x.org"}]}, {"to": text("a@X.ORG")}, True),
    "case matters": ({"to": ["A@x.org"]}, {"to": text("a@X.ORG")}, False),
    "anything but": ({"to": [{"anything-but": ["a", "b"]}]}, {"to": text("c")}, True),
    "not anything but": ({"to": [{"anything-but": ["a", "b"]}]}, {"to": text("b")}, False),
    "anything but one": ({"to": [{"anything-but": "a"}]}, {"to": text("a")}, False),
    "anything but, one of a list": ({"to": [{"anything-but": ["a"]}]}, {"to": texts("a", "c")}, True),
    "anything but, all of a list": ({"to": [{"anything-but": ["a"]}]}, {"to": texts("a", "a")}, False),
    "anything but, absent": ({"to": [{"anything-but": ["a"]}]}, {}, False),
    "anything but a prefix": ({"to": [{"anything-but": {"prefix": "a"}}]}, {"to": text("ab")}, False),
    "anything but a suffix": ({"to": [{"anything-but": {"suffix": "b"}}]}, {"to": text("ac")}, True),
    "anything but a number": ({"n": [{"anything-but": [5]}]}, {"n": number(6)}, True),
    "a range": ({"n": [{"numeric": [">", 0, "<=", 10]}]}, {"n": number(10)}, True),
    "outside of a range": ({"n": [{"numeric": [">", 0, "<=", 10]}]}, {"n": number(0)}, False),
    "equal": ({"n": [{"numeric": ["=", 0.5]}]}, {"n": number(0.5)}, True),
    "a range of a text": ({"n": [{"numeric": [">", 0]}]}, {"n": text("5")}, False),
    "exists": ({"to": [{"exists": True}]}, {"to": {"Type": "Binary", "Value": "eA=="}}, True),
    "exists not": ({"to": [{"exists": True}]}, {}, False),
    "has to be absent": ({"to": [{"exists": False}]}, {}, True),
    "is not absent": ({"to": [{"exists": False}]}, {"to": text("a")}, False),
    "absent or a": ({"to": [{"exists": False}, "a"]}, {"to": text("a")}, True),
    "either of two": ({"$or": [{"to": ["a"]}, {"kind": ["x"]}]}, {"kind": text("x")}, True),
    "neither of two": ({"$or": [{"to": ["a"]}, {"kind": ["x"]}]}, {"kind": text("y")}, False),
    "either of two, and": ({"$or": [{"to": ["a"]}, {"kind": ["x"]}], "n": [1]}, {"kind": text("x")}, False),
}


@pytest.mark.parametrize("name", IN_ATTRIBUTES)
def test_a_policy_on_attributes(name: str) -> None:
    policy, attributes, accepted = IN_ATTRIBUTES[name]
    assert accepts(policy, "MessageAttributes", attributes, "{}") is accepted


IN_BODY: dict[str, tuple[Any, Any, bool]] = {
    "a text": ({"source": ["aws.ecs"]}, {"source": "aws.ecs"}, True),
    "deeper": ({"detail": {"state": [{"prefix": "FA"}]}}, {"detail": {"state": "FAILED"}}, True),
    "deeper, absent": ({"detail": {"state": ["x"]}}, {"detail": {}}, False),
    "deeper, and it is a text": ({"detail": {"state": ["x"]}}, {"detail": "x"}, False),
    "in a list of objects": ({"of": {"n": [2]}}, {"of": [{"n": 1}, {"n": 2}]}, True),
    "a truth value": ({"ok": [True]}, {"ok": True}, True),
    "one is not true": ({"ok": [True]}, {"ok": 1}, False),
    "nothing": ({"ok": [None]}, {"ok": None}, True),
    "no object": ({"ok": [True]}, [True], False),
}


@pytest.mark.parametrize("name", IN_BODY)
def test_a_policy_on_the_body(name: str) -> None:
    policy, body, accepted = IN_BODY[name]
    assert accepts(policy, "MessageBody", {}, json.dumps(body)) is accepted


def test_what_is_no_json_is_accepted_by_no_policy_on_the_body() -> None:
    assert not accepts({"a": [{"exists": False}]}, "MessageBody", {}, "{not json")
    assert accepts(None, "MessageBody", {}, "{not json")
