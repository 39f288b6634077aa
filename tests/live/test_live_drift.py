"""`herd drift` on a real environment: thirty things that somebody changed by hand, each explained; kept or reverted,
and then nothing differs. What runs by design elsewhere is no drift.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from harness.sandbox import Sandbox

pytestmark = [pytest.mark.live, pytest.mark.xdist_group("live-drift")]

TRAIN = """\
schedule = "0 6 * * *"
timezone = "Europe/Amsterdam"
retries  = 2
cpu = 0.25
memory_gb = 1    # enough for a month

[params]
month = 2

[[check]]
file  = "metrics.json"
value = "auc"
min   = 0.60     # below this it is of no use
"""
SCORES = """\
access = "public"
port = 8000
health = "/"
replicas = { min = 1, max = 3, target_cpu = 60 }
"""
SERVER = """\
import os
from http.server import HTTPServer, SimpleHTTPRequestHandler
HTTPServer(("", int(os.environ["PORT"])), SimpleHTTPRequestHandler).serve_forever()
"""
EVERYTHING = {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}


class Account:
    """The environment's account, as somebody sees it who has the console open."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        state = sandbox.folder / ".herd/pulumi/.pulumi/stacks/herd/dev.json"
        self._state = json.loads(state.read_text())["checkpoint"]["latest"]["resources"]
        self._clients: dict[str, Any] = {}

    def __call__(self, service: str) -> Any:
        if service not in self._clients:
            self._clients[service] = self.sandbox.client(service)
        return self._clients[service]

    def resource(self, type_: str, name: str) -> dict[str, Any]:
        """What the state has of one."""
        known = (one for one in self._state if one["urn"].endswith(f"::{name}") and f"{type_}::" in one["urn"])
        return dict(next(known))

    def id(self, type_: str, name: str) -> str:
        return str(self.resource(type_, name)["id"])

    def register(self, family: str, change: Callable[[dict[str, Any]], None]) -> str:
        """A further revision of a task definition, like the last but for the change."""
        known = self("ecs").describe_task_definition(taskDefinition=family)["taskDefinition"]
        kept = (
            "family", "taskRoleArn", "executionRoleArn", "networkMode", "containerDefinitions", "volumes", "cpu",
            "requiresCompatibilities", "memory", "ephemeralStorage", "runtimePlatform",
        )  # fmt: skip
        definition = {name: known[name] for name in kept if name in known}
        change(definition)
        return str(self("ecs").register_task_definition(**definition)["taskDefinition"]["taskDefinitionArn"])

    def task(self, definition: dict[str, Any], change: Callable[[dict[str, Any]], None]) -> None:
        """Change what HERD_TASK says in a task definition."""
        for entry in definition["containerDefinitions"][0]["environment"]:
            if entry["name"] == "HERD_TASK":
                settings = json.loads(entry["value"])
                change(settings)
                entry["value"] = json.dumps(settings)

    def schedule(self, **changed: Any) -> None:
        kept = ("FlexibleTimeWindow", "Target", "ScheduleExpression", "ScheduleExpressionTimezone", "State", "EndDate")
        name = {"Name": "herd-dev-train", "GroupName": "herd-dev"}
        known = self("scheduler").get_schedule(**name)
        self("scheduler").update_schedule(**name, **{key: known[key] for key in kept} | changed)

    def alarm(self, name: str, **changed: Any) -> None:
        known = self("cloudwatch").describe_alarms(AlarmNames=[name])["MetricAlarms"][0]
        kept = (
            "AlarmName", "AlarmDescription", "AlarmActions", "MetricName", "Namespace", "Statistic", "Dimensions",
            "Period", "EvaluationPeriods", "Threshold", "ComparisonOperator", "TreatMissingData",
        )  # fmt: skip
        self("cloudwatch").put_metric_alarm(**{key: known[key] for key in kept if key in known} | changed)

    def grant(self, role: str, policy: str, statement: dict[str, Any]) -> None:
        """Add a statement to a policy of a role."""
        name = {"RoleName": role, "PolicyName": policy}
        document = self("iam").get_role_policy(**name)["PolicyDocument"]
        document["Statement"].append(statement)
        self("iam").put_role_policy(**name, PolicyDocument=json.dumps(document))

    def days(self, days: int) -> None:
        rules = self("s3").get_bucket_lifecycle_configuration(Bucket=DATA)["Rules"]
        next(rule for rule in rules if rule["ID"] == "herd-superseded")["Expiration"] = {"Days": days}
        self("s3").put_bucket_lifecycle_configuration(Bucket=DATA, LifecycleConfiguration={"Rules": rules})


