"""What runs already under the stack's name: which settings it must keep, and which shared images it built.

The program asks Pulumi for what it exported itself when it was deployed last. So a plain `pulumi preview` knows as much
as herd's commands do, on the laptop and on AWS.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pulumi
from pulumi.runtime import invoke

from infra.settings import Settings, SettingsError

KEPT: Mapping[str, str] = {
    "account": "what runs would be left behind in the other account",
    "aws:region": "what runs would be left behind in the other region",
    "vpc": "target groups and security groups are in use in the network that they were made in",
    "vpc_cidr": "its target groups and subnets are in use, and AWS changes the addresses of none",
    "encryption_key": "its image repositories would be made anew, without the images that tasks start from",
}
"""Setting -> why no update can give it another value: it would end half-way, or leave less than there was."""


def kept(settings: Settings) -> dict[str, str]:
    """The values that an environment which is made with `settings` keeps until it is taken down."""
    found = {"account": settings.account, "aws:region": settings.region, "vpc": settings.vpc}
    if not settings.vpc:
        found["vpc_cidr"] = settings.vpc_cidr
    if not settings.image_repositories:
        found["encryption_key"] = settings.encryption_key
    return found


@dataclass(frozen=True)
class Running:
    """Empty where nothing runs yet, or not since this was exported. `images`: by name, those that it built into
    repositories which environments share.
    """

    kept: Mapping[str, str] = field(default_factory=dict)
    images: frozenset[str] = frozenset()

    @classmethod
    def look_up(cls, settings: Settings) -> "Running":
        """Asks Pulumi; raises SettingsError where the settings would change what has to be kept."""
        parts = (pulumi.get_organization(), pulumi.get_project(), pulumi.get_stack())
        found = invoke("pulumi:pulumi:readStackOutputs", {"name": "/".join(filter(None, parts))}).value or {}
        exports: Mapping[str, Any] = found.get("outputs") or {}
        running = cls(exports.get("kept") or {}, frozenset(exports.get("images") or ()))
        if problems := list(running._problems(settings)):
            raise SettingsError("\n".join(problems))
        return running

    def _problems(self, settings: Settings) -> Iterator[str]:
        given, environment = kept(settings), settings.environment
        changed = [name for name in given if self.kept.get(name, given[name]) != given[name]]
        for name in changed:
            key = name if ":" in name else f"{settings.project}:{name}"
            now = f"is {given[name]}" if given[name] else "is not set"
            was = f"with {self.kept[name]}" if self.kept[name] else "without one"
            yield f"Pulumi.{environment}.yaml: {key} {now}, but {environment} runs {was}: {KEPT[name]}"
        if changed:
            yield (
                f"nothing was changed; put back what {environment} runs with, or take it down and make it anew "
                "(`herd down`, then `herd up`), or make another environment beside it"
            )
