"""Programs that nobody had in mind here: the real engine stands them up, sees no change, changes and destroys them."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
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


def fetch(url: str, status: int = 200, within: float = 60) -> str:
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
    for _ in range(100):
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
    deadline = time.monotonic() + 60
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
    website, service, machine, queues, network, store, names, instances,
]  # fmt: skip


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_a_foreign_program_lives_and_dies(engine: Engine, check: Callable[..., None]) -> None:
    name = check.__name__
    (engine.folder / "program" / "__main__.py").write_text((PROGRAMS / f"{name}.py").read_text())
    engine("stack", "init", name)

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
    assert len(exported["deployment"]["resources"]) - 2 <= int(engine.ask(do="status")["stacks"][f"proj/{name}"]) + 1
    assert "canary-in-a-secret" not in json.dumps(exported)

    engine("destroy", "--yes", "--skip-preview")
    assert f"proj/{name}" not in engine.ask(do="status")["stacks"]
    engine("stack", "rm", "--yes", name)
