"""The stack's settings: declared, read and checked in one place."""

import json
import re
from dataclasses import MISSING
from pathlib import Path
from typing import Any

import pulumi
import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from herd.checkout import names as command_line
from herd.errors import WrongInput
from herd.infra import naming
from herd.infra.settings import load as settings
from herd.infra.settings.keys import config_key, misplaced, own
from herd.infra.settings.load import SettingsError, parse
from herd.infra.settings.schema import BY_PROFILE, PROFILES, SETTINGS, Settings
from herd.infra.settings.tables import Connection, Dataset, Notifications, Pool, SignIn
from herd.infra.settings.values import is_arm64
from herd.runner.contract import names

ROOT = Path(__file__).parents[3]
ACCOUNT = "123456789012"
PLACE = {"aws:region": "eu-west-1", "aws:allowedAccountIds": f'["{ACCOUNT}"]', "herd:account": ACCOUNT}
DEV = Settings("herd", "dev", "eu-west-1", ACCOUNT)
KEY = f"arn:aws:kms:eu-west-1:{ACCOUNT}:key/1234abcd-12ab-34cd-56ef-1234567890ab"
BOUNDARY = f"arn:aws:iam::{ACCOUNT}:policy/acme-boundary"
CERTIFICATE = f"arn:aws:acm:eu-west-1:{ACCOUNT}:certificate/12ab"
PROD = {"herd:profile": "prod", "herd:data_bucket": "acme-data", "herd:boundary": BOUNDARY}


def as_text(value: Any) -> str:
    """As Pulumi passes a value of YAML: objects and lists as JSON, all else as it is written."""
    return value if isinstance(value, str) else json.dumps(value)


def test_every_setting_is_declared_and_its_defaults_are_what_it_takes() -> None:
    assert vars(DEV).keys() - SETTINGS.keys() == {"project", "environment", "region"}
    for key, one in SETTINGS.items():
        if one.default is not MISSING:
            assert one.read(as_text(one.written)) == one.default == getattr(DEV, key), key
    for defaults in PROFILES.values():
        assert all(SETTINGS[key].read(as_text(value)) == value for key, value in defaults.items())


def test_the_defaults_may_be_written_out() -> None:
    config = {f"herd:{key}": as_text(one.written) for key, one in SETTINGS.items() if one.default is not MISSING}
    config |= {f"herd:{key}": BY_PROFILE for key in PROFILES["dev"]}
    assert parse("herd", "dev", config | PLACE) == DEV
    assert parse("herd", "prod", config | PLACE | PROD) == Settings.by_profile(
        "prod", "herd", "prod", "eu-west-1", ACCOUNT, data_bucket="acme-data", boundary=BOUNDARY
    )


def test_keys_are_herds_in_a_project_of_any_name() -> None:
    """Those of the project's own name are the team's, for `pulumi.Config()` in its program."""
    found = parse("acme", "dev", PLACE | {"herd:network": "nat", "herd:zones": "3", "acme:feature": "on"})
    assert (found.project, found.network, found.zones) == ("acme", "nat", 3)
    with pytest.raises(SettingsError) as refused:
        parse("acme", "dev", PLACE | {"herd:netwrok": "nat"})
    assert "herd:netwrok: unknown setting 'netwrok'; did you mean 'network'?" in str(refused.value)


def test_settings_of_an_earlier_herd_are_not_passed_over() -> None:
    """They stood below the project's name."""
    with pytest.raises(SettingsError) as refused:
        parse("acme", "prod", PLACE | PROD | {"acme:protect": "false", "acme:network": "nat", "acme:feature": "on"})
    assert str(refused.value).splitlines() == [
        f"Pulumi.prod.yaml: acme:{name}: settings are herd:<setting> in every project; rename it to herd:{name}"
        for name in ("network", "protect")
    ]


