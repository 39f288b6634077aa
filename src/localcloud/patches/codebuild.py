"""CodeBuild: a build has the variables that it is started with, and ends when and as what it runs does."""

from __future__ import annotations

import json
from typing import Any

from moto.codebuild import models, responses
from moto.codebuild.exceptions import InvalidInputException

from localcloud.patches import hooks

TAKEN = frozenset({"projectName", "environmentVariablesOverride", "idempotencyToken"})
"""The parameters of StartBuild that are carried out. Another one would change what runs, so it is refused."""


def apply() -> None:
    """Hand builds to the agent; answer what became of them."""
    _start()
    _answer()


def _start() -> None:
    # codebuild/responses.py:155 drops all but the source's version: a build would run with other variables.
    response = responses.CodeBuildResponse
    stock = response.start_build

    def start_build(self: Any) -> Any:
        if unknown := sorted(json.loads(self.body or "{}").keys() - TAKEN):
            raise InvalidInputException(f"the local cloud starts no build with {', '.join(unknown)}")
        answer = stock(self)
        name = self._get_param("projectName")
        backend = self.codebuild_backend
        build, project = backend.build_metadata[name].build_metadata, backend.codebuild_projects[name].project_metadata
        overrides = {one["name"]: one for one in self._get_param("environmentVariablesOverride") or []}
        environment = dict(project["environment"])
        declared = {one["name"]: one for one in environment.get("environmentVariables") or []}
        environment["environmentVariables"] = list({**declared, **overrides}.values())
        build |= {
            "environment": environment,
            "source": dict(project["source"]),
            "timeoutInMinutes": project["timeoutInMinutes"] or 60,
        }
        listener = hooks.listener(self.current_account)
        if listener is None:  # the journal repeats it: it was cut off with the process that ran it
            build |= {"buildStatus": "STOPPED", "currentPhase": "COMPLETED", "buildComplete": True}
        else:
            listener.build_started(build)
        return answer

    response.start_build = start_build


def _answer() -> None:
    # codebuild/models.py:227: asking for a build makes it a success, whatever it does.
    def batch_get_builds(self: Any, ids: list[str]) -> list[dict[str, Any]]:
        return [build for builds in self.build_metadata_history.values() for build in builds if build["id"] in ids]

    models.CodeBuildBackend.batch_get_builds = batch_get_builds
