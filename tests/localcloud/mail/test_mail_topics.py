"""Topics: who gets what is published, in which form, and how people agree to it and leave."""

from __future__ import annotations

import base64
import json
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from botocore.exceptions import ClientError
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding

from localcloud import mail
from localcloud.patches.sns import envelope
from tests.localcloud.iam.acting import REGION, allow
from tests.localcloud.mail.conftest import Post

ANNA, BERT = "anna@example.com", "bert@example.com"


def to(*people: str) -> Any:
    return {"to": {"DataType": "String.Array", "StringValue": json.dumps(people)}}


def listed(post: Post, topic: str) -> list[str]:
    answer = post.sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]
    return [each["SubscriptionArn"] for each in answer]


def numbers(post: Post, topic: str) -> tuple[str, ...]:
    attributes = post.sns.get_topic_attributes(TopicArn=topic)["Attributes"]
    return tuple(attributes[f"Subscriptions{name}"] for name in ("Pending", "Confirmed", "Deleted"))


def test_a_subscription_waits_for_its_owner(post: Post) -> None:
    topic = post.topic(DisplayName="herd prod")
    answer = post.sns.subscribe(TopicArn=topic, Protocol="email", Endpoint=ANNA)
    assert answer["SubscriptionArn"] == "pending confirmation"
    assert listed(post, topic) == ["PendingConfirmation"] and numbers(post, topic) == ("1", "0", "0")
    (asked,) = post.mail(ANNA)
    assert asked.subject == "AWS Notification - Subscription Confirmation"
    assert dict(asked.headers)["From"] == "herd prod <no-reply@sns.amazonaws.com>" and topic in asked.text
    post.sns.publish(TopicArn=topic, Message="too early")
    assert len(post.mail()) == 1
    post.confirm(topic, ANNA)
    assert listed(post, topic)[0].startswith(f"{topic}:") and numbers(post, topic) == ("0", "1", "0")
    post.sns.publish(TopicArn=topic, Message="line one\nline two", Subject="Über alles")
    letter = post.mail(ANNA)[-1]
    assert letter.subject == "Über alles" and letter.text.startswith("line one\nline two\n\n--\n")


def test_who_subscribes_again_is_asked_again_and_stays_one(post: Post) -> None:
    topic = post.topic()
    arns = {post.subscribe(topic, ANNA) for _ in range(2)}
    assert len(arns) == 1 and len(post.mail(ANNA)) == 2
    post.confirm(topic, ANNA)
    post.subscribe(topic, ANNA)
    assert len(post.mail(ANNA)) == 2  # who has agreed is not asked any more


@pytest.mark.parametrize("token", ["", "0" * 64])
def test_a_wrong_token_confirms_nothing(post: Post, token: str) -> None:
    topic = post.topic()
    post.subscribe(topic, ANNA)
    with pytest.raises(ClientError, match="InvalidParameter.*Invalid token|Token"):
        post.sns.confirm_subscription(TopicArn=topic, Token=token)
    assert listed(post, topic) == ["PendingConfirmation"]


def test_one_that_waits_cannot_be_ended_and_goes_with_its_topic(post: Post) -> None:
    topic = post.topic()
    arn = post.subscribe(topic, ANNA)
    with pytest.raises(ClientError, match="pending confirmation"):
        post.sns.unsubscribe(SubscriptionArn=arn)
    post.sns.delete_topic(TopicArn=topic)
    assert post.sns.list_subscriptions()["Subscriptions"] == []


def test_whoever_has_the_mail_can_end_the_subscription(post: Post) -> None:
    topic = post.topic()
    arn = post.reader(topic, ANNA)
    post.sns.publish(TopicArn=topic, Message="news")
    (link,) = post.links(ANNA)
    named = {name: values[0] for name, values in parse_qs(urlsplit(link).query).items()}
    assert named == {"SubscriptionArn": arn, "Endpoint": ANNA}
    post.sns.unsubscribe(SubscriptionArn=arn)
    assert listed(post, topic) == [] and numbers(post, topic) == ("0", "0", "1")


def test_each_gets_only_their_own(post: Post) -> None:
    topic = post.topic()
    for person in (ANNA, BERT):
        post.reader(topic, person, FilterPolicy={"to": [person]})
    before = {person: len(post.mail(person)) for person in (ANNA, BERT)}
    post.sns.publish(TopicArn=topic, Message="for Anna", MessageAttributes=to(ANNA))
    post.sns.publish(TopicArn=topic, Message="for both", MessageAttributes=to(ANNA, BERT))
    post.sns.publish(TopicArn=topic, Message="of CloudWatch, without attributes")
    assert {person: len(post.mail(person)) - before[person] for person in (ANNA, BERT)} == {ANNA: 2, BERT: 1}


