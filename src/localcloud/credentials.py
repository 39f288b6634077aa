"""Who may call the local cloud: the person (root, random keys in a private file) and each running task (keys of its
own role).

A task finds its keys as on ECS: `AWS_CONTAINER_CREDENTIALS_FULL_URI` names a path on the gateway, which answers
whoever shows `AWS_CONTAINER_AUTHORIZATION_TOKEN`. The keys are temporary: they are replaced when half their life is
over, the replaced ones stay valid until they expire, and all of them end with the task.
"""

from __future__ import annotations

import configparser
import hmac
import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from localcloud import atomic
from localcloud.agent.identity import TaskIdentity
from localcloud.config import LOOPBACK, Config, LocalCloudError

# No S3 bucket can be called "v2" (names have at least three characters), so this never hides one.
CREDENTIALS_PATH = "/v2/credentials/"
LIFETIME = timedelta(hours=6)
PATH_STYLE = "s3 =\n    addressing_style = path\n    signature_version = s3v4\n"
"""For SDKs that would otherwise put the bucket before "127.0.0.1", or presign as AWS has not taken since 2020."""

Clock = Callable[[], datetime]


def utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True)
class Key:
    """An access key and whose it is: `principal` is "root", or the ARN of a role's session as IAM would see it."""

    access_key: str
    secret_key: str = field(repr=False)
    principal: str
    session_token: str | None = field(default=None, repr=False)
    expires: datetime | None = None


@dataclass
class _TaskKeys:
    identity: TaskIdentity
    token: str | None
    keys: list[Key]


class Keyring:
    """All keys that the gateway accepts. Safe to use from several threads."""

    def __init__(self, root: Key, clock: Clock = utc_now, lifetime: timedelta = LIFETIME):
        self.root = root
        self._clock = clock
        self._lifetime = lifetime
        self._lock = threading.Lock()
        self._by_access_key: dict[str, Key] = {root.access_key: root}
        self._tasks: dict[str, _TaskKeys] = {}  # by the random last part of the task's credentials path
        self.sessions: Callable[[str], Key | None] = lambda access_key: None
        """Finds the keys that AssumeRole has given out."""

    def find(self, access_key: str) -> Key | None:
        """The key of this name, expired ones included: the signature check tells those apart."""
        with self._lock:
            credential = self._by_access_key.get(access_key)
        return credential or self.sessions(access_key)

    def admit(self, identity: TaskIdentity) -> tuple[str, str]:
        """Begins a task's keys; returns the path that serves them and the token that the path asks for."""
        name, token = secrets.token_urlsafe(18), secrets.token_urlsafe(32)
        with self._lock:
            self._tasks[name] = _TaskKeys(identity, token, [])
        return CREDENTIALS_PATH + name, token

    def admit_network(self, identity: TaskIdentity) -> str:
        """Begins the keys of a task that has a network of its own; returns the path that serves them. As on ECS no
        token goes with it: it is asked for at an address that only such networks have.
        """
        name = secrets.token_urlsafe(32)
        with self._lock:
            self._tasks[name] = _TaskKeys(identity, None, [])
        return CREDENTIALS_PATH + name

    def release(self, task_arn: str) -> None:
        """Ends every key of a task; unknown tasks are ignored, so that it may be said twice."""
        with self._lock:
            for name in [name for name, task in self._tasks.items() if task.identity.task_arn == task_arn]:
                for key in self._tasks.pop(name).keys:
                    self._by_access_key.pop(key.access_key, None)

    def fetch(self, path: str, token: str | None) -> dict[str, str] | None:
        """What the ECS credentials endpoint answers for `path`; None when the path or its token is wrong (not told
        apart). `token` is None where it was asked for at ECS's own address.
        """
        with self._lock:
            task = self._tasks.get(path.removeprefix(CREDENTIALS_PATH))
            if task is None or not _same(task.token, token):
                return None
            key = self._current(task)
        assert key.expires and key.session_token and task.identity.role_arn
        return {
            "RoleArn": task.identity.role_arn,
            "AccessKeyId": key.access_key,
            "SecretAccessKey": key.secret_key,
            "Token": key.session_token,
            "Expiration": key.expires.strftime("%Y-%m-%dT%H:%M:%SZ"),
        }

    def _current(self, task: _TaskKeys) -> Key:
        now = self._clock()
        for key in [key for key in task.keys if key.expires and key.expires <= now]:
            task.keys.remove(key)
            self._by_access_key.pop(key.access_key, None)
        newest = task.keys[-1] if task.keys else None
        if newest and newest.expires and newest.expires - now > self._lifetime / 2:
            return newest
        key = Key(
            access_key=_access_key("ASIA"),
            secret_key=_secret_key(),
            principal=session_arn(task.identity),
            session_token=secrets.token_urlsafe(96),
            expires=(now + self._lifetime).replace(microsecond=0),
        )
        task.keys.append(key)
        self._by_access_key[key.access_key] = key
        return key


def _same(expected: str | None, token: str | None) -> bool:
    if expected is None or token is None:
        return expected is token
    return hmac.compare_digest(expected.encode(), token.encode())


