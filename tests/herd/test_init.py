"""`herd init`: a project in an empty folder and beside what is there; what it refuses, writing nothing."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from herd.checkout import apply, init, project_files
from herd.checkout.find import Checkout
from herd.doctor import checks
from herd.errors import WrongInput
from herd.infra.naming import Naming
from herd.review import check
from herd.version import VERSION

ROOT = Path(__file__).parents[2]
MOST_FILES, MOST_LINES = 28, 400


def make(root: Path, wheels: Path, name: str | None = "flights", source: Path | None = None) -> init.Plan:
    root.mkdir(exist_ok=True)
    planned = init.plan(root, name, source, wheels)
    init.write(planned)
    return planned


def tree(root: Path) -> dict[str, bytes]:
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def checkout_of(root: Path, tmp_path: Path) -> Checkout:
    """With this test's packages instead of those that `make tools` would install."""
    (root / ".venv").symlink_to(sys.prefix)
    return Checkout(root, tmp_path / "cache")


def test_a_project_is_small(tmp_path: Path, wheels: Path) -> None:
    make(tmp_path / "new", wheels)
    files = tree(tmp_path / "new")
    texts = [content for path, content in files.items() if not path.endswith((".lock", ".whl"))]
    assert len(files) <= MOST_FILES, sorted(files)
    assert sum(content.count(b"\n") for content in texts) <= MOST_LINES


def test_its_program_and_its_image_are_those_of_this_repository(tmp_path: Path, wheels: Path) -> None:
    make(tmp_path / "new", wheels)
    files = tree(tmp_path / "new")
    own = [f"infra/{path.name}" for path in (ROOT / "infra").glob("*.py")]
    assert {path for path in files if path.startswith("infra/")} == set(own)
    for path in (*own, "images/python/Dockerfile", "images/python/requirements.lock"):
        assert files[path] == (ROOT / path).read_bytes(), path


def test_it_holds_nothing_of_herds_source(tmp_path: Path, wheels: Path) -> None:
    make(tmp_path / "new", wheels)
    assert not [path for path in tree(tmp_path / "new") if path.startswith(("src/", "herd/", "localcloud/"))]


def test_herd_is_locked_by_the_hash_of_its_wheels(tmp_path: Path, wheels: Path) -> None:
    make(tmp_path / "new", wheels)
    lock = (tmp_path / "new/herd.lock").read_text()
    entries = dict(project_files.entries_of(lock))
    for path in (tmp_path / "new/wheels").glob("*.whl"):
        assert path.read_bytes() == (wheels / path.name).read_bytes()
        name = path.name.split("-")[0].replace("_", "-")
        assert entries[name].startswith(f"{name}=={VERSION} \\\n    --hash=sha256:")
    assert "--find-links wheels\n" in lock and "://" not in lock, "a mirror's host would be everybody's"
    assert all("--hash=sha256:" in text for text in entries.values())
    released = dict(project_files.entries_of((ROOT / "requirements.lock").read_text()))
    assert released.items() <= entries.items() and "pytest" in entries


def test_its_settings_and_its_program_hold_to_every_rule(tmp_path: Path, wheels: Path) -> None:
    root = tmp_path / "new"
    make(root, wheels)
    checked = check.check_environment(checkout_of(root, tmp_path), "dev")
    assert (checked.refused, checked.due) == ([], [])
    assert checked.resources > 30


def test_its_own_tests_hold_and_see_what_is_wrong(tmp_path: Path, wheels: Path) -> None:
    root = tmp_path / "new"
    make(root, wheels)
    checkout_of(root, tmp_path)

    def tests(which: str) -> str:
        command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", which]
        variables = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "PYTEST_ADDOPTS": ""}
        return subprocess.run(command, cwd=root, capture_output=True, text=True, env=variables).stdout

    assert "2 passed" in tests("tests")
    job = root / "jobs/daily-numbers/main.py"
    job.write_text(job.read_text().replace("range(1, 11)", "range(1, 5)"))
    assert "1 failed" in tests("tests/test_daily_numbers.py")


