"""The comment on a pull request: a review in GitHub's Markdown, no longer than GitHub takes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from herd.review.document import Code, Document, Entry, Section, Text
from herd.review.markdown import block, code

MOST_BYTES = 60_000
"""GitHub takes 65,536 characters; bytes are never fewer. What is left over is for what a workflow adds."""

LIMITS = (400, 200, 100, 50, 25, 10, 5)
"""Most entries of a section, tried in this order until the comment fits."""

LEFT_OUT = "… and more than a comment can hold; the whole is in the artefact of this run, and `herd preview` shows it"


def marker(environment: str) -> str:
    """The first line of the comment, by which a later run identifies it."""
    return f"<!-- herd preview of {environment} -->"


def failed(environment: str, error: object, known: str = "") -> str:
    """The comment for a preview that failed. `known`: the comment on the plan, as far as it is known."""
    lines = [marker(environment), f"### {code(environment)} cannot be deployed like this", "", *block(str(error)), ""]
    _, _, rest = known.partition("\n")
    text = "\n".join(lines) + (f"\n{rest}" if rest else "")
    return text if len(text.encode()) <= MOST_BYTES else _cut(text)


def comment(document: Document, environment: str, whole: bool = False) -> str:
    """The comment of a review, at most MOST_BYTES long; `whole`: however long it is."""
    if whole:
        return _render(document, environment, None)
    text = ""
    for limit in LIMITS:
        text = _render(document, environment, limit)
        if len(text.encode()) <= MOST_BYTES:
            return text
    return _cut(text)


def _cut(text: str) -> str:
    """Cut lines from the end of a comment that is too long even with the fewest entries."""
    left = MOST_BYTES - 200
    kept: list[str] = []
    fence, opened = "", 0
    for line in text.split("\n"):
        left -= len(line.encode()) + 1
        if left < 0:
            break
        kept.append(line)
        if fence:  # within a code block, whatever the line looks like
            fence = "" if line == fence else fence
        elif line.startswith("```"):
            fence = line.removesuffix("text")
        else:
            opened += line.startswith("<details>") - (line == "</details>")
    closing = [fence] * bool(fence) + ["", "</details>"] * opened
    return "\n".join([*kept, *closing, "", LEFT_OUT, ""])


def _render(document: Document, environment: str, limit: int | None) -> str:
    lines = [marker(environment), f"### {_text(document.title)}", ""]
    for paragraph in document.intro:
        lines += [_text(paragraph), ""]
    for section in document.sections:
        lines += _section(section, limit)
    return "\n".join(lines).rstrip("\n") + "\n"


def _section(section: Section, limit: int | None) -> Iterator[str]:
    title = f"{section.sign} {section.title}".strip()
    if section.folded:
        yield from (f"<details><summary>{title}</summary>", "")
    else:
        yield from (f"#### {title}", "")
    yield from _points(section.entries, limit, "")
    if section.said:
        yield from block(section.said)
    yield from (["", "</details>", ""] if section.folded else [""])


def _points(entries: Sequence[Entry], limit: int | None, indent: str) -> Iterator[str]:
    for entry in entries[:limit]:
        yield f"{indent}- {_text(entry.text)}"
        yield from _points(entry.below, limit, indent + "  ")
    if limit is not None and len(entries) > limit:
        yield f"{indent}- … and {len(entries) - limit} more"


def _text(text: Text) -> str:
    return "".join(code(part.text, part.longest) if isinstance(part, Code) else part for part in text)
