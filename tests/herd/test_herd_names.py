"""Names and the checkout: what is empty or cannot be one is refused, and only what one stands in is acted on."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st

from herd.checkout import names
from herd.checkout.find import find_checkout
from herd.commands.cli import app
from herd.errors import WrongInput

ROOT = Path(__file__).parents[2]

FREE = {
    "--param",
    "--lines",
    "--format",
    "--language",
    "--workflows",
    "--engine",
    "kind",
    "number",
    "command",
    "arguments",
}
"""Options whose values are no names: texts with a form of their own, numbers, one of a few words."""

STANDS_IN = {
    "N": "1",
    "NAME": "hello",
    "RUN": "r1",
    "ONE": "dev",
    "OTHER": "staging",
    "FROM": "dev",
    "TO": "staging",
    "JOB|REPORT|API|APP": "job",
    "-- COMMAND": "true",
    "-- ARGUMENTS": "tests",
}
"""A good value for an argument that is not looked at."""


def commands(group: Any = None, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    group = group or typer.main.get_command(app)
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, (*path, name))
        else:
            yield (*path, name), command


def named() -> Iterator[Any]:
    """Each argument and option of each command that takes a name, a path or a text."""
    for path, command in commands():
        for parameter in command.params:
            is_flag = getattr(parameter, "is_flag", False)
            if is_flag or parameter.opts[0] in FREE:
                continue
            yield pytest.param(path, command, parameter, id=f"{' '.join(path)} {parameter.opts[0]}")


def line(path: tuple[str, ...], command: Any, parameter: Any, value: str) -> list[str]:
    """The command with `value` where `parameter` goes."""
    found = list(path)
    for other in command.params:
        if other.param_type_name == "argument":
            found.append(
                value if other is parameter else STANDS_IN[str(other.metavar or other.name).upper().strip("[]")]
            )
        elif other.required and other is not parameter:
            found += [other.opts[0], "."]
    return found if parameter.param_type_name == "argument" else [*found, parameter.opts[0], value]


@pytest.mark.parametrize(("path", "command", "parameter"), list(named()))
@pytest.mark.parametrize("value", ["", " ", "\n"], ids=["empty", "blank", "line break"])
def test_no_command_takes_an_empty_name(
    cli: Any, root: Path, path: tuple[str, ...], command: Any, parameter: Any, value: str
) -> None:
    before = sorted(root.rglob("*"))
    done = cli(*line(path, command, parameter, value))
    assert done.exit_code == 2, done.stderr
    assert "cannot be" in done.stderr and done.stderr.count("\n") == 1
    assert sorted(root.rglob("*")) == before


@pytest.mark.parametrize(
    ("check", "good", "bad"),
    [
        (names.environment, ["dev", "prod", "pr-17"], ["..", ".", "dev\n", "dev ", "PROD", "pr_17", "-e", "a/b", "*"]),
        (names.stack, ["prod", "acme/prod", "acme/herd/prod"], ["/prod", "a//prod", "../prod", "prod/", "a/b/c/dev"]),
        (names.workload, ["hello", "a1", "clean-orders"], ["..", "a", "Hello", "a/b", "hello\n", "héllo", "--"]),
        (
            names.run,
            ["r1", "20270131T060000-manual-4f2a", "0a-b_c.d"],
            ["..", ".hidden", "a/b", "a b", "a\n", "r" * 81],
        ),
        (names.secret, ["weather-key", "a1"], ["..", "A", "key\n", "a/b", "hunter2!"]),
    ],
    ids=["environment", "stack", "workload", "run", "secret"],
)
def test_what_can_be_a_name(check: Any, good: list[str], bad: list[str]) -> None:
    assert [check(name) for name in good] == good
    for name in bad:
        with pytest.raises(WrongInput, match="cannot be"):
            check(name)


@given(st.text(max_size=12))
def test_a_name_that_is_taken_is_safe_in_a_path_and_on_a_terminal(text: str) -> None:
    for check in (names.environment, names.workload, names.run, names.secret):
        try:
            check(text)
        except WrongInput:
            continue
        assert text.isascii() and text.isprintable() and " " not in text
        assert Path("base", text).resolve().parent == Path("base").resolve()


def test_a_slip_in_a_workloads_name_is_answered_with_the_name() -> None:
    with pytest.raises(WrongInput, match="did you mean 'clean-orders'"):
        names.workload("Clean_Orders")


# ── the checkout ────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def stand(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.delenv("HERD_CHECKOUT", raising=False)

    def go(folder: Path) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        monkeypatch.chdir(folder)
        return find_checkout().root

    return go


@pytest.mark.parametrize("below", [".", "jobs", "infra/workloads", "bootstrap", ".herd/cloud"])
def test_the_checkout_is_found_from_any_of_its_folders(stand: Any, below: str) -> None:
    if (ROOT / below).is_dir():
        assert stand(ROOT / below) == ROOT


def test_in_another_checkout_both_are_named_and_what_to_type(stand: Any, root: Path) -> None:
    with pytest.raises(WrongInput) as refused:
        stand(root / "jobs" / "hello")
    assert str(refused.value) == (
        f"you stand in the checkout {root}, and this Herd belongs to another, {ROOT}: "
        f"`make tools` in {root} makes its own, {root}/.venv/bin/herd"
    )
    (root / ".venv/bin").mkdir(parents=True)
    (root / ".venv/bin/herd").touch()
    with pytest.raises(WrongInput, match=f"type {root}/.venv/bin/herd"):
        stand(root)


def test_outside_of_any_checkout_nothing_is_acted_on(stand: Any, tmp_path: Path) -> None:
    other = tmp_path / "another-pulumi-project"
    other.mkdir()
    (other / "Pulumi.yaml").write_text("name: other\nruntime: python\n")
    for folder in (tmp_path, other):
        with pytest.raises(
            WrongInput, match=f"lies in no Herd project.*HERD_CHECKOUT={re.escape(shlex.quote(str(ROOT)))} acts on it"
        ):
            stand(folder)


def test_a_folder_that_is_gone_is_said(stand: Any, tmp_path: Path) -> None:
    def gone() -> Path:
        raise FileNotFoundError

    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("HERD_CHECKOUT", raising=False)
        patch.setattr(Path, "cwd", gone)
        with pytest.raises(WrongInput, match="is gone"):
            find_checkout()


@pytest.mark.parametrize("value", ["", " ", "/nonexistent", "."])
def test_the_variable_names_a_project_or_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, value: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HERD_CHECKOUT", value)
    with pytest.raises(WrongInput, match="is not the folder of a Herd project"):
        find_checkout()


def test_a_process_in_another_checkout_writes_nothing_and_says_so(root: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("HERD_")}
    for command in (["down", "--yes"], ["new", "job", "foo-bar"], ["stop"], ["status"], ["up"], ["doctor"]):
        done = subprocess.run(
            [str(Path(sys.executable).parent / "herd"), *command],
            cwd=root,
            env=environment,
            capture_output=True,
            text=True,
        )
        assert (done.returncode, done.stdout) == (2, ""), done.stderr
        assert str(root) in done.stderr and str(ROOT) in done.stderr
    assert not (root / ".herd").exists() and not (ROOT / "jobs/foo-bar").exists()


def test_where_something_is_written_the_checkout_is_shown(cli: Any, root: Path) -> None:
    assert str(root) in cli("new", "job", "foo-bar").stderr
    assert (root / "jobs/foo-bar").is_dir()
    # Without a local cloud it has nothing to remove, and says so of this checkout.
    assert str(root) in cli("down").stderr


SCRIPTS = ROOT / ".github" / "scripts"


@pytest.mark.parametrize(
    "command",
    [
        pytest.param(["deploy", "", "--stack", "dev"], id="deploy from nowhere"),
        pytest.param(["deploy"], id="deploy alone"),
        pytest.param(["deploy", "reviewed", "--stack", ""], id="deploy what"),
        pytest.param(["preview", "", "--stack", "dev"], id="preview to nowhere"),
        pytest.param(["preview", "previewed", "--stack", ""], id="preview of what"),
        pytest.param(["destroy", "", "--stack", "dev"], id="destroy unconfirmed"),
        pytest.param(["destroy", "dev", "--stack", ""], id="destroy what"),
        pytest.param(["destroy", "dev", "-e", ""], id="destroy a local one"),
        pytest.param(["destroy", " ", "--stack", "dev"], id="destroy a blank"),
        pytest.param(["comment.py", "", "file"], id="comment nowhere"),
        pytest.param(["comment.py", "17", "previews/*/comment.md"], id="comment nothing"),
    ],
)
def test_a_workflows_script_refuses_an_empty_variable(tmp_path: Path, root: Path, command: list[str]) -> None:
    shutil.copytree(SCRIPTS, root / ".github/scripts")
    (root / ".venv").symlink_to(ROOT / ".venv")
    script, *arguments = command
    prefix = [sys.executable] if script.endswith(".py") else []
    done = subprocess.run(
        [*prefix, str(root / ".github/scripts" / script), *arguments],
        cwd=root,
        env={**os.environ, "HERD_CHECKOUT": str(root), "GITHUB_TOKEN": "x", "GITHUB_REPOSITORY": "a/b"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr and len(done.stderr.splitlines()) == 1
