"""Secrets of a stack on AWS: what the commands ask Secrets Manager for, answered by moto; Pulumi is told, not run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from herd import console
from herd.checkout.find import Checkout
from herd.runs import secret_store
from herd.targets.aws import AwsTarget
from tests.herd.outputs import parsed

REGION = "eu-central-1"
CANARY = "canary-value"


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[boto3.Session]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    # Consoles are made once a process and keep the stream they were made with, which ends with a test.
    console.err.cache_clear()
    with mock_aws():
        session = boto3.Session(region_name=REGION)
        monkeypatch.setattr(AwsTarget, "_session", session)
        monkeypatch.setattr(AwsTarget, "region", REGION)
        monkeypatch.setattr(AwsTarget, "deployed", None)
        monkeypatch.setattr(AwsTarget, "pulumi", Path("/usr/bin/pulumi"))
        yield session
    console.err.cache_clear()


def described(aws: boto3.Session, name: str) -> dict[str, Any]:
    return dict(aws.client("secretsmanager").describe_secret(SecretId=name))


def test_a_secret_of_a_stack_is_set_listed_changed_and_removed(
    cli: Any, aws: boto3.Session, root: Path, tmp_path: Path
) -> None:
    (root / "jobs/hello/workload.toml").write_text('[secrets]\nTOKEN = "weather-key"\n')
    file = tmp_path / "value"
    client = aws.client("secretsmanager")
    for value, said in ((CANARY, "weather-key is kept in prod"), ("another", "weather-key is changed in prod")):
        file.write_text(f"{value}\n")
        done = cli("secret", "set", "weather-key", "--stack", "prod", "--file", str(file), "--yes")
        assert done.exit_code == 0, done.stderr
        assert done.stdout.strip() == said and value not in done.stderr
        assert f"stack prod, AWS account 123456789012, region {REGION}" in done.stderr
        assert client.get_secret_value(SecretId="herd-prod/weather-key")["SecretString"] == value
    assert {"Key": "herd:environment", "Value": "prod"} in described(aws, "herd-prod/weather-key")["Tags"]
    client.create_secret(Name="herd-dev/other", SecretString="x")
    listed = cli("secret", "list", "--stack", "prod").stdout.splitlines()
    assert [(line.split()[0], line.split()[-1]) for line in listed[1:]] == [("weather-key", "hello")]
    removed = cli("secret", "rm", "weather-key", "--stack", "prod", "--yes")
    assert removed.exit_code == 0 and "still named by hello" in removed.stderr
    assert "missing" in cli("secret", "list", "--stack", "prod").stdout
    assert [secret["Name"] for secret in client.list_secrets()["SecretList"]] == ["herd-dev/other"]


@pytest.mark.parametrize("command", [("set", "weather-key"), ("rm", "weather-key")])
def test_without_a_yes_nothing_is_changed_there(
    command: tuple[str, ...], cli: Any, aws: boto3.Session, tmp_path: Path
) -> None:
    aws.client("secretsmanager").create_secret(Name="herd-prod/weather-key", SecretString=CANARY)
    (tmp_path / "value").write_text("another")
    more = ("--file", str(tmp_path / "value")) if command[0] == "set" else ()
    done = cli("secret", *command, "--stack", "prod", *more)
    assert done.exit_code == 1 and "nothing was done" in done.stderr
    kept = aws.client("secretsmanager").get_secret_value(SecretId="herd-prod/weather-key")
    assert kept["SecretString"] == CANARY


def test_what_was_kept_before_there_was_a_key_gets_it(
    aws: boto3.Session, checkout: Checkout, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    prod = AwsTarget(checkout, "prod")
    secret_store.put(prod, "early", CANARY)
    aws.client("secretsmanager").create_secret(Name="herd-dev/other", SecretString="x")
    assert secret_store.use_key(prod) == [] and "KmsKeyId" not in described(aws, "herd-prod/early")
    key = aws.client("kms").create_key()["KeyMetadata"]["Arn"]
    monkeypatch.setattr(AwsTarget, "deployed", parsed(encryption_key=key))
    secret_store.put(prod, "late", CANARY)
    assert secret_store.use_key(prod) == []
    assert "encrypted with the environment's own key from now on: early\n" in capsys.readouterr().err
    assert [described(aws, f"herd-prod/{name}")["KmsKeyId"] for name in ("early", "late")] == [key, key]
    assert "KmsKeyId" not in described(aws, "herd-dev/other")
    assert aws.client("secretsmanager").get_secret_value(SecretId="herd-prod/early")["SecretString"] == CANARY
    secret_store.use_key(prod)
    assert capsys.readouterr().err == "", "once"


def test_what_cannot_get_the_key_is_said_with_what_to_do(
    aws: boto3.Session, checkout: Checkout, monkeypatch: pytest.MonkeyPatch
) -> None:
    prod = AwsTarget(checkout, "prod")
    secret_store.put(prod, "early", CANARY)
    key = "arn:aws:kms:eu-central-1:123456789012:key/x"
    monkeypatch.setattr(AwsTarget, "deployed", parsed(encryption_key=key))
    client = prod.client("secretsmanager")

    def refuse(**asked: Any) -> None:
        raise ClientError({"Error": {"Code": "AccessDeniedException", "Message": "no"}}, "UpdateSecret")

    monkeypatch.setattr(client, "update_secret", refuse)
    (problem,) = secret_store.use_key(prod)
    assert problem.startswith("the secret early is not encrypted with the environment's key, because ")
    assert problem.endswith("set it again: herd secret set early")
