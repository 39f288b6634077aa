"""Runs a Lambda function's handler in Python. The local cloud starts this file as a process; it imports nothing of it.

Arguments: the folder with boto3's packages, the mark that ends an invocation's output. The rest comes from the
environment, as on AWS. Source: https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html and
https://docs.aws.amazon.com/lambda/latest/dg/python-context.html
"""

from __future__ import annotations

import http.client
import importlib.machinery
import json
import logging
import os
import pkgutil
import sys
import time
import traceback
import types
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn

PROVIDED = ("boto3", "botocore", "s3transfer", "jmespath", "dateutil", "urllib3", "six")
"""What AWS's own runtime has besides the standard library. Anything else belongs into the package."""

Handler = Callable[[Any, Any], Any]


class Provided(importlib.machinery.PathFinder):
    """Finds these packages, and nothing else, in the folder that they are installed in."""

    folder = ""

    @classmethod
    def find_spec(
        cls, fullname: str, path: Sequence[str] | None = None, target: types.ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if path is None and fullname in PROVIDED:
            return importlib.machinery.PathFinder.find_spec(fullname, [cls.folder], target)
        return None


class Context:
    """What a handler gets as its second argument."""

    def __init__(self, headers: Mapping[str, str]):
        self.aws_request_id = headers["lambda-runtime-aws-request-id"]
        self.invoked_function_arn = headers["lambda-runtime-invoked-function-arn"]
        self.function_name = os.environ["AWS_LAMBDA_FUNCTION_NAME"]
        self.function_version = os.environ["AWS_LAMBDA_FUNCTION_VERSION"]
        self.memory_limit_in_mb = os.environ["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"]
        self.log_group_name = os.environ["AWS_LAMBDA_LOG_GROUP_NAME"]
        self.log_stream_name = os.environ["AWS_LAMBDA_LOG_STREAM_NAME"]
        self.identity = types.SimpleNamespace(cognito_identity_id=None, cognito_identity_pool_id=None)
        self.client_context = None
        self._deadline_ms = int(headers["lambda-runtime-deadline-ms"])

    def get_remaining_time_in_millis(self) -> int:
        return max(0, self._deadline_ms - int(time.time() * 1000))


class Api:
    """The Runtime API."""

    def __init__(self, address: str):
        host, _, self._prefix = address.partition("/")
        self._connection = http.client.HTTPConnection(host)

    def call(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> tuple[dict[str, str], bytes]:
        self._connection.request(method, f"/{self._prefix}/2018-06-01/runtime/{path}", body, headers or {})
        answer = self._connection.getresponse()
        return {name.lower(): value for name, value in answer.getheaders()}, answer.read()

    def answer(self, request_id: str, body: bytes) -> None:
        self.call("POST", f"invocation/{request_id}/response", body, {"Content-Type": "application/json"})

    def error(self, path: str, error: Mapping[str, Any]) -> None:
        kind = {"Lambda-Runtime-Function-Error-Type": str(error["errorType"]), "Content-Type": "application/json"}
        self.call("POST", path, json.dumps(error).encode(), kind)


class Refused(Exception):
    """An error of the runtime's own: its type and its text."""


class Formatter(logging.Formatter):
    converter = staticmethod(time.gmtime)


class RequestId(logging.Filter):
    current = ""

    def filter(self, record: logging.LogRecord) -> bool:
        record.aws_request_id = RequestId.current
        return True


def set_up_logging() -> None:
    handler = logging.StreamHandler(sys.stdout)
    text = "[%(levelname)s]\t%(asctime)s.%(msecs)03dZ\t%(aws_request_id)s\t%(message)s"
    handler.setFormatter(Formatter(text, "%Y-%m-%dT%H:%M:%S"))
    handler.addFilter(RequestId())
    logging.getLogger().addHandler(handler)


def load_handler(name: str) -> Handler:
    module_name, _, function_name = name.rpartition(".")
    if not module_name or not function_name:
        text = f"Bad handler '{name}': not enough values to unpack (expected 2, got 1)"
        raise Refused("Runtime.MalformedHandlerName", text)
    module_name = module_name.replace("/", ".")
    if module_name.split(".")[0] in sys.builtin_module_names:
        raise Refused("Runtime.BuiltInModuleConflict", f"Cannot use built-in module {module_name} as a handler module")
    try:
        handler: Handler = pkgutil.resolve_name(f"{module_name}:{function_name}")
    except ImportError as error:
        raise Refused("Runtime.ImportModuleError", f"Unable to import module '{module_name}': {error}") from error
    except SyntaxError as error:
        text = f"Syntax error in module '{module_name}': {error}"
        raise Refused("Runtime.UserCodeSyntaxError", text) from error
    except AttributeError as error:
        if error.name != function_name:
            raise
        text = f"Handler '{function_name}' missing on module '{module_name}'"
        raise Refused("Runtime.HandlerNotFound", text) from None
    return handler


def failure(error: BaseException, request_id: str = "") -> dict[str, Any]:
    """An exception as Lambda answers it; it goes into the log, too."""
    if isinstance(error, Refused):
        kind, message, trace = error.args[0], error.args[1], []
    else:
        frames = traceback.extract_tb(error.__traceback__)
        trace = traceback.format_list([frame for frame in frames if frame.filename != __file__])
        kind, message = type(error).__name__, str(error)
    shown = f"\nTraceback (most recent call last):\n{''.join(trace)}" if trace else ""
    print(f"[ERROR] {kind}: {message}{shown}".rstrip())
    return {"errorMessage": message, "errorType": kind, "requestId": request_id, "stackTrace": trace}


def handled(handler: Handler, event: bytes, headers: Mapping[str, str]) -> bytes:
    """The handler's answer to an event, as JSON."""
    try:
        argument = json.loads(event)
    except ValueError as error:
        raise Refused("Runtime.UnmarshalError", f"Unable to unmarshal input: {error}") from error
    result = handler(argument, Context(headers))
    try:
        return json.dumps(result).encode()
    except (TypeError, ValueError) as error:
        raise Refused("Runtime.MarshalError", f"Unable to marshal response: {error}") from error


def serve(api: Api, handler: Handler, mark: str) -> NoReturn:
    while True:
        headers, event = api.call("GET", "invocation/next")
        request_id = RequestId.current = headers["lambda-runtime-aws-request-id"]
        os.environ["_X_AMZN_TRACE_ID"] = headers.get("lambda-runtime-trace-id", "")
        try:
            body = handled(handler, event, headers)
        except Exception as error:
            report = failure(error, request_id)
            end_output(mark)
            api.error(f"invocation/{request_id}/error", report)
        else:
            end_output(mark)
            api.answer(request_id, body)


def end_output(mark: str) -> None:
    sys.stdout.flush()
    sys.stderr.flush()
    os.write(1, f"{mark}\n".encode())


def main() -> None:
    Provided.folder, mark = sys.argv[1:3]
    more = [part for part in os.environ.get("PYTHONPATH", "").split(":") if part]
    standard = [part for part in sys.path[1:] if part not in more]
    sys.path[:] = [os.environ["LAMBDA_TASK_ROOT"], *more, *standard]
    sys.meta_path.append(Provided)
    sys.argv[:] = [""]
    # The log takes the output line by line, whatever it is connected to.
    sys.stdout.reconfigure(line_buffering=True, errors="backslashreplace")  # type: ignore[union-attr]
    sys.stderr.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    set_up_logging()
    api = Api(os.environ["AWS_LAMBDA_RUNTIME_API"])
    try:
        handler = load_handler(os.environ["_HANDLER"])
    except Exception as error:
        report = failure(error)
        end_output(mark)
        api.error("init/error", report)
        sys.exit(1)
    serve(api, handler, mark)


if __name__ == "__main__":
    main()
