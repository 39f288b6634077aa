"""From a task and its definition to containers that an engine can start."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from localcloud import ports
from localcloud.agent.dependencies import Dependencies, dependencies
from localcloud.agent.execution_role import CannotPrepare as CannotPrepare
from localcloud.agent.execution_role import ExecutionRole
from localcloud.agent.isolation import isolation
from localcloud.agent.logs import LogShipper, NoLogGroup, Stream
from localcloud.engines import Container, TaskNetwork
from localcloud.images import Images
from localcloud.images.store import ImageNotFound
from localcloud.server import Server

DEFAULT_STOP_TIMEOUT_SECONDS = 30


@dataclass(frozen=True)
class Plan:
    """A container about to start: moto's record of it, what the engine gets, where its lines go (None: nowhere), and
    what other containers must have done before.
    """

    record: Any
    container: Container
    stream: Stream | None
    essential: bool
    after: Dependencies = Dependencies()


class Ports:
    """Free loopback ports. Tasks of different services share this machine's one address, so none may be fixed."""

    def __init__(self) -> None:
        self._held: set[int] = set()

    def take(self) -> int:
        """A port that nobody listens on and that no other task was given."""
        port = ports.free(self._held)
        self._held.add(port)
        return port

    def release(self, ports: Iterable[int]) -> None:
        """The task that was given these has stopped."""
        self._held.difference_update(ports)


class Planner:
    """Plans a task's containers: overrides merged, ports chosen, secrets read, log streams made.

    With `own_network` each task binds the ports of its definition in a network of its own, as on AWS; without, all
    tasks share this machine's, and each container is told by PORT and HOST which one is its own.
    """

    def __init__(self, server: Server, shipper: LogShipper, images: Images, own_network: bool = False):
        self._own_network = own_network
        self.shipper = shipper
        self.ports = Ports()
        self._server = server
        self._images = images

    def plan(self, task: Any, credentials: Mapping[str, str]) -> list[Plan]:
        """Plans for all containers, in the definition's order. Hold the server's lock. Raises `CannotPrepare`.

        `credentials` are the AWS_* variables of the task; like the ports they win over what a definition says.
        """
        definitions, role = task.definition.container_definitions, ExecutionRole(self._server, task)
        both = list(zip(task.containers, definitions, strict=True))
        variables = [self._bind_ports(record, definition) for record, definition in both]
        bound = [(each["containerPort"], each["hostPort"]) for record, _ in both for each in record.network_bindings]
        network = TaskNetwork(identity=task.id, ports=tuple(bound))
        return [
            self._plan_container(task, record, definition, {**ports, **credentials}, role, network)
            for (record, definition), ports in zip(both, variables, strict=True)
        ]

    def _plan_container(
        self,
        task: Any,
        record: Any,
        definition: dict[str, Any],
        variables: Mapping[str, str],
        role: ExecutionRole,
        network: TaskNetwork,
    ) -> Plan:
        role.pull(definition["image"])
        record.image_digest = self._find_image(definition["image"])
        override = container_override(task, record.name)
        command = override.get("command") or definition.get("command")
        entrypoint = definition.get("entryPoint")
        environment = {
            **_variables(definition),
            **_variables(override),
            **_secrets(task, definition, role),
            **variables,
        }
        container = Container(
            name=record.name,
            image=definition["image"],
            entrypoint=tuple(entrypoint) if entrypoint else None,
            command=tuple(command) if command else None,
            environment=environment,
            memory_mb=memory_limit(task, definition, override),
            stop_timeout_seconds=definition.get("stopTimeout") or DEFAULT_STOP_TIMEOUT_SECONDS,
            isolation=isolation(task, definition),
            task=network,
        )
        stream = self._open_stream(task, record, definition, role)
        return Plan(record, container, stream, definition.get("essential", True), dependencies(definition))

    def _find_image(self, reference: str) -> str:
        try:
            return self._images.resolve(reference).digest
        except ImageNotFound as error:
            raise CannotPrepare(
                "CannotPullContainerError: pull image manifest has been retried 1 time(s): "
                f"failed to resolve ref {reference}: {reference}: not found"
            ) from error

    def _bind_ports(self, record: Any, definition: dict[str, Any]) -> dict[str, str]:
        variables: dict[str, str] = {}
        for mapping in definition.get("portMappings") or []:
            port = self.ports.take()
            inside = mapping["containerPort"]
            record.network_bindings.append(
                {"bindIP": "127.0.0.1", "containerPort": inside, "hostPort": port, "protocol": "tcp"}
            )
            if self._own_network:
                continue
            variables.setdefault("PORT", str(port))
            # A container has a network of its own; here its server would be open to the neighbours of this machine.
            variables["HOST"] = "127.0.0.1"
            variables[f"PORT_{inside}"] = str(port)
        return variables

    def _open_stream(self, task: Any, record: Any, definition: dict[str, Any], role: ExecutionRole) -> Stream | None:
        configuration = definition.get("logConfiguration") or {}
        if configuration.get("logDriver") != "awslogs":
            return None
        options = configuration["options"]
        prefix = options.get("awslogs-stream-prefix", "ecs")
        region = options.get("awslogs-region", task.region_name)
        stream = Stream(task._account_id, region, options["awslogs-group"], f"{prefix}/{record.name}/{task.id}")
        create_group = options.get("awslogs-create-group") == "true"
        shown = role.may_log(stream, create_group)
        try:
            self.shipper.open(stream, create_group)
        except NoLogGroup as error:
            raise CannotPrepare(
                "ResourceInitializationError: failed to validate logger args: create stream has been retried 1 times: "
                f"failed to create Cloudwatch log stream: ResourceNotFoundException: The specified log group does not "
                f"exist: {error}: exit status 1"
            ) from error
        return stream if shown else None


