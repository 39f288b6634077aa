"""`herd environments`, and the documents that commands with a table have for scripts."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import typer

from herd.checkout.find import Checkout
from herd.commands.cli import app
from herd.deploy import ends, environments
from herd.deploy.ends import End
from herd.errors import HerdError
from herd.targets.aws import AwsTarget

WITH_TABLES = (
    "status",
    "environments",
    "inventory",
    "cost",
    "inbox",
    "runs",
    "show",
    "checks",
    "outputs",
    "explain",
    "doctor",
    "alarms list",
    "image list",
    "secret list",
    "snapshot",
)


def options(path: str) -> set[str]:
    command: Any = typer.main.get_command(app)
    for name in path.split():
        if name in getattr(command, "commands", {}):
            command = command.commands[name]
    return {option for parameter in command.params for option in parameter.opts}


@pytest.mark.parametrize("path", WITH_TABLES)
def test_what_is_a_table_for_people_is_json_for_scripts(path: str) -> None:
    assert "--json" in options(path)


def state(checkout: Checkout, name: str, resources: list[dict[str, Any]]) -> None:
    stacks = checkout.pulumi / ".pulumi" / "stacks" / checkout.project
    stacks.mkdir(parents=True, exist_ok=True)
    (stacks / f"{name}.json").write_text(json.dumps({"checkpoint": {"latest": {"resources": resources}}}))


def test_the_environments_here(checkout: Checkout) -> None:
    assert environments.listed_here(checkout) == []
    state(checkout, "pr-1", [])
    state(checkout, "pr-2", [{"type": "aws:s3/bucket:Bucket", "custom": True, "urn": "u"}])
    (checkout.pulumi / ".pulumi" / "stacks" / checkout.project / "pr-3.json").write_text("{")
    seen = {one.name: (one.where, one.state, one.resources) for one in environments.listed_here(checkout)}
    assert seen == {
        "pr-1": ("this machine", "empty", 0),
        "pr-2": ("this machine", "half made", 1),
        "pr-3": ("this machine", "unreadable", None),
    }


def test_the_list_has_the_end_as_it_was_moved_and_who_made_it(
    checkout: Checkout, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed while it was made: what its settings say is all that is known. The end is the one that everybody reads."""
    monkeypatch.setenv("HERD_NOW", "2027-01-31T12:00:00+00:00")
    state(checkout, "pr-1", [{"type": "aws:s3/bucket:Bucket", "custom": True, "urn": "u"}])
    moved = End(datetime(2027, 2, 3, 6, tzinfo=UTC), "48h", "ada")
    monkeypatch.setattr(ends, "known", lambda _: moved)
    monkeypatch.setattr(ends, "of", lambda _: moved)
    (one,) = environments.listed_here(checkout)
    assert (one.by, one.ends, one.state) == ("ada", "2027-02-03T06:00:00Z", "half made")
    over = End(datetime(2027, 1, 31, 6, tzinfo=UTC), "48h", "ada")
    monkeypatch.setattr(ends, "known", lambda _: over)
    assert [one.state for one in environments.listed_here(checkout)] == ["over its time"]


def test_stacks_are_listed_where_there_is_a_login(
    checkout: Checkout, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("PULUMI_BACKEND_URL", "PULUMI_ACCESS_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PULUMI_HOME", str(tmp_path / "nobody"))
    with pytest.raises(HerdError, match="no login to Pulumi's backend"):
        environments.listed_on_aws(checkout)
    monkeypatch.setenv("PULUMI_BACKEND_URL", "s3://states")
    listed = [
        {"name": "prod", "lastUpdate": "2027-01-31T06:00:00.000Z", "updateInProgress": False, "resourceCount": 105},
        {"name": "acme/herd/pr-9", "resourceCount": 0},
    ]
    monkeypatch.setattr(AwsTarget, "stacks", lambda _: listed)
    assert [one.as_json() for one in environments.listed_on_aws(checkout)] == [
        {
            "name": "acme/herd/pr-9",
            "where": "AWS",
            "state": "empty",
            "deployed": None,
            "by": None,
            "ends": None,
            "resources": 0,
        },
        {
            "name": "prod",
            "where": "AWS",
            "state": "up",
            "deployed": "2027-01-31T06:00:00Z",
            "by": None,
            "ends": None,
            "resources": 105,
        },
    ]
