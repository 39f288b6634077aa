"""What somebody added beside the declared resources: a rule of a security group, a policy of a role, a newer task
definition, a subscription. Pulumi refreshes what its state has, and would never see these.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from herd.drift.meaning import TaskMeaning, of_tasks
from herd.drift.risks import OPEN, widenings
from herd.engine.changes import short, type_and_name
from herd.review.iam_changes import widened
from herd.runs import runs
from herd.targets.target import Target


@dataclass(frozen=True)
class Undo:
    """The call that takes it away."""

    service: str
    operation: str
    arguments: Mapping[str, Any]


@dataclass(frozen=True)
class Added:
    """`beside`: the state's resource that it was added to; `what`: in words; `dangers`: why it endangers something;
    `undo`: none where AWS lets nobody remove it. `name`: of the thing itself, as CloudTrail may know it. `task`: what a
    newer task definition says.
    """

    beside: Mapping[str, Any]
    what: str
    dangers: tuple[str, ...]
    undo: tuple[Undo, ...]
    name: str
    task: TaskMeaning | None = None


@dataclass
class State:
    """The resources of Pulumi's state by type. `unseen`: what could not be looked at, and why."""

    target: Target
    by_type: dict[str, list[Mapping[str, Any]]] = field(default_factory=dict)
    unseen: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, target: Target, resources: Sequence[Mapping[str, Any]]) -> State:
        state = cls(target)
        for one in resources:
            if one.get("custom") and not one.get("delete"):
                state.by_type.setdefault(short(type_and_name(one["urn"])[0]), []).append(one)
        return state

    def all(self, *types: str) -> list[Mapping[str, Any]]:
        return [one for type_ in types for one in self.by_type.get(type_, ())]

    def inputs(self, *types: str) -> list[Mapping[str, Any]]:
        return [one.get("inputs") or {} for one in self.all(*types)]

    def pages(self, service: str, operation: str, member: str, **arguments: Any) -> list[Any]:
        pages = self.target.client(service).get_paginator(operation).paginate(**arguments)
        return [entry for page in pages for entry in page.get(member) or ()]


Look = Callable[[State, Mapping[str, Any]], Iterator[Added]]


def _security_group(state: State, group: Mapping[str, Any]) -> Iterator[Added]:
    if any(group.get("inputs", {}).get(name) for name in ("ingress", "egress")):
        return  # its rules stand in it, and a refresh reads them
    known = {
        one["id"] for one in state.all("aws:vpc:SecurityGroupIngressRule", "aws:vpc:SecurityGroupEgressRule",
                                       "aws:ec2:SecurityGroupRule")
    }  # fmt: skip
    filters = [{"Name": "group-id", "Values": [group["id"]]}]
    for rule in state.pages("ec2", "describe_security_group_rules", "SecurityGroupRules", Filters=filters):
        if rule["SecurityGroupRuleId"] in known:
            continue
        way = "egress" if rule.get("IsEgress") else "ingress"
        who = rule.get("CidrIpv4") or rule.get("CidrIpv6") or rule.get("PrefixListId")
        who = who or (rule.get("ReferencedGroupInfo") or {}).get("GroupId") or "somebody"
        name, ports = group["inputs"].get("name", group["id"]), _ports(rule)
        what, why = (
            (f"{ports} from {who} is open in the security group {name}", OPEN) if way == "ingress"
            else (f"{ports} to {who} is open in the security group {name}", "what runs reaches more than was reviewed")
        )  # fmt: skip
        if who in ("0.0.0.0/0", "::/0") and way == "ingress":
            why = f"{ports} open to every address"
        undo = {"GroupId": group["id"], "SecurityGroupRuleIds": [rule["SecurityGroupRuleId"]]}
        yield Added(group, what, (why,), (Undo("ec2", f"revoke_security_group_{way}", undo),), group["id"])


def _ports(rule: Mapping[str, Any]) -> str:
    first, last = rule.get("FromPort", -1), rule.get("ToPort", -1)
    if rule.get("IpProtocol") in ("-1", "all") or first in (None, -1):
        return "every port"
    return f"port {first}" if first == last else f"ports {first} to {last}"


def _role(state: State, role: Mapping[str, Any]) -> Iterator[Added]:
    name = str(role["inputs"].get("name") or role["id"])
    own = {one["name"] for one in state.inputs("aws:iam:RolePolicy") if one.get("role") in (name, role["id"])}
    own |= {policy.get("name") for policy in role["inputs"].get("inlinePolicies") or ()}
    iam = state.target.client("iam")
    for policy in state.pages("iam", "list_role_policies", "PolicyNames", RoleName=name):
        if policy not in own:
            key = {"RoleName": name, "PolicyName": policy}
            document = iam.get_role_policy(**key)["PolicyDocument"]
            new = widened(None, document)
            dangers = widenings(tuple(new) if new is not None else None)
            what = f"the role {name} has a further policy, {policy}"
            yield Added(role, what, tuple(dangers), (Undo("iam", "delete_role_policy", key),), name)
    attached = {
        one["policyArn"]
        for one in state.inputs("aws:iam:RolePolicyAttachment")
        if one.get("role") in (name, role["id"])
    } | set(role["inputs"].get("managedPolicyArns") or ())
    for policy in state.pages("iam", "list_attached_role_policies", "AttachedPolicies", RoleName=name):
        if (arn := policy["PolicyArn"]) not in attached:
            key = {"RoleName": name, "PolicyArn": arn}
            what = f"the policy {arn} is attached to the role {name}"
            yield Added(role, what, (f"newly allowed: all of {arn}",), (Undo("iam", "detach_role_policy", key),), name)


