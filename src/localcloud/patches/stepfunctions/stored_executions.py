"""Executions that outlive the thread that ran them: a store is called when they begin and end.

moto keeps each execution with its interpreter, its history and a copy of its state machine for ever
(stepfunctions/parser/backend/execution.py). Here one that has ended becomes a `StoredExecution`, whose history is read
from its store when somebody asks; the same kind of object stands for executions of earlier processes.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, Protocol

from moto.stepfunctions import models
from moto.stepfunctions.parser.api import ExecutionStatus, StateMachineType
from moto.stepfunctions.parser.backend import execution as executions

from localcloud import backends
from localcloud.patches import hooks
from localcloud.per_account import PerAccount


class ExecutionStore(Protocol):
    """Who keeps an account's executions. The server's lock is held at each call but `history`."""

    def started(self, record: dict[str, Any]) -> None:
        """An execution begins now. What it raises keeps it from beginning."""

    def ended(self, record: dict[str, Any], history: list[Any]) -> bool:
        """An execution has ended; nobody has seen its end yet. False: it could not be kept."""

    def machine_deleted(self, arn: str) -> None:
        """A state machine is gone, and its executions with it."""

    def history(self, arn: str) -> list[Any]:
        """The events of an execution that has ended."""


_stores = PerAccount[ExecutionStore]()
connect = _stores.connect


INCLUDED = {"included": True}

NO_WORKER = SimpleNamespace(env=SimpleNamespace(
    map_run_record_pool_manager=SimpleNamespace(get=lambda _: None, get_all=list),
    callback_pool_manager=SimpleNamespace(heartbeat=lambda **_: False, notify=lambda **_: False),
))  # fmt: skip
"""What moto asks about the inside of an execution, answered as for one that is over."""


class StoredExecution(executions.Execution):  # type: ignore[misc]
    """An execution that has ended. Made from what `describe` returned."""

    def __init__(self, record: dict[str, Any], state_machine: Any, store: ExecutionStore):
        _, _, _, region, account, *_ = record["arn"].split(":")
        self._store = store
        self.name, self.exec_arn, self.execution_arn = record["name"], record["arn"], record["arn"]
        self.account_id, self.region_name = account, region
        self.sm_type, self.role_arn = StateMachineType(record["type"]), record["role"]
        self.state_machine, self.state_machine_arn = state_machine, record["machine"]
        self.start_date, self.stop_date = _moment(record["started"]), _moment(record["stopped"])
        self.exec_status = ExecutionStatus(record["status"])
        self.execution_input = record["input"]
        self.input_details = self.output_details = INCLUDED
        self.trace_header = None
        self.error, self.cause = record["error"], record["cause"]
        self._output = record["output"]
        self.exec_worker = NO_WORKER

    @property
    def input_data(self) -> Any:
        return json.loads(self.execution_input)

    @property
    def output(self) -> Any:
        return None if self._output is None else json.loads(self._output)

    def to_history_output(self) -> Any:
        return {"events": self._store.history(self.exec_arn)}

    def stop(self, *_: Any, **__: Any) -> None:
        """It has ended."""


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def describe(execution: Any) -> dict[str, Any]:
    """An execution as plain values, for JSON."""
    ended = execution.exec_status not in (None, ExecutionStatus.RUNNING)
    succeeded = execution.exec_status == ExecutionStatus.SUCCEEDED
    return {
        "arn": execution.exec_arn,
        "name": execution.name,
        "machine": execution.state_machine.arn,
        "type": str(StateMachineType(execution.sm_type or "STANDARD").value),
        "role": execution.role_arn,
        "started": execution.start_date.isoformat(),
        "stopped": execution.stop_date.isoformat() if ended else None,
        "status": execution.exec_status.value if ended else "RUNNING",
        "input": execution.execution_input,
        "output": executions.to_json_str(execution.output, separators=(",", ":")) if succeeded else None,
        "error": execution.error,
        "cause": execution.cause,
    }


def history(execution: Any) -> list[Any]:
    """The events of an execution so far, as GetExecutionHistory shows them."""
    worker = execution.exec_worker
    if worker is None or worker.env is None:
        return []
    return list(worker.env.event_manager.get_event_history())


def aborted_event(events: list[Any], cause: str, moment: datetime) -> dict[str, Any]:
    """The last event of an execution that ended from outside."""
    last = events[-1]["id"] if events else 0
    return {
        "executionAbortedEventDetails": {"error": None, "cause": cause},
        "id": last + 1,
        "previousEventId": last,
        "type": "ExecutionAborted",
        "timestamp": f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z",
    }


def apply() -> None:
    """Call the account's store when an execution begins or ends, and when a state machine is deleted."""
    execution = executions.Execution
    stock_start = execution.start

    def start(self: Any) -> None:
        store = _store_of(self)
        if store is not None and self.exec_worker is None:
            try:
                store.started(describe(self))
            except Exception:
                # models.py:245 has listed it already.
                forget(self.exec_arn, self.state_machine.arn)
                raise
        stock_start(self)
        _tell(self)

    execution.start = start

    communication = executions.BaseExecutionWorkerCommunication
    stock_terminated = communication.terminated

    def terminated(self: Any) -> None:
        store, site = _store_of(self.execution), hooks.site(self.execution.account_id)
        if site is None:
            stock_terminated(self)
            return
        with site.lock:  # so that nobody sees its end before it is kept
            stock_terminated(self)
            if store is not None:
                _end(self.execution, store)
            _tell(self.execution)

    communication.terminated = terminated

    backend = models.StepFunctionBackend
    stock_delete = backend.delete_state_machine

    def delete_state_machine(self: Any, arn: str) -> None:
        stock_delete(self, arn)
        if store := _stores.of(self.account_id):
            store.machine_deleted(arn)

    backend.delete_state_machine = delete_state_machine


