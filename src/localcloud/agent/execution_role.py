"""What ECS does for a task in the name of its execution role: pull images, open logs, fetch secrets.

A permission that is missing keeps the task from starting, with the reason that ECS gives. Sources: "Task execution IAM
role" and "Stopped tasks error messages" (ECS developer guide).
"""

from __future__ import annotations

import logging
import re
from typing import Any

from localcloud.agent.logs import Stream
from localcloud.iam.errors import CannotAssume, Denied
from localcloud.request.access import Access
from localcloud.server import Server

log = logging.getLogger(__name__)

SERVICE = "ecs-tasks.amazonaws.com"

REGISTRY = re.compile(r"(?P<account>\d{12})\.dkr\.ecr\.(?P<region>[a-z0-9-]+)\.[^/]+/(?P<repository>[^:@]+).*")

PULL = ("ecr:BatchCheckLayerAvailability", "ecr:GetDownloadUrlForLayer", "ecr:BatchGetImage")


class CannotPrepare(Exception):
    """The task cannot start; the text is its stoppedReason, in AWS's words."""


class ExecutionRole:
    """The execution role of one task, taken on. Hold the server's lock in every call, which raise `CannotPrepare`.

    A task without one (on instances of one's own) leaves all of this to the instance, which may do everything here.
    """

    def __init__(self, server: Server, task: Any):
        self._server = server
        roles = {
            "taskRoleArn": task.overrides.get("taskRoleArn") or getattr(task.definition, "task_role_arn", None),
            "executionRoleArn": task.overrides.get("executionRoleArn")
            or getattr(task.definition, "execution_role_arn", None),
        }
        source = f"arn:aws:ecs:{task.region_name}:{task._account_id}:*"  # ECS names account and region, nothing else
        try:
            principals = {name: server.assume(role, SERVICE, source, task.id) for name, role in roles.items()}
        except CannotAssume as refused:
            raise CannotPrepare(f"ECS was unable to assume a role that was provided for this task: {refused}") from None
        self._principal = principals["executionRoleArn"]

    def client(self, service: str, region: str) -> Any:
        """A boto3 client that acts as the role."""
        return self._server.client(service, region, self._principal)

    def pull(self, reference: str) -> None:
        """Make sure that the image may be pulled; only the account's own registry asks who is pulling."""
        match = REGISTRY.fullmatch(reference)
        if match is None:
            return
        try:
            self._demand("ecr:GetAuthorizationToken", "*")
        except Denied as denied:
            raise CannotPrepare(
                "ResourceInitializationError: unable to pull secrets or registry auth: execution resource retrieval "
                "failed: unable to retrieve ecr registry auth: service call has been retried 1 time(s): "
                f"AccessDeniedException: {denied}"
            ) from denied
        repository = f"arn:aws:ecr:{match['region']}:{match['account']}:repository/{match['repository']}"
        try:
            for action in PULL:
                self._demand(action, repository)
        except Denied as denied:
            raise CannotPrepare(
                "CannotPullContainerError: pull image manifest has been retried 1 time(s): "
                f"failed to resolve ref {reference}: 403 Forbidden: {denied}"
            ) from denied

    def may_log(self, stream: Stream, create_group: bool) -> bool:
        """Make sure that the stream may be opened; whether lines may be written to it: ECS loses them if not."""
        group = f"arn:aws:logs:{stream.region}:{stream.account}:log-group:{stream.group}:log-stream:"
        try:
            if create_group:
                self._demand("logs:CreateLogGroup", group)
            self._demand("logs:CreateLogStream", group + stream.name)
        except Denied as denied:
            raise CannotPrepare(
                "ResourceInitializationError: failed to validate logger args: create stream has been retried 1 times: "
                f"failed to create Cloudwatch log stream: AccessDeniedException: {denied}: exit status 1"
            ) from denied
        try:
            self._demand("logs:PutLogEvents", group + stream.name)
        except Denied as denied:
            log.warning("the lines of %s are lost: %s", stream.name, denied)
            return False
        return True

    def _demand(self, action: str, resource: str) -> None:
        if self._server.guard is not None and self._principal != "root":
            self._server.guard.demand(self._principal, Access(action, resource))
