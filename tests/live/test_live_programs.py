"""Programs that nobody had in mind here: the real engine stands them up, sees no change, changes and destroys them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from tests.localcloud.plugins_engine import Engine, engine_in

PROGRAMS = Path(__file__).parent / "programs"
pytestmark = pytest.mark.live


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    with engine_in(tmp_path_factory.mktemp("programs")) as engine:
        (engine.folder / "program" / "service_app").symlink_to(PROGRAMS / "service_app")
        yield engine


def fetch(url: str, status: int = 200, within: float = 120) -> str:
    """A page as a browser gets it, `*.localhost` being this machine; waits until it has that status."""
    host = url.split("/")[2]
    request = urllib.request.Request(url.replace(host, f"127.0.0.1:{host.rpartition(':')[2]}"), headers={"Host": host})
    deadline, found, body = time.monotonic() + within, 0, ""
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                found, body = answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            found, body = error.code, error.read().decode()
        if found == status:
            return body
        time.sleep(0.2)
    raise AssertionError(f"{url} is {found}, not {status}: {body}")


def message(engine: Engine, queue: str) -> str:
    """The next message of a queue."""
    sqs = engine.client("sqs")
    for _ in range(300):
        for found in sqs.receive_message(QueueUrl=queue, WaitTimeSeconds=0).get("Messages", []):
            sqs.delete_message(QueueUrl=queue, ReceiptHandle=found["ReceiptHandle"])
            return str(found["Body"])
        time.sleep(0.2)
    raise AssertionError(f"nothing came to {queue}")


def website(engine: Engine, outputs: dict[str, Any], changed: bool) -> None:
    assert fetch(outputs["url"]) == ("<h1>changed</h1>" if changed else "<h1>hello</h1>")
    assert fetch(outputs["url"] + "/absent", 403) == "<h1>nothing here</h1>"
    assert "StringAsset" in fetch(outputs["url"] + "/src/program.py")


def service(engine: Engine, outputs: dict[str, Any], changed: bool) -> None:
    wanted = "hello someone else" if changed else "hello world"
    deadline = time.monotonic() + 120
    while (found := fetch(outputs["url"])) != wanted and time.monotonic() < deadline:
        time.sleep(0.5)  # the new task takes over
    assert found == wanted


def machine(engine: Engine, outputs: dict[str, Any], changed: bool) -> None:
    states = engine.client("stepfunctions")
    states.start_execution(stateMachineArn=outputs["machine"], input=json.dumps({"words": "good day"}))
    assert message(engine, outputs["queue"]) == "good day"


def queues(engine: Engine, outputs: dict[str, Any], changed: bool) -> None:
    kind = {"kind": {"DataType": "String", "StringValue": "news"}}
    engine.client("sns").publish(TopicArn=outputs["topic"], Message="filtered out")
    engine.client("sns").publish(TopicArn=outputs["topic"], Message="from the topic", MessageAttributes=kind)
    assert message(engine, outputs["queue"]) == "from the topic"
    event = {"Source": "shop", "DetailType": "order", "Detail": json.dumps({"order": 7})}
    engine.client("events").put_events(Entries=[event])
    assert json.loads(message(engine, outputs["queue"])) == {"order": 7}


def functions(engine: Engine, outputs: dict[str, Any], changed: bool) -> None:
    answer = engine.client("lambda").invoke(FunctionName=outputs["function"], Payload=b'{"a": 1}')
    greeting = "good bye" if changed else "hello"
    assert json.loads(answer["Payload"].read()) == {
        "greeting": greeting, "files": sorted(path.name for path in (PROGRAMS / "service_app").iterdir()),
        "event": {"a": 1}, "changed": changed,
    }  # fmt: skip
    number = "2" if changed else "1"
    event = {"Source": "shop", "DetailType": "order", "Detail": json.dumps({"order": f"by-rule-{number}"})}
    engine.client("events").put_events(Entries=[event])
    engine.client("sqs").send_message(QueueUrl=outputs["queue"], MessageBody=f"by-queue-{number}")
    group, deadline, lines = f"/aws/lambda/{outputs['function']}", time.monotonic() + 120, ""
    while not (f"by-rule-{number}" in lines and f"by-queue-{number}" in lines):
        assert time.monotonic() < deadline, lines
        time.sleep(0.2)
        events = engine.client("logs").filter_log_events(logGroupName=group)["events"]
        lines = "\n".join(each["message"] for each in events)


def network(engine: Engine, outputs: dict[str, Any], changed: bool) -> None:
    assert outputs["data_subnets"] == 2 and outputs["nat_address"]


def store(engine: Engine, outputs: dict[str, Any], changed: bool) -> None:
    assert outputs["password"] == "[secret]"
    value = engine.client("secretsmanager").get_secret_value(SecretId=outputs["secret"])["SecretString"]
    assert value == ("other" if changed else "canary-in-a-secret")
    table = engine.client("dynamodb")
    table.put_item(TableName=outputs["table"], Item={"id": {"S": "a"}, "at": {"N": "1"}, "who": {"S": "me"}})
    greeting = engine.client("ssm").get_parameter(Name="/app/greeting")["Parameter"]["Value"]
    assert greeting == ("bye" if changed else "hello")


def names(engine: Engine, outputs: dict[str, Any], changed: bool) -> None:
    certificate = engine.client("acm").describe_certificate(CertificateArn=outputs["certificate"])["Certificate"]
    assert certificate["Status"] == "ISSUED" and outputs["name_servers"]


def instances(engine: Engine, outputs: dict[str, Any], changed: bool) -> None:
    versions = engine.client("ec2").describe_launch_template_versions(
        LaunchTemplateId=outputs["template"], Versions=["$Default"]
    )["LaunchTemplateVersions"]
    assert versions[0]["LaunchTemplateData"]["InstanceType"] == ("t3.large" if changed else "t3.medium")


CHECKS: list[Callable[[Engine, dict[str, Any], bool], None]] = [
    website, service, machine, queues, functions, network, store, names, instances,
]  # fmt: skip


@contextmanager
def stack(engine: Engine, name: str, program: str) -> Iterator[None]:
    """A stack of that program, which the test destroys; what one leaves that fails is not in the way of the next."""
    (engine.folder / "program" / "__main__.py").write_text(program)
    engine("stack", "init", name)
    try:
        yield
        engine("destroy", "--yes", "--skip-preview")
        assert f"proj/{name}" not in engine.ask(do="status")["stacks"], engine.ask(do="unowned")
        engine("stack", "rm", "--yes", name)
    except BaseException:
        with suppress(AssertionError):
            engine("destroy", "--yes", "--skip-preview")
        engine("stack", "rm", "--yes", "--force", name)
        raise


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_a_foreign_program_lives_and_dies(engine: Engine, check: Callable[..., None]) -> None:
    name = check.__name__
    with stack(engine, name, (PROGRAMS / f"{name}.py").read_text()):
        engine("up", "--yes", "--skip-preview")
        check(engine, json.loads(engine("stack", "output", "--json")), False)
        engine("preview", "--expect-no-changes", "--diff")
        engine("refresh", "--yes", "--skip-preview", "--expect-no-changes", "--diff")
        engine("preview", "--expect-no-changes", "--diff")

        engine.variables["CHANGED"] = "1"
        try:
            assert "unchanged" in engine("up", "--yes", "--skip-preview")
            check(engine, json.loads(engine("stack", "output", "--json")), True)
            engine("preview", "--expect-no-changes", "--refresh", "--diff")
        finally:
            del engine.variables["CHANGED"]
        exported = json.loads(engine("stack", "export"))
        known = int(engine.ask(do="status")["stacks"][f"proj/{name}"])
        assert len(exported["deployment"]["resources"]) - 2 <= known + 1
        assert "canary-in-a-secret" not in json.dumps(exported)


@pytest.mark.parametrize("name", ["store", "network"])
def test_a_foreign_program_outlives_a_kill_of_the_local_cloud(engine: Engine, name: str) -> None:
    with stack(engine, f"{name}-killed", (PROGRAMS / f"{name}.py").read_text()):
        engine("up", "--yes", "--skip-preview")
        engine.end(signal.SIGKILL)
        engine.serve()
        engine("refresh", "--yes", "--skip-preview", "--expect-no-changes", "--diff")
        engine("preview", "--expect-no-changes", "--diff")


IMPORTED: dict[str, tuple[str, Callable[[Engine], str]]] = {
    "queue": ("aws:sqs/queue:Queue", lambda e: _made(e, "sqs", "create_queue", QueueName="q")["QueueUrl"]),
    "topic": ("aws:sns/topic:Topic", lambda e: _made(e, "sns", "create_topic", Name="t")["TopicArn"]),
    "key": ("aws:kms/key:Key", lambda e: _made(e, "kms", "create_key")["KeyMetadata"]["KeyId"]),
    "secret": (
        "aws:secretsmanager/secret:Secret",
        lambda e: _made(e, "secretsmanager", "create_secret", Name="s")["ARN"],
    ),
    "address": ("aws:ec2/eip:Eip", lambda e: _made(e, "ec2", "allocate_address", Domain="vpc")["AllocationId"]),
    "network": ("aws:ec2/vpc:Vpc", lambda e: _made(e, "ec2", "create_vpc", CidrBlock="10.7.0.0/16")["Vpc"]["VpcId"]),
    "user": ("aws:iam/user:User", lambda e: _made(e, "iam", "create_user", UserName="u")["User"]["UserName"]),
    "repository": (
        "aws:ecr/repository:Repository",
        lambda e: _made(e, "ecr", "create_repository", repositoryName="repo")["repository"]["repositoryName"],
    ),
}
"""What a person may have made by hand: logical name, type, and how; the answer is the id to import by."""


def _made(engine: Engine, service: str, operation: str, **arguments: Any) -> dict[str, Any]:
    return dict(getattr(engine.client(service), operation)(**arguments))


def test_pulumi_import_takes_over_what_was_made_by_hand(engine: Engine) -> None:
    with stack(engine, "taken-over", ""):
        things = [{"type": token, "name": name, "id": make(engine)} for name, (token, make) in IMPORTED.items()]
        file = engine.folder / "import.json"
        file.write_text(json.dumps({"resources": things}))
        options = ["--yes", "--skip-preview", "--protect=false", "--generate-code=false"]
        engine("import", "--file", str(file), *options)
        engine("refresh", "--yes", "--skip-preview", "--expect-no-changes")
        kept = json.loads(engine("stack", "export"))["deployment"]["resources"]
        assert {each["type"] for each in kept} >= {token for token, _ in IMPORTED.values()}
    assert engine.client("sqs").list_queues().get("QueueUrls", []) == []
    assert engine.client("iam").list_users()["Users"] == []


COMMANDS: list[tuple[str, str]] = [
    ("sts get-caller-identity --query Account --output text", "123456789012"),
    ("s3 mb s3://by-hand", "make_bucket: by-hand"),
    ("s3 cp {folder}/file.txt s3://by-hand/a/file.txt", "upload:"),
    ("s3 ls s3://by-hand/a/", "file.txt"),
    ("s3 cp s3://by-hand/a/file.txt -", "some words"),
    ("s3 sync {folder} s3://by-hand/all --exclude * --include file.txt", "upload:"),
    ("s3api head-object --bucket by-hand --key a/file.txt --query ContentLength", "10"),
    ("s3 rb s3://by-hand --force", "remove_bucket: by-hand"),
    # version 1 of the command line goes to the real SQS unless it is told the endpoint in so many words
    (
        "sqs --endpoint-url {endpoint} create-queue --queue-name by-hand --query QueueUrl --output text",
        "/123456789012/by-hand",
    ),
    ("sqs --endpoint-url {endpoint} list-queues --max-items 1", "by-hand"),
    ("sqs --endpoint-url {endpoint} delete-queue --queue-url {endpoint}/123456789012/by-hand", ""),
    ("ssm put-parameter --name /by-hand --type String --value v", '"Version": 1'),
    ("ssm get-parameter --name /by-hand --query Parameter.Value --output text", "v"),
    ("ssm delete-parameter --name /by-hand", ""),
    ("ecs list-clusters", "clusterArns"),
    ("ec2 describe-vpcs --filters Name=is-default,Values=true --query Vpcs[].CidrBlock", "172.31.0.0/16"),
    ("logs create-log-group --log-group-name /by-hand", ""),
    ("logs filter-log-events --log-group-name /by-hand", "events"),
    ("logs delete-log-group --log-group-name /by-hand", ""),
    ("dynamodb list-tables --output text", ""),
]


def test_the_aws_command_line_works_as_it_is(engine: Engine) -> None:
    home = engine.folder / "cloud" / "aws"
    (engine.folder / "file.txt").write_text("some words")
    variables = {
        "PATH": os.environ["PATH"], "HOME": str(engine.folder), "AWS_PAGER": "",
        "AWS_CONFIG_FILE": str(home / "config"), "AWS_SHARED_CREDENTIALS_FILE": str(home / "credentials"),
    }  # fmt: skip
    aws = Path(sys.prefix) / "bin" / "aws"
    for command, wanted in COMMANDS:
        words = command.format(folder=engine.folder, endpoint=f"http://127.0.0.1:{engine.endpoint['port']}").split()
        done = subprocess.run([str(aws), *words], env=variables, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, f"aws {command}: {done.stderr}"
        assert wanted in done.stdout, f"aws {command}: {done.stdout}"
