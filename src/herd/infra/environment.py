"""One environment: settings and specs become hardware, images, workloads and exports, in this order."""

import runpy
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar, assert_never

import pulumi
from pulumi_aws.scheduler.schedule_group import ScheduleGroup
from pulumi_aws.sqs.queue import Queue

from herd.infra.context import Account, Component, Context
from herd.infra.hardware.access import FACING, Facing, refusals
from herd.infra.hardware.certificates import Domain
from herd.infra.hardware.cluster import Cluster, refuse_hardware
from herd.infra.hardware.connections import Connections
from herd.infra.hardware.load_balancers import LoadBalancer, Shared
from herd.infra.hardware.network import Network, endpoint_services
from herd.infra.images.image import Images, plan_images
from herd.infra.naming import Naming
from herd.infra.permissions.workload import PlatformRoles
from herd.infra.settings.frozen import Running, values
from herd.infra.settings.load import Settings
from herd.infra.spec.load import ApiSpec, JobSpec, ReportSpec, Specs
from herd.infra.storage import secrets as vault
from herd.infra.storage.adopted import Adopted
from herd.infra.storage.buckets import Bucket, log_bucket
from herd.infra.storage.keys import key_arn
from herd.infra.storage.report_site import publish, refuse_blocked
from herd.infra.workloads.api import Api
from herd.infra.workloads.batch import BatchWorkload
from herd.infra.workloads.common import Platform, Workload
from herd.infra.workloads.job import Job
from herd.infra.workloads.pipeline import PipelineMachine
from herd.infra.workloads.report import Report
from herd.infra.workloads.states.asl import Target

Spec = TypeVar("Spec", JobSpec, ReportSpec, ApiSpec)

ADOPTABLE = ("data_bucket", "image_repositories", "log_bucket", "vpc", "boundary", "dns_zone", "certificate")
"""Settings that name what an environment uses and does not own: it stays when the environment goes."""


