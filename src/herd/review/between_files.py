"""The plan between two trees of files, worked out without an engine, a cloud or any credential.

The program runs twice under Pulumi's mocks, on the files before and on those after; what differs between the resources
that it declares is handed to a plan as the engine's own events, so that a review reads one like the other.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from herd.checkout import git, review_dates, team_files
from herd.checkout.find import Checkout, is_one
from herd.engine.plan import STACK, Plan
from herd.errors import WrongInput
from herd.infra.images.build_context import Stager, StagingError, content_hash
from herd.infra.images.contents import Contents
from herd.infra.settings.keys import config_key
from herd.policy import exceptions
from herd.policy.catalogue import RULES, examine
from herd.policy.exceptions import ExceptionsError
from herd.policy.model import Stack
from herd.policy.wire import OUTPUT, SECRET, SIGNATURE
from herd.review import check
from herd.review.iam_changes import UNKNOWN
from herd.review.rebuilds import Rebuild, rebuild_of
from herd.review.replacing import forcing

MASKED = "[secret]"
"""What the engine writes for a secret in its events."""

State = Mapping[str, Any]


@dataclass(frozen=True)
class Declared:
    """What files declare: resource by URN, as in the engine's events; the stack's outputs; images by workload."""

    resources: Mapping[str, State]
    outputs: Mapping[str, Any]
    images: Mapping[str, Built]
    findings: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True)
class Built:
    """What a workload's image is built from. `folder`: of the workload. `image`: the name of its image's folder."""

    folder: str
    image: str
    content: str
    contents: Contents


NOTHING = Declared({}, {}, {})


def declared(checkout: Checkout, environment: str, python: Path | None = None) -> Declared:
    """What the files of a checkout declare for an environment, by the program run with `python`.

    Raises WrongInput for wrong files, with all that is wrong.
    """
    specs = team_files.load(checkout, environment)
    config, secret = check.configuration(checkout, environment)
    if expired := review_dates.expired(specs):
        config[config_key("expired")] = json.dumps(expired)
    made = check.run(checkout, environment, config, secret, python, is_deployed=True)
    if made["error"]:
        raise WrongInput(made["error"])
    resources = {
        entry["urn"]: {
            "urn": entry["urn"],
            "type": entry["type"],
            "custom": entry["custom"],
            "parent": entry["parent"],
            "inputs": _in_events(entry["props"]),
            "ignored": entry["ignored"],
        }
        for entry in made["resources"]
    }
    stager = Stager(checkout.root, environment)
    images = {}
    for name, spec in specs.workloads.items():
        try:
            tree = stager.tree(spec)
        except StagingError as error:
            raise WrongInput(str(error)) from None
        images[name] = Built(spec.folder.as_posix(), spec.image, content_hash(tree), Contents.of(tree))
    findings = _findings(checkout, Stack(environment, checkout.project, config), made["resources"])
    return Declared(resources, _in_events(made["outputs"]), images, tuple(findings))


def plan_between(before: Declared, after: Declared, checkout: Checkout, environment: str) -> Plan:
    """The plan that makes one of the other."""
    plan = Plan(checkout.project, environment, checkout.root)
    for urn in [*after.resources, *(urn for urn in before.resources if urn not in after.resources)]:
        plan.add({"resourcePreEvent": {"metadata": _step(urn, before.resources.get(urn), after.resources.get(urn))}})
    states = {"old": {"outputs": before.outputs}, "new": {"outputs": after.outputs}}
    plan.add({"resOutputsEvent": {"metadata": {"op": "same", "type": STACK, "urn": "", **states}}})
    for finding in after.findings:
        plan.add({"policyEvent": finding})
    plan.add({"summaryEvent": {}})
    return plan


def rebuilds(before: Declared, after: Declared) -> list[Rebuild]:
    """The images that are built again, by name of the workload."""
    return [
        rebuild_of(name, now.image, now.folder, was.contents, now.contents)
        for name, now in sorted(after.images.items())
        if (was := before.images.get(name)) is not None and was.content != now.content
    ]


@contextmanager
def tree_of(checkout: Checkout, against: str) -> Iterator[Checkout]:
    """The files that `against` names: a folder, or a commit of the checkout's repository. Raises WrongInput."""
    folder = Path(against).expanduser()
    if against.strip() and "\0" not in against and folder.is_dir():
        yield _project(folder.resolve(), against, checkout)
        return
    verify = ("rev-parse", "--verify", "--quiet", "--end-of-options", f"{against}^{{commit}}")
    commit = _printed(checkout, *verify) if against.strip() and "\0" not in against else ""
    if not commit:
        raise WrongInput(
            f"--against {against}: is neither a folder nor a commit of this repository; give a branch (main), a commit "
            "(HEAD^1) or the folder of another checkout"
        )
    with tempfile.TemporaryDirectory(prefix="herd-against-") as made:
        top = Path(made).resolve() / "tree"
        top.mkdir()
        # An index of its own: neither the checkout nor what is staged in it is touched.
        variables = {**os.environ, "GIT_INDEX_FILE": str(Path(made) / "index")}
        tree = f"{commit}:{_printed(checkout, 'rev-parse', '--show-prefix').rstrip('/')}"
        repository = _printed(checkout, "rev-parse", "--show-toplevel")  # elsewhere only what is below is written
        for arguments in (["read-tree", tree], ["checkout-index", "--all", "--quiet", f"--prefix={top}/"]):
            done = subprocess.run(["git", "-C", repository, *arguments], env=variables, capture_output=True, text=True)
            if done.returncode != 0:
                raise WrongInput(f"--against {against}: its files cannot be read: {done.stderr.strip()}")
        yield _project(top, against, checkout)


