"""`herd new --language r` and `herd init --language r`: R workloads, and an image for them where there is none."""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path

import pytest

from herd.checkout import init, project_files, scaffold
from herd.checkout.find import Checkout
from herd.errors import WrongInput
from herd.infra.images import r_image
from herd.infra.spec.load import load_specs
from herd.infra.spec.rules_workload import default_command
from herd.review import check
from herd.runner.contract.kinds import FOLDERS, Kind

MAIN = {"job": "main.R", "report": "report.Rmd", "api": "plumber.R"}


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    """A project whose image is Python's."""
    (tmp_path / "images/python").mkdir(parents=True)
    (tmp_path / "images/python/Dockerfile").write_text("FROM scratch\n")
    (tmp_path / "defaults.toml").write_text('owner = "a@example.com"\nimage = "python"\n')
    return Checkout(tmp_path, tmp_path / "cache")


def image_of(checkout: Checkout, folder: str) -> str | None:
    image: str | None = tomllib.loads((checkout.root / folder / "workload.toml").read_text()).get("image")
    return image


@pytest.mark.parametrize("kind", MAIN)
def test_an_r_workload_in_a_project_of_pythons(checkout: Checkout, kind: Kind) -> None:
    written = scaffold.create(checkout, kind, "new-one", "r")
    folder = f"{FOLDERS[kind]}/new-one"
    assert Path(folder, MAIN[kind]) in written
    assert image_of(checkout, folder) == "r"
    dockerfile, lock = (checkout.root / "images/r" / name for name in ("Dockerfile", "renv.lock"))
    r_image.check(dockerfile.read_text(), lock.read_bytes(), "r")
    again = scaffold.create(checkout, kind, "second", "r")
    assert not [path for path in again if path.parts[0] == "images"], "an image that is there stays"


@pytest.mark.parametrize("kind", MAIN)
def test_what_is_written_needs_no_command(checkout: Checkout, kind: Kind) -> None:
    scaffold.create(checkout, kind, "new-one", "r")
    assert default_command(checkout.root / FOLDERS[kind] / "new-one", kind)[1] == MAIN[kind]
    assert "command" not in tomllib.loads((checkout.root / FOLDERS[kind] / "new-one/workload.toml").read_text())
    assert load_specs(checkout.root, "dev").workloads["new-one"].image == "r"


def test_the_image_in_defaults_decides_where_nobody_says(checkout: Checkout) -> None:
    scaffold.create(checkout, "job", "first", "r")
    (checkout.root / "defaults.toml").write_text('image = "r"\n')
    assert Path("jobs/second/main.R") in scaffold.create(checkout, "job", "second")
    assert image_of(checkout, "jobs/second") is None
    assert Path("jobs/third/main.py") in scaffold.create(checkout, "job", "third", "python")
    assert image_of(checkout, "jobs/third") == "python"


def test_an_image_that_is_called_r_and_is_none(checkout: Checkout) -> None:
    (checkout.root / "images/r").mkdir()
    (checkout.root / "images/r/Dockerfile").write_text("FROM x\n")
    with pytest.raises(WrongInput, match="images/r has no renv.lock, so it is no image of R"):
        scaffold.create(checkout, "job", "first", "r")
    assert not (checkout.root / "jobs").exists()


def test_a_project_in_r(tmp_path: Path, wheels: Path) -> None:
    (tmp_path / "new").mkdir()
    init.write(init.plan(tmp_path / "new", "flights", None, wheels, "r"))
    there = {path.relative_to(tmp_path / "new").as_posix() for path in (tmp_path / "new").rglob("*") if path.is_file()}
    assert {"images/r/renv.lock", "jobs/daily-numbers/main.R", "reports/overview/report.Rmd"} <= there
    assert not there & set(project_files.PYTHON)
    assert 'image     = "r"' in (tmp_path / "new/defaults.toml").read_text()
    (tmp_path / "new/.venv").symlink_to(sys.prefix)
    checked = check.check_environment(Checkout(tmp_path / "new", tmp_path / "cache"), "dev")
    assert (checked.refused, checked.due) == ([], [])
    again = init.plan(tmp_path / "new", None, None, wheels)
    assert not again.files, "it is known to be in R"
    with pytest.raises(WrongInput, match="this project's files are for r; `herd new job NAME --language python`"):
        init.plan(tmp_path / "new", None, None, wheels, "python")
