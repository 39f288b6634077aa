"""`herd alarms`, `herd alarms test`: what is watched, in what state it is, and whether what is told arrives."""

from __future__ import annotations

from typing import Annotated

import typer

from herd import console
from herd.commands.options import Environment, Name, Stack

app = typer.Typer(no_args_is_help=False)


@app.callback(invoke_without_command=True)
def alarms(
    context: typer.Context,
    as_json: Annotated[bool, typer.Option("--json", help="For scripts: one JSON object, times in UTC.")] = False,
    environment: Environment = None,
    stack: Stack = None,
) -> None:
    """Show what is watched for whom, what is in trouble since when, and the last message about it.

    [dim]herd alarms[/dim]
    [dim]herd alarms test delay-model[/dim]
    """
    if context.invoked_subcommand is not None:
        return
    from herd.runs.alarms import overview
    from herd.targets.choose import choose

    target = choose(environment, stack)
    seen = overview(target)
    if as_json:
        import json
        from dataclasses import asdict

        console.document(json.dumps(asdict(seen), indent=2, default=str) + "\n")
        return
    from herd.commands import tables

    tables.alarms(seen)


@app.command("test")
def test(name: Name, environment: Environment = None, stack: Stack = None) -> None:
    """Send a message that is marked as a drill the whole way, to everybody who hears of the workload; say where it is
    lost if it is.

    [dim]herd alarms test delay-model[/dim]
    [dim]herd alarms test delay-model --stack prod[/dim]
    """
    from herd.runs.alarms import drill
    from herd.targets.choose import choose

    target = choose(environment, stack)
    target.require_exports().workload(name)
    for line in drill(target, name):
        console.say(f"✓ {line}")