def test_make_check_asks_the_linters_that_the_lock_has(tmp_path: Path, wheels: Path) -> None:
    """ruff is one; mypy would take a minute here, and `make check` of this repository has it look at the same files."""
    root = tmp_path / "new"
    make(root, wheels)
    venv = root / ".venv"
    (venv / "bin").mkdir(parents=True)
    for name in ("lib", "pyvenv.cfg", "bin/python", "bin/herd"):
        (venv / name).symlink_to(Path(sys.prefix) / name)
    shutil.copy(root / "herd.lock", venv)

    def checked() -> subprocess.CompletedProcess[str]:
        # Below another make, as in `make test`, it would say which folder it enters.
        outer = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")}
        variables = {**outer, "HERD_CHECKOUT": str(root), "PYTHONPATH": str(ROOT / "src"), "NO_COLOR": "1"}
        return subprocess.run(["make", "check"], cwd=root, env=variables, capture_output=True, text=True)

    without = checked()
    assert (without.returncode, without.stdout) == (0, ""), without.stderr
    ruff = venv / "bin/ruff"
    ruff.symlink_to(Path(sys.prefix) / "bin/ruff")
    for arguments in (["check", "."], ["format", "--check", "."]):
        subprocess.run([str(ruff), *arguments], cwd=root, check=True)
    (root / "jobs/daily-numbers/main.py").write_text("import os\n")
    wrong = checked()
    assert wrong.returncode != 0 and "F401" in wrong.stdout


def test_the_doctor_compares_what_is_installed_with_the_projects_lock(tmp_path: Path, wheels: Path) -> None:
    root = tmp_path / "new"
    make(root, wheels)
    here = Checkout(root, tmp_path / "cache")
    assert "herd.lock" in checks._packages(here).state and not checks._packages(here).good
    (root / ".venv").mkdir()
    shutil.copy(root / "herd.lock", root / ".venv")
    assert checks._packages(here).good
    (root / "herd.lock").write_text("other\n")
    assert not checks._packages(here).good
    (root / apply.UNDER_WAY).mkdir(parents=True)
    assert "herd upgrade" in checks._packages(here).advice


def test_the_command_says_what_it_wrote(tmp_path: Path, cli: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "new").mkdir()
    monkeypatch.chdir(tmp_path / "new")
    result = cli("init", "flights")
    assert result.exit_code == 0, result.stderr
    assert {line.removeprefix("+ ") for line in result.stdout.splitlines()} == set(tree(tmp_path / "new"))
    assert "make up" in result.stderr


# --- beside what is there -------------------------------------------------------------------------------------------


NOTEBOOK = {
    "cells": [
        {"cell_type": "markdown", "source": ["# Look at it"]},
        {"cell_type": "code", "source": ["%matplotlib inline\n", "import os\n", "print(os.getcwd())"]},
        {"cell_type": "code", "source": ["%%bash\n", "ls"]},
    ],
    "metadata": {"kernelspec": {"language": "python"}},
}


@pytest.fixture
def foreign(tmp_path: Path) -> Path:
    """Somebody's repository: two scripts (one with a module and data), a notebook, a lock file, a README."""
    root = tmp_path / "theirs"
    for path, text in {
        "README.md": "# Sales\n",
        ".gitignore": "*.log\n",
        "clean_orders.py": "import helpers\nprint(helpers.read('data/orders.csv'))\n",
        "helpers.py": "def read(path):\n    return open(path).read()\n",
        "data/orders.csv": "id\n1\n",
        "scripts/Weekly Report.py": "print('weekly')\n",
        "scripts/old.py": "print 'python 2'\n",
        "tests/test_helpers.py": "def test_it():\n    pass\n",
        "model.R": "print(1)\n",
        "explore.ipynb": json.dumps(NOTEBOOK),
        "requirements.lock": f"six==1.17.0 \\\n    --hash=sha256:{'47' * 32}\n",
        "requirements-old.txt": "pandas\n",
        "uv.lock": "version = 1\n",
    }.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
    return root


def test_beside_what_is_there_it_adds_and_overwrites_nothing(foreign: Path, wheels: Path) -> None:
    (foreign / "Makefile").write_text("all:\n\ttrue\n")
    before = tree(foreign)
    planned = make(foreign, wheels, "sales", foreign)
    after = tree(foreign)
    assert {path: after[path] for path in before} == before
    assert set(after) - set(before) == set(planned.files)
    assert set(planned.kept) == {"README.md", ".gitignore"}
    assert init.SPARE_MAKEFILE in planned.files


