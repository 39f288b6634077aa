"""One environment: settings and specs become hardware, images, workloads and exports, in this order."""

import runpy
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar, assert_never

import pulumi
from pulumi_aws.scheduler.schedule_group import ScheduleGroup

from infra.asl import Target
from infra.context import Account, Component, Context
from infra.hardware import Cluster, Network
from infra.images import Images
from infra.load_balancers import Access, LoadBalancer
from infra.naming import Naming
from infra.permissions import PlatformRoles
from infra.settings import Settings
from infra.spec import ApiSpec, JobSpec, ReportSpec, Specs
from infra.storage import Bucket
from infra.workloads import Api, Job, PipelineMachine, Platform, Report
from infra.workloads.batch import BatchWorkload
from infra.workloads.common import Workload

Spec = TypeVar("Spec", JobSpec, ReportSpec, ApiSpec)


class Environment(Component):
    """Everything that `pulumi up` makes and `pulumi destroy` removes; the root of all other components.

    What `extend.py` may use: `context` (settings, names, account), `network`, `cluster`, `data`, `reports`, `roles`,
    `balancers`, and `workloads` and `pipelines` by name. Parts that no workload needs are not made: no balancer
    without an API, no public bucket without a report.
    """

    def __init__(self, settings: Settings, specs: Specs, root: Path) -> None:
        refuse_public(specs, settings)
        super().__init__("Environment", settings.environment)
        self.specs = specs
        self.context = Context(settings, Naming(settings.project, settings.environment), Account.look_up(settings))
        self.network = Network(self.context, self)
        self.cluster = Cluster(self.context, self)
        self.data = Bucket("data", self.context, self)
        self.reports = Bucket("reports", self.context, self) if any(specs_of(specs, ReportSpec)) else None
        self.roles = PlatformRoles(self.context, self)
        self.images = Images((spec.image for spec in specs.workloads.values()), root, self.context, self)
        self.platform = self._platform()
        self.balancers = self._balancers()
        self.workloads = {name: self._workload(name) for name in specs.workloads}
        self.pipelines = self._pipelines()
        self.register_outputs({})

    @property
    def reports_url(self) -> pulumi.Output[str] | None:
        """Where published pages begin: the bucket's own address, which S3 serves by HTTPS."""
        if self.reports is None:
            return None
        return pulumi.Output.concat(
            f"{self.context.settings.scheme}://", self.reports.bucket.bucket_regional_domain_name
        )

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
            "workloads": {name: workload.exports() for name, workload in self.workloads.items()},
            "pipelines": {name: pipeline.exports() for name, pipeline in self.pipelines.items()},
        }

    def _platform(self) -> Platform:
        context, network = self.context, self.network
        # The one place where ids that AWS chooses come into the state machines.
        target = pulumi.Output.all(network.tasks_security_group.id, *network.subnet_ids).apply(
            lambda ids: Target(
                environment=context.settings.environment,
                partition=context.account.partition,
                cluster=context.cluster_arn,
                data_bucket=context.data_bucket,
                security_groups=(ids[0],),
                subnets=tuple(ids[1:]),
            )
        )
        group = ScheduleGroup(
            self.child("schedules"),
            name=context.naming.schedule_group,
            tags=context.tags(),
            opts=self.options(),
        )
        return Platform(
            context=context,
            network=network,
            cluster=self.cluster,
            images=self.images,
            roles=self.roles,
            schedule_group=group,
            reports_url=self.reports_url,
            target=target,
        )

    def _balancers(self) -> dict[Access, LoadBalancer]:
        apis = list(specs_of(self.specs, ApiSpec))
        if not apis:
            return {}
        self.services_security_group = self.network.service_security_group()
        return {
            access: LoadBalancer(access, apis, self.services_security_group, self.network, self.context, self)
            for access in sorted({api.access for api in apis})
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
                return Api(spec, self.platform, self.balancers[spec.access], self.services_security_group, self)
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


def refuse_public(specs: Specs, settings: Settings) -> None:
    """A stack must say that its services may be public. Raises pulumi.RunError, one line a service that may not."""
    if settings.allow_public:
        return
    problems = [
        f'{(spec.folder / "workload.toml").as_posix()}: access = "public" is not allowed in the stack '
        f'{settings.environment}; write "internal", or `pulumi config set herd:allow_public true`'
        for spec in specs_of(specs, ApiSpec)
        if spec.access == "public"
    ]
    if problems:
        raise pulumi.RunError("\n".join(problems))
