"""The journal: what it keeps, that it is read back whole or refused, and that replaying it gives the same account."""

from __future__ import annotations

import base64
import errno
import json
import os
import shutil
import stat
import subprocess
import sys
import threading
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from botocore.exceptions import ClientError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from localcloud import backends
from localcloud.journal import Journal, JournalDamaged, compaction
from localcloud.journal import journal as recording
from localcloud.journal.journal import RequestCodec
from localcloud.journal.lines import UNANSWERED, File, Header, Line, answer_of
from localcloud.journal.scope import declares
from localcloud.request import Call, Request, Response
from localcloud.request_context import caused_by
from localcloud.server import Server

TRUST = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "ecs-tasks.amazonaws.com"}}
        ],
    }
)
ALLOW = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]})
MACHINE = json.dumps({"StartAt": "A", "States": {"A": {"Type": "Pass", "End": True}}})
CONTAINERS = [{"name": "m", "image": "a", "memory": 64}]
ROLE = "arn:aws:iam::123456789012:role/x"
CANARY = "canary-7f3a"
WAY_OUT = "Way out: forget it."


class Recorder:
    """A journal as the server's recorder: what declares nothing is carried out and that is all."""

    def __init__(self, journal: Journal):
        self.journal = journal

    def perform(self, call: Call, request: Request, carry_out: Callable[[Request], Response]) -> Response:
        if self.journal.keeps(call, request):
            return self.journal.perform(call, request, carry_out)
        return carry_out(request)


class Account:
    """A server that is recorded, and can be emptied and brought back."""

    def __init__(self, server: Server, folder: Path):
        self.server = server
        self.folder = folder
        self.journal = Journal(folder, WAY_OUT)
        self.journal.replay(server)
        server.recorder = Recorder(self.journal)

    def __getattr__(self, service: str) -> Any:
        if service not in LISTINGS:
            raise AttributeError(service)
        return self.server.client(service)

    def again(self, unfinished: set[str] | None = None) -> recording.Replayed:
        """As after the end of the process: nothing is left but the journal."""
        self.server.recorder = None
        self.journal.close()
        backends.forget(self.server.account)
        self.journal = Journal(self.folder, WAY_OUT)
        replayed = self.journal.replay(self.server, unfinished or set())
        self.server.recorder = Recorder(self.journal)
        return replayed

    def compact(self, ended: Callable[[str], bool]) -> compaction.Compacted:
        """As the cloud does, but in this process: the account is empty afterwards."""
        path, size = self.journal.path, self.journal.size
        header, lines = File.read(path, WAY_OUT, size)
        codec = RequestCodec(path, WAY_OUT, header)
        self.server.recorder = None
        found = compaction.compact(codec, lines, self.server, ended)
        draft = path.with_name("requests.draft")
        compaction.write(path, size, draft, lines, found)
        self.journal.take(draft, size)
        return found

    def text(self) -> str:
        return (self.folder / "requests").read_text()


@pytest.fixture
def account(server: Server, tmp_path: Path) -> Iterator[Account]:
    account = Account(server, tmp_path / "journal")
    yield account
    account.journal.close()
    server.recorder = None


LISTINGS: dict[str, tuple[str, ...]] = {
    "ec2": ("describe_vpcs", "describe_subnets", "describe_security_groups", "describe_security_group_rules",
            "describe_route_tables", "describe_internet_gateways", "describe_network_acls",
            "describe_network_interfaces"),
    "ecr": ("describe_repositories",),
    "ecs": ("list_clusters", "list_task_definitions", "list_account_settings"),
    "elbv2": ("describe_load_balancers", "describe_target_groups"),
    "iam": ("list_roles", "list_users"),
    "kms": ("list_keys",),
    "logs": ("describe_log_groups",),
    "s3": ("list_buckets",),
    "scheduler": ("list_schedules", "list_schedule_groups"),
    "secretsmanager": ("list_secrets",),
    "sns": ("list_topics",),
    "sqs": ("list_queues",),
    "ssm": ("describe_parameters",),
    "stepfunctions": ("list_state_machines",),
}  # fmt: skip
"""What describes an account to the last id and date."""


def listing(server: Server) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for service, operations in LISTINGS.items():
        for operation in operations:
            answer = getattr(server.client(service), operation)()
            answer.pop("ResponseMetadata")
            answer.pop("nextToken", None), answer.pop("NextToken", None)
            answer = json.loads(json.dumps(answer, default=str))
            found[f"{service}.{operation}"] = {
                name: sorted(value, key=str) if isinstance(value, list) else value for name, value in answer.items()
            }
    return found