def test_it_takes_scripts_a_notebook_and_a_lock_file_and_says_so(foreign: Path, wheels: Path, tmp_path: Path) -> None:
    planned = make(foreign, wheels, "sales", foreign)
    files = tree(foreign)
    assert sorted(line.split(" (")[0] for line in planned.adopted.taken) == [
        "clean_orders.py -> jobs/clean-orders/",
        "explore.ipynb -> jobs/explore/",
        "requirements.lock -> images/python/requirements.lock: what jobs may import",
        "scripts/Weekly Report.py -> jobs/weekly-report/",
    ]
    assert files["jobs/clean-orders/helpers.py"] == files["helpers.py"]
    assert files["jobs/clean-orders/data/orders.csv"] == files["data/orders.csv"]
    assert files["images/python/requirements.lock"] == files["requirements.lock"]
    assert tomllib.loads(files["jobs/weekly-report/workload.toml"].decode()) == {
        "command": ["python", "Weekly Report.py"]
    }
    code = files["jobs/explore/explore.py"].decode()
    assert "\n# %matplotlib inline\nimport os\nprint(os.getcwd())\n" in code and "\n# %%bash\n# ls\n" in code
    left = "\n".join(planned.adopted.left)
    for said in (
        "scripts/old.py: is not Python",
        "model.R: needs an image with R",
        "in place of requirements.lock",
        "without hashes",
    ):
        assert said in left
    checked = check.check_environment(checkout_of(foreign, tmp_path), "dev")
    assert checked.refused == []


def test_what_it_took_runs(foreign: Path, wheels: Path) -> None:
    make(foreign, wheels, "sales", foreign)
    job = foreign / "jobs/clean-orders"
    done = subprocess.run([sys.executable, "clean_orders.py"], cwd=job, capture_output=True, text=True)
    assert done.stdout == "id\n1\n\n"


def test_again_it_adds_what_is_missing(tmp_path: Path, wheels: Path) -> None:
    root = tmp_path / "new"
    make(root, wheels)
    (root / "README.md").unlink()
    (root / "defaults.toml").write_text('owner = "ada@example.com"\n')
    planned = make(root, wheels, None)
    assert (planned.name, sorted(planned.files)) == ("flights", ["README.md"])
    assert (root / "defaults.toml").read_text() == 'owner = "ada@example.com"\n'


# --- what is refused, with nothing written --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "words"),
    [
        pytest.param("Flights", "did you mean 'flights'?", id="capitals"),
        pytest.param("my-flights", "did you mean 'myflights'?", id="hyphen"),
        pytest.param("aws", "cannot be the name of a project", id="AWS keeps it"),
        pytest.param("a", "2 to 12", id="short"),
        pytest.param("flightsfromnewyork", "2 to 12", id="long"),
        pytest.param("", "cannot be the name", id="empty, of a variable that is not set"),
        pytest.param("../x", "cannot be the name", id="a path"),
        pytest.param("flüge", "cannot be the name", id="not ASCII"),
        pytest.param("x\n", "cannot be the name", id="line break"),
    ],
)
def test_a_name_that_cannot_be_is_refused(tmp_path: Path, wheels: Path, name: str, words: str) -> None:
    with pytest.raises(WrongInput, match=re.escape(words)):
        make(tmp_path / "new", wheels, name)
    assert tree(tmp_path) == {}


def test_without_a_name_it_is_the_folders(tmp_path: Path, wheels: Path) -> None:
    assert make(tmp_path / "My Flights", wheels, None).name == "myflights"
    with pytest.raises(WrongInput, match="herd init flights"):
        make(tmp_path / "2027", wheels, None)
    assert tree(tmp_path / "2027") == {}


@pytest.mark.parametrize(
    "path",
    [
        *("Pulumi.yaml", "Pulumi.yml", "Pulumi.json", "defaults.toml", "herd.lock"),
        *("infra/__main__.py", "infra/hardware.py"),
    ],
)
def test_anothers_project_is_refused(tmp_path: Path, wheels: Path, path: str) -> None:
    root = tmp_path / "theirs"
    (root / path).parent.mkdir(parents=True)
    (root / path).write_text("name: theirs\n")
    with pytest.raises(WrongInput, match="is not of a Herd project"):
        make(root, wheels)
    assert tree(root) == {path: b"name: theirs\n"}


def test_a_link_or_a_file_where_a_folder_must_be_is_refused(tmp_path: Path, wheels: Path) -> None:
    root, elsewhere = tmp_path / "new", tmp_path / "elsewhere"
    root.mkdir()
    elsewhere.mkdir()
    (root / "jobs").symlink_to(elsewhere)
    (root / "images").write_text("")
    with pytest.raises(WrongInput) as refused:
        make(root, wheels)
    assert "jobs: must be a folder" in str(refused.value) and "images: must be a folder" in str(refused.value)
    assert tree(elsewhere) == {} and set(tree(root)) == {"images"}


