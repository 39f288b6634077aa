"""Make one page of a Markdown document, its images in it. `{{ month }}` is the value of a parameter.

Run by the workload's own Python, with the packages of its image; it imports nothing of Herd:

    python render_markdown.py DOCUMENT PAGE PARAMETERS
"""

from __future__ import annotations

import base64
import html
import json
import mimetypes
import os
import re
import sys
from pathlib import Path
from urllib.parse import unquote

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:] = [os.getcwd(), *(path for path in sys.path if os.path.abspath(path or ".") != HERE)]

STYLE = """
body { font: 17px/1.6 system-ui, sans-serif; max-width: 46rem; margin: 3rem auto; padding: 0 1rem; color: #222 }
h1, h2, h3 { line-height: 1.25 }
img { max-width: 100% }
table { border-collapse: collapse; margin: 1rem 0 }
th, td { padding: .3rem .8rem; border-bottom: 1px solid #ddd; text-align: left }
pre { background: #f5f5f5; padding: .8rem; overflow: auto }
code { font-size: .92em }
blockquote { margin-left: 0; padding-left: 1rem; border-left: 3px solid #ccc; color: #555 }
"""


def main(source: str, page: str, params: dict[str, bool | int | float | str]) -> None:
    try:
        import mistune
    except ImportError:
        print(
            f"{source}: a Markdown document needs mistune among the packages of its image (requirements.in there, then "
            "lock), or in a lock file of its own",
            file=sys.stderr,
        )
        raise SystemExit(1) from None
    text = Path(source).read_text("utf-8-sig")
    header = re.match(r"---[ \t]*\n(.*?)\n(?:---|\.\.\.)[ \t]*\n", text, re.DOTALL)
    body = text[header.end() :] if header else text
    for name, value in params.items():
        shown = str(value).lower() if isinstance(value, bool) else str(value)
        body = re.sub(r"\{\{\s*" + re.escape(name) + r"\s*\}\}", shown.replace("\\", r"\\"), body)
    titles = [re.search(r"^title:\s*[\"']?(.*?)[\"']?\s*$", header[1], re.MULTILINE)] if header else []
    titles.append(re.search(r"^#\s+(.+)$", body, re.MULTILINE))
    title = next((match[1] for match in titles if match), Path(source).stem)
    plugins = ["table", "strikethrough", "footnotes", "task_lists", "url", "def_list"]
    content = str(mistune.create_markdown(escape=False, plugins=plugins)(body))
    content = re.sub(r'(<img\b[^>]*?\bsrc=")([^"]+)(")', embedded, content)
    Path(page).write_text(
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{html.escape(title)}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{STYLE}</style></head><body>\n'
        f"{content}</body></html>\n",
        "utf-8",
    )


def embedded(match: re.Match[str]) -> str:
    """An image of the workload's folder becomes part of the page; any other stays an address."""
    address = html.unescape(match[2])
    if re.match(r"[a-zA-Z][a-zA-Z0-9+.-]*:|//", address):
        return match[0]
    path = Path(unquote(address.partition("?")[0].partition("#")[0]))
    if not path.is_file():
        print(f"the image {address!r} is not there", file=sys.stderr)
        return match[0]
    kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    return f"{match[1]}data:{kind};base64,{base64.b64encode(path.read_bytes()).decode()}{match[3]}"


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], json.loads(sys.argv[3]))
