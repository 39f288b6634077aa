"""Step Functions' service integrations: in-process clients, AWS's spelling, `.sync` that waits and cancels."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from datetime import datetime
from functools import cache
from typing import Any

import botocore.session
from botocore.exceptions import ClientError
from moto.stepfunctions.parser import models
from moto.stepfunctions.parser.asl.component.common.error_name import failure_event
from moto.stepfunctions.parser.asl.component.common.error_name.error_name import ErrorName
from moto.stepfunctions.parser.asl.component.common.error_name.states_error_name import StatesErrorName
from moto.stepfunctions.parser.asl.component.common.error_name.states_error_name_type import StatesErrorNameType
from moto.stepfunctions.parser.asl.component.state.exec.state_task import state_task
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service import (
    state_task_service,
    state_task_service_aws_sdk,
    state_task_service_ecs,
    state_task_service_sfn,
)

from localcloud import backends
from localcloud.iam.errors import CannotAssume
from localcloud.patches import hooks
from localcloud.patches.ecs.api import find_task
from localcloud.patches.stepfunctions.language import replace_everywhere

log = logging.getLogger(__name__)

Service = state_task_service.StateTaskService
Ecs = state_task_service_ecs.StateTaskServiceEcs
Sfn = state_task_service_sfn.StateTaskServiceSfn

ABORT_POLL_SECONDS = 0.1
"""How soon a waiting `.sync` state notices that its execution was stopped or has run out of time."""

TASK_ABORTED = "Task stopped by AWS Step Functions: the execution was stopped, failed elsewhere or ran out of time."

SERVICE_ERROR_NAMES = {
    "cloudwatch": "CloudWatch",
    "ecs": "Ecs",
    "s3": "S3",
    "secretsmanager": "SecretsManager",
    "sns": "Sns",
    "sqs": "Sqs",
    "ssm": "Ssm",
}
"""aws-sdk integrations: the service as it is spelt in error names such as `S3.NoSuchKeyException`."""


def apply() -> None:
    """Let tasks of state machines reach this cloud, and `.sync` follow what it started until its end."""
    _patch_clients()
    _patch_casing()
    _patch_events()
    _patch_ecs()
    _patch_nested_executions()
    state_task_service_aws_sdk._SERVICE_ERROR_NAMES.update(SERVICE_ERROR_NAMES)


class UnknownAccount(Exception):
    """A state machine's role belongs to an account that no server of this process has."""


def _patch_clients() -> None:
    # stepfunctions/parser/asl/utils/boto_client.py:14 makes a new client of http://localhost:5000 for each call.
    def boto_client_for(region: str, service: str, state_credentials: Any = None) -> Any:
        account = state_credentials.role_arn.split(":")[4]
        site = hooks.site(account)
        if site is None:
            raise UnknownAccount(account)
        return site.client(service, region, _acting(site, state_credentials))

    replace_everywhere("boto_client_for", boto_client_for)
    # state_task.py:71 tells the role, but not for which machine and execution it is taken on.
    stock = state_task.StateTask._eval_state_credentials

    def eval_state_credentials(self: Any, env: Any) -> Any:
        credentials = stock(self, env)
        context = env.states.context_object.context_object_data
        credentials.machine, credentials.session = context["StateMachine"]["Id"], context["Execution"]["Name"]
        credentials.own_role = env.aws_execution_details.role_arn
        return credentials

    state_task.StateTask._eval_state_credentials = eval_state_credentials


def _acting(site: hooks.Site, credentials: Any) -> str:
    """The principal of a state's call: the machine's role, or one that this role takes on for the state.

    Raises ClientError, as the call itself would.
    """
    machine, session = getattr(credentials, "machine", None), getattr(credentials, "session", "execution")
    own: str = getattr(credentials, "own_role", credentials.role_arn)
    try:
        principal = site.assume(own, "states.amazonaws.com", machine, session)
    except CannotAssume as refused:
        error = {"Error": {"Code": "AccessDeniedException", "Message": str(refused)}}
        raise ClientError(error, "AssumeRole") from refused
    if credentials.role_arn == own:
        return principal
    site.client("sts", None, principal).assume_role(RoleArn=credentials.role_arn, RoleSessionName=session)
    return site.assume(credentials.role_arn, "states.amazonaws.com", None, session)


