"""The comment on a pull request: the plan of its deployment into one environment, in Markdown, for the reviewer.

Public access, losses and permissions come first; the list of all resources is folded at the end. The text depends on
the plan only (no time of day), and has no value that the engine knows to be secret.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeVar

from herd.engine.changes import Finding
from herd.engine.plan import Plan, Step
from herd.review.dangers import Danger
from herd.review.exposure import Permission, exposed, losses, permissions
from herd.review.iam_changes import Widening
from herd.review.markdown import block, code
from herd.review.words import NOTHING, Words

if TYPE_CHECKING:
    from herd.checkout.pauses import Pause
    from herd.checkout.review_dates import Review

T = TypeVar("T")


class Rebuilt(Protocol):
    """Why the image of a workload is built again."""

    @property
    def workload(self) -> str: ...
    @property
    def lines(self) -> Sequence[str]: ...


MOST_BYTES = 65_000
"""GitHub takes 65,536 characters. Bytes are never fewer."""

LIMITS = (400, 200, 100, 50, 25, 10, 5)
"""Most entries of a section, tried in this order until the comment fits."""

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


def marker(environment: str) -> str:
    """The first line of the comment, by which a later run identifies it."""
    return f"<!-- herd preview of {environment} -->"


def failed(environment: str, error: object, known: str = "") -> str:
    """The comment for a preview that failed. `known`: the comment on the plan, as far as it is known."""
    lines = [marker(environment), f"### {code(environment)} cannot be deployed like this", "", *block(str(error)), ""]
    _, _, rest = known.partition("\n")
    text = "\n".join(lines) + (f"\n{rest}" if rest else "")
    return text if len(text.encode()) <= MOST_BYTES else _cut(text)


def comment(
    plan: Plan,
    public_services: frozenset[str] = frozenset(),
    reviews: Sequence[Review] = (),
    paused: Sequence[Pause] = (),
    words: Words = NOTHING,
    rebuilds: Sequence[Rebuilt] = (),
) -> str:
    """The comment on a plan, at most MOST_BYTES long."""
    text = ""
    steps = sorted(plan.steps, key=lambda step: (step.owner, step.type, step.name, step.operation))
    effects = _Effects(list(exposed(steps, public_services)), list(losses(steps)), list(permissions(steps)))
    for limit in LIMITS:
        text = _render(plan, steps, effects, reviews, paused, words, rebuilds, limit)
        if len(text.encode()) <= MOST_BYTES:
            return text
    return _cut(text)


def _cut(text: str) -> str:
    """Cut lines from the end of a comment that is too long even with the fewest entries."""
    left = MOST_BYTES - 200
    kept: list[str] = []
    fence, opened = "", 0
    for line in text.split("\n"):
        left -= len(line.encode()) + 1
        if left < 0:
            break
        kept.append(line)
        if fence:  # within a code block, whatever the line looks like
            fence = "" if line == fence else fence
        elif line.startswith("```"):
            fence = line.removesuffix("text")
        else:
            opened += line.startswith("<details>") - (line == "</details>")
    closing = [fence] * bool(fence) + ["", "</details>"] * opened
    return "\n".join([*kept, *closing, "", "… and more than a comment can hold; `herd preview` shows all of it", ""])


@dataclass(frozen=True)
class _Effects:
    """What a plan's steps do that a reviewer has to see: worked out once, however often the comment is shortened."""

    exposed: list[tuple[Step, str]]
    lost: list[tuple[Step, str]]
    permissions: list[Permission]


def _render(
    plan: Plan,
    steps: list[Step],
    effects: _Effects,
    reviews: Sequence[Review],
    paused: Sequence[Pause],
    words: Words,
    rebuilds: Sequence[Rebuilt],
    limit: int,
) -> str:
    lines = [marker(plan.environment), f"### What this changes in {code(plan.environment)}", "", _summary(steps), ""]
    lines += _section("Settings", words.lines, lambda line: code(line, 400), limit, "✏️")
    lines += [code(words.note, 400), ""] if words.note else []
    lines += _section("Dangers", words.dangers, _danger, limit, "⚠️")
    lines += _section("Images that are built again", rebuilds, _rebuild, limit, "📦")
    lines += _section("Cost", words.cost_lines, code, limit, "💰")
    lines += _section("Becomes public", effects.exposed, _exposure, limit, "🌍")
    costly = [entry for entry in effects.lost if entry[1]]
    lines += _section("Deleted or replaced, and lost with it", costly, _loss, limit, "🔥")
    harmless = [entry for entry in effects.lost if not entry[1]]
    lines += _folded(f"Deleted or replaced, with nothing lost ({len(harmless)})", harmless, _loss, limit)
    lines += _permissions(effects.permissions, limit)
    lines += _section("Policy", sorted(plan.findings), _finding, limit, "📋")
    lines += _section("Review dates", reviews, lambda review: code(str(review)), limit, "📅")
    lines += _section("Paused", paused, lambda pause: code(str(pause), 400), limit, "⏸️")
    lines += _changes(steps, limit)
    if plan.messages:
        said = "\n".join(plan.messages)
        lines += ["<details><summary>What the program said</summary>", "", *block(said), "", "</details>", ""]
    return "\n".join(lines).rstrip("\n") + "\n"


