"""Events that nobody waits for: kept in files until they are done, tried again by the clock, and reported at the end.

An event that a function fails on is tried again after one minute and after two more; one that was throttled until it
is too old. What is left over goes to the destination on failure, or to the dead-letter queue. Sources:
https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-error-handling.html,
https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-retain-records.html
"""

from __future__ import annotations

import base64
import json
import logging
import threading
import uuid
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from localcloud import atomic, backends
from localcloud.agent.clock import Clock
from localcloud.agent.delivery import Delivery
from localcloud.agent.functions.environment import Outcome
from localcloud.agent.functions.functions import SERVICE, Failed, Functions, Target
from localcloud.agent.worker import Worker
from localcloud.server import Server

log = logging.getLogger(__name__)

MAX_EVENT_AGE = timedelta(hours=6)
MAX_RETRIES = 2
RETRY_AFTER = (timedelta(minutes=1), timedelta(minutes=2))
"""Before the first and the second retry of an event that the function failed on."""

FIRST_BACKOFF = timedelta(seconds=1)
LONGEST_BACKOFF = timedelta(minutes=5)
"""Between attempts at a function that is throttled."""

AT_ONCE = 50
"""Events under way at the same time."""

LONGEST_SLEEP_SECONDS = 30.0
"""The clock may be set and the computer may sleep: look at the time of day at least so often."""


@dataclass
class Queued:
    """An event, what has become of it so far, and when it is due next."""

    arn: str
    region: str
    payload: bytes
    accepted: datetime
    due: datetime
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    attempts: int = 0
    """how often the function was run on it"""

    throttles: int = 0

    def text(self) -> str:
        kept = {**self.__dict__, "payload": base64.b64encode(self.payload).decode(),
                "accepted": self.accepted.isoformat(), "due": self.due.isoformat()}  # fmt: skip
        return json.dumps(kept)

    @classmethod
    def of(cls, text: str) -> Queued:
        """Raises ValueError, KeyError or TypeError for what is no such text."""
        kept = json.loads(text)
        times = {name: datetime.fromisoformat(kept[name]) for name in ("accepted", "due")}
        return cls(**{**kept, **times, "payload": base64.b64decode(kept["payload"])})


