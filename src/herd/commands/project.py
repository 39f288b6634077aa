"""`herd init` and `herd upgrade`: begin a project, and take another release of Herd in it."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from herd import console
from herd.checkout import names
from herd.commands.options import Language, Workflows
from herd.errors import WrongInput

if TYPE_CHECKING:
    from herd.checkout.apply import Change
    from herd.checkout.upgrade import Plan

WORKFLOWS_HELP = (
    "'usual' are two short files: a preview of each pull request, a deployment of what is merged. 'all' has the review "
    "as a comment, an environment for a pull request, the nightly janitor and drift, run and destroy by hand."
)


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
    language: Annotated[
        Language | None,
        typer.Option("--language", help="What the first workloads and the image are in.", show_default="python"),
    ] = None,
    workflows: Annotated[
        Workflows | None,
        typer.Option("--workflows", help=WORKFLOWS_HELP, show_default="usual"),
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
        init.plan(root, name, None, Path(folder), language, workflows)  # what is wrong is said before wheels are built
        releases.of_this_herd(Path(folder))
        planned = init.plan(root, name, source, Path(folder), language, workflows)
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
        str | None,
        typer.Option(
            "--to",
            metavar="RELEASE",
            callback=names.some,
            show_default="the newest where this one came from",
            help="A tag like v0.2.0, REPOSITORY@TAG, a repository, a wheel (the other one beside it), a folder of "
            "wheels, or a checkout of Herd.",
        ),
    ] = None,
    keep: Annotated[
        list[Path] | None,
        typer.Option(
            "--keep",
            metavar="FILE",
            parser=names.path,
            help="Leave this file as it is, after a conflict; repeatable.",
        ),
    ] = None,
    workflows: Annotated[
        Workflows | None,
        typer.Option("--workflows", help=f"Stay on this release and have: {WORKFLOWS_HELP}", show_default=False),
    ] = None,
) -> None:
    """Take another release of Herd: its wheels, its lock, its changes to generated files, then the preview.

    Your changes stay. Where both changed the same lines nothing is taken: the release's version is put beside yours.

    [dim]herd upgrade[/dim]    or: [dim]herd upgrade --to v0.2.0[/dim]
    """
    import subprocess

    from herd.checkout import apply
    from herd.checkout.find import find_checkout
    from herd.toolchain import machine

    if workflows is not None and to is not None:
        raise WrongInput("--workflows and --to: give one of them; the release first, then the workflows")
    here = find_checkout()
    waits = "another `herd upgrade` works here; this one goes on after it"
    with machine.exclusive(here.folder() / "upgrade.lock", lambda: console.note(waits)):
        change = apply.resume(here.root)
        if change is not None:
            console.note(f"finished an upgrade to {change.release} that had been cut short")
        elif (change := _take(here.root, to, keep or [], workflows)) is None:
            return
    for path in change.write:
        console.say(f"! {path}: changed since, and left" if path in change.touched else f"~ {path}")
    for path in change.remove:
        console.say(f"- {path}")
    status = subprocess.run([str(here.root / ".venv/bin/herd"), "preview"], cwd=here.root).returncode
    console.note(f"`herd up` deploys it; {apply.BEFORE}/ has what these files were")
    if status:
        raise typer.Exit(status)


def _take(root: Path, to: str | None, keep: list[Path], workflows: str | None) -> Change | None:
    """Plan it and carry it out; None where there is nothing to take. Raises HerdError, also for a conflict."""
    from herd.checkout import apply, project_files, upgrade
    from herd.errors import HerdError

    noted = upgrade.mark(root)
    if other := [str(path) for path in keep if not _is_below(root, path)]:
        raise HerdError(f"--keep {other[0]}: lies outside of {root}")
    kept = [path.resolve().relative_to(root.resolve()).as_posix() for path in keep]
    if workflows is not None:
        planned = upgrade.plan(root, root / project_files.WHEELS, keep=kept, workflows=workflows)
    elif (planned_release := _of_another_release(root, to, kept, noted)) is not None:
        planned = planned_release
    else:
        return None
    if planned.conflicts:
        beside = upgrade.put_beside(root, planned)
        raise HerdError(
            "\n".join(
                [
                    f"release {planned.release} was not taken: it and you changed the same lines. "
                    "Its version lies beside yours:",
                    *(f"  {path}, {where}: {beside[path]}" for path, where in planned.conflicts.items()),
                    "Bring over what you want, then run it again with"
                    + "".join(f" --keep {shlex.quote(path)}" for path in planned.conflicts),
                ]
            )
        )
    if not planned.files:
        has = f"has the {workflows} workflows" if workflows else f"is {planned.release}"
        console.say(f"nothing to take: this {has} already")
        return None
    for line in planned.notes:
        console.say(line)
    with console.step(f"taking release {planned.release}"):
        return apply.apply(root, planned.release, planned.files, planned.removed)


def _of_another_release(root: Path, to: str | None, kept: list[str], noted: dict[str, str]) -> Plan | None:
    """What taking it changes; None where the newest one is there already. Says which one that is."""
    import tempfile

    from herd.checkout import releases, sources, upgrade

    source = sources.read(noted.get("source", ""), root)
    release = sources.resolve(to, source)
    if to is None and release.number and sources.order(release.number) <= sources.order(noted["release"]):
        console.say(f"{release.number} is the newest release of {source}; this project is on {noted['release']}")
        return None
    if to is None:
        console.note(f"the newest release: {release}")
    with tempfile.TemporaryDirectory(prefix="herd-wheels-") as folder:
        releases.of(release, Path(folder))
        return upgrade.plan(root, Path(folder), sources.noted(release.source, root), kept)


def _is_below(root: Path, path: Path) -> bool:
    return path.resolve().is_relative_to(root.resolve())