@cache
def _service_model(service: str) -> Any:
    return botocore.session.get_session().get_service_model(service)


@cache
def _operation(service: str, action: str) -> Any | None:
    """botocore's model of an operation named as a resource ARN names it (`runTask`) or in snake case."""
    model = _service_model(service)
    wanted = action.replace("_", "").lower()
    return next((model.operation_model(name) for name in model.operation_names if name.lower() == wanted), None)


def _patch_casing() -> None:
    # state_task_service.py:208, 216 are empty: `Cluster` reached boto3, which wants `cluster`, and came back that way.
    # The parameters keep the names that moto's callers use.
    def normalise_parameters(
        self: Any, parameters: Any, boto_service_name: str | None = None, service_action_name: str | None = None
    ) -> None:
        operation = _operation(
            self._get_boto_service_name(boto_service_name), service_action_name or self.resource.api_action
        )
        if operation is not None and operation.input_shape is not None:
            self._to_boto_request(parameters, operation.input_shape)

    def normalise_response(
        self: Any, response: Any, boto_service_name: str | None = None, service_action_name: str | None = None
    ) -> None:
        operation = _operation(
            self._get_boto_service_name(boto_service_name), service_action_name or self.resource.api_action
        )
        if operation is not None and operation.output_shape is not None:
            self._from_boto_response(response, operation.output_shape)

    Service._normalise_parameters, Service._normalise_response = normalise_parameters, normalise_response


def _patch_events() -> None:
    # state_task_service.py: the history got a TaskSucceeded after ExecutionAborted. The `.sync` wait is inside the
    # subclass's override, hence the base class.
    stock = Service._after_eval_execution

    def after_eval_execution(self: Any, env: Any, *args: Any, **kwargs: Any) -> None:
        if env.is_running():
            stock(self, env, *args, **kwargs)

    Service._after_eval_execution = after_eval_execution


class _Following:
    """What a `.sync` state waits for: an event, a result once it is set, a way to stop it."""

    def __init__(self, finished: Any, result: Callable[[], Any], cancel: Callable[[], None]):
        self.finished = finished
        self.result = result
        self.cancel = cancel


def _follow(self: Any, env: Any, sync_resolver: _Following, *_: Any, **__: Any) -> Any:
    """Replaces StateTaskServiceCallback._eval_sync (:107), which asks twice a second and leaves orphans behind."""
    while env.is_running():
        if sync_resolver.finished.wait(ABORT_POLL_SECONDS):
            return sync_resolver.result()
    sync_resolver.cancel()
    return None


def _failure(self: Any, env: Any, error: Any, name: str, cause: str, resource_type: str) -> Any:
    return failure_event.FailureEvent(
        env=env,
        error_name=error,
        event_type=state_task_service.HistoryEventType.TaskFailed,
        event_details=state_task_service.EventDetails(
            taskFailedEventDetails=state_task_service.TaskFailedEventDetails(
                resourceType=resource_type, resource=self._get_sfn_resource(), error=name, cause=cause
            )
        ),
    )


def _patch_ecs() -> None:
    # state_task_service_ecs.py:99 succeeds whatever the exit code; state_task_service_ecs.py:22 does not know three
    # parameters of RunTask.
    state_task_service_ecs._SUPPORTED_API_PARAM_BINDINGS["runtask"] |= {"CapacityProviderStrategy", "Count", "Tags"}
    stock_error = Ecs._from_error

    def build(
        self: Any, env: Any, resource_runtime_part: Any, normalised_parameters: Any, state_credentials: Any
    ) -> Any:
        started = env.stack.pop()["Tasks"][0]
        return _follow_task(self, env, started["TaskArn"], started["ClusterArn"], state_credentials)

    def from_error(self: Any, env: Any, ex: Exception) -> Any:
        if isinstance(ex, ClientError):
            name = f"ECS.{ex.response['Error']['Code']}"
            return _failure(self, env, ErrorName(name), name, str(ex), "ecs")
        return stock_error(self, env, ex)

    Ecs._build_sync_resolver, Ecs._eval_sync, Ecs._from_error = build, _follow, from_error
    Ecs._eval_service_task = _run_task


