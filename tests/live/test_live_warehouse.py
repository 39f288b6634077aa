"""The example of docs/examples/warehouse as a team has it: a job loads a table of a database that the program makes."""

from __future__ import annotations

import json
import secrets
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pg8000 import native
from pg8000.exceptions import InterfaceError

from harness.postgres import MISSING
from harness.sandbox import ROOT, Sandbox
from localcloud.engines.postgres import programs

pytestmark = [pytest.mark.live, pytest.mark.skipif(programs() is None, reason=MISSING)]

EXAMPLE = ROOT / "docs/examples/warehouse"
PASSWORD = f"canary-{secrets.token_hex(8)}"
LOGIN = {"username": "loader", "password": PASSWORD, "dbname": "sales"}


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    with Sandbox(tmp_path_factory.mktemp("warehouse") / "checkout", samples=False) as sandbox:
        stack = sandbox.folder / "Pulumi.dev.yaml"
        own = stack.read_text()
        shutil.copytree(EXAMPLE, sandbox.folder, dirs_exist_ok=True)
        settings = (EXAMPLE / "Pulumi.dev.yaml").read_text().split("config:\n")[1]
        stack.write_text(own.rstrip() + "\n" + settings)
        entry = sandbox.folder / "infra/__main__.py"
        made = "hardware = Hardware(project)"
        text = entry.read_text().replace(made, f"{made}\nWarehouse(project, hardware)", 1)
        entry.write_text(text.replace("from outputs import", "from warehouse import Warehouse\nfrom outputs import", 1))
        yield sandbox


def table(sandbox: Sandbox) -> Any:
    """What readers see: rows, rows without an amount, and the day."""
    [instance] = sandbox.client("rds").describe_db_instances()["DBInstances"]
    at = instance["Endpoint"]
    with native.Connection("loader", at["Address"], "sales", at["Port"], PASSWORD) as database:
        [row] = database.run("SELECT count(*), count(*) - count(amount), max(day)::text FROM sales")
    return row


def files_with(folder: Path, text: str) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and text.encode() in path.read_bytes()]


def test_a_table_is_loaded_checked_and_swapped(sandbox: Sandbox) -> None:
    command = [str(sandbox.folder / ".venv/bin/python"), "-m", "herd", "secret", "set", "warehouse-login"]
    subprocess.run(
        command,
        cwd=sandbox.folder,
        env=sandbox.environment,
        input=json.dumps(LOGIN),
        text=True,
        check=True,
        timeout=120,
    )
    sandbox.herd("up", "--no-run")
    [instance] = sandbox.client("rds").describe_db_instances()["DBInstances"]
    assert (instance["DBInstanceIdentifier"], instance["DBInstanceStatus"]) == ("herd-dev-warehouse", "available")

    # A trial stages and asks, and leaves the table alone: there is none yet.
    tried = sandbox.herd("try", "load-sales")
    assert "= 20 passed" in tried.stdout + tried.stderr and "would now run publish" in tried.stdout + tried.stderr

    sandbox.herd("run", "load-sales")
    assert table(sandbox) == [20, 0, "2026-11-01"]

    refused = sandbox.herd("run", "load-sales", "--param", "source=sales-broken.csv", check=False)
    assert refused.returncode == 1 and "= 6 is above max = 0" in refused.stdout + refused.stderr
    assert table(sandbox) == [20, 0, "2026-11-01"], "the old table is still read"
    assert sandbox.status("load-sales")["last_run"]["status"] == "check-failed"

    sandbox.herd("run", "load-sales", "--param", "source=sales-next-day.csv")
    assert table(sandbox) == [24, 0, "2026-11-02"]

    sandbox.pulumi("preview", "--refresh", "--expect-no-changes")
    # What PostgreSQL itself keeps are the rows and a hash of the password.
    assert files_with(sandbox.folder / ".herd", PASSWORD) == []

    port = instance["Endpoint"]["Port"]
    down = sandbox.herd("down", "--yes")
    assert "nothing is left" in down.stdout + down.stderr
    with pytest.raises(InterfaceError, match=str(port)):
        native.Connection("loader", "127.0.0.1", "sales", port, PASSWORD)