def make_everything(account: Account, tag: str) -> None:
    """A little of each service that the project uses, with generated ids in all of them."""
    vpc = account.ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    subnets = [
        account.ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.0.{i}.0/24", AvailabilityZone=f"eu-west-1{zone}")
        for i, zone in enumerate("ab")
    ]
    subnet_ids = [subnet["Subnet"]["SubnetId"] for subnet in subnets]
    group = account.ec2.create_security_group(GroupName=f"g-{tag}", Description="d", VpcId=vpc)["GroupId"]
    account.ec2.authorize_security_group_ingress(
        GroupId=group, IpProtocol="tcp", FromPort=1, ToPort=2, CidrIp="10.0.0.0/8"
    )
    gateway = account.ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    account.ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=vpc)
    account.iam.create_role(RoleName=f"r-{tag}", AssumeRolePolicyDocument=TRUST)
    account.iam.create_user(UserName=f"u-{tag}")
    account.s3.create_bucket(
        Bucket=f"b-{tag}-{account.server.account}", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"}
    )
    account.logs.create_log_group(logGroupName=f"/g/{tag}")
    account.ecs.create_cluster(clusterName=f"c-{tag}")
    account.ecs.register_task_definition(family=f"f-{tag}", containerDefinitions=CONTAINERS)
    account.secretsmanager.create_secret(Name=f"s-{tag}", SecretString=CANARY)
    account.ssm.put_parameter(Name=f"p-{tag}", Type="SecureString", Value=CANARY)
    account.kms.create_key(Description=tag)
    account.sqs.create_queue(QueueName=f"q-{tag}")
    account.sns.create_topic(Name=f"t-{tag}")
    account.ecr.create_repository(repositoryName=f"e-{tag}")
    account.stepfunctions.create_state_machine(name=f"m-{tag}", definition=MACHINE, roleArn=ROLE)
    account.scheduler.create_schedule(
        Name=f"w-{tag}",
        ScheduleExpression="rate(1 hour)",
        FlexibleTimeWindow={"Mode": "OFF"},
        Target={"Arn": "arn:aws:sqs:eu-west-1:1:q", "RoleArn": ROLE},
    )
    account.elbv2.create_load_balancer(Name=f"l-{tag}", Subnets=subnet_ids, SecurityGroups=[group])
    account.elbv2.create_target_group(Name=f"t-{tag}", Protocol="HTTP", Port=80, VpcId=vpc, TargetType="ip")


# --- replay ----------------------------------------------------------------------------------------------------------


def test_a_replay_gives_the_same_account_to_the_last_id_and_date(account: Account) -> None:
    make_everything(account, "one")
    before = listing(account.server)
    replayed = account.again()
    assert (replayed.requests, replayed.differing) == (len(account.journal), ())
    assert listing(account.server) == before
    make_everything(account, "two")  # and it goes on from there
    before = listing(account.server)
    assert account.again().differing == ()
    assert listing(account.server) == before


def test_many_clients_at_once_and_reads_between_change_nothing(account: Account) -> None:
    stop = threading.Event()

    def read() -> None:
        while not stop.wait(0.005):
            account.ec2.describe_vpcs()

    def make(number: int) -> None:
        make_everything(account, f"n{number}")

    reader = threading.Thread(target=read)
    makers = [threading.Thread(target=make, args=(number,)) for number in range(6)]
    for thread in (reader, *makers):
        thread.start()
    for thread in makers:
        thread.join()
    stop.set()
    reader.join()
    before = listing(account.server)
    assert account.again().differing == ()
    assert listing(account.server) == before


def test_what_is_encrypted_with_a_key_can_be_decrypted_afterwards(account: Account) -> None:
    key = account.kms.create_key()["KeyMetadata"]["KeyId"]
    sealed = account.kms.encrypt(KeyId=key, Plaintext=b"hello")["CiphertextBlob"]
    account.again()
    assert account.kms.decrypt(CiphertextBlob=sealed)["Plaintext"] == b"hello"


