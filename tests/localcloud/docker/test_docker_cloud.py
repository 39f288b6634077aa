"""A local cloud whose tasks are containers: what a client of the AWS API sees, and what stays in the daemon."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config as BotoConfig

from localcloud.cloud import LocalCloud
from localcloud.config import Config, LocalCloudError
from localcloud.docker.client import DockerClient
from localcloud.engines.docker.api import Daemon
from localcloud.engines.docker.engine import LABEL

TASK = """
import json, os, sys, urllib.request as u
relative = os.environ["AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"]
keys = json.load(u.urlopen("http://169.254.170.2" + relative))
print("role", keys["RoleArn"].rpartition("/")[2])
print("api", u.urlopen(os.environ["AWS_ENDPOINT_URL"] + relative.replace("credentials", "nothing")).status)
"""

LONG_SECONDS = 90.0


def eventually(condition: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + LONG_SECONDS
    while not (value := condition()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return value


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return Config(tmp_path / "cloud", tmp_path / "cache", Path("/bin/true"))


@pytest.fixture
def on_daemon(docker_host: str, monkeypatch: pytest.MonkeyPatch) -> Daemon:
    monkeypatch.setenv("DOCKER_HOST", docker_host)
    return Daemon(docker_host.removeprefix("unix://"))


@pytest.fixture
def cloud(config: Config, on_daemon: Daemon) -> Iterator[LocalCloud]:
    cloud = LocalCloud(config, engine="docker")
    cloud.start()
    yield cloud
    cloud.stop()
    cloud.images.forget()
    assert things_of(on_daemon, config) == []


def things_of(daemon: Daemon, config: Config) -> list[str]:
    filters = {"label": [f"{LABEL}={config.identity}"]}
    containers = daemon.call("GET", "/containers/json", all=True, filters=filters)
    networks = daemon.call("GET", "/networks", filters=filters)
    return [one["Id"] for one in [*containers, *networks]]


def client(cloud: LocalCloud, service: str) -> Any:
    assert cloud.endpoint is not None
    folder = cloud.config.aws_folder
    session = boto3.session.Session()
    session._session.set_config_variable("credentials_file", str(folder / "credentials"))
    session._session.set_config_variable("config_file", str(folder / "config"))
    session._session.set_config_variable("region", cloud.config.region)
    return session.client(service, endpoint_url=cloud.endpoint.url, config=BotoConfig(proxies={}))


def image(cloud: LocalCloud, base: str, folder: Path) -> str:
    """Built by Docker, and named in the account's registry."""
    folder.mkdir()
    (folder / "task.py").write_text(TASK)
    (folder / "Dockerfile").write_text(f"FROM {base}\nCOPY task.py /\n")
    built = cloud.images.build(folder, folder / "Dockerfile", lambda line: None)
    reference = f"host/{uuid.uuid4().hex}@{built.digest}"
    cloud.images.tag(reference, built.digest)
    return reference


def test_a_task_in_docker_reaches_the_cloud_as_its_role(
    cloud: LocalCloud, python_base: str, tmp_path: Path, config: Config, on_daemon: Daemon
) -> None:
    ecs, logs, iam, ec2 = (client(cloud, name) for name in ("ecs", "logs", "iam", "ec2"))
    trust = (
        '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"ecs-tasks.amazonaws.com"},'
        '"Action":"sts:AssumeRole"}]}'
    )
    role = iam.create_role(RoleName="train", AssumeRolePolicyDocument=trust)["Role"]["Arn"]
    may = '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}'
    iam.put_role_policy(RoleName="train", PolicyName="all", PolicyDocument=may)
    ecs.create_cluster(clusterName="c")
    logs.create_log_group(logGroupName="/g")
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.0.0/24")["Subnet"]["SubnetId"]
    definition = ecs.register_task_definition(
        family="f", requiresCompatibilities=["FARGATE"], networkMode="awsvpc", cpu="256", memory="512",
        executionRoleArn=role, taskRoleArn=role, volumes=[{"name": "scratch"}],
        containerDefinitions=[{
            "name": "main", "image": image(cloud, python_base, tmp_path / "context"), "essential": True,
            "command": ["sh", "-c", "exec 2>&1; python3 /task.py; id -u; touch /tmp/x && touch /y || echo shut"],
            "user": "10001", "readonlyRootFilesystem": True,
            "mountPoints": [{"sourceVolume": "scratch", "containerPath": "/tmp"}],
            "logConfiguration": {"logDriver": "awslogs", "options": {
                "awslogs-group": "/g", "awslogs-region": config.region, "awslogs-stream-prefix": "p"}},
        }],
    )["taskDefinition"]["taskDefinitionArn"]  # fmt: skip
    network = {"awsvpcConfiguration": {"subnets": [subnet]}}
    started = ecs.run_task(
        cluster="c", taskDefinition=definition, launchType="FARGATE", networkConfiguration=network, count=2
    )["tasks"]
    arns = [task["taskArn"] for task in started]
    tasks = eventually(lambda: all_stopped(ecs, arns))
    for task in tasks:
        assert task["containers"][0]["exitCode"] == 0, task
        stream = f"p/main/{task['taskArn'].rpartition('/')[2]}"
        events = logs.get_log_events(logGroupName="/g", logStreamName=stream, startFromHead=True)["events"]
        lines = [event["message"] for event in events]
        assert lines[0] == "role train"
        assert "urllib.error.HTTPError" in "".join(lines), "the API answers, and wants a signature"
        assert "10001" in lines and lines[-1] == "shut"
    # What is left is the network that leads outside, and one for the next task.
    eventually(lambda: len(things_of(on_daemon, config)) <= 2)


