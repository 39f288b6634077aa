"""What a request to a service other than S3 asks for: actions, resources, and the condition keys that go with them.

`RESOURCES` has a function for each service that finds the resources in the parameters; `ALSO` has what an action needs
besides itself, such as `iam:PassRole`. A service that is not there asks for `<service>:<Action>` on the ARN found in
its parameters, or on `*`. Source: service authorization reference.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from localcloud import backends
from localcloud.mail import outgoing
from localcloud.request import Arguments, Call
from localcloud.request.access import Access, Value

PREFIXES = {"monitoring": "cloudwatch", "email": "ses", "tagging": "tag"}
"""Service as a signature names it -> as actions do, where they differ."""

NAMED_OTHERWISE = {
    "cloudfront:CreateDistributionWithTags": "cloudfront:CreateDistribution",
    "lambda:Invoke": "lambda:InvokeFunction",
    "sns:PublishBatch": "sns:Publish",
    "sqs:ChangeMessageVisibilityBatch": "sqs:ChangeMessageVisibility",
    "sqs:DeleteMessageBatch": "sqs:DeleteMessage",
    "sqs:SendMessageBatch": "sqs:SendMessage",
}
"""Operation -> the action that it needs, where IAM calls it otherwise."""

FREE = {"sts:GetCallerIdentity", "sts:GetSessionToken", "sts:AssumeRoleWithWebIdentity"}
"""Needs no permission: the last is decided by the role's trust policy alone."""


@dataclass(frozen=True)
class Ask:
    """A call as the functions below look at it."""

    call: Call

    @property
    def service(self) -> str:
        return self.call.service

    @property
    def arguments(self) -> Arguments:
        return self.call.arguments

    @property
    def action(self) -> str:
        """The operation's name; of one that nobody knows, its method and path."""
        call = self.call
        return call.operation or f"{call.method.title()}{urlsplit(call.url).path.title().replace('/', '')}"

    def text(self, *names: str) -> str:
        """The first of these parameters that is there; "" if none is."""
        return next((str(self.arguments[name]) for name in names if self.arguments.get(name)), "")

    def many(self, *names: str) -> list[str]:
        """The values of these parameters, each a text or a list of texts."""
        values: list[str] = []
        for name in names:
            value = self.arguments.get(name)
            values += [str(one) for one in value] if isinstance(value, list) else [str(value)] if value else []
        return values

    def arn(self, resource: str, service: str = "") -> str:
        return f"arn:aws:{service or self.service}:{self.call.region}:{self.call.account}:{resource}"

    def own(self, text: str, kind: str) -> str:
        """A parameter that is an ARN already, or the name of a thing of that kind."""
        return text if text.startswith("arn:") else self.arn(f"{kind}{text}")


def accesses(call: Call) -> Iterator[Access]:
    """What the request needs, all of it; nothing for what everyone may."""
    ask = Ask(call)
    name = f"{PREFIXES.get(call.service, call.service)}:{ask.action}"
    name = NAMED_OTHERWISE.get(name, name)
    if name == "ses:SendEmail" and "Raw" in (ask.arguments.get("Content") or {}):
        name = "ses:SendRawEmail"  # whatever version of the API sends it
    if name in FREE:
        return
    context = dict(_tags(ask))
    resources, more = RESOURCES.get(call.service, _unknown)(ask)
    for resource in resources or ["*"]:
        yield Access(name, resource, {**context, **more}, _NARROW.get(name, _nothing)(more))
    for also in ALSO.get(name, ()):
        yield from also(ask)


ResourcesAndKeys = tuple[list[str], Mapping[str, Value]]
"""Resources (none: `*`) and condition keys."""


def _unknown(ask: Ask) -> ResourcesAndKeys:
    values = _texts(ask.arguments) if ask.call.protocol in ("query", "ec2") else ask.arguments.values()
    return [v for v in values if isinstance(v, str) and v.startswith(f"arn:aws:{ask.service}:")], {}


