"""Why a run failed, in words: from its execution's error and cause, and from the record that its task wrote.

The execution says what became of the task, the record what the program and its checks said. Both are other people's
texts: they are read, cut, and never trusted to have the shape that the state machine gives them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from herd.runner.contract.kinds import FOLDERS, Kind
from herd.runner.contract.statuses import (
    BAD_SETTINGS,
    CANNOT_PUBLISH,
    CHECK_FAILED_ERROR,
    CHECK_FAILED_RUN,
    FAILED_RUNS,
    INPUT_MISSING,
    KILLED_ERROR,
    OF_MAIL,
    OUT_OF_MEMORY,
    SKIPPED_RUN,
    STATUS_OF_ERROR,
    SUCCEEDED_RUN,
    TIMED_OUT_ERROR,
    UNAVAILABLE,
)

from .known import Execution

_IMAGE = re.compile(r"CannotPull|ImageNotFound|manifest unknown|image .{0,200}not found", re.IGNORECASE)
_PERMISSION = re.compile(
    r"AccessDenied|Access Denied|not authorized to perform|UnauthorizedOperation|unable to assume|is not authorized",
    re.IGNORECASE,
)
_MEMORY = re.compile(r"OutOfMemory|memory_gb = ", re.IGNORECASE)
_SETTING = re.compile(r"\b(timeout_minutes|memory_gb) = [0-9.]*[0-9]")

LONGEST_REASON: Final = 500


@dataclass(frozen=True)
class Failure:
    """`kind`: of `messages.KINDS`. `text`: what happened, the rest of a sentence that begins with the workload's name.

    `task`: ARN of the last attempt's task. `attempts`: how many there were.
    """

    kind: str
    text: str
    task: str | None = None
    attempts: int | None = None


def explain(execution: Execution, record: Mapping[str, Any], kind: Kind | None, name: str) -> Failure:
    """Of an execution that has failed. `kind` and `name` lead to the settings file, for what a setting would mend."""
    cause = _object(execution.cause)
    task, attempts = cause.get("task"), cause.get("attempts")
    what, text = _explain(execution, cause, record)
    setting = _SETTING.search(text)
    if setting and kind is not None:
        file = f" ({FOLDERS[kind]}/{name}/workload.toml)"
        text = text[: setting.end()] + file + text[setting.end() :]
    return Failure(
        what,
        text,
        task if isinstance(task, str) else None,
        attempts if isinstance(attempts, int) and attempts > 1 else None,
    )


def _explain(execution: Execution, cause: Mapping[str, Any], record: Mapping[str, Any]) -> tuple[str, str]:
    said = _line(cause.get("reason")) or (_line(execution.cause) if not cause else "")
    recorded = _line(record.get("reason"))
    code = cause.get("exit_code")
    # A record of an earlier attempt says nothing of what killed the last one.
    own = recorded if code is not None and record.get("exit_code") == code else ""
    if execution.status == "TIMED_OUT" or execution.error == TIMED_OUT_ERROR:
        return "time-limit", own or said or "took longer than its time limit"
    if execution.error == CHECK_FAILED_ERROR:
        return CHECK_FAILED_RUN, f"check {_failed_checks(record) or own or 'failed'}"
    if execution.error == KILLED_ERROR:
        return _killed(code, said or recorded)
    words = own or said or _line(execution.error)
    if _PERMISSION.search(words):
        return "permission", f"a permission is missing: {words}"
    if execution.error not in STATUS_OF_ERROR:
        return "failed", f"its state machine failed: {': '.join(filter(None, (_line(execution.error), said)))}"
    kind = _BY_EXIT_CODE.get(code) if isinstance(code, int) else None
    return kind or "failed", f"failed: {words}" if words else "failed"


_BY_EXIT_CODE: Final[Mapping[int, str]] = {
    INPUT_MISSING: "input-missing",
    UNAVAILABLE: "unavailable",
    CANNOT_PUBLISH: "cannot-publish",
    BAD_SETTINGS: "bad-settings",
}


def _killed(code: object, reason: str) -> tuple[str, str]:
    if _MEMORY.search(reason):
        return "out-of-memory", f"ran out of memory: {reason}"
    if code is not None:
        by = f" (exit code {code})" if isinstance(code, int) else ""
        hint = "; if nobody did, it most likely used more than its memory" if code == OUT_OF_MEMORY else ""
        return "killed", f"was killed{by}{f': {reason}' if reason else ''}{hint}"
    if _IMAGE.search(reason):
        return "image", f"never started: its image cannot be had: {reason}"
    if _PERMISSION.search(reason):
        return "permission", f"never started: a permission is missing: {reason}"
    return "never-started", f"never started: {reason.removeprefix('the task did not start: ') or 'no reason was given'}"


def _failed_checks(record: Mapping[str, Any]) -> str:
    return "; ".join(_messages(record, rejects=True))


def warnings(record: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    """Of a run that was published: what its checks with `otherwise = "warn"` said, and what was said of its mail."""
    return _messages(record, rejects=False), _messages(record, rejects=False, of_mail=True)


def _messages(record: Mapping[str, Any], *, rejects: bool, of_mail: bool = False) -> list[str]:
    checks = record.get("checks")
    entries = [check for check in checks if isinstance(check, dict)] if isinstance(checks, list) else []
    entries = [check for check in entries if (check.get("kind") == OF_MAIL) is of_mail]
    return [
        message
        for check in entries
        if check.get("passed") is False and (check.get("otherwise", "reject") == "reject") == rejects
        if (message := _line(check.get("message")))
    ]


def status_of(execution: Execution) -> str:
    """The word of an execution that succeeded: `succeeded`, or `skipped` for one that left the work to another."""
    status = _object(execution.output).get("status")
    return SKIPPED_RUN if status == SKIPPED_RUN else SUCCEEDED_RUN


def jobs_of(execution: Execution) -> dict[str, str]:
    """Job -> status, from the output or cause of a pipeline's execution."""
    said = _object(execution.cause) or _object(execution.output)
    jobs = said.get("jobs")
    return {str(name): str(status) for name, status in jobs.items()} if isinstance(jobs, dict) else {}


def failed_jobs(execution: Execution) -> list[str]:
    return [job for job, status in jobs_of(execution).items() if status in FAILED_RUNS]


def was_replaced(execution: Execution) -> bool:
    """Was it stopped by a newer run of the same workload, not by a person?"""
    return execution.status == "ABORTED" and execution.cause == REPLACED


REPLACED: Final = "replaced by a newer run"
"""The cause with which a state machine stops the runs before its own (`overlap = "replace"`)."""


def due_of(execution: Execution) -> str | None:
    """The scheduled time of a run that its own schedule started; None for any other."""
    started = _object(execution.input)
    scheduled_time = started.get("scheduled_time")
    return scheduled_time if started.get("trigger") == "schedule" and isinstance(scheduled_time, str) else None


def trigger_of(execution: Execution) -> str:
    return _line(_object(execution.input).get("trigger"))


def _object(text: str) -> Mapping[str, Any]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _line(value: object) -> str:
    """One line of somebody's text."""
    if not isinstance(value, str):
        return ""
    line = " ".join("".join(c if c.isprintable() else " " for c in value[: 4 * LONGEST_REASON]).split())
    return line if len(line) <= LONGEST_REASON else line[: LONGEST_REASON - 1] + "…"
