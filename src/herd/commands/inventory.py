"""`herd inventory`: whose each workload is, until when, and how old what it shows is."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from herd import console
from herd.commands.options import Environment, Stack


class Format(StrEnum):
    """How the inventory is printed."""

    text = "text"
    json = "json"
    csv = "csv"


def inventory(
    format_: Annotated[
        Format, typer.Option("--format", help="`csv` for a spreadsheet, `json` for scripts; times in UTC.")
    ] = Format.text,
    json_: Annotated[bool, typer.Option("--json", help="For scripts: the same as --format json.")] = False,
    environment: Environment = None,
    stack: Stack = None,
) -> None:
    """List every workload with its owner, review date, schedule, deadline, last success, age and readers.

    The age is that of what readers see: the version that was published last.

    [dim]herd inventory --stack prod --format csv > inventory.csv[/dim]
    """
    from herd.runs.inventory import as_csv, as_json, collect
    from herd.targets.choose import choose

    target = choose(environment, stack)
    entries = collect(target)
    match Format.json if json_ else format_:
        case Format.csv:
            console.document(as_csv(entries))
        case Format.json:
            import json

            document = {"environment": target.name, "workloads": [as_json(entry) for entry in entries]}
            console.document(json.dumps(document, indent=2) + "\n")
        case Format.text:
            from herd.commands import tables

            tables.inventory(entries)
