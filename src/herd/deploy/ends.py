"""The end of an environment that ends by itself: decided at `herd up`, moved by `herd keep`, looked up by everybody.

The end is a schedule of the environment's own (`herd.infra.watching.watch`), which has a build of CodeBuild remove it
(docs/decisions/0043). The schedule is the truth; the stack's outputs say what it was at the last deployment.
"""

from __future__ import annotations

import getpass
import json
import os
import re
import shlex
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import singledispatch
from typing import Any

from herd import console
from herd.checkout import git, review_dates, stack_config
from herd.checkout.find import Checkout
from herd.errors import HerdError, WrongInput
from herd.infra import lifetime
from herd.infra.naming import Naming
from herd.infra.settings.keys import config_key
from herd.targets.aws import AwsTarget
from herd.targets.local import LocalTarget
from herd.targets.target import DEFAULT, Target

NIGHTLY = ".github/workflows/janitor.yml"
"""The workflow that removes on AWS what is over its time, once a night."""

KEPT = (DEFAULT, "prod")
"""Names of environments that never end by themselves."""


@dataclass(frozen=True)
class End:
    """When an environment is removed; `ttl`: for how long a deployment renews it; `made_by`: who made it."""

    at: datetime
    ttl: str
    made_by: str


def refuse_kept(target: Target, what: str) -> None:
    """Raises WrongInput for an environment that is kept: by its name, its protection, or a file of its own."""
    name = _own_name(target)
    if name in KEPT:
        raise WrongInput(f"{what}: {name} is kept, and does not end by itself; take another name, like pr-17")
    tracked = stack_config.tracked(target.checkout, name)
    settings = stack_config.read(tracked).get("config") or {} if tracked else {}
    protected = settings.get(config_key("protect"), settings.get(config_key("profile")) == "prod")
    if str(protected).lower() == "true" or (target.deployed is not None and target.deployed.protected):
        raise WrongInput(f"{what}: {name} is protected, and does not end by itself")


def decide(target: Target, ttl: str | None) -> Mapping[str, str]:
    """The settings by which the environment ends, from now on: by `ttl`, else by what it has; empty where it stays.

    Raises WrongInput for an environment that is kept, HerdError where the person has too many.
    """
    before = known(target)
    length = ttl or (before.ttl if before else _of_file(target, "ttl"))
    if not length:
        return {}
    refuse_kept(target, f"--ttl {length}")
    end = review_dates.now() + lifetime.parse(length)
    made_by = before.made_by if before and before.made_by else person(target.checkout)
    return {"ttl": length, "ends_at": lifetime.written(end), "made_by": made_by}


def as_it_is(target: Target) -> Mapping[str, str]:
    """The same without renewing it, for a preview: so that an end that only moves on is no change."""
    deployed = target.deployed
    if deployed is not None and deployed.ends_at and deployed.settings is not None:
        stack = deployed.settings.stack
        return {"ttl": str(stack.get("ttl", "")), "ends_at": deployed.ends_at, "made_by": str(stack.get("made_by", ""))}
    return decide(target, None)


def known(target: Target) -> End | None:
    """The end as of the last deployment, or of one that did not come to its end; None where it stays."""
    deployed = target.deployed
    if deployed is not None and deployed.settings is not None:
        values: Mapping[str, Any] = {**deployed.settings.stack, "ends_at": deployed.ends_at}
    elif target.settings_file.exists():
        config = target.settings().get("config") or {}
        values = {name: config.get(config_key(name)) for name in stack_config.LIFETIME}
    else:
        return None
    try:
        return End(lifetime.read(str(values["ends_at"])), str(values["ttl"]), str(values.get("made_by") or ""))
    except (KeyError, ValueError):
        return None


def of(target: Target) -> End | None:
    """The end as the schedule has it, which `herd keep` may have moved; None where the environment stays."""
    end = known(target)
    if end is None or target.deployed is None:
        return end
    scheduler = target.client("scheduler")
    naming = _naming(target)
    try:
        schedule = scheduler.get_schedule(GroupName=naming.schedule_group, Name=naming.ends)
    except scheduler.exceptions.ResourceNotFoundException:  # half destroyed
        return end
    moved = lifetime.of_expression(schedule["ScheduleExpression"])
    return End(moved, end.ttl, end.made_by) if moved is not None else end


def keep(target: Target, ttl: str) -> End:
    """Move the end to `ttl` from now. Raises WrongInput where the environment has none."""
    target.require_exports()
    end = known(target)
    if end is None:
        raise WrongInput(f"{target.name} does not end by itself; `herd up {_option(target)} --ttl {ttl}` has it end")
    length = lifetime.parse(ttl)
    moved = review_dates.now() + length
    naming = _naming(target)
    # The warning first: killed in between, somebody is told too late, and nothing is removed too early.
    for name, moment in ((naming.ends_soon, lifetime.told_at(moved, length)), (naming.ends, moved)):
        _move(target, naming.schedule_group, name, moment)
    return End(moved.replace(microsecond=0), end.ttl, end.made_by)


def _move(target: Target, group: str, name: str, moment: datetime) -> None:
    scheduler = target.client("scheduler")
    try:
        schedule = scheduler.get_schedule(GroupName=group, Name=name)
    except scheduler.exceptions.ResourceNotFoundException:
        raise HerdError(
            f"the schedule {name} is gone, so nothing would remove {target.name}; `herd up {_option(target)}` makes it "
            "again"
        ) from None
    taken = ("Description", "FlexibleTimeWindow", "ScheduleExpressionTimezone", "State", "Target", "KmsKeyArn")
    kept = {key: schedule[key] for key in taken if schedule.get(key)}
    scheduler.update_schedule(GroupName=group, Name=name, ScheduleExpression=lifetime.at(moment), **kept)


