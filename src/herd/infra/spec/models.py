"""What a workload is: the frozen types that the rest of the program works with.

Each field is also a setting of `workload.toml`, so this module is the schema: the reference page and the editor's JSON
schema are generated from it. Only `name`, `kind` and `folder` are not written by anyone; the folder gives them.
Values are strict: TOML has types, so `retries = "3"` is a mistake and not a number.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, Field, PlainValidator

from herd.infra import addresses, capacity
from herd.infra.spec import values
from herd.infra.spec.checks import CHECKS, AnyCheck
from herd.infra.spec.deadlines import LONGEST_MINUTES
from herd.infra.spec.strict import Finite, Strict
from herd.infra.states.limits import MAX_PARALLEL_ITEMS, MOST_PARALLEL_ITEMS
from herd.runner.contract import kinds, schedule
from herd.runner.contract.kinds import Kind
from herd.runner.contract.plan import CatchUp
from herd.runner.contract.schedule import Schedule
from herd.runner.contract.task import MailForm

Scalar = bool | int | float | str


def _as_read(value: Any) -> Any:
    return {"name": value} if isinstance(value, str) else value


def _as_schedule(value: Any) -> Any:
    if value is None or isinstance(value, Schedule):
        return value
    if not isinstance(value, str):
        raise ValueError('must be text in quotes, like "0 6 * * 1-5", "@daily" or "every 2 hours"')
    return None if value == "none" else schedule.parse(value)


Name = Annotated[str, AfterValidator(values.workload_name)]


class Read(Strict):
    """One input: the current output of another workload, or of the workload itself."""

    name: Name = Field(description="the job or report whose output is read")
    fetch: bool = Field(default=True, description="false: nothing is copied, the program gets the S3 address only")


class Replicas(Strict):
    """How many copies of a service run."""

    min: Annotated[int, Field(ge=1, le=100)] = Field(default=1, description="copies that always run")
    max: Annotated[int, Field(ge=1, le=100)] = Field(default=1, description="copies at most; above `min` it scales")
    target_cpu: Annotated[int, Field(ge=10, le=90)] = Field(
        default=60, description="percent of CPU that scaling aims at"
    )


class WorkloadSpec(Strict):
    """What every kind of workload has."""

    name: Name
    kind: Kind
    folder: Path

    @property
    def is_page(self) -> bool:
        """Is its result published as a page?"""
        return self.kind in kinds.PAGES

    owner: Annotated[str, AfterValidator(values.owner)] = Field(
        description="who answers for it and is told when it fails: an e-mail address, or a team that "
        "`notifications.owners` in the stack's settings maps to addresses; a tag on all that it has",
        examples=["data@example.com"],
    )
    review_by: date = Field(
        description="the last day it runs unless somebody looks it over and moves the date", examples=["2027-06-30"]
    )
    image: Annotated[str, AfterValidator(values.folder_name)] = Field(
        default="python", description="a folder below `images/`: the system it runs on"
    )
    command: Annotated[
        tuple[Annotated[str, AfterValidator(values.argument)], ...],
        Field(strict=False, min_length=1, max_length=200),
        BeforeValidator(values.as_command, json_schema_input_type=str | list[str]),
    ] = Field(
        description="a list is run as it is, a string goes through `bash -e -o pipefail`",
        examples=['["python", "train.py"]'],
    )
    hardware: Annotated[str, AfterValidator(values.hardware_name)] = Field(
        default="fargate",
        description=f"{capacity.choices()}; `vm`: machines of its own that go when nothing runs; or one of the `pools` "
        "in the stack's settings",
    )
    cpu: Annotated[float, AfterValidator(capacity.possible_cpu)] = Field(default=1, description="vCPU")
    memory_gb: Finite = Field(default=2, description="memory in GB; which are possible depends on `cpu`")
    disk_gb: Annotated[int, Field(ge=capacity.DISK_GB.min, le=capacity.DISK_GB.max)] = Field(
        default=capacity.DISK_GB.min, description="disk in GB"
    )
    reads: Annotated[
        tuple[Annotated[Read, BeforeValidator(_as_read, json_schema_input_type=str | Read)], ...],
        Field(strict=False),
        AfterValidator(values.unique),
    ] = Field(
        default=(),
        description='jobs and reports whose outputs are in `inputs/<name>/`; `{ name = "x", fetch = false }` gives '
        "the address only, and so does one of the `datasets` in the stack's settings",
        examples=['["ingest-flights"]'],
    )
    uses: Annotated[
        tuple[Annotated[str, AfterValidator(values.package_name)], ...],
        Field(strict=False),
        AfterValidator(values.unique),
    ] = Field(default=(), description="folders of `lib/`: shared code that can be imported", examples=['["features"]'])
    params: Annotated[
        Mapping[
            Annotated[str, AfterValidator(values.param_name)],
            Annotated[Scalar, PlainValidator(values.scalar, json_schema_input_type=Scalar)],
        ],
        Field(max_length=50),
    ] = Field(
        default={},
        description="parameters and their defaults; `month` is `HERD_PARAM_MONTH`, `--param month=3` changes it",
    )
    env: Annotated[
        Mapping[Annotated[str, AfterValidator(values.env_name)], Annotated[str, AfterValidator(values.text_value)]],
        Field(max_length=100),
    ] = Field(default={}, description="environment variables, upper-case names only; no secrets here")
    secrets: Annotated[
        Mapping[Annotated[str, AfterValidator(values.env_name)], Annotated[str, AfterValidator(values.secret_name)]],
        Field(max_length=50),
    ] = Field(
        default={},
        description='environment variables that get the value of a secret: `KEY = "weather-key"`, after '
        "`herd secret set weather-key`",
    )
    connects: Annotated[tuple[Name, ...], Field(strict=False), AfterValidator(values.unique)] = Field(
        default=(),
        description="`connections` in the stack's settings; `warehouse` is ready in `HERD_CONNECTION_WAREHOUSE_URL`",
        examples=['["warehouse"]'],
    )


class BatchSpec(WorkloadSpec):
    """What starts, does its work and ends: a job or a report."""

    schedule: Annotated[Schedule | None, BeforeValidator(_as_schedule, json_schema_input_type=str)] = Field(
        default=None,
        description="when it runs: five-field cron, `@hourly`, `@daily`, `@weekly`, `@monthly`, `@yearly`, "
        '`"every 2 hours"`, or `"none"`: by hand only',
        examples=['"0 6 * * 1-5"'],
    )
    timezone: Annotated[str, AfterValidator(values.timezone)] = Field(
        default="UTC", description="IANA time zone of the schedule", examples=["Europe/Amsterdam"]
    )
    after: Annotated[tuple[Name, ...], Field(strict=False), AfterValidator(values.unique)] = Field(
        default=(), description="instead of a schedule: runs when these have succeeded", examples=['["ingest-flights"]']
    )
    fan_out: Annotated[
        tuple[Annotated[str, AfterValidator(values.item)], ...],
        Field(strict=False, max_length=200),
        AfterValidator(values.unique_items),
    ] = Field(
        default=(), description="one task per item, in parallel; each gets `HERD_ITEM`", examples=['["small", "large"]']
    )
    max_parallel: Annotated[int, Field(ge=1, le=MOST_PARALLEL_ITEMS)] = Field(
        default=MAX_PARALLEL_ITEMS, description="how many items of `fan_out` run at the same time"
    )
    timeout_minutes: Annotated[int, Field(ge=1, le=10_080)] = Field(
        default=60, description="time limit of each attempt"
    )
    retries: Annotated[int, Field(ge=0, le=10)] = Field(default=2, description="further attempts after a failure")
    overlap: Literal["skip", "replace", "allow"] = Field(
        default="skip", description="what a start does while the last run still goes on"
    )
    deadline_minutes: Annotated[int | None, Field(ge=1, le=LONGEST_MINUTES)] = Field(
        default=None,
        description="how long after each due time its result must be published, or its owner is told that it is late; "
        "of a pipeline the largest of those of its roots",
        examples=["90"],
    )
    catch_up: CatchUp = Field(
        default="none",
        description="what becomes of due times that never started, because the machine slept or the schedule failed: "
        "`latest` starts the last of them, once",
    )
    paused: Annotated[str | None, BeforeValidator(values.reason, json_schema_input_type=str)] = Field(
        default=None,
        description="why its schedule rests and until when; `herd run` starts it all the same. A pipeline rests with "
        'any of its roots; `"none"`: it does not rest',
        examples=['"the source is rebuilt, until 2027-03-01"'],
    )
    cache: Annotated[
        tuple[Annotated[str, AfterValidator(values.cache_path)], ...],
        Field(strict=False, max_length=20),
        AfterValidator(values.unique_paths),
    ] = Field(
        default=(),
        description="files and folders that a run leaves for the next one: put back before it, kept after it, also "
        "when it fails; each item of `fan_out` has its own",
        examples=['["_targets"]'],
    )
    checks: Annotated[tuple[AnyCheck, ...], Field(strict=False, max_length=50)] = Field(
        default=(), alias="check", description="the output gate: what must hold before a result is published"
    )


class JobSpec(BatchSpec):
    """Trains a model, updates a dataset, writes to a database."""

    kind: Literal["job"] = "job"

    skip_unchanged: bool | None = Field(
        default=None,
        description="whether a run that a pipeline starts is left out where it would repeat the last published one: "
        "the same code, image, settings, parameters and inputs; by default where all that it reads has versions",
    )
    publish: Annotated[
        tuple[Annotated[str, AfterValidator(values.argument)], ...],
        Field(strict=False, max_length=200),
        BeforeValidator(values.as_command, json_schema_input_type=str | list[str]),
    ] = Field(
        default=(),
        description="run when every check has passed: makes current what `command` has staged elsewhere, in a "
        "database say; if it fails, so does the run, and nothing is published",
        examples=['["python", "swap.py"]'],
    )


class ReportSpec(BatchSpec):
    """Rendered from code and published as a page."""

    kind: Literal["report"] = "report"
    footer: bool = Field(
        default=True,
        description="published pages say which run, commit and inputs they are of and when the next one is due; past "
        "that they say so themselves",
    )
    self_contained: bool = Field(
        default=False,
        description="true: a page that loads scripts, styles, images or fonts from other servers is not published; "
        "else the log names them",
    )
    mail_to: Annotated[
        tuple[Annotated[str, AfterValidator(addresses.canonical)], ...],
        Field(strict=False, max_length=50),
        AfterValidator(values.unique),
    ] = Field(
        default=(),
        description="who gets the report by e-mail each time that it is published; the stack's settings name the "
        "sender, `notifications.mail_from`",
        examples=['["ada@example.com"]'],
    )
    mail: MailForm = Field(default="link", description="what is mailed: its address, or the report as an attachment")


class ServiceSpec(WorkloadSpec):
    """What always runs and answers requests."""

    port: Annotated[int, Field(ge=1024, le=65_535)] = Field(
        default=8000, description="where the program listens on AWS; it always reads `$PORT`"
    )
    health: Annotated[str, AfterValidator(values.url_path)] = Field(
        default="/health", description="the path that answers 200 while the process is up"
    )
    start_minutes: Annotated[int, Field(ge=1, le=60)] = Field(
        default=1, description="how long a new copy may take until it answers `health`; one that needs longer is ended"
    )
    replicas: Replicas = Field(default=Replicas(), description="how many copies run")
    access: Literal["internal", "company", "public"] = Field(
        default="internal",
        description="who reaches it: the environment's own network, the company (its addresses, or people who sign "
        "in), or everybody (the stack must allow it)",
    )


class ApiSpec(ServiceSpec):
    """Answers requests of programs and browsers."""

    kind: Literal["api"] = "api"


class AppSpec(ServiceSpec):
    """People use it in a browser: Streamlit, Shiny, Dash, or any program that listens."""

    kind: Literal["app"] = "app"

    health: Annotated[str, AfterValidator(values.url_path)] = Field(
        default="/", description="the path that answers 200 while the process is up"
    )
    start_minutes: Annotated[int, Field(ge=1, le=60)] = Field(
        default=3, description="how long a new copy may take until it answers `health`; one that needs longer is ended"
    )


AnySpec = JobSpec | ReportSpec | ApiSpec | AppSpec

Commands = Mapping[str, tuple[str, ...]]
SCRIPTS: Commands = {"main.py": ("python", "main.py"), "main.R": ("Rscript", "main.R")}
SERVED_BY = {"plumber.R": "plumber"}
"""File that is an API by itself -> the R package that serves it."""
SERVERS: Commands = {
    "plumber.R": (
        *("Rscript", "-e"),
        "plumber::pr_run(plumber::pr('plumber.R'), "
        "host = Sys.getenv('HOST', '0.0.0.0'), port = as.integer(Sys.getenv('PORT')), docs = TRUE)",
    ),
}

APPS: Commands = {
    "streamlit_app.py": (
        *("sh", "-c"),
        'exec python -m streamlit run streamlit_app.py --server.address "${HOST:-0.0.0.0}" --server.port "$PORT" '
        "--server.headless true --browser.gatherUsageStats false",
    ),
    "app.R": (
        *("Rscript", "-e"),
        "shiny::runApp('app.R', host = Sys.getenv('HOST', '0.0.0.0'), port = as.integer(Sys.getenv('PORT')))",
    ),
}
"""Files that a framework for apps serves. Their pages use relative addresses, so the prefix is no matter to them."""


@dataclass(frozen=True)
class KindOfWorkload:
    """What tells a kind of workload from the others before anything is made of it.

    `model`: its settings; whether it ends (BatchSpec) or always runs (ServiceSpec) is what that derives from.
    `article`: how a sentence names one. `commands`: what one without a `command` runs, by the file that is there.
    `component`: the class that is made of one, below `herd.infra.workloads`. It is text, because the command line knows
    the kinds too and does without Pulumi.
    """

    model: type[AnySpec]
    article: str
    commands: Commands
    component: str

    @property
    def is_service(self) -> bool:
        """Does it always run? Then it has no output to be read, and nothing can come after it."""
        return issubclass(self.model, ServiceSpec)


KINDS: Mapping[Kind, KindOfWorkload] = {
    "job": KindOfWorkload(JobSpec, "a job", SCRIPTS, "job.Job"),
    "report": KindOfWorkload(ReportSpec, "a report", SCRIPTS, "report.Report"),
    "api": KindOfWorkload(ApiSpec, "an api", {**SCRIPTS, **SERVERS}, "api.Api"),
    "app": KindOfWorkload(AppSpec, "an app", {**SCRIPTS, **APPS}, "app.App"),
}
"""`infra/outputs.py`, which is the team's, makes the components."""

FROM_FOLDER = frozenset({"name", "kind", "folder"})
"""Fields that no settings file contains."""


def settings_of(model: type[BaseModel]) -> dict[str, str]:
    """Setting as written in a file -> field, for one kind or one table: `{"check": "checks", "cpu": "cpu", …}`."""
    excluded = FROM_FOLDER if issubclass(model, WorkloadSpec) else ()
    return {field.alias or name: name for name, field in model.model_fields.items() if name not in excluded}


OF_DUE_TIMES = ("deadline_minutes", "catch_up", "paused")
"""Settings that mean something only beside a schedule."""

TABLES: dict[str, type[BaseModel]] = {"reads": Read, "replicas": Replicas, **CHECKS}
"""Settings whose entries are tables with settings of their own; those of `check` by their kind."""

DEFAULTABLE = frozenset(
    {"owner", "review_by", "image", "hardware", "cpu", "memory_gb", "disk_gb", "env"}
    | {"timezone", "timeout_minutes", "retries", "overlap"}
)
"""What defaults.toml may set: what a team has in common, not what makes a workload that workload."""
