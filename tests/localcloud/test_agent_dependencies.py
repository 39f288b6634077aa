"""`dependsOn` and `volumesFrom`: containers of one task that wait for one another, and share volumes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from localcloud.agent.dependencies import Dependencies, Progress, state_of
from localcloud.engines import HealthCheck, Mount

STATES: dict[str, tuple[str, Progress, bool, str]] = {
    "START, before": ("START", Progress(), False, ""),
    "START, after": ("START", Progress(started=1e12), True, ""),
    "START, it has ended": ("START", Progress(started=1e12, exit_code=1), True, ""),
    "COMPLETE, it runs": ("COMPLETE", Progress(started=1e12), False, ""),
    "COMPLETE, it failed": ("COMPLETE", Progress(started=1e12, exit_code=3), True, ""),
    "SUCCESS": ("SUCCESS", Progress(started=1e12, exit_code=0), True, ""),
    "SUCCESS, it failed": ("SUCCESS", Progress(started=1e12, exit_code=3), False, "to end with 0, and that has ended"),
    "HEALTHY": ("HEALTHY", Progress(started=1e12, health="HEALTHY"), True, ""),
    "HEALTHY, not known yet": ("HEALTHY", Progress(started=1e12), False, ""),
    "HEALTHY, it is not": ("HEALTHY", Progress(started=1e12, health="UNHEALTHY"), False, "its health check failed"),
    "HEALTHY, it has ended": ("HEALTHY", Progress(started=1e12, exit_code=0, health="HEALTHY"), False, "has ended"),
    "it takes too long": ("COMPLETE", Progress(started=0.0, timeout_seconds=0), False, "its startTimeout of 0 s"),
}  # fmt: skip


@pytest.mark.parametrize("case", STATES)
def test_when_a_container_may_start(case: str) -> None:
    condition, other, may_start, never = STATES[case]
    state = state_of(Dependencies(on=(("other", condition),)), {"other": other})
    assert state[0] == may_start
    assert (never in state[1]) if never else state[1] == ""


def container(name: str, command: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "image": "i", "command": ["sh", "-c", command], "essential": name == "main", **more}


def after(name: str, condition: str) -> dict[str, Any]:
    return {"dependsOn": [{"containerName": name, "condition": condition}]}


def test_a_container_starts_after_those_that_it_depends_on(cloud: Any, tmp_path: Path) -> None:
    log = tmp_path / "log"
    main = container("main", f"echo main >> {log}", **after("second", "SUCCESS"))
    second = container("second", f"echo second >> {log}", **after("first", "COMPLETE"))
    first = container("first", f"sleep 0.5; echo first >> {log}; exit 7")
    task = cloud.stopped(cloud.run(cloud.define_containers("f", [main, second, first])))
    assert log.read_text().split() == ["first", "second", "main"]
    assert {c["name"]: c["exitCode"] for c in task["containers"]} == {"main": 0, "second": 0, "first": 7}
    assert task["stopCode"] == "EssentialContainerExited" and task["startedAt"]


def containers_of(cloud: Any, arn: str) -> dict[str, dict[str, Any]]:
    return {one["name"]: one for one in cloud.task(arn)["containers"]}


def test_a_task_is_not_running_before_its_last_container_has_started(
    cloud: Any, tmp_path: Path, wait_until: Any
) -> None:
    go = tmp_path / "go"
    first = container("first", f"until [ -e {go} ]; do sleep 0.05; done")
    main = container("main", "exec sleep 60", **after("first", "SUCCESS"))
    arn = cloud.run(cloud.define_containers("f", [main, first]))
    wait_until(lambda: containers_of(cloud, arn)["first"]["lastStatus"] == "RUNNING")
    assert cloud.task(arn)["lastStatus"] == "PENDING"
    go.touch()
    cloud.running(arn)
    cloud.ecs.stop_task(cluster="c", task=arn)
    cloud.stopped(arn)


def test_a_container_that_waits_in_vain_ends_its_task(cloud: Any) -> None:
    main = container("main", "exec sleep 60", **after("first", "SUCCESS"))
    side = container("side", "exec sleep 60")
    arn = cloud.run(cloud.define_containers("f", [main, container("first", "sleep 0.3; exit 7"), side]))
    task = cloud.stopped(arn)
    assert task["stopCode"] == "TaskFailedToStart" and "startedAt" not in task
    assert task["stoppedReason"] == (
        "CannotStartContainerError: container main did not start: it waits for container first to end with 0, and that "
        "has ended with 7"
    )
    assert "exitCode" not in containers_of(cloud, arn)["main"]
    assert containers_of(cloud, arn)["side"]["exitCode"] == 143


def test_the_time_that_others_wait_is_the_start_timeout(cloud: Any) -> None:
    main = container("main", "exec sleep 60", **after("first", "COMPLETE"))
    arn = cloud.run(cloud.define_containers("f", [main, container("first", "exec sleep 60", startTimeout=2)]))
    assert "longer than its startTimeout of 2 s" in cloud.stopped(arn)["stoppedReason"]


def test_a_task_is_stopped_while_a_container_waits(cloud: Any, wait_until: Any) -> None:
    main = container("main", "exec sleep 60", **after("first", "COMPLETE"))
    arn = cloud.run(cloud.define_containers("f", [main, container("first", "exec sleep 60")]))
    wait_until(lambda: containers_of(cloud, arn)["first"]["lastStatus"] == "RUNNING")
    cloud.ecs.stop_task(cluster="c", task=arn, reason="enough")
    assert cloud.stopped(arn)["stoppedReason"] == "enough"
    assert [one.name for one in cloud.engine.started] == ["first"]


def test_a_container_starts_when_another_one_is_well(cloud: Any, wait_until: Any) -> None:
    database = container("db", "exec sleep 60", healthCheck={"command": ["CMD", "true"]})
    arn = cloud.run(cloud.define_containers("f", [container("main", "true", **after("db", "HEALTHY")), database]))
    wait_until(lambda: containers_of(cloud, arn)["db"]["lastStatus"] == "RUNNING")
    [started] = cloud.engine.started
    assert isinstance(started.isolation.health_check, HealthCheck)
    started.isolation.on_health("HEALTHY")
    assert cloud.stopped(arn)["stopCode"] == "EssentialContainerExited"
    assert [one.name for one in cloud.engine.started] == ["db", "main"]


def test_volumes_of_another_container(cloud: Any) -> None:
    point = {"sourceVolume": "data", "containerPath": "/data"}
    own = {"sourceVolume": "own", "containerPath": "/own"}
    containers = [
        container("main", "true", mountPoints=[own], volumesFrom=[{"sourceContainer": "side", "readOnly": True}],
                  **after("side", "START")),
        container("side", "true", mountPoints=[point], volumesFrom=[{"sourceContainer": "main"}]),
    ]  # fmt: skip
    volumes = [{"name": "data"}, {"name": "own"}]
    cloud.stopped(cloud.run(cloud.define_containers("f", containers, volumes=volumes)))
    by_name = {one.name: one.isolation.mounts for one in cloud.engine.started}
    assert by_name["main"] == (Mount(volume="own", path="/own"), Mount(volume="data", path="/data", read_only=True))
    assert by_name["side"] == (Mount(volume="data", path="/data"), Mount(volume="own", path="/own"))


def test_volumes_of_a_container_that_is_not_there(cloud: Any) -> None:
    with pytest.raises(ClientError, match="Unknown container 'nobody' in volumesFrom"):
        cloud.define("true", volumesFrom=[{"sourceContainer": "nobody"}])
