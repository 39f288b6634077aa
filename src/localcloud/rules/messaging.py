"""SQS and SNS: attributes of queues, what messages may hold, and endpoints that fit their protocol.

Sources: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_CreateQueue.html and
API_SendMessage.html, https://docs.aws.amazon.com/sns/latest/api/API_Subscribe.html and API_CreateTopic.html.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from localcloud import backends
from localcloud.request import Call, Refused

QUEUE_NUMBERS: Mapping[str, tuple[int, int]] = {
    "DelaySeconds": (0, 900),
    "MaximumMessageSize": (1024, 1_048_576),
    "MessageRetentionPeriod": (60, 1_209_600),
    "ReceiveMessageWaitTimeSeconds": (0, 20),
    "VisibilityTimeout": (0, 43_200),
    "KmsDataKeyReusePeriodSeconds": (60, 86_400),
}
"""Attribute -> the least and the most."""
QUEUE_WORDS: Mapping[str, tuple[str, ...]] = {
    "FifoQueue": ("true",),
    "ContentBasedDeduplication": ("true", "false"),
    "SqsManagedSseEnabled": ("true", "false"),
    "DeduplicationScope": ("queue", "messageGroup"),
    "FifoThroughputLimit": ("perQueue", "perMessageGroupId"),
}
QUEUE_TEXTS = ("Policy", "RedrivePolicy", "RedriveAllowPolicy", "KmsMasterKeyId")
FIFO_ONLY = ("FifoQueue", "ContentBasedDeduplication", "DeduplicationScope", "FifoThroughputLimit")

ALLOWED = re.compile("[\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]*")
"""What a message may be made of. Source: SendMessage, API reference."""
ATTRIBUTE_NAME = re.compile(r"(?!(?i:aws|amazon)\.)(?!\.)(?!.*\.\.)[\w.-]{1,256}(?<!\.)", re.ASCII)
MOST_ATTRIBUTES = 10

ENDPOINTS: Mapping[str, re.Pattern[str]] = {
    "http": re.compile(r"http://.+"),
    "https": re.compile(r"https://.+"),
    "email": re.compile(r"[^@\s]+@[^@\s]+"),
    "email-json": re.compile(r"[^@\s]+@[^@\s]+"),
    "sqs": re.compile(r"arn:[\w-]+:sqs:.+"),
    "lambda": re.compile(r"arn:[\w-]+:lambda:.+"),
    "firehose": re.compile(r"arn:[\w-]+:firehose:.+"),
}
RAW = ("sqs", "http", "https", "firehose")


def queue_is_valid(asked: Call) -> None:
    """Of CreateQueue and SetQueueAttributes."""
    attributes = asked.arguments.get("Attributes") or {}
    name = asked.text("QueueName") or asked.text("QueueUrl")
    for key, value in attributes.items():
        if key not in (*QUEUE_NUMBERS, *QUEUE_WORDS, *QUEUE_TEXTS):
            raise Refused("InvalidAttributeName", f"Unknown Attribute {key}.")
        least, most = QUEUE_NUMBERS.get(key, (0, 0))
        is_number = str(value).isdecimal() and least <= int(value) <= most
        if (key in QUEUE_NUMBERS and not is_number) or (key in QUEUE_WORDS and str(value) not in QUEUE_WORDS[key]):
            raise Refused("InvalidAttributeValue", f"Invalid value for the parameter {key}.")
        if key in FIFO_ONLY[1:] and not name.endswith(".fifo"):
            raise Refused("InvalidAttributeName", f"Unknown Attribute {key}.")
    _redrive(attributes.get("RedrivePolicy"), is_fifo=name.endswith(".fifo"))


def _redrive(text: Any, *, is_fifo: bool) -> None:
    if not text:
        return
    try:
        policy = json.loads(text)
        queue, most = str(policy["deadLetterTargetArn"]), int(policy["maxReceiveCount"])
    except (ValueError, KeyError, TypeError):
        message = (
            f"Value {text} for parameter RedrivePolicy is invalid. Reason: Redrive policy is not a valid JSON map."
        )
        raise Refused("InvalidParameterValue", message) from None
    if not 1 <= most <= 1000:
        message = "Reason: Invalid value for maxReceiveCount: it must be between 1 and 1000."
        raise Refused("InvalidParameterValue", f"Value {text} for parameter RedrivePolicy is invalid. {message}")
    if is_fifo != queue.endswith(".fifo"):
        message = "Reason: Dead-letter queue must be same type of queue as the source."
        raise Refused("InvalidParameterValue", f"Value {text} for parameter RedrivePolicy is invalid. {message}")


def messages_are_valid(asked: Call) -> None:
    """Of SendMessage and SendMessageBatch."""
    for entry in asked.arguments.get("Entries") or [asked.arguments]:
        if not ALLOWED.fullmatch(str(entry.get("MessageBody") or "")):
            message = "Invalid characters found. Valid unicode characters are #x9 | #xA | #xD | #x20 to #xD7FF | …"
            raise Refused("InvalidMessageContents", message)
        _attributes(entry.get("MessageAttributes") or {})


def _attributes(names: Iterable[str]) -> None:
    names = list(names)
    if len(names) > MOST_ATTRIBUTES:
        message = f"Number of message attributes [{len(names)}] exceeds the allowed maximum [{MOST_ATTRIBUTES}]."
        raise Refused("InvalidParameterValue", message)
    for name in names:
        if not ATTRIBUTE_NAME.fullmatch(name):
            raise Refused("InvalidParameterValue", f"Message (user) attribute name '{name}' is not valid.")


def subscription_is_valid(asked: Call) -> None:
    """An endpoint as its protocol has it; raw messages only where nobody reads them."""
    protocol, endpoint = asked.text("Protocol"), asked.text("Endpoint")
    shape = ENDPOINTS.get(protocol)
    if shape is not None and endpoint and not shape.fullmatch(endpoint):
        raise Refused("InvalidParameter", f"Invalid parameter: Endpoint must match the specified protocol {protocol}")
    attributes = asked.arguments.get("Attributes") or {}
    if str(attributes.get("RawMessageDelivery", "false")).lower() == "true" and protocol not in RAW:
        message = f"Delivery protocol [{protocol}] does not support raw message delivery."
        raise Refused("InvalidParameter", f"Invalid parameter: Attributes Reason: RawMessageDelivery: {message}")


def topic_is_the_same(asked: Call) -> None:
    """A topic that is there is answered, unless it is to have other tags."""
    name, tags = asked.text("Name"), asked.arguments.get("Tags")
    topics = backends.sns(asked.account, asked.region).topics.values()
    topic = next((one for one in topics if one.name == name), None)
    if topic is not None and tags and {tag["Key"]: tag["Value"] for tag in tags} != topic._tags:
        raise Refused("InvalidParameter", "Invalid parameter: Tags Reason: Topic already exists with different tags")
