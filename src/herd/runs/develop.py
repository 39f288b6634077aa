"""`herd test` and `herd image shell`: a workload's own tests, and a shell, in the environment that it runs in."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from herd import console
from herd.checkout import team_files
from herd.errors import HerdError, WrongInput
from herd.runner.contract.task import TaskSettings
from herd.runs import try_local, try_r
from herd.targets.local import LocalTarget

if TYPE_CHECKING:
    from herd.infra.spec.load import AnySpec

TESTS = "tests"
"""The folder of a workload's tests; it is no part of its image."""

TESTTHAT = "tests/testthat"

PYTEST_SETTINGS = ("pytest.ini", ".pytest.ini", "pyproject.toml", "tox.ini", "setup.cfg")
WITHOUT_SETTINGS = ("-c", os.devnull, "--rootdir", ".")
"""Else pytest would take those of the project, whose plugins the workload's packages need not have."""


def test(target: LocalTarget, spec: AnySpec, arguments: Sequence[str], raw: bool) -> int:
    """Run its tests; the exit status is theirs. Raises WrongInput where there are none or what runs them is lacking."""
    folder = target.checkout.root / spec.folder
    if try_r.is_r(target.checkout, spec):
        command = _testthat(target, spec, folder, arguments)
    else:
        command = _pytest(target, spec, folder, arguments)
    offer = team_files.offer(target.checkout, target.name)
    whole = try_local.task(spec, target.name, None, offer)
    # Tests bring what they read: none of the workload's inputs, checks or connections is theirs.
    settings = replace(
        _as_job(whole), command=tuple(command), reads=(), connections=(), checks=(), publish=(), cache=(), fan_out=()
    )
    # Nor are its secrets: a test must not reach what is real.
    alone = spec.model_copy(update={"secrets": {}, "connects": (), "reads": ()})
    return try_local.run(target, alone, {}, None, None, raw, settings)


def _as_job(settings: TaskSettings) -> TaskSettings:
    return replace(settings, kind="job", port=None, health=None, base_path=None, data_bucket=None, mail=None)


def _pytest(target: LocalTarget, spec: AnySpec, folder: Path, arguments: Sequence[str]) -> list[str]:
    there = [*folder.glob("test_*.py"), *folder.glob("*_test.py"), *folder.glob(f"{TESTS}/**/*.py")]
    if not there:
        raise WrongInput(
            f"{spec.folder.as_posix()} has no tests: pytest looks for {TESTS}/test_*.py there, or for "
            "test_*.py beside the code"
        )
    lock = try_local.lock_of(target.checkout, spec)
    if not re.search(r"^pytest\b", lock.read_text("utf-8", "replace"), re.MULTILINE):
        own = any((folder / name).is_file() for name in ("requirements.lock", "uv.lock"))
        place = spec.folder if own else Path("images") / spec.image
        named = "pyproject.toml" if (target.checkout.root / place / "uv.lock").is_file() else "requirements.in"
        raise WrongInput(
            f"the tests of {spec.name} need pytest in {place.as_posix()}/{named}: add it and lock again, so that they "
            f"run with the packages that {spec.name} has"
        )
    # As a module: the working directory, with the workload's own modules, is on the path.
    options = () if any((folder / name).is_file() for name in PYTEST_SETTINGS) else WITHOUT_SETTINGS
    return ["python", "-m", "pytest", "-p", "no:cacheprovider", *options, *arguments]


def _testthat(target: LocalTarget, spec: AnySpec, folder: Path, arguments: Sequence[str]) -> list[str]:
    if not (folder / TESTTHAT).is_dir():
        raise WrongInput(f"{spec.folder.as_posix()} has no tests: testthat looks for {TESTTHAT}/test-*.R there")
    if arguments:
        raise WrongInput(f"testthat takes no arguments: {' '.join(arguments)}")
    lock = target.checkout.root / "images" / spec.image / "renv.lock"
    if not re.search(r'"testthat"\s*:\s*\{', lock.read_text("utf-8", "replace")):
        raise WrongInput(
            f"the tests of {spec.name} need testthat in images/{spec.image}/renv.lock: add it and "
            f"`herd image lock {spec.image}`"
        )
    return ["Rscript", "-e", f"testthat::test_dir('{TESTTHAT}', stop_on_failure = TRUE)"]


SHELLS = ("bash", "sh")


def shell(target: LocalTarget, spec: AnySpec, inputs: Path | None, command: Sequence[str]) -> int:
    """A shell, or `command`, where the workload's command would run: its packages, variables and inputs; the exit
    status is its own. Raises HerdError where an input cannot be had.
    """
    items = list(getattr(spec, "fan_out", ()))
    offer = team_files.offer(target.checkout, target.name)
    bucket = target.deployed.data_bucket if target.deployed else None
    whole = try_local.task(spec, target.name, bucket, offer, try_local.addresses(target, spec))
    prepared_by = replace(_as_job(whole), data_bucket=bucket, command=("env", "-0"), checks=(), publish=(), retries=0)
    prepared = try_local.prepare(target, spec, {}, items[0] if items else None, inputs, prepared_by, as_deployed=True)
    # The runner makes the working copy, fetches the inputs and shows the variables: through a pipe, as some are secret.
    with console.step(f"preparing {spec.name}", quiet=True):
        done = subprocess.run(
            prepared.command,
            env=prepared.environment,
            cwd=prepared.folder,
            capture_output=True,
            stdin=subprocess.DEVNULL,
        )
    if done.returncode:
        raise HerdError(done.stderr.decode("utf-8", "replace").strip())
    pairs = (entry.partition("=") for entry in done.stdout.decode("utf-8", "surrogateescape").split("\0") if entry)
    environment = {name: value for name, _, value in pairs}
    environment |= {"TERM": os.environ.get("TERM", "dumb"), "PS1": f"({spec.name}) \\w \\$ "}
    program, environment = _program(prepared, environment, list(command))
    console.note(
        f"in {prepared.folder.relative_to(target.checkout.root).as_posix()}, a copy of {spec.folder.as_posix()}"
    )
    try:
        return try_local.wait(subprocess.Popen(program, env=environment, cwd=prepared.folder))
    except FileNotFoundError:
        raise WrongInput(f"{program[0]!r} is not there: PATH is {environment['PATH']}") from None


def _program(
    prepared: try_local.Prepared, environment: dict[str, str], command: list[str]
) -> tuple[list[str], dict[str, str]]:
    """What is started, and its variables: on this machine, or in the container that the workload runs in."""
    program = command or [_shell(environment["PATH"]) if prepared.container is None else "bash"]
    if not command and program[0].endswith("bash"):
        program.append("--norc")
    if prepared.container is None:
        return program, environment
    return in_container(prepared.container, environment, prepared.folder, program, tty=os.isatty(0))


def in_container(
    container: try_r.InContainer, environment: dict[str, str], folder: Path, program: list[str], *, tty: bool
) -> tuple[list[str], dict[str, str]]:
    """`program` in place of the image's entry point, in the workload's working copy."""
    (*docker, image), of_client = container.around(environment, [folder])
    options = ["--interactive", *(["--tty"] if tty else []), "--workdir", str(folder), "--entrypoint", program[0]]
    return [*docker, *options, image, *program[1:]], of_client


def _shell(path: str) -> str:
    for name in SHELLS:
        if program := shutil.which(name, path=path):
            return program
    raise HerdError(f"there is no shell: PATH is {path}")
