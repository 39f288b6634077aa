"""Log lines of workloads, from CloudWatch Logs. The stream of a task is `<workload>/main/<task id>`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from herd.runner.contract.task import CONTAINER
from herd.targets.target import Target

OVERLAP_MS = 10_000
"""Overlap of two polls: lines of several tasks do not arrive in the order of their timestamps."""


@dataclass(frozen=True)
class Line:
    """One log line: `at`, an aware datetime; `stream`, which has the task's id; `text`."""

    at: datetime
    stream: str
    text: str


LEFT_OUT = re.compile(r"… ([\d,]+) earlier lines are left out: the log keeps the last [\d,]+ of a task")
"""The first line of a stream whose log has let go of lines: the local cloud keeps so many only. AWS keeps all."""


class Reader:
    """Reads a workload's log from `since` on; each `new()` returns the lines that were added.

    `whole`: nothing was written before. Then lines that the log has let go of before they were read are counted, and a
    line says how many they were.
    """

    def __init__(self, target: Target, group: str, since: datetime, *, whole: bool = False) -> None:
        self._logs = target.client("logs")
        self._group = group
        self._since = int(since.timestamp() * 1000)
        self._seen: dict[str, int] = {}
        self._whole = whole
        self._returned: dict[str, int] = {}

    def new(self) -> list[Line]:
        """Lines that were not returned before, oldest first; empty if the log group does not exist yet."""
        lines: list[Line] = []
        kept: dict[str, int] = {}
        gaps: dict[str, tuple[int, int]] = {}
        for event in _events(self._logs, self._group, self._since):
            line = _line(event)
            if (left_out := LEFT_OUT.fullmatch(line.text)) is not None:
                # Of the lines of its stream, those that are kept come after it.
                gaps[line.stream] = (len(lines), int(left_out[1].replace(",", "")))
                continue
            if event["eventId"] in self._seen:
                kept[line.stream] = kept.get(line.stream, 0) + 1
                continue
            self._seen[event["eventId"]] = event["timestamp"]
            lines.append(line)
        for stream, (place, left_out_lines) in sorted(gaps.items(), key=lambda gap: gap[1], reverse=True):
            lost = left_out_lines - (self._returned.get(stream, 0) - kept.get(stream, 0))
            if self._whole and lost > 0:
                at = lines[place].at if place < len(lines) else datetime.now(UTC)
                lines.insert(
                    place, Line(at, stream, f"… {lost:,} lines are left out: they came faster than they are read")
                )
                self._returned[stream] = self._returned.get(stream, 0) + lost - 1
        for line in lines:
            self._returned[line.stream] = self._returned.get(line.stream, 0) + 1
        if self._seen:
            self._since = max(self._since, max(self._seen.values()) - OVERLAP_MS)
            self._seen = {event: time for event, time in self._seen.items() if time >= self._since}
        return lines


def tail(
    target: Target, workload: str, group: str, count: int, task: str | None = None, since: datetime | None = None
) -> list[Line]:
    """The last `count` lines: of `task` (id or ARN), else of the newest task that wrote since `since`."""
    logs = target.client("logs")
    if task:
        return _last(logs, group, stream(workload, task), count)
    newest = _streams(logs, group, since)[-1:]
    return _last(logs, group, newest[0], count) if newest else []


def by_task(target: Target, group: str, count: int, since: datetime) -> list[list[Line]]:
    """The last `count` lines of each task that wrote since `since` (attempts, items), in the order of their starts."""
    logs = target.client("logs")
    return [_last(logs, group, stream, count) for stream in _streams(logs, group, since)]


def stream(workload: str, task: str) -> str:
    """The stream of a task (id or ARN)."""
    return f"{workload}/{CONTAINER}/{task.rsplit('/', 1)[-1]}"


def of_tasks(target: Target, workload: str, group: str, tasks: Iterable[str], count: int) -> list[list[Line]]:
    """The last `count` lines of each of these tasks (ids); of one that has printed nothing, none."""
    logs = target.client("logs")
    return [_last(logs, group, stream(workload, task), count) for task in tasks]


def _streams(logs: Any, group: str, since: datetime | None) -> list[str]:
    """Names of the streams that were written to since `since`, in the order of their first line."""
    earliest = int(since.timestamp() * 1000) if since else 0
    written: list[dict[str, Any]] = []
    pages = logs.get_paginator("describe_log_streams")
    try:
        for page in pages.paginate(logGroupName=group, orderBy="LastEventTime", descending=True):
            recent = [one for one in page["logStreams"] if one.get("lastEventTimestamp", 0) >= earliest]
            written += recent
            if not since or len(recent) < len(page["logStreams"]):
                break  # the streams are sorted: the rest is older
    except logs.exceptions.ResourceNotFoundException:
        return []
    return [entry["logStreamName"] for entry in sorted(written, key=lambda entry: entry.get("firstEventTimestamp", 0))]


def _last(logs: Any, group: str, stream: str, count: int) -> list[Line]:
    try:
        page = logs.get_log_events(logGroupName=group, logStreamName=stream, limit=count, startFromHead=False)
    except logs.exceptions.ResourceNotFoundException:
        return []
    return [_line({**event, "logStreamName": stream}) for event in page["events"]][-count:]


def _events(logs: Any, group: str, since: int) -> Iterator[dict[str, Any]]:
    arguments = {"logGroupName": group, "startTime": since}
    while True:
        try:
            page = logs.filter_log_events(**arguments)
        except logs.exceptions.ResourceNotFoundException:
            return
        yield from page["events"]
        token = page.get("nextToken")
        if not token or token == arguments.get("nextToken"):
            return
        arguments["nextToken"] = token


def _line(event: dict[str, Any]) -> Line:
    return Line(
        datetime.fromtimestamp(event["timestamp"] / 1000, UTC),
        event.get("logStreamName", ""),
        event["message"].rstrip("\n"),
    )
