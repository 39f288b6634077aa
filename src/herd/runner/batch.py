"""A run of a job or report, from its inputs to its published outputs; and the last step of a fan-out."""

from __future__ import annotations

import signal
import tempfile
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeVar

from . import checks, missing_package, record
from .command import Command, describe_exit
from .contract.checks import ChangedCheck, Measured
from .contract.documents import InputVersion, files_from
from .contract.made_of import MadeOf, contents
from .contract.renderers import RENDER
from .contract.statuses import (
    CANNOT_PUBLISH,
    CHECK_FAILED,
    IN_A_PIPELINE,
    INTERNAL,
    STOPPED,
    SUCCEEDED_RUN,
    TIMED_OUT,
    TIMED_OUT_RUN,
    UNAVAILABLE,
)
from .contract.variables import connection_url
from .errors import RunFailed, say
from .limit import Limit
from .published import DataBucket, Published, published_for
from .record import Progress
from .storage import StorageError
from .task import AnyTask, DeployedTask, Task, Trial, workload_environment
from .workspace import Workspace, collect, prepare

if TYPE_CHECKING:
    from .inputs import Versions

# Modules that only matter once the command has ended are imported where they are used, so that the command's first
# instruction does not wait for them.


def run(task: AnyTask, environ: Mapping[str, str]) -> int:
    """Run the workload once; an environment's is published. Return the exit status of the task."""
    command = Command(task.stop_seconds)
    if isinstance(task, Trial):
        return _ended(TrialRun(task), command, lambda attempt, settle: _run(attempt, environ, command, settle))
    return _ended(DeployedRun(task), command, lambda attempt, settle: _run(attempt, environ, command, settle))


def publish_items(task: DeployedTask) -> int:
    """The last step of a fan-out: when every item has succeeded, publish them together; return the exit status."""
    command = Command()  # from here on SIGTERM does not tear the step apart: it is safe to be killed anyway
    return _ended(DeployedRun(task), command, _publish_items)


SIGNALLED = 128
"""What is added to the number of a signal in the exit status of a program that it has ended."""

Settle = Callable[[], None]
"""Comes before the step that cannot be taken back: from then on the run is not ended for its time any more."""


class Run(Protocol):
    """A run as its steps see it: an environment's, or one of `herd try`."""

    progress: Progress

    @property
    def task(self) -> AnyTask: ...

    @property
    def published(self) -> Published: ...

    def done_before(self) -> str:
        """Why nothing is left to do; empty where there is."""

    def is_known(self, chosen: Versions) -> str:
        """Why the command need not run, as its result is known; empty where it must. `chosen`: what it would read."""

    def write(self, status: int, reason: str) -> None:
        """Leave a record of how it ended, and where it was due and has succeeded, its marker."""

    def restore(self, workspace: Workspace) -> None:
        """Before the command: what the last run has left in `cache`."""

    def keep(self, workspace: Workspace, stopped: Callable[[], bool]) -> None:
        """Leave `cache` to the next run. Raises nothing: how the run has ended is settled."""

    def look_at(self, workspace: Workspace, files: Mapping[str, Path]) -> None:
        """The command has ended, and its outputs were judged."""

    def reject(self, files: Mapping[str, Path]) -> list[str]:
        """A check failed: keep what was written; lines that say where."""

    def publish(self, files: Mapping[str, Path], swap: Callable[[], None], settle: Settle) -> None:
        """Every check passed. `swap` is the workload's own part of it."""


