"""A stack's outputs as of its last deployment, parsed and validated here and nowhere else.

There are two programs: an environment's (`Exports`) and an account's, which `herd bootstrap` runs (`AccountExports`).

The program writes them (`herd.project`, `Project.export`). Commands read them from Pulumi's state on the laptop and
from `pulumi stack output --json` on AWS. An environment that an earlier Herd deployed still reads: what was added to
the outputs since has a default here, and what is not known here is left alone (a team exports values of its own).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, ValidationError

from herd.errors import HerdError, WrongInput, unknown
from herd.runner.contract.kinds import Kind


class Part(BaseModel):
    """One value of the outputs. Frozen; keys of a later Herd are no mistake."""

    model_config = ConfigDict(frozen=True, extra="ignore")


AnyPart = TypeVar("AnyPart", bound=Part)


class ScheduleExport(Part):
    """When something starts: `expression` as EventBridge Scheduler has it, `text` as the team wrote it."""

    expression: str
    timezone: str
    text: str


class WorkloadExport(Part):
    """What every kind of workload exports. `task_definition` is a family; `secrets` are names, never values. `owners`
    are the addresses of `owner`; `reads` are workloads and datasets; `content_hash` names what its image is built from.
    `addresses`: host and port of the connections whose servers the program makes itself.
    """

    kind: Kind
    log_group: str
    task_definition: str
    review_by: date
    timezone: str = "UTC"
    url: str | None = None
    secrets: tuple[str, ...] = ()
    owner: str = ""
    owners: tuple[str, ...] = ()
    reads: tuple[str, ...] = ()
    content_hash: str | None = None
    addresses: Mapping[str, tuple[str, int]] = {}

    @property
    def starts_by_itself(self) -> bool:
        """Whether a schedule, or a job before it, starts it."""
        return False


class BatchExport(WorkloadExport):
    """A job or a report. `machine` is the ARN of its state machine, `pipeline` the name of what it is a part of.

    `deadline_minutes`: of what its own schedule starts, after each due time. `paused`: why its schedule rests.
    """

    machine: str
    schedule: ScheduleExport | None = None
    pipeline: str | None = None
    deadline_minutes: int | None = None
    paused: str | None = None

    @property
    def starts_by_itself(self) -> bool:
        return self.schedule is not None or self.pipeline is not None


class ServiceExport(WorkloadExport):
    """An ECS service. `service` is its name in ECS, `task_definition_arn` the revision that was deployed.

    None where an earlier Herd deployed it and did not export the value.
    """

    service: str
    task_definition_arn: str | None = None
    health: str | None = None
    start_seconds: int | None = None


class PipelineExport(Part):
    """Jobs that run one after the other: `levels` has their names, those of one level start together."""

    machine: str
    levels: tuple[tuple[str, ...], ...]
    schedule: ScheduleExport | None = None
    deadline_minutes: int | None = None
    paused: str | None = None

    @property
    def members(self) -> tuple[str, ...]:
        """All its jobs, in the order in which they start."""
        return tuple(job for level in self.levels for job in level)


def _variant(value: Any) -> str:
    named = value.get("service") if isinstance(value, dict) else getattr(value, "service", None)
    return "service" if named else "batch"


AnyExport = Annotated[
    Annotated[BatchExport, Tag("batch")] | Annotated[ServiceExport, Tag("service")], Discriminator(_variant)
]


class SettingsExport(Part):
    """The settings in force, as files would have them (`herd.infra.as_written`): workload -> its own; the stack's."""

    stack: Mapping[str, Any] = {}
    workloads: Mapping[str, Mapping[str, Any]] = {}


class Exports(Part):
    """Everything that an environment exports. ARNs, names and addresses are AWS's own."""

    environment: str
    project: str
    region: str
    account: str
    data_bucket: str
    cluster: str
    workloads: dict[str, AnyExport]
    pipelines: dict[str, PipelineExport] = Field(default_factory=dict)
    reports_url: str | None = None
    reports_bucket: str | None = None
    protected: bool = False
    ends_at: str | None = None
    """When it is removed by itself, as of the last deployment; `herd keep` may have moved it (`herd.deploy.ends`)."""
    encryption_key: str | None = None
    adopted: dict[str, str] = Field(default_factory=dict)
    """Setting -> the adopted resource (name, id or ARN), which the environment uses and did not make."""
    runs_with: dict[str, str] = Field(default_factory=dict)
    """Setting -> the value that no update can change (`herd.infra.settings.frozen`)."""
    settings: SettingsExport | None = None
    """None where an earlier Herd deployed it."""

    @property
    def rests(self) -> bool:
        """Whether its schedules are off, so that nothing starts by itself."""
        return self.settings is not None and self.settings.stack.get("schedules") is False

    @property
    def batch(self) -> dict[str, BatchExport]:
        """The jobs and reports."""
        return {name: entry for name, entry in self.workloads.items() if isinstance(entry, BatchExport)}

    @property
    def services(self) -> dict[str, ServiceExport]:
        """The services."""
        return {name: entry for name, entry in self.workloads.items() if isinstance(entry, ServiceExport)}

    @property
    def machines(self) -> list[str]:
        """The ARN of every state machine; pipelines first, so that stopping them starts nothing more."""
        pipelines = [pipeline.machine for pipeline in self.pipelines.values()]
        return [*pipelines, *(job.machine for job in self.batch.values())]

    def workload(self, name: str) -> BatchExport | ServiceExport:
        """One workload. Raises WrongInput with a suggestion if there is none of that name."""
        if name in self.workloads:
            return self.workloads[name]
        raise WrongInput(unknown(name, list(self.workloads), "workload"))


class AccountExports(Part):
    """Everything that the account's bootstrap exports (`herd.bootstrap.foundation`).

    `backend`: where the states of its environments lie, as PULUMI_BACKEND_URL has it. `data_buckets`: environment ->
    bucket. `roles`: ARN of each role that GitHub's jobs assume; without a repository there is none.
    """

    account: str
    region: str
    backend: str
    secrets_provider: str
    boundary: str
    image_repositories: str
    data_buckets: dict[str, str]
    roles: dict[str, str]


def parse(outputs: Mapping[str, Any], stack: str) -> Exports | None:
    """The outputs of a stack as Pulumi has them; None where it was never deployed to the end.

    Raises HerdError that names each value that cannot be read.
    """
    return _parsed(Exports, outputs, stack, "herd up") if "workloads" in outputs else None


def parse_account(outputs: Mapping[str, Any], stack: str) -> AccountExports:
    """The outputs of the bootstrap project's stack. Raises HerdError that names each value that cannot be read."""
    return _parsed(AccountExports, outputs, stack, "herd bootstrap")


def _parsed(model: type[AnyPart], outputs: Mapping[str, Any], stack: str, command: str) -> AnyPart:
    try:
        return model.model_validate(outputs)
    except ValidationError as error:
        problems = [f"    {_path(entry['loc'])} {_words(entry)}" for entry in error.errors(include_url=False)]
        raise HerdError(
            "\n".join([f"the outputs of the stack {stack} cannot be read; `{command}` writes them again:", *problems])
        ) from None


def _words(problem: Mapping[str, Any]) -> str:
    if problem["type"] == "missing":
        return "is missing"
    return f"is {problem['input']!r}: {problem['msg'][0].lower()}{problem['msg'][1:]}"


def _path(location: tuple[int | str, ...]) -> str:
    """`workloads.hello.machine`, without the tag of the union that pydantic puts in between."""
    parts = list(location)
    if len(parts) > 2 and parts[0] == "workloads":
        del parts[2]
    return ".".join(map(str, parts))
