"""`herd try`: the same run without a cloud, and with one that is only read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from herd.runner.contract.statuses import BAD_SETTINGS
from herd.runner.contract.task import Read, TaskSettings
from herd.runner.errors import RunFailed
from herd.runner.published import NothingPublished, published_for
from herd.runner.task import DeployedTask, Trial, task_of

Make = Callable[..., Any]


def test_a_trial_without_a_cloud(offline: Make, tmp_path: Path) -> None:
    (tmp_path / "store" / "first").mkdir(parents=True)
    (tmp_path / "store" / "first" / "f").write_text("hello\n")
    checks = [{"file": "m.json", "value": "auc", "min": 0.7}]
    job = offline(
        "job",
        "cat inputs/first/f; echo '{\"auc\": 0.6}' > outputs/m.json; echo $HERD_OUTPUT_URI",
        reads=["first"],
        checks=checks,
    )
    run = job.run("try-1", HERD_TRY_INPUTS=str(tmp_path / "store"))
    assert run.status == 65 and run.log.startswith("hello\nfile:///")
    assert "check FAILED: metrics" not in run.log and "check FAILED: m.json: auc = 0.6 is below min = 0.7" in run.log
    assert (tmp_path / "try" / "outputs" / "m.json").exists(), "the working copy stays to be looked at"


TASK = TaskSettings(environment="dev", workload="job", kind="job", command=("true",), data_bucket="data", params={})


def test_a_run_with_and_without_an_environment_are_two_types(tmp_path: Path) -> None:
    """So nothing that publishes has to ask whether there is a bucket."""
    deployed = task_of({"HERD_TASK": TASK.to_json()})
    assert isinstance(deployed, DeployedTask) and deployed.data_bucket == "data"
    alone = {"HERD_TASK": replace(TASK, data_bucket=None).to_json()}
    trial = task_of({**alone, "HERD_TRY_DIR": str(tmp_path)})
    assert isinstance(trial, Trial) and (trial.folder, trial.inputs) == (tmp_path, {})
    assert isinstance(published_for(trial), NothingPublished)
    with pytest.raises(RunFailed, match="HERD_TASK has no data_bucket") as refused:
        task_of(alone)
    assert refused.value.status == BAD_SETTINGS


def test_a_trial_takes_those_inputs_that_lie_on_this_machine(tmp_path: Path) -> None:
    (tmp_path / "store" / "first").mkdir(parents=True)
    task = replace(TASK, reads=(Read("first"), Read("second")))
    trial = task_of(
        {"HERD_TASK": task.to_json(), "HERD_TRY_DIR": str(tmp_path), "HERD_TRY_INPUTS": str(tmp_path / "store")}
    )
    assert isinstance(trial, Trial) and trial.inputs == {"first": tmp_path / "store" / "first"}


def test_a_trial_without_its_input_says_so(offline: Make) -> None:
    run = offline("job", "true", reads=["first"]).run("try-1")
    assert run.status == 66 and "input first has no published version yet" in run.log


def test_a_trial_reads_the_real_inputs_writes_nothing_and_fetches_once(make: Make, tmp_path: Path) -> None:
    make("first", "echo hello > outputs/f").run("r1")
    job = make("job", "cat inputs/first/f; echo x > outputs/f; ls", reads=["first"])
    before = job.keys()
    for n in (1, 2):
        run = job.run(f"try-{n}", HERD_TRY_DIR=str(tmp_path / "try"))
        assert run.status == 0 and run.log.startswith("hello\n") and "nothing is published" in run.log
        (tmp_path / "try" / "left-over").write_text("")
    assert job.keys() == before
    requested: list[str] = []
    job.s3.hook = lambda method, path, moment: requested.append(path)
    try:
        assert "left-over" not in job.run("try-3", HERD_TRY_DIR=str(tmp_path / "try")).log
    finally:
        job.s3.hook = None
    assert {path.rpartition("/")[2] for path in requested} == {"latest.json"}


def test_a_trial_compares_with_the_real_baseline(make: Make, tmp_path: Path) -> None:
    checks = [{"file": "m.json", "value": "auc", "max_drop": 0.1}]
    make("job", "echo '{\"auc\": 0.9}' > outputs/m.json", checks=checks).run("r1")
    run = make("job", "echo '{\"auc\": 0.7}' > outputs/m.json", checks=checks).run(
        "t", HERD_TRY_DIR=str(tmp_path / "try")
    )
    assert run.status == 65 and "has dropped by 0.2 from the accepted 0.9" in run.log


def test_a_trial_without_inputs_does_not_wait_for_boto3(make: Make, tmp_path: Path) -> None:
    """boto3 brings OpenSSL along, which shows among the runner's mapped files."""
    job = make("job", "sleep 2; grep -c /_ssl /proc/$PPID/maps")
    assert job.run("r1").log.splitlines()[0] != "0", "a real run connects while the command runs"
    assert job.run("try-1", HERD_TRY_DIR=str(tmp_path / "try")).log.splitlines()[0] == "0"
