"""Types that other people's programs use: what to declare, and what to change. Read by test_plugins_types."""

from __future__ import annotations

import json
from typing import Any

from localcloud.plugins.values import Props
from tests.localcloud.plugins_cases import Case
from tests.localcloud.plugins_support import Made, World, policy

_ASSET = {"4dabf18193072939515e22adb298388d": "c44067f5952c0a294b673a41bacd8c17"}
ANYBODY = {"Effect": "Allow", "Principal": "*", "Resource": "*"}
A_KEY = "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABAQCylzCYBlTyUmH6SPGuLPWNnzIqf2hUYPz1ilLFzx+0aXLhPrYNaB2L3BmpPDeKdVuIJPmE8SQKdGkkNBMWVKhPcxVqdTNjMQb8zTzw6NbXBNSDTUY3rSqbnWnvXAwAfKs2AtVpVfVMShZOmJsgHfBJNfBYZpBIJHlzjTMXmjvVkZDoByQXM2JT0d1PTJRrJ3pn3BvTR4dBCBpBBBMhFqCmdaGTKsB1MtAZ4qzfOoSqlBf1qzGSgdPtvNGxhJAqDKPzFnXtD6NsYdmDrMhoR0XLWqYCM0mj7CkZRbSJRGvHxONU6oSs1ujyyKmLcqEQmVCWGFvjlaPg0OtTTVp5PoAP test"  # noqa: E501


def text(content: str) -> Props:
    return {**_ASSET, "hash": f"{hash(content):x}", "text": content}


def queue(w: World, **more: Any) -> Made:
    return w.make("aws:sqs/queue:Queue", **more)


def topic(w: World) -> str:
    return w.make("aws:sns/topic:Topic").id


def redrive(arn: str, count: int) -> str:
    return json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": count})


def may(action: str) -> str:
    return policy({**ANYBODY, "Action": action})


def secret(w: World) -> str:
    return w.make("aws:secretsmanager/secret:Secret", recoveryWindowInDays=0).id


def key(w: World) -> str:
    return w.make("aws:kms/key:Key").id


def group(w: World) -> str:
    return w.make("aws:cloudwatch/logGroup:LogGroup").id


def acl_entry(number: int, **more: Any) -> Props:
    return {
        "action": "allow", "ruleNo": number, "protocol": "tcp", "fromPort": 443, "toPort": 443,
        "cidrBlock": "0.0.0.0/0", **more,
    }  # fmt: skip


def scaling_group(w: World) -> Made:
    template = w.make("aws:ec2/launchTemplate:LaunchTemplate", imageId="ami-12c6146b", instanceType="t3.micro").id
    return w.make(
        "aws:autoscaling/group:Group", minSize=0, maxSize=1, availabilityZones=["eu-west-1a"],
        launchTemplate={"id": template, "version": "$Latest"},
    )  # fmt: skip


def peculiar_table(w: World) -> Props:
    return {
        "attributes": [{"name": "id", "type": "S"}, {"name": "at", "type": "N"}],
        "hashKey": "id", "rangeKey": "at", "billingMode": "PAY_PER_REQUEST",
        "ttl": {"attributeName": "until", "enabled": True}, "tags": {"a": "1"},
    }  # fmt: skip


BY_WHO = {"name": "by-who", "hashKey": "who", "projectionType": "ALL"}


CAPACITY = {"readCapacity": 1, "writeCapacity": 1}
WITH_WHO = [{"name": "id", "type": "S"}, {"name": "at", "type": "N"}, {"name": "who", "type": "S"}]


def provisioned_table(w: World) -> Props:
    return {
        "attributes": [{"name": "id", "type": "S"}, {"name": "who", "type": "S"}],
        "hashKey": "id", **CAPACITY, "tableClass": "STANDARD",
        "globalSecondaryIndexes": [
            {**BY_WHO, **CAPACITY}, {**BY_WHO, **CAPACITY, "name": "keys-by-who", "projectionType": "KEYS_ONLY"},
        ],
        "pointInTimeRecovery": {"enabled": True, "recoveryPeriodInDays": 14},
    }  # fmt: skip