def _summary(steps: Iterable[Step]) -> str:
    counted = Counter(step.operation for step in steps)
    parts = [f"**{counted[operation]}** to {verb}" for operation, verb in VERBS.items() if counted[operation]]
    return f"{', '.join(parts)}." if parts else "Nothing: what is deployed is what the files say."


def _section(title: str, entries: Iterable[T], line: Callable[[T], str], limit: int, sign: str) -> list[str]:
    listed = list(entries)
    if not listed:
        return []
    return [f"#### {sign} {title}", "", *_bullets(listed, line, limit), ""]


def _folded(title: str, entries: Sequence[T], line: Callable[[T], str], limit: int) -> list[str]:
    if not entries:
        return []
    return [f"<details><summary>{title}</summary>", "", *_bullets(entries, line, limit), "", "</details>", ""]


def _bullets(entries: Sequence[T], line: Callable[[T], str], limit: int) -> list[str]:
    more = [f"- … and {len(entries) - limit} more"] if len(entries) > limit else []
    return [*(f"- {line(entry)}" for entry in entries[:limit]), *more]


def _danger(danger: Danger) -> str:
    return f"{code(str(danger.change), 400)}: {danger.why}. Instead: {danger.instead}"


def _rebuild(rebuild: Rebuilt) -> str:
    return f"{code(rebuild.workload)}{''.join(f'{chr(10)}  - {code(line, 200)}' for line in rebuild.lines)}"


def _exposure(entry: tuple[Step, str]) -> str:
    step, text = entry
    return f"{code(step.owner)} {_resource(step)}: {code(text)}"


def _loss(entry: tuple[Step, str]) -> str:
    step, text = entry
    forced = f" (because of {', '.join(map(code, step.forces))})" if step.forces else ""
    lost = f": {text}" if text else ""
    return f"**{VERBS[step.operation]}** {code(step.owner)} {_resource(step)}{forced}{lost}"


def _finding(finding: Finding) -> str:
    where = f" {code(finding.resource)}" if finding.resource else ""
    return (
        f"{'**refused**' if finding.mandatory else 'warning'} {code(finding.rule)}{where}: {code(finding.message, 600)}"
    )


def _permissions(entries: list[Permission], limit: int) -> list[str]:
    """Permissions that existing roles gain are listed; those of new roles are folded, as each new workload has some."""
    wider = [entry for entry in entries if entry.step.operation != "create"]
    new = [entry for entry in entries if entry.step.operation == "create"]
    lines = _section("Permissions that widen", wider, _permission, limit, "🔑")
    return lines + _folded(f"🔑 Permissions of what is new ({len(new)})", new, _permission, limit)


def _permission(entry: Permission) -> str:
    head = f"{code(entry.step.owner)} {_resource(entry.step)}"
    if entry.widenings is None:
        return f"{head}: changes, and what it allows is known only once the update runs"
    shown = [f"\n  - {_widening(widening)}" for widening in entry.widenings[:20]]
    more = f"\n  - … and {len(entry.widenings) - 20} more" if len(entry.widenings) > 20 else ""
    return head + "".join(shown) + more


def _widening(widening: Widening) -> str:
    text = ", ".join(map(code, widening.actions[:20]))
    text += f" and {len(widening.actions) - 20} more" if len(widening.actions) > 20 else ""
    if widening.no_longer_denied:
        text = f"no longer denied: {text}"
    if widening.who:
        text = f"{code(widening.who)} may {text}"
    resources = widening.resources
    if resources and resources != ("itself",):
        text += f" on {', '.join(map(code, resources[:10]))}"
        text += f" and {len(resources) - 10} more" if len(resources) > 10 else ""
    if widening.condition:
        text += f" if {code(widening.condition)}"
    return text


def _changes(steps: Sequence[Step], limit: int) -> list[str]:
    if not steps:
        return []
    return _folded(f"All {len(steps)} changes", steps, _change, limit)


def _change(step: Step) -> str:
    differs = f" — {', '.join(_difference(step, path) for path in step.differs[:10])}" if step.differs else ""
    more = f" and {len(step.differs) - 10} more" if len(step.differs) > 10 else ""
    return f"{VERBS[step.operation]} {code(step.owner)} {_resource(step)}{differs}{more}"


def _difference(step: Step, path: str) -> str:
    old, new = step.old.get(path), step.new.get(path)
    plain = (str, int, float, bool, type(None))
    if path not in TELLING or not isinstance(old, plain) or not isinstance(new, plain):
        return code(path, 100)
    return f"{code(path, 100)} {_value(old)} → {_value(new)}"


def _value(value: str | int | float | bool | None) -> str:
    from herd.review.iam_changes import UNKNOWN

    if value is None:
        return "nothing"
    if value == UNKNOWN:
        return "something that the update decides"
    return code(f"{value:g}" if isinstance(value, float) else str(value), 100)


def _resource(step: Step) -> str:
    return f"{code(step.type, 100)} {code(step.name, 100)}"
