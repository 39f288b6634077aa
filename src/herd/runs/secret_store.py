"""The secrets of an environment in Secrets Manager; ECS passes them to tasks, and no command shows a value.

A value is read from the terminal without echo, from a pipe or from a file, never from an argument, which other users of
the machine can read. Names in Secrets Manager begin with the environment's prefix: `herd-dev/weather-key`.
"""

from __future__ import annotations

import getpass
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from herd import console
from herd.checkout import team_files
from herd.errors import HerdError, WrongInput, unknown
from herd.runner.contract.variables import connection_secret
from herd.targets import local_cloud
from herd.targets.local import LocalTarget
from herd.targets.target import DEFAULT, Target

if TYPE_CHECKING:
    from herd.infra.naming import Naming
    from herd.infra.spec.load import AnySpec

MOST_BYTES = 65_536
"""Source: "AWS Secrets Manager quotas", size of an encrypted secret value."""

RECOVERY_DAYS = 30
"""How long a removed secret of a protected environment can still be brought back."""


@dataclass(frozen=True)
class Secret:
    """A secret without its value. `used_by`: workloads that name it in their settings or are deployed with it.
    `key`: the ARN of its KMS key; None: AWS's own key for Secrets Manager.
    """

    name: str
    changed: datetime | None
    used_by: tuple[str, ...]
    key: str | None = None


def ask(name: str, file: Path | None) -> str:
    """Read a value, without the line break at its end. Raises WrongInput if it is empty, too large or not text."""
    where = "standard input"
    if file is not None:
        where = str(file)
        try:
            content = file.read_bytes()
        except OSError as error:
            raise WrongInput(f"{file}: cannot be read: {error.strerror}") from None
    elif sys.stdin.isatty():
        content = getpass.getpass(f"value of {name} (not shown): ").encode()
    else:
        content = sys.stdin.buffer.read(MOST_BYTES + 3)
    try:
        value = content.decode()
    except UnicodeDecodeError:
        raise WrongInput(f"{where}: is not UTF-8 text") from None
    value = value.removesuffix("\n").removesuffix("\r")
    if not value:
        raise WrongInput(f"{where}: there is no value; type it, or: herd secret set {name} < file")
    if len(value.encode()) > MOST_BYTES or "\0" in value:
        raise WrongInput(f"{where}: a secret is text of up to {MOST_BYTES:,} bytes without NUL")
    return value


def put(target: Target, name: str, value: str) -> bool:
    """Write a value; True if the secret is new. One that is scheduled for deletion is restored."""
    client, full = target.client("secretsmanager"), _naming(target).secret(name)
    key = {"KmsKeyId": arn} if (arn := _key(target)) else {}
    secret = _described(client, full)
    if secret is None:
        tags = [{"Key": tag, "Value": text} for tag, text in sorted(_naming(target).tags().items())]
        client.create_secret(Name=full, SecretString=value, Tags=tags, **key)
        return True
    if secret.get("DeletedDate"):
        client.restore_secret(SecretId=full)
    client.update_secret(SecretId=full, SecretString=value, **key)
    return False


def use_key(target: Target) -> list[str]:
    """Encrypt secrets from before the environment had a key of its own with that key; a line for each failure.

    Secrets Manager encrypts them again; the values are not read.
    """
    from botocore.exceptions import ClientError

    key = _key(target)
    client, problems, moved = target.client("secretsmanager"), [], []
    for secret in sorted(_stored(target), key=lambda secret: secret.name) if key else ():
        if secret.key == key:
            continue
        try:
            client.update_secret(SecretId=_naming(target).secret(secret.name), KmsKeyId=key)
            moved.append(secret.name)
        except ClientError as error:
            problems.append(
                f"the secret {secret.name} is not encrypted with the environment's key, because {error}; "
                f"set it again: herd secret set {secret.name}"
            )
    if moved:
        console.note(f"encrypted with the environment's own key from now on: {', '.join(moved)}")
    return problems


def listed(target: Target) -> list[Secret]:
    """All secrets of the environment, by name."""
    return sorted(_secrets(target), key=lambda secret: secret.name)


def missing(target: Target) -> dict[str, tuple[str, ...]]:
    """Names of secrets that do not exist -> the workloads that need them."""
    there = {secret.name for secret in listed(target)}
    return {name: users for name, users in sorted(_users(target).items()) if name not in there}


def remove(target: Target, name: str) -> None:
    """Remove a secret. Of a protected environment it can be restored for RECOVERY_DAYS. Raises WrongInput."""
    known = [secret.name for secret in listed(target)]
    if name not in known:
        raise WrongInput(unknown(name, known, "secret"))
    _delete(target, name, is_protected(target))


