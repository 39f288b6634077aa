"""A page as one file: what stands for what it loads, what stays as it is, and what is named because it is missing."""

from __future__ import annotations

import base64
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from herd.runner.self_contained import first_page, self_contained

PICTURE = b"\x89PNG\r\n\x1a\n"
FILES = {
    "img/a b.png": PICTURE,
    "style.css": b"@import 'more/fonts.css'; p { background: url(img/a%20b.png) }",
    "more/fonts.css": b"@font-face { src: url('../f.woff2') }",
    "f.woff2": b"font",
    "app.js": b"console.log('</script>')",
    "module.js": b"import './other.js'",
    "frame.html": b"<p>inside <img src='img/a b.png'>",
    "again.html": b"<iframe src=index.html></iframe>",
}


def data(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


PNG = data("image/png", PICTURE)


def text_of(html: str, **files: bytes) -> str:
    return self_contained("index.html", {**FILES, **files, "index.html": html.encode()}).content.decode()


@pytest.mark.parametrize(
    ("html", "expected"),
    [
        pytest.param('<img src="img/a%20b.png">', f'<img src="{PNG}">', id="a picture"),
        pytest.param("<img src='./img/../img/a%20b.png?v=2#x'>", f'<img src="{PNG}#x">', id="another way to write it"),
        pytest.param("<img src=img/a%20b.png alt=x>", f'<img src="{PNG}" alt=x>', id="without quotes"),
        pytest.param(
            '<img srcset="img/a%20b.png 1x, https://e.example/b.png 2x">',
            f'<img srcset="{PNG} 1x, https://e.example/b.png 2x">',
            id="a choice of pictures",
        ),
        pytest.param('<script src="app.js" defer></script>',
                     f'<script src="{data("text/javascript;charset=utf-8", FILES["app.js"])}" defer></script>',
                     id="a script that has the end of one in it"),
        pytest.param('<p style="background:url(img/a%20b.png)">',
                     f'<p style="background:url(&quot;{PNG}&quot;)">', id="a style of an element"),
        pytest.param("<style>p{background:url('img/a%20b.png')}</style>",
                     f'<style>p{{background:url("{PNG}")}}</style>', id="a style of the page"),
        pytest.param("<!-- <img src=img/a%20b.png> -->", "<!-- <img src=img/a%20b.png> -->", id="a comment"),
        pytest.param('<a href="img/a%20b.png">', '<a href="img/a%20b.png">', id="a link is not loaded"),
        pytest.param('<link rel="next" href="frame.html">', '<link rel="next" href="frame.html">', id="nor this one"),
        pytest.param('<img src="https://e.example/x.png">', '<img src="https://e.example/x.png">', id="of others"),
        pytest.param('<img src="data:,x"><img src="#y">', '<img src="data:,x"><img src="#y">', id="no file"),
    ],
)  # fmt: skip
def test_what_it_loads_is_in_it(html: str, expected: str) -> None:
    assert text_of(html) == expected


def test_styles_bring_styles_and_fonts() -> None:
    outer = re.search(r"base64,([^\"]+)", text_of('<link rel="stylesheet" href="style.css">'))
    assert outer is not None
    style = base64.b64decode(outer[1]).decode()
    assert PNG in style
    inner = re.search(r'@import url\("data:text/css;charset=utf-8;base64,([^"]+)"\)', style)
    assert inner is not None
    assert data("font/woff2", b"font") in base64.b64decode(inner[1]).decode()


def test_a_frame_is_a_page_of_its_own() -> None:
    frame = re.search(r"data:text/html;charset=utf-8;base64,([^\"]+)", text_of('<iframe src="frame.html"></iframe>'))
    assert frame is not None and PNG in base64.b64decode(frame[1]).decode()


@pytest.mark.parametrize(
    ("html", "left"),
    [
        pytest.param('<img src="gone.png">', ["gone.png"], id="what was not published"),
        pytest.param('<a href="frame.html#top">', ["frame.html (a link)"], id="another page"),
        pytest.param('<iframe src="again.html"></iframe>', ["index.html"], id="a frame that shows the page again"),
        pytest.param('<svg><use href="sprite.svg#x"/></svg>', ["sprite.svg#x"], id="a part of a picture"),
        pytest.param('<script type="module" src="module.js"></script>', ["what module.js imports"], id="imports"),
        pytest.param('<img src="../../etc/passwd">', [], id="outside"),
        pytest.param('<img src="/other/x.png">', [], id="of another report"),
    ],
)
def test_what_is_missing_is_named(html: str, left: list[str]) -> None:
    shared = self_contained("index.html", {**FILES, "index.html": html.encode()})
    assert shared.left == left


def test_what_comes_from_elsewhere_is_named() -> None:
    html = b'<script src="https://cdn.example/x.js"></script><img src="img/a b.png">'
    shared = self_contained("index.html", {**FILES, "index.html": html})
    assert (shared.elsewhere, shared.inlined) == (("https://cdn.example/x.js",), 1)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "windows-1252"])
def test_other_encodings_stay(encoding: str) -> None:
    html = "<p>Grüße <img src='img/a b.png'>"
    content = self_contained("index.html", {**FILES, "index.html": html.encode(encoding)}).content
    assert content.decode(encoding) == f'<p>Grüße <img src="{PNG}">'


@given(
    st.binary()
    | st.lists(st.sampled_from(["<p>", "<!--", "-->", "<a href=x>", "<svg", "<script>", "é", "\0", "'"]))
    .map("".join)
    .map(str.encode)
)
def test_a_page_that_loads_nothing_stays_byte_for_byte(page: bytes) -> None:
    assert self_contained("index.html", {"index.html": page}).content == page


@pytest.mark.parametrize(
    ("paths", "page"),
    [
        (["index.html", "other.html"], "index.html"),
        (["report.html", "img/a.png"], "report.html"),
        (["a.html", "b.html"], None),
        ([], None),
    ],
)
def test_the_first_page(paths: list[str], page: str | None) -> None:
    assert first_page(paths) == page
