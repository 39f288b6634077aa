"""What a command writes arrives whole and in order; an open line is ended where the runner speaks, and for progress."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import pytest

Make = Callable[..., Any]


@pytest.mark.parametrize(
    ("script", "lines"),
    [
        pytest.param("printf 'accuracy 0.93'", ["accuracy 0.93"], id="no line break at the end"),
        pytest.param("printf 'accuracy 0.93' >&2", ["accuracy 0.93"], id="on standard error"),
        pytest.param("echo a; echo b >&2; echo c", ["a", "b", "c"], id="in order"),
        pytest.param("printf 'a\\r\\nb\\r\\n'", ["a\r", "b\r"], id="line ends of Windows"),
        pytest.param("printf '\\n\\n'", ["", ""], id="empty lines"),
        pytest.param("true", [], id="nothing"),
        pytest.param("(sleep 0.3; echo late) & echo early; wait", ["early", "late"], id="from below it"),
    ],
)
def test_lines_stand_alone(make: Make, script: str, lines: list[str]) -> None:
    process = make("job", script).start("r1")
    output = os.fsdecode(process.stdout.buffer.read())
    process.stdout.close()
    assert process.wait() == 0
    assert output.split("\n") == [*lines, "herd: the run wrote no files to outputs/: there is nothing to publish", ""]


def test_nothing_of_a_flood_is_lost(make: Make) -> None:
    run = make("job", "seq 300000; printf end").run("r1")
    lines = run.log.splitlines()
    assert run.status == 0 and lines[:300_000] == [str(number) for number in range(1, 300_001)]
    assert lines[300_000] == "end" and lines[300_001].startswith("herd: ")


HAND_ON = """
import sys, time
sys.path.insert(0, sys.argv[1])
from herd.runner import output
output.PROGRESS_SECONDS = 0.2
from herd.runner.command import Command
command = Command()
command.start([sys.executable, "-c", sys.argv[2]], {}, ".")
sys.exit(command.wait())
"""


def written(program: str) -> tuple[bytes, list[float]]:
    """What arrives of a program, and when each line ended."""
    source = os.path.join(os.path.dirname(__file__), "../../../src")
    started, ends, whole = time.monotonic(), list[float](), b""
    command = [sys.executable, "-c", HAND_ON, source, program]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        assert process.stdout is not None
        while chunk := os.read(process.stdout.fileno(), 65536):
            whole += chunk
            ends += [time.monotonic() - started] * chunk.count(b"\n")
    assert process.returncode == 0, whole
    return whole, ends


def test_progress_in_one_line_is_shown_now_and_then() -> None:
    bar = "import os, time\nfor i in range(20): os.write(2, b'\\rtraining %d%%' % i); time.sleep(0.05)"
    whole, ends = written(f"{bar}\nos.write(2, b'\\n')")
    assert whole.replace(b"\n", b"\r").split(b"\r") == [
        b"",
        *(f"training {number}%".encode() for number in range(20)),
        b"",
    ]
    assert len(ends) >= 3 and ends[0] < ends[-1] - 0.3


def test_a_return_at_the_end_of_a_write_makes_no_empty_line() -> None:
    bar = "import os, time\nfor i in range(8): os.write(1, b'step %d\\r' % i); time.sleep(0.1); os.write(1, b'\\n')"
    whole, _ = written(bar)
    assert b"\n\n" not in whole and whole.count(b"step") == 8
