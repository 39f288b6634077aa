"""A local cloud in a process of its own, for tests that kill it: `restarting.py HOME COMMAND…`, the answer as JSON.

make              declare a bit of everything, let tasks and executions run, say what there is, and be killed
make-and-stop     the same, but stop in order
schedule SECONDS  declare schedules, one of them for so many seconds from now, say what there is, and be killed
look              start again, say what there is, and stop in order
look-and-die      the same, but be killed
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from localcloud.cloud import LocalCloud
from localcloud.config import Config
from localcloud.runtime.executions import HISTORY_SECONDS

SCRIPT = """
echo "hello from $1"
case "$1" in quick) exit 0 ;; fail) exit 3 ;; esac
exec sleep 300
"""
NETWORK = {"awsvpcConfiguration": {"subnets": [""]}}


def main() -> None:
    home, command = Path(sys.argv[1]), sys.argv[2]
    cloud = LocalCloud(Config(home, home / "cache", Path("/bin/true")))
    cloud.start()
    if command.startswith("make"):
        make(cloud, home)
    due = schedule(cloud, float(sys.argv[3])) if command == "schedule" else None
    print(json.dumps({"due": due, **describe(cloud)}, default=str), flush=True)
    if command in ("look", "make-and-stop"):
        cloud.stop()
    else:
        os.kill(os.getpid(), signal.SIGKILL)


def wait(what: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + 90
    while not (found := what()):
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.02)
    return found


def make(cloud: LocalCloud, home: Path) -> None:
    client = cloud.server.client
    make_image(cloud, home / "context")
    ecs, sfn = client("ecs"), client("stepfunctions")
    vpc = client("ec2").create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    NETWORK["awsvpcConfiguration"]["subnets"] = [
        client("ec2").create_subnet(VpcId=vpc, CidrBlock="10.0.0.0/24")["Subnet"]["SubnetId"]
    ]
    client("logs").create_log_group(logGroupName="/g")
    ecs.create_cluster(clusterName="c")
    for family in ("quick", "fail", "long"):
        options = {"awslogs-group": "/g", "awslogs-region": "eu-west-1", "awslogs-stream-prefix": family}
        main = {"name": "main", "image": "local/app:1", "command": [family], "stopTimeout": 2, "memory": 64,
                "logConfiguration": {"logDriver": "awslogs", "options": options}}  # fmt: skip
        ecs.register_task_definition(family=family, networkMode="awsvpc", containerDefinitions=[main])
        sfn.create_state_machine(name=family, roleArn=role(cloud), definition=json.dumps(runs(family)))
    make_objects(client("s3"))
    service = {"cluster": "c", "taskDefinition": "long", "launchType": "FARGATE", "networkConfiguration": NETWORK}
    ecs.create_service(serviceName="web", desiredCount=2, **service)
    for _ in range(2):
        ecs.run_task(cluster="c", taskDefinition="fail", launchType="FARGATE", networkConfiguration=NETWORK)
    ecs.run_task(cluster="c", taskDefinition="long", launchType="FARGATE", networkConfiguration=NETWORK)
    machines = {machine["name"]: machine["stateMachineArn"] for machine in sfn.list_state_machines()["stateMachines"]}
    ended = [
        sfn.start_execution(stateMachineArn=machines[name], name=f"{name}-1", input='{"a": "b"}')["executionArn"]
        for name in ("quick", "fail")
    ]
    sfn.start_execution(stateMachineArn=machines["long"], name="long-1")
    wait(lambda: all(sfn.describe_execution(executionArn=arn)["status"] != "RUNNING" for arn in ended))
    wait(lambda: len(ecs.list_tasks(cluster="c", desiredStatus="STOPPED")["taskArns"]) == 4)
    wait(lambda: running(ecs) == 4)
    wait(lambda: ecs.describe_services(cluster="c", services=["web"])["services"][0]["runningCount"] == 2)
    wait(
        lambda: (
            ecs.describe_services(cluster="c", services=["web"])["services"][0]["deployments"][0]["rolloutState"]
            == "COMPLETED"
        )
    )
    wait(lambda: [len(stream["events"]) for stream in logs(client("logs")).values()] == [1] * 8)
    time.sleep(HISTORY_SECONDS)  # histories of running executions are written so often
    long = machines["long"].replace(":stateMachine:", ":execution:") + ":long-1"
    wait(lambda: history_kept(cloud, long) == len(sfn.get_execution_history(executionArn=long)["events"]))


def history_kept(cloud: LocalCloud, execution: str) -> int:
    """How many events of an execution's history would survive a kill now."""
    store = cloud.agent.tasks._memory._store  # type: ignore[attr-defined]
    return sum(
        len(json.loads(text)) for (text,) in store.read("SELECT history FROM execution WHERE arn = ?", (execution,))
    )


