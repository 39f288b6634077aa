"""SES: identities are verified by whoever gets their mail, and what is sent arrives as it was written."""

from __future__ import annotations

import re
from email.message import EmailMessage
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from botocore.exceptions import ClientError

from localcloud.patches.ses import identities
from tests.localcloud.iam.acting import REGION, allow
from tests.localcloud.mail.conftest import Post

REPORTS, ANNA, BERT = "reports@example.com", "anna@example.com", "bert@example.com"


@pytest.fixture
def ses(post: Post) -> Any:
    return post.root("sesv2")


def verify(post: Post, address: str = REPORTS) -> bool:
    """Follow the link in the newest mail to an address."""
    link = next(link for link in post.links(address) if "/verify.html" in link)
    named = {name: values[0] for name, values in parse_qs(urlsplit(link).query).items()}
    assert urlsplit(link).netloc == f"email.{REGION}.localhost:4999"
    return identities.verify(post.id, REGION, named["Identity"], named["Token"])


@pytest.fixture
def verified(post: Post, ses: Any) -> Any:
    ses.create_email_identity(EmailIdentity=REPORTS)
    assert verify(post)
    return ses


def simple(text: str = "text", subject: str = "s") -> Any:
    return {"Simple": {"Subject": {"Data": subject}, "Body": {"Text": {"Data": text}}}}


def raw(**headers: str) -> EmailMessage:
    message = EmailMessage()
    for name, value in headers.items():
        message[name] = value
    message.set_content("The report is attached.")
    return message


def state(ses: Any, identity: str = REPORTS) -> Any:
    answer = ses.get_email_identity(EmailIdentity=identity)
    return answer["VerifiedForSendingStatus"], answer["VerificationStatus"]


def test_an_address_is_verified_by_its_mail(post: Post, ses: Any) -> None:
    made = ses.create_email_identity(EmailIdentity=REPORTS, Tags=[{"Key": "k", "Value": "v"}])
    assert (made["IdentityType"], made["VerifiedForSendingStatus"]) == ("EMAIL_ADDRESS", False)
    assert state(ses) == (False, "PENDING")
    with pytest.raises(ClientError, match="MessageRejected.*not verified.*reports@example.com"):
        ses.send_email(FromEmailAddress=REPORTS, Destination={"ToAddresses": [ANNA]}, Content=simple())
    assert post.mail(ANNA) == []
    assert verify(post) and state(ses) == (True, "SUCCESS")
    assert ses.get_email_identity(EmailIdentity=REPORTS)["Tags"] == [{"Key": "k", "Value": "v"}]
    listed = ses.list_email_identities()["EmailIdentities"]
    assert [(one["IdentityName"], one["SendingEnabled"]) for one in listed] == [(REPORTS, True)]
    with pytest.raises(ClientError, match="AlreadyExists"):
        ses.create_email_identity(EmailIdentity=REPORTS)
    ses.delete_email_identity(EmailIdentity=REPORTS)
    with pytest.raises(ClientError, match="NotFoundException"):
        ses.get_email_identity(EmailIdentity=REPORTS)


@pytest.mark.parametrize("token", ["", "0" * 64])
def test_a_wrong_token_verifies_nothing(post: Post, ses: Any, token: str) -> None:
    ses.create_email_identity(EmailIdentity=REPORTS)
    assert not identities.verify(post.id, REGION, REPORTS, token)
    assert not identities.verify(post.id, REGION, "other@example.com", token)
    assert state(ses) == (False, "PENDING")


def test_one_that_is_made_again_is_to_be_verified_again(post: Post, verified: Any) -> None:
    verified.delete_email_identity(EmailIdentity=REPORTS)
    verified.create_email_identity(EmailIdentity=REPORTS)
    assert state(verified) == (False, "PENDING")


