"""Functions that somebody waits for: what the handler sees, how it fails, how long it may take, what stays warm."""

from __future__ import annotations

import base64
import json
import re
import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.localcloud.functions.conftest import REGION, Functions, package
from tests.localcloud.iam.acting import trust

ECHO = "def handler(event, context):\n    return event\n"

SEES = """
import logging, os, sys
import boto3
def handler(event, context):
    print("printed")
    logging.getLogger().error("logged")
    return {
        "name": context.function_name, "version": context.function_version, "arn": context.invoked_function_arn,
        "memory": context.memory_limit_in_mb, "group": context.log_group_name, "stream": context.log_stream_name,
        "left": context.get_remaining_time_in_millis(), "id": context.aws_request_id,
        "boto3": boto3.__name__, "folder": os.getcwd() == os.environ["LAMBDA_TASK_ROOT"],
        "variables": {name: os.environ.get(name) for name in
            ("GREETING", "AWS_REGION", "AWS_LAMBDA_FUNCTION_NAME", "_HANDLER", "AWS_ACCESS_KEY_ID", "SECRET_OF_MINE")},
        "home": os.environ["HOME"].endswith("/home"), "moto": "moto" in sys.modules,
    }
"""


def test_what_a_handler_sees(functions: Functions, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_OF_MINE", "not for functions")
    arn = functions.make(SEES, MemorySize=256, Environment={"Variables": {"GREETING": "hello"}})
    seen = functions.invoke({"a": 1})
    assert 20_000 < seen.pop("left") <= 30_000
    assert re.fullmatch(r"\d{4}/\d\d/\d\d/\[\$LATEST\][0-9a-f]{32}", seen.pop("stream"))
    assert re.fullmatch(r"[0-9a-f-]{36}", seen.pop("id"))
    assert seen == {
        "name": "f", "version": "$LATEST", "arn": arn, "memory": "256", "group": "/aws/lambda/f", "boto3": "boto3",
        "folder": True, "home": True, "moto": False,
        "variables": {"GREETING": "hello", "AWS_REGION": REGION, "AWS_LAMBDA_FUNCTION_NAME": "f",
                      "_HANDLER": "app.handler", "AWS_ACCESS_KEY_ID": "ASIAROLE", "SECRET_OF_MINE": None},
    }  # fmt: skip


def test_the_log_of_an_invocation(functions: Functions) -> None:
    functions.make(SEES)
    answer = functions.api.invoke(FunctionName="f", Payload=b"{}", LogType="Tail")
    request_id = json.loads(answer["Payload"].read())["id"]
    assert answer["StatusCode"] == 200
    assert answer["ExecutedVersion"] == "$LATEST"
    lines = functions.lines()
    assert lines[0] == f"START RequestId: {request_id} Version: $LATEST"
    assert lines[1] == "printed"
    assert re.fullmatch(rf"\[ERROR\]\t[0-9T:.-]+Z\t{request_id}\tlogged", lines[2])
    assert lines[3] == f"END RequestId: {request_id}"
    assert re.fullmatch(
        rf"REPORT RequestId: {request_id}\tDuration: [\d.]+ ms\tBilled Duration: \d+ ms\tMemory Size: 128 MB\t"
        r"Max Memory Used: \d+ MB\tInit Duration: [\d.]+ ms", lines[4],
    )  # fmt: skip
    assert base64.b64decode(answer["LogResult"]).decode().splitlines() == lines


EVENTS: dict[str, Any] = {
    "object": {"a": [1, {"b": None}]},
    "list": [1, 2],
    "text": "grüße \U0001f980",
    "number": 1.10,
    "large number": 12345678901234567890123,
    "null": None,
}


def test_an_event_comes_as_it_was_sent(functions: Functions) -> None:
    functions.make(ECHO)
    for event in EVENTS.values():
        assert functions.invoke(event) == event
    assert functions.api.invoke(FunctionName="f")["Payload"].read() == b"{}"


FAILURES = {
    "an exception": (
        "def handler(event, context):\n    raise ValueError('no good')\n",
        {"errorType": "ValueError", "errorMessage": "no good"},
    ),
    "a module that is not there": (
        "import pandas_of_nobody\n",
        {
            "errorType": "Runtime.ImportModuleError",
            "errorMessage": "Unable to import module 'app': No module named 'pandas_of_nobody'",
        },
    ),
    "a module that only the local cloud has": (
        "import moto\n",
        {
            "errorType": "Runtime.ImportModuleError",
            "errorMessage": "Unable to import module 'app': No module named 'moto'",
        },
    ),
    "no handler": (
        "x = 1\n",
        {"errorType": "Runtime.HandlerNotFound", "errorMessage": "Handler 'handler' missing on module 'app'"},
    ),
    "syntax": ("def handler(:\n", {"errorType": "Runtime.UserCodeSyntaxError"}),
    "an answer that is no JSON": (
        "def handler(event, context):\n    return {1, 2}\n",
        {
            "errorType": "Runtime.MarshalError",
            "errorMessage": "Unable to marshal response: Object of type set is not JSON serializable",
        },
    ),
    "a process that ends": (
        "import os\ndef handler(event, context):\n    os._exit(3)\n",
        {"errorType": "Runtime.ExitError"},
    ),
    "sys.exit": (
        "import sys\ndef handler(event, context):\n    sys.exit(4)\n",
        {"errorType": "Runtime.ExitError"},
    ),
    "an answer that is too large": (
        "def handler(event, context):\n    return 'x' * 6_300_000\n",
        {
            "errorType": "Function.ResponseSizeTooLarge",
            "errorMessage": "Response payload size exceeded maximum allowed payload size (6291556 bytes).",
        },
    ),
}


def test_how_functions_fail(functions: Functions) -> None:
    for place, (name, (code, expected)) in enumerate(FAILURES.items()):
        functions.make(code, name=f"f{place}")
        failed = functions.invoke({}, name=f"f{place}")
        assert failed["error"] == "Unhandled", name
        assert {key: failed.get(key) for key in expected} == expected, name
        assert functions.invoke({}, name=f"f{place}")["error"] == "Unhandled", f"{name}, a second time"
    assert functions.metric("Errors", "f0") == [2, 2]


def test_a_stack_trace_is_the_functions_own(functions: Functions) -> None:
    functions.make("def inner():\n    raise KeyError('x')\ndef handler(event, context):\n    inner()\n")
    trace = functions.invoke({})["stackTrace"]
    assert [line.split(", ", 1)[1].split("\n")[0] for line in trace] == ["line 4, in handler", "line 2, in inner"]
    assert "[ERROR] KeyError: 'x'" in functions.lines()


def test_a_function_that_takes_too_long(functions: Functions) -> None:
    functions.make("import time\ndef handler(event, context):\n    print('began')\n    time.sleep(60)\n", Timeout=1)
    failed = functions.invoke({})
    assert failed["errorType"] == "Sandbox.Timedout"
    assert re.fullmatch(r"RequestId: \S+ Error: Task timed out after 1.00 seconds", failed["errorMessage"])
    assert any(line.endswith("Task timed out after 1.00 seconds") for line in functions.lines())
    assert "began" in functions.lines()


def test_a_function_that_takes_too_much_memory(functions: Functions) -> None:
    functions.make("def handler(event, context):\n    return len(bytearray(400 << 20))\n", MemorySize=128)
    failed = functions.invoke({})
    assert failed["errorType"] == "Runtime.ExitError"
    assert failed["errorMessage"].endswith("Error: Runtime exited with error: signal: killed")


COUNTS = "count = 0\ndef handler(event, context):\n    global count\n    count += 1\n    return count\n"


def test_a_warm_environment_is_used_again_until_the_function_changes(functions: Functions) -> None:
    functions.make(COUNTS)
    assert [functions.invoke({}) for _ in range(3)] == [1, 2, 3]
    functions.api.update_function_configuration(FunctionName="f", Environment={"Variables": {"AB": "c"}})
    assert functions.invoke({}) == 1
    assert functions.api.get_function_configuration(FunctionName="f")["Environment"] == {"Variables": {"AB": "c"}}


def test_an_environment_ends_when_it_is_idle_and_when_its_function_is_gone(functions: Functions, keys: Any) -> None:
    functions.make(COUNTS)
    functions.make(COUNTS, name="g")
    functions.invoke({})
    functions.invoke({}, name="g")
    assert len(keys.living) == 2
    pool = functions.agent.functions.functions
    functions.api.delete_function(FunctionName="g")
    pool.tidy()
    assert len(keys.living) == 1
    pool.tidy(time.monotonic() + 299)
    assert len(keys.living) == 1
    pool.tidy(time.monotonic() + 301)
    assert not keys.living
    assert len(pool.packages.names()) == 1
    functions.api.delete_function(FunctionName="f")
    pool.tidy()
    assert pool.packages.names() == []


def test_reserved_concurrency(functions: Functions) -> None:
    functions.make(ECHO)
    functions.api.put_function_concurrency(FunctionName="f", ReservedConcurrentExecutions=0)
    with pytest.raises(ClientError) as refused:
        functions.invoke({})
    error = refused.value.response
    assert error["Error"]["Code"] == "TooManyRequestsException"
    assert error["Error"]["Message"] == "Rate Exceeded."
    assert error["Reason"] == "ReservedFunctionConcurrentInvocationLimitExceeded"
    assert error["ResponseMetadata"]["HTTPStatusCode"] == 429
    assert functions.metric("Throttles") == [1, 1]
    functions.api.delete_function_concurrency(FunctionName="f")
    assert functions.invoke(5) == 5


WAITS = """
import os, time
def handler(event, context):
    open(event + ".began", "w").close()
    while not os.path.exists(event):
        time.sleep(0.01)
    return os.getpid()
"""


def test_events_at_the_same_time(functions: Functions, tmp_path: Path, wait_until: Any) -> None:
    """Each has an environment of its own, and the rest of the cloud goes on meanwhile."""
    functions.make(WAITS)
    functions.api.put_function_concurrency(FunctionName="f", ReservedConcurrentExecutions=2)
    with ThreadPoolExecutor(2) as pool:
        answers = [pool.submit(functions.invoke, str(tmp_path / name)) for name in "ab"]
        wait_until(lambda: len(list(tmp_path.glob("*.began"))) == 2)
        with pytest.raises(ClientError, match="TooManyRequestsException"):
            functions.invoke(str(tmp_path / "c"))
        assert functions.iam.list_roles()["Roles"]
        for name in "ab":
            (tmp_path / name).touch()
        assert len({answer.result() for answer in answers}) == 2
    (tmp_path / "c").touch()
    assert functions.invoke(str(tmp_path / "c")) in {answer.result() for answer in answers}


def test_what_invoke_refuses(functions: Functions) -> None:
    functions.make(ECHO)
    functions.make(ECHO, name="ruby", Runtime="ruby3.3")

    def refused(code: str, **parameters: Any) -> None:
        with pytest.raises(ClientError) as error:
            functions.api.invoke(**{"FunctionName": "f", **parameters})
        assert error.value.response["Error"]["Code"] == code

    refused("ResourceNotFoundException", FunctionName="nobody")
    refused("ResourceNotFoundException", Qualifier="7")
    refused("InvalidRequestContentException", Payload=b"{no")
    refused("RequestTooLargeException", Payload=b'"' + b"x" * 6_291_456 + b'"')
    refused("RequestTooLargeException", Payload=b'"' + b"x" * 1_048_576 + b'"', InvocationType="Event")
    refused("InvalidRuntimeException", FunctionName="ruby")
    assert functions.api.invoke(FunctionName="f", InvocationType="DryRun")["StatusCode"] == 204


def test_variables_that_lambda_does_not_take(functions: Functions) -> None:
    with pytest.raises(ClientError, match="reserved keys .* in this request: AWS_REGION, LAMBDA_TASK_ROOT"):
        functions.make(ECHO, Environment={"Variables": {"LAMBDA_TASK_ROOT": "x", "AWS_REGION": "x", "MINE": "y"}})
    functions.make(ECHO, Environment={"Variables": {"TEXT": "é" * 2042}})
    with pytest.raises(ClientError, match="exceeded the 4KB limit"):
        functions.api.update_function_configuration(FunctionName="f", Environment={"Variables": {"TEXT": "é" * 2043}})


def test_versions_and_aliases(functions: Functions) -> None:
    arn = functions.make("def handler(event, context):\n    return ['old', context.invoked_function_arn]\n")
    functions.api.publish_version(FunctionName="f")
    functions.api.create_alias(FunctionName="f", Name="live", FunctionVersion="1")
    new = package({"app.py": "def handler(event, context):\n    return ['new', context.function_version]\n"})
    functions.api.update_function_code(FunctionName="f", ZipFile=new)
    assert functions.invoke({}) == ["new", "$LATEST"]
    assert functions.invoke({}, Qualifier="1") == ["old", f"{arn}:1"]
    assert functions.invoke({}, name=f"{arn}:live") == ["old", f"{arn}:live"]
    assert functions.invoke({}, name=f"{functions.server.account}:function:f:live") == ["old", f"{arn}:live"]


@pytest.mark.skipif(shutil.which("node") is None, reason="a machine without Node.js")
def test_node(functions: Functions) -> None:
    code = """
exports.handler = async (event, context) => {
  console.log("got", event);
  if (event.fail) throw new TypeError("no good");
  return { name: context.functionName, left: context.getRemainingTimeInMillis() > 1000, echo: event.a };
};
exports.callback = (event, context, done) => done(null, "called back");
"""
    functions.make({"index.js": code}, Runtime="nodejs22.x", Handler="index.handler")
    assert functions.invoke({"a": "ü"}) == {"name": "f", "left": True, "echo": "ü"}
    failed = functions.invoke({"fail": True})
    assert (failed["error"], failed["errorType"], failed["errorMessage"]) == ("Unhandled", "TypeError", "no good")
    assert any("INFO\tgot { a: 'ü' }" in line for line in functions.lines())
    functions.make({"index.js": code}, "cb", Runtime="nodejs22.x", Handler="index.callback")
    assert functions.invoke({}, "cb") == "called back"
    module = "export const handler = async () => (await import('./other.mjs')).value;"
    functions.make({"m.mjs": module, "other.mjs": "export const value = 7"}, "m", Runtime="nodejs20.x",
                   Handler="m.handler")  # fmt: skip
    assert functions.invoke({}, "m") == 7
    functions.make({"index.js": "require('nothing-here')"}, "broken", Runtime="nodejs20.x", Handler="index.handler")
    assert functions.invoke({}, "broken")["errorType"] == "Runtime.ImportModuleError"


def test_a_runtime_of_ones_own(functions: Functions) -> None:
    script = """#!/bin/sh
api="http://$AWS_LAMBDA_RUNTIME_API/2018-06-01/runtime"
exec python3 - "$api" <<'END'
import sys, urllib.request
api = sys.argv[1]
while True:
    with urllib.request.urlopen(f"{api}/invocation/next") as event:
        name = event.headers["Lambda-Runtime-Aws-Request-Id"]
        body = event.read()
    print("own line", flush=True)
    urllib.request.urlopen(f"{api}/invocation/{name}/response", data=b'{"own": ' + body + b"}")
END
"""
    functions.make({"bootstrap": script}, Runtime="provided.al2023", Handler="anything")
    assert functions.invoke([1]) == {"own": [1]}
    assert functions.invoke([2]) == {"own": [2]}


def test_a_role_that_may_not_log_loses_its_lines(functions: Functions) -> None:
    role = functions.make_role("mute")
    functions.make(SEES, Role=role)
    assert functions.invoke({})["name"] == "f"
    groups = functions.logs.describe_log_groups(logGroupNamePrefix="/aws/lambda/")["logGroups"]
    assert groups == []


def test_lines_go_to_the_log_group_that_the_function_names(functions: Functions) -> None:
    functions.logs.create_log_group(logGroupName="/team/functions")
    functions.make(SEES, LoggingConfig={"LogFormat": "Text", "LogGroup": "/team/functions"})
    assert functions.invoke({})["group"] == "/team/functions"
    functions.agent._shipper.flush()
    assert functions.logs.describe_log_streams(logGroupName="/team/functions")["logStreams"]
    assert functions.logs.describe_log_groups(logGroupNamePrefix="/aws/lambda/")["logGroups"] == []


def test_a_role_that_lambda_may_not_take_on(functions: Functions) -> None:
    role = functions.make_role("tasks", trusted=trust("ecs-tasks.amazonaws.com"))
    with pytest.raises(ClientError, match="cannot be assumed by Lambda"):
        functions.make(ECHO, Role=role)
