"""The order of the tests: groups stay together, the longest unit starts first, no worker ends long after the others."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from xdist.remote import Producer

from harness import order

GB = 2**30


@pytest.mark.parametrize(
    ("nodeid", "unit"),
    [
        ("tests/live/test_a.py::test_b", "tests/live/test_a.py"),
        ("tests/live/test_a.py::test_b[x@y::z]", "tests/live/test_a.py"),
        ("tests/live/test_a.py::TestC::test_b", "tests/live/test_a.py"),
        ("tests/live/test_a.py::test_b@live-a", "live-a"),
        ("tests/live/test_a.py::test_b[x@y]@live-a", "live-a"),
    ],
)
def test_the_unit_of_a_test(nodeid: str, unit: str) -> None:
    assert order.unit_of(nodeid) == unit


@pytest.mark.parametrize(
    ("cores", "memory_gb", "expected"),
    [(2, 16, 3), (2, 24, 3), (2, 5, 2), (8, 16, 8), (8, 32, 12), (1, 16, 1), (1, 1, 1)],
)
def test_workers(cores: int, memory_gb: int, expected: int) -> None:
    assert order.workers(cores, memory_gb * GB) == expected


class Worker:
    """A worker that runs what it is sent, one test after another."""

    def __init__(self, name: str):
        self.gateway = SimpleNamespace(id=name)
        self.shutting_down = False
        self.queue: list[int] = []
        self.busy_until = 0.0

    def send_runtest_some(self, indices: list[int]) -> None:
        self.queue.extend(indices)

    def shutdown(self) -> None:
        self.shutting_down = True


def carry_out(
    tests: list[str], takes: Mapping[str, float], workers: int, table: Mapping[str, float]
) -> tuple[list[str], list[float]]:
    """Run `tests` through the scheduler; the order in which they began, and when each worker ended."""
    config: Any = SimpleNamespace(
        getvalue=lambda _: ["popen"] * workers, option=SimpleNamespace(loadscopereorder=True, verbose=0)
    )
    scheduler = order.LongestFirst(config, Producer("order", enabled=False), table)
    nodes: list[Any] = [Worker(str(number)) for number in range(workers)]
    for node in nodes:
        scheduler.add_node(node)
    for node in nodes:
        scheduler.add_node_collection(node, tests)
    scheduler.schedule()
    began = []
    while ready := [node for node in nodes if node.queue]:
        node = min(ready, key=lambda node: node.busy_until)
        test = tests[node.queue.pop(0)]
        began.append(test)
        node.busy_until += takes[test]
        scheduler.mark_test_complete(node, tests.index(test))
    return began, [node.busy_until for node in nodes]


def test_what_takes_longest_starts_first() -> None:
    tests = [*(f"tests/small_{number}.py::test" for number in range(6)), "tests/a.py::test@long", "tests/b.py::test"]
    began, _ = carry_out(tests, dict.fromkeys(tests, 1.0), 2, {"long": 90.0, "tests/b.py": 30.0})
    assert began[:2] == ["tests/a.py::test@long", "tests/b.py::test"]


def test_a_new_live_file_does_not_wait_for_the_end() -> None:
    tests = ["tests/herd/test_a.py::test", "tests/live/test_new.py::test", "tests/herd/test_b.py::test"]
    began, _ = carry_out(tests, dict.fromkeys(tests, 1.0), 1, {})
    assert began[0] == "tests/live/test_new.py::test"


def test_a_group_of_several_files_is_run_by_one_worker_in_one_go() -> None:
    tests = ["tests/a.py::test@shared", "tests/x.py::test", "tests/b.py::test@shared", "tests/y.py::test"]
    began, _ = carry_out(tests, dict.fromkeys(tests, 1.0), 1, {"shared": 5.0})
    assert began[:2] == ["tests/a.py::test@shared", "tests/b.py::test@shared"]


@given(
    st.lists(st.floats(0.1, 100), min_size=1, max_size=40),
    st.integers(1, 4),
)
def test_no_worker_ends_later_than_two_units_after_the_first(seconds: list[float], workers: int) -> None:
    """A worker holds the unit that it runs and the next."""
    tests = [f"tests/test_{number}.py::test" for number in range(len(seconds))]
    takes = dict(zip(tests, seconds, strict=True))
    began, ends = carry_out(tests, takes, workers, {order.unit_of(test): value for test, value in takes.items()})
    assert sorted(began) == sorted(tests), "each test runs once"
    if len(tests) >= 2 * workers:
        assert max(ends) - min(ends) <= 2 * max(seconds)


def test_what_a_run_took_is_recorded(tmp_path: Path) -> None:
    table = tmp_path / "seconds.json"
    table.write_text('{"tests/other.py": 7.0, "group": 3.0}')
    recorder = order.Recorder(table)
    reports: list[Any] = [
        SimpleNamespace(nodeid="tests/a.py::test@group", duration=4.0),
        SimpleNamespace(nodeid="tests/b.py::test@group", duration=2.04),
        SimpleNamespace(nodeid="tests/quick.py::test", duration=0.2),
    ]
    for report in reports:
        recorder.pytest_runtest_logreport(report)
    recorder.pytest_sessionfinish()
    assert json.loads(table.read_text()) == {"group": 6.0, "tests/other.py": 7.0}


def test_the_table_names_what_there_is() -> None:
    """A file that was renamed or split would count as new."""
    files = {
        str(file.relative_to(order.TABLE.parents[1])): file.read_text()
        for file in order.TABLE.parent.rglob("test_*.py")
    }
    groups = "\n".join(files.values())
    assert [unit for unit in order.read() if unit not in files and f'"{unit}"' not in groups] == []
