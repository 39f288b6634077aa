"""Bucket policies for everyone, as a pure function."""

from __future__ import annotations

from typing import Any

import pytest

from localcloud.gateway.public_access import everyone_may

CONTEXT = {"aws:securetransport": "true", "aws:sourceip": "127.0.0.1", "aws:useragent": "curl/8"}
OBJECT = "arn:aws:s3:::b/reports/index.html"


def allow(**changes: Any) -> dict[str, Any]:
    statement = {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::b/*"}
    statement.update(changes)
    return {name: value for name, value in statement.items() if value is not None}


def deny(**changes: Any) -> dict[str, Any]:
    return allow(**{"Effect": "Deny", **changes})


CASES: dict[str, tuple[list[dict[str, Any]], bool]] = {
    "no statement": ([], False),
    "everyone": ([allow()], True),
    "everyone as AWS": ([allow(Principal={"AWS": "*"})], True),
    "everyone in a list": ([allow(Principal={"AWS": ["arn:aws:iam::1:root", "*"]})], True),
    "an account": ([allow(Principal={"AWS": "arn:aws:iam::1:root"})], False),
    "a service": ([allow(Principal={"Service": "cloudfront.amazonaws.com"})], False),
    "all but one": ([allow(Principal=None, NotPrincipal={"AWS": "arn:aws:iam::1:root"})], True),
    "action with wildcard, any case": ([allow(Action="S3:get*")], True),
    "another action": ([allow(Action="s3:PutObject")], False),
    "not this action": ([allow(Action=None, NotAction="s3:GetObject")], False),
    "another prefix": ([allow(Resource="arn:aws:s3:::b/other/*")], False),
    "resources are case-sensitive": ([allow(Resource="arn:aws:s3:::b/Reports/*")], False),
    "question mark": ([allow(Resource="arn:aws:s3:::b/report?/*")], True),
    "not this resource": ([allow(Resource=None, NotResource="arn:aws:s3:::b/private/*")], True),
    "a deny wins": ([allow(), deny(Resource="arn:aws:s3:::b/reports/*")], False),
    "a deny for one account is not for everyone": ([allow(), deny(Principal={"AWS": "arn:aws:iam::1:root"})], True),
    "only over TLS": ([allow(), deny(Condition={"Bool": {"aws:SecureTransport": "false"}})], True),
    "from this address": ([allow(Condition={"IpAddress": {"aws:SourceIp": "127.0.0.0/8"}})], True),
    "from another address": ([allow(Condition={"IpAddress": {"aws:SourceIp": ["10.0.0.0/8"]}})], False),
    "not from this address": ([allow(Condition={"NotIpAddress": {"aws:SourceIp": "127.0.0.1/32"}})], False),
    "user agent": ([allow(Condition={"StringLike": {"aws:UserAgent": "curl/*"}})], True),
    "absent key": ([allow(Condition={"StringEquals": {"aws:Referer": "x"}})], False),
    "absent key if it exists": ([allow(Condition={"StringEqualsIfExists": {"aws:Referer": "x"}})], True),
    "absent key negated": ([allow(Condition={"StringNotEquals": {"aws:Referer": "x"}})], True),
    "absent key must be absent": ([allow(Condition={"Null": {"aws:Referer": "true"}})], True),
    "all conditions must hold": (
        [allow(Condition={"Bool": {"aws:SecureTransport": "true"}, "StringEquals": {"aws:UserAgent": "x"}})],
        False,
    ),
    "an unknown operator does not allow": (
        [allow(Condition={"DateLessThan": {"aws:CurrentTime": "2099-01-01"}})],
        False,
    ),
    "an unknown operator denies": (
        [allow(), deny(Condition={"DateResembles": {"aws:CurrentTime": "2099-01-01"}})],
        False,
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_policy(case: str) -> None:
    statements, expected = CASES[case]
    assert everyone_may({"Statement": statements}, False, "s3:GetObject", OBJECT, CONTEXT) is expected


def test_a_single_statement_need_not_be_in_a_list() -> None:
    assert everyone_may({"Statement": allow()}, False, "s3:GetObject", OBJECT, CONTEXT)


RESTRICTED = {
    "public": (allow(), False),
    "limited to addresses": (allow(Condition={"IpAddress": {"aws:SourceIp": "127.0.0.0/8"}}), True),
    "limited to all addresses": (allow(Condition={"IpAddress": {"aws:SourceIp": "0.0.0.0/0"}}), False),
    "limited by something anyone can set": (allow(Condition={"StringLike": {"aws:UserAgent": "curl*"}}), False),
}


@pytest.mark.parametrize("case", RESTRICTED)
def test_restrict_public_buckets_lets_only_limited_policies_work(case: str) -> None:
    statement, expected = RESTRICTED[case]
    assert everyone_may({"Statement": [statement]}, True, "s3:GetObject", OBJECT, CONTEXT) is expected
