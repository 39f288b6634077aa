"""What is armed in an environment, what state it is in, and whether what it would tell arrives: `herd alarms`.

The watch itself says what it knows and remembers; alarms and subscriptions are read from CloudWatch and SNS. A drill
goes the whole way that a message goes and is looked for at each link of it: the rules that start the watch and their
permission to, the function, the topic, and a subscription for each recipient.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from fnmatch import fnmatchcase
from typing import Any

from herd.errors import HerdError
from herd.infra.naming import Naming
from herd.runner.contract.plan import Due, Plan
from herd.runner.contract.watching import REPORT_TYPE, TO
from herd.targets.inbox import Inbox
from herd.targets.target import Target
from herd.watch import memory, outbox
from herd.watch.aws import PENDING
from herd.watch.due_times import topic_of
from herd.watch.events import DRILL_SOURCE, DRILL_TYPE


@dataclass(frozen=True)
class Armed:
    """One thing that the watch looks after. `for_what`: in words. `since`: of a trouble; None where all is well."""

    name: str
    for_what: str
    owners: tuple[str, ...]
    trouble: str = ""
    since: datetime | None = None
    last_at: str = ""
    last_subject: str = ""


@dataclass(frozen=True)
class Alarm:
    """A CloudWatch alarm of the environment, as it is now."""

    name: str
    state: str
    since: datetime
    description: str


@dataclass(frozen=True)
class Subscription:
    """An address of a topic. `arn` is None until the mail of SNS is answered; `filter`: those that it lets through."""

    address: str
    arn: str | None
    filter: Mapping[str, Any]

    @property
    def is_confirmed(self) -> bool:
        return self.arn is not None

    def lets(self, address: str) -> bool:
        wanted = self.filter.get(TO)
        return wanted is None or address in wanted


@dataclass(frozen=True)
class Overview:
    """`expected`: the addresses that the program subscribed to the watch's messages."""

    armed: tuple[Armed, ...]
    alarms: tuple[Alarm, ...]
    subscriptions: tuple[Subscription, ...]
    expected: tuple[str, ...]

    @property
    def waiting(self) -> list[str]:
        """Addresses whose owner has not answered the mail of SNS."""
        return [one.address for one in self.subscriptions if not one.is_confirmed]

    @property
    def vanished(self) -> list[str]:
        """Addresses that somebody has unsubscribed: anybody can who has a mail of it."""
        return sorted({*self.expected} - {one.address for one in self.subscriptions})


ARRIVAL_SECONDS = 20.0
"""So long a message may take from the topic into the inbox of a local cloud."""

RECENT = 20
"""Messages of an address among which a drill that has just been sent must be."""

SUBSCRIPTION = "aws:sns/topicSubscription:TopicSubscription"

BY_RULES = {"Service": "events.amazonaws.com"}

REPAIR = "`pulumi up --refresh` puts it right (`herd env` prints what your shell needs for it)"
"""`herd up` compares with what it has made, not with what somebody has done to it since."""


class Lost(HerdError):
    """A drill did not arrive; the message says at which link it was lost, and what to do."""


def overview(target: Target) -> Overview:
    naming = _naming(target)
    answer = _asked(target, naming, {"source": DRILL_SOURCE, "detail-type": REPORT_TYPE})
    plan, kept = Plan.from_json(answer["plan"]), outbox.read(answer["kept"].encode() or None)
    return Overview(
        armed=tuple(_armed(plan, memory.read(kept.memory), kept.last)),
        alarms=tuple(_alarms(target, naming)),
        subscriptions=subscriptions(target),
        expected=tuple(sorted(plan.addresses)),
    )


def subscriptions(target: Target) -> tuple[Subscription, ...]:
    """Those of the watch's messages, each looked at for its filter. Raises Lost where the topic is gone."""
    sns = target.client("sns")
    return tuple(_subscription(sns, one) for one in _listed(target))


def _listed(target: Target) -> list[Mapping[str, Any]]:
    """The e-mail subscriptions of the watch's messages, as SNS lists them. Raises Lost where the topic is gone."""
    from botocore.exceptions import ClientError

    topic = _topic(target)
    try:
        pages = list(target.client("sns").get_paginator("list_subscriptions_by_topic").paginate(TopicArn=topic))
    except ClientError as error:
        if error.response["Error"]["Code"] in ("NotFound", "NotFoundException"):
            raise Lost(f"the topic {topic} is gone: nobody is told anything; {REPAIR}") from None
        raise
    return [one for page in pages for one in page["Subscriptions"] if one["Protocol"] == "email"]


def unheard(target: Target) -> list[str]:
    """A line for each address that has not confirmed yet, and so gets no message.

    Nothing where the topic cannot be asked: what is wrong with it, `herd alarms` says.
    """
    try:
        waiting = [one["Endpoint"] for one in _listed(target) if one["SubscriptionArn"] == PENDING]
    except Lost:
        return []
    return [
        f"{address} is told nothing before it follows the link in the mail of AWS, which is good for three days"
        for address in waiting
    ]


