"""`herd janitor`: removes environments whose time is over, and what killed commands have left of them.

What is kept is never removed: by its name, its protection, or because it does not end by itself. Those are named, with
the command that removes them. A removal that fails is said, told to the owners, and tried again by the next janitor.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from herd import console
from herd.checkout.find import Checkout
from herd.deploy import ends, environments, local_stack
from herd.deploy.down import take_down
from herd.deploy.environments import Environment
from herd.errors import HerdError, WrongInput
from herd.infra import lifetime
from herd.targets import local_cloud
from herd.targets.local import LocalTarget
from herd.targets.target import Target


@dataclass(frozen=True)
class Finding:
    """An environment with a trouble. `kept`: why the janitor leaves it, and what a person can do."""

    environment: Environment
    kept: str = ""

    @property
    def name(self) -> str:
        return self.environment.name

    def __str__(self) -> str:
        one = self.environment
        since = f", since {lifetime.written(one.end.at)}" if one.end and one.trouble == "over its time" else ""
        things = f"{one.resources} resources" if one.resources != 1 else "1 resource"
        return f"{one.name}: {one.trouble or 'cannot be read'}{since} ({things})"


@dataclass(frozen=True)
class Swept:
    """What became of a finding: "removed", "kept", "failed" or, where nothing is done, "would be removed"."""

    finding: Finding
    outcome: str
    why: str = ""

    def as_json(self) -> dict[str, Any]:
        return {**self.finding.environment.as_json(), "outcome": self.outcome, "why": self.why or None}


def look(every: Iterable[Environment]) -> list[Finding]:
    """The environments with a trouble, and which of them are left to a person."""
    return [Finding(one, _kept(one)) for one in every if one.trouble or one.unreadable]


def _kept(one: Environment) -> str:
    """Why it is not the janitor's to remove; "" if it is."""
    option = " ".join(one.target.option)
    if one.unreadable:
        return one.unreadable
    if one.busy:
        return f"{one.busy} works on it"
    try:
        ends.refuse_kept(one.target, option)
    except WrongInput as error:
        return f"{error}; `herd up {option}` goes on with it" if one.trouble != "empty" else str(error)
    if one.target.is_shared and one.trouble == "orphaned":
        return f"no stack knows it, so Pulumi cannot remove it; `herd inventory {option}` or `aws` shows what is there"
    if one.trouble == "half made" and one.end is None:
        return f"it does not end by itself; `herd up {option}` goes on with it, `herd down {option}` removes it"
    return ""


def sweep(findings: list[Finding], remove: Callable[[Environment], None] | None = None) -> list[Swept]:
    """Remove what is the janitor's to remove, one after the other; a failure stops none of the others."""
    swept = []
    for finding in findings:
        if finding.kept:
            swept.append(Swept(finding, "kept", finding.kept))
            continue
        console.note(f"removing {finding}")
        try:
            (remove or _remove)(finding.environment)
        except HerdError as error:
            swept.append(Swept(finding, "failed", str(error)))
        else:
            swept.append(Swept(finding, "removed"))
    return swept


def _remove(one: Environment) -> None:
    target = one.target
    target.forget_exports()
    if one.trouble == "over its time":
        end = ends.of(target)
        if end is not None and one.end is not None and end.at > one.end.at:
            raise HerdError(f"{one.name} was renewed meanwhile, until {lifetime.written(end.at)}; it stays")
        ends.tell(
            target,
            f"{one.name} ends now",
            f"The time of the environment {one.name} of {target.checkout.project} is over: it is being removed.\n",
        )
    try:
        take_down(target, yes=True)
    except HerdError as error:
        with suppress(HerdError):
            target.forget_exports()
            ends.tell(target, f"{one.name} could not be removed", f"{error}\n\n`herd janitor` tries it again.\n")
        raise


def everything(checkout: Checkout, target: Target | None, aws: bool) -> list[Environment]:
    """The environments to look at: one, or all of this checkout's, or all stacks of its project on AWS.

    A local cloud that has something is started: only it knows what is left.
    """
    if aws or (target is not None and target.is_shared):
        from herd.targets.aws import AwsTarget

        names = AwsTarget(checkout, "").stack_names() if target is None else [target.name]
        every = environments.on_aws(checkout, names)
    else:
        if local_stack.environments(checkout) or local_cloud.has_state(checkout):
            local_stack.start_cloud(LocalTarget(checkout, target.name if target else "dev"), anywhere=True)
        every = environments.here(checkout)
    return [one for one in every if target is None or one.name == target.name]


def close(checkout: Checkout) -> None:
    """Stop a local cloud that was started for the janitor and has nothing left."""
    if local_cloud.running(checkout) and not local_stack.environments(checkout):
        local_stack.stop_when_empty(checkout, None)
