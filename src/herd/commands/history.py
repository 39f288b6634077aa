"""`herd runs` and `herd show`: which runs there were, and all that is known of one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from herd import console
from herd.checkout import names
from herd.commands import complete
from herd.commands.options import AsJson, Environment, Stack
from herd.errors import WrongInput

if TYPE_CHECKING:
    from herd.runs.detail import Detail
    from herd.targets.target import Target


def runs(
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="NAME",
            help="Only those of this job or report.",
            show_default=False,
            callback=lambda text: None if text is None else names.workload(text),
            autocompletion=complete.workloads,
        ),
    ] = None,
    failed: Annotated[bool, typer.Option("--failed", help="Only those that did not succeed.")] = False,
    since: Annotated[
        str | None,
        typer.Option(
            "--since",
            metavar="WHEN",
            help="Those that began after it: 90m, 36h, 2d, 1w ago, or a date as 2027-01-31.",
            show_default=False,
            callback=names.some,
        ),
    ] = None,
    lines: Annotated[
        int | None,
        typer.Option("--lines", "-n", min=1, max=10_000, help="How many at most.", show_default="20; all with --since"),
    ] = None,
    as_json: AsJson = False,
    environment: Environment = None,
    stack: Stack = None,
) -> None:
    """List the runs of jobs and reports, the newest first. AWS keeps them for 90 days.

    [dim]herd runs delay-model --failed --since 2d[/dim]    then: [dim]herd show RUN[/dim]
    """
    from datetime import UTC, datetime

    from herd.commands import tables
    from herd.runs import history
    from herd.targets.choose import choose

    now = datetime.now(UTC)
    after = None if since is None else history.since(since, now)
    target = choose(environment, stack)
    exports = target.require_exports()
    if name is not None and name not in exports.batch:
        exports.workload(name)
        raise WrongInput(f"{name} is a service and always runs; `herd logs {name}` shows what it prints")
    most = lines if lines is not None or since is not None else tables.MOST_RUNS
    listed = history.listed(target, [name] if name else list(exports.batch), after=after, failed=failed, most=most)
    if as_json:
        console.json_document({"environment": target.name, "runs": [run.as_json() for run in listed]})
    elif listed:
        tables.runs(listed, now, named=name is None)
        if most is not None and len(listed) == most:
            console.note(f"the newest {most}; more with `--lines`, or all that began after `--since`")
    else:
        of_whom = f" of {name}" if name else ""
        which = "no failed run" if failed else "no run"
        when = f" since {after:%Y-%m-%d %H:%M} UTC" if after else ""
        console.note(f"{which}{of_whom} in {target.name}{when}")


def show(
    run: Annotated[
        str,
        typer.Argument(
            metavar="RUN",
            help="A run's id, as `herd runs` shows it, or its beginning.",
            show_default=False,
            callback=names.run,
            autocompletion=complete.runs,
        ),
    ],
    as_json: AsJson = False,
    environment: Environment = None,
    stack: Stack = None,
) -> None:
    """Show one run: its code, image, inputs, parameters, checks and files, and why it ended.

    [dim]herd show 20270131T060000-manual-4f2a[/dim]
    """
    from herd.commands import tables
    from herd.runs import detail, history
    from herd.targets.choose import choose

    target = choose(environment, stack)
    target.require_exports()
    matches = history.find(target, run)
    pipelines = [name.removeprefix("pipeline ") for name, _ in matches if name.startswith("pipeline ")]
    skipped = [one for name in pipelines for one in detail.skipped_of_pipeline(target, name, matches[0][1])]
    details = [one for one in (detail.of_run(target, *match) for match in _of_jobs(target, matches)) if one]
    if as_json:
        shown = [*(one.as_json() for one in details), *(one.as_json() for one in skipped)]
        console.json_document({"environment": target.name, "runs": shown})
        return
    if pipelines:
        ran = f"{len(details)} job{'s' if len(details) != 1 else ''} ran"
        console.say(f"run {matches[0][1]} of the pipeline {', '.join(pipelines)}: {ran}")
    for number, one in enumerate(details):
        if number or pipelines:
            console.say()
        tables.run(one, _after(target, one))
    for other in skipped:
        console.say()
        tables.skipped(other)


def _of_jobs(target: Target, matches: list[tuple[str, str]]) -> list[tuple[str, str]]:
    return [match for match in matches if match[0] in target.exports.batch]


def _after(target: Target, one: Detail) -> list[str]:
    """What can be done next with it."""
    option = f" {' '.join(target.option)}" if target.option != ("-e", "dev") else ""
    name, run_id = one.run.workload, one.run.id
    if one.run.status == "running":
        return [
            f"`herd logs {name} --run {run_id}{option}` shows what it prints, `herd cancel {run_id}{option}` stops it"
        ]
    return [f"`herd logs {name} --run {run_id}{option}` shows what it printed"]
