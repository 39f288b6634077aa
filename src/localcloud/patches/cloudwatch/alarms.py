"""CloudWatch: alarms keep their state when they are put again, begin without one, and know all of their settings."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from functools import wraps
from typing import Any, Protocol

from moto.cloudwatch import models, responses
from moto.cloudwatch.exceptions import ResourceNotFound, ValidationError
from moto.core.responses import ActionResult, EmptyResult

from localcloud import backends
from localcloud.metrics import alarm_rule
from localcloud.metrics.evaluation import INSUFFICIENT_DATA
from localcloud.patches import hooks
from localcloud.per_account import PerAccount

CREATION = "Unchecked: Initial alarm creation"

HISTORY_KEPT = timedelta(days=30)
"""How long a history is kept.
Source: https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_DescribeAlarmHistory.html"""

MOST_HISTORY = 500
"""Of more items of one alarm the first go sooner."""

COMPOSITE_SETTINGS = ("ActionsSuppressor", "ActionsSuppressorWaitPeriod", "ActionsSuppressorExtensionPeriod")


@dataclass
class State:
    """What an alarm's evaluation has come to: what is not declared of it."""

    value: str = INSUFFICIENT_DATA
    reason: str = CREATION
    reason_data: str = ""
    updated: str = ""
    """ISO 8601"""

    transitioned: str = ""
    warm_up_since: str = ""
    """when its warm-up began; "" if it never had one"""

    warmed_up: bool = False
    suppressed_by: str = ""
    """of a composite alarm whose actions are suppressed: WaitPeriod, ExtensionPeriod or Alarm"""

    suppressed_since: str = ""
    pending: dict[str, str] = field(default_factory=dict)
    """the state before the change whose actions are suppressed"""

    history: list[dict[str, str]] = field(default_factory=list)

    def note(self, now: datetime, kind: str, summary: str, data: Mapping[str, Any]) -> None:
        """Add to the history."""
        text = json.dumps(data, separators=(",", ":"))[:4095]
        oldest = (now - HISTORY_KEPT).isoformat()
        self.history = [item for item in self.history if item["Timestamp"] >= oldest][-(MOST_HISTORY - 1) :]
        self.history.append({"Timestamp": now.isoformat(), "HistoryItemType": kind, "HistorySummary": summary[:255],
                             "HistoryData": text})  # fmt: skip


class Keeper(Protocol):
    """Who keeps the states of an account's alarms beyond the process."""

    gaps: list[tuple[float, float]]
    """When the cloud did not run, as far as known: from, up to, seconds since 1970."""

    def state_changed(self, arn: str, state: Mapping[str, Any] | None) -> None:
        """An alarm's state is another one now; None: it is gone."""


_keepers = PerAccount[Keeper]()
connect = _keepers.connect


def keep(account: str, alarm: Any | None, arn: str = "") -> None:
    """Have an alarm's state kept; None: the alarm `arn` is gone."""
    if keeper := _keepers.of(account):
        keeper.state_changed(arn if alarm is None else alarm.alarm_arn, None if alarm is None else asdict(alarm.state))


def unwatched(account: str) -> list[tuple[float, float]]:
    """When the cloud did not run: nobody measured then."""
    keeper = _keepers.of(account)
    return [] if keeper is None else list(keeper.gaps)


def revive(account: str, arn: str, state: Mapping[str, Any]) -> bool:
    """Give an alarm its state of an earlier process; False if there is no such alarm."""
    region, name = arn.split(":")[3], arn.partition(":alarm:")[2]
    alarm = backends.cloudwatch(account, region).alarms.get(name)
    if alarm is not None:
        alarm.state = State(**state)
    return alarm is not None


def apply() -> None:
    """Keep what moto drops of an alarm, and answer it."""
    backend, response = models.CloudWatchBackend, responses.CloudWatchResponse
    # cloudwatch/models.py:160: a new alarm is "OK"; :537: an alarm that is put again is a new one.
    stock = models.Alarm.__init__

    def init(self: Any, account_id: str, *args: Any, **kwargs: Any) -> None:
        stock(self, account_id, *args, **kwargs)
        self.account_id = account_id
        self.settings, self.state = {}, State()
        self.configuration_updated_timestamp = hooks.now(account_id)

    models.Alarm.__init__ = init
    backend.put_metric_alarm = _keeping_state(backend.put_metric_alarm)
    backend.delete_alarms = _delete_alarms
    backend.set_alarm_state = _set_alarm_state
    # cloudwatch/responses.py:33 reads neither an evaluation window nor a warm-up; there are no composite alarms.
    response.put_metric_alarm = _with_settings(response.put_metric_alarm)
    response.put_composite_alarm = _put_composite_alarm
    response.describe_alarms = _describe_alarms
    response.describe_alarms_for_metric = _describe_alarms_for_metric
    response.describe_alarm_history = _describe_alarm_history


