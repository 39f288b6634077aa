"""RDS instances of engine `postgres`: a real server behind each, which lives as long as its instance."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from pg8000 import native
from pg8000.exceptions import DatabaseError

from harness.postgres import MISSING
from localcloud.agent import databases
from localcloud.agent.agent import Agent
from localcloud.engines.postgres import programs
from localcloud.server import Server

from .conftest import AnyImage, CommandEngine, PlainEnvironment, eventually

ROOT = Path(__file__).parents[2]
needs_postgres = pytest.mark.skipif(programs() is None, reason=MISSING)
LOGIN = {"MasterUsername": "owner", "MasterUserPassword": "it's \\ a secret"}
Start = Callable[[], Agent]


@pytest.fixture
def start(server: Server, tmp_path: Path) -> Iterator[Start]:
    """Begins an agent; the second time, as after `herd stop`, on the same files."""
    agents: list[Agent] = []

    def begin() -> Agent:
        agent = Agent(
            server, CommandEngine(), AnyImage(), PlainEnvironment(), databases=tmp_path / "databases"
        )  # fmt: skip
        agent.start()
        agents.append(agent)
        return agent

    yield begin
    for agent in agents:
        agent.stop(timeout=5)


def create(server: Server, **more: Any) -> None:
    wanted = {"DBInstanceIdentifier": "warehouse", "DBInstanceClass": "db.t4g.micro", "AllocatedStorage": 20}
    wanted |= {"Engine": "postgres", "DBName": "sales", **LOGIN, **more}
    server.client("rds").create_db_instance(**{name: value for name, value in wanted.items() if value != ""})


def described(server: Server) -> Any:
    [instance] = server.client("rds").describe_db_instances()["DBInstances"]
    return instance


def available(server: Server) -> Any:
    eventually(lambda: described(server)["DBInstanceStatus"] not in ("creating", "starting"))
    instance = described(server)
    assert instance["DBInstanceStatus"] == "available"
    return instance


def run(server: Server, sql: str, password: str = LOGIN["MasterUserPassword"], database: str = "sales") -> Any:
    at = described(server)["Endpoint"]
    with native.Connection("owner", at["Address"], database, at["Port"], password) as connection:
        return connection.run(sql)


def listens(port: int) -> bool:
    with socket.socket() as asking:
        return asking.connect_ex(("127.0.0.1", port)) == 0


@needs_postgres
def test_an_instance_is_a_server_that_keeps_its_data_and_goes_with_it(
    server: Server, start: Start, tmp_path: Path
) -> None:
    agent = start()
    create(server)
    assert described(server)["DBInstanceStatus"] == "creating"
    endpoint = available(server)["Endpoint"]
    assert endpoint["Address"] == "127.0.0.1"
    run(server, "CREATE TABLE sales (id int)")
    assert run(server, "SELECT rolsuper, rolcreatedb, rolcreaterole FROM pg_roles WHERE rolname = 'owner'") == [
        [False, True, True]
    ]
    with pytest.raises(DatabaseError, match="permission denied|must be superuser"):
        run(server, "COPY sales FROM '/etc/passwd'")
    with pytest.raises(DatabaseError, match="password authentication failed"):
        run(server, "SELECT 1", password="wrong")

    # As after `herd stop`: the server ends, and comes back at the same address with what was in it.
    agent.stop(timeout=5)
    assert not listens(endpoint["Port"])
    agent = start()
    assert available(server)["Endpoint"] == endpoint
    assert run(server, "SELECT count(*) FROM sales") == [[0]]

    rds = server.client("rds")
    rds.modify_db_instance(DBInstanceIdentifier="warehouse", MasterUserPassword="another one")
    agent.databases.settle()
    assert run(server, "SELECT 1", password="another one") == [[1]]

    rds.stop_db_instance(DBInstanceIdentifier="warehouse")
    eventually(lambda: not listens(endpoint["Port"]))
    rds.start_db_instance(DBInstanceIdentifier="warehouse")
    assert available(server)["Endpoint"] == endpoint

    # A server that ends by itself is started again.
    [running] = agent.databases._running.values()
    assert running.process is not None
    os.kill(running.process.pid, signal.SIGKILL)
    running.process.wait()
    agent.tick()
    agent.databases.settle()
    assert run(server, "SELECT count(*) FROM sales", password="another one") == [[0]]

    rds.delete_db_instance(DBInstanceIdentifier="warehouse", SkipFinalSnapshot=True)
    agent.databases.settle()
    assert not listens(endpoint["Port"]) and list((tmp_path / "databases").iterdir()) == []


@needs_postgres
def test_a_managed_password_is_in_a_secret_of_rds_own_form(server: Server, start: Start) -> None:
    start()
    create(server, MasterUserPassword="", ManageMasterUserPassword=True)
    secret = available(server)["MasterUserSecret"]["SecretArn"]
    login = json.loads(server.client("secretsmanager").get_secret_value(SecretId=secret)["SecretString"])
    assert login.keys() == {"username", "password"} and login["username"] == "owner"
    assert run(server, "SELECT current_user", password=login["password"]) == [["owner"]]


def test_where_no_postgres_is_installed_nothing_answers(
    server: Server, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(databases, "programs", lambda: None)
    start()
    create(server)
    instance = described(server)
    assert instance["DBInstanceStatus"] == "stopped"
    assert "this machine has no PostgreSQL; install one with" in instance["StatusInfos"][0]["Message"]


@needs_postgres
def test_a_port_that_another_program_has_is_named_until_it_is_free(server: Server, start: Start) -> None:
    agent = start()
    create(server)
    port = available(server)["Endpoint"]["Port"]
    agent.stop(timeout=5)
    with socket.create_server(("127.0.0.1", port)):
        agent = start()
        agent.databases.settle()
        assert described(server)["DBInstanceStatus"] == "failed"
        assert f"its port {port} is taken by another program" in described(server)["StatusInfos"][0]["Message"]
    agent.tick()
    agent.databases.settle()
    assert available(server)["StatusInfos"] == []


def test_what_would_need_a_copy_of_the_data_is_refused(server: Server, start: Start) -> None:
    start()
    create(server, Engine="mysql")
    rds = server.client("rds")
    rds.create_db_snapshot(DBInstanceIdentifier="warehouse", DBSnapshotIdentifier="last")
    with pytest.raises(ClientError, match="keeps no data of snapshots"):
        rds.restore_db_instance_from_db_snapshot(DBInstanceIdentifier="again", DBSnapshotIdentifier="last")
    with pytest.raises(ClientError, match="has no replicas"):
        rds.create_db_instance_read_replica(DBInstanceIdentifier="copy", SourceDBInstanceIdentifier="warehouse")


def test_another_engine_exists_by_name_only(server: Server, start: Start) -> None:
    start()
    create(server, Engine="mysql")
    instance = described(server)
    assert instance["DBInstanceStatus"] == "available"
    assert instance["Endpoint"]["Address"] == "warehouse.eu-west-1.rds.localhost"


KILLED = """
import json, os, signal, sys, time
from pathlib import Path
from pg8000 import native
from localcloud.cloud import LocalCloud
from localcloud.config import Config

