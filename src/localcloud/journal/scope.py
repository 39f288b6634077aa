"""Which requests the journal keeps: those that change what is declared.

What is not declared is kept elsewhere or not at all: objects, log events, tasks and executions are the runtime's, reads
change nothing, and messages in queues are gone when the cloud stops. An action that is not named here counts as
declaring, so that a service nobody thought of survives too.
"""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from localcloud.request import Call

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
        "ses": "SendEmail SendRawEmail SendTemplatedEmail SendBulkTemplatedEmail "
        "SendBounce SendCustomVerificationEmail",
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
    re.compile(r"/v2/email/(outbound-emails|outbound-bulk-emails|list-[a-z-]+)"),
)
"""REST paths whose effects are the runtime's."""


def declares(call: Call) -> bool:
    """Whether a request changes declared state."""
    reads = call.method in ("GET", "HEAD", "OPTIONS")
    if call.is_control:
        return not reads
    if call.service == "s3":
        if reads or call.key or not call.bucket:
            return False
        return call.method != "POST" or not ("delete" in call.query or not call.query)
    if call.protocol == "rest-json" or not call.operation:
        return not reads and not any(known.fullmatch(urlsplit(call.url).path) for known in RUNTIME_PATHS)
    return call.operation not in RUNTIME.get(call.service, ()) and not READS.fullmatch(call.operation)
