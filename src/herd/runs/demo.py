"""The story that Herd exists for, on the sample: a model is retrained on nonsense, and does not get through."""

from __future__ import annotations

import re
from urllib.parse import parse_qs, urlsplit

from herd import console
from herd.errors import HerdError, WrongInput
from herd.runner.contract.documents import Version
from herd.runs import alarms, rollback, start
from herd.runs.follow import Following, describe, follow
from herd.targets.inbox import Inbox, Mail
from herd.targets.target import Target

MODEL, CHOICE = "delay-model", "choose-model"
"""The sample's job that learns, and the one whose output readers see."""

MAIL_SECONDS = 90.0
"""So long the mail about a run may take; it comes with the event of the run's end."""

CONFIRMATION = re.compile(r"https?://\S+/confirmation\.html\?\S+")


def nonsense(target: Target) -> None:
    """Shuffle, refuse, tell, restore. Raises HerdError where the story does not go as it is to go."""
    inbox = target.inbox
    if inbox is None:
        raise WrongInput("the demo is for the local cloud: on AWS it would mail people")
    if missing := [name for name in (MODEL, CHOICE) if name not in target.require_exports().batch]:
        raise WrongInput(f"the demo is of the sample, and {target.name} has no {' and no '.join(missing)}")
    before = _published(target)
    if before is None:
        raise HerdError(f"{CHOICE} has published nothing yet: `herd up` starts the first run")
    for address in _confirm(target, inbox):
        console.say(f"{address} has asked for its mail")
    try:
        _refused(target, inbox, before)
    finally:
        console.say("and again as it is to be:")
        newest = _newest(inbox)
        restored = _run(target, [])
    if failed := [describe(run) for run in restored.runs.values() if run.failed]:
        raise HerdError("\n".join(["the model could not be made again:", *failed]))
    _show(_mail(target, inbox, newest))


def _refused(target: Target, inbox: Inbox, before: Version) -> None:
    console.say(f"readers see the model of run {before.run_id}; now one is trained on shuffled labels:")
    newest = _newest(inbox)
    run = _run(target, ["shuffle_labels=true"])
    if not any(entry.failed for entry in run.runs.values()):
        raise HerdError("the gate has let nonsense through: look at the checks of the two jobs")
    after = _published(target)
    if after is None or after.run_id != before.run_id:
        raise HerdError(f"readers see another model than before: that of run {after.run_id if after else 'none'}")
    console.say(f"readers still see the model of run {before.run_id}, and the owner has mail:")
    _show(_mail(target, inbox, newest))


def _run(target: Target, params: list[str]) -> Following:
    following = start.begin(target, start.plan(target, MODEL, params, with_dependants=True))
    follow(target, [following], show_logs=False)
    return following


def _published(target: Target) -> Version | None:
    return rollback.latest(target, CHOICE)[0]


def _confirm(target: Target, inbox: Inbox) -> list[str]:
    """Follow the links in the mail of SNS for those who have not; their addresses."""
    waiting = {one.address for one in alarms.subscriptions(target) if not one.is_confirmed}
    for mail in inbox.messages():
        if not waiting & set(mail.recipients):
            continue
        link = CONFIRMATION.search(inbox.message(mail.number).text)
        if link is not None:
            asked = parse_qs(urlsplit(link[0]).query)
            target.client("sns").confirm_subscription(TopicArn=asked["TopicArn"][0], Token=asked["Token"][0])
    return sorted(waiting)


def _newest(inbox: Inbox) -> int:
    return max((mail.number for mail in inbox.messages()), default=0)


def _mail(target: Target, inbox: Inbox, after: int) -> tuple[Mail, str]:
    """The first mail about one of the two jobs since number `after`. Raises HerdError if none comes."""

    def look() -> Mail | None:
        about = (mail for mail in inbox.messages(after=after) if MODEL in mail.subject or CHOICE in mail.subject)
        return next(about, None)

    mail = target.pace.until(look, MAIL_SECONDS)
    if mail is None:
        raise HerdError(f"no mail has come in {MAIL_SECONDS:.0f} s; `herd alarms test {MODEL}` says where it is lost")
    return mail, inbox.message(mail.number).text


def _show(message: tuple[Mail, str]) -> None:
    mail, text = message
    console.say(f"    To: {', '.join(mail.recipients)}")
    for line in text.strip().splitlines():
        console.say(f"    {line}")
