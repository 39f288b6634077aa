"""AWS's rules that moto lacks, checked before a request reaches moto, so that every client meets them here first.

A rule is a function of a `Call` that raises `Refused`; `RULES` says which calls it judges. Add a rule by writing the
function and its line in the table. Messages are AWS's own as far as they are known.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from urllib.parse import parse_qs, parse_qsl, unquote, urlsplit
from xml.sax.saxutils import escape

from localcloud.agent import cron
from localcloud.patches import backends

MIB_PER_GB = 1024


class Refused(Exception):
    """AWS would refuse this request: error code, message, HTTP status."""

    def __init__(self, code: str, message: str, status: int = 400):
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status


@dataclass(frozen=True)
class Call:
    """What a request asks for. `action` is "" where a REST path was not recognised (only some need to be)."""

    service: str
    action: str
    protocol: str
    account: str
    region: str
    url: str
    body: bytes

    @property
    def name(self) -> str:
        """For people: service and action."""
        return f"{self.service}:{self.action or urlsplit(self.url).path}"

    @cached_property
    def parameters(self) -> Any:
        """The parameters as the client sent them; of the JSON protocols only. Empty if they cannot be read."""
        try:
            return json.loads(self.body or b"{}")
        except ValueError:
            return {}


REST_ACTIONS: tuple[tuple[str, str, re.Pattern[str], str], ...] = (
    ("scheduler", "POST", re.compile(r"/schedules/[^/]+"), "CreateSchedule"),
    ("scheduler", "PUT", re.compile(r"/schedules/[^/]+"), "UpdateSchedule"),
    ("s3", "PUT", re.compile(r"/[^/?]+/?\?policy=?"), "PutBucketPolicy"),
)
"""Service, method, path (with query for S3), action: of the REST services those calls that a rule judges."""


def identify(
    method: str, url: str, headers: list[tuple[str, str]], body: bytes, account: str, default_region: str
) -> Call:
    """Find out from a request's signature, headers and path what it asks for."""
    lower = {key.lower(): value for key, value in headers}
    query = parse_qs(urlsplit(url).query)
    scope = re.search(r"Credential=([^,\s]+)", lower.get("authorization", ""))
    credential = scope[1] if scope else query.get("X-Amz-Credential", [""])[0]
    parts = credential.split("/")
    region, service = (parts[2], parts[3]) if len(parts) == 5 else (default_region, "s3")
    target = lower.get("x-amz-target", "")
    if target:
        return Call(service, target.rsplit(".", 1)[-1], "json", account, region, url, body)
    if "x-www-form-urlencoded" in lower.get("content-type", ""):
        action = dict(parse_qsl(body.decode("utf-8", "replace"))).get("Action", "")
        return Call(service, action, "ec2" if service == "ec2" else "query", account, region, url, body)
    subject = url if service == "s3" else urlsplit(url).path
    action = next(
        (name for s, m, path, name in REST_ACTIONS if s == service and m == method and path.fullmatch(subject)), ""
    )
    return Call(service, action, "rest-xml" if service == "s3" else "rest-json", account, region, url, body)


def check(call: Call) -> None:
    """Raise `Refused` if one of AWS's rules forbids the call. Hold the server's lock: rules look at moto's models."""
    for rule in RULES.get((call.service, call.action), ()):
        rule(call)


def render(refused: Refused, call: Call) -> tuple[int, list[tuple[str, str]], bytes]:
    """Status, headers and body of an error, in the shape of the call's protocol."""
    request_id = str(uuid.uuid4())
    headers = [("x-amzn-requestid", request_id)]
    code, message = escape(refused.code), escape(refused.message)
    error = f"<Code>{code}</Code><Message>{message}</Message>"
    match call.protocol:
        case "json":
            headers.append(("Content-Type", "application/x-amz-json-1.1"))
            return refused.status, headers, json.dumps({"__type": refused.code, "message": refused.message}).encode()
        case "rest-json":
            headers += [("Content-Type", "application/json"), ("x-amzn-errortype", refused.code)]
            return refused.status, headers, json.dumps({"Message": refused.message}).encode()
        case "ec2":
            body = f"<Response><Errors><Error>{error}</Error></Errors><RequestID>{request_id}</RequestID></Response>"
        case "query":
            kind = "Sender" if refused.status < 500 else "Receiver"
            error = f"<Error><Type>{kind}</Type>{error}</Error>"
            body = f"<ErrorResponse>{error}<RequestId>{request_id}</RequestId></ErrorResponse>"
        case _:
            body = f"<Error>{error}<RequestId>{request_id}</RequestId></Error>"
    headers.append(("Content-Type", "text/xml"))
    return refused.status, headers, b'<?xml version="1.0" encoding="UTF-8"?>\n' + body.encode()


