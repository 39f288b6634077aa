"""The watch on the real thing: one environment, a job that fails and recovers, a drill, nothing left behind."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from typing import Any

import pytest

from harness.sandbox import Sandbox
from tests.live.support import browser, fetch

pytestmark = [pytest.mark.live, pytest.mark.xdist_group("live-watch")]

TEAM = {
    "jobs/ledger/workload.toml": 'retries = 0\nschedule = "0 6 * * *"\n[params]\nopen = true\n',
    "jobs/ledger/main.py": (
        "import os, sys\n"
        'if os.environ["HERD_PARAM_OPEN"] == "true":\n'
        '    sys.exit("the ledger is locked by somebody")\n'
        'open(os.environ["HERD_OUTPUTS"] + "/ledger.csv", "w").write("1")\n'
    ),
}
OWNER = "data@example.com"


@pytest.fixture(scope="module")
def team(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    with Sandbox(tmp_path_factory.mktemp("watch") / "checkout", samples=False) as sandbox:
        for path, text in TEAM.items():
            sandbox.write(path, text)
        sandbox.herd("up", "--no-run")
        yield sandbox


def invoked(team: Sandbox, event: Any) -> Any:
    answer = team.client("lambda").invoke(FunctionName="herd-dev-watch", Payload=json.dumps(event))
    body = answer["Payload"].read().decode()
    assert "FunctionError" not in answer, body
    return json.loads(body)


def test_a_tick_of_a_new_environment_tells_nobody_anything(team: Sandbox) -> None:
    tick = {"source": "aws.events", "detail-type": "Scheduled Event"}
    assert invoked(team, tick) == {"messages": [], "starts": []}


def letters(team: Sandbox) -> list[tuple[int, str]]:
    """The owner's mail, the newest first: its number and subject."""
    status, _, page = fetch(f"{inbox(team)}/?to={OWNER}")
    assert status == 200
    return [(int(number), unescape(subject)) for number, subject in re.findall(r'"/messages/(\d+)">([^<]*)</a>', page)]


def inbox(team: Sandbox) -> str:
    return str(team.client("sns").meta.endpoint_url).replace("127.0.0.1", "inbox.localhost")


def arrived(team: Sandbox, *words: str) -> str:
    """The text of the newest mail whose subject has all of these."""

    def newest() -> int | None:
        return next((number for number, subject in letters(team) if all(word in subject for word in words)), None)

    number = team.wait_for(f"a mail that says {' '.join(words)}", newest)
    return unescape(fetch(f"{inbox(team)}/messages/{number}")[2])


@pytest.fixture(scope="module")
def confirmed(team: Sandbox) -> Sandbox:
    """The owner has followed the links in both mails of SNS."""
    again = team.herd("up", "--no-run")
    assert f"! {OWNER} is told nothing before it follows the link" in again.stdout + again.stderr
    lost = team.herd("alarms", "test", "ledger", check=False)
    assert lost.returncode == 1 and f"{OWNER} has not confirmed" in lost.stdout + lost.stderr
    for number, _ in letters(team):
        (link,) = set(
            re.findall(r'href="(http[^"]*confirmation\.html[^"]*)"', fetch(f"{inbox(team)}/messages/{number}")[2])
        )
        status, _, page = fetch(unescape(link))
        assert status == 200 and "Subscription confirmed!" in page
    return team


def test_the_owner_hears_of_a_failure_and_of_the_recovery(confirmed: Sandbox) -> None:
    team = confirmed
    assert team.herd("run", "ledger", check=False).returncode == 1
    mail = arrived(team, "[herd dev]", "ledger")
    assert "the ledger is locked by somebody" in mail, "the last lines of its log"
    assert team.herd("run", "ledger", "--param", "open=false").returncode == 0
    assert "ledger" in arrived(team, "[herd dev]", "ledger", "has recovered")
    subjects = [subject for _, subject in letters(team) if "ledger" in subject]
    assert len(subjects) == 2, subjects


