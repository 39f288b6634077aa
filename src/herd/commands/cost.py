"""`herd cost`: what an environment costs a month, and what each choice would save."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from herd import console
from herd.commands.options import Environment, Stack
from herd.errors import HerdError

if TYPE_CHECKING:
    from herd.infra.prices import Price
    from herd.review.cost import Estimate, Saving


class Format(StrEnum):
    """How the cost is printed."""

    text = "text"
    json = "json"


def cost(
    format_: Annotated[Format, typer.Option("--format", help="`json` has every line with its price and source.")] = (
        Format.text
    ),
    as_json: Annotated[bool, typer.Option("--json", help="For scripts: the same as --format json.")] = False,
    environment: Environment = None,
    stack: Stack = None,
) -> None:
    """Show what the environment costs a month by AWS's list prices, as a range, the dearest parts first.

    Run times and sizes are those of the last runs, where there are any. A local environment costs nothing: shown is
    what the same one would cost on AWS.

    [dim]herd cost --stack prod[/dim]
    """
    import json

    from herd.review.cost import estimate, of_state, savings, table_of
    from herd.review.settings import Written
    from herd.runs import measured
    from herd.targets.choose import choose

    target = choose(environment, stack)
    exported = target.require_exports().settings
    if exported is None:
        raise HerdError(
            "what is deployed does not say its settings, because an earlier Herd deployed it; `herd up` first"
        )
    written = Written(exported.workloads, exported.stack)
    table = table_of(target.exports.region, target.checkout.root)
    resources, seen = of_state(target.state_resources()), measured.collect(target)
    priced, saved = estimate(resources, written, table, seen), savings(resources, written, table, seen)
    if as_json or format_ is Format.json:
        document = {"environment": target.name, **priced.as_json(), "savings": [one.as_json() for one in saved]}
        console.document(json.dumps(document, indent=2) + "\n")
    else:
        _show(priced, saved, int(exported.stack.get("budget_per_month") or 0))


def _show(estimate: Estimate, savings: list[Saving], budget: int) -> None:
    from herd.review.cost import against, dollars

    rows = [[owner, dollars(usd), _parts(estimate, owner)] for owner, usd in estimate.by_owner.items()]
    console.table(["WHOSE", "USD A MONTH", "FOR"], [*rows, ["all", dollars(estimate.usd), ""]])
    console.say()
    for note in estimate.notes:
        console.say(note)
    if estimate.by_use:
        console.say("not counted, paid by use: " + "; ".join(map(_each, estimate.by_use)))
    if estimate.unpriced:
        names = ", ".join(f"{count} {what}" for what, count in estimate.unpriced.items())
        console.say(f"without a price here, and not counted: {names}")
    if over := against(estimate, budget):
        console.note(f"! {over}", style="yellow")
    for saving in savings:
        console.say(f"{saving.choice} saves {dollars(saving.usd)}: {saving.but}")


def _parts(estimate: Estimate, owner: str) -> str:
    """`vCPU, memory (1 to 2 copies, day and night)`: what is paid, by what was assumed."""
    bases: dict[str, list[str]] = {}
    for item in estimate.items:
        if item.owner == owner:
            bases.setdefault(item.basis, []).append(item.what)
    return "; ".join(
        ", ".join(dict.fromkeys(parts)) + (f" ({basis})" if basis else "") for basis, parts in bases.items()
    )


def _each(price: Price) -> str:
    """`0.5 for a GB taken by CloudWatch Logs`, `0.4 for a million times a call of SQS` where one is next to nothing."""
    if price.usd >= 0.001:
        return f"{price.usd:g} for a {price.unit}"
    return f"{price.usd * 1e6:g} for a million times a {price.unit}"
