"""SNS: e-mail subscriptions wait for a click, publishing delivers to everybody whose filter and policy allow it.

Applied when moto's part for SNS is loaded.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import wraps
from typing import Any

from localcloud import mail
from localcloud.patches.loading import when_loaded
from localcloud.patches.sns import filters, mails

CONFIRMED_BY_CLICK = frozenset({"email", "email-json", "http", "https"})
"""Protocols whose subscriptions wait until somebody on the other side agrees."""

TOKEN_LIFETIME = timedelta(days=2)
"""How long a confirmation's link is good. Source: Subscribe (SNS API reference)."""

PENDING = "PendingConfirmation"
"""What lists show in place of the ARN of a subscription that waits."""

MAX_MESSAGE_BYTES = 262_144


def apply() -> None:
    """Wait for moto's parts."""
    when_loaded("moto.sns.models", _patch_models)
    when_loaded("moto.sns.responses", _patch_responses)


# --- subscriptions ---------------------------------------------------------------------------------------------------


def _patch_models() -> None:
    from moto.sns import exceptions, models

    from localcloud.patches.sns import delivery

    _wait_for_confirmation(models, exceptions)
    _end_confirmed_ones_only(models, exceptions)
    _count(models)
    # sns/models.py:90: stock asks for a topic's first 100 subscriptions, and keeps every message for ever.
    models.Topic.publish = delivery.publish
    _check_messages(models, exceptions)


def _wait_for_confirmation(models: Any, exceptions: Any) -> None:
    # sns/models.py:640: every subscription is taken for confirmed.
    from moto.core.utils import utcnow
    from moto.moto_api._internal import mock_random

    backend = models.SNSBackend
    stock = backend.subscribe

    @wraps(stock)
    def subscribe(self: Any, topic_arn: str, endpoint: str, protocol: str) -> Any:
        if protocol in ("email", "email-json") and not mail.ADDRESS.fullmatch(endpoint or ""):
            raise exceptions.SNSInvalidParameter("Invalid parameter: Email address")
        before = self._find_subscription(topic_arn, endpoint, protocol)
        subscription = stock(self, topic_arn, endpoint, protocol)
        if before is None:
            waits = protocol in CONFIRMED_BY_CLICK
            subscription.confirmed = not waits
            subscription.attributes["PendingConfirmation"] = waits
            subscription.attributes["ConfirmationWasAuthenticated"] = not waits
            subscription.token = mock_random.get_random_hex(256) if waits else ""
        if not subscription.confirmed:
            subscription.asked = utcnow()
            mails.ask(subscription)
        return subscription

    backend.subscribe = subscribe


def confirm(backend: Any, topic_arn: str, token: str, authenticated: bool, now: datetime) -> Any:
    """The subscription that its owner has agreed to. Raises `SNSInvalidParameter`."""
    from moto.sns.exceptions import SNSInvalidParameter

    waiting = (each for each in backend.subscriptions.values() if each.topic.arn == topic_arn)
    subscription = next((each for each in waiting if token and getattr(each, "token", "") == token), None)
    if subscription is None or (not subscription.confirmed and now - subscription.asked > TOKEN_LIFETIME):
        raise SNSInvalidParameter("Invalid parameter: Invalid token")
    if not subscription.confirmed:
        subscription.confirmed = True
        subscription.attributes["PendingConfirmation"] = False
        subscription.attributes["ConfirmationWasAuthenticated"] = authenticated
    return subscription


def _end_confirmed_ones_only(models: Any, exceptions: Any) -> None:
    backend = models.SNSBackend

    def unsubscribe(self: Any, subscription_arn: str) -> None:
        subscription = self.subscriptions.get(subscription_arn)
        if subscription is None:
            return
        if not subscription.confirmed:
            text = "Invalid parameter: SubscriptionArn Reason: Cannot unsubscribe a subscription that is pending "
            raise exceptions.SNSInvalidParameter(f"{text}confirmation")
        del self.subscriptions[subscription_arn]
        subscription.topic.subscriptions_ended = getattr(subscription.topic, "subscriptions_ended", 0) + 1

    backend.unsubscribe = unsubscribe


def _count(models: Any) -> None:
    # sns/models.py:84: the numbers of a topic's subscriptions are always 0.
    def count(confirmed: bool) -> Callable[[Any], int]:
        def of(topic: Any) -> int:
            return sum(each.confirmed == confirmed for each in topic.sns_backend._get_topic_subscriptions(topic))

        return of

    def ignore(topic: Any, number: int) -> None:
        """Stock's constructor sets them."""

    models.Topic.subscriptions_pending = property(count(False), ignore)
    models.Topic.subscriptions_confimed = property(count(True), ignore)  # stock's spelling
    models.Topic.subscriptions_deleted = property(lambda topic: getattr(topic, "subscriptions_ended", 0), ignore)


