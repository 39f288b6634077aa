"""For each rule what passes it and what breaks it: `(type, props)`, or a list of resources for rules about a stack.

A bad fixture is the good one with one thing wrong, so that the test shows what the rule looks at.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from herd.policy.model import Resource, Stack

PROD = Stack("prod", "herd", {"herd:profile": "prod"})
DEV = Stack("dev", "herd", {})
ARN = "arn:aws:iam::123456789012"


def change(value: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """The value with some keys set and (None) some left out."""
    return {key: item for key, item in {**value, **changes}.items() if item is not None}


CONTAINER: dict[str, Any] = {
    "name": "main",
    "image": f"registry.example/team@sha256:{'0' * 64}",
    "user": "10001:10001",
    "readonlyRootFilesystem": True,
    "linuxParameters": {"capabilities": {"drop": ["ALL"]}},
    "environment": [
        {"name": "HERD_TASK", "value": '{"schema":1,"image":"x@sha256:0011"}'},
        {"name": "MAX_TOKENS", "value": "200"},
        {"name": "API_KEY_FILE", "value": "/tmp/key"},
        {"name": "DATABASE_URL", "value": "postgresql://warehouse.example/flights"},
        {"name": "MODEL", "value": "gradient-boosting-with-early-stopping"},
        {"name": "COMMIT", "value": "3f786850e387550fdab836ed7e6dc881de23001b"},
    ],
    "logConfiguration": {"logDriver": "awslogs", "options": {"awslogs-group": "/herd-dev/train"}},
}
TASK: dict[str, Any] = {
    "family": "herd-dev-train",
    "networkMode": "awsvpc",
    "executionRoleArn": f"{ARN}:role/execution",
    "taskRoleArn": f"{ARN}:role/task",
}


def task(**container: Any) -> dict[str, Any]:
    return {**TASK, "containerDefinitions": json.dumps([change(CONTAINER, **container)])}


def variable(name: str, value: str) -> dict[str, Any]:
    return task(environment=[{"name": name, "value": value}])


def policy(action: Any, resource: Any = "arn:aws:s3:::herd-dev-data/x", /, **more: Any) -> dict[str, Any]:
    statement = {"Effect": "Allow", "Action": action, "Resource": resource, **more}
    return {"policy": json.dumps({"Version": "2012-10-17", "Statement": [statement]})}


def bucket_policy(*statements: dict[str, Any]) -> dict[str, Any]:
    return {"policy": json.dumps({"Version": "2012-10-17", "Statement": list(statements)})}


TLS_ONLY = {
    "Effect": "Deny",
    "Principal": "*",
    "Action": "s3:*",
    "Resource": "*",
    "Condition": {"Bool": {"aws:SecureTransport": "false"}},
}
PAGES = {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::r/*"}


def trust(principal: Any, conditions: dict[str, Any] | None = None) -> dict[str, Any]:
    statement = {"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"}
    if conditions:
        statement["Condition"] = conditions
    document = {"Version": "2012-10-17", "Statement": [statement]}
    return {"name": "r", "assumeRolePolicy": json.dumps(document)}


TASKS_SERVICE = {"Service": "ecs-tasks.amazonaws.com"}
OURS = {"StringEquals": {"aws:SourceAccount": "123456789012"}}
HOST = "token.actions.githubusercontent.com"
GITHUB = {"Federated": f"{ARN}:oidc-provider/{HOST}"}
AUDIENCE = {f"{HOST}:aud": "sts.amazonaws.com"}
SUBJECT = {f"{HOST}:sub": "repo:acme/flights:ref:refs/heads/main"}
GOOD_TRUST = trust(TASKS_SERVICE, OURS)

INGRESS = {"description": "callers", "ipProtocol": "tcp", "fromPort": 443.0, "toPort": 443.0, "cidrIpv4": "0.0.0.0/0"}
BALANCER = {
    "loadBalancerType": "application",
    "dropInvalidHeaderFields": True,
    "desyncMitigationMode": "strictest",
    "subnets": ["subnet-1", "subnet-2"],
}
TEMPLATE = {
    "metadataOptions": {"httpTokens": "required", "httpPutResponseHopLimit": 1.0},
    "blockDeviceMappings": [{"deviceName": "/dev/xvda", "ebs": {"encrypted": "true"}}],
}
BLOCK = {
    "blockPublicAcls": True,
    "ignorePublicAcls": True,
    "blockPublicPolicy": False,
    "restrictPublicBuckets": False,
}
REPOSITORY = {
    "name": "herd-dev/python",
    "imageTagMutability": "IMMUTABLE",
    "imageScanningConfiguration": {"scanOnPush": True},
}
RETRY = {
    "retryPolicy": {"maximumEventAgeInSeconds": 3600.0, "maximumRetryAttempts": 3.0},
    "deadLetterConfig": {"arn": "arn:aws:sqs:eu-west-1:123456789012:missed"},
}
SCHEDULE = {"scheduleExpressionTimezone": "UTC", "endDate": "2027-06-30T23:59:59Z", "target": RETRY}
ALARM = {"name": "herd-dev-api_copies", "alarmActions": ["arn:aws:sns:eu-west-1:1:t"], "treatMissingData": "breaching"}
HEARS = Resource(
    "aws:cloudwatch/eventRule:EventRule",
    "alarms",
    {
        "eventPattern": json.dumps(
            {"source": ["aws.cloudwatch"], "resources": [{"prefix": "arn:aws:cloudwatch:eu-west-1:1:alarm:herd-dev-"}]}
        )
    },
)
"""A rule that hands the alarms of an environment on."""


def alarm(**props: Any) -> Resource:
    return Resource("aws:cloudwatch/metricAlarm:MetricAlarm", "it", change(ALARM, **props))


TAGS = {"herd:environment": "dev"}
OWNED = {**TAGS, "herd:workload": "train", "herd:kind": "job", "herd:owner": "data@example.com"}
JOB = "urn:pulumi:dev::herd::herd:infra:Environment$herd:infra:Job::train"


def resource(type_: str, name: str = "it", parent: str = "", **props: Any) -> Resource:
    return Resource(type_, name, props, urn=f"urn:pulumi:dev::herd::{type_}::{name}", parent=parent)


COMPANIONS = [
    resource("aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock", bucket="b"),
    resource("aws:s3/bucketPolicy:BucketPolicy", bucket="b"),
    resource("aws:s3/bucketOwnershipControls:BucketOwnershipControls", bucket="b"),
    resource("aws:s3/bucketVersioning:BucketVersioning", bucket="b"),
    resource("aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration", bucket="b"),
    resource("aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration", bucket="b"),
]
BUCKET = resource("aws:s3/bucket:Bucket", bucket="b")
VPC = resource("aws:ec2/vpc:Vpc", id="vpc-1")
EMPTIED = resource("aws:ec2/defaultSecurityGroup:DefaultSecurityGroup", vpcId="vpc-1", ingress=[], egress=[])
LOG = resource("aws:cloudwatch/logGroup:LogGroup", name_="x")


@dataclass(frozen=True)
class Fixture:
    """What passes and what breaks a rule, the latter with a word that the finding must have in it."""

    good: list[Any]
    bad: dict[str, Any]
    stack: Stack = field(default=DEV)


RESOURCES: dict[str, Fixture] = {
    "tasks-not-privileged": Fixture([task()], {"container main is privileged": task(privileged=True)}),
    "tasks-own-namespaces": Fixture(
        [TASK], {"pidMode": change(TASK, pidMode="host"), "networkMode": change(TASK, networkMode="bridge")}
    ),
    "tasks-no-capabilities": Fixture(
        [task()],
        {
            "keeps capabilities": task(linuxParameters=None),
            "adds SYS_ADMIN": task(linuxParameters={"capabilities": {"drop": ["ALL"], "add": ["SYS_ADMIN"]}}),
        },
    ),
    "tasks-not-root": Fixture(
        [task()], {"whatever user": task(user=None), "runs as root": task(user="0:0"), "as root": task(user="root")}
    ),
    "tasks-read-only-root": Fixture([task()], {"can write": task(readonlyRootFilesystem=False)}),
    "tasks-no-secret-in-environment": Fixture(
        [task()],
        {
            "DB_PASSWORD in the open and its name": variable("DB_PASSWORD", "hunter2"),
            "OPENAI_API_KEY in the open and its name": variable("OPENAI_API_KEY", "x"),
            "DATABASE_URL in the open and its URL": variable("DATABASE_URL", "postgresql://ada:hunter2@db/x"),
            "AWS in the open and its value is a key": variable("AWS", "AKIAIOSFODNN7EXAMPLE"),
            "BLOB in the open and its value looks random": variable("BLOB", "q8Zr2Kp0xW7vYt5uJd3hLm9sNc4bFg6a"),
        },
    ),
    "tasks-logged": Fixture(
        [task()],
        {
            "has no log": task(logConfiguration=None),
            "makes its log group itself": task(
                logConfiguration={"logDriver": "awslogs", "options": {"awslogs-create-group": "true"}}
            ),
        },
    ),
    "tasks-image-by-digest": Fixture([task()], {"no digest": task(image="registry.example/team:latest")}),
    "tasks-two-roles": Fixture([TASK], {"give it two": change(TASK, taskRoleArn=f"{ARN}:role/execution")}),
    "tasks-encrypted-volumes": Fixture(
        [
            {"volumes": [{"name": "scratch"}]},
            {"volumes": [{"efsVolumeConfiguration": {"transitEncryption": "ENABLED"}}]},
        ],
        {"volume shared": {"volumes": [{"name": "shared", "efsVolumeConfiguration": {"fileSystemId": "fs-1"}}]}},
    ),
    "services-roll-back": Fixture(
        [{"deploymentCircuitBreaker": {"enable": True, "rollback": True}}],
        {"no deployment circuit breaker": {}, "with rollback": {"deploymentCircuitBreaker": {"enable": True}}},
    ),
    "services-no-shell-in-prod": Fixture([{}], {"enableExecuteCommand": {"enableExecuteCommand": True}}, PROD),
    "services-private": Fixture(
        [{"networkConfiguration": {"assignPublicIp": False}}],
        {"public addresses": {"networkConfiguration": {"assignPublicIp": True}}},
        PROD,
    ),
    "network-world-ports": Fixture(
        [INGRESS, change(INGRESS, cidrIpv4="10.0.0.0/16", fromPort=5432.0, toPort=5432.0)],
        {
            "port 5432": change(INGRESS, fromPort=5432.0, toPort=5432.0),
            "ports 80 to 443": change(INGRESS, fromPort=80.0),
            "port 22": change(INGRESS, fromPort=22.0, toPort=22.0, cidrIpv4=None, cidrIpv6="::/0"),
        },
    ),
    "network-narrow": Fixture([INGRESS], {"all protocols in": change(INGRESS, ipProtocol="-1", cidrIpv4="10.0.0.0/8")}),
    "network-described": Fixture([INGRESS], {"no description": change(INGRESS, description=None)}),
    "network-no-address-on-launch": Fixture(
        [{"mapPublicIpOnLaunch": False}], {"public address": {"mapPublicIpOnLaunch": True}}
    ),
    "balancers-hardened": Fixture(
        [BALANCER],
        {
            "malformed": change(BALANCER, dropInvalidHeaderFields=None),
            "ambiguous": change(BALANCER, desyncMitigationMode="monitor"),
            "one zone": change(BALANCER, subnets=["subnet-1"]),
        },
    ),
    "balancers-protected": Fixture(
        [{"enableDeletionProtection": True}],
        {"deleted by mistake": {"enableDeletionProtection": False}},
        PROD,
    ),
    "listeners-encrypted": Fixture(
        [
            {"protocol": "HTTPS", "sslPolicy": "ELBSecurityPolicy-TLS13-1-2-2021-06"},
            {"protocol": "HTTP", "defaultActions": [{"type": "redirect"}]},
        ],
        {
            "old versions": {"protocol": "HTTPS", "sslPolicy": "ELBSecurityPolicy-2016-08"},
            "plain HTTP": {"protocol": "HTTP", "defaultActions": [{"type": "forward"}]},
        },
        PROD,
    ),
    "targets-checked": Fixture(
        [{"healthCheck": {"path": "/health", "matcher": "200"}}], {"does not say": {"healthCheck": {"path": "/"}}}
    ),
    "machines-hardened": Fixture(
        [TEMPLATE],
        {
            "IMDSv1": change(TEMPLATE, metadataOptions={"httpPutResponseHopLimit": 1.0}),
            "HopLimit": change(TEMPLATE, metadataOptions={"httpTokens": "required", "httpPutResponseHopLimit": 2.0}),
            "not encrypted": change(TEMPLATE, blockDeviceMappings=None),
            "public addresses": change(TEMPLATE, networkInterfaces=[{"associatePublicIpAddress": "true"}]),
        },
    ),
    "buckets-not-public": Fixture(
        [BLOCK, bucket_policy(PAGES)],
        {
            "blockPublicAcls": change(BLOCK, blockPublicAcls=False),
            "lets the world do s3:PutObject": bucket_policy({**PAGES, "Action": ["s3:GetObject", "s3:PutObject"]}),
            "lets the world do s3:ListBucket": bucket_policy(
                {**PAGES, "Principal": {"AWS": "*"}, "Action": "s3:ListBucket"}
            ),
        },
    ),
    "buckets-tls-only": Fixture([bucket_policy(TLS_ONLY)], {"plain HTTP": bucket_policy(PAGES)}),
    "buckets-broken-uploads-end": Fixture(
        [{"rules": [{"abortIncompleteMultipartUpload": {"daysAfterInitiation": 7.0}}]}],
        {"for ever": {"rules": [{"expiration": {"days": 7.0}}]}},
    ),
    "kept-as-the-profile-says": Fixture([{}], {"although this environment is protected": {"forceDestroy": True}}, PROD),
    "images-immutable": Fixture(
        [REPOSITORY],
        {
            "tags be moved": change(REPOSITORY, imageTagMutability="MUTABLE"),
            "scan": change(REPOSITORY, imageScanningConfiguration=None),
        },
    ),
    "messages-encrypted": Fixture(
        [{"sqsManagedSseEnabled": True}, {"kmsMasterKeyId": "alias/herd-prod"}],
        {"not encrypted": {"name": "q"}, "everybody send": {"sqsManagedSseEnabled": True, **bucket_policy(PAGES)}},
    ),
    "secrets-not-in-state": Fixture([], {"from the program": {"secretString": "hunter2"}}),
    "secrets-owned": Fixture([{"tags": OWNED}], {"no owner": {"tags": TAGS}}),
    "keys-rotate": Fixture([{"enableKeyRotation": True}], {"does not rotate": {}}),
    "encrypted-with-own-key": Fixture([{"kmsKeyId": "arn:aws:kms:x"}], {"not encrypted with": {}}, PROD),
    "iam-readable": Fixture(
        [GOOD_TRUST],
        {
            "not JSON": {"assumeRolePolicy": "{"},
            "Version": {"assumeRolePolicy": json.dumps({"Version": "2008-10-17", "Statement": []})},
            "NotAction": {
                "assumeRolePolicy": json.dumps(
                    {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "NotAction": "iam:*"}]}
                )
            },
        },
    ),
    "iam-no-star": Fixture(
        [policy("s3:GetObject"), policy("ecr:GetAuthorizationToken", "*"), policy(["cloudwatch:PutMetricData"], "*")],
        {
            "every action of s3": policy("s3:*"),
            "s3:GetObject on every resource": policy("s3:GetObject", "*"),
            "every action of *": policy("*", "*"),
        },
    ),
    "iam-pass-role-bound": Fixture(
        [policy("iam:PassRole", f"{ARN}:role/p/*", Condition={"StringEquals": {"iam:PassedToService": "x"}})],
        {
            "any service": policy("iam:PassRole", f"{ARN}:role/p/*"),
            "every role": policy(
                "iam:Pass*", f"{ARN}:role/*", Condition={"StringEquals": {"iam:PassedToService": "x"}}
            ),
        },
    ),
    "iam-run-task-in-cluster": Fixture(
        [policy("ecs:RunTask", "arn:x", Condition={"ArnEquals": {"ecs:cluster": "arn:c"}})],
        {
            "any cluster": policy("ecs:RunTask", "arn:x"),
            "run tasks": policy("ecs:RunTask", "arn:x", Condition={"ArnEqualsIfExists": {"ecs:cluster": "arn:c"}}),
        },
    ),
    "iam-trust-source": Fixture(
        [GOOD_TRUST, trust({"Service": "ec2.amazonaws.com"})],
        {"borrowed by strangers": trust(TASKS_SERVICE), "everybody": trust({"AWS": "*"})},
    ),
    "iam-oidc-trust": Fixture(
        [trust(GITHUB, {"StringEquals": {**AUDIENCE, **SUBJECT}})],
        {
            "who the token is for": trust(GITHUB, {"StringEquals": SUBJECT}),
            "look at the repository": trust(GITHUB, {"StringEquals": AUDIENCE}),
            "more than one repository": trust(
                GITHUB, {"StringLike": {**AUDIENCE, f"{HOST}:sub": "repo:acme/*:ref:refs/heads/main"}}
            ),
            "ForAllValues": trust(
                GITHUB, {"StringEquals": {**AUDIENCE, **SUBJECT}, "ForAllValues:StringEquals": SUBJECT}
            ),
        },
    ),
    "iam-boundary-in-prod": Fixture(
        [{"permissionsBoundary": f"{ARN}:policy/herd-boundary"}], {"no permission boundary": {}}, PROD
    ),
    "iam-no-users": Fixture([], {"take a role": {"name": "ada"}}),
    "iam-own-policies": Fixture(
        [{"managedPolicyArns": [f"{ARN}:policy/own"]}],
        {"AdministratorAccess": {"managedPolicyArns": ["arn:aws:iam::aws:policy/AdministratorAccess"]}},
    ),
    "schedules-tried-again": Fixture(
        [SCHEDULE],
        {"time zone": change(SCHEDULE, scheduleExpressionTimezone=None), "tried again": change(SCHEDULE, target={})},
    ),
    "schedules-missed-kept": Fixture([SCHEDULE], {"no queue": change(SCHEDULE, target={})}),
    "schedules-end": Fixture(
        [SCHEDULE, change(SCHEDULE, endDate=None, state="DISABLED")],
        {"never ends": change(SCHEDULE, endDate=None)},
    ),
    "logs-end": Fixture(
        [{"retentionInDays": 14.0}],
        {"for ever": {}, "would stay": {"retentionInDays": 14.0, "skipDestroy": True}},
    ),
}
"""Rules that judge one resource at a time: props only; the type is the rule's first."""

