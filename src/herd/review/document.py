"""A review as a document: sections of entries, which are rendered as Markdown or as a page. No time of day is in it.

What somebody else wrote (names, values, messages) is `Code`; plain text is Herd's own.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from herd.engine.changes import Finding
from herd.engine.plan import Plan, Step
from herd.review.dangers import Danger
from herd.review.endangered import statements
from herd.review.exposure import Permission, permissions
from herd.review.groups import Group
from herd.review.iam_changes import UNKNOWN
from herd.review.words import NOTHING, Words

if TYPE_CHECKING:
    from herd.checkout.pauses import Pause
    from herd.checkout.review_dates import Review

VERBS = {"create": "create", "import": "import", "update": "change", "replace": "replace", "delete": "delete"}

TELLING = frozenset(
    {
        "cpu",
        "memory",
        "desiredCount",
        "port",
        "fromPort",
        "toPort",
        "cidrIpv4",
        "internal",
        "name",
        "scheduleExpression",
        "scheduleExpressionTimezone",
        "endDate",
        "state",
        "retentionInDays",
        "minCapacity",
        "maxCapacity",
        "instanceType",
        "minSize",
        "maxSize",
        "enableDeletionProtection",
        "forceDestroy",
    }
)
"""Properties whose values are shown; none of them is ever secret."""


WITHOUT_ACCOUNT = (
    "No account was asked and no credential was needed, so what is deployed is not looked at, nor what was changed "
    "there by hand."
)


@dataclass(frozen=True)
class Code:
    """Somebody else's text, at most `longest` characters of it."""

    text: str
    longest: int = 300


Text = tuple["str | Code", ...]


@dataclass(frozen=True)
class Entry:
    """A point of a list, and the points below it."""

    text: Text
    below: tuple[Entry, ...] = ()


@dataclass(frozen=True)
class Section:
    """`folded`: shown by its title only, until it is opened. `said`: lines of a program, as they are."""

    title: str
    entries: tuple[Entry, ...] = ()
    sign: str = ""
    folded: bool = False
    said: str = ""


@dataclass(frozen=True)
class Document:
    """`intro`: a paragraph each."""

    title: Text
    intro: tuple[Text, ...]
    sections: tuple[Section, ...]


def document(
    plan: Plan,
    words: Words = NOTHING,
    reviews: Sequence[Review] = (),
    paused: Sequence[Pause] = (),
    against: str = "",
) -> Document:
    """The review of a plan. `against`: the files that it was compared with, where it was not what is deployed."""
    steps = sorted(plan.steps, key=lambda step: (step.owner, step.type, step.name, step.operation))
    intro: list[Text] = [(_summary(steps, words),)]
    if against:
        intro.append(("Worked out from the files of ", Code(against), f" and those of this change. {WITHOUT_ACCOUNT}"))
    if words.note:
        intro.append((Code(words.note, 400),))
    sections = [
        Section("In the words of the settings", tuple(map(_group, words.groups)), "✏️"),
        Section("Dangers", tuple(map(_danger, words.dangers)), "⚠️"),
        Section("Cost", tuple(_plain(words.cost_lines)), "💰"),
        Section("Policy", tuple(map(_finding, sorted(plan.findings))), "📋"),
        Section("Review dates", tuple(_plain(map(str, reviews))), "📅"),
        Section("Paused", tuple(_plain(map(str, paused))), "⏸️"),
        *_of_new(steps),
        Section(f"All changes of resources ({len(steps)})", tuple(map(_change, steps)), folded=True),
        Section("What the program said", folded=True, said="\n".join(plan.messages)),
    ]
    shown = tuple(section for section in sections if section.entries or section.said)
    return Document(("What this changes in ", Code(plan.environment)), tuple(intro), shown)


def _summary(steps: Iterable[Step], words: Words) -> str:
    counted = Counter(step.operation for step in steps)
    parts = [f"{counted[operation]} to {verb}" for operation, verb in VERBS.items() if counted[operation]]
    if not parts and not words.groups:
        return "Nothing: what is deployed is what the files say."
    number = len(words.dangers)
    risky = f"{number or 'No'} danger{'' if number == 1 else 's'}."
    return f"{risky} Of resources: {', '.join(parts)}." if parts else f"{risky} No resource changes."


def _plain(lines: Iterable[str]) -> Iterator[Entry]:
    return (Entry((Code(line, 400),)) for line in lines)


def _group(group: Group) -> Entry:
    below = list(_plain(group.lines))
    if group.of:
        below.append(Entry(("of ", Code(", ".join(group.of), 400))))
    if group.follows:
        plain = re.fullmatch("[A-Za-z0-9 ,()]*", group.follows)  # a type may be called anything
        below.append(Entry(("so: ", group.follows if plain else Code(group.follows, 400))))
    return Entry((Code(group.who),), tuple(below))


def _danger(danger: Danger) -> Entry:
    below = [Entry((f"Why: {danger.why}.",)), Entry((f"Instead: {danger.instead}.",))]
    return Entry((Code(danger.what, 400),), (*below, *_plain(danger.details)))


def _finding(finding: Finding) -> Entry:
    where: Text = (" ", Code(finding.resource)) if finding.resource else ()
    head = "refused " if finding.mandatory else "warning "
    return Entry((head, Code(finding.rule), *where, ": ", Code(finding.message, 600)))


def _of_new(steps: Sequence[Step]) -> Iterator[Section]:
    """Permissions of new roles are folded, as each new workload has some; those that widen are dangers."""
    new = [entry for entry in permissions(steps) if entry.step.operation == "create"]
    if new:
        yield Section(f"Permissions of what is new ({len(new)})", tuple(map(_permission, new)), "🔑", folded=True)


def _permission(entry: Permission) -> Entry:
    lines = statements(entry)
    more = (Entry((f"and {len(lines) - 20} more",)),) if len(lines) > 20 else ()
    return Entry((Code(entry.step.owner), " ", *_resource(entry.step)), (*_plain(lines[:20]), *more))


def _change(step: Step) -> Entry:
    text: list[str | Code] = [f"{VERBS[step.operation]} ", Code(step.owner), " ", *_resource(step)]
    for place, path in enumerate(step.differs[:10]):
        text += [", " if place else " — ", *_difference(step, path)]
    more = (f" and {len(step.differs) - 10} more",) if len(step.differs) > 10 else ()
    return Entry((*text, *more))


def _difference(step: Step, path: str) -> Iterator[str | Code]:
    old, new = step.old.get(path), step.new.get(path)
    plain = (str, int, float, bool, type(None))
    yield Code(path, 100)
    if path in TELLING and isinstance(old, plain) and isinstance(new, plain):
        yield from (" ", _value(old), " → ", _value(new))


def _value(value: str | int | float | bool | None) -> str | Code:
    if value is None:
        return "nothing"
    if value == UNKNOWN:
        return "something that the update decides"
    return Code(f"{value:g}" if isinstance(value, float) else str(value), 100)


def _resource(step: Step) -> Text:
    return Code(step.type, 100), " ", Code(step.name, 100)
