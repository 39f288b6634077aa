"""`herd doctor --aws`: what is missing in an account before a stack is deployed there."""

from __future__ import annotations

import json
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from herd.targets.aws import AwsTarget
from localcloud.patches.stepfunctions.definitions import diagnose

NUMBER = "210987654321"
PROD = f"config:\n  aws:region: eu-central-1\n  herd:account: '{NUMBER}'\n  herd:profile: prod\n"


class NoBlock(Exception):
    """The account has no public-access block."""


class Pages:
    def __init__(self, *pages: dict[str, Any]) -> None:
        self.paginate = lambda: pages


class Aws:
    """An account with room for everything; tests take some of it away."""

    def __init__(self) -> None:
        self.account = NUMBER
        self.block: dict[str, bool] | None = None
        self.zones, self.waiting = ["a", "b", "c"], list[str]()
        self.zone_ids: dict[str, str] = {}
        self.quotas = {"L-3032A538": 100.0, "L-F678F1CE": 5.0, "L-0263D0A3": 5.0, "L-53DA6B97": 50.0}
        self.quotas["L-B99A9384"] = 1000.0
        self.denied: set[str] = set()
        self.validated: list[str] = []
        self.diagnostics: list[dict[str, str]] | None = None

    def client(self, name: str, **_: Any) -> Any:
        if name in self.denied:
            raise ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, "Look")
        return getattr(self, name.replace("-", "_"))()

    def sts(self) -> Any:
        arn = f"arn:aws:iam::{self.account}:user/ada"
        return SimpleNamespace(get_caller_identity=lambda: {"Account": self.account, "Arn": arn})

    def ec2(self) -> Any:
        zones = [
            {
                "ZoneName": f"eu-central-1{zone}",
                "ZoneType": "availability-zone",
                "ZoneId": self.zone_ids.get(zone, zone),
            }
            for zone in self.zones
        ]
        return SimpleNamespace(
            describe_availability_zones=lambda **_: {"AvailabilityZones": zones},
            describe_addresses=lambda: {"Addresses": [{}, {}]},
            get_paginator=lambda _: Pages({"Vpcs": [{}, {}]}),
        )

    def elbv2(self) -> Any:
        return SimpleNamespace(get_paginator=lambda _: Pages({"LoadBalancers": [{"Type": "application"}]}))

    def service_quotas(self) -> Any:
        return SimpleNamespace(
            get_service_quota=lambda ServiceCode, QuotaCode: {"Quota": {"Value": self.quotas[QuotaCode]}}
        )

    def s3control(self) -> Any:
        def ask(AccountId: str) -> Any:
            if self.block is None:
                raise NoBlock
            return {"PublicAccessBlockConfiguration": self.block}

        exceptions = SimpleNamespace(NoSuchPublicAccessBlockConfiguration=NoBlock)
        return SimpleNamespace(get_public_access_block=ask, exceptions=exceptions)

    def stepfunctions(self) -> Any:
        """Judges as the local cloud does, unless a test says what Step Functions says."""

        def validate(definition: str) -> Any:
            self.validated.append(definition)
            found = self.diagnostics if self.diagnostics is not None else [d.diagnostic() for d in diagnose(definition)]
            return {"result": "FAIL" if found else "OK", "diagnostics": found}

        return SimpleNamespace(validate_state_machine_definition=validate)

    def acm(self) -> Any:
        found = [{"DomainName": name} for name in self.waiting]
        pages = [{"CertificateSummaryList": [each]} for each in found]
        return SimpleNamespace(get_paginator=lambda _: SimpleNamespace(paginate=lambda **_: pages))


@pytest.fixture
def aws(root: Path, monkeypatch: pytest.MonkeyPatch) -> Aws:
    made = Aws()
    monkeypatch.setattr(AwsTarget, "_session", made)
    (root / "Pulumi.prod.yaml").write_text(PROD)
    (root / "reports/page").mkdir(parents=True)
    (root / "reports/page/workload.toml").write_text('schedule = "none"\ncommand = "true"\nfan_out = ["a", "b", "c"]\n')
    return made


def test_an_account_with_room_for_everything(cli: Any, aws: Aws) -> None:
    result = cli("doctor", "--aws", "--stack", "prod")
    assert result.exit_code == 0, result.stdout + result.stderr
    assert f"arn:aws:iam::{NUMBER}:user/ada in account {NUMBER}" in result.stdout
    assert "eu-central-1a, eu-central-1b, eu-central-1c" in result.stdout
    assert "0 in use, up to 4 more with prod, 100 allowed" in result.stdout, "one job, one report of three items"
    assert "2 in use, up to 1 more with prod, 5 allowed" in result.stdout, "the address of the NAT that zones share"


def test_services_share_one_load_balancer_for_the_world_and_one_within(cli: Any, aws: Aws, root: Path) -> None:
    for name, access in {"open": "public", "staff": "company", "inside": "internal"}.items():
        (root / "apis" / name).mkdir(parents=True)
        (root / "apis" / name / "workload.toml").write_text(f'command = "true"\naccess = "{access}"\n')
    result = cli("doctor", "--aws", "--stack", "prod")
    assert re.search(r"application load balancers +\d+ in use, up to 2 more with prod", result.stdout), result.stdout


