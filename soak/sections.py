"""Parts of docs/soak-report.md that have a program, or a record, of their own: each is replaced without the others."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

OWN = ("lives", "long", "reading")
"""Their names, in order."""


def kept(report: Path, text: str) -> str:
    """`text`, the rest of a new report, with these parts of the old one behind it."""
    return _joined(text, {name: _part(report, name) for name in OWN})


def write(report: Path, name: str, lines: Iterable[str]) -> None:
    """Put a part into the report, in place of the last one of this name."""
    begin, end = _marks(name)
    parts = {each: _part(report, each) for each in OWN}
    rest = report.read_text() if report.exists() else "# Soak report\n"
    for part in filter(None, parts.values()):
        rest = rest.replace(part, "")
    report.write_text(_joined(rest, {**parts, name: "\n".join([begin, *lines, end])}))


def _joined(rest: str, parts: dict[str, str]) -> str:
    return "\n\n".join([rest.strip(), *(parts[name] for name in OWN if parts[name])]) + "\n"


def _part(report: Path, name: str) -> str:
    begin, end = _marks(name)
    text = report.read_text() if report.exists() else ""
    return f"{begin}{text.partition(begin)[2].partition(end)[0]}{end}" if begin in text else ""


def _marks(name: str) -> tuple[str, str]:
    return f"<!-- {name} -->", f"<!-- /{name} -->"