# --- ECS -------------------------------------------------------------------------------------------------------------

FARGATE_MEMORY: Mapping[int, tuple[int, ...]] = {
    256: (512, 1024, 2048),
    512: tuple(range(1024, 4096 + 1, 1024)),
    1024: tuple(range(2048, 8192 + 1, 1024)),
    2048: tuple(range(4096, 16384 + 1, 1024)),
    4096: tuple(range(8192, 30720 + 1, 1024)),
    8192: tuple(range(16384, 61440 + 1, 4096)),
    16384: tuple(range(32768, 122880 + 1, 8192)),
}
"""CPU units -> MiB that Fargate offers with them.
Source: https://docs.aws.amazon.com/AmazonECS/latest/developerguide/fargate-tasks-services.html"""

FARGATE_DISK_GIB = range(21, 201)


def _size(text: Any, unit: str, factor: int) -> int | None:
    """`"1024"`, `1024` or `"1 vCPU"` / `"2 GB"` in CPU units or MiB; None if it is neither."""
    match = re.fullmatch(rf"\s*([\d.]+)\s*({unit})?\s*", str(text), re.IGNORECASE)
    if match is None:
        return None
    try:
        return int(float(match[1]) * (factor if match[2] else 1))
    except ValueError:
        return None


def fargate_task_definition(call: Call) -> None:
    """Fargate takes certain pairs of CPU and memory, the network mode awsvpc, and needs a role to pull and to log."""
    definition = call.parameters
    if "FARGATE" not in (definition.get("requiresCompatibilities") or []):
        return
    if definition.get("networkMode") != "awsvpc":
        raise Refused("ClientException", "Fargate only supports network mode ‘awsvpc’.")
    cpu, memory = definition.get("cpu"), definition.get("memory")
    if not cpu:
        raise Refused("ClientException", "Fargate requires that 'cpu' be defined at the task level.")
    if not memory:
        raise Refused("ClientException", "Fargate requires that 'memory' be defined at the task level.")
    units, mib = _size(cpu, "vCPU", 1024), _size(memory, "GB", MIB_PER_GB)
    if units is None or mib not in FARGATE_MEMORY.get(units, ()):
        message = f"No Fargate configuration exists for given values: {cpu} CPU, {memory} memory."
        raise Refused("ClientException", f"{message} See the Amazon ECS documentation for the valid values.")
    disk = (definition.get("ephemeralStorage") or {}).get("sizeInGiB")
    if disk is not None and disk not in FARGATE_DISK_GIB:
        message = f"sizeInGiB must be between {FARGATE_DISK_GIB[0]} and {FARGATE_DISK_GIB[-1]}, was {disk}."
        raise Refused("ClientException", f"Invalid setting for ephemeral storage: {message}")
    if definition.get("executionRoleArn"):
        return
    for container in definition.get("containerDefinitions", []):
        if (container.get("logConfiguration") or {}).get("logDriver") == "awslogs":
            needed = "log driver awslogs"
        elif ".dkr.ecr." in container.get("image", ""):
            needed = "ECR images"
        else:
            continue
        raise Refused(
            "ClientException", f"Fargate requires task definition to have execution role ARN to support {needed}."
        )


def service_is_new(call: Call) -> None:
    """A service's name is taken until the last one of that name has drained."""
    cluster = str(call.parameters.get("cluster") or "default").rsplit("/", 1)[-1]
    name = call.parameters.get("serviceName")
    service = backends.ecs(call.account, call.region).services.get(f"{cluster}:{name}")
    if service is None or service.status == "INACTIVE":
        return
    if service.status == "DRAINING":
        raise Refused("InvalidParameterException", "Unable to Start a service that is still Draining.")
    raise Refused("InvalidParameterException", "Creation of service was not idempotent.")


