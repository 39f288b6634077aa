"""`herd run`, `cancel` and `accept`: start a job now and follow it, stop a run, accept what its checks saw."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from herd import console
from herd.checkout import names
from herd.commands import complete
from herd.commands.options import Environment, Name, Raw, Stack, Yes
from herd.errors import HerdError, WrongInput

if TYPE_CHECKING:
    from herd.runs.follow import Following
    from herd.targets.target import Target


def run(
    name: Name,
    param: Annotated[
        list[str] | None,
        typer.Option("--param", metavar="KEY=VALUE", help="Another value for one of its \\[params]; repeatable."),
    ] = None,
    with_dependants: Annotated[
        bool, typer.Option("--with-dependants", help="Then also what runs after it, as its pipeline would.")
    ] = False,
    detach: Annotated[bool, typer.Option("--detach", help="Start it and return; do not follow.")] = False,
    raw: Raw = False,
    environment: Environment = None,
    stack: Stack = None,
    yes: Yes = False,
) -> None:
    """Start a job or report now, and follow what it prints until it has ended.

    Ctrl-C stops following, with exit status 130; the run goes on. Exit status 1 if the run does not succeed, also if it
    is skipped because an earlier one goes on.

    [dim]herd run delay-model[/dim]
    [dim]herd run delay-model --param month=3[/dim]
    [dim]herd run ingest-flights --with-dependants[/dim]
    """
    from herd.runs import start
    from herd.targets.choose import choose

    target = choose(environment, stack)
    starts = start.plan(target, name, param or [], with_dependants)
    target.approve(f"run {name}", yes)
    following = start.begin(target, starts)
    console.note(f"started {name}, run {following.run_id}")
    followed(target, name, following, detach=detach, raw=raw)


def followed(target: Target, name: str, following: Following, *, detach: bool, raw: bool) -> None:
    """Follow a run of `name` that was just started, to its end; or print its id, if `detach`.

    Raises typer.Exit where it did not succeed.
    """
    from herd.runner.contract.statuses import SKIPPED_RUN
    from herd.runs import runs
    from herd.runs.follow import describe, follow

    if detach:
        console.say(following.run_id)
        return
    try:
        follow(target, [following], show_logs=True, raw=raw)
    except KeyboardInterrupt:
        console.note(
            f"detached; the run goes on: `herd logs {name} --follow` shows, `herd cancel {following.run_id}` stops it"
        )
        raise typer.Exit(130) from None
    if (skipped := following.runs.get(name)) is not None and skipped.status == SKIPPED_RUN:
        going = runs.last_run(target, name, with_record=False)
        if going is not None and going.status == "running":
            console.note(
                f"run {going.id} goes on since {going.seconds:.0f} s: `herd logs {name} --follow` shows it, "
                f"`herd cancel {going.id}` stops it"
            )
        raise typer.Exit(1)
    unsuccessful = [entry for entry in following.runs.values() if entry.failed]
    if unsuccessful and len(following.runs) > 1:
        raise HerdError("\n".join(describe(entry) for entry in unsuccessful))
    if unsuccessful:  # the last line on the screen says it already
        raise typer.Exit(1)


def cancel(
    run_id: Annotated[
        str,
        typer.Argument(
            metavar="RUN",
            help="A run's id, as `herd runs`, `herd status` and `herd run` show it.",
            show_default=False,
            callback=names.run,
            autocompletion=complete.runs,
        ),
    ],
    environment: Environment = None,
    stack: Stack = None,
    yes: Yes = False,
) -> None:
    """Stop a run: its tasks are asked to end, and nothing that would follow it starts."""
    from herd.runs import runs
    from herd.targets.choose import choose

    target = choose(environment, stack)
    machines = target.require_exports().machines
    known = [machine for machine in machines if runs.execution(target, machine, run_id)]
    if not known:
        raise WrongInput(f"no run {run_id!r} in {target.name}; `herd runs` lists them")
    target.approve(f"cancel {run_id}", yes)
    stopped = [machine for machine in known if runs.stop(target, machine, run_id)]
    console.say(f"{run_id} is stopped" if stopped else f"{run_id} had already ended")


def rollback(
    name: Name,
    run: Annotated[
        str | None,
        typer.Argument(
            metavar="RUN",
            help="The run whose version becomes current; default is the one before the current version.",
            show_default=False,
            callback=names.run,
            autocompletion=complete.runs,
        ),
    ] = None,
    because: Annotated[
        str, typer.Option("--because", metavar="TEXT", help="Why: one line, kept with who did it.", show_default=False)
    ] = "",
    environment: Environment = None,
    stack: Stack = None,
    yes: Yes = False,
) -> None:
    """Make an earlier version of a job's or report's output current again, its data and its page.

    Whoever reads it gets that version from now on. The next run that passes its checks publishes as usual.

    [dim]herd rollback delay-model --because "trained on half of the flights"[/dim]
    [dim]herd rollback delay-report 20270130T060000-manual-4f2a --because "wrong year"[/dim]
    """
    from herd.checkout import team_files
    from herd.runs import rollback, runs
    from herd.targets.choose import choose

    reason = rollback.reason(because)
    target = choose(environment, stack)
    exports = target.require_exports()
    exports.workload(name)
    if (batch := exports.batch.get(name)) is None:
        raise WrongInput(f"{name} is a service and publishes nothing; a deployment that fails is rolled back by itself")
    plan = rollback.plan(target, name, run)
    console.say(f"from run {plan.current.run_id}, published {plan.current.published}")
    console.say(f"to   run {plan.target}")
    target.approve(f"make run {plan.target.version.run_id} of {name} current", yes)
    rollback.carry_out(target, plan, reason)
    console.say(f"{name} is at run {plan.target.version.run_id} again; services that read it have it within 15 s")
    if getattr(team_files.load(target.checkout, target.name, name).workloads.get(name), "publish", ()):
        console.note(f"! what `publish` of {name} has changed elsewhere is as it was", style="yellow")
    if plan.baseline:
        console.note(
            f"! max_drop and max_rise still compare with run {plan.baseline}, which was taken back: "
            f"`herd accept {name} --run {plan.target.version.run_id}` takes the values of this one",
            style="yellow",
        )
    if (running := runs.latest(target, batch.machine, "RUNNING")) is not None:
        console.note(
            f"! run {running['name']} goes on, and publishes if it succeeds; `herd cancel {running['name']}` stops it",
            style="yellow",
        )


def accept(
    name: Name,
    run: Annotated[
        str | None,
        typer.Option(
            "--run", metavar="ID", help="The values of this run; default is the last one.", callback=names.run
        ),
    ] = None,
    environment: Environment = None,
    stack: Stack = None,
    yes: Yes = False,
) -> None:
    """Accept what a run's checks saw, also of a rejected run: later runs are compared with these values."""
    from herd.runs import baseline, runs
    from herd.targets.choose import choose

    target = choose(environment, stack)
    target.require_exports().workload(name)
    last = runs.last_runs(target).get(name)
    run_id = run or (last.id if last else None)
    if run_id is None:
        raise WrongInput(f"{name} has never run; `herd run {name}` starts it")
    values = baseline.values(target, name, run_id)
    for value in values:
        console.say(str(value))
    target.approve(f"accept the values of run {run_id}", yes)
    baseline.accept(target, name, run_id, values)
    console.say(f"{name} is compared with run {run_id} from its next run on")
