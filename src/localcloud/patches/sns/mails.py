"""What SNS writes to people: the question whether they want to subscribe, and what is published."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlencode

from moto.moto_api._internal import mock_random

from localcloud import mail
from localcloud.patches.sns import envelope

SENDER = "no-reply@sns.amazonaws.com"


def ask(subscription: Any) -> None:
    """Send the message by which a subscription's owner is asked for confirmation."""
    if subscription.protocol not in ("email", "email-json"):
        return
    topic = subscription.topic
    named = {"TopicArn": topic.arn, "Token": subscription.token, "Endpoint": subscription.endpoint}
    base = envelope.address(subscription.account_id, topic.sns_backend.region_name)
    link = f"{base}/confirmation.html?{urlencode(named)}"
    if subscription.protocol == "email-json":
        message = (
            f"You have chosen to subscribe to the topic {topic.arn}.\n"
            "To confirm the subscription, visit the SubscribeURL included in this message."
        )
        fields = envelope.confirmation(subscription, message, str(mock_random.uuid4()), link)
        text = json.dumps(fields, indent=2) + "\n"
    else:
        text = (
            f"You have chosen to subscribe to the topic:\n{topic.arn}\n\n"
            "To confirm this subscription, click or visit the link below "
            f"(If this was in error no action is necessary):\n{link}\n"
        )
    send(subscription, "AWS Notification - Subscription Confirmation", text)


def send(subscription: Any, subject: str, text: str) -> None:
    """Mail a subscription's owner."""
    name = subscription.topic.display_name or "AWS Notifications"
    message = mail.compose(SENDER, name, subscription.endpoint, subject, text)
    mail.send(subscription.account_id, SENDER, [subscription.endpoint], message)
