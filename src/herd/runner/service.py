"""A service (an API): the runner stays its parent and keeps its inputs current."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Mapping
from pathlib import Path

from . import health, missing_package
from .command import Command, describe_exit
from .contract.variables import PORT
from .errors import RunFailed, say
from .published import Published, published_for
from .storage import StorageError
from .task import AnyTask, Trial, workload_environment
from .workspace import Workspace, prepare

FIRST_SECONDS = 2.0
"""Pause between looks while an input has never been published: people wait for a new environment's first answer."""


def serve(task: AnyTask, environ: Mapping[str, str]) -> int:
    """Run the service until it ends; return its exit status. It starts at once, its inputs arrive beside it."""
    command = Command(task.stop_seconds)
    published = published_for(task)
    workspace = prepare(task)
    try:
        variables = workload_environment(task, environ, workspace.inputs, workspace.outputs, _uris(task, published))
        ended = threading.Event()
        refresher: threading.Thread | None = None
        command.start(task.command, variables, workspace.root)
        if any(read.fetch for read in task.reads):
            refresher = threading.Thread(
                target=_keep_current, args=(task, published, workspace, ended), name="refresh inputs", daemon=True
            )
            refresher.start()
        if task.health is not None:
            port = int(variables[PORT])
            arguments = (task, port, "HOST" in environ, lambda: ended.is_set() or command.stopped)
            threading.Thread(target=health.watch, args=arguments, name="look at health", daemon=True).start()
        status = command.wait()
        ended.set()
        if status != 0 and not command.stopped:
            missing = missing_package.advice(command.last_words, task.workload, task.workload_dir)
            say(describe_exit(status, task.memory_gb) + missing)
        return status
    except RunFailed as error:
        say(str(error))
        return error.status
    finally:
        workspace.close()


def _uris(task: AnyTask, published: Published) -> dict[str, str]:
    """A service lives longer than a version: it gets the folder in which latest.json names the current one."""
    datasets = {read.name: read.uri for read in task.reads if read.uri}
    return {**published.uris(read.name for read in task.reads if not read.uri), **datasets}


def _keep_current(task: AnyTask, published: Published, workspace: Workspace, ended: threading.Event) -> None:
    """Look at each input's latest.json at every interval, until the service has ended."""
    refresher = Refresher(task, published, workspace)
    while True:
        refresher.refresh()
        pause = task.refresh_seconds if refresher.has_all else min(FIRST_SECONDS, task.refresh_seconds)
        if ended.wait(pause):
            return


class Refresher:
    """Fetches new versions to a folder of their own and points inputs/<name> at them.

    The link is replaced in one step and leads to a folder named after the run: who resolves it once reads one
    version. The version before the current one stays on disk for programs that are still reading it.
    """

    def __init__(self, task: AnyTask, published: Published, workspace: Workspace) -> None:
        self._task = task
        self._published = published
        self._workspace = workspace
        self._local = task.inputs if isinstance(task, Trial) else {}
        self._current: dict[str, list[str]] = {}
        self._trouble: dict[str, str] = {}

    @property
    def has_all(self) -> bool:
        """Has each input been there once?"""
        return all(read.name in self._current for read in self._task.reads if read.fetch)

    def refresh(self) -> None:
        """Look at every input once. What goes wrong is said once and tried again: a service keeps what it has."""
        for read in self._task.reads:
            if not read.fetch:
                continue
            try:
                self._refresh(read.name)
                self._trouble.pop(read.name, None)
            except (RunFailed, StorageError, OSError) as error:
                if self._trouble.get(read.name) != str(error):
                    self._trouble[read.name] = str(error)
                    say(f"input {read.name} could not be refreshed: {error}")

    def _refresh(self, name: str) -> None:
        if name in self._local:
            if name not in self._current:
                self._point(name, "local", self._local[name])
            return
        version = self._published.version(name)
        if version is None or version.run_id in self._current.get(name, [])[-1:]:
            return
        target = self._workspace.store / name / version.run_id
        self._published.fetch(version, target)
        self._point(name, version.run_id, target)
        say(f"input {name} is now run {version.run_id}")

    def _point(self, name: str, run_id: str, target: Path) -> None:
        link = self._workspace.inputs / name
        if link.is_dir() and not link.is_symlink():  # a trial before this one, when the workload was a job
            shutil.rmtree(link)
        fresh = link.with_name(f".{name}.new")
        fresh.unlink(missing_ok=True)
        fresh.symlink_to(target)
        os.replace(fresh, link)
        known = self._current.setdefault(name, [])
        known.append(run_id)
        while len(known) > 2:
            shutil.rmtree(self._workspace.store / name / known.pop(0), ignore_errors=True)
