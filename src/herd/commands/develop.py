"""`herd new`, `herd try`, `herd test`: begin a workload, run one from the files on disk, and run its tests."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from herd import console
from herd.checkout import names
from herd.commands import complete
from herd.commands.options import Environment, Inputs, Language, Name, Raw
from herd.errors import HerdError, WrongInput
from herd.packages.python_lock import WANTED
from herd.runner.contract.kinds import FOLDERS, KINDS, Kind

if TYPE_CHECKING:
    from herd.checkout.find import Checkout


def new(
    kind: Annotated[Kind, typer.Argument(metavar="|".join(KINDS), show_default=False, help="What it is to be.")],
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME",
            show_default=False,
            help="Lower-case letters, digits and hyphens.",
            callback=names.workload,
        ),
    ],
    language: Annotated[
        Language | None,
        typer.Option("--language", help="What it is written in.", show_default="that of the image in defaults.toml"),
    ] = None,
    source: Annotated[
        Path | None,
        typer.Option(
            "--from",
            metavar="FILE",
            help="A job of this script, notebook or folder: copied, never run; its packages are locked.",
            show_default=False,
            parser=names.path,
        ),
    ] = None,
) -> None:
    """Make the folder of a new workload: settings and code that work at once, with comments that say what else can be.

    [dim]herd new job clean-orders[/dim]    then: [dim]herd try clean-orders[/dim], [dim]herd up[/dim]
    [dim]herd new job clean-orders --from ~/clean.ipynb[/dim]
    """
    from herd.checkout import from_file, scaffold
    from herd.checkout.find import find_checkout

    here = find_checkout()
    taken = None
    if source is not None:
        if kind != "job":
            raise WrongInput(f"--from makes jobs; `herd new {kind} {name}` makes a folder to put the file into")
        taken = from_file.take(here, name, source)
        if language is not None and language != taken.language:
            raise WrongInput(f"--language {language}: {source} is written in {taken.language}")
    files = (
        scaffold.create(here, kind, name, language)
        if taken is None
        else scaffold.create(here, kind, name, taken.language, taken.files, taken.settings)
    )
    console.note(f"in {here.root}:")
    for file in files:
        console.say(f"+ {file}")
    if taken is not None:
        _lock(here, name, taken.packages)
        for line in taken.notes:
            console.note(f"! {line}", style="yellow")
    console.note(f"`herd try {name}` runs it from these files; `herd up` deploys it")


def _lock(here: Checkout, name: str, packages: list[str]) -> None:
    """Give the job the packages that its image has not; without a network say how."""
    from herd.checkout import stack_config, team_files
    from herd.deploy import workload_locks

    if not packages:
        return
    path = here.root / FOLDERS["job"] / name / WANTED
    path.write_text("".join(f"{package}\n" for package in packages))
    console.say(f"+ {path.relative_to(here.root)}")
    try:
        with console.step(f"locking {', '.join(packages)}") as step:
            spec = team_files.load(here, stack_config.TEMPLATE, name).workloads[name]
            step.result = f"{len(workload_locks.lock(here, spec, False).packages)} packages"
    except HerdError as error:
        console.note(f"! {error}", style="yellow")
        console.note(f"! {WANTED} names what it imports: put that right, then `herd lock {name}`", style="yellow")


def try_(
    name: Name,
    param: Annotated[
        list[str] | None,
        typer.Option("--param", metavar="KEY=VALUE", help="Another value for one of its \\[params]; repeatable."),
    ] = None,
    item: Annotated[
        str | None,
        typer.Option(
            "--item",
            help="Only this item of its fan_out.",
            show_default="all, one after the other",
            callback=names.some,
        ),
    ] = None,
    like: Annotated[
        str | None,
        typer.Option(
            "--like",
            metavar="RUN",
            help="With the parameters, packages and versions of inputs that this run had.",
            show_default=False,
            callback=names.run,
            autocompletion=complete.runs,
        ),
    ] = None,
    inputs: Inputs = None,
    raw: Raw = False,
    environment: Environment = None,
) -> None:
    """Run a workload's code as it is on disk, with its packages and its real inputs. Deploys and publishes nothing.

    What it wrote stays in .herd/try/NAME/outputs. An API listens until Ctrl-C. The exit status is the workload's own.
    `--like RUN` brings an earlier run here: the code is that on disk, what it reads and has is the run's.
    """
    from herd.runs import try_local
    from herd.runs.start import parse_params
    from herd.targets.choose import local

    target = local(environment)
    spec = try_local.spec_of(target, name)
    items = try_local.items(spec, item)
    params = parse_params(param or [], dict(spec.params), name)
    target.announce()
    pins: dict[str, str | None] = {}
    lock = None
    if like is not None:
        from herd.runs import again, run_packages

        target.require_exports()
        before = again.plan(
            target,
            again.of_run(target, like, name),
            [read.name for read in spec.reads if not (inputs and (inputs / read.name).is_dir())],
            dict(spec.params),
        )
        lock, words = run_packages.lock(target, spec, before.run)
        params, pins = {**before.params, **params}, dict(before.pins)
        for line in again.words(before, [*before.notes, *words]):
            console.note(line)
    for one in items:
        if one is not None and len(items) > 1:
            console.note(f"{name}, item {one}:")
        status = try_local.run(target, spec, params, one, inputs, raw, pins=pins, lock=lock)
        if status:
            raise typer.Exit(status)


def test(
    name: Name,
    arguments: Annotated[
        list[str] | None,
        typer.Argument(metavar="[-- ARGUMENTS]", show_default=False, help="Handed on to pytest, as `-k rounding`."),
    ] = None,
    raw: Raw = False,
    environment: Environment = None,
) -> None:
    """Run a workload's own tests with the packages that it has: pytest, for R testthat. The exit status is theirs.

    They lie in its folder tests/, which is no part of its image, or as test_*.py beside the code. They get none of its
    inputs and secrets.
    """
    from herd.runs import develop, try_local
    from herd.targets.choose import local

    target = local(environment)
    status = develop.test(target, try_local.spec_of(target, name), arguments or [], raw)
    if status:
        raise typer.Exit(status)
