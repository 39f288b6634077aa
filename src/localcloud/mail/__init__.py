"""E-mail that leaves the cloud: whoever sends one hands it over here, and whoever keeps the account's inbox gets it.

Nobody keeps one while a journal is carried out again: what was sent once is not sent twice.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from typing import Protocol

from localcloud.per_account import PerAccount


@dataclass(frozen=True)
class Letter:
    """What a list shows of a message. Numbers grow and are never given again while one is kept; sizes are bytes."""

    number: int
    arrived: datetime
    sender: str
    recipients: tuple[str, ...]
    subject: str
    size: int


class Mailbox(Protocol):
    """Keeps an account's mail. Each call may be made while the server's lock is held."""

    def keep(self, sender: str, recipients: Sequence[str], message: bytes) -> None:
        """A message as it goes over the wire (RFC 5322), with the addresses on its envelope."""

    def letters(self, to: str = "", after: int = 0) -> list[Letter]:
        """What is kept, oldest first: with `to` what went to that address, with `after` what came after a number."""

    def message(self, number: int) -> tuple[Letter, bytes] | None:
        """A message whole; None if it is not kept (any more)."""

    def follow(self, token: str) -> None:
        """Somebody has followed the link with this token."""

    def was_followed(self, token: str) -> bool:
        """Has anybody followed the link with this token?"""


_mailboxes = PerAccount[Mailbox]()
connect = _mailboxes.connect


def mailbox(account: str) -> Mailbox | None:
    """Who keeps the account's mail; None where nobody does."""
    return _mailboxes.of(account)


def send(account: str, sender: str, recipients: Sequence[str], message: bytes) -> None:
    """Hand a message over."""
    keeper = _mailboxes.of(account)
    if keeper is not None:
        keeper.keep(sender, recipients, message)


INBOX_HOST = "inbox.localhost"
"""Host name of the page that shows an account's mail."""

ADDRESS = re.compile(r"[^@\s<>\"(),:;\[\]\\\x00-\x1f\x7f]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?")
"""An address as people have them; quoted ones are none here."""


def compose(sender: str, name: str, recipient: str, subject: str, text: str) -> bytes:
    """A message of plain text. `sender` is an address, `name` what is shown of it, `subject` one line."""
    message = EmailMessage(policy=SMTP)
    message["From"] = Address(display_name=name, addr_spec=sender)
    message["To"] = recipient
    message["Subject"] = subject
    message.set_content(text)
    return message.as_bytes()