def _texts(value: Any) -> Iterator[Any]:
    """What stands in arguments, at any depth."""
    if isinstance(value, Mapping | list):
        for each in value.values() if isinstance(value, Mapping) else value:
            yield from _texts(each)
    else:
        yield value


def _tags(ask: Ask) -> Iterator[tuple[str, Value]]:
    raw = ask.arguments.get("tags") or ask.arguments.get("Tags") or {}
    if isinstance(raw, list):
        pairs = [(str(t.get("key") or t.get("Key")), str(t.get("value") or t.get("Value") or "")) for t in raw]
    elif isinstance(raw, dict):
        pairs = [(str(key), str(value)) for key, value in raw.items()]
    else:
        pairs = []
    for key, value in pairs:
        yield f"aws:requesttag/{key.lower()}", value
    if pairs:
        yield "aws:tagkeys", [key for key, _ in pairs]


# --- ECS -------------------------------------------------------------------------------------------------------------


def _cluster_name(ask: Ask) -> str:
    return (ask.text("cluster") or "default").rsplit("/", 1)[-1]


def _ecs(ask: Ask) -> ResourcesAndKeys:
    cluster = _cluster_name(ask)
    within = {"ecs:cluster": ask.arn(f"cluster/{cluster}")}
    match ask.action:
        case "RunTask" | "StartTask":
            return [_definition_arn(ask)], within
        case "StopTask" | "DescribeTasks" | "ExecuteCommand" | "UpdateTaskProtection" | "GetTaskProtection":
            return [ask.own(t.rsplit("/", 1)[-1], f"task/{cluster}/") for t in ask.many("task", "tasks")], within
        case "CreateService" | "UpdateService" | "DeleteService" | "DescribeServices":
            names = [name.rsplit("/", 1)[-1] for name in ask.many("service", "serviceName", "services")]
            return [ask.arn(f"service/{cluster}/{name}") for name in names], within
        case "RegisterTaskDefinition":
            return [ask.arn(f"task-definition/{ask.text('family')}:*")], {}
        case "CreateCluster" | "DeleteCluster" | "UpdateCluster" | "PutClusterCapacityProviders" | "DescribeClusters":
            names = ask.many("cluster", "clusterName", "clusters") or ["default"]
            return [ask.own(name, "cluster/") for name in names], {}
        case "TagResource" | "UntagResource" | "ListTagsForResource":
            return ask.many("resourceArn"), {}
        case "ListTasks" | "ListServices" | "ListContainerInstances":
            return [], within
    return [], {}  # DescribeTaskDefinition and the like know no resources


def _definition(ask: Ask) -> Any | None:
    """The task definition that is to run, or None if there is none: then ECS will say so."""
    return backends.task_definition(ask.call.account, ask.call.region, ask.text("taskDefinition"))


def _definition_arn(ask: Ask) -> str:
    # Without a revision the latest is meant, and it is what is authorised (ECS, 2024-03-21).
    definition = _definition(ask)
    return str(definition.arn) if definition is not None else ask.own(ask.text("taskDefinition"), "task-definition/")


def _pass_task_roles(ask: Ask) -> Iterator[Access]:
    definition, overrides = _definition(ask), ask.arguments.get("overrides") or {}
    for override, kept in (("taskRoleArn", "task_role_arn"), ("executionRoleArn", "execution_role_arn")):
        role = overrides.get(override) or getattr(definition, kept, None)
        if role:
            yield pass_role(role, "ecs-tasks.amazonaws.com", ask)


def _pass_defined_roles(ask: Ask) -> Iterator[Access]:
    for name in ("taskRoleArn", "executionRoleArn"):
        if role := ask.text(name):
            yield pass_role(role, "ecs-tasks.amazonaws.com", ask)


