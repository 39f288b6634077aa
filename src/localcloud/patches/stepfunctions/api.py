"""Step Functions' API around the interpreter: start, describe, stop, and the two calls that moto lacks."""

from __future__ import annotations

import json
import threading
import time
import uuid
from typing import Any

from moto.core.exceptions import AWSError
from moto.core.responses import ActionResult
from moto.core.utils import utcnow
from moto.stepfunctions import responses
from moto.stepfunctions.parser import models
from moto.stepfunctions.parser.backend import execution as executions
from moto.stepfunctions.parser.backend import execution_worker

from localcloud.patches.stepfunctions.definitions import diagnose

Response = responses.StepFunctionResponse

MOST_DIAGNOSTICS = 100
"""In one answer. Source: ValidateStateMachineDefinition, Step Functions API reference."""

WORKER_START_SECONDS = 5.0
"""How long StopExecution waits for an execution's thread that has only just been started."""


def apply() -> None:
    """Make executions say what AWS's say, and let others wait for their end."""
    _name_errors()
    _add_missing_calls()
    _patch_start()
    _patch_describe()
    _patch_stop()
    _patch_end()


def _name_errors() -> None:
    # stepfunctions/parser/api.py: each error has its name in `code`, and AWSError takes it from `TYPE`; without it the
    # answer has no __type, and no client knows what was refused.
    stock = AWSError.__init__

    def named(self: Any, message: str, exception_type: str | None = None, status: int | None = None) -> None:
        code = vars(type(self)).get("code")
        stock(self, message, exception_type or self.TYPE or (code if isinstance(code, str) else None), status)

    AWSError.__init__ = named


def _add_missing_calls() -> None:
    # stepfunctions/responses.py has neither; infrastructure tools call both.
    def validate_state_machine_definition(self: Any) -> str:
        problems = [one.diagnostic() for one in diagnose(self._get_param("definition"))]
        most = self._get_param("maxResults") or MOST_DIAGNOSTICS
        return json.dumps(
            {
                "result": "FAIL" if problems else "OK",
                "diagnostics": problems[:most],
                "truncated": len(problems) > most,
            }
        )

    def list_state_machine_versions(self: Any) -> str:
        return json.dumps({"stateMachineVersions": []})

    Response.validate_state_machine_definition = validate_state_machine_definition
    Response.list_state_machine_versions = list_state_machine_versions


def _patch_start() -> None:
    # stepfunctions/parser/models.py:205: without a name the ARN ends in ":None", and the second start clashes.
    backend = models.StepFunctionsParserBackend
    stock_start = backend.start_execution

    def start_execution(self: Any, state_machine_arn: str, name: str | None = None, *args: Any, **kwargs: Any) -> Any:
        return stock_start(self, state_machine_arn, name or str(uuid.uuid4()), *args, **kwargs)

    backend.start_execution = start_execution

    # stepfunctions/parser/backend/execution.py:266: `$$.Execution.StartTime` was a datetime; once it is in the
    # execution's output DescribeExecution fails.
    stock_details = executions.Execution.get_start_execution_details

    def get_start_execution_details(self: Any) -> Any:
        details = stock_details(self)
        moment = self.start_date
        details.start_time = f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z"
        return details

    executions.Execution.get_start_execution_details = get_start_execution_details


def _patch_describe() -> None:
    # stepfunctions/responses.py:316: an output that is a string lost its quotes, TIMED_OUT had no stop date.
    def describe_execution(self: Any) -> ActionResult:
        execution = self.stepfunction_backend.describe_execution(self._get_param("executionArn"))
        description = {key: value for key, value in execution.to_describe_output().items() if value is not None}
        description["status"] = execution.status
        return ActionResult(description)

    stock_list = Response.list_executions

    def list_executions(self: Any) -> ActionResult:
        result: ActionResult = stock_list(self)
        backend = self.stepfunction_backend
        for item in result.result["executions"]:
            if item["status"] == "TIMED_OUT":
                item["stopDate"] = backend.describe_execution(item["executionArn"]).stop_date
        return result

    Response.describe_execution, Response.list_executions = describe_execution, list_executions


def _patch_stop() -> None:
    # stepfunctions/responses.py:353 drops error and cause.
    def stop_execution(self: Any) -> ActionResult:
        execution = self.stepfunction_backend.describe_execution(self._get_param("executionArn"))
        if execution.status == "RUNNING":
            execution.error, execution.cause = self._get_param("error"), self._get_param("cause")
            execution.stop(stop_date=utcnow(), error=execution.error, cause=execution.cause)
        return ActionResult({"stopDate": execution.stop_date or utcnow()})

    Response.stop_execution = stop_execution

    # stepfunctions/parser/backend/execution_worker.py:116 reads an attribute that the new thread has yet to set.
    worker = execution_worker.ExecutionWorker
    stock = worker.stop

    def stop(self: Any, *args: Any, **kwargs: Any) -> None:
        deadline = time.monotonic() + WORKER_START_SECONDS
        while (self.env is None or self.env.program_state() is None) and time.monotonic() < deadline:
            time.sleep(0.001)
        stock(self, *args, **kwargs)

    worker.stop = stop


def _patch_end() -> None:
    # stepfunctions/parser/backend/execution.py:86: nobody could wait for an execution, only ask again and again.
    execution = executions.Execution
    stock_init = execution.__init__

    def init(self: Any, *args: Any, **kwargs: Any) -> None:
        stock_init(self, *args, **kwargs)
        self.finished = threading.Event()

    execution.__init__ = init
    communication = executions.BaseExecutionWorkerCommunication
    stock_terminated = communication.terminated

    def terminated(self: Any) -> None:
        try:
            stock_terminated(self)
        finally:
            self.execution.finished.set()

    communication.terminated = terminated
