"""`herd diff` and `herd clone`: what differs between two environments, and a copy of one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from herd import console
from herd.checkout import names

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
