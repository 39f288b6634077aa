"""Services: rolled out without a gap, watched by health checks, kept alive, broken off and rolled back."""

from __future__ import annotations

import json
import sys
import time
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from localcloud import backends

PASS = {"StartAt": "A", "States": {"A": {"Type": "Pass", "End": True}}}

WEB = """
import http.server, os, sys, time
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        status = int(os.environ.get("STATUS", "200")) if self.path == "/health" else 200
        if os.path.exists(os.environ.get("SICK", "/nonexistent")): status = 500
        self.send_response(status); self.end_headers(); self.wfile.write(os.environ["VERSION"].encode())
    def log_message(self, *a): pass
http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"""


class Web:
    """A service of a small web server behind a target group."""

    def __init__(self, cloud: Any):
        self.cloud = cloud
        elb = self.elb = cloud.server.client("elbv2")
        ec2 = cloud.server.client("ec2")
        subnets = cloud.network["awsvpcConfiguration"]["subnets"]
        other = ec2.create_subnet(VpcId=cloud.vpc, CidrBlock="10.0.1.0/24", AvailabilityZone="eu-west-1b")["Subnet"]
        subnets = [*subnets, other["SubnetId"]]
        balancer = elb.create_load_balancer(Name="lb", Subnets=subnets)["LoadBalancers"][0]
        self.dns_name = balancer["DNSName"]
        self.group = elb.create_target_group(
            Name="web",
            Protocol="HTTP",
            Port=8000,
            VpcId=cloud.vpc,
            TargetType="ip",
            HealthCheckPath="/health",
            HealthCheckIntervalSeconds=5,
            HealthCheckTimeoutSeconds=2,
            UnhealthyThresholdCount=2,
            Matcher={"HttpCode": "200-299"},
        )["TargetGroups"][0]["TargetGroupArn"]
        model = backends.elbv2(cloud.server.account, cloud.server.region).target_groups[self.group]
        model.health_check_interval_seconds = 0.3  # AWS takes no less than five seconds; tests have less time
        model.health_check_timeout_seconds = 30  # what answers does so at once, unless the machine is busy
        elb.modify_target_group_attributes(
            TargetGroupArn=self.group, Attributes=[{"Key": "deregistration_delay.timeout_seconds", "Value": "0"}]
        )
        elb.create_listener(
            LoadBalancerArn=balancer["LoadBalancerArn"],
            Protocol="HTTP",
            Port=80,
            DefaultActions=[{"Type": "forward", "TargetGroupArn": self.group}],
        )

    def define(self, version: str, **variables: str) -> str:
        environment = [{"name": key, "value": value} for key, value in {"VERSION": version, **variables}.items()]
        arn: str = self.cloud.define(
            sys.executable, "-c", WEB, family="web", portMappings=[{"containerPort": 8000}], environment=environment
        )
        return arn

    def create(self, definition: str, desired: int = 1, **parameters: Any) -> Any:
        return self.cloud.ecs.create_service(
            cluster="c",
            serviceName="web",
            taskDefinition=definition,
            desiredCount=desired,
            launchType="FARGATE",
            networkConfiguration=self.cloud.network,
            loadBalancers=[{"targetGroupArn": self.group, "containerName": "main", "containerPort": 8000}],
            **parameters,
        )

    def update(self, **parameters: Any) -> Any:
        return self.cloud.ecs.update_service(cluster="c", service="web", **parameters)

    def show(self) -> dict[str, Any]:
        found: dict[str, Any] = self.cloud.ecs.describe_services(cluster="c", services=["web"])["services"][0]
        return found

    def steady(self) -> bool:
        shown = self.show()
        deployments = shown["deployments"]
        return (
            len(deployments) == 1
            and deployments[0]["rolloutState"] == "COMPLETED"
            and shown["runningCount"] == shown["desiredCount"]
        )

    def targets(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.elb.describe_target_health(TargetGroupArn=self.group)[
            "TargetHealthDescriptions"
        ]
        return found

    def healthy(self) -> list[int]:
        """The ports of the targets that a load balancer would send to."""
        return [t["Target"]["Port"] for t in self.targets() if t["TargetHealth"]["State"] == "healthy"]

    def answers(self) -> list[str]:
        """What the healthy targets say. One may go between the question and the request, and is left out then."""
        said = []
        for port in self.healthy():
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5) as response:
                    said.append(response.read().decode())
            except OSError:
                assert port not in self.healthy(), f"the target at {port} counts as healthy and does not answer"
        return said

    def measured(self) -> set[str]:
        """The metrics that two minutes of the service have given."""
        for _ in range(2):
            self.cloud.agent.gauges._minute = -1.0
            self.cloud.agent.gauges.tick()
        cloudwatch = self.cloud.server.client("cloudwatch")
        of = [{"Name": "ServiceName", "Value": "web"}, {"Name": "TargetGroup", "Value": self.group.split(":")[5]}]
        return {
            metric["MetricName"]
            for each in of
            for metric in cloudwatch.list_metrics(Dimensions=[each])["Metrics"]
            if metric["MetricName"] not in ("RequestCount", "TargetResponseTime", "HTTPCode_Target_2XX_Count")
        }

    def tasks(self) -> list[str]:
        arns: list[str] = self.cloud.ecs.list_tasks(cluster="c", serviceName="web")["taskArns"]
        return arns


