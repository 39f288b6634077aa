"""How tests are shared out among workers (harness/order.py has the reasons), and one reading of the API's models."""

from __future__ import annotations

import gc
from pathlib import Path
from typing import Any

import pytest

from harness import order
from localcloud import api_models

NEW_OBJECTS = 50_000
"""After so many Python looks for cycles. By itself it does so after 700, which takes a third of the tests' time: a
worker has half a million objects that stay.
"""

gc.set_threshold(NEW_OBJECTS)

# A test that makes a client of its own would take most of its time to read what others have read.
api_models.share()


@pytest.fixture(scope="session")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with both wheels of this Herd."""
    from harness.wheels import built  # with the toolchain, which few tests need

    return built(tmp_path_factory)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--record-seconds", action="store_true", help="Write into tests/seconds.json what each file took.")


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--record-seconds") and not hasattr(config, "workerinput"):
        config.pluginmanager.register(order.Recorder(order.TABLE))


def pytest_collection_finish() -> None:
    # What was collected and imported stays to the end: not to be looked at again and again.
    gc.collect()
    gc.freeze()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    return order.auto_workers()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> order.LongestFirst | None:
    # Only with "loadgroup" does xdist write a test's group behind its name.
    return order.LongestFirst(config, log, order.read()) if config.getoption("dist") == "loadgroup" else None