def test_ids_that_the_runtime_draws_never_come_twice(account: Account) -> None:
    account.kms.create_key()
    first = {account.kms.generate_random(NumberOfBytes=16)["Plaintext"] for _ in range(3)}
    vpc = account.ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    account.again()
    assert first.isdisjoint({account.kms.generate_random(NumberOfBytes=16)["Plaintext"] for _ in range(3)})
    assert account.ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"] != vpc


def test_a_refused_request_is_not_kept(account: Account) -> None:
    account.logs.create_log_group(logGroupName="/1")
    before = account.text()
    with pytest.raises(ClientError, match="NoSuchEntity"):
        account.iam.delete_role(RoleName="nobody")
    with pytest.raises(ClientError, match="NotImplemented"):
        account.ecs.create_express_gateway_service(
            executionRoleArn="a", infrastructureRoleArn="b", primaryContainer={"image": "i"}
        )
    assert account.text() == before


def test_what_was_under_way_at_the_kill_is_left_out(account: Account) -> None:
    with caused_by("1"):
        kept = account.ec2.create_vpc(CidrBlock="10.1.0.0/16")["Vpc"]["VpcId"]
    with caused_by("2"):
        orphan = account.ec2.create_vpc(CidrBlock="10.2.0.0/16")["Vpc"]["VpcId"]
    account.again(unfinished={"2"})
    vpcs = {vpc["VpcId"] for vpc in account.ec2.describe_vpcs()["Vpcs"]}
    assert kept in vpcs and orphan not in vpcs
    account.again()
    assert orphan not in {vpc["VpcId"] for vpc in account.ec2.describe_vpcs()["Vpcs"]}


# --- what is kept ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("service", "action", "method", "url", "kept"),
    [
        ("ecs", "CreateService", "POST", "/", True),
        ("ecs", "DescribeServices", "POST", "/", False),
        ("ecs", "RunTask", "POST", "/", False),
        ("ecs", "StopTask", "POST", "/", False),
        ("states", "CreateStateMachine", "POST", "/", True),
        ("states", "StartExecution", "POST", "/", False),
        ("logs", "PutRetentionPolicy", "POST", "/", True),
        ("logs", "PutLogEvents", "POST", "/", False),
        ("logs", "FilterLogEvents", "POST", "/", False),
        ("secretsmanager", "PutSecretValue", "POST", "/", True),
        ("secretsmanager", "GetSecretValue", "POST", "/", False),
        ("iam", "CreateAccessKey", "POST", "/", True),
        ("iam", "GetRole", "POST", "/", False),
        ("iam", "SimulatePrincipalPolicy", "POST", "/", False),
        ("dynamodb", "PutItem", "POST", "/", True),
        ("dynamodb", "Query", "POST", "/", False),
        ("something-new", "FrobnicateThing", "POST", "/", True),
        ("ecr", "BatchDeleteImage", "POST", "/", True),
        ("ecr", "BatchGetImage", "POST", "/", False),
        ("sts", "AssumeRole", "POST", "/", False),
        ("scheduler", "", "POST", "/schedules/x", True),
        ("scheduler", "", "GET", "/schedules/x", False),
        ("lambda", "", "POST", "/2015-03-31/functions/f/invocations", False),
        ("lambda", "", "POST", "/2015-03-31/functions", True),
        ("s3", "", "PUT", "/bucket", True),
        ("s3", "", "PUT", "/bucket/?policy", True),
        ("s3", "", "DELETE", "/bucket", True),
        ("s3", "", "GET", "/bucket?policy", False),
        ("s3", "", "PUT", "/bucket/key", False),
        ("s3", "", "DELETE", "/bucket/key", False),
        ("s3", "", "POST", "/bucket/key?uploads", False),
        ("s3", "", "POST", "/bucket?delete", False),
        ("s3", "", "POST", "/bucket", False),
        ("s3", "", "POST", "/v20180820/tags/arn", True),
    ],
)
def test_scope(service: str, action: str, method: str, url: str, kept: bool) -> None:
    protocol = "rest-xml" if service == "s3" else "rest-json" if not action else "json"
    path, _, parameters = url.partition("?")
    bucket, _, key = path[1:].partition("/") if service == "s3" else ("", "", "")
    is_control = bucket == "v20180820"
    call = Call(
        service, action, protocol, "1", "eu-west-1", url, b"", method, model="s3control" if is_control else service,
        query={parameters: ""} if parameters else {}, bucket="" if is_control else bucket, key=key,
    )  # fmt: skip
    assert declares(call) is kept


