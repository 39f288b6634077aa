"""`herd test` and `herd image shell`: in the environment that a workload runs in."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from herd.checkout import scaffold
from herd.checkout.find import Checkout
from herd.runs import develop, try_r
from tests.herd.command_line import invoke

MAIN = "def rounded(value):\n    return round(value, 1)\n"
GOOD = """
import os, sys
from pathlib import Path

import main


def test_rounded():
    assert main.rounded(1.26) == 1.3
    assert Path("tests/expected.csv").exists()


def test_where():
    assert os.environ["HERD_WORKLOAD"] == "totals" and "API_KEY" not in os.environ
    assert "pandas" not in sys.modules and sys.prefix != sys.base_prefix
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with one job that has tests, and a lock file with pytest."""
    root = tmp_path / "project"
    for name in ("infra", "jobs/totals/tests", "images/python"):
        (root / name).mkdir(parents=True)
    (root / ".venv").symlink_to(sys.prefix)
    (root / "Pulumi.yaml").write_text("name: flights\nruntime: python\nmain: infra\n")
    (root / "infra/__main__.py").write_text("")
    (root / "Pulumi.dev.yaml").write_text("config: {}\n")
    (root / "defaults.toml").write_text('owner = "data@example.com"\nreview_by = 2099-06-30\n')
    (root / "images/python/Dockerfile").write_text("FROM scratch\n")
    (root / "images/python/requirements.lock").write_text("")
    job = root / "jobs/totals"
    (job / "workload.toml").write_text('[secrets]\nAPI_KEY = "key"\n[params]\nmonth = 2\n')
    (job / "main.py").write_text(MAIN)
    (job / "tests/test_main.py").write_text(GOOD)
    (job / "tests/expected.csv").write_text("a\n")
    shutil.copy(Path(__file__).parent / "pytest.lock", job / "requirements.lock")
    monkeypatch.chdir(root)
    monkeypatch.setenv("HERD_CHECKOUT", str(root))
    return root


def test_the_tests_of_a_workload_run_with_its_packages(project: Path, capfd: pytest.CaptureFixture[str]) -> None:
    result = invoke("test", "totals")
    assert result.exit_code == 0, result.output + capfd.readouterr().out
    assert "2 passed" in result.output + capfd.readouterr().out


def test_only_the_folders_that_uses_names_are_there(project: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """As in the image: else what works here would fail where it is deployed."""
    for name in ("shared", "others"):
        (project / "lib" / name).mkdir(parents=True)
        (project / "lib" / name / "__init__.py").write_text("")
    job = project / "jobs/totals"
    (job / "workload.toml").write_text('uses = ["shared"]\n')
    (job / "main.py").write_text("import shared\nprint('shared is there')\nimport others\n")
    result = invoke("try", "totals")
    seen = result.output + "".join(capfd.readouterr())
    assert result.exit_code == 1 and "shared is there" in seen and "No module named 'others'" in seen, seen
    (job / "workload.toml").write_text('uses = ["others", "shared"]\n')
    result = invoke("try", "totals")
    assert result.exit_code == 0, result.output + "".join(capfd.readouterr())


def test_the_projects_own_settings_of_pytest_are_not_the_workloads(
    project: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (project / "pyproject.toml").write_text('[tool.pytest.ini_options]\naddopts = "--of-a-plugin"\n')
    result = invoke("test", "totals")
    assert result.exit_code == 0, result.output + capfd.readouterr().out
    (project / "jobs/totals/pytest.ini").write_text("[pytest]\naddopts = --of-a-plugin\n")
    assert invoke("test", "totals").exit_code != 0, "its own are"


def test_the_exit_status_of_tests_is_the_commands(project: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (project / "jobs/totals/main.py").write_text("def rounded(value):\n    return 0\n")
    result = invoke("test", "totals", "--", "-k", "rounded")
    assert result.exit_code == 1 and "1 failed, 1 deselected" in result.output + capfd.readouterr().out
    assert invoke("test", "totals", "--", "-k", "nothing-has-this-name").exit_code == 5, "as pytest says it"


def test_what_tests_lack_is_said(project: Path) -> None:
    (project / "jobs/totals/requirements.lock").unlink()
    result = invoke("test", "totals")
    assert result.exit_code == 2
    assert "the tests of totals need pytest in images/python/requirements.in: add it and lock" in _flat(result.output)
    shutil.rmtree(project / "jobs/totals/tests")
    assert "jobs/totals has no tests: pytest looks for tests/test_*.py" in _flat(invoke("test", "totals").output)


def test_a_trial_has_no_tests_as_an_image_has_none(project: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (project / "jobs/totals/workload.toml").write_text('command = "ls"\n')
    result = invoke("try", "totals")
    shown = result.output + capfd.readouterr().out
    assert result.exit_code == 0 and "main.py" in shown and "tests\n" not in shown


def test_a_shell_is_where_the_workload_runs(project: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (project / "jobs/totals/workload.toml").write_text('reads = ["totals"]\n[params]\nmonth = 2\n[env]\nA = "b c"\n')
    (project / "store/totals").mkdir(parents=True)
    (project / "store/totals/data.csv").write_text("of the last run\n")
    script = "cat inputs/totals/data.csv; echo $HERD_PARAM_MONTH $A; python -c 'import pytest as p; print(p.__name__)'"
    script += "; exit 7"
    result = invoke("image", "shell", "totals", "--inputs", "store", "--", "sh", "-c", script)
    shown = capfd.readouterr().out
    assert result.exit_code == 7, result.output
    assert shown == "of the last run\n2 b c\npytest\n"
    assert "HERD_TASK" not in shown


def test_a_program_that_is_not_there(project: Path) -> None:
    (project / "jobs/totals/workload.toml").write_text("")
    result = invoke("image", "shell", "totals", "--", "no-such-program")
    assert result.exit_code == 2 and "'no-such-program' is not there" in _flat(result.output)


def test_tests_of_r_are_testthats(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tmp_path / "project"
    root.mkdir()
    (root / ".venv").symlink_to(sys.prefix)
    (root / "Pulumi.yaml").write_text("name: flights\n")
    (root / "defaults.toml").write_text('owner = "data@example.com"\nreview_by = 2099-06-30\n')
    scaffold.create(Checkout(root, tmp_path / "cache"), "job", "totals", "r")
    monkeypatch.setenv("HERD_CHECKOUT", str(root))
    assert "testthat looks for tests/testthat/test-*.R there" in _flat(invoke("test", "totals").output)
    (root / "jobs/totals/tests/testthat").mkdir(parents=True)
    result = invoke("test", "totals")
    assert result.exit_code == 2 and "the tests of totals need testthat in images/r/renv.lock" in _flat(result.output)


def test_a_shell_in_the_container_that_a_workload_runs_in(tmp_path: Path) -> None:
    image = try_r.InContainer("/usr/bin/docker", "herd-try/flights-totals", tmp_path)
    variables = {"KEY": "secret", "PATH": "/opt/r/bin:/bin"}
    command, of_client = develop.in_container(image, variables, tmp_path / "copy", ["bash", "--norc"], tty=True)
    assert command[-2:] == ["herd-try/flights-totals", "--norc"]
    assert command[-8:-2] == ["--interactive", "--tty", "--workdir", str(tmp_path / "copy"), "--entrypoint", "bash"]
    assert not any("secret" in part for part in command) and of_client["KEY"] == "secret"


def _flat(text: str) -> str:
    return " ".join(text.split())
