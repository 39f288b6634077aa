"""A local cloud in a process of its own whose months pass in seconds: `long_run.py HOME RUNS`, what came of it as JSON.

Four jobs are due at midnight and noon, a fifth at half past two in the night in Amsterdam, summer time and all. Each
run is a schedule, an execution of a state machine, a task, a process that writes down what it was given.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil

from localcloud.cloud import LocalCloud
from localcloud.config import Config
from localcloud.patches.stepfunctions import stored_executions

START = datetime(2031, 3, 1, 18, 0, tzinfo=UTC)
TWICE_A_DAY, AT_NIGHT = [f"job-{number}" for number in range(4)], "night"
RETENTION_DAYS = 7
ROLE = f"arn:aws:iam::{Config.account}:role/x"
SCRIPT = 'echo "run of $1 at $2"; echo "$1 $2" >> "$RECORD"\n'


class Clock:
    """Stands still between two steps."""

    def __init__(self) -> None:
        self.time = START

    def now(self) -> datetime:
        return self.time


def main() -> None:
    home, runs = Path(sys.argv[1]), int(sys.argv[2])
    clock, record = Clock(), home.parent / "record"
    cloud = LocalCloud(Config(home, home / "cache", Path("/bin/true")), tasks_at_once=8, clock=clock)
    cloud.start()
    declare(cloud, record)
    memory: dict[int, int] = {}
    due = 0
    while settle(cloud, record, due) < runs:
        memory[due] = psutil.Process().memory_info().rss
        moments = [armed.due for armed in cloud.agent.schedules._armed.values() if armed.due]
        due += moments.count(min(moments))
        clock.time = min(moments)
        cloud.agent.schedules.changed()
    print(json.dumps({"memory": memory, **describe(cloud, record)}), flush=True)
    cloud.stop()


def declare(cloud: LocalCloud, record: Path) -> None:
    record.touch()
    make_image(cloud, record.parent / "context")
    client = cloud.server.client
    vpc = client("ec2").create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    subnet = client("ec2").create_subnet(VpcId=vpc, CidrBlock="10.0.0.0/24")["Subnet"]["SubnetId"]
    client("logs").create_log_group(logGroupName="/g")
    client("logs").put_retention_policy(logGroupName="/g", retentionInDays=RETENTION_DAYS)
    client("ecs").create_cluster(clusterName="c")
    declare_role(client("iam"))
    options = {"awslogs-group": "/g", "awslogs-region": "eu-west-1", "awslogs-stream-prefix": "p"}
    main = {"name": "main", "image": "local/app:1", "memory": 64, "environment": [variable("RECORD", str(record))],
            "logConfiguration": {"logDriver": "awslogs", "options": options}}  # fmt: skip
    client("ecs").register_task_definition(family="f", networkMode="awsvpc", containerDefinitions=[main])
    for name in (*TWICE_A_DAY, AT_NIGHT):
        definition = json.dumps(machine(name, subnet))
        made = client("stepfunctions").create_state_machine(name=name, roleArn=ROLE, definition=definition)
        client("scheduler").create_schedule(
            Name=name,
            ScheduleExpression="cron(30 2 * * ? *)" if name == AT_NIGHT else "cron(0 0/12 * * ? *)",
            ScheduleExpressionTimezone="Europe/Amsterdam" if name == AT_NIGHT else "UTC",
            FlexibleTimeWindow={"Mode": "OFF"},
            Target={
                "Arn": made["stateMachineArn"],
                "RoleArn": ROLE,
                "Input": '{"time": "<aws.scheduler.scheduled-time>"}',
            },
        )


def declare_role(iam: Any) -> None:
    services = ["scheduler.amazonaws.com", "states.amazonaws.com", "ecs-tasks.amazonaws.com"]
    trust = {"Effect": "Allow", "Principal": {"Service": services}, "Action": "sts:AssumeRole"}
    anything = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    iam.create_role(RoleName="x", AssumeRolePolicyDocument=document(trust))
    iam.put_role_policy(RoleName="x", PolicyName="p", PolicyDocument=document(anything))


def document(statement: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def variable(name: str, value: str) -> dict[str, str]:
    return {"name": name, "value": value}


def make_image(cloud: LocalCloud, context: Path) -> None:
    context.mkdir()
    (context / "run.sh").write_text(SCRIPT)
    (context / "Dockerfile").write_text('FROM scratch\nCOPY run.sh /run.sh\nENTRYPOINT ["/bin/sh", "/run.sh"]\n')
    image = cloud.images.build(context, context / "Dockerfile", lambda _: None)
    cloud.images.tag("local/app:1", image.digest)


def machine(name: str, subnet: str) -> dict[str, Any]:
    override = {"Name": "main", "Command.$": f"States.Array('{name}', $.time)"}
    task = {
        "Type": "Task",
        "Resource": "arn:aws:states:::ecs:runTask.sync",
        "Parameters": {
            "Cluster": "c",
            "TaskDefinition": "f",
            "LaunchType": "FARGATE",
            "NetworkConfiguration": {"AwsvpcConfiguration": {"Subnets": [subnet]}},
            "Overrides": {"ContainerOverrides": [override]},
        },
        "End": True,
    }
    return {"StartAt": "Run", "States": {"Run": task}}


def settle(cloud: LocalCloud, record: Path, due: int) -> int:
    """Wait until what is due has fired and has ended, so many runs in all; how many there were."""
    server, agent = cloud.server, cloud.agent

    def over() -> bool:
        with server.lock:
            running = stored_executions.running(server.account)
        upcoming = [armed.due for armed in agent.schedules._armed.values()]
        armed = len(upcoming) == 5 and all(moment and moment > cloud._clock.now() for moment in upcoming)
        return armed and not running and not agent.tasks.alive()

    def runs() -> int:
        return len(record.read_text().splitlines())

    wait("what was due to run", lambda: runs() >= due)
    wait("everything to end", over)
    return runs()


def wait(what: str, condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.005)


def describe(cloud: LocalCloud, record: Path) -> dict[str, Any]:
    ecs, sfn, logs = (cloud.server.client(name) for name in ("ecs", "stepfunctions", "logs"))
    streams = logs.get_paginator("describe_log_streams").paginate(logGroupName="/g").build_full_result()["logStreams"]
    executions = {}
    for found in sfn.list_state_machines()["stateMachines"]:
        listed = sfn.get_paginator("list_executions").paginate(stateMachineArn=found["stateMachineArn"])
        executions[found["name"]] = [each["status"] for each in listed.build_full_result()["executions"]]
    return {
        "record": record.read_text().splitlines(),
        "tasks": len(ecs.list_tasks(cluster="c", desiredStatus="STOPPED")["taskArns"]),
        "executions": executions,
        "streams": len(streams),
        "rows": {
            table: cloud.agent.tasks._memory._store.read(f"SELECT count(*) FROM {table}")[0][0]
            for table in ("task", "execution", "stream")
        },
    }


if __name__ == "__main__":
    main()
