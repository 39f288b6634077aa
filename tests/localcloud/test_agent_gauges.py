"""What services publish once a minute, in virtual time, and alarms on it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from localcloud import backends
from localcloud.agent.agent import Agent
from localcloud.patches.ses import identities
from localcloud.server import Server

REGION = "eu-west-1"


class Measured:
    """An account whose metrics are read, minute by minute."""

    def __init__(self, server: Server, agent: Agent, clock: Any):
        self.server, self.agent, self.clock = server, agent, clock
        clock.time = datetime(2031, 6, 2, 12, 0, 30, tzinfo=UTC)
        self.cloudwatch = server.client("cloudwatch")

    def pass_minutes(self, minutes: int = 1) -> None:
        for _ in range(minutes):
            self.clock.advance(minutes=1)
            self.agent.tick()

    def sums(self, namespace: str, name: str, minutes: int = 30, **of: str) -> list[float]:
        """The sum of each minute that has one, the oldest first."""
        end = self.clock.now() + timedelta(minutes=1)
        answer = self.cloudwatch.get_metric_statistics(
            Namespace=namespace, MetricName=name, StartTime=end - timedelta(minutes=minutes), EndTime=end, Period=60,
            Statistics=["Sum"], Dimensions=[{"Name": key, "Value": value} for key, value in of.items()],
        )  # fmt: skip
        return [float(point["Sum"]) for point in sorted(answer["Datapoints"], key=lambda point: point["Timestamp"])]


@pytest.fixture
def measured(server: Server, ticking: Agent, clock: Any) -> Measured:
    return Measured(server, ticking, clock)


def test_a_queue_publishes_its_length_and_the_age_of_what_is_in_it(measured: Measured) -> None:
    sqs = measured.server.client("sqs")
    url = sqs.create_queue(QueueName="dead")["QueueUrl"]
    measured.cloudwatch.put_metric_alarm(
        AlarmName="a", Namespace="AWS/SQS", MetricName="ApproximateNumberOfMessagesVisible", Statistic="Maximum",
        Dimensions=[{"Name": "QueueName", "Value": "dead"}], Period=60, EvaluationPeriods=1, Threshold=0.0,
        ComparisonOperator="GreaterThanThreshold", TreatMissingData="notBreaching",
    )  # fmt: skip

    def state() -> str:
        return str(measured.cloudwatch.describe_alarms()["MetricAlarms"][0]["StateValue"])

    measured.pass_minutes(2)
    assert measured.cloudwatch.list_metrics()["Metrics"] == [] and state() == "OK", "an empty queue is silent"
    sqs.send_message(QueueUrl=url, MessageBody="x")
    measured.pass_minutes(3)
    assert measured.sums("AWS/SQS", "ApproximateNumberOfMessagesVisible", QueueName="dead") == [1, 1, 1]
    assert measured.sums("AWS/SQS", "ApproximateAgeOfOldestMessage", QueueName="dead") == [60, 120, 180]
    assert state() == "ALARM"
    sqs.purge_queue(QueueUrl=url)
    measured.pass_minutes(2)
    assert measured.sums("AWS/SQS", "ApproximateNumberOfMessagesVisible", QueueName="dead") == [1, 1, 1, 0, 0]
    assert state() == "OK"
    measured.clock.advance(hours=6)
    measured.pass_minutes(2)
    assert measured.sums("AWS/SQS", "ApproximateNumberOfMessagesVisible", QueueName="dead") == []


def test_a_load_balancer_publishes_the_health_of_its_targets_and_its_requests(measured: Measured) -> None:
    ec2, elb = measured.server.client("ec2"), measured.server.client("elbv2")
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    subnets = [
        ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.0.{n}.0/24", AvailabilityZone=f"{REGION}{zone}")["Subnet"][
            "SubnetId"
        ]
        for n, zone in enumerate("ab")
    ]
    balancer = elb.create_load_balancer(Name="lb", Subnets=subnets)["LoadBalancers"][0]["LoadBalancerArn"]
    wanted = {"Name": "g", "Protocol": "HTTP", "Port": 80, "VpcId": vpc, "TargetType": "ip"}
    group = elb.create_target_group(**wanted)["TargetGroups"][0]["TargetGroupArn"]
    forward = [{"Type": "forward", "TargetGroupArn": group}]
    elb.create_listener(LoadBalancerArn=balancer, Protocol="HTTP", Port=80, DefaultActions=forward)
    of = {"LoadBalancer": balancer.split(":loadbalancer/")[1], "TargetGroup": group.split(":")[5]}
    assert of["LoadBalancer"].startswith("app/lb/") and of["TargetGroup"].startswith("targetgroup/g/")
    measured.pass_minutes()
    assert measured.sums("AWS/ApplicationELB", "HealthyHostCount", **of) == [], "without targets it says nothing"
    elb.register_targets(TargetGroupArn=group, Targets=[{"Id": "127.0.0.1", "Port": port} for port in (1, 2, 3)])
    model = backends.elbv2(measured.server.account, REGION).target_groups[group]
    for entry, state in zip(model.targets.values(), ("healthy", "healthy", "unhealthy"), strict=True):
        entry["health"] = (state, None, None)
    for status in (200, 200, 500):
        measured.agent.gauges.traffic.answered(balancer, group, status, 0.25)
    measured.agent.gauges.traffic.failed(balancer, "", 503)
    measured.pass_minutes()
    namespace, whole = "AWS/ApplicationELB", {"LoadBalancer": of["LoadBalancer"]}
    assert measured.sums(namespace, "HealthyHostCount", **of) == [2]
    assert measured.sums(namespace, "UnHealthyHostCount", **of) == [1]
    assert measured.sums(namespace, "RequestCount", **of) == measured.sums(namespace, "RequestCount", **whole) == [3]
    assert measured.sums(namespace, "HTTPCode_Target_5XX_Count", **of) == [1]
    assert measured.sums(namespace, "TargetResponseTime", **whole) == [0.75]
    assert measured.sums(namespace, "HTTPCode_ELB_5XX_Count", **whole) == [1]


@pytest.mark.parametrize(("insights", "counted"), [("disabled", []), ("enabled", [0.0])])
def test_the_number_of_tasks_exists_with_container_insights_only(
    measured: Measured, insights: str, counted: list[float]
) -> None:
    settings = [{"name": "containerInsights", "value": insights}]
    measured.server.client("ecs").create_cluster(clusterName="c", settings=settings)
    measured.pass_minutes()
    assert measured.sums("ECS/ContainerInsights", "TaskCount", ClusterName="c") == counted


def test_schedules_count_attempts_and_what_is_lost(measured: Measured) -> None:
    account = measured.server.account
    role = f"arn:aws:iam::{account}:role/r"
    measured.server.client("sqs").create_queue(QueueName="dead")
    target = {"Arn": f"arn:aws:sqs:{REGION}:{account}:absent", "RoleArn": role, "Input": "{}",
              "DeadLetterConfig": {"Arn": f"arn:aws:sqs:{REGION}:{account}:dead"}}  # fmt: skip
    measured.server.client("scheduler").create_schedule(
        Name="s", ScheduleExpression="rate(1 minutes)", FlexibleTimeWindow={"Mode": "OFF"}, Target=target
    )
    measured.agent.schedules.tick()
    measured.pass_minutes(2)
    for name in (
        "InvocationAttemptCount",
        "TargetErrorCount",
        "InvocationDroppedCount",
        "InvocationsSentToDeadLetterCount",
    ):
        assert sum(measured.sums("AWS/Scheduler", name, ScheduleGroup="default")) == 3, name


def test_what_services_have_published_is_forgotten_some_day(measured: Measured) -> None:
    measured.agent.meters.count(REGION, "AWS/Lambda", "Errors", {"FunctionName": "f"})
    measured.pass_minutes()
    assert measured.cloudwatch.list_metrics()["Metrics"]
    measured.clock.advance(days=16)
    measured.pass_minutes()
    assert measured.cloudwatch.list_metrics()["Metrics"] == []


def test_mail_that_is_sent_is_counted(measured: Measured, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(identities, "is_verified", lambda backend, name: True)
    content = {"Simple": {"Subject": {"Data": "s"}, "Body": {"Text": {"Data": "t"}}}}
    to = {"ToAddresses": ["you@example.com"]}
    ses = measured.server.client("sesv2")
    ses.send_email(FromEmailAddress="me@example.com", Destination=to, Content=content)
    assert measured.sums("AWS/SES", "Send") == measured.sums("AWS/SES", "Delivery") == [1]