@pytest.fixture
def web(cloud: Any) -> Iterator[Web]:
    yield Web(cloud)


def test_a_service_is_rolled_out_and_scaled(web: Web, wait_until: Any) -> None:
    created = web.create(web.define("one"))["service"]
    assert (created["runningCount"], created["status"]) == (0, "ACTIVE")
    assert created["deployments"][0]["rolloutState"] == "IN_PROGRESS"
    wait_until(web.steady)
    assert web.answers() == ["one"]
    assert web.targets()[0]["Target"]["Id"] == "127.0.0.1"
    assert web.measured() == {"CPUUtilization", "HealthyHostCount", "MemoryUtilization", "UnHealthyHostCount"}
    web.update(desiredCount=3)
    wait_until(lambda: web.steady() and len(web.answers()) == 3)
    web.update(desiredCount=1)
    wait_until(lambda: web.steady() and len(web.answers()) == 1)
    assert web.show()["events"][0]["message"].startswith("(service web) ")


def test_a_new_definition_replaces_the_old_one_without_a_gap(web: Web, wait_until: Any) -> None:
    web.create(web.define("one"))
    wait_until(web.steady)
    web.update(taskDefinition=web.define("two"))
    seen: list[list[int]] = []

    def replaced() -> bool:
        seen.append(web.healthy())
        return web.steady() and web.answers() == ["two"]

    wait_until(replaced)
    assert all(seen), "there was a moment without a healthy target"


def test_a_task_that_dies_is_replaced(web: Web, wait_until: Any) -> None:
    web.create(web.define("one"))
    wait_until(web.steady)
    first = web.tasks()
    handle = web.cloud.agent.tasks._runs[first[0]].handles["main"]
    handle.stop()
    wait_until(lambda: web.tasks() and web.tasks() != first and web.steady() and web.answers() == ["one"])
    assert any("stopped: Essential container" in event["message"] for event in web.show()["events"])


def test_a_task_that_turns_sick_is_replaced(web: Web, wait_until: Any, tmp_path: Any) -> None:
    sick = tmp_path / "sick"
    web.create(web.define("one", SICK=str(sick)))
    wait_until(web.steady)
    first = web.tasks()[0]
    sick.touch()
    wait_until(lambda: web.cloud.task(first)["lastStatus"] == "STOPPED")
    sick.unlink()
    stopped = web.cloud.task(first)
    assert stopped["stoppedReason"] == f"Task failed ELB health checks in (target-group {web.group})"
    wait_until(lambda: web.steady() and web.answers() == ["one"])


def test_grace_period_spares_a_task_that_is_not_healthy_yet(web: Web, wait_until: Any) -> None:
    web.create(web.define("one", STATUS="503"), healthCheckGracePeriodSeconds=3600)
    # Before the program listens there is another reason: nobody answers.
    refused = "Health checks failed with these codes: [503]"
    wait_until(lambda: [t["TargetHealth"].get("Description") for t in web.targets()] == [refused])
    assert web.targets()[0]["TargetHealth"]["State"] == "unhealthy"
    assert web.show()["runningCount"] == 1


def test_circuit_breaker_rolls_back(web: Web, wait_until: Any) -> None:
    breaker = {"deploymentCircuitBreaker": {"enable": True, "rollback": True}}
    good = web.define("one")
    web.create(good, deploymentConfiguration=breaker)
    wait_until(web.steady)
    first = web.tasks()
    bad = web.cloud.define("false", family="web", portMappings=[{"containerPort": 8000}])
    assert web.update(taskDefinition=bad)["service"]["deploymentConfiguration"]["deploymentCircuitBreaker"]["rollback"]
    wait_until(lambda: web.show()["taskDefinition"] == good and web.steady())
    assert "rolling back" in web.show()["deployments"][0]["rolloutStateReason"]
    assert web.answers() == ["one"]
    assert web.tasks() == first, "the task that worked was kept"


