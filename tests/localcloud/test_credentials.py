"""Keys: the person's, which stay, and a task's, which are renewed and end with it."""

from __future__ import annotations

import os
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from botocore.session import Session

from localcloud.agent.identity import TaskIdentity
from localcloud.config import Config
from localcloud.credentials import Key, Keyring, TaskEnvironment, load_root, session_arn

TASK = TaskIdentity("arn:aws:ecs:eu-west-1:1:task/herd/abc123", "arn:aws:iam::1:role/herd-dev/tasks/train", "train")


class Clock:
    def __init__(self) -> None:
        self.now = datetime(2026, 11, 24, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def keyring(clock: Clock) -> Keyring:
    return Keyring(Key("AKIA1", "secret", "root"), clock, timedelta(hours=6))


@pytest.fixture
def config(tmp_path: Path) -> Config:
    config = Config(tmp_path / "cloud", tmp_path / "cache", Path("uv"))
    config.prepare()
    return config


def test_the_persons_key_is_made_once_and_private(config: Config) -> None:
    first = load_root(config, 4000)
    assert load_root(config, 4001) == first
    for name in ("credentials", "config"):
        assert stat.S_IMODE((config.aws_folder / name).stat().st_mode) == 0o600
    assert first.secret_key not in repr(first)
    assert first != load_root(Config(config.home / "other", config.cache, Path("uv")), 4000)


def test_boto_reads_what_was_written(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    key = load_root(config, 4000)
    for variable in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(variable)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(config.aws_folder / "credentials"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config.aws_folder / "config"))
    for name in (
        "AWS_PROFILE",
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_ENDPOINT_URL",
        "AWS_REGION",
        "AWS_DEFAULT_REGION",
    ):
        monkeypatch.delenv(name, raising=False)
    session = Session()
    found = session.get_credentials()
    assert found is not None
    assert (found.access_key, found.secret_key) == (key.access_key, key.secret_key)
    client = session.create_client("s3")
    assert (client.meta.endpoint_url, client.meta.region_name) == ("http://127.0.0.1:4000", "eu-west-1")
    assert client.meta.config.s3 == {"addressing_style": "path", "signature_version": "s3v4"}


def test_a_tasks_keys(keyring: Keyring, clock: Clock) -> None:
    path, token = keyring.admit(TASK)
    found = keyring.fetch(path, token)
    assert found is not None
    assert found["RoleArn"] == TASK.role_arn
    assert found["Expiration"] == "2026-11-24T18:00:00Z"
    key = keyring.find(found["AccessKeyId"])
    assert key is not None
    assert (key.secret_key, key.session_token) == (found["SecretAccessKey"], found["Token"])
    assert key.principal == "arn:aws:sts::1:assumed-role/train/abc123"
    assert keyring.fetch(path, token) == found


def test_keys_are_renewed_half_way_and_the_old_ones_live_on(keyring: Keyring, clock: Clock) -> None:
    path, token = keyring.admit(TASK)
    first = keyring.fetch(path, token)
    clock.now += timedelta(hours=2, minutes=59)
    assert keyring.fetch(path, token) == first
    clock.now += timedelta(minutes=2)
    second = keyring.fetch(path, token)
    assert first and second and second["AccessKeyId"] != first["AccessKeyId"]
    assert keyring.find(first["AccessKeyId"]) is not None
    clock.now += timedelta(hours=3)
    keyring.fetch(path, token)
    assert keyring.find(first["AccessKeyId"]) is None


def test_all_keys_end_with_the_task(keyring: Keyring, clock: Clock) -> None:
    path, token = keyring.admit(TASK)
    other_path, other_token = keyring.admit(TaskIdentity("arn:aws:ecs:eu-west-1:1:task/herd/other", TASK.role_arn, "x"))
    found = [keyring.fetch(path, token)]
    clock.now += timedelta(hours=4)
    found.append(keyring.fetch(path, token))
    keyring.release(TASK.task_arn)
    keyring.release(TASK.task_arn)
    assert keyring.fetch(path, token) is None
    assert [keyring.find(one["AccessKeyId"]) for one in found if one] == [None, None]
    assert keyring.fetch(other_path, other_token) is not None


@pytest.mark.parametrize(
    ("path", "token"), [("/v2/credentials/x", "T"), ("P", ""), ("P", "ü"), ("/v2/credentials/", "T"), ("", "T")]
)
def test_wrong_path_or_token(keyring: Keyring, path: str, token: str) -> None:
    real_path, real_token = keyring.admit(TASK)
    assert keyring.fetch(path.replace("P", real_path), token.replace("T", real_token)) is None


def test_two_tasks_share_nothing(keyring: Keyring) -> None:
    (first_path, first_token), (second_path, second_token) = keyring.admit(TASK), keyring.admit(TASK)
    assert keyring.fetch(first_path, second_token) is None
    first, second = keyring.fetch(first_path, first_token), keyring.fetch(second_path, second_token)
    assert first and second and first["AccessKeyId"] != second["AccessKeyId"]


def test_a_tasks_environment_names_every_file_an_sdk_looks_for(keyring: Keyring, config: Config) -> None:
    environment = TaskEnvironment(keyring, config, 4000)
    variables = environment(TASK)
    assert variables["AWS_ENDPOINT_URL"] == "http://127.0.0.1:4000"
    assert variables["AWS_CONTAINER_CREDENTIALS_FULL_URI"].startswith("http://127.0.0.1:4000/v2/credentials/")
    assert variables["AWS_SHARED_CREDENTIALS_FILE"] == "/dev/null"
    assert "addressing_style = path" in Path(variables["AWS_CONFIG_FILE"]).read_text()
    path = variables["AWS_CONTAINER_CREDENTIALS_FULL_URI"].removeprefix("http://127.0.0.1:4000")
    assert keyring.fetch(path, variables["AWS_CONTAINER_AUTHORIZATION_TOKEN"]) is not None
    environment.release(TASK.task_arn)
    assert keyring.fetch(path, variables["AWS_CONTAINER_AUTHORIZATION_TOKEN"]) is None


def test_a_task_without_a_role_gets_no_keys(keyring: Keyring, config: Config) -> None:
    variables = TaskEnvironment(keyring, config, 4000)(TaskIdentity(TASK.task_arn, None, "train"))
    assert not [name for name in variables if "CONTAINER" in name]


def test_session_names() -> None:
    assert session_arn(TaskIdentity("arn:aws:ecs:r:1:task/t", "arn:aws-cn:iam::1:role/r", "f")) == (
        "arn:aws-cn:sts::1:assumed-role/r/t"
    )