MESSAGES = [
    Case(
        "aws:sqs/queue:Queue",
        lambda w: {
            "visibilityTimeoutSeconds": 60,
            "redrivePolicy": redrive(queue(w).outputs["arn"], 3),
            "redriveAllowPolicy": json.dumps({"redrivePermission": "denyAll"}),
            "policy": may("sqs:SendMessage"),
            "tags": {"a": "1"},
        },
        {"visibilityTimeoutSeconds": 30, "delaySeconds": 5, "tags": {"b": "2"}},
        {"name": "another"},
        drift=lambda w, m: w.server.client("sqs").set_queue_attributes(QueueUrl=m.id, Attributes={"DelaySeconds": "9"}),
    ),
    Case(
        "aws:sqs/queuePolicy:QueuePolicy",
        lambda w: {"queueUrl": queue(w).id, "policy": may("sqs:SendMessage")},
        {"policy": may("sqs:ReceiveMessage")},
    ),
    Case(
        "aws:sqs/redrivePolicy:RedrivePolicy",
        lambda w: {"queueUrl": queue(w).id, "redrivePolicy": redrive(queue(w).outputs["arn"], 4)},
        {},
        same={},
    ),
    Case(
        "aws:sqs/redriveAllowPolicy:RedriveAllowPolicy",
        lambda w: {"queueUrl": queue(w).id, "redriveAllowPolicy": json.dumps({"redrivePermission": "allowAll"})},
        {"redriveAllowPolicy": json.dumps({"redrivePermission": "denyAll"})},
    ),
    Case(
        "aws:sns/topic:Topic",
        lambda w: {"displayName": "News", "tags": {"a": "1"}},
        {"displayName": "Old", "policy": may("sns:Publish"), "tags": {"b": "2"}},
        {"name": "another"},
        drift=lambda w, m: w.server.client("sns").set_topic_attributes(
            TopicArn=m.id, AttributeName="DisplayName", AttributeValue="x"
        ),
    ),
    Case(
        "aws:sns/topicPolicy:TopicPolicy",
        lambda w: {"arn": topic(w), "policy": may("sns:Publish")},
        {"policy": may("sns:Subscribe")},
        stays=True,
    ),
    Case(
        "aws:sns/topicSubscription:TopicSubscription",
        lambda w: {
            "topic": topic(w),
            "protocol": "sqs",
            "endpoint": queue(w).outputs["arn"],
            "rawMessageDelivery": True,
            "filterPolicy": json.dumps({"kind": ["new"]}),
        },
        {"filterPolicy": json.dumps({"kind": ["old", "new"]}), "rawMessageDelivery": False},
        {"endpoint": "arn:aws:sqs:eu-west-1:1:x"},
        same={"filterPolicy": '{"kind":["new"]}'},
    ),
    Case(
        "aws:sns/topicSubscription:TopicSubscription",
        lambda w: {"topic": topic(w), "protocol": "email", "endpoint": "a@example.com"},
        {"filterPolicy": json.dumps({"to": ["a@example.com"]})},
        {"endpoint": "b@example.com"},
        stays=True,  # it waits for its owner
    ),
    Case(
        "aws:sesv2/emailIdentity:EmailIdentity",
        lambda w: {"emailIdentity": "reports@example.com", "tags": {"a": "1"}},
        {"tags": {"b": "2"}},
        {"emailIdentity": "example.com"},
    ),
    Case("aws:ses/emailIdentity:EmailIdentity", lambda w: {"email": "reports@example.com"}, {}, {"email": "b@x.org"}),
]


def warming_up(w: World) -> Props:
    """An alarm on what happened in a day of Berlin's."""
    return {
        "namespace": "N", "metricName": "M", "statistic": "Sum", "period": 86400, "evaluationPeriods": 1,
        "threshold": 1, "comparisonOperator": "LessThanThreshold", "treatMissingData": "breaching",
        "evaluationWindow": {"wallClockWindow": {"timezone": "Europe/Berlin"}},
        "warmUpConfiguration": {"warmUpPeriodDurationInMinutes": 180},
    }  # fmt: skip


