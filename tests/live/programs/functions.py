"""A function that a rule and a queue invoke, with its code beside the program and in it."""

import json
import os

import pulumi
import pulumi_aws as aws

changed = bool(os.environ.get("CHANGED"))

CODE = """
import json, os

def handler(event, context):
    print("got", json.dumps(event))
    files = sorted(os.listdir("files"))
    return {"greeting": os.environ["GREETING"], "files": files, "event": event, "changed": CHANGED}
""".replace("CHANGED", repr(changed))


def trust(service: str) -> str:
    statement = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


queue = aws.sqs.Queue("orders", visibility_timeout_seconds=60)
role = aws.iam.Role("function", assume_role_policy=trust("lambda.amazonaws.com"))
logs = ["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"]
polling = ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"]
permissions = aws.iam.RolePolicy(
    "function",
    role=role.id,
    policy=queue.arn.apply(
        lambda arn: json.dumps(
            {
                "Version": "2012-10-17",
                "Statement": [
                    {"Effect": "Allow", "Action": logs, "Resource": "*"},
                    {"Effect": "Allow", "Action": polling, "Resource": arn},
                ],
            }
        )
    ),
)
function = aws.lambda_.Function(
    "greeter",
    role=role.arn,
    runtime="python3.12",
    handler="app.handler",
    timeout=30,
    memory_size=256,
    environment={"variables": {"GREETING": "good bye" if changed else "hello"}},
    code=pulumi.AssetArchive(
        {
            "app.py": pulumi.StringAsset(CODE),
            "files": pulumi.FileArchive("./service_app"),
        }
    ),
    opts=pulumi.ResourceOptions(depends_on=[permissions]),
)
rule = aws.cloudwatch.EventRule("orders", event_pattern=json.dumps({"source": ["shop"]}))
aws.cloudwatch.EventTarget("orders", rule=rule.name, arn=function.arn)
aws.lambda_.Permission(
    "orders",
    action="lambda:InvokeFunction",
    function=function.name,
    principal="events.amazonaws.com",
    source_arn=rule.arn,
)
aws.lambda_.EventSourceMapping("orders", event_source_arn=queue.arn, function_name=function.arn, batch_size=1)

pulumi.export("function", function.name)
pulumi.export("version", function.version)
pulumi.export("queue", queue.url)
