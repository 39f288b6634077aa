"""What an environment costs a month: a range, the assumptions of each line, and what has no price here.

Things that are there day and night are counted, and tasks as long as they run (`herd.review.usage`). What is paid by
use that nobody can foresee (traffic, log lines, requests) is named with its price and not guessed. What no table has is
`unpriced`, never nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from herd.engine.changes import group_of, short, type_and_name
from herd.engine.plan import ENVIRONMENT, Resource
from herd.errors import WrongInput
from herd.infra import prices
from herd.infra.prices import Price, Prices
from herd.review import usage
from herd.review.bill import Bill, Item
from herd.review.settings import Written
from herd.review.usage import Usage

OWN_PRICES = "prices.csv"
"""A project's own prices, in its root: what `herd prices update` writes."""


@dataclass(frozen=True)
class Estimate:
    """`items` are counted; `by_use` are prices of what is not; `unpriced`: what has no price -> how many."""

    prices: Prices
    items: tuple[Item, ...]
    by_use: tuple[Price, ...] = ()
    unpriced: Mapping[str, int] = field(default_factory=dict)
    measured: tuple[str, ...] = ()

    @property
    def usd(self) -> tuple[float, float]:
        """From, to, a month."""
        return _sum(self.items)

    @property
    def by_owner(self) -> dict[str, tuple[float, float]]:
        """Workload, or part of the environment -> from, to; the dearest first."""
        owners = dict.fromkeys(item.owner for item in self.items)
        sums = {owner: _sum(item for item in self.items if item.owner == owner) for owner in owners}
        return dict(sorted(sums.items(), key=lambda entry: (-entry[1][1], -entry[1][0], entry[0])))

    def by_part(self, owner: str) -> dict[str, list[Item]]:
        """What is paid for an owner -> its lines."""
        parts: dict[str, list[Item]] = {}
        for item in self.items:
            if item.owner == owner:
                parts.setdefault(item.what, []).append(item)
        return parts

    @property
    def notes(self) -> list[str]:
        """What a reader has to know of the figures: whose prices, from when, and by what runs were measured."""
        table, used = self.prices, {item.price for item in self.items} | set(self.by_use)
        days = sorted({price.as_of for price in used})
        when = f" of {days[0]}" if len(days) == 1 else f" of {days[0]} to {days[-1]}" if days else ""
        said = [f"list prices in USD{when}, without tax and free tiers"]
        if table.stand_in:
            said.append(
                f"the table has no prices of {table.region}: these are of {prices.BASE}; "
                f"`herd prices update --region {table.region}` fetches its own"
            )
        else:
            said[0] = f"list prices of {table.region} in USD{when}, without tax and free tiers"
        if unsure := sorted({price.unit for price in used if not price.confirmed}):
            said.append(
                f"{len(unsure)} of the {len(used)} prices are from AWS's pages and were not compared with its price "
                "list; `herd prices update` does"
            )
        if self.measured:
            said.append(f"run times and sizes as they were measured: {', '.join(self.measured)}")
        return said

    def as_json(self) -> dict[str, Any]:
        """Of `herd cost --json`."""
        low, high = self.usd
        return {
            "currency": "USD",
            "region": self.prices.region,
            "prices_of": prices.BASE if self.prices.stand_in else self.prices.region,
            "a_month": {"from": round(low, 2), "to": round(high, 2)},
            "as_of": self.prices.newest.isoformat(),
            "by_owner": {
                owner: {"from": round(usd[0], 2), "to": round(usd[1], 2)} for owner, usd in self.by_owner.items()
            },
            "items": [item.as_json() for item in self.items],
            "by_use": [
                {
                    "unit": price.unit, "usd_each": price.usd, "source": price.source,
                    "as_of": price.as_of.isoformat(), "confirmed": price.confirmed,
                }
                for price in self.by_use
            ],
            "unpriced": dict(self.unpriced),
            "measured": list(self.measured),
        }  # fmt: skip


def _sum(items: Iterable[Item]) -> tuple[float, float]:
    ranges = [item.usd for item in items]
    return sum(low for low, _ in ranges), sum(high for _, high in ranges)


def estimate(resources: Iterable[Resource], written: Written, table: Prices, measured: Usage | None = None) -> Estimate:
    """Of what is deployed, or would be."""
    known = measured or {}
    bill = Bill(table, written, known)
    bill.add_resources(list(resources))
    bill.add_workloads()
    names = tuple(sorted(name for name in known if name in written.workloads))
    return Estimate(table, tuple(bill.items), tuple(bill.by_use), dict(sorted(bill.unpriced.items())), names)