def _keeping_state(stock: Any) -> Any:
    @wraps(stock)
    def put_metric_alarm(self: Any, name: str, *args: Any, **kwargs: Any) -> Any:
        before = self.alarms.get(name)
        alarm = stock(self, name, *args, **kwargs)
        if before is not None:
            alarm.state = before.state
        now, state = alarm.configuration_updated_timestamp, alarm.state
        state.updated = state.updated or now.isoformat()
        state.transitioned = state.transitioned or now.isoformat()
        done = "updated" if before is not None else "created"
        kind = "Update" if before is not None else "Create"
        state.note(now, "ConfigurationUpdate", f'Alarm "{name}" {done}', {"version": "1.0", "type": kind})
        _tell(self, name, "put")  # also of those that moto itself puts for a scaling policy
        return alarm

    return put_metric_alarm


def _with_settings(stock: Any) -> Any:
    @wraps(stock)
    def put_metric_alarm(self: Any) -> Any:
        answer = stock(self)
        parameters = self._get_params()
        alarm = self.cloudwatch_backend.alarms[parameters["AlarmName"]]
        alarm.settings = parameters
        if parameters.get("WarmUpConfiguration") and not alarm.state.warm_up_since:
            alarm.state.warm_up_since = alarm.configuration_updated_timestamp.isoformat()
        _tell(self.cloudwatch_backend, alarm.name, "put")
        return answer

    return put_metric_alarm


def _put_composite_alarm(self: Any) -> Any:
    parameters, backend = self._get_params(), self.cloudwatch_backend
    name = parameters["AlarmName"]
    known = backend.alarms.get(name)
    if known is not None and known.rule is None:
        raise ValidationError(f"An alarm of another type is called {name}")
    missing = [each for each in _children(parameters) if find(backend, each) is None]
    if missing:
        raise ValidationError(f"Could not save the composite alarm as alarms {missing} in the alarm rule do not exist.")
    alarm = backend.put_metric_alarm(
        name=name, namespace=None, metric_name=None, comparison_operator=None, evaluation_periods=None, period=None,
        threshold=None, statistic=None, description=parameters.get("AlarmDescription"), dimensions=[],
        alarm_actions=parameters.get("AlarmActions") or [], ok_actions=parameters.get("OKActions"),
        insufficient_data_actions=parameters.get("InsufficientDataActions"),
        actions_enabled=parameters.get("ActionsEnabled", True), rule=parameters["AlarmRule"],
        tags=parameters.get("Tags") or [],
    )  # fmt: skip
    alarm.settings = parameters
    _tell(backend, name, "put")
    return EmptyResult()


def _children(parameters: Mapping[str, Any]) -> list[str]:
    suppressor = parameters.get("ActionsSuppressor")
    return [*dict.fromkeys(alarm_rule.parse(parameters["AlarmRule"]).alarms()), *([suppressor] if suppressor else [])]


def find(backend: Any, name: str) -> Any | None:
    """An alarm by its name or ARN."""
    return backend.alarms.get(name.partition(":alarm:")[2] if name.startswith("arn:") else name)


def _delete_alarms(self: Any, alarm_names: list[str]) -> None:
    for name in alarm_names:
        alarm = self.alarms.pop(name, None)
        if alarm is not None:
            self.tagger.delete_all_tags_for_resource(alarm.alarm_arn)
            _tell(self, name, "deleted")


def _set_alarm_state(self: Any, alarm_name: str, reason: str, reason_data: str, state_value: str) -> None:
    if reason_data:
        try:
            json.loads(reason_data)
        except ValueError:
            raise models.InvalidFormat("Unknown") from None
    alarm = self.alarms.get(alarm_name)
    if alarm is None:
        raise ResourceNotFound
    alarm.asked_state = (state_value, reason, reason_data or "")
    if hooks.listener(self.account_id) is None:  # nobody follows what that means
        alarm.state.value, alarm.state.reason, alarm.state.reason_data = alarm.asked_state
        alarm.state.updated = hooks.now(self.account_id).isoformat()
    _tell(self, alarm_name, "set")


def _tell(backend: Any, name: str, what: str) -> None:
    alarm = backend.alarms.get(name)
    arn = f"arn:aws:cloudwatch:{backend.region_name}:{backend.account_id}:alarm:{name}"
    keep(backend.account_id, alarm, arn)
    listener = hooks.listener(backend.account_id)
    if listener is not None:
        listener.alarm_changed(backend.region_name, name, what)


# --- answers ---


def _describe_alarms(self: Any) -> ActionResult:
    parameters, backend = self._get_params(), self.cloudwatch_backend
    kinds = parameters.get("AlarmTypes") or ["MetricAlarm"]
    chosen = [alarm for alarm in _wanted(backend, parameters) if kind(alarm) in kinds]
    try:
        begin, most = int(parameters.get("NextToken") or 0), int(parameters.get("MaxRecords") or 50)
    except ValueError:
        raise ValidationError("The token is not valid.") from None
    page = chosen[begin : begin + most]
    return ActionResult({
        "MetricAlarms": [describe(alarm) for alarm in page if alarm.rule is None],
        "CompositeAlarms": [describe(alarm) for alarm in page if alarm.rule is not None],
        "NextToken": str(begin + most) if len(chosen) > begin + most else None,
    })  # fmt: skip