@given(st.sampled_from(sorted(SETTINGS)), st.sampled_from(["herd", "acme", "herd-2"]))
def test_a_setting_is_found_below_herds_name_alone(setting: str, project: str) -> None:
    assert own({config_key(setting): 1, f"x-{config_key(setting)}": 2, "aws:region": 3}) == {setting: 1}
    assert bool(list(misplaced(project, {f"{project}:{setting}": 1}))) == (project != "herd")
    assert not list(misplaced(project, {config_key(setting): 1}))


def test_a_profiles_defaults_can_be_set_one_by_one() -> None:
    changed = parse("herd", "prod", PLACE | PROD | {"herd:protect": "false", "herd:log_retention_days": "30"})
    assert (changed.protect, changed.log_retention_days, changed.flow_logs) == (False, 30, True)
    assert parse("herd", "dev", PLACE | {"herd:encryption_key": "create"}).encryption_key == "create"


SIGN_IN = {
    "issuer": "https://id.example.com",
    "authorization_endpoint": "https://id.example.com/authorize",
    "token_endpoint": "https://id.example.com/token",
    "user_info_endpoint": "https://id.example.com/me",
    "client_id": "herd",
    "client_secret": "hunter2",
}
SECRET = frozenset({"herd:sign_in"})
"""What Pulumi tells to be encrypted in the stack's file."""

VALUES: dict[str, tuple[Any, Any]] = {
    "account": (ACCOUNT, ACCOUNT),
    "profile": ("dev", "dev"),
    "schedules": ("off", False),
    "expired": (["churn", "sales"], ("churn", "sales")),
    "ttl": ("48h", "48h"),
    "ends_at": ("2027-01-31T06:00:00Z", "2027-01-31T06:00:00Z"),
    "made_by": ("ada@example.com", "ada@example.com"),
    "environments_per_person": ("3", 3),
    "scheme": ("http", "http"),
    "allow_public": ("true", True),
    "network": ("nat", "nat"),
    "vpc": ("vpc-0123456789abcdef0", "vpc-0123456789abcdef0"),
    "private_subnets": (["subnet-01234567", "subnet-89abcdef"], ("subnet-01234567", "subnet-89abcdef")),
    "public_subnets": (["subnet-11234567", "subnet-99abcdef"], ("subnet-11234567", "subnet-99abcdef")),
    "vpc_cidr": ("10.9.0.0/20", "10.9.0.0/20"),
    "zones": ("3", 3),
    "log_retention_days": ("30", 30),
    "keep_versions_days": ("7", 7),
    "encryption_key": (KEY, KEY),
    "access_logs": ("true", True),
    "flow_logs": ("true", True),
    "protect": ("true", True),
    "copy_of": ("prod", "prod"),
    "data_bucket": ("acme-data", "acme-data"),
    "log_bucket": ("acme-logs", "acme-logs"),
    "image_repositories": ("acme/images", "acme/images"),
    "boundary": (BOUNDARY, BOUNDARY),
    "iam_path": ("/acme/data/", "/acme/data/"),
    "domain": ("data.example.com", "data.example.com"),
    "dns_zone": ("example.com", "example.com"),
    "certificate": (
        f"arn:aws:acm:eu-west-1:{ACCOUNT}:certificate/12ab",
        f"arn:aws:acm:eu-west-1:{ACCOUNT}:certificate/12ab",
    ),
    "company_cidrs": (["203.0.113.0/24"], ("203.0.113.0/24",)),
    "sign_in": (SIGN_IN, SignIn(**SIGN_IN)),
    "reports": ("cloudfront", "cloudfront"),
    "require_tls": ("true", True),
    "pools": (
        {"big": {"instance_type": "m7g.large", "max": 4.0}, "gpus": {"instance_type": "g5.xlarge", "gpu": 1}},
        {"big": Pool("m7g.large", 0, 4, 0, arm64=True), "gpus": Pool("g5.xlarge", gpu=1)},
    ),
    "container_insights": ("true", True),
    "reserve_for_watch": ("false", False),
    "connections": (
        {"warehouse": {"driver": "postgresql+psycopg", "secret": "warehouse", "cidr": "10.1.0.0/16"}},
        {"warehouse": Connection("postgresql+psycopg", "warehouse", 5432, cidr="10.1.0.0/16")},
    ),
    "datasets": ({"weather": {"uri": "s3://acme-open/weather"}}, {"weather": Dataset("s3://acme-open/weather/")}),
    "notifications": (
        {
            "owners": {"Data Science": ["Ada@Example.com", "grace+herd@example.com"], "ops": "ops@example.com"},
            "addresses": {"platform@example.com": ["failures", "late"], "boss@example.com": "all"},
            "mail_from": "Reports@example.com",
        },
        Notifications(
            {"Data Science": ("ada@example.com", "grace+herd@example.com"), "ops": ("ops@example.com",)},
            {"platform@example.com": ("failures", "late"), "boss@example.com": ("all",)},
            "reports@example.com",
        ),
    ),
    "budget_per_month": ("200", 200),
    "tags": ({"cost-centre": "research"}, {"cost-centre": "research"}),
}
"""Setting -> as it is written, as it is read."""


