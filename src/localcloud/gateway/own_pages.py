"""Pages of the local cloud itself, for people: their look, and the headers that keep hostile content still.

No script runs in them, nothing is loaded from elsewhere, and no other page may frame or read them.
"""

from __future__ import annotations

import base64
import hashlib
from html import escape

from localcloud.request import Response

STYLE = """
:root { color-scheme: light dark; --ink: #1d2433; --soft: #5d6880; --line: #dde2ec; --back: #f5f7fb; --card: #fff;
  --link: #1a56c4; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6eaf2; --soft: #98a2b8; --line: #2f374a; --back: #141925;
  --card: #1c2231; --link: #8ab4ff; } }
* { box-sizing: border-box; }
body { margin: 0; font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; color: var(--ink);
  background: var(--back); }
main { max-width: 70rem; margin: 0 auto; padding: 1.5rem 1rem 4rem; }
h1 { font-size: 1.35rem; margin: 0 0 .25rem; overflow-wrap: anywhere; }
p.note { margin: 0 0 1.25rem; color: var(--soft); }
a { color: var(--link); text-decoration: none; }
a:hover { text-decoration: underline; }
.card { background: var(--card); border: 1px solid var(--line); border-radius: 10px; overflow: hidden; }
table { width: 100%; border-collapse: collapse; table-layout: fixed; }
th { text-align: left; font-weight: 600; font-size: .8rem; color: var(--soft); }
th, td { padding: .55rem .9rem; border-bottom: 1px solid var(--line); overflow: hidden; text-overflow: ellipsis;
  white-space: nowrap; vertical-align: top; }
tr:last-child td { border-bottom: 0; }
tbody tr:hover { background: var(--back); }
th.number { width: 4.5rem; } th.time { width: 12rem; } th.to { width: 26%; } th.size { width: 6rem; }
td.number, td.time, td.size, td.to { color: var(--soft); font-variant-numeric: tabular-nums; }
td.size, th.size { text-align: right; }
td.subject { font-weight: 500; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .2rem 1rem; margin: 0; padding: .9rem 1.1rem;
  border-bottom: 1px solid var(--line); }
dt { color: var(--soft); } dd { margin: 0; overflow-wrap: anywhere; }
pre { margin: 0; padding: 1.1rem; white-space: pre-wrap; overflow-wrap: anywhere;
  font: 14px/1.55 ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; }
ul.files { list-style: none; margin: 0; padding: .8rem 1.1rem; border-top: 1px solid var(--line); }
ul.files span { color: var(--soft); }
.empty { padding: 3rem 1rem; text-align: center; color: var(--soft); }
@media (max-width: 45rem) { th.number, td.number, th.size, td.size { display: none; } th.time { width: 8.5rem; } }
"""

_STYLE_HASH = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()

GUARDED = (
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Cache-Control", "no-store"),
    ("Server", "localcloud"),
)


def page(title: str, body: str, status: int = 200, refresh_seconds: int = 0) -> Response:
    """A page; `body` is HTML, in which whatever comes from outside has been escaped."""
    refresh = f'<meta http-equiv="refresh" content="{refresh_seconds}">' if refresh_seconds else ""
    text = (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8">{refresh}'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{STYLE}</style></head><body><main>{body}</main></body></html>"
    )
    policy = (
        f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    )
    headers = [("Content-Type", "text/html; charset=utf-8"), ("Content-Security-Policy", policy), *GUARDED]
    return Response(status, headers, text.encode("utf-8", "replace"))


def file(name: str, content: bytes) -> Response:
    """Something to be saved under a name, and never shown."""
    plain = "".join(each if each.isascii() and (each.isalnum() or each in "._- ") else "_" for each in name) or "file"
    headers = [
        ("Content-Type", "application/octet-stream"),
        ("Content-Disposition", f'attachment; filename="{plain}"'),
        ("Content-Security-Policy", "default-src 'none'; sandbox"),
        *GUARDED,
    ]
    return Response(200, headers, content)


def said(title: str, text: str, status: int = 200) -> Response:
    """A page with a sentence on it."""
    return page(title, f'<h1>{escape(title)}</h1><p class="note">{escape(text)}</p>', status)