@pytest.mark.parametrize("engine", ["process", "docker"])
def test_a_service_replaces_a_task_that_is_not_well(
    engine: str, config: Config, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    if engine == "docker":
        request.getfixturevalue("on_daemon")
        base = request.getfixturevalue("python_base")
    else:
        base = "python:3"
    cloud = LocalCloud(config, engine=engine)
    cloud.start()
    try:
        ecs, ec2 = client(cloud, "ecs"), client(cloud, "ec2")
        ecs.create_cluster(clusterName="c")
        vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
        subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.0.0/24")["Subnet"]["SubnetId"]
        check = {"command": ["CMD-SHELL", "exit 1"], "interval": 5, "timeout": 2, "retries": 1}
        definition = ecs.register_task_definition(
            family="f", requiresCompatibilities=["FARGATE"], networkMode="awsvpc", cpu="256", memory="512",
            containerDefinitions=[{
                "name": "main", "image": image(cloud, base, tmp_path / "context"), "essential": True,
                "entryPoint": ["sh", "-c", "exec sleep 300"], "stopTimeout": 2, "healthCheck": check,
            }],
        )["taskDefinition"]["taskDefinitionArn"]  # fmt: skip
        ecs.create_service(
            cluster="c", serviceName=engine, taskDefinition=definition, desiredCount=1, launchType="FARGATE",
            networkConfiguration={"awsvpcConfiguration": {"subnets": [subnet]}},
        )  # fmt: skip
        [first] = eventually(lambda: ecs.list_tasks(cluster="c", serviceName=engine)["taskArns"])
        eventually(lambda: all_stopped(ecs, [first]))
        [stopped] = all_stopped(ecs, [first]) or []
        assert stopped["stoppedReason"] == "Task failed container health checks"
        assert stopped["containers"][0]["healthStatus"] == "UNHEALTHY"
        [second] = eventually(lambda: ecs.list_tasks(cluster="c", serviceName=engine)["taskArns"])
        assert second != first
    finally:
        cloud.stop()
        if engine == "docker":
            cloud.images.forget()


def all_stopped(ecs: Any, arns: list[str]) -> list[dict[str, Any]] | None:
    tasks: list[dict[str, Any]] = ecs.describe_tasks(cluster="c", tasks=arns)["tasks"]
    return tasks if all(task["lastStatus"] == "STOPPED" for task in tasks) else None


def test_the_engine_is_remembered_once_it_has_worked(config: Config, on_daemon: Daemon) -> None:
    assert config.engine == "process"
    for engine in ("docker", None):
        cloud = LocalCloud(config, engine=engine)
        cloud.start()
        assert cloud.agent.tasks._engine.has_own_network
        cloud.stop()
        assert config.engine == "docker"
    assert things_of(on_daemon, config) == []


def test_a_daemon_that_does_not_answer_is_not_remembered(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere/docker.sock")
    monkeypatch.setattr(DockerClient, "find", classmethod(_any_client))
    with pytest.raises(LocalCloudError, match="herd up --engine process"):
        LocalCloud(config, engine="docker").start()
    assert config.engine == "process"


def _any_client(cls: type[DockerClient]) -> DockerClient:
    return DockerClient(Path("/bin/false"), "20.10.24", False, {"DOCKER_HOST": "unix:///nowhere/docker.sock"})


def test_a_file_that_names_no_engine_is_said(config: Config) -> None:
    config.prepare()
    config.engine_file.write_text("podman\n")
    with pytest.raises(LocalCloudError, match="names no engine but 'podman'; write process or docker into it"):
        _ = config.engine
