"""Settings files -> Specs: what the team wrote, checked, before anything is deployed.

    defaults.toml → workload.toml → its [environments.<environment>]

`load_specs` reads the whole project and raises SpecErrors with all problems of all files at once. It is pure: the same
files give the same Specs, whatever the day. What depends on the day is the command line's
(src/herd/checkout/review_dates.py).

models is the schema, files finds and reads, draft makes one workload of it, rules_workload, rules_graph and rules_offer
compare settings, herd.infra.messages has the texts. Nothing here imports Pulumi.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from herd.infra.messages import Problem, SpecErrors, did_you_mean, printable, quoted
from herd.infra.offer import Offer
from herd.infra.spec import deadlines, draft, files, image_settings, rules_graph, rules_offer
from herd.infra.spec.checks import Check
from herd.infra.spec.draft import Draft
from herd.infra.spec.files import Origin
from herd.infra.spec.models import (
    AnySpec,
    ApiSpec,
    AppSpec,
    BatchSpec,
    JobSpec,
    Read,
    Replicas,
    ReportSpec,
    ServiceSpec,
    WorkloadSpec,
    settings_of,
)
from herd.infra.spec.rules_graph import Pipeline
from herd.runner.contract.kinds import KIND_OF_FOLDER, Kind
from herd.runner.contract.schedule import Schedule
from herd.runner.contract.task import Deadline

EVERYWHERE = Offer()
"""What every environment offers."""

__all__ = [
    "AnySpec",
    "ApiSpec",
    "AppSpec",
    "BatchSpec",
    "Explained",
    "JobSpec",
    "Origin",
    "Pipeline",
    "Problem",
    "Read",
    "Replicas",
    "ReportSpec",
    "Schedule",
    "ServiceSpec",
    "SpecErrors",
    "Specs",
    "WorkloadSpec",
    "explain",
    "load_specs",
]


@dataclass(frozen=True)
class Specs:
    """Everything that the team wrote, for one environment. `workloads` is ordered by name.

    `origins`: workload -> setting -> where its value stands; inner keys of `env`, `params` and `replicas` as `env.X`.
    """

    workloads: Mapping[str, AnySpec]
    pipelines: tuple[Pipeline, ...] = ()
    origins: Mapping[str, Mapping[str, Origin]] = field(default_factory=dict)

    @property
    def batch(self) -> dict[str, BatchSpec]:
        """The jobs and reports."""
        return {name: spec for name, spec in self.workloads.items() if isinstance(spec, BatchSpec)}

    @property
    def services(self) -> dict[str, ServiceSpec]:
        """What always runs."""
        return {name: spec for name, spec in self.workloads.items() if isinstance(spec, ServiceSpec)}

    def pause(self, workload: str) -> str | None:
        """Why nothing starts `workload` by the clock: its own reason, or that of its pipeline."""
        spec, pipeline = self.workloads[workload], self.pipeline_with(workload)
        return pipeline.paused if pipeline else spec.paused if isinstance(spec, BatchSpec) else None

    def deadline_of(self, workload: str) -> Deadline | None:
        """When it is due by its own schedule or its pipeline's; None where nothing starts it by the clock."""
        spec, pipeline = self.workloads[workload], self.pipeline_with(workload)
        if not isinstance(spec, BatchSpec) or self.pause(workload):
            return None
        if pipeline is not None:
            schedule, timezone, minutes = pipeline.schedule, pipeline.timezone, pipeline.deadline_minutes
        else:
            schedule, timezone, minutes = spec.schedule, spec.timezone, deadlines.deadline_minutes(spec)
        return Deadline(schedule.expression, timezone, minutes) if schedule is not None else None

    def pipeline_with(self, workload: str) -> Pipeline | None:
        """The pipeline that runs `workload`; None where it runs by itself."""
        return next((one for one in self.pipelines if any(workload in level for level in one.levels)), None)

    def pipeline_of(self, workload: str) -> str | None:
        """The name of that pipeline."""
        pipeline = self.pipeline_with(workload)
        return pipeline.name if pipeline else None


@dataclass(frozen=True)
class Explained:
    """One value of a workload and where it comes from: a file, `default`, or what it was worked out from."""

    key: str
    value: Any
    source: str


def load_specs(root: Path, environment: str, offer: Offer = EVERYWHERE, needed: str | None = None) -> Specs:
    """The project's workloads in one environment; raises SpecErrors with every problem of every file.

    `needed`: the workload that is asked about, "" for none. Then only what is wrong with it, with what it reads or
    comes after, or with what all have in common is raised; other workloads with problems are left out.
    """
    drafts, problems = _load(root, environment, offer)
    if needed is not None:
        drafts, problems = _of_one(drafts, problems, needed)
    if problems:
        raise SpecErrors(sorted(problems, key=lambda problem: problem.file))
    workloads = {draft.spec.name: draft.spec for draft in sorted(drafts, key=lambda draft: draft.spec.name)}
    origins = {draft.spec.name: draft.origins for draft in drafts}
    return Specs(workloads, rules_graph.pipelines(workloads), origins)


