"""`herd init` and `herd upgrade`: begin a project, and take another release of Herd in it."""

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

    from herd.checkout import init, releases

    root = Path.cwd()
    with tempfile.TemporaryDirectory(prefix="herd-wheels-") as folder:
        init.plan(root, name, None, Path(folder))  # what is wrong is said before wheels are built
        releases.of_this_herd(Path(folder))
        planned = init.plan(root, name, source, Path(folder))
        init.write(planned)
    console.note(f"{planned.name} in {root}:")
    for path in planned.files:
        console.say(f"+ {path}")
    for path in planned.kept:
        console.note(f"  {path} is there already and stays")
    for line in planned.adopted.taken:
        console.say(f"took {line}")
    for line in planned.adopted.left:
        console.note(f"left {line}")
    makefile = next((f" -f {path}" for path in planned.files if path == init.SPARE_MAKEFILE), "")
    if ".gitignore" in planned.kept:
        console.note("see that .gitignore has /.venv/ and /.herd/, which hold keys and packages")
    console.note(f"`make{makefile} up` brings it up on this machine; `make{makefile} down` removes it")


def upgrade(
    to: Annotated[
        str,
        typer.Option(
            "--to",
            metavar="RELEASE",
            show_default=False,
            help="A wheel (the other one beside it), a folder with both, a checkout of Herd, or REPOSITORY@TAG.",
        ),
    ],
    keep: Annotated[
        list[Path] | None,
        typer.Option(
            "--keep",
            metavar="FILE",
            parser=names.path,
            help="Leave this file as it is, after a conflict; repeatable.",
        ),
    ] = None,
) -> None:
    """Take another release of Herd: its wheels, its lock, its changes to generated files, then the preview.

    Your changes stay. Where both changed the same lines nothing is taken: the release's version is put beside yours.

    [dim]herd upgrade --to ../herd@v0.2.0[/dim]
    """
    import subprocess
    import tempfile

    from herd.checkout import releases, upgrade
    from herd.checkout.find import find_checkout
    from herd.errors import HerdError

    root = find_checkout().root
    with tempfile.TemporaryDirectory(prefix="herd-wheels-") as folder:
        releases.of(to, Path(folder))
        planned = upgrade.plan(root, Path(folder), [path.as_posix() for path in keep or ()])
    if planned.conflicts:
        beside = upgrade.put_beside(root, planned)
        raise HerdError(
            "\n".join(
                [
                    f"release {planned.release} was not taken: it and you changed the same lines. "
                    "Its version lies beside yours:",
                    *(f"  {path}" for path in beside),
                    "Bring over what you want, then run it again with --keep and the name of each of your files",
                ]
            )
        )
    if not planned.files:
        console.say(f"nothing to take: this is {planned.release} already")
        return
    with console.step(f"taking release {planned.release}"):
        upgrade.apply(root, planned)
    for path in planned.files:
        console.say(f"~ {path}")
    for path in planned.removed:
        console.say(f"- {path}")
    for line in planned.notes:
        console.say(line)
    status = subprocess.run([str(root / ".venv/bin/herd"), "preview"], cwd=root).returncode
    console.note("`herd up` deploys it; Git has what was there before")
    if status:
        raise typer.Exit(status)
