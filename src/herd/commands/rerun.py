"""`herd rerun`: an earlier run once more, with the same parameters and versions of its inputs."""

from __future__ import annotations

from typing import Annotated

import typer

from herd import console
from herd.checkout import names
from herd.commands import complete
from herd.commands.options import Environment, Raw, Stack, Yes


def rerun(
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
    job: Annotated[
        str | None,
        typer.Option(
            "--job",
            metavar="NAME",
            help="Which job of a pipeline's run.",
            show_default=False,
            callback=lambda text: None if text is None else names.workload(text),
            autocompletion=complete.workloads,
        ),
    ] = None,
    detach: Annotated[bool, typer.Option("--detach", help="Start it and return; do not follow.")] = False,
    raw: Raw = False,
    environment: Environment = None,
    stack: Stack = None,
    yes: Yes = False,
) -> None:
    """Do a run once more: the same parameters, and the same versions of what it read. It publishes like any other.

    The code is what is deployed now; what else cannot be as it was is said. Exit status as that of `herd run`.

    [dim]herd rerun 20270131T060000-manual-4f2a[/dim]
    """
    from herd.commands.run import followed
    from herd.runs import again
    from herd.runs.follow import Following
    from herd.targets.choose import choose

    target = choose(environment, stack)
    exports = target.require_exports()
    if job is not None:
        exports.workload(job)
    plan = again.of_deployed(target, again.of_run(target, run, job if job in exports.batch else None))
    for line in again.words(plan, plan.notes):
        console.note(line)
    name = plan.workload
    target.approve(f"do run {plan.run.run.id} of {name} again", yes)
    following = Following(again.start(target, plan), {name: exports.batch[name].machine})
    console.note(f"started {name}, run {following.run_id}")
    followed(target, name, following, detach=detach, raw=raw)