def vanished(target: Target) -> list[str]:
    """Addresses that the program has subscribed and that somebody has unsubscribed since."""
    made = {
        str(resource["inputs"]["endpoint"])
        for resource in target.state_resources()
        if resource["type"] == SUBSCRIPTION and resource["inputs"].get("filterPolicy")
    }
    try:
        return sorted(made - {one["Endpoint"] for one in _listed(target)})
    except Lost:
        return sorted(made)


def drill(target: Target, name: str) -> list[str]:
    """Send a marked message about workload `name` the whole way; a line for each link that it passed. Raises Lost."""
    naming, drill_id = _naming(target), f"drill-{secrets.token_hex(4)}"
    lines = _starts(target, naming, name)
    event = {
        "source": DRILL_SOURCE,
        "detail-type": DRILL_TYPE,
        "detail": {"workload": name, "drill": drill_id},
    }
    messages = _asked(target, naming, event).get("messages") or []
    if not messages:
        raise Lost(f"the function {naming.watch} does not know {name}: `herd up` gives it what is deployed")
    lines.append(f"the function {naming.watch} ran, and the topic took its message ({messages[0]['id']})")
    there = {one.address: one for one in subscriptions(target)}
    lost: list[str] = []
    recipients = list(dict.fromkeys(address for message in messages for address in message["to"]))
    for address in recipients:
        problem = _cannot_arrive(address, there.get(address))
        if problem:
            lost.append(problem)
        else:
            lines.append(f"the subscription of {address} is confirmed and lets it through")
    if lost:
        raise Lost("\n".join([*(f"✓ {line}" for line in lines), *lost]))
    if target.inbox is None:
        return [*lines, f'look into the mailboxes for "{messages[0]["subject"]}", {drill_id}']
    if missing := _not_in_the_inbox(target, target.inbox, recipients, drill_id):
        raise Lost("\n".join([*(f"✓ {line}" for line in lines), f"SNS has sent nothing to {', '.join(missing)}"]))
    return [*lines, f"it is in the inbox of {', '.join(recipients)}: `herd inbox`"]


def _not_in_the_inbox(target: Target, inbox: Inbox, recipients: list[str], drill_id: str) -> list[str]:
    """Those whose mail of the local cloud has no message with the drill's id, after a while."""
    target.pace.until(lambda: all(_has(inbox, address, drill_id) for address in recipients), ARRIVAL_SECONDS)
    return [address for address in recipients if not _has(inbox, address, drill_id)]


def _has(inbox: Inbox, address: str, drill_id: str) -> bool:
    return any(drill_id in inbox.message(mail.number).text for mail in inbox.messages(address)[-RECENT:])


def _cannot_arrive(address: str, subscription: Subscription | None) -> str:
    if subscription is None:
        return f"the topic has no subscription of {address}: somebody has unsubscribed it; {REPAIR}"
    if not subscription.is_confirmed:
        return f"{address} has not confirmed: AWS has sent a mail with a link, which is good for three days"
    if not subscription.lets(address):
        return f"the subscription of {address} lets other messages through only; {REPAIR}"
    return ""


def _starts(target: Target, naming: Naming, name: str) -> list[str]:
    """A line for each rule by which the watch hears of workload `name`, and of time. Raises Lost."""
    hears = ("runs", "deployments", "alarms") if name in target.require_exports().services else ("runs",)
    admitted = _admitted(target, naming)
    lines = [f"the rule {_rule_starts(target, naming, 'ticks', admitted)} starts the watch every five minutes"]
    return lines + [f"the rule {_rule_starts(target, naming, of, admitted)} starts it by events" for of in hears]


def _rule_starts(target: Target, naming: Naming, purpose: str, admitted: Sequence[str]) -> str:
    """That this rule starts the watch: its name. Raises Lost."""
    from botocore.exceptions import ClientError

    events, rule = target.client("events"), naming.watch_rule(purpose)
    without = "nothing starts the watch" if purpose == "ticks" else f"the watch hears nothing of {purpose}"
    try:
        described = events.describe_rule(Name=rule)
        targets = events.list_targets_by_rule(Rule=rule)["Targets"]
    except ClientError as error:
        if error.response["Error"]["Code"] != "ResourceNotFoundException":
            raise
        raise Lost(f"the rule {rule} is gone: {without}; {REPAIR}") from None
    if described["State"] == "DISABLED":
        raise Lost(f"the rule {rule} is switched off: {without}; {REPAIR}")
    if not any(one["Arn"].endswith(f":function:{naming.watch}") for one in targets):
        raise Lost(f"the rule {rule} does not start the function {naming.watch}; {REPAIR}")
    if not any(fnmatchcase(described["Arn"], pattern) for pattern in admitted):
        raise Lost(f"the function {naming.watch} does not let the rule {rule} start it; {REPAIR}")
    return rule