def test_a_filter_can_look_at_the_body(post: Post) -> None:
    topic = post.topic()
    post.reader(topic, ANNA, FilterPolicyScope="MessageBody", FilterPolicy={"state": ["ALARM"]})
    before = len(post.mail(ANNA))
    for text in ('{"state": "OK"}', "plain", '{"state": "ALARM"}'):
        post.sns.publish(TopicArn=topic, Message=text)
    assert [letter.text.splitlines()[0] for letter in post.mail(ANNA)[before:]] == ['{"state": "ALARM"}']


def test_more_subscriptions_than_a_page_holds_all_get_the_message(post: Post) -> None:
    topic = post.topic()
    url, arn = post.queue(topic)
    for number in range(130):
        post.subscribe(topic, f"p{number}@example.com")
    post.subscribe(topic, arn, "sqs")
    post.sns.publish(TopicArn=topic, Message="x")
    assert len(post.received(url)) == 1


def test_a_queue_gets_a_signed_envelope(post: Post) -> None:
    topic = post.topic(SignatureVersion="2")
    url, arn = post.queue(topic)
    subscription = post.subscribe(topic, arn, "sqs")
    sent = post.sns.publish(TopicArn=topic, Message="text", Subject="s", MessageAttributes=to(ANNA))["MessageId"]
    (message,) = post.received(url)
    fields = json.loads(message["Body"])
    assert (fields["Type"], fields["MessageId"], fields["TopicArn"]) == ("Notification", sent, topic)
    assert (fields["Message"], fields["Subject"]) == ("text", "s")
    assert fields["MessageAttributes"] == {"to": {"Type": "String.Array", "Value": json.dumps([ANNA])}}
    assert subscription in parse_qs(urlsplit(fields["UnsubscribeURL"]).query)["SubscriptionArn"]
    name = urlsplit(fields["SigningCertURL"]).path.removeprefix("/SimpleNotificationService-").removesuffix(".pem")
    pem = envelope.certificate(name)
    assert pem is not None
    text = "".join(f"{name}\n{fields[name]}\n" for name in sorted(envelope.SIGNED["Notification"]))
    key: Any = x509.load_pem_x509_certificate(pem).public_key()
    key.verify(base64.b64decode(fields["Signature"]), text.encode(), padding.PKCS1v15(), hashes.SHA256())


def test_a_queue_can_get_the_message_raw(post: Post) -> None:
    topic = post.topic()
    url, arn = post.queue(topic)
    post.subscribe(topic, arn, "sqs", RawMessageDelivery="true")
    post.sns.publish(TopicArn=topic, Message="text", MessageAttributes=to(ANNA))
    (message,) = post.received(url)
    assert message["Body"] == "text"
    assert message["MessageAttributes"]["to"]["StringValue"] == json.dumps([ANNA])


def test_a_queue_that_does_not_permit_it_gets_nothing_and_the_dead_letters_do(post: Post) -> None:
    topic = post.topic()
    url, arn = post.queue()
    letters, letters_arn = post.queue(topic)
    post.subscribe(topic, arn, "sqs", RedrivePolicy={"deadLetterTargetArn": letters_arn})
    post.sns.publish(TopicArn=topic, Message="text")
    assert post.received(url) == []
    assert [json.loads(each["Body"])["Message"] for each in post.received(letters)] == ["text"]


def test_a_message_can_be_another_one_for_each_protocol(post: Post) -> None:
    topic = post.topic()
    url, arn = post.queue(topic)
    post.subscribe(topic, arn, "sqs", RawMessageDelivery="true")
    post.reader(topic, ANNA)
    structure = json.dumps({"default": "for all", "email": "for people"})
    post.sns.publish(TopicArn=topic, Message=structure, MessageStructure="json")
    assert [each["Body"] for each in post.received(url)] == ["for all"]
    assert post.mail(ANNA)[-1].text.startswith("for people\n")


def test_mail_can_be_json(post: Post) -> None:
    topic = post.topic()
    arn = post.subscribe(topic, ANNA, "email-json")
    asked = json.loads(post.mail(ANNA)[0].text)
    assert asked["Type"] == "SubscriptionConfirmation"
    post.sns.confirm_subscription(TopicArn=topic, Token=asked["Token"])
    post.sns.publish(TopicArn=topic, Message="text", Subject="s")
    letter = post.mail(ANNA)[-1]
    fields = json.loads(letter.text)
    assert (letter.subject, fields["Message"], fields["Subject"]) == ("s", "text", "s")
    assert arn in parse_qs(urlsplit(fields["UnsubscribeURL"]).query)["SubscriptionArn"]