def test_values_arrive() -> None:
    assert VALUES.keys() == SETTINGS.keys()
    config = {f"herd:{key}": as_text(written) for key, (written, _) in VALUES.items()} | {"other:setting": "not ours"}
    found = parse("herd", "pr-17", PLACE | config, SECRET)
    assert vars(found) == {"project": "herd", "environment": "pr-17", "region": "eu-west-1"} | {
        key: value for key, (_, value) in VALUES.items()
    }
    assert found.has_tls and not DEV.has_tls
    assert (found.datasets["weather"].bucket, found.datasets["weather"].prefix) == ("acme-open", "weather/")


def test_load_reads_what_pulumi_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PULUMI_CONFIG", json.dumps(PLACE | {"herd:schedules": "false"}))
    monkeypatch.setattr(pulumi, "get_project", lambda: "herd")
    monkeypatch.setattr(pulumi, "get_stack", lambda: "dev")
    assert settings.load_settings() == Settings("herd", "dev", "eu-west-1", ACCOUNT, schedules=False)


REFUSED = {
    ("herd:expired", '["../x"]'): 'herd:expired: "../x" is not a name of a workload; allowed: 2 to 30 of a-z',
    ("herd:schedule", "false"): "herd:schedule: unknown setting 'schedule'; did you mean 'schedules'?",
    ("herd:schedules", "no"): "herd:schedules = no is not allowed; allowed: on, off",
    ("herd:allow_public", "on"): "herd:allow_public = on is not allowed; allowed: true, false",
    ("herd:profile", "profile"): "herd:profile = profile is not allowed; allowed: dev, prod",
    ("herd:vpc", "profile"): "herd:vpc = profile is not allowed; allowed: ids like vpc-0123456789abcdef0",
    (
        "herd:account",
        "123",
    ): "herd:account = 123 must be the 12 digits of the AWS account in quotes",
    ("herd:account", "210987654321"): 'aws:allowedAccountIds must be ["210987654321"], so that the provider refuses',
    ("aws:allowedAccountIds", "[]"): 'aws:allowedAccountIds must be ["123456789012"], so that the provider refuses',
    ("herd:account", ""): "herd:account is missing; set it with: pulumi config set herd:account",
    ("herd:network", "vpn"): "herd:network = vpn is not allowed; allowed: public, nat, endpoints",
    ("herd:zones", "4"): "herd:zones = 4 is not allowed; allowed: 2, 3",
    (
        "herd:private_subnets",
        '["subnet-1"]',
    ): 'herd:private_subnets: "subnet-1" is not allowed; allowed: ids like',
    ("herd:private_subnets", '["subnet-01234567"]'): "herd:private_subnets needs vpc: subnets are adopted together",
    (
        "herd:company_cidrs",
        '["0.0.0.0/0"]',
    ): 'herd:company_cidrs: "0.0.0.0/0" is not allowed: that is a large part',
    ("herd:encryption_key", "alias/x"): "is not allowed; allowed: none, create, or the ARN of a KMS key",
    (
        "herd:encryption_key",
        KEY.replace("west", "north"),
    ): "herd:encryption_key lies in eu-north-1; it must be in",
    ("herd:data_bucket", "Acme"): "herd:data_bucket = Acme must be the name of a bucket",
    ("herd:log_bucket", "acme-logs"): "herd:log_bucket is set, but neither access_logs nor flow_logs is on",
    ("herd:iam_path", "acme"): 'herd:iam_path = acme must be a path of IAM that begins and ends with "/"',
    (
        "herd:boundary",
        BOUNDARY.replace(ACCOUNT, "999999999999"),
    ): "herd:boundary is of the account 999999999999; it must be of 123456789012",
    ("herd:boundary", "acme"): "herd:boundary = acme must be the ARN of an IAM policy",
    ("herd:domain", "data.example.com"): "herd:domain needs dns_zone, where its certificate is proven, or the ARN",
    ("herd:dns_zone", "example.com"): "herd:dns_zone needs domain: the name below which workloads answer",
    ("herd:certificate", CERTIFICATE): "herd:certificate needs domain: the name that it is for",
    ("herd:sign_in", json.dumps(SIGN_IN)): "herd:sign_in needs domain: people sign in over TLS only",
    (
        "herd:sign_in",
        json.dumps(SIGN_IN | {"issuer": "http://id"}),
    ): 'herd:sign_in.issuer = "http://id" is not allowed;',
    ("herd:sign_in", '{"isuer": "x"}'): "herd:sign_in: unknown setting 'isuer'; did you mean 'issuer'?",
    ("herd:pools", '{"fargate": {"instance_type": "m7i.large"}}'): "herd:pools: 'fargate' is hardware that",
    (
        "herd:pools",
        '{"big": {"instance_type": "large"}}',
    ): 'instance_type = "large" must be the name of an EC2',
    (
        "herd:pools",
        '{"big": {"instance_type": "m7i.large", "arm64": true}}',
    ): "pools.big has arm64 = true,",
    (
        "herd:pools",
        '{"big": {"instance_type": "m7i.large", "min": 5}}',
    ): "big has min = 5, which is more than max",
    (
        "herd:pools",
        '{"big": {"instance_type": "m7i.large", "max": NaN}}',
    ): "herd:pools.big.max = nan must be a whole number; allowed: 1 to 100",
    ("herd:connections", '{"w": {}}'): "herd:connections: 'w' is not a name; allowed: 2 to 30 of a-z",
    (
        "herd:connections",
        '{"wh": {"driver": "odd", "secret": "x"}}',
    ): "wh.port is missing; it is known for clickh",
    (
        "herd:connections",
        '{"wh": {"driver": "mysql", "password": "hunter2"}}',
    ): "wh: unknown setting 'password'",
    ("herd:datasets", '{"wx": {"uri": "s3://acme/*"}}'): 'uri = "s3://acme/*" is not allowed: it is an exact prefix',
    ("herd:datasets", '{"wx": {"uri": "/data"}}'): 'uri = "/data" is not allowed; allowed: s3://bucket/prefix/',
    ("herd:scheme", "ftp"): "herd:scheme = ftp is not allowed; allowed: http, https",
    ("herd:log_retention_days", "15"): "herd:log_retention_days = 15 is not allowed; allowed: 1, 3, 5, 7, 14, 30,",
    ("herd:keep_versions_days", "0"): "herd:keep_versions_days = 0 is out of range; allowed: 1 to 3650",
    ("herd:keep_versions_days", "²"): "herd:keep_versions_days = ² must be a whole number; allowed: 1 to 3650",
    ("herd:vpc_cidr", "10.0.0.0/8"): "herd:vpc_cidr = 10.0.0.0/8 must be a private network from /16 to /23",
    ("herd:vpc_cidr", "10.0.0.0/24"): "herd:vpc_cidr = 10.0.0.0/24 must be a private network from /16 to /23",
    ("herd:vpc_cidr", "10.0.0.1/16"): "herd:vpc_cidr = 10.0.0.1/16 must be a private network",
    ("herd:vpc_cidr", "8.8.0.0/16"): "herd:vpc_cidr = 8.8.0.0/16 must be a private network",
    ("herd:tags", "x"): "herd:tags must be a table",
    ("herd:tags", '{"aws:x": "1"}'): "herd:tags: 'aws:x' is not a name of a tag; allowed: 1 to 128 characters",
    (
        "herd:tags",
        '{"cost centre!": "1"}',
    ): "herd:tags: 'cost centre!' is not a name of a tag; allowed: 1 to 128",
    (
        "herd:tags",
        '{"x": "R&D"}',
    ): 'herd:tags.x = "R&D" is not allowed; allowed: text of up to 256 characters in',
    ("herd:tags", '{"Team": "a", "team": "b"}'): "has a tag twice, in small and in capital letters",
    ("herd:notifications", '{"owners": {"ops": "ops"}}'): 'owners.ops: "ops" must be an e-mail address, like "data@exa',
    ("herd:notifications", '{"owners": {"ops": []}}'): "herd:notifications.owners.ops must not be empty",
    ("herd:notifications", json.dumps({"owners": {"ops": [f"p{n}@b.org" for n in range(51)]}})): "allowed: up to 50",
    ("herd:notifications", '{"owners": {"ops": 3}}'): "herd:notifications.owners.ops = 3 must be a list",
    ("herd:notifications", '{"owners": {"ops": ["a@b.org", "A@B.org"]}}'): "owners.ops names 'a@b.org' twice",
    ("herd:notifications", '{"owners": {"Ops": "a@b.org", "ops": "c@d.org"}}'): "which differ in capital letters only",
    ("herd:notifications", '{"owners": {"a@b.org": "c@d.org"}}'): "owners: 'a@b.org' is an address; a workload can",
    ("herd:notifications", '{"owners": {" ops": "c@d.org"}}'): "owners: ' ops' is not a name of a team; allowed: up to",
    ("herd:notifications", '{"addresses": {"a@b.org": "failure"}}'): "allowed: failures, late, warnings, all",
    ("herd:notifications", '{"addresses": {"a@b.org": ["all", "all"]}}'): "addresses.a@b.org names 'all' twice",
    ("herd:notifications", '{"addresses": {"a@b.org": "all", "A@b.org": "late"}}'): "differ in capital letters only",
    ("herd:notifications", '{"adresses": {}}'): "unknown setting 'adresses'; did you mean 'addresses'?",
    (
        "herd:notifications",
        '{"mail_from": "a@b.org\\r\\nBcc: c@d.org"}',
    ): r'mail_from = "a@b.org\r\nBcc: c@d.org" must be',
    ("herd:notifications", "x"): "herd:notifications must be a table",
    ("herd:notifications", '{"addresses": {"https://hooks.slack.com/services/hunter2": "everything"}}'): (
        "herd:notifications.addresses: 'https://hooks.slack.com/…' is the address of a web page. Whoever knows a"
    ),
    ("herd:notifications", '{"addresses": {"https://a.b/hunter2": "all", "HTTPS://a.b/hunter2": "all"}}'): "web page",
    (
        "herd:notifications",
        '{"owners": {"ops": "https://hooks.slack.com/services/hunter2"}}',
    ): "https://hooks.slack.com/…",
    ("herd:notifications", '{"owners": {"https://hooks.slack.com/hunter2": "a@b.org"}}'): "https://hooks.slack.com/…",
    ("herd:notifications", '{"mail_from": "https://hooks.slack.com/hunter2"}'): "https://hooks.slack.com/…",
    ("herd:notifications", '{"addresses": {"a@b.org": "https://hooks.slack.com/hunter2"}}'): "hooks.slack.com/…",
    ("herd:tags", '{"x": 1}'): "herd:tags.x = 1 is not allowed; allowed: text of up to 256 characters in quotes",
}