def table_of(region: str, root: Path) -> Prices:
    """The prices of a region: those of the project in `root` where it has some, else Herd's.

    Raises WrongInput where the project's cannot be read.
    """
    return prices.of(region or prices.BASE, own_prices(root / OWN_PRICES))


def own_prices(path: Path) -> tuple[Price, ...]:
    """The rows of a project's own file; none without one. Raises WrongInput where it cannot be read."""
    try:
        return prices.read(path) if path.exists() else ()
    except (prices.BadTable, OSError) as error:
        raise WrongInput(f"{error}; mend it or remove it: `herd prices update` writes it again") from None


def of_state(resources: Iterable[Mapping[str, Any]]) -> list[Resource]:
    """The resources of Pulumi's state, as `pulumi stack export` has them."""
    declared = []
    for state in resources:
        type_, name = type_and_name(state["urn"])
        if state.get("custom") and not state.get("delete") and not type_.startswith("pulumi:"):
            owner = group_of({"new": state}) or ENVIRONMENT
            declared.append(Resource(short(type_), name, owner, state.get("inputs") or {}))
    return declared


# --- other choices --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Saving:
    """What another choice would save a month, from and to. `choice`: the setting, as it would be written."""

    choice: str
    usd: tuple[float, float]
    but: str

    def as_json(self) -> dict[str, Any]:
        """Of `herd cost --json`."""
        return {"choice": self.choice, "from": round(self.usd[0], 2), "to": round(self.usd[1], 2), "but": self.but}


@dataclass(frozen=True)
class _Choice:
    """Another environment that does the same: its resources and settings."""

    setting: str
    resources: Sequence[Resource]
    written: Written
    but: str


ARM = {
    "c6i": "c6g",
    "c7i": "c7g",
    "m6i": "m6g",
    "m7i": "m7g",
    "m7i-flex": "m7g",
    "r6i": "r6g",
    "r7i": "r7g",
    "t3": "t4g",
}
"""A family of machines -> the one with Arm's processors and as much memory."""


def savings(
    resources: Sequence[Resource], written: Written, table: Prices, measured: Usage | None = None
) -> list[Saving]:
    """What the choices would save that the environment has not made, the largest first."""
    now = estimate(resources, written, table, measured)
    saved = []
    for choice in (*_spot(resources, written), *_networks(resources, written), *_others(resources, written)):
        then = estimate(choice.resources, choice.written, table, measured)
        if set(then.unpriced) - set(now.unpriced):
            continue  # what it would cost is not known
        low, high = sorted((now.usd[0] - then.usd[0], now.usd[1] - then.usd[1]))
        if low >= 0 and high >= 0.01:
            saved.append(Saving(choice.setting, (low, high), choice.but))
    return sorted(saved, key=lambda saving: -saving.usd[1])


def _spot(resources: Sequence[Resource], written: Written) -> Iterator[_Choice]:
    for are_services, whose, but in (
        (False, "jobs and reports", "AWS may interrupt a run, which is then tried again"),
        (True, "APIs", "AWS may stop a copy with two minutes' notice, and another takes its place when there is room"),
    ):
        spot = {
            name: {**settings, "hardware": "fargate-spot"}
            for name, settings in written.workloads.items()
            if usage.is_service(settings) is are_services and settings.get("hardware", "fargate") == "fargate"
        }
        if spot:
            changed = replace(written, workloads={**written.workloads, **spot})
            yield _Choice(f'hardware = "fargate-spot" for {whose}', resources, changed, but)


NAT = (
    Resource("aws:ec2:NatGateway", "network-nat", "network", {}),
    Resource("aws:ec2:Eip", "network-nat", "network", {}),
)


def _networks(resources: Sequence[Resource], written: Written) -> Iterator[_Choice]:
    if written.stack.get("vpc"):
        return  # the company's own network
    network = written.stack.get("network", "public")
    bare = [one for one in resources if not _is_way_out(one)]
    on_vms = any(usage_of not in ("fargate", "fargate-spot") for usage_of in _hardware(written))
    if network != "public" and not on_vms:
        public = replace(written, stack={**written.stack, "network": "public"})
        yield _Choice("network: public", bare, public, "each task has an address of its own, which lets nothing in")
    if network != "nat":
        nat = replace(written, stack={**written.stack, "network": "nat"})
        yield _Choice(
            "network: nat",
            [*bare, *NAT],
            nat,
            "traffic to the internet goes through one gateway, and is paid by the GB",
        )


def _is_way_out(resource: Resource) -> bool:
    if resource.type == "aws:ec2:VpcEndpoint":
        return resource.inputs.get("vpcEndpointType") == "Interface"
    return resource.type in ("aws:ec2:NatGateway", "aws:ec2:Eip")


def _hardware(written: Written) -> set[str]:
    return {str(settings.get("hardware", "fargate")) for settings in written.workloads.values()}


