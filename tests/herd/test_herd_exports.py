"""A stack's outputs become one type, also those of earlier releases; what cannot be read is named."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest

from herd.checkout.find import Checkout
from herd.errors import HerdError, WrongInput
from herd.targets import exports
from herd.targets.aws import AwsTarget
from herd.targets.exports import BatchExport, ServiceExport
from herd.targets.target import Target
from tests.herd.outputs import batch, outputs, parsed, service


def test_what_the_first_release_exported_still_reads() -> None:
    known = parsed(workloads={"load": batch(), "answers": service()}, pipelines={})
    load, answers = known.workload("load"), known.workload("answers")
    assert isinstance(load, BatchExport) and load.timezone == "UTC" and load.secrets == ()
    assert isinstance(answers, ServiceExport)
    assert (answers.health, answers.start_seconds, answers.task_definition_arn) == (None, None, None)
    assert (known.protected, known.encryption_key, known.adopted, known.runs_with) == (False, None, {}, {})


def test_what_a_later_release_or_a_team_exports_is_left_alone() -> None:
    known = parsed(of_ours=[1, 2], workloads={"load": batch(colour="red")})
    assert known.batch["load"].machine == "arn:x"


@pytest.mark.parametrize(
    "known",
    [
        pytest.param({}, id="never deployed"),
        pytest.param({"of_ours": 1}, id="only what a team exports"),
    ],
)
def test_what_was_never_deployed_exports_nothing(known: dict[str, Any]) -> None:
    assert exports.parse(known, "dev") is None


def test_all_that_cannot_be_read_is_named() -> None:
    broken = outputs(workloads={"load": batch(machine=7), "answers": service(log_group=None)}, cluster=None)
    del broken["region"]
    with pytest.raises(HerdError) as refused:
        exports.parse(broken, "prod")
    assert str(refused.value).splitlines() == [
        "the outputs of the stack prod cannot be read; `herd up` writes them again:",
        "    region is missing",
        "    cluster is None: input should be a valid string",
        "    workloads.load.machine is 7: input should be a valid string",
        "    workloads.answers.log_group is None: input should be a valid string",
    ]


def test_a_workload_by_name_is_suggested() -> None:
    with pytest.raises(WrongInput, match="no workload 'laod'; did you mean 'load'"):
        parsed(workloads={"load": batch()}).workload("laod")


def test_pipelines_are_stopped_before_what_they_start() -> None:
    known = parsed(
        workloads={"load": batch(machine="arn:load"), "answers": service()},
        pipelines={"load": {"machine": "arn:pipeline", "levels": [["load"]], "schedule": None}},
    )
    assert known.machines == ["arn:pipeline", "arn:load"]
    assert known.pipelines["load"].members == ("load",)


class Changing(AwsTarget):
    """A stack whose outputs a test gives."""

    asked = 0
    now: dict[str, Any] = {}

    def outputs(self) -> dict[str, Any]:
        self.asked += 1
        return self.now


def test_a_command_reads_them_once_and_again_after_an_update(tmp_path: Path) -> None:
    target = Changing(Checkout(tmp_path, tmp_path / "cache"), "prod")
    assert target.deployed is None and target.deployed is None and target.asked == 1
    with pytest.raises(HerdError, match="the environment prod is not up; `herd up` makes it"):
        cast(Target, target).exports  # noqa: B018 - it raises
    target.now = outputs(data_bucket="new")
    target.forget_exports()
    assert target.exports.data_bucket == "new" and target.asked == 2