class Asynchronous:
    """The account's queue of events. Events of an earlier process are there again: an event is run at least once."""

    def __init__(
        self, server: Server, functions: Functions, delivery: Delivery, clock: Clock, worker: Worker, folder: Path
    ):
        self._server = server
        self._functions = functions
        self._delivery = delivery
        self._clock = clock
        self._folder = folder
        self._changed = threading.Condition()
        self._waiting: dict[str, Queued] = {}
        self._running = 0
        self._closed = False
        self._workers = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="function-events")
        for path in sorted(folder.glob("*.json")) if folder.is_dir() else ():
            try:
                event = Queued.of(path.read_text())
            except (ValueError, KeyError, TypeError, OSError) as error:
                log.warning("%s holds no event: %s", path, error)
            else:
                self._waiting[event.id] = event
        self._step = worker.add("function events", self._run_due)

    def submit(self, target: Target, payload: bytes) -> str:
        """Take an event for a function; its request id. It is on the disk when this returns."""
        now = self._clock.now()
        event = Queued(target.arn, target.function.region, payload, now, now)
        self._keep(event)
        with self._changed:
            self._waiting[event.id] = event
        self._step.wake()
        return event.id

    def tick(self) -> datetime | None:
        """Begin with everything that is due; when the next event is due."""
        now = self._clock.now()
        with self._changed:
            due = sorted((each for each in self._waiting.values() if each.due <= now), key=lambda each: each.due)
            for event in due:
                del self._waiting[event.id]
            self._running += len(due)
            following = min((each.due for each in self._waiting.values()), default=None)
        for event in due:
            self._workers.submit(self._guarded, event)
        return following

    def settle(self, seconds: float = 60.0) -> bool:
        """Wait until nothing is under way."""
        with self._changed:
            return self._changed.wait_for(lambda: self._running == 0, seconds)

    def close(self) -> None:
        """Begin with nothing more. What is left waits in its files for the next process."""
        self._closed = True
        self._step.remove()
        self._workers.shutdown(wait=False, cancel_futures=True)

    def _run_due(self) -> float | None:
        """Begin with what is due. In how many seconds to look again."""
        due = self.tick()
        left = (due - self._clock.now()).total_seconds() if due else None
        return None if left is None else min(LONGEST_SLEEP_SECONDS, max(0.0, left))

    # --- one event ---

    def _guarded(self, event: Queued) -> None:
        try:
            self._run(event)
        except Exception:
            log.exception("the event %s for %s is lost", event.id, event.arn)
            self._done(event)
        finally:
            with self._changed:
                self._running -= 1
                self._changed.notify_all()

    def _run(self, event: Queued) -> None:
        if self._closed:
            return
        try:
            target = self._functions.find(event.region, event.arn)
        except Failed as gone:
            log.warning("the event %s is lost: %s", event.id, gone)
            return self._done(event)
        settings = _settings(self._server, target)
        if self._clock.now() - event.accepted > settings.max_age:
            return self._finish(event, target, settings, None, "EventAgeExceeded")
        try:
            outcome = self._functions.invoke(target, event.payload, event.id)
        except Failed as failed:
            if self._closed:  # stopped while it ran: the next process runs it again
                return None
            return self._after_refusal(event, target, settings, failed)
        if self._closed and outcome.error:
            return None
        event.attempts += 1
        if not outcome.error:
            return self._finish(event, target, settings, outcome, "Success")
        if event.attempts > settings.retries:
            return self._finish(event, target, settings, outcome, "RetriesExhausted")
        self._again(event, RETRY_AFTER[event.attempts - 1])

    def _after_refusal(self, event: Queued, target: Target, settings: Settings, failed: Failed) -> None:
        """Throttles and errors of the platform do not count as attempts."""
        if failed.status not in (429, 500):
            event.attempts += 1
            body = json.dumps({"errorType": failed.code, "errorMessage": str(failed)}).encode()
            outcome = Outcome(body, "Unhandled", b"", 0.0)
            if event.attempts > settings.retries:
                return self._finish(event, target, settings, outcome, "RetriesExhausted")
            return self._again(event, RETRY_AFTER[event.attempts - 1])
        if target.reserved == 0:  # switched off: it can only become too old, and AWS does not wait for that
            return self._finish(event, target, settings, None, "ZeroReservedConcurrency")
        event.throttles += 1
        self._again(event, min(LONGEST_BACKOFF, FIRST_BACKOFF * 2 ** min(event.throttles - 1, 16)))

    def _again(self, event: Queued, after: timedelta) -> None:
        event.due = self._clock.now() + after
        self._keep(event)
        with self._changed:
            self._waiting[event.id] = event
        self._step.wake()

    def _finish(self, event: Queued, target: Target, settings: Settings, outcome: Outcome | None, how: str) -> None:
        """It has come to its end: tell whoever is to be told."""
        try:
            if how == "Success":
                self._tell(settings.on_success, event, target, outcome, how)
            else:
                self._tell(settings.on_failure, event, target, outcome, how)
                self._bury(settings.dead_letters, event, target, outcome)
        finally:
            self._done(event)

    def _tell(self, arn: str, event: Queued, target: Target, outcome: Outcome | None, how: str) -> None:
        if not arn:
            return
        function = target.function
        record: dict[str, Any] = {
            "version": "1.0",
            "timestamp": f"{self._clock.now():%Y-%m-%dT%H:%M:%S.%f}"[:-3] + "Z",
            "requestContext": {
                "requestId": event.id,
                "functionArn": target.arn if target.arn != function.arn else f"{function.arn}:{function.version}",
                "condition": how,
                "approximateInvokeCount": event.attempts,
            },
            "requestPayload": _json(event.payload),
        }
        if outcome is not None:
            error = {"functionError": outcome.error} if outcome.error else {}
            record["responseContext"] = {"statusCode": 200, "executedVersion": function.version, **error}
            record["responsePayload"] = _json(outcome.payload)
        self._send(arn, json.dumps(record), target, {}, "Success" if how == "Success" else "Failure")

    def _bury(self, arn: str, event: Queued, target: Target, outcome: Outcome | None) -> None:
        if not arn:
            return
        error = _json(outcome.payload) if outcome is not None else {}
        message = str(error.get("errorMessage", "")) if isinstance(error, dict) else ""
        attributes = {"RequestID": event.id, "ErrorCode": "200", "ErrorMessage": message[:1024]}
        self._send(arn, event.payload.decode("utf-8", "replace"), target, attributes, "Failure")

    def _send(self, arn: str, text: str, target: Target, attributes: Mapping[str, str], result: str) -> None:
        """As the function's role, which needs the permission for it."""
        function = target.function
        service, region = arn.split(":")[2:4]
        try:
            principal = self._server.assume(function.role, SERVICE, function.arn, function.name)
            if service == "sqs":
                self._delivery.to_queue(arn, text, attributes, principal)
            elif service == "sns":
                values = {
                    name: {"DataType": "String", "StringValue": each} for name, each in attributes.items() if each
                }
                client = self._server.client("sns", region, principal)
                client.publish(TopicArn=arn, Message=text, MessageAttributes=values)
            elif service == "lambda":
                client = self._server.client("lambda", region, principal)
                client.invoke(FunctionName=arn, InvocationType="Event", Payload=text.encode())
            elif service == "events":
                entry = {"Source": "lambda", "DetailType": f"Lambda Function Invocation Result - {result}",
                         "Detail": text, "EventBusName": arn, "Resources": [function.arn]}  # fmt: skip
                self._server.client("events", region, principal).put_events(Entries=[entry])
            else:
                log.warning("%s: the local cloud does not deliver to %s", function.name, arn)
        except Exception as error:
            log.warning("%s: what became of an event could not be sent to %s: %s", function.name, arn, error)
            metric = "DestinationDeliveryFailures" if not attributes else "DeadLetterErrors"
            self._functions.count(function, metric)

    # --- files ---

    def _keep(self, event: Queued) -> None:
        atomic.write(self._folder / f"{event.id}.json", event.text())

    def _done(self, event: Queued) -> None:
        (self._folder / f"{event.id}.json").unlink(missing_ok=True)


