"""What the workload's command writes, on its way to the runner's own standard output and error.

Nothing is kept back and nothing left out; two things are added, which no platform does. A line that has not ended is
ended before the runner itself says something, so that both stand alone. And a program that shows its progress in one
line, by carriage returns, has that line ended now and then: logs take whole lines, and would show it at the very end.
"""

from __future__ import annotations

import os
import threading
import time
from contextlib import suppress

from . import errors

CHUNK_BYTES = 64 * 1024

LAST_BYTES = 4096
"""What is kept of a stream, to say what a program ended with."""

PROGRESS_SECONDS = 3.0
"""How often a line of progress is ended."""

IDLE_SECONDS = 2.0
"""How long a process that nobody could end may hold its end of a pipe, saying nothing, before it is left alone."""


class Output:
    """The two streams of one command, from its start to its end; the runner's own where either is a terminal."""

    def __init__(self) -> None:
        self._streams: list[_Stream] = []
        self.stdout: int | None = None
        self.stderr: int | None = None
        if os.isatty(1) or os.isatty(2):
            return
        # One pipe where both are one: so lines stay in the order in which they were written.
        out = _Stream(1)
        err = out if os.path.samestat(os.fstat(1), os.fstat(2)) else _Stream(2)
        self._streams = [out] if err is out else [out, err]
        self.stdout, self.stderr = out.write_end, err.write_end
        errors.before_saying[:] = [err.end_line]

    def started(self) -> None:
        """The command has its ends of the pipes, or will never have them."""
        for stream in self._streams:
            stream.begin()

    @property
    def last_words(self) -> str:
        """The end of what it has written to standard error; empty where that is a terminal."""
        return self._streams[-1].last_bytes.decode("utf-8", "replace") if self._streams else ""

    def finish(self) -> None:
        """Everything of the command has ended: hand on what it has written until then."""
        for stream in self._streams:
            stream.drain()


class _Stream:
    """A pipe that a thread empties into the descriptor `target`."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._read_end, self.write_end = os.pipe()
        self.last_bytes = b""
        self._lock = threading.Lock()
        self._line_is_open = False
        self._made_of_return = False  # the last line end was a carriage return; a line feed may follow it
        self._ended_at = time.monotonic()
        self._moved_at: float | None = None  # None: it is being written, which may take its time
        self._thread = threading.Thread(target=self._hand_on, name=f"output {target}", daemon=True)

    def begin(self) -> None:
        os.close(self.write_end)
        self._thread.start()

    def drain(self) -> None:
        while self._thread.is_alive():
            self._thread.join(0.05)
            moved = self._moved_at
            if moved is not None and time.monotonic() - moved > IDLE_SECONDS:
                return

    def end_line(self) -> None:
        """End the line that is open, if there is one."""
        with self._lock:
            if self._line_is_open:
                self._write(b"\n")

    def _hand_on(self) -> None:
        self._moved_at = time.monotonic()
        try:
            while chunk := os.read(self._read_end, CHUNK_BYTES):
                self._moved_at = None
                with self._lock:
                    self.last_bytes = (self.last_bytes + chunk)[-LAST_BYTES:]
                    self._write(self._with_progress(chunk))
                self._moved_at = time.monotonic()
        except OSError:
            pass  # nobody reads any more: the command hears of it by its own next write
        finally:
            with suppress(OSError):
                os.close(self._read_end)

    def _with_progress(self, chunk: bytes) -> bytes:
        """The chunk, with one carriage return of it made a line end if the line has been open for long."""
        if self._made_of_return and chunk.startswith(b"\n"):
            chunk = chunk[1:]
        self._made_of_return = False
        now = time.monotonic()
        last = chunk.rfind(b"\r")
        shown = self._line_is_open or last > 0
        if last == -1 or not shown or now < self._ended_at + PROGRESS_SECONDS or b"\n" in chunk:
            return chunk
        self._made_of_return = last == len(chunk) - 1
        return chunk[:last] + b"\n" + chunk[last + 1 :]

    def _write(self, data: bytes) -> None:
        if not data:
            return
        if b"\n" in data:
            self._ended_at = time.monotonic()
        self._line_is_open = not data.endswith(b"\n")
        view = memoryview(data)
        while view:
            view = view[os.write(self._target, view) :]