class TrialRun:
    """Of `herd try`: nothing is published or recorded."""

    def __init__(self, task: Trial) -> None:
        self.task = task
        self.published = published_for(task)
        self.progress = Progress.begin()

    def done_before(self) -> str:
        return ""

    def is_known(self, chosen: Versions) -> str:
        return ""

    def write(self, status: int, reason: str) -> None:
        """The person who tries it sees how it ends."""

    def restore(self, workspace: Workspace) -> None:
        """It lies there already: the working copy was made around it."""

    def keep(self, workspace: Workspace, stopped: Callable[[], bool]) -> None:
        """The working copy stays, and its cache in it."""

    def look_at(self, workspace: Workspace, files: Mapping[str, Path]) -> None:
        for path, source in files.items():
            say(f"wrote outputs/{path} ({_amount(source.stat().st_size)})")
        if not files:
            say("wrote no files to outputs/")
        say(f"this was a trial: nothing is published; the working copy is {workspace.root}")

    def reject(self, files: Mapping[str, Path]) -> list[str]:
        return []

    def publish(self, files: Mapping[str, Path], swap: Callable[[], None], settle: Settle) -> None:
        """A trial leaves its outputs, and what it staged, where they are."""
        if self.task.publish:
            say("every check has passed: an environment would now run publish")


class DeployedRun:
    """Of an environment: it leaves a record, and what passes its checks is published."""

    def __init__(self, task: DeployedTask) -> None:
        self.task = task
        self.published = DataBucket(task.data_bucket)
        self.storage = self.published.storage
        self.progress = Progress.begin()
        self._restored = False

    def done_before(self) -> str:
        """In a retry: if an earlier attempt has published there is nothing left to do; else clear up after it."""
        task, storage, progress = self.task, self.storage, self.progress
        if task.attempt == 1:
            return ""
        from . import publishing

        earlier = record.read(storage, task.data_bucket, task.workload, task.run_id, task.item)
        if earlier is not None and earlier["status"] == TIMED_OUT_RUN and earlier["attempt"] == task.attempt - 1:
            progress.all_late = task.attempt == 2 or str(earlier["reason"]).startswith("each attempt ")
        if earlier is not None and earlier["status"] == SUCCEEDED_RUN:
            progress.take_over(earlier)
            progress.inputs = _inputs_of([earlier])
            say("an earlier attempt had already succeeded: nothing to do")
            return "an earlier attempt had already succeeded"
        version = self.published.version(task.workload) if task.item is None else None
        if version is not None and version.run_id == task.run_id:
            progress.files, progress.inputs = version.files, version.inputs
            say("an earlier attempt had already published: nothing to do")
            _mail(self, None)
            return "an earlier attempt had already published"
        publishing.clear(storage, task.data_bucket, task.keys.outputs)
        return ""

    def is_known(self, chosen: Versions) -> str:
        task, progress = self.task, self.progress
        if not task.settings_digest:
            return ""
        progress.contents = contents(chosen)
        current = self.published.version(task.workload) if task.trigger == IN_A_PIPELINE else None
        if current is None or current.rollback is not None:
            return ""
        try:
            last = record.read(self.storage, task.data_bucket, task.workload, current.run_id)
        except ValueError:
            return ""
        if MadeOf.recorded(last) != MadeOf.by(task, progress.contents):
            return ""
        progress.confirms = current.run_id
        progress.inputs = tuple(InputVersion(name, version.run_id) for name, version in chosen.items() if version)
        say(f"nothing has changed since run {progress.confirms}, which is what readers have: not run again")
        return f"up to date: nothing has changed since run {progress.confirms}"

    def write(self, status: int, reason: str) -> None:
        record.write(self.task, self.storage, self.progress, status, reason)
        if status == 0:
            record.complete_due_time(self.task, self.storage, self.progress)

    def restore(self, workspace: Workspace) -> None:
        if self.task.cache:
            from . import cache

            self._restored = cache.restore(self.storage, self.task, workspace.root)

    def keep(self, workspace: Workspace, stopped: Callable[[], bool]) -> None:
        if self.task.cache:
            from . import cache

            cache.save(self.storage, self.task, workspace.root, stopped, trusted=self._restored)

    def look_at(self, workspace: Workspace, files: Mapping[str, Path]) -> None:
        """What was written is in the record."""

    def reject(self, files: Mapping[str, Path]) -> list[str]:
        from . import publishing

        address = publishing.reject(self.storage, self.task, files)
        return [f"the outputs are kept at {address}; what was published before stays"]

    def publish(self, files: Mapping[str, Path], swap: Callable[[], None], settle: Settle) -> None:
        from . import publishing

        task, storage, progress = self.task, self.storage, self.progress
        mark = publishing.NOT_PUBLISHED
        uploaded = publishing.upload(storage, task.data_bucket, task.keys.outputs, files, Tagging=mark)
        progress.files = uploaded + publishing.streamed(storage, task.data_bucket, task.keys.outputs, uploaded)
        if task.item is not None:
            return
        if not progress.files:
            _refuse_nothing(self)
        # Between the uploads, which nobody reads yet, and the switch: what may fail has been done.
        swap()
        if not progress.files:
            settle()
            publishing.remember(task, storage, progress)
            say("the run wrote no files to outputs/: there is nothing to publish")
            return
        publishing.publish(task, storage, progress, files, settle)
        size = _amount(sum(file.bytes for file in progress.files), len(progress.files))
        say(f"published {size} as run {task.run_id}")
        _mail(self, files)


