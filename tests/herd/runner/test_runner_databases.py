"""Checks with a connection, and `publish`, against a real PostgreSQL: stage, check, swap in one transaction."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.postgres import Database, server
from herd.runner.checks import Result, Subject, database
from herd.runner.checks.evaluation import evaluate
from herd.runner.contract.checks import ConnectionCheck
from herd.runner.contract.statuses import BAD_SETTINGS, UNAVAILABLE
from herd.runner.errors import RunFailed
from localcloud import ports
from localcloud.engines.postgres import LOOPBACK, Postgres

Make = Callable[..., Any]


@pytest.fixture(scope="module")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    with server(tmp_path_factory.mktemp("server")) as running:
        yield running


@pytest.fixture(scope="module")
def sales(postgres: Postgres) -> Database:
    """A database with a table of three sales, and one that its owner may not read."""
    owner = Database(postgres)
    owner.run("CREATE TABLE sales (id int, amount numeric, note text)")
    owner.run("INSERT INTO sales VALUES (1, 0.1, 'a'), (2, 0.2, NULL), (3, NULL, 'c')")
    owner.run("CREATE SEQUENCE numbers")
    owner.run("CREATE FUNCTION sweep() RETURNS bigint LANGUAGE sql AS 'DELETE FROM sales; SELECT 1::bigint'")
    postgres.say("CREATE TABLE private (id int)", database=owner.name)
    return owner


def asked(check: ConnectionCheck, url: str, name: str = "warehouse") -> Result:
    [result] = evaluate([check], Subject(Path("nowhere"), connections={name: url}))
    return result


def check(query: str, **limits: Any) -> ConnectionCheck:
    return ConnectionCheck(connection="warehouse", query=query, **(limits or {"min": 0}))


ANSWERED: dict[str, tuple[ConnectionCheck, bool, str]] = {
    "a number of rows": (check("SELECT count(*) FROM sales", min=3), True, 'warehouse: query "SELECT count(*) FROM'),
    "too few": (check("SELECT count(*) FROM sales", min=4), False, "= 3 is below min = 4"),
    "exactly the limit": (check("SELECT sum(amount) FROM sales", max=0.3), True, "= 0.3 passed"),
    "next to nothing": (check("SELECT 1e-400", max=0), False, "is above max = 0"),
    "whole and large": (check("SELECT 9007199254740993", max=9007199254740992), False, "= 9007199254740993 is above"),
    "with a colon and a comment": (check("SELECT '7'::int -- :not a parameter", max=7), True, "= 7 passed"),
    "ended with a semicolon": (check("SELECT 1;", max=1), True, "= 1 passed"),
    "a common table": (check("WITH s AS (SELECT * FROM sales) SELECT count(*) FROM s", max=3), True, "= 3 passed"),
    "not a number": (check("SELECT 'NaN'::numeric"), False, "is not a finite number but nan"),
    "infinite": (check("SELECT 'Infinity'::numeric"), False, "is not a finite number but inf"),
    "nothing": (check("SELECT max(amount) FROM sales WHERE id > 9"), False, "is not a number but NULL"),
    "text": (check("SELECT note FROM sales WHERE id = 1"), False, "is not a number but 'a'"),
    "a truth": (check("SELECT true"), False, "is not a number but True"),
    "no row": (check("SELECT id FROM sales WHERE id > 9"), False, "must answer one number; it answers no row"),
    "many rows": (check("SELECT id FROM sales"), False, "must answer one number; it answers more than one row"),
    "two columns": (check("SELECT 1, 2"), False, "must answer one number; it answers 2 columns"),
    "no such table": (check("SELECT count(*) FROM sale"), False, 'cannot be checked: relation "sale" does not exist'),
    "no right": (check("SELECT count(*) FROM private"), False, "permission denied for table private"),
    "a second statement": (check("SELECT 1; DELETE FROM sales"), False, "cannot insert multiple commands"),
    "the end of the transaction": (check("SELECT 1; COMMIT; DELETE FROM sales"), False, "cannot insert multiple"),
    "a change in a WITH": (
        check("WITH gone AS (DELETE FROM sales RETURNING id) SELECT count(*) FROM gone"),
        False,
        "must not contain data-modifying statements in WITH",
    ),
    "a change in a function": (check("SELECT sweep()"), False, "cannot execute DELETE in a read-only transaction"),
    "a sequence": (check("SELECT nextval('numbers')"), False, "cannot execute nextval() in a read-only transaction"),
    "a way out": (
        check("SELECT 1 FROM (SELECT set_config('transaction_read_only', 'off', true), sweep()) x"),
        False,
        "transaction read-write mode must be set before any query",
    ),
    "a new table": (check("SELECT 1 AS x INTO copied"), False, "cannot be checked: "),
}


@pytest.mark.parametrize("name", ANSWERED)
def test_what_is_asked_of_a_database(name: str, sales: Database) -> None:
    asking, passed, words = ANSWERED[name]
    result = asked(asking, sales.url)
    assert (result.passed, result.kind) == (passed, "connection") and words in result.message, result.message
    assert sales.run("SELECT count(*) FROM sales") == [[3]]


def test_a_query_that_takes_too_long_is_ended_by_the_server(sales: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "STATEMENT_SECONDS", 1)
    result = asked(check("SELECT 1 FROM pg_sleep(60)"), sales.url)
    assert not result.passed and "cannot be checked: it took longer than 1 s" in result.message


def test_several_questions_are_asked_in_one_session(sales: Database) -> None:
    query = "SELECT pg_backend_pid()"
    subject = Subject(Path("nowhere"), connections={"warehouse": sales.url})
    first, wrong, second = evaluate([check(query), check("SELECT nothing"), check(query)], subject)
    assert first.observed == second.observed and not wrong.passed


UNREACHABLE: dict[str, tuple[str, int, str]] = {
    "nobody listens": ("postgresql://{user}:hush@127.0.0.1:{closed}/x", UNAVAILABLE, "at 127.0.0.1:{closed}: [Errno"),
    "a wrong password": (
        "postgresql://{user}:hush@127.0.0.1:{port}/{user}",
        UNAVAILABLE,
        'does not let in: password authentication failed for user "{user}"',
    ),
    "no such database": ("{url}x", UNAVAILABLE, 'database "{user}x" does not exist'),
    "encryption that is not there": ("{url}?sslmode=require", UNAVAILABLE, "Server refuses SSL"),
    "another database": ("mysql+pymysql://ann:hush@db/sales", BAD_SETTINGS, "that checks can ask: postgresql or"),
    "no host": ("postgresql:///sales", BAD_SETTINGS, "has an address without a host"),
    "no port": ("postgresql://ann:hush@db:none/sales", BAD_SETTINGS, "has an address that cannot be read"),
    "no user": ("postgresql://db/sales", BAD_SETTINGS, "has an address without a user"),
}
"""Address, exit status, words."""


@pytest.mark.parametrize("case", UNREACHABLE)
def test_a_database_that_cannot_be_asked(case: str, sales: Database) -> None:
    known = {"url": sales.url, "user": sales.user, "port": sales.server.port, "closed": ports.free()}
    url, status, words = UNREACHABLE[case]
    url, words = url.format(**known), words.format(**known)
    with pytest.raises(RunFailed) as failed:
        asked(check("SELECT 1"), url)
    assert failed.value.status == status and words in str(failed.value), str(failed.value)
    warning = asked(replace(check("SELECT 1"), otherwise="warn"), url)
    assert not warning.passed and not warning.rejects and words in warning.message
    for text in (str(failed.value), warning.message, repr(Subject(Path(), connections={"warehouse": url}))):
        assert "hush" not in text and sales.password not in text


def test_the_addresses_of_drivers_are_understood(sales: Database) -> None:
    assert asked(check("SELECT 1", max=1), sales.url.replace("postgresql:", "postgresql+psycopg2:")).passed


STAGE = """
import os, sys
from urllib.parse import unquote, urlsplit
from pg8000 import native