@given(st.from_regex(r"[A-Za-z0-9._-]{1,66}", fullmatch=True) | st.from_regex(names.SECRET, fullmatch=True))
@example("Warehouse.Login")
@example("x")
def test_a_connection_takes_the_secrets_that_can_be_set(name: str) -> None:
    written = {"herd:connections": json.dumps({"warehouse": {"driver": "mysql", "secret": name}})}
    try:
        command_line.secret(name)
    except WrongInput:
        with pytest.raises(SettingsError, match="must be the name of a secret"):
            parse("herd", "dev", PLACE | written, SECRET)
    else:
        assert parse("herd", "dev", PLACE | written, SECRET).connections["warehouse"].secret == name


@pytest.mark.parametrize(("key", "value"), REFUSED)
def test_refused(key: str, value: str) -> None:
    with pytest.raises(SettingsError) as error:
        parse("herd", "dev", PLACE | {key: value}, SECRET)
    assert str(error.value).startswith("Pulumi.dev.yaml: ") and REFUSED[key, value] in str(error.value)
    assert "hunter2" not in str(error.value)


def test_all_problems_at_once_in_order() -> None:
    with pytest.raises(SettingsError) as error:
        parse("herd", "dev-anna", {"herd:schedules": "no", "herd:xyzzy": "1", "herd:profile": "prod"})
    lines = str(error.value).splitlines()
    assert len(lines) == 7
    assert lines[0].startswith("Pulumi.dev-anna.yaml: the stack: 'dev-anna' is not a name for an environment; allowed:")
    assert "unknown setting 'xyzzy'; allowed: access_logs, account, allow_public" in lines[2]
    assert "aws:region is missing; set it with: pulumi config set" in lines[3]
    assert "herd:account is missing" in lines[4]
    assert "herd:data_bucket is missing; prod needs it" in lines[5] and "herd:boundary is missing" in lines[6]


