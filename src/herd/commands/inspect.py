"""`herd status`, `logs`, `checks`, `outputs`, `open`, `explain`: what is deployed, what ran, where settings are."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from herd import console
from herd.checkout import names, pauses
from herd.commands import complete
from herd.commands.options import AsJson, Environment, Name, Raw, Stack
from herd.errors import HerdError, WrongInput, unknown


def status(
    as_json: Annotated[bool, typer.Option("--json", help="For scripts: one JSON object, times in UTC.")] = False,
    environment: Environment = None,
    stack: Stack = None,
) -> None:
    """Show every workload: its state, last run, next run and address; for what failed, why and its last lines."""
    from herd.checkout import review_dates
    from herd.deploy import ends
    from herd.infra import lifetime
    from herd.runs.status import collect
    from herd.targets.choose import choose

    target = choose(environment, stack)
    workloads = collect(target)
    end = ends.of(target)
    if as_json:
        import json

        document = {
            "environment": target.name,
            "engine": target.engine,
            "reports_url": target.exports.reports_url,
            "ends_at": lifetime.written(end.at) if end else None,
            "workloads": [workload.as_json() for workload in workloads],
        }
        console.document(json.dumps(document, indent=2) + "\n")
        return
    from herd.commands import tables

    tables.status(target, workloads)
    if target.exports.rests:
        console.note(f"– {pauses.ALL}", style="yellow")
    if end is not None:
        over = end.at <= review_dates.now()
        how = f"`herd keep {' '.join(target.option)} --ttl {end.ttl}` keeps it"
        console.say()
        console.say(
            f"! its time was over at {lifetime.written(end.at)}, and it was not removed: `herd janitor` does; {how}"
            if over
            else f"– it ends by itself at {lifetime.written(end.at)}; {how} so long from now",
            style="red" if over else "yellow",
        )


def checks(
    name: Name,
    as_json: Annotated[bool, typer.Option("--json", help="For scripts: one JSON object.")] = False,
    environment: Environment = None,
    stack: Stack = None,
) -> None:
    """Show what each check of a job or report saw in its last 30 runs, and how the last one ended."""
    from herd.commands import tables
    from herd.runs.checks import last_seen
    from herd.targets.choose import choose

    target = choose(environment, stack)
    target.require_exports().workload(name)
    last = last_seen(target, name)
    if as_json:
        import json
        from dataclasses import asdict

        console.document(json.dumps({"workload": name, "checks": [asdict(one) for one in last]}, indent=2) + "\n")
    elif last:
        tables.checks(last)
    else:
        console.note(f"no run of {name} has been checked; [[check]] in its workload.toml says what must hold")


def logs(
    name: Name,
    run: Annotated[
        str | None,
        typer.Option(
            "--run",
            metavar="RUN",
            help="Of this run, by its id or the beginning of it; default is the last one.",
            show_default=False,
            callback=names.run,
            autocompletion=complete.runs,
        ),
    ] = None,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on showing lines as they come; Ctrl-C ends it.")
    ] = False,
    lines: Annotated[
        int, typer.Option("--lines", "-n", min=1, max=10_000, help="How many of the last lines, of each task.")
    ] = 100,
    raw: Raw = False,
    environment: Environment = None,
    stack: Stack = None,
) -> None:
    """Show what a service printed, or a job in a run: every attempt, every item of a fan-out."""
    from herd.runs import printed
    from herd.targets.choose import choose

    target = choose(environment, stack)
    exports = target.require_exports()
    if run is not None and name not in exports.batch:
        exports.workload(name)
        raise WrongInput(f"{name} is a service and has no runs; leave --run out")
    printed.show(target, name, run, lines, follow=follow, raw=raw)


def outputs(
    name: Name,
    get: Annotated[
        Path | None,
        typer.Option("--get", metavar="DIR", help="Copy the files into this folder.", parser=names.path),
    ] = None,
    run: Annotated[
        str | None,
        typer.Option("--run", metavar="ID", help="Of this run; default is the current version.", callback=names.run),
    ] = None,
    as_json: AsJson = False,
    environment: Environment = None,
    stack: Stack = None,
) -> None:
    """List the files that a job or report has published, or copy them here."""
    from herd.commands import tables
    from herd.runs.outputs import copy, find
    from herd.targets.choose import choose

    target = choose(environment, stack)
    target.require_exports().workload(name)
    version = find(target, name, run)
    if get is not None:
        with console.step(f"copying {len(version.files)} files of {name}") as step:
            copy(target, version, get, step.update)
        console.say(str(get))
        return
    if as_json:
        console.json_document(version.as_json())
    else:
        tables.version(version)


def open_(
    name: Name,
    print_only: Annotated[bool, typer.Option("--print", help="Print the address; do not open a browser.")] = False,
    environment: Environment = None,
    stack: Stack = None,
) -> None:
    """Open the page of a report or API in the browser."""
    import webbrowser

    from herd.targets.choose import choose

    workload = choose(environment, stack).require_exports().workload(name)
    if not workload.url:
        raise WrongInput(f"{name} is a {workload.kind} and has no page; `herd outputs {name}` shows what it published")
    console.say(workload.url)
    if not print_only and not webbrowser.open(workload.url):
        raise HerdError("no browser could be started; the address is above")


def explain(name: Name, as_json: AsJson = False, environment: Environment = None) -> None:
    """Show every setting of a workload, its value, and the file that it comes from."""
    from herd.checkout import team_files
    from herd.checkout.find import find_checkout
    from herd.infra.spec import load
    from herd.targets.choose import local

    root = find_checkout().root
    target = local(environment)
    specs = team_files.load(target.checkout, target.name, name)
    offer = team_files.offer(target.checkout, target.name)
    if name not in specs.workloads:
        raise WrongInput(unknown(name, list(specs.workloads), "workload"))
    entries = load.explain(root, target.name, name, offer)
    if as_json:
        import json

        values = {entry.key: json.loads(_as_text(entry.value)) for entry in entries}
        sources = {entry.key: entry.source for entry in entries}
        console.json_document({"workload": name, "settings": values, "from": sources})
        return
    rows = [[entry.key, _shown(entry.value), entry.source] for entry in entries]
    console.table(["SETTING", "VALUE", "FROM"], rows)
    if owners := offer.owners(specs.workloads[name].owner):
        console.note(f"who is told: {', '.join(owners)}")
    if pause := pauses.of(specs, name):
        console.note(f"– {pause}", style="yellow")


def _shown(value: object) -> str:
    """A value nearly as in TOML."""
    try:
        return _as_text(value)
    except TypeError:
        return str(value)


def _as_text(value: object) -> str:
    import json

    return json.dumps(getattr(value, "text", value), default=_plain, ensure_ascii=False)


def _plain(value: object) -> object:
    dump = getattr(value, "model_dump", None)
    return dump(exclude_none=True) if dump else (dict(value) if hasattr(value, "keys") else str(value))  # type: ignore[call-overload]