def composite(w: World) -> Props:
    names = [w.make("aws:cloudwatch/metricAlarm:MetricAlarm", **warming_up(w)).id for _ in range(2)]
    return {
        "alarmName": "composite", "alarmRule": f"ALARM({names[0]}) OR ALARM({names[1]})", "alarmActions": [topic(w)],
        "actionsSuppressor": {"alarm": names[1], "extensionPeriod": 60, "waitPeriod": 120}, "tags": {"a": "1"},
    }  # fmt: skip


WATCHING = [
    Case(
        "aws:cloudwatch/metricAlarm:MetricAlarm",
        warming_up,
        {
            "evaluationWindow": {"wallClockWindow": {"timezone": "UTC"}},
            "warmUpConfiguration": {
                "warmUpPeriodDurationInMinutes": 60,
                "onlyStartEvaluatingAfterWarmUpPeriodEnds": True,
            },
        },
    ),
    Case(
        "aws:cloudwatch/compositeAlarm:CompositeAlarm",
        composite,
        {"alarmRule": "TRUE", "alarmDescription": "d", "actionsSuppressor": None, "tags": {"b": "2"}},
        {"alarmName": "another"},
        drift=lambda w, m: w.server.client("cloudwatch").put_composite_alarm(AlarmName=m.id, AlarmRule="FALSE"),
    ),
    Case(
        "aws:cloudwatch/metricAlarm:MetricAlarm",
        lambda w: {
            "namespace": "N",
            "metricName": "M",
            "dimensions": {"A": "1"},
            "statistic": "Sum",
            "period": 60,
            "evaluationPeriods": 2,
            "threshold": 1.5,
            "comparisonOperator": "GreaterThanThreshold",
            "alarmActions": [topic(w)],
            "alarmDescription": "d",
            "tags": {"a": "1"},
        },
        {"threshold": 2, "alarmDescription": "e", "treatMissingData": "breaching", "tags": {"b": "2"}},
        {"name": "another"},
        drift=lambda w, m: w.server.client("cloudwatch").put_metric_alarm(
            AlarmName=m.id,
            Namespace="N",
            MetricName="M",
            Statistic="Sum",
            Period=60,
            EvaluationPeriods=2,
            Threshold=9,
            ComparisonOperator="GreaterThanThreshold",
            Dimensions=[{"Name": "A", "Value": "1"}],
        ),
    ),
    Case(
        "aws:cloudwatch/dashboard:Dashboard",
        lambda w: {"dashboardName": "d", "dashboardBody": json.dumps({"widgets": []})},
        {"dashboardBody": json.dumps({"start": "-PT6H", "widgets": []})},
        {"dashboardName": "e"},
    ),
    Case(
        "aws:cloudwatch/logMetricFilter:LogMetricFilter",
        lambda w: {
            "logGroupName": group(w),
            "pattern": "ERROR",
            "metricTransformation": {"name": "errors", "namespace": "N", "value": "1"},
        },
        {
            "pattern": "WARN",
            "metricTransformation": {"name": "warnings", "namespace": "N", "value": "1", "defaultValue": "0"},
        },
        {"logGroupName": "another"},
        imported=lambda m: f"{m.outputs['logGroupName']}:{m.id}",
    ),
    Case(
        "aws:cloudwatch/logStream:LogStream",
        lambda w: {"logGroupName": group(w), "name": "s"},
        {},
        {"name": "t"},
        imported=lambda m: f"{m.outputs['logGroupName']}:{m.id}",
    ),
    Case(
        "aws:cloudwatch/eventBus:EventBus",
        lambda w: {"name": "bus", "tags": {"a": "1"}},
        {"tags": {"b": "2"}},
        {"name": "another"},
    ),
    Case(
        "aws:cloudwatch/eventRule:EventRule",
        lambda w: {"eventPattern": json.dumps({"source": ["x"]}), "description": "d", "tags": {"a": "1"}},
        {"description": "e", "state": "DISABLED", "tags": {"b": "2"}},
        {"name": "another"},
        same={"eventPattern": '{"source":["x"]}'},
        drift=lambda w, m: w.server.client("events").disable_rule(Name=m.id),
    ),
    Case(
        "aws:cloudwatch/eventTarget:EventTarget",
        lambda w: {
            "rule": w.make("aws:cloudwatch/eventRule:EventRule", eventPattern=json.dumps({"source": ["x"]})).id,
            "arn": queue(w).outputs["arn"],
            "input": "{}",
            "retryPolicy": {"maximumRetryAttempts": 2},
        },
        {"input": None, "inputPath": "$.detail"},
        {"rule": "another"},
        imported=lambda m: f"{m.outputs['rule']}/{m.outputs['targetId']}",
    ),
]

