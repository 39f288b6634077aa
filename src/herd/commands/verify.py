"""`herd verify`: stand up a small environment, try each promise on it, take it down, write one file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from herd.checkout import names
from herd.commands.options import Stack, Yes


def verify(
    stack: Stack = None,
    account: Annotated[
        str | None,
        typer.Option(
            "--account",
            metavar="ID",
            help="The 12 digits of the account that the stack is in; `--yes` needs it.",
            show_default=False,
            callback=names.some,
        ),
    ] = None,
    file: Annotated[
        Path | None,
        typer.Option("--file", metavar="FILE", parser=names.path, help="What to write.", show_default="herd-verify.md"),
    ] = None,
    yes: Yes = False,
) -> None:
    """Prove that what Herd promises holds here: on this machine, or with the settings and the account of a stack.

    Makes a small environment of its own (a job, a report, an API), tries each promise on it, removes it, proves that
    nothing is left, and writes one file without account numbers, names or secrets. Exit status 1 if a promise is not
    kept. What it has made goes also after Ctrl-C; what a killed one has left is removed by the next.

    [dim]herd verify[/dim]                 on this machine
    [dim]herd verify --stack prod[/dim]    where the stack prod is, as it is set
    """
    from herd.deploy.verify import verify_environment

    if not verify_environment(stack, account, yes, file or Path("herd-verify.md")):
        raise typer.Exit(1)
