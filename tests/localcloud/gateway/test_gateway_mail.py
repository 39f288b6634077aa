"""The inbox's page, and the links in mail."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from localcloud import mail
from localcloud.mail.content import read
from localcloud.runtime import inbox as kept
from localcloud.runtime.inbox import Inbox
from localcloud.runtime.store import Store

ANNA = "anna@example.com"


class Clock:
    def now(self) -> datetime:
        return datetime(2026, 3, 1, 6, 0, tzinfo=UTC)


@pytest.fixture
def inbox(site: Any, tmp_path: Path) -> Iterator[Inbox]:
    store = Store(tmp_path / "runtime.sqlite")
    inbox = Inbox(store, Clock())
    mail.connect(site.server.account, inbox)
    yield inbox
    mail.connect(site.server.account, None)
    store.close()


def page(site: Any, path: str = "/", **headers: str) -> Any:
    return site.ask(f"inbox.localhost:{site.port}", path, **headers)


def follow(site: Any, link: str, method: str = "GET", **headers: str) -> Any:
    parts = urlsplit(link)
    return site.ask(parts.netloc, f"{parts.path}?{parts.query}", method, **headers)


def link_in(inbox: Inbox, word: str) -> str:
    message = inbox.message(inbox.letters()[-1].number)
    assert message is not None
    return next(link for link in re.findall(r"http://\S+", read(message[1]).text) if word in link)


def test_a_subscription_is_confirmed_and_ended_by_links(site: Any, inbox: Inbox) -> None:
    sns = site.client("sns")
    topic = sns.create_topic(Name="t")["TopicArn"]
    sns.subscribe(TopicArn=topic, Protocol="email", Endpoint="anna+alarms@example.com")
    link = link_in(inbox, "confirmation")
    assert urlsplit(link).netloc == f"sns.eu-west-1.localhost:{site.port}"
    assert follow(site, link, "HEAD").status == 405  # who only looks confirms nothing
    assert follow(site, link, Origin="http://evil.example").status == 403
    assert sns.list_subscriptions()["Subscriptions"][0]["SubscriptionArn"] == "PendingConfirmation"
    assert "Subscription confirmed!" in follow(site, link).text
    assert follow(site, link).status == 200  # again, as people do
    sns.publish(TopicArn=topic, Message="news")
    link = link_in(inbox, "unsubscribe")
    assert follow(site, link.replace("anna", "bert")).status == 400
    assert "Subscription removed!" in follow(site, link).text
    assert sns.list_subscriptions()["Subscriptions"] == []
    assert follow(site, link).status == 400


def test_a_subscription_that_was_confirmed_with_a_signature_is_not_ended_by_a_link(site: Any, inbox: Inbox) -> None:
    sns = site.client("sns")
    topic = sns.create_topic(Name="t")["TopicArn"]
    sns.subscribe(TopicArn=topic, Protocol="email", Endpoint=ANNA)
    token = re.findall(r"Token=([0-9a-f]+)", link_in(inbox, "confirmation"))[0]
    sns.confirm_subscription(TopicArn=topic, Token=token, AuthenticateOnUnsubscribe="true")
    sns.publish(TopicArn=topic, Message="news")
    assert follow(site, link_in(inbox, "unsubscribe")).status == 403
    assert len(sns.list_subscriptions()["Subscriptions"]) == 1


@pytest.mark.parametrize("query", ["", "TopicArn=x&Token=y", "TopicArn=arn:aws:sns:eu-west-1:1:t&Token=y"])
def test_a_link_that_nobody_was_sent_confirms_nothing(site: Any, inbox: Inbox, query: str) -> None:
    answer = site.ask(f"sns.eu-west-1.localhost:{site.port}", f"/confirmation.html?{query}")
    assert answer.status in (400, 404) and "Not confirmed" in answer.text


def test_an_address_is_verified_by_a_link(site: Any, inbox: Inbox) -> None:
    ses = site.client("sesv2")
    ses.create_email_identity(EmailIdentity=ANNA)
    link = link_in(inbox, "verify")
    assert follow(site, link.replace("Token=", "Token=0")).status == 400
    assert not ses.get_email_identity(EmailIdentity=ANNA)["VerifiedForSendingStatus"]
    assert "You have verified" in follow(site, link).text
    assert ses.get_email_identity(EmailIdentity=ANNA)["VerifiedForSendingStatus"]
    large = b"From: anna@example.com\r\nTo: b@example.com\r\nSubject: s\r\n\r\n" + b"x" * 30 * 2**20
    ses.send_email(Content={"Raw": {"Data": large}})  # more than other calls may bring
    assert inbox.letters()[-1].size > 30 * 2**20


HOSTILE = '<script>alert(1)</script><img src=x onerror=alert(2)>" onmouseover="alert(3)'


def hostile() -> bytes:
    lines = [
        "From: x@example.com", f"To: {ANNA}", f"Subject: {HOSTILE}", "MIME-Version: 1.0",
        'Content-Type: multipart/mixed; boundary="b"', "", "--b", "Content-Type: text/plain", "",
        HOSTILE, 'http://example.com/"><script>alert(4)</script> javascript:alert(5)', "--b",
        "Content-Type: text/html", "Content-Disposition: attachment; filename*=utf-8''..%2Fa%22%0D%0AX%3A%20y.html",
        "", "<script>alert(6)</script>", "--b--", "",
    ]  # fmt: skip
    return "\r\n".join(lines).encode()


class Tags(HTMLParser):
    """What is markup in a page, and not text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: list[tuple[str, str]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: Any) -> None:
        self.tags.add(tag)
        self.attributes += [(name, value or "") for name, value in attributes]


