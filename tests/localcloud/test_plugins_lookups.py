"""The functions that look up what a program adopts: against the real server, and against what the SDK promises."""

from __future__ import annotations

import importlib
import json
import re
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import grpc
import pytest
from pulumi.runtime.proto import provider_pb2 as pb

from localcloud.plugins import Plugins
from localcloud.plugins.functions import FUNCTIONS
from localcloud.plugins.values import Props, dump, load
from localcloud.server import Server
from tests.localcloud.plugins_cases import READ
from tests.localcloud.plugins_support import TRUST, Provider

Given = Callable[[Server], Props]

ABSENT_POLICY = "arn:aws:iam::000000000000:policy/absent"


@pytest.fixture
def ask(plugins: Plugins) -> Iterator[Callable[..., Props]]:
    provider = Provider(plugins)

    def asking(function: str, **arguments: Any) -> Props:
        module, name = function.split(".")
        request = pb.InvokeRequest(tok=f"aws:{module}/{name}:{name}", args=dump(arguments))
        return load(getattr(provider.stub.Invoke(request), "return"))

    yield asking
    provider.close()


def bucket(server: Server) -> Props:
    where = {"LocationConstraint": "eu-west-1"}
    server.client("s3").create_bucket(Bucket="adopted", CreateBucketConfiguration=where)
    return {"bucket": "adopted"}


def blocked(server: Server) -> Props:
    server.client("s3control").put_public_access_block(
        AccountId=server.account, PublicAccessBlockConfiguration={"BlockPublicPolicy": True}
    )
    return {}


def secret(server: Server) -> Props:
    server.client("secretsmanager").create_secret(
        Name="p/s", SecretString="x", Tags=[{"Key": "a", "Value": "1"}], Description="d"
    )
    return {"name": "p/s"}


def key(server: Server) -> Props:
    kms = server.client("kms")
    number = kms.create_key(Description="d")["KeyMetadata"]["KeyId"]
    kms.create_alias(AliasName="alias/main", TargetKeyId=number)
    return {"keyId": "alias/main"}


def policy(server: Server) -> Props:
    server.client("iam").create_policy(PolicyName="boundary", PolicyDocument=READ, Path="/p/")
    return {"name": "boundary"}


def role(server: Server) -> Props:
    server.client("iam").create_role(RoleName="r", AssumeRolePolicyDocument=TRUST)
    return {"name": "r"}


def identity_provider(server: Server) -> Props:
    server.client("iam").create_open_id_connect_provider(
        Url="https://token.example", ClientIDList=["a"], ThumbprintList=["b" * 40]
    )
    return {"url": "https://token.example"}


def email_identity(server: Server) -> Props:
    server.client("sesv2").create_email_identity(EmailIdentity="a@x.org")
    return {"emailIdentity": "a@x.org"}


def zone(server: Server) -> Props:
    server.client("route53").create_hosted_zone(Name="a.example", CallerReference="x")
    return {"name": "a.example"}


def certificate(server: Server) -> Props:
    for name in ("a.example", "a.example", "b.example"):
        server.client("acm").request_certificate(DomainName=name, ValidationMethod="DNS")
    return {"domain": "a.example", "mostRecent": True, "statuses": ["ISSUED", "PENDING_VALIDATION"]}


def repository(server: Server) -> Props:
    server.client("ecr").create_repository(repositoryName="jobs/main", tags=[{"Key": "herd:project", "Value": "herd"}])
    return {"name": "jobs/main"}


def image(server: Server) -> Props:
    repository(server)
    kind = "application/vnd.docker.distribution.manifest.v2+json"
    manifest = json.dumps({"schemaVersion": 2, "mediaType": kind, "config": {"digest": "sha256:1"}, "layers": []})
    server.client("ecr").put_image(repositoryName="jobs/main", imageManifest=manifest, imageTag="v1")
    return {"repositoryName": "jobs/main", "imageTag": "v1"}


def tagged_group(server: Server) -> Props:
    server.client("logs").create_log_group(logGroupName="/g", tags={"team": "a"})
    return {"tagFilters": [{"key": "team", "values": ["a"]}]}


