"""What Tab offers behind `herd`, and that it is quick and never fails; what `--help` says of values."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from herd.commands.cli import app
from herd.runs.index import FILE, Execution, RunIndex
from herd.runs.runs import Run

NOW = datetime(2027, 1, 31, 6, tzinfo=UTC)


def offered(root: Path, words: str) -> list[str]:
    """What a shell would show after `words`, of which the last is being typed."""
    typed = words.split(" ")
    environment = {**os.environ, "HERD_CHECKOUT": str(root), "_HERD_COMPLETE": "complete_bash"}
    asked = {"COMP_WORDS": words, "COMP_CWORD": str(len(typed) - 1)}
    command = [sys.executable, "-m", "herd"]
    done = subprocess.run(command, env={**environment, **asked}, capture_output=True, text=True, cwd=root)
    assert done.stderr == ""
    return done.stdout.split()


@pytest.fixture
def project(root: Path) -> Path:
    for folder in ("jobs/half-made", "reports/hello-page", "apis/scores", "jobs/Not A Name"):
        (root / folder).mkdir(parents=True)
    stacks = root / ".herd/pulumi/.pulumi/stacks/herd"
    stacks.mkdir(parents=True)
    (stacks / "pr-17.json").write_text("{}")
    runs = [
        (Execution("arn", "hello", name, "SUCCEEDED", NOW, NOW + timedelta(minutes=number)), run(name))
        for number, name in enumerate(("20270130T060000-manual-1a2b", "20270131T060000-manual-4f2a"))
    ]
    RunIndex(root / ".herd" / FILE).remember(runs)
    return root


def run(name: str) -> Run:
    return Run("hello", name, "succeeded", NOW, NOW, 0)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("herd try ", ["half-made", "hello", "hello-page", "scores"]),
        ("herd try hel", ["hello", "hello-page"]),
        ("herd logs sc", ["scores"]),
        ("herd up -e ", ["dev", "pr-17"]),
        ("herd preview --stack d", ["dev"]),
        ("herd image lock ", ["python"]),
        ("herd show ", ["20270131T060000-manual-4f2a", "20270130T060000-manual-1a2b"]),
        ("herd logs hello --run 20270130", ["20270130T060000-manual-1a2b"]),
        ("herd rerun nothing-like-it", []),
    ],
)
def test_names_are_completed(project: Path, words: str, expected: list[str]) -> None:
    assert offered(project, words) == expected


@pytest.mark.parametrize("file", [".herd/runs.sqlite", ".herd", "Pulumi.yaml", "jobs"])
def test_nothing_is_offered_and_nothing_fails_where_files_are_no_such_files(root: Path, file: str) -> None:
    path = root / file
    if path.is_dir():
        path.rename(root / "away")
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"\xff garbage")
    for words in ("herd show ", "herd up -e none", "herd try none"):
        assert offered(root, words) == []


def commands() -> Iterator[list[str]]:
    def below(command: Any, path: list[str]) -> Iterator[list[str]]:
        yield path
        for name, one in getattr(command, "commands", {}).items():
            yield from below(one, [*path, name])

    return below(get_command(app), [])


@pytest.mark.parametrize("command", list(commands()), ids=" ".join)
def test_help_names_no_type_of_python_and_fits_a_terminal(
    cli: Any, command: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    page = cli(*command, "--help").stdout
    assert re.findall(r"<(?:bool|str|int|float|list|path|file)\b.*", page) == []
    assert [line for line in page.splitlines() if len(line) > 80] == []
