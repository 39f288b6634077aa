"""What the person sees: results on stdout, progress and errors on stderr, colour and motion only on a terminal.

Everything that is printed passes here, where foreign text is made harmless (src/herd/foreign.py) and nothing is markup.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any

from herd.foreign import Printed, on_one_line, shown

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


def knows_blocks() -> bool:
    """Can stdout show characters such as `▅` and `✗`?"""
    return out().encoding.startswith("utf")


def say(text: str = "", style: str | None = None) -> None:
    """A line of result, or several. The text is data, never markup: a log line may hold brackets."""
    out().print(_text(text), style=style)


def as_printed(text: str, before: str = "") -> None:
    """A line of a program's own, word for word, also what a terminal obeys: for whoever asks for it with `--raw`."""
    stream = out().file
    stream.write(f"{shown(before)}{text}\n")
    stream.flush()


def log_line(text: str, before: str = "") -> None:
    """A line of a program's own, shown and not obeyed; `before` stands before each line that it turns out to be."""
    for line in shown(text).split("\n"):
        out().print(_text(f"{before}{line}"))


def document(text: str) -> None:
    """Text for another program or a file: there it is as it is, in UTF-8. On a terminal it is harmless."""
    stream = out().file
    if stream.isatty() or not hasattr(stream, "buffer"):
        stream.write(shown(text))
    else:
        stream.flush()
        stream.buffer.write(text.encode("utf-8", "surrogateescape"))
    stream.flush()


def json_document(value: object) -> None:
    """A JSON document for another program."""
    import json

    document(json.dumps(value, indent=2) + "\n")


@contextmanager
def printed() -> Iterator[tuple[Printed, Printed]]:
    """Where the stdout and the stderr of a program go that runs in front of the person."""
    outputs = [Printed(_writer(console)) for console in (out(), err())]
    yield outputs[0], outputs[1]
    for output in outputs:
        output.feed(b"", last=True)


def _writer(console: Console) -> Callable[[str], None]:
    def write(text: str) -> None:
        console.file.write(text)
        console.file.flush()

    return write


def note(text: str, style: str | None = None) -> None:
    """One line about what is going on."""
    err().print(_text(text), style=style)


def fail(error: object) -> None:
    """The error, as it is: settings problems begin with their file's name."""
    err().print(_text(str(error)), style="red")


class Step:
    """One thing that is being done; `update` says how far it is, on a terminal only."""

    def __init__(self, label: str, status: Status | None) -> None:
        self.label = label
        self.result = ""
        self._status = status

    def update(self, text: str) -> None:
        if self._status is not None:
            self._status.update(_line(f"{self.label} · {text}"))


@contextmanager
def step(label: str, quiet: bool = False) -> Iterator[Step]:
    """Show that something is under way, then that it is done and how long it took.

    `quiet` leaves no line behind if it took less than half a second: nobody needs to hear that nothing had to be done.
    """
    started = time.monotonic()
    if err().is_terminal:
        with _status(label) as status:
            current = Step(label, status)
            yield current
    else:
        current = Step(label, None)
        yield current
    took = time.monotonic() - started
    if not quiet or took >= 0.5:
        result = f": {current.result}" if current.result else ""
        err().print(_line(f"✓ {current.label}{result} ({took:.1f} s)"))


@contextmanager
def waiting() -> Iterator[Callable[[str], None]]:
    """Show, on a terminal only, that something is waited for; what is handed over says what."""
    with _status("") as status:
        yield lambda text: status.update(_line(text))


def _status(label: str) -> Status:
    return err().status(_line(label), spinner="dots" if err().encoding.startswith("utf") else "line")


def _text(text: str) -> Any:
    from rich.text import Text

    return Text(shown(text))


def _line(text: str) -> Any:
    from rich.text import Text

    return Text(on_one_line(text))


def table(columns: list[str], rows: list[list[str]], styles: dict[str, str] | None = None) -> None:
    """A table of plain texts on stdout. `styles` colours a cell by its text.

    As wide as its content: an address that was broken to fit the terminal could not be clicked or copied.
    """
    from rich.cells import cell_len
    from rich.text import Text

    lines = [[on_one_line(cell) for cell in row] for row in (columns, *rows)]
    widths = [max(map(cell_len, column)) for column in zip(*lines, strict=True)]
    for number, row in enumerate(lines):
        line = Text()
        for cell, width in zip(row, widths, strict=True):
            line.append(cell, "bold" if number == 0 else (styles or {}).get(cell, ""))
            line.append(" " * (width - cell_len(cell) + 2))
        line.rstrip()
        out().print(line)


def confirm(question: str) -> bool:
    """Ask; without a terminal nobody can answer, so the answer is no."""
    if not sys.stdin.isatty():
        note(f"{question} Nobody is at the terminal to say so; `--yes` does.")
        return False
    return input(f"{on_one_line(question)} [y/N] ").strip().lower() in ("y", "yes")


def ask(question: str) -> str | None:
    """What the person types; None where nobody is at the terminal."""
    return input(on_one_line(question)).strip() if sys.stdin.isatty() else None


def interactive() -> bool:
    return err().is_terminal
