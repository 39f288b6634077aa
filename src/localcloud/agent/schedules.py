"""EventBridge Scheduler: schedules fire, failed targets are retried, and what is left goes to a queue.

The agent's worker looks at them when the next one is due by the agent's clock, or when one has changed. Deliveries are
made in a pool, because a target may take its time. A computer that slept fires each overdue schedule once, not once for
each time missed.
"""

from __future__ import annotations

import logging
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from botocore.exceptions import ClientError

from localcloud import backends, cron
from localcloud.agent.clock import Clock
from localcloud.agent.delivery import Delivery, NoSuchTarget
from localcloud.agent.meters import Meters
from localcloud.agent.worker import Worker
from localcloud.iam.errors import CannotAssume
from localcloud.server import Server

log = logging.getLogger(__name__)

LONGEST_SLEEP_SECONDS = 30.0
"""The clock may be set and the computer may sleep: look at the time of day at least so often."""

DELIVERIES_AT_ONCE = 4

LARGEST_STEP_BACK = timedelta(hours=3)
"""A clock that is set back by no more (somebody's summer time, a correction) has the same hours twice: what has fired
in them does not fire again. One that is set back further was wrong before, and schedules go by the new time at once."""

FIRST_RETRY = timedelta(seconds=1)
LONGEST_RETRY = timedelta(minutes=5)

SERVICE = "scheduler.amazonaws.com"

THROTTLED = ("Throttling", "ThrottlingException", "TooManyRequestsException", "RequestLimitExceeded")


@dataclass
class Armed:
    """A schedule as it was when its next firing was worked out; `since` is when it was first seen."""

    signature: tuple[Any, ...]
    since: datetime
    due: datetime | None


@dataclass
class Invocation:
    """One firing of a schedule at one target, with as many attempts as its retry policy grants."""

    schedule: Any
    target: dict[str, Any]
    scheduled: datetime
    due: datetime
    attempt: int = 1
    id: str = field(default_factory=lambda: str(uuid.uuid4()))

    def payload(self) -> str:
        """The target's input with Scheduler's context attributes filled in."""
        text: str = self.target.get("Input") or "{}"
        for name, value in self.attributes().items():
            text = text.replace(f"<aws.scheduler.{name}>", value)
        return text

    def attributes(self) -> dict[str, str]:
        """Source: https://docs.aws.amazon.com/scheduler/latest/UserGuide/managing-schedule-context-attributes.html"""
        return {
            "schedule-arn": self.schedule.arn,
            "scheduled-time": f"{self.scheduled:%Y-%m-%dT%H:%M:%SZ}",
            "execution-id": self.id,
            "attempt-number": str(self.attempt),
        }


