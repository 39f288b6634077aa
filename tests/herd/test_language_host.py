"""The language host under the real engine: a tiny program of each kind that matters."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from herd.targets import pulumi_env
from herd.toolchain import machine, pulumi_cli

ROOT = Path(__file__).parents[2]
OWN_HOST = ROOT / "src/herd" / "language_host" / "pulumi-language-python"


class Project:
    """A Pulumi project in a folder, with a state backend and a PULUMI_HOME of its own."""

    def __init__(self, folder: Path, pulumi: Path) -> None:
        self.folder = folder
        self.pulumi = pulumi
        host = folder / "home" / "plugins" / f"language-python-v{pulumi_cli.VERSION}" / "pulumi-language-python"
        host.parent.mkdir(parents=True)
        # The script finds its interpreter beside itself, so it is started through a line of shell, as herd does.
        host.write_text(f'#!/bin/sh\nexec {shlex.quote(str(OWN_HOST))} "$@"\n')
        host.chmod(0o755)
        (folder / "state").mkdir()
        (folder / "main").mkdir()
        self.settings("main: main/")

    def settings(self, extra: str, options: str = "") -> None:
        (self.folder / "Pulumi.yaml").write_text(f"name: tiny\nruntime:\n  name: python\n{options}{extra}\n")

    def program(self, text: str) -> None:
        (self.folder / "main" / "__main__.py").write_text(text)

    @property
    def environment(self) -> dict[str, str]:
        return {
            **{name: value for name, value in os.environ.items() if not name.startswith("PULUMI")},
            **pulumi_env.QUIET,
            "PULUMI_HOME": str(self.folder / "home"),
            "PULUMI_BACKEND_URL": f"file://{self.folder / 'state'}",
            "PULUMI_CONFIG_PASSPHRASE": "x",
            "PULUMI_OPTION_NON_INTERACTIVE": "true",
            "PULUMI_OPTION_COLOR": "never",
        }

    def run(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [self.pulumi, *arguments], cwd=self.folder, env=self.environment, capture_output=True, text=True
        )
        assert not check or done.returncode == 0, done.stdout + done.stderr
        return done

    def outputs(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.run("stack", "output", "--json", "--show-secrets").stdout)
        return found


@pytest.fixture
def project(tmp_path: Path) -> Project:
    pulumi = pulumi_cli.find(machine.user_cache())
    assert pulumi is not None, "Pulumi is missing: `make test` builds it"
    made = Project(tmp_path, pulumi)
    made.run("stack", "init", "dev")
    return made


def test_a_program_runs_with_its_configuration_and_exports(project: Project) -> None:
    project.program(
        "import sys, pulumi\n"
        "config = pulumi.Config()\n"
        "pulumi.export('name', config.require('name'))\n"
        "pulumi.export('secret', config.require_secret('word'))\n"
        "pulumi.export('who', [pulumi.get_project(), pulumi.get_stack(), pulumi.get_organization()])\n"
        "pulumi.export('path', sys.path[0])\n"
        "print('a line')\n"
    )
    project.run("config", "set", "name", "Ada")
    project.run("config", "set", "--secret", "word", "hush")
    done = project.run("up", "--yes", "--skip-preview")
    assert "a line" in done.stdout
    found = project.outputs()
    assert found["name"] == "Ada"
    assert found["secret"] == "hush"
    assert found["who"] == ["tiny", "dev", "organization"]
    assert found["path"] == str(project.folder / "main")
    assert "hush" not in done.stdout
    assert "1 unchanged" in project.run("up", "--yes", "--skip-preview").stdout
    project.run("destroy", "--yes")


@pytest.mark.parametrize(
    ("program", "shown", "hidden"),
    [
        pytest.param(
            "import pulumi\nraise pulumi.RunError('first line\\nsecond line')", "first line", "Traceback", id="RunError"
        ),
        pytest.param("def f():\n    1 / 0\nf()", "ZeroDivisionError: division by zero", "run_in_stack", id="exception"),
        pytest.param("import sys\nsys.exit(7)", "status 7", "Traceback", id="exit status"),
        pytest.param("import sys\nsys.exit('no good')", "no good", "Traceback", id="exit with words"),
        pytest.param("def f(:\n", "SyntaxError", "run_in_stack", id="syntax error"),
    ],
)
def test_a_program_that_fails_says_why_and_nothing_else(
    project: Project, program: str, shown: str, hidden: str
) -> None:
    project.program(program)
    done = project.run("preview", check=False)
    said = done.stdout + done.stderr
    assert done.returncode != 0
    assert shown in said
    assert hidden not in said


def test_debug_messages_are_for_engines_that_show_them(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    project.program("import pulumi\npulumi.log.debug('a detail')\npulumi.log.info('the news')")
    assert "a detail" in project.run("preview", "--debug").stdout
    monkeypatch.setenv("HERD_WITHOUT_DEBUG", "1")
    said = project.run("preview", "--debug").stdout
    assert "a detail" not in said and "the news" in said


def test_an_output_that_fails_later_is_an_error_too(project: Project) -> None:
    project.program("import pulumi\npulumi.export('x', pulumi.Output.from_input(1).apply(lambda one: one / 0))")
    done = project.run("preview", check=False)
    assert done.returncode != 0
    assert "ZeroDivisionError" in done.stdout + done.stderr


def test_the_interpreter_is_that_of_the_projects_virtual_environment(project: Project) -> None:
    (project.folder / "venv" / "bin").mkdir(parents=True)
    wrapper = project.folder / "venv" / "bin" / "python"
    wrapper.write_text(f'#!/bin/sh\nWRAPPED=yes exec {shlex.quote(sys.executable)} "$@"\n')
    wrapper.chmod(0o755)
    project.settings("main: main/", "  options:\n    virtualenv: venv\n")
    project.program("import os, pulumi\npulumi.export('wrapped', os.environ.get('WRAPPED'))")
    project.run("up", "--yes", "--skip-preview")
    assert project.outputs()["wrapped"] == "yes"


LOADED = """
import sys
sys.path[:0] = [{host!r}, {folder!r}]
import program
sys.meta_path.insert(0, program.Sdks)
"""
MODULE = (
    "# *** WARNING: this file was generated by pulumi-language-python. ***\nEDITION = {edition}\ndef f(x: int): ...\n"
)


def loaded(folder: Path, module: str, **variables: str) -> list[Any]:
    """The edition of a module that a program imports, and the annotation of its function's argument."""
    script = LOADED.format(host=str(OWN_HOST.parent), folder=str(folder))
    script += f"import json, {module} as m; print(json.dumps([m.EDITION, str(m.f.__annotations__['x'])]))"
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**environment, **variables}, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found: list[Any] = json.loads(done.stdout)
    return found


