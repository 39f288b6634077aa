"""A whole local cloud as a process: starting, stopping, and what stands in the way of either."""

from __future__ import annotations

import gc
import json
import os
import signal
import socket
import stat
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import boto3
import pytest

from localcloud import ports
from localcloud.cloud import LocalCloud, _nothing_collected
from localcloud.config import AlreadyRunning, Config, Endpoint, LocalCloudError, PortTaken
from localcloud.control import ask

START_SECONDS = 60.0  # it takes about one and a half; the machine may be busy


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return Config(tmp_path / "cloud", tmp_path / "cache", Path("/bin/true"))


class Process:
    """`python -m localcloud serve`, and what it said."""

    def __init__(self, config: Config, *more: str):
        self.config = config
        environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        self.popen = subprocess.Popen(
            [sys.executable, "-m", "localcloud", "serve", "--home", str(config.home), "--cache", str(config.cache),
             "--uv", str(config.uv), *more],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment,
        )  # fmt: skip

    def ready(self) -> Endpoint:
        assert self.popen.stdout and self.popen.stderr
        line = self.popen.stdout.readline()
        assert line.startswith("ready: "), self.popen.stderr.read()
        endpoint = Endpoint.read(self.config.endpoint_file)
        assert endpoint is not None
        assert line.split()[1] == endpoint.url
        return endpoint

    def end(self) -> tuple[int, str]:
        """Exit status and standard error."""
        _, errors = self.popen.communicate(timeout=START_SECONDS)
        return self.popen.returncode, errors


Serve = Callable[..., Process]


@pytest.fixture
def serve(config: Config) -> Iterator[Serve]:
    started: list[Process] = []

    def start(*more: str) -> Process:
        started.append(Process(config, *more))
        return started[-1]

    yield start
    for process in started:
        if process.popen.poll() is None:
            process.popen.kill()
        process.popen.communicate()


def client(config: Config, service: str) -> Any:
    import configparser

    file = configparser.ConfigParser()
    file.read(config.aws_folder / "credentials")
    endpoint = Endpoint.read(config.endpoint_file)
    assert endpoint
    return boto3.session.Session().client(
        service, region_name=config.region, endpoint_url=endpoint.url,
        aws_access_key_id=file["default"]["aws_access_key_id"],
        aws_secret_access_key=file["default"]["aws_secret_access_key"],
    )  # fmt: skip


def test_what_was_loaded_is_not_looked_through_for_garbage() -> None:
    looked: list[str] = []

    def look(phase: str, info: dict[str, int]) -> None:
        looked.append(phase)

    gc.collect()
    gc.callbacks.append(look)
    try:
        with _nothing_collected():
            loaded: list[list[int]] = [[] for _ in range(gc.get_threshold()[0] + 100)]
        loaded += [[] for _ in range(10)]
    finally:
        gc.callbacks.remove(look)
    assert looked == [] and gc.isenabled()


def test_its_life(config: Config, serve: Serve) -> None:
    """One process for several promises: a start takes a second or two."""
    process = serve()
    endpoint = process.ready()
    assert endpoint.pid == process.popen.pid
    assert stat.S_IMODE(config.endpoint_file.stat().st_mode) == 0o600
    assert stat.S_IMODE(config.home.stat().st_mode) == 0o700
    assert client(config, "ecs").list_clusters()["clusterArns"] == []
    assert ask(endpoint.control, {"do": "ping"})["instance"] == endpoint.instance
    status = ask(endpoint.control, {"do": "status"})
    assert status["tasks"] == 0
    assert 50 < status["memory_mb"] < 500

    second = serve()
    code, errors = second.end()
    assert code == 1
    assert errors.strip() == (
        f"localcloud: a local cloud already serves {config.home} (process {endpoint.pid}); stop that one first"
    )
    assert ask(endpoint.control, {"do": "ping"})["pid"] == endpoint.pid

    process.popen.send_signal(signal.SIGTERM)
    assert process.end() == (0, "")
    assert not config.endpoint_file.exists()
    assert not Path(endpoint.control).parent.exists()

    again = serve()
    assert again.ready().port == endpoint.port
    stopped = subprocess.run([sys.executable, "-m", "localcloud", "stop", "--home", str(config.home)], timeout=60)
    assert stopped.returncode == 0
    assert again.end() == (0, "")
    assert "stopped" in config.log_file.read_text()


def test_after_a_kill_it_starts_again(config: Config, serve: Serve) -> None:
    process = serve()
    port = process.ready().port
    process.popen.kill()
    process.popen.wait()
    assert config.endpoint_file.exists()
    again = serve().ready()
    assert again.port == port
    assert ask(again.control, {"do": "ping"})["instance"] == again.instance


def test_providers_end_with_it(config: Config, serve: Serve) -> None:
    process = serve()
    endpoint = process.ready()
    plugin = socket.socket(socket.AF_UNIX)
    with plugin, plugin.makefile("rb") as lines:
        plugin.connect(endpoint.control)
        plugin.sendall(json.dumps({"do": "plugin", "package": "aws", "engine": ""}).encode() + b"\n")
        port = json.loads(lines.readline())["port"]
        socket.create_connection(("127.0.0.1", port), 5).close()
        process.popen.send_signal(signal.SIGINT)
        assert process.end() == (0, "")
        assert lines.readline() == b""


SAY_WHO = """
import boto3, signal, sys, time
def goodbye(*_):
    print(boto3.client("s3").list_buckets()["ResponseMetadata"]["HTTPStatusCode"], flush=True)
    sys.exit(3)
signal.signal(signal.SIGTERM, goodbye)
print(boto3.client("ecs").list_clusters()["clusterArns"][0], flush=True)
time.sleep(60)
"""


