"""What every workload is made of: an image, a log, two roles and a task definition with one container.

The container's settings travel in `HERD_TASK`, which the runner reads and takes away before the workload's own program
starts; what differs from run to run comes as container overrides (`herd.infra.states.job`).
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import pulumi
from pulumi_aws.cloudwatch.log_group import LogGroup
from pulumi_aws.ec2.security_group import SecurityGroup
from pulumi_aws.ecs.task_definition import TaskDefinition
from pulumi_aws.scheduler.schedule_group import ScheduleGroup
from pulumi_aws.sqs.queue import Queue

from herd.infra.capacity import MANAGED, cpu_units, memory_mib, placement
from herd.infra.context import Component, Context
from herd.infra.hardware.cluster import Cluster
from herd.infra.hardware.connections import Connections
from herd.infra.hardware.load_balancers import KEEP_ALIVE_SECONDS, base_path
from herd.infra.hardware.network import Network
from herd.infra.images.image import Images
from herd.infra.offer import is_arm64
from herd.infra.permissions.workload import PlatformRoles, workload_role
from herd.infra.settings.schema import Settings
from herd.infra.spec.load import ReportSpec, Schedule, ServiceSpec, WorkloadSpec
from herd.infra.states.asl import Target
from herd.infra.storage import secrets
from herd.infra.storage.report_site import ReportSite
from herd.infra.workloads.task import located, task_settings
from herd.runner.contract import variables
from herd.runner.contract.task import CONTAINER, STOP_SECONDS, Mail, TaskSettings

USER = "10001:10001"
ARCHITECTURES = {False: "X86_64", True: "ARM64"}
SCRATCH = "scratch"


@dataclass(frozen=True)
class Platform:
    """What the workloads of one environment share.

        platform = Platform.of(
            project.context, project, network=network, cluster=cluster, images=images, roles=roles,
            schedule_group=project.schedule_group, site=site, connections=connections, has_schedules=True,
        )

    `target` is where state machines act.
    """

    context: Context
    network: Network
    cluster: Cluster
    images: Images
    roles: PlatformRoles
    schedule_group: ScheduleGroup
    reports_url: pulumi.Output[str] | None
    target: pulumi.Output[Target]
    connections: Mapping[str, SecurityGroup]
    addresses: Mapping[str, pulumi.Output[tuple[str, int]]]
    missed_schedules: Queue | None

    @classmethod
    def of(
        cls,
        context: Context,
        parent: Component,
        *,
        network: Network,
        cluster: Cluster,
        images: Images,
        roles: PlatformRoles,
        schedule_group: ScheduleGroup,
        site: ReportSite | None,
        connections: Connections,
        has_schedules: bool,
    ) -> "Platform":
        """From the components of an environment. With schedules or an end there is a Queue for what was missed."""
        # The one place where ids that AWS chooses come into the state machines.
        target = pulumi.Output.all(network.tasks_security_group.id, *network.task_subnet_ids).apply(
            lambda ids: Target(
                environment=context.settings.environment,
                partition=context.account.partition,
                cluster=context.cluster_arn,
                data_bucket=context.data_bucket,
                security_groups=(ids[0],),
                subnets=tuple(ids[1:]),
                assign_public_ip=network.assign_public_ip,
            )
        )
        return cls(
            context=context,
            network=network,
            cluster=cluster,
            images=images,
            roles=roles,
            schedule_group=schedule_group,
            reports_url=site.url if site else None,
            target=target,
            connections=connections.security_groups,
            addresses=connections.addresses,
            missed_schedules=missed_schedules(context, parent) if has_schedules or context.settings.ends_at else None,
        )

    def place(self, spec: WorkloadSpec) -> "Place":
        """Where tasks of `spec` run, and what they reach."""
        managed = MANAGED.get(spec.hardware)
        provider = managed.provider if managed else self.cluster.pools[spec.hardware].provider.name
        groups = [self.connections[name].id for name in spec.connects if name in self.connections]
        return Place(provider, groups, self.network.assign_public_ip and placement(spec.hardware).own_address)


@dataclass(frozen=True)
class Place:
    """`security_groups` are those of its connections, beside that of all tasks."""

    capacity_provider: pulumi.Input[str]
    security_groups: list[pulumi.Output[str]]
    assign_public_ip: bool


class Workload(Component):
    """The part that all kinds have in common: a Job, a Report and an Api are one. It is not made by itself.

        outputs.workloads["train"].task_role.role.name, outputs.workloads["train"].log_group.name

    Six to seven resources with the component itself.
    """

    def __init__(self, kind: str, spec: WorkloadSpec, platform: Platform, parent: pulumi.Resource) -> None:
        super().__init__(kind, spec.name, parent)
        self.context = platform.context
        self.owner, self.owners = spec.owner, self.context.offer.owners(spec.owner)
        self.reads = sorted(read.name for read in spec.reads)
        self.secrets = sorted(secrets.needed(spec, self.context.settings.connections))
        self.image = platform.images.build(spec, self)
        self.log_group = LogGroup(
            self.child("log"),
            name=self.context.naming.log_group(spec.name),
            retention_in_days=self.context.settings.log_retention_days,
            kms_key_id=self.context.key_arn,
            tags=self.context.tags(spec),
            opts=self.options(),
        )
        self.execution_role = workload_role("execution", spec, self.context, self)
        self.task_role = workload_role("task", spec, self.context, self)
        self.addresses = {name: platform.addresses[name] for name in spec.connects if name in platform.addresses}
        self.task_definition = self._task_definition(spec, platform)

    def exports(self) -> dict[str, Any]:
        """This workload's entry in the stack's exports; each kind fills in what it has."""
        return {
            "url": None,
            "schedule": None,
            "log_group": self.log_group.name,
            "machine": None,
            "pipeline": None,
            "service": None,
            "secrets": self.secrets,
            "owner": self.owner,
            "owners": list(self.owners),
            "reads": self.reads,
            "task_definition": self.task_definition.family,
            "content_hash": self.image.content_hash,
            **({"addresses": self.addresses} if self.addresses else {}),
        }

    def _task_definition(self, spec: WorkloadSpec, platform: Platform) -> TaskDefinition:
        image, context = self.image, self.context
        pool, placed = context.offer.pool(spec.hardware), placement(spec.hardware)
        addresses = pulumi.Output.from_input(self.addresses)
        containers = pulumi.Output.all(image.reference, platform.reports_url, addresses).apply(
            lambda known: json.dumps([container(spec, context, task(spec, context, image.content_hash, *known))])
        )
        return TaskDefinition(
            self.child("task"),
            family=context.naming.family(spec.name),
            container_definitions=containers,
            cpu=str(cpu_units(spec.cpu)),
            memory=str(memory_mib(spec.memory_gb)),
            ephemeral_storage={"size_in_gib": spec.disk_gb} if placed.own_disk else None,
            network_mode="awsvpc",
            requires_compatibilities=[placed.compatibility],
            runtime_platform={"operating_system_family": "LINUX", "cpu_architecture": ARCHITECTURES[is_arm64(pool)]},
            execution_role_arn=self.execution_role.role.arn,
            task_role_arn=self.task_role.role.arn,
            volumes=[{"name": SCRATCH}],
            tags={**context.tags(spec), "herd:content-hash": image.content_hash},
            # It names the log group, without which no task starts; and it goes after all who write into it.
            opts=self.options(depends_on=[self.log_group]),
        )


def missed_schedules(context: Context, parent: Component) -> Queue:
    """Where Scheduler puts starts that it gave up, for two weeks."""
    key = context.key_arn
    return Queue(
        parent.child("missed-schedules"),
        name=context.naming.missed_schedules,
        message_retention_seconds=14 * 24 * 3600,
        sqs_managed_sse_enabled=None if key else True,
        kms_master_key_id=key,
        tags=context.tags(),
        opts=parent.options(),
    )


def container(spec: WorkloadSpec, context: Context, settings: TaskSettings) -> dict[str, Any]:
    """The one container of a task definition, as ECS takes it.

    Not root, nothing but /tmp to write on, no capabilities. Jobs wait for their log to be taken; a service must not,
    so it may lose lines when the log is slow (`mode`, Amazon ECS "awslogs" options).
    """
    environment = {
        **spec.env,
        # Fargate says by itself where a task runs; a machine of a pool does not, and SDKs refuse to work then.
        "AWS_REGION": context.settings.region,
        "AWS_DEFAULT_REGION": context.settings.region,
        variables.ENVIRONMENT: context.settings.environment,
        variables.WORKLOAD: spec.name,
        variables.TASK: settings.to_json(),
    }
    service = spec if isinstance(spec, ServiceSpec) else None
    mode = {"mode": "non-blocking", "max-buffer-size": "25m"} if service else {"mode": "blocking"}
    pool = context.offer.pool(spec.hardware)
    cards = [{"type": "GPU", "value": str(pool.gpu)}] if pool and pool.gpu else []
    return {
        "name": CONTAINER,
        "image": settings.image,
        "essential": True,
        "environment": [{"name": name, "value": environment[name]} for name in sorted(environment)],
        **({"secrets": references} if (references := injected(spec, context)) else {}),
        "user": USER,
        "readonlyRootFilesystem": True,
        "linuxParameters": {"initProcessEnabled": True, "capabilities": {"drop": ["ALL"]}},
        "mountPoints": [{"sourceVolume": SCRATCH, "containerPath": "/tmp", "readOnly": False}],
        "stopTimeout": STOP_SECONDS,
        **({"resourceRequirements": cards} if cards else {}),
        **({"portMappings": [{"containerPort": service.port, "protocol": "tcp"}]} if service else {}),
        "logConfiguration": {
            "logDriver": "awslogs",
            "options": {
                "awslogs-group": context.naming.log_group(spec.name),
                "awslogs-region": context.settings.region,
                "awslogs-stream-prefix": spec.name,
                **mode,
            },
        },
    }


def injected(spec: WorkloadSpec, context: Context) -> list[dict[str, str]]:
    """The variables whose values ECS fetches when a task starts; the definition holds their addresses only."""
    connections = context.settings.connections
    wanted = {variables.connection_secret(name): connections[name].secret for name in spec.connects} | dict(
        spec.secrets
    )
    return [{"name": name, "valueFrom": context.secrets[wanted[name]]} for name in sorted(wanted)]


def task(
    spec: WorkloadSpec,
    context: Context,
    content_hash: str,
    image: str,
    reports_url: str | None,
    addresses: Mapping[str, tuple[str, int]],
) -> TaskSettings:
    """The content of HERD_TASK in the task definition. `image` is a reference with a digest."""
    settings = context.settings
    publishes = spec.is_page and reports_url is not None
    service = spec if isinstance(spec, ServiceSpec) else None
    return replace(
        located(task_settings(spec, settings, settings.environment, context.data_bucket), addresses),
        reports_bucket=context.reports_bucket if publishes else None,
        reports_url=reports_url if publishes else None,
        deadline=context.deadlines.get(spec.name) if spec.is_page else None,
        mail=_mail(spec, settings),
        base_path=base_path(service, settings) if service else None,
        keep_alive_seconds=KEEP_ALIVE_SECONDS if service else None,
        image=image,
        content_hash=content_hash,
    )


def _mail(spec: WorkloadSpec, settings: Settings) -> Mail | None:
    if not isinstance(spec, ReportSpec) or not spec.mail_to:
        return None
    return Mail(settings.notifications.mail_from, spec.mail_to, spec.mail)


def schedule_export(schedule: Schedule | None, timezone: str) -> dict[str, str] | None:
    if schedule is None:
        return None
    return {"expression": schedule.expression, "timezone": timezone, "text": schedule.text}
