"""`herd inbox`: the mail of a real local cloud, which survives that its process is killed."""

from __future__ import annotations

import http.client
import json
import os
import re
import shutil
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from herd.checkout.find import Checkout
from herd.targets import local_cloud
from herd.targets.local import LocalTarget
from herd.toolchain import machine
from tests.herd.command_line import invoke

ROOT = Path(__file__).parents[2]
ANNA, BERT = "anna@example.com", "bert@example.com"

Herd = Callable[..., Any]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Checkout]:
    root = tmp_path_factory.mktemp("checkout")
    (root / ".venv").symlink_to(ROOT / ".venv")
    for name in ("Pulumi.yaml", "Pulumi.dev.yaml", "defaults.toml"):
        shutil.copy(ROOT / name, root / name)
    made = Checkout(root, machine.user_cache())
    local_cloud.start(made)
    sns = LocalTarget(made, "dev").client("sns")
    topic = sns.create_topic(Name="herd-dev-watch", Attributes={"DisplayName": "herd dev"})["TopicArn"]
    for person in (ANNA, BERT):
        sns.subscribe(TopicArn=topic, Protocol="email", Endpoint=person)
    yield made
    local_cloud.stop(made)


@pytest.fixture
def herd(home: Checkout, monkeypatch: pytest.MonkeyPatch) -> Herd:
    monkeypatch.setenv("HERD_CHECKOUT", str(home.root))
    return invoke


def test_a_list_and_a_message(herd: Herd) -> None:
    listed = herd("inbox")
    assert listed.exit_code == 0, listed.stderr
    rows = [line.split() for line in listed.stdout.splitlines()]
    assert [row[0] for row in rows] == ["N", "1", "2"] and [row[3] for row in rows[1:]] == [ANNA, BERT]
    assert re.search(r"http://inbox\.localhost:\d+/", listed.stderr)
    shown = herd("inbox", "2")
    assert shown.exit_code == 0 and "From: herd dev <no-reply@sns.amazonaws.com>" in shown.stdout
    assert "http://sns.eu-west-1.localhost:" in shown.stdout


def test_what_one_person_gets(herd: Herd) -> None:
    document = json.loads(herd("inbox", "--to", BERT.upper(), "--json").stdout)
    assert [one["to"] for one in document["messages"]] == [[BERT]]
    whole = json.loads(herd("inbox", "2", "--json").stdout)
    assert whole["to"] == [BERT] and whole["attachments"] == [] and "To confirm this subscription" in whole["text"]
    nobody = herd("inbox", "--to", "carl@example.com")
    assert nobody.exit_code == 0 and "no mail to carl@example.com yet" in nobody.stderr


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["99"], 1, "there is no message 99"),
        (["0"], 2, "greater than or equal to 1"),
        (["1", "--follow"], 2, "neither --to nor --follow"),
        (["--follow", "--json"], 2, "give one of them"),
        (["--stack", "prod"], 1, "people's own mailboxes"),
    ],
)
def test_what_it_refuses(herd: Herd, arguments: list[str], status: int, said: str) -> None:
    result = herd("inbox", *arguments)
    assert (result.exit_code, said in result.stderr) == (status, True), result.stderr


def test_mail_survives_a_kill_and_the_links_in_it_too(home: Checkout, herd: Herd) -> None:
    cloud = local_cloud.start(home)
    os.kill(cloud.pid, signal.SIGKILL)
    local_cloud.start(home)
    target = LocalTarget(home, "dev")
    assert [one.recipients for one in target.inbox.messages()] == [(ANNA,), (BERT,)]  # and nobody is asked again
    sns = target.client("sns")
    topic = sns.list_topics()["Topics"][0]["TopicArn"]
    token = re.findall(r"Token=([0-9a-f]+)", target.inbox.message(1).text)[0]
    sns.confirm_subscription(TopicArn=topic, Token=token)
    target.client("sesv2").create_email_identity(EmailIdentity="reports@example.com")
    follow_link(target, 3)
    os.kill(local_cloud.start(home).pid, signal.SIGKILL)  # what people agreed to survives too
    local_cloud.start(home)
    target = LocalTarget(home, "dev")
    assert target.client("sesv2").get_email_identity(EmailIdentity="reports@example.com")["VerifiedForSendingStatus"]
    target.client("sns").publish(TopicArn=topic, Message="news", Subject="[herd dev] news")
    assert [one.subject for one in target.inbox.messages(to=ANNA, after=3)] == ["[herd dev] news"]


def follow_link(target: LocalTarget, number: int) -> None:
    """Open the link of a message, as a browser would."""
    link = urlsplit(re.findall(r"http://\S+", target.inbox.message(number).text)[0])
    connection = http.client.HTTPConnection("127.0.0.1", link.port, timeout=60)
    connection.request("GET", f"{link.path}?{link.query}", headers={"Host": link.netloc})
    assert connection.getresponse().status == 200
    connection.close()


def test_following_shows_what_comes(home: Checkout, herd: Herd, monkeypatch: pytest.MonkeyPatch) -> None:
    sns = LocalTarget(home, "dev").client("sns")
    topic = sns.create_topic(Name="herd-dev-late")["TopicArn"]
    pauses = iter(range(3))

    def pause(seconds: float) -> None:
        if next(pauses) == 0:
            thread = threading.Thread(
                target=sns.subscribe, kwargs={"TopicArn": topic, "Protocol": "email", "Endpoint": "late@example.com"}
            )
            thread.start()
            thread.join()
        else:
            raise KeyboardInterrupt

    monkeypatch.setattr("time.sleep", pause)
    followed = herd("inbox", "--follow", "--to", "late@example.com")
    assert followed.exit_code == 0 and "late@example.com  AWS Notification" in followed.stdout
