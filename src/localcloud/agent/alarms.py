"""CloudWatch's alarms are evaluated: once a minute while there is something to see, not at all else.

`tick` looks at each alarm whose minute has passed, lets composite alarms follow, tells the default event bus of every
change and carries out the actions. What the points call for is decided by `localcloud.metrics.evaluation`.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any

from localcloud import backends
from localcloud.agent import alarm_actions
from localcloud.agent.alarm_actions import Change
from localcloud.agent.clock import Clock, SystemClock
from localcloud.agent.delivery import Delivery, NoSuchTarget
from localcloud.agent.events import EventBus
from localcloud.agent.worker import Worker
from localcloud.metrics import alarm_rule, evaluation, expressions, windows
from localcloud.metrics.evaluation import ALARM, INSUFFICIENT_DATA, OK, Condition, Point, Verdict
from localcloud.metrics.series import MINUTE, Series, percentile
from localcloud.metrics.windows import Span
from localcloud.patches.cloudwatch import alarms
from localcloud.server import Server

log = logging.getLogger(__name__)

ACTIONS: dict[str, str] = {ALARM: "alarm_actions", OK: "ok_actions", INSUFFICIENT_DATA: "insufficient_data_actions"}
"""State -> the alarm's member with what is done when it is reached."""

AFTER_THE_MINUTE = 0.5
"""Seconds that an evaluation waits for what services publish of the minute before."""

LEAST_SLEEP_SECONDS = 90.0

DEEPEST_COMPOSITES = 10
"""How many composite alarms may follow one another in one evaluation: a circle of them comes to an end."""


@dataclass
class Watch:
    """A metric alarm as it is evaluated: its settings, read once, and when it was looked at."""

    alarm: Any
    condition: Condition
    queries: list[dict[str, Any]]
    """as Metrics has them; of an alarm on one metric just that"""

    period: int
    statistic: str | None
    unit: str | None
    zone: tzinfo | None
    """of a wall clock window"""

    minute: float = -1.0
    """the one that it was last looked at in"""

    quiet: bool = False
    """nothing is in its range, nor later, and its state is what that calls for: until data come nothing can change"""

    @classmethod
    def of(cls, alarm: Any) -> Watch:
        settings = alarms.describe(alarm)
        queries = settings.get("Metrics") or [{
            "Id": "m1",
            "MetricStat": {
                "Metric": {key: settings.get(key) for key in ("Namespace", "MetricName", "Dimensions")},
                "Period": settings.get("Period"),
                "Stat": settings.get("Statistic") or settings.get("ExtendedStatistic"),
                "Unit": settings.get("Unit"),
            },
        }]  # fmt: skip
        first = next(query["MetricStat"] for query in queries if query.get("MetricStat"))
        wall_clock = (settings.get("EvaluationWindow") or {}).get("WallClockWindow")
        periods = int(settings["EvaluationPeriods"])
        condition = Condition(
            settings["ComparisonOperator"],
            float(settings["Threshold"]),
            periods,
            int(settings.get("DatapointsToAlarm") or periods),
            settings.get("TreatMissingData") or "missing",
        )
        return cls(
            alarm,
            condition,
            queries,
            int(first["Period"]),
            settings.get("Statistic") or settings.get("ExtendedStatistic"),
            settings.get("Unit"),
            None if wall_clock is None else windows.zone(str(wall_clock.get("Timezone") or "UTC")),
        )

    def minute_of(self, moment: datetime) -> float:
        """The span that it is evaluated once in."""
        return moment.timestamp() // min(MINUTE, self.period)

    def series(self) -> Iterator[tuple[str, str]]:
        """Namespace and name of each metric that it looks at."""
        for query in self.queries:
            if stat := query.get("MetricStat"):
                yield str(stat["Metric"]["Namespace"]), str(stat["Metric"]["MetricName"])

    def points(self, store: Any, now: float, gaps: Sequence[Span] = ()) -> list[Point]:
        """Its evaluation range, the oldest first; in `gaps` nobody measured. Raises ValueError."""
        count = evaluation.range_length(self.period, self.condition.evaluation_periods, self.zone is not None)
        if self.zone is None:
            spans = windows.sliding(now, self.period, count)
        else:
            spans = windows.wall_clock(now, self.period, count, self.zone)
        lines: dict[str, expressions.Line] = {}
        samples: dict[str, list[float | None]] = {}
        for query in self.queries:
            if stat := query.get("MetricStat"):
                metric = stat["Metric"]
                dimensions = {each["Name"]: each["Value"] for each in metric.get("Dimensions") or ()}
                values = [
                    store.values(metric["Namespace"], metric["MetricName"], dimensions, *span, stat.get("Unit"))
                    for span in spans
                ]
                lines[query["Id"]] = [each.statistic(stat["Stat"]) for each in values]
                samples[query["Id"]] = [each.count or None for each in values]
        for query in self._expressions():
            lines[query["Id"]] = expressions.compute(query["Expression"], lines, self.period)
        shown = next(query["Id"] for query in self.queries if query.get("ReturnData") is not False)
        counts = samples.get(shown) or [None] * count
        return [
            Point(span, value, n, windows.is_within(span, gaps))
            for span, value, n in zip(spans, lines[shown], counts, strict=True)
        ]

    def has_data_since(self, store: Any, moment: float) -> bool:
        """Is there, or will there be, something in its range that begins then?"""
        for query in self.queries:
            if stat := query.get("MetricStat"):
                metric = stat["Metric"]
                dimensions = {each["Name"]: each["Value"] for each in metric.get("Dimensions") or ()}
                newest = store.newest(metric["Namespace"], metric["MetricName"], dimensions)
                if newest is not None and newest >= moment:
                    return True
        return False

    def _expressions(self) -> Iterator[dict[str, Any]]:
        """Those that others build on first, as far as the order of the list says so."""
        left = [query for query in self.queries if query.get("Expression")]
        known = {query["Id"] for query in self.queries if query.get("MetricStat")}
        while left:
            ready = [query for query in left if _can_compute(query, known)] or left
            yield from ready
            known |= {query["Id"] for query in ready}
            left = [query for query in left if query not in ready]


