"""The command line as a person meets it: help, exit statuses, wrong input, and nothing that is not asked for."""

from __future__ import annotations

import json
import os
import re
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from herd.commands.deploy import next_steps
from tests.docs.test_docs_commands import parse

COMMANDS = [
    "up",
    "preview",
    "status",
    "down",
    "stop",
    "new",
    "try",
    "run",
    "cancel",
    "logs",
    "outputs",
    "open",
    "explain",
    "env",
    "doctor",
]


def test_help_names_every_command(cli: Any) -> None:
    result = cli("--help")
    assert result.exit_code == 0
    for command in COMMANDS:
        assert f" {command} " in result.stdout


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(cli: Any, command: str) -> None:
    result = cli(command, "--help")
    assert result.exit_code == 0
    assert "Usage: herd" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        pytest.param(["frobnicate"], 2, "No such command", id="no such command"),
        pytest.param(["run"], 2, "Missing argument", id="missing argument"),
        pytest.param(["up", "--bogus"], 2, "No such option", id="no such option"),
        pytest.param(["up", "-e", "Dev"], 2, "cannot be an environment's name", id="name of an environment"),
        pytest.param(["up", "-e", "dev", "--stack", "prod"], 2, "give one of them", id="both targets"),
        pytest.param(["explain", "helo"], 2, "no workload 'helo'; did you mean 'hello'?", id="misspelt workload"),
        pytest.param(["try", "nothing-like-it"], 2, "there are: hello", id="unknown workload"),
        pytest.param(["run", "hello"], 1, "is not up; `herd up` makes it", id="nothing deployed"),
        pytest.param(["status"], 1, "is not up; `herd up` makes it", id="status of nothing"),
        pytest.param(["try", "hello", "--item", "x"], 2, "no item in fan_out of hello 'x'", id="item of no fan-out"),
        pytest.param(["try", "hello", "--param", "mont=3"], 2, "did you mean 'month'?", id="misspelt parameter"),
        pytest.param(["new", "job", "Bad_Name"], 2, "cannot be a name", id="name of a workload"),
        pytest.param(["new", "dashboard", "x1"], 2, "is not one of", id="kind of workload"),
        pytest.param(["new", "job", "hello"], 2, "is already there", id="taken name"),
    ],
)
def test_wrong_input_has_its_exit_status_and_says_why(
    cli: Any, arguments: list[str], status: int, message: str
) -> None:
    result = cli(*arguments)
    said = " ".join((result.stdout + result.stderr).replace("│", " ").split())
    assert result.exit_code == status, said
    assert message in said
    assert "Traceback" not in said


def test_every_problem_of_every_file_is_named_before_anything_is_touched(cli: Any, root: Path) -> None:
    (root / "jobs/hello/workload.toml").write_text('scheduel = "@daily"\ncpu = 3\n')
    other = root / "jobs/other"
    other.mkdir()
    (other / "workload.toml").write_text('image = "pithon"\n')
    (other / "main.py").write_text("")
    for command in (["up"], ["preview"], ["try", "hello"], ["explain", "hello"]):
        result = cli(*command)
        assert result.exit_code == 2
        lines = result.stderr.splitlines()
        assert "jobs/hello/workload.toml: unknown setting 'scheduel'; did you mean 'schedule'?" in lines
        assert any(line.startswith("jobs/hello/workload.toml: cpu = 3") for line in lines)
        # Who asks about one workload alone is not told of the unfinished folders of others.
        others = [line for line in lines if line.startswith("jobs/other/workload.toml: ")]
        assert any("pithon" in line for line in others) == (len(command) == 1)
    assert not (root / ".herd" / "cloud").exists()


def test_explain_shows_values_and_where_they_come_from(cli: Any) -> None:
    result = cli("explain", "hello")
    assert result.exit_code == 0
    lines = {line.split()[0]: line for line in result.stdout.splitlines()}
    assert lines["schedule"].rstrip().endswith("jobs/hello/workload.toml")
    assert lines["owner"].rstrip().endswith("defaults.toml")
    assert lines["params.month"].split()[1] == "2"


