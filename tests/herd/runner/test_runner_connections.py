"""The address of a database: made of the secret and the stack's settings, for the workload only, not for errors."""

import json
from pathlib import Path
from typing import Any

import pytest

from herd.runner.connections import url as connection_url
from herd.runner.contract.statuses import BAD_SETTINGS
from herd.runner.contract.task import Connection
from herd.runner.errors import RunFailed
from herd.runner.inputs import fetch_all, versions
from herd.runner.published import NothingPublished
from herd.runner.task import task_of, workload_environment

HERE = Connection("sales-db", "postgresql", "db.example.com", 5432)
ANYWHERE = Connection("sales-db", "mysql+pymysql", "", 3306)
VARIABLE = "HERD_CONNECTION_SALES_DB_SECRET"
LOGIN = {"username": "ann", "password": "p@ss/wörd:%", "dbname": "sales"}

TASK: dict[str, Any] = {
    "schema": 1,
    "environment": "dev",
    "workload": "churn",
    "kind": "job",
    "command": ["true"],
    "data_bucket": "data",
    "params": {},
    "checks": [],
    "fan_out": [],
    "retries": 0,
    "reads": [{"name": "lake", "fetch": False, "uri": "s3://lake/raw/"}],
    "connections": [{"name": "sales-db", "driver": "postgresql", "host": "db.example.com", "port": 5432}],
}


@pytest.mark.parametrize(
    ("connection", "secret", "url"),
    [
        (HERE, LOGIN, "postgresql://ann:p%40ss%2Fw%C3%B6rd%3A%25@db.example.com:5432/sales"),
        (HERE, {"username": "ann"}, "postgresql://ann@db.example.com:5432/"),
        (HERE, {**LOGIN, "host": "other", "port": 1}, "postgresql://ann:p%40ss%2Fw%C3%B6rd%3A%25@db.example.com:5432/sales"),
        (ANYWHERE, {"username": "a", "password": "b", "host": "h", "port": 3307}, "mysql+pymysql://a:b@h:3307/"),
        (ANYWHERE, {"username": "a", "password": "b", "host": "h"}, "mysql+pymysql://a:b@h:3306/"),
        (ANYWHERE, {"username": "a", "password": 1, "host": "::1"}, "mysql+pymysql://a:1@[::1]:3306/"),
    ],
)  # fmt: skip
def test_the_address(connection: Connection, secret: dict[str, Any], url: str) -> None:
    assert connection_url(connection, {VARIABLE: json.dumps(secret)}) == url


def test_a_secret_may_be_an_address() -> None:
    assert connection_url(HERE, {VARIABLE: "snowflake://u:p@account/db\n"}) == "snowflake://u:p@account/db"


@pytest.mark.parametrize("secret", ["hunter2", '{"password": "hunter2"', '{"password": "hunter2"}'])
def test_what_is_wrong_with_a_secret_does_not_show_it(secret: str) -> None:
    with pytest.raises(RunFailed, match="connection sales-db: its secret") as error:
        connection_url(ANYWHERE, {VARIABLE: secret})
    assert "hunter2" not in str(error.value) and error.value.status == BAD_SETTINGS


def test_a_secret_that_is_not_there() -> None:
    with pytest.raises(RunFailed, match="its secret was not given"):
        connection_url(HERE, {})


def test_a_workload_gets_the_address_and_not_the_secret() -> None:
    environ = {"HERD_TASK": json.dumps(TASK), VARIABLE: json.dumps(LOGIN), "KEY": "of a secret"}
    variables = workload_environment(task_of(environ), environ, Path("/in"), Path("/out"), {})
    assert variables["HERD_CONNECTION_SALES_DB_URL"].startswith("postgresql://ann:")
    assert variables["KEY"] == "of a secret" and VARIABLE not in variables


def test_a_dataset_is_an_address_that_nobody_fetches(tmp_path: Path) -> None:
    task = task_of({"HERD_TASK": json.dumps(TASK)})
    assert fetch_all(task, NothingPublished(), versions(task, NothingPublished()), tmp_path) == (
        (),
        {"lake": "s3://lake/raw/"},
    )
    assert list(tmp_path.iterdir()) == []
