"""A message on its way from a topic to each of its subscriptions, in the form that their protocols have."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from localcloud.patches import hooks
from localcloud.patches.sns import envelope, mails
from localcloud.patches.sns.filters import accepts

log = logging.getLogger(__name__)

SERVICE = "sns.amazonaws.com"


@dataclass(frozen=True)
class Message:
    """What was published; `attributes` by name, with Type and Value."""

    id: str
    text: str
    subject: str | None = None
    attributes: dict[str, Any] = field(default_factory=dict)
    group: str | None = None
    deduplication: str | None = None
    structure: str | None = None

    def text_for(self, protocol: str) -> str:
        """The text that a subscription of this protocol gets."""
        if self.structure != "json":
            return self.text
        texts = json.loads(self.text)
        return str(texts.get(protocol) or texts["default"])


def publish(
    topic: Any,
    message: str,
    subject: str | None = None,
    message_attributes: dict[str, Any] | None = None,
    group_id: str | None = None,
    deduplication_id: str | None = None,
    message_structure: str | None = None,
) -> str:
    """Hand a message to all confirmed subscriptions of a topic whose filters accept it; the message's id."""
    from moto.moto_api._internal import mock_random

    published = Message(
        str(mock_random.uuid4()), message, subject, message_attributes or {}, group_id, deduplication_id,
        message_structure,
    )  # fmt: skip
    for subscription in topic.sns_backend._get_topic_subscriptions(topic):
        scope = str(subscription.attributes.get("FilterPolicyScope") or "MessageAttributes")
        body = published.text_for("default")
        if subscription.confirmed and accepts(subscription._filter_policy, scope, published.attributes, body):
            _deliver(subscription, published)
    return published.id


def _deliver(subscription: Any, message: Message) -> None:
    to = PROTOCOLS.get(subscription.protocol)
    if to is None:
        log.warning("the local cloud does not deliver by %s: %s", subscription.protocol, subscription.arn)
        return
    try:
        to(subscription, message)
    except Exception as error:  # one subscription's trouble is no other's, nor the publisher's
        log.warning("%s could not be delivered: %s", subscription.arn, error)
        _bury(subscription, message)


def _bury(subscription: Any, message: Message) -> None:
    letters = json.loads(subscription.attributes.get("RedrivePolicy") or "{}").get("deadLetterTargetArn")
    if not letters:
        return
    try:
        _put(subscription, letters, _wrapped(subscription, message), {}, message)
    except Exception as error:
        log.warning("%s takes no dead letters of %s: %s", letters, subscription.arn, error)


def _wrapped(subscription: Any, message: Message) -> str:
    text = message.text_for(subscription.protocol)
    fields = envelope.notification(subscription, text, message.id, message.subject, message.attributes)
    return json.dumps(fields, indent=2)


# --- by protocol -----------------------------------------------------------------------------------------------------


def _by_mail(subscription: Any, message: Message) -> None:
    text = message.text_for("email").rstrip("\n")
    text += (
        "\n\n--\nIf you wish to stop receiving notifications from this topic, please click or visit the link below "
        f"to unsubscribe:\n{envelope.unsubscribe_url(subscription)}\n"
    )
    mails.send(subscription, message.subject or "AWS Notification Message", text)


def _by_mail_as_json(subscription: Any, message: Message) -> None:
    mails.send(subscription, message.subject or "AWS Notification Message", _wrapped(subscription, message) + "\n")


def _to_queue(subscription: Any, message: Message) -> None:
    if str(subscription.attributes.get("RawMessageDelivery")).lower() == "true":
        values = {name: _raw(each) for name, each in message.attributes.items()}
        _put(subscription, subscription.endpoint, message.text_for("sqs"), values, message)
    else:
        _put(subscription, subscription.endpoint, _wrapped(subscription, message), {}, message)


def _raw(attribute: Mapping[str, Any]) -> dict[str, Any]:
    kind = str(attribute["Type"])
    member = "BinaryValue" if kind.startswith("Binary") else "StringValue"
    return {"DataType": kind, member: str(attribute["Value"])}


def _put(subscription: Any, arn: str, text: str, values: Mapping[str, Any], message: Message) -> None:
    """Into a queue that lets the topic do it. Raises `Denied`, and moto's errors."""
    from moto.sqs.models import sqs_backends

    site = hooks.site(subscription.account_id)
    if site is not None:
        site.permit(SERVICE, "sqs:SendMessage", arn, subscription.topic.arn)
    region, queue = arn.split(":")[3], arn.rsplit(":", 1)[-1]
    more = {"message_attributes": dict(values)} if values else {}
    sqs_backends[subscription.account_id][region].send_message(
        queue, text, group_id=message.group, deduplication_id=message.deduplication, validate_group_id=False, **more
    )


def _to_function(subscription: Any, message: Message) -> None:
    """Source: https://docs.aws.amazon.com/lambda/latest/dg/with-sns.html"""
    text = message.text_for("lambda")
    fields = envelope.notification(subscription, text, message.id, message.subject, message.attributes)
    fields = {"Subject": None, "MessageAttributes": {}, **fields}
    for ours, theirs in (("SigningCertURL", "SigningCertUrl"), ("UnsubscribeURL", "UnsubscribeUrl")):
        fields[theirs] = fields.pop(ours)
    record = {
        "EventSource": "aws:sns",
        "EventVersion": "1.0",
        "EventSubscriptionArn": subscription.arn,
        "Sns": fields,
    }
    listener = hooks.listener(subscription.account_id)
    if listener is not None:
        event = json.dumps({"Records": [record]}).encode()
        listener.functions.called_by(SERVICE, subscription.topic.arn, subscription.endpoint, event)


PROTOCOLS: Mapping[str, Callable[[Any, Message], None]] = {
    "email": _by_mail,
    "email-json": _by_mail_as_json,
    "lambda": _to_function,
    "sqs": _to_queue,
}
