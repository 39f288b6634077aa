"""Settings -> the plan that the watch reads: what is due when, whose it is, and who is told. No Pulumi."""

from herd.infra.naming import Naming
from herd.infra.offer import Offer
from herd.infra.settings.schema import Settings
from herd.infra.spec.deadlines import deadline_minutes
from herd.infra.spec.load import AnySpec, BatchSpec, Pipeline, ServiceSpec, Specs
from herd.runner.contract.plan import Due, Plan, PlannedPipeline, PlannedWorkload, Recipient


def plan_of(specs: Specs, settings: Settings) -> Plan:
    """Of one environment. A pure function: the same files and settings give the same text, whatever the day."""
    naming = Naming(settings.project, settings.environment)
    offer = Offer.of(settings)
    return Plan(
        project=settings.project,
        environment=settings.environment,
        schedules=settings.schedules,
        schedule_group=naming.schedule_group,
        workloads=tuple(_workload(spec, specs, settings, naming, offer) for spec in specs.workloads.values()),
        pipelines=tuple(_pipeline(pipeline, specs, naming, offer) for pipeline in specs.pipelines),
        recipients=tuple(
            Recipient(address, ("all",) if "all" in wants else tuple(sorted(wants)))
            for address, wants in sorted(settings.notifications.addresses.items())
        ),
    )


def readers(specs: Specs, name: str) -> tuple[str, ...]:
    """Who reads the output of `name` itself, by name; what goes stale further on follows from theirs."""
    return tuple(
        other.name
        for other in specs.workloads.values()
        if other.name != name and any(read.name == name for read in other.reads)
    )


def _workload(spec: AnySpec, specs: Specs, settings: Settings, naming: Naming, offer: Offer) -> PlannedWorkload:
    batch = spec if isinstance(spec, BatchSpec) else None
    service = spec if isinstance(spec, ServiceSpec) else None
    pipeline = specs.pipeline_of(spec.name)
    return PlannedWorkload(
        name=spec.name,
        kind=spec.kind,
        owner=spec.owner,
        owners=offer.owners(spec.owner),
        review_by=spec.review_by.isoformat(),
        log_group=naming.log_group(spec.name),
        timezone=batch.timezone if batch else "UTC",
        machine=naming.machine(spec.name) if batch else None,
        service=naming.service(spec.name) if service else None,
        due=_due(batch, naming) if batch and pipeline is None else None,
        pipeline=pipeline,
        readers=readers(specs, spec.name),
        paused=specs.pause(spec.name),
        expired=spec.name in settings.expired,
        min_replicas=service.replicas.min if service else None,
    )


def _due(spec: BatchSpec, naming: Naming) -> Due | None:
    if spec.schedule is None or spec.paused:
        return None
    schedule = naming.schedule(spec.name)
    return Due(
        schedule, spec.schedule.expression, spec.schedule.text, spec.timezone, deadline_minutes(spec), spec.catch_up
    )


def _pipeline(pipeline: Pipeline, specs: Specs, naming: Naming, offer: Offer) -> PlannedPipeline:
    jobs = tuple(job for level in pipeline.levels for job in level)
    due = None
    if pipeline.schedule is not None and pipeline.is_due:
        due = Due(
            naming.pipeline_schedule(pipeline.name),
            pipeline.schedule.expression,
            pipeline.schedule.text,
            pipeline.timezone,
            pipeline.deadline_minutes,
            pipeline.catch_up,
        )
    return PlannedPipeline(
        name=pipeline.name,
        machine=naming.pipeline(pipeline.name),
        jobs=jobs,
        owners=tuple(dict.fromkeys(address for job in jobs for address in offer.owners(specs.workloads[job].owner))),
        due=due,
    )
