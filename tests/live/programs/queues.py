"""A queue with dead letters and a policy, fed by a topic's subscription and by an event rule."""

import json
import os

import pulumi
import pulumi_aws as aws

dead = aws.sqs.Queue("dead", message_retention_seconds=1209600)
queue = aws.sqs.Queue(
    "work", visibility_timeout_seconds=60 if os.environ.get("CHANGED") else 30,
    redrive_policy=dead.arn.apply(lambda arn: json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": 3})),
)  # fmt: skip
allow = queue.arn.apply(lambda arn: json.dumps({"redrivePermission": "byQueue", "sourceQueueArns": [arn]}))
aws.sqs.RedriveAllowPolicy("dead", queue_url=dead.id, redrive_allow_policy=allow)
topic = aws.sns.Topic("news", display_name="News")
rule = aws.cloudwatch.EventRule(
    "orders", description="changed" if os.environ.get("CHANGED") else "orders",
    event_pattern=json.dumps({"source": ["shop"], "detail-type": ["order"]}),
)  # fmt: skip
aws.cloudwatch.EventTarget("orders", rule=rule.name, arn=queue.arn, input_path="$.detail")
policy = aws.iam.get_policy_document_output(
    statements=[
        {
            "sid": "topic", "principals": [{"type": "Service", "identifiers": ["sns.amazonaws.com"]}],
            "actions": ["sqs:SendMessage"], "resources": [queue.arn],
            "conditions": [{"test": "ArnEquals", "variable": "aws:SourceArn", "values": [topic.arn]}],
        },
        {
            "sid": "rule", "principals": [{"type": "Service", "identifiers": ["events.amazonaws.com"]}],
            "actions": ["sqs:SendMessage"], "resources": [queue.arn],
        },
    ]
)  # fmt: skip
aws.sqs.QueuePolicy("work", queue_url=queue.url, policy=policy.json)
aws.sns.TopicSubscription(
    "work", topic=topic.arn, protocol="sqs", endpoint=queue.arn, raw_message_delivery=True,
    filter_policy=json.dumps({"kind": ["news"]}),
)  # fmt: skip
publish = topic.arn.apply(lambda arn: json.dumps({"Version": "2012-10-17", "Statement": [
    {"Effect": "Allow", "Principal": {"Service": "events.amazonaws.com"}, "Action": "sns:Publish", "Resource": arn}
]}))  # fmt: skip
aws.sns.TopicPolicy("news", arn=topic.arn, policy=publish)
aws.sqs.Queue("in-order", fifo_queue=True, name="in-order.fifo", content_based_deduplication=True)
pulumi.export("queue", queue.url)
pulumi.export("topic", topic.arn)