class TaskEnvironment:
    """Gives a task the AWS_* variables of its own identity, and ends that identity with it.

    With `as_on_ecs` tasks have networks of their own, in which the address of ECS's credentials endpoint is answered.

    Nothing of the person's own AWS set-up can reach a task through these: every file that SDKs look for is named
    explicitly.
    """

    def __init__(self, keyring: Keyring, config: Config, port: int, as_on_ecs: bool = False):
        self._keyring = keyring
        self._as_on_ecs = as_on_ecs
        self._region = config.region
        self._endpoint = f"http://{LOOPBACK}:{port}"
        self._config_file = config.aws_folder / "task-config"
        # In a container the task's own user reads it; the folder above lets no other user of this machine in.
        mode = 0o644 if as_on_ecs else 0o600
        atomic.write(self._config_file, f"[default]\nregion = {config.region}\n{PATH_STYLE}", mode=mode)

    def __call__(self, identity: TaskIdentity) -> dict[str, str]:
        environment = self._common()
        if identity.role_arn:
            if self._as_on_ecs:
                environment["AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"] = self._keyring.admit_network(identity)
                return environment
            path, token = self._keyring.admit(identity)
            environment["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = self._endpoint + path
            environment["AWS_CONTAINER_AUTHORIZATION_TOKEN"] = token
        return environment

    def of_function(self, identity: TaskIdentity) -> dict[str, str]:
        """The variables of a Lambda function: its role's keys themselves, as there. They are valid for `LIFETIME`."""
        keys = self._keyring.fetch(*self._keyring.admit(identity))
        assert keys is not None
        return {
            **self._common(),
            "AWS_ACCESS_KEY_ID": keys["AccessKeyId"],
            "AWS_SECRET_ACCESS_KEY": keys["SecretAccessKey"],
            "AWS_SESSION_TOKEN": keys["Token"],
        }

    def release(self, task_arn: str) -> None:
        self._keyring.release(task_arn)

    def _common(self) -> dict[str, str]:
        return {
            "AWS_ENDPOINT_URL": self._endpoint,
            "AWS_REGION": self._region,
            "AWS_DEFAULT_REGION": self._region,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": str(self._config_file),
            "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
        }


class FunctionEnvironment:
    """The same for Lambda functions."""

    def __init__(self, environment: TaskEnvironment):
        self._environment = environment

    def __call__(self, identity: TaskIdentity) -> dict[str, str]:
        return self._environment.of_function(identity)

    def release(self, task_arn: str) -> None:
        self._environment.release(task_arn)


def session_arn(identity: TaskIdentity) -> str:
    """`arn:aws:iam::1:role/path/train` and task …/abc → `arn:aws:sts::1:assumed-role/train/abc`: ECS names the
    session after the task.
    """
    assert identity.role_arn
    _, partition, _, _, account, resource = identity.role_arn.split(":", 5)
    role = resource.rsplit("/", 1)[-1]
    return f"arn:{partition}:sts::{account}:assumed-role/{role}/{identity.task_arn.rsplit('/', 1)[-1]}"


def assumed(account: str) -> Callable[[str], Key | None]:
    """Finds what AssumeRole has given out in an account, for `Keyring.sessions`."""
    from localcloud import backends

    def find(access_key: str) -> Key | None:
        one = backends.session(account, access_key) if access_key.startswith("ASIA") else None
        if one is None:
            return None
        expires = one.expiration if one.expiration.tzinfo else one.expiration.replace(tzinfo=UTC)
        return Key(one.access_key_id, one.secret_access_key, one.arn, one.session_token, expires)

    return find


def load_root(config: Config, port: int) -> Key:
    """The person's key, made at the first start and kept; (re)writes `aws/credentials` and `aws/config` beside it.

    Raises LocalCloudError for a file that holds no key.
    """
    path = config.aws_folder / "credentials"
    key = kept_root(path)
    if key is None:
        key = Key(access_key=_access_key("AKIA"), secret_key=_secret_key(), principal="root")
        atomic.write(
            path, f"[default]\naws_access_key_id = {key.access_key}\naws_secret_access_key = {key.secret_key}\n"
        )
    profile = f"region = {config.region}\nendpoint_url = http://{LOOPBACK}:{port}\n{PATH_STYLE}"
    atomic.write(config.aws_folder / "config", f"[default]\n{profile}")
    return key


def kept_root(path: Path) -> Key | None:
    """The key in the file; None if there is no file. Raises LocalCloudError for one that holds no key."""
    file = configparser.ConfigParser(interpolation=None)
    try:
        with path.open(encoding="utf-8") as lines:
            file.read_file(lines)
        values = file["default"]
        key = Key(values["aws_access_key_id"], values["aws_secret_access_key"], principal="root")
    except FileNotFoundError:
        return None
    except (configparser.Error, KeyError, UnicodeDecodeError):
        key = None
    if key and key.access_key and key.secret_key:
        return key
    raise LocalCloudError(
        f"{path} holds no key of the local cloud; put a copy back, or remove it, and the next start makes another key "
        "(nothing else depends on it)"
    )


def _access_key(prefix: str) -> str:
    return prefix + "".join(secrets.choice("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567") for _ in range(16))


def _secret_key() -> str:
    return secrets.token_urlsafe(30)
