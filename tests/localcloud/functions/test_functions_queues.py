"""Queues that are polled: batches, what is deleted, what comes back, and what ends in the dead-letter queue."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from localcloud.agent.functions.environment import Outcome
from localcloud.agent.functions.queues import failures
from tests.localcloud.functions.conftest import Functions
from tests.localcloud.iam.acting import allow

GOT = """
import json
def handler(event, context):
    bodies = [record["body"] for record in event["Records"]]
    print("got", json.dumps(event))
    if "bad" in bodies:
        raise RuntimeError("bad")
    return {"batchItemFailures": [{"itemIdentifier": record["messageId"]} for record in event["Records"]
                                  if record["body"] == "later"]}
"""

POLL = ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"]


def mapped(functions: Functions, url_and_arn: tuple[str, str], **settings: Any) -> str:
    functions.permit(allow(POLL, url_and_arn[1]))
    functions.make(GOT)
    uuid: str = functions.api.create_event_source_mapping(FunctionName="f", EventSourceArn=url_and_arn[1], **settings)[
        "UUID"
    ]
    return uuid


def poll(functions: Functions) -> None:
    functions.agent.functions.queues.poll()
    assert functions.agent.functions.queues.settle()


def batches(functions: Functions) -> list[list[dict[str, Any]]]:
    return [json.loads(line[4:])["Records"] for line in functions.lines() if line.startswith("got ")]


def left(functions: Functions, url: str) -> int:
    attributes = functions.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    return int(attributes["ApproximateNumberOfMessages"]) + int(attributes["ApproximateNumberOfMessagesNotVisible"])


def test_a_batch_is_handed_over_and_deleted(functions: Functions) -> None:
    queue = url, arn = functions.queue("q", VisibilityTimeout="60")
    mapped(functions, queue, BatchSize=10)
    for number in range(3):
        functions.sqs.send_message(
            QueueUrl=url, MessageBody=f"m{number}",
            MessageAttributes={"a": {"DataType": "String", "StringValue": "1"}},
        )  # fmt: skip
    poll(functions)
    (batch,) = batches(functions)
    assert sorted(record["body"] for record in batch) == ["m0", "m1", "m2"]
    record = batch[0]
    assert (record["eventSource"], record["eventSourceARN"], record["awsRegion"]) == ("aws:sqs", arn, "eu-west-1")
    assert record["attributes"]["ApproximateReceiveCount"] == "1"
    assert record["messageAttributes"]["a"]["stringValue"] == "1"
    assert left(functions, url) == 0
    poll(functions)
    assert len(batches(functions)) == 1


def test_a_batch_that_fails_comes_back_until_it_is_buried(
    functions: Functions, wait_until: Callable[..., None]
) -> None:
    dead_url, dead_arn = functions.queue("dead")
    redrive = json.dumps({"deadLetterTargetArn": dead_arn, "maxReceiveCount": 2})
    queue = url, _ = functions.queue("q", VisibilityTimeout="1", RedrivePolicy=redrive)
    mapped(functions, queue)
    functions.sqs.send_message(QueueUrl=url, MessageBody="bad")

    def buried() -> bool:
        poll(functions)
        return left(functions, dead_url) == 1

    wait_until(buried)
    assert len(batches(functions)) == 2
    assert left(functions, url) == 0


def test_a_batch_that_fails_in_part(functions: Functions) -> None:
    queue = url, _ = functions.queue("q", VisibilityTimeout="60")
    mapped(functions, queue, FunctionResponseTypes=["ReportBatchItemFailures"])
    for body in ("a", "later", "b"):
        functions.sqs.send_message(QueueUrl=url, MessageBody=body)
    poll(functions)
    assert left(functions, url) == 1


def test_a_mapping_that_is_switched_off_or_gone_takes_nothing(functions: Functions) -> None:
    queue = url, _ = functions.queue("q")
    uuid = mapped(functions, queue)
    functions.api.update_event_source_mapping(UUID=uuid, Enabled=False)
    functions.sqs.send_message(QueueUrl=url, MessageBody="m")
    poll(functions)
    functions.api.delete_event_source_mapping(UUID=uuid)
    functions.sqs.send_message(QueueUrl=url, MessageBody="m")
    poll(functions)
    assert left(functions, url) == 2


def test_a_throttled_function_leaves_its_messages(functions: Functions) -> None:
    queue = url, _ = functions.queue("q", VisibilityTimeout="60")
    mapped(functions, queue)
    functions.api.put_function_concurrency(FunctionName="f", ReservedConcurrentExecutions=0)
    functions.sqs.send_message(QueueUrl=url, MessageBody="m")
    poll(functions)
    assert left(functions, url) == 1


def test_what_a_mapping_needs(functions: Functions) -> None:
    _, arn = functions.queue("q")
    functions.make(GOT)

    def refused(source: str) -> str:
        with pytest.raises(ClientError) as error:
            functions.api.create_event_source_mapping(
                FunctionName="f", EventSourceArn=source, StartingPosition="LATEST"
            )
        return str(error.value)

    assert "does not have permissions to call ReceiveMessage on SQS" in refused(arn)
    functions.permit(allow(POLL, arn))
    functions.api.create_event_source_mapping(FunctionName="f", EventSourceArn=arn)
    assert "already exists" in refused(arn)
    assert "polls SQS queues only" in refused(functions.arn("kinesis", "stream/s"))


REPORTS: dict[str, tuple[bytes, str, bool, set[str]]] = {
    "worked": (b"null", "", False, set()),
    "failed": (b"{}", "Unhandled", True, {"a", "b"}),
    "not asked for": (b'{"batchItemFailures": [{"itemIdentifier": "a"}]}', "", False, set()),
    "one": (b'{"batchItemFailures": [{"itemIdentifier": "a"}]}', "", True, {"a"}),
    "none": (b'{"batchItemFailures": []}', "", True, set()),
    "null": (b'{"batchItemFailures": null}', "", True, set()),
    "nothing said": (b"null", "", True, set()),
    "an id that is not there": (b'{"batchItemFailures": [{"itemIdentifier": "x"}]}', "", True, {"a", "b"}),
    "no id": (b'{"batchItemFailures": [{}]}', "", True, {"a", "b"}),
    "a text": (b'"done"', "", True, {"a", "b"}),
}


@pytest.mark.parametrize("name", REPORTS)
def test_which_messages_failed(name: str) -> None:
    """Source: https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html"""
    payload, error, partial, failed = REPORTS[name]
    assert failures(Outcome(payload, error, b"", 1.0), {"a", "b"}, partial) == failed
