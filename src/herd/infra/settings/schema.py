"""What a stack may set: the settings of an environment. No Pulumi.

A setting is declared here once: its name, type and limits, its default in each profile, and its meaning. From that come
its reading and its errors (`herd.infra.settings.load`), docs/reference/settings.md and stack.schema.json, and what the
command line knows of it. Pulumi lets a Pulumi.yaml declare only keys of its own project, so it declares none of these.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from herd.infra.settings import values
from herd.infra.settings.reading import WEB_ADDRESSES_NOT_SHOWN, Declared, declared
from herd.infra.settings.tables import (
    Connections,
    Datasets,
    Notifications,
    OptionalNotifications,
    OptionalSignIn,
    Pools,
)
from herd.runner.contract import names

Profile = Literal["dev", "prod"]

BY_PROFILE = "profile"
"""The default of a setting that has one for each profile; a stack may write it too."""


@dataclass(frozen=True)
class Prod:
    """Of a setting: its default in the profile prod; the field's own is dev's."""

    default: Any


@dataclass(frozen=True)
class OfAccount:
    """Of a setting: it names things of one account, so a local environment does without. With `adopted` the thing
    itself is used and not owned: it stays when the environment goes.
    """

    adopted: bool


@dataclass(frozen=True)
class Settings:
    """What an environment is told from outside. Nothing is checked where a program or a test makes one by hand;
    `herd.infra.settings.load` checks what a stack says. Empty text or an empty collection: not used.
    """

    project: str
    environment: str
    region: str
    account: Annotated[
        values.AccountId,
        Field(
            description="The AWS account that the environment may be made in, 12 digits in quotes. "
            "aws:allowedAccountIds names it for the provider too"
        ),
    ]
    profile: Annotated[
        Profile,
        Field(description="A set of defaults: dev is cheap and disposable, prod is protected, encrypted and logged"),
    ] = "dev"
    schedules: Annotated[values.Switch, Field(description="Off, everything is deployed and starts by hand only")] = True
    copy_of: Annotated[
        str,
        values.form(names.ENVIRONMENT, "must be the name of an environment, like prod"),
        Field(
            description="The environment that this one is a copy of, whose [environments.x] in workload.toml apply "
            "here too, below its own. `herd clone` writes it"
        ),
    ] = ""
    expired: Annotated[
        tuple[Annotated[str, AfterValidator(values.workload)], ...],
        values.UNIQUE,
        values.FROM_JSON,
        Field(
            description="Workloads whose review_by has passed: their schedules are off. `herd up` and `herd preview` "
            "write it by the calendar"
        ),
    ] = ()
    ttl: Annotated[
        str,
        AfterValidator(values.time_to_live),
        Field(
            description="How long the environment lasts from each deployment on, like 48h (m, h or d); then it is "
            "removed. `herd up` writes it. Without it the environment stays"
        ),
    ] = ""
    ends_at: Annotated[
        str,
        AfterValidator(values.moment),
        Field(description="When the environment is removed, in UTC. `herd up` writes it, by the clock and ttl"),
    ] = ""
    made_by: Annotated[
        str,
        AfterValidator(values.person),
        Field(description="Who made an environment that ends by itself. `herd up` writes it"),
    ] = ""
    environments_per_person: Annotated[
        int,
        Field(
            strict=True,
            ge=1,
            le=100,
            description="How many environments that end by themselves one person may have; a further one is refused",
        ),
        values.FROM_DIGITS,
    ] = 5
    scheme: Annotated[
        Literal["http", "https"],
        Field(
            description="The scheme of addresses that are shown: https on AWS; http where the cloud below has no "
            "certificates"
        ),
    ] = "https"
    allow_public: Annotated[
        values.Flag,
        Field(
            description='Whether an API with access = "public" may be reached from the internet. Off, it is refused in '
            "every preview"
        ),
    ] = False
    network: Annotated[
        Literal["public", "nat", "endpoints"],
        Prod("nat"),
        Field(
            description="How tasks reach the world: public (an address each), nat (one gateway) or endpoints (AWS only)"
        ),
    ] = "public"
    vpc: Annotated[
        str,
        values.identifier("vpc"),
        OfAccount(adopted=True),
        Field(description="The id of a VPC made elsewhere. Without it the environment has its own"),
    ] = ""
    private_subnets: Annotated[
        tuple[Annotated[str, values.identifier("subnet")], ...],
        values.UNIQUE,
        values.FROM_JSON,
        OfAccount(adopted=False),
        Field(description="With vpc, the subnets for tasks and internal load balancers, two or more"),
    ] = ()
    public_subnets: Annotated[
        tuple[Annotated[str, values.identifier("subnet")], ...],
        values.UNIQUE,
        values.FROM_JSON,
        OfAccount(adopted=False),
        Field(description="With vpc, the subnets for load balancers that face the internet, two or more"),
    ] = ()
    vpc_cidr: Annotated[
        str,
        AfterValidator(values.network),
        Field(
            description="The addresses of the environment's own network, /16 to /23. Another network means `herd down` "
            "first, then `herd up`"
        ),
    ] = "10.0.0.0/16"
    zones: Annotated[
        Literal[2, 3], values.FROM_DIGITS, Field(description="Availability zones of the environment's own network")
    ] = 2
    log_retention_days: Annotated[
        values.LogRetentionDays,
        values.FROM_DIGITS,
        Prod(400),
        Field(description="Days that CloudWatch keeps log lines"),
    ] = 14
    # In prod as long as the log of the run that made it: a page of last year can be explained by both.
    keep_versions_days: Annotated[
        int,
        Field(
            strict=True,
            ge=1,
            le=3650,
            description="Days that a superseded version of an output is kept. The current one never expires",
        ),
        values.FROM_DIGITS,
        Prod(400),
    ] = 30
    encryption_key: Annotated[
        str,
        AfterValidator(values.encryption_key),
        Prod("create"),
        OfAccount(adopted=False),
        Field(
            description="What encrypts data, logs and images: none (AWS's own keys), create (one key for the "
            "environment) or the ARN of a key"
        ),
    ] = "none"
    access_logs: Annotated[
        values.Flag, Prod(True), Field(description="Whether buckets and load balancers log who asked for what")
    ] = False
    flow_logs: Annotated[values.Flag, Prod(True), Field(description="Whether the network's connections are logged")] = (
        False
    )
    protect: Annotated[
        values.Flag,
        Prod(True),
        Field(
            description="Whether deletion is refused where something would be lost. Off, `herd down` removes "
            "everything, whatever lies in it"
        ),
    ] = False
    data_bucket: Annotated[
        values.Bucket,
        OfAccount(adopted=True),
        Field(
            description="The bucket for data, made elsewhere for this environment alone. Without it the environment "
            "has its own; prod must name one"
        ),
    ] = ""
    log_bucket: Annotated[
        values.Bucket,
        OfAccount(adopted=True),
        Field(
            description="The bucket for access and flow logs, made elsewhere. Without it the environment has its own"
        ),
    ] = ""
    image_repositories: Annotated[
        str,
        values.form(values.REPOSITORIES, "must be the beginning of repositories' names, like acme/images"),
        OfAccount(adopted=True),
        Field(
            description="The beginning of the names of repositories made elsewhere, one for each image folder "
            "(<this>/<folder>), shared by environments"
        ),
    ] = ""
    boundary: Annotated[
        str,
        values.form(values.POLICY_ARN, "must be the ARN of an IAM policy"),
        OfAccount(adopted=True),
        Field(description="The ARN of the IAM policy that limits every role. prod must name one"),
    ] = ""
    iam_path: Annotated[
        values.IamPath,
        Field(description="The path of IAM that the environment's own path of roles lies below, like /acme/"),
    ] = ""
    domain: Annotated[
        values.Domain,
        OfAccount(adopted=False),
        Field(
            description="The name below which workloads answer, by host and HTTPS. Without it they answer by path at "
            "the load balancer's name"
        ),
    ] = ""
    dns_zone: Annotated[
        str,
        values.form(values.DOMAIN, "must be the name of a hosted zone, like example.com"),
        OfAccount(adopted=True),
        Field(description="The hosted zone in Route 53 that the domain lies in"),
    ] = ""
    certificate: Annotated[
        str,
        values.form(values.CERTIFICATE_ARN, "must be the ARN of a certificate of ACM"),
        OfAccount(adopted=True),
        Field(description="The ARN of a certificate for the domain; without it one is made and proven in dns_zone"),
    ] = ""
    company_cidrs: Annotated[
        tuple[Annotated[str, AfterValidator(values.company_network)], ...],
        values.UNIQUE,
        values.FROM_JSON,
        Field(
            description='The company\'s own networks, which alone may reach what has access = "company"; also instead '
            "of sign_in"
        ),
    ] = ()
    require_tls: Annotated[
        values.Flag, Prod(True), Field(description="Whether services must be reached by HTTPS, which needs a domain")
    ] = False
    sign_in: Annotated[
        OptionalSignIn,
        Field(
            description="The company's OpenID Connect provider: issuer, authorization_endpoint, token_endpoint, "
            "user_info_endpoint, client_id, client_secret"
        ),
    ] = None
    reports: Annotated[
        Literal["bucket", "cloudfront", "none"],
        Field(
            description="Where reports are published: bucket (a public one), cloudfront (over a private one) or none"
        ),
    ] = "bucket"
    pools: Annotated[
        Pools,
        Field(description='VMs by name: instance_type, also min, max and gpu. Workloads say hardware = "name"'),
    ] = field(default_factory=dict)
    container_insights: Annotated[
        values.Flag, Prod(True), Field(description="Whether CloudWatch keeps metrics of each container")
    ] = False
    connections: Annotated[
        Connections,
        Field(
            description="Databases by name: driver and secret, also port, host and cidr. Workloads say connects = "
            '["name"]'
        ),
    ] = field(default_factory=dict)
    datasets: Annotated[
        Datasets,
        Field(description='Data made elsewhere, by name: uri is s3://bucket/prefix/. Workloads say reads = ["name"]'),
    ] = field(default_factory=dict)
    notifications: Annotated[
        OptionalNotifications,
        WEB_ADDRESSES_NOT_SHOWN,
        Field(
            description="Who is told when something fails, is late or warns: owners (team -> addresses), addresses "
            "(address -> failures, late, warnings or all) and mail_from, by which reports are mailed"
        ),
    ] = field(default_factory=Notifications)
    budget_per_month: Annotated[
        int,
        Field(
            strict=True,
            ge=0,
            le=10_000_000,
            description="USD that the environment may cost a month by `herd cost`; 0: no budget. A preview warns "
            "where it may cost more; a deployment on AWS is refused where it costs more in any case",
        ),
        values.FROM_DIGITS,
    ] = 0
    reserve_for_watch: Annotated[
        values.Flag,
        Field(
            description="Whether one of the account's concurrent Lambda executions is kept for the watch. A new "
            "account, which has ten, refuses that; without it the watch waits where others use them all"
        ),
    ] = True
    tags: Annotated[
        values.Tags,
        Field(description="The company's own tags, on every resource that takes tags"),
    ] = field(default_factory=dict)

    @classmethod
    def by_profile(
        cls, profile: Profile, project: str, environment: str, region: str, account: str, **chosen: Any
    ) -> "Settings":
        """The profile's defaults with `chosen` in their place. Nothing is checked."""
        return cls(project, environment, region, account, profile, **{**PROFILES[profile], **chosen})

    @property
    def has_tls(self) -> bool:
        """Whether load balancers have a certificate: theirs is always for a name of the company's own."""
        return bool(self.domain)


SETTINGS: Mapping[str, Declared] = declared(Settings)
"""What a stack may set: the fields that have a description. The others come from the project, the stack and AWS."""

PROFILES: Mapping[Profile, Mapping[str, Any]] = {
    "dev": {name: one.default for name, one in SETTINGS.items() if one.mark(Prod)},
    "prod": {name: mark.default for name, one in SETTINGS.items() if (mark := one.mark(Prod))},
}
"""What a profile sets where the stack's file says nothing."""

OF_ITS_ACCOUNT = tuple(name for name, one in SETTINGS.items() if one.mark(OfAccount))
"""Settings that name things of one account."""

ADOPTABLE = tuple(name for name in OF_ITS_ACCOUNT if SETTINGS[name].mark(OfAccount).adopted)
"""Settings that name what an environment uses and does not own: it stays when the environment goes."""
