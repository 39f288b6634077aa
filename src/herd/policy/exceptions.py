"""What the team has decided to accept: `policy-exceptions.toml` at the root of the checkout, if there is one.

    [[exception]]
    rule = "network-world-ports"
    resource = "public-balancer-in"      # as previews name it; * stands for anything
    environments = ["dev"]               # optional; default is all
    reason = "the partner's firewall lets port 8443 through only"
    expires = 2027-01-31

One that has expired covers nothing and is a finding itself, and so is one that covers nothing any more: the list only
ever says what holds today.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from herd.policy.model import Finding, Resource, Rule, Stack

FILE = "policy-exceptions.toml"

EXCEPTIONS_HOLD = Rule(
    id="exceptions-hold",
    says="Each exception in policy-exceptions.toml is needed, has a reason and has not expired.",
    why="An exception that nobody needs any more is a hole that nobody remembers.",
    control="",
    link="",
    level="mandatory",
    types=(),
)


class ExceptionsError(ValueError):
    """What is wrong in the file: one line a problem, file first."""


@dataclass(frozen=True)
class Accepted:
    """One entry of the file."""

    rule: str
    resource: str
    reason: str
    expires: date
    environments: tuple[str, ...] = ()

    def holds_in(self, stack: Stack) -> bool:
        return not self.environments or stack.environment in self.environments

    def covers(self, finding: Finding) -> bool:
        return self.rule == finding.rule.id and fnmatchcase(finding.resource.name, self.resource)


def read(root: Path, known: Iterable[str]) -> list[Accepted]:
    """The entries of the file in `root`; none without it. Raises ExceptionsError with all problems."""
    path = root / FILE
    try:
        entries = tomllib.loads(path.read_text(encoding="utf-8")).get("exception", [])
    except FileNotFoundError:
        return []
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ExceptionsError(f"{FILE}: is not TOML: {error}") from None
    if not isinstance(entries, list):
        raise ExceptionsError(f"{FILE}: write each exception below [[exception]]")
    problems: list[str] = []
    accepted = [_entry(number, entry, set(known), problems) for number, entry in enumerate(entries, start=1)]
    if problems:
        raise ExceptionsError("\n".join(f"{FILE}: {problem}" for problem in problems))
    return [entry for entry in accepted if entry is not None]


def _entry(number: int, entry: Any, known: set[str], problems: list[str]) -> Accepted | None:
    before = len(problems)
    what = f"exception {number}"
    if not isinstance(entry, dict):
        problems.append(f"{what}: must be a table")
        return None
    for key in ("rule", "resource", "reason"):
        if not (isinstance(entry.get(key), str) and entry[key].strip()):
            problems.append(f"{what}: {key} is missing")
    if isinstance(entry.get("rule"), str) and entry["rule"] not in known:
        problems.append(f"{what}: there is no rule {entry['rule']!r}; docs/reference/policies.md lists them")
    if type(entry.get("expires")) is not date:
        problems.append(f"{what}: expires must be a date, like 2027-01-31")
    environments = entry.get("environments", [])
    if not (isinstance(environments, list) and all(isinstance(name, str) for name in environments)):
        problems.append(f"{what}: environments must be a list of names")
    for key in sorted(entry.keys() - {"rule", "resource", "reason", "expires", "environments"}):
        problems.append(f"{what}: unknown setting {key!r}; known: rule, resource, reason, expires, environments")
    if len(problems) > before:
        return None
    return Accepted(entry["rule"], entry["resource"], entry["reason"], entry["expires"], tuple(environments))


class Exceptions:
    """The entries at work in one stack, and which of them were needed."""

    def __init__(self, entries: Iterable[Accepted], stack: Stack, today: date) -> None:
        here = [entry for entry in entries if entry.holds_in(stack)]
        self._valid = [entry for entry in here if entry.expires >= today]
        self._expired = [entry for entry in here if entry.expires < today]
        self._used: set[Accepted] = set()

    def remaining(self, findings: Iterable[Finding]) -> Iterator[Finding]:
        """The findings that no exception covers."""
        for finding in findings:
            covering = [entry for entry in self._valid if entry.covers(finding)]
            self._used.update(covering)
            if not covering:
                yield finding

    def problems(self, unknown: Iterable[str] = ()) -> Iterator[Finding]:
        """What is wrong with the exceptions, once all resources were looked at.

        `unknown` names resources of which not everything is known yet (a first preview): what an exception for them
        would cover may still turn up, so it does not count as unneeded.
        """
        undecided = list(unknown)
        for entry in self._expired:
            yield _about(entry, f"expired on {entry.expires}; repair what it was for, or give a new reason and date")
        for entry in self._valid:
            if entry not in self._used and not any(fnmatchcase(name, entry.resource) for name in undecided):
                yield _about(entry, "is not needed any more; take it away")


def _about(entry: Accepted, what: str) -> Finding:
    named = Resource(type="", name=FILE, props={})
    return Finding(EXCEPTIONS_HOLD, named, f"the exception from {entry.rule} for {entry.resource} {what}")
