"""A cloud for the machines to run in, and specs for them to run."""

from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from herd.infra.spec.load import JobSpec
from tests.herd.infra.states import cloud as clouds


@pytest.fixture
def cloud() -> Iterator[clouds.Cloud]:
    with clouds.cloud() as cloud:
        yield cloud


@pytest.fixture
def job() -> Callable[..., JobSpec]:
    """`job("train", retries=1)`"""

    def make(name: str, **settings: Any) -> JobSpec:
        return JobSpec(
            name=name,
            folder=Path("jobs") / name,
            owner="data@example.com",
            review_by=date(2027, 6, 30),
            command=("python", "main.py"),
            **settings,
        )

    return make