SECRETS = [
    Case(
        "aws:kms/key:Key",
        lambda w: {"description": "d", "enableKeyRotation": True, "tags": {"a": "1"}},
        {"description": "e", "enableKeyRotation": False, "tags": {"b": "2"}},
        {"keyUsage": "SIGN_VERIFY"},
        drift=lambda w, m: w.server.client("kms").disable_key_rotation(KeyId=m.id),
    ),
    Case(
        "aws:kms/alias:Alias",
        lambda w: {"targetKeyId": w.make("aws:kms/key:Key").outputs["arn"]},
        {},
        {"name": "alias/another"},
    ),
    Case(
        "aws:secretsmanager/secret:Secret",
        lambda w: {"description": "d", "recoveryWindowInDays": 0, "tags": {"a": "1"}},
        {"description": "e", "tags": {"b": "2"}},
        {"name": "another"},
    ),
    Case(
        "aws:secretsmanager/secretVersion:SecretVersion",
        lambda w: {"secretId": secret(w), "secretString": "s"},
        {},
        {"secretString": "t"},
        stays=True,
    ),
    Case(
        "aws:secretsmanager/secretPolicy:SecretPolicy",
        lambda w: {"secretArn": secret(w), "policy": may("secretsmanager:GetSecretValue")},
        {"policy": may("secretsmanager:DescribeSecret")},
    ),
    Case(
        "aws:ssm/parameter:Parameter",
        lambda w: {"name": "/a/b", "type": "SecureString", "value": "x", "description": "d", "tags": {"a": "1"}},
        {"value": "y", "description": "e", "tags": {"b": "2"}},
        {"name": "/a/c"},
        drift=lambda w, m: w.server.client("ssm").put_parameter(
            Name=m.id, Value="z", Type="SecureString", Overwrite=True, Description="d"
        ),
    ),
]

