"""ECS tasks: moto writes down a task that runs by the clock; here it is a record that the agent fills in.

moto's serialiser reads attributes by botocore's names in snake case, so `task.started_at` or `container.exit_code`
reach clients without further ado.
"""

from __future__ import annotations

from typing import Any

from moto.core.responses import ActionResult
from moto.core.utils import utcnow
from moto.ec2.models import elastic_network_interfaces
from moto.ecs import models, responses
from moto.moto_api._internal import mock_random

from localcloud.patches import hooks

Backend = models.EC2ContainerServiceBackend


class TaskContainer:
    """A container of a task, as DescribeTasks shows it.

    Replaces moto's, which is always the definition's first one with exit code 0 (ecs/models.py:699).
    """

    def __init__(self, task: Any, definition: dict[str, Any]):
        self.container_arn = f"{task.task_arn.replace(':task/', ':container/')}/{mock_random.uuid4()}"
        self.task_arn = task.task_arn
        self.name = definition["name"]
        self.image = definition.get("image")
        self.image_digest: str | None = None
        self.cpu = str(definition.get("cpu", 0))
        self.memory = str(definition["memory"]) if definition.get("memory") else None
        self.memory_reservation = definition.get("memoryReservation") and str(definition["memoryReservation"])
        self.last_status = "PENDING"
        self.health_status = "UNKNOWN"
        self.exit_code: int | None = None
        self.reason: str | None = None
        self.runtime_id: str | None = None
        self.network_bindings: list[dict[str, Any]] = []
        self.network_interfaces = [
            {"attachmentId": attachment["id"], "privateIpv4Address": detail["value"]}
            for attachment in task.attachments
            for detail in attachment["details"]
            if detail["name"] == "privateIPv4Address"
        ]


def apply() -> None:
    """Let the agent decide what becomes of a task."""
    _patch_task()
    _patch_run_task()
    _patch_propagation()
    _patch_stop_task()
    _patch_list_tasks()
    _patch_describe_tasks()
    _patch_describe_task_definition()


def _patch_task() -> None:
    # ecs/models.py:393: the status came from a state machine that each DescribeTasks moved on (:1505).
    def get_status(task: Any) -> str:
        return task.__dict__.get("_last_status", "PROVISIONING")  # type: ignore[no-any-return]

    def set_status(task: Any, status: str) -> None:
        task.__dict__["_last_status"] = status

    def advance(task: Any) -> None:
        """Only the agent changes a task's state."""

    stock_init = models.Task.__init__

    def init(task: Any, cluster: Any, task_definition: Any, *args: Any, **kwargs: Any) -> None:
        stock_init(task, cluster, task_definition, *args, **kwargs)
        now = utcnow()
        task.definition = task_definition
        task.containers = [TaskContainer(task, definition) for definition in task_definition.container_definitions]
        task.overrides = {"containerOverrides": [], "inferenceAcceleratorOverrides": [], **(task.overrides or {})}
        task.cpu = task.overrides.get("cpu") or task_definition.cpu
        task.memory = task.overrides.get("memory") or task_definition.memory
        task.version = 1
        task.created_at = now
        task.connectivity, task.connectivity_at = "CONNECTED", now
        task.stopped_reason = None
        task.stop_code = None
        task.pull_started_at = task.pull_stopped_at = None
        task.started_at = task.stopping_at = task.stopped_at = task.execution_stopped_at = None
        task.availability_zone = f"{task.region_name}a"
        task.platform_version = task.platform_version or "1.4.0"
        task.platform_family = "Linux"
        if not task.launch_type and task.capacity_provider_name in ("FARGATE", "FARGATE_SPOT"):
            task.launch_type = "FARGATE"

    models.Task.last_status = property(get_status, set_status)
    models.Task.advance = advance
    models.Task.__init__ = init


def _patch_run_task() -> None:
    # ecs/models.py:1389 adds None to an int when a container names no memory, which is normal on Fargate: HTTP 500.
    def no_requirements(task_definition: Any) -> dict[str, Any]:
        return {"CPU": 0, "MEMORY": 0, "PORTS": [], "PORTS_UDP": []}

    Backend._calculate_task_resource_requirements = staticmethod(no_requirements)
    stock = Backend.run_task

    def run_task(
        backend: Any,
        cluster_str: str,
        task_definition_str: str,
        count: int,
        overrides: dict[str, Any] | None,
        started_by: str,
        tags: list[dict[str, str]] | None,
        launch_type: str | None,
        networking_configuration: dict[str, Any] | None = None,
        group: str | None = None,
        platform_version: str | None = None,
        capacity_provider_strategy: list[dict[str, Any]] | None = None,
    ) -> list[Any]:
        network = with_security_groups(networking_configuration)
        strategy, provider = _on_this_machine(backend, cluster_str, launch_type, capacity_provider_strategy)
        tasks: list[Any] = stock(
            backend,
            cluster_str,
            task_definition_str,
            count,
            overrides,
            started_by,
            tags,
            launch_type,
            network,
            group,
            platform_version,
            strategy,
        )
        for task in tasks if provider else ():
            task.capacity_provider_name, task.launch_type = provider, "EC2"
        listener = hooks.listener(backend.account_id)
        if listener is not None:
            for task in tasks:
                listener.task_submitted(task)
        return tasks

    Backend.run_task = run_task  # ecs/models.py:1240

    # ec2/models/elastic_network_interfaces.py:139 sets the name only in a VPC with DNS host names, yet
    # ecs/models.py:386 reads it always: RunTask was HTTP 500 in other VPCs.
    elastic_network_interfaces.NetworkInterface.private_dns_name = None


