"""`herd image`: the environments that workloads run in, as folders below images/."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from herd import console
from herd.checkout import names
from herd.commands.options import Environment, Name

app = typer.Typer(no_args_is_help=True, help="The environments that workloads run in: packages and system.")

Image = Annotated[
    str,
    typer.Argument(metavar="NAME", show_default=False, help="An image: a folder of images/.", callback=names.some),
]


@app.command()
def lock(
    name: Image,
    upgrade: Annotated[bool, typer.Option("--upgrade", help="Take newer versions of all packages.")] = False,
) -> None:
    """Lock an image's packages again, and write what they and image.toml need of the system; show what is different.

    Python: from requirements.in or pyproject.toml. R: renv.lock, from the DESCRIPTION beside it if there is one. The
    system goes into the Dockerfile's marked lines. Uses the network; builds and deploys nothing.
    """
    from herd.checkout import image_blocks
    from herd.checkout.find import find_checkout
    from herd.deploy import image_locks

    here = find_checkout()
    folder = image_locks.folder(here, name)
    blocks = image_blocks.write(here, name)
    with console.step(f"locking {folder.relative_to(here.root).as_posix()}") as step:
        locked = image_locks.lock(here, folder, upgrade)
        step.result = f"{len(locked.packages)} package{'s' * (len(locked.packages) != 1)}"
    for line in [*blocks, *locked.difference]:
        console.say(line)
    for line in locked.notes:
        console.note(line, style="yellow")
    if not (blocks or locked.difference):
        console.note("nothing is different")
    for path in locked.written:
        console.note(f"~ {Path(path).relative_to(here.root).as_posix()}")


@app.command()
def shell(
    name: Name,
    command: Annotated[
        list[str] | None,
        typer.Argument(metavar="[-- COMMAND]", show_default=False, help="Run this in place of a shell."),
    ] = None,
    inputs: Annotated[
        Path | None,
        typer.Option(
            "--inputs",
            metavar="DIR",
            parser=names.path,
            help="Take inputs from DIR/<name>/ where there is such a folder.",
        ),
    ] = None,
    environment: Environment = None,
) -> None:
    """A shell where a workload runs: a copy of its folder, its packages, its variables and its inputs.

    [dim]herd image shell delay-model[/dim]    and: [dim]herd image shell delay-model -- python -c "import pandas"[/dim]
    """
    from herd.runs import develop, try_local
    from herd.targets.choose import local

    target = local(environment)
    target.announce()
    status = develop.shell(target, try_local.spec_of(target, name), inputs, command or [])
    if status:
        raise typer.Exit(status)
