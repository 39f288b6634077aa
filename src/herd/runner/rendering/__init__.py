"""Documents become pages: each by its renderer, as processes of the workload's own environment."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from ..contract.renderers import NO_INPUT, SLIDES, documents_of, pages_of, render_problems, renderer_of
from ..contract.statuses import BAD_SETTINGS, NOT_FOUND
from ..contract.task import Param
from ..errors import RunFailed, say

HERE = Path(__file__).resolve().parent


@dataclass(frozen=True)
class Order:
    """One document to be rendered. `page`: the stem of its file below `outputs`."""

    document: str
    page: str
    root: Path
    outputs: Path
    params: Mapping[str, Param]
    with_input: bool

    @property
    def text(self) -> str:
        return (self.root / self.document).read_text("utf-8", "replace")


Start = Callable[[Sequence[str]], int]
"""Runs a command to its end; its exit status."""


def render(command: Sequence[str], root: Path, outputs: Path, params: Mapping[str, Param], start: Start) -> int:
    """Render every document of a `herd-render` command; the exit status of the first that fails, or 0."""
    if wrong := render_problems(command):
        raise RunFailed("\n".join(wrong), BAD_SETTINGS)
    documents = documents_of(command)
    pages = pages_of(documents)
    for document in documents:
        if not (root / document).is_file():
            raise RunFailed(f"{document} is not there", BAD_SETTINGS)
        order = Order(document, pages[document], root, outputs, params, NO_INPUT not in command)
        make, renderer = COMMANDS[PurePosixPath(document).suffix], renderer_of(document)
        if len(documents) > 1:
            say(f"rendering {document}")
        try:
            status = start(make(order))
        except RunFailed as error:
            if error.status != NOT_FOUND or renderer is None:
                raise
            raise RunFailed(
                f"{document}: {renderer.what} needs {renderer.program} in its image: {error}", error.status
            ) from error
        if status:
            return status
    if len(documents) > 1 and "index" not in pages.values():
        (outputs / "index.html").write_text(overview(pages, outputs), "utf-8")
    return 0


def _script(name: str) -> Callable[[Order], list[str]]:
    """A script beside this module, run by the workload's own Python."""

    def command(order: Order) -> list[str]:
        options = [] if order.with_input else [NO_INPUT]
        page = order.outputs / f"{order.page}.html"
        return ["python", str(HERE / name), order.document, str(page), json.dumps(dict(order.params)), *options]

    return command


def _rmarkdown(order: Order) -> list[str]:
    script = str(HERE / "render_rmarkdown.R")
    return ["Rscript", script, order.document, order.page, str(order.outputs), json.dumps(dict(order.params))]


def _quarto(order: Order) -> list[str]:
    header = front_matter(order.text)
    slides = PurePosixPath(order.document).stem == SLIDES or re.search(r"^(format:)?\s*revealjs\b", header, re.M)
    command = ["quarto", "render", order.document, "--to", "revealjs" if slides else "html"]
    command += ["--output-dir", order.outputs.name, "--output", f"{order.page}.html", "-M", "embed-resources:true"]
    for name, value in order.params.items():
        # A parameter that the document does not know would be refused; it finds all of them in HERD_PARAM_….
        if name in declared(header) or re.search(r"^#\|\s*tags:\s*\[?[^\n]*\bparameters\b", order.text, re.M):
            command += ["-P", f"{name}:{json.dumps(value) if not isinstance(value, str) else value}"]
    return command


COMMANDS: Mapping[str, Callable[[Order], list[str]]] = {
    ".ipynb": _script("render_notebook.py"),
    ".py": _script("render_notebook.py"),
    ".md": _script("render_markdown.py"),
    ".Rmd": _rmarkdown,
    ".qmd": _quarto,
}


def front_matter(text: str) -> str:
    """The YAML between the two lines --- at the beginning of a document, without reading it as such."""
    text = text.replace("\r\n", "\n")
    match = re.match(r"\ufeff?---[ \t]*\n(.*?)\n(?:---|\.\.\.)[ \t]*(?:\n|\Z)", text, re.DOTALL)
    return match[1] if match else ""


def declared(header: str) -> frozenset[str]:
    """The names below `params:`.

    >>> sorted(declared("title: x\\nparams:\\n  month: 2\\n  region: north\\nother: 1"))
    ['month', 'region']
    """
    block = re.search(r"^params:[ \t]*(?:#[^\n]*)?\n((?:[ \t]+[^\n]*(?:\n|\Z)|[ \t]*\n)*)", header, re.M)
    lines = [line for line in (block[1].splitlines() if block else []) if line.strip()]
    depth = min((len(line) - len(line.lstrip()) for line in lines), default=0)
    names = (re.match(rf"[ \t]{{{depth}}}([\w.-]+)[ \t]*:", line) for line in lines)
    return frozenset(name[1] for name in names if name)


def title_of(page: Path, otherwise: str) -> str:
    """What a page is called by itself."""
    try:
        with page.open("rb") as stream:
            title = re.search(rb"<title[^>]*>(.*?)</title>", stream.read(1024 * 1024), re.DOTALL | re.IGNORECASE)
    except OSError:
        return otherwise
    return (" ".join(html.unescape(title[1].decode("utf-8", "replace")).split()) if title else "") or otherwise


def overview(pages: Mapping[str, str], outputs: Path) -> str:
    """The first page of a report of several, none of which is the first by its name."""
    items = []
    for document, page in pages.items():
        file = next((one for one in sorted(outputs.glob(f"{page}.*")) if one.is_file()), outputs / f"{page}.html")
        title = html.escape(title_of(file, PurePosixPath(document).stem))
        items.append(f'<li><a href="{html.escape(file.name)}">{title}</a></li>')
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>Contents</title>'
        '<meta name="viewport" content="width=device-width"><body style="font:17px/1.6 system-ui;margin:3rem auto;'
        f'max-width:46rem;padding:0 1rem"><h1>Contents</h1><ul>{"".join(items)}</ul></body></html>\n'
    )
