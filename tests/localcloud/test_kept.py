"""The table of what engines keep of a task definition: whole, the documentation's, and said to who asks in vain."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import botocore.session
import pytest

from localcloud.engines import kept
from localcloud.engines.kept import DOCKER, PROCESS, Notices

PAGE = Path(__file__).parents[2] / "docs/local-cloud.md"
LINUX = "linuxParameters"


def members(shape: Any) -> Iterator[str]:
    for name in shape.members:
        if name == LINUX:
            yield from (f"{LINUX}.{inner}" for inner in shape.members[name].members)
        else:
            yield name


def test_there_is_a_row_for_all_that_a_task_definition_may_say() -> None:
    model = botocore.session.get_session().get_service_model("ecs")
    task = set(members(model.operation_model("RegisterTaskDefinition").input_shape))
    container = set(members(model.shape_for("ContainerDefinition")))
    rows = {
        "task": {path.split(".")[0] for one in kept.SETTINGS for path in one.task},
        "container": {
            path if path.startswith(LINUX) else path.split(".")[0] for one in kept.SETTINGS for path in one.container
        },
    }
    assert rows == {"task": task, "container": container}


def test_the_documentation_shows_it() -> None:
    assert kept.table() in PAGE.read_text()


TASK = {"cpu": "256", "networkMode": "awsvpc"}
SHUT = {"user": "10001", "readonlyRootFilesystem": True, "command": ["x"]}
ASKED: dict[str, tuple[str, dict[str, Any], dict[str, Any], list[str]]] = {
    "processes": (PROCESS, TASK, SHUT, ["CPU", "user", "read-only root file system", "a network for each task"]),
    "containers": (DOCKER, TASK, SHUT, []),
    "nothing asked": (PROCESS, {}, {"readonlyRootFilesystem": False, "ulimits": [], "user": ""}, []),
    "a disk": (DOCKER, {"ephemeralStorage": {"sizeInGiB": 50}}, {}, ["ephemeralStorage"]),
    "inner members": (PROCESS, {}, {LINUX: {"capabilities": {"drop": ["ALL"]}}}, ["capabilities"]),
    "the usual log driver": (DOCKER, {}, {"logConfiguration": {"logDriver": "awslogs"}}, []),
    "another log driver": (
        DOCKER, {}, {"logConfiguration": {"logDriver": "splunk"}}, ["log drivers other than awslogs"],
    ),
    "two security options": (
        DOCKER, {}, {"dockerSecurityOptions": ["no-new-privileges", "label:x"]}, ["other security options"],
    ),
    "another system": (
        DOCKER, {"runtimePlatform": {"operatingSystemFamily": "WINDOWS_SERVER_2022_CORE"}}, {}, ["Windows"],
    ),
    "this system": (DOCKER, {"runtimePlatform": {"operatingSystemFamily": "LINUX"}}, {}, []),
}  # fmt: skip


@pytest.mark.parametrize("case", ASKED)
def test_what_is_asked_for_in_vain(case: str) -> None:
    engine, task, container, expected = ASKED[case]
    assert kept.not_kept(engine, {**task, "containerDefinitions": [container]}) == expected


def test_it_is_said_once_and_what_is_new_again(tmp_path: Path) -> None:
    file = tmp_path / "notices.json"
    definition = {"cpu": "256", "containerDefinitions": [{"user": "10001"}]}
    assert Notices(file, PROCESS).of(definition) == (
        "tasks run as processes here, which do not keep what task definitions say of CPU and user; "
        "`herd up --engine docker` does"
    )
    assert Notices(file, PROCESS).of(definition) == ""
    more = {**definition, "ephemeralStorage": {"sizeInGiB": 50}}
    assert Notices(file, PROCESS).of(more).endswith("say of ephemeralStorage")
    assert "containers of Docker here" in Notices(file, DOCKER).of(more)
    lines = ["RUN apt-get install -y libgdal-dev", "USER 10001"]
    assert Notices(file, PROCESS).of_image(lines).splitlines()[1:] == [f"    {line}" for line in lines]
    assert Notices(file, PROCESS).of_image([lines[0], "RUN make"]).splitlines()[1:] == ["    RUN make"]
    assert Notices(file, DOCKER).of_image(()) == ""
    file.write_text("{")
    assert "CPU, user and ephemeralStorage" in Notices(file, PROCESS).of(more)
