"""Policy documents, read once for each text."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from localcloud.iam import conditions
from localcloud.iam.patterns import Context, arn_like, wildcard

Principals = Mapping[str, tuple[str, ...]]
"""Kind ("AWS", "Service", "Federated", "CanonicalUser") -> who; everyone is {"AWS": ("*",)}."""


@dataclass(frozen=True)
class Statement:
    """One statement. Of each pair (`actions`, `not_actions` …) the other is empty; `principals` only resources have."""

    allows: bool
    sid: str
    actions: tuple[str, ...]
    not_actions: tuple[str, ...]
    resources: tuple[str, ...]
    not_resources: tuple[str, ...]
    condition: conditions.Block
    principals: Principals
    not_principals: Principals
    text: str
    """for people: the statement as its document has it"""

    def covers(self, action: str, resource: str, context: Context) -> bool:
        """Whether it speaks of this action on this resource in these circumstances."""
        return (
            self._covers_action(action)
            and self._covers_resource(resource, context)
            and (not self.condition or self._conditions_hold(context))
        )

    def _covers_action(self, action: str) -> bool:
        if self.actions:
            return any(wildcard(pattern, True).fullmatch(action) for pattern in self.actions)
        return not any(wildcard(pattern, True).fullmatch(action) for pattern in self.not_actions)

    def _covers_resource(self, resource: str, context: Context) -> bool:
        if self.resources:
            return any(arn_like(pattern, resource, context) for pattern in self.resources)
        # A role's trust policy has neither: it speaks of the role itself.
        return not any(arn_like(pattern, resource, context) for pattern in self.not_resources)

    def _conditions_hold(self, context: Context) -> bool:
        holds = conditions.hold(self.condition, context)
        return not self.allows if holds is None else holds  # one that cannot be judged never allows and always denies


Document = tuple[Statement, ...]


class BadPolicy(Exception):
    """A text that is no policy document."""


@lru_cache(maxsize=4096)
def read(text: str) -> Document:
    """The statements of a document. Raises `BadPolicy`."""
    try:
        raw = json.loads(text)
        statements = raw.get("Statement", [])
        return tuple(statement(one) for one in (statements if isinstance(statements, list) else [statements]))
    except (ValueError, AttributeError, TypeError) as error:
        raise BadPolicy(f"{error}: {text[:200]}") from error


def statement(raw: Mapping[str, Any]) -> Statement:
    """A statement of a document that was parsed already."""
    return Statement(
        allows=raw["Effect"] == "Allow",
        sid=str(raw.get("Sid", "")),
        actions=_texts(raw.get("Action")),
        not_actions=_texts(raw.get("NotAction")),
        resources=_texts(raw.get("Resource")),
        not_resources=_texts(raw.get("NotResource")),
        condition=conditions.read(raw.get("Condition")),
        principals=_principals(raw.get("Principal")),
        not_principals=_principals(raw.get("NotPrincipal")),
        text=json.dumps(raw, separators=(",", ":")),
    )


def _principals(raw: Any) -> Principals:
    if raw is None:
        return {}
    if isinstance(raw, Mapping):
        return {kind: _texts(who) for kind, who in raw.items()}
    return {"AWS": _texts(raw)}


def _texts(raw: Any) -> tuple[str, ...]:
    if raw is None:
        return ()
    return tuple(raw) if isinstance(raw, list) else (str(raw),)