def test_all_problems_of_a_table_at_once() -> None:
    pools = {"big": {"instance_type": "large", "max": 101}, "Gpus": {"gpu": "1"}}
    with pytest.raises(SettingsError) as error:
        parse("herd", "dev", PLACE | {"herd:pools": json.dumps(pools), "herd:tags": '{"a": 1, "b": "!"}'})
    lines = [line.removeprefix("Pulumi.dev.yaml: herd:") for line in str(error.value).splitlines()]
    assert [line.partition(";")[0] for line in lines] == [
        'pools.big.instance_type = "large" must be the name of an EC2 instance type, like m7i.large',
        "pools.big.max = 101 is out of range",
        "pools: 'Gpus' is not a name",
        "pools.Gpus.instance_type is missing",
        'pools.Gpus.gpu = "1" must be a whole number',
        "tags.a = 1 is not allowed",
        'tags.b = "!" is not allowed',
    ]


def test_what_stands_where_a_secrets_name_belongs_is_not_shown() -> None:
    written = {"herd:connections": json.dumps({"warehouse": {"driver": "mysql", "secret": "hunter2!"}})}
    with pytest.raises(SettingsError, match="connections.warehouse.secret must be the name of a secret") as error:
        parse("herd", "dev", PLACE | written)
    assert "hunter2" not in str(error.value)


