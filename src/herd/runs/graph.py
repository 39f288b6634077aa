"""`herd graph`: who starts after whom and who reads whom, from the team's files; how each is, where that is known.

ingest-flights (job, 06:00 Europe/Amsterdam)
└─ delay-model (job, 3 items) reads ingest-flights
   └─ choose-model (job) reads delay-model
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from herd.infra.spec.load import Specs

DATASET = "dataset"
"""The kind of what is read and is no workload: it stands in the stack's settings."""


@dataclass(frozen=True)
class Node:
    """A workload, or a dataset. `when`: what starts it by the clock, in words; `state`: as in `herd status`, or ""."""

    name: str
    kind: str
    when: str = ""
    items: int = 0
    paused: bool = False
    state: str = ""

    @property
    def about(self) -> str:
        """`job, 3 items, 06:00 Europe/Amsterdam`."""
        items = f"{self.items} items" if self.items else ""
        parts = (self.kind, items, self.when, "paused" if self.paused else "", self.state)
        return ", ".join(part for part in parts if part)


@dataclass(frozen=True)
class Graph:
    """`after` and `reads`: for each node those that it comes after, and those whose output it reads."""

    nodes: Mapping[str, Node]
    after: Mapping[str, tuple[str, ...]]
    reads: Mapping[str, tuple[str, ...]]

    def part_of(self, name: str) -> Graph:
        """What `name` depends on and what depends on it."""
        kept = {name, *self._reached(name, self._upstream), *self._reached(name, self._downstream)}
        return Graph(
            {one: node for one, node in self.nodes.items() if one in kept},
            _within(self.after, kept),
            _within(self.reads, kept),
        )

    def layers(self) -> list[list[str]]:
        """Names by how far they are from what depends on nothing; within one, by name.

        What a run reads of those that come after it is its own past, which makes no circle here.
        """
        depth: dict[str, int] = {}

        def measure(name: str, path: frozenset[str]) -> int:
            if name not in depth:
                before = [one for one in self._upstream(name) if one not in path and one != name]
                deepest = max((measure(one, path | {name}) for one in before), default=-1)
                if path & set(self._upstream(name)):
                    return deepest + 1  # within a circle: measured from where one came
                depth[name] = deepest + 1
            return depth[name]

        for name in self.nodes:
            measure(name, frozenset())
        order: list[list[str]] = [[] for _ in range(max(depth.values(), default=-1) + 1)]
        for name in sorted(self.nodes):
            order[depth.get(name, 0)].append(name)
        return [layer for layer in order if layer]

    def as_json(self) -> dict[str, Any]:
        """For scripts."""
        return {
            "nodes": [
                {"name": node.name, "kind": node.kind, "starts": node.when or None, "items": node.items or None}
                | {"paused": node.paused, "state": node.state or None}
                for node in self.nodes.values()
            ],
            "edges": [
                {"from": source, "to": name, "kind": kind}
                for kind, edges in (("starts", self.after), ("read by", self.reads))
                for name, sources in edges.items()
                for source in sources
            ],
        }

    def lines(self) -> Iterator[str]:
        """As text: below each what starts after it."""
        shown: set[str] = set()
        following = {
            name: [one for one in self.nodes if (self.after.get(one) or ("",))[-1] == name] for name in self.nodes
        }

        def below(name: str, first: str, indent: str) -> Iterator[str]:
            shown.add(name)
            reads = [one for one in self.reads.get(name, ()) if one != name]
            others = self.after.get(name, ())[:-1]
            yield (
                f"{first}{name} ({self.nodes[name].about})"
                + (f" after {', '.join(others)} too" if others else "")
                + (f" reads {', '.join(reads)}" if reads else "")
            )
            children = [one for one in following[name] if one not in shown]
            for number, child in enumerate(children):
                last = number == len(children) - 1
                yield from below(child, f"{indent}{'└─ ' if last else '├─ '}", f"{indent}{'   ' if last else '│  '}")

        roots = [name for name, node in self.nodes.items() if not self.after.get(name) and node.kind != DATASET]
        for name in sorted(roots, key=lambda name: (not following[name], name)):
            yield from below(name, "", "")

    def _upstream(self, name: str) -> tuple[str, ...]:
        return (*self.after.get(name, ()), *self.reads.get(name, ()))

    def _downstream(self, name: str) -> tuple[str, ...]:
        return tuple(one for one in self.nodes if name in self._upstream(one))

    def _reached(self, name: str, step: Any) -> set[str]:
        reached: set[str] = set()
        ahead = [name]
        while ahead:
            new = set(step(ahead.pop())) - reached
            reached |= new
            ahead += new
        return reached


def of_specs(specs: Specs, states: Mapping[str, str] | None = None) -> Graph:
    """The graph of everything that the team wrote. `states`: workload -> its state, where the environment is up."""
    from herd.infra.spec.models import BatchSpec
    from herd.runner.contract.schedule import in_words

    nodes = {}
    after = {}
    for name, spec in specs.workloads.items():
        when = ""
        items = 0
        if isinstance(spec, BatchSpec):
            when = f"{in_words(spec.schedule.text)} {spec.timezone}" if spec.schedule else ""
            items = len(spec.fan_out)
            after[name] = tuple(spec.after)
        paused = specs.pause(name) is not None
        nodes[name] = Node(name, spec.kind, when, items, paused, (states or {}).get(name, ""))
    reads = {name: tuple(one.name for one in spec.reads) for name, spec in specs.workloads.items()}
    for source in sorted({source for sources in reads.values() for source in sources} - nodes.keys()):
        nodes[source] = Node(source, DATASET)
    return Graph(nodes, after, reads)


def _within(edges: Mapping[str, tuple[str, ...]], kept: set[str]) -> dict[str, tuple[str, ...]]:
    return {name: tuple(one for one in sources if one in kept) for name, sources in edges.items() if name in kept}
