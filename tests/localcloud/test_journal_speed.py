"""Replay is quick, measured in processor time: neighbours on the machine do not count."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from localcloud.journal import Journal
from localcloud.server import Server

REQUESTS, SECONDS = 2000, 5.0
REPLAY = """
import json, sys, time
from pathlib import Path
from localcloud.journal import Journal
from localcloud.server import Server
server = Server(sys.argv[1], "eu-west-1", "http://127.0.0.1:4999")
journal = Journal(Path(sys.argv[2]))
began = time.process_time()
replayed = journal.replay(server)
print(json.dumps([replayed.requests, len(replayed.differing), time.process_time() - began]))
"""
MACHINE = json.dumps({"StartAt": "A", "States": {"A": {"Type": "Pass", "End": True}}})
TRUST = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Principal": {"Service": "ecs-tasks.amazonaws.com"}, "Action": "sts:AssumeRole"}
        ],
    }
)
POLICY = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]})


class Recorder:
    def __init__(self, journal: Journal):
        self.journal = journal

    def perform(self, call: Any, request: Any, carry_out: Any) -> Any:
        keeps = self.journal.keeps(call, request)
        return self.journal.perform(call, request, carry_out) if keeps else carry_out(request)


def test_two_thousand_requests_in_five_seconds(server: Server, tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    server.recorder = Recorder(journal)
    ecs, iam, logs, s3, sfn = (server.client(name) for name in ("ecs", "iam", "logs", "s3", "stepfunctions"))
    vpc = server.client("ec2").create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    number = 0
    while len(journal) < REQUESTS:
        number += 1
        server.client("ec2").create_security_group(GroupName=f"g{number}", Description="d", VpcId=vpc)
        iam.create_role(RoleName=f"r{number}", AssumeRolePolicyDocument=TRUST)
        iam.put_role_policy(RoleName=f"r{number}", PolicyName="p", PolicyDocument=POLICY)
        s3.create_bucket(
            Bucket=f"b{number}-{server.account}", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"}
        )
        logs.create_log_group(logGroupName=f"/{number}")
        logs.put_retention_policy(logGroupName=f"/{number}", retentionInDays=7)
        ecs.register_task_definition(
            family=f"f{number}", containerDefinitions=[{"name": "m", "image": "i", "memory": 64}]
        )
        sfn.create_state_machine(name=f"m{number}", definition=MACHINE, roleArn="arn:aws:iam::123456789012:role/x")
    journal.close()
    server.recorder = None
    command = [sys.executable, "-c", REPLAY, server.account, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    requests, differing, seconds = json.loads(done.stdout)
    assert requests >= REQUESTS and differing == 0
    assert seconds <= SECONDS
    print(f"{requests} requests carried out again in {seconds:.2f} s of processor time")
