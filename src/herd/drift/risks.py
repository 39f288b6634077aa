"""Which differences endanger something that no setting tells: an alarm that is silent, a protection that is off."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from herd.engine.plan import Step
from herd.review.exposure import LOST, exposed, permissions
from herd.review.iam_changes import Widening

UNHEARD = "nobody is told when something fails or does not happen"
OPEN = "others than the declared ones reach it"
RIGHTS = "the program has more rights on its machine than was reviewed"
UNREVIEWED = "what runs is not what the files say and was reviewed"

WIDENED = ("newly allowed", "no longer denied")
"""How lines about permissions begin."""

Weaker = Callable[[Any, Any], bool]


def _changed(old: Any, new: Any) -> bool:
    return True


def _to(*values: Any) -> Weaker:
    return lambda old, new: new in values


def _lower(old: Any, new: Any) -> bool:
    return isinstance(old, int | float) and isinstance(new, int | float) and new < old


def _lost(old: Any, new: Any) -> bool:
    return any(one not in (new or ()) for one in old or ())


def _off(old: Any, new: Any) -> bool:
    return not new


def _open_scan(old: Any, new: Any) -> bool:
    return not (new or {}).get("scanOnPush")


def _weaker_encryption(old: Any, new: Any) -> bool:
    def algorithm(rules: Any) -> str:
        first = (rules or [{}])[0].get("applyServerSideEncryptionByDefault") or {}
        return str(first.get("kmsMasterKeyId") or first.get("sseAlgorithm"))

    return algorithm(old) not in ("AES256", algorithm(new))


WEAKER: Mapping[tuple[str, str], tuple[Weaker, str]] = {
    ("aws:cloudwatch:MetricAlarm", "actionsEnabled"): (_to(False), UNHEARD),
    ("aws:cloudwatch:MetricAlarm", "alarmActions"): (_lost, UNHEARD),
    **{
        ("aws:cloudwatch:MetricAlarm", name): (_changed, "it warns at another moment than was agreed, or never")
        for name in (
            "threshold", "comparisonOperator", "evaluationPeriods", "datapointsToAlarm", "period", "statistic",
            "metricName", "namespace", "dimensions", "treatMissingData",
        )
    },
    ("aws:cloudwatch:EventRule", "state"): (_to("DISABLED"), UNHEARD),
    ("aws:cloudwatch:EventRule", "eventPattern"): (_changed, UNHEARD),
    ("aws:cloudwatch:EventRule", "scheduleExpression"): (_changed, UNHEARD),
    ("aws:cloudwatch:EventTarget", "arn"): (_changed, UNHEARD),
    ("aws:sns:TopicSubscription", "filterPolicy"): (_changed, "somebody hears less of failures, or what is for others"),
    ("aws:lambda:Function", "reservedConcurrentExecutions"): (_to(0), UNHEARD),
    ("aws:lambda:Function", "timeout"): (_lower, UNHEARD),
    ("aws:lambda:Function", "code"): (_changed, UNREVIEWED),
    ("aws:lambda:Function", "handler"): (_changed, UNHEARD),
    ("aws:lambda:Function", "environment"): (_changed, UNHEARD),
    ("aws:lambda:Function", "role"): (_changed, "it acts with other rights than were reviewed"),
    ("aws:s3:BucketVersioning", "versioningConfiguration"): (
        _changed, "what is overwritten or deleted cannot be had back",
    ),
    ("aws:s3:BucketServerSideEncryptionConfiguration", "rules"): (
        _weaker_encryption, "what is written from now on is encrypted otherwise, or not",
    ),
    ("aws:s3:BucketLifecycleConfiguration", "rules"): (_changed, "objects may be deleted sooner than agreed"),
    ("aws:s3:BucketOwnershipControls", "rule"): (_changed, "access lists may open single objects"),
    ("aws:ecr:Repository", "imageTagMutability"): (_changed, "another image can be put under a name that is in use"),
    ("aws:ecr:Repository", "imageScanningConfiguration"): (_open_scan, "weaknesses of new images are not found"),
    ("aws:ecr:LifecyclePolicy", "policy"): (_changed, "images that are in use may be deleted"),
    ("aws:kms:Key", "isEnabled"): (_to(False), "what it encrypts cannot be read"),
    ("aws:kms:Key", "enableKeyRotation"): (_off, "the key is never renewed"),
    ("aws:lb:LoadBalancer", "dropInvalidHeaderFields"): (_off, "malformed requests reach the services"),
    ("aws:lb:LoadBalancer", "desyncMitigationMode"): (_changed, "malformed requests reach the services"),
    ("aws:lb:LoadBalancer", "accessLogs"): (_changed, "nobody can tell later who read what"),
    ("aws:lb:LoadBalancer", "securityGroups"): (_changed, OPEN),
    ("aws:lb:Listener", "sslPolicy"): (_changed, "weaker encryption may be agreed on"),
    ("aws:lb:Listener", "protocol"): (_to("HTTP"), "addresses are not encrypted"),
    ("aws:lb:Listener", "defaultActions"): (_changed, "requests go elsewhere than was reviewed"),
    ("aws:lb:ListenerRule", "conditions"): (_changed, "requests of others reach it, or its own reach another"),
    ("aws:lb:ListenerRule", "actions"): (_changed, "requests go elsewhere than was reviewed, or nobody signs in"),
    ("aws:ecs:Service", "networkConfiguration"): (_changed, OPEN),
    ("aws:ecs:Service", "enableExecuteCommand"): (_to(True), "a shell can be opened in what runs"),
    ("aws:ecs:Service", "deploymentCircuitBreaker"): (_changed, "a deployment that fails does not go back by itself"),
    ("aws:scheduler:Schedule", "endDate"): (_off, "it goes on when nobody has looked it over"),
    ("aws:scheduler:Schedule", "target"): (_changed, "it starts something else, or with other rights"),
    ("aws:sfn:StateMachine", "definition"): (_changed, UNREVIEWED),
    ("aws:sfn:StateMachine", "roleArn"): (_changed, "it acts with other rights than were reviewed"),
    ("aws:sqs:Queue", "messageRetentionSeconds"): (_lower, "starts that were missed are forgotten sooner"),
    ("aws:sqs:Queue", "kmsMasterKeyId"): (_changed, "what is in it is encrypted otherwise, or not"),
    ("aws:sqs:Queue", "sqsManagedSseEnabled"): (_off, "what is in it is not encrypted"),
    ("aws:sns:Topic", "kmsMasterKeyId"): (_changed, "what is told is encrypted otherwise, or not"),
    ("aws:sns:Topic", "policy"): (_changed, "others may publish there, or the alarms may not"),
    ("aws:cloudwatch:LogGroup", "kmsKeyId"): (_changed, "what is logged is encrypted otherwise, or not"),
    **{
        ("aws:vpc:SecurityGroupIngressRule", name): (_changed, OPEN)
        for name in ("cidrIpv4", "cidrIpv6", "referencedSecurityGroupId", "prefixListId", "ipProtocol", "fromPort",
                     "toPort")
    },
    ("aws:ec2:DefaultSecurityGroup", "ingress"): (_changed, OPEN),
    ("aws:ec2:Subnet", "mapPublicIpOnLaunch"): (_to(True), "machines in it get public addresses"),
    ("aws:rds:Instance", "publiclyAccessible"): (_to(True), "the database has a public address"),
    ("aws:rds:Instance", "deletionProtection"): (_off, "the database may be deleted"),
    ("aws:rds:Instance", "backupRetentionPeriod"): (_lower, "older states of the database cannot be had back"),
    # Members of a container's definition.
    ("task", "image"): (_changed, UNREVIEWED),
    ("task", "user"): (_changed, RIGHTS),
    ("task", "privileged"): (_to(True), RIGHTS),
    ("task", "readonlyRootFilesystem"): (_off, RIGHTS),
    ("task", "linuxParameters"): (_changed, RIGHTS),
    ("task", "containers"): (_changed, UNREVIEWED),
    ("task", "command"): (_changed, UNREVIEWED),
    ("task", "entryPoint"): (_changed, UNREVIEWED),
    ("task", "taskRoleArn"): (_changed, "it acts with other rights than were reviewed"),
    ("task", "executionRoleArn"): (_changed, "it starts with other rights than were reviewed"),
    ("task", "logConfiguration"): (_changed, "what it prints goes elsewhere, or is lost"),
}  # fmt: skip
"""Type, property -> when its change is dangerous, and why. Beside it what is public, lost or permitted is looked at."""

DELETED: Mapping[str, str] = {
    "aws:cloudwatch:MetricAlarm": UNHEARD,
    "aws:cloudwatch:EventRule": UNHEARD,
    "aws:cloudwatch:EventTarget": UNHEARD,
    "aws:lambda:Function": UNHEARD,
    "aws:lambda:Permission": UNHEARD,
    "aws:sns:Topic": UNHEARD,
    "aws:sns:TopicSubscription": "somebody hears no more of failures",
    "aws:scheduler:Schedule": "it does not start by itself any more, and nothing is late",
    "aws:s3:BucketPublicAccessBlock": "the bucket may be made public",
    "aws:s3:BucketPolicy": "what it refused is allowed, plain HTTP among it",
    "aws:s3:BucketServerSideEncryptionConfiguration": "what is written from now on is encrypted otherwise",
    "aws:s3:BucketVersioning": "what is overwritten or deleted cannot be had back",
    "aws:s3:BucketOwnershipControls": "access lists may open single objects",
    "aws:s3:BucketLogging": "nobody can tell later who read what",
    "aws:ec2:FlowLog": "nobody can tell later what connected where",
    "aws:sqs:QueuePolicy": "others may send there, or its own may not",
    "aws:appautoscaling:Policy": "its copies do not follow the load",
    "aws:appautoscaling:Target": "its copies do not follow the load",
}
"""Type -> what endangers the environment when it is gone, beside what is lost with it (`exposure.LOST`)."""


def of_step(step: Step, name: str) -> list[str]:
    """Why the difference of one property is dangerous; empty where it is not."""
    weaker, why = WEAKER.get((step.type, name), (None, ""))
    return [why] if weaker is not None and weaker(step.old.get(name), step.new.get(name)) else []


def of_task(name: str, old: Any, new: Any) -> list[str]:
    """The same of a member of a task definition."""
    weaker, why = WEAKER.get(("task", name), (None, ""))
    return [why] if weaker is not None and weaker(old, new) else []


def of_all(step: Step, public_services: frozenset[str]) -> list[str]:
    """What a step opens, loses or permits, whatever its properties are called."""
    if step.operation == "delete":
        lost = LOST.get(step.type)
        return [*([DELETED[step.type]] if step.type in DELETED else []), *([f"lost with it: {lost}"] if lost else [])]
    opened = [text for _, text in exposed([step], public_services)]
    return [*opened, *(text for one in permissions([step]) for text in widenings(one.widenings))]


def widenings(widened: tuple[Widening, ...] | None) -> list[str]:
    """A line for each: `newly allowed: s3:* on *`."""
    if widened is None:
        return ["its permissions change, and cannot be compared"]
    return [_widening(one) for one in widened]


def _widening(one: Widening) -> str:
    actions = ", ".join(one.actions)
    on = f" on {', '.join(one.resources)}" if one.resources and one.resources != ("itself",) else ""
    who = f"{one.who} may " if one.who else ""
    condition = f" if {one.condition}" if one.condition else ""
    return f"{'no longer denied' if one.no_longer_denied else 'newly allowed'}: {who}{actions}{on}{condition}"