def test_secrets_and_signatures_are_nowhere_in_clear(account: Account) -> None:
    make_everything(account, "x")
    request = Request(
        "POST",
        f"/?X-Amz-Signature={CANARY}&X-Amz-Algorithm=a",
        [("Host", "127.0.0.1"), ("X-Amz-Target", "secretsmanager.CreateSecret"),
         ("Content-Type", "application/x-amz-json-1.1"),
         ("Authorization", f"AWS4-HMAC-SHA256 Credential={CANARY}/20000101/eu-west-1/secretsmanager/aws4_request, "
          f"SignedHeaders=host, Signature={CANARY}"),
         ("X-Amz-Security-Token", CANARY), ("Cookie", CANARY)],
        json.dumps({"Name": "direct", "SecretString": CANARY}).encode(),
        "root",
    )  # fmt: skip
    assert account.server.handle(request).status == 200
    text = account.text()
    assert CANARY not in text
    assert base64.b64encode(CANARY.encode()).decode()[:10] not in text
    account.again()
    assert account.secretsmanager.get_secret_value(SecretId="direct")["SecretString"] == CANARY
    assert account.ssm.get_parameter(Name="p-x", WithDecryption=True)["Parameter"]["Value"] == CANARY


def test_its_files_are_its_owners_alone(account: Account) -> None:
    make_everything(account, "x")
    for path in account.folder.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
    assert stat.S_IMODE(account.folder.stat().st_mode) == 0o700


# --- the file --------------------------------------------------------------------------------------------------------


def three_lines(account: Account) -> bytes:
    for number in range(3):
        account.logs.create_log_group(logGroupName=f"/{number}")
    account.journal.close()
    return (account.folder / "requests").read_bytes()


def test_a_torn_last_line_is_dropped_wherever_it_was_torn(account: Account) -> None:
    data = three_lines(account)
    last = data.rindex(b"\n", 0, -1) + 1
    path = account.folder / "requests"
    for length in range(last, len(data)):
        path.write_bytes(data[:length])
        file, lines = File.open(path, WAY_OUT)
        file.close()
        assert len(lines) == 2
        assert path.read_bytes() == data[:last]
    path.write_bytes(data + b"\0" * 4096)  # what a power cut leaves of a block
    assert len(File.open(path, WAY_OUT)[1]) == 3


def test_a_damaged_line_is_refused_with_the_way_out(account: Account) -> None:
    data = three_lines(account)
    path = account.folder / "requests"
    start = data.index(b"\n") + 1
    for place in range(start, data.index(b"\n", start)):
        if place - start in range(9, 21):
            continue  # the answer, which a kill may leave unfilled
        path.write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
        with pytest.raises(JournalDamaged) as refused:
            Journal(account.folder, WAY_OUT)
        assert str(refused.value).startswith(f"{path}, line 2: ")
        assert str(refused.value).endswith(WAY_OUT)


@pytest.mark.parametrize("content", [b"", b"\n", b"hello\n", b'00000000 {"journal": 1}\n'])
def test_something_that_is_no_journal_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "requests").write_bytes(content)
    with pytest.raises(JournalDamaged):
        Journal(tmp_path, WAY_OUT)


def test_without_its_key_it_is_refused(account: Account) -> None:
    three_lines(account)
    key = account.folder / "key"
    other = base64.b64encode(b"x" * 32)
    key.write_bytes(other)
    with pytest.raises(JournalDamaged, match="another key"):
        Journal(account.folder, WAY_OUT).replay(account.server)
    key.unlink()
    with pytest.raises(JournalDamaged, match="is missing"):
        Journal(account.folder, WAY_OUT)


texts = st.text(max_size=20)


@given(
    st.lists(
        st.builds(
            Line,
            number=st.integers(1, 10**9),
            time=st.floats(0, 1e10),
            method=texts,
            url=texts,
            headers=st.lists(st.tuples(texts, texts), max_size=3),
            service=texts,
            region=texts,
            principal=texts,
            body=texts,
            cause=texts,
            count=st.none() | st.integers(1, 99),
            loose=st.booleans(),
            answer=st.just(UNANSWERED) | st.builds(answer_of, st.integers(100, 599), st.binary()),
        ),
        max_size=5,
    )
)
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_lines_come_back_as_they_were(tmp_path: Path, lines: list[Line]) -> None:
    header = Header("0" * 32, 1.5, 7, 3)
    File.create(tmp_path / "f", header, lines).close()
    file, found = File.open(tmp_path / "f", "")
    file.close()
    assert (file.header, found) == (header, lines)


