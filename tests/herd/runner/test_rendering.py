"""Reports that are documents: what their pages show, and what is said when one cannot be made."""

from __future__ import annotations

import json
import os
import re
import signal
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import psutil
import pytest

from herd.runner.contract.renderers import RENDERERS, pages_of, render_problems
from herd.runner.rendering import COMMANDS, declared, front_matter
from tests.image_packages import environment_of

Make = Callable[..., Any]


@pytest.fixture(scope="session")
def packages() -> Path:
    """What notebooks need, as an image's lock file would bring it."""
    return environment_of(Path(__file__).parent / "renderers" / "requirements.lock")


def notebook(*cells: str | tuple[str, str], kernel: str = "python3") -> str:
    """A notebook as Jupyter writes it; a cell that begins with # and a space is text; (tag, text) has a tag."""
    made = []
    for number, cell in enumerate(cells):
        tag, text = cell if isinstance(cell, tuple) else (None, cell)
        common = {"id": f"c{number}", "metadata": {"tags": [tag]} if tag else {}, "source": text}
        if text.startswith("# "):
            made.append({"cell_type": "markdown", **common})
        else:
            made.append({"cell_type": "code", "execution_count": None, "outputs": [], **common})
    spec = {"name": kernel, "display_name": kernel, "language": "python"}
    return json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": {"kernelspec": spec}, "cells": made})


@pytest.fixture
def report(make: Make, packages: Path) -> Callable[..., Any]:
    def create(files: Mapping[str, str], *documents: str, **settings: Any) -> Any:
        made = make("page", "", files, kind="report", command=["herd-render", *(documents or files)], **settings)
        made.environ["PATH"] = f"{packages / 'bin'}:{made.environ['PATH']}"
        return made

    return create


def page(made: Any, name: str = "index.html") -> str:
    return str(made.read(f"page/versions/r1/{name}"))


def test_a_notebook_is_run_and_becomes_one_page_that_stands_alone(report: Callable[..., Any]) -> None:
    made = report(
        {
            "sales.ipynb": notebook(
                "# Sales of a month",
                ("parameters", "month = 1"),
                "import pathlib; print(f'month {month} of {type(month).__name__}')",
                "pathlib.Path('outputs/table.csv').write_text('a\\n1\\n')",
                ("remove-input", "secret_word = 1; print('only what it prints')"),
                kernel="conda-env-of-mine",
            )
        },
        params={"month": 2, "dry": True},
    )
    run = made.run("r1", HERD_PARAMS='{"month": 7}')
    assert run.status == 0, run.log
    assert "month 7 of int\n" in run.log, "what cells print is in the log"
    html = page(made)
    assert "<title>Sales of a month</title>" in html and "month 7 of int" in html
    assert "only what it prints" in html and "secret_word" not in html
    assert "load from other servers" not in run.log and "elsewhere" not in made.record("r1")
    assert [file["path"] for file in made.latest["files"]] == ["index.html", "table.csv"]


def test_a_script_with_cells_is_a_notebook(report: Callable[..., Any]) -> None:
    text = "# %% [markdown]\n# # Cells\n\n# %%\nanswer = 6 * 7\nprint(f'the answer is {answer}')\n"
    made = report({"report.py": text})
    run = made.run("r1")
    assert run.status == 0, run.log
    assert "<title>Cells</title>" in page(made) and "the answer is 42" in page(made)
    hidden = report({"report.py": text}, "report.py", "--no-input")
    assert hidden.run("r1").status == 0 and "6 * 7" not in re.sub("<[^>]*>", "", page(hidden))


def test_a_cell_that_fails_fails_the_run_and_is_named(report: Callable[..., Any]) -> None:
    made = report({"report.ipynb": notebook("# Text", "x = 0", "def share(y):\n    return 1 / y\nshare(x)", "y = 2")})
    run = made.run("r1")
    assert run.status == 1 and made.latest is None
    lines = run.log.splitlines()
    assert "report.ipynb: code cell 2 failed: ZeroDivisionError: division by zero" in lines
    assert any("return 1 / y" in line for line in lines) and not any("\x1b" in line for line in lines)
    assert len(lines) < 30, "the last lines of the traceback, not all of nbclient's"