def _task_definition(state: State, definition: Mapping[str, Any]) -> Iterator[Added]:
    ecs, family = state.target.client("ecs"), definition["inputs"]["family"]
    latest = ecs.describe_task_definition(taskDefinition=family)["taskDefinition"]
    arn = latest["taskDefinitionArn"]
    mine = str(definition.get("outputs", {}).get("arn") or "")
    if arn == mine or revision(arn) < revision(mine):
        return  # one that was deregistered is seen by the refresh
    before = ecs.describe_task_definition(taskDefinition=mine)["taskDefinition"]
    newer = state.pages("ecs", "list_task_definitions", "taskDefinitionArns", familyPrefix=family, sort="DESC")
    undo = tuple(
        Undo("ecs", "deregister_task_definition", {"taskDefinition": one})
        for one in newer
        if _family(one) == _family(arn) and revision(one) > revision(mine)
    )
    what = f"the task definition {arn.rpartition('/')[2]} was registered by hand, and is what runs next"
    yield Added(definition, what, (), undo, arn, of_tasks(before, latest))


def _family(arn: str) -> str:
    return arn.rpartition(":")[0]


def revision(arn: str) -> int:
    """The number of a task definition; 0 for something else."""
    number = arn.rpartition(":")[2]
    return int(number) if number.isdigit() else 0


def _topic(state: State, topic: Mapping[str, Any]) -> Iterator[Added]:
    own = {
        (one.get("protocol"), one.get("endpoint"))
        for one in state.inputs("aws:sns:TopicSubscription") if one.get("topic") == topic["id"]
    }  # fmt: skip
    name = topic["id"].rpartition(":")[2]
    for one in state.pages("sns", "list_subscriptions_by_topic", "Subscriptions", TopicArn=topic["id"]):
        if (one["Protocol"], one["Endpoint"]) in own:
            continue
        confirmed = one["SubscriptionArn"].startswith("arn:")
        undo = (Undo("sns", "unsubscribe", {"SubscriptionArn": one["SubscriptionArn"]}),) if confirmed else ()
        what = f"{one['Endpoint']} is subscribed to the topic {name}" + ("" if confirmed else ", and not confirmed yet")
        yield Added(topic, what, ("somebody else reads what is told of this environment",), undo, topic["id"])


def _event_rule(state: State, rule: Mapping[str, Any]) -> Iterator[Added]:
    name = rule["inputs"].get("name") or rule["id"]
    own = {one.get("targetId") for one in state.inputs("aws:cloudwatch:EventTarget") if one.get("rule") == name}
    for one in state.target.client("events").list_targets_by_rule(Rule=name).get("Targets") or ():
        if one["Id"] not in own:
            undo = (Undo("events", "remove_targets", {"Rule": name, "Ids": [one["Id"]]}),)
            what = f"the rule {name} also starts {one['Arn']}"
            yield Added(rule, what, ("events of this environment go elsewhere too",), undo, name)


def _listener(state: State, listener: Mapping[str, Any]) -> Iterator[Added]:
    own = {one["id"] for one in state.all("aws:lb:ListenerRule")}
    for one in state.pages("elbv2", "describe_rules", "Rules", ListenerArn=listener["id"]):
        if one.get("IsDefault") or one["RuleArn"] in own:
            continue
        values = [value for condition in one.get("Conditions") or () for value in _values(condition)]
        what = f"a further rule of the load balancer's listener is for {', '.join(values) or 'every request'}"
        undo = (Undo("elbv2", "delete_rule", {"RuleArn": one["RuleArn"]}),)
        yield Added(listener, what, ("requests go elsewhere than was reviewed",), undo, listener["id"])


def _values(condition: Mapping[str, Any]) -> list[str]:
    nested = [value.get("Values") or () for value in condition.values() if isinstance(value, Mapping)]
    return [str(value) for values in (condition.get("Values") or (), *nested) for value in values][:5]


def _schedule_group(state: State, group: Mapping[str, Any]) -> Iterator[Added]:
    name = group["inputs"].get("name") or group["id"]
    own = {one.get("name") for one in state.inputs("aws:scheduler:Schedule")}
    for one in state.pages("scheduler", "list_schedules", "Schedules", GroupName=name):
        if one["Name"] not in own:
            key = {"Name": one["Name"], "GroupName": name}
            starts = one.get("Target", {}).get("Arn", "something")
            what = f"a further schedule, {one['Name']}, starts {starts}"
            undo = (Undo("scheduler", "delete_schedule", key),)
            yield Added(group, what, ("something runs that no file has, and nobody watches it",), undo, one["Name"])


