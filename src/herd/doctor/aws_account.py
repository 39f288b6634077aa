"""`herd doctor --aws`: checks of an AWS account before a stack is deployed: credentials, region, quotas, definitions.

It changes nothing and needs permissions to read only. What may not be read is a note and no error, because the role
that deploys may have more permissions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from herd.checkout import stack_config, team_files
from herd.deploy import definitions
from herd.doctor.local_state import Finding
from herd.errors import WrongInput
from herd.infra import capacity
from herd.infra.offer import ZONES_WITHOUT_FARGATE
from herd.targets.aws import AwsTarget
from herd.toolchain import pulumi_cli

MANAGED = "https://docs.aws.amazon.com/servicequotas/latest/userguide/request-quota-increase.html"


@dataclass(frozen=True)
class Quota:
    """A quota of the account: name, service code and quota code of Service Quotas. Source: AWS's endpoints-and-quotas
    page of the service.
    """

    what: str
    service: str
    code: str


FARGATE_QUOTAS = {name: entry.quota for name, entry in capacity.MANAGED.items()}
NETWORKS = Quota("VPCs", "vpc", "L-F678F1CE")
BALANCERS = Quota("application load balancers", "elasticloadbalancing", "L-53DA6B97")
ADDRESSES = Quota("Elastic IP addresses", "ec2", "L-0263D0A3")
FUNCTIONS = Quota("Lambda executions at once", "lambda", "L-B99A9384")

UNRESERVED_EXECUTIONS = 10
"""Lambda leaves at least so many to functions without a reservation. A new account has no more than these, and refuses
the one that the watch reserves: "Reserving concurrency for a function", Lambda developer guide.
"""

WITHOUT_RESERVATION = "set herd:reserve_for_watch: false in {file}"


class Account:
    """The account of a stack's settings file, and the stack's workloads; clients with this machine's credentials.

    Raises WrongInput for a stack without a file.
    """

    def __init__(self, target: AwsTarget) -> None:
        if not (target.checkout.root / f"Pulumi.{target.name}.yaml").exists():
            raise WrongInput(f"there is no Pulumi.{target.name}.yaml; a stack on AWS has a file of its own")
        self.target = target
        self.file = f"Pulumi.{target.name}.yaml"
        self.settings = team_files.settings(target.checkout, target.name)
        self.region = str(stack_config.values(target.checkout, target.name).get("aws:region") or "")
        if self.region:
            # From the file, because Pulumi may have no login yet.
            target.region = self.region
        self.specs = team_files.load(target.checkout, target.name)

    def client(self, service: str) -> Any:
        return self.target.client(service)

    def setting(self, name: str, dev: Any, prod: Any) -> Any:
        """A setting, or its profile's default."""
        return self.settings.get(name, prod if self.settings.get("profile") == "prod" else dev)

    @property
    def reserves_for_watch(self) -> bool:
        return str(self.settings.get("reserve_for_watch", True)).lower() == "true"


Check = Callable[[Account], Finding]


def run_checks(target: AwsTarget) -> list[Finding]:
    """All checks in order; without a region or credentials the rest is left out."""
    account = Account(target)
    first = _region(account)
    if not first.good:
        return [first]
    signed_in = _credentials(account)
    if not signed_in.good:
        return [first, signed_in]
    return [first, signed_in, *(_run_check(what, check, account) for what, check in CHECKS)]


def _run_check(what: str, check: Callable[[Account], Finding], account: Account) -> Finding:
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        return check(account)
    except (BotoCoreError, ClientError) as error:
        return Finding(what, True, f"could not be checked: {_reason(error)}", note=True)


def _reason(error: Exception) -> str:
    details = getattr(error, "response", {}).get("Error", {})
    return str(details.get("Code") or error)


def _region(account: Account) -> Finding:
    advice = f"name it in {account.file}: aws:region"
    return Finding("region", bool(account.region), account.region or "none", advice)


