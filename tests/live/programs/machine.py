"""A state machine that a schedule starts, an activity, and an alarm that tells a topic when it fails."""

import json
import os

import pulumi
import pulumi_aws as aws


def trust(service: str) -> str:
    allowed = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
    return json.dumps({"Version": "2012-10-17", "Statement": [allowed]})


queue = aws.sqs.Queue("done")
states = aws.iam.Role("states", assume_role_policy=trust("states.amazonaws.com"))
send = queue.arn.apply(lambda arn: json.dumps({"Version": "2012-10-17", "Statement": [
    {"Effect": "Allow", "Action": "sqs:SendMessage", "Resource": arn}]}))  # fmt: skip
aws.iam.RolePolicy("send", role=states.id, policy=send)
wait = 2 if os.environ.get("CHANGED") else 1
definition = queue.url.apply(lambda url: json.dumps({
    "StartAt": "Wait",
    "States": {
        "Wait": {"Type": "Wait", "Seconds": wait, "Next": "Tell"},
        "Tell": {
            "Type": "Task", "Resource": "arn:aws:states:::sqs:sendMessage", "End": True,
            "Parameters": {"QueueUrl": url, "MessageBody.$": "$.words"},
        },
    },
}))  # fmt: skip
machine = aws.sfn.StateMachine("machine", role_arn=states.arn, definition=definition)
aws.sfn.Activity("by-hand", tags={"kind": "manual"})
start = aws.iam.Role("start", assume_role_policy=trust("scheduler.amazonaws.com"))
may = machine.arn.apply(lambda arn: json.dumps({"Version": "2012-10-17", "Statement": [
    {"Effect": "Allow", "Action": "states:StartExecution", "Resource": arn}]}))  # fmt: skip
aws.iam.RolePolicy("start", role=start.id, policy=may)
aws.scheduler.Schedule(
    "nightly", schedule_expression="cron(0 3 * * ? *)", flexible_time_window={"mode": "OFF"},
    target={"arn": machine.arn, "role_arn": start.arn, "input": json.dumps({"words": "good night"})},
)  # fmt: skip
topic = aws.sns.Topic("alarms")
aws.cloudwatch.MetricAlarm(
    "failed", namespace="AWS/States", metric_name="ExecutionsFailed", dimensions={"StateMachineArn": machine.arn},
    statistic="Sum", period=300, evaluation_periods=1, threshold=1,
    comparison_operator="GreaterThanOrEqualToThreshold", alarm_actions=[topic.arn], treat_missing_data="notBreaching",
)  # fmt: skip
aws.cloudwatch.Dashboard("board", dashboard_name="board", dashboard_body=json.dumps({"widgets": []}))
pulumi.export("machine", machine.arn)
pulumi.export("queue", queue.url)
