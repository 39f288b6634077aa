"""What the watch asks of AWS: the answers to its questions, its memory, what it tells and starts.

Names are made of the plan; the account and region are those of the topic. A 403 of an object may mean that there is
none: S3 says so to whoever may list only some prefixes. Listing just that key tells which.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, TypeVar

from herd.runner.contract.documents import Version
from herd.runner.contract.due import Marker
from herd.runner.contract.keys import WATCH_MEMORY, due_prefix, latest_key, record_key
from herd.runner.contract.plan import Plan
from herd.runner.contract.task import CONTAINER
from herd.runner.contract.watching import TO

from .call import Start
from .known import Execution, Known, Published, RunKey, ScheduleSeen
from .messages import Message
from .questions import LOG_LINES, LogWanted, MarkersWanted, Questions, RecordWanted

AT_ONCE: Final = 8
PENDING: Final = "PendingConfirmation"
"""Stands where SNS has the ARN of a subscription that nobody has confirmed."""

Asked = TypeVar("Asked")
Answer = TypeVar("Answer")


class Raced(Exception):
    """Somebody else has written the memory since it was read."""


@dataclass(frozen=True)
class Stored:
    """An object as it was read. `etag` is None where there is none."""

    body: bytes | None
    etag: str | None


@dataclass(frozen=True)
class Aws:
    """`make_client("s3")` gives boto3's client."""

    plan: Plan
    bucket: str
    topic: str
    make_client: Callable[[str], Any]
    _clients: dict[str, Any] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    # --- the memory ---

    def memory(self) -> Stored:
        return self._object(WATCH_MEMORY)

    def remember(self, body: bytes, before: Stored) -> Stored:
        """Write the memory in place of the one that was read. Raises Raced."""
        from botocore.exceptions import ClientError

        condition = {"IfMatch": before.etag} if before.etag is not None else {"IfNoneMatch": "*"}
        try:
            put = self._client("s3").put_object(
                Bucket=self.bucket, Key=WATCH_MEMORY, Body=body, ContentType="application/json", **condition
            )
        except ClientError as error:
            # 404: with IfMatch, of an object that has gone meanwhile.
            if _code(error) in ("PreconditionFailed", "ConditionalRequestConflict", "NoSuchKey", "404", "412"):
                raise Raced from error
            raise
        return Stored(body, put["ETag"])

    # --- questions ---

    def answers(self, questions: Questions, refused: list[str]) -> Known:
        """Each kind in turn, its questions several at a time.

        What AWS refuses stays unknown, and is put into `refused`: one permission that is missing must not silence what
        the others are for.
        """
        slow = [None] if questions.slow_look else []
        return Known(
            markers=dict(self._each(self._markers, questions.markers, refused)),
            executions=dict(self._each(self._execution, questions.executions, refused)),
            records=dict(self._each(self._record, questions.records, refused)),
            logs=dict(self._each(self._log, questions.logs, refused)),
            published=dict(self._each(self._published, questions.published, refused)),
            schedules=next(iter(self._each(lambda _: self._schedules(), slow, refused)), None),
            subscriptions=next(iter(self._each(lambda _: self.subscriptions(), slow, refused)), None),
        )

    def _each(self, ask: Callable[[Asked], Answer], questions: Iterable[Asked], refused: list[str]) -> list[Answer]:
        from botocore.exceptions import BotoCoreError, ClientError

        def one(question: Asked) -> list[Answer]:
            try:
                return [ask(question)]
            except (ClientError, BotoCoreError) as error:
                refused.append(str(error))
                return []

        asked = tuple(questions)
        if len(asked) < 2:
            return [answer for question in asked for answer in one(question)]
        with ThreadPoolExecutor(AT_ONCE) as pool:
            return [answer for answers in pool.map(one, asked) for answer in answers]

    def _markers(self, wanted: MarkersWanted) -> tuple[str, tuple[Marker, ...]]:
        keys = self._listed(due_prefix(wanted.name), wanted.start_after)
        bodies = (self._object(key).body for key in keys)
        return wanted.name, tuple(marker for body in bodies if body is not None for marker in _marker(body))

    def _execution(self, key: RunKey) -> tuple[RunKey, Execution | None]:
        from botocore.exceptions import ClientError

        try:
            described = self._client("stepfunctions").describe_execution(
                executionArn=self._arn("states", f"execution:{key.machine}:{key.run_id}")
            )
        except ClientError as error:
            if _code(error) == "ExecutionDoesNotExist":
                return key, None
            raise
        texts = {name: str(described.get(name) or "") for name in ("error", "cause", "output", "input")}
        return key, Execution(described["status"], described["startDate"], described.get("stopDate"), **texts)

    def _record(self, wanted: RecordWanted) -> tuple[RunKey, Mapping[str, Any] | None]:
        body = self._object(record_key(wanted.workload, wanted.key.run_id)).body
        try:
            record = json.loads(body) if body is not None else None
        except ValueError:
            record = None
        return wanted.key, record if isinstance(record, dict) else None

    def _log(self, wanted: LogWanted) -> tuple[RunKey, tuple[str, ...]]:
        """Of the task, or where that is not known of whatever has written last; nothing where there is none."""
        from botocore.exceptions import ClientError

        logs = self._client("logs")
        try:
            stream = f"{wanted.workload}/{CONTAINER}/{wanted.task.rpartition('/')[2]}" if wanted.task else None
            if stream is None:
                last = logs.describe_log_streams(
                    logGroupName=wanted.log_group, orderBy="LastEventTime", descending=True, limit=1
                )["logStreams"]
                if not last:
                    return wanted.key, ()
                stream = last[0]["logStreamName"]
            events = logs.get_log_events(
                logGroupName=wanted.log_group, logStreamName=stream, limit=LOG_LINES, startFromHead=False
            )["events"]
        except ClientError as error:
            if _code(error) == "ResourceNotFoundException":
                return wanted.key, ()
            raise
        return wanted.key, tuple(str(event["message"]) for event in events)

    def _published(self, workload: str) -> tuple[str, Published | None]:
        body = self._object(latest_key(workload)).body
        try:
            version = Version.from_json(body) if body is not None else None
            at = datetime.fromisoformat(version.published) if version is not None else None
        except ValueError:
            version = at = None
        return workload, Published(version.run_id, at) if version is not None and at is not None else None

    def _schedules(self) -> dict[str, ScheduleSeen]:
        pages = self._client("scheduler").get_paginator("list_schedules").paginate(GroupName=self.plan.schedule_group)
        return {
            one["Name"]: ScheduleSeen(one["State"] == "ENABLED", one["CreationDate"], one["LastModificationDate"])
            for page in pages
            for one in page["Schedules"]
        }

    def subscriptions(self) -> dict[str, bool]:
        """Address -> has it been confirmed?"""
        pages = self._client("sns").get_paginator("list_subscriptions_by_topic").paginate(TopicArn=self.topic)
        return {
            one["Endpoint"]: one["SubscriptionArn"] != PENDING
            for page in pages
            for one in page["Subscriptions"]
            if one["Protocol"] == "email"
        }

    # --- what comes of it ---

    def tell(self, message: Message) -> str:
        """Publish a message to those that it is for; the id that SNS gives it."""
        answer = self._client("sns").publish(
            TopicArn=self.topic,
            Subject=message.subject,
            Message=message.body,
            MessageAttributes={TO: {"DataType": "String.Array", "StringValue": json.dumps(list(message.to))}},
        )
        return str(answer["MessageId"])

    def start(self, start: Start) -> None:
        """Once only: a name that there was already is a start that has come about."""
        from botocore.exceptions import ClientError

        try:
            self._client("stepfunctions").start_execution(
                stateMachineArn=self._arn("states", f"stateMachine:{start.machine}"),
                name=start.run_id,
                input=json.dumps(start.input),
            )
        except ClientError as error:
            if _code(error) != "ExecutionAlreadyExists":
                raise

    # --- AWS ---

    def _object(self, key: str) -> Stored:
        from botocore.exceptions import ClientError

        try:
            answer = self._client("s3").get_object(Bucket=self.bucket, Key=key)
        except ClientError as error:
            if _code(error) == "NoSuchKey" or (_code(error) == "AccessDenied" and key not in self._listed(key)):
                return Stored(None, None)
            raise
        return Stored(bytes(answer["Body"].read()), answer["ETag"])

    def _listed(self, prefix: str, after: str = "") -> list[str]:
        start = {"StartAfter": after} if after else {}
        pages = self._client("s3").get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=prefix, **start)
        return [one["Key"] for page in pages for one in page.get("Contents", ())]

    def _arn(self, service: str, resource: str) -> str:
        _, partition, _, region, account, _ = self.topic.split(":", 5)
        return f"arn:{partition}:{service}:{region}:{account}:{resource}"

    def _client(self, service: str) -> Any:
        """One of each, made while nobody else makes one: that is not safe in several threads."""
        with self._lock:
            if service not in self._clients:
                self._clients[service] = self.make_client(service)
            return self._clients[service]


def _marker(body: bytes) -> Iterator[Marker]:
    """None for what is no marker: what somebody has put there by hand must not stop the watch."""
    try:
        yield Marker.from_json(body)
    except ValueError:
        return


def _code(error: Any) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))
