"""Apps: services for people, beside the APIs of the same program."""

from __future__ import annotations

from pathlib import Path

import pytest

from herd.infra.spec.load import load_specs
from tests.herd.infra.program.mocks import TEAM, Program, run_program, write_team

APP = {
    "apps/board/workload.toml": 'command = ["python", "serve.py"]\n[replicas]\nmin = 2\nmax = 2\n',
    "apps/board/serve.py": "print(7)\n",
}


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Program:
    return run_program(write_team(tmp_path_factory.mktemp("team"), TEAM | APP))


def test_an_app_is_a_service_behind_the_balancer(program: Program) -> None:
    service = program.one("ecs/service:Service", "board-service")
    assert service.inputs["desiredCount"] == 2
    assert program.one("lb/targetGroup:TargetGroup", "board-targets").inputs["healthCheck"]["path"] == "/"
    assert program.task("board")["kind"] == "app"


def test_a_browser_stays_with_the_copy_that_holds_its_session(program: Program) -> None:
    sticky = program.one("lb/targetGroup:TargetGroup", "board-targets").inputs["stickiness"]
    assert (sticky["enabled"], sticky["type"], sticky["cookieDuration"]) == (True, "lb_cookie", 86_400)


def test_the_target_group_of_an_api_is_as_it_was(program: Program) -> None:
    assert "stickiness" not in program.one("lb/targetGroup:TargetGroup", "answers-targets").inputs


@pytest.mark.parametrize(
    ("file", "served_by"),
    [("streamlit_app.py", "streamlit run"), ("app.R", "shiny::runApp"), ("main.py", "main.py"), ("main.R", "main.R")],
)
def test_what_lies_in_the_folder_says_how_an_app_starts(tmp_path: Path, file: str, served_by: str) -> None:
    files = {"defaults.toml": TEAM["defaults.toml"], "apps/board/workload.toml": "", f"apps/board/{file}": "\n"}
    files |= {path: text for path, text in TEAM.items() if path.startswith("images/")}
    spec = load_specs(write_team(tmp_path, files), "dev").workloads["board"]
    assert served_by in " ".join(spec.command)
