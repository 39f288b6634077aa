"""A report from `herd up` to a rollback: its page names its commit, and an earlier version takes its place."""

from __future__ import annotations

import base64
import re
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from harness.sandbox import Sandbox
from tests.live.support import fetch

pytestmark = [pytest.mark.live, pytest.mark.xdist_group("live-pages"), pytest.mark.timeout(600)]

SENDER, READER = "reports@example.com", "ada@example.com"
MAIL = f'mail_to = ["{READER}"]\nmail = "attachment"\n'
REPORT = 'schedule = "@daily"\ncommand = "echo \\"<p>made by $HERD_RUN_ID</p>\\" > outputs/index.html"\n'

SEVERAL = """
schedule = "@yearly"
command = '''
printf '<img src="a b.svg"><a href=more.html>more</a>' > outputs/index.html
printf '<script src="https://cdn.example/x.js"></script>' >> outputs/index.html
printf '<svg xmlns="http://www.w3.org/2000/svg"/>' > 'outputs/a b.svg'
printf '<p>more' > outputs/more.html
'''
"""


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    with Sandbox(tmp_path_factory.mktemp("pages") / "checkout", samples=False) as sandbox:
        sandbox.write("reports/page/workload.toml", REPORT)
        sandbox.write("reports/several/workload.toml", SEVERAL)
        yield sandbox


def mail_to(sandbox: Sandbox, reader: str) -> list[dict[str, Any]]:
    messages: list[dict[str, Any]] = sandbox.json("inbox", "--to", reader, "--json")["messages"]
    return messages


def git(sandbox: Sandbox, *arguments: str) -> str:
    command = ["git", "-C", str(sandbox.folder), "-c", "user.name=a", "-c", "user.email=a@example.com", *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def test_a_page_names_its_commit_and_an_earlier_one_takes_its_place(sandbox: Sandbox) -> None:
    git(sandbox, "init", "-q")
    git(sandbox, "add", "-A")
    git(sandbox, "commit", "-qm", "all")
    sandbox.herd("up", timeout_seconds=300)
    state = sandbox.status("page")
    first, url = state["last_run"]["id"], state["url"]
    page = fetch(url)[2]
    assert f"made by {first}</p>" in page and f"Run {first} " in page
    assert f"commit {git(sandbox, 'rev-parse', 'HEAD')[:12]} " in page and "the next one is due by" in page

    sandbox.herd("run", "page")
    second = sandbox.status("page")["last_run"]["id"]
    assert f"made by {second}</p>" in fetch(url)[2]
    refused = sandbox.herd("rollback", "page", "20000101T000000-manual-0000", "--because", "wrong", check=False)
    assert refused.returncode == 2 and f"these can be had:\n  {first}, published" in refused.stderr

    sandbox.herd("rollback", "page", "--because", "wrong year")
    assert fetch(url)[2] == page
    made = sandbox.status("page")["rollback"]
    assert (made["run_id"], made["replaced"], made["because"]) == (first, second, "wrong year")
    assert f"readers get run {first} instead of {second}" in sandbox.herd("status").stdout
    assert "because: wrong year" in sandbox.herd("outputs", "page").stderr

    sandbox.herd("run", "page")
    state = sandbox.status("page")
    assert state["rollback"] is None and f"made by {state['last_run']['id']}</p>" in fetch(url)[2]


def test_a_report_is_shared_as_one_file(sandbox: Sandbox) -> None:
    file = sandbox.folder / "several.html"
    said = sandbox.herd("share", "several", "--output", str(file))
    page, run_id = file.read_text(), sandbox.status("several")["last_run"]["id"]
    picture = base64.b64encode(b'<svg xmlns="http://www.w3.org/2000/svg"/>').decode()
    assert f"data:image/svg+xml;base64,{picture}" in page and f"Run {run_id} " in page
    assert "https://cdn.example/x.js" in said.stderr and "more.html (a link)" in said.stderr
    again = sandbox.herd("share", "several", "--output", str(file), check=False)
    assert again.returncode == 2 and "`--force` replaces it" in again.stderr
    sandbox.herd("share", "page", "--output", str(file), "--force")
    assert "made by " in file.read_text() and "the next one is due by" in file.read_text()
    wrong = sandbox.herd("share", "several", "--page", "gone.html", "--force", check=False)
    assert wrong.returncode == 2 and "there are: index.html, more.html" in wrong.stderr


def test_a_report_is_mailed_by_a_sender_that_was_verified(sandbox: Sandbox) -> None:
    settings = sandbox.folder / "Pulumi.dev.yaml"
    settings.write_text(settings.read_text().rstrip() + f"\n  herd:notifications: {{mail_from: {SENDER}}}\n")
    sandbox.write("reports/page/workload.toml", MAIL + REPORT)
    assert f"{SENDER} is no identity of SES" in sandbox.herd("preview").stderr
    ses = sandbox.client("sesv2")
    ses.create_email_identity(EmailIdentity=SENDER)
    assert f"{SENDER} waits to be verified in SES" in sandbox.herd("up").stderr
    sandbox.herd("run", "page")
    assert not mail_to(sandbox, READER), "SES has refused it"
    assert sandbox.status("page")["last_run"]["status"] == "succeeded"

    [asks] = mail_to(sandbox, SENDER)
    [link] = set(re.findall(r"https?://\S+verify\.html\S*", sandbox.herd("inbox", str(asks["number"])).stdout))
    assert fetch(link)[0] == 200
    assert "SES" not in sandbox.herd("preview").stderr
    sandbox.herd("run", "page")
    run_id = sandbox.status("page")["last_run"]["id"]
    [message] = mail_to(sandbox, READER)
    shown = sandbox.herd("inbox", str(message["number"])).stdout
    assert "[dev] page, " in shown and f"Run {run_id} " in shown and "page.html" in shown