DATA = "herd-dev-123456789012-data"
BALANCER = "public-balancer"
SCALED = {
    "ServiceNamespace": "ecs",
    "ResourceId": "service/herd-dev/herd-dev-scores",
    "ScalableDimension": "ecs:service:DesiredCount",
}


@dataclass(frozen=True)
class Planted:
    """What somebody does, how a line about it reads, and whether it is dangerous. `kept`: a setting says it."""

    name: str
    do: Callable[[Account], object]
    line: str
    dangerous: bool = False
    kept: bool = False


def tracking(target: float) -> dict[str, Any]:
    metric = {"PredefinedMetricType": "ECSServiceAverageCPUUtilization"}
    return {"TargetValue": target, "PredefinedMetricSpecification": metric}


def world(port: int) -> list[dict[str, Any]]:
    return [{"IpProtocol": "tcp", "FromPort": port, "ToPort": port, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}]


def debugging(definition: dict[str, Any]) -> None:
    definition["containerDefinitions"][0]["environment"].append({"name": "DEBUG", "value": "1"})


PLANTED = [
    Planted(
        "memory", lambda on: on.register("herd-dev-train", lambda one: one.update(memory="2048")),
        "job train: memory_gb 1 → 2", kept=True,
    ),
    Planted(
        "check",
        lambda on: on.register("herd-dev-train", lambda one: on.task(one, lambda t: t["checks"][0].update(min=0.5))),
        "job train: check auc: min 0.6 → 0.5", dangerous=True, kept=True,
    ),
    Planted(
        "parameter",
        lambda on: on.register("herd-dev-train", lambda one: on.task(one, lambda t: t["params"].update(month=7))),
        "job train: params.month 2 → 7", kept=True,
    ),
    Planted(
        "variable", lambda on: on.register("herd-dev-train", debugging), "job train: env.DEBUG nothing → 1", kept=True
    ),
    Planted(
        "schedule", lambda on: on.schedule(ScheduleExpression="cron(30 7 ? * MON-FRI *)"),
        "job train: schedule 06:00 → 07:30 Mon-Fri", kept=True,
    ),
    Planted(
        "timezone", lambda on: on.schedule(ScheduleExpressionTimezone="UTC"),
        "job train: timezone Europe/Amsterdam → UTC", kept=True,
    ),
    Planted(
        "switched off", lambda on: on.schedule(State="DISABLED"),
        "job train: paused nothing → switched off by hand", dangerous=True, kept=True,
    ),
    Planted(
        "retention", lambda on: on("logs").put_retention_policy(logGroupName="/herd-dev/train", retentionInDays=3),
        "environment: log_retention_days 14 → 3", dangerous=True, kept=True,
    ),
    Planted(
        "replicas", lambda on: on("application-autoscaling").register_scalable_target(
            **SCALED, MinCapacity=2, MaxCapacity=6
        ),
        "api scores: replicas.max 3 → 6", kept=True,
    ),
    Planted(
        "target of scaling", lambda on: on("application-autoscaling").put_scaling_policy(
            **SCALED, PolicyName="herd-dev-scores-cpu", PolicyType="TargetTrackingScaling",
            TargetTrackingScalingPolicyConfiguration=tracking(90.0),
        ),
        "api scores: replicas.target_cpu 60 → 90", kept=True,
    ),
    Planted(
        "owner's tag", lambda on: on("logs").tag_resource(
            resourceArn="arn:aws:logs:eu-west-1:123456789012:log-group:/herd-dev/scores",
            tags={"herd:owner": "eve@elsewhere.org"},
        ),
        "api scores: owner data@example.com → eve@elsewhere.org", dangerous=True, kept=True,
    ),
    Planted(
        "days of versions", lambda on: on.days(5),
        "environment: keep_versions_days 30 → 5", dangerous=True, kept=True,
    ),
    Planted(
        "alarm's threshold", lambda on: on.alarm("herd-dev-scores_errors", Threshold=500.0),
        "api scores: the metric alarm herd-dev-scores_errors: threshold 5 → 500", dangerous=True,
    ),
    Planted(
        "alarm disabled", lambda on: on("cloudwatch").disable_alarm_actions(AlarmNames=["herd-dev-watch_silent"]),
        "environment: the metric alarm herd-dev-watch_silent: actions enabled on → off", dangerous=True,
    ),
    Planted(
        "alarm deleted", lambda on: on("cloudwatch").delete_alarms(AlarmNames=["herd-dev-watch_errors"]),
        "environment: the metric alarm herd-dev-watch_errors was deleted", dangerous=True,
    ),
    Planted(
        "rule disabled", lambda on: on("events").disable_rule(Name="herd-dev-watch_ticks"),
        "environment: the event rule herd-dev-watch_ticks: state ENABLED → DISABLED", dangerous=True,
    ),
    Planted(
        "rule's target removed", lambda on: on("events").remove_targets(Rule="herd-dev-watch_runs", Ids=["watch"]),
        "environment: the event target herd-dev-watch_runs was deleted", dangerous=True,
    ),
    Planted(
        "function never runs", lambda on: on("lambda").put_function_concurrency(
            FunctionName="herd-dev-watch", ReservedConcurrentExecutions=0
        ),
        "environment: the function herd-dev-watch: reserved concurrent executions 1 → 0", dangerous=True,
    ),
    Planted(
        "function's time",
        lambda on: on("lambda").update_function_configuration(FunctionName="herd-dev-watch", Timeout=3),
        "environment: the function herd-dev-watch: timeout 60 → 3", dangerous=True,
    ),
    Planted(
        "subscription", lambda on: on("sns").subscribe(
            TopicArn=on.id("topic:Topic", "watch-messages"), Protocol="sqs",
            Endpoint="arn:aws:sqs:eu-west-1:123456789012:herd-dev-missed_schedules",
        ),
        "environment: arn:aws:sqs:eu-west-1:123456789012:herd-dev-missed_schedules is subscribed to the topic", True,
    ),
    Planted(
        "port opened", lambda on: on("ec2").authorize_security_group_ingress(
            GroupId=on.id("securityGroup:SecurityGroup", "network-tasks"), IpPermissions=world(22)
        ),
        "environment: port 22 from 0.0.0.0/0 is open in the security group herd-dev-tasks", dangerous=True,
    ),
    Planted(
        "rule widened", lambda on: on("ec2").modify_security_group_rules(
            GroupId=on.id("securityGroup:SecurityGroup", "network-public-balancer"),
            SecurityGroupRules=[{
                "SecurityGroupRuleId": on.id("IngressRule:SecurityGroupIngressRule", f"{BALANCER}-in-world-80"),
                "SecurityGroupRule": {"IpProtocol": "tcp", "FromPort": 1, "ToPort": 9000, "CidrIpv4": "0.0.0.0/0"},
            }],
        ),
        "environment: the security group ingress rule callers: world: from port 80 → 1", dangerous=True,
    ),
    Planted(
        "way out removed", lambda on: on("ec2").delete_route(
            RouteTableId=on.id("routeTable:RouteTable", "network-public"), DestinationCidrBlock="0.0.0.0/0"
        ),
        "environment: the route network-out was deleted",
    ),
    Planted(
        "bucket may be public", lambda on: on("s3").delete_public_access_block(Bucket=DATA),
        f"environment: the bucket public access block {DATA} was deleted", dangerous=True,
    ),
    Planted(
        "versioning", lambda on: on("s3").put_bucket_versioning(
            Bucket=DATA, VersioningConfiguration={"Status": "Suspended"}
        ),
        f"environment: the bucket versioning {DATA}: versioning configuration status Enabled → Suspended", True,
    ),
    Planted(
        "tag", lambda on: on("s3").put_bucket_tagging(Bucket=DATA, Tagging={"TagSet": [
            {"Key": "herd:environment", "Value": "dev"}, {"Key": "herd:project", "Value": "herd"},
            {"Key": "cost", "Value": "42"},
        ]}),
        f"environment: the bucket {DATA}: tags cost nothing → 42",
    ),
    Planted(
        "policy widened", lambda on: on.grant("herd-dev-train-task", "task", EVERYTHING),
        "job train: the role policy task: newly allowed: s3:* on *", dangerous=True,
    ),
    Planted(
        "policy added", lambda on: on("iam").put_role_policy(
            RoleName="herd-dev-scores-task", PolicyName="debug",
            PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [EVERYTHING]}),
        ),
        "api scores: the role herd-dev-scores-task has a further policy, debug", dangerous=True,
    ),
    Planted(
        "policy attached", lambda on: on("iam").attach_role_policy(
            RoleName="herd-dev-train-task", PolicyArn="arn:aws:iam::aws:policy/AdministratorAccess"
        ),
        "job train: the policy arn:aws:iam::aws:policy/AdministratorAccess is attached to the role", dangerous=True,
    ),
    Planted(
        "log group deleted", lambda on: on("logs").delete_log_group(logGroupName="/herd-dev/watch_function"),
        "environment: the log group /herd-dev/watch_function was deleted", dangerous=True,
    ),
    Planted(
        "listener's rule", lambda on: on("elbv2").modify_rule(
            RuleArn=on.id("listenerRule:ListenerRule", "scores-rule"),
            Conditions=[{"Field": "path-pattern", "PathPatternConfig": {"Values": ["/*"]}}],
        ),
        'api scores: the listener rule scores-rule: conditions path pattern values ["/scores", "/scores/*"] → ["/*"]',
        dangerous=True,
    ),
    Planted(
        "tags of images", lambda on: on("ecr").put_image_tag_mutability(
            repositoryName="herd-dev/python", imageTagMutability="MUTABLE"
        ),
        "environment: the repository herd-dev/python: image tag mutability IMMUTABLE → MUTABLE", dangerous=True,
    ),
]  # fmt: skip


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    with Sandbox(tmp_path_factory.mktemp("drift") / "checkout", samples=False) as made:
        made.write("jobs/train/main.py", "print(1)\n")
        made.write("jobs/train/workload.toml", TRAIN)
        made.write("apis/scores/main.py", SERVER)
        made.write("apis/scores/workload.toml", SCORES)
        made.herd("up", "--no-run")
        yield made


