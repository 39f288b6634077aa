"""An account whose guard is on and whose mail is kept."""

from __future__ import annotations

import itertools
import json
import os
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from localcloud import mail
from localcloud.mail.content import Content, read
from localcloud.runtime.inbox import Inbox
from localcloud.runtime.store import Store
from localcloud.server import Server
from tests.localcloud.iam.acting import REGION, Account, allow, document

_accounts = itertools.count(610000000000 + os.getpid() * 1000)


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.moment = datetime(2026, 3, 1, 6, 0, tzinfo=UTC)

    def now(self) -> datetime:
        self.moment += timedelta(seconds=1)
        return self.moment


class Post(Account):
    """The account, and what a test does with it."""

    def __init__(self, server: Server, inbox: Inbox):
        super().__init__(server)
        self.inbox = inbox
        self.sns, self.sqs = self.root("sns"), self.root("sqs")
        self._queues = 0

    def topic(self, name: str = "t", **attributes: str) -> str:
        return str(self.sns.create_topic(Name=name, Attributes=attributes)["TopicArn"])

    def subscribe(self, topic: str, endpoint: str, protocol: str = "email", **attributes: Any) -> str:
        """A subscription; its ARN. Filter policies may be given as they are."""
        values = {name: each if isinstance(each, str) else json.dumps(each) for name, each in attributes.items()}
        return str(
            self.sns.subscribe(
                TopicArn=topic, Protocol=protocol, Endpoint=endpoint, Attributes=values, ReturnSubscriptionArn=True
            )["SubscriptionArn"]
        )

    def confirm(self, topic: str, address: str) -> None:
        """As if the person had followed the link of the newest message."""
        link = next(link for link in self.links(address) if "confirmation" in link)
        token = parse_qs(urlsplit(link).query)["Token"][0]
        self.sns.confirm_subscription(TopicArn=topic, Token=token)

    def reader(self, topic: str, address: str, **attributes: Any) -> str:
        """A confirmed subscription by e-mail."""
        arn = self.subscribe(topic, address, **attributes)
        self.confirm(topic, address)
        return arn

    def queue(self, *topics: str, **attributes: str) -> tuple[str, str]:
        """A queue that these topics may send to: URL and ARN."""
        self._queues += 1
        name = f"q{self._queues}"
        url = self.sqs.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]
        arn = f"arn:aws:sqs:{REGION}:{self.id}:{name}"
        if topics:
            statement = {**allow("sqs:SendMessage", arn), "Principal": {"Service": "sns.amazonaws.com"}}
            statement["Condition"] = {"ArnEquals": {"aws:SourceArn": list(topics)}}
            self.sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": document(statement)})
        return url, arn

    def received(self, url: str) -> list[Any]:
        answer = self.sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, MessageAttributeNames=["All"])
        return list(answer.get("Messages", []))

    def mail(self, to: str = "") -> list[Content]:
        """Messages to an address, oldest first."""
        kept = [self.inbox.message(each.number) for each in self.inbox.letters(to)]
        return [read(each[1]) for each in kept if each is not None]

    def links(self, to: str) -> list[str]:
        """Links of the newest message to an address."""
        return re.findall(r"http://[^\s\"]+", self.mail(to)[-1].text)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def post(tmp_path: Path, clock: Clock) -> Iterator[Post]:
    server = Server(str(next(_accounts)), REGION, "http://127.0.0.1:4999")
    store = Store(tmp_path / "runtime.sqlite")
    inbox = Inbox(store, clock)
    mail.connect(server.account, inbox)
    yield Post(server, inbox)
    mail.connect(server.account, None)
    store.close()
    server.close()