def clear(target: Target, keep: bool) -> None:
    """Remove the environment's secrets; with `keep` (it is protected) only print that they stay."""
    names = sorted(secret.name for secret in _stored(target))
    if names and keep:
        console.note(
            f"{target.name} is protected, so its secrets stay: {', '.join(names)}; `herd secret rm` removes one"
        )
    elif names:
        for name in names:
            _delete(target, name, keep)
        console.note(f"removed {len(names)} secret{'s' if len(names) > 1 else ''} of {target.name}")


def restart(target: Target, name: str) -> list[str]:
    """Deploy the services that use this secret again, because ECS passes it at the start of a task; their names.

    Jobs get the new value with their next run.
    """
    restarted = []
    if target.deployed is None:
        return []
    for workload, entry in sorted(target.deployed.services.items()):
        if name in entry.secrets:
            target.client("ecs").update_service(
                cluster=target.deployed.cluster, service=entry.service, forceNewDeployment=True
            )
            restarted.append(workload)
    return restarted


def variables(target: LocalTarget, spec: AnySpec) -> dict[str, str]:
    """For `herd try`: the variables that ECS would set from secrets. Raises HerdError for missing secrets."""

    connections = team_files.offer(target.checkout, target.name).connections
    wanted = dict(spec.secrets) | {connection_secret(name): connections[name].secret for name in spec.connects}
    if not wanted:
        return {}
    values: dict[str, str] = {}
    for variable, name in wanted.items():
        value = _value(target, name)
        if value is not None:
            values[variable] = value
    lost = dict.fromkeys(name for variable, name in wanted.items() if variable not in values)
    if lost:
        raise HerdError(
            "\n".join(
                f"{spec.name} needs the secret '{name}', which {target.name} does not have on this machine; "
                f"set it with: herd secret set {name}" + ("" if target.name == DEFAULT else f" -e {target.name}")
                for name in lost
            )
        )
    return values


def is_protected(target: Target) -> bool:
    """Whether the environment is protected against deletion; False for one without a settings file."""
    try:
        return target.is_protected
    except HerdError:  # never deployed, and without a settings file
        return False


def _value(target: LocalTarget, name: str) -> str | None:
    if local_cloud.running(target.checkout) is None and not local_cloud.has_state(target.checkout):
        return None
    client = target.client("secretsmanager")
    try:
        return str(client.get_secret_value(SecretId=_naming(target).secret(name))["SecretString"])
    except (client.exceptions.ResourceNotFoundException, client.exceptions.InvalidRequestException):
        return None


def _secrets(target: Target) -> Iterator[Secret]:
    users = _users(target)
    for secret in _stored(target):
        yield Secret(secret.name, secret.changed, users.get(secret.name, ()))


def _stored(target: Target) -> Iterator[Secret]:
    prefix = _naming(target).secret("")
    pages = target.client("secretsmanager").get_paginator("list_secrets")
    for page in pages.paginate(Filters=[{"Key": "name", "Values": [prefix]}]):
        for entry in page["SecretList"]:
            if entry["Name"].startswith(prefix) and not entry.get("DeletedDate"):
                name = entry["Name"].removeprefix(prefix)
                yield Secret(name, entry.get("LastChangedDate"), (), entry.get("KmsKeyId"))


def _users(target: Target) -> dict[str, tuple[str, ...]]:
    """Secret -> workloads that use it, by the settings files and by the stack's outputs."""
    connections = team_files.offer(target.checkout, target.name).connections
    users: dict[str, set[str]] = {}
    for spec in team_files.load(target.checkout, target.name, "").workloads.values():
        for name in (*spec.secrets.values(), *(connections[name].secret for name in spec.connects)):
            users.setdefault(name, set()).add(spec.name)
    for workload, entry in (target.deployed.workloads if target.deployed else {}).items():
        for name in entry.secrets:
            users.setdefault(name, set()).add(workload)
    return {name: tuple(sorted(names)) for name, names in users.items()}


def _delete(target: Target, name: str, recoverable: bool) -> None:
    how: dict[str, Any] = {"ForceDeleteWithoutRecovery": True}
    if recoverable:
        how = {"RecoveryWindowInDays": RECOVERY_DAYS}
    target.client("secretsmanager").delete_secret(SecretId=_naming(target).secret(name), **how)


def _described(client: Any, name: str) -> dict[str, Any] | None:
    try:
        secret: dict[str, Any] = client.describe_secret(SecretId=name)
    except client.exceptions.ResourceNotFoundException:
        return None
    return secret


def _naming(target: Target) -> Naming:
    from herd.infra.naming import Naming

    try:
        return Naming(target.checkout.project, target.name)
    except ValueError as error:
        raise WrongInput(str(error)) from None


def _key(target: Target) -> str | None:
    """The ARN of the environment's KMS key; None if it has none, so that AWS's own is used."""
    if target.deployed and target.deployed.encryption_key:
        return target.deployed.encryption_key
    setting = str(team_files.settings(target.checkout, target.name).get("encryption_key", ""))
    return setting if setting.startswith("arn:") else None