def _tag_on_creation(kind: str) -> Callable[[Ask], Iterator[Access]]:
    def also(ask: Ask) -> Iterator[Access]:
        # With `propagateTags` too ("Grant permission to tag resources on creation", ECS developer guide).
        if ask.arguments.get("tags") or (kind == "task" and ask.text("propagateTags") not in ("", "NONE")):
            context = {**dict(_tags(ask)), "ecs:createaction": ask.action}
            yield Access("ecs:TagResource", ask.arn(f"{kind}/{_cluster_name(ask)}/*"), context)

    return also


def pass_role(role: str, service: str, ask: Ask) -> Access:
    """Handing a role to a service. `role` is an ARN or a name."""
    arn = role if role.startswith("arn:") else f"arn:aws:iam::{ask.call.account}:role/{role}"
    condition = {"StringEquals": {"iam:PassedToService": service}}
    return Access("iam:PassRole", arn, {"iam:passedtoservice": service}, condition)


def _passing(service: str, *path: str) -> Callable[[Ask], Iterator[Access]]:
    def also(ask: Ask) -> Iterator[Access]:
        value: Any = ask.arguments
        for name in path:
            value = value.get(name) if isinstance(value, dict) else None
        if value:
            yield pass_role(str(value), service, ask)

    return also


def _pass_target_roles(ask: Ask) -> Iterator[Access]:
    for target in ask.arguments.get("Targets") or []:
        if role := target.get("RoleArn"):
            yield pass_role(role, "events.amazonaws.com", ask)


# --- the others ------------------------------------------------------------------------------------------------------


def _states(ask: Ask) -> ResourcesAndKeys:
    if ask.action in ("CreateStateMachine", "CreateActivity"):
        kind = "stateMachine" if ask.action == "CreateStateMachine" else "activity"
        return [ask.arn(f"{kind}:{ask.text('name')}")], {}
    if ask.action == "ValidateStateMachineDefinition":
        return [ask.arn("stateMachine:*")], {}
    arn = ask.text("stateMachineArn", "executionArn", "activityArn", "mapRunArn", "resourceArn")
    machine = arn.split(":")
    if len(machine) == 8 and machine[5] == "stateMachine":  # an alias or version; the machine is what is authorised
        return [":".join(machine[:7])], {"states:statemachinequalifier": machine[7]}
    return [arn] if arn else [], {}


def _logs(ask: Ask) -> ResourcesAndKeys:
    named = ask.many("logGroupName", "logGroupIdentifier", "resourceArn", "logGroupNames", "logGroupIdentifiers")
    groups = [name.split(":log-group:")[-1].removesuffix(":*") for name in named]
    if ask.action in ("DescribeLogGroups", "DescribeQueries", "GetQueryResults", "StopQuery"):
        return [ask.arn("log-group::log-stream:")], {}
    of_stream = ask.action in ("CreateLogStream", "DeleteLogStream", "PutLogEvents", "GetLogEvents")
    stream = ask.text("logStreamName") if of_stream else ""
    return [ask.arn(f"log-group:{group}:log-stream:{stream}") for group in groups], {}


def _secrets(ask: Ask) -> ResourcesAndKeys:
    if ask.action in ("CreateSecret", "GetRandomPassword", "ListSecrets", "BatchGetSecretValue"):
        name = ask.text("Name") if ask.action == "CreateSecret" else ""
        return [ask.arn(f"secret:{name}-AAAAAA")] if name else [], {"secretsmanager:name": name} if name else {}
    return [secret_arn(ask, ask.text("SecretId"))], {}


def secret_arn(ask: Ask, identifier: str) -> str:
    """The whole ARN of a secret named by that, by a part of it, or by name; what does not exist keeps what it had."""
    secret = backends.secret(ask.call.account, ask.call.region, identifier)
    return str(secret.arn) if secret is not None else ask.own(identifier, "secret:")


def _secrets_of_batch(ask: Ask) -> Iterator[Access]:
    for identifier in ask.many("SecretIdList"):
        yield Access("secretsmanager:GetSecretValue", secret_arn(ask, identifier))


