"""State machines: the language as AWS runs it, and tasks that follow what they started."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

RUN_TASK = "arn:aws:states:::ecs:runTask.sync"


def run_task(cloud: Any, definition: str, **fields: Any) -> dict[str, Any]:
    """A state that runs a task to its end."""
    return {
        "Type": "Task",
        "Resource": RUN_TASK,
        "Parameters": {
            "Cluster": "c",
            "LaunchType": "FARGATE",
            "TaskDefinition": definition,
            "NetworkConfiguration": {
                "AwsvpcConfiguration": {"Subnets": cloud.network["awsvpcConfiguration"]["subnets"]}
            },
            **fields.pop("Parameters", {}),
        },
        **fields,
    }


def one(state: dict[str, Any], **others: Any) -> dict[str, Any]:
    return {"StartAt": "One", "States": {"One": state, **others}}


def ended(state: dict[str, Any], name: str = "One") -> dict[str, Any]:
    """A machine of one state, or a scope in one: names are unique in a whole machine."""
    return {"StartAt": name, "States": {name: {**state, "End": True}}}


def test_run_task_sync_gives_the_task(cloud: Any) -> None:
    done = cloud.execute(cloud.machine(ended(run_task(cloud, cloud.define("true")))))
    assert done["status"] == "SUCCEEDED"
    task = json.loads(done["output"])
    assert task["Containers"][0]["ExitCode"] == 0
    assert (task["LastStatus"], task["StartedBy"]) == ("STOPPED", "AWS Step Functions")
    assert task["StoppedAt"] >= task["StartedAt"] > 1.6e12


def test_an_exit_code_is_caught_and_looked_at(cloud: Any) -> None:
    states = {
        "Parse": {
            "Type": "Pass",
            "Parameters": {"cause.$": "States.StringToJson($.error.Cause)", "error.$": "$.error.Error"},
            "Next": "Look",
        },
        "Look": {
            "Type": "Choice",
            "Choices": [{"Variable": "$.cause.Containers[0].ExitCode", "NumericEquals": 65, "Next": "Checked"}],
            "Default": "Other",
        },
        "Checked": {"Type": "Fail", "Error": "CheckFailed", "CausePath": "$.cause.StoppedReason"},
        "Other": {"Type": "Fail", "Error": "Failed"},
    }
    catch = [{"ErrorEquals": ["States.TaskFailed"], "ResultPath": "$.error", "Next": "Parse"}]
    task = run_task(cloud, cloud.define("sh", "-c", "exit 65"), Catch=catch, End=True)
    done = cloud.execute(cloud.machine(one(task, **states)))
    assert (done["status"], done["error"]) == ("FAILED", "CheckFailed")
    assert done["cause"] == "Essential container in task exited"


def test_a_task_that_never_starts_fails_with_its_reason(cloud: Any) -> None:
    done = cloud.execute(cloud.machine(ended(run_task(cloud, cloud.define("true", image="missing")))))
    assert (done["status"], done["error"]) == ("FAILED", "States.TaskFailed")
    cause = json.loads(done["cause"])
    assert cause["StopCode"] == "TaskFailedToStart"
    assert cause["StoppedReason"].startswith("CannotPullContainerError")


def test_overrides_reach_the_task(cloud: Any) -> None:
    overrides = {
        "ContainerOverrides": [
            {"Name": "main", "Environment": [{"Name": "RUN", "Value.$": "$$.Execution.Name"}]},
        ]
    }
    state = run_task(cloud, cloud.define("sh", "-c", "echo $RUN"), Parameters={"Overrides": overrides})
    done = cloud.execute(cloud.machine(ended(state)), name="run-1")
    assert cloud.lines(json.loads(done["output"])["TaskArn"]) == ["run-1"]


def test_a_time_limit_stops_the_task(cloud: Any, wait_until: Any) -> None:
    done = cloud.execute(cloud.machine(ended(run_task(cloud, cloud.define("sleep", "60"), TimeoutSeconds=1))))
    assert (done["status"], done["error"]) == ("FAILED", "States.Timeout")
    wait_until(lambda: cloud.ecs.list_tasks(cluster="c", desiredStatus="STOPPED")["taskArns"])
    (task,) = cloud.ecs.list_tasks(cluster="c", desiredStatus="STOPPED")["taskArns"]
    assert cloud.stopped(task)["stopCode"] == "UserInitiated"


def test_a_machines_time_limit_stops_the_task(cloud: Any) -> None:
    machine = {**ended(run_task(cloud, cloud.define("sleep", "60"))), "TimeoutSeconds": 1}
    done = cloud.execute(cloud.machine(machine))
    assert done["status"] == "TIMED_OUT"
    assert done["stopDate"]


def test_stop_execution_stops_the_task_and_keeps_the_cause(cloud: Any, wait_until: Any) -> None:
    machine = cloud.machine(ended(run_task(cloud, cloud.define("sleep", "60"))))
    arn = cloud.sfn.start_execution(stateMachineArn=machine)["executionArn"]
    wait_until(lambda: cloud.ecs.list_tasks(cluster="c")["taskArns"])
    task = cloud.running(cloud.ecs.list_tasks(cluster="c")["taskArns"][0])
    cloud.sfn.stop_execution(executionArn=arn, error="Me", cause="enough")
    done = cloud.finished(arn)
    assert (done["status"], done["error"], done["cause"]) == ("ABORTED", "Me", "enough")
    stopped = cloud.stopped(task["taskArn"])
    assert (stopped["stopCode"], stopped["containers"][0]["exitCode"]) == ("UserInitiated", 143)
    history = cloud.sfn.get_execution_history(executionArn=arn)["events"]
    assert "TaskSucceeded" not in [event["type"] for event in history]


def test_stop_right_after_start_aborts(cloud: Any) -> None:
    machine = cloud.machine(ended({"Type": "Wait", "Seconds": 60}))
    arn = cloud.sfn.start_execution(stateMachineArn=machine)["executionArn"]
    cloud.sfn.stop_execution(executionArn=arn)
    assert cloud.finished(arn)["status"] == "ABORTED"


def test_a_failing_branch_stops_its_siblings_task(cloud: Any, wait_until: Any, tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    fail = f"while [ ! -e {runs} ]; do sleep 0.05; done; exit 1"
    parallel = {
        "Type": "Parallel",
        "Branches": [
            ended(run_task(cloud, cloud.define("sh", "-c", fail, family="bad")), "Bad"),
            ended(run_task(cloud, cloud.define("sh", "-c", f"touch {runs}; exec sleep 60", family="long")), "Long"),
        ],
        "Catch": [{"ErrorEquals": ["States.TaskFailed"], "ResultPath": "$.error", "Next": "Caught"}],
        "End": True,
    }
    done = cloud.execute(cloud.machine(one(parallel, Caught={"Type": "Pass", "Result": "caught", "End": True})))
    assert (done["status"], done["output"]) == ("SUCCEEDED", '"caught"')
    wait_until(lambda: cloud.ecs.list_tasks(cluster="c", family="long", desiredStatus="STOPPED")["taskArns"])
    long = cloud.ecs.list_tasks(cluster="c", family="long", desiredStatus="STOPPED")["taskArns"]
    assert cloud.stopped(long[0])["stopCode"] == "UserInitiated"


def test_map_runs_a_task_an_item_with_bounded_concurrency(cloud: Any) -> None:
    overrides = {"ContainerOverrides": [{"Name": "main", "Environment": [{"Name": "ITEM", "Value.$": "$.item"}]}]}
    state = run_task(cloud, cloud.define("sh", "-c", "echo $ITEM"), Parameters={"Overrides": overrides})
    mapped = {
        "Type": "Map",
        "ItemsPath": "$.items",
        "ItemSelector": {"item.$": "$$.Map.Item.Value"},
        "MaxConcurrency": 2,
        "ItemProcessor": {"ProcessorConfig": {"Mode": "INLINE"}, **ended(state, "Item")},
    }
    done = cloud.execute(cloud.machine(ended(mapped)), {"items": ["a", "b", "c"]})
    assert done["status"] == "SUCCEEDED"
    assert [cloud.lines(task["TaskArn"]) for task in json.loads(done["output"])] == [["a"], ["b"], ["c"]]


def test_retry_counts_and_waits(cloud: Any) -> None:
    retry = [{"ErrorEquals": ["States.TaskFailed"], "IntervalSeconds": 1, "MaxAttempts": 1}]
    state = run_task(cloud, cloud.define("false", family="again"), Retry=retry)
    began = time.monotonic()
    assert cloud.execute(cloud.machine(ended(state)))["status"] == "FAILED"
    assert time.monotonic() - began >= 1
    assert len(cloud.ecs.list_tasks(cluster="c", family="again", desiredStatus="STOPPED")["taskArns"]) == 2


def test_stop_execution_does_not_sit_out_a_retrys_wait(cloud: Any, wait_until: Any) -> None:
    retry = [{"ErrorEquals": ["States.ALL"], "IntervalSeconds": 60, "MaxAttempts": 1}]
    machine = cloud.machine(ended(run_task(cloud, cloud.define("false"), Retry=retry)))
    arn = cloud.sfn.start_execution(stateMachineArn=machine)["executionArn"]
    wait_until(lambda: cloud.ecs.list_tasks(cluster="c", desiredStatus="STOPPED")["taskArns"])
    time.sleep(0.3)
    cloud.sfn.stop_execution(executionArn=arn)
    assert cloud.finished(arn, timeout=40)["status"] == "ABORTED", "sooner than the minute of the wait"


def nested(machine: str, condition: str, **fields: Any) -> dict[str, Any]:
    return {
        "Type": "Task",
        "Resource": f"arn:aws:states:::states:startExecution{condition}",
        "Parameters": {
            "StateMachineArn": machine,
            "Name.$": "$$.Execution.Name",
            "Input": {"from.$": "$$.Execution.Id", "started.$": "$$.Execution.StartTime"},
        },
        **fields,
    }


def test_a_nested_execution_gives_its_output_as_json(cloud: Any) -> None:
    inner = cloud.machine(ended({"Type": "Pass", "Parameters": {"got.$": "$.from"}}), "inner")
    done = cloud.execute(cloud.machine(ended(nested(inner, ".sync:2")), "outer"), name="n1")
    result = json.loads(done["output"])
    assert result["Name"] == "n1"
    assert result["Output"] == {"got": done["executionArn"]}
    assert result["Status"] == "SUCCEEDED"


def test_a_nested_failure_is_caught_with_error_and_cause(cloud: Any) -> None:
    fail = {"StartAt": "One", "States": {"One": {"Type": "Fail", "Error": "Mine", "Cause": "why"}}}
    inner = cloud.machine(fail, "inner")
    catch = [{"ErrorEquals": ["States.ALL"], "ResultPath": "$.error", "Next": "Seen"}]
    seen = {"Type": "Pass", "Parameters": {"cause.$": "States.StringToJson($.error.Cause)"}, "End": True}
    done = cloud.execute(cloud.machine(one(nested(inner, ".sync:2", Catch=catch, End=True), Seen=seen), "outer"))
    cause = json.loads(done["output"])["cause"]
    assert (cause["Error"], cause["Cause"], cause["Status"]) == ("Mine", "why", "FAILED")


def test_stopping_the_outer_execution_stops_the_inner_one(cloud: Any, wait_until: Any) -> None:
    inner = cloud.machine(ended({"Type": "Wait", "Seconds": 60}), "inner")
    outer = cloud.machine(ended(nested(inner, ".sync:2")), "outer")
    arn = cloud.sfn.start_execution(stateMachineArn=outer)["executionArn"]
    wait_until(lambda: cloud.sfn.list_executions(stateMachineArn=inner)["executions"])
    cloud.sfn.stop_execution(executionArn=arn)
    assert cloud.finished(arn)["status"] == "ABORTED"
    child = cloud.sfn.list_executions(stateMachineArn=inner)["executions"][0]["executionArn"]
    assert cloud.finished(child)["status"] == "ABORTED"


def test_put_object_only_if_there_is_none(cloud: Any) -> None:
    s3 = cloud.server.client("s3")
    bucket = f"b-{cloud.server.account}"
    s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    put = {
        "Type": "Task",
        "Resource": "arn:aws:states:::aws-sdk:s3:putObject",
        "Parameters": {"Bucket": bucket, "Key": "r.json", "Body": {"n.$": "$.n"}, "IfNoneMatch": "*"},
        "Catch": [{"ErrorEquals": ["S3.S3Exception"], "ResultPath": "$.error", "Next": "There"}],
        "End": True,
    }
    machine = cloud.machine(one(put, There={"Type": "Pass", "Result": "there", "End": True}))
    assert cloud.execute(machine, {"n": 1})["status"] == "SUCCEEDED"
    assert cloud.execute(machine, {"n": 2})["output"] == '"there"'
    assert json.loads(s3.get_object(Bucket=bucket, Key="r.json")["Body"].read()) == {"n": 1}


def test_list_executions_finds_an_overlap(cloud: Any, wait_until: Any) -> None:
    listing = {
        "Type": "Task",
        "Resource": "arn:aws:states:::aws-sdk:sfn:listExecutions",
        "Parameters": {"StateMachineArn.$": "$$.StateMachine.Id", "StatusFilter": "RUNNING", "MaxResults": 2},
        "Next": "Second",
    }
    choice = {
        "Type": "Choice",
        "Choices": [{"Variable": "$.Executions[1]", "IsPresent": True, "Next": "Skip"}],
        "Default": "Work",
    }
    skip = {"Type": "Pass", "Result": {"status": "skipped"}, "End": True}
    machine = cloud.machine(one(listing, Second=choice, Skip=skip, Work={"Type": "Wait", "Seconds": 99, "End": True}))
    first = cloud.sfn.start_execution(stateMachineArn=machine)["executionArn"]

    def met() -> list[str]:
        return [event["type"] for event in cloud.sfn.get_execution_history(executionArn=first)["events"]]

    wait_until(lambda: "WaitStateEntered" in met())
    assert json.loads(cloud.execute(machine)["output"]) == {"status": "skipped"}
    assert cloud.sfn.describe_execution(executionArn=first)["status"] == "RUNNING"
    cloud.sfn.stop_execution(executionArn=first)


def test_an_error_of_ecs_has_its_name(cloud: Any) -> None:
    state = run_task(cloud, cloud.define("true"), Parameters={"Cluster": "absent"})
    assert cloud.execute(cloud.machine(ended(state)))["error"] == "ECS.ClusterNotFoundException"


def test_many_executions_at_once(cloud: Any) -> None:
    machine = cloud.machine(ended(run_task(cloud, cloud.define("true"))))
    arns = [cloud.sfn.start_execution(stateMachineArn=machine)["executionArn"] for _ in range(15)]
    assert {cloud.finished(arn, 60)["status"] for arn in arns} == {"SUCCEEDED"}