@dataclass(frozen=True)
class Settings:
    """What a function says about its asynchronous events."""

    retries: int = MAX_RETRIES
    max_age: timedelta = MAX_EVENT_AGE
    on_success: str = ""
    on_failure: str = ""
    dead_letters: str = ""


def _settings(server: Server, target: Target) -> Settings:
    function = target.function
    with server.lock:
        model = backends.function(server.account, function.region, function.name)
        if model is None:
            return Settings()
        configs = [each.config for each in model.event_invoke_config]
        dead_letters = str((model.dead_letter_config or {}).get("TargetArn") or "")
    config: Mapping[str, Any] = configs[0] if configs else {}
    destinations = config.get("DestinationConfig") or {}
    age = config.get("MaximumEventAgeInSeconds")
    retries = config.get("MaximumRetryAttempts")
    return Settings(
        MAX_RETRIES if retries is None else int(retries),
        MAX_EVENT_AGE if age is None else timedelta(seconds=int(age)),
        str((destinations.get("OnSuccess") or {}).get("Destination") or ""),
        str((destinations.get("OnFailure") or {}).get("Destination") or ""),
        dead_letters,
    )


def _json(body: bytes) -> Any:
    try:
        return json.loads(body or b"{}")
    except ValueError:
        return body.decode("utf-8", "replace")
