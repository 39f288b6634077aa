"""How a review looks: the comment at the width of GitHub's, and the page, in light and in dark, in a real browser.

`HERD_PICTURES=FOLDER` keeps the pictures, to be looked at.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from markdown_it import MarkdownIt

from herd.review import words
from herd.review.comment import comment
from herd.review.document import Document, document
from herd.review.page import page
from tests.herd.planning import event, plan
from tests.herd.review import recorded
from tests.herd.test_herd_comment import HOSTILE, NOW, everything
from tests.live.support import browser

COMMENT_PX = 770
"""The text of a comment in a pull request, on a wide screen."""

PHONE_PX = 500
"""The narrowest window that a browser without a screen makes."""

GITHUB = """
body { margin: 0; color: #1f2328;
  font: 14px/1.5 -apple-system, "Segoe UI", "Noto Sans", "Liberation Sans", sans-serif; }
article { box-sizing: border-box; max-width: 770px; padding: 16px; overflow-wrap: break-word; }
h3 { font-size: 1.25em; margin: 0 0 16px; }
h4 { font-size: 1em; margin: 24px 0 16px; }
ul { padding-left: 2em; margin: 0 0 16px; }
li > ul { margin: 0; }
li + li { margin-top: .25em; }
p, details { margin: 0 0 16px; }
code { font: 85% ui-monospace, "Liberation Mono", monospace; background: #818b981f; border-radius: 6px;
  padding: .2em .4em; white-space: break-spaces; }
pre { background: #f6f8fa; padding: 16px; overflow: auto; border-radius: 6px; }
pre code { background: none; padding: 0; white-space: pre; }
"""
"""What GitHub's style says of what a comment has in it."""


@pytest.fixture(scope="module")
def window(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with browser(tmp_path_factory.mktemp("profile")) as session:
        yield session


def as_on_github(text: str) -> str:
    body = MarkdownIt("commonmark").enable("table").render(text)
    return f"<!doctype html><meta charset=utf-8><style>{GITHUB}</style><article>{body}</article>"


def whole() -> Document:
    made = everything()
    return document(made, words.of(made, NOW, frozenset({"web"})))


LOOKS = [
    ("comment", COMMENT_PX, "light", lambda: as_on_github(comment(whole(), "dev"))),
    *(
        (path.stem, COMMENT_PX, "light", lambda path=path: as_on_github(path.read_text(encoding="utf-8")))
        for path in (recorded.RECORDED / f"{name}.md" for name in ("several-at-once", "job-removed", "reads-more"))
    ),
    ("page", 1100, "light", lambda: page(whole())),
    ("page", 1100, "dark", lambda: page(whole())),
    ("page", PHONE_PX, "dark", lambda: page(whole())),
]


@pytest.mark.parametrize(("name", "width", "scheme", "html"), LOOKS, ids=[f"{n}-{w}-{s}" for n, w, s, _ in LOOKS])
def test_a_review_fits_its_place_and_can_be_read(
    window: Any, tmp_path: Path, name: str, width: int, scheme: str, html: Any
) -> None:
    file = tmp_path / "review.html"
    file.write_text(html(), encoding="utf-8")
    feature = {"name": "prefers-color-scheme", "value": scheme}
    window.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})
    metrics = {"width": width, "height": 1400, "deviceScaleFactor": 1, "mobile": False}
    window.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    window.get(file.as_uri())
    if folder := os.environ.get("HERD_PICTURES"):
        Path(folder).mkdir(parents=True, exist_ok=True)
        window.save_screenshot(str(Path(folder) / f"{name}-{width}-{scheme}.png"))
    window.execute_script("document.querySelectorAll('details').forEach(one => one.open = true)")
    assert window.execute_script("return document.documentElement.scrollWidth") <= width, "it is cut off at the right"
    ink, paper = window.execute_script(
        "const style = getComputedStyle(document.body); return [style.color, style.backgroundColor]"
    )
    assert contrast(ink, paper if "0, 0, 0, 0" not in paper else "rgb(255, 255, 255)") >= 7
    assert window.get_log("browser") == [], "something could not be shown or loaded"


def contrast(one: str, other: str) -> float:
    """Of two colours as CSS writes them (WCAG 2.1, 1.4.3)."""
    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def luminance(colour: str) -> float:
    parts = [int(part) / 255 for part in colour.split("(")[1].rstrip(")").split(",")[:3]]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("name", HOSTILE)
def test_what_a_pull_request_calls_its_things_stays_text_on_the_page(name: str) -> None:
    made = plan(event("delete", "aws:s3/bucket:Bucket", name, name, old={}))
    made.messages.append(name)
    harmless = plan(event("delete", "aws:s3/bucket:Bucket", "n", "n", old={}))
    harmless.messages.append("n")
    pages = [page(document(one, words.of(one, NOW))) for one in (made, harmless)]
    tags = [re.findall(r"<[^>]*>", text) for text in pages]
    assert tags[0] == tags[1]
    assert all(char.isprintable() or char == "\n" for char in pages[0])