def running(ecs: Any) -> int:
    tasks = ecs.describe_tasks(cluster="c", tasks=ecs.list_tasks(cluster="c")["taskArns"])["tasks"]
    return sum(task["lastStatus"] == "RUNNING" for task in tasks)


def role(cloud: LocalCloud) -> str:
    """A role that every service may take on and that may do everything; its ARN."""
    iam = cloud.server.client("iam")
    if not iam.list_roles()["Roles"]:
        services = [f"{service}.amazonaws.com" for service in ("ecs-tasks", "scheduler", "states")]
        trust = {"Effect": "Allow", "Principal": {"Service": services}, "Action": "sts:AssumeRole"}
        everything = {"Effect": "Allow", "Action": "*", "Resource": "*"}
        iam.create_role(RoleName="x", AssumeRolePolicyDocument=document(trust))
        iam.put_role_policy(RoleName="x", PolicyName="p", PolicyDocument=document(everything))
    return f"arn:aws:iam::{cloud.config.account}:role/x"


def document(statement: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def runs(family: str) -> dict[str, Any]:
    parameters = {"Cluster": "c", "TaskDefinition": family, "LaunchType": "FARGATE", "NetworkConfiguration": {
        "AwsvpcConfiguration": {"Subnets": NETWORK["awsvpcConfiguration"]["subnets"]}}}  # fmt: skip
    task = {"Type": "Task", "Resource": "arn:aws:states:::ecs:runTask.sync", "Parameters": parameters, "End": True,
            "Retry": [{"ErrorEquals": ["States.ALL"], "MaxAttempts": 1 if family == "long" else 0}]}  # fmt: skip
    return {"StartAt": "Run", "States": {"Run": task}}


def make_image(cloud: LocalCloud, context: Path) -> None:
    context.mkdir()
    (context / "run.sh").write_text(SCRIPT)
    (context / "Dockerfile").write_text('FROM scratch\nCOPY run.sh /run.sh\nENTRYPOINT ["/bin/sh", "/run.sh"]\n')
    image = cloud.images.build(context, context / "Dockerfile", lambda _: None)
    cloud.images.tag("local/app:1", image.digest)


def make_objects(s3: Any) -> None:
    where = {"CreateBucketConfiguration": {"LocationConstraint": "eu-west-1"}}
    s3.create_bucket(Bucket="plain", **where)
    s3.create_bucket(Bucket="kept", **where)
    s3.put_bucket_versioning(Bucket="kept", VersioningConfiguration={"Status": "Enabled"})
    s3.put_object(Bucket="plain", Key="a b/ü+%.html", Body=b"<p>", ContentType="text/html", Metadata={"who": "me"},
                  CacheControl="no-cache", Tagging="x=1&y=2")  # fmt: skip
    s3.put_object(Bucket="plain", Key="twice", Body=b"first")
    s3.put_object(Bucket="plain", Key="twice", Body=b"second")
    s3.put_object(Bucket="plain", Key="gone", Body=b"gone")
    s3.delete_object(Bucket="plain", Key="gone")
    s3.put_object(Bucket="plain", Key="gone too", Body=b"gone")
    s3.delete_objects(Bucket="plain", Delete={"Objects": [{"Key": "gone too"}]})
    s3.copy_object(Bucket="plain", Key="copy", CopySource="plain/twice")
    s3.put_object_tagging(Bucket="plain", Key="copy", Tagging={"TagSet": [{"Key": "later", "Value": "tagged"}]})
    upload = s3.create_multipart_upload(Bucket="plain", Key="parts", ContentType="x/y")["UploadId"]
    parts = [
        {"PartNumber": number, "ETag": s3.upload_part(Bucket="plain", Key="parts", UploadId=upload, PartNumber=number,
                                                      Body=bytes([number]) * (5 << 20))["ETag"]}
        for number in (1, 2)
    ]  # fmt: skip
    s3.complete_multipart_upload(Bucket="plain", Key="parts", UploadId=upload, MultipartUpload={"Parts": parts})
    versions = [s3.put_object(Bucket="kept", Key="v", Body=f"v{n}".encode())["VersionId"] for n in range(4)]
    s3.delete_object(Bucket="kept", Key="v")
    s3.delete_object(Bucket="kept", Key="v", VersionId=versions[1])
    s3.put_object_tagging(
        Bucket="kept", Key="v", VersionId=versions[0], Tagging={"TagSet": [{"Key": "a", "Value": "b"}]}
    )


def schedule(cloud: LocalCloud, seconds: float) -> str:
    """A schedule that is due in so many seconds, and one with a rate (that was due when it was made); the moment."""
    moment = f"{datetime.now(UTC) + timedelta(seconds=seconds):%Y-%m-%dT%H:%M:%S}"
    scheduler, sfn = cloud.server.client("scheduler"), cloud.server.client("stepfunctions")
    definition = json.dumps({"StartAt": "A", "States": {"A": {"Type": "Pass", "End": True}}})
    for name, expression in {"rate": "rate(1 hour)", "once": f"at({moment})", "off": "rate(1 hour)"}.items():
        machine = sfn.create_state_machine(name=name, definition=definition, roleArn=role(cloud))["stateMachineArn"]
        scheduler.create_schedule(
            Name=name, ScheduleExpression=expression, FlexibleTimeWindow={"Mode": "OFF"},
            State="DISABLED" if name == "off" else "ENABLED", Target={"Arn": machine, "RoleArn": role(cloud)},
        )  # fmt: skip
    arn = machine.rpartition(":")[0] + ":rate"
    wait(lambda: sfn.list_executions(stateMachineArn=arn, statusFilter="SUCCEEDED")["executions"])
    return moment


# --- what there is ---------------------------------------------------------------------------------------------------


def describe(cloud: LocalCloud) -> dict[str, Any]:
    client = cloud.server.client
    assert cloud.endpoint
    found = {
        "instance": cloud.endpoint.instance,
        "port": cloud.endpoint.port,
        "objects": objects(client("s3")),
        "executions": executions(client("stepfunctions")),
        "logs": logs(client("logs")),
        "subnets": plain(client("ec2").describe_subnets()["Subnets"]),
        "definitions": client("ecs").list_task_definitions()["taskDefinitionArns"],
        "schedules": sorted(schedule["Arn"] for schedule in client("scheduler").list_schedules()["Schedules"]),
    }
    if client("ecs").list_clusters()["clusterArns"]:
        found |= {"tasks": tasks(client("ecs")), "service": service(client("ecs"))}
    return found


def plain(answer: Any) -> Any:
    if isinstance(answer, dict):
        answer.pop("ResponseMetadata", None)
    return answer


def objects(s3: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for bucket in (each["Name"] for each in s3.list_buckets()["Buckets"]):
        listed = plain(s3.list_object_versions(Bucket=bucket))
        found[bucket] = listed
        for version in listed.get("Versions", []):
            which = {"Bucket": bucket, "Key": version["Key"], "VersionId": version["VersionId"]}
            got = plain(s3.get_object(**which))
            body = got.pop("Body").read()
            tags = s3.get_object_tagging(**which)["TagSet"]
            # moto knows no ACL of an object that came in parts.
            acl = version["Key"] == "parts" or plain(s3.get_object_acl(**which))["Grants"]
            found[f"{bucket}/{version['Key']}/{version['VersionId']}"] = [got, len(body), body[:20].hex(), tags, acl]
    return found


def executions(sfn: Any) -> dict[str, Any]:
    found = {}
    for machine in sfn.list_state_machines()["stateMachines"]:
        for listed in sfn.list_executions(stateMachineArn=machine["stateMachineArn"])["executions"]:
            arn = listed["executionArn"]
            described = plain(sfn.describe_execution(executionArn=arn))
            history = sfn.get_execution_history(executionArn=arn)["events"]
            found[f"{machine['name']}/{listed['name']}"] = {
                "listed": listed, "described": described, "history": history}  # fmt: skip
    return found


def tasks(ecs: Any) -> dict[str, Any]:
    arns = [arn for status in ("RUNNING", "STOPPED")
            for arn in ecs.list_tasks(cluster="c", desiredStatus=status)["taskArns"]]  # fmt: skip
    return {task["taskArn"]: task for task in ecs.describe_tasks(cluster="c", tasks=arns)["tasks"]}


def service(ecs: Any) -> Any:
    return ecs.describe_services(cluster="c", services=["web"])["services"][0]


def logs(client: Any) -> dict[str, Any]:
    found = {}
    for group in client.describe_log_groups()["logGroups"]:
        name = group["logGroupName"]
        for stream in client.describe_log_streams(logGroupName=name)["logStreams"]:
            stream.pop("uploadSequenceToken", None)
            events = client.get_log_events(logGroupName=name, logStreamName=stream["logStreamName"])["events"]
            found[f"{name}/{stream['logStreamName']}"] = {"stream": stream, "events": events}
    return found


if __name__ == "__main__":
    main()
