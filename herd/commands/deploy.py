"""`herd up`, `preview`, `down`, `stop`: make an environment, look before, remove it, stop the local cloud."""

from __future__ import annotations

from typing import Annotated

import typer

from herd import console
from herd.options import Environment, Stack, Yes


def up(
    environment: Environment = None,
    stack: Stack = None,
    no_run: Annotated[bool, typer.Option("--no-run", help="Do not start what has never succeeded.")] = False,
    yes: Yes = False,
) -> None:
    """Make the environment what the files say, start what has never run, and print the addresses.

    Checks every settings file first; nothing is touched if one is wrong. Running it again changes nothing.

    [dim]herd up[/dim]                 everything, on this machine
    [dim]herd up -e pr-17[/dim]        a second environment beside it
    [dim]herd up --stack prod[/dim]    the same on AWS
    """
    from herd import deployment
    from herd.target import choose

    deployment.up(choose(environment, stack), run=not no_run, yes=yes)


def preview(environment: Environment = None, stack: Stack = None) -> None:
    """Show what `herd up` would change. Changes nothing."""
    from herd import deployment
    from herd.target import choose

    changes = deployment.preview(choose(environment, stack))
    deployment.show_changes(changes)
    console.say(changes.count())


def down(environment: Environment = None, stack: Stack = None, yes: Yes = False) -> None:
    """Remove everything that the environment has, runs and data included, and leave nothing behind.

    With the last local environment the local cloud stops too.
    """
    from herd import deployment
    from herd.target import choose

    deployment.down(choose(environment, stack), yes=yes)


def stop() -> None:
    """Stop the local cloud of this checkout: nothing runs on this machine afterwards. `herd up` starts it again."""
    from herd import checkout, local_cloud, turn

    here = checkout.current()
    with turn.all_taken(here), local_cloud.guarded(here):
        stopped = local_cloud.stop(here)
    console.say("the local cloud is stopped" if stopped else "the local cloud was not running")
