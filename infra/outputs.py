"""What the environment is for: buckets, and the jobs, reports, APIs and apps that people wrote."""

from collections.abc import Mapping
from dataclasses import dataclass

from hardware import Hardware
from herd.infra.components import (
    Api,
    App,
    DataBucket,
    Images,
    Job,
    PipelineMachine,
    Platform,
    Report,
    ReportSite,
    Watch,
    Workload,
)
from herd.project import Project


@dataclass(frozen=True)
class Outputs:
    """By name. `data`: None where the data bucket was made elsewhere; `site`: None where nothing is published."""

    data: DataBucket | None
    site: ReportSite | None
    jobs: Mapping[str, Job]
    reports: Mapping[str, Report]
    apis: Mapping[str, Api]
    apps: Mapping[str, App]
    pipelines: Mapping[str, PipelineMachine]
    watch: Watch

    @property
    def workloads(self) -> dict[str, Workload]:
        return {**self.jobs, **self.reports, **self.apis, **self.apps}


def outputs_of(project: Project, hardware: Hardware, images: Images) -> Outputs:
    """Every folder of a workload becomes one component; jobs joined by `after` become a pipeline."""
    context, specs = project.context, project.specs
    data = None if project.settings.data_bucket else DataBucket(context, project)
    site = ReportSite(context, project) if project.publishes else None
    platform = Platform.of(
        context,
        project,
        network=hardware.network,
        cluster=hardware.cluster,
        images=images,
        roles=hardware.roles,
        schedule_group=project.schedule_group,
        site=site,
        connections=hardware.connections,
        has_schedules=any(spec.schedule for spec in (*project.jobs, *project.reports)),
    )
    jobs = {spec.name: Job(spec, platform, specs.pipeline_of(spec.name), project) for spec in project.jobs}
    reports = {spec.name: Report(spec, platform, specs.pipeline_of(spec.name), project) for spec in project.reports}
    apis = {spec.name: Api(spec, platform, hardware.balancers.serving(spec), project) for spec in project.apis}
    apps = {spec.name: App(spec, platform, hardware.balancers.serving(spec), project) for spec in project.apps}
    pipelines = {
        pipeline.name: PipelineMachine(pipeline, {**jobs, **reports}, platform, project) for pipeline in specs.pipelines
    }
    # Tells owners and whoever is in `notifications` what fails, is late or does not happen.
    watch = Watch(context, project, specs, platform, {**apis, **apps})
    return Outputs(data, site, jobs, reports, apis, apps, pipelines, watch)