NETWORK = [
    Case("aws:ec2/eip:Eip", lambda w: {"domain": "vpc", "tags": {"a": "1"}}, {"tags": {"b": "2"}}),
    Case(
        "aws:ec2/natGateway:NatGateway",
        lambda w: {
            "subnetId": w.subnets(w.vpc())[0],
            "allocationId": w.make("aws:ec2/eip:Eip", domain="vpc").id,
            "tags": {"a": "1"},
        },
        {"tags": {"b": "2"}},
        {"allocationId": "eipalloc-1"},
    ),
    Case(
        "aws:ec2/networkAcl:NetworkAcl",
        lambda w: (
            vpc := w.vpc(),
            {
                "vpcId": vpc,
                "subnetIds": w.subnets(vpc),
                "ingress": [acl_entry(100), acl_entry(200, fromPort=80, toPort=80)],
                "egress": [acl_entry(100, protocol="-1", fromPort=0, toPort=0)],
                "tags": {"a": "1"},
            },
        )[1],
        {"ingress": [acl_entry(100, cidrBlock="10.0.0.0/8")], "tags": {"b": "2"}},
    ),
    Case(
        "aws:ec2/securityGroupRule:SecurityGroupRule",
        lambda w: {
            "securityGroupId": w.group(w.vpc()),
            "type": "ingress",
            "protocol": "tcp",
            "fromPort": 80,
            "toPort": 80,
            "cidrBlocks": ["10.0.0.0/8", "192.168.0.0/16"],
        },
        {},
        {"fromPort": 81},
        imported=lambda m: f"{m.outputs['securityGroupId']}_ingress_tcp_80_80_10.0.0.0/8_192.168.0.0/16",
    ),
    Case(
        "aws:ec2/flowLog:FlowLog",
        lambda w: {
            "vpcId": w.vpc(),
            "trafficType": "ALL",
            "logDestination": w.make("aws:cloudwatch/logGroup:LogGroup").outputs["arn"],
            "iamRoleArn": w.role().outputs["arn"],
            "tags": {"a": "1"},
        },
        {"tags": {"b": "2"}},
        {"trafficType": "REJECT"},
    ),
    Case("aws:ec2/keyPair:KeyPair", lambda w: {"publicKey": A_KEY, "tags": {"a": "1"}}, {"tags": {"b": "2"}}),
    Case(
        "aws:ec2/launchTemplate:LaunchTemplate",
        lambda w: {
            "imageId": "ami-12c6146b",
            "instanceType": "t3.micro",
            "userData": "IyEvYmluL3NoCg==",
            "metadataOptions": {"httpTokens": "required"},
            "blockDeviceMappings": [
                {"deviceName": "/dev/xvda", "ebs": {"volumeSize": 30, "volumeType": "gp3", "encrypted": "true"}}
            ],
            "tags": {"a": "1"},
        },
        {"instanceType": "t3.small", "tags": {"b": "2"}},
        {"name": "another"},
    ),
    Case(
        "aws:autoscaling/group:Group",
        lambda w: {
            "minSize": 0,
            "maxSize": 2,
            "desiredCapacity": 0,
            "vpcZoneIdentifiers": w.subnets(w.vpc()),
            "launchTemplate": {
                "id": w.make(
                    "aws:ec2/launchTemplate:LaunchTemplate", imageId="ami-12c6146b", instanceType="t3.micro"
                ).id,
                "version": "$Latest",
            },
            "tags": [{"key": "a", "value": "1", "propagateAtLaunch": True}],
        },
        {"maxSize": 3, "tags": [{"key": "b", "value": "2", "propagateAtLaunch": False}]},
        {"name": "another"},
    ),
    Case(
        "aws:ecs/capacityProvider:CapacityProvider",
        lambda w: {
            "autoScalingGroupProvider": {
                "autoScalingGroupArn": scaling_group(w).outputs["arn"],
                "managedScaling": {"status": "ENABLED", "targetCapacity": 80},
            },
            "tags": {"a": "1"},
        },
        {"tags": {"b": "2"}},
        {
            "name": "another",
            "autoScalingGroupProvider": {"autoScalingGroupArn": "arn:aws:autoscaling:eu-west-1:1:autoScalingGroup:x"},
        },
    ),
]

