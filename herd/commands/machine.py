"""`herd env` and `herd doctor`: the shell's variables for plain Pulumi and aws, and what is wrong with this machine."""

from __future__ import annotations

from typing import Annotated

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


def doctor(
    fix: Annotated[bool, typer.Option("--fix", help="Repair what can be repaired without losing anything.")] = False,
) -> None:
    """Check this machine and checkout, and say for each thing that is wrong what to do about it."""
    from herd import diagnosis

    findings = diagnosis.examine()
    if fix:
        for line in diagnosis.fix(findings):
            console.say(line)
        findings = diagnosis.examine()
    console.table(
        ["", "WHAT", "FOUND"],
        [["!" if f.note else "✓" if f.good else "✗", f.what, f.found] for f in findings],
        {"✗": "red", "✓": "green", "!": "yellow"},
    )
    wrong = [finding for finding in findings if not finding.good]
    if wrong:
        lines = [f"{finding.what}: {finding.advice}" for finding in wrong]
        if not fix and any(finding.repair for finding in wrong):
            names = ", ".join(finding.what for finding in wrong if finding.repair)
            lines.append(f"`herd doctor --fix` repairs: {names}")
        raise HerdError("\n".join(lines))
