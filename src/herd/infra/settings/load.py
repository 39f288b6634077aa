"""The stack's settings: the only reader of `pulumi.Config`.

Every setting is declared in `schema` with its type, default and meaning; here each becomes a plain value that was
checked, so that the rest of the program knows nothing of Pulumi's configuration and tests make a `Settings` by hand.
A profile is a set of defaults and nothing else: no code asks which one it is (docs/decisions/0013).
All problems are shown at once, in the words of the file:

    Pulumi.dev.yaml: herd:log_retention_days = 15 is not allowed; allowed: 1, 3, 5, 7, 14, …
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal

import pulumi
from pulumi.runtime import config as runtime_config

from herd.infra import naming
from herd.infra.messages import did_you_mean, printable, quoted, show
from herd.infra.settings import readers as read
from herd.infra.settings.schema import BY_PROFILE, SETTINGS, misplaced
from herd.infra.settings.schema import own as own_settings
from herd.infra.settings.tables import PROFILES, Connection, Dataset, Pool, Profile, SignIn


class SettingsError(pulumi.RunError):
    """One line per problem. Pulumi prints a RunError without a traceback."""


@dataclass(frozen=True)
class Settings:
    """What an environment is told from outside. Defaults are those of `schema` and of the profile dev (a test
    compares them); `Settings.by_profile("prod", …)` has the other's. Empty text or an empty collection: not used.

    `account`: the one that the environment may be made in. `schedules`: off, everything is deployed and nothing starts
    by the clock. `expired`: workloads whose schedules are off, because their review is overdue; who knows a clock says
    so. `scheme`: of the addresses that are shown. `vpc_cidr`, `zones`: of a VPC of its own; with `vpc` the company's is
    used instead. `encryption_key`: "none", "create" or the ARN of one. `data_bucket`, `log_bucket`,
    `image_repositories`, `boundary`, `certificate`: adopted, by name or ARN. `protect`: what is there is not deleted by
    mistake; off, `down` removes everything, whatever lies in it.
    """

    project: str
    environment: str
    region: str
    account: str
    profile: Profile = "dev"
    schedules: bool = True
    expired: tuple[str, ...] = ()
    scheme: Literal["http", "https"] = "https"
    allow_public: bool = False
    network: Literal["public", "nat", "endpoints"] = "public"
    vpc: str = ""
    private_subnets: tuple[str, ...] = ()
    public_subnets: tuple[str, ...] = ()
    vpc_cidr: str = "10.0.0.0/16"
    zones: int = 2
    log_retention_days: int = 14
    keep_versions_days: int = 30
    encryption_key: str = "none"
    access_logs: bool = False
    flow_logs: bool = False
    protect: bool = False
    data_bucket: str = ""
    log_bucket: str = ""
    image_repositories: str = ""
    boundary: str = ""
    iam_path: str = ""
    domain: str = ""
    dns_zone: str = ""
    certificate: str = ""
    company_cidrs: tuple[str, ...] = ()
    require_tls: bool = False
    sign_in: SignIn | None = None
    reports: Literal["bucket", "cloudfront", "none"] = "bucket"
    pools: Mapping[str, Pool] = field(default_factory=dict)
    container_insights: bool = False
    connections: Mapping[str, Connection] = field(default_factory=dict)
    datasets: Mapping[str, Dataset] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def load(cls) -> "Settings":
        """The settings of the stack that Pulumi runs; raises SettingsError."""
        # pulumi.Config answers for one key at a time; only the runtime knows which keys there are.
        values = {**runtime_config.get_config_env(), **runtime_config.CONFIG.get()}
        secret = frozenset(key for key in values if runtime_config.is_config_secret(key))
        return parse(pulumi.get_project(), pulumi.get_stack(), values, secret)

    @classmethod
    def by_profile(
        cls, profile: Profile, project: str, environment: str, region: str, account: str, **given: Any
    ) -> "Settings":
        """The profile's defaults with `given` in their place. Nothing is checked."""
        return cls(project, environment, region, account, profile, **{**PROFILES[profile], **given})

    @property
    def has_tls(self) -> bool:
        """Whether load balancers have a certificate: theirs is always for a name of the company's own."""
        return bool(self.domain)