class Environment(Component):
    """Everything that `pulumi up` makes and `pulumi destroy` removes; the root of all other components.

    What `extend.py` may use: `context` (settings, names, account), `network`, `cluster`, `data`, `reports`, `roles`,
    `balancers`, and `workloads` and `pipelines` by name. Parts that no workload needs are not made: no balancer
    without an API, no public bucket without a report.
    """

    def __init__(self, settings: Settings, specs: Specs, root: Path) -> None:
        running = Running.look_up(settings)
        refuse_access(specs, settings)
        refuse_hardware(specs, settings)
        account = Account.look_up(settings)
        if settings.reports == "bucket" and any(specs_of(specs, ReportSpec)):
            refuse_blocked(settings)
        secrets = vault.look_up(specs, settings)
        images = {spec.image for spec in specs.workloads.values()}
        adopted = Adopted.look_up(settings, account, images)
        context = Context(settings, Naming(settings.project, settings.environment), account, secrets)
        planned = plan_images(specs, root, context, running.images)
        super().__init__("Environment", settings.environment, transformations=[self._after_the_claim])
        self.specs = specs
        self.claim = self._claim(context)
        context = replace(context, key_arn=key_arn(context, self))
        self.context = replace(context, logs=log_bucket(context, self))
        self.network = Network(
            self.context,
            self,
            cidr=adopted.vpc_cidr,
            faces_internet=any(api.access != "internal" for api in specs_of(specs, ApiSpec)),
            services=endpoint_services(specs.workloads.values()),
            logs=self.context.logs if settings.flow_logs else None,
        )
        self.data = None if settings.data_bucket else Bucket("data", self.context, self)
        self.reports = publish(self.context, self) if any(specs_of(specs, ReportSpec)) else None
        workloads = list(specs.workloads.values())
        self.roles = PlatformRoles(self.context, self, (spec.hardware for spec in workloads))
        self.cluster = Cluster(self.context, self, workloads, self.network, self.roles.instances)
        self.connections = Connections(self.context, self, workloads, self.network)
        self.images = Images(images, planned, self.context, self, adopted.repositories)
        self.platform = self._platform()
        self.balancers = self._balancers()
        self.workloads = {name: self._workload(name) for name in specs.workloads}
        self.pipelines = self._pipelines()
        self.register_outputs({})

    def _claim(self, context: Context) -> ScheduleGroup:
        """The environment's schedule group, made before all else and removed after it.

        Scheduler refuses a second group of one name, where ECS, SNS and others would hand over what a stranger of the
        same name has made. So whoever has this group has the name: two checkouts cannot deploy the same environment.
        """
        return ScheduleGroup(
            self.child("schedules"),
            name=context.naming.schedule_group,
            tags=context.tags(),
            opts=self.options(),
        )

    def _after_the_claim(self, args: pulumi.ResourceTransformationArgs) -> pulumi.ResourceTransformationResult | None:
        if isinstance(args.resource, pulumi.ComponentResource | ScheduleGroup):
            return None
        after = pulumi.ResourceOptions.merge(args.opts, pulumi.ResourceOptions(depends_on=[self.claim]))
        return pulumi.ResourceTransformationResult(args.props, after)

    @property
    def reports_url(self) -> pulumi.Output[str] | None:
        """Where published pages begin; None if there are none."""
        return self.reports.url if self.reports else None

    def exports(self) -> dict[str, Any]:
        """What the command line and people look up. Nothing that depends on the time of day."""
        settings = self.context.settings
        return {
            "environment": settings.environment,
            "project": settings.project,
            "region": settings.region,
            "account": self.context.account.id,
            "reports_url": self.reports_url,
            "data_bucket": self.context.data_bucket,
            "reports_bucket": self.context.reports_bucket if self.reports else None,
            "cluster": self.context.naming.cluster,
            "protected": settings.protect,
            "encryption_key": self.context.key_arn,
            "adopted": {name: getattr(settings, name) for name in ADOPTABLE if getattr(settings, name)},
            "runs_with": values(settings),
            "workloads": {name: workload.exports() for name, workload in self.workloads.items()},
            "pipelines": {name: pipeline.exports() for name, pipeline in self.pipelines.items()},
        }

    def _platform(self) -> Platform:
        context, network = self.context, self.network
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
        return Platform(
            context=context,
            network=network,
            cluster=self.cluster,
            images=self.images,
            roles=self.roles,
            schedule_group=self.claim,
            reports_url=self.reports_url,
            target=target,
            connections=self.connections.security_groups,
            missed_schedules=self._missed_schedules(),
        )

    def _missed_schedules(self) -> Queue | None:
        """Where Scheduler puts starts that it gave up, for two weeks; none where nothing starts by the clock."""
        jobs = (*specs_of(self.specs, JobSpec), *specs_of(self.specs, ReportSpec))
        if not any(spec.schedule for spec in jobs):
            return None
        key = self.context.key_arn
        return Queue(
            self.child("missed-schedules"),
            name=self.context.naming.missed_schedules,
            message_retention_seconds=14 * 24 * 3600,
            sqs_managed_sse_enabled=None if key else True,
            kms_master_key_id=key,
            tags=self.context.tags(),
            opts=self.options(),
        )

    def _balancers(self) -> dict[Facing, LoadBalancer]:
        apis = list(specs_of(self.specs, ApiSpec))
        if not apis:
            return {}
        self.services_security_group = self.network.service_security_group()
        shared = Shared(
            network=self.network,
            services_security_group=self.services_security_group,
            domain=Domain(self.context, self) if self.context.settings.has_tls else None,
        )
        return {
            facing: LoadBalancer(facing, apis, shared, self.context, self)
            for facing in sorted({FACING[api.access] for api in apis})
        }

    def _workload(self, name: str) -> Workload:
        spec = self.specs.workloads[name]
        pipeline = next((p.name for p in self.specs.pipelines if any(name in level for level in p.levels)), None)
        match spec:
            case JobSpec():
                return Job(spec, self.platform, pipeline, self)
            case ReportSpec():
                return Report(spec, self.platform, pipeline, self)
            case ApiSpec():
                return Api(spec, self.platform, self.balancers[FACING[spec.access]], self.services_security_group, self)
        assert_never(spec)

    def _pipelines(self) -> dict[str, PipelineMachine]:
        jobs = {name: job for name, job in self.workloads.items() if isinstance(job, BatchWorkload)}
        return {
            pipeline.name: PipelineMachine(pipeline, jobs, self.platform, self) for pipeline in self.specs.pipelines
        }


def extend(environment: Environment, root: Path) -> None:
    """Runs the team's own `extend.py`, if there is one: `def extend(environment)` adds what Herd does not offer."""
    path = root / "extend.py"
    if path.is_file():
        runpy.run_path(str(path))["extend"](environment)


def specs_of(specs: Specs, kind: type[Spec]) -> Iterator[Spec]:
    return (spec for spec in specs.workloads.values() if isinstance(spec, kind))


def refuse_access(specs: Specs, settings: Settings) -> None:
    """Who may call a service is for the stack to allow. Raises pulumi.RunError, a line for each that may not."""
    problems = list(refusals(specs_of(specs, ApiSpec), settings))
    if problems:
        raise pulumi.RunError("\n".join(problems))
