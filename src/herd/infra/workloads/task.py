"""HERD_TASK as a workload's settings give it: the same for a task definition and for `herd try`. No Pulumi here."""

from collections.abc import Mapping
from dataclasses import replace

from herd.infra.offer import Offering
from herd.infra.spec.load import BatchSpec, JobSpec, ReportSpec, ServiceSpec, WorkloadSpec
from herd.infra.spec.up_to_date import settings_digest
from herd.runner.contract import checks
from herd.runner.contract.task import Connection, Read, TaskSettings


def task_settings(spec: WorkloadSpec, offer: Offering, environment: str, data_bucket: str | None) -> TaskSettings:
    """What the runner needs to know of `spec`; who starts it fills in what depends on where it runs."""
    job = spec if isinstance(spec, JobSpec) else None
    batch = spec if isinstance(spec, BatchSpec) else None
    service = spec if isinstance(spec, ServiceSpec) else None
    return TaskSettings(
        environment=environment,
        workload=spec.name,
        kind=spec.kind,
        command=spec.command,
        data_bucket=data_bucket,
        footer=isinstance(spec, ReportSpec) and spec.footer,
        self_contained=isinstance(spec, ReportSpec) and spec.self_contained,
        reads=tuple(
            Read(read.name, fetch=False, uri=offer.datasets[read.name].uri)
            if read.name in offer.datasets
            else Read(read.name, read.fetch)
            for read in spec.reads
        ),
        connections=tuple(_connection(name, offer) for name in spec.connects),
        params=dict(spec.params),
        checks=tuple(checks.KINDS[check.kind](**check.model_dump()) for check in batch.checks) if batch else (),
        publish=job.publish if job else (),
        cache=batch.cache if batch else (),
        fan_out=batch.fan_out if batch else (),
        retries=batch.retries if batch else 0,
        timeout_seconds=batch.timeout_minutes * 60 if batch else None,
        memory_gb=spec.memory_gb,
        settings_digest=settings_digest(job, offer.datasets) if job else "",
        port=service.port if service else None,
        base_path="" if service else None,
        health=service.health if service else None,
        start_seconds=service.start_minutes * 60 if service else None,
    )


def located(task: TaskSettings, addresses: Mapping[str, tuple[str, int]]) -> TaskSettings:
    """With host and port of the connections whose servers the program makes itself."""

    def known(one: Connection) -> Connection:
        if one.name not in addresses:
            return one
        host, port = addresses[one.name]
        return replace(one, host=host, port=int(port))

    return replace(task, connections=tuple(map(known, task.connections)))


def _connection(name: str, offer: Offering) -> Connection:
    connection = offer.connections[name]
    return Connection(name, connection.driver, connection.host, connection.port)
