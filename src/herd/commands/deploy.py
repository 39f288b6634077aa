"""`herd up`, `preview`, `down`, `stop`: deploy an environment, preview it, remove it, stop the local cloud."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from herd import console
from herd.checkout import names, pauses
from herd.commands.ending import Ttl
from herd.commands.options import Environment, Stack, Yes
from herd.errors import HerdError, WrongInput

if TYPE_CHECKING:
    from herd.review.review import Review

CHANGES, DANGERS = 10, 11
"""Exit statuses of `herd preview --detailed`."""


class EngineName(StrEnum):
    """What runs tasks on this machine."""

    process = "process"
    docker = "docker"


class Format(StrEnum):
    """How a preview is printed."""

    text = "text"
    markdown = "markdown"
    json = "json"
    html = "html"


def up(
    environment: Environment = None,
    stack: Stack = None,
    no_run: Annotated[bool, typer.Option("--no-run", help="Do not start what has never succeeded.")] = False,
    expect: Annotated[
        Path | None,
        typer.Option(
            "--expect",
            metavar="FILE",
            parser=names.path,
            help="Only if what would change is still what `herd preview --save FILE` wrote; says what differs.",
        ),
    ] = None,
    engine: Annotated[
        EngineName | None,
        typer.Option(
            "--engine",
            help="What runs tasks on this machine: `process` (the default) or `docker`. Remembered for the checkout.",
            show_default=False,
        ),
    ] = None,
    ttl: Ttl = None,
    yes: Yes = False,
) -> None:
    """Make the environment what the files say, start what has never run, and print the addresses.

    Checks every settings file first; nothing is touched if one is wrong. Running it again changes nothing.

    [dim]herd up[/dim]                 everything, on this machine
    [dim]herd up -e pr-17[/dim]        a second environment beside it
    [dim]herd up -e pr-17 --ttl 48h[/dim]    the same, and it ends by itself
    [dim]herd up --stack prod[/dim]    the same on AWS
    """
    from herd.deploy.up import bring_up
    from herd.targets.choose import choose

    bring_up(choose(environment, stack), run=not no_run, yes=yes, expected=expect, run_by=engine, ttl=ttl)
    for line in next_steps(environment, stack):
        console.note(line, style="dim")


def next_steps(environment: str | None, stack: str | None) -> list[str]:
    """Lines with the commands that are useful next."""
    option = f" -e {environment}" if environment else f" --stack {stack}" if stack else ""
    return [
        "",
        f"next: `herd status{option}` shows what ran, what runs next and why something failed",
        f"      `herd try NAME{'' if stack else option}` runs a workload's files here and deploys nothing",
        f"      `herd down{option}` removes all of it",
    ]


def preview(
    format_: Annotated[
        Format,
        typer.Option(
            "--format",
            help="Of what is printed; `markdown` is the comment for a pull request, `html` one file for a browser.",
        ),
    ] = Format.text,
    save: Annotated[
        Path | None,
        typer.Option(
            "--save",
            metavar="FILE",
            parser=names.path,
            help="Also write the list of changes, for `herd up --expect FILE`.",
        ),
    ] = None,
    detailed: Annotated[
        bool,
        typer.Option("--detailed", help="Exit status 10 where something would change, 11 where that is dangerous."),
    ] = False,
    against: Annotated[
        str | None,
        typer.Option(
            "--against",
            metavar="COMMIT",
            help="Compare with the files of a commit (`main`), or of a folder, instead of what is deployed: needs no "
            "account and asks no cloud.",
            callback=names.some,
        ),
    ] = None,
    whole: Annotated[
        Path | None,
        typer.Option(
            "--whole",
            metavar="FOLDER",
            parser=names.path,
            help="Also write the whole review into a folder, however long it is: review.md, review.json, review.html.",
        ),
    ] = None,
    environment: Environment = None,
    stack: Stack = None,
) -> None:
    """Show what `herd up` would change, in the words of the settings first. Changes nothing.

    [dim]herd preview --stack prod --format markdown --save reviewed.json[/dim]
    [dim]herd preview --stack prod --against main[/dim]    from the files alone
    """
    from herd.checkout import review_dates
    from herd.deploy import up
    from herd.engine import saved_plan
    from herd.review import comment
    from herd.review.settings import Written
    from herd.targets.choose import choose

    now = review_dates.now()
    target = choose(environment, stack)
    if save is not None and against is not None:
        raise WrongInput("--save writes a list that a deployment is held against, and --against compares files only")
    try:
        review = up.preview(target) if against is None else up.preview_of_files(target, against)
    except HerdError as error:
        if format_ is Format.markdown:
            known = error.review if isinstance(error, up.PreviewFailed) and error.review.plan.only_refused else None
            console.document(
                comment.failed(target.name, error, comment.comment(known.document(now), target.name) if known else "")
            )
        raise
    if save is not None:
        saved_plan.save(review.plan, save)
    if whole is not None:
        whole.mkdir(parents=True, exist_ok=True)
        for name, text in _documents(review, now).items():
            (whole / name).write_text(text, encoding="utf-8")
    said = review.words(now)
    match format_:
        case Format.markdown:
            console.document(comment.comment(review.document(now), target.name))
        case Format.html:
            console.document(_documents(review, now)["review.html"])
        case Format.json:
            console.document(_documents(review, now)["review.json"])
        case Format.text:
            if against is not None:
                console.note(f"compared with the files of {against}, not with what is deployed")
            up.show_words(said)
            up.show_changes(review.plan)
            console.say(review.plan.count())
            for pause in review.paused:
                console.note(f"– {pause}", style="yellow")
            after = Written.of(review.plan.outputs_after)
            if after is not None and after.stack.get("schedules") is False:
                console.note(f"– {pauses.ALL}", style="yellow")
    if detailed and (review.plan.steps or said.groups):
        raise typer.Exit(DANGERS if said.dangers else CHANGES)


def _documents(review: Review, now: datetime) -> dict[str, str]:
    """Name of a file -> the whole review in its format."""
    import json

    from herd.engine import saved_plan
    from herd.review import comment
    from herd.review.page import page

    said = review.words(now)
    again = {"rebuilds": {one.workload: list(one.reasons) for one in review.rebuilds}}
    values = saved_plan.as_json(review.plan) | said.as_json() | again | {"against": review.against or None}
    document = review.document(now)
    return {
        "review.md": comment.comment(document, review.plan.environment, whole=True),
        "review.html": page(document),
        "review.json": json.dumps(values, indent=2) + "\n",
    }


def down(
    environment: Environment = None,
    stack: Stack = None,
    yes: Yes = False,
    confirm: Annotated[
        str | None,
        typer.Option(
            "--confirm",
            metavar="NAME",
            help="The environment's name again, which a protected one asks for.",
            callback=names.stack,
        ),
    ] = None,
    retained: Annotated[
        bool, typer.Option("--retained", help="Also what was retained, or removed from Pulumi's state by hand.")
    ] = False,
) -> None:
    """Remove everything that the environment has, runs and data included, and leave nothing behind.

    What it adopted stays. So does what was retained (`retain_on_delete`) or removed from Pulumi's state by hand: it is
    named. A protected environment says what goes and what stays, and has its name typed. With the last local
    environment the local cloud stops too.
    """
    from herd.deploy.down import take_down
    from herd.targets.choose import choose

    take_down(choose(environment, stack), yes=yes, confirmed=confirm, retained=retained)


def stop() -> None:
    """Stop the local cloud of this checkout: nothing runs on this machine afterwards. `herd up` starts it again."""
    from herd.checkout.find import find_checkout
    from herd.targets import environment_lock, local_cloud

    here = find_checkout()
    with environment_lock.all_held(here), local_cloud.start_lock(here):
        stopped = local_cloud.stop(here)
    console.say(f"the local cloud of {here.root} is stopped" if stopped else "the local cloud was not running")
