"""`herd env` and `herd doctor`: the shell's variables for plain Pulumi and aws, and what is wrong with this machine."""

from __future__ import annotations

import typer

from herd import console
from herd.errors import HerdError
from herd.options import Environment


def env(environment: Environment = None) -> None:
    """Print what makes plain `pulumi` and `aws` work on a local environment; for eval "$(herd env)".

    Starts the local cloud if it is not running: its address and credentials are part of it.
    """
    from herd import deployment, shell
    from herd.target import local

    target = local(environment)
    deployment.prepare(target)
    variables = shell.prepare(target.checkout, target.name, target.cloud, target.pulumi)
    typer.echo(shell.script(variables))


def doctor() -> None:
    """Check this machine and checkout, and say for each thing that is wrong what to do about it."""
    from herd import diagnosis

    findings = diagnosis.examine()
    console.table(
        ["", "WHAT", "FOUND"], [["✓" if f.good else "✗", f.what, f.found] for f in findings], {"✗": "red", "✓": "green"}
    )
    advice = [f"{finding.what}: {finding.advice}" for finding in findings if not finding.good]
    if advice:
        raise HerdError("\n".join(advice))