def test_a_kernel_that_dies_is_taken_for_too_much_memory(report: Callable[..., Any]) -> None:
    made = report({"report.ipynb": notebook("import os; os.kill(os.getpid(), 9)")})
    run = made.run("r1")
    assert run.status == 137 and "the kernel died while it ran" in run.log and "memory_gb" in run.log


def test_the_time_limit_holds_and_no_kernel_is_left(report: Callable[..., Any]) -> None:
    made = report({"report.ipynb": notebook("import time; print('begun'); time.sleep(300)")}, timeout_seconds=8)
    begun = time.monotonic()
    run = made.run("r1")
    assert run.status == 124 and "took longer than timeout_minutes" in run.log
    assert time.monotonic() - begun < 28, "the kernel is ended with it, not after the time to stop"
    left = [
        one.info for one in psutil.process_iter(["cwd", "cmdline"]) if made.environ["TMPDIR"] in str(one.info["cwd"])
    ]
    assert left == []


def test_what_a_document_lacks_is_said(make: Make, tmp_path: Path) -> None:
    """A Python without the packages, and programs that are not there."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python").symlink_to("/usr/bin/python3")
    for document, words in {
        "a.ipynb": "a.ipynb: a notebook needs nbconvert and ipykernel among the packages of its image",
        "a.py": "a.py: a notebook needs nbconvert, ipykernel and jupytext among the packages",
        "a.md": "a.md: a Markdown document needs mistune",
        "a.Rmd": "a.Rmd: an R Markdown document needs Rscript in its image",
        "a.qmd": "a.qmd: a Quarto document needs quarto in its image",
    }.items():
        made = make("page", "", {document: notebook("1")}, kind="report", command=["herd-render", document])
        made.environ["PATH"] = f"{tmp_path / 'bin'}:/nowhere"
        run = made.run("r1")
        assert run.status != 0 and words in run.log, run.log
        assert "Traceback" not in run.log


def test_several_documents_are_pages_with_a_first_one(report: Callable[..., Any]) -> None:
    texts = {
        "north.md": "# The north & its sales\n",
        "south.md": "# South\n\n![plan](plan.svg)\n",
        "plan.svg": "<svg/>",
    }
    made = report(texts, "north.md", "south.md")
    run = made.run("r1")
    assert run.status == 0, run.log
    assert [file["path"] for file in made.latest["files"]] == ["index.html", "north.html", "south.html"]
    assert '<a href="north.html">The north &amp; its sales</a>' in page(made)
    assert 'src="data:image/svg+xml;base64,' in page(made, "south.html"), "images of the folder are in the page"


def test_a_markdown_document_has_the_parameters(report: Callable[..., Any]) -> None:
    made = report({"report.md": "# Of {{ month }}\n\n{{ other }} \\1\n"}, params={"month": "a\\1<b>"})
    run = made.run("r1")
    assert run.status == 0 and "{{ other }}" in page(made) and "a\\1" in page(made)


CALLS = """#!/bin/sh
echo "called $0: $*"
for argument in "$@"; do echo "<$argument>"; done
mkdir -p outputs
echo '<!doctype html><title>made</title>' > outputs/index.html
"""
"""Stands in for a program that the tests cannot have: it shows what it was asked."""


@pytest.fixture
def stand_in(make: Make, tmp_path: Path) -> Callable[..., Any]:
    def create(program: str, files: Mapping[str, str], **settings: Any) -> Any:
        (tmp_path / "bin").mkdir(exist_ok=True)
        (tmp_path / "bin" / program).write_text(CALLS)
        (tmp_path / "bin" / program).chmod(0o755)
        made = make("page", "", files, kind="report", command=["herd-render", *files], **settings)
        made.environ["PATH"] = f"{tmp_path / 'bin'}:{made.environ['PATH']}"
        return made

    return create


def test_quarto_is_asked_for_one_page_with_the_parameters_that_it_knows(stand_in: Callable[..., Any]) -> None:
    document = "---\ntitle: x\nparams:\n  month: 1\n  deep: true\n---\n\ntext\n"
    made = stand_in("quarto", {"report.qmd": document}, params={"month": 7, "deep": False, "unknown": "x"})
    run = made.run("r1")
    assert run.status == 0, run.log
    asked = re.findall(r"^<(.*)>$", run.log, re.MULTILINE)
    assert asked[:2] == ["render", "report.qmd"]
    assert " ".join(asked[2:]) == (
        "--to html --output-dir outputs --output index.html -M embed-resources:true -P month:7 -P deep:false"
    )


@pytest.mark.parametrize(
    ("name", "header"),
    [("slides.qmd", ""), ("report.qmd", "format: revealjs\n"), ("talk.qmd", "format:\n  revealjs:\n    theme: moon\n")],
)
def test_slides(stand_in: Callable[..., Any], name: str, header: str) -> None:
    run = stand_in("quarto", {name: f"---\n{header}title: x\n---\n"}).run("r1")
    assert "--to revealjs " in run.log


def test_r_markdown_gets_its_own_script(stand_in: Callable[..., Any]) -> None:
    made = stand_in("Rscript", {"sales.Rmd": "---\nparams:\n  month: 1\n---\n"}, params={"month": 7})
    run = made.run("r1")
    asked = re.findall(r"^<(.*)>$", run.log, re.MULTILINE)
    assert asked[0].endswith("render_rmarkdown.R") and asked[1:3] == ["sales.Rmd", "index"]
    assert Path(asked[3]).name == "outputs" and asked[4] == '{"month": 7}'


def test_after_one_that_fails_no_other_is_rendered(report: Callable[..., Any]) -> None:
    made = report({"a.ipynb": notebook("1/0"), "b.md": "# B"}, "a.ipynb", "b.md")
    run = made.run("r1")
    assert run.status == 1 and "rendering a.ipynb" in run.log and "rendering b.md" not in run.log


def test_a_report_that_is_stopped_ends_at_once(report: Callable[..., Any]) -> None:
    made = report({"a.ipynb": notebook("import time; print('begun', flush=True); time.sleep(300)"), "b.md": "# B"})
    process = made.start("r1")
    for line in process.stdout:
        if line == "begun\n":
            break
    begun = time.monotonic()
    os.kill(process.pid, signal.SIGTERM)
    log, _ = process.communicate(timeout=60)
    assert process.returncode == 143 and time.monotonic() - begun < 15, log
    assert "rendering b.md" not in log


def test_every_kind_of_document_has_its_command() -> None:
    assert COMMANDS.keys() == RENDERERS.keys()


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("---\nparams:\n  month: 1\n  region: north # x\ntitle: x\n---\n", {"month", "region"}),
        ("---\r\nparams:\r\n  month:\r\n    value: 1\r\n    label: x\r\n---\r\n", {"month"}),
        ("---\nparams:\n\n    a: 1\n    b: 2\n---\n", {"a", "b"}),
        ("---\ntitle: params\n---\nparams:\n  month: 1\n", set()),
        ("no header\n---\nparams:\n  month: 1\n---\n", set()),
        ("", set()),
    ],
)
def test_the_parameters_that_a_document_knows(text: str, names: set[str]) -> None:
    assert declared(front_matter(text)) == names


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (["herd-render"], "names no document"),
        (["herd-render", "a.docx"], "'a.docx' is none that herd-render knows: .ipynb"),
        (["herd-render", "a.md", "--toc"], "'--toc' is no option of herd-render; there is --no-input"),
        (["herd-render", "a.md", "a.qmd"], "two documents would become a.html"),
    ],
)
def test_commands_that_cannot_be_done(command: list[str], words: str) -> None:
    assert any(words in problem for problem in render_problems(command))


def test_the_first_page() -> None:
    assert pages_of(["b.md", "report.md"]) == {"b.md": "b", "report.md": "index"}
    assert pages_of(["b.md", "a.md"]) == {"b.md": "b", "a.md": "a"}