def _bucket(state: State, bucket: Mapping[str, Any]) -> Iterator[Added]:
    """A policy, or a website, where none is declared."""
    from botocore.exceptions import ClientError

    name = bucket["id"]
    if any(one.get("bucket") == name for one in state.inputs("aws:s3:BucketPolicy")):
        return
    try:
        policy = state.target.client("s3").get_bucket_policy(Bucket=name)["Policy"]
    except ClientError as error:
        if error.response["Error"]["Code"] == "NoSuchBucketPolicy":
            return
        raise
    new = widened(None, policy)
    dangers = tuple(widenings(tuple(new) if new is not None else None))
    undo = (Undo("s3", "delete_bucket_policy", {"Bucket": name}),)
    yield Added(bucket, f"the bucket {name} has a policy", dangers, undo, name)


def _function(state: State, function: Mapping[str, Any]) -> Iterator[Added]:
    from botocore.exceptions import ClientError

    name = function["inputs"].get("name") or function["id"]
    own = {one.get("statementId") for one in state.inputs("aws:lambda:Permission")}
    client = state.target.client("lambda")
    try:
        policy = json.loads(client.get_policy(FunctionName=name)["Policy"])
    except ClientError as error:
        if error.response["Error"]["Code"] == "ResourceNotFoundException":
            return
        raise
    for statement in policy.get("Statement") or ():
        if (sid := statement.get("Sid")) not in own:
            who = statement.get("Principal")
            named = ", ".join(map(str, who.values())) if isinstance(who, Mapping) else str(who)
            undo = (Undo("lambda", "remove_permission", {"FunctionName": name, "StatementId": sid}),)
            what = f"{named} may call the function {name} (statement {sid})"
            yield Added(function, what, ("others start it, or tell it what never happened",), undo, name)


def _route_table(state: State, table: Mapping[str, Any]) -> Iterator[Added]:
    if table["inputs"].get("routes"):
        return  # its routes stand in it, and a refresh reads them
    own = {
        one.get("destinationCidrBlock") or one.get("destinationIpv6CidrBlock") or one.get("destinationPrefixListId")
        for one in state.inputs("aws:ec2:Route") if one.get("routeTableId") == table["id"]
    }  # fmt: skip
    described = state.pages("ec2", "describe_route_tables", "RouteTables", RouteTableIds=[table["id"]])
    for route in (route for one in described for route in one.get("Routes") or ()):
        keys = ("DestinationCidrBlock", "DestinationIpv6CidrBlock", "DestinationPrefixListId")
        key = next((name for name in keys if route.get(name)), None)
        through = next((route[k] for k in ("GatewayId", "NatGatewayId", "NetworkInterfaceId", "TransitGatewayId",
                                           "VpcPeeringConnectionId", "InstanceId") if route.get(k)), "")  # fmt: skip
        # The network's own route, and those of gateway endpoints, are AWS's.
        if key is None or route[key] in own or through == "local" or str(through).startswith("vpce-"):
            continue
        undo = (Undo("ec2", "delete_route", {"RouteTableId": table["id"], key: route[key]}),)
        what = f"a further route leads to {route[key]} through {through or 'something'}"
        yield Added(table, what, ("what runs reaches more than was reviewed, or is reached",), undo, table["id"])


LOOKS: Mapping[str, Look] = {
    "aws:ec2:SecurityGroup": _security_group,
    "aws:iam:Role": _role,
    "aws:ecs:TaskDefinition": _task_definition,
    "aws:sns:Topic": _topic,
    "aws:cloudwatch:EventRule": _event_rule,
    "aws:lb:Listener": _listener,
    "aws:scheduler:ScheduleGroup": _schedule_group,
    "aws:s3:Bucket": _bucket,
    "aws:lambda:Function": _function,
    "aws:ec2:RouteTable": _route_table,
}
"""Type of resource -> what may be added to one."""


def added(state: State) -> list[Added]:
    """Everything that was added, in the order of the types and of the state. What may not be looked at is `unseen`."""
    from botocore.exceptions import BotoCoreError, ClientError

    def look(entry: tuple[str, Mapping[str, Any]]) -> list[Added]:
        type_, resource = entry
        try:
            return list(LOOKS[type_](state, resource))
        except (ClientError, BotoCoreError) as error:
            code = error.response["Error"]["Code"] if isinstance(error, ClientError) else ""
            # One that is gone is seen by the refresh.
            if not any(word in code for word in ("NotFound", "NoSuch", "NonExistent", "DoesNotExist")):
                state.unseen[type_] = str(error)
            return []

    places = [(type_, resource) for type_ in LOOKS for resource in state.all(type_)]
    return [one for several in runs.in_parallel(look, places) for one in several]
