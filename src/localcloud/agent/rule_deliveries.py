"""What an event rule matched reaches its target: tried again where that can help, else put into the target's queue.

Sources: https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-rule-retry-policy.html and
https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-rule-dlq.html
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from botocore.exceptions import ClientError

from localcloud.agent.clock import Clock
from localcloud.agent.delivery import Delivery, OnBehalf
from localcloud.agent.meters import Meters
from localcloud.agent.schedules import FIRST_RETRY, LONGEST_RETRY, LONGEST_SLEEP_SECONDS, worth_retrying
from localcloud.agent.worker import Worker
from localcloud.iam.errors import Denied
from localcloud.server import Server

log = logging.getLogger(__name__)

SERVICE = "events.amazonaws.com"

BY_ROLE = ("ecs", "states")
"""Services that a target's role acts in; everything else is up to what the target's own policy permits."""

RETRIES, OLDEST = 185, timedelta(hours=24)
"""How often and how long it is tried again where the target's retry policy does not say."""


@dataclass
class Attempt:
    """An event on its way to one target of a rule."""

    rule: Any
    target: Mapping[str, Any]
    payload: str
    since: datetime
    due: datetime
    retries: int = 0


class RuleDeliveries:
    """Delivers what rules matched, one after the other. Safe with several threads."""

    def __init__(self, server: Server, delivery: Delivery, meters: Meters, clock: Clock, worker: Worker):
        self._server = server
        self._delivery = delivery
        self._meters = meters
        self._clock = clock
        self._again: list[Attempt] = []
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="events")
        self._step = worker.add("events", self._retry)

    def stop(self) -> None:
        """Deliver nothing more."""
        self._step.remove()
        self._pool.shutdown(wait=True, cancel_futures=True)

    def submit(self, rule: Any, target: Mapping[str, Any], payload: str) -> None:
        """Deliver soon: the server's lock may be held by a request that need not wait for its events' consequences."""
        now = self._clock.now()
        self._pool.submit(self._deliver, Attempt(rule, dict(target), payload, now, now))

    def tick(self) -> None:
        """Try again what is due by the clock."""
        now = self._clock.now()
        with self._server.lock:
            due = [attempt for attempt in self._again if attempt.due <= now]
            self._again = [attempt for attempt in self._again if attempt.due > now]
        for attempt in due:
            self._pool.submit(self._deliver, attempt)

    def settle(self) -> None:
        """Wait until everything that was submitted has been tried. Not with the server's lock held."""
        self._pool.submit(lambda: None).result()

    def _retry(self) -> float | None:
        self.tick()
        with self._server.lock:
            due = min((attempt.due for attempt in self._again), default=None)
        return None if due is None else min(LONGEST_SLEEP_SECONDS, max(0.0, (due - self._clock.now()).total_seconds()))

    def _deliver(self, attempt: Attempt) -> None:
        rule, target = attempt.rule, attempt.target
        acting = OnBehalf(SERVICE, str(rule.arn))
        try:
            role = target.get("RoleArn") if target["Arn"].split(":")[2] in BY_ROLE else None
            principal = self._server.assume(role, acting.service, acting.source_arn, str(uuid.uuid4()))
            started_by = f"events-rule/{rule.name}"[:36]
            self._delivery.deliver(target, attempt.payload, None, started_by, principal, acting)
            self._count(rule, "Invocations")
        except Exception as error:
            if self._after_failure(attempt, error):
                return
            self._count(rule, "Invocations")
            self._count(rule, "FailedInvocations")
            log.warning("rule %s could not deliver to %s: %s", rule.name, target["Arn"], error)
            self._bury(attempt, error, acting)

    def _after_failure(self, attempt: Attempt, error: Exception) -> bool:
        """Is it to be tried again?"""
        policy = attempt.target.get("RetryPolicy") or {}
        again = self._clock.now() + min(LONGEST_RETRY, FIRST_RETRY * 2 ** min(attempt.retries, 16))
        oldest = timedelta(seconds=int(policy.get("MaximumEventAgeInSeconds", OLDEST.total_seconds())))
        most = int(policy.get("MaximumRetryAttempts", RETRIES))
        if isinstance(error, Denied) or not worth_retrying(error) or attempt.retries >= most:
            return False
        if again - attempt.since > oldest:
            return False
        attempt.retries, attempt.due = attempt.retries + 1, again
        with self._server.lock:
            self._again.append(attempt)
        self._step.wake()
        return True

    def _bury(self, attempt: Attempt, error: Exception, acting: OnBehalf) -> None:
        queue = (attempt.target.get("DeadLetterConfig") or {}).get("Arn")
        if not queue:
            return
        is_final = isinstance(error, Denied) or not worth_retrying(error)
        attributes = {
            "RULE_ARN": str(attempt.rule.arn),
            "TARGET_ARN": str(attempt.target["Arn"]),
            "ERROR_CODE": code(error),
            "ERROR_MESSAGE": str(error)[:1024],
            "RETRY_ATTEMPTS": str(attempt.retries),
            "EXHAUSTED_RETRY_CONDITION": "" if is_final else self._exhausted(attempt),
        }
        try:
            self._delivery.to_queue(queue, attempt.payload, attributes, acting=acting)
            self._count(attempt.rule, "InvocationsSentToDlq")
        except Exception as failure:
            self._count(attempt.rule, "InvocationsFailedToBeSentToDlq")
            log.warning("an event of %s is lost, its queue takes nothing: %s", acting.source_arn, failure)

    def _exhausted(self, attempt: Attempt) -> str:
        most = int((attempt.target.get("RetryPolicy") or {}).get("MaximumRetryAttempts", RETRIES))
        return "MaximumRetryAttempts" if attempt.retries >= most else "MaximumEventAgeInSeconds"

    def _count(self, rule: Any, metric: str) -> None:
        """Source: https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-monitoring.html"""
        self._meters.count(rule.region_name, "AWS/Events", metric, {"RuleName": rule.name})


def code(error: Exception) -> str:
    """An error's name, as dead-letter queues are told."""
    if isinstance(error, ClientError):
        return str(error.response["Error"]["Code"])
    return "NO_PERMISSIONS" if isinstance(error, Denied) else "SDK_CLIENT_ERROR"
