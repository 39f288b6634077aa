"""How soon a task's own first instruction runs, beside spawning the same command directly; and what `herd try` adds."""

from __future__ import annotations

import json
import statistics
import subprocess
import time
from pathlib import Path
from typing import Any

from bench.measure import Result, interleaved
from harness.sandbox import Sandbox

TASKS = 15
CLOCK = ["sh", "-c", "date +%s%N"]
HELLO = {
    "jobs/clock/workload.toml": f"command = {json.dumps(CLOCK)}\n",
    "jobs/hello/workload.toml": "",
    "jobs/hello/main.py": 'print("hello")\n',
}


def _spawned() -> float:
    """Milliseconds from asking for the process to the time that it printed."""
    asked = time.time_ns()
    printed = subprocess.run(CLOCK, check=True, capture_output=True, text=True).stdout
    return (int(printed) - asked) / 1e6


class Cluster:
    """boto3 on the sandbox's cloud, with what is needed to run a task of one job."""

    def __init__(self, sandbox: Sandbox):
        import boto3

        variables = sandbox.herd_env()
        session = boto3.session.Session(region_name="eu-west-1")
        config = Path(variables["AWS_SHARED_CREDENTIALS_FILE"]).read_text()
        keys = dict(line.replace(" ", "").split("=", 1) for line in config.splitlines() if "=" in line)
        endpoint = json.loads((sandbox.folder / ".herd/cloud/endpoint.json").read_text())
        self.options: dict[str, Any] = {
            "endpoint_url": f"http://127.0.0.1:{endpoint['port']}",
            "aws_access_key_id": keys["aws_access_key_id"],
            "aws_secret_access_key": keys["aws_secret_access_key"],
        }
        self.session = session
        self.exports = json.loads(sandbox.pulumi("stack", "output", "--json").stdout)
        self.ecs = self.client("ecs")
        self.logs = self.client("logs")
        vpc = self.client("ec2").describe_subnets()["Subnets"]
        self.network = {"awsvpcConfiguration": {"subnets": [vpc[0]["SubnetId"]]}}

    def client(self, service: str) -> Any:
        """A client of one service."""
        return self.session.client(service, **self.options)

    def run(self, family: str, group: str, run_id: str) -> float:
        """Milliseconds from sending RunTask to the time that the task's command printed."""
        overrides = {
            "containerOverrides": [{"name": "main", "environment": [{"name": "HERD_RUN_ID", "value": run_id}]}]
        }
        asked = time.time_ns()
        task = self.ecs.run_task(
            cluster=self.exports["cluster"],
            taskDefinition=family,
            networkConfiguration=self.network,
            launchType="FARGATE",
            overrides=overrides,
        )["tasks"][0]
        self.ecs.get_waiter("tasks_stopped").wait(
            cluster=self.exports["cluster"], tasks=[task["taskArn"]], WaiterConfig={"Delay": 1}
        )
        task_id = task["taskArn"].rsplit("/", 1)[-1]
        streams = self.logs.describe_log_streams(logGroupName=group)["logStreams"]
        stream = next(s["logStreamName"] for s in streams if s["logStreamName"].endswith(task_id))
        events = self.logs.get_log_events(logGroupName=group, logStreamName=stream)["events"]
        printed = next(e["message"] for e in events if e["message"].isdigit() and len(e["message"]) == 19)
        return (int(printed) - asked) / 1e6


def start_of_a_task(folder: Path) -> list[Result]:
    """A plain task, and one through the runner without inputs."""
    with Sandbox(folder / "checkout") as sandbox:
        for path, text in HELLO.items():
            sandbox.write(path, text)
        sandbox.herd("up", "--no-run")
        cluster = Cluster(sandbox)
        clock = cluster.exports["workloads"]["clock"]
        deployed = cluster.ecs.describe_task_definition(taskDefinition=clock["task_definition"])["taskDefinition"]
        main = {**deployed["containerDefinitions"][0], "entryPoint": CLOCK, "command": []}
        plain = cluster.ecs.register_task_definition(
            family="plain-clock",
            containerDefinitions=[main],
            **{k: deployed[k] for k in ("cpu", "memory", "networkMode", "requiresCompatibilities", "executionRoleArn")},
            volumes=deployed.get("volumes", []),
        )["taskDefinition"]["taskDefinitionArn"]
        direct, bare, through_runner = [], [], []
        for number in range(TASKS):
            direct.append(_spawned())
            bare.append(cluster.run(plain, clock["log_group"], f"bench-plain-{number}"))
            through_runner.append(cluster.run(clock["task_definition"], clock["log_group"], f"bench-{number}"))
    floor = statistics.median(direct)
    yardstick = f"spawning the command directly {floor:.1f} ms"
    return [
        Result("RunTask to a plain task's command", statistics.median(bare), floor + 50, "ms", yardstick),
        Result("the same through the runner", statistics.median(through_runner), floor + 400, "ms", yardstick),
    ]


def herd_try(folder: Path) -> list[Result]:
    """`herd try` of a script that only prints."""
    with Sandbox(folder / "checkout") as sandbox:
        for path, text in HELLO.items():
            sandbox.write(path, text)
        sandbox.herd("up", "--no-run")
        sandbox.herd("try", "hello")
        lock = sandbox.folder / "images/python/requirements.lock"
        cache = Path(sandbox.environment["XDG_CACHE_HOME"]) / "herd"
        venv = sandbox.run(
            ".venv/bin/python", "-m", "localcloud", "realise", "--lock", str(lock), "--cache", str(cache), "--uv", "uv"
        ).stdout.strip()
        floor, ours = interleaved(
            5,
            lambda: sandbox.run(f"{venv}/bin/python", "jobs/hello/main.py"),
            lambda: sandbox.herd("try", "hello"),
        )
    return [Result("herd try of a script that prints", ours, floor + 1, "s", f"the script in its venv {floor:.2f} s")]
