"""`herd drift`: what somebody changed by hand, and the way back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from herd import console
from herd.checkout import names
from herd.commands import complete
from herd.commands.options import Environment, Stack, Yes

if TYPE_CHECKING:
    from herd.drift.look import Seen
    from herd.targets.target import Target

DRIFTED, DANGEROUS = 10, 11
"""Exit statuses, as those of `herd preview --detailed`."""


def drift(
    only: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="NAME",
            help="Only of these workloads; `environment` is what they share. All without.",
            show_default=False,
            callback=names.workloads,
            autocompletion=complete.workloads,
        ),
    ] = None,
    keep: Annotated[
        list[str] | None,
        typer.Option(
            "--keep",
            metavar="NAME",
            help="Write what was changed of NAME into its settings, and deploy that. May be repeated.",
            callback=names.workloads,
            autocompletion=complete.workloads,
        ),
    ] = None,
    revert: Annotated[
        bool, typer.Option("--revert", help="Bring back what the files say, of all that is not kept.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="For scripts: one JSON object, times in UTC.")] = False,
    environment: Environment = None,
    stack: Stack = None,
    yes: Yes = False,
) -> None:
    """Show what somebody changed by hand: which setting that is, since when, by whom, and what it endangers.

    Looking changes nothing. Exit status: 0 nothing differs, 10 something does, 11 that is dangerous, 1 it could not be
    looked at, 2 wrong input.

    [dim]herd drift[/dim]                              what differs, in words
    [dim]herd drift --keep delay-model[/dim]           its settings become what runs
    [dim]herd drift delay-model --revert[/dim]         it becomes what the files say
    """
    import json

    from herd.drift.settle import settle, within
    from herd.targets.choose import choose

    target = choose(environment, stack)
    seen = within(target, only or (), keep or (), since_when=not (keep or revert))
    if keep or revert:
        if not as_json:
            _show(target, seen, offers=False)
        seen = settle(target, seen, only or (), keep or (), revert=revert, yes=yes)
    if as_json:
        document = {
            "environment": target.name,
            "drift": [one.as_json() for one in seen.drifts],
            "by_design": list(seen.by_design),
            "unseen": list(seen.unseen),
        }
        console.document(json.dumps(document, indent=2, default=str) + "\n")
    else:
        _show(target, seen, offers=not revert)
    if seen.drifts:
        raise typer.Exit(DANGEROUS if seen.is_dangerous else DRIFTED)


def _show(target: Target, seen: Seen, offers: bool) -> None:
    from herd.drift.report import offered

    for one in seen.drifts:
        console.say(one.line)
        for risk in one.risks:
            console.say(f"  ! {risk.why}; instead: {risk.instead}", style="red")
        if one.trace is not None:
            console.say(f"  {one.trace}", style="dim")
    if seen.drifts and offers and all(one.trace is None for one in seen.drifts):
        console.note("since when and by whom: not known, because CloudTrail says nothing here", style="dim")
    for line in seen.by_design:
        console.note(f"by design: {line}")
    for line in seen.unseen:
        console.note(f"not looked at: {line}", style="yellow")
    if not seen.drifts:
        console.say("nothing was changed by hand: what runs is what was deployed")
    elif offers:
        for line in offered(target, seen):
            console.note(line)
