"""`herd secret set`, `list`, `rm`: keys and passwords that workloads need, kept where only their tasks read them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from herd import console
from herd.checkout import names
from herd.commands.options import AsJson, Environment, Stack, Yes
from herd.errors import WrongInput

SecretName = Annotated[
    str,
    typer.Argument(
        metavar="NAME", help="The name that workload.toml gives it.", show_default=False, callback=names.secret
    ),
]


def set_(
    context: typer.Context,
    name: SecretName,
    file: Annotated[
        Path | None,
        typer.Option(
            "--file",
            metavar="FILE",
            help="Take the value from this file.",
            show_default=False,
            parser=names.path,
        ),
    ] = None,
    no_restart: Annotated[
        bool, typer.Option("--no-restart", help="Leave services with the value that they have until they start again.")
    ] = False,
    environment: Environment = None,
    stack: Stack = None,
    yes: Yes = False,
) -> None:
    """Keep a secret, or give it another value. Asks for the value without showing it, or reads standard input.

    Jobs and reports have it with their next run; services that use it are started again, one copy after the other.

    [dim]herd secret set weather-key[/dim]
    [dim]herd secret set weather-key --file key.txt[/dim]
    """
    from herd.deploy import local_stack
    from herd.runs import secret_store
    from herd.targets.choose import choose

    if context.args:
        # The message must not repeat it, for the terminal and logs.
        raise WrongInput("the value is never an argument: it would be seen in the list of processes. Leave it out")
    target = choose(environment, stack)
    value = secret_store.ask(name, file)
    target.approve(f"set the secret {name}", yes)
    local_stack.prepare_locked(target)
    is_new = secret_store.put(target, name, value)
    console.say(f"{name} is {'kept' if is_new else 'changed'} in {target.name}")
    restarted = [] if no_restart or is_new else secret_store.restart(target, name)
    if restarted:
        console.note(f"started again with the new value: {', '.join(restarted)}")
    elif not is_new:
        console.note("jobs and reports have the new value with their next run")


def list_(as_json: AsJson = False, environment: Environment = None, stack: Stack = None) -> None:
    """Show which secrets there are, when each was changed, who uses it, and which are missing. Shows no value."""
    from herd.runs import secret_store
    from herd.runs.runs import utc
    from herd.targets.choose import choose

    target = choose(environment, stack)
    if as_json:
        known = [
            {"name": one.name, "changed": utc(one.changed) if one.changed else None, "used_by": list(one.used_by)}
            for one in secret_store.listed(target)
        ]
        missing = [{"name": name, "used_by": list(users)} for name, users in secret_store.missing(target).items()]
        console.json_document({"environment": target.name, "secrets": known, "missing": missing})
        return
    rows = [
        [secret.name, f"{secret.changed:%Y-%m-%d %H:%M}" if secret.changed else "", ", ".join(secret.used_by)]
        for secret in secret_store.listed(target)
    ]
    rows += [[name, "missing", ", ".join(users)] for name, users in secret_store.missing(target).items()]
    if not rows:
        console.note(f"{target.name} has no secrets, and no workload names one")
        return
    console.table(["NAME", "CHANGED", "USED BY"], sorted(rows), {"missing": "red"})


def rm(
    name: SecretName,
    environment: Environment = None,
    stack: Stack = None,
    yes: Yes = False,
) -> None:
    """Remove a secret. In a protected environment it can be brought back for 30 days, by setting it again."""
    from herd.runs import secret_store
    from herd.targets.choose import choose

    target = choose(environment, stack)
    target.approve(f"remove the secret {name}", yes)
    users = next((secret.used_by for secret in secret_store.listed(target) if secret.name == name), ())
    secret_store.remove(target, name)
    console.say(f"{name} is removed from {target.name}")
    if users:
        console.note(f"still named by {', '.join(users)}: their tasks will not start without it")


app = typer.Typer(
    no_args_is_help=True, rich_markup_mode="rich", help="Keys and passwords that workloads need: set, list, rm."
)
app.command("set", context_settings={"allow_extra_args": True})(set_)
app.command("list")(list_)
app.command("rm")(rm)
