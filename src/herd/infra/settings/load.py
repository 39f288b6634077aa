"""The stack's settings: the only reader of `pulumi.Config`.

Every setting is declared in `herd.infra.settings.schema`; here what Pulumi passes becomes plain values that were
checked, so that the rest of the program knows nothing of Pulumi's configuration and tests make a `Settings` by hand.
A profile is a set of defaults and nothing else: no code asks which one it is (docs/decisions/0013).
All problems are shown at once, in the words of the file:

    Pulumi.dev.yaml: herd:log_retention_days = 15 is not allowed; allowed: 1, 3, 5, 7, 14, …
"""

import json
from collections.abc import Iterator, Mapping

import pulumi
from pulumi.runtime import config as runtime_config

from herd.infra import naming
from herd.infra.messages import printable
from herd.infra.settings import keys, reading, values
from herd.infra.settings.schema import BY_PROFILE, PROFILES, SETTINGS, Settings


class SettingsError(pulumi.RunError):
    """One line per problem. Pulumi prints a RunError without a traceback."""


def load_settings() -> Settings:
    """The settings of the stack that Pulumi runs; raises SettingsError."""
    # pulumi.Config answers for one key at a time; only the runtime knows which keys there are.
    config = {**runtime_config.get_config_env(), **runtime_config.CONFIG.get()}
    secret = frozenset(key for key in config if runtime_config.is_config_secret(key))
    return parse(pulumi.get_project(), pulumi.get_stack(), config, secret)


def parse(project: str, environment: str, config: Mapping[str, str], secret: frozenset[str] = frozenset()) -> Settings:
    """Pulumi's configuration (`{"herd:schedules": "off", "aws:region": …}`) -> Settings; raises SettingsError."""
    problems: list[str] = []
    try:
        naming.Naming(project, environment)
    except ValueError as error:
        problems.append(f"the stack: {error}")
    problems += keys.misplaced(project, config)
    own = keys.own(config)
    account = own.get("account", "")
    written = {
        key: text
        for key, text in own.items()
        if not (text == BY_PROFILE and key in PROFILES["dev"] or key == "account" and not text)
    }
    chosen, wrong = reading.read(SETTINGS, written, keys.own({key: True for key in secret}))
    problems += [keys.config_key(line) for _, line in wrong]
    if chosen.get("sign_in") and "herd:sign_in" not in secret:
        how = "pulumi config set --secret --path herd:sign_in.client_secret"
        problems.append(f"herd:sign_in has its client_secret in clear; set it with: {how}")
    region = config.get("aws:region", "")
    if not region:
        problems.append("aws:region is missing; set it with: pulumi config set aws:region eu-west-1")
    problems += _account_problems(account, config)
    profile = chosen.pop("profile", "dev")
    settings = Settings.by_profile(profile, project, environment, **{"account": "", "region": region, **chosen})
    problems += [keys.config_key(problem) for problem in contradictions(settings)]
    if problems:
        raise SettingsError("\n".join(f"Pulumi.{printable(environment)}.yaml: {problem}" for problem in problems))
    return settings


def contradictions(settings: Settings) -> Iterator[str]:
    """Which settings need others, or cannot be beside them; each line begins with the setting to look at."""
    yield from _network_problems(settings)
    yield from _access_problems(settings)
    if settings.ends_at and not settings.ttl:
        yield "ends_at needs ttl: how long it lasts from each deployment on"
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
    for key, ids in subnets.items():
        if ids and len(ids) < 2:
            yield f"{key} has one subnet; a load balancer needs two, in different zones"
        if key == for_tasks and not ids:
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
    elif values.ACCOUNT.fullmatch(account):
        try:
            allowed = [str(one) for one in json.loads(config.get("aws:allowedAccountIds", "[]"))]
        except (ValueError, TypeError, RecursionError):
            allowed = []
        if allowed != [account]:
            yield f'aws:allowedAccountIds must be ["{account}"], so that the provider refuses every other account too'