def test_what_runs_by_design_elsewhere_is_no_drift(sandbox: Sandbox) -> None:
    """Copies follow the load, AWS orders policies its own way and tags what it manages."""
    on = Account(sandbox)
    on("ecs").update_service(cluster="herd-dev", service="herd-dev-scores", desiredCount=2)
    policy = on("iam").get_role_policy(RoleName="herd-dev-states", PolicyName="states")["PolicyDocument"]
    for statement in policy["Statement"]:
        if isinstance(statement["Action"], list):
            statement["Action"] = statement["Action"][::-1]
    on("iam").put_role_policy(RoleName="herd-dev-states", PolicyName="states", PolicyDocument=json.dumps(policy))
    seen = sandbox.herd("drift")
    assert seen.stdout == "nothing was changed by hand: what runs is what was deployed\n"


@pytest.fixture(scope="module")
def seen(sandbox: Sandbox) -> list[dict[str, Any]]:
    """What `herd drift` says once all of it is planted."""
    on = Account(sandbox)
    before = (sandbox.folder / ".herd/pulumi/.pulumi/stacks/herd/dev.json").read_bytes()
    for planted in PLANTED:
        planted.do(on)
    done = sandbox.herd("drift", "--json", check=False)
    assert done.returncode == 11, done.stderr
    assert (sandbox.folder / ".herd/pulumi/.pulumi/stacks/herd/dev.json").read_bytes() == before, "it only looks"
    return list(json.loads(done.stdout)["drift"])


