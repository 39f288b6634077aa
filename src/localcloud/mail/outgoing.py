"""What a request to SES wants to send: from whom, to whom, and the message as it goes over the wire.

The arguments are those of SendEmail and SendRawEmail, of both versions of the API, typed as botocore's models have
them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import SMTP, compat32
from email.utils import format_datetime, getaddresses, parseaddr
from typing import Any

Arguments = Mapping[str, Any]


class CannotSend(Exception):
    """What is to be sent makes no message; the text says why."""


@dataclass(frozen=True)
class Outgoing:
    """The envelope: the sender's address and name, the recipients' addresses; the message where it came whole."""

    sender: str
    name: str
    recipients: tuple[str, ...]
    source: bytes | None


def envelope(arguments: Arguments) -> Outgoing:
    """Where the envelope says nothing, the headers of a message that came whole do, as with SES."""
    raw = _raw(arguments)
    headers = message_from_bytes(raw, policy=compat32) if raw is not None else None
    shown = str(arguments.get("FromEmailAddress") or arguments.get("Source") or "")
    if not shown and headers is not None:
        shown = str(headers.get("From") or "")
    name, sender = parseaddr(shown)
    recipients = list(_recipients(arguments))
    if not recipients and headers is not None:
        lines = [str(line) for field in ("To", "Cc", "Bcc") for line in headers.get_all(field, [])]
        recipients = [address for _, address in getaddresses(lines) if address]
    return Outgoing(sender, name, tuple(dict.fromkeys(recipients)), raw)


def _raw(arguments: Arguments) -> bytes | None:
    content = arguments.get("Content") or {}
    whole = content.get("Raw") or arguments.get("RawMessage")
    return bytes(whole.get("Data") or b"") if whole is not None else None


def _recipients(arguments: Arguments) -> Iterator[str]:
    destination = arguments.get("Destination") or {}
    for field in ("ToAddresses", "CcAddresses", "BccAddresses"):
        yield from (parseaddr(str(each))[1] or str(each) for each in destination.get(field) or ())
    yield from (parseaddr(str(each))[1] or str(each) for each in arguments.get("Destinations") or ())


def message(arguments: Arguments, outgoing: Outgoing, identifier: str, now: datetime) -> bytes:
    """The message over the wire, with date and identifier, and without hidden recipients. Raises `CannotSend`."""
    try:
        made = _whole(outgoing.source) if outgoing.source is not None else _simple(arguments)
        for field, value in (("Date", format_datetime(now)), ("Message-ID", identifier)):
            if field not in made:
                made[field] = value
        return made.as_bytes()
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise CannotSend(f"the message cannot be made: {error}") from error


def _whole(source: bytes) -> Any:
    made = message_from_bytes(source, policy=compat32)
    if not made.keys():
        raise ValueError("it has no headers")
    del made["Bcc"]
    return made


def _simple(arguments: Arguments) -> EmailMessage:
    simple = (arguments.get("Content") or {}).get("Simple") or arguments.get("Message")
    if not simple:
        raise ValueError("templates are not supported here")
    made = EmailMessage(policy=SMTP)
    made["From"] = arguments.get("FromEmailAddress") or arguments.get("Source")
    destination = arguments.get("Destination") or {}
    for field in ("To", "Cc"):
        if people := destination.get(f"{field}Addresses"):
            made[field] = ", ".join(people)
    if answers := arguments.get("ReplyToAddresses"):
        made["Reply-To"] = ", ".join(answers)
    made["Subject"] = simple["Subject"]["Data"]
    for header in simple.get("Headers") or ():
        made[header["Name"]] = header["Value"]
    body = simple.get("Body") or {}
    if "Text" in body:
        made.set_content(body["Text"]["Data"])
    if "Html" in body:
        add = made.add_alternative if "Text" in body else made.set_content
        add(body["Html"]["Data"], subtype="html")
    for each in simple.get("Attachments") or ():
        kind, _, subkind = str(each.get("ContentType") or "application/octet-stream").partition("/")
        made.add_attachment(each["RawContent"], maintype=kind, subtype=subkind, filename=each["FileName"])
    return made
