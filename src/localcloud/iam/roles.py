"""What AWS demands of a role at the moment when it is named for a service, whoever names it.

The service has to be trusted, and Step Functions needs the rules by which it learns that what it waits for has ended.
Sources: "IAM policies for integrated services" (Step Functions), "Set up the execution role" (EventBridge Scheduler),
"Task IAM role" (ECS).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol

from localcloud import backends
from localcloud.iam import principals
from localcloud.iam.errors import CannotAssume, Denied
from localcloud.request import Call, Refused
from localcloud.request.access import Access


class Judge(Protocol):
    """What decides: `judge.Guard`."""

    def trust(self, role_arn: str, service: str, source_arn: str) -> None:
        """Raise `CannotAssume` unless a role trusts a service that acts for `source_arn`."""

    def demand(self, principal: str, access: Access) -> None:
        """Raise `Denied` unless the principal, a role's session, has what it needs."""


MANAGED_RULES = {
    "arn:aws:states:::ecs:runTask.sync": "StepFunctionsGetEventsForECSTaskRule",
    "arn:aws:states:::states:startExecution.sync": "StepFunctionsGetEventsForStepFunctionsExecutionRule",
    "arn:aws:states:::states:startExecution.sync:2": "StepFunctionsGetEventsForStepFunctionsExecutionRule",
    "arn:aws:states:::batch:submitJob.sync": "StepFunctionsGetEventsForBatchJobsRule",
}
"""Resource of a state that waits -> the rule that Step Functions makes for it with the machine's role."""


def check(call: Call, judge: Judge) -> None:
    """Raise `Refused` if a request names a role that its service cannot use. Hold the server's lock."""
    rule = RULES.get((call.service, call.operation))
    if rule is not None:
        rule(call, judge)


def _machine(call: Call, judge: Judge) -> None:
    arguments = call.arguments
    new = f"arn:aws:states:{call.region}:{call.account}:stateMachine:{arguments.get('name')}"
    arn = arguments.get("stateMachineArn") or new
    kept = next((m for m in backends.stepfunctions(call.account, call.region).state_machines if m.arn == arn), None)
    role = arguments.get("roleArn") or str(getattr(kept, "roleArn", ""))
    try:
        judge.trust(role, "states.amazonaws.com", arn)
    except CannotAssume as refused:
        reason = (
            "Neither the global service principal states.amazonaws.com, nor the regional one is authorized to assume"
        )
        raise Refused("AccessDeniedException", f"{reason} the provided role. {refused}", 400) from refused
    principal = principals.session_of(role, "managed-rule")
    for name in dict.fromkeys(_rules(arguments.get("definition") or "{}")):
        rule = f"arn:aws:events:{call.region}:{call.account}:rule/{name}"
        for action in ("events:PutTargets", "events:PutRule", "events:DescribeRule"):
            try:
                judge.demand(principal, Access(action, rule))
            except Denied as denied:
                message = f"'{role}' is not authorized to create managed-rule. {denied}"
                raise Refused("AccessDeniedException", message, 400) from denied


def _rules(definition: str) -> Iterator[str]:
    try:
        waiting: list[Any] = [json.loads(definition)]
    except ValueError:
        return  # what is wrong with it is said elsewhere
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            resource = value.get("Resource")
            if isinstance(resource, str) and resource in MANAGED_RULES:
                yield MANAGED_RULES[resource]
            waiting += value.values()
        elif isinstance(value, list):
            waiting += value


def _schedule(call: Call, judge: Judge) -> None:
    target, group = call.arguments.get("Target") or {}, call.arguments.get("GroupName") or "default"
    source = f"arn:aws:scheduler:{call.region}:{call.account}:schedule-group/{group}"
    try:
        judge.trust(target.get("RoleArn") or "", "scheduler.amazonaws.com", source)
    except CannotAssume as refused:
        message = "The execution role you provide must allow AWS EventBridge Scheduler to assume the role."
        raise Refused("ValidationException", f"{message} {refused}", 400) from refused


def _task(call: Call, judge: Judge) -> None:
    definition = backends.task_definition(call.account, call.region, str(call.arguments.get("taskDefinition") or ""))
    overrides = call.arguments.get("overrides") or {}
    for role in (
        overrides.get("taskRoleArn") or getattr(definition, "task_role_arn", None),
        overrides.get("executionRoleArn") or getattr(definition, "execution_role_arn", None),
    ):
        try:
            if role:
                judge.trust(role, "ecs-tasks.amazonaws.com", f"arn:aws:ecs:{call.region}:{call.account}:*")
        except CannotAssume as refused:
            message = f"ECS was unable to assume the role '{role}' that was provided for this task."
            raise Refused("ClientException", f"{message} {refused}", 400) from refused


def _function(call: Call, judge: Judge) -> None:
    name = str(call.arguments.get("FunctionName") or "").rpartition("function:")[2].partition(":")[0]
    model = backends.function(call.account, call.region, name) if call.operation != "CreateFunction" else None
    role = call.arguments.get("Role") or str(getattr(model, "role", ""))
    if not role:
        return  # there is no such function: that is said elsewhere
    arn = f"arn:aws:lambda:{call.region}:{call.account}:function:{name}"
    try:
        judge.trust(role, "lambda.amazonaws.com", arn)
    except CannotAssume as refused:
        message = f"The role defined for the function cannot be assumed by Lambda. {refused}"
        raise Refused("InvalidParameterValueException", message, 400) from refused
    letters = str((call.arguments.get("DeadLetterConfig") or {}).get("TargetArn") or "")
    needed = {"sqs": ("SendMessage", "SQS"), "sns": ("Publish", "SNS")}.get("".join(letters.split(":")[2:3]))
    if needed:
        _function_may(role, name, letters, needed[1], (needed[0],), judge)


def _event_source(call: Call, judge: Judge) -> None:
    named = str(call.arguments.get("FunctionName") or "")
    name = (named.partition("function:")[2] or named).partition(":")[0]
    model = backends.function(call.account, call.region, name)
    source = str(call.arguments.get("EventSourceArn") or "")
    if model is not None and source.split(":")[2:3] == ["sqs"]:
        actions = ("ReceiveMessage", "DeleteMessage", "GetQueueAttributes")
        _function_may(str(model.role), name, source, "SQS", actions, judge)


def _function_may(role: str, name: str, arn: str, service: str, actions: tuple[str, ...], judge: Judge) -> None:
    for action in actions:
        try:
            judge.demand(principals.session_of(role, name), Access(f"{service.lower()}:{action}", arn))
        except Denied as denied:
            message = f"The provided execution role does not have permissions to call {action} on {service}. {denied}"
            raise Refused("InvalidParameterValueException", message, 400) from denied


RULES: Mapping[tuple[str, str], Callable[[Call, Judge], None]] = {
    ("ecs", "RunTask"): _task,
    ("ecs", "StartTask"): _task,
    ("lambda", "CreateEventSourceMapping"): _event_source,
    ("lambda", "CreateFunction"): _function,
    ("lambda", "UpdateFunctionConfiguration"): _function,
    ("scheduler", "CreateSchedule"): _schedule,
    ("scheduler", "UpdateSchedule"): _schedule,
    ("states", "CreateStateMachine"): _machine,
    ("states", "UpdateStateMachine"): _machine,
}
