"""Runs of jobs, reports and pipelines that have ended: failures, recoveries, warnings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final

from herd.runner.contract.due import due_time
from herd.runner.contract.statuses import FAILED_ERROR, KILLED_ERROR

from . import failures
from .call import Call, Who
from .events import RunEnded
from .known import Execution, RunKey
from .messages import Account
from .run_messages import history_of, tell_better, tell_failure
from .troubles import LATE


def ended(call: Call, event: RunEnded) -> None:
    """A run has ended: a failure, a recovery, or neither."""
    who = call.pipelines[event.name] if event.is_pipeline else call.workloads[event.name]
    execution = event.execution
    if execution.status in ("FAILED", "TIMED_OUT"):
        failed(call, who, event.key, execution)
    elif execution.status == "SUCCEEDED" and failures.status_of(execution) == "succeeded":
        succeeded(call, who, execution.started, execution.ended or call.now)
        if not who.is_pipeline:
            _look_for_warnings(call, who, event.key)


def succeeded(call: Call, who: Who, started: datetime, done: datetime) -> None:
    """It is well again, unless what succeeded is older than what is wrong."""
    topic = call.topic(who.topic)
    call.put(who.topic, replace(topic, good=max(topic.good or started, started)))
    trouble = topic.trouble
    if trouble is None:
        return
    caught_up = trouble.kind in LATE and (trouble.due is None or done >= trouble.due)
    if caught_up or (trouble.kind not in LATE and (trouble.run_started is None or started > trouble.run_started)):
        telling = call.better(who.topic)
        if telling is not None:
            tell_better(call, who, telling, f"It succeeded at {call.when(done, who)}.")


def failed(call: Call, who: Who, key: RunKey, execution: Execution) -> None:
    """A run failed. That of a pipeline is told as its failed jobs', and as its own only if none of them did."""
    if who.is_pipeline and (jobs := failures.failed_jobs(execution)):
        _jobs_failed(call, who, key, jobs, execution)
        return
    due = failures.due_of(execution)
    if not call.is_new(who.topic, key.run_id, *([f"due {due}"] if due else [])):
        return
    record = {} if who.is_pipeline else call.lookup.record(who.name, key)
    failure = failures.explain(execution, record, who.kind, who.name)
    at = execution.ended or call.now
    good = call.topic(who.topic).good
    if good is not None and execution.started < good:
        since = f"It has succeeded since, with a run that began at {call.when(good, who)}: nothing is left to be done."
        tell_failure(call, who, failure, key, execution, f"{failure.text} (it has succeeded since)", (since,))
        return
    telling = call.worse(
        who.topic,
        failure.kind,
        failure.text,
        at=at,
        run_id=key.run_id,
        run_started=execution.started,
        due=moment_of(due),
    )
    if telling is not None:
        what, history = history_of(call, who, telling, failure.text)
        tell_failure(call, who, failure, key, execution, what, history)


def _jobs_failed(call: Call, who: Who, key: RunKey, jobs: Sequence[str], execution: Execution) -> None:
    """The jobs' own events tell it; this one is for those that were lost. The pipeline is not late beside that."""
    due = failures.due_of(execution)
    call.is_new(who.topic, key.run_id, *([f"due {due}"] if due else []))
    topic = call.topic(who.topic)
    if topic.trouble is not None and topic.trouble.kind in LATE:
        call.put(who.topic, replace(topic, trouble=None))
    for name in jobs:
        job = call.workloads.get(name)
        if job is None or key.run_id in call.topic(job.topic).seen:
            continue
        own = RunKey(job.machine, key.run_id)
        job_run = call.lookup.execution(own)
        if isinstance(job_run, Execution):
            if job_run.status in ("FAILED", "TIMED_OUT"):
                failed(call, job, own, job_run)
        elif job_run is None:
            failed(call, job, own, replace(execution, error=KILLED_ERROR, cause=_NOT_BEGUN, input=""))
        elif call.lookup.is_final:
            failed(call, job, own, replace(execution, error=FAILED_ERROR, cause="", input=""))


_NOT_BEGUN: Final = '{"exit_code": null, "reason": "its pipeline could not start it"}'


def _look_for_warnings(call: Call, who: Who, key: RunKey) -> None:
    """A run that was published although a check did not hold, or its mail was refused."""
    topic = f"warning:{who.name}"
    of_checks, of_mail = failures.warnings(call.lookup.record(who.name, key))
    if not of_checks and not of_mail:
        telling = call.better(topic)
        if telling is not None:
            tell_better(call, who, telling, "All its checks hold.")
        return
    if not call.is_new(topic, key.run_id):
        return
    said = [*([f"check {'; '.join(of_checks)}"] if of_checks else []), *of_mail]
    what = f"published with a warning: {'; '.join(said)}"
    telling = call.worse(topic, "warning", what, at=call.now)
    if telling is not None:
        what, history = history_of(call, who, telling, what)
        run = f"Run {key.run_id} was published all the same"
        run += ': the check says otherwise = "warn".' if of_checks else "."
        account = Account("", what, (run, *history), (), who.readers, "", (call.command("checks", who.name),))
        call.tell_of(who, "warning", account)


def moment_of(text: str | None) -> datetime | None:
    """A time as a marker has it: with or without parts of a second. None for what is none."""
    if not text:
        return None
    try:
        moment_ = datetime.fromisoformat(text)
        return moment_ if moment_.tzinfo else due_time(text)
    except ValueError:
        return None