STACKS: dict[str, Fixture] = {
    "tasks-own-log-group": Fixture(
        [
            [
                resource("aws:ecs/taskDefinition:TaskDefinition", **task()),
                Resource("aws:cloudwatch/logGroup:LogGroup", "log", {"name": "/herd-dev/train"}),
            ]
        ],
        {"/herd-dev/train": [resource("aws:ecs/taskDefinition:TaskDefinition", **task())]},
    ),
    "network-default-group-empty": Fixture(
        [[VPC, EMPTIED]],
        {
            "keeps AWS's default": [VPC],
            "must be empty": [
                VPC,
                Resource(EMPTIED.type, "d", {"vpcId": "vpc-1", "egress": [{"protocol": "-1"}]}),
            ],
        },
    ),
    "network-flow-logs": Fixture(
        [[VPC, resource("aws:ec2/flowLog:FlowLog", vpcId="vpc-1")]], {"no flow log": [VPC]}, PROD
    ),
    "buckets-complete": Fixture(
        [[BUCKET, *COMPANIONS]],
        {f"no {word}": [BUCKET, *(c for c in COMPANIONS if c.type.lower().find(type_) < 0)] for word, type_ in {
            "public access block": "publicaccess", "policy": "bucketpolicy:", "versioning": "versioning:",
            "encryption": "encryption", "lifecycle": "lifecycle", "ownership": "ownership",
        }.items()},
    ),
    "images-expire": Fixture(
        [
            [
                Resource("aws:ecr/repository:Repository", "r", {"name": "x"}),
                resource("aws:ecr/lifecyclePolicy:LifecyclePolicy", repository="x"),
            ]
        ],
        {"every image": [Resource("aws:ecr/repository:Repository", "r", {"name": "x"})]},
    ),
    "alarms-heard": Fixture(
        [[alarm()], [alarm(alarmActions=[]), HEARS]],
        {
            "tells nobody": [alarm(alarmActions=[]), Resource(HEARS.type, "r", {**HEARS.props, "state": "DISABLED"})],
            "tells nobody; set alarmActions": [alarm(alarmActions=[], name="herd-prod-api_copies"), HEARS],
            "missing data": [alarm(treatMissingData=None)],
        },
    ),
    "everything-tagged": Fixture(
        [[resource("aws:s3/bucket:Bucket", tags=TAGS), resource("aws:ecs/taskDefinition:TaskDefinition", tags=OWNED)]],
        {
            "no tag herd:environment": [
                resource("aws:s3/bucket:Bucket", tags=TAGS),
                resource("aws:s3/bucket:Bucket", "other"),
            ],
            "no tag herd:workload": [resource("aws:cloudwatch/logGroup:LogGroup", parent=JOB, tags=TAGS)],
        },
    ),
    "protected-logged": Fixture(
        [[VPC]],
        {"access_logs is false although": [VPC], "flow_logs is false although": [VPC]},
        Stack("prod", "herd", {"herd:profile": "prod", "herd:access_logs": "false", "herd:flow_logs": "false"}),
    ),
    "prod-as-prod": Fixture(
        [[VPC]],
        {"require_tls is false": [VPC]},
        Stack("prod", "herd", {"herd:profile": "prod", "herd:require_tls": "false"}),
    ),
}  # fmt: skip
"""Rules that judge a whole stack."""