STORES = [
    Case(
        "aws:s3/bucketWebsiteConfiguration:BucketWebsiteConfiguration",
        lambda w: {
            "bucket": w.bucket(),
            "indexDocument": {"suffix": "index.html"},
            "errorDocument": {"key": "404.html"},
            "routingRules": [{"condition": {"keyPrefixEquals": "old/"}, "redirect": {"replaceKeyPrefixWith": "new/"}}],
        },
        {"errorDocument": {"key": "error.html"}},
    ),
    Case(
        "aws:s3/bucketCorsConfiguration:BucketCorsConfiguration",
        lambda w: {"bucket": w.bucket(), "corsRules": [{"allowedMethods": ["GET", "HEAD"], "allowedOrigins": ["*"]}]},
        {"corsRules": [{"allowedMethods": ["GET"], "allowedOrigins": ["https://a.example"], "maxAgeSeconds": 60}]},
    ),
    Case(
        "aws:s3/bucketNotification:BucketNotification",
        lambda w: {
            "bucket": w.bucket(),
            "queues": [
                {
                    "queueArn": queue(w).outputs["arn"],
                    "events": ["s3:ObjectCreated:*"],
                    "filterPrefix": "in/",
                    "id": "q",
                }
            ],
        },
        {"queues": None, "eventbridge": True},
        stays=True,
    ),
    Case(
        "aws:s3/bucketLogging:BucketLogging",
        lambda w: (logs := log_bucket(w), {"bucket": w.bucket(), "targetBucket": logs, "targetPrefix": "a/"})[1],
        {"targetPrefix": "b/"},
    ),
    Case(
        "aws:s3/bucketObjectv2:BucketObjectv2",
        lambda w: {
            "bucket": w.bucket(),
            "key": "a/b.html",
            "source": text("hello"),
            "cacheControl": "no-cache",
            "tags": {"a": "1"},
        },
        {"source": text("bye"), "tags": {"b": "2"}},
        {"key": "c"},
        drift=lambda w, m: w.server.client("s3").put_object(
            Bucket=m.outputs["bucket"], Key="a/b.html", Body=b"hello", CacheControl="max-age=9", ContentType="text/html"
        ),
        imported=lambda m: f"{m.outputs['bucket']}/{m.id}",
    ),
    Case(
        "aws:s3/bucketObject:BucketObject",
        lambda w: {"bucket": w.bucket(), "content": "hello", "contentType": "text/plain"},
        {"content": "bye"},
        {"key": "c"},
        imported=lambda m: f"s3://{m.outputs['bucket']}/{m.id}",
    ),
    Case(
        "aws:ecr/repositoryPolicy:RepositoryPolicy",
        lambda w: {
            "repository": w.make("aws:ecr/repository:Repository").id,
            "policy": policy({"Sid": "a", "Effect": "Allow", "Principal": "*", "Action": ["ecr:BatchGetImage"]}),
        },
        {"policy": policy({"Sid": "a", "Effect": "Allow", "Principal": "*", "Action": ["ecr:DescribeImages"]})},
    ),
    Case(
        "aws:dynamodb/table:Table",
        peculiar_table,
        {
            "attributes": [{"name": "id", "type": "S"}, {"name": "at", "type": "N"}, {"name": "who", "type": "S"}],
            "globalSecondaryIndexes": [{"name": "by-who", "hashKey": "who", "projectionType": "ALL"}],
            "pointInTimeRecovery": {"enabled": True},
            "ttl": None,
            "tags": {"b": "2"},
        },
        {"hashKey": "at"},
        drift=lambda w, m: w.server.client("dynamodb").update_table(TableName=m.id, DeletionProtectionEnabled=True),
    ),
    Case(
        "aws:dynamodb/table:Table",
        provisioned_table,
        {
            "globalSecondaryIndexes": [
                {**BY_WHO, "readCapacity": 3, "writeCapacity": 3},
                {**BY_WHO, "name": "keys-by-who", "projectionType": "ALL"},
            ],
            "readCapacity": 2,
            "tableClass": "STANDARD_INFREQUENT_ACCESS",
            "pointInTimeRecovery": {"enabled": True, "recoveryPeriodInDays": 7},
            "serverSideEncryption": {"enabled": True},
        },
    ),
    Case(
        "aws:dynamodb/table:Table",
        lambda w: {**peculiar_table(w), "attributes": WITH_WHO, "globalSecondaryIndexes": [BY_WHO]},
        {"billingMode": "PROVISIONED", **CAPACITY, "globalSecondaryIndexes": [{**BY_WHO, **CAPACITY}]},
    ),
]

