"""Rules over all workloads together: who reads whom, what runs after what, and the pipelines that follow from it."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter

from herd.infra.messages import did_you_mean, show
from herd.infra.spec.deadlines import pipeline_deadline_minutes
from herd.infra.spec.models import KINDS, AnySpec, BatchSpec
from herd.infra.spec.rules_workload import Finding
from herd.runner.contract.kinds import Kind
from herd.runner.contract.plan import CatchUp
from herd.runner.contract.schedule import Schedule


@dataclass(frozen=True)
class Pipeline:
    """Jobs and reports joined by `after`: one connected component, named after its first root.

    `levels`: what can run at the same time, in order. Only the roots (those without `after`) have a schedule, all the
    same one; None: started by hand. `deadline_minutes` after each due time all of it is to be published; `paused`: why
    nothing starts it. Its roots set these: the latest deadline and the first reason of several, and what any of them
    wants to be made up for is.
    """

    name: str
    levels: tuple[tuple[str, ...], ...]
    schedule: Schedule | None
    timezone: str
    deadline_minutes: int = 0
    catch_up: CatchUp = "none"
    paused: str | None = None

    @property
    def is_due(self) -> bool:
        """Does its schedule start it?"""
        return self.schedule is not None and not self.paused


def findings(
    specs: Mapping[str, AnySpec], kinds: Mapping[str, Kind], datasets: Collection[str] = ()
) -> Iterator[tuple[str, Finding]]:
    """(workload, finding) for every wrong reference. `kinds` also has the workloads whose own settings are wrong;
    `datasets` are what the stack's settings offer to be read beside the workloads.
    """
    for name, spec in specs.items():
        for read in spec.reads:
            if read.name in kinds or read.name not in datasets:
                yield from _reference(name, "reads", read.name, kinds, "only jobs and reports have outputs", datasets)
        for other in spec.after if isinstance(spec, BatchSpec) else ():
            yield from _reference(name, "after", other, kinds, "it never ends; only jobs and reports do")
    circles = list(_circles(specs))
    for circle in circles:
        yield circle[0], (("after",), f"after forms a circle: {' → '.join(circle)}")
    if not circles:
        yield from _different_schedules(specs)


def _reference(
    name: str, key: str, other: str, kinds: Mapping[str, Kind], why: str, datasets: Collection[str] = ()
) -> Iterator[tuple[str, Finding]]:
    if other not in kinds:
        known = [known for known, kind in kinds.items() if not KINDS[kind].is_service and known != name]
        what = "job, report or dataset" if datasets else "job or report"
        yield name, ((key,), f"{key}: {show(other)} is not a {what}{did_you_mean(other, [*known, *datasets])}")
    elif KINDS[kinds[other]].is_service:
        yield name, ((key,), f"{key}: {show(other)} is {KINDS[kinds[other]].article}, and {why}")


def _edges(specs: Mapping[str, AnySpec]) -> dict[str, list[str]]:
    """Workload -> the existing workloads that it comes after."""
    return {
        name: [other for other in spec.after if other != name and isinstance(specs.get(other), BatchSpec)]
        for name, spec in specs.items()
        if isinstance(spec, BatchSpec)
    }


def _circles(specs: Mapping[str, AnySpec]) -> Iterator[list[str]]:
    """Each circle once, in the order in which it would run, the first name of the alphabet first."""
    edges = _edges(specs)
    while True:
        try:
            TopologicalSorter(edges).prepare()
            return
        except CycleError as error:
            circle = error.args[1][:-1]
            start = circle.index(min(circle))
            yield [*circle[start:], *circle[: start + 1]]
            edges = {name: [other for other in after if name not in circle] for name, after in edges.items()}


def _different_schedules(specs: Mapping[str, AnySpec]) -> Iterator[tuple[str, Finding]]:
    for component in _components(specs):
        # There is none where the file of the workload that the others run after is wrong itself.
        first, *others = [spec for spec in component if not spec.after] or [component[0]]
        for spec in others:
            if (_when(spec)) != _when(first):
                yield (
                    spec.name,
                    (
                        ("schedule", "timezone"),
                        f"schedule is {_written(spec)}, but {_written(first)} in {first.folder.as_posix()}: together "
                        f"they start the pipeline of {component[0].name}, so they need the same one",
                    ),
                )


def _when(spec: BatchSpec) -> tuple[str, str] | None:
    return (spec.schedule.expression, spec.timezone) if spec.schedule else None


def _written(spec: BatchSpec) -> str:
    return f"{show(spec.schedule.text)} in {spec.timezone}" if spec.schedule else '"none"'


def _components(specs: Mapping[str, AnySpec]) -> list[list[BatchSpec]]:
    """Workloads joined by `after`, in whatever direction; single ones are left out."""
    edges = _edges(specs)
    neighbours: dict[str, set[str]] = {name: set(after) for name, after in edges.items()}
    for name, after in edges.items():
        for other in after:
            neighbours[other].add(name)
    components: list[list[BatchSpec]] = []
    seen: set[str] = set()
    for name in sorted(edges):
        if name in seen or not neighbours[name]:
            continue
        members, todo = set[str](), [name]
        while todo:
            member = todo.pop()
            if member not in members:
                members.add(member)
                todo += neighbours[member]
        seen |= members
        components.append([spec for spec in map(specs.__getitem__, sorted(members)) if isinstance(spec, BatchSpec)])
    return components


def pipelines(specs: Mapping[str, AnySpec]) -> tuple[Pipeline, ...]:
    """The pipelines of workloads without findings, ordered by name."""
    edges = _edges(specs)
    ordered = []
    for component in _components(specs):
        names = [spec.name for spec in component]
        level: dict[str, int] = {}
        for name in TopologicalSorter({name: edges[name] for name in names}).static_order():
            level[name] = 1 + max((level[other] for other in edges[name]), default=-1)
        levels = tuple(tuple(n for n in names if level[n] == depth) for depth in range(max(level.values()) + 1))
        members = {spec.name: spec for spec in component}
        roots = [members[name] for name in levels[0]]
        ordered.append(
            Pipeline(
                roots[0].name,
                levels,
                roots[0].schedule,
                roots[0].timezone,
                pipeline_deadline_minutes(levels, members),
                "latest" if any(root.catch_up == "latest" for root in roots) else "none",
                next((root.paused for root in roots if root.paused), None),
            )
        )
    return tuple(sorted(ordered, key=lambda pipeline: pipeline.name))