def _credentials(account: Account) -> Finding:
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        identity = account.client("sts").get_caller_identity()
    except (BotoCoreError, ClientError) as error:
        advice = f"sign in first (`aws sso login`, AWS_PROFILE): {error}"
        return Finding("credentials", False, "none, or AWS rejected them", advice)
    wanted = str(account.settings.get("account") or "")
    state = f"{identity['Arn']} in account {identity['Account']}"
    if not wanted:
        return Finding("credentials", False, state, f"{account.file} must name the account: herd:account")
    advice = f"{account.file} is of account {wanted}; sign in there, nothing can be deployed from here"
    return Finding("credentials", identity["Account"] == wanted, state, advice)


def _engine(account: Account) -> Finding:
    """Pulumi: its language host, and whether its plugins are installed or have to be downloaded."""
    pulumi = pulumi_cli.find(account.target.checkout.cache)
    if pulumi is None:
        return Finding("Pulumi", True, "none; `make tools` builds it, once", note=True)
    host = "official" if pulumi_cli.has_language_host(pulumi) else "Herd's own"
    missing = pulumi_cli.missing_plugins(account.target.plugins)
    state = f"{pulumi}; language host: {host}; plugins: {'to be downloaded' if missing else 'there'}"
    if missing:
        state += f". {pulumi_cli.plugin_install_advice(missing)}"
    return Finding("Pulumi", True, state, note=bool(missing))


def _zones(account: Account) -> Finding:
    response = account.client("ec2").describe_availability_zones(Filters=[{"Name": "state", "Values": ["available"]}])
    regional = [
        zone
        for zone in response["AvailabilityZones"]
        if zone.get("ZoneType", "availability-zone") == "availability-zone"
    ]
    names = sorted(zone["ZoneName"] for zone in regional if zone.get("ZoneId") not in ZONES_WITHOUT_FARGATE)
    wanted = int(account.setting("zones", 2, 2))
    return Finding("zones", len(names) >= wanted, ", ".join(names), f"{wanted} are needed; take another region")


def _public_access(account: Account) -> Finding:
    publishes = any(spec.is_page for spec in account.specs.workloads.values())
    if not publishes or account.setting("reports", "bucket", "bucket") != "bucket":
        return Finding("public buckets", True, "none is needed")
    client = account.client("s3control")
    number = account.client("sts").get_caller_identity()["Account"]
    try:
        block: Mapping[str, bool] = client.get_public_access_block(AccountId=number)["PublicAccessBlockConfiguration"]
    except client.exceptions.NoSuchPublicAccessBlockConfiguration:
        block = {}
    blocked = block.get("BlockPublicPolicy") or block.get("RestrictPublicBuckets")
    return Finding(
        "public buckets",
        not blocked,
        "the account blocks them" if blocked else "the account allows them; an organisation may still block them",
        f"set herd:reports: cloudfront (or none) in {account.file}: reports cannot be published from a bucket here",
    )


def _state_machines(account: Account) -> Finding:
    """Let Step Functions validate each definition that `herd up` would deploy."""
    identity = account.client("sts").get_caller_identity()
    partition, number = str(identity["Arn"]).split(":")[1], str(identity["Account"])
    checkout, name = account.target.checkout, account.target.name
    made = definitions.all_of(checkout, name, account.specs, number, account.region, partition)
    if not made:
        return Finding("state machines", True, "none is needed")
    problems = list(definitions.refused(account.client("stepfunctions"), made))
    state = f"{len(problems)} problems in {len(made)}" if problems else f"Step Functions takes all {len(made)}"
    advice = "\n".join(["Step Functions would refuse them:", *problems])
    return Finding("state machines", not problems, state, advice)


def _certificates(account: Account) -> Finding:
    pages = account.client("acm").get_paginator("list_certificates")
    listed = pages.paginate(CertificateStatuses=["PENDING_VALIDATION"])
    waiting = sorted(entry["DomainName"] for page in listed for entry in page["CertificateSummaryList"])
    domain = str(account.settings.get("domain") or "")
    ours = [name for name in waiting if domain and (name == domain or name.endswith(f".{domain}"))]
    state = f"waiting for validation: {', '.join(waiting)}" if waiting else "none waits for its validation"
    return Finding("certificates", not ours, state, "their DNS records are missing: see them in the console of ACM")


