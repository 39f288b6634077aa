"""Five environments priced by hand: the arithmetic of docs/guide/cost-by-hand.md, and what the program declares."""

import re
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from herd.checkout import scaffold
from herd.checkout.find import Checkout
from herd.engine.changes import short
from herd.engine.plan import ENVIRONMENT, Resource
from herd.infra import prices
from herd.infra.settings.schema import Settings
from herd.infra.settings.tables import Pool
from herd.review.cost import Estimate, dollars, estimate
from herd.review.settings import Written
from tests.herd.infra.program.mocks import ACCOUNT, REGION, TEAM, Program, run_program, write_team

ROOT = Path(__file__).parents[4]
PAGE = ROOT / "docs/guide/cost-by-hand.md"

BASE = {path: TEAM[path] for path in ("defaults.toml", "images/python/Dockerfile", "images/python/requirements.lock")}

MACHINES = BASE | {
    "jobs/fit/workload.toml": (
        'hardware = "big"\nschedule = "0 2 * * *"\ncpu = 8\nmemory_gb = 48\ntimeout_minutes = 120\n'
    ),
    "jobs/fit/main.py": "print(1)\n",
    "reports/fit-report/workload.toml": (
        'after = ["fit"]\nreads = ["fit"]\ncpu = 0.5\nmemory_gb = 1\ntimeout_minutes = 30\n'
    ),
    "reports/fit-report/main.py": "print(2)\n",
}  # fmt: skip

APIS = BASE | {
    "apis/answers/workload.toml": (
        'command = ["python", "serve.py"]\naccess = "public"\ncpu = 1\nmemory_gb = 2\n[replicas]\nmin = 2\nmax = 6\n'
    ),
    "apis/answers/serve.py": "print(1)\n",
    "apis/inside/workload.toml": 'command = ["python", "serve.py"]\ncpu = 0.25\nmemory_gb = 0.5\n',
    "apis/inside/serve.py": "print(2)\n",
    "reports/page/workload.toml": (
        'schedule = "0 7 * * 1"\ncpu = 1\nmemory_gb = 2\ndisk_gb = 30\ntimeout_minutes = 10\n'
    ),
    "reports/page/main.py": "print(3)\n",
}  # fmt: skip

R = {
    "reports/sales/workload.toml": (
        'schedule = "every 6 hours"\nhardware = "fargate-spot"\ncpu = 2\nmemory_gb = 8\ntimeout_minutes = 45\n'
    ),
    "apis/score/workload.toml": 'cpu = 0.5\nmemory_gb = 2\n[secrets]\nKEY = "crm"\n',
}

KEPT: Mapping[str, Any] = {
    "allow_public": True,
    "data_bucket": "acme-data",
    "boundary": f"arn:aws:iam::{ACCOUNT}:policy/acme",
    "domain": "data.example.com",
    "dns_zone": "example.com",
}
"""What the profile prod asks for."""


def sample(root: Path) -> None:
    for name in ("jobs", "reports", "apis", "images", "lib"):
        shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__", ".*"))
    shutil.copy(ROOT / "defaults.toml", root)


def in_r(root: Path) -> None:
    write_team(root, {"defaults.toml": TEAM["defaults.toml"] + 'image = "r"\n'})
    checkout = Checkout(root, root / "cache")
    scaffold.create(checkout, "report", "sales", "r")
    scaffold.create(checkout, "api", "score", "r")
    write_team(root, R)


def dev(**more: Any) -> Settings:
    return Settings.by_profile("dev", "herd", "dev", REGION, ACCOUNT, **more)


def prod(**more: Any) -> Settings:
    return Settings.by_profile("prod", "herd", "prod", REGION, ACCOUNT, **{**KEPT, **more})


@dataclass(frozen=True)
class Environment:
    """`title` of its part of the page; `region` whose prices it has."""

    title: str
    region: str
    team: Callable[[Path], object]
    settings: Settings


ENVIRONMENTS = [
    Environment("The sample in dev", "eu-west-1", sample, dev(allow_public=True)),
    Environment(
        "The sample in prod", "eu-west-1", sample,
        prod(image_repositories="herd", company_cidrs=("203.0.113.0/24",), tags={"cost-centre": "research"}),
    ),
    Environment(
        "A job on machines of a pool", "eu-central-1", lambda root: write_team(root, MACHINES),
        dev(network="nat", pools={"big": Pool("m7i.4xlarge", max=2)}),
    ),
    Environment("A report and an API in R", "us-east-1", in_r, dev()),
    Environment(
        "Two APIs, endpoints in three zones, pages by CloudFront", "eu-central-1",
        lambda root: write_team(root, APIS), prod(network="endpoints", zones=3, reports="cloudfront"),
    ),
]  # fmt: skip


@dataclass(frozen=True)
class Line:
    """One row of a table: whose, and its arithmetic, worked out exactly."""

    owner: str
    low: float
    high: float


def tables() -> dict[str, tuple[list[Line], str]]:
    """Title -> the rows of its table, and the sum that it ends with."""
    parts = re.split(r"^## ", PAGE.read_text(), flags=re.MULTILINE)[1:]
    read = {}
    for part in parts:
        title, _, text = part.partition("\n")
        rows = [[cell.strip() for cell in row.strip("|").split("|")] for row in text.splitlines() if row[:1] == "|"]
        *lines, last = rows[2:]
        read[title] = ([_line(row) for row in lines], f"{last[1].strip('*')} to {last[2].strip('*')}")
    return read


def _line(row: list[str]) -> Line:
    what, low, high = row
    return Line(what.partition(":")[0].strip("`"), *map(_worked_out, (low, low if high == "the same" else high)))


def _worked_out(cell: str) -> float:
    """`2 × 730 × 0.005 = 7.30` -> 7.3; refused where the result is another."""
    arithmetic, _, result = cell.rpartition(" = ")
    assert re.fullmatch(r"[0-9.()+*/ -]+", plain := arithmetic.replace("×", "*").replace(",", "")), cell
    exact = float(eval(plain, {"__builtins__": {}}))
    decimals = len(result.partition(".")[2])
    assert f"{exact + 1e-9:.{decimals}f}" == result, f"{cell}: it is {exact}"
    return exact


def declared(program: Program) -> list[Resource]:
    names = {one.urn: one.name for one in program.resources if one.is_component}
    return [
        Resource(short(one.type), one.name, names.get(one.parent, ENVIRONMENT), one.inputs)
        for one in program.resources
        if not one.is_component and not one.type.startswith("pulumi:")
    ]


def priced(environment: Environment, root: Path) -> Estimate:
    environment.team(root)
    program = run_program(root, environment.settings)
    settings = program.exports["settings"]
    written = Written(settings["workloads"], settings["stack"])
    return estimate(declared(program), written, prices.of(environment.region))


def test_the_page_has_each_of_the_five() -> None:
    assert list(tables()) == [one.title for one in ENVIRONMENTS]


@pytest.mark.parametrize("environment", ENVIRONMENTS, ids=lambda one: one.title)
def test_an_environment_costs_what_was_worked_out_by_hand(environment: Environment, tmp_path: Path) -> None:
    lines, total = tables()[environment.title]
    by_hand = {
        owner: dollars((sum(one.low for one in lines if one.owner == owner),
                        sum(one.high for one in lines if one.owner == owner)))
        for owner in {one.owner for one in lines}
    }  # fmt: skip
    found = priced(environment, tmp_path)
    assert {owner: dollars(usd) for owner, usd in found.by_owner.items()} == by_hand
    assert dollars(found.usd) == total == dollars((sum(one.low for one in lines), sum(one.high for one in lines)))
    assert not found.unpriced