def _can_compute(query: dict[str, Any], known: set[str]) -> bool:
    try:
        expressions.check(query["Expression"], list(known))
    except ValueError:
        return False
    return True


@dataclass
class Alarms:
    """Evaluates the account's alarms. Its methods but `tick` are called with the server's lock held."""

    server: Server
    bus: EventBus
    delivery: Delivery
    clock: Clock
    worker: Worker
    _watches: dict[tuple[str, str], Watch] = field(default_factory=dict)
    _listening: dict[tuple[str, str, str], list[Watch]] | None = None
    """Region, namespace and metric -> who looks at it; None: to be worked out."""

    _seen: tuple[float, float] = (0.0, 0.0)
    """The time of day and time.monotonic() of the last look."""

    def __post_init__(self) -> None:
        self._gaps = alarms.unwatched(self.server.account)
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="alarms")
        self._step = self.worker.add("alarms", self._evaluate)

    def stop(self) -> None:
        """Evaluate no more; what has been decided is done."""
        self._step.remove()
        self._pool.shutdown()

    def settle(self) -> None:
        """Wait until the actions of all changes so far have been carried out. Not with the server's lock held."""
        self._pool.submit(lambda: None).result()

    def measured(self, region: str, series: Series) -> None:
        """Data came."""
        if self._listening is None:
            self._step.wake()
            return
        for watch in self._listening.get((region, series.namespace, series.name), ()):
            if watch.quiet:
                watch.quiet = False
                self._step.wake()

    def changed(self, region: str, name: str, what: str) -> None:
        """An alarm was put, removed, or its state was set by hand."""
        alarm = backends.cloudwatch(self.server.account, region).alarms.get(name)
        if what == "set" and alarm is not None:
            value, reason, data = alarm.asked_state
            self._change(region, alarm, Verdict(value, reason), data, self.clock.now())
            watch = self._watches.get((region, name))
            if watch is not None:  # it lasts until the next evaluation
                watch.quiet, watch.minute = False, watch.minute_of(self.clock.now())
            self._follow(region, self.clock.now())
        else:
            self._listening = None
        self._step.wake()

    def tick(self) -> None:
        """Look at all alarms whose minute has passed."""
        now = self.clock.now()
        with self.server.lock:
            if self._listening is None:
                self._read()
            regions = {region for region, _ in self._watches} | {region for region, _ in self._composites()}
            for (region, name), watch in list(self._watches.items()):
                try:
                    self._look_at(region, watch, now)
                except Exception:
                    log.exception("alarm %s is stuck", name)
            for region in regions:
                self._follow(region, now)

    def _notice_sleep(self) -> None:
        """The computer's clock went on and this process did not: it slept, and nobody measured meanwhile."""
        if not isinstance(self.clock, SystemClock):
            return
        before, self._seen = self._seen, (time.time(), time.monotonic())
        slept = (self._seen[0] - before[0]) - (self._seen[1] - before[1])
        if before[0] and slept > LEAST_SLEEP_SECONDS:
            log.info("the computer slept for %.0f s, which alarms do not count", slept)
            self._gaps.append((self._seen[0] - slept, self._seen[0]))

    def _evaluate(self) -> float | None:
        """In how many seconds to look again."""
        self._notice_sleep()
        self.tick()
        now = self.clock.now().timestamp()
        with self.server.lock:
            awake = [min(MINUTE, watch.period) for watch in self._watches.values() if not watch.quiet]
            suppressed = any(alarm.state.suppressed_by for _, alarm in self._composites())
        if suppressed:
            return 1.0
        return min(awake) - now % min(awake) + AFTER_THE_MINUTE if awake else None

    def _read(self) -> None:
        """Look at what alarms there are."""
        watches: dict[tuple[str, str], Watch] = {}
        for region, backend in backends.regions("cloudwatch", self.server.account):
            for name, alarm in backend.alarms.items():
                if alarm.rule is not None:
                    continue
                known = self._watches.get((region, name))
                try:
                    watches[region, name] = known if known is not None and known.alarm is alarm else Watch.of(alarm)
                except Exception as error:
                    log.warning("the alarm %s cannot be evaluated: %s", name, error)
        self._watches, self._listening = watches, {}
        for (region, _), watch in watches.items():
            for key in watch.series():
                self._listening.setdefault((region, *key), []).append(watch)

    def _composites(self) -> Iterator[tuple[str, Any]]:
        for region, backend in backends.regions("cloudwatch", self.server.account):
            yield from ((region, alarm) for alarm in list(backend.alarms.values()) if alarm.rule is not None)

    # --- metric alarms ---

    def _look_at(self, region: str, watch: Watch, now: datetime) -> None:
        minute = watch.minute_of(now)
        if watch.quiet or watch.minute == minute:
            return
        watch.minute = minute
        alarm = watch.alarm
        store = backends.cloudwatch(self.server.account, region).points
        points = watch.points(store, now.timestamp(), self._gaps)
        known = sum(point.value is not None for point in points[-watch.condition.evaluation_periods :])
        if self._is_warming_up(alarm, known >= watch.condition.evaluation_periods, now):
            return
        verdict = evaluation.evaluate(watch.condition, points, alarm.state.value)
        if _has_too_few_samples(watch, points):
            verdict = Verdict(alarm.state.value, "", verdict.evaluated)
        # A state that was set by hand or with other settings is told again with its new reason only where it changes.
        data = evaluation.reason_data(verdict, now, watch.condition, watch.period, watch.statistic, watch.unit)
        self._change(region, alarm, verdict, data, now)
        is_settled = not any(point.is_unwatched for point in points)
        watch.quiet = is_settled and not watch.has_data_since(store, points[0].span[0])

    def _is_warming_up(self, alarm: Any, is_filled: bool, now: datetime) -> bool:
        """Source: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarm-warm-up.html"""
        warm_up = alarm.settings.get("WarmUpConfiguration")
        state = alarm.state
        if not warm_up or state.warmed_up:
            return False
        since = datetime.fromisoformat(state.warm_up_since or now.isoformat())
        over = now >= since + timedelta(minutes=int(warm_up["WarmUpPeriodDurationInMinutes"]))
        early = is_filled and not warm_up.get("OnlyStartEvaluatingAfterWarmUpPeriodEnds")
        if over or early:
            state.warmed_up = True
            alarms.keep(self.server.account, alarm)
        return not state.warmed_up

    # --- composite alarms ---

    def _follow(self, region: str, now: datetime) -> None:
        """Let composite alarms, and those that look at them, come to the state that their rules call for."""
        backend = backends.cloudwatch(self.server.account, region)
        composites = [alarm for alarm in backend.alarms.values() if alarm.rule is not None]
        for _ in range(DEEPEST_COMPOSITES):
            before = [alarm.state.value for alarm in composites]
            for alarm in composites:
                try:
                    self._apply_rule(region, backend, alarm, now)
                except Exception:
                    log.exception("alarm %s is stuck", alarm.name)
            if before == [alarm.state.value for alarm in composites]:
                break
        for alarm in composites:
            self._unsuppress(region, backend, alarm, now)

    def _apply_rule(self, region: str, backend: Any, alarm: Any, now: datetime) -> None:
        rule = alarm_rule.parse(alarm.rule)
        children = {name: alarms.find(backend, name) for name in dict.fromkeys(rule.alarms())}
        values = {name: INSUFFICIENT_DATA if it is None else str(it.state.value) for name, it in children.items()}
        state = ALARM if rule.holds(values.__getitem__) else OK
        if state == alarm.state.value:
            return
        states = [f"{it.alarm_arn} is in {it.state.value} state" for it in children.values() if it is not None]
        reason = (
            f"{', '.join(states) or f'{alarm.rule}'}: the rule {alarm.rule} is {'met' if state == ALARM else 'not met'}"
        )
        data = evaluation_of_children(children)
        self._change(region, alarm, Verdict(state, reason[:1023]), data, now)

    def _suppressor(self, backend: Any, alarm: Any) -> Any | None:
        name = alarm.settings.get("ActionsSuppressor")
        return alarms.find(backend, name) if name else None

    def _suppression(self, backend: Any, alarm: Any, now: datetime) -> str:
        """Why the actions of a composite alarm that has just changed have to wait; "" if they have not.

        Source: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarm-suppression.html
        """
        suppressor = self._suppressor(backend, alarm)
        if suppressor is None:
            return ""
        if suppressor.state.value == ALARM:
            return "Alarm"
        if alarm.state.suppressed_by == "ExtensionPeriod":
            return "ExtensionPeriod"
        waits = int(alarm.settings.get("ActionsSuppressorWaitPeriod") or 0)
        return "WaitPeriod" if alarm.state.value == ALARM and waits else ""

    def _unsuppress(self, region: str, backend: Any, alarm: Any, now: datetime) -> None:
        state = alarm.state
        if not state.suppressed_by:
            return
        suppressor = self._suppressor(backend, alarm)
        since = datetime.fromisoformat(state.suppressed_since)
        if suppressor is not None and suppressor.state.value == ALARM:
            why = "Alarm"
        elif suppressor is None:
            why = ""
        elif state.suppressed_by == "Alarm":
            why = "ExtensionPeriod" if int(alarm.settings.get("ActionsSuppressorExtensionPeriod") or 0) else ""
        else:
            length = int(alarm.settings.get(f"ActionsSuppressor{state.suppressed_by}") or 0)
            why = state.suppressed_by if now < since + timedelta(seconds=length) else ""
        if why == state.suppressed_by:
            return
        state.suppressed_by, state.suppressed_since = why, now.isoformat() if why else ""
        if not why and state.pending:
            change, state.pending = self._described(region, alarm, state.pending, now), {}
            self._act(alarm, change)
        alarms.keep(self.server.account, alarm)

    # --- what follows ---

    def _change(self, region: str, alarm: Any, verdict: Verdict, data: str, now: datetime) -> None:
        state = alarm.state
        if verdict.state == state.value:
            return
        old = _shown(state)
        state.value, state.reason, state.reason_data = verdict.state, verdict.reason[:1023], data[:4000]
        state.updated = state.transitioned = now.isoformat()
        change = self._described(region, alarm, old, now)
        state.note(now, "StateUpdate", f"Alarm updated from {old['value']} to {state.value}",
                   {"version": "1.0", "oldState": _history(old), "newState": _history(change.new)})  # fmt: skip
        log.info("alarm %s: %s, %s", alarm.name, state.value, state.reason)
        detail = alarm_actions.event_detail(change)
        self.bus.put(region, "aws.cloudwatch", "CloudWatch Alarm State Change", [change.arn], detail, now)
        why = self._suppression(backends.cloudwatch(self.server.account, region), alarm, now) if alarm.rule else ""
        if why:
            if why != state.suppressed_by:
                state.suppressed_by, state.suppressed_since = why, now.isoformat()
            state.pending = old
        else:
            state.suppressed_by, state.suppressed_since, state.pending = "", "", {}
            self._act(alarm, change)
        alarms.keep(self.server.account, alarm)

    def _described(self, region: str, alarm: Any, old: dict[str, Any], now: datetime) -> Change:
        settings = {key: value for key, value in alarms.describe(alarm).items() if value is not None}
        return Change(
            alarm.name,
            alarm.alarm_arn,
            region,
            self.server.account,
            settings,
            alarm_actions.configuration(alarm.name, settings),
            alarm.configuration_updated_timestamp.astimezone(UTC),
            now,
            old,
            _shown(alarm.state),
        )

    def _act(self, alarm: Any, change: Change) -> None:
        if not alarm.actions_enabled:
            return
        for action in getattr(alarm, ACTIONS[change.value]):
            self._pool.submit(self._carry_out, alarm, str(action), change)

    def _carry_out(self, alarm: Any, action: str, change: Change) -> None:
        try:
            message, error = alarm_actions.act(self.delivery, action, change), ""
        except Exception as failure:
            level = logging.INFO if isinstance(failure, NoSuchTarget) else logging.WARNING
            log.log(level, "alarm %s could not act by %s: %s", change.name, action, failure)
            message, error = "", str(failure)
        with self.server.lock:
            data = {
                "actionState": "Failed" if error else "Succeeded",
                "stateUpdateTimestamp": int(change.at.timestamp() * 1000),
                "notificationResource": action,
                "publishedMessage": message[:2000] or None,
                "error": error or None,
            }
            summary = f"{'Failed to execute' if error else 'Successfully executed'} action {action}"
            alarm.state.note(self.clock.now(), "Action", summary, data)
            alarms.keep(self.server.account, alarm)