def _run_task(
    self: Any, env: Any, resource_runtime_part: Any, normalised_parameters: Any, state_credentials: Any
) -> None:
    """Replaces StateTaskServiceEcs._eval_service_task (:66), which asks for the task's description in the role's name:
    a role may start tasks without being allowed to describe them.
    """
    client = state_task_service_ecs.boto_client_for(
        region=resource_runtime_part.region, service="ecs", state_credentials=state_credentials
    )
    response = getattr(client, self._get_boto_service_action())(**normalised_parameters)
    response.pop("ResponseMetadata", None)
    self._normalise_response(response=response)
    env.stack.append(response)


def _follow_task(self: Any, env: Any, task_arn: str, cluster_arn: str, credentials: Any) -> _Following:
    _, _, _, region, account, _ = task_arn.split(":", 5)
    site, listener = hooks.site(account), hooks.listener(account)
    if site is None or listener is None:
        raise UnknownAccount(f"{account}: nothing runs tasks for it")
    with site.lock:
        task = find_task(backends.ecs(account, region), cluster_arn, task_arn)

    def result() -> Any:
        client = site.client("ecs", region, _acting(site, credentials))
        described = client.describe_tasks(cluster=cluster_arn, tasks=[task_arn])
        Service._normalise_response(self, described, None, "describe_tasks")
        shown = json.loads(json.dumps(described["Tasks"][0], default=_milliseconds))
        if succeeded(task):
            return shown
        error = StatesErrorName(typ=StatesErrorNameType.StatesTaskFailed)
        event = _failure(self, env, error, "States.TaskFailed", json.dumps(shown), "ecs")
        raise failure_event.FailureEventException(event)

    def cancel() -> None:
        with site.lock:
            if backends.role(account, credentials.role_arn.rsplit("/", 1)[-1]) is None:
                # Taken down with all that it made: its session outlives it by the moment that this takes.
                listener.task_stop_requested(task, TASK_ABORTED)
                return
        client = site.client("ecs", region, _acting(site, credentials))
        _attempt(lambda: client.stop_task(cluster=cluster_arn, task=task_arn, reason=TASK_ABORTED), task_arn)

    return _Following(listener.task_finished(task), result, cancel)


def _attempt(stop: Callable[[], Any], what: str) -> None:
    try:
        stop()
    except ClientError as error:
        log.warning("%s goes on, though what started it has ended: %s", what, error)


def succeeded(task: Any) -> bool:
    """Whether `ecs:runTask.sync` takes a stopped task for a success: it ended by itself, all exit codes are 0."""
    return task.stop_code == "EssentialContainerExited" and all(c.exit_code == 0 for c in task.containers)


def _milliseconds(moment: Any) -> int:
    if not isinstance(moment, datetime):
        raise TypeError(f"{moment!r} has no place in a task's description")
    return int(moment.timestamp() * 1000)


def _patch_nested_executions() -> None:
    for name in ("_build_sync_resolver", "_build_sync2_resolver"):
        setattr(Sfn, name, _following_execution(getattr(Sfn, name)))
    Sfn._eval_sync = _follow


def _following_execution(stock: Any) -> Any:
    def build(
        self: Any, env: Any, resource_runtime_part: Any, normalised_parameters: Any, state_credentials: Any
    ) -> Any:
        execution_arn = env.stack[-1]["ExecutionArn"]
        resolver = stock(self, env, resource_runtime_part, normalised_parameters, state_credentials)
        _, _, _, region, account, _ = execution_arn.split(":", 5)
        site = hooks.site(account)
        if site is None:
            raise UnknownAccount(account)
        with site.lock:
            execution = models.stepfunctions_parser_backends[account][region].describe_execution(execution_arn)

        def cancel() -> None:
            client = site.client("stepfunctions", region, _acting(site, state_credentials))
            _attempt(lambda: client.stop_execution(executionArn=execution_arn), execution_arn)

        return _Following(execution.finished, resolver, cancel)

    return build