NAMES = [
    Case(
        "aws:route53/zone:Zone",
        lambda w: {"name": "a.example", "comment": "c", "tags": {"a": "1"}},
        {"comment": "d", "tags": {"b": "2"}},
        {"name": "b.example"},
        same={"name": "a.example."},
    ),
    Case(
        "aws:route53/record:Record",
        lambda w: {
            "zoneId": w.make("aws:route53/zone:Zone", name="a.example").id,
            "name": "www",
            "type": "TXT",
            "ttl": 60,
            "records": ["x", "y z"],
        },
        {"ttl": 120, "records": ["x"]},
        {"name": "other"},
    ),
    Case(
        "aws:acm/certificate:Certificate",
        lambda w: {
            "domainName": "a.example",
            "subjectAlternativeNames": ["*.a.example"],
            "validationMethod": "DNS",
            "tags": {"a": "1"},
        },
        {"tags": {"b": "2"}},
        {"domainName": "b.example"},
    ),
    Case(
        "aws:acm/certificateValidation:CertificateValidation",
        lambda w: {
            "certificateArn": w.make(
                "aws:acm/certificate:Certificate", domainName="a.example", validationMethod="DNS"
            ).id,
        },
        imported=None,
        stays=True,
    ),
    Case(
        "aws:iam/instanceProfile:InstanceProfile",
        lambda w: {"role": w.role().id, "path": "/p/", "tags": {"a": "1"}},
        {"tags": {"b": "2"}},
        {"path": "/q/"},
    ),
    Case(
        "aws:iam/user:User",
        lambda w: {"tags": {"a": "1"}, "path": "/p/"},
        {"tags": {"b": "2"}, "name": "renamed", "path": "/q/"},
        drift=lambda w, m: w.server.client("iam").update_user(UserName=m.id, NewPath="/r/"),
        imported=lambda made: made.outputs["name"],
    ),
    Case("aws:iam/group:Group", lambda w: {"path": "/p/"}, {}, {"path": "/q/"}),
    Case(
        "aws:iam/openIdConnectProvider:OpenIdConnectProvider",
        lambda w: {
            "url": "https://token.example",
            "clientIdLists": ["sts.amazonaws.com"],
            "thumbprintLists": ["a" * 40],
            "tags": {"a": "1"},
        },
        {"clientIdLists": ["sts.amazonaws.com", "b"], "thumbprintLists": ["b" * 40], "tags": {"b": "2"}},
        {"url": "https://other.example"},
    ),
    Case("aws:sfn/activity:Activity", lambda w: {"tags": {"a": "1"}}, {"tags": {"b": "2"}}, {"name": "another"}),
]


def log_bucket(w: World) -> str:
    """A bucket that S3's log delivery may write to."""
    bucket = w.bucket()
    statement = {
        "Effect": "Allow", "Principal": {"Service": "logging.s3.amazonaws.com"}, "Action": "s3:PutObject",
        "Resource": f"arn:aws:s3:::{bucket}/*",
    }  # fmt: skip
    w.make("aws:s3/bucketPolicy:BucketPolicy", bucket=bucket, policy=policy(statement))
    return bucket


def subnet_group(w: World) -> str:
    return w.make("aws:rds/subnetGroup:SubnetGroup", subnetIds=w.subnets(w.vpc())).id


DATABASES = [
    Case(
        "aws:rds/subnetGroup:SubnetGroup",
        lambda w: {"subnetIds": w.subnets(w.vpc()), "tags": {"a": "1"}},
        {"description": "where databases lie", "tags": {"b": "2"}},
        {"name": "other"},
    ),
    Case(
        "aws:rds/instance:Instance",
        lambda w: {
            "engine": "postgres",
            "engineVersion": "16.3",
            "instanceClass": "db.t4g.micro",
            "allocatedStorage": 20,
            "dbName": "sales",
            "username": "owner",
            "password": "a password",
            "dbSubnetGroupName": subnet_group(w),
            "skipFinalSnapshot": True,
            "tags": {"a": "1"},
        },
        {"allocatedStorage": 30, "backupRetentionPeriod": 7, "multiAz": True, "tags": {"b": "2"}},
        {"dbName": "others"},
        drift=lambda w, m: w.server.client("rds").modify_db_instance(
            DBInstanceIdentifier=m.outputs["identifier"], AllocatedStorage=50, ApplyImmediately=True
        ),
        imported=lambda made: made.outputs["identifier"],
        unreadable=frozenset({"password", "finalSnapshotIdentifier"}),
    ),
    Case(
        "aws:rds/instance:Instance",
        lambda w: {
            "engine": "postgres",
            "instanceClass": "db.t4g.micro",
            "allocatedStorage": 20,
            "username": "owner",
            "manageMasterUserPassword": True,
            "port": 5433,
            "storageEncrypted": True,
            "finalSnapshotIdentifier": "the-last-one",
        },
        {"instanceClass": "db.t4g.small"},
        {"username": "other"},
        unreadable=frozenset({"finalSnapshotIdentifier"}),
    ),
]

PROGRAM_CASES = [*MESSAGES, *WATCHING, *SECRETS, *NETWORK, *STORES, *NAMES, *DATABASES]
