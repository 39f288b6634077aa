"""The whole program of a small team in every environment, as rules and linters see it. One run for each."""

from __future__ import annotations

import functools
import tempfile
from pathlib import Path

from infra.settings import Settings
from policy.model import Resource, Stack
from tests.infra.program.mocks import ACCOUNT, REGION, TEAM, Program, run_program, write_team

PROD = {
    "allow_public": True,
    "boundary": f"arn:aws:iam::{ACCOUNT}:policy/acme-boundary",
    "data_bucket": "acme-prod-data",
    "domain": "data.example.com",
    "dns_zone": "example.com",
}
ENVIRONMENTS: dict[str, Settings] = {
    "dev": Settings.by_profile("dev", "herd", "dev", REGION, ACCOUNT, allow_public=True),
    "dev with endpoints": Settings.by_profile(
        "dev", "herd", "dev", REGION, ACCOUNT, allow_public=True, network="endpoints"
    ),
    "prod": Settings.by_profile("prod", "herd", "prod", REGION, ACCOUNT, **PROD),
}


@functools.cache
def program(name: str) -> Program:
    with tempfile.TemporaryDirectory() as folder:
        return run_program(write_team(Path(folder), TEAM), ENVIRONMENTS[name])


def resources(name: str) -> list[Resource]:
    return [
        Resource(r.type, r.name, r.inputs, r.urn, r.parent, r.property_dependencies) for r in program(name).resources
    ]


def stack(name: str) -> Stack:
    """The environment's settings as the engine gives them to a policy pack: texts."""
    settings = ENVIRONMENTS[name]
    told = ("profile", "network", "protect", "require_tls", "encryption_key", "flow_logs", "access_logs")
    config = {f"herd:{key}": str(getattr(settings, key)) for key in told}
    config = {key: {"True": "true", "False": "false"}.get(value, value) for key, value in config.items()}
    return Stack(settings.environment, settings.project, config)