def _quota(
    quota: Quota, needed: Callable[[Account], float], used: Callable[[Account], float], instead: str = ""
) -> Check:
    """`instead`: what helps beside asking AWS for more, a sentence about the stack's file."""

    def check(account: Account) -> Finding:
        more = needed(account)
        if not more:
            return Finding(quota.what, True, "none is needed")
        response = account.client("service-quotas").get_service_quota(ServiceCode=quota.service, QuotaCode=quota.code)
        limit, now = float(response["Quota"]["Value"]), used(account)
        state = f"{now:g} in use, up to {more:g} more with {account.target.name}, {limit:g} allowed"
        advice = f"ask AWS for more ({quota.code}): {MANAGED}"
        if instead:
            advice = f"{advice}, or {instead.format(file=account.file)}"
        return Finding(quota.what, now + more <= limit, state, advice)

    return check


def _vcpus(hardware: str) -> Callable[[Account], float]:
    """vCPUs on this hardware if all jobs with all their items, and all copies of services, ran at the same time."""

    def needed(account: Account) -> float:
        specs = account.specs
        tasks = [(spec, max(1, len(spec.fan_out))) for spec in specs.batch.values()]
        # While a service is deployed, old and new copies run side by side.
        copies = [(spec, 2 * spec.replicas.max) for spec in specs.services.values()]
        return sum((spec.cpu * count for spec, count in (*tasks, *copies) if spec.hardware == hardware), 0.0)

    return needed


def _balancers_needed(account: Account) -> float:
    """One internet-facing and one internal load balancer, each if a service needs it."""
    return float(len({spec.access == "internal" for spec in account.specs.services.values()}))


def _network_needed(account: Account) -> float:
    return 0.0 if account.settings.get("vpc") else 1.0


def _addresses_needed(account: Account) -> float:
    """One for the NAT gateway, which all zones share."""
    nat = account.setting("network", "public", "nat") == "nat" and not account.settings.get("vpc")
    return 1.0 if nat else 0.0


def _executions_needed(account: Account) -> float:
    """The watch's own, and what must stay for others; nothing where none is kept for it."""
    return UNRESERVED_EXECUTIONS + 1.0 if account.reserves_for_watch else 0.0


def _nothing(account: Account) -> float:
    """Zero: tasks of others in the account are not counted, because they change all the time."""
    return 0.0


def _networks_used(account: Account) -> float:
    return float(sum(len(page["Vpcs"]) for page in account.client("ec2").get_paginator("describe_vpcs").paginate()))


def _balancers_used(account: Account) -> float:
    pages = account.client("elbv2").get_paginator("describe_load_balancers").paginate()
    return float(sum(entry["Type"] == "application" for page in pages for entry in page["LoadBalancers"]))


def _addresses_used(account: Account) -> float:
    return float(len(account.client("ec2").describe_addresses()["Addresses"]))


CHECKS: tuple[tuple[str, Check], ...] = (
    ("Pulumi", _engine),
    ("zones", _zones),
    *(
        (quota.what, _quota(quota, needed, used))
        for quota, needed, used in (
            *(
                (Quota(e.quota[0], "fargate", e.quota[1]), _vcpus(name), _nothing)
                for name, e in capacity.MANAGED.items()
            ),
            (NETWORKS, _network_needed, _networks_used),
            (BALANCERS, _balancers_needed, _balancers_used),
            (ADDRESSES, _addresses_needed, _addresses_used),
        )
    ),
    (FUNCTIONS.what, _quota(FUNCTIONS, _executions_needed, _nothing, WITHOUT_RESERVATION)),
    ("public buckets", _public_access),
    ("certificates", _certificates),
    ("state machines", _state_machines),
)
