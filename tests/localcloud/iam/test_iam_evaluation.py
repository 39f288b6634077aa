"""The decision as AWS documents it, from documents alone. Sources: IAM user guide, the pages named in the modules."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localcloud.iam import conditions, documents
from localcloud.iam.evaluation import Access, Policies, Who, Why, decide
from localcloud.iam.patterns import arn_like, like
from tests.localcloud.iam.acting import allow, deny, document

ROLE = "arn:aws:iam::111122223333:role/team/r"
SESSION = "arn:aws:sts::111122223333:assumed-role/r/s"
WHO = Who(arn=SESSION, role=ROLE, account="111122223333")
ROOT = "arn:aws:iam::111122223333:root"
GET = Access("s3:GetObject", "arn:aws:s3:::b/a/x")


def read(*statements: dict[str, Any]) -> documents.Document:
    return documents.read(document(*statements))


def by(principal: Any, statement: dict[str, Any]) -> dict[str, Any]:
    return {**statement, "Principal": principal}


YES, NO = allow("s3:GetObject", "arn:aws:s3:::b/*"), deny("s3:GetObject", "arn:aws:s3:::b/*")
OTHER = allow("s3:PutObject")
EVERYONE = by("*", YES)

LOGIC: dict[str, tuple[dict[str, Any], Why]] = {
    "nothing allows": ({}, Why.NOT_IN_IDENTITY),
    "identity allows": ({"identity": [[YES]]}, Why.ALLOWED),
    "one of several policies allows": ({"identity": [[OTHER], [YES]]}, Why.ALLOWED),
    "identity denies what it allows": ({"identity": [[YES, NO]]}, Why.DENIED_BY_IDENTITY),
    "another policy denies": ({"identity": [[YES], [NO]]}, Why.DENIED_BY_IDENTITY),
    "boundary allows too": ({"identity": [[YES]], "boundary": [YES]}, Why.ALLOWED),
    "boundary does not allow": ({"identity": [[YES]], "boundary": [OTHER]}, Why.NOT_IN_BOUNDARY),
    "boundary alone allows": ({"boundary": [YES]}, Why.NOT_IN_IDENTITY),
    "boundary denies": ({"identity": [[YES]], "boundary": [YES, NO]}, Why.DENIED_BY_BOUNDARY),
    "an empty boundary allows nothing": ({"identity": [[YES]], "boundary": []}, Why.NOT_IN_BOUNDARY),
    "session policy allows too": ({"identity": [[YES]], "session": [YES]}, Why.ALLOWED),
    "session policy does not allow": ({"identity": [[YES]], "session": [OTHER]}, Why.NOT_IN_SESSION),
    "session policy denies": ({"identity": [[YES]], "session": [YES, NO]}, Why.DENIED_BY_SESSION),
    "resource allows the role": ({"resource": [by({"AWS": ROLE}, YES)]}, Why.ALLOWED),
    "resource allows everyone": ({"resource": [EVERYONE]}, Why.ALLOWED),
    "resource allows the session": ({"resource": [by({"AWS": SESSION}, YES)]}, Why.ALLOWED),
    "resource allows another role": ({"resource": [by({"AWS": ROLE + "2"}, YES)]}, Why.NOT_IN_IDENTITY),
    "resource allows the account: that is no grant": ({"resource": [by({"AWS": ROOT}, YES)]}, Why.NOT_IN_IDENTITY),
    "resource allows another account": ({"resource": [by({"AWS": "999988887777"}, YES)]}, Why.NOT_IN_IDENTITY),
    "resource allows a service": ({"resource": [by({"Service": "s3.amazonaws.com"}, YES)]}, Why.NOT_IN_IDENTITY),
    "resource denies everyone": ({"identity": [[YES]], "resource": [by("*", NO)]}, Why.DENIED_BY_RESOURCE),
    "resource denies the role": ({"identity": [[YES]], "resource": [by({"AWS": ROLE}, NO)]}, Why.DENIED_BY_RESOURCE),
    "resource denies the account": ({"identity": [[YES]], "resource": [by({"AWS": ROOT}, NO)]}, Why.DENIED_BY_RESOURCE),
    "resource denies another role": ({"identity": [[YES]], "resource": [by({"AWS": ROLE + "2"}, NO)]}, Why.ALLOWED),
    "resource denies everyone but the role": (
        {"identity": [[YES]], "resource": [{**NO, "NotPrincipal": {"AWS": [ROLE, ROOT]}}]},
        Why.ALLOWED,
    ),
    "resource denies everyone but another": (
        {"identity": [[YES]], "resource": [{**NO, "NotPrincipal": {"AWS": ROLE + "2"}}]},
        Why.DENIED_BY_RESOURCE,
    ),
    "identity denies what the resource allows": (
        {"identity": [[NO]], "resource": [EVERYONE]},
        Why.DENIED_BY_IDENTITY,
    ),
    "the boundary limits what the resource gives to the role": (
        {"boundary": [OTHER], "resource": [by({"AWS": ROLE}, YES)]},
        Why.NOT_IN_BOUNDARY,
    ),
    "the boundary does not limit what the resource gives to the session": (
        {"boundary": [OTHER], "resource": [by({"AWS": SESSION}, YES)]},
        Why.ALLOWED,
    ),
    "a key that says nothing": ({"identity": [[YES]], "decides": True}, Why.NOT_IN_RESOURCE),
    "a key that leaves it to the account": (
        {"identity": [[YES]], "resource": [by({"AWS": ROOT}, YES)], "decides": True},
        Why.ALLOWED,
    ),
    "a key that leaves it to an account that does not allow": (
        {"resource": [by({"AWS": ROOT}, YES)], "decides": True},
        Why.NOT_IN_IDENTITY,
    ),
    "a key that allows the role": ({"resource": [by({"AWS": ROLE}, YES)], "decides": True}, Why.ALLOWED),
}


def policies(given: dict[str, Any]) -> Policies:
    def one(name: str) -> documents.Document | None:
        return read(*given[name]) if name in given else None

    return Policies(
        identity=tuple(read(*statements) for statements in given.get("identity", ())),
        boundary=one("boundary"),
        session=one("session"),
        resource=one("resource"),
        resource_decides=given.get("decides", False),
    )


@pytest.mark.parametrize("name", LOGIC)
def test_the_logic(name: str) -> None:
    given, why = LOGIC[name]
    assert decide(GET, WHO, policies(given), {}).why is why


@pytest.mark.parametrize(
    ("statement", "covered"),
    [
        (allow("*"), True),
        (allow("s3:*"), True),
        (allow("S3:getobject"), True),
        (allow("s3:Get*"), True),
        (allow("s3:GetObjec?"), True),
        (allow("s3:GetObject*"), True),
        (allow("s3:GetObjectTagging"), False),
        (allow("s3:Get"), False),
        (allow(["s3:PutObject", "s3:GetObject"]), True),
        ({"Effect": "Allow", "NotAction": "s3:PutObject", "Resource": "*"}, True),
        ({"Effect": "Allow", "NotAction": ["s3:Get*"], "Resource": "*"}, False),
        (allow("s3:GetObject", "arn:aws:s3:::b/a/x"), True),
        (allow("s3:GetObject", "arn:aws:s3:::b/a/*"), True),
        (allow("s3:GetObject", "arn:aws:s3:::b/*"), True),
        (allow("s3:GetObject", "arn:aws:s3:::b"), False),
        (allow("s3:GetObject", "arn:aws:s3:::*"), True),
        (allow("s3:GetObject", "arn:aws:s3:::B/a/x"), False),
        (allow("s3:GetObject", "arn:aws:s3:::b/a/?"), True),
        (allow("s3:GetObject", "arn:*:s3:::b/a/x"), True),
        (allow("s3:GetObject", ["arn:aws:s3:::c/*", "arn:aws:s3:::b/*"]), True),
        ({"Effect": "Allow", "Action": "s3:GetObject", "NotResource": "arn:aws:s3:::c/*"}, True),
        ({"Effect": "Allow", "Action": "s3:GetObject", "NotResource": "arn:aws:s3:::b/*"}, False),
    ],
)
def test_actions_and_resources(statement: dict[str, Any], covered: bool) -> None:
    assert decide(GET, WHO, Policies(identity=(read(statement),)), {}).allowed is covered


@pytest.mark.parametrize(
    ("pattern", "arn", "fits"),
    [
        ("arn:aws:ecs:*:111122223333:task/*", "arn:aws:ecs:eu-west-1:111122223333:task/c/1", True),
        ("arn:aws:ecs:*:task/*", "arn:aws:ecs:eu-west-1:111122223333:task/c/1", False),
        ("arn:aws:ecs:*", "arn:aws:ecs:eu-west-1:111122223333:task/c/1", True),
        ("arn:aws:e*:eu-west-1:111122223333:task/c/1", "arn:aws:ecs:eu-west-1:111122223333:task/c/1", True),
        ("arn:aws:logs:r:a:log-group:/g:*", "arn:aws:logs:r:a:log-group:/g:log-stream:s", True),
        ("arn:aws:logs:r:a:log-group:/g", "arn:aws:logs:r:a:log-group:/g:log-stream:s", False),
        ("arn:aws:ecs:r:a:task-definition/f:*", "arn:aws:ecs:r:a:task-definition/f:7", True),
        ("arn:aws:ecs:r:a:task-definition/f:*", "arn:aws:ecs:r:a:task-definition/ff:7", False),
        ("*", "*", True),
        ("arn:aws:s3:::b/*", "*", False),
        ("arn:aws:s3:::b/a*", "arn:aws:s3:::b/*", False),
    ],
)
def test_arns_fit_part_by_part(pattern: str, arn: str, fits: bool) -> None:
    assert arn_like(pattern, arn, {}) is fits


CONTEXT: dict[str, Any] = {
    "s3:prefix": "a/b",
    "aws:securetransport": "true",
    "aws:sourcearn": "arn:aws:ecs:eu-west-1:111122223333:*",
    "aws:sourceip": "10.1.2.3",
    "s3:max-keys": "10",
    "aws:tagkeys": ["team", "env"],
    "aws:principaltag/team": "data",
    "aws:currenttime": "2026-11-24T12:00:00Z",
    "iam:passedtoservice": "ecs-tasks.amazonaws.com",
}

CONDITIONS: list[tuple[dict[str, Any], bool]] = [
    ({"StringEquals": {"s3:prefix": "a/b"}}, True),
    ({"StringEquals": {"S3:Prefix": "a/b"}}, True),
    ({"StringEquals": {"s3:prefix": "A/b"}}, False),
    ({"StringEquals": {"s3:prefix": ["x", "a/b"]}}, True),
    ({"StringEquals": {"s3:prefix": "a/*"}}, False),
    ({"StringEqualsIgnoreCase": {"s3:prefix": "A/B"}}, True),
    ({"StringNotEquals": {"s3:prefix": "x"}}, True),
    ({"StringNotEquals": {"s3:prefix": ["x", "a/b"]}}, False),
    ({"StringLike": {"s3:prefix": "a/*"}}, True),
    ({"StringLike": {"s3:prefix": ["x/*", "b/*"]}}, False),
    ({"StringNotLike": {"s3:prefix": "a/*"}}, False),
    ({"StringEquals": {"s3:delimiter": "/"}}, False),
    ({"StringNotEquals": {"s3:delimiter": "/"}}, True),
    ({"StringEqualsIfExists": {"s3:delimiter": "/"}}, True),
    ({"StringEqualsIfExists": {"s3:prefix": "x"}}, False),
    ({"Null": {"s3:delimiter": "true"}}, True),
    ({"Null": {"s3:prefix": "true"}}, False),
    ({"Null": {"s3:prefix": "false"}}, True),
    ({"Null": {"s3:delimiter": False}}, False),
    ({"Bool": {"aws:SecureTransport": "true"}}, True),
    ({"Bool": {"aws:SecureTransport": True}}, True),
    ({"Bool": {"aws:SecureTransport": "false"}}, False),
    ({"Bool": {"aws:MultiFactorAuthPresent": "true"}}, False),
    ({"BoolIfExists": {"aws:MultiFactorAuthPresent": "true"}}, True),
    ({"ArnLike": {"aws:SourceArn": "arn:aws:ecs:eu-west-1:111122223333:*"}}, True),
    ({"ArnEquals": {"aws:SourceArn": "arn:aws:ecs:*:111122223333:*"}}, True),
    ({"ArnLike": {"aws:SourceArn": "arn:aws:ecs:eu-west-1:111122223333:cluster/c"}}, False),
    ({"ArnNotLike": {"aws:SourceArn": "arn:aws:ecs:eu-central-1:*:*"}}, True),
    ({"IpAddress": {"aws:SourceIp": "10.1.0.0/16"}}, True),
    ({"IpAddress": {"aws:SourceIp": ["192.0.2.0/24", "10.1.2.3"]}}, True),
    ({"NotIpAddress": {"aws:SourceIp": "10.1.0.0/16"}}, False),
    ({"NumericLessThanEquals": {"s3:max-keys": "10"}}, True),
    ({"NumericLessThan": {"s3:max-keys": 10}}, False),
    ({"NumericGreaterThan": {"s3:max-keys": "9.5"}}, True),
    ({"NumericEquals": {"s3:max-keys": "10.0"}}, True),
    ({"NumericNotEquals": {"s3:max-keys": "10"}}, False),
    ({"NumericEquals": {"s3:prefix": "1"}}, False),
    ({"DateLessThan": {"aws:CurrentTime": "2027-01-01T00:00:00Z"}}, True),
    ({"DateGreaterThan": {"aws:CurrentTime": "2027-01-01T00:00:00Z"}}, False),
    ({"ForAllValues:StringEquals": {"aws:TagKeys": ["team", "env", "owner"]}}, True),
    ({"ForAllValues:StringEquals": {"aws:TagKeys": ["team"]}}, False),
    ({"ForAllValues:StringEquals": {"aws:Absent": ["team"]}}, True),
    ({"ForAnyValue:StringEquals": {"aws:TagKeys": ["team", "x"]}}, True),
    ({"ForAnyValue:StringEquals": {"aws:TagKeys": ["x"]}}, False),
    ({"ForAnyValue:StringEquals": {"aws:Absent": ["x"]}}, False),
    ({"ForAllValues:StringNotEquals": {"aws:TagKeys": ["x"]}}, True),
    ({"StringLike": {"s3:prefix": "${aws:PrincipalTag/team}/*"}}, False),
    ({"StringEquals": {"aws:PrincipalTag/team": "${aws:PrincipalTag/Team}"}}, True),
    ({"StringEquals": {"s3:prefix": "${aws:absent, 'a/b'}"}}, True),
    ({"StringEquals": {"s3:prefix": "${aws:absent}"}}, False),
    ({"StringEquals": {"s3:prefix": "a/b", "aws:SourceIp": "10.1.2.3"}}, True),
    ({"StringEquals": {"s3:prefix": "a/b"}, "Bool": {"aws:SecureTransport": "false"}}, False),
    ({"StringEquals": {"iam:PassedToService": "ecs-tasks.amazonaws.com"}}, True),
]


@pytest.mark.parametrize(("block", "holds"), CONDITIONS, ids=[json.dumps(block) for block, _ in CONDITIONS])
def test_conditions(block: dict[str, Any], holds: bool) -> None:
    assert conditions.hold(conditions.read(block), CONTEXT) is holds


def test_an_operator_that_aws_does_not_know_never_allows_and_always_denies() -> None:
    unknown = {"StringResembles": {"s3:prefix": "a"}}
    assert not decide(GET, WHO, Policies(identity=(read({**YES, "Condition": unknown}),)), {}).allowed
    both = Policies(identity=(read(YES, {**NO, "Condition": unknown}),))
    assert decide(GET, WHO, both, {}).why is Why.DENIED_BY_IDENTITY


def test_what_a_variable_stands_for_is_no_pattern() -> None:
    assert not like("${aws:PrincipalTag/team}", "data", {"aws:principaltag/team": "*"})
    assert like("${aws:PrincipalTag/team}", "*", {"aws:principaltag/team": "*"})
    assert like("a${*}b", "a*b", {}) and not like("a${*}b", "axb", {})


# --- properties ------------------------------------------------------------------------------------------------------

actions = st.sampled_from(["*", "s3:*", "s3:Get*", "s3:GetObject", "s3:PutObject", "ecs:RunTask"])
arns = st.sampled_from(["*", "arn:aws:s3:::b/*", "arn:aws:s3:::b/a/*", "arn:aws:s3:::c/*", "arn:aws:s3:::b/a/x"])
blocks = st.sampled_from([{}, {"Bool": {"aws:SecureTransport": "true"}}, {"StringEquals": {"aws:absent": "x"}}])
effects = st.sampled_from(["Allow", "Deny"])
principals = st.sampled_from(["*", {"AWS": ROLE}, {"AWS": SESSION}, {"AWS": ROOT}, {"AWS": ROLE + "2"}])
one = st.builds(
    lambda effect, action, resource, block: {
        "Effect": effect, "Action": action, "Resource": resource, **({"Condition": block} if block else {}),
    },
    effects, actions, arns, blocks,
)  # fmt: skip
several = st.lists(one, max_size=4)
resourceful = st.lists(st.builds(by, principals, one), max_size=3)
accesses = st.builds(
    Access,
    st.sampled_from(["s3:GetObject", "s3:PutObject", "ecs:RunTask"]),
    st.sampled_from(["arn:aws:s3:::b/a/x", "arn:aws:s3:::b/y", "arn:aws:s3:::c/z"]),
)
SECURE = {"aws:securetransport": "true"}


@given(accesses, several, several, resourceful, st.sampled_from(["identity", "boundary", "session", "resource"]))
def test_an_explicit_deny_wins_wherever_it_is(
    access: Access, identity: list[Any], boundary: list[Any], resource: list[Any], place: str
) -> None:
    given_policies = {"identity": [identity], "boundary": boundary, "resource": resource}
    denial = deny(access.action, access.resource)
    if place == "identity":
        given_policies["identity"] = [identity, [denial]]
    else:
        before = given_policies.get(place, [])
        given_policies[place] = [*before, by("*", denial) if place == "resource" else denial]
    assert not decide(access, WHO, policies(given_policies), SECURE).allowed


@given(accesses, several, several, resourceful)
def test_a_boundary_only_narrows(access: Access, identity: list[Any], boundary: list[Any], resource: list[Any]) -> None:
    without = decide(access, WHO, policies({"identity": [identity], "resource": resource}), SECURE)
    within = decide(access, WHO, policies({"identity": [identity], "boundary": boundary, "resource": resource}), SECURE)
    assert without.allowed or not within.allowed


@given(accesses, several, several)
def test_another_policy_that_only_allows_never_takes_away(access: Access, identity: list[Any], more: list[Any]) -> None:
    added = [{**statement, "Effect": "Allow"} for statement in more]
    before = decide(access, WHO, policies({"identity": [identity]}), SECURE)
    after = decide(access, WHO, policies({"identity": [identity, added]}), SECURE)
    assert after.allowed or not before.allowed


@given(accesses, several)
def test_the_order_of_statements_decides_nothing(access: Access, identity: list[Any]) -> None:
    forward = decide(access, WHO, policies({"identity": [identity]}), SECURE)
    backward = decide(access, WHO, policies({"identity": [identity[::-1]]}), SECURE)
    assert forward.allowed == backward.allowed


@given(st.text(max_size=30), st.text(max_size=30))
def test_a_text_without_wildcards_fits_itself_only(pattern: str, text: str) -> None:
    if not set("*?$") & set(pattern):
        assert like(pattern, text, {}) == (pattern == text)
