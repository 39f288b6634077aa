"""`herd check`: what can be said about the files without touching anything."""

from __future__ import annotations

from typing import Annotated

import typer

from herd import console
from herd.checkout import names
from herd.commands import complete
from herd.errors import HerdError


def check(
    environment: Annotated[
        str | None,
        typer.Option(
            "--environment",
            "-e",
            metavar="NAME",
            help="Only this one.",
            show_default="all with a Pulumi.<NAME>.yaml",
            callback=names.environment,
            autocompletion=complete.environments,
        ),
    ] = None,
) -> None:
    """Check every settings file, and the rules over all that would be made. Starts nothing, asks nobody.

    Seconds, also without a network: for a hook before a commit. Previews ask the same rules again, with what AWS knows.
    """
    from herd.checkout.find import find_checkout
    from herd.review.check import check_environment, environments

    checkout = find_checkout()
    refused = []
    due: dict[str, bool] = {}
    paused: dict[str, None] = {}
    for name in environments(checkout) if environment is None else [environment]:
        with console.step(f"checking {name}") as step:
            checked = check_environment(checkout, name)
            step.result = f"{checked.resources} resources, {len(checked.refused) or 'no'} problems"
        due |= {str(review): review.expired for review in checked.due}
        paused |= {str(pause): None for pause in checked.paused}
        for line in checked.advised:
            console.note(f"{name}: {line}", style="yellow")
        refused += [f"{name}: {line}" for line in checked.refused]
    for line, expired in due.items():
        console.note(f"! {line}", style="red" if expired else "yellow")
    for line in paused:
        console.note(f"– {line}", style="yellow")
    if refused:
        raise HerdError("\n".join(refused))