def _printed(checkout: Checkout, *arguments: str) -> str:
    return (git.output(checkout.root, *arguments) or b"").decode(errors="surrogateescape").rstrip("\n")


def _project(root: Path, against: str, checkout: Checkout) -> Checkout:
    if not is_one(root):
        raise WrongInput(f"--against {against}: has no Pulumi.yaml and defaults.toml, so it is no Herd project")
    return Checkout(root, checkout.cache)


def _step(urn: str, old: State | None, new: State | None) -> dict[str, Any]:
    """What the engine says before a step."""
    both: dict[str, Any] = {key: state for key, state in (("old", old), ("new", new)) if state is not None}
    if old is None or new is None:
        return {"op": "create" if old is None else "delete", "urn": urn, **both}
    before, after = old["inputs"], new["inputs"]
    differs = sorted(name for name in {**before, **after} if before.get(name) != after.get(name))
    differs = [name for name in differs if name not in new["ignored"]]
    if not differs or not new["custom"]:
        return {"op": "same", "urn": urn, **both}
    keys = [name for name in forcing(new["type"], before, after) if name in differs]
    operation = "replace" if keys else "update"
    return {"op": operation, "urn": urn, "keys": keys, "diffs": differs, **both}


def _findings(checkout: Checkout, stack: Stack, resources: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """What the policy rules say, as the engine's events say it."""
    from datetime import UTC, datetime

    made = [check.resource_of(entry) for entry in resources]
    try:
        accepted = exceptions.read(checkout.root, [rule.id for rule in RULES])
    except ExceptionsError as error:
        raise WrongInput(str(error)) from None
    at_work = exceptions.Exceptions(accepted, stack, datetime.now(UTC).date())
    for finding in at_work.remaining(examine(made, stack)):
        yield {
            "policyName": finding.rule.id,
            "resourceUrn": finding.resource.urn,
            "message": finding.problem,
            "enforcementLevel": finding.rule.level,
        }


def _in_events(value: Any) -> Any:
    """A value of the wire as the engine's events have it: whole numbers whole, secrets masked, unknown marked."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, list):
        return [_in_events(one) for one in value]
    if not isinstance(value, dict):
        return value
    match value.get(SIGNATURE):
        case None:
            return {key: _in_events(one) for key, one in value.items()}
        case mark if mark == SECRET:
            return MASKED
        case mark if mark == OUTPUT:
            return MASKED if value.get("secret") else _in_events(value["value"]) if "value" in value else UNKNOWN
        case _:
            return value
