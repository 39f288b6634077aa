"""The analyzer as the engine meets it: the folder is run, prints its port, and answers Pulumi's protocol."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf import empty_pb2, json_format, struct_pb2
from pulumi.runtime.proto import analyzer_pb2, analyzer_pb2_grpc

from herd.policy.catalogue import RULES
from herd.policy.model import UNKNOWN
from herd.policy.wire import UNKNOWNS, plain
from tests.herd.policy.fixtures import JOB, task

ROOT = Path(__file__).parents[3]
TASK = "aws:ecs/taskDefinition:TaskDefinition"
ROLE = "aws:iam/role:Role"


@pytest.fixture(scope="module", params=["the official host", "the folder itself"])
def pack(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Started as the official language host does it, and as a plain folder of Python."""
    folder = str(ROOT / "src/herd/policy")
    start = ["-m", "pulumi.policy", "127.0.0.1:1", folder] if request.param == "the official host" else [folder]
    process = subprocess.Popen(
        [sys.executable, "-u", *start],
        cwd=tmp_path_factory.mktemp("anywhere"),
        env={key: value for key, value in os.environ.items() if key != "PYTHONPATH"},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        with grpc.insecure_channel(f"127.0.0.1:{int(process.stdout.readline())}") as channel:
            yield analyzer_pb2_grpc.AnalyzerStub(channel)
    finally:
        process.terminate()
        process.wait(10)
        process.stdout.close()


def struct(props: dict[str, Any]) -> Any:
    return json_format.ParseDict(props, struct_pb2.Struct())


def analyze(pack: Any, type_: str, name: str, props: dict[str, Any]) -> list[Any]:
    options = analyzer_pb2.AnalyzerResourceOptions(parent=JOB)
    request = analyzer_pb2.AnalyzeRequest(type=type_, name=name, properties=struct(props), options=options, urn="urn:x")
    return list(pack.Analyze(request).diagnostics)


def configure(pack: Any, stack: str, **config: str) -> None:
    pack.Handshake(analyzer_pb2.AnalyzerHandshakeRequest(engine_address="127.0.0.1:1"))
    settings = {f"herd:{key}": value for key, value in config.items()}
    pack.ConfigureStack(analyzer_pb2.AnalyzerStackConfigureRequest(stack=stack, project="herd", config=settings))


def test_it_lists_its_rules(pack: Any) -> None:
    told = pack.GetAnalyzerInfo(empty_pb2.Empty())
    assert told.name == "herd"
    assert {info.name for info in told.policies} == {rule.id for rule in RULES} | {"exceptions-hold"}
    levels = {info.name: info.enforcementLevel for info in told.policies}
    assert levels["tasks-not-root"] == analyzer_pb2.MANDATORY and levels["prod-as-prod"] == analyzer_pb2.ADVISORY
    assert pack.GetPluginInfo(empty_pb2.Empty()).version


def test_a_bad_resource_is_refused_in_words(pack: Any) -> None:
    configure(pack, "dev")
    assert analyze(pack, TASK, "train-task", task()) == []
    (found,) = analyze(pack, TASK, "train-task", task(user="root"))
    assert found.policyName == "tasks-not-root" and found.enforcementLevel == analyzer_pb2.MANDATORY
    first, second = found.message.splitlines()
    assert first == "jobs/train/workload.toml: container main runs as root; set `user`"
    assert second.endswith("ecs-controls.html#ecs-20")
    assert found.urn == "urn:x"


def test_secrets_are_looked_into_and_never_shown(pack: Any) -> None:
    hidden = task(environment=[{"name": "DB_PASSWORD", "value": "hunter2"}])["containerDefinitions"]
    secret = {"4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270", "value": hidden}
    (found,) = analyze(pack, TASK, "train-task", {"containerDefinitions": secret, "networkMode": "awsvpc"})
    assert found.policyName == "tasks-no-secret-in-environment" and "hunter2" not in str(found)


def test_the_profile_decides(pack: Any) -> None:
    trust = json.dumps({"Version": "2012-10-17", "Statement": []})
    configure(pack, "dev")
    assert analyze(pack, ROLE, "r", {"assumeRolePolicy": trust}) == []
    configure(pack, "prod", profile="prod")
    (found,) = analyze(pack, ROLE, "r", {"assumeRolePolicy": trust})
    assert found.policyName == "iam-boundary-in-prod"


def test_a_whole_stack(pack: Any) -> None:
    configure(pack, "dev")
    bucket = analyzer_pb2.AnalyzerResource(
        type="aws:s3/bucket:Bucket", name="mine", urn="urn:mine", properties=struct({"bucket": "b"})
    )
    companion = analyzer_pb2.AnalyzerResource(
        type="aws:s3/bucketVersioning:BucketVersioning",
        properties=struct({"bucket": next(iter(UNKNOWNS))}),
        propertyDependencies={"bucket": analyzer_pb2.AnalyzerPropertyDependencies(urns=["urn:mine"])},
    )
    answer = pack.AnalyzeStack(analyzer_pb2.AnalyzeStackRequest(resources=[bucket, companion]))
    (found,) = answer.diagnostics
    assert found.urn == "urn:mine" and "no policy" in found.message and "versioning" not in found.message


def test_a_stack_of_a_hundred_takes_little(pack: Any) -> None:
    """What each preview pays: a call for each resource. All of it may take a second, also on a busy machine."""
    configure(pack, "dev")
    started = time.process_time()
    for number in range(100):
        analyze(pack, TASK, f"job-{number}-task", task())
    assert time.process_time() - started < 1.0


def test_values_of_the_wire() -> None:
    mark = "4dabf18193072939515e22adb298388d"
    secret, output = "1b47061264138c4ac30d75fd1eb44270", "d0e6a833031e9bbcd3f4e8bde6ca49a4"
    assert plain({"a": [1.0, {"b": None}]}) == {"a": [1.0, {"b": None}]}
    assert plain({mark: secret, "value": {mark: secret, "value": "x"}}) == "x"
    assert plain({mark: output, "value": "x"}) == "x" and plain({mark: output}) is UNKNOWN
    assert all(plain(value) is UNKNOWN for value in UNKNOWNS)
    asset = {mark: "c44067f5952c0a294b673a41bacd8c17", "path": "x"}
    assert plain(asset) == asset
