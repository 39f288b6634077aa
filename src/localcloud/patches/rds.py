"""RDS: an instance has an identity, a login and an address of its own, and whoever runs databases hears of it."""

from __future__ import annotations

import json
import string
from collections.abc import Callable
from functools import wraps
from typing import Any

from localcloud.patches import hooks
from localcloud.patches.loading import when_loaded

_PASSWORD_LENGTH = 28
_PASSWORD_CHARACTERS = string.ascii_letters + string.digits + "!#$%()*+-.:<=>?[]^_{|}~"
_IDENTITY_CHARACTERS = string.ascii_uppercase + string.digits

COPIES = (
    "create_db_instance_read_replica",
    "restore_db_instance_from_db_snapshot",
    "restore_db_instance_to_point_in_time",
)
CHANGES = ("create_db_instance", "modify_db_instance", "delete_db_instance", "start_db_instance", "stop_db_instance")


def apply() -> None:
    """Wait for moto's part."""
    when_loaded("moto.rds.models", _patch)


def _patch() -> None:
    from moto.rds import models

    _tell_instances_apart(models)
    _give_an_address(models)
    _know_the_master_user(models)
    _replace_subnets_in_place(models)
    _refuse_what_needs_data(models)
    for operation in CHANGES:
        _tell_of_changes(models.RDSBackend, operation)


def _tell_instances_apart(models: Any) -> None:
    # rds/models.py:1195 gives every instance the same resource id, and PostgreSQL the version 9.3.3, which is no more.
    from moto.moto_api._internal import mock_random

    instance = models.DBInstance
    stock = instance.__init__

    @wraps(stock)
    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:
        stock(self, *args, **kwargs)
        self.dbi_resource_id = "db-" + "".join(mock_random.choice(_IDENTITY_CHARACTERS) for _ in range(26))

    instance.__init__ = __init__
    instance.default_engine_versions = {**instance.default_engine_versions, "postgres": "16.3"}


def _give_an_address(models: Any) -> None:
    # rds/models.py:1463 answers with a name that only AWS could resolve.
    def address(self: Any) -> str:
        at = getattr(self, "answers_at", None)
        return at[0] if at else f"{self.db_instance_identifier}.{self.region}.rds.localhost"

    def endpoint(self: Any) -> dict[str, Any]:
        at = getattr(self, "answers_at", None)
        return {"Address": self.address, "Port": at[1] if at else self.port, "HostedZoneId": "Z29XKXDKYMONMX"}

    models.DBInstance.address, models.DBInstance.endpoint = property(address), property(endpoint)


def _know_the_master_user(models: Any) -> None:
    # rds/models.py:456 writes the same login for all. RDS keeps user and password there, and nothing else.
    # Source: "Password management with Amazon RDS and AWS Secrets Manager".
    from moto.moto_api._internal import mock_random

    def login(self: Any) -> str:
        password = "".join(mock_random.choice(_PASSWORD_CHARACTERS) for _ in range(_PASSWORD_LENGTH))
        self.resource.master_user_password = password
        return json.dumps({"username": self.resource.master_username, "password": password})

    models.MasterUserSecret._generate_secret_string = login


def _replace_subnets_in_place(models: Any) -> None:
    # rds/models.py:3109 takes the group out and does not put it back.
    stock = models.RDSBackend.modify_db_subnet_group

    def modify(self: Any, subnet_name: str, description: str, subnets: Any) -> Any:
        group = stock(self, subnet_name, description, subnets)
        self.subnet_groups[group.name] = group
        return group

    models.RDSBackend.modify_db_subnet_group = modify


def _refuse_what_needs_data(models: Any) -> None:
    # rds/models.py:2655 and :2771 copy the description of an instance; of what is in it there is no copy here.
    def refused(self: Any, *args: Any, **kwargs: Any) -> Any:
        words = "the local cloud keeps no data of snapshots and has no replicas"
        raise models.RDSClientError("InvalidParameterCombination", words)

    for operation in COPIES:
        setattr(models.RDSBackend, operation, refused)


def _tell_of_changes(backend: Any, operation: str) -> None:
    stock: Callable[..., Any] = getattr(backend, operation)

    @wraps(stock)
    def changed(self: Any, *args: Any, **kwargs: Any) -> Any:
        instance = stock(self, *args, **kwargs)
        listener = hooks.listener(self.account_id)
        if listener is not None:
            listener.database_changed(instance, operation)
        return instance

    setattr(backend, operation, changed)