def target_group_has_load_balancer(call: Call) -> None:
    """A service's target group must already be in use by a listener or one of its rules."""
    backend = backends.elbv2(call.account, call.region) if call.parameters.get("loadBalancers") else None
    for entry in call.parameters.get("loadBalancers") or []:
        arn = entry.get("targetGroupArn")
        if arn is None or backend is None:
            continue
        if arn not in backend.target_groups:
            raise Refused("InvalidParameterException", f"The specified target group does not exist: {arn}")
        if not _targets_in_use(backend, arn):
            message = f"The target group with targetGroupArn {arn} does not have an associated load balancer."
            raise Refused("InvalidParameterException", message)


def _targets_in_use(backend: Any, target_group_arn: str) -> bool:
    for balancer in backend.load_balancers.values():
        for listener in balancer.listeners.values():
            actions = [*listener.default_actions, *(a for rule in listener.rules.values() for a in rule.actions)]
            if any(target_group_arn in json.dumps(action.data) for action in actions):
                return True
    return False


def cluster_is_empty(call: Call) -> None:
    """A cluster goes after its services and tasks."""
    cluster = str(call.parameters.get("cluster") or "").rsplit("/", 1)[-1]
    backend = backends.ecs(call.account, call.region)
    services = [s for s in backend.services.values() if s.cluster_name == cluster and s.status != "INACTIVE"]
    if services:
        raise Refused("ClusterContainsServicesException", "The Cluster cannot be deleted while Services are active.")
    if any(task.last_status != "STOPPED" for task in backend.tasks.get(cluster, {}).values()):
        raise Refused("ClusterContainsTasksException", "The Cluster cannot be deleted while Tasks are active.")


# --- EventBridge Scheduler -------------------------------------------------------------------------------------------

SCHEDULE_NAME = re.compile(r"[0-9a-zA-Z-_.]{1,64}")


def schedule_is_valid(call: Call) -> None:
    """The expression, the time zone and the name must be ones that Scheduler knows."""
    name = unquote(urlsplit(call.url).path.rsplit("/", 1)[-1])
    if not SCHEDULE_NAME.fullmatch(name):
        raise Refused("ValidationException", f"Invalid schedule name {name!r}: {SCHEDULE_NAME.pattern}")
    expression = call.parameters.get("ScheduleExpression") or ""
    try:
        cron.parse(expression)
    except cron.BadExpression as error:
        raise Refused("ValidationException", f"Invalid Schedule Expression {expression}: {error}.") from error
    timezone = call.parameters.get("ScheduleExpressionTimezone") or "UTC"
    try:
        cron.zone(timezone)
    except cron.BadExpression as error:
        raise Refused("ValidationException", f"Invalid Schedule Expression Timezone {timezone}.") from error


# --- S3 --------------------------------------------------------------------------------------------------------------


def policy_is_not_blocked(call: Call) -> None:
    """A bucket that blocks public policies takes none; new buckets do."""
    bucket_name = unquote(urlsplit(call.url).path.strip("/"))
    bucket = backends.s3(call.account).buckets.get(bucket_name)
    block = bucket.public_access_block if bucket is not None else None
    if block is None or not block.block_public_policy or not _is_public(call.parameters):
        return
    message = (
        f'User is not authorized to perform: s3:PutBucketPolicy on resource: "arn:aws:s3:::{bucket_name}" because '
        "public policies are blocked by the BlockPublicPolicy block public access setting."
    )
    raise Refused("AccessDenied", message, 403)


def _is_public(policy: Any) -> bool:
    """Whether a policy lets anyone in: an Allow for everybody that no condition narrows."""
    statements = policy.get("Statement", []) if isinstance(policy, dict) else []
    for statement in statements if isinstance(statements, list) else [statements]:
        everybody = statement.get("Principal") in ("*", {"AWS": "*"}, {"AWS": ["*"]})
        if statement.get("Effect") == "Allow" and everybody and not statement.get("Condition"):
            return True
    return False


Rule = Callable[[Call], None]

RULES: Mapping[tuple[str, str], tuple[Rule, ...]] = {
    ("ecs", "RegisterTaskDefinition"): (fargate_task_definition,),
    ("ecs", "CreateService"): (service_is_new, target_group_has_load_balancer),
    ("ecs", "DeleteCluster"): (cluster_is_empty,),
    ("scheduler", "CreateSchedule"): (schedule_is_valid,),
    ("scheduler", "UpdateSchedule"): (schedule_is_valid,),
    ("s3", "PutBucketPolicy"): (policy_is_not_blocked,),
}
"""Service (as in a signature's scope) and action -> the rules that judge it, in this order."""