def test_subnets_are_adopted_with_their_vpc() -> None:
    with pytest.raises(SettingsError) as error:
        adopted = {
            "herd:vpc": "vpc-01234567",
            "herd:public_subnets": '["subnet-01234567"]',
            "herd:network": "endpoints",
        }
        parse("herd", "dev", PLACE | adopted)
    assert str(error.value).splitlines() == [
        "Pulumi.dev.yaml: herd:private_subnets is missing: with vpc and network = endpoints tasks run there",
        "Pulumi.dev.yaml: herd:public_subnets has one subnet; a load balancer needs two, in different zones",
    ]


def test_a_domain_lies_in_its_zone() -> None:
    with pytest.raises(SettingsError, match="herd:domain = data.example.com does not lie in dns_zone = ample.com"):
        parse("herd", "dev", PLACE | {"herd:domain": "data.example.com", "herd:dns_zone": "ample.com"})


@pytest.mark.parametrize(
    ("instance_type", "arm64"),
    [("m7g.large", True), ("c6gn.xlarge", True), ("g5g.xlarge", True), ("im4gn.large", True), ("is4gen.large", True),
     ("a1.large", True), ("t4g.micro", True), ("m7i.large", False), ("g5.xlarge", False), ("m7i-flex.large", False),
     ("p4de.24xlarge", False), ("u-6tb1.metal", False)],
)  # fmt: skip
def test_the_processor_follows_from_the_instance_type(instance_type: str, arm64: bool) -> None:
    assert is_arm64(instance_type) is arm64


