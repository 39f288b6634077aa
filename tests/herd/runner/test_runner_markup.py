"""Where a page can be added to: each page here is something that people or their tools write."""

from __future__ import annotations

import io
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from herd.runner import markup
from herd.runner.markup import Edit, admitting

HERE = "^"
"""Where the footer goes in the pages below; a page without one takes none."""


@pytest.mark.parametrize(
    "page",
    [
        pytest.param("<!doctype html><html><body><p>x</p>^</body></html>", id="whole"),
        pytest.param("<html><body>x^</body>\n</html>\n<!-- made by knitr -->\n", id="comment behind"),
        pytest.param("<h1>x</h1>\n^", id="fragment"),
        pytest.param("^", id="empty"),
        pytest.param("plain text, 1 < 2 & 3 > 2^", id="no tag"),
        pytest.param("<html><body><p>x^", id="no end"),
        pytest.param("<HTML><BODY>x^</BODY ></HTML>", id="capital letters"),
        pytest.param("<body>x</body><div>y</div>^", id="content behind the body"),
        pytest.param("<body>x</body></html><body>y^</body></html>", id="two pages glued together"),
        pytest.param("<body><script>document.write('</body></html>')</script>x^</body>", id="end of body in a script"),
        pytest.param("<body>x^</body><!-- </body> -->", id="end of body in a comment"),
        pytest.param(
            "<body><script>var a = '<!--<script></script></body>';</script>x^</body>", id="script in a script"
        ),
        pytest.param("<body><script>// <!--\nvar a = 1; // -->\n</script>x^</body>", id="script in a comment"),
        pytest.param('<body><p title="</body>">x</p>^</body>', id="end of body in an attribute"),
        pytest.param("<body><p title='a>b</body>'>x</p>^</body>", id="greater-than in an attribute"),
        pytest.param("<body><p title=a>x</p><br/>^</body>", id="attribute without quotes"),
        pytest.param("<body><p a\"b='>'>x</p>^</body>", id="quote in a name"),
        pytest.param("<body><textarea></body></textarea>^</body>", id="end of body in a text area"),
        pytest.param("<body><style>p::after { content: '</body>' }</style>^</body>", id="end of body in a style"),
        pytest.param("<title></body></title><body>x^</body>", id="end of body in a title"),
        pytest.param("<body><svg><title/><style/><path d='M0'/></svg>^</body>", id="closed at once in a drawing"),
        pytest.param("<body><svg><style><![CDATA[ a > b </body> ]]></style></svg>^</body>", id="CDATA in a drawing"),
        pytest.param("<body><!--> x ^</body>", id="a comment that is closed at once"),
        pytest.param("<body><? php </body> ?>x^</body>", id="an instruction"),
        pytest.param("<body>x^<script>var a = 1;", id="script left open"),
        pytest.param("<body>x^<!-- left </body>", id="comment left open"),
        pytest.param("<body>x^<textarea>y</body>", id="text area left open"),
        pytest.param('<body>x^<p title="left </body>', id="attribute left open"),
        pytest.param("<body>x^<p clas", id="tag left open"),
        pytest.param("<body>x^<plaintext></body>", id="plaintext"),
        pytest.param("<body>x^<template><p>y</body></html>", id="template left open"),
        pytest.param("<body>x^<svg><g><path d='M0'/></body>", id="drawing left open"),
        pytest.param("<body><template><p>y</template><svg></svg>x^</body>", id="template closed"),
        pytest.param("<html><frameset cols='1,1'><frame src=a><frame src=b></frameset></html>", id="frames"),
        pytest.param("\ufeff<body>x^</body>", id="byte order mark"),
        pytest.param("<body>日本 ü^</body>", id="letters"),
    ],
)
def test_where_a_page_ends(page: str) -> None:
    before, here, after = page.partition(HERE)
    expected = len(before.encode()) if here else None
    assert markup.read((before + after).encode()).end == expected


@pytest.mark.parametrize(
    ("page", "is_document"),
    [
        ("<!DOCTYPE html><p>x", True),
        ("<html><p>x", True),
        ("<body>x", True),
        ("<li>x</li>", False),
        ("<!-- <html> --><li>x</li>", False),
        ("<script>'<html>'</script>", False),
    ],
)
def test_a_part_that_another_page_loads_is_no_document(page: str, is_document: bool) -> None:
    assert markup.read(page.encode()).is_document is is_document


