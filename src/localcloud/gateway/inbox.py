"""`http://inbox.localhost:PORT/`: the account's mail, newest first, and each message as text.

Whoever reaches this machine's loopback reads it, as the pages that tasks publish. It changes nothing.
"""

from __future__ import annotations

import re
from datetime import datetime
from html import escape
from urllib.parse import parse_qs, quote

from localcloud import mail
from localcloud.gateway import own_pages
from localcloud.mail.content import Content, read
from localcloud.request import Response
from localcloud.signing import Message

REFRESH_SECONDS = 10
_PATH = re.compile(r"/messages/(\d{1,15})(?:/(source|attachments/(\d{1,4})))?")
_LINK = re.compile(r"https?://[^\s<>\"'`]+")


class InboxPage:
    """Blocking: called from a worker thread."""

    def __init__(self, account: str):
        self._account = account

    def answer(self, message: Message) -> Response:
        mailbox = mail.mailbox(self._account)
        if message.method not in ("GET", "HEAD"):
            return own_pages.said("Not here", "The inbox is only read.", 405)
        if message.path == "/":
            to = (parse_qs(message.query).get("to") or [""])[0]
            return _list(mailbox.letters(to) if mailbox is not None else [], to)
        match = _PATH.fullmatch(message.path)
        kept = mailbox.message(int(match[1])) if mailbox is not None and match else None
        if match is None or kept is None:
            return own_pages.said("No such message", "It is not kept, or not any more.", 404)
        letter, source = kept
        if match[2] == "source":
            return own_pages.file(f"message-{letter.number}.eml", source)
        content = read(source)
        if match[3] is None:
            return _message(letter, content)
        place = int(match[3])
        if not 1 <= place <= len(content.attachments):
            return own_pages.said("No such attachment", "The message has none of that number.", 404)
        attachment = content.attachments[place - 1]
        return own_pages.file(attachment.name, attachment.content)


def _list(letters: list[mail.Letter], to: str) -> Response:
    shown = f"to {to} · " if to else ""
    count = f"{len(letters)} message{'' if len(letters) == 1 else 's'}"
    everyone = ' · <a href="/">all messages</a>' if to else ""
    head = f'<h1>Inbox</h1><p class="note">{escape(shown)}{count}{everyone}</p>'
    if not letters:
        empty = '<div class="card"><div class="empty">No mail yet. What the local cloud sends arrives here.</div></div>'
        return own_pages.page("Inbox", head + empty, refresh_seconds=REFRESH_SECONDS)
    rows = "".join(_row(letter) for letter in reversed(letters))
    table = (
        '<div class="card"><table><thead><tr><th class="number">No.</th><th class="time">Arrived</th>'
        f'<th class="to">To</th><th>Subject</th><th class="size">Size</th></tr></thead>'
        f"<tbody>{rows}</tbody></table></div>"
    )
    return own_pages.page("Inbox", head + table, refresh_seconds=REFRESH_SECONDS)


def _row(letter: mail.Letter) -> str:
    people = ", ".join(
        f'<a href="/?to={quote(each, safe="")}">{escape(each)}</a>' for each in letter.recipients
    )  # a click on a person shows what that person got
    return (
        f'<tr><td class="number">{letter.number}</td><td class="time">{_time(letter.arrived)}</td>'
        f'<td class="to">{people}</td><td class="subject"><a href="/messages/{letter.number}">'
        f'{escape(letter.subject) or "(no subject)"}</a></td><td class="size">{size(letter.size)}</td></tr>'
    )


def _message(letter: mail.Letter, content: Content) -> Response:
    title = letter.subject or "(no subject)"
    fields = [("Arrived", _time(letter.arrived)), ("Delivered to", escape(", ".join(letter.recipients)))]
    fields += [(name, escape(value)) for name, value in content.headers]
    details = "".join(f"<dt>{escape(name)}</dt><dd>{value}</dd>" for name, value in fields)
    files = "".join(
        f'<li><a href="/messages/{letter.number}/attachments/{place}">{escape(each.name)}</a> '
        f"<span>{escape(each.kind)} · {size(len(each.content))}</span></li>"
        for place, each in enumerate(content.attachments, 1)
    )
    attached = f'<ul class="files">{files}</ul>' if files else ""
    body = (
        f'<p class="note"><a href="/">← Inbox</a></p><h1>{escape(title)}</h1>'
        f'<p class="note">Message {letter.number} · <a href="/messages/{letter.number}/source">source</a></p>'
        f'<div class="card"><dl>{details}</dl><pre>{_linked(content.text)}</pre>{attached}</div>'
    )
    return own_pages.page(title, body)


def _linked(text: str) -> str:
    """Text as HTML, its addresses as links."""
    pieces, end = [], 0
    for match in _LINK.finditer(text):
        address = match[0].rstrip(".,;:!?)]}")
        link = f'<a href="{escape(address)}" rel="noopener noreferrer">{escape(address)}</a>'
        pieces += [escape(text[end : match.start()]), link]
        end = match.start() + len(address)
    return "".join([*pieces, escape(text[end:])])


def _time(moment: datetime) -> str:
    return f'<time datetime="{moment.isoformat()}">{moment.astimezone():%Y-%m-%d %H:%M:%S}</time>'


def size(count: int) -> str:
    """Bytes as people read them."""
    return f"{count} B" if count < 1000 else f"{count / 1e3:.1f} kB" if count < 1e6 else f"{count / 1e6:.1f} MB"