def test_a_domain_is_verified_by_its_records(post: Post, ses: Any) -> None:
    made = ses.create_email_identity(EmailIdentity="Example.com")
    tokens = made["DkimAttributes"]["Tokens"]
    assert len(tokens) == 3 and state(ses, "example.com") == (False, "PENDING")
    route53 = post.root("route53")
    zone = route53.create_hosted_zone(Name="example.com", CallerReference="r")["HostedZone"]["Id"]
    changes = [
        {"Action": "CREATE", "ResourceRecordSet": {
            "Name": f"{token}._domainkey.example.com", "Type": "CNAME", "TTL": 60,
            "ResourceRecords": [{"Value": f"{token}.dkim.amazonses.com"}]}}
        for token in tokens
    ]  # fmt: skip
    route53.change_resource_record_sets(HostedZoneId=zone, ChangeBatch={"Changes": changes})
    assert state(ses, "example.com") == (True, "SUCCESS")
    ses.send_email(FromEmailAddress="any@sub.example.com", Destination={"ToAddresses": [ANNA]}, Content=simple())
    assert len(post.mail(ANNA)) == 1


def test_a_simple_message(post: Post, verified: Any) -> None:
    content = simple("Grüße", "Prüfung")
    content["Simple"]["Body"]["Html"] = {"Data": "<p>Grüße</p>"}
    sent = verified.send_email(
        FromEmailAddress=f"Reports <{REPORTS}>", ReplyToAddresses=["team@example.com"], Content=content,
        Destination={"ToAddresses": [ANNA], "CcAddresses": [BERT], "BccAddresses": ["hidden@example.com"]},
    )  # fmt: skip
    assert sent["MessageId"]
    letter = post.mail("hidden@example.com")[0]
    assert (letter.subject, letter.text) == ("Prüfung", "Grüße\n")
    headers = dict(letter.headers)
    assert headers["From"] == f"Reports <{REPORTS}>" and headers["Reply-To"] == "team@example.com"
    assert (headers["To"], headers["Cc"]) == (ANNA, BERT) and "hidden" not in str(headers) and "Date" in headers


def test_a_raw_message_with_a_file(post: Post, verified: Any) -> None:
    message = raw(From=f"Reports <{REPORTS}>", To=ANNA, Bcc=BERT, Subject="report")
    message.add_attachment(b"<p>x</p>", maintype="text", subtype="html", filename="report.html")
    verified.send_email(Content={"Raw": {"Data": message.as_bytes()}})
    (letter,) = post.mail(BERT)
    assert [(file.name, file.content) for file in letter.attachments] == [("report.html", b"<p>x</p>")]
    number = post.inbox.letters(BERT)[0].number
    kept = post.inbox.message(number)
    assert kept is not None and b"Bcc" not in kept[1]