def _secrets(task: Any, definition: dict[str, Any], role: ExecutionRole) -> dict[str, str]:
    return {
        secret["name"]: _secret(task.region_name, secret["valueFrom"], role)
        for secret in definition.get("secrets") or []
    }


def _secret(region: str, reference: str, role: ExecutionRole) -> str:
    """The value of `arn:…:secretsmanager:…[:key:stage:version]`, of an SSM parameter's ARN, or of its name."""
    try:
        if ":secretsmanager:" in reference:
            return _secrets_manager_value(region, reference, role)
        name = reference.split(":parameter", 1)[1] if ":parameter" in reference else reference
        answer = role.client("ssm", region).get_parameters(Names=[name], WithDecryption=True)
        if answer["InvalidParameters"]:
            raise LookupError(f"invalid ssm parameters: {name}")
        return str(answer["Parameters"][0]["Value"])
    except Exception as error:
        raise CannotPrepare(
            "ResourceInitializationError: unable to pull secrets or registry auth: execution resource retrieval "
            f"failed: unable to retrieve secret {reference}: {error}"
        ) from error


def _secrets_manager_value(region: str, reference: str, role: ExecutionRole) -> str:
    parts = reference.split(":")
    arn, (key, stage, version) = ":".join(parts[:7]), [*parts[7:], "", "", ""][:3]
    wanted = {"VersionStage": stage, "VersionId": version}
    client = role.client("secretsmanager", region)
    value: str = client.get_secret_value(SecretId=arn, **{k: v for k, v in wanted.items() if v})["SecretString"]
    return str(json.loads(value)[key]) if key else value


def container_override(task: Any, name: str) -> dict[str, Any]:
    """What RunTask's overrides say of a container; empty if nothing."""
    overrides: list[dict[str, Any]] = task.overrides.get("containerOverrides") or []
    return next((override for override in overrides if override.get("name") == name), {})


def _variables(source: Mapping[str, Any]) -> dict[str, str]:
    return {entry["name"]: str(entry.get("value", "")) for entry in source.get("environment") or []}


def memory_limit(task: Any, definition: Mapping[str, Any], override: Mapping[str, Any]) -> int | None:
    """A container's hard limit in MiB: its own, or the task's, which on Fargate all its containers share."""
    own = override.get("memory") or definition.get("memory")
    return int(own) if own else mebibytes(task.memory)


def mebibytes(size: Any) -> int | None:
    """Task memory as ECS takes it: `2048`, `"2048"` or `"2 GB"`; None for none."""
    match = re.fullmatch(r"\s*([\d.]+)\s*(GB)?\s*", str(size or ""), re.IGNORECASE)
    return int(float(match[1]) * (1024 if match[2] else 1)) if match else None