def test_hostile_content_is_text(site: Any, inbox: Inbox) -> None:
    inbox.keep("x@example.com", [HOSTILE, ANNA], hostile())
    for path in ("/", "/messages/1", "/?to=%3Cscript%3E%22"):
        answer = page(site, path)
        assert answer.status == 200
        found = Tags(answer.text)
        assert not found.tags & {"script", "img", "iframe", "form"}
        assert not [name for name, value in found.attributes if name.startswith("on") or "javascript" in value]
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert "access-control-allow-origin" not in answer.headers
    attachment = page(site, "/messages/1/attachments/1")
    assert attachment.body == b"<script>alert(6)</script>" and attachment.headers["x-content-type-options"] == "nosniff"
    assert attachment.headers["content-type"] == "application/octet-stream"
    assert re.fullmatch(r'attachment; filename="[A-Za-z0-9._ -]+"', attachment.headers["content-disposition"])


def test_pages_of_others_cannot_read_it(site: Any, inbox: Inbox) -> None:
    inbox.keep("x@example.com", [ANNA], hostile())
    assert page(site, Origin="http://evil.example").status == 403
    assert page(site, Sec_Fetch_Site="cross-site", Sec_Fetch_Mode="no-cors").status == 403
    assert site.ask(f"inbox.evil.example:{site.port}").status == 403
    assert site.ask(f"inbox.localhost:{site.port}", method="POST").status == 405


@pytest.mark.parametrize(
    "path", ["/messages/2", "/messages/0", "/messages/1/attachments/0", "/messages/1/attachments/2", "/x", "/messages/"]
)
def test_what_is_not_there(site: Any, inbox: Inbox, path: str) -> None:
    inbox.keep("x@example.com", [ANNA], hostile())
    assert page(site, path).status == 404


def test_a_list_of_one_persons_mail(site: Any, inbox: Inbox) -> None:
    for person in (ANNA, "bert@example.com"):
        inbox.keep("x@example.com", [person], mail.compose("x@example.com", "", person, f"for {person}", "text"))
    text = page(site, "/?to=ANNA@example.com").text
    assert f"for {ANNA}" in text and "for bert" not in text


def test_an_empty_inbox_says_so(site: Any) -> None:
    assert "No mail yet" in page(site).text


def test_a_thousand_messages_are_kept_and_the_oldest_go(site: Any, inbox: Inbox) -> None:
    for number in range(kept.MESSAGES_KEPT + 5):
        inbox.keep("x@example.com", [ANNA], b"Subject: message %d\r\n\r\ntext\r\n" % (number + 1))
    letters = inbox.letters()
    assert (len(letters), letters[0].number, letters[-1].number) == (kept.MESSAGES_KEPT, 6, kept.MESSAGES_KEPT + 5)
    text = page(site).text
    assert text.count("<tr>") == kept.MESSAGES_KEPT + 1 and "message 6<" in text and "message 5<" not in text


def test_many_bytes_go_too_but_never_the_newest(inbox: Inbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept, "BYTES_KEPT", 1000)
    for size in (400, 400, 400, 5000):
        inbox.keep("x@example.com", [ANNA], b"Subject: x\r\n\r\n".ljust(size, b"x"))
    assert [letter.size for letter in inbox.letters()] == [5000]
