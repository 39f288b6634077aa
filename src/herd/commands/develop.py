"""`herd new`, `herd try`, `herd test`: begin a workload, run one from the files on disk, and run its tests."""

from __future__ import annotations

from typing import Annotated

import typer

from herd import console
from herd.checkout import names
from herd.commands import complete
from herd.commands.options import Environment, Inputs, Language, Name, Raw
from herd.runner.contract.kinds import KINDS, Kind


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
) -> None:
    """Make the folder of a new workload: settings and code that work at once, with comments that say what else can be.

    [dim]herd new job clean-orders[/dim]    then: [dim]herd try clean-orders[/dim], [dim]herd up[/dim]
    """
    from herd.checkout import scaffold
    from herd.checkout.find import find_checkout

    here = find_checkout()
    files = scaffold.create(here, kind, name, language)
    console.note(f"in {here.root}:")
    for file in files:
        console.say(f"+ {file}")
    console.note(f"`herd try {name}` runs it from these files; `herd up` deploys it")


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