where = urlsplit(os.environ["HERD_CONNECTION_WAREHOUSE_URL"])
database = native.Connection(
    where.username, where.hostname, where.path[1:], where.port, unquote(where.password)
)
if sys.argv[1] == "stage":
    database.run("DROP TABLE IF EXISTS staged; CREATE TABLE staged (id int)")
    database.run("INSERT INTO staged SELECT generate_series(1, :rows)", rows=int(os.environ["HERD_PARAM_ROWS"]))
else:
    database.run("BEGIN; DROP TABLE IF EXISTS current; ALTER TABLE staged RENAME TO current")
    if sys.argv[1] == "fail":
        sys.exit(3)
    database.run("COMMIT")
"""


@pytest.fixture
def loading(make: Make, postgres: Postgres) -> Iterator[tuple[Any, Database]]:
    owner = Database(postgres)
    job = make(
        "load",
        f"{sys.executable} stage.py stage",
        {"stage.py": STAGE},
        connections=[{"name": "warehouse", "driver": "postgresql", "host": LOOPBACK, "port": postgres.port}],
        checks=[{"connection": "warehouse", "query": "SELECT count(*) FROM staged", "min": 2, "max_drop": 5}],
        publish=[sys.executable, "stage.py", "swap"],
        params={"rows": 10},
    )
    job.environ["HERD_CONNECTION_WAREHOUSE_SECRET"] = json.dumps(owner.secret)
    yield job, owner
    owner.drop()


def rows(owner: Database) -> int:
    [[count]] = owner.run("SELECT count(*) FROM current")
    return int(count)


def test_a_table_is_swapped_when_its_checks_have_passed(loading: tuple[Any, Database]) -> None:
    """Also of a job without files the first run gives the baseline."""
    job, owner = loading
    first = job.run("r1")
    assert first.status == 0 and rows(owner) == 10, first.log
    assert "herd: every check has passed: running publish" in first.log and "nothing to publish" in first.log
    empty = job.run("r2", HERD_PARAMS='{"rows": 1}')
    assert empty.status == 65 and rows(owner) == 10 and "= 1 is below min = 2" in empty.log
    fallen = job.run("r3", HERD_PARAMS='{"rows": 4}')
    assert fallen.status == 65 and rows(owner) == 10 and "has dropped by 6 from the accepted 10" in fallen.log
    assert job.run("r4", HERD_PARAMS='{"rows": 6}').status == 0 and rows(owner) == 6
    [check] = job.record("r3")["checks"]
    assert (check["kind"], check["file"], check["observed"]) == ("connection", "connection warehouse", 4)
    for text in (first.log, fallen.log, json.dumps(job.record("r3")), json.dumps(job.settings)):
        assert owner.password not in text


def test_a_swap_that_fails_leaves_the_old_table_and_is_tried_again(loading: tuple[Any, Database]) -> None:
    job, owner = loading
    job.settings["command"] = ["sh", "-c", "sh main.sh && echo x > outputs/receipt"]
    assert job.run("r1").status == 0 and job.latest["run_id"] == "r1"
    job.settings |= {"publish": [sys.executable, "stage.py", "fail"], "retries": 1}
    failed = job.run("r2", HERD_PARAMS='{"rows": 9}')
    assert failed.status == 3 and rows(owner) == 10 and job.latest["run_id"] == "r1"
    assert "publish ended with exit status 3: nothing is published" in job.record("r2")["reason"]
    job.settings["publish"] = [sys.executable, "stage.py", "swap"]
    assert job.run("r2", HERD_ATTEMPT="2", HERD_PARAMS='{"rows": 9}').status == 0
    assert rows(owner) == 9 and job.latest["run_id"] == "r2"


def test_a_swap_that_hangs_is_ended_by_the_time_limit(make: Make) -> None:
    job = make("load", "echo x > outputs/receipt", publish=["sleep", "600"], timeout_seconds=3, stop_seconds=1)
    assert job.run("r1").status == 124
    assert job.record("r1")["status"] == "timed-out" and job.latest is None


def test_a_database_that_is_away_is_tried_again(make: Make) -> None:
    job = make(
        "load",
        "true",
        connections=[{"name": "warehouse", "driver": "postgresql", "host": LOOPBACK, "port": ports.free()}],
        checks=[{"connection": "warehouse", "query": "SELECT 1", "min": 1}],
    )
    job.environ["HERD_CONNECTION_WAREHOUSE_SECRET"] = json.dumps({"username": "ann", "password": "hush"})
    ran = job.run("r1")
    assert ran.status == 69 and "the checks of connection warehouse could not be asked" in ran.log
    assert job.record("r1")["status"] == "failed" and "hush" not in ran.log


def test_a_trial_asks_the_database_and_swaps_nothing(offline: Make, postgres: Postgres) -> None:
    owner = Database(postgres)
    job = offline(
        "load",
        f"echo {sys.executable} > /dev/null",
        connections=[{"name": "warehouse", "driver": "postgresql", "host": LOOPBACK, "port": postgres.port}],
        checks=[{"connection": "warehouse", "query": "SELECT 7", "max": 7}],
        publish=["sh", "-c", "echo swapped"],
    )
    job.environ["HERD_CONNECTION_WAREHOUSE_SECRET"] = json.dumps(owner.secret)
    ran = job.run("r1")
    assert ran.status == 0 and 'warehouse: query "SELECT 7" = 7 passed' in ran.log
    assert "an environment would now run publish" in ran.log and "\nswapped" not in ran.log
    owner.drop()
