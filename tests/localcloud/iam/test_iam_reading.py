"""Requests that the judge could read otherwise than moto: refused, whoever has the right to half of them."""

from __future__ import annotations

from urllib.parse import urlencode

import pytest

from localcloud.iam.principals import session_of
from localcloud.request import Request, Response
from tests.localcloud.iam.acting import REGION, Account, allow

FORM = ("Content-Type", "application/x-www-form-urlencoded")


def send(
    account: Account, role: str, service: str, method: str, url: str, body: bytes = b"", *headers: tuple[str, str]
) -> Response:
    scope = f"AWS4-HMAC-SHA256 Credential=a/20260101/{REGION}/{service}/aws4_request, SignedHeaders=host, Signature=0"
    whole = [("Host", "localhost"), ("Authorization", scope), *headers]
    return account.server.handle(Request(method, url, whole, body, session_of(role, "session")))


@pytest.mark.parametrize("query", ["prefix=b/&prefix=a/", "prefix=a/&prefix=b/", "tagging&acl", "acl&policy"])
def test_a_bucket_is_asked_one_thing_once(account: Account, query: str) -> None:
    bucket = account.bucket("a/x", "b/x")
    role = account.role(
        allow(["s3:ListBucket"], StringLike={"s3:prefix": "a/*"}), allow(["s3:GetBucketTagging", "s3:GetBucketAcl"])
    )
    assert send(account, role, "s3", "GET", f"/{bucket}?{query}").status == 400


def test_a_form_names_one_action(account: Account) -> None:
    role = account.role(allow("iam:GetUser"))
    for first, second in (("CreateUser", "GetUser"), ("GetUser", "CreateUser")):
        pairs = [("Action", first), ("Action", second), ("UserName", "mallory"), ("Version", "2010-05-08")]
        assert send(account, role, "iam", "POST", "/", urlencode(pairs).encode(), FORM).status == 400
    assert account.root("iam").list_users()["Users"] == []


def test_a_form_in_the_address_of_a_post_is_refused(account: Account) -> None:
    role = account.role(allow("iam:*User", "arn:aws:iam::*:user/mine"))
    url = "/?Action=CreateUser&UserName=mallory&Version=2010-05-08"
    assert send(account, role, "iam", "POST", url).status == 400
    body = urlencode({"Action": "GetUser", "UserName": "mine"}).encode()
    assert send(account, role, "iam", "POST", url, body, FORM).status == 400
    assert account.root("iam").list_users()["Users"] == []


@pytest.mark.parametrize(("user", "status"), [("mine", 200), ("mallory", 403)])
def test_a_form_in_the_address_of_a_get_is_judged_like_any_other(account: Account, user: str, status: int) -> None:
    """The query services of AWS take their form by GET too, in the address."""
    role = account.role(allow("iam:*User", "arn:aws:iam::*:user/mine"))
    answer = send(account, role, "iam", "GET", f"/?Action=CreateUser&UserName={user}&Version=2010-05-08")
    assert answer.status == status
    assert [one["UserName"] for one in account.root("iam").list_users()["Users"]] == ["mine"] * (status == 200)


def test_parameters_beside_the_body_are_refused(account: Account) -> None:
    account.root("secretsmanager").create_secret(Name="dev/b", SecretString="hush")
    role = account.role(allow("secretsmanager:GetSecretValue", "arn:aws:secretsmanager:*:*:secret:*"))
    target = ("X-Amz-Target", "secretsmanager.GetSecretValue")
    answer = send(account, role, "secretsmanager", "POST", "/?SecretId=dev/b", b"{}", target)
    assert answer.status == 400 and b"hush" not in answer.body


@pytest.mark.parametrize("service", ["IAM", "SecretsManager", "S3"])
def test_a_service_is_written_small(account: Account, service: str) -> None:
    assert send(account, account.role(allow("*")), service, "GET", "/").status == 403


@pytest.mark.parametrize("key", ["a/x", "a/%78", "/a/x", "a//x", "a/../b/x", "a/./x", "a%2Fx", "a/x;b", "A/x"])
def test_a_key_is_the_key_that_is_stored(account: Account, key: str) -> None:
    """What is allowed is what is written: nothing else has come into being."""
    from urllib.parse import unquote

    bucket = account.bucket()
    name = unquote(key)
    role = account.role(allow("s3:PutObject", f"arn:aws:s3:::{bucket}/{name}"))
    answer = send(account, role, "s3", "PUT", f"/{bucket}/{key}", b"1")
    stored = [entry["Key"] for entry in account.root("s3").list_objects_v2(Bucket=bucket).get("Contents", [])]
    assert (answer.status, stored) == (200, [name]) or (answer.status >= 400 and stored == [])
