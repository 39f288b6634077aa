"""Tasks as processes: what a client sees of them from RunTask to STOPPED."""

from __future__ import annotations

import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from localcloud.engines import HealthCheck, Isolation, Limit


@pytest.mark.parametrize("code", [0, 1, 3, 65])
def test_exit_codes_are_the_commands(cloud: Any, code: int) -> None:
    task = cloud.stopped(cloud.run(cloud.define("sh", "-c", f"exit {code}")))
    assert task["containers"][0]["exitCode"] == code
    assert task["containers"][0]["lastStatus"] == "STOPPED"
    assert (task["stopCode"], task["stoppedReason"]) == (
        "EssentialContainerExited",
        "Essential container in task exited",
    )
    assert task["createdAt"] <= task["startedAt"] <= task["stoppedAt"]
    assert task["desiredStatus"] == "STOPPED"


def test_lines_are_all_in_the_log_when_the_task_has_stopped(cloud: Any) -> None:
    arn = cloud.run(cloud.define("sh", "-c", "for i in $(seq 200); do echo line $i; done; echo err >&2"))
    cloud.stopped(arn)
    assert cloud.lines(arn) == [*(f"line {i}" for i in range(1, 201)), "err"]


def test_lines_are_there_while_the_task_runs(cloud: Any, wait_until: Any) -> None:
    arn = cloud.run(cloud.define("sh", "-c", "echo early; exec sleep 60"))
    cloud.running(arn)
    wait_until(lambda: cloud.lines(arn) == ["early"])
    cloud.ecs.stop_task(cluster="c", task=arn)


def test_overrides_replace_command_and_environment(cloud: Any) -> None:
    definition = cloud.define("sh", "-c", "echo never", environment=[{"name": "A", "value": "1"}])
    override = {
        "name": "main",
        "command": ["sh", "-c", 'echo "$A $B $AWS_ENDPOINT_URL"'],
        "environment": [{"name": "B", "value": "2"}],
        "memory": 300,
    }
    arn = cloud.run(definition, overrides={"containerOverrides": [override]})
    cloud.stopped(arn)
    assert cloud.lines(arn) == ["1 2 http://127.0.0.1:4999"]
    assert cloud.engine.started[-1].memory_mb == 300


def test_memory_limit_is_the_tasks_unless_the_container_has_its_own(cloud: Any) -> None:
    cloud.stopped(cloud.run(cloud.define("true")))
    cloud.stopped(cloud.run(cloud.define("true", memory=256)))
    assert [container.memory_mb for container in cloud.engine.started] == [512, 256]


def test_stop_task_ends_the_process_and_says_who_did(cloud: Any) -> None:
    arn = cloud.run(cloud.define("sleep", "60"))
    cloud.running(arn)
    assert cloud.ecs.stop_task(cluster="c", task=arn, reason="enough")["task"]["desiredStatus"] == "STOPPED"
    task = cloud.stopped(arn)
    assert (task["stopCode"], task["stoppedReason"]) == ("UserInitiated", "enough")
    assert task["containers"][0]["exitCode"] == 143


def test_stop_task_kills_what_does_not_end_in_its_grace_period(cloud: Any, wait_until: Any) -> None:
    command = "trap '' TERM; echo ready; while :; do sleep 0.05; done"
    arn = cloud.run(cloud.define("sh", "-c", command, stopTimeout=1))
    cloud.running(arn)
    wait_until(lambda: cloud.lines(arn) == ["ready"])
    asked = time.monotonic()
    cloud.ecs.stop_task(cluster="c", task=arn)
    assert cloud.stopped(arn)["containers"][0]["exitCode"] == 137
    assert time.monotonic() - asked >= 1


START_FAILURES = {
    "no image": ({"image": "missing"}, "CannotPullContainerError: "),
    "no log group": (
        {
            "logConfiguration": {
                "logDriver": "awslogs",
                "options": {"awslogs-group": "/x", "awslogs-stream-prefix": "p"},
            }
        },
        "ResourceInitializationError: ",
    ),
    "no program": ({"command": ["/no/such/program"]}, "CannotStartContainerError: "),
    "no secret": ({"secrets": [{"name": "S", "valueFrom": "absent"}]}, "ResourceInitializationError: unable to pull"),
}


@pytest.mark.parametrize("case", START_FAILURES)
def test_a_task_that_cannot_start_says_why(cloud: Any, case: str) -> None:
    container, reason = START_FAILURES[case]
    definition = cloud.define(*container.pop("command", ["true"]), **container)
    task = cloud.stopped(cloud.run(definition))
    assert task["stopCode"] == "TaskFailedToStart"
    assert task["stoppedReason"].startswith(reason)
    assert "exitCode" not in task["containers"][0]
    assert "startedAt" not in task


