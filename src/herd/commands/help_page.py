"""What `--help` says of the values of options and arguments: words for people, not the names of Python's types."""

from __future__ import annotations

from typing import Any

from typer.core import TyperArgument, TyperOption


def install() -> None:
    """Typer has no setting for it: it shows `--yes <bool>`, and `NAME <str>` for an argument that is called NAME."""
    for kind in (TyperArgument, TyperOption):
        kind.display_type_rich = _with_words(kind.display_type_rich)  # type: ignore[method-assign]


def _with_words(stock: Any) -> Any:
    def display_type_rich(parameter: Any, ctx: Any) -> str | None:
        label: str | None = stock(parameter, ctx)
        if isinstance(parameter, TyperArgument) or label in (None, "<bool>"):
            return None
        if "|" in label or not label.startswith("<"):
            return label.strip("<>")  # what there is to choose from, or a word of ours
        return "NUMBER" if label.startswith(("<int", "<float")) else "TEXT"

    return display_type_rich