def test_a_program_that_ends_soon_is_no_service_even_without_a_health_check(cloud: Any, wait_until: Any) -> None:
    def create(name: str, command: str) -> None:
        cloud.ecs.create_service(
            cluster="c", serviceName=name, taskDefinition=cloud.define("sh", "-c", command, family=name),
            desiredCount=1, launchType="FARGATE", networkConfiguration=cloud.network,
            deploymentConfiguration={"deploymentCircuitBreaker": {"enable": True, "rollback": True}},
        )  # fmt: skip

    def state(name: str) -> str:
        found = cloud.ecs.describe_services(cluster="c", services=[name])["services"][0]["deployments"][0]
        return str(found["rolloutState"])

    create("bad", "sleep 0.5; exit 1")
    create("good", "exec sleep 60")
    seen: set[str] = set()
    wait_until(lambda: seen.add(state("bad")) or "FAILED" in seen)
    assert "COMPLETED" not in seen
    wait_until(lambda: state("good") == "COMPLETED")


def test_without_a_last_good_deployment_the_breaker_only_stops(web: Web, wait_until: Any) -> None:
    breaker = {"deploymentCircuitBreaker": {"enable": True, "rollback": True}}
    bad = web.cloud.define("false", family="web", portMappings=[{"containerPort": 8000}])
    web.create(bad, deploymentConfiguration=breaker)
    wait_until(lambda: web.show()["deployments"][0]["rolloutState"] == "FAILED")
    shown = web.show()["deployments"][0]
    assert shown["failedTasks"] == 3
    web.update(taskDefinition=web.define("two"))
    wait_until(lambda: web.steady() and web.answers() == ["two"])


def test_deployments_are_told_on_the_bus(web: Web, wait_until: Any) -> None:
    events, sqs = web.cloud.server.client("events"), web.cloud.server.client("sqs")
    queue = sqs.create_queue(QueueName="q")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    pattern = {"source": ["aws.ecs"], "detail-type": ["ECS Deployment State Change"]}
    events.put_rule(Name="r", EventPattern=json.dumps(pattern))
    events.put_targets(Rule="r", Targets=[{"Id": "1", "Arn": arn, "InputPath": "$.detail.eventName"}])
    web.create(web.define("one"))
    wait_until(web.steady)
    names: list[str] = []

    def told() -> bool:
        for message in sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages", []):
            names.append(json.loads(message["Body"]))
            sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
        return len(names) == 2

    wait_until(told)
    assert names == ["SERVICE_DEPLOYMENT_IN_PROGRESS", "SERVICE_DEPLOYMENT_COMPLETED"]


def test_force_new_deployment_replaces_tasks(web: Web, wait_until: Any) -> None:
    web.create(web.define("one"))
    wait_until(web.steady)
    first = web.tasks()
    web.update(forceNewDeployment=True)
    wait_until(lambda: web.steady() and web.tasks() and set(web.tasks()).isdisjoint(first))


def test_an_idle_cloud_costs_next_to_nothing(web: Web, wait_until: Any) -> None:
    scheduler = web.cloud.server.client("scheduler")
    for number in range(10):
        scheduler.create_schedule(
            Name=f"s{number}",
            ScheduleExpression=f"cron(0 {number} * * ? *)",
            FlexibleTimeWindow={"Mode": "OFF"},
            Target={"Arn": web.cloud.machine(PASS, f"m{number}"), "RoleArn": "arn:aws:iam::123456789012:role/r"},
        )
    web.create(web.define("one"))
    wait_until(web.steady)
    model = backends.elbv2(web.cloud.server.account, web.cloud.server.region).target_groups[web.group]
    model.health_check_interval_seconds = 5
    time.sleep(0.5)
    before = time.process_time()
    time.sleep(3)
    assert (time.process_time() - before) / 3 < 0.02


def test_deletion_drains_and_then_frees_the_cluster(web: Web, wait_until: Any) -> None:
    ecs = web.cloud.ecs
    web.create(web.define("one"))
    wait_until(web.steady)
    with pytest.raises(ecs.exceptions.ClusterContainsServicesException):
        ecs.delete_cluster(cluster="c")
    web.update(desiredCount=0)
    assert ecs.delete_service(cluster="c", service="web")["service"]["status"] == "DRAINING"
    wait_until(lambda: web.show()["status"] == "INACTIVE")
    assert ecs.list_services(cluster="c")["serviceArns"] == []
    assert web.targets() == []
    ecs.delete_cluster(cluster="c")
