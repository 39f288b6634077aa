"""`Project`: what a team wrote and the stack says, checked; the first line of `infra/__main__.py`.

    project = Project.here()

reads the settings of the stack that Pulumi runs and the folders of the team, and asks AWS about everything that they
name. What does not fit ends the program with a pulumi.RunError that has a line for each problem, before any resource is
registered. After that the project is the component that everything in the environment hangs below.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import pulumi

from herd.infra import as_written
from herd.infra.imports import single_modules
from herd.infra.naming import MADE_BY_TAG, Naming
from herd.infra.offer import Offer
from herd.infra.settings.frozen import Running, values
from herd.infra.settings.load import load_settings
from herd.infra.settings.schema import ADOPTABLE, Settings
from herd.infra.spec.load import (
    AnySpec,
    ApiSpec,
    AppSpec,
    JobSpec,
    ReportSpec,
    ServiceSpec,
    SpecErrors,
    Specs,
    WorkloadSpec,
    load_specs,
)

with single_modules():
    from pulumi_aws.scheduler.schedule_group import ScheduleGroup

    from herd.infra.context import Account, Component, Context
    from herd.infra.hardware.access import refusals
    from herd.infra.hardware.cluster import unreachable
    from herd.infra.images.image import Planned, plan_images
    from herd.infra.mail import unable, warn_unverified
    from herd.infra.storage import secrets
    from herd.infra.storage.adopted import Adopted
    from herd.infra.storage.buckets import log_bucket
    from herd.infra.storage.keys import key_arn
    from herd.infra.storage.report_site import ReportSite, refuse_blocked
    from herd.infra.workloads.common import Workload
    from herd.infra.workloads.pipeline import PipelineMachine

PROJECT_FILE = "Pulumi.yaml"

AnyModel = TypeVar("AnyModel", bound=WorkloadSpec)


@dataclass(frozen=True)
class Facts:
    """What was checked and looked up before anything is made."""

    context: Context
    adopted: Adopted
    images: Mapping[str, Planned]

    @classmethod
    def look_up(cls, settings: Settings, specs: Specs, root: Path) -> "Facts":
        """Raises pulumi.RunError with all problems of a step: whose account and environment it is, then the rest."""
        running = Running.look_up(settings)
        if problems := [
            *refusals(specs.services.values(), settings),
            *unreachable(specs, settings),
            *unable(specs, settings),
        ]:
            raise pulumi.RunError("\n".join(problems))
        account = Account.look_up(settings)
        folders = {spec.image for spec in specs.workloads.values()}
        is_public = settings.reports == "bucket" and any(spec.is_page for spec in specs.workloads.values())
        results: dict[str, Any] = _all(
            blocked=lambda: refuse_blocked(settings) if is_public else None,
            secrets=lambda: secrets.look_up(specs, settings),
            adopted=lambda: Adopted.look_up(settings, account, folders),
        )
        warn_unverified(settings, specs)
        naming = Naming(settings.project, settings.environment)
        deadlines = {name: due for name in specs.batch if settings.schedules and (due := specs.deadline_of(name))}
        context = Context(settings, naming, account, results["secrets"], deadlines=deadlines)
        return cls(context, results["adopted"], plan_images(specs, root, context, running.images))


class Project(Component):
    """One environment of the team's project. Registers a ScheduleGroup, and a Key and a log Bucket where the settings
    ask for them; `parent=project` puts a resource of your own below the environment.

    `settings`: of the stack. `specs`: what lies in jobs/, reports/ and apis/. `root`: the folder of Pulumi.yaml.
    `context`: what components take: settings, names, the account, tags. `adopted`: what was looked up. `images`: what
    is to be built, by workload.
    """

    def __init__(self, settings: Settings, specs: Specs, root: Path) -> None:
        facts = Facts.look_up(settings, specs, root)
        super().__init__("Environment", settings.environment, transformations=[self._after_the_group])
        self.settings, self.specs, self.root = settings, specs, root
        self.adopted, self.images = facts.adopted, facts.images
        self.naming, self.account = facts.context.naming, facts.context.account
        self.schedule_group = self._schedule_group(facts.context)
        context = replace(facts.context, key_arn=key_arn(facts.context, self))
        self.context = replace(context, logs=log_bucket(context, self))

    @classmethod
    def here(cls) -> "Project":
        """The project whose folder Pulumi runs in. Raises pulumi.RunError, a line for each problem."""
        root = find_root(Path.cwd())
        settings = load_settings()
        try:
            specs = load_specs(root, settings.environment, Offer.of(settings))
        except SpecErrors as errors:
            raise pulumi.RunError(str(errors)) from None
        return cls(settings, specs, root)

    @property
    def workloads(self) -> list[AnySpec]:
        """Of every kind, by name."""
        return list(self.specs.workloads.values())

    def of(self, model: type[AnyModel]) -> list[AnyModel]:
        """Those of one kind, or of what several kinds have in common: `project.of(ServiceSpec)`."""
        return [spec for spec in self.workloads if isinstance(spec, model)]

    @property
    def jobs(self) -> list[JobSpec]:
        return self.of(JobSpec)

    @property
    def reports(self) -> list[ReportSpec]:
        return self.of(ReportSpec)

    @property
    def apis(self) -> list[ApiSpec]:
        return self.of(ApiSpec)

    @property
    def apps(self) -> list[AppSpec]:
        return self.of(AppSpec)

    @property
    def services(self) -> list[ServiceSpec]:
        """What always runs, of every kind."""
        return self.of(ServiceSpec)

    @property
    def publishes(self) -> bool:
        """Whether there are pages, and the settings let them be read."""
        return any(spec.is_page for spec in self.workloads) and self.settings.reports != "none"

    @property
    def faces_internet(self) -> bool:
        """Whether anybody outside the environment's own network calls a service."""
        return any(spec.access != "internal" for spec in self.services)

    def export(
        self,
        site: ReportSite | None,
        workloads: Mapping[str, Workload],
        pipelines: Mapping[str, PipelineMachine],
    ) -> None:
        """The stack's outputs: what the command line and people look up. Nothing that depends on the time of day."""
        settings, context = self.settings, self.context
        outputs = {
            "environment": settings.environment,
            "project": settings.project,
            "region": settings.region,
            "account": self.account.id,
            "reports_url": site.url if site else None,
            "data_bucket": context.data_bucket,
            "reports_bucket": context.reports_bucket if site else None,
            "cluster": self.naming.cluster,
            "protected": settings.protect,
            "ends_at": settings.ends_at or None,
            "encryption_key": context.key_arn,
            "adopted": {name: getattr(settings, name) for name in ADOPTABLE if getattr(settings, name)},
            "runs_with": values(settings),
            "settings": {
                "stack": as_written.stack(settings),
                "workloads": {name: as_written.workload(spec) for name, spec in sorted(self.specs.workloads.items())},
            },
            "workloads": {name: workload.exports() for name, workload in sorted(workloads.items())},
            "pipelines": {name: pipeline.exports() for name, pipeline in pipelines.items()},
        }
        for name, value in outputs.items():
            pulumi.export(name, value)
        self.register_outputs({})

    def _schedule_group(self, context: Context) -> ScheduleGroup:
        """Made before all else and removed after it: whoever has this group has the environment's name.

        Scheduler refuses a second group of one name, where ECS, SNS and others would hand over what a stranger of the
        same name has made. So two checkouts cannot deploy the same environment.
        """
        return ScheduleGroup(
            self.child("schedules"),
            name=context.naming.schedule_group,
            tags={**context.tags(), **({MADE_BY_TAG: made_by} if (made_by := context.settings.made_by) else {})},
            opts=self.options(),
        )

    def _after_the_group(self, args: pulumi.ResourceTransformationArgs) -> pulumi.ResourceTransformationResult | None:
        if isinstance(args.resource, pulumi.ComponentResource | ScheduleGroup):
            return None
        after = pulumi.ResourceOptions.merge(args.opts, pulumi.ResourceOptions(depends_on=[self.schedule_group]))
        return pulumi.ResourceTransformationResult(args.props, after)


def find_root(folder: Path) -> Path:
    """The nearest folder with a Pulumi.yaml, from `folder` upwards: Pulumi runs a program in the folder of `main:`."""
    for candidate in (folder, *folder.parents):
        if (candidate / PROJECT_FILE).is_file():
            return candidate
    raise pulumi.RunError(f"there is no {PROJECT_FILE} in {folder} or above it")


def _all(**steps: Callable[[], Any]) -> dict[str, Any]:
    """What each step returns; raises one pulumi.RunError with the problems of all."""
    results, problems = dict[str, Any](), list[str]()
    for name, step in steps.items():
        try:
            results[name] = step()
        except pulumi.RunError as error:
            problems.append(str(error))
    if problems:
        raise pulumi.RunError("\n".join(problems))
    return results
