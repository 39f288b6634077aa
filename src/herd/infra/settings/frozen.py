"""What runs already under the stack's name: which settings it must keep, and which images are resources of it.

The program asks Pulumi for its own state: what it exported when it was deployed last, and what is in there. So a plain
`pulumi preview` knows as much as herd's commands do, on the laptop and on AWS.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pulumi
from google.protobuf.json_format import MessageToDict
from pulumi.runtime import invoke
from pulumi.runtime.proto import resource_pb2
from pulumi.runtime.settings import get_monitor

from herd.infra.settings.load import SettingsError
from herd.infra.settings.schema import Settings

Values = Mapping[str, str]


@dataclass(frozen=True)
class Kept:
    """A setting that no update can give another value, and why; `while_`: of what runs and of what is given."""

    setting: str
    why: str
    while_: Callable[[Values, Values], bool] = lambda runs, wanted: True


KEPT = (
    Kept("account", "what runs would be left behind in the other account"),
    Kept("aws:region", "what runs would be left behind in the other region"),
    Kept("vpc", "target groups and security groups are in use in the network that they were made in"),
    Kept(
        "vpc_cidr",
        "subnets and target groups are in use, and AWS gives other addresses to none of them",
        lambda runs, wanted: not (runs["vpc"] or wanted["vpc"]),
    ),
    Kept(
        "encryption_key",
        "the image repositories would be made anew, without the images that tasks start from",
        lambda runs, wanted: not (runs["image_repositories"] or wanted["image_repositories"]),
    ),
    Kept(
        "encryption_key",
        "that key would go, and with it what only it can open: logs, secrets, data",
        lambda runs, wanted: runs["encryption_key"] == "create",
    ),
)
"""What would end half-way, or leave less than there was. All other settings can change while the environment runs."""


def values(settings: Settings) -> dict[str, str]:
    """What KEPT looks at, as it is exported."""
    return {
        "account": settings.account,
        "aws:region": settings.region,
        "vpc": settings.vpc,
        "vpc_cidr": settings.vpc_cidr,
        "encryption_key": settings.encryption_key,
        "image_repositories": settings.image_repositories,
    }


def changed(runs: Values, wanted: Values) -> dict[str, str]:
    """Setting -> why it cannot change as it would, one reason for each."""
    reasons: dict[str, str] = {}
    for kept in KEPT:
        if runs and runs[kept.setting] != wanted[kept.setting] and kept.while_(runs, wanted):
            reasons.setdefault(kept.setting, kept.why)
    return reasons


@dataclass(frozen=True)
class Pushed:
    """An image in the state: what it was built from, as its inputs have it."""

    context: str
    platform: str


@dataclass(frozen=True)
class Running:
    """`settings`: what it was deployed with; empty where nothing is. `images`: by repository and tag, `herd/python:x`,
    those that are resources of it.
    """

    settings: Values = field(default_factory=dict)
    images: Mapping[str, Pushed] = field(default_factory=dict)

    @classmethod
    def look_up(cls, settings: Settings) -> "Running":
        """Asks Pulumi; raises SettingsError where the settings would change what has to be kept."""
        stack = "/".join(filter(None, (pulumi.get_organization(), pulumi.get_project(), pulumi.get_stack())))
        response = invoke("pulumi:pulumi:readStackOutputs", {"name": stack}).value or {}
        exports: Mapping[str, Any] = response.get("outputs") or {}
        runs = exports.get("runs_with") or {}
        # An earlier Herd may not have told of all that is kept today.
        known = {**values(settings), **runs} if runs else {}
        # Where nothing was exported there may be no state at all, and Pulumi 3.259 ends when it is asked for that.
        running = cls(known, _images(stack) if exports else {})
        if problems := list(running._problems(settings)):
            raise SettingsError("\n".join(problems))
        return running

    def _problems(self, settings: Settings) -> Iterator[str]:
        runs, wanted, environment = self.settings, values(settings), settings.environment
        reasons = changed(runs, wanted)
        for setting, why in reasons.items():
            key = setting if ":" in setting else f"herd:{setting}"
            now = f"is {wanted[setting]}" if wanted[setting] else "is not set"
            was = f"with {runs[setting]}" if runs[setting] else "without one"
            yield f"Pulumi.{environment}.yaml: {key} {now}, but {environment} runs {was}: {why}"
        if reasons:
            yield (
                f"nothing was changed; put back what {environment} runs with, or take it down and make it anew "
                "(`herd down`, then `herd up`), or make another environment beside it"
            )


def _images(stack: str) -> dict[str, Pushed]:
    """The images in the state, without those of earlier versions of Herd.

    Theirs have the registry's credentials among their inputs. They are let go: their tags are found in the registry, so
    nothing is built or pushed, and the credentials go from the state.
    """
    request = resource_pb2.ResourceInvokeRequest(tok="pulumi:pulumi:readStackResourceOutputs")
    request.args.update({"stackName": stack})
    # Not by `invoke`, which would make resources of the references that a team's own components export. Unless they are
    # asked for, the engine answers with their names.
    monitor: Any = get_monitor()
    response = MessageToDict(getattr(monitor.Invoke(request), "return"))
    images = {}
    for resource in (response.get("outputs") or {}).values():
        outputs = resource.get("outputs") or {}
        if resource.get("type") == "docker:index/image:Image" and not outputs.get("registryServer"):
            name = str(outputs.get("imageName")).partition("/")[2]
            images[name] = Pushed(str(outputs.get("context")), str(outputs.get("platform")))
    return images