def _wanted(backend: Any, parameters: Mapping[str, Any]) -> Iterator[Any]:
    names = parameters.get("AlarmNames")
    parents_of, children_of = parameters.get("ParentsOfAlarmName"), parameters.get("ChildrenOfAlarmName")
    if parents_of:
        looked_at = find(backend, parents_of)
        for alarm in backend.alarms.values():
            if alarm.rule is not None and looked_at in [find(backend, each) for each in _children(alarm.settings)]:
                yield alarm
        return
    if children_of:
        parent = find(backend, children_of)
        for each in _children(parent.settings) if parent is not None and parent.rule is not None else ():
            if (child := find(backend, each)) is not None:
                yield child
        return
    for name in sorted(backend.alarms):
        alarm = backend.alarms[name]
        actions = [*alarm.alarm_actions, *alarm.ok_actions, *alarm.insufficient_data_actions]
        if (
            (not names or name in names)
            and name.startswith(parameters.get("AlarmNamePrefix") or "")
            and parameters.get("StateValue") in (None, alarm.state.value)
            and (not (prefix := parameters.get("ActionPrefix")) or any(each.startswith(prefix) for each in actions))
        ):
            yield alarm


def kind(alarm: Any) -> str:
    """An alarm's type, as the API names it."""
    return "MetricAlarm" if alarm.rule is None else "CompositeAlarm"


def describe(alarm: Any) -> dict[str, Any]:
    """An alarm as DescribeAlarms shows it."""
    state, settings = alarm.state, alarm.settings
    answer = {key: value for key, value in settings.items() if key not in ("Tags", "AlarmRule") and value is not None}
    answer |= {
        "AlarmName": alarm.name,
        "AlarmArn": alarm.alarm_arn,
        "AlarmConfigurationUpdatedTimestamp": alarm.configuration_updated_timestamp,
        "ActionsEnabled": alarm.actions_enabled,
        "AlarmActions": alarm.alarm_actions,
        "OKActions": alarm.ok_actions,
        "InsufficientDataActions": alarm.insufficient_data_actions,
        "StateValue": state.value,
        "StateReason": state.reason,
        "StateReasonData": state.reason_data or None,
        "StateUpdatedTimestamp": _moment(state.updated),
        "StateTransitionedTimestamp": _moment(state.transitioned),
    }
    if alarm.rule is None:
        # Also of an alarm that moto itself has put, for a scaling policy.
        answer.setdefault("Dimensions", [{"Name": each.name, "Value": each.value} for each in alarm.dimensions])
        plain = {"MetricName": alarm.metric_name, "Namespace": alarm.namespace, "Statistic": alarm.statistic,
                 "Period": alarm.period, "EvaluationPeriods": alarm.evaluation_periods, "Threshold": alarm.threshold,
                 "ComparisonOperator": alarm.comparison_operator}  # fmt: skip
        for name, value in plain.items():
            answer.setdefault(name, value)
    else:
        answer["AlarmRule"] = alarm.rule
        if state.suppressed_by:
            answer["ActionsSuppressedBy"] = state.suppressed_by
    return answer


def _moment(text: str) -> datetime | None:
    return datetime.fromisoformat(text).astimezone(UTC) if text else None


def _describe_alarms_for_metric(self: Any) -> ActionResult:
    parameters = self._get_params()
    wanted = sorted((each["Name"], each["Value"]) for each in parameters.get("Dimensions") or ())
    chosen = [
        alarm
        for alarm in self.cloudwatch_backend.alarms.values()
        if alarm.metric_name == parameters["MetricName"]
        and alarm.namespace == parameters["Namespace"]
        and sorted((each.name, each.value) for each in alarm.dimensions) == wanted
        and parameters.get("Statistic") in (None, alarm.statistic)
        and parameters.get("Period") in (None, alarm.period)
    ]
    return ActionResult({"MetricAlarms": [describe(alarm) for alarm in chosen]})


def _describe_alarm_history(self: Any) -> ActionResult:
    parameters, backend = self._get_params(), self.cloudwatch_backend
    kinds = parameters.get("AlarmTypes") or ["MetricAlarm"]
    items = [
        {**item, "AlarmName": alarm.name, "AlarmType": kind(alarm), "Timestamp": _moment(item["Timestamp"])}
        for alarm in backend.alarms.values()
        if parameters.get("AlarmName") in (None, alarm.name) and (kind(alarm) in kinds or parameters.get("AlarmName"))
        for item in alarm.state.history
        if parameters.get("HistoryItemType") in (None, item["HistoryItemType"])
    ]
    start, end = parameters.get("StartDate"), parameters.get("EndDate")
    items = [item for item in items if (not start or item["Timestamp"] >= _aware(start))
             and (not end or item["Timestamp"] <= _aware(end))]  # fmt: skip
    items.sort(key=lambda item: item["Timestamp"])
    if parameters.get("ScanBy") != "TimestampAscending":
        items.reverse()
    begin, most = int(parameters.get("NextToken") or 0), int(parameters.get("MaxRecords") or 100)
    following = str(begin + most) if len(items) > begin + most else None
    return ActionResult({"AlarmHistoryItems": items[begin : begin + most], "NextToken": following})


def _aware(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
