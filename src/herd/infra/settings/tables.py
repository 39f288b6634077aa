"""What the tables in a stack's settings become: pools, connections, datasets, the sign-in. No Pulumi.

Each field is declared once: its type, limits, default and meaning. What a program makes by hand is not checked; what
stands in a stack's file is (`herd.infra.settings.reading`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field

from herd.infra import addresses
from herd.infra.capacity import MANAGED
from herd.infra.messages import show
from herd.infra.settings import values
from herd.infra.settings.reading import NOT_SHOWN, IfMissing
from herd.runner.contract import names
from herd.runner.contract.checks import CONNECTION_DRIVERS, dialect
from herd.runner.contract.plan import Wanted

DRIVER_PORTS = {
    "clickhouse": 8443,
    "mariadb": 3306,
    "mssql": 1433,
    "mysql": 3306,
    "oracle": 1521,
    "postgresql": CONNECTION_DRIVERS["postgresql"],
    "redshift": CONNECTION_DRIVERS["redshift"],
    "snowflake": 443,
    "trino": 443,
}
"""Driver -> the port that its server listens on where nobody chose another. The part before a `+` counts."""

MOST_ADDRESSES = 50
"""More people are a mailing list; and a filter of the topic takes 150 values (SNS, "Filter policy constraints")."""

NO_OTHERS = ConfigDict(extra="forbid")


@dataclass(frozen=True)
class Pool:
    """VMs that workloads may name as their `hardware`: `min` to `max` machines of `instance_type`; with 0 it rests."""

    __pydantic_config__: ClassVar[ConfigDict] = NO_OTHERS

    instance_type: Annotated[
        str,
        values.form(values.INSTANCE_TYPE, "must be the name of an EC2 instance type, like m7i.large", empty=False),
        Field(description="EC2's name of the machine", examples=["m7i.large"]),
    ]
    min: Annotated[int, Field(strict=True, ge=0, le=100, description="kept running"), values.FROM_NUMBER] = 0
    max: Annotated[int, Field(strict=True, ge=1, le=100, description="machines at most"), values.FROM_NUMBER] = 4
    gpu: Annotated[int, Field(strict=True, ge=0, le=16, description="GPUs of one machine"), values.FROM_NUMBER] = 0
    arm64: Annotated[bool, Field(strict=True, description="follows from the instance type and can be left out")] = False


@dataclass(frozen=True)
class Connection:
    """A database that workloads reach by `connects = ["<name>"]`."""

    __pydantic_config__: ClassVar[ConfigDict] = NO_OTHERS

    driver: Annotated[
        str,
        values.form(values.DRIVER, "must be the scheme of a connection URL, like postgresql", empty=False),
        Field(description="the scheme of the address", examples=["postgresql"]),
    ]
    secret: Annotated[
        str,
        values.form(names.SECRET, f"must be the name of a secret of the environment: {names.SECRET_RULE}", empty=False),
        NOT_SHOWN,
        Field(description="the environment's secret that holds user and password, and the host where `host` is empty"),
    ]
    port: Annotated[
        int,
        Field(strict=True, ge=1, le=65_535, description="the server's; by the driver where it is known"),
        values.FROM_NUMBER,
        IfMissing(f"it is known for {', '.join(DRIVER_PORTS)}"),
    ]
    host: Annotated[
        str,
        values.form(values.HOST, "must be the name of a server"),
        Field(description="the server's name"),
    ] = ""
    cidr: Annotated[
        str,
        AfterValidator(values.server_network),
        Field(description="where the server is; empty, anywhere", examples=["10.1.0.0/16"]),
    ] = ""


@dataclass(frozen=True)
class Dataset:
    """Data that Herd did not make, which workloads read by name."""

    __pydantic_config__: ClassVar[ConfigDict] = NO_OTHERS

    uri: Annotated[
        str,
        BeforeValidator(values.dataset_uri, json_schema_input_type=str),
        Field(description="an exact prefix: `s3://bucket/prefix/`"),
    ]

    @property
    def bucket(self) -> str:
        return self.uri.removeprefix("s3://").partition("/")[0]

    @property
    def prefix(self) -> str:
        return self.uri.removeprefix("s3://").partition("/")[2]


@dataclass(frozen=True)
class SignIn:
    """The company's OpenID Connect provider, asked by the load balancer before a request reaches a workload.

    What has no place in its `repr` has none in a message either.
    """

    __pydantic_config__: ClassVar[ConfigDict] = NO_OTHERS

    issuer: Annotated[values.Https, Field(description="the provider's own address")]
    authorization_endpoint: Annotated[values.Https, Field(description="where people sign in")]
    token_endpoint: Annotated[values.Https, Field(description="where the load balancer gets its tokens")]
    user_info_endpoint: Annotated[values.Https, Field(description="where it learns who somebody is")]
    client_id: Annotated[values.Filled, Field(description="the environment's name there")]
    client_secret: Annotated[values.Filled, Field(description="its password, encrypted in the file")] = field(
        repr=False
    )


Address = Annotated[str, AfterValidator(values.address)]
Addresses = Annotated[
    tuple[Address, ...],
    Field(max_length=MOST_ADDRESSES),
    values.UNIQUE,
    values.NOT_EMPTY,
    BeforeValidator(values.one_or_more, json_schema_input_type=str | list[str]),
]
WantedMessages = Annotated[
    tuple[Wanted, ...],
    values.UNIQUE,
    values.NOT_EMPTY,
    BeforeValidator(values.one_or_more, json_schema_input_type=Wanted | list[Wanted]),
]


@dataclass(frozen=True)
class Notifications:
    """Who is told what of an environment. Workloads name their owner: an address, or one of the teams in `owners`."""

    __pydantic_config__: ClassVar[ConfigDict] = NO_OTHERS

    owners: Annotated[
        dict[Annotated[str, AfterValidator(values.team_name)], Addresses],
        AfterValidator(values.different_keys),
        Field(
            description="team -> its address, or a list; `owner` of a workload may then name the team",
            examples=["{analytics: [ada@example.com, grace@example.com]}"],
        ),
    ] = field(default_factory=dict)
    addresses: Annotated[
        dict[Address, WantedMessages],
        Field(
            max_length=MOST_ADDRESSES,
            description="address -> what it hears of every workload: `failures`, `late`, `warnings`, `all` or a list",
            examples=["{platform@example.com: [failures, late]}"],
        ),
    ] = field(default_factory=dict)
    mail_from: Annotated[
        str,
        AfterValidator(values.optional_address),
        Field(description="the sender of reports by e-mail, an identity of Amazon SES", examples=["data@example.com"]),
    ] = ""


# --- entries as they are written ------------------------------------------------------------------------------------


def _with_architecture(table: Any) -> Any:
    kind = table.get("instance_type") if isinstance(table, Mapping) else None
    return {"arm64": values.is_arm64(kind), **table} if isinstance(kind, str) else table


def _pool(pool: Pool) -> Pool:
    if pool.min > pool.max:
        raise ValueError(f"has min = {pool.min}, which is more than max = {pool.max}")
    if pool.arm64 is not values.is_arm64(pool.instance_type):
        raise ValueError(f"has arm64 = {show(pool.arm64)}, which does not fit {pool.instance_type}; leave it out")
    return pool


def _pool_name(value: str) -> str:
    if value in MANAGED:
        raise ValueError("is hardware that every environment has; give the pool another name")
    return values.entry_name(value)


def _with_port(table: Any) -> Any:
    if not isinstance(table, Mapping) or "port" in table or not isinstance(table.get("driver"), str):
        return table
    port = DRIVER_PORTS.get(dialect(table["driver"]))
    return {"port": port, **table} if port else table


def _notifications(value: Any) -> Any:
    """Addresses that differ in capital letters are one mailbox, which pydantic would give one of the two entries."""
    table = values.from_json(value)
    written = table.get("addresses") if isinstance(table, Mapping) else None
    if isinstance(written, Mapping):
        values.different_keys({str(key): None for key in written if not addresses.is_web_address(str(key))})
    return table


def _sign_in(value: Any) -> Any:
    """An empty table: there is none."""
    table = values.from_json(value)
    return table or None if isinstance(table, dict | None) else table


Name = Annotated[str, AfterValidator(values.entry_name)]
Pools = Annotated[
    dict[
        Annotated[str, AfterValidator(_pool_name)],
        Annotated[Pool, BeforeValidator(_with_architecture, json_schema_input_type=Pool), AfterValidator(_pool)],
    ],
    values.FROM_JSON,
]
Connections = Annotated[
    dict[Name, Annotated[Connection, BeforeValidator(_with_port, json_schema_input_type=Connection)]], values.FROM_JSON
]
Datasets = Annotated[dict[Name, Dataset], values.FROM_JSON]
OptionalNotifications = Annotated[Notifications, BeforeValidator(_notifications, json_schema_input_type=Notifications)]
OptionalSignIn = Annotated[SignIn | None, BeforeValidator(_sign_in, json_schema_input_type=SignIn)]