def _check_messages(models: Any, exceptions: Any) -> None:
    # sns/models.py:727 counts characters, and takes a subject with line breaks.
    backend = models.SNSBackend
    stock = backend.publish

    @wraps(stock)
    def publish(self: Any, message: str, arn: Any, phone_number: Any = None, subject: Any = None, **more: Any) -> str:
        if not message:
            raise exceptions.SNSInvalidParameter("Invalid parameter: Empty message")
        if subject is not None and (not subject.strip() or not subject.isprintable()):
            raise exceptions.SNSInvalidParameter("Invalid parameter: Subject")
        attributes = more.get("message_attributes") or {}
        size = len(message.encode()) + sum(
            len(name.encode()) + len(each["Type"]) + len(str(each["Value"]).encode())
            for name, each in attributes.items()
        )
        if size > MAX_MESSAGE_BYTES:
            raise exceptions.SNSInvalidParameter("Invalid parameter: Message too long")
        if more.get("message_structure") == "json":
            _check_structure(message, exceptions)
        return str(stock(self, message, arn, phone_number, subject, **more))

    backend.publish = publish


def _check_structure(message: str, exceptions: Any) -> None:
    prefix = "Invalid parameter: Message Structure - "
    try:
        structure = json.loads(message)
    except (ValueError, RecursionError):
        raise exceptions.SNSInvalidParameter(f"{prefix}JSON message body failed to parse") from None
    if not isinstance(structure, dict) or not isinstance(structure.get("default"), str):
        raise exceptions.SNSInvalidParameter(f"{prefix}No default entry in JSON message body")


# --- answers ---------------------------------------------------------------------------------------------------------


def _patch_responses() -> None:
    from moto.core.responses import ActionResult
    from moto.core.utils import utcnow
    from moto.sns import exceptions, responses

    response = responses.SNSResponse
    stock = response.subscribe

    def subscribe(self: Any) -> Any:
        # Before anything is made: what is refused leaves nothing behind.
        attributes = self._get_param("Attributes") or {}
        for name, text in attributes.items():
            check_attribute(name, text)
        if attributes.get("FilterPolicy"):
            policy, scope = json.loads(attributes["FilterPolicy"]), attributes.get("FilterPolicyScope")
            self.backend._validate_filter_policy(policy, scope=scope)
        answer = stock(self)
        subscription = self.backend.subscriptions[answer.result["SubscriptionArn"]]
        if not subscription.confirmed and str(self._get_param("ReturnSubscriptionArn")).lower() != "true":
            return ActionResult({"SubscriptionArn": "pending confirmation"})
        return answer

    # sns/responses.py:433 confirms nothing, whatever token it is shown.
    def confirm_subscription(self: Any) -> Any:
        topic = self._get_param("TopicArn")
        if topic not in self.backend.topics:
            raise exceptions.SNSNotFoundError("Topic does not exist")
        authenticated = str(self._get_param("AuthenticateOnUnsubscribe")).lower() == "true"
        subscription = confirm(self.backend, topic, self._get_param("Token") or "", authenticated, utcnow())
        return ActionResult({"SubscriptionArn": subscription.arn})

    stock_set = response.set_subscription_attributes

    def set_subscription_attributes(self: Any) -> Any:
        check_attribute(str(self._get_param("AttributeName")), self._get_param("AttributeValue") or "")
        return stock_set(self)

    def check_attribute(name: str, text: str) -> None:
        if name == "FilterPolicyScope" and text not in filters.SCOPES:
            raise exceptions.SNSInvalidParameter("Invalid parameter: FilterPolicyScope: Invalid value")
        if name == "FilterPolicy" and text:
            try:
                filters.check(text)
            except filters.BadPolicy as bad:
                raise exceptions.SNSInvalidParameter(f"Invalid parameter: FilterPolicy: {bad}") from None

    response.subscribe, response.confirm_subscription = subscribe, confirm_subscription
    response.set_subscription_attributes = set_subscription_attributes
    for name in ("list_subscriptions", "list_subscriptions_by_topic"):
        setattr(response, name, _hiding_arns(getattr(response, name), ActionResult))


def _hiding_arns(stock: Any, result: Any) -> Any:
    @wraps(stock)
    def listing(self: Any) -> Any:
        answer = stock(self).result
        listed = [
            {
                "SubscriptionArn": each.arn if each.confirmed else PENDING,
                "Owner": each.owner,
                "Protocol": each.protocol,
                "Endpoint": each.endpoint,
                "TopicArn": each.topic.arn,
            }
            for each in answer["Subscriptions"]
        ]
        return result({**answer, "Subscriptions": listed})

    return listing
