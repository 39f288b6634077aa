"""What changes, by whose it is: the lines of a workload, of an image or of shared code, and what follows from them.

Nothing stands twice: what several workloads have in common is said once, with their names.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from herd.engine.plan import ENVIRONMENT, Step
from herd.infra.images.contents import Difference
from herd.review.rebuilds import Rebuild

MOST_NAMES = 12
"""Of files, packages or workloads in one line."""

FOLLOWS = {
    ("docker:index:Image", "update"): "image built again",
    ("docker:index:Image", "replace"): "image built again",
    ("aws:ecs:TaskDefinition", "replace"): "new version of its task",
    ("aws:ecs:Service", "update"): "its copies are exchanged one by one",
    ("aws:ecs:Service", "replace"): "service replaced",
    ("aws:sfn:StateMachine", "update"): "state machine changed",
    ("aws:scheduler:Schedule", "create"): "schedule made",
    ("aws:scheduler:Schedule", "update"): "schedule changed",
    ("aws:scheduler:Schedule", "delete"): "schedule removed",
    ("aws:iam:RolePolicy", "create"): "permissions added",
    ("aws:iam:RolePolicy", "update"): "permissions changed",
    ("aws:iam:RolePolicy", "delete"): "permissions removed",
    ("aws:appautoscaling:Target", "create"): "scaled by its load",
    ("aws:appautoscaling:Target", "update"): "limits of its scaling changed",
    ("aws:appautoscaling:Target", "delete"): "not scaled by its load any more",
    ("aws:lb:ListenerRule", "update"): "route changed",
    ("aws:lb:ListenerRule", "replace"): "route moved",
}
"""Type and operation -> what that is to people."""

VERBS = {"create": "created", "import": "imported", "update": "changed", "replace": "replaced", "delete": "deleted"}


@dataclass(frozen=True)
class Group:
    """`who`: `job train`, `image python`. `lines`: what changes. `of`: the workloads it is of, where several share it.
    `follows`: what else changes because of it, as one line; "" for nothing.
    """

    who: str
    lines: tuple[str, ...] = ()
    of: tuple[str, ...] = ()
    follows: str = ""

    @property
    def flat(self) -> list[str]:
        """Its lines, each by itself: `job train: code changed: train.py`."""
        shared = f" (of {listed(self.of)})" if self.of else ""
        return [f"{self.who}: {line}{shared}" for line in self.lines] or [self.who]


def listed(names: Iterable[str]) -> str:
    """As many names as one reads."""
    several = list(names)
    more = len(several) - MOST_NAMES
    return ", ".join(several[:MOST_NAMES]) + (f" and {more} more" if more > 0 else "")


def of_images(rebuilds: Sequence[Rebuild], kinds: Mapping[str, str]) -> list[Group]:
    """Of images that are built again: those that share their difference together, the others by workload.

    `kinds`: workload -> kind.
    """
    by_line: dict[tuple[str, str], list[str]] = {}
    for rebuild in rebuilds:
        for who, line in _of_image(rebuild):
            by_line.setdefault((who, line), []).append(rebuild.workload)
    grouped: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for (who, line), names in by_line.items():
        own = not who or len(names) == 1
        for name in names if own else [""]:
            key = (_named(name, kinds), ()) if own else (who, tuple(_named(one, kinds) for one in names))
            grouped.setdefault(key, []).append(line)
    return [Group(who, tuple(lines), of) for (who, of), lines in sorted(grouped.items())]


def _named(workload: str, kinds: Mapping[str, str]) -> str:
    return f"{kinds.get(workload, '')} {workload}".strip()


def _of_image(rebuild: Rebuild) -> Iterator[tuple[str, str]]:
    """Whose a line is where others have it too ("" for the workload's alone), and the line."""
    parts: dict[str, list[Difference]] = {}
    for differ in rebuild.differs:
        parts.setdefault(differ.part, []).append(differ)
    if not parts:
        yield "", f"new image: {rebuild.reasons[0]}"
    image = f"image {rebuild.image}"
    if "base" in parts:
        yield image, f"new base: {listed(map(_change, parts['base']))}"
    if "package" in parts:
        yield image, f"new image: {listed(map(_change, parts['package']))}"
    files = [one for one in parts.get("image", []) if not ("base" in parts and one.name == "Dockerfile")]
    if files:
        yield image, f"its files: {_files(files)}"
    if "lock" in parts:
        yield image, "the lock of its packages has other hashes of the same versions"
    if "code" in parts:
        yield "", f"code changed: {_files(parts['code'])}"
    if "lib" in parts:
        for folder in sorted({one.name.partition("/")[0] for one in parts["lib"]}):
            shared = [one for one in parts["lib"] if one.name.partition("/")[0] == folder]
            yield f"lib/{folder}", f"code changed: {_files(shared, f'{folder}/')}"
    if "runner" in parts:
        yield "Herd's runner", "changed, with this version of Herd"


def _change(differ: Difference) -> str:
    if differ.part == "base":
        return f"{differ.old or 'nothing'} → {differ.new or 'nothing'}"
    if differ.old and differ.new:
        return f"{differ.name} {differ.old} → {differ.new}"
    return f"+ {differ.name} {differ.new}" if differ.new else f"- {differ.name} {differ.old}"


def _files(differs: Iterable[Difference], below: str = "") -> str:
    """`train.py, new: a.py, gone: b.py`."""
    signs = {"changed": "", "is new": "new: ", "is gone": "gone: "}
    named = [f"{signs[one.verb]}{one.name.removeprefix(below)}" for one in differs]
    return listed(sorted(named, key=lambda name: (": " in name, name)))


def joined(groups: Iterable[Group]) -> list[Group]:
    """Groups of the same thing as one; in the order in which they come."""
    merged: dict[tuple[str, tuple[str, ...]], Group] = {}
    for group in groups:
        key = (group.who, group.of)
        earlier = merged.get(key)
        merged[key] = Group(group.who, (*earlier.lines, *group.lines), group.of) if earlier else group
    return list(merged.values())


def shared(groups: Sequence[Group], kinds: Mapping[str, str]) -> list[Group]:
    """What several workloads have in one line, as `defaults.toml` makes it, once with their names; then the others."""
    named = {f"{kind} {name}" for name, kind in kinds.items()}
    by_line: dict[str, list[str]] = {}
    for group in groups:
        for line in group.lines if group.who in named and not group.of else ():
            by_line.setdefault(line, []).append(group.who)
    together: dict[tuple[str, ...], list[str]] = {}
    for line, who in by_line.items():
        if len(who) > 1:
            together.setdefault(tuple(who), []).append(line)
    several = [Group(f"{len(who)} workloads", tuple(lines), who) for who, lines in together.items()]
    common = {line for group in several for line in group.lines}
    rest = []
    for group in groups:
        own = tuple(line for line in group.lines if group.who not in named or group.of or line not in common)
        if own or not group.lines:
            rest.append(Group(group.who, own, group.of))
    return [*several, *rest]


def with_follows(groups: Sequence[Group], steps: Sequence[Step]) -> list[Group]:
    """Each with what changes because of it. Steps of a workload that has a group of its own are under that."""
    own = {group.who.partition(" ")[2] for group in groups if not group.of}
    done = []
    for group in groups:
        names = [who.partition(" ")[2] for who in group.of] if group.of else [group.who.partition(" ")[2]]
        owners = {name for name in names if not group.of or name not in own}
        owners |= {f"{name}-pipeline" for name in owners}
        if group.who == ENVIRONMENT:
            done.append(group)
            continue
        done.append(Group(group.who, group.lines, group.of, _follows(step for step in steps if step.owner in owners)))
    return done


def _follows(steps: Iterable[Step]) -> str:
    counted = Counter(filter(None, map(_follow, steps)))
    tags = counted.pop("tags", 0)
    counted.update({"tags changed": min(tags, 1)} if tags else {})
    return listed(f"{what} ({count})" if count > 1 else what for what, count in sorted(counted.items()))


def _follow(step: Step) -> str:
    if step.type == "aws:appautoscaling:Policy":
        return ""  # it comes and goes with its target
    if step.operation == "update" and set(step.differs) <= {"tags", "tagsAll"}:
        return "tags"
    if step.type == "aws:ecs:Service" and step.operation == "update" and "taskDefinition" not in step.differs:
        return "service changed"
    return FOLLOWS.get((step.type, step.operation), f"{step.type.rpartition(':')[2]} {VERBS[step.operation]}")
