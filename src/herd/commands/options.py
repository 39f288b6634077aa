"""Options and arguments that several commands share, with the same name and help."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from herd.checkout import names
from herd.commands import complete

Environment = Annotated[
    str | None,
    typer.Option(
        "--environment",
        "-e",
        metavar="NAME",
        help="A local environment of this checkout.",
        show_default="dev",
        callback=names.environment,
        autocompletion=complete.environments,
    ),
]
Stack = Annotated[
    str | None,
    typer.Option(
        "--stack",
        metavar="NAME",
        help="Act on this stack on AWS instead, with your own login; asks before it changes anything.",
        callback=names.stack,
        autocompletion=complete.stacks,
    ),
]
Inputs = Annotated[
    Path | None,
    typer.Option(
        "--inputs",
        metavar="DIR",
        parser=names.path,
        help="Take inputs from DIR/<name>/ where there is such a folder.",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="For scripts: one JSON object, times in UTC.")]
Language = Literal["python", "r"]
Workflows = Literal["usual", "all"]
Raw = Annotated[
    bool,
    typer.Option("--raw", help="What programs print as they print it: escape sequences reach the terminal."),
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask (with --stack).")]
Name = Annotated[
    str,
    typer.Argument(
        metavar="NAME",
        help="A workload: the name of its folder.",
        show_default=False,
        callback=names.workload,
        autocompletion=complete.workloads,
    ),
]