def test_the_first_version_of_the_api(post: Post, verified: Any) -> None:
    ses = post.root("ses")
    ses.send_email(
        Source=REPORTS, Destination={"ToAddresses": [ANNA]},
        Message={"Subject": {"Data": "one"}, "Body": {"Text": {"Data": "text"}}},
    )  # fmt: skip
    data = raw(From=REPORTS, To="not@this.example", Subject="two").as_bytes()
    ses.send_raw_email(Source=REPORTS, Destinations=[ANNA], RawMessage={"Data": data})
    assert [letter.subject for letter in post.mail(ANNA)] == ["one", "two"] and post.mail("not@this.example") == []
    ses.verify_email_identity(EmailAddress=BERT)
    states = ses.get_identity_verification_attributes(Identities=[REPORTS, BERT])["VerificationAttributes"]
    assert {name: each["VerificationStatus"] for name, each in states.items()} == {REPORTS: "Success", BERT: "Pending"}
    assert verify(post, BERT)
    with pytest.raises(ClientError, match="MessageRejected"):
        ses.send_raw_email(Source="x@example.com", Destinations=[ANNA], RawMessage={"Data": data})


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "no recipient": ({"Destination": {}}, "no recipients"),
    "too many": ({"Destination": {"ToAddresses": [f"p{n}@example.com" for n in range(51)]}}, "exceeds 50"),
    "no address": ({"Destination": {"ToAddresses": ["anna"]}}, "Invalid email address"),
    "two lines": ({"Destination": {"ToAddresses": ["a@example.com\nBcc: b@example.com"]}}, "Invalid email address|Bad"),
    "a subject of two lines": ({"Content": simple(subject="a\nBcc: b@example.com")}, "BadRequest|cannot be made"),
    "a template": ({"Content": {"Template": {"TemplateName": "t"}}}, "templates"),
    "another's address": ({"FromEmailAddress": "other@example.com"}, "MessageRejected"),
    "no headers": ({"Content": {"Raw": {"Data": b"text"}}}, "no headers"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_sent(post: Post, verified: Any, name: str) -> None:
    changed, reason = REFUSED[name]
    request = {"FromEmailAddress": REPORTS, "Destination": {"ToAddresses": [ANNA]}, "Content": simple()}
    before = len(post.inbox.letters())
    with pytest.raises(ClientError, match=reason):
        verified.send_email(**{**request, **changed})
    assert len(post.inbox.letters()) == before


@pytest.mark.parametrize(("service", "megabytes", "sent"), [("sesv2", 39, True), ("sesv2", 41, False),
                                                            ("ses", 9, True), ("ses", 11, False)])  # fmt: skip
def test_how_large_a_message_may_be(post: Post, verified: Any, service: str, megabytes: int, sent: bool) -> None:
    data = raw(From=REPORTS, To=ANNA, Subject="s").as_bytes() + b"\n" + b"x" * megabytes * 2**20
    client = post.root(service)
    try:
        if service == "sesv2":
            client.send_email(Content={"Raw": {"Data": data}})
        else:
            client.send_raw_email(RawMessage={"Data": data})
    except ClientError as error:
        assert not sent and re.search("Message length is more than", str(error))
    assert len(post.mail(ANNA)) == sent


FROM = {"StringEquals": {"ses:FromAddress": REPORTS}}
TO = {"ForAllValues:StringEquals": {"ses:Recipients": [ANNA]}}
MAY: dict[str, tuple[Any, str, list[str], bool]] = {
    "everything": (allow(["ses:SendEmail", "ses:SendRawEmail"]), REPORTS, [ANNA], True),
    "that identity": (allow("ses:SendEmail", "{identity}"), REPORTS, [ANNA], True),
    "another identity": (allow("ses:SendEmail", "{identity}x"), REPORTS, [ANNA], False),
    "from that address": (allow("ses:SendEmail", **FROM), REPORTS, [ANNA], True),
    "from another address": (allow("ses:SendEmail", **FROM), "x@example.com", [ANNA], False),
    "to that person": (allow("ses:SendEmail", **TO), REPORTS, [ANNA], True),
    "to that person and another": (allow("ses:SendEmail", **TO), REPORTS, [ANNA, BERT], False),
    "raw only": (allow("ses:SendRawEmail"), REPORTS, [ANNA], False),
}


@pytest.mark.parametrize("name", MAY)
def test_permissions(post: Post, verified: Any, name: str) -> None:
    statement, sender, people, may = MAY[name]
    identity = f"arn:aws:ses:{REGION}:{post.id}:identity/{REPORTS}"
    statement = {**statement, "Resource": statement["Resource"].replace("{identity}", identity)}
    destination = {"ToAddresses": people}
    asked = {"FromEmailAddress": sender, "Destination": destination, "Content": simple()}
    assert post.can(post.role(statement), "sesv2", "send_email", **asked) == may


def test_a_raw_message_needs_the_permission_for_it_and_its_headers_count(post: Post, verified: Any) -> None:
    role = post.role(allow("ses:SendRawEmail", **FROM, **TO))
    good = {"Raw": {"Data": raw(From=REPORTS, To=ANNA, Subject="s").as_bytes()}}
    bad = {"Raw": {"Data": raw(From=REPORTS, To=ANNA, Cc=BERT, Subject="s").as_bytes()}}
    assert post.can(role, "sesv2", "send_email", Content=good)
    assert "ses:SendRawEmail" in post.refusal(role, "sesv2", "send_email", Content=bad)
    assert "ses:SendRawEmail" in post.refusal(post.role(allow("ses:SendEmail")), "sesv2", "send_email", Content=good)
