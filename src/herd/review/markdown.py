"""Foreign text in GitHub's Markdown.

Names, messages and values of a pull request may be anybody's. In a code span nothing is a link, an image, HTML or a
mention, and nobody is notified; so all foreign text goes into one, and none into a table, where `|` would still count.
"""

from __future__ import annotations

import re

LONGEST = 300


def code(text: str, longest: int = LONGEST) -> str:
    """Foreign text as a code span: on one line, cut, harmless."""
    from herd.infra.messages import printable

    shown = printable(text if len(text) <= longest else text[: longest - 1] + "…") or " "
    fence = "`" * (_longest_run(shown) + 1)
    # A code span loses one space at each end, if it has them at both.
    pad = " " if shown.startswith(("`", " ")) or shown.endswith(("`", " ")) else ""
    return f"{fence}{pad}{shown}{pad}{fence}"


def block(text: str, longest: int = 4000) -> list[str]:
    """Foreign text of several lines as a code block."""
    from herd.infra.messages import printable

    lines = [printable(line) for line in (text if len(text) <= longest else text[:longest] + " …").split("\n")]
    fence = "`" * max(3, _longest_run("\n".join(lines)) + 1)
    return [f"{fence}text", *lines, fence]


def _longest_run(text: str) -> int:
    return max((len(run) for run in re.findall("`+", text)), default=0)