def parse(project: str, environment: str, config: Mapping[str, str], secret: frozenset[str] = frozenset()) -> Settings:
    """Pulumi's configuration (`{"herd:schedules": "off", "aws:region": …}`) -> Settings; raises SettingsError."""
    problems: list[str] = []
    values: dict[str, Any] = {}
    try:
        naming.Naming(project, environment)
    except ValueError as error:
        problems.append(f"the stack: {error}")
    problems += misplaced(project, config)
    own = own_settings(config)
    for key, text in sorted(own.items()):
        if key not in _READERS:
            problems.append(f"herd:{printable(key)}: unknown setting {quoted(key)}{did_you_mean(key, _READERS)}")
            continue
        if text == BY_PROFILE and key in PROFILES["dev"] or key == "account" and not text:
            continue
        try:
            values[key] = _READERS[key](text)
        except ValueError as error:
            problems.append(f"herd:{key}{_finding(key, text, error, f'herd:{key}' in secret)}")
    if values.get("sign_in") and "herd:sign_in" not in secret:
        how = "pulumi config set --secret --path herd:sign_in.client_secret"
        problems.append(f"herd:sign_in has its client_secret in clear; set it with: {how}")
    region = config.get("aws:region", "")
    if not region:
        problems.append("aws:region is missing; set it with: pulumi config set aws:region eu-west-1")
    problems += _account_problems(own.get("account", ""), config)
    profile = values.pop("profile", "dev")
    known = {"account": "", "region": region, **values}
    settings = Settings.by_profile(profile, project, environment, **known)
    problems += [f"herd:{problem}" for problem in contradictions(settings)]
    if problems:
        raise SettingsError("\n".join(f"Pulumi.{printable(environment)}.yaml: {problem}" for problem in problems))
    return settings


def contradictions(settings: Settings) -> Iterator[str]:
    """Which settings need others, or cannot be beside them; each line begins with the setting to look at."""
    yield from _network_problems(settings)
    yield from _access_problems(settings)
    if settings.log_bucket and not (settings.access_logs or settings.flow_logs):
        yield "log_bucket is set, but neither access_logs nor flow_logs is on"
    for setting in ("encryption_key", "certificate"):
        region = [*vars(settings)[setting].split(":"), "", "", ""][3]
        if region and settings.region and region != settings.region:
            yield f"{setting} lies in {region}; it must be in {settings.region}, as the environment"
    for setting in ("boundary", "certificate"):
        account = [*vars(settings)[setting].split(":"), *[""] * 5][4]
        if account not in ("", "aws", settings.account) and settings.account:
            yield f"{setting} is of the account {account}; it must be of {settings.account}, as the environment"
    if settings.profile == "prod":
        adopted = {
            "data_bucket": "its data outlives it: name the bucket that `herd bootstrap` made",
            "boundary": "it limits every role: name the policy that `herd bootstrap` made",
        }
        yield from (
            f"{key} is missing; prod needs it, {why}" for key, why in adopted.items() if not vars(settings)[key]
        )


def _network_problems(settings: Settings) -> Iterator[str]:
    subnets = {"private_subnets": settings.private_subnets, "public_subnets": settings.public_subnets}
    if not settings.vpc:
        yield from (
            f"{key} needs vpc: subnets are adopted together with their network" for key in subnets if subnets[key]
        )
        return
    for_tasks = "public_subnets" if settings.network == "public" else "private_subnets"
    for key, found in subnets.items():
        if found and len(found) < 2:
            yield f"{key} has one subnet; a load balancer needs two, in different zones"
        if key == for_tasks and not found:
            yield f"{key} is missing: with vpc and network = {settings.network} tasks run there"