@pytest.mark.parametrize(
    ("taken", "advice"),
    [
        pytest.param(
            {"account": "123456789012"}, f"credentials: Pulumi.prod.yaml is of account {NUMBER}", id="account"
        ),
        pytest.param({"zones": ["a"]}, "zones: 2 are needed", id="zones"),
        pytest.param(
            {"zones": ["a", "b"], "zone_ids": {"b": "use1-az3"}}, "zones: 2 are needed", id="zones without Fargate"
        ),
        pytest.param(
            {"block": {"BlockPublicPolicy": True}}, "public buckets: set herd:reports: cloudfront", id="block"
        ),
        pytest.param({"quotas": {**Aws().quotas, "L-3032A538": 2.0}}, "Fargate vCPUs: ask AWS for more", id="vcpus"),
        pytest.param({"quotas": {**Aws().quotas, "L-F678F1CE": 2.0}}, "VPCs: ask AWS for more", id="networks"),
        pytest.param(
            {"quotas": {**Aws().quotas, "L-B99A9384": 10.0}}, "Lambda executions at once: ask", id="a new account"
        ),
        pytest.param(
            {"quotas": {**Aws().quotas, "L-B99A9384": 10.0}},
            "or set herd:reserve_for_watch: false in Pulumi.prod.yaml",
            id="a new account that does not wait",
        ),
        pytest.param({"quotas": {**Aws().quotas, "L-0263D0A3": 2.0}}, "Elastic IP addresses: ask", id="addresses"),
        pytest.param({"denied": {"sts"}}, "credentials: sign in first", id="nobody is signed in"),
    ],
)
def test_what_is_missing_is_said_with_what_to_do(cli: Any, aws: Aws, taken: dict[str, Any], advice: str) -> None:
    vars(aws).update(taken)
    result = cli("doctor", "--aws", "--stack", "prod")
    assert result.exit_code == 1
    assert advice in result.stderr


def test_a_new_account_is_enough_where_nothing_is_kept_for_the_watch(cli: Any, aws: Aws, root: Path) -> None:
    (root / "Pulumi.prod.yaml").write_text(f"{PROD.rstrip()}\n  herd:reserve_for_watch: false\n")
    aws.quotas = {**Aws().quotas, "L-B99A9384": 10.0}
    result = cli("doctor", "--aws", "--stack", "prod")
    assert result.exit_code == 0, result.stdout + result.stderr


def test_each_definition_is_shown_to_step_functions(cli: Any, aws: Aws, root: Path) -> None:
    for name, settings in {"first": 'schedule = "@daily"\n', "second": 'after = ["first"]\n'}.items():
        (root / "jobs" / name).mkdir(parents=True)
        (root / "jobs" / name / "workload.toml").write_text(settings + 'command = "true"\n')
    result = cli("doctor", "--aws", "--stack", "prod")
    assert result.exit_code == 0, result.stdout + result.stderr
    comments = sorted(json.loads(definition)["Comment"] for definition in aws.validated)
    assert {"job first", "job second", "pipeline first", "report page"} <= set(comments)
    assert re.search(rf"state machines +Step Functions takes all {len(comments)}", result.stdout), result.stdout
    assert any(f":eu-central-1:{NUMBER}:cluster/herd-prod" in definition for definition in aws.validated)


def test_what_step_functions_would_refuse_is_said_by_workload_and_state(cli: Any, aws: Aws) -> None:
    message, where = (
        "The field 'IfNoneMatch' is not supported by Step Functions",
        "/States/Record the failure/Parameters",
    )
    aws.diagnostics = [
        {"severity": "ERROR", "code": "SCHEMA_VALIDATION_FAILED", "message": message, "location": where},
        {"severity": "WARNING", "code": "NO_PATH", "message": "something to think of", "location": where},
    ]
    result = cli("doctor", "--aws", "--stack", "prod")
    assert result.exit_code == 1
    told = " ".join(result.stderr.split())
    assert f"page: state 'Record the failure': {message} (SCHEMA_VALIDATION_FAILED)" in told
    assert "something to think of" not in told


def test_what_may_not_be_read_is_said_and_is_no_error(cli: Any, aws: Aws) -> None:
    aws.denied = {"service-quotas", "acm", "s3control", "stepfunctions"}
    result = cli("doctor", "--aws", "--stack", "prod")
    assert result.exit_code == 0
    assert result.stdout.count("could not be checked: AccessDenied") == 7


def test_only_a_certificate_of_the_stacks_own_domain_is_missed(cli: Any, aws: Aws, root: Path) -> None:
    aws.waiting = ["other.example"]
    assert cli("doctor", "--aws", "--stack", "prod").exit_code == 0
    (root / "Pulumi.prod.yaml").write_text(PROD + "  herd:domain: data.acme.example\n")
    aws.waiting = ["api.data.acme.example"]
    assert "certificates: their DNS records are missing" in cli("doctor", "--aws", "--stack", "prod").stderr


def test_a_bucket_that_nothing_is_published_in_may_be_blocked(cli: Any, aws: Aws, root: Path) -> None:
    aws.block = {"BlockPublicPolicy": True}
    (root / "Pulumi.prod.yaml").write_text(PROD + "  herd:reports: cloudfront\n")
    assert cli("doctor", "--aws", "--stack", "prod").exit_code == 0


@pytest.mark.parametrize(
    "arguments", [["--aws"], ["--stack", "prod"], ["--aws", "--stack", "none"], ["--aws", "--stack", "prod", "--fix"]]
)
def test_what_cannot_be_meant_is_refused(cli: Any, aws: Aws, arguments: list[str]) -> None:
    assert cli("doctor", *arguments).exit_code == 2
