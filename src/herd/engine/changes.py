"""The engine's events, condensed for people: which resources changed, in which component, and what went wrong."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

SIGNS = {
    "create": "+",
    "update": "~",
    "replace": "±",
    "create-replacement": "±",
    "delete": "-",
    "delete-replaced": "±",
    "discard": "-",
    "discard-replaced": "±",
    "import": "+",
    "import-replacement": "±",
    "read": "›",
}
WORDS = {"+": "created", "~": "changed", "±": "replaced", "-": "deleted", "›": "read"}
PREVIEW_WORDS = {"+": "to create", "~": "to change", "±": "to replace", "-": "to delete", "›": "to read"}

STEPS_OF_A_REPLACEMENT = frozenset({"create-replacement", "delete-replaced", "discard-replaced", "import-replacement"})
"""The engine reports a replacement as three steps; the one called `replace` stands for all of them."""

UNTOUCHED = frozenset({"same", "read", "read-replacement", "read-discard", "discard-replaced", "refresh"})
"""Operations that change nothing. With `--refresh` the engine reports `refresh` for every resource."""

SHOWN_SINGLY = 4
"""Changes of one component that are listed one by one; more are counted."""


@dataclass(frozen=True)
class Change:
    """One resource that changes. `group`: the name of its component; `properties`: those that differ."""

    sign: str
    type: str
    name: str
    group: str
    properties: tuple[str, ...] = ()

    def __str__(self) -> str:
        differs = f"  [{', '.join(self.properties)}]" if self.properties else ""
        return f"{self.sign} {self.type} {self.name}{differs}"


@dataclass(frozen=True, order=True)
class Finding:
    """A violation that the policy pack reports. `resource`: its name; "" for a rule about the whole stack."""

    rule: str
    resource: str
    message: str
    mandatory: bool

    def __str__(self) -> str:
        where = f"{self.resource}: " if self.resource else ""
        return f"{'policy' if self.mandatory else 'policy warning'} {self.rule}: {where}{self.message}"


@dataclass
class Changes:
    """The changes of an update, or of a preview; built from the engine's events, added in order.

    `succeeded`: None before the summary. `registered`: resources that the program declared. `errors`: what made it
    fail; `messages`: what the program and the engine printed; `findings`: of the policy pack.
    """

    preview: bool = False
    done: list[Change] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    messages: list[str] = field(default_factory=list)
    succeeded: bool | None = None
    registered: int = 0
    findings: list[Finding] = field(default_factory=list)

    def add(self, event: dict[str, Any]) -> Change | None:
        """Add one event of the engine; the change that it completes, or None."""
        if "diagnosticEvent" in event:
            self._diagnostic(event["diagnosticEvent"])
        elif "resourcePreEvent" in event:
            self.registered += 1
            return self._change(event["resourcePreEvent"]["metadata"]) if self.preview else None
        elif "resOutputsEvent" in event:
            return None if self.preview else self._change(event["resOutputsEvent"]["metadata"])
        elif "policyEvent" in event:
            self._finding(event["policyEvent"])
        elif "resOpFailedEvent" in event:
            self.succeeded = False
        elif "summaryEvent" in event:
            # The summary of a preview has no result: it succeeded unless an event before said otherwise.
            self.succeeded = event["summaryEvent"].get("result", "succeeded") == "succeeded" and not self.errors
        return None

    def _change(self, metadata: dict[str, Any]) -> Change | None:
        operation = metadata["op"]
        if operation in UNTOUCHED or operation in STEPS_OF_A_REPLACEMENT or operation not in SIGNS:
            return None
        type_, name = type_and_name(metadata["urn"])
        if type_ == "pulumi:pulumi:Stack" or type_.startswith("pulumi:providers:"):
            return None
        properties = tuple(metadata.get("diffs") or ()) if operation in ("update", "replace") else ()
        change = Change(SIGNS[operation], short(type_), name, group_of(metadata), properties)
        self.done.append(change)
        return change

    def _finding(self, event: dict[str, Any]) -> None:
        urn = event.get("resourceUrn") or ""
        name = type_and_name(urn)[1] if urn and ":Stack::" not in urn else ""
        rule, mandatory = event["policyName"], event.get("enforcementLevel") == "mandatory"
        finding = Finding(rule, name, event.get("message", "").strip(), mandatory)
        if finding in self.findings:
            return
        self.findings.append(finding)
        if mandatory:
            self.errors.append(str(finding))

    def _diagnostic(self, event: dict[str, Any]) -> None:
        if event.get("ephemeral") or event["severity"] == "debug":
            return
        if "using pulumi-language-python from $PATH" in event["message"]:
            return  # on purpose; `stack_env.about_host` says it to people
        text = (event.get("prefix") or "").removesuffix(": ")
        message = event["message"].rstrip("\n")
        if not message.strip():
            return
        where = f"{type_and_name(event['urn'])[1]}: " if event.get("urn") and ":Stack::" not in event["urn"] else ""
        # The engine repeats on the stack that the update failed, after it has given the reason.
        if event["severity"] == "error":
            if message.removeprefix("error: ") not in (
                "update failed",
                "preview failed",
                "one or more errors occurred",
            ):
                self.errors.append(where + message.removeprefix("error: "))
        elif event["severity"] == "warning":
            self.messages.append(f"{text or 'warning'}: {where}{message}")
        else:
            self.messages.append(where + message)

    def count(self) -> str:
        """`12 created, 1 changed`; "nothing changed" if nothing did."""
        counted = Counter(change.sign for change in self.done)
        words = PREVIEW_WORDS if self.preview else WORDS
        return ", ".join(f"{counted[sign]} {words[sign]}" for sign in words if counted[sign]) or "nothing changed"

    def lines(self) -> list[str]:
        """The changes by component: up to SHOWN_SINGLY of one are listed, more are counted."""
        groups: dict[str, list[Change]] = {}
        for change in self.done:
            groups.setdefault(change.group, []).append(change)
        lines = []
        for group, changes in groups.items():
            if len(changes) <= SHOWN_SINGLY:
                lines += [str(change) for change in changes]
            else:
                part = Changes(self.preview, changes)
                lines.append(f"{_common(changes)} {group or 'environment'}: {part.count()}")
        return lines


def _common(changes: Iterable[Change]) -> str:
    signs = {change.sign for change in changes}
    return signs.pop() if len(signs) == 1 else "~"


def type_and_name(urn: str) -> tuple[str, str]:
    """`urn:pulumi:dev::herd::herd:job:Job$aws:ecs/service:Service::x` -> (`aws:ecs/service:Service`, `x`)."""
    parts = urn.split("::", 3)
    return (parts[2].rsplit("$", 1)[-1], parts[3]) if len(parts) == 4 else ("", urn)


def short(type_: str) -> str:
    """`aws:ecs/taskDefinition:TaskDefinition` -> `aws:ecs:TaskDefinition`, the name that the documentation has."""
    parts = type_.split(":")
    return f"{parts[0]}:{parts[1].split('/')[0]}:{parts[2]}" if len(parts) == 3 else type_


def group_of(metadata: dict[str, Any]) -> str:
    state = metadata.get("new") or metadata.get("old") or {}
    type_, name = type_and_name(state.get("parent") or "")
    return "" if type_ in ("", "pulumi:pulumi:Stack") else name
