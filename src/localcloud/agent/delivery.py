"""Handing something to a target by its ARN: what EventBridge rules and Scheduler do when they fire."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from botocore import xform_name
from botocore.model import Shape

from localcloud.server import Server

UNIVERSAL_TARGET = "arn:aws:scheduler:::aws-sdk:"


class NoSuchTarget(Exception):
    """The local cloud cannot deliver to this kind of target."""


@dataclass(frozen=True)
class OnBehalf:
    """A service that acts for a resource of somebody's, without a role: what is reached has to permit it."""

    service: str
    source_arn: str


class Delivery:
    """Delivers to targets. Failures are botocore's ClientError, or `NoSuchTarget`."""

    def __init__(self, server: Server):
        self._server = server

    def deliver(
        self,
        target: Mapping[str, Any],
        payload: str,
        name: str | None,
        started_by: str,
        principal: str = "root",
        acting: OnBehalf | None = None,
    ) -> None:
        """Hand `payload` to a target as a rule or schedule describes it.

        `name` becomes the name of an execution, `started_by` the startedBy of a task; `principal` is who does it,
        `acting` for whom where that is not a role's session.
        """
        arn = target["Arn"]
        if arn.startswith(UNIVERSAL_TARGET):
            return self._call(arn, payload, principal)
        service, region = arn.split(":")[2:4]
        client = self._server.client(_CLIENTS.get(service, service), region or None, principal)
        match service:
            case "states":
                client.start_execution(stateMachineArn=arn, name=name or str(uuid.uuid4()), input=payload or "{}")
            case "sqs":
                self._demand(acting, "sqs:SendMessage", arn)
                self._send(client, arn, payload, (target.get("SqsParameters") or {}).get("MessageGroupId"), {})
            case "sns":
                self._demand(acting, "sns:Publish", arn)
                client.publish(TopicArn=arn, Message=payload)
            case "logs":
                self._write(client, arn, payload, acting)
            case "ecs":
                self._run_task(client, target, payload, started_by)
            case "lambda":
                self._demand(acting, "lambda:InvokeFunction", arn)
                client.invoke(FunctionName=arn, InvocationType="Event", Payload=(payload or "{}").encode())
            case _:
                raise NoSuchTarget(f"the local cloud does not deliver to {service}: {arn}")

    def publish(
        self,
        topic_arn: str,
        principal: str,
        source_arn: str,
        subject: str,
        message: str,
        by_protocol: Mapping[str, str] | None = None,
    ) -> None:
        """Publish to a topic as one of AWS's services (`principal` is `cloudwatch.amazonaws.com` …) for `source_arn`.

        The topic's policy and that of its key decide. Raises `Denied`, and botocore's ClientError. Without `subject`
        there is none. `by_protocol`: protocol -> the text that its subscribers get in place of `message`.
        """
        self._demand(OnBehalf(principal, source_arn), "sns:Publish", topic_arn)
        titled = {"Subject": subject} if subject else {}
        if by_protocol:
            message, titled["MessageStructure"] = json.dumps({"default": message, **by_protocol}), "json"
        self._server.client("sns", topic_arn.split(":")[3]).publish(TopicArn=topic_arn, Message=message, **titled)

    def to_queue(
        self,
        arn: str,
        payload: str,
        attributes: Mapping[str, str],
        principal: str = "root",
        acting: OnBehalf | None = None,
    ) -> None:
        """Send to a queue with message attributes, as to a dead-letter queue."""
        self._demand(acting, "sqs:SendMessage", arn)
        self._send(self._server.client("sqs", arn.split(":")[3], principal), arn, payload, None, attributes)

    def _send(self, client: Any, arn: str, payload: str, group: str | None, attributes: Mapping[str, str]) -> None:
        region, name = arn.split(":")[3], arn.rsplit(":", 1)[-1]
        queue = self._server.client("sqs", region).get_queue_url(QueueName=name)["QueueUrl"]  # the service knows it
        values = {key: {"DataType": "String", "StringValue": value} for key, value in attributes.items() if value}
        extra: dict[str, Any] = {"MessageGroupId": group} if group else {}
        client.send_message(QueueUrl=queue, MessageBody=payload, MessageAttributes=values, **extra)

    def _demand(self, acting: OnBehalf | None, action: str, arn: str) -> None:
        """Raise `Denied` if what is reached does not permit it to the service that acts without a role."""
        if acting is not None:
            self._server.permit(acting.service, action, arn, acting.source_arn)

    def _write(self, client: Any, arn: str, payload: str, acting: OnBehalf | None) -> None:
        group, stream = arn.split(":log-group:")[1].removesuffix(":*"), str(uuid.uuid4())
        for action in ("logs:CreateLogStream", "logs:PutLogEvents"):
            self._demand(acting, action, f"{arn.removesuffix(':*')}:log-stream:{stream}")
        client.create_log_stream(logGroupName=group, logStreamName=stream)
        event = {"timestamp": int(time.time() * 1000), "message": payload}
        client.put_log_events(logGroupName=group, logStreamName=stream, logEvents=[event])

    def _run_task(self, ecs: Any, target: Mapping[str, Any], payload: str, started_by: str) -> None:
        model = ecs.meta.service_model.operation_model("RunTask").input_shape
        parameters = dict(target["EcsParameters"])
        request = {
            "cluster": target["Arn"],
            "taskDefinition": parameters.pop("TaskDefinitionArn"),
            "count": parameters.pop("TaskCount", 1),
            "startedBy": started_by,
            **recased(parameters, model),
        }
        overrides = json.loads(payload or "{}")
        if overrides:
            request["overrides"] = overrides
        ecs.run_task(**request)

    def _call(self, arn: str, payload: str, principal: str) -> None:
        """A universal target: `arn:aws:scheduler:::aws-sdk:<service>:<operation>` with the parameters as payload."""
        service, operation = arn.removeprefix(UNIVERSAL_TARGET).split(":", 1)
        client = self._server.client(_CLIENTS.get(service, service), None, principal)
        model = client.meta.service_model
        name = next((known for known in model.operation_names if known.lower() == operation.lower()), None)
        if name is None:
            raise NoSuchTarget(f"{service} has no operation {operation}")
        parameters = recased(json.loads(payload or "{}"), model.operation_model(name).input_shape)
        getattr(client, xform_name(name))(**parameters)


_CLIENTS = {"states": "stepfunctions", "sfn": "stepfunctions", "eventbridge": "events"}
"""A service as ARNs name it -> as botocore does, where they differ."""


def recased(value: Any, shape: Shape | None) -> Any:
    """Parameters whose keys differ from an API's in their case only, with the API's own keys, at every depth.

    Scheduler and rules write `AwsvpcConfiguration` and `Subnets` where ECS has `awsvpcConfiguration` and `subnets`.
    """
    if shape is None:
        return value
    if shape.type_name == "structure" and isinstance(value, dict):
        members = {name.lower(): (name, member) for name, member in shape.members.items()}
        known = ((*members.get(key.lower(), (key, None)), item) for key, item in value.items())
        return {name: recased(item, member) for name, member, item in known}
    if shape.type_name == "list" and isinstance(value, list):
        return [recased(item, shape.member) for item in value]
    return value
