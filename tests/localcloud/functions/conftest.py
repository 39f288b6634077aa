"""A server whose functions run: an account with a guard, an agent in virtual time, a process engine."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from localcloud import backends
from localcloud.agent.agent import Agent, FunctionParts
from localcloud.engines.process import ProcessEngine
from localcloud.iam.guard import Guard
from localcloud.images.realise import VenvRealiser
from localcloud.images.store import ImageStore
from localcloud.server import Server
from tests.localcloud.iam.acting import allow, document, trust

REGION = "eu-west-1"

LOGS = ["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"]


def package(files: Mapping[str, str]) -> bytes:
    """A zip with these files."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, text in files.items():
            info = zipfile.ZipInfo(name)
            info.external_attr = (0o755 if name == "bootstrap" else 0o644) << 16
            archive.writestr(info, text)
    return buffer.getvalue()


class Functions:
    """Makes functions and invokes them, as the account's root."""

    def __init__(self, server: Server, agent: Agent, clock: Any):
        self.server, self.agent, self.clock = server, agent, clock
        self.api = server.client("lambda")
        self.logs = server.client("logs")
        self.sqs = server.client("sqs")
        self.iam = server.client("iam")
        self.role = self.make_role("function", allow(LOGS))

    def make_role(self, name: str, *statements: dict[str, Any], trusted: str = "") -> str:
        trusted = trusted or trust("lambda.amazonaws.com")
        arn: str = self.iam.create_role(RoleName=name, AssumeRolePolicyDocument=trusted)["Role"]["Arn"]
        if statements:
            self.iam.put_role_policy(RoleName=name, PolicyName="p", PolicyDocument=document(*statements))
        return arn

    def permit(self, *statements: dict[str, Any]) -> None:
        """What the functions' role may do besides writing logs."""
        text = document(allow(LOGS), *statements)
        self.iam.put_role_policy(RoleName="function", PolicyName="p", PolicyDocument=text)

    def arn(self, service: str, resource: str) -> str:
        return f"arn:aws:{service}:{REGION}:{self.server.account}:{resource}"

    def make(self, code: str | Mapping[str, str], name: str = "f", **settings: Any) -> str:
        """A function of one Python module `app`, or of these files; its ARN."""
        files = {"app.py": code} if isinstance(code, str) else code
        given = {"Runtime": "python3.12", "Handler": "app.handler", "Role": self.role, "Timeout": 30, **settings}
        arn: str = self.api.create_function(FunctionName=name, Code={"ZipFile": package(files)}, **given)["FunctionArn"]
        return arn

    def invoke(self, event: Any = None, name: str = "f", **parameters: Any) -> Any:
        """What it answers; a dictionary with `error` where it failed."""
        answer = self.api.invoke(FunctionName=name, Payload=json.dumps(event).encode(), **parameters)
        value = json.loads(answer["Payload"].read() or b"null")
        return {"error": answer["FunctionError"], **value} if "FunctionError" in answer else value

    def lines(self, name: str = "f") -> list[str]:
        """What it has logged, stream by stream."""
        self.agent._shipper.flush()
        group = f"/aws/lambda/{name}"
        streams = self.logs.describe_log_streams(logGroupName=group)["logStreams"]
        return [
            event["message"]
            for stream in streams
            for event in self.logs.get_log_events(
                logGroupName=group, logStreamName=stream["logStreamName"], startFromHead=True
            )["events"]
        ]

    def queue(self, name: str, **attributes: str) -> tuple[str, str]:
        """A queue: its URL and ARN."""
        url = self.sqs.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]
        return url, self.arn("sqs", name)

    def messages(self, url: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        while batch := self.sqs.receive_message(
            QueueUrl=url, MaxNumberOfMessages=10, MessageAttributeNames=["All"]
        ).get("Messages"):
            found += batch
        return found

    def settle(self) -> None:
        """Let everything happen that is due now."""
        self.agent.settle()
        self.agent.functions.tick()
        assert self.agent.functions.events.settle()

    def pass_minutes(self, minutes: float) -> None:
        self.clock.advance(minutes=minutes)
        self.settle()

    def metric(self, name: str, of: str = "f", namespace: str = "AWS/Lambda") -> list[float]:
        """How often a function or a rule was measured, and the sum; nothing if never."""
        dimensions = {"RuleName" if namespace == "AWS/Events" else "FunctionName": of}
        points = backends.cloudwatch(self.server.account, REGION).points
        values = points.values(namespace, name, dimensions, 0, 2**40)
        return [values.count, values.total] if values.count else []


@pytest.fixture(scope="session")
def no_images(tmp_path_factory: pytest.TempPathFactory) -> ImageStore:
    root = tmp_path_factory.mktemp("images")
    return ImageStore(root, VenvRealiser(root / "cache", Path("/bin/true")))


@pytest.fixture
def engine(no_images: ImageStore, tmp_path: Path) -> Iterator[ProcessEngine]:
    (tmp_path / "scratch").mkdir()
    engine = ProcessEngine(no_images, tmp_path / "scratch")
    yield engine
    engine.close()


class RoleKeys:
    """Credentials that open nothing: these tests have no port."""

    def __init__(self) -> None:
        self.living: set[str] = set()

    def __call__(self, identity: Any) -> dict[str, str]:
        self.living.add(identity.task_arn)
        return {"AWS_ENDPOINT_URL": "http://127.0.0.1:4999", "AWS_REGION": REGION, "AWS_ACCESS_KEY_ID": "ASIAROLE"}

    def release(self, task_arn: str) -> None:
        self.living.discard(task_arn)


@pytest.fixture
def keys() -> RoleKeys:
    return RoleKeys()


@pytest.fixture
def functions(
    server: Server, engine: ProcessEngine, no_images: ImageStore, clock: Any, keys: RoleKeys, tmp_path: Path
) -> Iterator[Functions]:
    server.guard = Guard()
    parts = FunctionParts(engine, keys, tmp_path / "functions")
    agent = Agent(server, engine, no_images, keys, clock, functions=parts)
    yield Functions(server, agent, clock)
    agent.stop(timeout=5)
    assert not keys.living, "every environment gives its credentials back"