AnyRun = TypeVar("AnyRun", bound=Run)


def _ended(attempt: AnyRun, command: Command, work: Callable[[AnyRun, Settle], str]) -> int:
    """Do the work, turn what went wrong into an exit status and last lines of the log, and write the record."""

    def expire() -> None:
        reason = took_longer(attempt.task, attempt.progress)
        say(reason)  # before the record: S3 may be what hangs
        attempt.write(TIMED_OUT, reason)

    limit = Limit(attempt.task, command, expire)
    status, reason = 0, ""
    try:
        reason = work(attempt, limit.settle)
    except RunFailed as error:
        status, reason = error.status, str(error)
    except StorageError as error:
        status, reason = UNAVAILABLE, str(error)
    except Exception as error:
        # Not the workload's fault; its author can do nothing without the place where it happened.
        traceback.print_exc()
        status, reason = INTERNAL, f"error in the runner: {type(error).__name__}: {error}"
    limit.settle()
    attempt.write(status, reason)
    if status != 0:
        say(reason)
    return status


def took_longer(task: Task, progress: Progress) -> str:
    """What is said of an attempt that passed its time limit, as far as is known of the ones before."""
    who = "" if task.attempt == 1 else "each attempt " if progress.all_late else f"attempt {task.attempt} "
    return f"{who}took longer than {task.limit_words}"


def _run(attempt: Run, environ: Mapping[str, str], command: Command, settle: Settle) -> str:
    task, progress = attempt.task, attempt.progress
    if done := attempt.done_before():
        return done
    chosen: Versions = {}
    if task.reads:
        from .inputs import versions

        chosen = versions(task, attempt.published)
        if known := attempt.is_known(chosen):
            return known
    workspace, whole = prepare(task), False
    try:
        attempt.restore(workspace)
        uris: Mapping[str, str] = {}
        if task.reads:
            from .inputs import fetch_all

            progress.inputs, uris = fetch_all(task, attempt.published, chosen, workspace.inputs)
        variables = workload_environment(task, environ, workspace.inputs, workspace.outputs, uris)
        status = _command(task, command, variables, workspace)
        # Even if it ended with 0: a program that was interrupted has not written what it was meant to.
        if command.timed_out:
            raise RunFailed(took_longer(task, progress), TIMED_OUT)
        if command.stopped:
            raise RunFailed(f"the run was stopped; {describe_exit(status)}", status or STOPPED)
        # A program that a signal has ended may have left half of what it was writing.
        whole = status - SIGNALLED not in signal.valid_signals()
        if status == TIMED_OUT:
            raise RunFailed(f"{describe_exit(status)}, which says that it took longer than a limit of its own", status)
        if status == CHECK_FAILED:
            raise RunFailed(f"{describe_exit(status)}, which says that its outputs are not fit to be published", status)
        if status != 0:
            missing = missing_package.advice(command.last_words, task.workload, task.workload_dir)
            raise RunFailed(describe_exit(status, task.memory_gb) + missing, status)
        _finish(attempt, workspace, command, variables, settle)
        return ""
    finally:
        if whole and not command.stopped and not command.timed_out:
            settle()
            attempt.keep(workspace, lambda: command.stopped)
        workspace.close()