CASES: list[tuple[str, Given, Props]] = [
    ("s3.getBucket", bucket, {"arn": "arn:aws:s3:::adopted", "id": "adopted"}),
    ("s3.getAccountPublicAccessBlock", blocked, {"blockPublicPolicy": True, "blockPublicAcls": False}),
    ("secretsmanager.getSecret", secret, {"name": "p/s", "description": "d", "tags": {"a": "1"}}),
    ("kms.getKey", key, {"description": "d", "enabled": True, "keyState": "Enabled", "multiRegion": False}),
    ("kms.getAlias", lambda server: key(server) and {"name": "alias/main"}, {"name": "alias/main"}),
    ("iam.getPolicy", policy, {"path": "/p/", "name": "boundary"}),
    ("iam.getRole", role, {"id": "r", "path": "/", "maxSessionDuration": 3600.0}),
    ("iam.getOpenIdConnectProvider", identity_provider, {"url": "token.example", "clientIdLists": ["a"]}),
    ("sesv2.getEmailIdentity", email_identity, {"id": "a@x.org", "verifiedForSendingStatus": False}),
    ("route53.getZone", zone, {"name": "a.example", "privateZone": False}),
    ("acm.getCertificate", certificate, {"domain": "a.example"}),
    (
        "ecr.getRepository",
        repository,
        {"id": "jobs/main", "imageTagMutability": "MUTABLE", "tags": {"herd:project": "herd"}},
    ),
    ("ecr.getImage", image, {"imageTags": ["v1"], "imageTag": "v1"}),
    ("resourcegroupstaggingapi.getResources", tagged_group, {"region": "eu-west-1"}),
    (
        "ec2.getInstanceType",
        lambda _: {"instanceType": "g4dn.xlarge"},
        {"defaultVcpus": 4.0, "memorySize": 16384.0, "supportedArchitectures": ["x86_64"]},
    ),
    (
        "cloudfront.getCachePolicy",
        lambda _: {"name": "Managed-CachingOptimized"},
        {"id": "658327ea-f89d-4fab-a63d-7e88639e58f6"},
    ),
    (
        "cloudfront.getResponseHeadersPolicy",
        lambda _: {"name": "Managed-SecurityHeadersPolicy"},
        {"id": "67f7725c-6f97-4210-82d7-5512b31e9d03"},
    ),
]

ONLY_ARGUMENTS = {
    "excludeCompliantResources",
    "includeComplianceDetails",
    "resourceArnLists",
    "resourceTypeFilters",
    "grantTokens",
    "keyTypes",
    "types",
    "pathPrefix",
    "mostRecent",
}
"""Of the results these only echo what was asked."""

NOT_ANSWERED = {"ec2.getInstanceType"}
"""Its several dozen measures that no program here reads are left out: they are None in the SDK."""


@pytest.mark.parametrize(("function", "given", "expected"), CASES, ids=[case[0] for case in CASES])
def test_what_exists_is_found(
    function: str, given: Given, expected: Props, ask: Callable[..., Props], server: Server
) -> None:
    found = ask(function, **given(server))
    assert {name: found.get(name) for name in expected} == expected
    if function not in NOT_ANSWERED:
        assert promised(function) - set(found) <= ONLY_ARGUMENTS


