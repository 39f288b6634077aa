"""What is asked about a process that has ended has an answer, whether or not its parent has waited for it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import psutil
import pytest

from harness.processes import runs, variables_of, words_of


@pytest.fixture(params=["a zombie", "gone"])
def ended(request: pytest.FixtureRequest) -> Iterator[psutil.Process]:
    command = [sys.executable, "-S", "-c", "print(flush=True); input()"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stdout.readline()
        seen = psutil.Process(process.pid)
        assert runs(process.pid) and words_of(seen) == command and variables_of(seen)
        process.kill()
        how = os.WEXITED if request.param == "gone" else os.WEXITED | os.WNOWAIT
        os.waitid(os.P_PID, process.pid, how)
        yield seen


def test_one_that_has_ended(ended: psutil.Process) -> None:
    assert not runs(ended.pid)
    assert (words_of(ended), variables_of(ended)) == ([], {})