def _access_problems(settings: Settings) -> Iterator[str]:
    if settings.domain and not (settings.dns_zone or settings.certificate):
        yield "domain needs dns_zone, where its certificate is proven, or the ARN of a certificate"
    if settings.dns_zone and not settings.domain:
        yield "dns_zone needs domain: the name below which workloads answer"
    if settings.dns_zone and settings.domain and not f".{settings.domain}".endswith(f".{settings.dns_zone}"):
        yield f"domain = {settings.domain} does not lie in dns_zone = {settings.dns_zone}"
    if settings.certificate and not settings.domain:
        yield "certificate needs domain: the name that it is for"
    if settings.sign_in and not settings.domain:
        yield "sign_in needs domain: people sign in over TLS only, and a load balancer's own name has no certificate"


def _account_problems(account: str, config: Mapping[str, str]) -> Iterator[str]:
    """The account stands twice: for the program, and for the provider, which then refuses credentials of any other."""
    if not account:
        yield 'herd:account is missing; set it with: pulumi config set herd:account "123456789012"'
    elif re.fullmatch("[0-9]{12}", account):
        try:
            allowed = [str(one) for one in json.loads(config.get("aws:allowedAccountIds", "[]"))]
        except (ValueError, TypeError, RecursionError):
            allowed = []
        if allowed != [account]:
            yield f'aws:allowedAccountIds must be ["{account}"], so that the provider refuses every other account too'


def _finding(key: str, text: str, error: ValueError, secret: bool) -> str:
    """What is wrong, with the value only where it is short and may be seen."""
    if secret and key != "sign_in":  # whose reader never shows the one thing in it that is secret
        return " is not allowed; its value is secret and not shown"
    return f" {error}" if key in _TABLES else f" = {show(text)[1:-1]} {error}"


_TABLES: Mapping[str, read.Reader] = {
    "expired": read.listed(read.workload),
    "private_subnets": read.listed(read.ids("subnet")),
    "public_subnets": read.listed(read.ids("subnet")),
    "company_cidrs": read.cidrs,
    "sign_in": read.sign_in,
    "pools": read.pools,
    "connections": read.connections,
    "datasets": read.datasets,
    "tags": read.tags,
}
_READERS: Mapping[str, read.Reader] = {
    "account": read.account,
    "profile": read.one_of("dev", "prod"),
    "schedules": read.switch,
    "scheme": read.one_of("http", "https"),
    "allow_public": read.boolean,
    "network": read.one_of("public", "nat", "endpoints"),
    "vpc": lambda text: read.ids("vpc")(text) if text else "",
    "vpc_cidr": read.network,
    "zones": read.number(range(2, 4).__contains__, "2, 3"),
    "log_retention_days": read.number(
        read.LOG_RETENTION_DAYS.__contains__, ", ".join(map(str, read.LOG_RETENTION_DAYS))
    ),
    "keep_versions_days": read.number(range(1, 3651).__contains__, "1 to 3650"),
    "encryption_key": read.encryption_key,
    "access_logs": read.boolean,
    "flow_logs": read.boolean,
    "protect": read.boolean,
    "data_bucket": read.text(read.BUCKET, "the name of a bucket"),
    "log_bucket": read.text(read.BUCKET, "the name of a bucket"),
    "image_repositories": read.text(read.REPOSITORIES, "the beginning of repositories' names, like acme/images"),
    "boundary": read.text(read.POLICY_ARN, "the ARN of an IAM policy"),
    "iam_path": read.text(read.IAM_PATH, 'a path of IAM that begins and ends with "/", like /acme/'),
    "domain": read.text(read.DOMAIN, "the name of a domain, like data.example.com"),
    "dns_zone": read.text(read.DOMAIN, "the name of a hosted zone, like example.com"),
    "certificate": read.text(read.CERTIFICATE_ARN, "the ARN of a certificate of ACM"),
    "require_tls": read.boolean,
    "reports": read.one_of("bucket", "cloudfront", "none"),
    "container_insights": read.boolean,
    **_TABLES,
}
GIVEN = frozenset({"project", "environment", "region"})
"""Fields that the project, the stack and the AWS provider give."""
assert _READERS.keys() == SETTINGS.keys() == {setting.name for setting in fields(Settings)} - GIVEN
