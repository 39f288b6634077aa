"""Each setting of a stack changed, in each profile: what the program then makes differently.

`.venv/bin/python -m tests.herd.infra.program.stack_changes` writes the table that test_program_stack.py holds it to.
"""

import sys
import tempfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from herd.infra.settings.schema import PROFILES, Profile, Settings
from herd.infra.settings.tables import Connection, Dataset, Notifications, Pool, SignIn
from localcloud.plugins.resource import REGISTRY
from localcloud.plugins.types import load_types
from tests.herd.infra.program.mocks import ACCOUNT, REGION, TEAM, Program, run_program, write_team

TABLE = Path(__file__).parent / "replacements.golden"

HEAD = """\
# What a change of a stack's setting replaces: resources whose physical name or identity goes, with what hangs on them.
# Settings that are not here change resources in place, add some or take some away.
# Source: the program under mocks, and the properties that force a new resource in the tables of
# localcloud/plugins/types, which follow pulumi-aws 7.51.1 and pulumi-docker 5.2.0. What refers to the id of a replaced
# resource may follow it. A replaced task definition is a new revision: its service is rolled, the next run takes it.
# Written by `python -m tests.herd.infra.program.stack_changes`; read each new line as a person who has data in there.
"""

SMALL = ("defaults.toml", "images/", "runner/", "lib/", "apis/inside/", "apis/answers/serve.py")
WIDE_TEAM = {path: text for path, text in TEAM.items() if path.startswith(SMALL)} | {
    "jobs/copy/workload.toml": 'owner = "analytics"\nschedule = "@daily"\n'
    'connects = ["warehouse"]\nreads = ["weather"]\n',
    "jobs/copy/main.py": "print(7)\n",
    "reports/page/workload.toml": 'reads = ["copy"]\n',
    "reports/page/main.py": "print(4)\n",
    "apis/answers/workload.toml": 'command = ["python", "serve.py"]\naccess = "public"\n',
    "apis/staff/workload.toml": 'command = ["python", "serve.py"]\naccess = "company"\n',
    "apis/staff/serve.py": "print(8)\n",
}
"""A team with a use for every setting, but for pools, which do not go with every network."""

POOL_USER = {"jobs/heavy/workload.toml": 'hardware = "big"\ncpu = 1\n', "jobs/heavy/main.py": "print(9)\n"}

COMMON: Mapping[str, Any] = {
    "allow_public": True,
    "company_cidrs": ("203.0.113.0/24",),
    "connections": {"warehouse": Connection("postgresql", "warehouse", 5432, "db.example.com")},
    "datasets": {"weather": Dataset("s3://acme-open/weather/")},
    "pools": {"big": Pool("m7i.large")},
    "notifications": Notifications({"analytics": ("ada@example.com",)}),
}
BASES: Mapping[Profile, Mapping[str, Any]] = {
    "dev": COMMON,
    "prod": {
        **COMMON,
        "data_bucket": "acme-data",
        "boundary": f"arn:aws:iam::{ACCOUNT}:policy/acme",
        "domain": "data.example.com",
        "dns_zone": "example.com",
    },
}
ENDING = {"ttl": "48h", "ends_at": "2027-01-31T06:00:00Z"}
NAT = {"network": "nat"}
TLS = {"domain": "data.example.com", "dns_zone": "example.com"}
VPC = {
    "vpc": "vpc-company",
    "private_subnets": ("subnet-1a", "subnet-2b"),
    "public_subnets": ("subnet-3a", "subnet-4b"),
}
SIGN_IN = SignIn("https://id.example.com", "https://id.example.com/a", "https://id.example.com/t",
                 "https://id.example.com/u", "herd", "hush")  # fmt: skip

Change = tuple[Mapping[str, Any], Mapping[str, Any]]

