"""`herd prices update`: AWS's public price list, read into the project's own table."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from herd import console
from herd.checkout import names

app = typer.Typer(no_args_is_help=True, help="The prices that costs are worked out from.")


@app.command()
def update(
    region: Annotated[
        list[str] | None,
        typer.Option(
            "--region",
            metavar="REGION",
            help="Of this region; may be repeated.",
            show_default="Pulumi.yaml's",
            callback=names.regions,
        ),
    ] = None,
    source: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="URL",
            help="Read a copy of the list here, with the same paths below it.",
            callback=names.web_address,
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", metavar="FILE", parser=names.path, help="Write to FILE.", show_default="prices.csv"),
    ] = None,
) -> None:
    """Read AWS's public price list into prices.csv, which `herd cost` and previews take before Herd's own table.

    Needs the network and no credentials. The list of EC2 has some hundred megabytes and takes a few minutes. Nothing is
    written where a part of it cannot be read.

    [dim]herd prices update --region eu-west-1[/dim]
    """
    from herd.checkout.find import find_checkout
    from herd.checkout.stack_config import region_of_project
    from herd.infra import prices
    from herd.review import price_list
    from herd.review.cost import OWN_PRICES, own_prices, table_of
    from herd.toolchain import atomic

    here = find_checkout()
    path = output or here.root / OWN_PRICES
    before = own_prices(path)
    regions = list(dict.fromkeys(region or [region_of_project(here) or prices.BASE]))
    merged = list(before)
    for one in regions:
        with console.step(f"reading AWS's price list of {one}") as step:
            read = price_list.fetch(one, source or price_list.AWS, step.update)
            machines = sum(row.thing.startswith(prices.INSTANCE) for row in read.rows)
            step.result = f"{len(read.rows) - machines} prices, {machines} types of machines"
        for line in price_list.differences(table_of(one, here.root), read.rows):
            console.say(line)
        for note in read.notes:
            console.note(f"! {note}", style="yellow")
        merged = price_list.merged(merged, read)
    atomic.write(path, prices.written(merged), 0o644)
    console.note(f"~ {path.relative_to(here.root) if path.is_relative_to(here.root) else path}")
