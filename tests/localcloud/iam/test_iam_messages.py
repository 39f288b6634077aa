"""What AWS's services may put into topics, queues and log groups: what these say themselves, and their keys."""

from __future__ import annotations

import json
from typing import Any

import pytest

from localcloud.agent.delivery import Delivery, OnBehalf
from localcloud.iam.errors import Denied
from tests.localcloud.iam.acting import REGION, Account, Statement, allow, document

ALARMS, RULES = "cloudwatch.amazonaws.com", "events.amazonaws.com"
USE_OF_KEY = ["kms:GenerateDataKey*", "kms:Decrypt"]


def by(service: str, statement: Statement, **condition: Any) -> Statement:
    return {**statement, "Principal": {"Service": service}, **({"Condition": condition} if condition else {})}


def alarm(account: Account) -> str:
    return f"arn:aws:cloudwatch:{REGION}:{account.id}:alarm:a"


def topic(account: Account, *statements: Statement, key: str = "") -> str:
    """A topic with the policy that it has by itself, or with these statements."""
    attributes = {**({"Policy": document(*statements)} if statements else {}),
                  **({"KmsMasterKeyId": key} if key else {})}  # fmt: skip
    return str(account.root("sns").create_topic(Name="t", Attributes=attributes)["TopicArn"])


def key(account: Account, *statements: Statement) -> str:
    own = {**allow("kms:*"), "Principal": {"AWS": f"arn:aws:iam::{account.id}:root"}}
    return str(account.root("kms").create_key(Policy=document(own, *statements))["KeyMetadata"]["Arn"])


def refusal(account: Account, arn: str, service: str = ALARMS, source: str = "") -> str:
    try:
        Delivery(account.server).publish(arn, service, source or alarm(account), "subject", "text")
    except Denied as denied:
        return str(denied)
    return ""


def test_an_alarm_publishes_by_the_policy_that_a_topic_has_by_itself_and_a_rule_does_not(account: Account) -> None:
    arn = topic(account)
    assert refusal(account, arn) == ""
    refused = refusal(account, arn, RULES, f"arn:aws:events:{REGION}:{account.id}:rule/r")
    assert "events.amazonaws.com is not authorized to perform: sns:Publish" in refused
    assert '"Principal":{"Service":"events.amazonaws.com"}' in refused  # the statement that is missing


@pytest.mark.parametrize(
    ("condition", "may"),
    [
        ({}, True),
        ({"StringEquals": {"aws:SourceAccount": "{account}"}}, True),
        ({"StringEquals": {"aws:SourceAccount": "111122223333"}}, False),
        ({"ArnLike": {"aws:SourceArn": "arn:aws:cloudwatch:*:{account}:alarm:*"}}, True),
        ({"ArnLike": {"aws:SourceArn": "arn:aws:cloudwatch:*:{account}:alarm:b*"}}, False),
    ],
)
def test_the_conditions_of_a_topics_policy_are_held_against_the_alarm(
    account: Account, condition: Any, may: bool
) -> None:
    condition = json.loads(json.dumps(condition).replace("{account}", account.id))
    arn = topic(account, by(ALARMS, allow("sns:Publish"), **condition))
    assert (refusal(account, arn) == "") == may


KEYS = {
    "one that admits the service": (lambda a: key(a, by(ALARMS, allow(USE_OF_KEY))), ""),
    "one that admits another service": (lambda a: key(a, by(RULES, allow(USE_OF_KEY))), "kms:GenerateDataKey"),
    "one that only decrypts": (lambda a: key(a, by(ALARMS, allow("kms:Decrypt"))), "kms:GenerateDataKey"),
    "one that only encrypts": (lambda a: key(a, by(ALARMS, allow("kms:GenerateDataKey*"))), "kms:Decrypt"),
    "AWS's own": (lambda a: "alias/aws/sns", "alias/aws/sns, whose policy nobody can change"),
}


@pytest.mark.parametrize("name", KEYS)
def test_a_topics_key_has_to_admit_the_service_too(account: Account, name: str) -> None:
    make, reason = KEYS[name]
    arn = topic(account, by(ALARMS, allow("sns:Publish")), key=make(account))
    refused = refusal(account, arn)
    assert reason in refused and (refused == "") == (reason == "")


def deliver(account: Account, arn: str, rule: str = "r") -> str:
    acting = OnBehalf(RULES, f"arn:aws:events:{REGION}:{account.id}:rule/{rule}")
    try:
        Delivery(account.server).deliver({"Arn": arn}, "{}", None, "x", acting=acting)
    except Denied as denied:
        return str(denied)
    return ""


def test_a_rule_sends_to_a_queue_that_permits_it(account: Account) -> None:
    sqs = account.root("sqs")
    url = sqs.create_queue(QueueName="q")["QueueUrl"]
    arn = f"arn:aws:sqs:{REGION}:{account.id}:q"
    assert "sqs:SendMessage" in deliver(account, arn)
    only_r = {"ArnEquals": {"aws:SourceArn": f"arn:aws:events:{REGION}:{account.id}:rule/r"}}
    policy = document(by(RULES, allow("sqs:SendMessage", arn), **only_r))
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
    assert deliver(account, arn) == "" and "sqs:SendMessage" in deliver(account, arn, "other")
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"KmsMasterKeyId": key(account)})
    assert "kms:GenerateDataKey" in deliver(account, arn)


def test_a_rule_writes_to_a_log_group_that_the_regions_policy_permits(account: Account) -> None:
    logs = account.root("logs")
    logs.create_log_group(logGroupName="/aws/events/r")
    arn = f"arn:aws:logs:{REGION}:{account.id}:log-group:/aws/events/r"
    assert "logs:CreateLogStream" in deliver(account, arn)
    statement = by(RULES, allow(["logs:CreateLogStream", "logs:PutLogEvents"], f"{arn}:*"))
    logs.put_resource_policy(policyName="rules", policyDocument=document(statement))
    assert deliver(account, arn) == ""
    assert len(logs.describe_log_streams(logGroupName="/aws/events/r")["logStreams"]) == 1


def test_a_bucket_sends_to_a_queue_that_permits_it(account: Account) -> None:
    sqs, s3, bucket = account.root("sqs"), account.root("s3"), account.bucket()
    url = sqs.create_queue(QueueName="events")["QueueUrl"]
    arn = f"arn:aws:sqs:{REGION}:{account.id}:events"
    wanted = {"QueueConfigurations": [{"QueueArn": arn, "Events": ["s3:ObjectCreated:*"]}]}
    s3.put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration=wanted)
    s3.put_object(Bucket=bucket, Key="a", Body=b"a")
    assert "Messages" not in sqs.receive_message(QueueUrl=url)
    condition = {
        "ArnLike": {"aws:SourceArn": f"arn:aws:s3:::{bucket}"},
        "StringEquals": {"aws:SourceAccount": account.id},
    }
    policy = document(by("s3.amazonaws.com", allow("sqs:SendMessage", arn), **condition))
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
    s3.put_object(Bucket=bucket, Key="b", Body=b"b")
    (message,) = sqs.receive_message(QueueUrl=url)["Messages"]
    assert json.loads(message["Body"])["Records"][0]["s3"]["object"]["key"] == "b"
