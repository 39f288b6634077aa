"""What a change of an IAM document permits that was not permitted before."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from herd.review.iam_changes import Widening, widened


def document(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def allow(action: Any, resource: Any = "*", **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": action, "Resource": resource, **more}


def deny(action: Any, resource: Any = "*", **more: Any) -> dict[str, Any]:
    return {**allow(action, resource, **more), "Effect": "Deny"}


PREFIX = {"StringLike": {"s3:prefix": "a/*"}}
BUCKET = "arn:aws:s3:::data"


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        pytest.param([allow("s3:GetObject")], [allow("s3:GetObject")], [], id="the same"),
        pytest.param([allow(["a:B", "a:C"])], [allow("a:C"), allow("a:B")], [], id="the same, written differently"),
        pytest.param([allow("s3:*")], [allow("s3:GetObject")], [], id="narrower"),
        pytest.param([allow("S3:getobject")], [allow("s3:GetObject")], [], id="actions know no case"),
        pytest.param(
            [allow("s3:GetObject")],
            [allow(["s3:GetObject", "s3:PutObject"])],
            [Widening(("s3:PutObject",), ("*",))],
            id="an action more",
        ),
        pytest.param(
            [allow("s3:GetObject", f"{BUCKET}/a/*")],
            [allow("s3:GetObject", [f"{BUCKET}/a/*", f"{BUCKET}/b/*"])],
            [Widening(("s3:GetObject",), (f"{BUCKET}/b/*",))],
            id="a resource more",
        ),
        pytest.param(
            [allow("s3:GetObject", f"{BUCKET}/a/b")],
            [allow("s3:GetObject", f"{BUCKET}/a/*")],
            [Widening(("s3:GetObject",), (f"{BUCKET}/a/*",))],
            id="a wildcard",
        ),
        pytest.param(
            [allow("s3:Get?bject")],
            [allow("s3:Get*bject")],
            [Widening(("s3:Get*bject",), ("*",))],
            id="? does not cover *",
        ),
        pytest.param(
            [allow("s3:ListBucket", BUCKET, Condition=PREFIX)],
            [allow("s3:ListBucket", BUCKET)],
            [Widening(("s3:ListBucket",), (BUCKET,))],
            id="a condition dropped",
        ),
        pytest.param(
            [allow("s3:ListBucket", BUCKET)], [allow("s3:ListBucket", BUCKET, Condition=PREFIX)], [], id="one added"
        ),
        pytest.param(
            [allow("x:Y"), deny("x:Z")],
            [allow("x:Y")],
            [Widening(("x:Z",), ("*",), no_longer_denied=True)],
            id="a denial dropped",
        ),
        pytest.param([allow("x:Y")], [allow("x:Y"), deny("x:Z")], [], id="a denial added"),
        pytest.param(
            [],
            [{"Effect": "Allow", "Principal": {"Service": "ecs-tasks.amazonaws.com"}, "Action": "sts:AssumeRole"}],
            [Widening(("sts:AssumeRole",), ("itself",), "ecs-tasks.amazonaws.com")],
            id="who may take a role",
        ),
        pytest.param(
            [allow("s3:GetObject", BUCKET, Principal="*")],
            [allow("s3:GetObject", BUCKET, Principal={"AWS": "arn:aws:iam::1:root"})],
            [],
            id="not everybody any more",
        ),
        pytest.param(
            [allow("x:Y")],
            [{"Effect": "Allow", "NotAction": ["iam:*"], "Resource": "*"}],
            [Widening(("everything but iam:*",), ("*",))],
            id="everything but",
        ),
        pytest.param(None, [allow(["a:C", "a:B"])], [Widening(("a:B", "a:C"), ("*",))], id="a new document"),
    ],
)
def test_what_is_wider(old: list[dict[str, Any]] | None, new: list[dict[str, Any]], expected: list[Widening]) -> None:
    assert widened(None if old is None else document(*old), document(*new)) == expected


@pytest.mark.parametrize("text", ["not JSON", "[]", '{"Statement": [{"Effect": 3}]}', '{"Statement": ["x"]}'])
def test_what_cannot_be_read_is_said_to_be_so(text: str) -> None:
    assert widened(None, text) is None


ACTIONS = st.sampled_from(["s3:GetObject", "s3:Get*", "s3:*", "*", "s3:PutObject", "ecs:RunTask"])
STATEMENTS = st.lists(st.builds(allow, ACTIONS, st.sampled_from(["*", "a/*", "a/b", "c"])), max_size=4)


@given(STATEMENTS, STATEMENTS)
def test_leaving_statements_out_is_never_wider_and_nothing_is_missed(
    some: list[dict[str, Any]], more: list[dict[str, Any]]
) -> None:
    assert widened(document(*some, *more), document(*some)) == []
    found = widened(document(*some), document(*some, *more))
    assert found is not None
    listed = [allow(action, resource) for entry in found for action in entry.actions for resource in entry.resources]
    # With what is said to be new, the old document is as wide as the new one.
    assert widened(document(*some, *listed), document(*some, *more)) == []
