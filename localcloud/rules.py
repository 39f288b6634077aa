"""AWS's rules that moto lacks, checked before a request reaches moto, so that every client meets them here first.

A rule is a function of a `Call` that raises `Refused`; `RULES` says which calls it judges. Add a rule by writing the
function and its line in the table; a name's pattern is a line in `NAMES`. Messages are AWS's own as far as known.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from localcloud.agent import cron
from localcloud.calls import Call, Refused
from localcloud.patches import backends

MIB_PER_GB = 1024


def check(call: Call) -> None:
    """Raise `Refused` if one of AWS's rules forbids the call. Hold the server's lock: rules look at moto's models."""
    judged = (call.service, call.action)
    if judged in NAMES:
        name_is_valid(call, *NAMES[judged])
    for rule in RULES.get(judged, ()):
        rule(call)


# --- names -----------------------------------------------------------------------------------------------------------

NAMES: Mapping[tuple[str, str], tuple[str | None, str, str]] = {
    ("ecs", "RegisterTaskDefinition"): ("family", r"[a-zA-Z0-9_-]{1,255}", "ClientException"),
    ("ecs", "CreateService"): ("serviceName", r"[a-zA-Z0-9_-]{1,255}", "InvalidParameterException"),
    ("ecs", "CreateCluster"): ("clusterName", r"[a-zA-Z0-9_-]{1,255}", "InvalidParameterException"),
    ("elasticloadbalancing", "CreateLoadBalancer"): (
        "Name",
        r"(?!internal-)[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,30}[a-zA-Z0-9])?",
        "ValidationError",
    ),
    ("iam", "CreateRole"): ("RoleName", r"[\w+=,.@-]{1,64}", "ValidationError"),
    ("iam", "CreatePolicy"): ("PolicyName", r"[\w+=,.@-]{1,128}", "ValidationError"),
    ("states", "CreateStateMachine"): ("name", r"[^\s<>{}\[\]?*\"#%\\^|~`$&,;:/]{1,80}", "InvalidName"),
    ("states", "StartExecution"): ("name", r"[^\s<>{}\[\]?*\"#%\\^|~`$&,;:/]{1,80}", "InvalidName"),
    ("scheduler", "CreateSchedule"): (None, r"[0-9a-zA-Z-_.]{1,64}", "ValidationException"),
    ("scheduler", "CreateScheduleGroup"): (None, r"[0-9a-zA-Z-_.]{1,64}", "ValidationException"),
    ("s3", "CreateBucket"): (
        None,
        r"(?!xn--|sthree-)(?!\d+\.\d+\.\d+\.\d+$)[a-z0-9](?!.*\.\.)[a-z0-9.-]{1,61}[a-z0-9]",
        "InvalidBucketName",
    ),
}
"""Service, action -> parameter (None: the end of the path), what AWS takes as a name, code of the error otherwise.
Sources: the API reference of each service."""


def name_is_valid(call: Call, parameter: str | None, pattern: str, code: str) -> None:
    """What is created has a name that AWS takes; one that is not given is chosen later."""
    name = call.last_path_part if parameter is None else call.parameters.get(parameter)
    if name and not re.fullmatch(pattern, str(name)):
        raise Refused(code, f"Invalid {parameter or 'name'} '{name}': it must satisfy the pattern {pattern}")


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


def schedule_is_valid(call: Call) -> None:
    """The expression and the time zone must be ones that Scheduler knows."""
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


def schedule_group_is_new(call: Call) -> None:
    """A group's name is taken by the one that has it."""
    name = call.last_path_part
    if name in backends.scheduler(call.account, call.region).schedule_groups:
        raise Refused("ConflictException", f"Schedule group {name} already exists.", 409)


def schedule_group_exists(call: Call) -> None:
    """What is to be deleted must be there, and the default group stays."""
    name = call.last_path_part
    if name == "default":
        raise Refused("ValidationException", "You cannot delete the default schedule group.")
    if name not in backends.scheduler(call.account, call.region).schedule_groups:
        raise Refused("ResourceNotFoundException", f"Schedule group {name} does not exist.", 404)


# --- Step Functions, load balancers ----------------------------------------------------------------------------------


def state_machine_is_new(call: Call) -> None:
    """A state machine's name is taken, unless the very same one is made again."""
    for machine in backends.stepfunctions(call.account, call.region).state_machines:
        if machine.name == call.parameters.get("name") and (
            machine.definition != call.parameters.get("definition") or machine.roleArn != call.parameters.get("roleArn")
        ):
            raise Refused("StateMachineAlreadyExists", f"State Machine Already Exists: '{machine.arn}'")


def load_balancer_is_valid(call: Call) -> None:
    """A load balancer's name is free, and an application load balancer spans two zones at least."""
    name = call.parameters.get("Name")
    if any(found.name == name for found in backends.elbv2(call.account, call.region).load_balancers.values()):
        message = f"A load balancer with the same name '{name}' exists, but with different settings"
        raise Refused("DuplicateLoadBalancerName", message)
    subnets = [key for key in call.parameters if re.match(r"Subnet(s|Mappings)\.member\.\d+(\.SubnetId)?$", key)]
    if call.parameters.get("Type", "application") == "application" and len(subnets) < 2:
        message = "At least two subnets in two different Availability Zones must be specified"
        raise Refused("ValidationError", message)


# --- S3 --------------------------------------------------------------------------------------------------------------


def policy_is_not_blocked(call: Call) -> None:
    """A bucket that blocks public policies takes none; new buckets do."""
    bucket_name = call.last_path_part
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
    ("elasticloadbalancing", "CreateLoadBalancer"): (load_balancer_is_valid,),
    ("states", "CreateStateMachine"): (state_machine_is_new,),
    ("scheduler", "CreateScheduleGroup"): (schedule_group_is_new,),
    ("scheduler", "DeleteScheduleGroup"): (schedule_group_exists,),
    ("scheduler", "CreateSchedule"): (schedule_is_valid,),
    ("scheduler", "UpdateSchedule"): (schedule_is_valid,),
    ("s3", "PutBucketPolicy"): (policy_is_not_blocked,),
}
"""Service (as in a signature's scope) and action -> the rules that judge it, in this order."""
