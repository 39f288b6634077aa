"""`herd graph`: who starts after whom, and who reads whom."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from herd import console
from herd.checkout import names
from herd.commands import complete
from herd.commands.options import Environment
from herd.errors import WrongInput, unknown

if TYPE_CHECKING:
    from herd.targets.local import LocalTarget


class Format(StrEnum):
    """How the graph is printed."""

    text = "text"
    svg = "svg"
    json = "json"


def graph(
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="NAME",
            help="Only what this workload depends on and what depends on it.",
            show_default=False,
            callback=lambda text: None if text is None else names.workload(text),
            autocompletion=complete.workloads,
        ),
    ] = None,
    format_: Annotated[Format, typer.Option("--format", help="`svg`: a picture, for a file.")] = Format.text,
    json_: Annotated[bool, typer.Option("--json", help="For scripts: the same as --format json.")] = False,
    environment: Environment = None,
) -> None:
    """Show which workload starts after which, who reads whom, and how each is where the environment is up.

    [dim]herd graph --format svg > graph.svg[/dim]
    """
    from herd.checkout import team_files
    from herd.runs import graph_svg
    from herd.runs.graph import of_specs
    from herd.targets.choose import local

    target = local(environment)
    whole = of_specs(team_files.load(target.checkout, target.name), _states(target))
    if name is not None and name not in whole.nodes:
        raise WrongInput(unknown(name, list(whole.nodes), "workload"))
    shown = whole if name is None else whole.part_of(name)
    match Format.json if json_ else format_:
        case Format.json:
            console.json_document({"environment": target.name, **shown.as_json()})
        case Format.svg:
            console.document(graph_svg.draw(shown, f"{target.checkout.project} {target.name}"))
        case Format.text:
            for line in shown.lines():
                console.say(line)


def _states(target: LocalTarget) -> dict[str, str]:
    """Each workload's, as `herd status` has it; none where the local cloud rests, which this does not start."""
    from herd.runs.status import collect
    from herd.targets import local_cloud

    if not local_cloud.running(target.checkout) or target.deployed is None:
        return {}
    return {one.name: one.state for one in collect(target)}