def role(cloud: LocalCloud, name: str, actions: str) -> str:
    """A role of tasks that may do this everywhere; its ARN."""
    trust = {"Effect": "Allow", "Principal": {"Service": "ecs-tasks.amazonaws.com"}, "Action": "sts:AssumeRole"}
    allowed = {"Effect": "Allow", "Action": actions, "Resource": "*"}
    iam = cloud.server.client("iam")
    document = {"Version": "2012-10-17", "Statement": [trust]}
    arn: str = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(document))["Role"]["Arn"]
    document["Statement"] = [allowed]
    iam.put_role_policy(RoleName=name, PolicyName="p", PolicyDocument=json.dumps(document))
    return arn


def test_a_task_uses_its_own_keys_and_may_save_what_it_has_when_all_ends(config: Config, tmp_path: Path) -> None:
    cloud = LocalCloud(replace(config, account=f"7{os.getpid():011d}"))
    cloud.start()
    ecs, logs = cloud.server.client("ecs"), cloud.server.client("logs")
    (tmp_path / "Dockerfile").write_text("FROM scratch\nCOPY Dockerfile /opt/Dockerfile\n")
    image = cloud.images.build(tmp_path, tmp_path / "Dockerfile", lambda line: None)
    cloud.images.tag("registry/who:1", image.digest)
    logs.create_log_group(logGroupName="who")
    options = {"awslogs-group": "who", "awslogs-region": config.region, "awslogs-stream-prefix": "x"}
    ecs.create_cluster(clusterName="herd")
    container = {
        "name": "main",
        "image": "registry/who:1",
        "command": ["sh", "-c", 'exec "$INTERPRETER" -c "$SCRIPT"'],
        "environment": [{"name": "INTERPRETER", "value": sys.executable}, {"name": "SCRIPT", "value": SAY_WHO}],
        "logConfiguration": {"logDriver": "awslogs", "options": options},
    }
    ecs.register_task_definition(
        family="who", networkMode="awsvpc", requiresCompatibilities=["FARGATE"], cpu="256", memory="512",
        taskRoleArn=role(cloud, "who", "*"), executionRoleArn=role(cloud, "execution", "logs:*"),
        containerDefinitions=[container],
    )  # fmt: skip
    subnet = cloud.server.client("ec2").describe_subnets()["Subnets"][0]["SubnetId"]
    ecs.run_task(
        cluster="herd", taskDefinition="who", launchType="FARGATE",
        networkConfiguration={"awsvpcConfiguration": {"subnets": [subnet]}},
    )  # fmt: skip

    def said() -> list[str]:
        return [event["message"] for event in logs.filter_log_events(logGroupName="who")["events"]]

    deadline = time.monotonic() + START_SECONDS
    while not said() and time.monotonic() < deadline:
        time.sleep(0.05)
    cloud.stop()
    first, last = said()
    assert first.endswith(":cluster/herd")
    assert last == "200"


def test_a_taken_port_is_said_so_and_never_changed_silently(config: Config, serve: Serve) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        config.prepare()
        config.port_file.write_text(str(port))
        code, errors = serve().end()
    assert code == 1
    assert f"port {port} of the local cloud in {config.home} is taken by another program" in errors
    assert "--port" in errors
    assert config.port_file.read_text() == str(port)
    assert not config.endpoint_file.exists()


def test_a_port_file_without_a_port_is_said_so_and_left_alone(config: Config) -> None:
    config.prepare()
    config.port_file.write_text("4o96")
    with pytest.raises(LocalCloudError, match="holds no number of a port but '4o96'"):
        config.bind()
    assert config.port_file.read_text() == "4o96"


def test_a_port_may_be_wished(config: Config) -> None:
    config.prepare()
    first = config.bind()
    kept = first.getsockname()[1]
    with pytest.raises(PortTaken):
        config.bind()
    other = config.bind(ports.free())
    assert config.port_file.read_text().strip() == str(other.getsockname()[1]) != str(kept)
    first.close()
    other.close()


def test_one_home_one_process(config: Config) -> None:
    config.prepare()
    with config.exclusively(), pytest.raises(AlreadyRunning, match=f"process {os.getpid()}"), config.exclusively():
        pass
    with config.exclusively():
        pass


def test_stop_without_a_cloud_is_no_error(config: Config) -> None:
    from localcloud.__main__ import main

    assert main(["stop", "--home", str(config.home)]) == 0
    config.prepare()
    Endpoint(1, 2**22, "x", str(config.home / "gone"), "0", "").write(config.endpoint_file)
    assert main(["stop", "--home", str(config.home)]) == 0


def test_endpoint_files_that_are_none() -> None:
    assert Endpoint.read(Path("/nonexistent")) is None


@pytest.mark.parametrize("text", ["", "{", "[]", "3", '{"port": 1}', '{"x": 1}'])
def test_a_broken_endpoint_file_counts_as_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "endpoint.json").write_text(text)
    assert Endpoint.read(tmp_path / "endpoint.json") is None


def test_it_is_ready_within_two_seconds_of_work(config: Config, serve: Serve) -> None:
    """Processor time, not time by the clock: other tests run beside this one."""
    process = serve()
    process.ready()
    import psutil

    times = psutil.Process(process.popen.pid).cpu_times()
    assert times.user + times.system < 4.0


def test_nothing_is_served_unsigned(config: Config, serve: Serve) -> None:
    endpoint = serve().ready()
    for path in ("/", "/moto-api/data.json", "/bucket/key", "/latest/meta-data/"):
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(endpoint.url + path, timeout=10)
        assert refused.value.code == 403
        refused.value.close()
