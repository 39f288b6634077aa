"""What is in a message: its text and its attachments. Messages are hostile input; nothing here raises for one."""

from __future__ import annotations

import re
from dataclasses import dataclass
from email import message_from_bytes
from email.message import EmailMessage, Message
from email.policy import default
from html.parser import HTMLParser

MAX_TEXT = 200_000
"""Characters of a message's text that are shown."""

SHOWN_HEADERS = ("From", "To", "Cc", "Reply-To", "Date")


@dataclass(frozen=True)
class Attachment:
    """A file in a message. `kind` is its media type as the message says it."""

    name: str
    kind: str
    content: bytes


@dataclass(frozen=True)
class Content:
    """A message as a person reads it: headers in the order of `SHOWN_HEADERS`, as far as they are there."""

    headers: tuple[tuple[str, str], ...]
    subject: str
    text: str
    attachments: tuple[Attachment, ...]


def read(message: bytes) -> Content:
    """Take a message apart."""
    parsed = message_from_bytes(message, policy=default)
    texts: list[str] = []
    pages: list[str] = []
    attachments: list[Attachment] = []
    for part in parsed.walk():
        if part.is_multipart():
            continue
        kind = part.get_content_type()
        name = _file_name(part)
        if kind in ("text/plain", "text/html") and not name and part.get_content_disposition() != "attachment":
            (texts if kind == "text/plain" else pages).append(_text(part))
        else:
            attachments.append(Attachment(name or f"part-{len(attachments) + 1}", kind, _bytes(part)))
    text = "\n".join(texts) if texts else "\n".join(_as_text(page) for page in pages)
    if len(text) > MAX_TEXT:
        text = f"{text[:MAX_TEXT]}\n… {len(text) - MAX_TEXT} characters more"
    headers = tuple((name, header(parsed, name)) for name in SHOWN_HEADERS if header(parsed, name))
    return Content(headers, header(parsed, "subject"), text, tuple(attachments))


def header(message: Message | EmailMessage, name: str) -> str:
    """A header decoded, on one line; "" if there is none or it cannot be read."""
    try:
        value = str(message.get(name) or "")
    except Exception:  # the parser of structured headers fails in many ways on what is none
        value = ""
    return printable(value)


def printable(text: str) -> str:
    """One line without control characters, and without what turns the direction of writing."""
    return "".join(character if character.isprintable() else " " for character in text).strip()


def _file_name(part: Message) -> str:
    try:
        name = part.get_filename() or ""
    except Exception:
        name = ""
    return re.split(r"[/\\]", printable(name))[-1][:150].strip(". ")


def _bytes(part: Message) -> bytes:
    try:
        payload = part.get_payload(decode=True)
    except Exception:
        payload = b""
    return payload if isinstance(payload, bytes) else b""


def _text(part: Message) -> str:
    try:
        text = _bytes(part).decode(part.get_content_charset() or "utf-8", "replace")
    except (LookupError, ValueError):
        text = _bytes(part).decode("utf-8", "replace")
    return text.replace("\r\n", "\n")


class _Words(HTMLParser):
    """The words of a page, a line a block."""

    BLOCKS = frozenset(
        [
            "p",
            "div",
            "br",
            "tr",
            "li",
            "h1",
            "h2",
            "h3",
            "h4",
            "h5",
            "h6",
            "table",
            "ul",
            "ol",
            "pre",
            "blockquote",
            "section",
            "article",
            "hr",
        ]
    )
    UNSEEN = frozenset(("script", "style", "head", "title"))

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.words: list[str] = []
        self._unseen = 0

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self._unseen += tag in self.UNSEEN
        if tag in self.BLOCKS:
            self.words.append("\n")
        if tag == "a" and not self._unseen:
            link = dict(attributes).get("href") or ""
            if link.startswith(("http://", "https://")):
                self.words.append(f" {link} ")

    def handle_endtag(self, tag: str) -> None:
        self._unseen = max(0, self._unseen - (tag in self.UNSEEN))
        if tag in self.BLOCKS:
            self.words.append("\n")

    def handle_data(self, data: str) -> None:
        if not self._unseen:
            self.words.append(re.sub(r"\s+", " ", data))


def _as_text(page: str) -> str:
    words = _Words()
    try:
        words.feed(page)
        words.close()
    except Exception:  # half a tag at the end, and the like
        return page
    lines = [line.strip() for line in "".join(words.words).splitlines()]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()
