"""Lambda's types: what to declare, and what to change. Read by test_plugins_types."""

from __future__ import annotations

import hashlib
import io
import zipfile
from typing import Any

from localcloud.plugins.values import Props
from tests.localcloud.plugins_cases import Case
from tests.localcloud.plugins_support import Made, World, policy

SIGNATURE = "4dabf18193072939515e22adb298388d"
LAMBDA = policy({"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"})


def asset(text: str) -> Props:
    """pulumi.StringAsset, as the engine sends it."""
    digest = hashlib.sha256(text.encode()).hexdigest()
    return {SIGNATURE: "c44067f5952c0a294b673a41bacd8c17", "hash": digest, "text": text}


def archive(**files: str) -> Props:
    """pulumi.AssetArchive of texts by name, as the engine sends it."""
    digest = hashlib.sha256(repr(sorted(files.items())).encode()).hexdigest()
    assets = {name.replace("_py", ".py"): asset(text) for name, text in files.items()}
    return {SIGNATURE: "0def7320c3a5731c473e5ecbe6d01bc7", "hash": digest, "assets": assets}


CODE = archive(app_py="def handler(event, context):\n    return event\n")
OTHER_CODE = archive(app_py="def handler(event, context):\n    return 1\n")


def settings(w: World) -> Props:
    role = w.make("aws:iam/role:Role", assumeRolePolicy=LAMBDA).outputs["arn"]
    return {"role": role, "runtime": "python3.12", "handler": "app.handler"}


def function(w: World, **more: Any) -> Made:
    return w.make("aws:lambda/function:Function", name="needed", code=CODE, **settings(w), **more)


def replace_code(w: World, made: Made) -> None:
    """As somebody would at the console."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as target:
        target.writestr("app.py", "def handler(event, context): raise SystemExit\n")
    w.server.client("lambda").update_function_code(FunctionName=made.id, ZipFile=buffer.getvalue())


def stored(w: World) -> Props:
    bucket = w.bucket()
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as target:
        target.writestr("app.py", "def handler(event, context):\n    return event\n")
    w.server.client("s3").put_object(Bucket=bucket, Key="code.zip", Body=buffer.getvalue())
    w.server.client("s3").put_object(Bucket=bucket, Key="new.zip", Body=buffer.getvalue())
    return {**settings(w), "s3Bucket": bucket, "s3Key": "code.zip", "publish": True}


def queue(w: World, name: str) -> str:
    return str(w.make("aws:sqs/queue:Queue", name=name).outputs["arn"])


LAMBDA_CASES = [
    Case(
        "aws:lambda/function:Function",
        lambda w: {**settings(w), "code": CODE, "environment": {"variables": {"GREETING": "hello"}}, "timeout": 5,
                   "tags": {"a": "1"}},
        {"code": OTHER_CODE, "memorySize": 256, "environment": {"variables": {"GREETING": "bye"}}, "tags": {"b": "2"},
         "description": "d", "reservedConcurrentExecutions": 2},
        {"name": "another"},
        same={"memorySize": 128, "reservedConcurrentExecutions": -1, "publish": False, "packageType": "Zip"},
        drift=replace_code,
        unreadable=frozenset({"code"}),
    ),
    Case(
        "aws:lambda/function:Function",
        stored,
        {"s3Key": "new.zip", "timeout": 60, "handler": "app.other"},
        {"name": "another"},
        unreadable=frozenset({"code"}),
    ),
    Case(
        "aws:lambda/permission:Permission",
        lambda w: {"action": "lambda:InvokeFunction", "function": function(w).outputs["name"],
                   "principal": "events.amazonaws.com", "sourceArn": "arn:aws:events:eu-west-1:310000000000:rule/r"},
        {},
        {"principal": "sns.amazonaws.com"},
        imported=lambda m: f"{m.outputs['function']}/{m.id}",
    ),
    Case(
        "aws:lambda/alias:Alias",
        lambda w: {"name": "live", "functionName": function(w, publish=True).outputs["arn"], "functionVersion": "1"},
        {"functionVersion": "$LATEST", "description": "d"},
        {"name": "another"},
        imported=lambda m: f"needed/{m.outputs['name']}",
    ),
    Case(
        "aws:lambda/eventSourceMapping:EventSourceMapping",
        lambda w: {"functionName": function(w).outputs["name"], "eventSourceArn": queue(w, "q"), "tags": {"a": "1"}},
        {"batchSize": 5, "enabled": False, "functionResponseTypes": ["ReportBatchItemFailures"], "tags": {"b": "2"}},
        {"eventSourceArn": "arn:aws:sqs:eu-west-1:310000000000:other"},
    ),
    Case(
        "aws:lambda/functionEventInvokeConfig:FunctionEventInvokeConfig",
        lambda w: {"functionName": function(w).outputs["name"], "maximumRetryAttempts": 1},
        {"maximumRetryAttempts": 0, "maximumEventAgeInSeconds": 60,
         "destinationConfig": {"onFailure": {"destination": "arn:aws:sqs:eu-west-1:310000000000:dead"}}},
        {"functionName": "another"},
    ),
]  # fmt: skip
