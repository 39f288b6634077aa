"""The review of a plan in the words of the settings: what changes for people, and what of it is dangerous."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from herd.engine.plan import Plan
from herd.review import dangers, groups, settings
from herd.review.cost import Estimate, against, difference, estimate, is_too_dear, table_of
from herd.review.dangers import Danger
from herd.review.endangered import endangered
from herd.review.groups import Group
from herd.review.rebuilds import Rebuild
from herd.review.settings import Written

NOT_EXPORTED = (
    "what is deployed does not say its settings, because an earlier Herd deployed it: only its resources can be "
    "compared, until the next `herd up`"
)


@dataclass(frozen=True)
class Words:
    """`groups`: what changes, by whose it is. `dangers`: what it endangers, if only by a setting. `note`: why there
    is nothing to compare; "" where there is. `costs`: a month, before and after; None where that is not known.
    `budget`: USD a month that were set; 0 for none. `workloads`: those that are new or change, as `report flights`.
    """

    groups: tuple[Group, ...] = ()
    dangers: tuple[Danger, ...] = ()
    note: str = ""
    costs: tuple[Estimate, Estimate] | None = None
    budget: int = 0
    workloads: tuple[str, ...] = ()

    @property
    def lines(self) -> list[str]:
        """What changes, a line each, with whose it is."""
        return [line for group in self.groups for line in group.flat]

    @property
    def over_budget(self) -> str:
        """A sentence where it may cost more than the budget; "" where it does not."""
        return against(self.costs[1], self.budget) if self.costs is not None else ""

    @property
    def is_too_dear(self) -> bool:
        """Does it cost more than the budget whatever happens?"""
        return self.costs is not None and is_too_dear(self.costs[1], self.budget)

    @property
    def cost_lines(self) -> list[str]:
        """What changes in a month's cost, as `herd.review.cost.difference` has it."""
        if self.costs is None:
            return []
        if self.note:  # what is deployed does not say what it was priced by
            return [self.over_budget] if self.over_budget else []
        return difference(*self.costs, self.budget)

    def as_json(self) -> dict[str, object]:
        """For `herd preview --format json`, beside the list of changes."""
        dangers = [
            {"change": one.what, "why": one.why, "instead": one.instead, "details": list(one.details)}
            for one in self.dangers
        ]
        before = None if self.note or self.costs is None else self.costs[0].as_json()
        cost = self.costs and {"before": before, "after": self.costs[1].as_json(), "budget_per_month": self.budget}
        return {"settings": list(self.lines), "workloads": list(self.workloads), "dangers": dangers, "cost": cost}


NOTHING = Words()


def of(
    plan: Plan,
    now: datetime,
    public_services: frozenset[str] = frozenset(),
    rebuilds: Sequence[Rebuild] = (),
) -> Words:
    """Of a preview. `now` decides when a schedule starts next."""
    before, after = Written.of(plan.outputs_before), Written.of(plan.outputs_after)
    if after is None or not plan.outputs_after:  # the preview did not get so far
        return Words(
            tuple(groups.with_follows(groups.of_images(rebuilds, {}), plan.steps)),
            tuple(endangered(plan, [], public_services, rebuilds, {}, has_domain=False)),
        )
    note, known = "", before
    if known is None:
        note, known = NOT_EXPORTED, after  # nothing of the settings is compared
    changes = settings.changes(known, after)
    kinds = {name: str(one.get("kind", "")) for name, one in {**known.workloads, **after.workloads}.items()}
    of_settings = [Group(who, tuple(lines)) for who, lines in settings.by_owner(changes, after, now).items()]
    joined = groups.joined([*of_settings, *groups.of_images(rebuilds, kinds)])
    touched = {change.owner for change in changes} | {rebuild.workload for rebuild in rebuilds}
    has_domain = bool(known.stack.get("domain") and after.stack.get("domain"))
    costs, budget = _costs(plan, known, after), int(after.stack.get("budget_per_month", 0))
    by_settings = [*dangers.of(changes, known, after), *_too_dear(costs[1], budget)]
    return Words(
        tuple(groups.with_follows(groups.shared(joined, kinds), plan.steps)),
        tuple(endangered(plan, by_settings, public_services, rebuilds, kinds, has_domain)),
        note,
        costs=costs,
        budget=budget,
        workloads=tuple(sorted({f"{kinds[name]} {name}" for name in touched if name in after.workloads})),
    )


def _too_dear(after: Estimate, budget: int) -> list[Danger]:
    """What `herd up` refuses on AWS."""
    if not is_too_dear(after, budget):
        return []
    return [
        Danger(
            against(after, budget),
            "on AWS, `herd up` refuses it",
            "see with `herd cost` what would save most, or raise budget_per_month",
        )
    ]


def _costs(plan: Plan, before: Written, after: Written) -> tuple[Estimate, Estimate]:
    """Before and after; an environment that moves to another region has the prices of both."""
    regions = [str(outputs.get("region") or "") for outputs in (plan.outputs_before, plan.outputs_after)]
    old, new = (table_of(region or regions[1], plan.root) for region in regions)
    return estimate(plan.before, before, old), estimate(plan.after, after, new)
