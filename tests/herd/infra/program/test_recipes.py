"""What the recipes of docs/contributing.md say: done once, with a pretend kind, in a copy of the product."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from herd.infra.components import COMPONENTS
from herd.infra.spec.models import KINDS
from herd.infra.workloads.common import Workload
from tests.herd.infra.program.mocks import TEAM, write_team

ROOT = Path(__file__).parents[4]

COMPONENT = '''
"""A feed: a service that people use in a browser."""

from herd.infra.workloads.api import Api


class Feed(Api):
    """A folder of feeds/."""
'''
MODEL = '''class FeedSpec(ServiceSpec):
    """People use it in a browser."""

    kind: Literal["feed"] = "feed"
    greeting: str = Field(default="hello", description="what it says first")


AnySpec = JobSpec | ReportSpec | ApiSpec | AppSpec | FeedSpec
'''
LINE = '"api": KindOfWorkload(ApiSpec, "an api", {**SCRIPTS, **SERVERS}, "api.Api"),'
EDITS: dict[str, list[tuple[str, str]]] = {
    "runner/contract/kinds.py": [
        ('Literal["job", "report", "api", "app"]', 'Literal["job", "report", "api", "app", "feed"]'),
        ('frozenset({"api", "app"})', 'frozenset({"api", "app", "feed"})'),
    ],
    "infra/spec/models.py": [
        ("AnySpec = JobSpec | ReportSpec | ApiSpec | AppSpec\n", MODEL),
        (LINE, LINE + LINE.replace("ApiSpec", "FeedSpec").replace("api", "feed").replace("Api", "Feed")),
    ],
    "infra/workloads/feed.py": [("", COMPONENT)],
}
"""The product's files that the recipe of docs/contributing.md names."""

IMPORT = "from herd.project import Project\n"
MORE = "from herd.infra.workloads.feed import Feed\nfrom herd.infra.spec.models import FeedSpec\n"
MADE = "    apis |= {s.name: Feed(s, platform, hardware.balancers.serving(s), project) for s in project.of(FeedSpec)}\n"
TEAMS = [(IMPORT, MORE + IMPORT), ("    pipelines = {\n", MADE + "    pipelines = {\n")]
"""What the team's infra/outputs.py gets."""

PROGRAM = """
import sys
from pathlib import Path

import herd
from herd.targets import exports
from tests.herd.infra.program.mocks import run_program

assert Path(herd.__file__).is_relative_to(sys.argv[1]), herd.__file__
program = run_program(Path(sys.argv[2]))
known = exports.parse(program.exports, "dev")
print(known.services["board"].kind, known.services["board"].service)
print(program.one("ecs/service:Service", "board-service").inputs["loadBalancers"][0]["containerPort"])
"""


def edited(path: Path, edits: list[tuple[str, str]]) -> None:
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    for before, after in edits:
        assert before in text, f"{path.name} has no {before!r}: what the recipe says is not how it is"
        text = text.replace(before, after, 1)
    path.write_text(text, encoding="utf-8")


@pytest.mark.parametrize("kind", KINDS)
def test_the_table_of_kinds_names_what_is_made_of_one(kind: str) -> None:
    assert issubclass(COMPONENTS[kind], Workload)


def test_a_kind_of_workload_is_three_files(tmp_path: Path) -> None:
    product, team = tmp_path / "src", write_team(tmp_path / "team", TEAM | {"Pulumi.yaml": "name: herd\n"})
    shutil.copytree(ROOT / "src" / "herd", product / "herd", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "infra", team / "infra", ignore=shutil.ignore_patterns("__pycache__"))
    for path, edits in EDITS.items():
        edited(product / "herd" / path, edits)
    edited(team / "infra" / "outputs.py", TEAMS)
    search = os.pathsep.join(map(str, (product, ROOT / "src", ROOT)))
    env = {**os.environ, "PYTHONPATH": search, "HERD_CHECKOUT": str(team)}

    def run(*arguments: str) -> str:
        done = subprocess.run([sys.executable, *arguments], env=env, cwd=team, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    assert "feeds/board/workload.toml" in run("-m", "herd", "new", "feed", "board")
    (team / "feeds/board/workload.toml").write_text('greeting = "good day"\nport = 9100\n')
    assert run("-c", PROGRAM, str(product), str(team)).split() == ["feed", "herd-dev-board", "9100.0"]
    (team / "feeds/board/workload.toml").write_text('greting = "good day"\n')
    done = subprocess.run([sys.executable, "-m", "herd", "up"], env=env, cwd=team, capture_output=True, text=True)
    assert done.returncode == 2 and "unknown setting 'greting'; did you mean 'greeting'?" in done.stderr


HARDWARE = """
import json, sys
from pathlib import Path

import herd
from tests.herd.infra.program.mocks import run_program

assert Path(herd.__file__).is_relative_to(sys.argv[1]), herd.__file__
program = run_program(Path(sys.argv[2]))
(machine,) = [one for one in program.of("sfn/stateMachine:StateMachine") if one.name.startswith("lonely")]
print("FARGATE_BURST" in machine.inputs["definition"])
task = program.one("ecs/taskDefinition:TaskDefinition", "lonely-task").inputs
print(task["requiresCompatibilities"], "ephemeralStorage" in task)
(providers,) = program.of("ecs/clusterCapacityProviders:ClusterCapacityProviders")
print("FARGATE_BURST" in providers.inputs["capacityProviders"])
"""


def test_hardware_that_aws_runs_is_one_file(tmp_path: Path) -> None:
    product, team = tmp_path / "src", write_team(tmp_path / "team", TEAM | {"Pulumi.yaml": "name: herd\n"})
    shutil.copytree(ROOT / "src" / "herd", product / "herd", ignore=shutil.ignore_patterns("__pycache__"))
    row = '    "fargate-burst": Managed("FARGATE_BURST", "for bursts", ("Fargate bursts", "L-0")),\n'
    edited(product / "herd/infra/capacity.py", [('    "fargate-spot": Managed(', f'{row}    "fargate-spot": Managed(')])
    (team / "jobs/lonely/workload.toml").write_text('hardware = "fargate-burst"\n')
    search = os.pathsep.join(map(str, (product, ROOT / "src", ROOT)))
    command = [sys.executable, "-c", HARDWARE, str(product), str(team)]
    done = subprocess.run(command, env={**os.environ, "PYTHONPATH": search}, cwd=team, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["True", "['FARGATE'] True", "True"]


def test_the_recipe_names_these_files() -> None:
    page = (ROOT / "docs/contributing.md").read_text(encoding="utf-8")
    (row,) = [line for line in page.splitlines() if line.startswith("| a kind of workload |")]
    assert row.split(" | ")[1] == str(len(EDITS))
    assert all(f"`src/herd/{path}`" in row for path in EDITS if not path.endswith("feed.py"))