@pytest.mark.parametrize(
    "page",
    [
        pytest.param('<html xmlns="x"><script src="a"/><body>x^</body></html>\n', id="whole"),
        pytest.param("<html><body>x^</body>\n</html><!-- made -->\n", id="comment behind"),
        pytest.param("<html><body>x</body>y</html>", id="content behind the body"),
        pytest.param("<h:html><h:body>x</h:body></h:html>", id="names with a prefix"),
        pytest.param("<html><body>x<!-- </body></html> -->", id="end in a comment"),
    ],
)
def test_where_a_page_of_xhtml_ends(page: str) -> None:
    before, here, after = page.partition(HERE)
    assert markup.read_xml((before + after).encode()).end == (len(before) if here else None)


HASH = "sha256-x"


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        ("default-src 'self'", "default-src 'self'; script-src 'self' 'sha256-x'"),
        ("default-src 'none'; img-src *", "default-src 'none'; img-src *; script-src 'sha256-x'"),
        ("script-src 'none'", "script-src 'sha256-x'"),
        ("default-src *; script-src 'nonce-1'", "default-src *; script-src 'nonce-1' 'sha256-x'"),
        ("script-src 'self'; script-src-elem 'self'", "script-src 'self'; script-src-elem 'self' 'sha256-x'"),
        ("Script-Src 'self' 'unsafe-inline'", "Script-Src 'self' 'unsafe-inline'"),
        ("script-src 'unsafe-inline' 'sha256-a'", "script-src 'unsafe-inline' 'sha256-a' 'sha256-x'"),
        ("img-src 'self'", "img-src 'self'"),
        ("script-src a; script-src b", "script-src a 'sha256-x'; script-src b"),
        ("", ""),
    ],
)
def test_a_policy_admits_one_script_more_and_nothing_else(policy: str, expected: str) -> None:
    tag = f'<meta charset=x http-equiv="Content-Security-Policy" content="{policy}">'.encode()
    [(start, end)] = markup.read(b"<head>" + tag + b"</head>").policies
    assert (start, end) == (6, 6 + len(tag))
    written = admitting(tag, HASH).decode()
    assert written == tag.decode().replace(f'"{policy}"', '"' + expected.replace("'", "&#x27;") + '"')


def test_a_policy_in_a_comment_or_of_another_kind_is_none() -> None:
    page = b"<!-- <meta http-equiv=content-security-policy content=x> --><meta name=content-security-policy content=x>"
    assert markup.read(page).policies == []


@given(
    st.lists(st.sampled_from(["<", ">", "!--", "-->", "script", "/", "body", '"', "'", "=", " ", "x", "svg", "]]>"]))
)
def test_every_page_is_read_and_what_it_was_stays_in_it(parts: list[str]) -> None:
    page = "".join(parts).encode()
    read = markup.read(page)
    target = io.BytesIO()
    markup.write(page, [] if read.end is None else [Edit(read.end, read.end, b"\0")], target)
    assert target.getvalue().replace(b"\0", b"") == page


@pytest.mark.parametrize("bom", [b"\xff\xfe", b"\xfe\xff"])
def test_utf_16_stays_utf_16(bom: bytes) -> None:
    encoding = {b"\xff\xfe": "utf-16-le", b"\xfe\xff": "utf-16-be"}[bom]
    page, target = bom + "<body>ü日</body>".encode(encoding), io.BytesIO()
    markup.edited(page, target, lambda text: [Edit(end := markup.read(text).end or 0, end, b"!")])
    assert target.getvalue() == bom + "<body>ü日!</body>".encode(encoding)
    broken, target = page + b"\0", io.BytesIO()
    markup.edited(broken, target, lambda text: [Edit(0, 0, b"!")])
    assert target.getvalue() == broken


@pytest.mark.parametrize(
    ("page", "encoding"),
    [("ü".encode(), "utf-8"), (b"", "utf-8"), ("ü".encode("latin-1"), None), (b"\xff\xfe<\0", "utf-16-le")],
)
def test_the_encoding_of_a_page(page: bytes, encoding: str | None) -> None:
    assert markup.encoding_of(page) == encoding


@pytest.mark.parametrize(
    "part",
    [
        pytest.param(b"<td class='a'>1</td>", id="tags"),
        pytest.param(b"<!--", id="comments left open"),
        pytest.param(b'<p a="', id="attributes left open"),
        pytest.param(b"<script><!--<script>", id="scripts left open"),
        pytest.param(b"< ", id="no tags"),
        pytest.param(b"=", id="signs"),
    ],
)
def test_time_grows_with_the_size_alone(part: bytes, tmp_path: Path) -> None:
    file = tmp_path / "big.html"
    file.write_bytes(b"<body>" + part * (2_000_000 // len(part)))
    started = time.process_time()
    with file.open("rb") as stream, markup.mapped(stream) as page:
        markup.read(page)
    assert time.process_time() - started < 5