class Schedules:
    """Fires the account's schedules."""

    def __init__(self, server: Server, delivery: Delivery, meters: Meters, clock: Clock, worker: Worker):
        self._server = server
        self._delivery = delivery
        self._meters = meters
        self._clock = clock
        self._armed: dict[str, Armed] = {}
        self._again: list[Invocation] = []
        self._latest: datetime | None = None
        self._pool = ThreadPoolExecutor(DELIVERIES_AT_ONCE, thread_name_prefix="schedules")
        self._step = worker.add("schedules", self._fire)

    def start(self) -> None:
        """Call it before the worker begins. Schedules that are there already were made by an earlier process: what they
        missed while there was none is not made up for.
        """
        with self._server.lock:
            self._rearm(self._clock.now())

    def stop(self) -> None:
        """Fire no more; what has fired is delivered."""
        self._step.remove()
        self._pool.shutdown()

    def changed(self) -> None:
        """A schedule was made, changed or removed."""
        self._step.wake()

    def tick(self) -> None:
        """Fire everything that is due, and deliver it before returning."""
        now = self._clock.now()
        for invocation in self._due_invocations(now):
            self._invoke(invocation, now)

    def _fire(self) -> float | None:
        """Hand everything that is due to the pool. In how many seconds to look again."""
        now = self._clock.now()
        for invocation in self._due_invocations(now):
            self._pool.submit(self._invoke, invocation, now)
        with self._server.lock:
            upcoming = [armed.due for armed in self._armed.values() if armed.due is not None]
            due = min([*upcoming, *(invocation.due for invocation in self._again)], default=None)
        return None if due is None else min(LONGEST_SLEEP_SECONDS, max(0.0, (due - self._clock.now()).total_seconds()))

    def _due_invocations(self, now: datetime) -> list[Invocation]:
        with self._server.lock:
            if self._latest is not None and now < self._latest - LARGEST_STEP_BACK:
                self._start_over(now)
            self._latest = now
            invocations = self._due_schedules(now)
            invocations += [invocation for invocation in self._again if invocation.due <= now]
            self._again = [invocation for invocation in self._again if invocation.due > now]
        return invocations

    def _start_over(self, now: datetime) -> None:
        """Go by the new time: what was worked out in the old one could lie years ahead."""
        for armed in self._armed.values():
            armed.signature, armed.since = (), min(armed.since, now)
        for invocation in self._again:
            invocation.due = min(invocation.due, now)

    def _due_schedules(self, now: datetime) -> list[Invocation]:
        due: list[Invocation] = []
        seen: set[str] = set()
        for _, backend in backends.regions("scheduler", self._server.account):
            for group in list(backend.schedule_groups.values()):
                for schedule in list(group.schedules.values()):
                    seen.add(schedule.arn)
                    try:
                        due += self._look_at(group, schedule, now)
                    except Exception:
                        log.exception("schedule %s is stuck", schedule.arn)
        for arn in self._armed.keys() - seen:
            del self._armed[arn]
        return due

    def _rearm(self, now: datetime) -> None:
        for _, backend in backends.regions("scheduler", self._server.account):
            for group in backend.schedule_groups.values():
                for schedule in group.schedules.values():
                    since = moment(schedule.creation_date) or now
                    self._armed[schedule.arn] = Armed(signature(schedule), since, next_due(schedule, now, since))

    def _look_at(self, group: Any, schedule: Any, now: datetime) -> list[Invocation]:
        armed = self._armed.get(schedule.arn)
        if armed is None or armed.signature != signature(schedule):
            # A new schedule may be due at the very moment it is made: a rate without a start date is.
            since, after = (armed.since, now) if armed else (now, now - timedelta(microseconds=1))
            armed = Armed(signature(schedule), since, next_due(schedule, after, since))
            self._armed[schedule.arn] = armed
        if armed.due is None or armed.due > now:
            return []
        invocation = Invocation(schedule, dict(schedule.target), scheduled=armed.due, due=now)
        armed.due = next_due(schedule, now, armed.since)
        if armed.due is None and schedule.action_after_completion == "DELETE":
            # Declared, so that it stays away after a restart.
            client = self._server.client("scheduler", schedule.arn.split(":")[3])
            client.delete_schedule(GroupName=group.name, Name=schedule.name)
        return [invocation]

    def _invoke(self, invocation: Invocation, now: datetime) -> None:
        schedule = invocation.schedule
        self._count(invocation, "InvocationAttemptCount")
        try:
            self._delivery.deliver(
                invocation.target,
                invocation.payload(),
                invocation.id,
                f"chronos-schedule/{schedule.name}",
                self._principal(invocation),
            )
        except (ClientError, NoSuchTarget, CannotAssume) as error:
            log.info("schedule %s: attempt %d failed: %s", schedule.name, invocation.attempt, error)
            self._after_failure(invocation, error, now)
        except Exception as error:
            log.exception("schedule %s: attempt %d failed", schedule.name, invocation.attempt)
            self._after_failure(invocation, error, now)

    def _principal(self, invocation: Invocation) -> str:
        """Scheduler takes the target's role on for the schedule's group. Raises `CannotAssume`."""
        arn = invocation.schedule.arn.replace(":schedule/", ":schedule-group/").rpartition("/")[0]
        return self._server.assume(invocation.target.get("RoleArn"), SERVICE, arn, invocation.id)

    def _count(self, invocation: Invocation, metric: str) -> None:
        _, _, _, region, _, resource = invocation.schedule.arn.split(":", 5)
        self._meters.count(region, "AWS/Scheduler", metric, {"ScheduleGroup": resource.split("/")[1]})

    def _after_failure(self, invocation: Invocation, error: Exception, now: datetime) -> None:
        self._count(invocation, "TargetErrorCount")
        if is_throttle(error):
            self._count(invocation, "TargetErrorThrottledCount")
        policy = invocation.target.get("RetryPolicy") or {}
        retries = int(policy.get("MaximumRetryAttempts", 185))
        oldest = timedelta(seconds=int(policy.get("MaximumEventAgeInSeconds", 86400)))
        again = now + min(LONGEST_RETRY, FIRST_RETRY * 2 ** min(invocation.attempt - 1, 16))
        if not worth_retrying(error):
            self._give_up(invocation, error, "")
        elif invocation.attempt > retries:
            self._give_up(invocation, error, "MaximumRetryAttempts")
        elif again - invocation.scheduled > oldest:
            self._give_up(invocation, error, "MaximumEventAgeInSeconds")
        else:
            invocation.attempt += 1
            invocation.due = again
            with self._server.lock:
                self._again.append(invocation)
            self._step.wake()

    def _give_up(self, invocation: Invocation, error: Exception, exhausted: str) -> None:
        queue = (invocation.target.get("DeadLetterConfig") or {}).get("Arn")
        self._count(invocation, "InvocationDroppedCount")
        if not queue:
            log.warning("schedule %s is lost: %s", invocation.schedule.name, error)
            return
        details = error.response["Error"] if isinstance(error, ClientError) else {}
        attributes = {
            "ERROR_CODE": str(details.get("Code") or type(error).__name__),
            "ERROR_MESSAGE": str(details.get("Message") or error),
            "EXECUTION_ID": invocation.id,
            "EXHAUSTED_RETRY_CONDITION": exhausted,
            "IS_PAYLOAD_TRUNCATED": "false",
            "RETRY_ATTEMPTS": str(invocation.attempt - 1),
            "SCHEDULED_TIME": invocation.attributes()["scheduled-time"],
            "SCHEDULE_ARN": invocation.schedule.arn,
            "TARGET_ARN": invocation.target["Arn"],
        }
        try:
            self._delivery.to_queue(queue, invocation.payload(), attributes, self._principal(invocation))
            self._count(invocation, "InvocationsSentToDeadLetterCount")
        except Exception as failure:
            self._count(invocation, "InvocationsFailedToBeSentToDeadLetterCount")
            log.warning("schedule %s is lost: %s; its queue %s takes nothing: %s",
                        invocation.schedule.name, error, queue, failure)  # fmt: skip