def test_a_full_disk_refuses_before_anything_has_changed(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    account.logs.create_log_group(logGroupName="/1")
    before = account.text()
    real = os.pwrite

    def full(file: int, data: bytes, place: int) -> int:
        real(file, data[:10], place)
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "pwrite", full)
        with pytest.raises(ClientError, match=r"ServiceUnavailable.*was not carried out.*No space left"):
            account.logs.create_log_group(logGroupName="/2")
    assert account.text() == before
    assert len(account.logs.describe_log_groups()["logGroups"]) == 1
    account.logs.create_log_group(logGroupName="/2")
    account.again()
    assert len(account.logs.describe_log_groups()["logGroups"]) == 2


# --- compactor ------------------------------------------------------------------------------------------------------


def test_what_was_made_and_unmade_is_forgotten(account: Account) -> None:
    for number in range(4):
        with caused_by(str(number)):
            account.logs.create_log_group(logGroupName=f"/{number}")
            account.logs.put_retention_policy(logGroupName=f"/{number}", retentionInDays=7)
    for number in range(3):
        with caused_by(str(number)):
            account.logs.delete_log_group(logGroupName=f"/{number}")
    account.logs.create_log_group(logGroupName="/nobodys")
    before = listing(account.server)
    assert account.compact(lambda cause: cause != "3").gone == 9
    assert account.again().differing == ()
    assert (len(account.journal), listing(account.server)) == (3, before)


def test_revisions_are_never_given_again(account: Account) -> None:
    def register(cause: str) -> str:
        with caused_by(cause):
            container = [{"name": "m", "image": cause, "memory": 64}]
            answer = account.ecs.register_task_definition(family="f", containerDefinitions=container)
            return str(answer["taskDefinition"]["taskDefinitionArn"])

    def deregister(cause: str, arn: str) -> None:
        with caused_by(cause):
            account.ecs.deregister_task_definition(taskDefinition=arn)

    arns = [register(str(number)) for number in range(3)]
    for number in range(2):
        deregister(str(number), arns[number])
    assert account.compact(lambda cause: cause != "2").gone == 4
    for _ in range(2):
        account.again()
        found = account.ecs.describe_task_definition(taskDefinition="f")["taskDefinition"]
        assert found["taskDefinitionArn"] == arns[2]
    deregister("2", arns[2])
    account.compact(lambda cause: True)
    account.again()
    assert register("3").endswith(":4"), "also when none of the family is left"


def test_a_change_that_was_made_again_is_forgotten(account: Account) -> None:
    with caused_by("1"):
        account.ecs.create_cluster(clusterName="c")
    definitions = [
        account.ecs.register_task_definition(family="f", containerDefinitions=CONTAINERS)["taskDefinition"]
        for _ in "ab"
    ]
    with caused_by("2"):
        account.ecs.create_service(cluster="c", serviceName="s", taskDefinition="f:1", desiredCount=0)
        for count in range(20):
            for definition in definitions:
                account.ecs.update_service(
                    cluster="c", service="s", taskDefinition=definition["taskDefinitionArn"], desiredCount=count
                )
        account.ecs.update_service(cluster="c", service="s", desiredCount=7)
    assert account.compact(lambda cause: False).gone == 39
    account.again()
    service = account.ecs.describe_services(cluster="c", services=["s"])["services"][0]
    assert (service["desiredCount"], service["taskDefinition"]) == (7, definitions[1]["taskDefinitionArn"])


def test_a_default_that_was_changed_stays_changed(account: Account) -> None:
    """Its change has an end, but nobody put the default back."""
    with caused_by("1"):
        vpc = account.ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    with caused_by("2"):
        account.ec2.modify_vpc_attribute(VpcId=vpc, EnableDnsHostnames={"Value": True})

    def named() -> bool:
        answer = account.ec2.describe_vpc_attribute(VpcId=vpc, Attribute="enableDnsHostnames")
        return bool(answer["EnableDnsHostnames"]["Value"])

    account.compact(lambda cause: cause != "1")
    account.again()
    assert named()
    with caused_by("1"):
        account.ec2.delete_vpc(VpcId=vpc)
    assert account.compact(lambda cause: True).gone == 3, "what was changed is gone, and so is its change"
    assert account.again().differing == ()
    assert vpc not in {vpc["VpcId"] for vpc in account.ec2.describe_vpcs()["Vpcs"]}


