"""A message as a person reads it."""

from __future__ import annotations

from email.message import EmailMessage

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localcloud.mail.content import MAX_TEXT, read


def message(**headers: str) -> EmailMessage:
    made = EmailMessage()
    for name, value in headers.items():
        made[name.replace("_", "-")] = value
    return made


def test_text_headers_and_files() -> None:
    made = message(From="Änne <a@example.com>", To="b@example.com", Subject="Prüfung")
    made.set_content("Grüße\nzwei")
    made.add_alternative("<p>not this</p>", subtype="html")
    made.add_attachment(b"%PDF", maintype="application", subtype="pdf", filename="../Bericht März.pdf")
    content = read(made.as_bytes())
    assert content.subject == "Prüfung" and content.text == "Grüße\nzwei\n"
    assert dict(content.headers) == {"From": "Änne <a@example.com>", "To": "b@example.com"}
    (file,) = content.attachments
    assert (file.name, file.kind, file.content) == ("Bericht März.pdf", "application/pdf", b"%PDF")


def test_a_page_alone_is_shown_as_its_words() -> None:
    made = message(Subject="s")
    made.set_content(
        "<html><head><title>no</title><style>p{}</style></head><body><h1>One</h1><p>two &amp;   three</p>"
        "<script>alert(1)</script><a href='https://example.com/x'>four</a></body></html>",
        subtype="html",
    )
    assert read(made.as_bytes()).text == "One\n\ntwo & three\nhttps://example.com/x four"


def test_a_long_text_is_cut() -> None:
    made = message(Subject="s")
    made.set_content("x" * (MAX_TEXT + 10))
    assert len(read(made.as_bytes()).text) < MAX_TEXT + 40


@pytest.mark.parametrize(
    "source",
    [
        b"",
        b"Content-Type: text/plain; charset=no-such\r\n\r\nx",
        b"Content-Type: multipart/mixed\r\n\r\nx",
        b"Content-Type: text/html\r\n\r\n<a href='http://x",
        b"Content-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n\r\n%%%",
        b"Subject: =?utf-8?b?////?=\r\nFrom: <<<>>\r\nTo: =?x?q?\r\n\r\nx",
        b'Content-Disposition: attachment; filename="' + b"a" * 5000 + b'"\r\n\r\nx',
    ],
)
def test_what_is_broken_is_shown_as_far_as_it_goes(source: bytes) -> None:
    assert all(len(file.name) <= 150 and "/" not in file.name for file in read(source).attachments)


@given(
    st.binary(max_size=400), st.sampled_from([b"", b"Subject: x\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"])
)
def test_nothing_raises(noise: bytes, head: bytes) -> None:
    content = read(head + noise)
    assert "\n" not in content.subject
