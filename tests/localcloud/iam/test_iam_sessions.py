"""AssumeRole gives keys that open what the role may do, through the gateway, until they expire."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from localcloud.credentials import Key, Keyring, assumed
from localcloud.gateway import Gateway
from tests.localcloud.iam.acting import REGION, Account, allow, document


@pytest.fixture
def port(account: Account) -> Iterator[int]:
    listener = socket.create_server(("127.0.0.1", 0))
    keyring = Keyring(Key("AKIAROOTROOTROOTROOT", "secret", "root"))
    keyring.sessions = assumed(account.id)
    gateway = Gateway(listener, account.server, keyring, list, list, list)
    gateway.start()
    yield int(listener.getsockname()[1])
    gateway.stop()


def client(port: int, service: str, access_key: str, secret: str, token: str | None = None) -> Any:
    return boto3.session.Session().client(
        service, region_name=REGION, endpoint_url=f"http://127.0.0.1:{port}", aws_access_key_id=access_key,
        aws_secret_access_key=secret, aws_session_token=token,
        config=Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"}),
    )  # fmt: skip


def take_on(port: int, role: str, **more: Any) -> tuple[str, str, str]:
    sts = client(port, "sts", "AKIAROOTROOTROOTROOT", "secret")
    given = sts.assume_role(RoleArn=role, RoleSessionName="trial", **more)["Credentials"]
    return given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"]


def test_a_person_tries_a_role_on(port: int, account: Account) -> None:
    bucket = account.bucket("a/x", "b/x")
    keys = take_on(port, account.role(allow("s3:GetObject", f"arn:aws:s3:::{bucket}/a/*"), name="tried"))
    assert client(port, "sts", *keys).get_caller_identity()["Arn"].endswith(":assumed-role/tried/trial")
    s3 = client(port, "s3", *keys)
    assert s3.get_object(Bucket=bucket, Key="a/x")["Body"].read() == b"a/x"
    with pytest.raises(ClientError, match="AccessDenied"):
        s3.get_object(Bucket=bucket, Key="b/x")


def test_a_session_policy_narrows(port: int, account: Account) -> None:
    bucket = account.bucket("a/x", "b/x")
    only = document(allow("s3:GetObject", f"arn:aws:s3:::{bucket}/a/*"))
    s3 = client(port, "s3", *take_on(port, account.role(allow("s3:*")), Policy=only))
    assert s3.get_object(Bucket=bucket, Key="a/x")
    with pytest.raises(ClientError, match="no session policy allows"):
        s3.get_object(Bucket=bucket, Key="b/x")


def test_a_key_without_its_token_opens_nothing(port: int, account: Account) -> None:
    access_key, secret, _ = take_on(port, account.role(allow("*")))
    with pytest.raises(ClientError, match="InvalidClientTokenId|InvalidToken|invalid"):
        client(port, "sts", access_key, secret).get_caller_identity()


def test_a_session_ends(port: int, account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = take_on(port, account.role(allow("*")), DurationSeconds=900)
    found = assumed(account.id)(keys[0])
    assert found is not None and found.expires is not None
    assert 890 < found.expires.timestamp() - time.time() < 901


def test_tags_of_a_resource_are_asked_for(account: Account) -> None:
    secrets = account.root("secretsmanager")
    secrets.create_secret(Name="mine", SecretString="1", Tags=[{"Key": "Team", "Value": "data"}])
    secrets.create_secret(Name="other", SecretString="2", Tags=[{"Key": "Team", "Value": "web"}])
    tagged = {"StringEquals": {"aws:ResourceTag/Team": "data"}}
    role = account.role(allow("secretsmanager:GetSecretValue", **tagged))
    assert account.can(role, "secretsmanager", "get_secret_value", SecretId="mine")
    assert not account.can(role, "secretsmanager", "get_secret_value", SecretId="other")


def test_a_key_is_known_by_its_aliases(account: Account) -> None:
    kms = account.root("kms")
    named, other = (kms.create_key()["KeyMetadata"]["Arn"] for _ in range(2))
    kms.create_alias(AliasName="alias/state", TargetKeyId=named)
    by_alias = {"ForAnyValue:StringEquals": {"kms:ResourceAliases": "alias/state"}}
    role = account.role(allow("kms:Encrypt", **by_alias))
    assert account.can(role, "kms", "encrypt", KeyId=named, Plaintext=b"x")
    assert not account.can(role, "kms", "encrypt", KeyId=other, Plaintext=b"x")