def _patch_propagation() -> None:
    # ecs/responses.py:223 does not read `propagateTags`. A tag that the request names itself wins.
    stock = responses.EC2ContainerServiceResponse.run_task

    def run_task(response: Any) -> Any:
        answer = stock(response)
        if response._get_param("propagateTags") == "TASK_DEFINITION":
            for task in answer.result["tasks"]:
                own = {tag["key"] for tag in task.tags}
                task.tags = [*task.tags, *(tag for tag in task.definition.tags if tag["key"] not in own)]
        return answer

    responses.EC2ContainerServiceResponse.run_task = run_task


def _on_this_machine(
    backend: Any, cluster: str, launch_type: str | None, strategy: list[dict[str, Any]] | None
) -> tuple[list[dict[str, Any]] | None, str | None]:
    """The strategy to run by, and the provider of a pool of machines if it was one.

    moto looks for registered machines (ecs/models.py:1303). Here no agent registers any: the machine is this one, and
    it is there at once, whatever the pool's size.
    """
    declared = backend._get_cluster(cluster)
    wanted = strategy or (None if launch_type else declared.default_capacity_provider_strategy)
    name = wanted[0]["capacityProvider"] if wanted else None
    if name in (None, "FARGATE", "FARGATE_SPOT"):
        return strategy, None
    if name not in (declared.capacity_providers or []):
        raise models.InvalidParameterException(
            f"The specified capacity provider '{name}' was not found. Specify a valid name or ARN and try again."
        )
    return [{"capacityProvider": "FARGATE", "weight": 1}], name


def with_security_groups(network: dict[str, Any] | None) -> dict[str, Any] | None:
    """A network configuration that names its security groups: moto fails otherwise (ecs/models.py:365, 585)."""
    if not network or "awsvpcConfiguration" not in network:
        return network
    return {**network, "awsvpcConfiguration": {"securityGroups": [], **network["awsvpcConfiguration"]}}


def find_task(backend: Any, cluster: str, task: str) -> Any | None:
    """A task of a cluster by ARN or id."""
    tasks = backend.tasks.get(backend._get_cluster(cluster).name, {})
    task_id = task.rsplit("/", 1)[-1]
    return next((each for each in tasks.values() if each.id == task_id), None)


def _patch_stop_task() -> None:
    # ecs/models.py:1563 sets STOPPED at once; and a task that is not there is HTTP 500.
    stock = Backend.stop_task

    def stop_task(backend: Any, cluster_str: str, task_str: str, reason: str | None) -> Any:
        task = find_task(backend, cluster_str, task_str)
        if task is None:
            raise models.InvalidParameterException("The referenced task was not found.")
        listener = hooks.listener(backend.account_id)
        if listener is None:
            return stock(backend, cluster_str, task_str, reason)
        listener.task_stop_requested(task, reason or "Task stopped by user")
        return task

    Backend.stop_task = stop_task


def _patch_list_tasks() -> None:
    # ecs/models.py:1509: desiredStatus has no default (AWS: RUNNING), serviceName is ignored, a family is only found
    # while its definition is ACTIVE, and a cluster matches every other one whose name it begins.
    def list_tasks(
        backend: Any,
        cluster_str: str | None = None,
        container_instance: str | None = None,
        family: str | None = None,
        started_by: str | None = None,
        service_name: str | None = None,
        desiredStatus: str | None = None,  # noqa: N803 - moto's own name, passed by position
    ) -> list[Any]:
        name = backend._get_cluster(cluster_str or "default").name
        group = f"service:{service_name.rsplit('/', 1)[-1]}" if service_name else None

        def wanted(task: Any) -> bool:
            return (
                task.desired_status == (desiredStatus or "RUNNING")
                and (not family or family_of(task.task_definition_arn) == family)
                and (not started_by or task.started_by == started_by)
                and (not group or task.group == group)
                and (not container_instance or container_instance in (task.container_instance_arn or ""))
            )

        return [task for task in backend.tasks.get(name, {}).values() if wanted(task)]

    Backend.list_tasks = list_tasks


def family_of(task_definition_arn: str) -> str:
    """The family in a task definition's ARN: `…:task-definition/<family>:<revision>`."""
    return task_definition_arn.rsplit("/", 1)[-1].split(":", 1)[0]


def _patch_describe_tasks() -> None:
    # ecs/responses.py:223 matches ids across clusters and never reports what is missing; SDK waiters wait for that.
    response = responses.EC2ContainerServiceResponse
    stock = response.describe_tasks

    def describe_tasks(self: Any) -> ActionResult:
        result: ActionResult = stock(self)
        cluster = self.ecs_backend._get_cluster(self._get_param("cluster", "default")).name
        tasks = [task for task in result.result["tasks"] if task.cluster_name == cluster]
        known = {task.id for task in tasks}
        missing = [arn for arn in self._get_param("tasks", []) if arn.rsplit("/", 1)[-1] not in known]
        result.result["tasks"] = tasks
        result.result["failures"] = [{"arn": arn, "reason": "MISSING"} for arn in missing]
        return result

    response.describe_tasks = describe_tasks


def _patch_describe_task_definition() -> None:
    # ecs/models.py:946: a family alone is its latest revision, also where that was deregistered (AWS: its latest ACTIVE
    # one, DescribeTaskDefinition), so a task would go on running what was taken back.
    stock = Backend.describe_task_definition

    def describe_task_definition(backend: Any, task_definition_str: str) -> Any:
        family = task_definition_str.rsplit("/", 1)[-1]
        if ":" in family:
            return stock(backend, task_definition_str)
        known = backend.task_definitions.get(family, {})
        active = [revision for revision, definition in known.items() if definition.status == "ACTIVE"]
        if not active:
            raise models.TaskDefinitionNotFoundException
        return known[max(active)]

    Backend.describe_task_definition = describe_task_definition