def _others(resources: Sequence[Resource], written: Written) -> Iterator[_Choice]:
    if int(written.stack.get("zones", 2)) > 2 and not written.stack.get("vpc"):
        fewer = replace(written, stack={**written.stack, "zones": 2})
        yield _Choice("zones: 2", resources, fewer, "one zone less that may fail; the network is made anew")
    single = {
        name: {**settings, "replicas": {**(settings.get("replicas") or {}), "min": 1}}
        for name, settings in written.workloads.items()
        if usage.is_service(settings) and usage.replicas(settings)[0] > 1
    }
    if single:
        changed = replace(written, workloads={**written.workloads, **single})
        yield _Choice(
            f"replicas.min = 1 for {', '.join(sorted(single))}", resources, changed,
            "while a copy is replaced after a failure, none answers",
        )  # fmt: skip
    for one in resources:
        if one.type == "aws:ec2:LaunchTemplate":
            family, _, size = str(one.inputs.get("instanceType", "")).partition(".")
            if family in ARM:
                other = f"{ARM[family]}.{size}"
                arm = [
                    replace(it, inputs={**it.inputs, "instanceType": other}) if it is one else it for it in resources
                ]
                yield _Choice(
                    f"instance_type: {other} for {one.owner}", arm, written,
                    "images are built for Arm's processors; a package that is only there for Intel's does not install",
                )  # fmt: skip


# --- two of them -----------------------------------------------------------------------------------------------------

NONE = (0.0, 0.0)


def difference(before: Estimate, after: Estimate, budget: int) -> list[str]:
    """The sum before and after, then each workload or part whose cost changes with its lines and what they assume, the
    largest change first; what is over the budget in any case.
    """
    over = against(after, budget)
    old, new = before.by_owner, after.by_owner
    changed = [name for name in {**old, **new} if dollars(old.get(name, NONE)) != dollars(new.get(name, NONE))]
    if not changed and before.unpriced == after.unpriced:
        return [over] if over else []
    changed.sort(key=lambda name: (-abs(new.get(name, NONE)[1] - old.get(name, NONE)[1]), name))
    lines = [f"all: {dollars(before.usd)} → {dollars(after.usd)} USD a month", *([over] if over else [])]
    for name in changed:
        lines.append(f"{name}: {dollars(old.get(name, NONE))} → {dollars(new.get(name, NONE))}")
        lines += [f"{name}: {part}" for part in _parts_that_change(before, after, name)]
    more = {what: count for what, count in after.unpriced.items() if count > before.unpriced.get(what, 0)}
    lines += [f"without a price here, and not counted: {count} {what}" for what, count in more.items()]
    region = prices.BASE if after.prices.stand_in else after.prices.region
    return [*lines, f"by schedules and time limits, at list prices of {region}; herd cost has what runs really took"]


def _parts_that_change(before: Estimate, after: Estimate, owner: str) -> Iterator[str]:
    """`vCPU 14.78 → 29.55, memory 3.24 → 6.49 (2 copies, day and night)`: a line for each assumption."""
    was, is_ = before.by_part(owner), after.by_part(owner)
    by_basis: dict[str, list[str]] = {}
    for part in {**is_, **was}:
        old, new = was.get(part), is_.get(part)
        sums = [dollars(_sum(items or ())) for items in (old, new)]
        if sums[0] != sums[1]:
            basis = (new or old or [])[0].basis if new else "no longer"
            by_basis.setdefault(basis, []).append(f"{part} {sums[0]} → {sums[1]}")
    for basis, parts in by_basis.items():
        yield ", ".join(parts) + (f" ({basis})" if basis else "")


# --- the budget -----------------------------------------------------------------------------------------------------


def is_too_dear(priced: Estimate, budget: int) -> bool:
    """Does it cost more than the budget whatever happens? Never without one."""
    return 0 < budget < priced.usd[0]


def against(priced: Estimate, budget: int) -> str:
    """A sentence where it may cost more than the budget; "" where it does not, and without one."""
    if not budget or priced.usd[1] <= budget:
        return ""
    costs = "it costs" if is_too_dear(priced, budget) else "it may cost"
    return f"{costs} {dollars(priced.usd)} USD a month, and budget_per_month is {budget}"


def dollars(usd: tuple[float, float]) -> str:
    """A range for people, to the cent; half a cent is rounded up.

    >>> dollars((1.0, 1.0)), dollars((0.25, 12.5)), dollars((16.425, 16.425))
    ('1.00', '0.25 to 12.50', '16.43')
    """
    low, high = (f"{amount + 1e-9:.2f}" for amount in usd)
    return low if low == high else f"{low} to {high}"
