"""`herd share`: a report as one file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from herd import console
from herd.checkout import names
from herd.commands import complete
from herd.commands.options import Environment, Name, Stack
from herd.errors import WrongInput


def share(
    name: Name,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="Where to; default is NAME.html here.", parser=names.path),
    ] = None,
    page: Annotated[
        str | None,
        typer.Option("--page", metavar="PATH", help="Of a report of several pages.", callback=names.some),
    ] = None,
    run: Annotated[
        str | None,
        typer.Option(
            "--run",
            metavar="RUN",
            help="Of this run; default is the current version.",
            callback=names.run,
            autocompletion=complete.runs,
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False,
    environment: Environment = None,
    stack: Stack = None,
) -> None:
    """Write a report's page as one file that needs no network: pictures, styles, scripts and fonts are in it.

    The page says at its end which run it is of, and when it is out of date.

    [dim]herd share delay-report[/dim]    writes delay-report.html
    """
    from herd.runner.contract.kinds import PAGES
    from herd.runner.self_contained import self_contained
    from herd.runs import outputs
    from herd.runs.share import fetch, notes, page_of
    from herd.targets.choose import choose

    target = choose(environment, stack)
    workload = target.require_exports().workload(name)
    if workload.kind not in PAGES:
        raise WrongInput(f"{name} is a {workload.kind} and has no page; `herd outputs {name} --get DIR` copies files")
    file = output or Path(f"{name}.html")
    if file.exists() and not force:
        raise WrongInput(f"{file} is there; `--force` replaces it, `--output FILE` takes another")
    version = outputs.find(target, name, run)
    shown = page_of(version, page)
    with console.step(f"reading {len(version.files)} files of {name}") as step:
        shared = self_contained(shown, fetch(target, version, shown, step.update))
    try:
        file.write_bytes(shared.content)
    except OSError as error:
        raise WrongInput(f"{file} cannot be written: {error.strerror}") from None
    console.say(str(file))
    console.note(f"{len(shared.content):,} bytes, run {version.run_id}, {shared.inlined} files in it")
    for line in notes(shared, shown):
        console.note(line)
