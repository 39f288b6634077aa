"""A local cloud that is killed at any moment has what it has answered, and at most one request that it has not."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config as BotoConfig
from botocore.exceptions import BotoCoreError, ClientError

from localcloud.config import Endpoint

SEEDS = range(2)
KILLS = 3
MACHINE = '{"StartAt": "A", "States": {"A": {"Type": "Pass", "End": true}}}'
ROLE = "arn:aws:iam::123456789012:role/x"
TRUST = (
    '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", '
    '"Principal": {"Service": "states.amazonaws.com"}, "Action": "sts:AssumeRole"}]}'
)


class Serving:
    """The local cloud of a home, as its own process."""

    def __init__(self, home: Path):
        command = [sys.executable, "-m", "localcloud", "serve", "--home", home, "--cache", home, "--uv", "/bin/true"]
        environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        self._home = home
        self._log = (home.parent / "said").open("ab")
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=self._log, env=environment)
        assert self._process.stdout
        said = self._process.stdout.readline().decode()
        assert said.startswith("ready: "), (home / "cloud.log").read_text()
        self.endpoint = Endpoint.read(home / "endpoint.json")
        assert self.endpoint
        self._session = boto3.session.Session(botocore_session=_session(home))

    def client(self, service: str) -> Any:
        assert self.endpoint
        once = BotoConfig(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"}, proxies={})
        return self._session.client(service, endpoint_url=self.endpoint.url, region_name="eu-west-1", config=once)

    def kill(self) -> None:
        self._process.kill()
        self._process.communicate()
        self._log.close()


def _session(home: Path) -> Any:
    import botocore.session

    session = botocore.session.Session()
    session.set_config_variable("credentials_file", str(home / "aws/credentials"))
    session.set_config_variable("config_file", "/dev/null")
    return session


class Client(threading.Thread):
    """Declares and does things without end, and remembers what it was answered."""

    def __init__(self, cloud: Serving, seed: int, tag: str):
        super().__init__()
        self.random, self.tag = random.Random(seed), tag
        self.s3, self.ec2, self.sfn = cloud.client("s3"), cloud.client("ec2"), cloud.client("stepfunctions")
        self.objects: dict[str, str] = {}
        self.vpcs: list[str] = []
        self.machines: dict[str, Any] = {}
        self.executions: set[str] = set()
        self.unanswered = ""

    def run(self) -> None:
        number = 0
        while not self.unanswered:
            number += 1
            step = self.random.choice([self.put, self.put, self.vpc, self.machine, self.execution])
            try:
                step(f"{self.tag}-{number}")
            except (BotoCoreError, ClientError) as error:
                self.unanswered = f"{step.__name__} {self.tag}-{number}: {error}"

    def put(self, name: str) -> None:
        key = self.random.choice([name, f"{self.tag}-same"])
        self.objects[key] = self.s3.put_object(Bucket="bucket", Key=key, Body=name.encode() * 999)["ETag"]

    def vpc(self, _: str) -> None:
        self.vpcs.append(self.ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"])

    def machine(self, name: str) -> None:
        made = self.sfn.create_state_machine(name=name, definition=MACHINE, roleArn=ROLE)
        self.machines[made["stateMachineArn"]] = made["creationDate"]

    def execution(self, name: str) -> None:
        if self.machines:
            machine = self.random.choice(list(self.machines))
            self.executions.add(self.sfn.start_execution(stateMachineArn=machine, name=name)["executionArn"])


def check(cloud: Serving, clients: list[Client]) -> None:
    s3, ec2, sfn = cloud.client("s3"), cloud.client("ec2"), cloud.client("stepfunctions")
    found = {
        each["Key"]: each["ETag"]
        for page in s3.get_paginator("list_objects_v2").paginate(Bucket="bucket")
        for each in page.get("Contents", [])
    }
    answered = {key: etag for client in clients for key, etag in client.objects.items()}
    different = {key for key in found.keys() | answered.keys() if found.get(key) != answered.get(key)}
    vpcs = {vpc["VpcId"] for vpc in ec2.describe_vpcs(Filters=[{"Name": "isDefault", "Values": ["false"]}])["Vpcs"]}
    machines = {
        machine["stateMachineArn"]: machine["creationDate"]
        for page in sfn.get_paginator("list_state_machines").paginate()
        for machine in page["stateMachines"]
    }
    executions = [
        execution
        for machine in machines
        for page in sfn.get_paginator("list_executions").paginate(stateMachineArn=machine)
        for execution in page["executions"]
    ]
    arns = {execution["executionArn"] for execution in executions}
    assert all(execution["status"] in ("SUCCEEDED", "ABORTED") for execution in executions)
    assert len(arns) == len(executions)

    lost = {
        "vpcs": {vpc for client in clients for vpc in client.vpcs} - vpcs,
        "machines": {item for client in clients for item in client.machines.items()} - machines.items(),
        "executions": {arn for client in clients for arn in client.executions} - arns,
    }
    assert not any(lost.values()), lost
    extra = (
        len(different)
        + len(vpcs - {vpc for client in clients for vpc in client.vpcs})
        + len(machines.keys() - {arn for client in clients for arn in client.machines})
        + len(arns - {arn for client in clients for arn in client.executions})
    )
    assert extra <= len(clients), "each client had one request without an answer"
    for key in different:  # what was not answered may have been done, but then wholly
        if key in found:
            body = s3.get_object(Bucket="bucket", Key=key)["Body"].read()
            assert body == body[: len(body) // 999] * 999
    # From now on what is there is what there is to be.
    clients[0].objects = {**clients[0].objects, **found}
    clients[0].vpcs += vpcs - {vpc for client in clients for vpc in client.vpcs}
    clients[0].machines |= machines
    clients[0].executions |= arns


@pytest.mark.parametrize("seed", SEEDS)
def test_killed_at_any_moment(tmp_path: Path, seed: int) -> None:
    chance, home = random.Random(seed), tmp_path / "cloud"
    cloud = Serving(home)
    cloud.client("s3").create_bucket(Bucket="bucket", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    cloud.client("iam").create_role(RoleName="x", AssumeRolePolicyDocument=TRUST)
    clients: list[Client] = []
    for round_number in range(KILLS):
        new = [Client(cloud, chance.randrange(10**9), f"k{round_number}c{number}") for number in range(2)]
        for client in new:
            client.start()
        time.sleep(chance.uniform(0.05, 1.5))
        cloud.kill()
        for client in new:
            client.join()
        clients += new
        instance = cloud.endpoint
        cloud = Serving(home)
        assert instance and cloud.endpoint
        assert (cloud.endpoint.instance, cloud.endpoint.port) == (instance.instance, instance.port)
        check(cloud, clients)
    cloud.kill()