CHANGES: Mapping[str, Change] = {
    "schedules": ({}, {"schedules": False}),
    "copy_of": ({}, {"copy_of": "other"}),
    "expired": ({}, {"expired": ("copy",)}),
    "ttl": (ENDING, {**ENDING, "ttl": "4h"}),
    "ends_at": (ENDING, {**ENDING, "ends_at": "2027-02-01T06:00:00Z"}),
    "made_by": ({}, {"made_by": "ada@example.com"}),
    "scheme": ({}, {"scheme": "http"}),
    "network to nat": ({"network": "public"}, {"network": "nat"}),
    "network to endpoints": ({"network": "nat"}, {"network": "endpoints"}),
    "vpc": ({}, VPC),
    "private_subnets": (
        {**VPC, "network": "nat"},
        {**VPC, "network": "nat", "private_subnets": ("subnet-5a", "subnet-6b")},
    ),
    "public_subnets": (VPC, {**VPC, "public_subnets": ("subnet-5a", "subnet-6b")}),
    "vpc_cidr": ({}, {"vpc_cidr": "10.9.0.0/16"}),
    "zones": ({}, {"zones": 3}),
    "log_retention_days": ({}, {"log_retention_days": 30}),
    "keep_versions_days": ({}, {"keep_versions_days": 7}),
    "encryption_key": ({"encryption_key": "none"}, {"encryption_key": "create"}),
    "access_logs": ({"access_logs": False}, {"access_logs": True}),
    "flow_logs": ({"flow_logs": False}, {"flow_logs": True}),
    "protect": ({"protect": False}, {"protect": True}),
    "data_bucket": ({}, {"data_bucket": "acme-other"}),
    "log_bucket": ({"access_logs": True}, {"access_logs": True, "log_bucket": "acme-logs"}),
    "image_repositories": ({}, {"image_repositories": "acme/images"}),
    "boundary": ({}, {"boundary": f"arn:aws:iam::{ACCOUNT}:policy/other"}),
    "iam_path": ({}, {"iam_path": "/acme/"}),
    "domain": (TLS, {**TLS, "domain": "other.example.com"}),
    "dns_zone": (TLS, {**TLS, "dns_zone": "data.example.com"}),
    "certificate": (TLS, {**TLS, "certificate": f"arn:aws:acm:{REGION}:{ACCOUNT}:certificate/12ab"}),
    "company_cidrs": ({}, {"company_cidrs": ("198.51.100.0/24",)}),
    "sign_in": (TLS, {**TLS, "sign_in": SIGN_IN}),
    "reports to cloudfront": ({}, {"reports": "cloudfront"}),
    "reports to none": ({}, {"reports": "none"}),
    "container_insights": ({"container_insights": False}, {"container_insights": True}),
    "connections": (
        {},
        {"connections": {"warehouse": Connection("postgresql", "warehouse", 6432, "db.example.com")}},
    ),
    "datasets": ({}, {"datasets": {"weather": Dataset("s3://acme-open/other/")}}),
    "pools to more": (NAT, {**NAT, "pools": {"big": Pool("m7i.large", max=8)}}),
    "pools to other machines": (NAT, {**NAT, "pools": {"big": Pool("m7g.large", arm64=True)}}),
    "notifications": ({}, {"notifications": Notifications({"analytics": ("grace@example.com",)})}),
    "reserve_for_watch": ({}, {"reserve_for_watch": False}),
    "tags": ({}, {"tags": {"cost-centre": "4711"}}),
}
"""Setting (and to what) -> what is set before and after, beside the profile's base."""

REFUSES = {"account", "allow_public", "require_tls", "budget_per_month", "environments_per_person"}
"""Settings that make nothing: they decide whether anything is made."""


def settings(profile: Profile, given: Mapping[str, Any]) -> Settings:
    environment = {"dev": "dev", "prod": "prod"}[profile]
    return Settings.by_profile(profile, "herd", environment, REGION, ACCOUNT, **{**BASES[profile], **given})


@cache
def _run(key: tuple[Profile, str, int]) -> Program:
    profile, change, side = key
    team = WIDE_TEAM | (POOL_USER if change.startswith("pools") else {})
    with tempfile.TemporaryDirectory() as folder:
        return run_program(write_team(Path(folder), team), settings(profile, CHANGES[change][side]))


def before_and_after(profile: Profile, change: str) -> tuple[Program, Program]:
    return _run((profile, change if CHANGES[change][0] else "tags", 0)), _run((profile, change, 1))


def replaced(before: Program, after: Program) -> list[str]:
    """`ecs/service:Service (capacityProviderStrategies): inside-service` of what both have, a line for each type."""
    load_types()
    was = {resource.urn: resource for resource in before.resources}
    found: dict[str, list[str]] = {}
    for resource in after.resources:
        if resource.urn not in was or resource.is_component:
            continue
        old, fields = was[resource.urn].inputs, REGISTRY[resource.type].fields
        changed = {name for name in old | resource.inputs if old.get(name) != resource.inputs.get(name)}
        forcing = sorted(name for name in changed if name in fields and fields[name].replaces)
        if forcing:
            kind = f"{resource.type.partition(':')[2]} ({', '.join(forcing)})"
            found.setdefault(kind, []).append(resource.name)
    return [f"{kind}: {', '.join(sorted(names))}" for kind, names in sorted(found.items())]


def table() -> str:
    lines = [HEAD.rstrip()]
    for profile in PROFILES:
        for change in CHANGES:
            found = replaced(*before_and_after(profile, change))
            if found:
                lines += ["", f"{profile}: {change}", *(f"    {line}" for line in found)]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    TABLE.write_text(table(), encoding="utf-8")
    sys.stdout.write(f"{TABLE}\n")