def is_throttle(error: Exception) -> bool:
    """Did the target refuse because it has too much to do?"""
    return isinstance(error, ClientError) and error.response["Error"]["Code"] in THROTTLED


def worth_retrying(error: Exception) -> bool:
    """Whether another attempt can succeed: not after a refusal, such as a missing target or permission."""
    if isinstance(error, (NoSuchTarget, CannotAssume)):
        return False
    if isinstance(error, ClientError):
        status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 500))
        return status >= 500 or is_throttle(error)
    return True


def signature(schedule: Any) -> tuple[Any, ...]:
    """What decides when a schedule fires; another one means that it has to be worked out anew."""
    return (
        schedule.schedule_expression,
        schedule.schedule_expression_timezone,
        schedule.state,
        schedule.start_date,
        schedule.end_date,
        schedule.creation_date,
    )


def moment(value: Any) -> datetime | None:
    """A date as moto keeps it: seconds, text of them, or ISO 8601."""
    if value in (None, ""):
        return None
    try:
        return datetime.fromtimestamp(float(value), UTC)
    except ValueError:
        return datetime.fromisoformat(str(value)).astimezone(UTC)


def next_due(schedule: Any, after: datetime, since: datetime) -> datetime | None:
    """When a schedule fires for the first time later than `after`; None if it never does again or is disabled.

    `since` is when the schedule was made: a rate counts from there if it has no start date.
    """
    if schedule.state != "ENABLED":
        return None
    start, end = moment(schedule.start_date), moment(schedule.end_date)
    earliest = max(after, start - timedelta(microseconds=1)) if start else after
    expression = cron.parse(schedule.schedule_expression)
    due = cron.next_fire(expression, cron.zone(schedule.schedule_expression_timezone), earliest, start or since)
    return None if due is None or (end is not None and due > end) else due
