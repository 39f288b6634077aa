"""`herd image`: the environments that workloads run in, as folders below images/."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from herd import console
from herd.checkout import names
from herd.commands import complete
from herd.commands.options import Environment, Inputs, Name, Stack

app = typer.Typer(no_args_is_help=True, help="The environments that workloads run in: packages and system.")

Image = Annotated[
    str,
    typer.Argument(
        metavar="NAME",
        show_default=False,
        help="An image: a folder of images/.",
        callback=names.some,
        autocompletion=complete.images,
    ),
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
    image_blocks.check(here, name)  # what is wrong is said before the network is asked
    with console.step(f"locking {folder.relative_to(here.root).as_posix()}") as step:
        locked = image_locks.lock(here, folder, upgrade)
        step.result = f"{len(locked.packages)} package{'s' * (len(locked.packages) != 1)}"
    blocks = image_blocks.write(here, name)  # after what can fail, which then has written nothing
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
    inputs: Inputs = None,
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


@app.command()
def why(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME",
            show_default=False,
            help="An image: a folder of images/; or a workload.",
            callback=names.some,
            autocompletion=complete.images,
        ),
    ],
    environment: Environment = None,
    stack: Stack = None,
) -> None:
    """Say why `herd up` would build images again: which file, package or base, against what is deployed."""
    from herd.checkout import team_files
    from herd.deploy.why import rebuilds
    from herd.errors import WrongInput, unknown
    from herd.targets.choose import choose

    target = choose(environment, stack)
    specs = team_files.load(target.checkout, target.name)
    users = [workload for workload, spec in specs.workloads.items() if name in (workload, spec.image)]
    if not users:
        raise WrongInput(unknown(name, [*specs.workloads, *{spec.image for spec in specs.workloads.values()}], "image"))
    deployed = target.exports.workloads
    again = {one.workload: one for one in rebuilds(target, specs, users)}
    for workload in users:
        if workload not in deployed:
            console.say(f"{workload}: not deployed yet, so its image is built for the first time")
        elif workload not in again:
            console.say(f"{workload}: nothing is different, its image stays")
        else:
            console.say(f"{workload}: built again")
            for line in again[workload].lines:
                console.say(f"  {line}")


@app.command()
def devcontainer(
    name: Image,
    stage: Annotated[
        bool, typer.Option("--stage", help="Only bring what it is built from up to date, as the editor asks for.")
    ] = False,
) -> None:
    """Let an editor open this project in an image: writes .devcontainer/NAME/devcontainer.json, for everybody.

    The container is built from the image's own Dockerfile and lock files, so that its packages and system are those of
    production. A file there that Herd did not write is left alone.
    """
    from herd.checkout.find import find_checkout
    from herd.deploy import devcontainers

    here = find_checkout()
    devcontainers.stage(here, name)
    if stage:
        return
    path, changed = devcontainers.write(here, name)
    shown = path.relative_to(here.root).as_posix()
    console.note(f"{changed} {shown}" if changed else f"{shown} is as it would be written")
    console.note("commit it; an editor that knows dev containers offers to reopen the project in it")


@app.command("list")
def list_(
    json_: Annotated[
        bool, typer.Option("--json", help="Everything as JSON: whole digests, bytes, times in UTC.")
    ] = False,
    environment: Environment = None,
    stack: Stack = None,
) -> None:
    """List the images that deployed workloads run: size, age, digest, and who uses them.

    The size is what the registry stores. Without Docker nothing is stored but a list of files, and there is none.
    """
    import json

    from herd.checkout import team_files
    from herd.commands import tables
    from herd.deploy.image_list import collect
    from herd.targets.choose import choose

    target = choose(environment, stack)
    specs = team_files.load(target.checkout, target.name)
    entries = collect(target, {name: spec.image for name, spec in specs.workloads.items()})
    if json_:
        document = {"environment": target.name, "images": [entry.as_json() for entry in entries]}
        console.document(json.dumps(document, indent=2) + "\n")
    else:
        tables.images(entries)
