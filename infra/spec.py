"""Settings files -> Specs: what the team wrote, checked, before anything is deployed."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

from infra.schedule import Schedule
from infra.spec_models import AnySpec, ApiSpec, BatchSpec, Check, JobSpec, Read, Replicas, ReportSpec, WorkloadSpec

__all__ = [
    "AnySpec", "ApiSpec", "BatchSpec", "Check", "Explained", "JobSpec", "Pipeline", "Problem", "Read", "Replicas",
    "ReportSpec", "SpecErrors", "Specs", "WorkloadSpec", "expired", "explain", "load_specs",
]


@dataclass(frozen=True)
class Problem:
    """One thing that a person must change, and where."""

    file: str
    key: str
    message: str

    def __str__(self) -> str:
        return f"{self.file}: {self.message}"


class SpecErrors(Exception):
    """All problems of all files. `str()` is one line per problem."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        super().__init__(problems)
        self.problems = problems

    def __str__(self) -> str:
        return "\n".join(map(str, self.problems))


@dataclass(frozen=True)
class Pipeline:
    """Jobs and reports joined by `after`: one connected component, named after its first root."""

    name: str
    levels: tuple[tuple[str, ...], ...]
    schedule: Schedule | None
    timezone: str


@dataclass(frozen=True)
class Specs:
    """Everything that the team wrote. `workloads` is ordered by name."""

    workloads: Mapping[str, AnySpec]
    pipelines: tuple[Pipeline, ...] = ()
    origins: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Explained:
    key: str
    value: Any
    source: str


def load_specs(root: Path, environment: str) -> Specs:
    raise SpecErrors(())


def explain(root: Path, environment: str, name: str) -> list[Explained]:
    raise SpecErrors(())


def expired(specs: Specs, today: date) -> tuple[Problem, ...]:
    return ()
