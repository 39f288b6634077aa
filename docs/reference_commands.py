"""docs/reference/commands.md: every command of `herd` with its arguments and options, from the command line itself."""

import re
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import Any

import typer

from herd.commands.cli import app

PAGE = Path(__file__).parent / "reference" / "commands.md"

HEAD = """\
<!-- Written by docs/generate.py from the code. Do not edit. -->
# Commands

`herd` lies in `.venv/bin/` after the first `make up`. `herd COMMAND --help` shows the same as this page.

- Commands act on the local environment `dev`; `-e NAME` takes another one of this checkout, `--stack NAME` one on AWS.
  With `--stack`, account, region and stack are shown, and confirmed before something changes.
- Exit status: 0 success, 1 failure, 2 wrong input. `herd try` ends with the workload's own.
- Results go to standard output, progress and notes to standard error.
"""


def page() -> str:
    group: Any = typer.main.get_command(app)
    lines = [HEAD, "| command | |", "| --- | --- |"]
    lines += [
        f"| [`herd {name}`](#herd-{name.replace(' ', '-')}) | {first(command.help)} |"
        for name, command in each_command(group)
    ]
    for name, command in each_command(group):
        lines += ["", f"## herd {name}", "", *description(command.help), "", "```", usage(name, command), "```"]
        rows = [(signature(each), meaning(each)) for each in command.params]
        if rows:
            lines += ["", "| | |", "| --- | --- |", *(f"| `{cell(left)}` | {cell(right)} |" for left, right in rows)]
    return "\n".join(lines) + "\n"


def each_command(group: Any) -> Iterator[tuple[str, Any]]:
    """Every command by its whole name; of a group those in it: `secret set`."""
    for name, command in group.commands.items():
        below = getattr(command, "commands", None)
        yield from ((f"{name} {inner}", it) for inner, it in below.items()) if below else [(name, command)]


def first(text: str) -> str:
    """The first paragraph, in one line."""
    return plain(" ".join(text.split("\n\n")[0].split()))


def description(text: str) -> list[str]:
    """A command's help as Markdown: paragraphs stay, examples (lines that are dim) become a block of code."""
    lines: list[str] = []
    for paragraph in text.split("\n\n"):
        is_code = all("[dim]" in line for line in paragraph.splitlines())
        body = [plain(line) for line in paragraph.splitlines()]
        lines += ["", "```", *body, "```"] if is_code else ["", *body]
    return lines[1:]


def plain(text: str) -> str:
    """Without the command line's own markup: `[dim]x[/dim]` -> `x`, `\\[params]` -> `[params]`."""
    return re.sub(r"(?<!\\)\[/?(dim|b)\]", "", text).replace("\\[", "[")


def cell(text: str) -> str:
    return text.replace("|", "\\|")


def usage(name: str, command: Any) -> str:
    words = [signature(each) for each in command.params if each.param_type_name == "argument"]
    options = any(each.param_type_name == "option" for each in command.params)
    return " ".join(["herd", name, *words, *(["[OPTIONS]"] if options else [])])


def signature(parameter: Any) -> str:
    """`NAME`, `job|report|api`, `--follow, -f`, `--lines, -n NUMBER`."""
    kind = parameter.type_descriptor.annotation
    is_choice = isinstance(kind, type) and issubclass(kind, Enum)
    value = parameter.metavar or ("|".join(each.value for each in kind) if is_choice else "")
    if parameter.param_type_name == "argument":
        return str(value or parameter.name.upper())
    names = ", ".join(parameter.opts)
    return names if parameter.is_flag else f"{names} {value or ('NUMBER' if kind is int else parameter.name.upper())}"


def meaning(parameter: Any) -> str:
    text = plain(parameter.help or "")
    default = parameter.show_default if isinstance(parameter.show_default, str) else parameter.default
    if parameter.param_type_name == "argument" or default in (None, False):
        return text
    return f"{text.rstrip('.')}; default {default}."
