"""The program of a small team. It runs once for all tests that only look at it."""

from pathlib import Path

import pytest

from tests.herd.infra.program.mocks import TEAM, Program, run_program, write_team


@pytest.fixture
def team(tmp_path: Path) -> Path:
    return write_team(tmp_path, TEAM)


@pytest.fixture(scope="session")
def program(tmp_path_factory: pytest.TempPathFactory) -> Program:
    return run_program(write_team(tmp_path_factory.mktemp("team"), TEAM))
