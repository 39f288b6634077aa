"""Which requests the journal keeps: those that change what is declared.

What is not declared is kept elsewhere or not at all: objects, log events, tasks and executions are the runtime's, reads
change nothing, and messages in queues are gone when the cloud stops. An action that is not named here counts as
declaring, so that a service nobody thought of survives too.
"""

from __future__ import annotations

import re
from urllib.parse import parse_qs, urlsplit

from localcloud.request import S3_CONTROL, Call

READS = re.compile(
    r"(Describe|Get|List|BatchGet|BatchDescribe|BatchCheck|Head|Search|Lookup|Query|Scan|Select|Filter|Check|Validate|"
    r"Test|Simulate|Estimate|Preview|Detect|Decode|Verify|Discover|TransactGet)([A-Z].*)?"
)
"""First words of actions that change nothing."""

RUNTIME: dict[str, frozenset[str]] = {
    service: frozenset(actions.split())
    for service, actions in {
        "ecs": "RunTask StartTask StopTask ExecuteCommand SubmitTaskStateChange SubmitContainerStateChange "
        "SubmitAttachmentStateChanges UpdateTaskProtection",
        "states": "StartExecution StartSyncExecution StopExecution RedriveExecution SendTaskSuccess SendTaskFailure "
        "SendTaskHeartbeat UpdateMapRun TestState",
        "logs": "PutLogEvents CreateLogStream DeleteLogStream StartQuery StopQuery StartLiveTail",
        "monitoring": "PutMetricData SetAlarmState",
        "events": "PutEvents PutPartnerEvents StartReplay CancelReplay",
        "sns": "Publish PublishBatch",
        "sqs": "SendMessage SendMessageBatch ReceiveMessage DeleteMessage DeleteMessageBatch ChangeMessageVisibility "
        "ChangeMessageVisibilityBatch PurgeQueue",
        "kinesis": "PutRecord PutRecords",
        "firehose": "PutRecord PutRecordBatch",
        "kms": "Encrypt Decrypt ReEncrypt Sign GenerateDataKey GenerateDataKeyWithoutPlaintext GenerateDataKeyPair "
        "GenerateDataKeyPairWithoutPlaintext GenerateMac GenerateRandom",
        "sts": "AssumeRole AssumeRoleWithWebIdentity AssumeRoleWithSAML",
        "ssm": "SendCommand CancelCommand StartAutomationExecution StartSession TerminateSession",
    }.items()
}
"""Service as signatures name it -> actions whose effects are the runtime's."""

RUNTIME_PATHS = (
    re.compile(r"/\d{4}-\d\d-\d\d/functions/[^/]+/invocations"),
    re.compile(r"/v1/apis/[^/]+/graphql"),
)
"""REST paths whose effects are the runtime's."""


def declares(call: Call, method: str) -> bool:
    """Whether a request changes declared state. S3's path has the bucket first."""
    if call.service == "s3":
        return _declares_bucket(method, call.url)
    if call.protocol == "rest-json" or not call.action:
        path = urlsplit(call.url).path
        return method not in ("GET", "HEAD", "OPTIONS") and not any(known.fullmatch(path) for known in RUNTIME_PATHS)
    return call.action not in RUNTIME.get(call.service, ()) and not READS.fullmatch(call.action)


def _declares_bucket(method: str, url: str) -> bool:
    if method in ("GET", "HEAD", "OPTIONS"):
        return False
    parts = urlsplit(url)
    if parts.path.startswith(S3_CONTROL):
        return True
    bucket, _, key = parts.path.lstrip("/").partition("/")
    if key or not bucket:
        return False
    return method != "POST" or not (parts.query == "" or "delete" in parse_qs(parts.query, keep_blank_values=True))