def _command(task: AnyTask, command: Command, variables: Mapping[str, str], workspace: Workspace) -> int:
    """Run the workload's command to its end; its exit status."""

    def start(arguments: Sequence[str]) -> int:
        command.start(arguments, variables, workspace.root)
        status = command.wait()
        # The next one is not begun, whatever this one makes of being asked to end.
        return status or (STOPPED if command.stopped or command.timed_out else 0)

    if task.command[0] == RENDER:
        from . import rendering

        return rendering.render(task.command, workspace.root, workspace.outputs, task.params, start)
    command.start(task.command, variables, workspace.root)
    return command.wait()


def _starter(attempt: Run, command: Command, variables: Mapping[str, str]) -> checks.Start:
    """Runs what checks need in the place of the command that has ended: signals and the time limit reach it too."""

    def start(arguments: Sequence[str], environment: Mapping[str, str] | None, folder: Path) -> int:
        command.start(arguments, variables if environment is None else environment, folder)
        status = command.wait()
        if command.timed_out:
            raise RunFailed(took_longer(attempt.task, attempt.progress), TIMED_OUT)
        if command.stopped:
            raise RunFailed("the run was stopped while its outputs were being checked", STOPPED)
        return status

    return start


def _finish(attempt: Run, workspace: Workspace, command: Command, variables: Mapping[str, str], settle: Settle) -> None:
    """Judge the outputs and publish them, or keep them aside. Raises RunFailed (65) when a check failed."""
    from .checks.evaluation import evaluate

    task, progress = attempt.task, attempt.progress
    start = _starter(attempt, command, variables)
    files = collect(workspace.outputs)
    if task.is_page:
        from . import pages

        pages.entry(list(files))
        _look_for_elsewhere(task, progress, files)
    progress.checks = evaluate(task.checks, _subject(attempt, workspace, start, variables))
    if command.stopped:
        raise RunFailed("the run was stopped while its outputs were being checked", STOPPED)
    failed = [result for result in progress.checks if result.rejects]
    for result in progress.checks:
        outcome = "passed" if result.passed else "FAILED" if result.rejects else "WARNS"
        say(f"check {outcome}: {result.message}")
    attempt.look_at(workspace, files)
    if failed:
        # Ending with the checks: the log's last lines are what people see first.
        lines = [*attempt.reject(files), "nothing is published, because a check failed:"]
        raise RunFailed("\n".join([*lines, *(result.message for result in failed)]), CHECK_FAILED)
    attempt.publish(files, lambda: _swap(attempt, workspace, start), settle)


def _look_for_elsewhere(task: AnyTask, progress: Progress, files: Mapping[str, Path]) -> None:
    """Say what the pages load from other servers. Raises RunFailed (65) where they are to stand alone."""
    from .elsewhere import MOST, loaded_from_elsewhere

    foreign = [str(one) for one in loaded_from_elsewhere(files)]
    progress.elsewhere = tuple(foreign[:MOST])
    if not foreign:
        return
    more = [f"and {len(foreign) - MOST} more"] if len(foreign) > MOST else []
    lines = "\n".join(f"  {line}" for line in [*progress.elsewhere, *more])
    if task.self_contained:
        raise RunFailed(
            f"the pages load from other servers, and self_contained = true:\n{lines}\nnothing is published",
            CHECK_FAILED,
        )
    say(f"the pages load from other servers, without which they show less:\n{lines}")


def _swap(attempt: Run, workspace: Workspace, start: checks.Start) -> None:
    """The workload's own part of publishing. Raises RunFailed if it fails: then nothing is published."""
    task = attempt.task
    if not task.publish:
        return
    say("every check has passed: running publish")
    if status := start(task.publish, None, workspace.root):
        words = describe_exit(status, task.memory_gb).replace("the command", "publish", 1)
        raise RunFailed(f"{words}: nothing is published", status)