def test_the_annotations_of_a_providers_sdk_stay_text_and_are_compiled_once(tmp_path: Path) -> None:
    file = tmp_path / "pulumi_mine.py"
    file.write_text(MODULE.format(edition=1))
    evaluated = str(int)
    assert loaded(tmp_path, "pulumi_mine", PYTHONDONTWRITEBYTECODE="1") == [1, evaluated], "nothing may be kept"
    assert not list(tmp_path.glob("__pycache__/*"))
    assert loaded(tmp_path, "pulumi_mine") == [1, "int"]
    (kept,) = tmp_path.glob("__pycache__/pulumi_mine.*opt-annotations.pyc")
    made = kept.stat().st_ino
    assert loaded(tmp_path, "pulumi_mine", PYTHONDONTWRITEBYTECODE="1") == [1, "int"]
    assert kept.stat().st_ino == made
    file.write_text(MODULE.format(edition=22))
    assert loaded(tmp_path, "pulumi_mine") == [22, "int"]
    kept.write_bytes(kept.read_bytes()[:40])
    assert loaded(tmp_path, "pulumi_mine") == [22, "int"], "a damaged one is made again"
    assert loaded(tmp_path, "pulumi_mine", PYTHONDONTWRITEBYTECODE="1") == [22, "int"]


@pytest.mark.parametrize(("name", "text"), [("mine", MODULE), ("pulumi_team", MODULE.replace("generated", "written"))])
def test_annotations_of_what_is_no_providers_sdk_are_evaluated(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / f"{name}.py").write_text(text.format(edition=1))
    for _ in range(2):
        assert loaded(tmp_path, name) == [1, str(int)]


def test_pulumi_reads_the_same_types_from_an_sdk_either_way() -> None:
    script = (
        "import pulumi._types as types\n"
        "from pulumi_aws.ecs import _inputs, outputs\n"
        "for module, read in ((_inputs, types.input_type_types), (outputs, types.output_type_types)):\n"
        "    for one in sorted(module.__all__):\n"
        "        if not one.endswith('Dict'):\n"
        "            print(one, read(getattr(module, one)))\n"
    )
    usual, text = (
        subprocess.run([sys.executable, "-c", begin + script], capture_output=True, text=True, check=True).stdout
        for begin in ("", LOADED.format(host=str(OWN_HOST.parent), folder=""))
    )
    assert usual == text and usual.count("\n") > 100


def test_installing_packages_is_left_to_make(project: Project) -> None:
    project.program("")
    assert "make up" in project.run("install").stdout


def test_it_says_what_it_runs(project: Project) -> None:
    project.program("")
    about = project.run("about").stdout
    assert sys.version.split()[0] in about
    assert "pulumi" in about


@pytest.mark.skipif(shutil.which("setsid") is None, reason="needs setsid")
def test_nothing_stays_behind_when_the_engine_is_killed(project: Project) -> None:
    marker = project.folder / "pid"
    project.program(
        f"import os, time\nopen({str(marker)!r}, 'w').write(f'{{os.getpid()}} {{os.getppid()}}')\ntime.sleep(300)\n"
    )
    engine = subprocess.Popen(
        [project.pulumi, "preview"],
        cwd=project.folder,
        env=project.environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    wait_for(lambda: marker.exists() and marker.read_text().count(" ") == 1, "the program to start")
    program, host = map(int, marker.read_text().split())
    engine.send_signal(signal.SIGKILL)
    engine.wait()
    wait_for(lambda: not alive(program) and not alive(host), "the host and the program to end")


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split(") ")[1][0] != "Z"
    except OSError:
        return False


def wait_for(condition: Any, what: str, seconds: float = 90) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited {seconds} s for {what}"
        time.sleep(0.05)
