"""Every command line in the pages can be typed: the command exists, and so do its options."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer

from herd.commands.cli import app
from tests.docs.markdown import PAGES, ROOT, inline_code, name_of, shell_lines

GROUP: Any = typer.main.get_command(app)

FOR_READERS = ("COMMAND", "…")
"""Stand for something else in a text; such a line is not for typing."""


def herd_lines(page: Path) -> list[str]:
    """`herd …` at the start of a line, in `$(…)`, or in the text."""
    shell = [part for line in shell_lines(page) for part in (line, *re.findall(r"\$\(([^)]*)\)", line))]
    text = [code for code in inline_code(page) if not is_name(code)]
    found = [line for line in (*shell, *text) if line.startswith(("herd ", ".venv/bin/herd "))]
    return [line for line in found if not any(word in line for word in FOR_READERS)]


def parse(line: str) -> None:
    """As the command line itself would, up to where it would act; with a name where a page says NAME."""
    arguments = ["dev" if word == "NAME" else word for word in shlex.split(line.split(" | ")[0])[1:]]
    context = GROUP.make_context("herd", list(arguments))
    name, command, rest = GROUP.resolve_command(context, list(arguments))
    alone = getattr(command, "invoke_without_command", False) and not (rest and not rest[0].startswith("-"))
    if hasattr(command, "commands") and not alone:
        name, command, rest = command.resolve_command(context, rest)
    command.make_context(name, rest, parent=context)


def is_name(line: str) -> bool:
    """`herd run`, which speaks of the command."""
    first, *more = line.split()[1:] or [""]
    command = GROUP.commands.get(first)
    return command is not None and (not more or (len(more) == 1 and more[0] in getattr(command, "commands", ())))


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_commands_can_be_typed(page: Path) -> None:
    wrong = []
    for line in herd_lines(page):
        try:
            parse(line)
        except typer.Exit:
            pass  # `--version`, `--help`: they say something and end
        except Exception as error:
            wrong.append(f"{line}: {error}")
    assert not wrong


WRONG = ["herd upp", "herd up --fast", "herd logs", "herd new task x", "herd logs x --lines y"]


@pytest.mark.parametrize("line", WRONG)
def test_a_wrong_command_would_be_found(line: str) -> None:
    with pytest.raises(Exception):  # noqa: B017 - the kinds of errors are the library's own
        parse(line)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_make_knows_the_targets(page: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    lines = [*shell_lines(page), *inline_code(page)]
    named = {match[1] for line in lines if (match := re.match(r"(?:\w+=\S+ )*make ([a-z-]+)", line))}
    assert named <= targets


def test_the_guide_lists_every_command() -> None:
    listed = re.findall(r"^\| `herd (\w+)", (ROOT / "docs/guide/commands.md").read_text(), re.MULTILINE)
    assert listed == list(GROUP.commands)
