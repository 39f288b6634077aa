"""How patched moto reaches the cloud that it is part of: by the account that a model belongs to."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from moto.core.utils import utcnow

from localcloud.metrics.series import Series
from localcloud.registry_logins import Logins

KEPT_PACKAGES = "functions/packages"
"""Folder of a cloud's home: deployment packages that came from S3, as they were."""


@dataclass(frozen=True)
class Site:
    """What moto needs to know of its server: the gateway's port, the lock on the models, in-process boto3 clients,
    logins to its image registry.
    """

    port: int
    lock: threading.RLock
    client: Callable[..., Any]
    """service, region and, unless it is the account's root, principal -> client"""

    assume: Callable[[str, str, str | None, str], str]
    """role, service that takes it on, for which resource (None: it does not matter), session -> principal"""

    logins: Logins
    permit: Callable[[str, str, str, str], None]
    """service, action, ARN of what it reaches, ARN for which it acts: raises `Denied`"""

    packages: Path | None = None
    """where deployment packages of functions are kept that lay in S3; None: nowhere"""


class BadPackage(Exception):
    """A deployment package that is not taken; the text is Lambda's as far as known, and says what is wrong."""


class Functions(Protocol):
    """Who runs Lambda functions. `invoke` is called without the server's lock, the others while it is held."""

    def answer(
        self, region: str, name: str, qualifier: str, kind: str, payload: bytes, with_log: bool
    ) -> tuple[int, dict[str, str], bytes]:
        """What Invoke answers, status, headers and body: `kind` is RequestResponse, Event or DryRun."""

    def called_by(self, service: str, source_arn: str, arn: str, payload: bytes) -> None:
        """A service of AWS invokes a function for one of its resources, asynchronously, if the function permits it."""

    def changed(self) -> None:
        """A function or what it is started by was made, changed or removed."""

    def check_code(self, content: bytes) -> None:
        """Raise `BadPackage` for a deployment package that is not taken."""


class Listener(Protocol):
    """Runs what moto only writes down. Each call is made while the server's lock is held."""

    @property
    def functions(self) -> Functions:
        """Who runs the account's Lambda functions."""

    def task_submitted(self, task: Any) -> None:
        """RunTask made this task; its status is PROVISIONING."""

    def task_stop_requested(self, task: Any, reason: str) -> None:
        """StopTask was called for it."""

    def task_finished(self, task: Any) -> threading.Event:
        """Set as soon as the task is STOPPED."""

    def execution_changed(self, record: Mapping[str, Any]) -> None:
        """An execution of a state machine has begun or ended."""

    def service_changed(self, service: Any) -> None:
        """A service was created, updated or deleted."""

    def schedules_changed(self) -> None:
        """A schedule was created, updated or deleted."""

    def build_started(self, build: dict[str, Any]) -> None:
        """StartBuild made this build of CodeBuild; the listener writes into it what becomes of it."""

    def database_changed(self, instance: Any, operation: str) -> None:
        """An RDS instance was made, changed, started, stopped or removed, by this operation of moto's."""

    def rules_changed(self) -> None:
        """A rule was made, changed or removed."""

    def measured(self, region: str, series: Series) -> None:
        """CloudWatch was given a measurement of this metric."""

    def counted(self, region: str, namespace: str, metric: str) -> None:
        """Something that a service counts happened once more."""

    def alarm_changed(self, region: str, name: str, what: str) -> None:
        """An alarm was put ("put"), removed ("deleted"), or its state was set by hand ("set")."""

    def now(self) -> datetime:
        """The time by which services go."""

    def event_matched(self, rule: Any, target: dict[str, Any], payload: str) -> None:
        """An enabled event rule matched: `payload` is to be delivered to this target of it."""


_sites: dict[str, Site] = {}
_listeners: dict[str, Listener] = {}


def connect_site(account: str, site: Site) -> None:
    """From now on the account's models belong to this server."""
    _sites[account] = site


def connect_listener(account: str, listener: Listener) -> None:
    """From now on this listener runs what the account's models declare."""
    _listeners[account] = listener


def disconnect(account: str) -> None:
    """The account's server is gone, and with it whoever listened."""
    _sites.pop(account, None)
    _listeners.pop(account, None)


def disconnect_listener(account: str) -> None:
    """Nobody runs what the account's models declare any more."""
    _listeners.pop(account, None)


def site(account: str) -> Site | None:
    """The server of an account, or None for an account that no server has."""
    return _sites.get(account)


def listener(account: str) -> Listener | None:
    """Who runs what the account's models declare, or None."""
    return _listeners.get(account)


def now(account: str) -> datetime:
    """The time by which an account's services go."""
    listens = _listeners.get(account)
    return utcnow().replace(tzinfo=UTC) if listens is None else listens.now()  # the journal's where it is repeated


def counted(account: str, region: str, namespace: str, metric: str) -> None:
    """Something that a service counts happened once more."""
    if listens := _listeners.get(account):
        listens.counted(region, namespace, metric)
