"""Access logs of buckets and flow logs of networks: who may write them is judged by the target's policy."""

from __future__ import annotations

import json
import uuid
from typing import Any

import pytest
from botocore.exceptions import ClientError

from localcloud.server import Server

REGION = "eu-west-1"


def bucket(s3: Any) -> str:
    """A new one; names are shared by all accounts of the process."""
    name = f"logs-{uuid.uuid4().hex[:12]}"
    s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION})
    return name


def statement(**more: Any) -> dict[str, Any]:
    return {
        "Effect": "Allow",
        "Principal": {"Service": "logging.s3.amazonaws.com"},
        "Action": "s3:PutObject",
        "Resource": "arn:aws:s3:::logs-of-all/*",
        **more,
    }


TLS = {
    "Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": "arn:aws:s3:::logs-of-all/*",
    "Condition": {"Bool": {"aws:SecureTransport": "false"}},
}  # fmt: skip


@pytest.mark.parametrize(
    ("statements", "may"),
    [
        ([statement(), TLS], True),
        ([TLS], False),
        ([statement(Condition={"ArnLike": {"aws:SourceArn": "arn:aws:s3:::watched"}}), TLS], True),
        ([statement(Condition={"ArnLike": {"aws:SourceArn": "arn:aws:s3:::other"}}), TLS], False),
        ([statement(Resource="arn:aws:s3:::logs-of-all/dev/*")], True),
        ([statement(Resource="arn:aws:s3:::logs-of-all/prod/*")], False),
    ],
)
def test_a_bucket_logs_where_its_target_lets_it(server: Server, statements: list[dict[str, Any]], may: bool) -> None:
    s3 = server.client("s3")
    watched, target = bucket(s3), bucket(s3)
    policy = json.dumps({"Version": "2012-10-17", "Statement": statements})
    policy = policy.replace("logs-of-all", target).replace("watched", watched)
    s3.put_bucket_policy(Bucket=target, Policy=policy)
    wanted = {"LoggingEnabled": {"TargetBucket": target, "TargetPrefix": "dev/s3/"}}
    if not may:
        with pytest.raises(ClientError, match="InvalidTargetBucketForLogging"):
            s3.put_bucket_logging(Bucket=watched, BucketLoggingStatus=wanted)
        return
    s3.put_bucket_logging(Bucket=watched, BucketLoggingStatus=wanted)
    assert s3.get_bucket_logging(Bucket=watched)["LoggingEnabled"]["TargetPrefix"] == "dev/s3/"


def test_flow_logs_go_below_a_prefix(server: Server) -> None:
    ec2, s3 = server.client("ec2"), server.client("s3")
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    flows = bucket(s3)

    def create(destination: str) -> Any:
        return ec2.create_flow_logs(
            ResourceIds=[vpc],
            ResourceType="VPC",
            TrafficType="ALL",
            LogDestinationType="s3",
            LogDestination=destination,
        )

    made = create(f"arn:aws:s3:::{flows}/herd-prod/")
    (found,) = ec2.describe_flow_logs(FlowLogIds=made["FlowLogIds"])["FlowLogs"]
    assert found["LogDestination"] == f"arn:aws:s3:::{flows}/herd-prod/"
    assert "does not exist" in create("arn:aws:s3:::nothing/herd-prod/")["Unsuccessful"][0]["Error"]["Message"]
