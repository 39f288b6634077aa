"""Everything that a plan endangers: by settings, by what it opens, loses or permits, by what images are built from.

Each thing stands once: what a dangerous change of a setting brings with it is a detail of that.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from herd.engine.plan import Plan, Step
from herd.review.dangers import Danger
from herd.review.exposure import Permission, exposed, losses, permissions
from herd.review.groups import listed
from herd.review.iam_changes import Widening
from herd.review.rebuilds import Rebuild
from herd.review.settings import Changed, Come

MOST_DETAILS = 20

KEEP = {
    "aws:s3:Bucket": "copy what must be kept, or keep the setting that decides its name",
    "aws:ecs:Service": "deploy when few people use it, one service after the other",
    "aws:lb:LoadBalancer": "tell who uses its address, or set a domain, which outlives it",
    "aws:ecr:Repository": "keep its name and its encryption; what runs is built and pushed again",
    "aws:kms:Key": "keep the key until nothing is encrypted with it",
    "aws:cloudwatch:LogGroup": "export what must be kept first",
}
"""Type of what is lost -> how to avoid that."""

OTHERWISE_KEEP = "keep it, or move what depends on it first"


def endangered(
    plan: Plan,
    by_settings: Sequence[Danger],
    public_services: frozenset[str],
    rebuilds: Sequence[Rebuild],
    kinds: Mapping[str, str],
    has_domain: bool,
) -> list[Danger]:
    """All dangers, those of the settings first. `kinds`: workload -> kind. `has_domain`: addresses are of a domain,
    before and after.
    """
    dangers = list(_together(by_settings))
    # The engine's order is another each time.
    steps = sorted(plan.steps, key=lambda step: (step.owner, step.type, step.name, step.operation))
    for one in [
        *_unpinned(rebuilds),
        *_exposed(steps, public_services),
        *_lost(steps, has_domain),
        *_replaced_services(steps),
    ]:
        place = next((place for place, known in enumerate(dangers) if _covers(known, one)), None)
        if place is None:
            dangers.append(one)
        else:
            dangers[place] = replace(dangers[place], details=(*dangers[place].details, one.as_detail))
    return [*dangers, *_wider(steps, kinds)]


def _together(by_settings: Iterable[Danger]) -> Iterator[Danger]:
    """The same change of several workloads, as `defaults.toml` makes it, as one danger with their names."""
    alike: dict[object, list[Danger]] = {}
    for number, danger in enumerate(by_settings):
        change = danger.change
        is_shared = isinstance(change, Changed) and change.kind
        alike.setdefault(change.what if isinstance(change, Changed) and is_shared else number, []).append(danger)
    for what, dangers in alike.items():
        if len(dangers) == 1:
            yield dangers[0]
            continue
        names = [one.change.who for one in dangers if isinstance(one.change, Changed)]
        yield replace(dangers[0], what=f"{len(dangers)} workloads: {what}", details=(f"of {listed(names)}",))


def _covers(known: Danger, other: Danger) -> bool:
    """Whether the change of a setting is why the other one is there."""
    match known.change:
        case Come(is_new=False):
            return other.owner == known.owner or other.owner.endswith("-pipeline")
        case Changed(path=("access", *_)):
            return other.why == OPEN
        case Changed(path=("encryption_key", *_)):
            return "aws:kms:Key" in other.what
        case _:
            return False


OPEN = "everybody on the internet can reach or read it"


def _unpinned(rebuilds: Iterable[Rebuild]) -> Iterator[Danger]:
    bases: dict[tuple[str, str, str], list[str]] = {}
    for rebuild in rebuilds:
        for differ in rebuild.differs:
            if differ.part == "base" and "@" in differ.old and differ.new and "@" not in differ.new:
                bases.setdefault((rebuild.image, differ.old, differ.new), []).append(rebuild.workload)
    for (image, old, new), names in sorted(bases.items()):
        yield Danger(
            f"image {image}: base {old} → {new} is not pinned any more",
            "the next build may take another base than the one that was tried and reviewed",
            "keep its digest (`@sha256:…`); a newer base is a new digest",
            details=(f"in {listed(names)}",),
        )


def _exposed(steps: Sequence[Step], public_services: frozenset[str]) -> Iterator[Danger]:
    for step, text in exposed(steps, public_services):
        instead = 'access = "company" or "internal" where not everybody is meant'
        yield Danger(f"{step.owner}: {text} ({step.name})", OPEN, instead, step.owner)


def _lost(steps: Sequence[Step], has_domain: bool) -> Iterator[Danger]:
    several = len(_services(steps)) > 1
    for step, lost in losses(steps):
        if not lost or (several and _is_service(step)):  # of several services one danger tells
            continue
        if has_domain and step.type == "aws:lb:LoadBalancer":
            continue  # people use the domain's names, which stay
        verb = "deleted" if step.operation == "delete" else f"replaced (because of {', '.join(step.forces)})"
        what = f"{step.owner}: {step.type} {step.name} is {verb}"
        yield Danger(what, f"lost with it: {lost}", KEEP.get(step.type, OTHERWISE_KEEP), step.owner)


def _is_service(step: Step) -> bool:
    return step.type == "aws:ecs:Service" and step.operation == "replace"


def _services(steps: Iterable[Step]) -> list[Step]:
    return [step for step in steps if _is_service(step)]


def _replaced_services(steps: Sequence[Step]) -> Iterator[Danger]:
    services = _services(steps)
    if len(services) > 1:
        names = sorted(step.owner for step in services)
        yield Danger(
            f"{len(services)} services are replaced at once: {listed(names)}",
            "none of them answers until its new copies are healthy",
            "change one service after the other, when few people use it",
            details=tuple(f"{step.owner}: because of {', '.join(step.forces) or 'a change'}" for step in services),
        )


def _wider(steps: Sequence[Step], kinds: Mapping[str, str]) -> Iterator[Danger]:
    """What roles that are in use gain; those of new workloads have to begin with something."""
    by_owner: dict[str, list[Permission]] = {}
    for entry in permissions(steps):
        if entry.step.operation != "create":
            by_owner.setdefault(entry.step.owner, []).append(entry)
    for owner, entries in by_owner.items():
        details = [line for entry in entries for line in statements(entry)]
        yield Danger(
            f"{kinds.get(owner, '')} {owner}: may do more than today".strip(),
            "what it runs, and whoever misuses it, may do this from now on",
            "name only what it needs: in `reads`, `secrets`, `connects`",
            owner,
            tuple(details[:MOST_DETAILS])
            + ((f"and {len(details) - MOST_DETAILS} more",) * (len(details) > MOST_DETAILS)),
        )


def statements(entry: Permission) -> list[str]:
    """What one policy document newly permits, a line for each statement."""
    if entry.widenings is None:
        return [f"{entry.step.name}: changes, and what it allows is known only once the update runs"]
    return [_statement(widening) for widening in entry.widenings]


def _statement(widening: Widening) -> str:
    text = listed(widening.actions)
    text = f"no longer denied: {text}" if widening.no_longer_denied else text
    text = f"{widening.who} may {text}" if widening.who else text
    if widening.resources and widening.resources != ("itself",):
        text += f" on {listed(widening.resources)}"
    return f"{text} if {widening.condition}" if widening.condition else text
