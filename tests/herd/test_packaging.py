"""Two distributions of one release: what their wheels hold, and what they ask for."""

from __future__ import annotations

import re
import subprocess
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import pytest

from herd import PACKAGE
from herd.version import VERSION
from localcloud import version as localcloud_version

ROOT = Path(__file__).parents[2]


def pyproject(path: str) -> dict[str, Any]:
    project: dict[str, Any] = tomllib.loads((ROOT / path).read_text())
    return project


@pytest.fixture(scope="module", name="built")
def by_distribution(wheels: Path) -> dict[str, Path]:
    """Both wheels, built from this checkout: by the distribution's name."""
    return {path.name.partition("-")[0]: path for path in wheels.glob("*.whl")}


def test_a_release_has_one_number(built: dict[str, Path]) -> None:
    assert VERSION == localcloud_version.VERSION == pyproject("pyproject.toml")["project"]["version"]
    assert {path.name for path in built.values()} == {
        f"herd_environments-{VERSION}-py3-none-any.whl",
        f"herd_localcloud-{VERSION}-py3-none-any.whl",
    }
    assert f"herd-localcloud=={VERSION}" in pyproject("src/herd/pyproject.toml")["project"]["dependencies"]


def test_the_command_line_says_which_release_it_is(cli: Any) -> None:
    assert cli("--version").stdout == f"herd {VERSION}\n"


def test_the_lock_file_is_of_what_both_distributions_ask_for() -> None:
    both = {
        requirement
        for distribution in ("herd", "localcloud")
        for requirement in pyproject(f"src/{distribution}/pyproject.toml")["project"]["dependencies"]
    }
    ours = set(pyproject("pyproject.toml")["project"]["dependencies"])
    assert both - {f"herd-localcloud=={VERSION}"} == ours


@pytest.mark.parametrize(
    ("distribution", "package"), [("herd_environments", "herd"), ("herd_localcloud", "localcloud")]
)
def test_a_wheel_holds_every_file_of_its_package(built: dict[str, Path], distribution: str, package: str) -> None:
    folder = PACKAGE.with_name(package)
    listed = subprocess.run(
        ["git", "-C", str(folder), "ls-files", "-z"], check=True, capture_output=True
    ).stdout.decode()
    tracked = {f"{package}/{name}" for name in listed.split("\0") if name and (folder / name).exists()}
    with zipfile.ZipFile(built[distribution]) as wheel:
        inside = {name for name in wheel.namelist() if ".dist-info/" not in name}
    assert tracked - {f"{package}/pyproject.toml"} - inside == set()
    more = inside - tracked
    assert all(name.startswith("herd/checkout/project/") for name in more), more


def test_a_wheel_holds_what_a_new_project_takes_from_this_repository(built: dict[str, Path]) -> None:
    own = ["requirements.lock", "requirements-dev.lock", *(f"infra/{path.name}" for path in ROOT.glob("infra/*.py"))]
    own += [f"images/python/{name}" for name in ("Dockerfile", "requirements.in", "requirements.lock")]
    with zipfile.ZipFile(built["herd_environments"]) as wheel:
        for name in own:
            assert wheel.read(f"herd/checkout/project/{name}") == (ROOT / name).read_bytes(), name


def test_the_language_host_may_be_run(built: dict[str, Path]) -> None:
    with zipfile.ZipFile(built["herd_environments"]) as wheel:
        mode = wheel.getinfo("herd/language_host/pulumi-language-python").external_attr >> 16
    assert mode & 0o111 == 0o111


def test_the_local_cloud_names_nothing_of_herd(built: dict[str, Path]) -> None:
    with zipfile.ZipFile(built["herd_localcloud"]) as wheel:
        metadata = wheel.read(f"herd_localcloud-{VERSION}.dist-info/METADATA").decode()
        assert not re.search(r"(?m)^Requires-Dist: herd", metadata)
        assert not [name for name in wheel.namelist() if name.startswith("herd/")]