def test_the_secret_of_the_sign_in_is_encrypted_in_the_file() -> None:
    given = PLACE | {
        "herd:domain": "a.example.com",
        "herd:dns_zone": "example.com",
        "herd:sign_in": json.dumps(SIGN_IN),
    }
    assert parse("herd", "dev", given, SECRET).sign_in == SignIn(**SIGN_IN)
    with pytest.raises(SettingsError) as error:
        parse("herd", "dev", given)
    (line,) = str(error.value).splitlines()
    assert line.startswith("Pulumi.dev.yaml: herd:sign_in has its client_secret in clear")
    assert SIGN_IN["client_secret"] not in line


def test_a_secret_is_not_echoed() -> None:
    with pytest.raises(SettingsError) as error:
        parse("herd", "dev", PLACE | {"herd:scheme": "hunter2"}, frozenset({"herd:scheme"}))
    assert "hunter2" not in str(error.value)
    secrets = {"herd:sign_in": json.dumps(SIGN_IN | {"issuer": ""}), "herd:tags": '{"x": ["hunter2"]}'}
    with pytest.raises(SettingsError) as error:
        parse("herd", "dev", PLACE | secrets, frozenset(secrets))
    assert "hunter2" not in str(error.value) and 'herd:sign_in.issuer = ""' in str(error.value)
    assert "hunter2" not in repr(SignIn(**SIGN_IN))


@given(st.sampled_from(sorted(SETTINGS)), st.text(max_size=40) | st.just("[" * 5000))
def test_any_value_is_read_or_refused(key: str, value: str) -> None:
    try:
        parse("herd", "dev", PLACE | {f"herd:{key}": value})
    except SettingsError as error:
        assert len(str(error).splitlines()) <= 3


def stack_file(text: str) -> dict[str, str]:
    return {key: as_text(value) for key, value in yaml.safe_load(text)["config"].items()}


def test_the_example_of_a_prod_stack_is_right() -> None:
    text = (ROOT / "Pulumi.prod.yaml").read_text()
    found = parse("herd", "prod", stack_file(text))
    assert found.profile == "prod" and found.protect and found.has_tls
    # Its commented lines are examples too, each of a setting with a value.
    more = "\n".join(re.findall(r"^  # (herd:(?!sign_in).*)$", text, re.MULTILINE))
    assert parse("herd", "prod", stack_file(text) | stack_file(f"config:\n{more}".replace("\nherd", "\n  herd"))).pools


def test_the_example_names_what_the_bootstrap_project_makes() -> None:
    found = parse("herd", "prod", stack_file((ROOT / "Pulumi.prod.yaml").read_text()))
    assert found.data_bucket == naming.Naming("herd", "prod").bucket(found.account, "data")
    assert found.boundary.endswith(":policy/herd-boundary") and found.image_repositories == "herd"
