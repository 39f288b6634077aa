"""Reports by e-mail: what is sent to whom, and that it is sent once."""

from __future__ import annotations

import email
import io
import json
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from email.message import EmailMessage
from email.policy import default
from typing import Any
from urllib.request import Request, urlopen

import boto3
import pytest

Make = Callable[..., Any]
Sent = Callable[[], list[EmailMessage]]
SENDER, PEOPLE = "reports@example.com", ["ada@example.com", "grace@example.com"]
PAGE = "echo '<p>ü</p>' > outputs/index.html"
SERVER = """
import sys
from moto.server import ThreadedMotoServer
server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
server.start()
print(server.get_host_and_port()[1], flush=True)
sys.stdin.read()
server.stop()
"""


@pytest.fixture(scope="module")
def ses_server() -> Iterator[str]:
    """The address of moto's SES, in a process of its own: in this one the local cloud may have changed it, whose own
    answers only to callers that its server has let in.
    """
    with subprocess.Popen(
        [sys.executable, "-c", SERVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None and process.stdout is not None
        yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        process.stdin.close()


@pytest.fixture
def ses(ses_server: str) -> str:
    """The same without identities and mail."""
    with urlopen(Request(f"{ses_server}/moto-api/reset", method="POST")):
        return ses_server


@pytest.fixture
def report(make: Make, ses: str) -> Callable[..., Any]:
    """Makes a report that is mailed; its sender is verified."""

    def made(script: str = PAGE, form: str = "link", verified: bool = True, **settings: Any) -> Any:
        mail = {"sender": SENDER, "recipients": PEOPLE, "form": form}
        workload = make("sales", script, kind="report", mail=mail, **settings)
        workload.environ["AWS_ENDPOINT_URL_SESV2"] = ses
        if verified:
            connection = {"aws_access_key_id": "a", "aws_secret_access_key": "b", "region_name": "eu-west-1"}
            boto3.client("ses", endpoint_url=ses, **connection).verify_email_identity(EmailAddress=SENDER)
        return workload

    return made


@pytest.fixture
def sent(ses: str) -> Sent:
    """What was mailed, the oldest first."""

    def messages() -> list[EmailMessage]:
        with urlopen(f"{ses}/moto-api/data.json") as response:
            kept = json.load(response).get("ses", {}).get("RawMessage", [])
        return [email.message_from_string(one["raw_data"], policy=default) for one in kept]  # type: ignore[misc]

    return messages


def text(message: EmailMessage) -> str:
    body = message.get_body(("plain",))
    assert body is not None
    return str(body.get_content())


def attached(message: EmailMessage) -> tuple[str, str, bytes]:
    [part] = message.iter_attachments()
    return str(part.get_filename()), part.get_content_type(), part.get_payload(decode=True)  # type: ignore[return-value]


def test_a_link_goes_to_everybody_who_is_named(report: Make, sent: Sent) -> None:
    sales = report()
    assert sales.run("r1").status == 0
    [message] = sent()
    assert (message["From"], message["To"]) == (SENDER, ", ".join(PEOPLE))
    assert message["Subject"].startswith("[dev] sales, 20")
    assert "http://reports.localhost/sales/index.html" in text(message) and "Run r1 ·" in text(message)
    assert not list(message.iter_attachments())
    record = sales.get("_mail/sales/r1.json")
    assert (record["state"], record["recipients"], record["form"]) == ("sent", PEOPLE, "link")
    assert record["message_id"]


def test_where_nothing_is_published_for_all_the_mail_says_where_it_lies(report: Make, sent: Sent) -> None:
    sales = report(reports_bucket=None, reports_url=None)
    assert sales.run("r1").status == 0
    assert f"s3://{sales.bucket}/sales/versions/r1/" in text(sent()[0])


def test_one_page_is_attached_as_it_was_published(report: Make, sent: Sent) -> None:
    sales = report(form="attachment", footer=True)
    assert sales.run("r1").status == 0
    name, kind, content = attached(sent()[0])
    assert (name, kind) == ("sales.html", "text/html")
    assert "<p>ü</p>" in content.decode() and b"herd-footer" in content


def test_a_document_is_attached_byte_for_byte(report: Make, sent: Sent) -> None:
    sales = report("printf 'a\\0b' > outputs/'q1 ü.pdf'", form="attachment")
    assert sales.run("r1").status == 0
    assert attached(sent()[0]) == ("sales.pdf", "application/pdf", b"a\0b")


def test_several_files_are_attached_as_one(report: Make, sent: Sent) -> None:
    sales = report(f"{PAGE}; mkdir outputs/img; echo y > outputs/img/a.png", form="attachment")
    assert sales.run("r1").status == 0
    name, kind, content = attached(sent()[0])
    assert (name, kind) == ("sales.zip", "application/zip")
    assert zipfile.ZipFile(io.BytesIO(content)).namelist() == ["sales/img/a.png", "sales/index.html"]


def test_a_fan_out_is_mailed_once_when_it_is_whole(report: Make, sent: Sent) -> None:
    sales = report('echo "<html>$HERD_ITEM" > outputs/page.html', form="attachment", fan_out=["a", "b"])
    for item in ("a", "b"):
        assert sales.run("r1", HERD_ITEM=item).status == 0
    assert not sent()
    for _ in range(2):  # the last step, and the same once more
        assert sales.run("r1", HERD_STEP="publish").status == 0
    [message] = sent()
    names = zipfile.ZipFile(io.BytesIO(attached(message)[2])).namelist()
    assert names == ["sales/a/page.html", "sales/b/page.html"]


def test_what_is_too_large_is_mailed_as_a_link_and_said(report: Make, sent: Sent) -> None:
    sales = report("head -c 31000000 /dev/zero > outputs/index.html", form="attachment")
    run = sales.run("r1")
    assert run.status == 0 and "SES takes messages up to 40 MB: its address was mailed, not the report" in run.log
    [message] = sent()
    assert not list(message.iter_attachments()) and "With 31 MB it is too large for a mail" in text(message)
    [warning] = sales.record("r1")["checks"]
    assert (warning["kind"], warning["otherwise"], warning["passed"]) == ("mail", "warn", False)


@pytest.mark.parametrize("script", ["exit 1", "echo x > outputs/notes.txt; rm outputs/notes.txt", "exit 65"])
def test_what_is_not_published_is_not_mailed(report: Make, sent: Sent, script: str) -> None:
    sales = report(script)
    assert sales.run("r1").status != 0
    assert not sent() and sales.get("_mail/sales/r1.json") is None


def test_what_a_check_rejects_is_not_mailed(report: Make, sent: Sent) -> None:
    sales = report(PAGE, checks=[{"file": "index.html", "min_bytes": 1000}])
    assert sales.run("r1").status == 65
    assert not sent()


def test_a_retry_sends_no_second_mail(report: Make, sent: Sent) -> None:
    sales = report(retries=1)
    assert sales.run("r1").status == 0
    sales.s3.client.delete_object(Bucket=sales.bucket, Key="_runs/sales/r1.json")  # killed before its record
    again = sales.run("r1", HERD_ATTEMPT="2")
    assert again.status == 0 and "it is not mailed again" in again.log
    assert len(sent()) == 1
    assert sales.run("r2").status == 0 and len(sent()) == 2


def test_a_run_that_was_killed_while_it_mailed_is_not_mailed_again(report: Make, sent: Sent) -> None:
    sales = report()
    body = b'{"schema": 1, "state": "sending"}'
    sales.s3.client.put_object(Bucket=sales.bucket, Key="_mail/sales/r1.json", Body=body)
    run = sales.run("r1")
    assert run.status == 0 and "or was about to: it is not mailed again" in run.log and not sent()


def test_a_mail_that_is_refused_leaves_the_report_published_and_warns(report: Make) -> None:
    sales = report(verified=False, retries=1)
    run = sales.run("r1")
    assert run.status == 0 and sales.latest["run_id"] == "r1"
    assert "the report is published, and was not mailed:" in run.log and "authority" in run.log
    [warning] = sales.record("r1")["checks"]
    assert warning["message"].startswith("the report could not be mailed: ") and warning["otherwise"] == "warn"
    assert sales.get("_mail/sales/r1.json")["state"] == "refused"


def test_a_retry_mails_what_was_published_and_refused(report: Make, sent: Sent) -> None:
    assert report(verified=False, retries=1).run("r1").status == 0
    sales = report(form="attachment", retries=1)
    sales.s3.client.delete_object(Bucket=sales.bucket, Key="_runs/sales/r1.json")
    assert sales.run("r1", HERD_ATTEMPT="2").status == 0
    [message] = sent()
    assert attached(message)[2].decode() == "<p>ü</p>\n", "fetched from its version"
