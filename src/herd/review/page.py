"""A review as one self-contained HTML file: no script, nothing loaded, readable in light and in dark."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from html import escape

from herd.review.document import Code, Document, Entry, Section, Text

POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
"""What a browser lets the file do: show itself."""

STYLE = """
:root { color-scheme: light dark; --ink: #1f2328; --paper: #fff; --soft: #f6f8fa; --line: #d1d9e0; --risk: #9a2b1c; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6edf3; --paper: #0d1117; --soft: #161b22; --line: #3d444d; --risk: #ff9b8a; }
}
body { margin: 0 auto; max-width: 60rem; padding: 2rem 1.25rem 4rem; color: var(--ink); background: var(--paper);
  font: 1rem/1.55 system-ui, "Liberation Sans", sans-serif; }
h1 { font-size: 1.5rem; margin: 0 0 .75rem; }
h2 { font-size: 1.15rem; margin: 2rem 0 .5rem; border-bottom: 1px solid var(--line); padding-bottom: .3rem; }
section.risk h2 { color: var(--risk); border-color: currentColor; }
ul { margin: .25rem 0; padding-left: 1.4rem; }
li { margin: .2rem 0; }
code { font: .875em ui-monospace, "Liberation Mono", monospace; background: var(--soft); border-radius: 4px;
  padding: .15em .35em; overflow-wrap: anywhere; white-space: pre-wrap; }
pre { background: var(--soft); border-radius: 6px; padding: .75rem; overflow-x: auto; }
pre code { padding: 0; background: none; white-space: pre; }
details { margin: 1.5rem 0; border: 1px solid var(--line); border-radius: 6px; padding: .5rem .9rem; }
summary { cursor: pointer; font-weight: 600; }
"""


def page(document: Document) -> str:
    """The whole review, nothing left out."""
    title = "".join(part.text if isinstance(part, Code) else part for part in document.title)
    lines = [
        "<!doctype html>",
        '<html lang="en">',
        "<head>",
        '<meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{escape(POLICY)}">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{_shown(title)}</title>",
        f"<style>{STYLE}</style>",
        "</head>",
        "<body>",
        f"<h1>{_text(document.title)}</h1>",
        *(f"<p>{_text(paragraph)}</p>" for paragraph in document.intro),
    ]
    for section in document.sections:
        lines += _section(section)
    return "\n".join([*lines, "</body>", "</html>", ""])


def _section(section: Section) -> Iterator[str]:
    title = escape(f"{section.sign} {section.title}".strip())
    opening, closing = (
        (f"<details><summary>{title}</summary>", "</details>")
        if section.folded
        else (f"<section{' class=risk' if section.title == 'Dangers' else ''}><h2>{title}</h2>", "</section>")
    )
    yield opening
    yield from _points(section.entries)
    if section.said:
        yield f"<pre><code>{chr(10).join(map(_shown, section.said.split(chr(10))))}</code></pre>"
    yield closing


def _points(entries: Sequence[Entry]) -> Iterator[str]:
    if entries:
        yield "<ul>"
        for entry in entries:
            yield f"<li>{_text(entry.text)}"
            yield from _points(entry.below)
            yield "</li>"
        yield "</ul>"


def _text(text: Text) -> str:
    return "".join(f"<code>{_cut(part)}</code>" if isinstance(part, Code) else _own(part) for part in text)


def _own(text: str) -> str:
    """Herd's own text, in which `this` is code."""
    return re.sub("`([^`]*)`", r"<code>\1</code>", escape(text, quote=False))


def _cut(part: Code) -> str:
    return _shown(part.text if len(part.text) <= part.longest else part.text[: part.longest - 1] + "…")


def _shown(text: str) -> str:
    from herd.infra.messages import printable

    return escape(printable(text))
