"""`herd inbox`: the mail that the local cloud's environments send."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from herd import console
from herd.commands.options import Environment, Stack
from herd.errors import HerdError, WrongInput

if TYPE_CHECKING:
    from herd.targets.inbox import Inbox, Mail, Message


def inbox(
    number: Annotated[
        int | None, typer.Argument(metavar="N", min=1, help="Show this message whole.", show_default=False)
    ] = None,
    to: Annotated[
        str | None, typer.Option("--to", metavar="ADDRESS", help="Only what went to this address.", show_default=False)
    ] = None,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on showing messages as they come; Ctrl-C ends it.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="For scripts: one JSON object, times in UTC.")] = False,
    environment: Environment = None,
    stack: Stack = None,
) -> None:
    """Show the mail that the local cloud has sent, as each owner gets it: newest last, of all its environments.

    [dim]herd inbox[/dim]                        a line a message
    [dim]herd inbox 12[/dim]                     message 12 whole
    [dim]herd inbox --to data@example.com -f[/dim]  what this person gets, as it comes
    """
    from herd.checkout import names
    from herd.targets.choose import choose

    recipient = names.address(to) or ""
    target = choose(environment, stack)
    mailbox = target.inbox
    if mailbox is None:
        raise HerdError(f"mail of {target.name} goes to people's own mailboxes; only a local cloud has an inbox")
    if number is not None and (recipient or follow):
        raise WrongInput("`herd inbox 12` shows one message: it takes neither --to nor --follow")
    if follow and as_json:
        raise WrongInput("--follow goes on for ever and --json is one object: give one of them")
    if number is not None:
        _show(mailbox.message(number), as_json)
        return
    messages = mailbox.messages(recipient)
    if as_json:
        import json

        document = {"page": mailbox.page, "messages": [_as_json(one) for one in messages]}
        console.document(json.dumps(document, indent=2) + "\n")
        return
    _list(messages)
    if not messages:
        console.note(f"no mail {f'to {recipient} ' if recipient else ''}yet")
    elif not follow:
        console.note(f"`herd inbox 12` shows message 12 whole; in a browser: {mailbox.page}", style="dim")
    if follow:
        _follow(mailbox, recipient, messages[-1].number if messages else 0, target.pace.follow)


def _follow(mailbox: Inbox, recipient: str, last: int, seconds: float) -> None:
    import time
    from contextlib import suppress

    with suppress(KeyboardInterrupt):
        while True:
            time.sleep(seconds)
            for one in mailbox.messages(recipient, last):
                console.say("  ".join(_row(one)))
                last = one.number


def _list(messages: list[Mail]) -> None:
    if messages:
        console.table(["N", "ARRIVED", "TO", "SUBJECT"], [_row(one) for one in messages])


def _row(one: Mail) -> list[str]:
    return [str(one.number), f"{one.arrived.astimezone():%Y-%m-%d %H:%M:%S}", ", ".join(one.recipients), one.subject]


def _show(message: Message, as_json: bool) -> None:
    from herd.commands.tables import size

    if as_json:
        import json

        files = [{"name": name, "type": kind, "size": length} for name, kind, length in message.attachments]
        document = {**_as_json(message.mail), "headers": dict(message.headers), "text": message.text,
                    "attachments": files}  # fmt: skip
        console.document(json.dumps(document, indent=2) + "\n")
        return
    mail = message.mail
    console.say(mail.subject, style="bold")
    console.say(f"Arrived: {mail.arrived.astimezone():%Y-%m-%d %H:%M:%S}, for {', '.join(mail.recipients)}")
    for name, value in message.headers.items():
        console.say(f"{name}: {value}")
    console.say()
    for line in message.text.rstrip("\n").split("\n"):
        console.log_line(line)
    for name, kind, length in message.attachments:
        console.say()
        console.say(f"attached: {name} ({kind}, {size(length)})")


def _as_json(one: Mail) -> dict[str, object]:
    return {
        "number": one.number,
        "arrived": f"{one.arrived:%Y-%m-%dT%H:%M:%SZ}",
        "from": one.sender,
        "to": list(one.recipients),
        "subject": one.subject,
        "size": one.size,
    }
