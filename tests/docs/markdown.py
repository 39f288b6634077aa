"""Reading the project's Markdown pages as their readers do: links, code, headings."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]

PAGES = (
    ROOT / "README.md",
    ROOT / "CHANGELOG.md",
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted((ROOT / "images").rglob("*.md")),
)

_FENCE = re.compile(r"^(?P<indent> *)```(?P<language>\w*)\n(?P<text>.*?)^(?P=indent)```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"!?\[[^\]]*\]\((?P<target>[^)\s]+)\)|<img src=\"(?P<image>[^\"]+)\"")


@dataclass(frozen=True)
class Block:
    """A block of code: `language` as it stands behind the fence."""

    page: Path
    language: str
    text: str

    @property
    def file(self) -> str | None:
        """The file that it is the content of: its first line is a comment that says so, `# jobs/x/workload.toml`."""
        found = re.match(r"# ([\w./-]+\.(?:toml|py|yaml))\n", self.text)
        return found[1] if found else None


def blocks(page: Path) -> list[Block]:
    found = _FENCE.finditer(page.read_text(encoding="utf-8"))
    return [Block(page, match["language"], textwrap.dedent(match["text"])) for match in found]


def prose(page: Path) -> str:
    """The page without its blocks of code."""
    return _FENCE.sub("", page.read_text(encoding="utf-8"))


def inline_code(page: Path) -> list[str]:
    return [" ".join(code.split()) for code in re.findall(r"`([^`]+)`", prose(page))]


def links(page: Path) -> list[str]:
    return [match["target"] or match["image"] for match in _LINK.finditer(prose(page))]


def anchors(page: Path) -> set[str]:
    """The headings as GitHub names them in addresses."""
    headings = re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def shell_lines(page: Path) -> Iterator[str]:
    """Every command line in the page's `sh` blocks, without its comment."""
    for block in blocks(page):
        if block.language == "sh":
            yield from (line.split("  #")[0].strip() for line in block.text.splitlines() if line.strip())


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()
