"""The functions that look up what exists, and the one that writes policy documents."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from pulumi.runtime.proto import provider_pb2 as pb

from localcloud.plugins import Plugins
from localcloud.plugins.values import Props, dump, load
from localcloud.server import Server
from tests.localcloud.plugins_support import Provider

_accounts = itertools.count(370_000_000_000)


class Asking:
    """A session, and the server behind it."""

    def __init__(self, server: Server, provider: Provider):
        self.server, self.provider = server, provider

    def __call__(self, module: str, name: str, /, **arguments: Any) -> Props:
        request = pb.InvokeRequest(tok=f"aws:{module}/{name}:{name}", args=dump(arguments))
        return load(getattr(self.provider.stub.Invoke(request), "return"))

    def refused(self, module: str, name: str, /, **arguments: Any) -> str:
        with pytest.raises(grpc.RpcError) as refusal:
            self(module, name, **arguments)
        assert refusal.value.code() == grpc.StatusCode.FAILED_PRECONDITION
        return str(refusal.value.details())


@pytest.fixture
def ask(tmp_path: Path) -> Iterator[Asking]:
    server = Server(str(next(_accounts)), "eu-west-1", "http://127.0.0.1:4599")
    plugins = Plugins(server, None, tmp_path)
    provider = Provider(plugins)
    yield Asking(server, provider)
    provider.close()
    plugins.close()
    server.close()


def test_networks_are_found_by_filters_tags_and_number(ask: Asking) -> None:
    ec2 = ask.server.client("ec2")
    tags = [{"ResourceType": "vpc", "Tags": [{"Key": "Name", "Value": "main"}]}]
    made = ec2.create_vpc(CidrBlock="10.9.0.0/16", TagSpecifications=tags)["Vpc"]["VpcId"]
    parts = [ec2.create_subnet(VpcId=made, CidrBlock=f"10.9.{n}.0/24")["Subnet"]["SubnetId"] for n in (1, 2)]
    assert ask("ec2", "getVpc", default=True)["default"] is True
    found = ask("ec2", "getVpc", tags={"Name": "main"})
    assert (found["id"], found["cidrBlock"], found["tags"]) == (made, "10.9.0.0/16", {"Name": "main"})
    assert found["mainRouteTableId"].startswith("rtb-") and found["enableDnsSupport"] is True
    assert ask("ec2", "getSubnets", filters=[{"name": "vpc-id", "values": [made]}])["ids"] == sorted(parts)
    assert ask("ec2", "getSubnet", id=parts[0])["cidrBlock"] == "10.9.1.0/24"
    assert "multiple EC2 Subnets matched" in ask.refused("ec2", "getSubnet", vpcId=made)
    assert "no matching EC2 VPC found" in ask.refused("ec2", "getVpc", tags={"Name": "absent"})
    assert "does not support the argument 'ipv6'" in ask.refused("ec2", "getVpc", ipv6="x")


def test_the_newest_image_is_found(ask: Asking) -> None:
    found = ask("ec2", "getAmi", owners=["amazon"], mostRecent=True, nameRegex="^amzn2-ami")
    assert found["id"].startswith("ami-") and found["name"].startswith("amzn2-ami") and found["architecture"]
    assert "none fit" in ask.refused("ec2", "getAmi", nameRegex="^nothing of that name$", mostRecent=True)


def test_parameters_and_secrets_are_read(ask: Asking) -> None:
    ask.server.client("ssm").put_parameter(Name="/a", Value="v", Type="SecureString")
    assert ask("ssm", "getParameter", name="/a")["value"] == "v"
    assert "reading SSM Parameter (/b): couldn't find resource" in ask.refused("ssm", "getParameter", name="/b")
    ask.server.client("secretsmanager").create_secret(Name="s", SecretString="t")
    assert ask("secretsmanager", "getSecretVersion", secretId="s")["secretString"] == "t"


def test_policy_documents_are_as_pulumi_aws_writes_them(ask: Asking) -> None:
    source = json.dumps({"Statement": [{"Sid": "a", "Effect": "Deny"}, {"Effect": "Allow", "Action": "x:Y"}]})
    statement = {
        "sid": "a", "actions": ["s3:Get*", "s3:List*"], "resources": ["*"],
        "principals": [{"type": "AWS", "identifiers": ["1", "2"]}, {"type": "Service", "identifiers": ["s"]}],
        "conditions": [
            {"test": "StringLike", "variable": "v", "values": ["x"]},
            {"test": "StringLike", "variable": "w", "values": ["y", "z"]},
        ],
    }  # fmt: skip
    found = ask("iam", "getPolicyDocument", statements=[statement], sourcePolicyDocuments=[source], policyId="i")
    document = json.loads(found["json"])
    assert document == {
        "Version": "2012-10-17", "Id": "i",
        "Statement": [
            {
                "Sid": "a", "Effect": "Allow", "Action": ["s3:List*", "s3:Get*"], "Resource": "*",
                "Principal": {"AWS": ["2", "1"], "Service": "s"},
                "Condition": {"StringLike": {"v": "x", "w": ["z", "y"]}},
            },
            {"Effect": "Allow", "Action": "x:Y"},
        ],
    }  # fmt: skip
    assert json.loads(found["minifiedJson"]) == document and found["json"].startswith('{\n  "Version"')
    anyone = [{"type": "*", "identifiers": ["*"]}]
    told = ask("iam", "getPolicyDocument", statements=[{"actions": ["a:B"], "principals": anyone}])
    assert json.loads(told["json"])["Statement"] == [{"Effect": "Allow", "Principal": "*", "Action": "a:B"}]
    assert "no policy document" in ask.refused("iam", "getPolicyDocument", sourcePolicyDocuments=["{"])
