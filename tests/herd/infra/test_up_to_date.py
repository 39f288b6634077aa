"""Which jobs may leave out a run that would repeat the last one: those of which everything has versions."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from herd.infra.messages import SpecErrors
from herd.infra.offer import Offer
from herd.infra.spec.load import load_specs
from herd.infra.spec.models import JobSpec
from herd.infra.spec.up_to_date import UNVERSIONED_CHECKS, obstacles, settings_digest
from herd.runner.contract.checks import KINDS
from tests.herd.infra.program.mocks import TEAM, write_team
from tests.herd.infra.program.test_program_settings import toml

IN_A_PIPELINE = 'after = ["ingest"]\nreads = ["ingest"]\n'
CHECK = '[[check]]\nfile = "m.csv"\n'


def job(root: Path, settings: str) -> JobSpec:
    both = toml({**tomllib.loads(IN_A_PIPELINE), **tomllib.loads(settings)})
    files = {path: text for path, text in TEAM.items() if "/train/" not in path and "/page/" not in path}
    files = {path: text.replace('reads = ["train"]\n', "") for path, text in files.items()}
    files |= {"jobs/totals/workload.toml": both, "jobs/totals/main.py": "print(1)\n"}
    spec = load_specs(write_team(root, files), "dev", Offer(teams=None)).workloads["totals"]
    assert isinstance(spec, JobSpec)
    return spec


@pytest.mark.parametrize(
    ("settings", "obstacle"),
    [
        ("", None),
        ("skip_unchanged = true", None),
        (f"{CHECK}min_bytes = 1", None),
        ("[[check]]\nquery = 'select 1'\nmin = 1", None),
        ('[env]\nLEVEL = "2"', None),
        ('after = []\nschedule = "@daily"', "it has no `after`"),
        ("reads = []", "it has no `reads`"),
        ('reads = ["ingest", "totals"]', "it reads its own last output"),
        ('[secrets]\nKEY = "key"', "it has [secrets]"),
        ('publish = ["true"]', "it has `publish`"),
        ('fan_out = ["a", "b"]', "it has `fan_out`"),
        (f'{CHECK}newest = "day"\nmax_age_hours = 24', "a check of age (newest)"),
        (f"{CHECK}changed = true", "a check that something has changed"),
        ('[[check]]\ncommand = ["true"]', "a check of a command's"),
    ],
)
def test_what_stands_in_the_way(tmp_path: Path, settings: str, obstacle: str | None) -> None:
    spec = job(tmp_path, settings)
    lines = list(obstacles(spec, ()))
    assert [line for line in lines if obstacle is None or not line.startswith(obstacle)] == []
    assert (settings_digest(spec, ()) == "") == (obstacle is not None)


def test_a_dataset_has_no_versions(tmp_path: Path) -> None:
    assert [*obstacles(job(tmp_path, ""), {"ingest"})] == [
        "it reads ingest: a dataset that others write has no versions"
    ]


def test_it_can_be_off(tmp_path: Path) -> None:
    assert settings_digest(job(tmp_path, "skip_unchanged = false"), ()) == ""


def test_env_counts(tmp_path: Path) -> None:
    digests = {settings_digest(job(tmp_path / text, f'[env]\nLEVEL = "{text}"'), ()) for text in ("1", "2")}
    assert len(digests) == 2


def test_on_where_it_cannot_be_is_refused_with_the_reason(tmp_path: Path) -> None:
    with pytest.raises(SpecErrors, match=r"skip_unchanged = true cannot be: it has `publish`.*leave the setting out"):
        job(tmp_path, 'skip_unchanged = true\npublish = ["true"]')


def test_each_kind_of_check_that_is_named_is_one() -> None:
    assert UNVERSIONED_CHECKS.keys() <= KINDS.keys()