def _tell(execution: Any) -> None:
    """Its status is another one now."""
    listener = hooks.listener(execution.account_id)
    if listener is not None and not isinstance(execution, executions.SyncExecution):
        listener.execution_changed(describe(execution))


def _store_of(execution: Any) -> ExecutionStore | None:
    return None if isinstance(execution, executions.SyncExecution) else _stores.of(execution.account_id)


def _machine(account: str, region: str, arn: str) -> Any | None:
    machines = backends.stepfunctions(account, region).state_machines
    return next((machine for machine in machines if machine.arn == arn), None)


def _end(execution: Any, store: ExecutionStore) -> None:
    machine = _machine(execution.account_id, execution.region_name, execution.state_machine.arn)
    if machine is None or execution not in machine.executions:
        return
    record = describe(execution)
    if store.ended(record, history(execution)):
        machine.executions[machine.executions.index(execution)] = StoredExecution(record, machine, store)


def running(account: str) -> list[Any]:
    """The executions that have not ended. Hold the server's lock."""
    return [
        execution
        for region in backends.stepfunctions_regions(account)
        for machine in region.state_machines
        for execution in machine.executions
        if execution.exec_status == ExecutionStatus.RUNNING
    ]


def abort(execution: Any, cause: str) -> None:
    """Stop an execution as StopExecution does. Hold the server's lock; it ends on its own thread a moment later."""
    execution.error, execution.cause = None, cause
    execution.stop(stop_date=now(), error=None, cause=cause)


def revive(record: dict[str, Any], store: ExecutionStore) -> bool:
    """Put an execution of an earlier process back; False if its state machine is gone."""
    _, _, _, region, account, *_ = record["arn"].split(":")
    machine = _machine(account, region, record["machine"])
    if machine is None:
        return False
    machine.executions.append(StoredExecution(record, machine, store))
    return True


def forget(arn: str, machine_arn: str) -> None:
    """Drop an execution that has ended: its store has no more room."""
    _, _, _, region, account, *_ = arn.split(":")
    machine = _machine(account, region, machine_arn)
    if machine is not None:
        machine.executions = [execution for execution in machine.executions if execution.exec_arn != arn]


def now() -> datetime:
    """The time as executions have it."""
    return datetime.now(UTC)
