"""SQS: a queue's attributes stay as they were set."""

from __future__ import annotations

import json
from typing import Any

from moto.sqs import models

from localcloud.patches import hooks

_ALLOW = "RedriveAllowPolicy"


def apply() -> None:
    """Keep the policy when another attribute is set, and the redrive allow policy; answer JSON as AWS does; know the
    age of messages.
    """
    _keep_the_policy()
    _know_redrive_allow_policies()
    _know_when_messages_came()


def _know_when_messages_came() -> None:
    # sqs/models.py:557: a message is as old as the computer's clock says, which services need not go by.
    queue = models.Queue
    stock = queue.add_message

    def add_message(self: Any, message: Any) -> None:
        message.arrived = hooks.now(self.account_id)
        stock(self, message)

    queue.add_message = add_message


def _keep_the_policy() -> None:
    # sqs/models.py:358 sets the policy to nothing whenever SetQueueAttributes names another attribute.
    queue = models.Queue
    stock = queue._set_attributes

    def _set_attributes(self: Any, attributes: dict[str, Any], now: float | None = None) -> None:
        stock(self, attributes if "Policy" in attributes else {**attributes, "Policy": self.policy}, now)

    queue._set_attributes = _set_attributes


def _know_redrive_allow_policies() -> None:
    # sqs/models.py:214: moto knows no RedriveAllowPolicy, so that reading it is an error; and it answers the redrive
    # policy with spaces that AWS does not write.
    queue, backend = models.Queue, models.SQSBackend
    stock_attributes, stock_get = queue.attributes.fget, backend.get_queue_attributes

    def attributes(self: Any) -> dict[str, Any]:
        values: dict[str, Any] = stock_attributes(self)
        if allowed := getattr(self, "redrive_allow_policy", None):
            values[_ALLOW] = allowed
        if self.redrive_policy:
            values["RedrivePolicy"] = json.dumps(self.redrive_policy, separators=(",", ":"))
        return values

    def get_queue_attributes(self: Any, queue_name: str, attribute_names: list[str]) -> dict[str, Any]:
        others = [name for name in attribute_names if name != _ALLOW]
        values: dict[str, Any] = stock_get(self, queue_name, others)
        allowed = self.get_queue(queue_name).attributes.get(_ALLOW)
        return {**values, _ALLOW: allowed} if _ALLOW in attribute_names and allowed else values

    queue.attributes = property(attributes)
    backend.get_queue_attributes = get_queue_attributes
