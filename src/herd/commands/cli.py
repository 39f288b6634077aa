"""The commands and their order in `herd --help`.

Modules of commands are imported at once and are light; what a command needs to do its work, it imports when it runs.
"""

from __future__ import annotations

from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from herd import console
from herd.commands import (
    alarms,
    check,
    clean,
    copies,
    cost,
    demo,
    deploy,
    develop,
    drift,
    ending,
    environments,
    graph,
    help_page,
    history,
    image,
    inbox,
    inspect,
    inventory,
    lock,
    machine,
    prices,
    project,
    rerun,
    run,
    secret,
    share,
    snapshot,
    verify,
    why,
)
from herd.errors import HerdError
from herd.foreign import on_one_line, shown
from herd.toolchain.machine import disk_error


class Commands(TyperGroup):
    """Shows errors as plain text, in the order they were found, and turns them into exit statuses."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except HerdError as error:
            console.fail(error)
            raise typer.Exit(error.status) from None
        except Exception as error:
            if (text := _aws_error(error) or disk_error(error)) is None:
                _make_harmless(error)
                raise
            console.fail(text)
            raise typer.Exit(1) from None

    def make_context(self, *arguments: Any, **more: Any) -> Any:
        try:
            return super().make_context(*arguments, **more)
        except Exception as error:
            _make_harmless(error)
            raise

    def __init__(self, **attributes: Any) -> None:
        """Commands in the order of ORDER, which is that of their use, and not alphabetical."""
        super().__init__(**attributes)
        self.commands = {name: self.commands[name] for name in ORDER if name in self.commands}

    def list_commands(self, ctx: Any) -> list[str]:
        return list(self.commands)


def _make_harmless(error: Exception) -> None:
    """Escape control characters in an error that Typer or Python prints, with what was typed or a service answered."""
    error.args = tuple(shown(value) if isinstance(value, str) else value for value in error.args)
    if isinstance(message := getattr(error, "message", None), str):
        error.message = on_one_line(message)  # type: ignore[attr-defined]


def _aws_error(error: Exception) -> str | None:
    """What AWS (or the local cloud) answered, in one line; None if the error is of another kind."""
    kind = type(error)
    if not kind.__module__.startswith(("botocore.", "boto3.")):
        return None
    operation = getattr(error, "operation_name", "")
    return f"AWS refused {operation}: {error}" if operation else f"AWS cannot be reached: {error}"


help_page.install()
app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    add_completion=True,
    rich_markup_mode="rich",
    pretty_exceptions_show_locals=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Jobs, reports and APIs as one environment: on this machine, and the same on AWS.\n\n"
    "Commands act on the local environment [b]dev[/b]; [b]-e NAME[/b] takes another, [b]--stack NAME[/b] one on AWS. "
    "Exit status: 0, 1 failure, 2 wrong input.",
)


def _show_version(asked: bool) -> None:
    if asked:
        from herd.version import VERSION

        console.say(f"herd {VERSION}")
        raise typer.Exit


@app.callback()
def common(
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_show_version, help="Print Herd's release and exit.")
    ] = False,
) -> None:
    """Options of `herd` itself, before a command's name."""


_ENVIRONMENT, _WORKLOADS, _MORE = "The environment", "Workloads", "More"
_COMMANDS: tuple[tuple[Any, str, str], ...] = (
    (project.init, "init", _ENVIRONMENT),
    (deploy.up, "up", _ENVIRONMENT),
    (check.check, "check", _ENVIRONMENT),
    (deploy.preview, "preview", _ENVIRONMENT),
    (inspect.status, "status", _ENVIRONMENT),
    (environments.environments, "environments", _ENVIRONMENT),
    (inventory.inventory, "inventory", _ENVIRONMENT),
    (graph.graph, "graph", _ENVIRONMENT),
    (drift.drift, "drift", _ENVIRONMENT),
    (cost.cost, "cost", _ENVIRONMENT),
    (copies.diff, "diff", _ENVIRONMENT),
    (copies.clone, "clone", _ENVIRONMENT),
    (inbox.inbox, "inbox", _ENVIRONMENT),
    (deploy.down, "down", _ENVIRONMENT),
    (ending.keep, "keep", _ENVIRONMENT),
    (ending.janitor, "janitor", _ENVIRONMENT),
    (deploy.stop, "stop", _ENVIRONMENT),
    (clean.clean, "clean", _ENVIRONMENT),
    (develop.new, "new", _WORKLOADS),
    (develop.try_, "try", _WORKLOADS),
    (develop.test, "test", _WORKLOADS),
    (run.run, "run", _WORKLOADS),
    (run.cancel, "cancel", _WORKLOADS),
    (history.runs, "runs", _WORKLOADS),
    (history.show, "show", _WORKLOADS),
    (rerun.rerun, "rerun", _WORKLOADS),
    (why.why, "why", _WORKLOADS),
    (inspect.checks, "checks", _WORKLOADS),
    (run.accept, "accept", _WORKLOADS),
    (run.rollback, "rollback", _WORKLOADS),
    (inspect.logs, "logs", _WORKLOADS),
    (inspect.outputs, "outputs", _WORKLOADS),
    (snapshot.snapshot, "snapshot", _WORKLOADS),
    (inspect.open_, "open", _WORKLOADS),
    (share.share, "share", _WORKLOADS),
    (inspect.explain, "explain", _WORKLOADS),
    (lock.lock, "lock", _WORKLOADS),
    (image.app, "image", _WORKLOADS),
    (alarms.app, "alarms", _WORKLOADS),
    (secret.app, "secret", _WORKLOADS),
    (demo.app, "demo", _MORE),
    (project.upgrade, "upgrade", _MORE),
    (prices.app, "prices", _MORE),
    (machine.env, "env", _MORE),
    (machine.doctor, "doctor", _MORE),
    (machine.bootstrap, "bootstrap", _MORE),
    (verify.verify, "verify", _MORE),
)
ORDER = tuple(name for _, name, _ in _COMMANDS)
for function, name, panel in _COMMANDS:
    if isinstance(function, typer.Typer):
        app.add_typer(function, name=name, rich_help_panel=panel)
    else:
        app.command(name, rich_help_panel=panel)(function)