def _admitted(target: Target, naming: Naming) -> list[str]:
    """The rules that the function's policy lets start it, as patterns of ARNs. Raises Lost where it is gone."""
    from botocore.exceptions import ClientError

    functions = target.client("lambda")
    try:
        functions.get_function_configuration(FunctionName=naming.watch)
    except ClientError as error:
        if error.response["Error"]["Code"] != "ResourceNotFoundException":
            raise
        raise Lost(f"the function {naming.watch} is gone: nobody is told anything; {REPAIR}") from None
    try:
        policy = json.loads(functions.get_policy(FunctionName=naming.watch)["Policy"])
    except ClientError as error:
        if error.response["Error"]["Code"] != "ResourceNotFoundException":
            raise
        return []
    statements = [one for one in policy["Statement"] if one["Effect"] == "Allow" and one["Principal"] == BY_RULES]
    return [pattern for one in statements for pattern in _rules_of(one.get("Condition") or {})]


def _rules_of(condition: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Of a statement's condition: the ARNs that it asks for, with * and ?; every one where it asks for none."""
    asked = [
        pattern
        for operator in condition.values()
        for key, value in operator.items()
        if key.lower() == "aws:sourcearn"
        for pattern in ([value] if isinstance(value, str) else value)
    ]
    return asked or ["*"]


def _asked(target: Target, naming: Naming, event: Mapping[str, Any]) -> dict[str, Any]:
    """The function's answer. Raises Lost with its own words where it fails."""
    from botocore.exceptions import ClientError

    try:
        answer = target.client("lambda").invoke(FunctionName=naming.watch, Payload=json.dumps(event).encode())
    except ClientError as error:
        if error.response["Error"]["Code"] != "ResourceNotFoundException":
            raise Lost(f"the function {naming.watch} cannot be started: {error}; {REPAIR}") from None
        raise Lost(f"the function {naming.watch} is gone: nobody is told anything; {REPAIR}") from None
    body = json.loads(answer["Payload"].read() or b"{}")
    if answer.get("FunctionError"):
        why = body.get("errorMessage", "") if isinstance(body, dict) else ""
        raise Lost(f"the function {naming.watch} fails: {why or answer['FunctionError']}; {REPAIR}")
    if not isinstance(body, dict):
        raise Lost(f"the function {naming.watch} answers what Herd does not know: `herd up` brings its code up to date")
    return body


def _armed(plan: Plan, remembered: memory.Memory, last: Mapping[str, outbox.Last]) -> list[Armed]:
    rows = []
    for workload in plan.workloads:
        topic = remembered.topics.get(topic_of(workload.name))
        troubles = [topic.trouble] if topic and topic.trouble else []
        troubles += [
            one.trouble
            for key, one in remembered.topics.items()
            if one.trouble and key.partition(":")[2].partition(":")[0] == workload.name and one is not topic
        ]
        message = last.get(workload.name)
        rows.append(
            Armed(
                name=workload.name,
                for_what=_for_what(workload.due, workload.pipeline, workload.min_replicas, workload.paused),
                owners=workload.owners,
                trouble=troubles[0].what if troubles else "",
                since=troubles[0].since if troubles else None,
                last_at=message.at if message else "",
                last_subject=message.subject if message else "",
            )
        )
    return rows


def _for_what(due: Due | None, pipeline: str | None, replicas: int | None, paused: str | None) -> str:
    if paused is not None:
        return f"nothing: paused, {paused}"
    if replicas is not None:
        return f"deployments, {replicas} healthy copies, answers of 5xx"
    if due is not None:
        return f"failures, done {due.deadline_minutes} min after {due.text} ({due.timezone})"
    return f"failures, with the pipeline {pipeline}" if pipeline else "failures"


def _alarms(target: Target, naming: Naming) -> list[Alarm]:
    pages = target.client("cloudwatch").get_paginator("describe_alarms").paginate(AlarmNamePrefix=f"{naming.prefix}-")
    return [
        Alarm(one["AlarmName"], one["StateValue"], one["StateUpdatedTimestamp"], one.get("AlarmDescription", ""))
        for page in pages
        for one in page["MetricAlarms"]
    ]


def _subscription(sns: Any, listed: Mapping[str, Any]) -> Subscription:
    if listed["SubscriptionArn"] == PENDING:
        return Subscription(listed["Endpoint"], None, {})
    attributes = sns.get_subscription_attributes(SubscriptionArn=listed["SubscriptionArn"])["Attributes"]
    pending = attributes.get("PendingConfirmation") == "true"
    policy = json.loads(attributes.get("FilterPolicy") or "{}")
    return Subscription(listed["Endpoint"], None if pending else listed["SubscriptionArn"], policy)


def _naming(target: Target) -> Naming:
    return Naming(target.require_exports().project, target.name)


def _topic(target: Target) -> str:
    exports = target.require_exports()
    partition = target.client("sns").meta.partition
    return f"arn:{partition}:sns:{exports.region}:{exports.account}:{_naming(target).messages}"