def test_what_something_else_was_made_from_stays(account: Account) -> None:
    with caused_by("1"):
        vpc = account.ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
        subnet = account.ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.0.0/24", AvailabilityZone="eu-west-1a")["Subnet"][
            "SubnetId"
        ]
        other = account.ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.1.0/24", AvailabilityZone="eu-west-1b")["Subnet"][
            "SubnetId"
        ]
        balancer = account.elbv2.create_load_balancer(Name="b", Subnets=[subnet, other])["LoadBalancers"][0]
    groups = {}
    for cause in "23":
        with caused_by(cause):
            groups[cause] = account.elbv2.create_target_group(Name=f"t{cause}", Protocol="HTTP", Port=80, VpcId=vpc)
    arns = {cause: answer["TargetGroups"][0]["TargetGroupArn"] for cause, answer in groups.items()}
    with caused_by("4"):
        listener = account.elbv2.create_listener(
            LoadBalancerArn=balancer["LoadBalancerArn"], Protocol="HTTP", Port=80,
            DefaultActions=[{"Type": "forward", "TargetGroupArn": arns["2"]}],
        )["Listeners"][0]["ListenerArn"]  # fmt: skip
        account.elbv2.modify_listener(
            ListenerArn=listener, DefaultActions=[{"Type": "forward", "TargetGroupArn": arns["3"]}]
        )
    with caused_by("2"):
        account.elbv2.delete_target_group(TargetGroupArn=arns["2"])
    with caused_by("5"):
        account.logs.create_log_group(logGroupName="/g")
        account.logs.delete_log_group(logGroupName="/g")
    before = listing(account.server)
    found = account.compact(lambda cause: cause in "25")
    assert (found.gone, found.verified) == (2, True), (
        "the log group has gone; the listener was made with the target group"
    )
    account.again()
    assert listing(account.server) == before
    assert (
        account.elbv2.describe_listeners(ListenerArns=[listener])["Listeners"][0]["DefaultActions"][0]["TargetGroupArn"]
        == (arns["3"])
    )


def test_a_shorter_journal_that_answers_otherwise_is_not_used(account: Account) -> None:
    with caused_by("1"):
        account.logs.create_log_group(logGroupName="/g")
        account.logs.delete_log_group(logGroupName="/g")
    with caused_by("2"):
        account.logs.create_log_group(logGroupName="/h")
    account.logs.put_retention_policy(logGroupName="/h", retentionInDays=7)
    with caused_by("2"):
        account.logs.tag_log_group(logGroupName="/h", tags={"a": "b"})
        account.logs.delete_log_group(logGroupName="/h")
    with caused_by("3"):
        account.logs.create_log_group(logGroupName="/h")
    before = listing(account.server)
    whole = len(account.journal)
    found = account.compact(lambda cause: cause != "3")
    assert (found.gone, found.verified) == (2, True), "what nobody's request was about has gone"
    replayed = account.again()
    assert (replayed.requests, replayed.differing) == (whole - 2, ())
    assert listing(account.server) == before


def test_no_file_stays_open_and_what_came_meanwhile_is_kept(account: Account) -> None:
    for number in range(30):
        with caused_by(str(number)):
            account.logs.create_log_group(logGroupName="/g")
            account.logs.delete_log_group(logGroupName="/g")
    process, before = psutil.Process(), 0
    for number in range(3):
        path, size = account.journal.path, account.journal.size
        header, lines = File.read(path, WAY_OUT, size)
        account.sns.create_topic(Name=f"meanwhile{number}")
        kept = [line for line in lines if not line.cause]
        draft = path.with_name("requests.draft")
        compaction.write(path, size, draft, lines, compaction.Compacted(kept, len(lines) - len(kept), True))
        account.journal.take(draft, size)
        account.sns.create_topic(Name=f"afterwards{number}")
        before = before or process.num_fds()
    assert process.num_fds() == before
    assert len(account.journal) == 6
    account.again()
    assert len(account.sns.list_topics()["Topics"]) == 6
    assert sorted(path.name for path in account.folder.iterdir()) == ["key", "requests"]