def test_the_owner_reads_the_mail_in_a_browser(confirmed: Sandbox, tmp_path: Path) -> None:
    """The page that `herd up` names: the newest mail first, one click to its text, one to what a person got."""
    assert "ledger" in arrived(confirmed, "[herd dev]", "ledger")
    with browser(tmp_path / "profile") as session:
        session.get(f"{inbox(confirmed)}/")
        newest = session.find_element("css selector", "tbody tr")
        assert letters(confirmed)[0][1] in newest.text and OWNER in newest.text
        newest.find_element("css selector", "td.subject a").click()
        assert session.find_element("css selector", "h1").text == letters(confirmed)[0][1]
        assert "ledger" in session.find_element("css selector", "pre").text
        session.find_element("link text", "← Inbox").click()
        session.find_element("link text", OWNER).click()
        assert f"to {OWNER}" in session.find_element("css selector", "p.note").text
        session.save_screenshot(str(tmp_path / "inbox.png"))
        assert not [entry for entry in session.get_log("browser") if entry["level"] == "SEVERE"]


def test_alarms_says_what_is_watched(confirmed: Sandbox) -> None:
    seen = confirmed.json("alarms", "--json")
    (ledger,) = [one for one in seen["armed"] if one["name"] == "ledger"]
    assert ledger["owners"] == [OWNER] and ledger["trouble"] == "" and "0 6 * * *" in ledger["for_what"]
    assert "ledger" in ledger["last_subject"]
    assert {one["name"] for one in seen["alarms"]} >= {"herd-dev-watch_silent", "herd-dev-watch_errors"}
    assert "ledger" in confirmed.herd("alarms").stdout


def test_a_drill_arrives_and_says_where_it_is_lost(confirmed: Sandbox) -> None:
    team = confirmed
    drill = team.herd("alarms", "test", "ledger").stdout
    assert f"✓ the subscription of {OWNER} is confirmed" in drill
    assert "DRILL" in arrived(team, "DRILL")
    events, sns, functions = (team.client(name) for name in ("events", "sns", "lambda"))
    (subscription,) = [
        one for one in sns.list_subscriptions()["Subscriptions"] if one["TopicArn"].endswith(":herd-dev-messages")
    ]
    arn = subscription["SubscriptionArn"]

    def lost() -> str:
        tried = team.herd("alarms", "test", "ledger", check=False)
        assert tried.returncode == 1
        return tried.stdout + tried.stderr

    events.disable_rule(Name="herd-dev-watch_ticks")
    assert "the rule herd-dev-watch_ticks is switched off" in lost()
    events.enable_rule(Name="herd-dev-watch_ticks")

    iam, of = team.client("iam"), {"RoleName": "herd-dev-watch", "PolicyName": "watch"}
    policy = iam.get_role_policy(**of)["PolicyDocument"]
    less = [one for one in policy["Statement"] if "sns:Publish" not in one["Action"]]
    iam.put_role_policy(**of, PolicyDocument=json.dumps({**policy, "Statement": less}))
    said = lost()
    assert "the function herd-dev-watch fails" in said and "Publish" in said
    iam.put_role_policy(**of, PolicyDocument=json.dumps(policy))
    team.herd("alarms", "test", "ledger")

    sns.set_subscription_attributes(
        SubscriptionArn=arn, AttributeName="FilterPolicy", AttributeValue=json.dumps({"to": ["somebody@example.com"]})
    )
    assert f"the subscription of {OWNER} lets other messages through only" in lost()

    sns.unsubscribe(SubscriptionArn=arn)
    assert f"the topic has no subscription of {OWNER}" in lost()
    doctor = team.herd("doctor", check=False)
    assert f"unsubscribed, so told nothing: {OWNER} of dev" in doctor.stdout + doctor.stderr

    functions.delete_function(FunctionName="herd-dev-watch")
    assert "the function herd-dev-watch is gone" in lost()