def _ssm(ask: Ask) -> ResourcesAndKeys:
    if "Parameter" not in ask.action:
        return _unknown(ask)
    if ask.action == "DescribeParameters":
        return [], {}
    names = ask.many("Name", "Names", "Path")
    return [n if n.startswith("arn:") else ask.arn(f"parameter/{n.removeprefix('/')}") for n in names], {}


def _sqs(ask: Ask) -> ResourcesAndKeys:
    address = ask.text("QueueUrl", "QueueName").rsplit("/", 1)[-1]  # as moto reads it (sqs/responses.py:46)
    return [ask.arn(address)] if address else ask.many("SourceArn", "DestinationArn"), {}


def _sns(ask: Ask) -> ResourcesAndKeys:
    if ask.action == "CreateTopic":
        return [ask.arn(ask.text("Name"))], {}
    arns = ask.many("TopicArn", "TargetArn", "SubscriptionArn", "ResourceArn")
    context: dict[str, Value] = {}
    if ask.action == "Subscribe":
        context = {"sns:protocol": ask.text("Protocol"), "sns:endpoint": ask.text("Endpoint")}
    return [":".join(arn.split(":")[:6]) for arn in arns], context


def _ses(ask: Ask) -> ResourcesAndKeys:
    if ask.action in ("SendEmail", "SendRawEmail"):
        envelope = outgoing.envelope(ask.arguments)
        context: dict[str, Value] = {"ses:fromaddress": envelope.sender, "ses:recipients": list(envelope.recipients)}
        if envelope.name:
            context["ses:fromdisplayname"] = envelope.name
        if feedback := ask.text("FeedbackForwardingEmailAddress", "ReturnPath"):
            context["ses:feedbackaddress"] = feedback
        known = backends.ses(ask.call.account, ask.call.region).email_identities
        domain = envelope.sender.rpartition("@")[2].lower()
        identity = domain if envelope.sender not in known and domain in known else envelope.sender
        return [ask.arn(f"identity/{identity}", "ses")], context
    if ask.text("ResourceArn"):
        return ask.many("ResourceArn"), {}
    identities = ask.many("EmailIdentity", "Identity", "EmailAddress", "Identities")
    return [ask.arn(f"identity/{identity}", "ses") for identity in identities], {}


def _kms(ask: Ask) -> ResourcesAndKeys:
    identifiers = ask.many("KeyId", "TargetKeyId")
    if ask.action == "Decrypt":  # whatever key is named, it is the one that it was encrypted with
        identifiers = [backends.key_of_ciphertext(ask.arguments.get("CiphertextBlob") or b"")] + identifiers
    context: dict[str, Value] = {
        f"kms:encryptioncontext:{name.lower()}": str(value)
        for name, value in (ask.arguments.get("EncryptionContext") or {}).items()
    }
    keys = [backends.key(ask.call.account, ask.call.region, one) for one in identifiers if one]
    aliases = [alias for key in keys if key is not None for alias in key.aliases]
    if aliases:
        context["kms:resourcealiases"] = aliases
    return [key_arn(ask, identifier) for identifier in dict.fromkeys(identifiers) if identifier], context


def key_arn(ask: Ask, identifier: str) -> str:
    """The ARN of a key named by id, alias or ARN."""
    key = backends.key(ask.call.account, ask.call.region, identifier)
    return str(key.arn) if key is not None else ask.own(identifier, "key/")


def _dynamodb(ask: Ask) -> ResourcesAndKeys:
    tables = [*ask.many("TableName"), *(ask.arguments.get("RequestItems") or {})]
    for item in ask.arguments.get("TransactItems") or []:
        tables += [entry["TableName"] for entry in item.values() if "TableName" in entry]
    index = f"/index/{ask.text('IndexName')}" if ask.text("IndexName") else ""
    return [ask.own(table, "table/") + index for table in dict.fromkeys(tables)], {}


def _rds(ask: Ask) -> ResourcesAndKeys:
    """What it names, and on creation the group of subnets too."""
    names = {"db": "DBInstanceIdentifier", "subgrp": "DBSubnetGroupName", "pg": "DBParameterGroupName"}
    named = [ask.arn(f"{kind}:{ask.text(name)}") for kind, name in names.items() if ask.text(name)]
    return [*named, *ask.many("ResourceName")], {}