KILLED = """
import os, shutil, sys
from pathlib import Path
from localcloud.journal import Journal
from localcloud.journal import journal as recording
from localcloud.journal.lines import File
folder, size = Path(sys.argv[1]), int(sys.argv[2])
steps = [(os, "fsync"), (os, "replace"), (os, "close"), (recording, "sync_folder"), (recording, "File")]
number = 0
while True:
    copy = folder.with_name(f"copy{number}")
    shutil.copytree(folder, copy)
    if not (child := os.fork()):
        journal, count = Journal(copy), 0
        os.rename(copy / "left", copy / "requests.draft")
        def step(real):
            def call(*arguments, **options):
                global count
                if count == number:
                    os._exit(9)
                count += 1
                return real(*arguments, **options)
            return call
        class Counted(File):
            def __init__(self, *arguments):
                step(File.__init__)(self, *arguments)
        for module, name in steps[:-1]:
            setattr(module, name, step(getattr(module, name)))
        recording.File = Counted
        journal.take(copy / "requests.draft", size)
        os._exit(0)
    if (status := os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])) != 9:
        assert not status
        break
    number += 1
print(number)
"""


def test_killed_between_any_two_steps_it_is_the_old_or_the_new_one(account: Account) -> None:
    for number in range(5):
        with caused_by(str(number)):
            account.logs.create_log_group(logGroupName="/g")
            account.logs.delete_log_group(logGroupName="/g")
    account.journal.close()
    account.journal = Journal(account.folder, WAY_OUT)
    account.journal.replay(account.server)
    account.server.recorder = Recorder(account.journal)
    path, size = account.journal.path, account.journal.size
    _, whole = File.read(path, WAY_OUT, size)
    account.sns.create_topic(Name="meanwhile")
    _, both = File.read(path, WAY_OUT)
    tail = both[len(whole) :]
    assert len(tail) == 1
    compaction.write(path, size, path.with_name("left"), whole, compaction.Compacted(whole[:2], 8, True))
    command = [sys.executable, "-c", KILLED, str(account.folder), str(size)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parents[2], timeout=60)
    assert done.returncode == 0, done.stderr
    steps = int(done.stdout)
    assert steps >= 5
    seen = set()
    for number in range(steps):
        copy = account.folder.with_name(f"copy{number}")
        Journal(copy, WAY_OUT).close()
        assert {it.name for it in copy.iterdir()} <= {"key", "requests", "left"}
        _, found = File.read(copy / "requests", WAY_OUT)
        assert found in (both, [*whole[:2], *tail])
        seen.add(len(found))
    assert len(seen) == 2, "some were killed before and some after"


KINDS = ["group", "role", "definition", "queue", "network", "topic", "change"]
STEPS = st.lists(st.tuples(st.sampled_from(KINDS), st.integers(0, 2)), max_size=16)


@given(STEPS)
@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_compaction_changes_nothing_that_exists(account: Account, steps: list[tuple[str, int]]) -> None:
    """Things are made, changed and removed in any order, each for a cause of its own."""
    living: dict[tuple[str, int], str] = {}
    account.again()
    try:
        for number, (kind, name) in enumerate(steps, start=len(account.journal) + 1000):
            if kind == "change":
                change(account, living)
                continue
            cause = living.pop((kind, name), "")
            with caused_by(cause or str(number)):
                (unmake if cause else make)(account, kind, f"n{name}")
            if not cause:
                living[kind, name] = str(number)
        account.again()
        whole, shown = len(account.journal), listing(account.server)
        found = account.compact(lambda cause: cause not in living.values())
        assert found.verified and len(account.journal) == whole - found.gone
        assert account.again().differing == ()
        assert listing(account.server) == shown
    finally:
        for (kind, name), cause in living.items():
            with caused_by(cause):
                unmake(account, kind, f"n{name}")


def change(account: Account, living: dict[tuple[str, int], str]) -> None:
    """Change each thing that there is, for its own cause."""
    for (kind, name), cause in living.items():
        with caused_by(cause):
            if kind == "group":
                account.logs.put_retention_policy(logGroupName=f"n{name}", retentionInDays=7 + 7 * (int(cause) % 2))
            elif kind == "role":
                account.iam.put_role_policy(RoleName=f"n{name}", PolicyName="p", PolicyDocument=ALLOW)
            elif kind == "topic":
                arn = f"arn:aws:sns:eu-west-1:{account.server.account}:n{name}"
                account.sns.tag_resource(ResourceArn=arn, Tags=[{"Key": "k", "Value": cause}])