def _has_too_few_samples(watch: Watch, points: list[Point]) -> bool:
    """Is it a percentile of so few samples that the alarm says to ignore it?"""
    percent = percentile(watch.statistic or "")
    if percent is None or watch.alarm.settings.get("EvaluateLowSampleCountPercentile") != "ignore":
        return False
    share = percent / 100
    needed = 10 / (1 - share) if 0.5 <= share < 1 else 10 / share if share else 0
    return sum(point.sample_count or 0 for point in points) < needed


def evaluation_of_children(children: dict[str, Any]) -> str:
    """The reason data of a composite alarm: what its rule looked at."""
    triggering = [
        {"arn": it.alarm_arn, "state": {"value": it.state.value, "timestamp": _stamp(it.state.transitioned)}}
        for it in children.values()
        if it is not None
    ]
    return json.dumps({"triggeringAlarms": triggering}, separators=(",", ":"))


def _stamp(text: str) -> str:
    return evaluation.stamp(datetime.fromisoformat(text)) if text else ""


def _shown(state: Any) -> dict[str, Any]:
    """A state as events show it."""
    shown: dict[str, Any] = {"reason": state.reason}
    if state.reason_data:
        shown["reasonData"] = state.reason_data
    return {**shown, "timestamp": _stamp(state.updated), "value": state.value}


def _history(shown: dict[str, Any]) -> dict[str, Any]:
    return {"stateValue": shown["value"], "stateReason": shown["reason"]}