def test_an_essential_container_takes_the_others_with_it(cloud: Any, tmp_path: Path) -> None:
    side, server = tmp_path / "side", tmp_path / "server"

    def container(name: str, command: str, essential: bool) -> dict[str, Any]:
        return {"name": name, "image": "i", "command": ["sh", "-c", command], "essential": essential}

    arn = cloud.run(
        cloud.define_containers(
            "three",
            [
                container("main", f"until [ -e {side} ] && [ -e {server} ]; do sleep 0.1; done; sleep 1; exit 3", True),
                container("side", f"touch {side}; exit 5", False),
                container("server", f"touch {server}; exec sleep 60", True),
            ],
        )
    )
    task = cloud.stopped(arn)
    assert {c["name"]: c["exitCode"] for c in task["containers"]} == {"main": 3, "side": 5, "server": 143}


def test_ports_are_free_ones_and_told_to_the_container(cloud: Any) -> None:
    definition = cloud.define(
        "sh", "-c", 'echo "$PORT $PORT_8000"', portMappings=[{"containerPort": 8000}], environment=[]
    )
    arn = cloud.run(definition)
    task = cloud.stopped(arn)
    binding = task["containers"][0]["networkBindings"][0]
    assert binding["containerPort"] == 8000
    assert cloud.lines(arn) == [f"{binding['hostPort']} {binding['hostPort']}"]


def test_credentials_are_given_for_a_role_and_taken_back(cloud: Any) -> None:
    arn = cloud.run(cloud.define("true", family="fam"))
    cloud.stopped(arn)
    identity = cloud.environment.given[0]
    assert (identity.task_arn, identity.family) == (arn, "fam")
    assert identity.role_arn.endswith(":role/r")
    assert cloud.environment.released == [arn]


def test_a_task_without_a_role_runs_without_credentials(cloud: Any) -> None:
    definition = cloud.define_containers("plain", [{"name": "main", "image": "image", "command": ["true"]}], False)
    assert cloud.stopped(cloud.run(definition))["containers"][0]["exitCode"] == 0
    assert cloud.environment.given[0].role_arn is None


def test_waiters_and_listing(cloud: Any) -> None:
    minute = {"Delay": 0.05, "MaxAttempts": 1200}
    arn = cloud.run(cloud.define("sleep", "60", family="waits"), startedBy="me")
    cloud.ecs.get_waiter("tasks_running").wait(cluster="c", tasks=[arn], WaiterConfig=minute)
    assert cloud.ecs.list_tasks(cluster="c")["taskArns"] == [arn]
    assert cloud.ecs.list_tasks(cluster="c", family="waits", startedBy="me")["taskArns"] == [arn]
    assert cloud.ecs.list_tasks(cluster="c", family="other")["taskArns"] == []
    cloud.ecs.stop_task(cluster="c", task=arn)
    cloud.ecs.get_waiter("tasks_stopped").wait(cluster="c", tasks=[arn], WaiterConfig=minute)
    assert cloud.ecs.list_tasks(cluster="c")["taskArns"] == []
    assert cloud.ecs.list_tasks(cluster="c", desiredStatus="STOPPED")["taskArns"] == [arn]
    missing = cloud.ecs.describe_tasks(cluster="c", tasks=["gone"])
    assert missing["failures"] == [{"arn": "gone", "reason": "MISSING"}]


def test_many_tasks_at_once_all_run(cloud: Any) -> None:
    definition = cloud.define("true")
    arns = [cloud.run(definition) for _ in range(40)]
    assert [cloud.stopped(arn)["containers"][0]["exitCode"] for arn in arns] == [0] * 40
    assert not cloud.server.client("ec2").describe_network_interfaces()["NetworkInterfaces"]


def test_a_process_starts_soon_after_run_task(cloud: Any) -> None:
    definition = cloud.define(sys.executable, "-c", "pass")
    cloud.stopped(cloud.run(definition))
    delays = []
    for _ in range(20):
        task = cloud.stopped(cloud.run(definition))
        delays.append((task["startedAt"] - task["createdAt"]).total_seconds())
    assert min(delays) < 0.1  # about 5 ms on an idle machine; the best of many, and the bound, are for a busy one


