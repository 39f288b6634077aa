"""What makes a page of a document: one line of the table a kind of document.

`herd-render` is the command of a report that is a document. It is no program: the runner does what it stands for, in
the workload's own environment.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final

RENDER: Final = "herd-render"

NO_INPUT: Final = "--no-input"
"""An option of it: the code of notebooks is left out of the page."""

OPTIONS: Final = (NO_INPUT,)

CELL: Final = "# %%"
"""What begins the cells of a Python script that is a notebook."""

SLIDES: Final = "slides"
"""The stem of a Quarto document that becomes slides."""

FIRST: Final = ("report", SLIDES, "index")
"""Stems of the document that is a report's first page."""


@dataclass(frozen=True)
class Renderer:
    """`what`: how a sentence names such a document. `program`: what it is run by, on the workload's PATH. `packages`:
    what it needs of that program's packages, by the names of the lock file `lock`.
    """

    what: str
    program: str
    packages: tuple[str, ...] = ()
    lock: str | None = None


RENDERERS: Final = {
    ".ipynb": Renderer("a notebook", "python", ("nbconvert", "ipykernel"), "requirements"),
    ".py": Renderer("a script with cells", "python", ("nbconvert", "ipykernel", "jupytext"), "requirements"),
    ".Rmd": Renderer("an R Markdown document", "Rscript", ("rmarkdown",), "renv"),
    ".qmd": Renderer("a Quarto document", "quarto"),
    ".md": Renderer("a Markdown document", "python", ("mistune",), "requirements"),
}


def renderer_of(document: str) -> Renderer | None:
    return RENDERERS.get(PurePosixPath(document).suffix)


def documents_of(command: Sequence[str]) -> tuple[str, ...]:
    """The documents of a `herd-render` command; none of any other."""
    if not command or command[0] != RENDER:
        return ()
    return tuple(argument for argument in command[1:] if not argument.startswith("-"))


def pages_of(documents: Sequence[str]) -> dict[str, str]:
    """The stem of the page that each document becomes: the only one, or the first by its name, is the index.

    >>> pages_of(["sales.ipynb"]), pages_of(["report.qmd", "method.md"])
    ({'sales.ipynb': 'index'}, {'report.qmd': 'index', 'method.md': 'method'})
    """
    stems = {document: PurePosixPath(document).stem for document in documents}
    first = list(documents) if len(documents) == 1 else [one for one in documents if stems[one] in FIRST][:1]
    return {document: "index" if document in first else stem for document, stem in stems.items()}


def render_problems(command: Sequence[str]) -> list[str]:
    """What is wrong with a `herd-render` command, apart from the files."""
    documents = documents_of(command)
    wrong = [f"{one!r} is no option of {RENDER}; there is {NO_INPUT}" for one in command[1:] if _is_unknown(one)]
    if not documents:
        wrong.append(f"{RENDER} names no document")
    wrong += [
        f"{document!r} is none that {RENDER} knows: {', '.join(RENDERERS)}"
        for document in documents
        if renderer_of(document) is None
    ]
    pages = list(pages_of(documents).values())
    wrong += [f"two documents would become {page}.html" for page in sorted(_twice(pages))]
    return wrong


def _is_unknown(argument: str) -> bool:
    return argument.startswith("-") and argument not in OPTIONS


def _twice(values: Iterable[str]) -> set[str]:
    seen: set[str] = set()
    return {value for value in values if value in seen or seen.add(value)}  # type: ignore[func-returns-value]