@pytest.mark.parametrize("kind", ["job", "report", "api", "app"])
def test_a_new_workload_is_valid_at_once(cli: Any, root: Path, kind: str) -> None:
    result = cli("new", kind, "fresh-one")
    assert result.exit_code == 0, result.stderr
    assert cli("explain", "fresh-one").exit_code == 0
    folder = {"job": "jobs", "report": "reports", "api": "apis", "app": "apps"}[kind]
    text = "".join(file.read_text() for file in (root / folder / "fresh-one").iterdir())
    assert "fresh-one" in text
    # What is only shown in a comment must exist too: uncommented, nothing is unknown.
    settings = root / folder / "fresh-one" / "workload.toml"
    settings.write_text(re.sub(r"^# (\[?\w+\]?\s*(=|$))", r"\1", settings.read_text(), flags=re.MULTILINE))
    assert "unknown setting" not in cli("explain", "fresh-one").stderr


def test_stop_without_a_local_cloud_says_so(cli: Any) -> None:
    result = cli("stop")
    assert (result.exit_code, result.stdout) == (0, "the local cloud was not running\n")


def test_doctor_names_what_is_wrong_and_what_to_do(cli: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "nothing built"))
    result = cli("doctor")
    assert result.exit_code == 1
    assert "Pulumi" in result.stderr and "https://www.pulumi.com/docs/install/" in result.stderr
    assert "uv: `make up` installs it" in result.stderr


def test_piped_output_has_no_colour_codes(root: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "herd", "explain", "hello"],
        capture_output=True,
        cwd=root.parent,
        env={**os.environ, "HERD_CHECKOUT": str(root), "XDG_CACHE_HOME": str(tmp_path)},
        check=True,
    )
    assert b"\x1b" not in done.stdout + done.stderr


def test_wrong_settings_are_told_in_a_second(root: Path) -> None:
    (root / "jobs/hello/workload.toml").write_text("cpu = 3\n")
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [sys.executable, "-m", "herd", "up"],
        capture_output=True,
        text=True,
        env={**os.environ, "HERD_CHECKOUT": str(root)},
    )
    assert done.returncode == 2
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    # Processor time, not time by the clock: other tests run beside this one.
    assert used.ru_utime + used.ru_stime - before.ru_utime - before.ru_stime < 1.5


def test_start_up_does_not_import_what_is_slow() -> None:
    script = "import json, sys; import herd.commands.cli; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    loaded = {name.split(".")[0] for name in json.loads(done.stdout)}
    assert not loaded & {"boto3", "botocore", "pulumi", "pulumi_aws", "grpc", "pydantic", "moto", "yaml", "localcloud"}


@pytest.mark.parametrize(
    ("environment", "stack", "option"),
    [(None, None, ""), ("pr-17", None, " -e pr-17"), (None, "prod", " --stack prod")],
)
def test_up_ends_with_commands_for_that_environment(environment: str | None, stack: str | None, option: str) -> None:
    lines = " ".join(next_steps(environment, stack))
    named = re.findall(r"`herd (.*?)`", lines)
    assert named == [f"status{option}", f"try NAME{'' if stack else option}", f"down{option}"]
    for command in named:
        parse(f"herd {command}")


def test_a_command_ends_without_a_look_for_garbage() -> None:
    """What is frozen is not looked through: with all modules that is a quarter of a short command's time."""
    script = (
        "import atexit, gc, sys\n"
        "atexit.register(lambda: print('frozen', gc.get_freeze_count() > 1000))\n"
        "from herd.__main__ import main\n"
        "sys.exit(main())\n"
    )
    for argument, status in (("--help", 0), ("nonsense", 2)):
        done = subprocess.run([sys.executable, "-c", script, argument], capture_output=True, text=True)
        assert done.returncode == status and done.stdout.endswith("frozen True\n"), done