def test_a_task_on_a_pool_of_machines_runs_here(cloud: Any) -> None:
    """moto wants machines that have registered; here there are none, and the task is told to be on EC2."""
    arn = "arn:aws:autoscaling:eu-west-1:123456789012:autoScalingGroup:1:autoScalingGroupName/pool"
    cloud.ecs.create_capacity_provider(name="pool", autoScalingGroupProvider={"autoScalingGroupArn": arn})
    cloud.ecs.put_cluster_capacity_providers(
        cluster="c",
        capacityProviders=["FARGATE", "pool"],
        defaultCapacityProviderStrategy=[{"capacityProvider": "FARGATE", "weight": 1}],
    )
    asked = {
        "cluster": "c",
        "taskDefinition": cloud.define("sh", "-c", "exit 3"),
        "networkConfiguration": cloud.network,
    }
    run = cloud.ecs.run_task(**asked, capacityProviderStrategy=[{"capacityProvider": "pool", "weight": 1}])["tasks"][0]
    task = cloud.stopped(run["taskArn"])
    assert (task["launchType"], task["capacityProviderName"]) == ("EC2", "pool")
    assert task["containers"][0]["exitCode"] == 3
    with pytest.raises(Exception, match="The specified capacity provider 'other' was not found"):
        cloud.ecs.run_task(**asked, capacityProviderStrategy=[{"capacityProvider": "other", "weight": 1}])


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({}, {}),
        ({"propagateTags": "NONE"}, {}),
        ({"propagateTags": "TASK_DEFINITION"}, {"owner": "a", "cost": "b"}),
        (
            {"propagateTags": "TASK_DEFINITION", "tags": [{"key": "cost", "value": "c"}]},
            {"owner": "a", "cost": "c"},
        ),
    ],
    ids=["unasked", "none", "the definition's", "the request's own win"],
)
def test_a_task_has_the_tags_that_are_asked_for(cloud: Any, asked: dict[str, Any], expected: dict[str, str]) -> None:
    definition = cloud.define("true")
    tags = [{"key": "owner", "value": "a"}, {"key": "cost", "value": "b"}]
    cloud.ecs.tag_resource(resourceArn=definition, tags=tags)
    arn = cloud.run(definition, **asked)
    cloud.stopped(arn)
    (task,) = cloud.ecs.describe_tasks(cluster="c", tasks=[arn], include=["TAGS"])["tasks"]
    assert {tag["key"]: tag["value"] for tag in task["tags"]} == expected


ISOLATION = {
    "user": ({"user": "10001:10001"}, {"user": "10001:10001"}),
    "read-only root": ({"readonlyRootFilesystem": True}, {"read_only_root": True}),
    "init": ({"linuxParameters": {"initProcessEnabled": True}}, {"init": True}),
    "capabilities": (
        {"linuxParameters": {"capabilities": {"drop": ["ALL"], "add": ["SYS_PTRACE"]}}},
        {"capabilities_dropped": ("ALL",), "capabilities_added": ("SYS_PTRACE",)},
    ),
    "limits": (
        {"ulimits": [{"name": "nofile", "softLimit": 10, "hardLimit": 20}]},
        {"limits": (Limit(name="nofile", soft=10, hard=20),)},
    ),
    "working folder": ({"workingDirectory": "/srv"}, {"working_folder": "/srv"}),
    "health check": (
        {"healthCheck": {"command": ["CMD", "true"], "interval": 7, "startPeriod": 9}},
        {"health_check": HealthCheck(test=("CMD", "true"), interval_seconds=7, start_period_seconds=9)},
    ),
}


@pytest.mark.parametrize("case", ISOLATION)
def test_the_engine_is_told_how_a_container_is_shut_in(cloud: Any, case: str) -> None:
    definition, expected = ISOLATION[case]
    cloud.stopped(cloud.run(cloud.define("true", **definition)))
    container = cloud.engine.started[-1]
    isolation = replace(container.isolation, on_health=None)
    assert isolation == Isolation(cpus=0.25, **expected)
    assert container.task is not None and container.task.ports == ()


def test_a_privileged_container_is_not_started(cloud: Any) -> None:
    with pytest.raises(ClientError, match="Fargate does not support privileged containers"):
        cloud.run(cloud.define("true", privileged=True))
    assert cloud.engine.started == []


def test_a_containers_health_is_shown_and_a_task_of_no_service_runs_on(cloud: Any, wait_until: Any) -> None:
    arn = cloud.run(cloud.define("sleep", "60", healthCheck={"command": ["CMD", "true"]}))
    cloud.running(arn)
    [container] = cloud.engine.started
    assert cloud.task(arn)["containers"][0]["healthStatus"] == "UNKNOWN"
    for status in ("HEALTHY", "UNHEALTHY"):
        container.isolation.on_health(status)
        assert cloud.task(arn)["containers"][0]["healthStatus"] == status
    assert cloud.task(arn)["desiredStatus"] == "RUNNING"
    cloud.ecs.stop_task(cluster="c", task=arn)