def test_a_folder_without_write_access_is_refused(
    tmp_path: Path, wheels: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "new"
    root.mkdir(mode=0o555)
    if os.geteuid() == 0:  # who may write anywhere, so it is the answer that is another's
        monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(WrongInput, match="may not write"):
        make(root, wheels)
    assert tree(root) == {}


def test_what_fails_half_way_leaves_nothing(tmp_path: Path, wheels: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tmp_path / "new"
    root.mkdir()
    planned = init.plan(root, "flights", None, wheels)
    link, made = os.link, []

    def full(source: Path, target: Path) -> None:
        if len(made) == 10:
            raise OSError(28, "No space left on device", str(target))
        made.append(target)
        link(source, target)

    monkeypatch.setattr(os, "link", full)
    with pytest.raises(WrongInput, match="No space left on device; nothing was written"):
        init.write(planned)
    assert made and list(root.iterdir()) == []


def test_another_name_for_a_project_is_refused(tmp_path: Path, wheels: Path) -> None:
    make(tmp_path / "new", wheels)
    before = tree(tmp_path / "new")
    with pytest.raises(WrongInput, match="is called 'flights'"):
        make(tmp_path / "new", wheels, "other")
    assert tree(tmp_path / "new") == before


def test_a_folder_to_take_from_that_is_missing_is_refused(tmp_path: Path, wheels: Path) -> None:
    with pytest.raises(WrongInput, match="no such folder"):
        make(tmp_path / "new", wheels, "flights", tmp_path / "nothing")
    assert tree(tmp_path) == {}


WORDS = (
    "on",
    "off",
    "no",
    "yes",
    "null",
    "true",
    "false",
    "aws",
    "amzn",
    "internal",
    "sg",
    "xn",
    "sthree",
    "ecs1",
    "e1",
)


@settings(max_examples=80)
@given(name=st.sampled_from(WORDS) | st.from_regex(r"[a-z][a-z0-9]{0,13}", fullmatch=True) | st.text(max_size=20))
def test_a_name_is_refused_or_is_one_for_pulumi_and_aws(name: str, wheels: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        try:
            files = init.plan(root, name, None, wheels).files
        except WrongInput as refused:
            assert "nothing" in str(refused) or "cannot be the name of a project" in str(refused)
            return
        finally:
            assert list(root.iterdir()) == []
        assert yaml.safe_load(files["Pulumi.yaml"])["name"] == name, "YAML reads it as something else"
        assert tomllib.loads(files["pyproject.toml"].decode())["project"]["name"] == name
        (root / "Pulumi.yaml").write_bytes(files["Pulumi.yaml"])
        assert Checkout(root, root).project == name
    # Rules of AWS: S3 "Bucket naming rules", ECS capacity providers, Elastic Load Balancing, EC2 security groups.
    assert re.fullmatch(r"[a-z0-9][a-z0-9-]{1,61}[a-z0-9]", Naming(name, "dev").bucket("123456789012", "reports"))
    assert not re.match(r"(xn--|sthree-|amzn-s3-demo-|aws|ecs|fargate|internal-|sg-)", f"{name}-dev")


@settings(max_examples=25)
@given(data=st.data())
def test_whatever_is_there_is_never_overwritten(data: st.DataObject, wheels: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "theirs"
        root.mkdir()
        paths = sorted(init.plan(root, "flights", None, wheels).files)
        for path in data.draw(st.lists(st.sampled_from(paths), max_size=5, unique=True)):
            if data.draw(st.booleans()):
                path = path.rpartition("/")[0] or path  # a file where a folder must be
            if not any((root / parent).is_file() for parent in Path(path).parents) and not (root / path).exists():
                (root / path).parent.mkdir(parents=True, exist_ok=True)
                (root / path).write_text("theirs")
        before = tree(root)
        try:
            make(root, wheels)
        except WrongInput:
            assert tree(root) == before
        assert tree(root).items() >= before.items()


def test_an_earlier_project_is_completed_by_its_own_release(tmp_path: Path, wheels: Path) -> None:
    make(tmp_path / "new", wheels)
    mark = tmp_path / "new/.herd-project.json"
    mark.write_text(mark.read_text().replace(f'"{VERSION}"', '"0.0.9"'))
    (tmp_path / "new/README.md").unlink()
    with pytest.raises(WrongInput, match="is of release 0.0.9"):
        make(tmp_path / "new", wheels, None)
    assert not (tmp_path / "new/README.md").exists()
