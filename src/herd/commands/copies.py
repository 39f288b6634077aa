"""`herd diff` and `herd clone`: what differs between two environments, and a copy of one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from herd import console
from herd.checkout import names
from herd.errors import HerdError

if TYPE_CHECKING:
    from herd.targets.target import Target

DIFFERENCES = 10
"""Exit status of `herd diff` where something differs that no file names."""

First = Annotated[
    str, typer.Argument(metavar="ONE", help="An environment that is up.", show_default=False, callback=names.stack)
]
Second = Annotated[str, typer.Argument(metavar="OTHER", help="Another one.", show_default=False, callback=names.stack)]
OnAws = Annotated[
    bool, typer.Option("--on-aws", help="The two names are stacks on AWS instead, read with your own login.")
]


def diff(
    one: First,
    other: Second,
    on_aws: OnAws = False,
    as_json: Annotated[bool, typer.Option("--json", help="For scripts: one JSON object.")] = False,
) -> None:
    """Compare two environments modulo names: settings, images by digest, permissions, schedules, secrets, resources.

    A difference that a file states on purpose (Pulumi.<stack>.yaml, `[environments.x]`) is listed with that file. Exit
    status 10 where something differs that no file names, else 0. What was changed by hand since the deployment is not
    seen here.

    [dim]herd diff dev staging[/dim]
    [dim]herd diff prod staging --on-aws --json[/dim]
    """
    from herd.deploy import compare

    compare.require_two(one, other)
    rows = compare.compare(_target(one, on_aws), _target(other, on_aws))
    if as_json:
        import json

        document = {"one": one, "other": other, "differences": [row.as_json() for row in rows]}
        console.document(json.dumps(document, indent=2) + "\n")
    else:
        from herd.commands import tables

        tables.differences(one, other, rows)
    if any(not row.named for row in rows):
        raise typer.Exit(DIFFERENCES)


def _target(name: str, on_aws: bool) -> Target:
    from herd.targets import choose

    return choose.aws(name) if on_aws else choose.local(names.environment(name))


def clone(
    source: Annotated[
        str, typer.Argument(metavar="FROM", help="The environment to copy.", show_default=False, callback=names.stack)
    ],
    copy: Annotated[
        str, typer.Argument(metavar="TO", help="The copy's name.", show_default=False, callback=names.stack)
    ],
    with_data: Annotated[
        str | None,
        typer.Option(
            "--with-data",
            metavar="SNAPSHOT",
            help="Begin with the versions that this snapshot of FROM names; without it the copy has no data yet.",
            callback=names.snapshot,
        ),
    ] = None,
    chosen: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="SETTING=VALUE", help="A setting of the stack that differs on purpose."),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with a copy that is not whole yet.")] = False,
    on_aws: OnAws = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask (with --on-aws).")] = False,
) -> None:
    """Make an environment that does the same as another, run each of its workloads once, and prove it by `herd diff`.

    The copy gets Pulumi.TO.yaml, with its schedules off until `herd:schedules: on`. It takes the images of FROM by
    digest, and its own secrets, which are asked for and never copied. Exit status 1 where something differs that no
    file names, or a run did not pass.

    [dim]herd clone prod staging --with-data monday[/dim]
    [dim]herd clone prod staging --on-aws --set domain=staging.example.com[/dim]
    """
    from herd.commands import tables
    from herd.deploy.clone import copy_of

    made = copy_of(
        _target(source, on_aws), _target(copy, on_aws), snapshot=with_data, chosen=chosen or (), resume=resume, yes=yes
    )
    console.say()
    console.table(["WORKLOAD", "ITS RUN"], [[name, result] for name, result in sorted(made.ran.items())])
    console.say()
    tables.differences(source, copy, made.differences)
    problems = [f"{name} did not pass" for name in made.failed]
    problems += [f"{copy} differs from {source} where no file names it"] if made.unnamed else []
    if problems:
        raise HerdError("\n".join(problems))