@pytest.mark.parametrize(
    ("function", "arguments", "why"),
    [
        ("s3.getBucket", {"bucket": "absent"}, "reading S3 Bucket (absent): couldn't find resource"),
        ("s3.getAccountPublicAccessBlock", {}, "): couldn't find resource"),
        (
            "secretsmanager.getSecret",
            {"name": "absent"},
            "reading Secrets Manager Secret (absent): couldn't find resource",
        ),
        ("secretsmanager.getSecret", {}, "one of arn and name"),
        ("kms.getKey", {"keyId": "alias/absent"}, "reading KMS Key (alias/absent): couldn't find resource"),
        ("kms.getAlias", {"name": "alias/absent"}, "reading KMS Alias (alias/absent): empty result"),
        ("iam.getPolicy", {"name": "absent"}, "no matching IAM Policy found"),
        ("iam.getPolicy", {"arn": ABSENT_POLICY}, f"reading IAM Policy ({ABSENT_POLICY}): couldn't find resource"),
        ("iam.getRole", {"name": "absent"}, "reading IAM Role (absent): couldn't find resource"),
        ("ec2.getVpc", {"id": "vpc-1"}, "no matching EC2 VPC found"),
        ("ec2.getSubnet", {"id": "subnet-1"}, "no matching EC2 Subnet found"),
        ("ssm.getParameter", {"name": "/absent"}, "reading SSM Parameter (/absent): couldn't find resource"),
        ("route53.getZone", {"name": "absent.example"}, "no matching Route 53 Hosted Zone found"),
        ("acm.getCertificate", {"domain": "absent.example"}, "no ACM Certificate matching domain (absent.example)"),
        ("ecr.getRepository", {"name": "absent"}, "reading ECR Repository (absent): couldn't find resource"),
        ("ecr.getImage", {"repositoryName": "absent", "imageTag": "v1"}, "reading ECR Images: couldn't find resource"),
        ("ec2.getInstanceType", {"instanceType": "t9.huge"}, "InvalidInstanceType"),
        ("cloudfront.getCachePolicy", {"name": "mine"}, "Managed-CachingOptimized"),
    ],
)
def test_what_does_not_exist_is_an_error(function: str, arguments: Props, why: str, ask: Callable[..., Props]) -> None:
    with pytest.raises(grpc.RpcError, match=re.escape(why)):
        ask(function, **arguments)


def test_an_image_that_is_not_in_its_repository(ask: Callable[..., Props], server: Server) -> None:
    image(server)
    with pytest.raises(grpc.RpcError, match="reading ECR Images: couldn't find resource"):
        ask("ecr.getImage", repositoryName="jobs/main", imageTag="v2")


def test_several_that_fit_are_an_error(ask: Callable[..., Props], server: Server) -> None:
    for _ in range(2):
        server.client("ec2").create_vpc(CidrBlock="10.0.0.0/16")
    with pytest.raises(grpc.RpcError, match="multiple EC2 VPCs matched; use additional constraints"):
        ask("ec2.getVpc", cidrBlock="10.0.0.0/16")


def test_a_secret_that_waits_for_its_deletion_counts_as_gone(ask: Callable[..., Props], server: Server) -> None:
    named = secret(server)
    server.client("secretsmanager").delete_secret(SecretId="p/s", RecoveryWindowInDays=7)
    with pytest.raises(grpc.RpcError, match=r"reading Secrets Manager Secret \(p/s\): couldn't find resource"):
        ask("secretsmanager.getSecret", **named)


@pytest.mark.parametrize("variant", ["amazon-linux-2", "amazon-linux-2023"])
@pytest.mark.parametrize("kind", ["", "arm64/", "gpu/"])
def test_the_images_for_ecs_instances_are_known(variant: str, kind: str, ask: Callable[..., Props]) -> None:
    name = f"/aws/service/ecs/optimized-ami/{variant}/{kind}recommended/image_id"
    assert re.fullmatch("ami-[0-9a-f]{8,17}", ask("ssm.getParameter", name=name)["value"])


def promised(function: str) -> set[str]:
    """Pulumi's names of what the SDK's result has."""
    module, name = function.split(".")
    file = re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = importlib.import_module(f"pulumi_aws.{module}.{file}")
    result = getattr(found, f"G{name[1:]}Result")
    getters = [member.fget for member in vars(result).values() if isinstance(member, property)]
    return {str(vars(getter)["_pulumi_name"]) for getter in getters if "_pulumi_name" in vars(getter)}


def test_every_look_up_of_something_adopted_has_a_case() -> None:
    from localcloud.plugins import lookups_adopted

    served = {token.split(":")[1].replace("/", ".") for token, function in FUNCTIONS.items()
              if function.__module__ == lookups_adopted.__name__}  # fmt: skip
    assert served == {case[0] for case in CASES}
