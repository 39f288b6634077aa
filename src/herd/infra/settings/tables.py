"""The profiles; what the tables in a stack's settings become: pools, connections, datasets, the sign-in. No Pulumi."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Profile = Literal["dev", "prod"]

PROFILES: Mapping[Profile, Mapping[str, Any]] = {
    "dev": {
        "network": "public",
        "log_retention_days": 14,
        "keep_versions_days": 30,
        "encryption_key": "none",
        "access_logs": False,
        "flow_logs": False,
        "protect": False,
        "require_tls": False,
        "container_insights": False,
    },
    "prod": {
        "network": "nat",
        "log_retention_days": 400,
        # As long as the log of the run that made it: a page of last year can be explained by both.
        "keep_versions_days": 400,
        "encryption_key": "create",
        "access_logs": True,
        "flow_logs": True,
        "protect": True,
        "require_tls": True,
        "container_insights": True,
    },
}
"""What a profile sets where the stack's file says nothing."""

ADOPTABLE = ("data_bucket", "image_repositories", "log_bucket", "vpc", "boundary", "dns_zone", "certificate")
"""Settings that name what an environment uses and does not own: it stays when the environment goes."""

DRIVER_PORTS = {
    "clickhouse": 8443,
    "mariadb": 3306,
    "mssql": 1433,
    "mysql": 3306,
    "oracle": 1521,
    "postgresql": 5432,
    "redshift": 5439,
    "snowflake": 443,
    "trino": 443,
}
"""Driver -> the port that its server listens on where nobody chose another. The part before a `+` counts."""


@dataclass(frozen=True)
class Pool:
    """VMs that workloads may name as their `hardware`: `min` to `max` machines of `instance_type`; with 0 it rests.

    `gpu`: graphics cards of one machine. `arm64` follows from the instance type.
    """

    instance_type: str
    min: int = 0
    max: int = 4
    gpu: int = 0
    arm64: bool = False


@dataclass(frozen=True)
class Connection:
    """A database that workloads reach by `connects = ["<name>"]`. `secret` is the name of an environment's secret that
    holds user and password, and the host where `host` is empty. `cidr`: where the server is; empty, anywhere.
    """

    driver: str
    secret: str
    port: int
    host: str = ""
    cidr: str = ""


@dataclass(frozen=True)
class Dataset:
    """Data that Herd did not make, which workloads read by name: `s3://bucket/prefix/`."""

    uri: str

    @property
    def bucket(self) -> str:
        return self.uri.removeprefix("s3://").partition("/")[0]

    @property
    def prefix(self) -> str:
        return self.uri.removeprefix("s3://").partition("/")[2]


@dataclass(frozen=True)
class SignIn:
    """The company's OpenID Connect provider, asked by the load balancer before a request reaches a workload."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    user_info_endpoint: str
    client_id: str
    client_secret: str = field(repr=False)