def _events(ask: Ask) -> ResourcesAndKeys:
    if ask.action == "PutEvents":
        buses = [entry.get("EventBusName") or "default" for entry in ask.arguments.get("Entries") or []]
        return [ask.own(bus, "event-bus/") for bus in dict.fromkeys(buses)], {}
    bus = ask.text("EventBusName").rsplit("/", 1)[-1]
    rule = ask.text("Rule") if "Target" in ask.action else ask.text("Name") if "Rule" in ask.action else ""
    if rule:
        return [ask.arn(f"rule/{rule}" if bus in ("", "default") else f"rule/{bus}/{rule}")], {}
    name = ask.text("Name")
    return [ask.own(name, "event-bus/")] if name else ask.many("ResourceARN"), {}


def _scheduler(ask: Ask) -> ResourcesAndKeys:
    name = ask.text("Name")
    if "ScheduleGroup" in ask.action:
        return [ask.arn(f"schedule-group/{name}")] if name else [], {}
    group = ask.text("GroupName") or "default"
    return [ask.arn(f"schedule/{group}/{name}")] if name else ask.many("ResourceArn"), {}


def _codebuild(ask: Ask) -> ResourcesAndKeys:
    """Builds are checked on their project. Source: service authorization reference."""
    names = [name.rpartition(":project/")[2] for name in ask.many("projectName", "name", "names")]
    ids = [identifier.rpartition(":build/")[2].partition(":")[0] for identifier in ask.many("id", "ids")]
    return [ask.arn(f"project/{name}") for name in (*names, *ids)], {}


def _iam(ask: Ask) -> ResourcesAndKeys:
    """IAM has no regions, paths are part of its ARNs, and the action tells which parameter it is about."""
    whole, path = f"arn:aws:iam::{ask.call.account}:", ask.text("Path") or "/"
    kind, parameter = next(((kind, parameter) for word, kind, parameter in _IAM_KINDS if word in ask.action), ("", ""))
    name = ask.text(parameter)
    if not name:
        return [], {}
    if kind == "role":
        return _iam_role(ask, name, whole, path)
    if kind == "policy" and ask.action != "CreatePolicy" or kind == "oidc-provider":
        return [name], {}
    return [f"{whole}{kind}{path}{name}"], {}


_IAM_KINDS = (
    ("InstanceProfile", "instance-profile", "InstanceProfileName"),
    ("Role", "role", "RoleName"),  # also AttachRolePolicy, UpdateAssumeRolePolicy …
    ("User", "user", "UserName"),
    ("OpenIDConnect", "oidc-provider", "OpenIDConnectProviderArn"),
    ("CreatePolicyVersion", "policy", "PolicyArn"),
    ("CreatePolicy", "policy", "PolicyName"),
    ("Polic", "policy", "PolicyArn"),
)
"""Word in an action's name -> what it is about, and the parameter that names it."""


def _iam_role(ask: Ask, name: str, whole: str, path: str) -> ResourcesAndKeys:
    role = backends.role(ask.call.account, name)
    context: dict[str, Value] = {}
    if policy := ask.text("PolicyArn"):
        context["iam:policyarn"] = policy
    boundary = ask.text("PermissionsBoundary") or getattr(role, "permissions_boundary_arn", None)
    if boundary:
        context["iam:permissionsboundary"] = str(boundary)
    return [role.arn if role is not None else f"{whole}role{path}{name}"], context


