"""The inbox of a local cloud: the mail that its environments send, which on AWS would be in people's own mailboxes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from herd.targets.local_cloud import LocalCloud


@dataclass(frozen=True)
class Mail:
    """One message of a list; `number` is how it is asked for, `size` is in bytes."""

    number: int
    arrived: datetime
    sender: str
    recipients: tuple[str, ...]
    subject: str
    size: int


@dataclass(frozen=True)
class Message:
    """A message whole: what a list shows of it, its headers, its text, and name, type and size of each attachment."""

    mail: Mail
    headers: Mapping[str, str]
    text: str
    attachments: tuple[tuple[str, str, int], ...]


class Inbox:
    """The mail of one local cloud, of all its environments."""

    def __init__(self, cloud: LocalCloud) -> None:
        self._cloud = cloud

    @property
    def page(self) -> str:
        """Address of the page that shows it."""
        return self._cloud.inbox

    def messages(self, to: str = "", after: int = 0) -> list[Mail]:
        """What is kept, oldest first: to one address, and after a number, where these are given."""
        answer = self._cloud.ask({"do": "inbox", "to": to, "after": after})
        return [_mail(entry) for entry in answer["messages"]]

    def message(self, number: int) -> Message:
        """Raises HerdError where there is none of that number."""
        answer = self._cloud.ask({"do": "message", "number": number})
        attachments = tuple((each["name"], each["type"], int(each["size"])) for each in answer["attachments"])
        return Message(_mail(answer), answer["headers"], answer["text"], attachments)


def _mail(entry: Mapping[str, Any]) -> Mail:
    return Mail(
        int(entry["number"]),
        datetime.fromisoformat(entry["arrived"]),
        entry["from"],
        tuple(entry["to"]),
        entry["subject"],
        int(entry["size"]),
    )
