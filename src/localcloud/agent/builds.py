"""CodeBuild: the commands of a project's buildspec run on this machine, with the variables of the build.

The build's image is not realised: commands run in a shell of this machine. A build belongs to no task and outlives the
local cloud, as one on AWS outlives what it removes: it is a process in a session of its own. Its output goes to the
cloud's log.
"""

from __future__ import annotations

import logging
import os
import subprocess
import threading
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import yaml

from localcloud.agent.clock import Clock
from localcloud.server import Server

log = logging.getLogger(__name__)

PHASES = ("install", "pre_build", "build", "post_build")
"""Source: https://docs.aws.amazon.com/codebuild/latest/userguide/build-spec-ref.html"""

KEPT_VARIABLES = ("HOME", "LANG", "LC_ALL", "PATH", "TMPDIR", "USER", "XDG_CACHE_HOME")


class Builds:
    """Runs builds, each as a process that is waited for by a thread."""

    def __init__(self, server: Server, clock: Clock) -> None:
        self._server = server
        self._clock = clock

    def start(self, build: dict[str, Any]) -> None:
        """Begin a build, which is changed as it goes on. Called with the server's lock held; does not wait."""
        thread = threading.Thread(target=self._run, args=(build,), name=f"build {build['id']}", daemon=True)
        thread.start()

    def _run(self, build: dict[str, Any]) -> None:
        self._change(build, currentPhase="BUILD")
        try:
            status = self._outcome(build)
        except (OSError, ValueError) as error:
            log.warning("build %s cannot run: %s", build["id"], error)
            status = "FAILED"
        log.info("build %s: %s", build["id"], status)
        self._change(
            build, buildStatus=status, currentPhase="COMPLETED", buildComplete=True, endTime=_text(self._clock.now())
        )

    def _outcome(self, build: dict[str, Any]) -> str:
        process = subprocess.Popen(
            ["/bin/sh", "-e", "-c", script(str(build["source"].get("buildspec") or ""))],
            env=variables(build, os.environ),
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        assert process.stdout is not None
        with process.stdout:
            for line in process.stdout:
                log.info("build %s: %s", build["id"], line.rstrip())
        return "SUCCEEDED" if process.wait() == 0 else "FAILED"

    def _change(self, build: dict[str, Any], **changes: Any) -> None:
        with self._server.lock:
            build |= changes


def script(buildspec: str) -> str:
    """The commands of a buildspec, one a line, in the order of its phases. Raises ValueError for what is none."""
    try:
        written = yaml.safe_load(buildspec)
        phases = dict(written["phases"])
        lines = [str(line) for phase in PHASES for line in (phases.get(phase) or {}).get("commands") or []]
    except (yaml.YAMLError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise ValueError(f"not a buildspec: {error!r}") from None
    if not lines:
        raise ValueError("the buildspec has no commands")
    return "\n".join(lines)


def variables(build: Mapping[str, Any], base: Mapping[str, str]) -> dict[str, str]:
    """The environment of a build: little of this machine's, nothing of its owner's AWS settings."""
    declared = build["environment"].get("environmentVariables") or []
    return {
        **{name: base[name] for name in KEPT_VARIABLES if name in base},
        "CODEBUILD_BUILD_ID": str(build["id"]),
        "CODEBUILD_BUILD_ARN": str(build["arn"]),
        **{str(one["name"]): str(one["value"]) for one in declared if one.get("type", "PLAINTEXT") == "PLAINTEXT"},
    }


def _text(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.000Z")