@pytest.mark.parametrize("planted", PLANTED, ids=lambda planted: planted.name)
def test_each_thing_that_somebody_changed_is_explained(planted: Planted, seen: list[dict[str, Any]]) -> None:
    about = [one for one in seen if one["what"].startswith(planted.line)]
    assert len(about) == 1, "\n".join(one["what"] for one in seen)
    assert (bool(about[0]["dangers"]), about[0]["keep"]) == (planted.dangerous, planted.kept)


def test_nothing_else_is_said(seen: list[dict[str, Any]]) -> None:
    others = [one["what"] for one in seen if not any(one["what"].startswith(planted.line) for planted in PLANTED)]
    assert [line for line in others if "replicas.min" not in line and "to port" not in line] == []


def test_what_is_kept_stands_in_the_settings_and_the_rest_is_reverted(
    sandbox: Sandbox, seen: list[dict[str, Any]]
) -> None:
    done = sandbox.herd("drift", "--keep", "train", "--keep", "scores", "--revert", check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    train = (sandbox.folder / "jobs/train/workload.toml").read_text()
    assert "memory_gb = 2    # enough for a month\n" in train and "min   = 0.5     # below this" in train
    assert 'schedule = "30 7 * * 1-5"' in train and 'paused = "switched off by hand"' in train
    assert (
        "replicas = { min = 2, max = 6, target_cpu = 90 }" in (sandbox.folder / "apis/scores/workload.toml").read_text()
    )
    assert sandbox.herd("drift").stdout == "nothing was changed by hand: what runs is what was deployed\n"
    kept = Account(sandbox)("ecs").describe_task_definition(taskDefinition="herd-dev-train")["taskDefinition"]
    assert kept["memory"] == "2048"


def test_a_task_definition_that_was_registered_by_hand_is_taken_back(sandbox: Sandbox, seen: list[Any]) -> None:
    on = Account(sandbox)
    for megabytes in ("512", "1024"):
        on.register("herd-dev-train", lambda one, size=megabytes: one.update(memory=size))  # type: ignore[misc]
    done = sandbox.herd("drift", "train", "--revert", check=False)
    assert done.returncode == 0 and "job train: memory_gb 2 → 1" in done.stdout, done.stdout + done.stderr
    latest = on("ecs").describe_task_definition(taskDefinition="herd-dev-train")["taskDefinition"]
    assert latest["memory"] == "2048"