def tell(target: Target, subject: str, text: str) -> None:
    """Tell the owners of everything in the environment, as the watch does; nothing where nobody listens any more."""
    from botocore.exceptions import BotoCoreError, ClientError

    from herd.runner.contract import watching

    deployed = target.deployed
    if deployed is None:
        return
    notifications = (deployed.settings.stack if deployed.settings else {}).get("notifications") or {}
    owners = {address for workload in deployed.workloads.values() for address in workload.owners}
    addresses = sorted(owners | set(notifications.get("addresses") or {}))
    topic = f"arn:{_partition(target)}:sns:{deployed.region}:{deployed.account}:{_naming(target).messages}"
    attributes = {watching.TO: {"DataType": "String.Array", "StringValue": json.dumps(addresses)}}
    try:
        target.client("sns").publish(TopicArn=topic, Subject=subject[:99], Message=text, MessageAttributes=attributes)
    except (BotoCoreError, ClientError):
        return  # the topic goes with the environment


@singledispatch
def prepare(target: Target) -> None:
    """Make sure that something removes the environment when its time is over. Raises HerdError where nothing would."""


@prepare.register
def _(target: AwsTarget) -> None:
    from botocore.exceptions import ClientError

    name = _naming(target).ends_project
    try:
        projects = target.client("codebuild").batch_get_projects(names=[name])["projects"]
    except ClientError as error:
        raise HerdError(f"whether the account has the project {name} in CodeBuild cannot be read: {error}") from None
    if projects:
        return
    if not (target.checkout.root / NIGHTLY).exists():
        raise HerdError(
            f"nothing would remove {target.name} when its time is over: the account has no project {name} in "
            f"CodeBuild, which `herd bootstrap` does not make yet, and there is no {NIGHTLY}, which would each night "
            "(docs/decisions/0043)"
        )
    # The schedule tries to start the build for a day, and the nightly run comes within that.
    console.note(f"the account has no project {name} in CodeBuild: {NIGHTLY} removes it, up to a day after its end")


@prepare.register
def _(target: LocalTarget) -> None:
    """On AWS `herd bootstrap` makes the project once; here the build is this Herd on this checkout."""
    client, name = target.client("codebuild"), _naming(target).ends_project
    wanted = json.dumps({"version": 0.2, "phases": {"build": {"commands": [_command(target)]}}})
    projects = client.batch_get_projects(names=[name])["projects"]
    if projects and projects[0]["source"].get("buildspec") == wanted:
        return
    if projects:
        client.delete_project(name=name)
    client.create_project(
        name=name,
        description=f"removes environments of {target.checkout.project} whose time is over",
        source={"type": "NO_SOURCE", "location": "none", "buildspec": wanted},
        artifacts={"type": "NO_ARTIFACTS"},
        environment={
            "type": "LINUX_CONTAINER",
            "image": "aws/codebuild/standard:7.0",
            "computeType": "BUILD_GENERAL1_SMALL",
            "environmentVariables": [],
        },
        serviceRole=f"arn:aws:iam::{stack_config.LOCAL_ACCOUNT}:role/{name}",
    )


def _command(target: Target) -> str:
    """What a build on this machine runs: the same Herd, told by the environment's name that the schedule hands over."""
    same = {name: os.environ[name] for name in ("PATH", "PYTHONPATH", "XDG_CACHE_HOME", "HOME") if name in os.environ}
    words = [f"{name}={value}" for name, value in {**same, "HERD_CHECKOUT": str(target.checkout.root)}.items()]
    command = shlex.join(["exec", "env", *words, sys.executable, "-m", "herd", "janitor", "--yes", "-e"])
    return f'cd {shlex.quote(str(target.checkout.root))} && {command} "$HERD_ENVIRONMENT"'


def person(checkout: Checkout) -> str:
    """Who makes an environment: as GitHub says in its workflows, else as Git does, else the user of this machine."""
    actor = os.environ.get("GITHUB_ACTOR", "") if os.environ.get("GITHUB_ACTIONS") else ""
    email = (git.output(checkout.root, "config", "user.email") or b"").decode("utf-8", "replace").strip()
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = "somebody"
    # It becomes a tag.
    return re.sub(r"[^\w .:/=+@-]", "_", actor or email or user)[:128]


def limit(target: Target) -> int:
    """How many environments that end by themselves one person may have."""
    from herd.infra.settings.schema import Settings

    text = _of_file(target, "environments_per_person") or str(Settings.environments_per_person)
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= 100):
        raise WrongInput(f"herd:environments_per_person = {text} is not allowed; allowed: 1 to 100")
    return int(text)


def _of_file(target: Target, setting: str) -> str:
    tracked = stack_config.tracked(target.checkout, _own_name(target))
    return str((stack_config.read(tracked).get("config") or {}).get(config_key(setting)) or "") if tracked else ""


def _own_name(target: Target) -> str:
    return target.name.rpartition("/")[2]


def _naming(target: Target) -> Naming:
    return Naming(target.checkout.project, _own_name(target))


def _option(target: Target) -> str:
    return " ".join(target.option)


def _partition(target: Target) -> str:
    return str(target.client("sts").get_caller_identity()["Arn"]).split(":")[1]