def _subject(attempt: Run, workspace: Workspace, start: checks.Start, variables: Mapping[str, str]) -> checks.Subject:
    """What the checks see: the run's folder, and as far as they ask for it what earlier runs have left."""
    task, published = attempt.task, attempt.published
    urls = {one.name: variables[connection_url(one.name)] for one in task.connections}
    subject = checks.Subject(workspace.root, task.item, memory_gb=task.memory_gb, start=start, connections=urls)
    measured = [check for check in task.checks if isinstance(check, Measured)]
    if any(check.has_baseline for check in measured):
        subject = replace(subject, baseline=published.baseline(task.workload))
    if any(check.trend is not None for check in measured):
        subject = replace(subject, history=published.history(task.workload))
    if any(isinstance(check, ChangedCheck) for check in task.checks):
        version = published.version(task.workload)
        subject = replace(subject, published=checks.files_of(version, task.item) if version is not None else None)
    return subject


def _publish_items(attempt: DeployedRun, settle: Settle) -> str:
    from . import publishing

    task, storage, progress = attempt.task, attempt.storage, attempt.progress
    bucket = task.data_bucket
    by_item = {item: record.read(storage, bucket, task.workload, task.run_id, item) for item in task.fan_out}
    records = [entry for entry in by_item.values() if entry is not None and entry["status"] == SUCCEEDED_RUN]
    lacking = [item for item, entry in by_item.items() if entry is None or entry["status"] != SUCCEEDED_RUN]
    if lacking:
        raise RunFailed(f"not published: {', '.join(lacking)} did not succeed", 1)
    progress.started = min(str(entry["started"]) for entry in records)
    progress.checks = record.results_of(records)
    progress.inputs = _inputs_of(records)
    progress.files = tuple(
        file
        for entry in records
        for file in files_from([{**file, "path": f"{entry['item']}/{file['path']}"} for file in entry["files"]])
    )
    if not progress.files:
        _refuse_nothing(attempt)
        say("no item wrote a file: there is nothing to publish")
        return ""
    with tempfile.TemporaryDirectory() as made:
        folder, local = Path(made).resolve(), dict[str, Path]()
        if task.is_page:  # the pages are put into the public bucket from here
            for file in progress.files:
                local[file.path] = Path(folder, file.path)
                local[file.path].parent.mkdir(parents=True, exist_ok=True)
                storage.download(bucket, task.keys.version + file.path, local[file.path], file.bytes)
        publishing.publish(task, storage, progress, local, settle)
        _mail(attempt, local)
    say(f"published {len(records)} items, {_amount(sum(file.bytes for file in progress.files))}, as run {task.run_id}")
    return ""


def _refuse_nothing(attempt: DeployedRun) -> None:
    """A run without a file where one was published before has gone wrong: readers would go on with the old version, and
    nobody would know. Raises RunFailed (73).
    """
    before = attempt.published.version(attempt.task.workload)
    if before is not None and before.files:
        raise RunFailed(
            "the run wrote no files to outputs/, where earlier runs did: nothing is published, and "
            f"readers keep what run {before.run_id} published",
            CANNOT_PUBLISH,
        )


def _mail(attempt: DeployedRun, local: Mapping[str, Path] | None) -> None:
    """Of what is published. `local`: its files, where they are on disk."""
    if attempt.task.mail is not None:
        from . import mail

        mail.send(attempt.task, attempt.storage, attempt.progress, local)


def _inputs_of(records: list[dict[str, object]]) -> tuple[InputVersion, ...]:
    """The input versions of several items, each once. Items that started apart may have read different versions."""
    entries = [entry for each in records for entry in each["inputs"]]  # type: ignore[attr-defined]
    return tuple(dict.fromkeys(InputVersion(entry["name"], entry["run_id"]) for entry in entries))


def _amount(size: int, files: int | None = None) -> str:
    words = (
        f"{size:,} bytes"
        if size < 10_000
        else f"{size / 1000:,.0f} kB"
        if size < 10_000_000
        else f"{size / 1e6:,.0f} MB"
    )
    return words if files is None else f"{files} file{'s' if files != 1 else ''}, {words},"