def _of_one(drafts: list[Draft], problems: list[Problem], needed: str) -> tuple[list[Draft], list[Problem]]:
    """Without the workloads that have problems of their own and that `needed` can do without."""
    by_name = {draft.spec.name: draft.spec for draft in drafts}
    wanted, todo = {needed}, [needed]
    while todo:
        spec = by_name.get(todo.pop())
        names = {*(read.name for read in spec.reads), *getattr(spec, "after", ())} if spec else set()
        todo += names - wanted
        wanted |= names

    def owner(problem: Problem) -> str | None:
        top, _, rest = problem.file.partition("/")
        return rest.partition("/")[0] if top in KIND_OF_FOLDER else None

    left_out = {name for problem in problems if (name := owner(problem)) is not None and name not in wanted}
    problems = [problem for problem in problems if owner(problem) not in left_out]
    while more := {
        name for name, spec in by_name.items() if name not in left_out and left_out & {*getattr(spec, "after", ())}
    }:
        left_out |= more
    return [draft for draft in drafts if draft.spec.name not in left_out], problems


def explain(root: Path, environment: str, name: str, offer: Offer = EVERYWHERE) -> list[Explained]:
    """Each setting of one workload with its source, in the schema's order; raises SpecErrors."""
    specs = load_specs(root, environment, offer, name)
    if name not in specs.workloads:
        message = f"no workload is called {quoted(name)}{did_you_mean(name, specs.workloads)}"
        raise SpecErrors([Problem("jobs, reports, apis", "name", message)])
    spec, origins = specs.workloads[name], specs.origins[name]
    derived = {one.key: one for one in _of_due_times(specs, name)}
    return [
        derived[key] if key in derived else Explained(key, value, str(origins.get(key, "default")))
        for setting, field_name in settings_of(type(spec)).items()
        for key, value in _plain(setting, getattr(spec, field_name))
    ]


def _of_due_times(specs: Specs, name: str) -> Iterator[Explained]:
    """What a workload has of its pipeline, and a deadline that nobody wrote."""
    spec = specs.workloads[name]
    pipeline = specs.pipeline_with(name)
    if pipeline is not None:
        source = f"of the pipeline {pipeline.name}"
        if pipeline.is_due:
            yield Explained("deadline_minutes", pipeline.deadline_minutes, source)
            yield Explained("catch_up", pipeline.catch_up, source)
        if pipeline.paused:
            yield Explained("paused", pipeline.paused, source)
    elif isinstance(spec, BatchSpec) and spec.schedule and not (spec.paused or spec.deadline_minutes):
        minutes = deadlines.deadline_minutes(spec)
        yield Explained("deadline_minutes", minutes, f"what its limits can take, and {deadlines.SPARE_MINUTES} min")


def _plain(setting: str, value: Any) -> Iterator[tuple[str, Any]]:
    """A setting's value as it could be written in the file; tables key by key."""
    if isinstance(value, Replicas):
        value = value.model_dump()
    if isinstance(value, Mapping) and value:
        yield from ((f"{setting}.{key}", inner) for key, inner in value.items())
    elif isinstance(value, Schedule):
        yield setting, value.text
    elif isinstance(value, tuple):
        yield (
            setting,
            [
                item.model_dump(exclude_defaults=isinstance(item, Check)) if isinstance(item, Check | Read) else item
                for item in value
            ],
        )
    elif setting == "schedule" and value is None:
        yield setting, "none"
    else:
        yield setting, value


def _load(root: Path, environment: str, offer: Offer) -> tuple[list[Draft], list[Problem]]:
    entries, problems = files.discover(root)
    common, more = draft.defaults(root)
    problems += more
    drafts: dict[str, Draft] = {}
    kinds: dict[str, Kind] = {}
    folders: dict[str, Path] = {}
    for entry in entries:
        made, more = draft.workload(root, entry, common, environment, offer.copy_of)
        problems += more
        if not entry.name:
            continue
        if entry.name in folders:
            taken = f"the name {quoted(entry.name)} is taken by {folders[entry.name].as_posix()}"
            problems.append(Problem(entry.file, "name", f"{taken}: names are unique over all kinds"))
            continue
        folders[entry.name], kinds[entry.name] = entry.folder, entry.kind
        if made:
            drafts[entry.name] = made
    specs = {name: made.spec for name, made in drafts.items()}
    images = {image: image_settings.read(root, image, problems) for image in image_settings.images(root)}
    for name, finding in [
        *rules_graph.findings(specs, kinds, offer.datasets),
        *rules_offer.findings(specs, offer, images),
    ]:
        drafts[name].accept(finding)
    problems += [problem for made in drafts.values() for problem in made.problems]
    problems += _links(root, [entry.folder for entry in entries], specs.values())
    return list(drafts.values()), problems


def _links(root: Path, folders: list[Path], specs: Iterable[AnySpec]) -> Iterator[Problem]:
    """What ends up in an image must lie in the project, or whoever writes a link publishes what it points to."""
    beside = {Path("images", spec.image) for spec in specs} | {
        Path("lib", used) for spec in specs for used in spec.uses
    }
    for folder in [*folders, *sorted(path for path in beside if (root / path).is_dir())]:
        for link, why in files.links_astray(root, folder):
            yield Problem(printable(link.as_posix()), "", why)
