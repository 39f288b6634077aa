"""`herd init`: begin a project."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from herd import console
from herd.checkout import names


def init(
    name: Annotated[
        str | None,
        typer.Argument(metavar="[NAME]", show_default="the folder's", help="The project's name, in every name on AWS."),
    ] = None,
    source: Annotated[
        Path | None,
        typer.Option(
            "--from",
            metavar="FOLDER",
            parser=names.path,
            help="Make jobs of the scripts and notebooks there, and packages of its lock file. It stays as it is.",
        ),
    ] = None,
) -> None:
    """Begin a project in this folder: a Pulumi program, a job, a report, an image, tests, workflows, this Herd by hash.

    In an existing repository it adds what is missing and overwrites nothing.

    [dim]herd init flights[/dim]    then: [dim]make up[/dim]
    """
    import tempfile

    from herd.checkout import init as projects
    from herd.checkout import releases

    root = Path.cwd()
    with tempfile.TemporaryDirectory(prefix="herd-wheels-") as folder:
        projects.plan(root, name, None, Path(folder))  # what is wrong is said before wheels are built
        releases.of_this_herd(Path(folder))
        planned = projects.plan(root, name, source, Path(folder))
        projects.write(planned)
    console.note(f"{planned.name} in {root}:")
    for path in planned.files:
        console.say(f"+ {path}")
    for path in planned.kept:
        console.note(f"  {path} is there already and stays")
    for line in planned.adopted.taken:
        console.say(f"took {line}")
    for line in planned.adopted.left:
        console.note(f"left {line}")
    makefile = next((f" -f {path}" for path in planned.files if path == projects.SPARE_MAKEFILE), "")
    if ".gitignore" in planned.kept:
        console.note("see that .gitignore has /.venv/ and /.herd/, which hold keys and packages")
    console.note(f"`make{makefile} up` brings it up on this machine; `make{makefile} down` removes it")