def network_of(account: Account, name: str) -> str:
    filters = [{"Name": "tag:Name", "Values": [name]}]
    return str(account.ec2.describe_vpcs(Filters=filters)["Vpcs"][0]["VpcId"])


def make(account: Account, kind: str, name: str) -> None:
    match kind:
        case "network":
            vpc = account.ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
            account.ec2.create_tags(Resources=[vpc], Tags=[{"Key": "Name", "Value": name}])
        case "topic":
            account.sns.create_topic(Name=name)
        case "group":
            account.logs.create_log_group(logGroupName=name)
            account.logs.put_retention_policy(logGroupName=name, retentionInDays=7)
        case "role":
            account.iam.create_role(RoleName=name, AssumeRolePolicyDocument=TRUST)
        case "definition":
            account.ecs.register_task_definition(family=name, containerDefinitions=CONTAINERS)
        case "queue":
            account.sqs.create_queue(QueueName=name)


def unmake(account: Account, kind: str, name: str) -> None:
    match kind:
        case "network":
            account.ec2.delete_vpc(VpcId=network_of(account, name))
        case "topic":
            account.sns.delete_topic(TopicArn=f"arn:aws:sns:eu-west-1:{account.server.account}:{name}")
        case "group":
            account.logs.delete_log_group(logGroupName=name)
        case "role":
            for policy in account.iam.list_role_policies(RoleName=name)["PolicyNames"]:
                account.iam.delete_role_policy(RoleName=name, PolicyName=policy)
            account.iam.delete_role(RoleName=name)
        case "definition":
            account.ecs.deregister_task_definition(
                taskDefinition=account.ecs.describe_task_definition(taskDefinition=name)["taskDefinition"][
                    "taskDefinitionArn"
                ]
            )
        case "queue":
            account.sqs.delete_queue(QueueUrl=account.sqs.get_queue_url(QueueName=name)["QueueUrl"])


RECORDED = "123456789012"
"""The account of the recorded journal: the answers name it."""


def test_a_journal_of_an_earlier_format_is_read_by_the_same_reader(tmp_path: Path) -> None:
    """Recorded before requests were kept in the form that moto gets; lines of today are added to it."""
    folder = tmp_path / "journal"
    shutil.copytree(Path(__file__).parent / "journals" / "format_1", folder)
    backends.forget(RECORDED)
    server = Server(RECORDED, "eu-west-1", "http://127.0.0.1:4999")
    account = Account(server, folder)
    try:
        assert account.text().count('"journal": 1') == 1 and '"operation"' not in account.text()
        before = listing(server)
        assert json.dumps(before).count("recorded") >= 6
        assert account.s3.get_bucket_tagging(Bucket="recorded-bucket")["TagSet"] == [
            {"Key": "team", "Value": "web & more"}
        ]
        account.sqs.create_queue(QueueName="later")
        assert '"operation":"CreateQueue"' in account.text()
        replayed = account.again()
        assert (replayed.requests, replayed.differing) == (12, ())
        assert {**listing(server), "sqs.list_queues": {}} == {**before, "sqs.list_queues": {}}
    finally:
        account.journal.close()
        server.close()
        backends.forget(RECORDED)


def test_a_journal_without_a_version_is_one_of_the_first_format(tmp_path: Path) -> None:
    shutil.copytree(Path(__file__).parent / "journals" / "format_1", tmp_path / "journal")
    path = tmp_path / "journal" / "requests"
    first, _, rest = path.read_text().partition("\n")
    header = json.loads(first[9:])
    del header["journal"]
    text = json.dumps(header)
    path.write_text(f"{zlib.crc32(text.encode()):08x} {text}\n{rest}")
    assert len(File.read(path, WAY_OUT)[1]) == 11


def test_a_journal_of_a_later_format_is_refused(tmp_path: Path) -> None:
    shutil.copytree(Path(__file__).parent / "journals" / "format_1", tmp_path / "journal")
    path = tmp_path / "journal" / "requests"
    first, _, rest = path.read_text().partition("\n")
    text = json.dumps({**json.loads(first[9:]), "journal": 99})
    path.write_text(f"{zlib.crc32(text.encode()):08x} {text}\n{rest}")
    with pytest.raises(JournalDamaged, match="another version of the local cloud: its format is 99"):
        File.read(path, WAY_OUT)
