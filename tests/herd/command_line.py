"""The command line in this process, as a terminal would have it."""

from __future__ import annotations

from typing import Any

from typer.testing import CliRunner


def invoke(*arguments: str) -> Any:
    """`invoke("status", "--json")` runs the command; result.exit_code, .stdout, .stderr."""
    from herd import console
    from herd.commands.cli import app

    # Consoles are made once a process and keep the stream they were made with.
    console.out.cache_clear()
    console.err.cache_clear()
    result = CliRunner().invoke(app, list(arguments), prog_name="herd")
    console.out.cache_clear()
    console.err.cache_clear()
    return result
