"""A log that is followed: nothing twice, nothing lost in silence, also where the log lets go of lines."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast

from hypothesis import given
from hypothesis import strategies as st

from herd.runs import logs
from herd.runs.logs import Reader
from localcloud.runtime.logs import left_out

NOW = datetime(2027, 1, 31, 6, 0, tzinfo=UTC)


class Log:
    """A log group that keeps the last lines of each stream only, as the local cloud's; a stand-in for its client."""

    exceptions = SimpleNamespace(ResourceNotFoundException=KeyError)

    def __init__(self, kept: int) -> None:
        self._kept = kept
        self._streams: dict[str, list[tuple[int, str, str]]] = {}
        self.written: dict[str, int] = {}
        self._time = int(NOW.timestamp() * 1000)

    def write(self, stream: str, count: int) -> None:
        self._time += 5_000
        events = self._streams.setdefault(stream, [])
        for _ in range(count):
            number = self.written.get(stream, 0)
            events.append((self._time, f"{stream}-{number}", f"{stream} {number}"))
            self.written[stream] = number + 1
        if len(events) > self._kept:
            lost = self.written[stream] - self._kept
            at = events[-self._kept - 1][0]
            events[: -self._kept] = [(at, f"{stream}-left-out-{lost}", left_out(lost))]

    def filter_log_events(self, *, startTime: int, **_: Any) -> dict[str, Any]:
        events = [
            {"timestamp": time, "eventId": name, "message": text, "logStreamName": stream}
            for stream, some in self._streams.items()
            for time, name, text in some
            if time >= startTime
        ]
        return {"events": sorted(events, key=lambda event: event["timestamp"])}


@given(st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 60), st.booleans()), max_size=20))
def test_every_line_is_shown_or_counted(steps: list[tuple[str, int, bool]]) -> None:
    log = Log(kept=20)
    reader = Reader(cast(Any, SimpleNamespace(client=lambda _: log)), "/jobs", NOW, whole=True)
    shown: dict[str, list[str]] = {}
    for stream, count, look in [*steps, ("a", 0, True)]:
        log.write(stream, count)
        for line in reader.new() if look else ():
            shown.setdefault(line.stream, []).append(line.text)
    for stream, count in log.written.items():
        place = 0
        for text in shown.get(stream, []):
            if text.startswith("…"):
                place += int(text.split()[1].replace(",", ""))
            else:
                assert text == f"{stream} {place}"
                place += 1
        assert place == count


def test_the_line_of_the_local_cloud_is_known() -> None:
    assert logs.LEFT_OUT.fullmatch(left_out(12_345)) is not None
