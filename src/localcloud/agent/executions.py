"""Executions of state machines, told on the event bus and counted.

Sources: https://docs.aws.amazon.com/step-functions/latest/dg/eventbridge-integration.html and
https://docs.aws.amazon.com/step-functions/latest/dg/procedure-cw-metrics.html
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from localcloud.agent.events import EventBus
from localcloud.agent.meters import Meters

METRICS: Mapping[str, str] = {
    "RUNNING": "ExecutionsStarted",
    "SUCCEEDED": "ExecutionsSucceeded",
    "FAILED": "ExecutionsFailed",
    "TIMED_OUT": "ExecutionsTimedOut",
    "ABORTED": "ExecutionsAborted",
}
"""Status -> the metric that counts it."""

LARGEST_DATA = 248 * 1024
"""Bytes of input and output together up to which the input is in an event, and of the output for it to be there."""


class Executions:
    """Tells and counts what becomes of an account's executions. Hold the server's lock."""

    def __init__(self, bus: EventBus, meters: Meters):
        self._bus = bus
        self._meters = meters

    def changed(self, record: Mapping[str, Any]) -> None:
        """An execution, as `stored_executions.describe` has it, has begun or ended."""
        if record["type"] != "STANDARD":
            return  # Express ones go to the log only
        arn, machine, status = str(record["arn"]), str(record["machine"]), str(record["status"])
        region, of = arn.split(":")[3], {"StateMachineArn": machine}
        self._meters.count(region, "AWS/States", METRICS[status], of)
        if record["stopped"]:
            took = datetime.fromisoformat(record["stopped"]) - datetime.fromisoformat(record["started"])
            self._meters.record(region, "AWS/States", "ExecutionTime", of, took.total_seconds() * 1000)
        self._bus.put(region, "aws.states", "Step Functions Execution Status Change", [arn], detail(record))


def detail(record: Mapping[str, Any]) -> dict[str, Any]:
    """An execution as its events show it."""
    data_in, data_out = record["input"], record["output"]
    size_in, size_out = len((data_in or "").encode()), len((data_out or "").encode())
    has_input, has_output = size_in + size_out <= LARGEST_DATA, size_out <= LARGEST_DATA
    return {
        "executionArn": record["arn"],
        "stateMachineArn": record["machine"],
        "name": record["name"],
        "status": record["status"],
        "startDate": _milliseconds(record["started"]),
        "stopDate": _milliseconds(record["stopped"]),
        "input": data_in if has_input else None,
        "output": data_out if has_output else None,
        "stateMachineVersionArn": None,
        "stateMachineAliasArn": None,
        "redriveCount": 0,
        "redriveDate": None,
        "inputDetails": {"included": has_input},
        "outputDetails": None if data_out is None else {"included": has_output},
        "error": record["error"],
        "cause": record["cause"],
    }


def _milliseconds(text: str | None) -> int | None:
    return int(datetime.fromisoformat(text).timestamp() * 1000) if text else None
