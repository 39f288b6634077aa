"""AWS's services act by roles: ECS for a task, Step Functions for a machine, Scheduler for a schedule."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from localcloud.agent.agent import Agent
from tests.localcloud.conftest import AnyImage, Cloud, CommandEngine, FakeClock, PlainEnvironment
from tests.localcloud.iam.acting import Account, Statement, allow, trust

TASKS, STATES, SCHEDULER = "ecs-tasks.amazonaws.com", "states.amazonaws.com", "scheduler.amazonaws.com"
LOGS = ["logs:CreateLogStream", "logs:PutLogEvents"]
EVENTS = ["events:PutTargets", "events:PutRule", "events:DescribeRule"]
WATCH = ["ecs:DescribeTasks", "ecs:StopTask"]


@pytest.fixture
def cloud(account: Account) -> Iterator[Cloud]:
    engine, environment = CommandEngine(), PlainEnvironment()
    agent = Agent(account.server, engine, AnyImage(), environment)
    agent.start()
    yield Cloud(account.server, agent, engine, environment)
    agent.stop(timeout=5)


def define(cloud: Cloud, execution: str, task: str = "", image: str = "image", **container: Any) -> str:
    """A task definition with these roles that exits at once."""
    options = {"awslogs-group": "/g", "awslogs-region": "eu-west-1", "awslogs-stream-prefix": "p"}
    definition = {
        "name": "main",
        "image": image,
        "command": ["sh", "-c", "echo $KEY"],
        "logConfiguration": {"logDriver": "awslogs", "options": options},
        **container,
    }
    arn: str = cloud.ecs.register_task_definition(
        family="f", requiresCompatibilities=["FARGATE"], networkMode="awsvpc", cpu="256", memory="512",
        executionRoleArn=execution, containerDefinitions=[definition], **({"taskRoleArn": task} if task else {}),
    )["taskDefinition"]["taskDefinitionArn"]  # fmt: skip
    return arn


def secret(account: Account) -> str:
    arn: str = account.root("secretsmanager").create_secret(Name="dev/key", SecretString="hush")["ARN"]
    return arn


# --- ECS -------------------------------------------------------------------------------------------------------------

IMAGE = "111122223333.dkr.ecr.eu-west-1.localhost:4999/dev/python:1"
PULL = [
    allow("ecr:GetAuthorizationToken"),
    allow(["ecr:BatchCheckLayerAvailability", "ecr:GetDownloadUrlForLayer", "ecr:BatchGetImage"],
          "arn:aws:ecr:eu-west-1:111122223333:repository/dev/python"),
]  # fmt: skip


def test_with_all_of_it_a_task_runs(cloud: Cloud, account: Account) -> None:
    arn = secret(account)
    role = account.role(
        allow(LOGS, "arn:aws:logs:*:*:log-group:/g:*"), allow("secretsmanager:GetSecretValue", arn), *PULL
    )
    definition = define(cloud, role, image=IMAGE, secrets=[{"name": "KEY", "valueFrom": arn}])
    task = cloud.run(definition)
    assert cloud.stopped(task)["stopCode"] == "EssentialContainerExited"
    assert cloud.lines(task) == ["hush"]


@pytest.mark.parametrize(
    ("lacks", "reason"),
    [
        (
            "logs:CreateLogStream",
            "ResourceInitializationError: failed to validate logger args: create stream has been ",
        ),
        ("secretsmanager:GetSecretValue", "ResourceInitializationError: unable to pull secrets or registry auth: "),
        ("ecr:GetAuthorizationToken", "ResourceInitializationError: unable to pull secrets or registry auth: "),
        ("ecr:BatchGetImage", "CannotPullContainerError: "),
    ],
)
def test_what_the_execution_role_lacks_keeps_a_task_from_starting(
    cloud: Cloud, account: Account, lacks: str, reason: str
) -> None:
    arn = secret(account)
    actions = [*LOGS, "secretsmanager:GetSecretValue", "ecr:GetAuthorizationToken", *PULL[1]["Action"]]
    role = account.role(allow([action for action in actions if action != lacks]))
    task = cloud.stopped(cloud.run(define(cloud, role, image=IMAGE, secrets=[{"name": "KEY", "valueFrom": arn}])))
    assert task["stopCode"] == "TaskFailedToStart"
    assert task["stoppedReason"].startswith(reason)
    assert f'add: {{"Effect":"Allow","Action":"{lacks}","Resource":' in task["stoppedReason"]


def test_without_put_log_events_a_task_runs_and_its_lines_are_lost(cloud: Cloud, account: Account) -> None:
    task = cloud.run(define(cloud, account.role(allow("logs:CreateLogStream"))))
    assert cloud.stopped(task)["stopCode"] == "EssentialContainerExited"
    assert cloud.lines(task) == []


@pytest.mark.parametrize("which", ["task", "execution"])
def test_a_role_that_does_not_trust_ecs_is_refused_by_run_task(cloud: Cloud, account: Account, which: str) -> None:
    good, bad = account.role(allow("*")), account.role(allow("*"), trusted=trust("lambda.amazonaws.com"))
    definition = define(cloud, bad if which == "execution" else good, bad if which == "task" else good)
    with pytest.raises(ClientError, match="ECS was unable to assume the role") as refused:
        cloud.run(definition)
    assert '"Principal":{"Service":"ecs-tasks.amazonaws.com"}' in str(refused.value)


@pytest.mark.parametrize(
    ("condition", "trusted"),
    [
        ({"StringEquals": {"aws:SourceAccount": "ACCOUNT"}}, True),
        ({"StringEquals": {"aws:SourceAccount": "111122223333"}}, False),
        ({"ArnLike": {"aws:SourceArn": "arn:aws:ecs:eu-west-1:ACCOUNT:*"}}, True),
        ({"ArnLike": {"aws:SourceArn": "arn:aws:ecs:eu-central-1:ACCOUNT:*"}}, False),
        ({"ArnLike": {"aws:SourceArn": "arn:aws:ecs:eu-west-1:ACCOUNT:cluster/c"}}, False),
    ],
)
def test_the_trust_may_be_narrowed_to_account_and_region(
    cloud: Cloud, account: Account, condition: dict[str, Any], trusted: bool
) -> None:
    role = account.role(
        allow("*"), trusted=trust(TASKS, **json.loads(json.dumps(condition).replace("ACCOUNT", account.id)))
    )
    definition = define(cloud, role)
    if trusted:
        cloud.stopped(cloud.run(definition))
    else:
        with pytest.raises(ClientError, match="unable to assume"):
            cloud.run(definition)


# --- Step Functions --------------------------------------------------------------------------------------------------


def state(cloud: Cloud, definition: str, resource: str = "arn:aws:states:::ecs:runTask.sync") -> dict[str, Any]:
    network = {"AwsvpcConfiguration": {"Subnets": cloud.network["awsvpcConfiguration"]["subnets"]}}
    parameters = {
        "Cluster": "c",
        "LaunchType": "FARGATE",
        "TaskDefinition": definition,
        "NetworkConfiguration": network,
    }
    one = {"Type": "Task", "Resource": resource, "Parameters": parameters, "End": True}
    return {"StartAt": "One", "States": {"One": one}}


def machine_role(account: Account, *statements: Statement) -> str:
    return account.role(*statements, trusted=trust(STATES))


def machine(cloud: Cloud, role: str, definition: dict[str, Any]) -> str:
    arn: str = cloud.sfn.create_state_machine(name="m", definition=json.dumps(definition), roleArn=role)[
        "stateMachineArn"
    ]
    return arn


def permissions(account: Account, without: str = "") -> list[Statement]:
    cluster = {"ArnEquals": {"ecs:cluster": f"arn:aws:ecs:eu-west-1:{account.id}:cluster/c"}}
    passed = {"StringEquals": {"iam:PassedToService": TASKS}}
    whole = [
        allow("ecs:RunTask", f"arn:aws:ecs:eu-west-1:{account.id}:task-definition/f:*", **cluster),
        allow("iam:PassRole", f"arn:aws:iam::{account.id}:role/team/*", **passed),
        *(allow(action, f"arn:aws:ecs:eu-west-1:{account.id}:task/c/*") for action in WATCH),
        *(allow(action, f"arn:aws:events:eu-west-1:{account.id}:rule/StepFunctionsGetEvents*") for action in EVENTS),
    ]
    return [statement for statement in whole if statement["Action"] != without]


def test_a_machine_runs_a_task_with_exactly_these_permissions(cloud: Cloud, account: Account) -> None:
    definition = define(cloud, account.role(allow(LOGS)), account.role())
    arn = machine(cloud, machine_role(account, *permissions(account)), state(cloud, definition))
    assert cloud.execute(arn)["status"] == "SUCCEEDED"


@pytest.mark.parametrize("without", ["ecs:RunTask", "iam:PassRole", "ecs:DescribeTasks"])
def test_an_execution_fails_with_what_its_role_lacks(cloud: Cloud, account: Account, without: str) -> None:
    definition = define(cloud, account.role(allow(LOGS)), account.role())
    role = machine_role(account, *permissions(account, without))
    ended = cloud.execute(machine(cloud, role, state(cloud, definition)))
    assert (ended["status"], ended["error"]) == ("FAILED", "ECS.AccessDeniedException")
    assert f"is not authorized to perform: {without} on resource: arn:aws:" in ended["cause"]
    assert f'add: {{"Effect":"Allow","Action":"{without}"' in ended["cause"]


@pytest.mark.parametrize("without", EVENTS)
def test_a_machine_that_waits_needs_the_rules_of_events(cloud: Cloud, account: Account, without: str) -> None:
    role = machine_role(account, *permissions(account, without))
    with pytest.raises(ClientError, match="is not authorized to create managed-rule") as refused:
        machine(cloud, role, state(cloud, "f:1"))
    assert without in str(refused.value)
    machine(cloud, role, state(cloud, "f:1", "arn:aws:states:::ecs:runTask"))


def test_a_role_that_does_not_trust_step_functions_makes_no_machine(cloud: Cloud, account: Account) -> None:
    with pytest.raises(ClientError, match="nor the regional one is authorized to assume the provided role"):
        machine(cloud, account.role(allow("*")), {"StartAt": "One", "States": {"One": {"Type": "Succeed"}}})


def test_a_task_goes_on_when_the_machine_may_not_stop_it(cloud: Cloud, account: Account) -> None:
    definition = define(cloud, account.role(allow(LOGS)), command=["sleep", "60"])
    arn = machine(cloud, machine_role(account, *permissions(account, "ecs:StopTask")), state(cloud, definition))
    execution = cloud.sfn.start_execution(stateMachineArn=arn)["executionArn"]
    wait_for_one_task(cloud)
    cloud.sfn.stop_execution(executionArn=execution)
    cloud.finished(execution)
    task = cloud.ecs.list_tasks(cluster="c")["taskArns"][0]
    assert cloud.task(task)["desiredStatus"] == "RUNNING"


def wait_for_one_task(cloud: Cloud) -> None:
    from tests.localcloud.conftest import eventually

    eventually(lambda: cloud.ecs.list_tasks(cluster="c", desiredStatus="RUNNING")["taskArns"])


# --- EventBridge Scheduler -------------------------------------------------------------------------------------------


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(datetime.now(UTC).replace(second=0, microsecond=0) + timedelta(days=1))


@pytest.fixture
def ticking(account: Account, clock: FakeClock) -> Iterator[Agent]:
    agent = Agent(account.server, CommandEngine(), AnyImage(), PlainEnvironment(), clock)
    yield agent
    agent.stop(timeout=5)


def schedule(account: Account, role: str, target: str, **more: Any) -> None:
    account.root("scheduler").create_schedule(
        Name="s", ScheduleExpression="rate(1 minute)", FlexibleTimeWindow={"Mode": "OFF"},
        Target={"Arn": target, "RoleArn": role, "RetryPolicy": {"MaximumRetryAttempts": 0}, **more},
    )  # fmt: skip


def empty_machine(account: Account) -> str:
    arn: str = account.root("stepfunctions").create_state_machine(
        name="m",
        roleArn=machine_role(account),
        definition=json.dumps({"StartAt": "One", "States": {"One": {"Type": "Succeed"}}}),
    )["stateMachineArn"]
    return arn


def executions(account: Account, machine: str) -> int:
    return len(account.root("stepfunctions").list_executions(stateMachineArn=machine)["executions"])


def test_a_schedule_starts_what_its_role_may_start(ticking: Agent, clock: FakeClock, account: Account) -> None:
    target = empty_machine(account)
    group = f"arn:aws:scheduler:eu-west-1:{account.id}:schedule-group/default"
    trusted = trust(SCHEDULER, ArnLike={"aws:SourceArn": group}, StringEquals={"aws:SourceAccount": account.id})
    schedule(account, account.role(allow("states:StartExecution", target), trusted=trusted), target)
    ticking.tick()
    assert executions(account, target) == 1


def test_what_a_schedule_may_not_start_goes_to_its_queue(
    ticking: Agent, clock: FakeClock, account: Account, caplog: pytest.LogCaptureFixture
) -> None:
    target, sqs = empty_machine(account), account.root("sqs")
    url = sqs.create_queue(QueueName="dead")["QueueUrl"]
    queue = f"arn:aws:sqs:eu-west-1:{account.id}:dead"
    role = account.role(allow("sqs:SendMessage", queue), trusted=trust(SCHEDULER))
    schedule(account, role, target, DeadLetterConfig={"Arn": queue})
    ticking.tick()
    assert executions(account, target) == 0
    message = sqs.receive_message(QueueUrl=url, MessageAttributeNames=["All"])["Messages"][0]["MessageAttributes"]
    assert message["ERROR_CODE"]["StringValue"] == "AccessDeniedException"
    assert "states:StartExecution" in message["ERROR_MESSAGE"]["StringValue"]


def test_a_lost_firing_is_told_with_both_reasons(
    ticking: Agent, clock: FakeClock, account: Account, caplog: pytest.LogCaptureFixture
) -> None:
    target = empty_machine(account)
    account.root("sqs").create_queue(QueueName="dead")
    queue = f"arn:aws:sqs:eu-west-1:{account.id}:dead"
    with caplog.at_level(logging.WARNING):
        schedule(account, account.role(trusted=trust(SCHEDULER)), target, DeadLetterConfig={"Arn": queue})
        ticking.tick()
    lost = next(record.getMessage() for record in caplog.records if "is lost" in record.getMessage())
    assert "states:StartExecution" in lost and "sqs:SendMessage" in lost


def test_a_role_that_does_not_trust_scheduler_makes_no_schedule(account: Account) -> None:
    with pytest.raises(ClientError, match="must allow AWS EventBridge Scheduler to assume the role"):
        schedule(account, account.role(allow("*")), "arn:aws:sqs:eu-west-1:1:q")
