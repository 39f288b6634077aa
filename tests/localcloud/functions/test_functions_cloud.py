"""Functions in a whole local cloud: they call its API as their role, and are there again after it was killed."""

from __future__ import annotations

import io
import json
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import psutil
import pytest

from localcloud.config import Config, Endpoint
from localcloud.credentials import kept_root
from tests.localcloud.functions.conftest import package
from tests.localcloud.iam.acting import allow, document, trust

CODE = """
import boto3, json, os
def handler(event, context):
    s3 = boto3.client("s3")
    s3.put_object(Bucket="mine-of-functions", Key=event["key"], Body=context.aws_request_id.encode())
    try:
        boto3.client("secretsmanager").list_secrets()
    except Exception as error:
        refused = type(error).__name__
    return {"pid": os.getpid(), "refused": refused, "api": os.environ["AWS_LAMBDA_RUNTIME_API"],
            "who": boto3.client("sts").get_caller_identity()["Arn"]}
"""


class Cloud:
    """A local cloud in a process of its own."""

    def __init__(self, config: Config):
        self.config = config
        self.process = subprocess.Popen(
            [sys.executable, "-m", "localcloud", "serve", "--home", str(config.home), "--cache", str(config.cache),
             "--uv", str(config.uv)],
            stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert self.process.stdout
        assert self.process.stdout.readline().startswith("ready: ")

    def client(self, service: str) -> Any:
        endpoint, key = Endpoint.read(self.config.endpoint_file), kept_root(self.config.aws_folder / "credentials")
        assert endpoint and key
        return boto3.session.Session().client(
            service, region_name=self.config.region, endpoint_url=endpoint.url,
            aws_access_key_id=key.access_key, aws_secret_access_key=key.secret_key,
        )  # fmt: skip

    def end(self, how: signal.Signals) -> None:
        self.process.send_signal(how)
        self.process.communicate(timeout=60)


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return Config(tmp_path / "cloud", tmp_path / "cache", Path("/bin/true"))


@pytest.fixture
def clouds(config: Config) -> Iterator[Any]:
    started: list[Cloud] = []

    def start() -> Cloud:
        started.append(Cloud(config))
        return started[-1]

    yield start
    for cloud in started:
        if cloud.process.poll() is None:
            cloud.process.kill()
        cloud.process.communicate()


def invoke(cloud: Cloud, event: Any, name: str = "f") -> Any:
    answer = cloud.client("lambda").invoke(FunctionName=name, Payload=json.dumps(event).encode())
    value = json.loads(answer["Payload"].read())
    assert "FunctionError" not in answer, value
    return value


def test_a_function_lives_in_the_cloud(clouds: Any, wait_until: Any) -> None:
    cloud = clouds()
    iam, s3 = cloud.client("iam"), cloud.client("s3")
    role = iam.create_role(RoleName="r", AssumeRolePolicyDocument=trust("lambda.amazonaws.com"))["Role"]["Arn"]
    statements = [allow("s3:PutObject", "arn:aws:s3:::mine-of-functions/*"), allow("logs:*")]
    iam.put_role_policy(RoleName="r", PolicyName="p", PolicyDocument=document(*statements))
    where = {"LocationConstraint": cloud.config.region}
    for bucket in ("mine-of-functions", "code-of-functions"):
        s3.create_bucket(Bucket=bucket, CreateBucketConfiguration=where)
    settings = {"Role": role, "Runtime": "python3.13", "Handler": "app.handler", "Timeout": 60, "MemorySize": 512}
    code = package({"app.py": CODE})
    cloud.client("lambda").create_function(FunctionName="f", Code={"ZipFile": code}, **settings)
    s3.put_object(
        Bucket="code-of-functions", Key="g.zip", Body=package({"app.py": "def handler(e, c):\n    return e\n"})
    )
    place = {"S3Bucket": "code-of-functions", "S3Key": "g.zip"}
    cloud.client("lambda").create_function(FunctionName="g", Code=place, **settings)
    s3.delete_object(Bucket="code-of-functions", Key="g.zip")

    answer = invoke(cloud, {"key": "a"})
    assert answer["refused"] == "ClientError"
    assert answer["who"] == "arn:aws:sts::123456789012:assumed-role/r/f"
    assert len(s3.get_object(Bucket="mine-of-functions", Key="a")["Body"].read()) == 36
    assert psutil.pid_exists(answer["pid"])
    host = answer["api"].partition("/")[0]
    for address in (host, f"{host}/wrong"):  # the port is open to all users of the machine
        with pytest.raises(urllib.error.HTTPError, match="403"):
            urllib.request.urlopen(f"http://{address}/2018-06-01/runtime/invocation/next")

    cloud.end(signal.SIGKILL)
    wait_until(lambda: not psutil.pid_exists(answer["pid"]))
    cloud = clouds()
    listed = cloud.client("s3").list_objects_v2(Bucket="mine-of-functions")["Contents"]
    assert [each["Key"] for each in listed] == ["a"], "nothing was invoked again"
    assert invoke(cloud, {"key": "b"})["pid"] != answer["pid"]
    assert invoke(cloud, [1], "g") == [1], "its package had come from S3, where it is no more"
    log = cloud.client("logs").filter_log_events(logGroupName="/aws/lambda/f", filterPattern="START")["events"]
    assert len(log) == 2
    cloud.end(signal.SIGTERM)


def test_a_large_package(clouds: Any) -> None:
    """Twenty megabytes, sent as the SDKs do."""
    import os
    import zipfile

    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("app.py", "import os\ndef handler(e, c):\n    return os.path.getsize('data')\n")
        archive.writestr("data", os.urandom(20 << 20))
    cloud = clouds()
    role = cloud.client("iam").create_role(RoleName="r", AssumeRolePolicyDocument=trust("lambda.amazonaws.com"))
    cloud.client("lambda").create_function(
        FunctionName="f", Code={"ZipFile": buffer.getvalue()}, Role=role["Role"]["Arn"], Runtime="python3.13",
        Handler="app.handler",
    )  # fmt: skip
    assert invoke(cloud, {}) == 20 << 20
    cloud.end(signal.SIGTERM)