home, first = Path(sys.argv[1]), sys.argv[2] == "first"
cloud = LocalCloud(Config(home, home / "cache", Path("/bin/true")))
cloud.start()
rds = cloud.server.client("rds")
if first:
    rds.create_db_instance(DBInstanceIdentifier="warehouse", DBInstanceClass="db.t4g.micro", Engine="postgres",
                           AllocatedStorage=20, MasterUsername="owner", MasterUserPassword="hush", DBName="sales")
deadline = time.monotonic() + 90
while (one := rds.describe_db_instances()["DBInstances"][0])["DBInstanceStatus"] != "available":
    assert time.monotonic() < deadline, one["DBInstanceStatus"]
    time.sleep(0.05)
at = one["Endpoint"]
database = native.Connection("owner", at["Address"], "sales", at["Port"], "hush")
if first:
    database.run("CREATE TABLE sales (id int); INSERT INTO sales VALUES (7)")
print(json.dumps({"at": at, "rows": database.run("SELECT id FROM sales")}), flush=True)
if first:
    os.kill(os.getpid(), signal.SIGKILL)
database.close()
cloud.stop()
"""


@needs_postgres
def test_what_is_committed_survives_a_kill(tmp_path: Path) -> None:
    lives = []
    for life in ("first", "second"):
        command = [sys.executable, "-c", KILLED, str(tmp_path / "home"), life]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=200)
        assert done.stdout, done.stderr
        lives.append(json.loads(done.stdout.splitlines()[-1]))
    assert lives[0] == lives[1] and lives[0]["rows"] == [[7]]
    assert not listens(lives[0]["at"]["Port"])
