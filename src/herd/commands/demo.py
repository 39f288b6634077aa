"""`herd demo`: what this product is for, shown on the sample in the local cloud."""

from __future__ import annotations

import typer

from herd.commands.options import Environment

app = typer.Typer(no_args_is_help=True, help="Show on the sample what happens when something goes wrong.")


@app.callback()
def demo() -> None:
    """Show on the sample what happens when something goes wrong, in the local cloud."""


@app.command("nonsense")
def nonsense(environment: Environment = None) -> None:
    """Train the sample's model on shuffled labels: the gate refuses it, readers keep the old one, the owner has mail.

    It ends with the model trained again as it is to be, and the mail that all is well.
    """
    from herd.runs.demo import nonsense
    from herd.targets.choose import choose

    nonsense(choose(environment, None))
