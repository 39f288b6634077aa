"""Which of its three lives a task has: a run, the last step of a fan-out, or a service."""

from __future__ import annotations

import os
from collections.abc import Mapping

from .contract.variables import PUBLISH
from .errors import RunFailed, say
from .task import DeployedTask, task_of


def main(environ: Mapping[str, str] = os.environ) -> int:
    """Do what the task's variables say; return the exit status of the process."""
    try:
        task = task_of(environ)
    except RunFailed as error:
        say(str(error))
        return error.status
    if task.is_service:
        from .service import serve

        return serve(task, environ)
    from .batch import publish_items, run

    if isinstance(task, DeployedTask) and task.step == PUBLISH:
        return publish_items(task)
    return run(task, environ)
