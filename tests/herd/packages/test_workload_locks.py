"""`herd lock`: which file names a workload's packages, what uv is asked, and what is different."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from herd.checkout.find import Checkout
from herd.deploy import workload_locks
from herd.errors import HerdError, WrongInput
from herd.infra.spec.load import SpecErrors, load_specs
from herd.toolchain import machine, uv
from tests.herd.packages.test_python_project import HASH, PYPROJECT, SCRIPT, SCRIPT_LOCK, UV_LOCK

STAND_IN = """\
#!/bin/sh
echo "$*" >> "$0.log"
case "$*" in
*fail*|*--upgrade*) echo half > uv.lock; echo "error: no such package" >&2; exit 1 ;;
esac
exec {uv} "$@" --offline --cache-dir "$0.cache"
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    """A project, with a uv that asks no index: it writes down what it is asked and passes it on."""
    root = tmp_path / "project"
    for path, text in {
        "defaults.toml": 'owner = "a@example.com"\nreview_by = 2030-01-01\n',
        "images/python/Dockerfile": "FROM x\n",
        "images/python/requirements.lock": "",
        "jobs/load/workload.toml": "",
        "jobs/load/main.py": "",
    }.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
    return Checkout(root, machine.user_cache())


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    program = tmp_path / "uv"
    program.write_text(STAND_IN.format(uv=uv.find(machine.user_cache())))
    program.chmod(0o755)
    monkeypatch.setattr(uv, "ensure", lambda cache: program)
    return tmp_path / "uv.log"


def lock(checkout: Checkout, upgrade: bool = False) -> list[str]:
    return workload_locks.lock(checkout, load_specs(checkout.root, "dev").workloads["load"], upgrade).difference


def write(checkout: Checkout, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (checkout.root / "jobs/load" / name).write_text(text)
    return checkout.root / "jobs/load"


def test_a_project_is_locked_into_uv_lock(checkout: Checkout, asked: Path) -> None:
    folder = write(checkout, {"pyproject.toml": PYPROJECT, "uv.lock": UV_LOCK})
    assert lock(checkout) == []
    assert asked.read_text() == "lock\n"
    write(checkout, {"pyproject.toml": '[project]\nname = "churn"\nversion = "0"\nrequires-python = ">=3.11"\n'})
    assert lock(checkout) == ["- attrs 25.1.0", "- idna 3.10", "- six 1.17.0"]
    assert "six" not in (folder / "uv.lock").read_text()


def test_a_script_is_locked_beside_itself(checkout: Checkout, asked: Path) -> None:
    folder = write(checkout, {"main.py": SCRIPT, "main.py.lock": SCRIPT_LOCK})
    assert lock(checkout) == [] and asked.read_text() == "lock --script main.py\n"
    write(checkout, {"main.py": SCRIPT.replace('"six"', "")})
    assert lock(checkout) == ["- six 1.17.0"]
    assert HASH not in (folder / "main.py.lock").read_text()


def test_what_a_list_asks_for_is_compiled_with_hashes(checkout: Checkout, asked: Path) -> None:
    folder = write(checkout, {"requirements.in": "# none yet\n", "requirements.lock": f"six==1.17.0 --hash={HASH}\n"})
    assert lock(checkout) == ["- six 1.17.0"]
    assert "--generate-hashes" in asked.read_text() and "--no-emit-index-url" in asked.read_text()
    assert (folder / "requirements.lock").read_text() == ""


def test_a_lock_is_as_it_was_where_uv_fails(checkout: Checkout, asked: Path) -> None:
    folder = write(checkout, {"pyproject.toml": PYPROJECT, "uv.lock": UV_LOCK})
    with pytest.raises(HerdError, match="jobs/load: uv could not lock it:\nerror: no such package"):
        lock(checkout, upgrade=True)
    assert (folder / "uv.lock").read_text() == UV_LOCK


def test_without_packages_of_its_own_it_has_its_images(checkout: Checkout, asked: Path) -> None:
    with pytest.raises(WrongInput, match=r"jobs/load: names no packages of its own, so it has those of images/python"):
        lock(checkout)
    assert not asked.exists()
    shutil.copy(checkout.root / "defaults.toml", checkout.root.parent / "outside")
    (checkout.root / "jobs/load/requirements.in").symlink_to(checkout.root.parent / "outside")
    with pytest.raises(SpecErrors, match=r"link"):
        lock(checkout)
