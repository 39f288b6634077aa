"""What the person sees: results on stdout, progress and errors on stderr, colour and motion only on a terminal."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console
    from rich.status import Status

WIDTH_WHEN_PIPED = 160
"""Text that goes into a file or another program is not cut at the 80 columns of an imagined terminal."""


@cache
def out() -> Console:
    """stdout: what was asked for."""
    return _console(stderr=False)


@cache
def err() -> Console:
    """stderr: progress and errors, so that `herd … | program` hands on results only."""
    return _console(stderr=True)


def _console(stderr: bool) -> Console:
    from rich.console import Console

    stream = sys.stderr if stderr else sys.stdout
    if stream.isatty():
        # Without a fixed file, so that a running spinner can let lines pass above itself.
        return Console(stderr=stderr, highlight=False, soft_wrap=True)
    # A spinner on stderr takes over sys.stdout too; what is piped must go on into the pipe.
    return Console(file=stream, stderr=stderr, highlight=False, soft_wrap=True, width=WIDTH_WHEN_PIPED)


def say(text: str = "", style: str | None = None) -> None:
    """One line of result. The text is data, never markup: a workload's name or a log line may hold brackets."""
    out().print(text, style=style, markup=False)


def note(text: str, style: str | None = None) -> None:
    """One line about what is going on."""
    err().print(text, style=style, markup=False)


def fail(error: object) -> None:
    """The error, as it is: settings problems begin with their file's name."""
    err().print(str(error), style="red", markup=False)


class Step:
    """One thing that is being done; `update` says how far it is, on a terminal only."""

    def __init__(self, label: str, status: Status | None) -> None:
        self.label = label
        self.result = ""
        self._status = status

    def update(self, text: str) -> None:
        if self._status is not None:
            self._status.update(_plain(f"{self.label} · {text}"))


@contextmanager
def step(label: str, quiet: bool = False) -> Iterator[Step]:
    """Show that something is under way, then that it is done and how long it took.

    `quiet` leaves no line behind if it took less than half a second: nobody needs to hear that nothing had to be done.
    """
    started = time.monotonic()
    if err().is_terminal:
        with err().status(_plain(label)) as status:
            current = Step(label, status)
            yield current
    else:
        current = Step(label, None)
        yield current
    took = time.monotonic() - started
    if not quiet or took >= 0.5:
        result = f": {current.result}" if current.result else ""
        err().print(_plain(f"✓ {current.label}{result} ({took:.1f} s)"))


def _plain(text: str) -> Any:
    from rich.text import Text

    return Text(text)


def table(columns: list[str], rows: list[list[str]], styles: dict[str, str] | None = None) -> None:
    """A table of plain texts on stdout. `styles` colours a cell by its text.

    As wide as its content: an address that was broken to fit the terminal could not be clicked or copied.
    """
    from rich.text import Text

    widths = [max(map(len, column)) for column in zip(columns, *rows, strict=True)]
    for number, row in enumerate([columns, *rows]):
        line = Text()
        for cell, width in zip(row, widths, strict=True):
            line.append(cell, "bold" if number == 0 else (styles or {}).get(cell, ""))
            line.append(" " * (width - len(cell) + 2))
        line.rstrip()
        out().print(line)


def confirm(question: str) -> bool:
    """Ask; without a terminal nobody can answer, so the answer is no."""
    if not sys.stdin.isatty():
        note(f"{question} Nobody is at the terminal to say so; `--yes` does.")
        return False
    return input(f"{question} [y/N] ").strip().lower() in ("y", "yes")


def ask(question: str) -> str | None:
    """What the person types; None where nobody is at the terminal."""
    return input(question).strip() if sys.stdin.isatty() else None


def interactive() -> bool:
    return err().is_terminal