@pytest.mark.parametrize(
    ("published", "reason"),
    [
        ({"Message": "x", "Subject": "a\nBcc: evil@example.com"}, "Subject"),
        ({"Message": "x", "Subject": "s" * 101}, "Subject"),
        ({"Message": "é" * 140_000}, "too long"),
        ({"Message": "x", "MessageStructure": "json"}, "failed to parse"),
        ({"Message": '{"email": "x"}', "MessageStructure": "json"}, "No default entry"),
    ],
)
def test_what_cannot_be_published(post: Post, published: dict[str, str], reason: str) -> None:
    topic = post.topic()
    with pytest.raises(ClientError, match=reason):
        post.sns.publish(TopicArn=topic, **published)


def test_a_role_needs_the_permission_and_the_key(post: Post) -> None:
    key = post.root("kms").create_key()["KeyMetadata"]["Arn"]
    topic = post.topic(KmsMasterKeyId=key)
    publish = {"Effect": "Allow", "Action": "sns:Publish", "Resource": topic}
    use = {"Effect": "Allow", "Action": ["kms:GenerateDataKey*", "kms:Decrypt"], "Resource": key}
    assert "kms:GenerateDataKey" in post.refusal(post.role(publish), "sns", "publish", TopicArn=topic, Message="x")
    assert post.can(post.role(publish, use), "sns", "publish", TopicArn=topic, Message="x")


def test_nobody_is_mailed_while_a_journal_is_carried_out_again(post: Post) -> None:
    mail.connect(post.id, None)
    topic = post.topic()
    post.subscribe(topic, ANNA)
    assert post.inbox.letters() == []
    assert topic.startswith(f"arn:aws:sns:{REGION}")


@pytest.mark.parametrize("address", ["", "anna", "anna@", "a@b@c", "anna@example.com\nBcc: evil@example.com"])
def test_what_is_no_address_cannot_subscribe(post: Post, address: str) -> None:
    topic = post.topic()
    with pytest.raises(ClientError, match="InvalidParameter|Endpoint"):
        post.sns.subscribe(TopicArn=topic, Protocol="email", Endpoint=address)
    assert listed(post, topic) == []


@pytest.mark.parametrize(
    ("policy", "reason"),
    [
        ("{not json", "parse"),
        ("[1]", "object"),
        ({"to": "a"}, "array"),
        ({"to": []}, "array"),
        ({"to": [["a"]]}, "Match value"),
        ({"to": [{"prefix": 5}]}, "prefix"),
        ({"to": [{"prefix": "a", "suffix": "b"}]}, "Only one key"),
        ({"to": [{"anything-but": {"prefix": 1}}]}, "prefix"),
        ({"n": [{"numeric": ">"}]}, "numeric"),
        ({"to": [{"wildcard": "a*"}]}, "Unrecognized match type"),
        ({f"k{number}": ["a"] for number in range(6)}, "5 keys"),
        ({"deep": {"to": ["a"]}}, "nested"),
    ],
)
def test_a_wrong_filter_is_refused_and_nothing_is_made(post: Post, policy: Any, reason: str) -> None:
    topic = post.topic()
    with pytest.raises(ClientError, match=reason):
        post.subscribe(topic, ANNA, FilterPolicy=policy)
    assert post.mail() == [] and listed(post, topic) == []
    arn = post.subscribe(topic, BERT)
    text = policy if isinstance(policy, str) else json.dumps(policy)
    with pytest.raises(ClientError, match=reason):
        post.sns.set_subscription_attributes(SubscriptionArn=arn, AttributeName="FilterPolicy", AttributeValue=text)


def test_who_may_subscribe_whom(post: Post) -> None:
    topic = post.topic()
    condition = {"StringEquals": {"sns:Protocol": "email"}, "StringLike": {"sns:Endpoint": "*@example.com"}}
    role = post.role(allow("sns:Subscribe", topic, **condition))
    asked = {"TopicArn": topic, "Protocol": "email", "ReturnSubscriptionArn": True}
    assert post.can(role, "sns", "subscribe", Endpoint=ANNA, **asked)
    assert "sns:Subscribe" in post.refusal(role, "sns", "subscribe", Endpoint="a@evil.example", **asked)