def _lambda(ask: Ask) -> ResourcesAndKeys:
    name = ask.text("FunctionName")
    context: dict[str, Value] = {}
    if name:
        function = ask.arn(f"function:{name.partition('function:')[2] or name}")
        qualifier = ask.text("Qualifier")
        if qualifier and function.count(":") == 6:
            function += f":{qualifier}"
        context["lambda:functionarn"] = function
    if ask.action == "AddPermission":
        context["lambda:principal"] = ask.text("Principal")
    if "EventSourceMapping" in ask.action:
        if ask.action == "ListEventSourceMappings":
            return [], context
        return [ask.arn(f"event-source-mapping:{ask.text('UUID') or '*'}")], context
    if name and ask.action != "ListFunctions":
        return [function], context
    if layer := ask.text("LayerName"):
        return [ask.own(layer, "layer:")], {}
    return ask.many("Resource"), {}


def _sts(ask: Ask) -> ResourcesAndKeys:
    return ask.many("RoleArn"), {"sts:rolesessionname": ask.text("RoleSessionName")}


def _ecr(ask: Ask) -> ResourcesAndKeys:
    return [ask.arn(f"repository/{name}") for name in ask.many("repositoryName", "repositoryNames")], {}


def _cloudwatch(ask: Ask) -> ResourcesAndKeys:
    if ask.action == "PutMetricData":
        return [], {"cloudwatch:namespace": ask.text("Namespace")}
    return [ask.arn(f"alarm:{name}", "cloudwatch") for name in ask.many("AlarmName", "AlarmNames")], {}


RESOURCES: Mapping[str, Callable[[Ask], ResourcesAndKeys]] = {
    "codebuild": _codebuild,
    "dynamodb": _dynamodb,
    "ecr": _ecr,
    "ecs": _ecs,
    "events": _events,
    "iam": _iam,
    "kms": _kms,
    "lambda": _lambda,
    "logs": _logs,
    "monitoring": _cloudwatch,
    "rds": _rds,
    "scheduler": _scheduler,
    "secretsmanager": _secrets,
    "email": _ses,
    "ses": _ses,
    "sns": _sns,
    "sqs": _sqs,
    "ssm": _ssm,
    "states": _states,
    "sts": _sts,
}

ALSO: Mapping[str, tuple[Callable[[Ask], Iterator[Access]], ...]] = {
    "ecs:RunTask": (_pass_task_roles, _tag_on_creation("task")),
    "ecs:StartTask": (_pass_task_roles, _tag_on_creation("task")),
    "ecs:RegisterTaskDefinition": (_pass_defined_roles,),
    "ecs:CreateService": (_tag_on_creation("service"),),
    "codebuild:CreateProject": (_passing("codebuild.amazonaws.com", "serviceRole"),),
    "codebuild:UpdateProject": (_passing("codebuild.amazonaws.com", "serviceRole"),),
    "events:PutTargets": (_pass_target_roles,),
    "lambda:CreateFunction": (_passing("lambda.amazonaws.com", "Role"),),
    "lambda:UpdateFunctionConfiguration": (_passing("lambda.amazonaws.com", "Role"),),
    "scheduler:CreateSchedule": (_passing("scheduler.amazonaws.com", "Target", "RoleArn"),),
    "scheduler:UpdateSchedule": (_passing("scheduler.amazonaws.com", "Target", "RoleArn"),),
    "secretsmanager:BatchGetSecretValue": (_secrets_of_batch,),
    "states:CreateStateMachine": (_passing("states.amazonaws.com", "roleArn"),),
    "states:UpdateStateMachine": (_passing("states.amazonaws.com", "roleArn"),),
}
"""Action -> what it needs besides itself."""


def _nothing(_: Mapping[str, Value]) -> Mapping[str, Mapping[str, str]]:
    return {}


def _same(operator: str, key: str) -> Callable[[Mapping[str, Value]], Mapping[str, Mapping[str, str]]]:
    return lambda context: {operator: {key: str(context[key.lower()])}} if key.lower() in context else {}


_NARROW: Mapping[str, Callable[[Mapping[str, Value]], Mapping[str, Mapping[str, str]]]] = {
    "ecs:RunTask": _same("ArnEquals", "ecs:cluster"),
    "cloudwatch:PutMetricData": _same("StringEquals", "cloudwatch:namespace"),
}
"""Action -> the condition that the advice has."""
