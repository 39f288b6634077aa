"""What the control socket answers about the inbox: for programs of the person whose cloud it is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from localcloud.mail import Letter, Mailbox
from localcloud.mail.content import read


def listing(mailbox: Mailbox | None, request: Mapping[str, Any]) -> dict[str, Any]:
    """`{"messages": […]}`, oldest first: all, those `to` an address, those `after` a number."""
    letters = mailbox.letters(str(request.get("to") or ""), int(request.get("after") or 0)) if mailbox else []
    return {"messages": [_described(letter) for letter in letters]}


def message(mailbox: Mailbox | None, request: Mapping[str, Any]) -> dict[str, Any]:
    """The message of a `number` as a person reads it; an error where it is not kept."""
    number = int(request["number"])
    kept = mailbox.message(number) if mailbox else None
    if kept is None:
        return {"error": f"there is no message {number} in the inbox"}
    letter, source = kept
    content = read(source)
    files = [{"name": each.name, "type": each.kind, "size": len(each.content)} for each in content.attachments]
    return {**_described(letter), "headers": dict(content.headers), "text": content.text, "attachments": files}


def _described(letter: Letter) -> dict[str, Any]:
    return {
        "number": letter.number,
        "arrived": f"{letter.arrived:%Y-%m-%dT%H:%M:%SZ}",
        "from": letter.sender,
        "to": list(letter.recipients),
        "subject": letter.subject,
        "size": letter.size,
    }
