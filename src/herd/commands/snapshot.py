"""`herd snapshot`: named sets of published versions."""

from __future__ import annotations

from typing import Annotated

import typer

from herd import console
from herd.commands.options import Environment, Stack, Yes
from herd.errors import WrongInput


def snapshot(
    name: Annotated[
        str | None,
        typer.Argument(metavar="[NAME]", help="What it is called; without it all are listed.", show_default=False),
    ] = None,
    show: Annotated[bool, typer.Option("--show", help="Say what is in the snapshot NAME; change nothing.")] = False,
    remove: Annotated[
        bool, typer.Option("--remove", help="Forget it: what it named expires like any superseded version.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="For scripts: one JSON object, times in UTC.")] = False,
    environment: Environment = None,
    stack: Stack = None,
    yes: Yes = False,
) -> None:
    """Name the current version of every output, so that these do not expire and can be read together later.

    Nothing is copied. A snapshot does not change; take another one under another name.

    [dim]herd snapshot before-the-merger[/dim]           take it
    [dim]herd snapshot before-the-merger --show[/dim]    what is in it, and whether all of that is still there
    [dim]herd snapshot[/dim]                             list all
    """
    import json

    from herd.runs import runs, snapshots
    from herd.targets.choose import choose

    if name is None and (show or remove):
        raise WrongInput(f"{'--show' if show else '--remove'} needs the snapshot's name; `herd snapshot` lists them")
    if show and remove:
        raise WrongInput("--show and --remove: give one of them")
    if name is not None:
        snapshots.check_name(name)
    target = choose(environment, stack)
    target.require_exports()
    if name is None:
        every = snapshots.listed(target)
        if as_json:
            document = {"snapshots": [snapshots.as_json(one, snapshots.gone(target, one)) for one in every]}
            console.document(json.dumps(document, indent=2) + "\n")
        elif every:
            console.table(
                ["NAME", "TAKEN", "OF", "OUTPUTS", "BY"],
                [[one.name, one.at, one.environment, str(len(one.outputs)), one.by] for one in every],
            )
        else:
            console.note(f"{target.name} has no snapshots; `herd snapshot NAME` takes one")
        return
    if remove:
        snapshots.find(target, name)
        target.approve(f"forget the snapshot {name}", yes)
        snapshots.remove(target, name)
        console.say(f"the snapshot {name} is forgotten; what it named expires unless it is current")
        return
    if show:
        taken = snapshots.find(target, name)
    else:
        target.approve(f"take the snapshot {name}", yes)
        taken = snapshots.take(target, name, runs.who(target))
    missing = snapshots.gone(target, taken)
    if as_json:
        console.document(json.dumps(snapshots.as_json(taken, missing), indent=2) + "\n")
        return
    from herd.commands.tables import size

    console.say(f"snapshot {taken.name}, taken {taken.at} of {taken.environment} by {taken.by}")
    console.table(
        ["OUTPUT", "VERSION", "PUBLISHED", "FILES", "SIZE", "SHA-256"],
        [
            [
                output,
                version.run_id,
                version.published,
                str(len(version.files)),
                size(sum(file.bytes for file in version.files)),
                version.digest[:12],
            ]
            for output, version in sorted(taken.outputs.items())
        ],
    )
    for output, count in sorted(missing.items()):
        files = len(taken.outputs[output].files)
        console.note(f"! {output}: {count} of the {files} files of its version are gone", style="red")
    if not show and (without := sorted(set(target.exports.batch) - taken.outputs.keys())):
        console.note(f"not in it, because nothing is published yet: {', '.join(without)}")
