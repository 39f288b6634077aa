"""The inbox: every message that has left the cloud by e-mail, as whoever it is for gets it. It survives, as far as it
fits.
"""

from __future__ import annotations

import json
import logging
import sqlite3
from collections.abc import Sequence
from datetime import UTC, datetime
from email import message_from_bytes
from email.policy import default

from localcloud.agent.clock import Clock
from localcloud.mail import Letter
from localcloud.mail.content import header
from localcloud.runtime.store import Store, to_json

log = logging.getLogger(__name__)

MESSAGES_KEPT = 1_000
BYTES_KEPT = 256 * 2**20
"""Of more than these the oldest are forgotten; the newest message stays however large it is."""


class Inbox:
    """The mail of an account. A `mail.Mailbox`."""

    def __init__(self, store: Store, clock: Clock):
        self._store = store
        self._clock = clock

    def keep(self, sender: str, recipients: Sequence[str], message: bytes) -> None:
        subject = header(message_from_bytes(message, policy=default), "subject")
        try:
            with self._store.changing() as file:
                file.execute(
                    "INSERT INTO mail (arrived, sender, recipients, subject, size, message) VALUES (?, ?, ?, ?, ?, ?)",
                    (self._clock.now().timestamp(), sender, to_json(list(recipients)), subject, len(message), message),
                )
                _prune(file)
        except sqlite3.Error as error:
            log.error("a message to %s is lost: %s", ", ".join(recipients), error)

    def letters(self, to: str = "", after: int = 0) -> list[Letter]:
        rows = self._store.read(
            "SELECT id, arrived, sender, recipients, subject, size FROM mail WHERE id > ? ORDER BY id", (after,)
        )
        letters = [
            Letter(number, datetime.fromtimestamp(arrived, UTC), sender, tuple(json.loads(recipients)), subject, size)
            for number, arrived, sender, recipients, subject, size in rows
        ]
        return [each for each in letters if not to or to.lower() in (one.lower() for one in each.recipients)]

    def message(self, number: int) -> tuple[Letter, bytes] | None:
        letter = next((each for each in self.letters(after=number - 1) if each.number == number), None)
        rows = self._store.read("SELECT message FROM mail WHERE id = ?", (number,)) if letter else []
        return (letter, bytes(rows[0][0])) if letter and rows else None

    def follow(self, token: str) -> None:
        self._store.write("INSERT OR IGNORE INTO followed_link VALUES (?)", (token,))

    def was_followed(self, token: str) -> bool:
        return bool(self._store.read("SELECT 1 FROM followed_link WHERE token = ?", (token,)))


def _prune(file: sqlite3.Connection) -> None:
    bound = 0
    total = 0
    for place, (number, size) in enumerate(file.execute("SELECT id, size FROM mail ORDER BY id DESC")):
        total += size
        if place and (place >= MESSAGES_KEPT or total > BYTES_KEPT):
            bound = number
            break
    if bound:
        file.execute("DELETE FROM mail WHERE id <= ?", (bound,))
