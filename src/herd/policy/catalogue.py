"""All rules, and what they find in one resource or in a whole stack."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from herd.policy import iam, network, storage, tasks, watching
from herd.policy.model import Finding, Resource, Rule, Stack

CONCERNS = {"tasks": tasks, "network": network, "storage": storage, "iam": iam, "watching": watching}
RULES: tuple[Rule, ...] = tuple(rule for concern in CONCERNS.values() for rule in concern.rules.all)
BY_ID = {rule.id: rule for rule in RULES}
assert len(BY_ID) == len(RULES), "two rules have one id"

_BY_TYPE: dict[str, list[Rule]] = {}
for _rule in RULES:
    if _rule.check:
        for _type in _rule.types:
            _BY_TYPE.setdefault(_type, []).append(_rule)


def look_at(resource: Resource, stack: Stack) -> Iterator[Finding]:
    """What the rules find in one resource, from its inputs alone."""
    for rule in _BY_TYPE.get(resource.type, ()):
        assert rule.check is not None
        for problem in rule.check(resource, stack):
            yield Finding(rule, resource, problem)


def look_at_all(resources: Sequence[Resource], stack: Stack) -> Iterator[Finding]:
    """What can be seen only when all resources are known: what is missing beside another."""
    for rule in RULES:
        if rule.whole:
            for resource, problem in rule.whole(resources, stack):
                yield Finding(rule, resource, problem)


def examine(resources: Sequence[Resource], stack: Stack) -> list[Finding]:
    """Everything that the rules find in a stack."""
    single = [finding for resource in resources for finding in look_at(resource, stack)]
    return single + list(look_at_all(resources, stack))
