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
    with subprocess.Popen([sys.executable, "-S", "-c", "input()"], stdin=subprocess.PIPE) as process:
        seen = psutil.Process(process.pid)
        assert runs(process.pid) and words_of(seen)[-1] == "input()" and variables_of(seen)
        process.kill()
        how = os.WEXITED if request.param == "gone" else os.WEXITED | os.WNOWAIT
        os.waitid(os.P_PID, process.pid, how)
        yield seen


def test_one_that_has_ended(ended: psutil.Process) -> None:
    assert not runs(ended.pid)
    assert (words_of(ended), variables_of(ended)) == ([], {})
