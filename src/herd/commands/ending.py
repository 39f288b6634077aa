"""`herd keep`, `herd janitor`: environments that end by themselves."""

from __future__ import annotations

from typing import Annotated

import typer

from herd import console
from herd.checkout import names
from herd.commands.options import Environment, Stack, Yes
from herd.errors import HerdError, WrongInput

Ttl = Annotated[
    str | None,
    typer.Option(
        "--ttl",
        metavar="TIME",
        help="Have it removed by itself after so long, like 48h (m, h or d); each deployment renews it.",
        show_default=False,
        callback=names.time_to_live,
    ),
]


def keep(
    ttl: Annotated[
        str,
        typer.Option(
            "--ttl",
            metavar="TIME",
            help="So long from now on, like 24h (m, h or d).",
            show_default=False,
            callback=names.time_to_live,
        ),
    ],
    environment: Environment = None,
    stack: Stack = None,
    yes: Yes = False,
) -> None:
    """Keep an environment that ends by itself: move its end to so long from now, sooner or later. Deploys nothing.

    [dim]herd keep -e pr-17 --ttl 24h[/dim]
    """
    from herd.deploy import ends
    from herd.infra import lifetime
    from herd.targets.choose import choose

    target = choose(environment, stack)
    ends.refuse_kept(target, f"--ttl {ttl}")
    target.require_exports()
    target.approve(f"move the end to {ttl} from now", yes)
    end = ends.keep(target, ttl)
    console.say(f"{target.name} ends at {lifetime.written(end.at)}")


def janitor(
    environment: Environment = None,
    stack: Stack = None,
    aws: Annotated[bool, typer.Option("--aws", help="All stacks of the project on AWS, with your own login.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be removed, and remove nothing.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="For scripts: one JSON object.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Remove environments whose time is over, and what is left of killed ones. Kept ones are named, never removed.

    Looks at all environments of this checkout; with -e or --stack at one. Exit status 1 if a removal failed.

    [dim]herd janitor --dry-run[/dim]    what it would remove, and why
    """
    import json

    from herd.checkout.find import find_checkout
    from herd.deploy.janitor import Swept, close, everything, look, sweep
    from herd.targets.choose import choose

    if yes and dry_run:
        raise WrongInput("--yes removes and --dry-run does not: give one of them")
    if aws and (environment or stack):
        raise WrongInput("--aws looks at all stacks; with -e or --stack it is one: give one of them")
    checkout = find_checkout()
    target = choose(environment, stack) if environment or stack else None
    findings = look(everything(checkout, target, aws))
    removable = [finding for finding in findings if not finding.kept]
    if not as_json:
        for finding in findings:
            console.say(f"{finding}{f': {finding.kept}' if finding.kept else ''}")
    if removable and not dry_run and not yes and not console.confirm(f"remove {len(removable)} of them?"):
        raise HerdError("nothing was done; in scripts: --yes, or --dry-run to look only")
    if dry_run:
        swept = [Swept(finding, "kept" if finding.kept else "would be removed", finding.kept) for finding in findings]
    else:
        swept = sweep(findings)
    if not dry_run:
        close(checkout)
    failed = [one for one in swept if one.outcome == "failed"]
    if as_json:
        console.document(json.dumps({"environments": [one.as_json() for one in swept]}, indent=2) + "\n")
    elif not findings:
        console.note("nothing to remove: no environment is over its time, half destroyed, empty or orphaned")
    if failed:
        lines = [f"{one.finding.name} could not be removed: {one.why}" for one in failed]
        raise HerdError("\n".join([*lines, "`herd janitor` tries it again"]))
