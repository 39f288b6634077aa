"""The whole program of a small team in every environment, as rules and linters see it. One run for each."""

from __future__ import annotations

import functools
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from herd.infra.settings.schema import Settings
from herd.infra.settings.tables import Connection, Dataset, Pool, SignIn
from herd.policy.model import Resource, Stack
from herd.policy.wire import plain
from tests.herd.infra.program.mocks import ACCOUNT, REGION, TEAM, Program, run_program, write_team

PROD = {
    "allow_public": True,
    "boundary": f"arn:aws:iam::{ACCOUNT}:policy/acme-boundary",
    "data_bucket": "acme-prod-data",
    "domain": "data.example.com",
    "dns_zone": "example.com",
}
POOLS = {
    "machines": Pool("m6i.large"),
    "graphics": Pool("g5.xlarge", gpu=1),
    "arms": Pool("c7g.large", arm64=True),
}
VPC = {
    "vpc": "vpc-company",
    "private_subnets": ("subnet-1a", "subnet-2b"),
    "public_subnets": ("subnet-3a", "subnet-4b"),
}
SIGN_IN = SignIn("https://id.example.com", "https://id.example.com/a", "https://id.example.com/t",
                 "https://id.example.com/u", "herd", "id-secret")  # fmt: skip
WIDE = {
    "connections": {"warehouse": Connection("postgresql", "warehouse", 5432, "db.example.com")},
    "datasets": {"weather": Dataset("s3://acme-open/weather/")},
}
SCRIPT = "print(1)\n"
WIDE_TEAM = {
    "jobs/copy/workload.toml": (
        'schedule = "@daily"\nconnects = ["warehouse"]\nreads = ["weather"]\n[secrets]\nAPI_KEY = "api-key"\n'
    ),
    "jobs/copy/main.py": SCRIPT,
    "apis/staff/workload.toml": 'command = ["python", "serve.py"]\naccess = "company"\n',
    "apis/staff/serve.py": SCRIPT,
}
MACHINES_TEAM = {
    "jobs/bare/workload.toml": 'schedule = "@weekly"\nhardware = "machines"\n',
    "jobs/bare/main.py": SCRIPT,
    "jobs/fit/workload.toml": 'schedule = "@weekly"\nhardware = "graphics"\n',
    "jobs/fit/main.py": SCRIPT,
    "jobs/small/workload.toml": 'schedule = "@weekly"\nhardware = "arms"\n',
    "jobs/small/main.py": SCRIPT,
    "apis/near/workload.toml": 'command = ["python", "serve.py"]\nhardware = "machines"\n',
    "apis/near/serve.py": SCRIPT,
}


def dev(**given: Any) -> Settings:
    return Settings.by_profile("dev", "herd", "dev", REGION, ACCOUNT, **{"allow_public": True, **given})


def prod(**given: Any) -> Settings:
    return Settings.by_profile("prod", "herd", "prod", REGION, ACCOUNT, **{**PROD, **given})


LINTED: dict[str, tuple[Settings, Mapping[str, str]]] = {
    "dev": (dev(), {}),
    "prod": (prod(), {}),
    "prod with all": (
        prod(pools=POOLS, sign_in=SIGN_IN, reports="cloudfront", company_cidrs=("203.0.113.0/24",), **WIDE),
        {**WIDE_TEAM, **MACHINES_TEAM},
    ),
}
"""What Checkov looks at: each takes it a second."""

ENVIRONMENTS: dict[str, tuple[Settings, Mapping[str, str]]] = {
    **LINTED,
    "dev with nat": (dev(network="nat"), {}),
    "dev with endpoints": (dev(network="endpoints", zones=3), {}),
    "dev with all": (
        dev(pools=POOLS, network="nat", encryption_key="create", company_cidrs=("203.0.113.0/24",), **WIDE),
        {**WIDE_TEAM, **MACHINES_TEAM},
    ),
    "dev protected": (dev(protect=True, access_logs=True, flow_logs=True), {}),
    "dev without reports": (dev(reports="none"), {}),
    "prod with endpoints": (prod(network="endpoints"), {}),
    "prod in the company's network": (
        prod(encryption_key=f"arn:aws:kms:{REGION}:{ACCOUNT}:key/1234abcd", log_bucket="acme-logs", **VPC),
        {},
    ),
}


@functools.cache
def program(name: str) -> Program:
    settings, files = ENVIRONMENTS[name]
    with tempfile.TemporaryDirectory() as folder:
        return run_program(write_team(Path(folder), {**TEAM, **files}), settings)


def resources(name: str) -> list[Resource]:
    return [
        Resource(r.type, r.name, plain(r.inputs), r.urn, r.parent, r.property_dependencies)
        for r in program(name).resources
    ]


def stack(name: str) -> Stack:
    """The environment's settings as the engine gives them to a policy pack: texts."""
    settings, _ = ENVIRONMENTS[name]
    told = ("profile", "network", "protect", "require_tls", "encryption_key", "flow_logs", "access_logs")
    config = {f"herd:{key}": str(getattr(settings, key)) for key in told}
    config = {key: {"True": "true", "False": "false"}.get(value, value) for key, value in config.items()}
    return Stack(settings.environment, settings.project, config)
