"""Tasks that have stopped, as plain values and back; revisions of task definitions whose predecessors are forgotten."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from moto.ecs import models

from localcloud import backends
from localcloud.patches import determinism
from localcloud.patches.ecs.api import TaskContainer

BOUND = ("_backend", "definition", "containers")
"""What a task holds of the cloud around it."""

MANAGED = ("_transitions", "_status", "_tick", "_time_progressed", "model_name")
"""moto's own clockwork, which is stopped (patches/ecs.py)."""


def apply() -> None:
    """Let a task definition get the revision that was given for it."""
    # ecs/models.py:1142 counts from the highest revision that it has.
    backend = models.EC2ContainerServiceBackend
    stock_register, stock_last = backend.register_task_definition, backend._get_last_task_definition_revision_id

    def register_task_definition(self: Any, family: str, *args: Any, **kwargs: Any) -> Any:
        if determinism.count() is not None:
            self.task_definitions.setdefault(family, {})
        return stock_register(self, family, *args, **kwargs)

    def last_revision(self: Any, family: str) -> Any:
        count = determinism.count()
        return stock_last(self, family) if count is None else count - 1

    backend.register_task_definition = register_task_definition
    backend._get_last_task_definition_revision_id = last_revision


def describe(task: Any) -> dict[str, Any]:
    """A task as plain values, for JSON."""
    values = {name: _plain(value) for name, value in vars(task).items() if name not in (*BOUND, *MANAGED)}
    return {**values, "arn": task.task_arn, "containers": [vars(container) for container in task.containers]}


def revive(account: str, record: dict[str, Any]) -> Any | None:
    """Put a task back where DescribeTasks finds it; None if its cluster is gone."""
    record = dict(record)
    arn, containers = record.pop("arn"), record.pop("containers")
    backend = backends.ecs(account, record["region_name"])
    if record["cluster_name"] not in backend.clusters:
        return None
    task = object.__new__(models.Task)
    vars(task).update({name: _rich(value) for name, value in record.items()})
    task._backend = backend
    family, _, revision = task.task_definition_arn.rsplit("/", 1)[-1].rpartition(":")
    task.definition = backend.task_definitions.get(family, {}).get(int(revision))
    task.containers = []
    for values in containers:
        container = object.__new__(TaskContainer)
        vars(container).update(values)
        task.containers.append(container)
    backend.tasks.setdefault(record["cluster_name"], {})[arn] = task
    return task


def has_cluster(account: str, arn: str) -> bool:
    """Is the cluster of this task or service there? `arn:aws:ecs:<region>:<account>:task/<cluster>/<id>`"""
    region, cluster = arn.split(":")[3], arn.split("/")[1]
    model = backends.ecs(account, region).clusters.get(cluster)
    return model is not None and model.status == "ACTIVE"


def _plain(value: Any) -> Any:
    return {"$time": value.isoformat()} if isinstance(value, datetime) else value


def _rich(value: Any) -> Any:
    return datetime.fromisoformat(value["$time"]) if isinstance(value, dict) and value.keys() == {"$time"} else value
