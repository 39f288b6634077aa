"""Logs of who did what: access logs of buckets, flow logs of networks. Kept as declared; nothing is logged here."""

from __future__ import annotations

import json
from typing import Any

from moto.ec2.models import flow_logs
from moto.s3 import models as s3

from localcloud.iam import documents
from localcloud.iam.evaluation import Policies, Who, decide
from localcloud.request.access import Access

_LOGGING = Who(service="logging.s3.amazonaws.com")


def apply() -> None:
    """Judge by the target's policy who may write access logs; let flow logs go below a prefix of a bucket."""
    _access_logs()
    _flow_logs()


def _access_logs() -> None:
    # s3/models.py:1369 fails on statements for everybody ("Principal": "*"), knows one form of resource and no
    # conditions.
    stock = s3.FakeBucket.set_logging

    def set_logging(self: Any, config: dict[str, Any] | None, backend: Any) -> None:
        target = backend.buckets.get(config["TargetBucket"]) if config else None
        if target is None or not target.policy:
            stock(self, config, backend)
            return
        assert config
        if not _may_log(self, target, config.get("TargetPrefix") or "") and not self._log_permissions_enabled_acl(
            target
        ):
            raise s3.InvalidTargetBucketForLogging(
                "You must either provide the necessary permissions to the logging service using a bucket policy or "
                "give the log-delivery group WRITE and READ_ACP permissions to the target bucket"
            )
        if target.region_name != self.region_name:
            raise s3.CrossLocationLoggingProhibited()
        self.logging = config

    s3.FakeBucket.set_logging = set_logging


def _may_log(source: Any, target: Any, prefix: str) -> bool:
    arn = f"arn:{target.partition}:s3:::{target.name}/{prefix}2026-01-01-00-00-00-0123456789ABCDEF"
    context = {
        "aws:sourcearn": f"arn:{source.partition}:s3:::{source.name}",
        "aws:sourceaccount": source.account_id,
        "aws:securetransport": "true",
    }
    policy = documents.read(json.dumps(json.loads(target.policy)))
    return decide(Access("s3:PutObject", arn), _LOGGING, Policies(resource=policy), context).allowed


def _flow_logs() -> None:
    # ec2/models/flow_logs.py:233 takes all of `arn:aws:s3:::bucket/prefix/` for the bucket's name.
    stock = flow_logs.FlowLogsBackend.create_flow_logs

    def create_flow_logs(self: Any, **arguments: Any) -> Any:
        destination = str(arguments["log_destination"] or "")
        if arguments["log_destination_type"] != "s3" or "/" not in destination:
            return stock(self, **arguments)
        bucket = destination.partition("/")[0]
        made, failed = stock(self, **{**arguments, "log_destination": bucket})
        for flow_log in made:
            flow_log.log_destination = destination
        return made, failed

    flow_logs.FlowLogsBackend.create_flow_logs = create_flow_logs
