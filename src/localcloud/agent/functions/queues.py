"""Event source mappings: queues are polled, and functions invoked with batches of their messages.

Source: https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html
"""

from __future__ import annotations

import base64
import json
import logging
import threading
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from localcloud import backends
from localcloud.agent.functions.environment import Outcome
from localcloud.agent.functions.functions import SERVICE, Failed, Functions, Target
from localcloud.agent.worker import Worker
from localcloud.server import Server

log = logging.getLogger(__name__)

POLL_SECONDS = 0.5
"""How often a queue is looked at; a look at one without messages costs no request."""

BATCHES_AT_ONCE = 5
"""Batches of one mapping under way at the same time, as Lambda begins with."""

MOST_AT_A_TIME = 10
"""Messages that one ReceiveMessage answers."""

AFTER_FAILURE_SECONDS = 5.0
"""How long a mapping is left alone that cannot be polled, because its function, queue or permission is missing."""


@dataclass(frozen=True)
class Source:
    """An enabled mapping, read out of moto."""

    id: str
    queue_arn: str
    function_arn: str
    region: str
    batch_size: int
    window_seconds: float
    partial: bool
    at_once: int
    is_fifo: bool


class Queues:
    """Polls the account's mappings. Nothing is done, and no thread runs, where there are none."""

    def __init__(self, server: Server, functions: Functions, worker: Worker):
        self._server = server
        self._functions = functions
        self._lock = threading.Lock()
        self._closed = False
        self._under_way: dict[str, int] = {}
        self._rest_until: dict[str, float] = {}
        self._step = worker.add("function queues", self._poll)

    def changed(self) -> None:
        """A mapping was made, changed or removed; the server's lock may be held."""
        self._step.wake()

    def close(self) -> None:
        """Take no further batch."""
        self._closed = True
        self._step.remove()

    def poll(self) -> bool:
        """Begin with what waits in the queues; False if there is no mapping."""
        with self._server.lock:
            mappings = [_read(each) for each in backends.event_source_mappings(self._server.account) if each.enabled]
            ready = [each for each in mappings if self._has_messages(each)]
        for mapping in ready:
            with self._lock:
                busy = self._under_way.get(mapping.id, 0)
                if busy >= mapping.at_once or self._rest_until.get(mapping.id, 0.0) > time.monotonic():
                    continue
                self._under_way[mapping.id] = busy + 1
            threading.Thread(target=self._guarded, args=(mapping,), name="function-batch", daemon=True).start()
        return bool(mappings)

    def settle(self, seconds: float = 60.0) -> bool:
        """Wait until no batch is under way."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            with self._lock:
                if not any(self._under_way.values()):
                    return True
            time.sleep(0.01)
        return False

    def _poll(self) -> float | None:
        """Look at the queues. In how many seconds to look again; None while nothing is to be polled."""
        return POLL_SECONDS if not self._closed and self.poll() else None

    def _has_messages(self, mapping: Source) -> bool:
        queue = backends.queue(self._server.account, mapping.region, mapping.queue_arn.rsplit(":", 1)[-1])
        return queue is not None and bool(queue.messages)

    # --- one batch ---

    def _guarded(self, mapping: Source) -> None:
        try:
            self._take_batch(mapping)
        except Exception as error:
            log.warning("%s cannot be polled for %s: %s", mapping.queue_arn, mapping.function_arn, error)
            with self._lock:
                self._rest_until[mapping.id] = time.monotonic() + AFTER_FAILURE_SECONDS
        finally:
            with self._lock:
                self._under_way[mapping.id] -= 1
            self._step.wake()

    def _take_batch(self, mapping: Source) -> None:
        target = self._functions.find(mapping.region, mapping.function_arn)
        function = target.function
        principal = self._server.assume(function.role, SERVICE, function.arn, function.name)
        sqs = self._server.client("sqs", mapping.region, principal)
        url = self._server.client("sqs", mapping.region).get_queue_url(QueueName=mapping.queue_arn.rsplit(":", 1)[-1])[
            "QueueUrl"
        ]
        messages = self._receive(mapping, sqs, url)
        if not messages:
            return
        event = {"Records": [_record(mapping, each) for each in messages]}
        outcome = self._invoke(target, json.dumps(event).encode())
        if outcome is None:  # throttled: they are seen again when their visibility time-out is over
            with self._lock:
                self._rest_until[mapping.id] = time.monotonic() + 1.0
            return
        failed = failures(outcome, {each["MessageId"] for each in messages}, mapping.partial)
        entries = [
            {"Id": str(place), "ReceiptHandle": each["ReceiptHandle"]}
            for place, each in enumerate(messages)
            if each["MessageId"] not in failed
        ]
        for start in range(0, len(entries), MOST_AT_A_TIME):
            sqs.delete_message_batch(QueueUrl=url, Entries=entries[start : start + MOST_AT_A_TIME])

    def _invoke(self, target: Target, payload: bytes) -> Outcome | None:
        try:
            return self._functions.invoke(target, payload, str(uuid.uuid4()))
        except Failed as failed:
            if failed.status == 429:
                return None
            raise

    def _receive(self, mapping: Source, sqs: Any, url: str) -> list[dict[str, Any]]:
        """Messages until the batch is full or its window is over."""
        messages: list[dict[str, Any]] = []
        deadline = time.monotonic() + mapping.window_seconds
        while len(messages) < mapping.batch_size and not self._closed:
            received = sqs.receive_message(
                QueueUrl=url,
                MaxNumberOfMessages=min(MOST_AT_A_TIME, mapping.batch_size - len(messages)),
                AttributeNames=["All"],
                MessageAttributeNames=["All"],
                WaitTimeSeconds=0,
            ).get("Messages", [])
            messages += received
            left = deadline - time.monotonic()
            if not received and (left <= 0 or not messages):
                break
            if not received:
                time.sleep(min(left, 0.1))
        return messages


def failures(outcome: Outcome, ids: set[str], partial: bool) -> set[str]:
    """Messages of a batch that were not dealt with: all where the function failed, or reports what is not there."""
    if outcome.error:
        return ids
    if not partial:
        return set()
    try:
        answer = json.loads(outcome.payload)
        reported = [] if answer is None else answer.get("batchItemFailures") or []
        failed = {str(each["itemIdentifier"]) for each in reported}
    except (ValueError, TypeError, KeyError, AttributeError):
        return ids
    return failed if failed <= ids else ids


def _read(model: Any) -> Source:
    scaling = model.scaling_config or {}
    is_fifo = model.event_source_arn.endswith(".fifo")
    return Source(
        id=str(model.uuid),
        queue_arn=str(model.event_source_arn),
        function_arn=str(model.function_arn),
        region=str(model.event_source_arn).split(":")[3],
        batch_size=int(model.batch_size),
        window_seconds=float(model.max_batch_window or 0),
        partial="ReportBatchItemFailures" in (model.function_response_types or ()),
        at_once=1 if is_fifo else min(BATCHES_AT_ONCE, int(scaling.get("MaximumConcurrency") or BATCHES_AT_ONCE)),
        is_fifo=is_fifo,
    )


def _record(mapping: Source, message: Mapping[str, Any]) -> dict[str, Any]:
    """Source: https://docs.aws.amazon.com/lambda/latest/dg/with-sqs.html"""
    return {
        "messageId": message["MessageId"],
        "receiptHandle": message["ReceiptHandle"],
        "body": message["Body"],
        "attributes": message.get("Attributes", {}),
        "messageAttributes": {
            name: _attribute(value) for name, value in (message.get("MessageAttributes") or {}).items()
        },
        "md5OfBody": message["MD5OfBody"],
        "eventSource": "aws:sqs",
        "eventSourceARN": mapping.queue_arn,
        "awsRegion": mapping.region,
    }


def _attribute(value: Mapping[str, Any]) -> dict[str, Any]:
    shown: dict[str, Any] = {"stringListValues": [], "binaryListValues": [], "dataType": value["DataType"]}
    if "StringValue" in value:
        shown["stringValue"] = value["StringValue"]
    if "BinaryValue" in value:
        shown["binaryValue"] = base64.b64encode(value["BinaryValue"]).decode()
    return shown
