"""Profiles, networks and what is adopted: what the program makes of them."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Any

import pulumi
import pytest

from herd.engine.changes import short
from herd.infra.settings.schema import Settings
from herd.infra.settings.tables import Pool
from herd.review.bill import BY_USE, COUNTED, is_free
from tests.herd.infra.program.mocks import ACCOUNT, REGION, TEAM, Answer, Program, Refused, run_program, write_team

KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/1234abcd"
ADOPTED = {"data_bucket": "acme-data", "boundary": f"arn:aws:iam::{ACCOUNT}:policy/acme"}
TLS = {"domain": "data.example.com", "dns_zone": "example.com", "allow_public": True}
VPC = {
    "vpc": "vpc-company",
    "private_subnets": ("subnet-1a", "subnet-2b"),
    "public_subnets": ("subnet-3a", "subnet-4b"),
}


def dev(**given: Any) -> Settings:
    return Settings.by_profile("dev", "herd", "dev", REGION, ACCOUNT, **{"allow_public": True, **given})


def prod(**given: Any) -> Settings:
    return Settings.by_profile("prod", "herd", "prod", REGION, ACCOUNT, **{**ADOPTED, **TLS, **given})


ENVIRONMENTS = {
    "dev": dev(),
    "dev nat": dev(network="nat"),
    "dev endpoints": dev(network="endpoints"),
    "dev encrypted": dev(encryption_key="create"),
    "dev protected": dev(protect=True),
    "dev three zones": dev(zones=3, network="nat"),
    "prod": prod(),
    "prod with the company's network, key and log bucket": prod(encryption_key=KEY, log_bucket="acme-logs", **VPC),
    "prod without logs": prod(access_logs=False, flow_logs=False),
}

Run = Callable[[str], Program]


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    root = write_team(tmp_path_factory.mktemp("team"), TEAM)
    return cache(lambda name: run_program(root, ENVIRONMENTS[name]))


def names(program: Program, kind: str) -> list[str]:
    return sorted(resource.name for resource in program.of(kind))


# --- profiles ------------------------------------------------------------------------------------------------------


def test_prod_keeps_what_must_not_be_lost(run: Run) -> None:
    program = run("prod")
    assert names(program, ":Bucket") == ["logs", "logs-bucket", "reports", "reports-bucket"], "data is adopted"
    assert not any(bucket.inputs["forceDestroy"] for bucket in program.of("s3/bucket:Bucket"))
    assert not any(repository.inputs["forceDelete"] for repository in program.of("ecr/repository:Repository"))
    assert all(balancer.inputs["enableDeletionProtection"] for balancer in program.of("lb/loadBalancer:LoadBalancer"))
    assert program.task("train")["data_bucket"] == program.exports["data_bucket"] == "acme-data"


def test_dev_leaves_nothing(run: Run) -> None:
    program = run("dev")
    assert all(bucket.inputs["forceDestroy"] for bucket in program.of("s3/bucket:Bucket"))
    assert all(repository.inputs["forceDelete"] for repository in program.of("ecr/repository:Repository"))
    assert not program.of("kms/key:Key") and not program.of("s3/bucketLogging:BucketLogging")
    assert not program.of("ec2/flowLog:FlowLog") and not program.of("ec2/natGateway:NatGateway")


def test_the_key_is_for_the_environments_logs_and_is_rotated(run: Run) -> None:
    program = run("prod")
    (key,) = program.of("kms/key:Key")
    assert key.inputs["enableKeyRotation"] is True and key.inputs["deletionWindowInDays"] == 30
    iam, logs = json.loads(key.inputs["policy"])["Statement"]
    assert iam["Principal"] == {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}
    assert logs["Principal"] == {"Service": f"logs.{REGION}.amazonaws.com"}
    own = [
        f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:{name}"
        for name in ("/herd-prod/*", "/aws/ecs/containerinsights/herd-prod/performance")
    ]
    assert logs["Condition"] == {"ArnLike": {"kms:EncryptionContext:aws:logs:arn": own}}
    (alias,) = program.of("kms/alias:Alias")
    assert alias.inputs["name"] == "alias/herd-prod"


@pytest.mark.parametrize(
    ("name", "key"),
    [("prod", "arn:key-kms"), ("prod with the company's network, key and log bucket", KEY), ("dev", None)],
)
def test_one_key_encrypts_images_and_a_bucket_for_data(name: str, key: str | None, run: Run) -> None:
    for repository in run(name).of("ecr/repository:Repository"):
        encrypted = [{"encryptionType": "KMS", "kmsKey": key}] if key else None
        assert repository.inputs.get("encryptionConfigurations") == encrypted


def test_the_data_bucket_of_its_own_has_the_environments_key(run: Run) -> None:
    (rule,) = (
        run("dev encrypted")
        .one("s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration", "data-encryption")
        .inputs["rules"]
    )
    by_key = {"sseAlgorithm": "aws:kms", "kmsMasterKeyId": "arn:key-kms"}
    assert rule == {"applyServerSideEncryptionByDefault": by_key, "bucketKeyEnabled": True}


def test_logs_go_to_one_bucket_and_only_those_who_write_them_may(run: Run) -> None:
    program = run("prod")
    (logging,) = program.of("s3/bucketLogging:BucketLogging")
    assert (logging.inputs["bucket"], logging.inputs["targetPrefix"]) == ("reports-bucket-id", "herd-prod/s3/reports/")
    assert logging.inputs["targetBucket"] == f"herd-prod-{ACCOUNT}-logs"
    (flows,) = program.of("ec2/flowLog:FlowLog")
    assert flows.inputs["logDestination"] == f"arn:aws:s3:::herd-prod-{ACCOUNT}-logs/herd-prod/flows/"
    assert any(urn.endswith("::logs-policy") for urn in flows.depends_on)
    policy = json.loads(program.one("s3/bucketPolicy:BucketPolicy", "logs-policy").inputs["policy"])
    writers = [statement for statement in policy["Statement"] if statement["Effect"] == "Allow"]
    assert {statement["Principal"]["Service"].partition(".amazonaws")[0] for statement in writers} == {
        "logging.s3", "logdelivery.elasticloadbalancing", "delivery.logs",
    }  # fmt: skip
    (of_balancers,) = [one for one in writers if one["Sid"] == "Balancers"]
    for statement in writers:
        # Load balancers need not say for whom they write; the path does.
        maybe = "IfExists" if statement is of_balancers else ""
        assert statement["Condition"][f"StringEquals{maybe}"] == {"aws:SourceAccount": ACCOUNT}
        assert "aws:SourceArn" in statement["Condition"][f"ArnLike{maybe}"]
    for balancer in program.of("lb/loadBalancer:LoadBalancer"):
        prefix = balancer.inputs["accessLogs"]["prefix"]
        assert prefix.startswith("herd-prod/elb/")
        tested = f"arn:aws:s3:::herd-prod-{ACCOUNT}-logs/{prefix}/AWSLogs/{ACCOUNT}/ELBAccessLogTestFile"
        assert fnmatchcase(tested, of_balancers["Resource"])
        assert not fnmatchcase(tested.replace(f"/{ACCOUNT}/", "/210987654321/"), of_balancers["Resource"])


def test_without_logs_there_is_no_bucket_for_them(run: Run) -> None:
    program = run("prod without logs")
    assert "logs-bucket" not in names(program, "s3/bucket:Bucket")
    assert not program.of("s3/bucketLogging:BucketLogging") and not program.of("ec2/flowLog:FlowLog")


def test_the_companys_log_bucket_is_written_below_the_environments_own_prefix(run: Run) -> None:
    program = run("prod with the company's network, key and log bucket")
    assert "logs-bucket" not in names(program, "s3/bucket:Bucket")
    (logging,) = program.of("s3/bucketLogging:BucketLogging")
    assert (logging.inputs["targetBucket"], logging.inputs["targetPrefix"]) == ("acme-logs", "herd-prod/s3/reports/")


# --- networks ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "subnets", "public_ip"),
    [
        ("dev", ["network-public-1-id", "network-public-2-id"], True),
        ("dev nat", ["network-private-1-id", "network-private-2-id"], False),
        ("dev endpoints", ["network-private-1-id", "network-private-2-id"], False),
        ("dev three zones", [f"network-private-{zone}-id" for zone in (1, 2, 3)], False),
        ("prod with the company's network, key and log bucket", ["subnet-1a", "subnet-2b"], False),
    ],
)
def test_where_tasks_run(name: str, subnets: list[str], public_ip: bool, run: Run) -> None:
    program = run(name)
    for service in program.of("ecs/service:Service"):
        place = service.inputs["networkConfiguration"]
        assert (place["subnets"], place["assignPublicIp"]) == (subnets, public_ip)
    machine = json.dumps(program.definition("lonely"))
    assert json.dumps(subnets) in machine
    assert f'"AssignPublicIp": "{"ENABLED" if public_ip else "DISABLED"}"' in machine


@pytest.mark.parametrize(
    ("name", "internal", "public"),
    [
        ("dev", "network-public", "network-public"),
        ("dev nat", "network-private", "network-public"),
        ("dev endpoints", "network-private", "network-public"),
        ("prod with the company's network, key and log bucket", "subnet-", "subnet-"),
    ],
)
def test_where_load_balancers_stand(name: str, internal: str, public: str, run: Run) -> None:
    subnets = {
        balancer.inputs["internal"]: balancer.inputs["subnets"]
        for balancer in run(name).of("lb/loadBalancer:LoadBalancer")
    }
    assert all(subnet.startswith(internal) for subnet in subnets[True])
    assert all(subnet.startswith(public) for subnet in subnets[False])


def test_one_gateway_leads_private_subnets_out(run: Run) -> None:
    program = run("dev nat")
    (gateway,) = program.of("ec2/natGateway:NatGateway")
    assert gateway.inputs["subnetId"] == "network-public-1-id" and gateway.inputs["allocationId"] == "network-nat-id"
    routes = {route.name: route.inputs for route in program.of("ec2/route:Route")}
    assert routes["network-out"]["gatewayId"] == "network-gateway-id"
    assert routes["network-out-private"]["natGatewayId"] == "network-nat-id"
    assert "gatewayId" not in routes["network-out-private"]


def test_endpoints_are_those_that_tasks_need_and_reached_from_within(run: Run) -> None:
    program = run("dev endpoints")
    endpoints = {
        endpoint.inputs["serviceName"].removeprefix(f"com.amazonaws.{REGION}."): endpoint.inputs
        for endpoint in program.of("ec2/vpcEndpoint:VpcEndpoint")
    }
    assert endpoints.keys() == {"s3", "ecr.api", "ecr.dkr", "logs"}
    assert len(endpoints.pop("s3")["routeTableIds"]) == 2
    for endpoint in endpoints.values():
        assert endpoint["subnetIds"] == ["network-private-1-id", "network-private-2-id"]
        assert endpoint["securityGroupIds"] == ["network-endpoints-id"] and endpoint["privateDnsEnabled"] is True
    rule = program.one("securityGroupIngressRule:SecurityGroupIngressRule", "network-endpoints-https")
    assert (rule.inputs["cidrIpv4"], rule.inputs["toPort"]) == ("10.0.0.0/16", 443)
    assert not program.of("ec2/natGateway:NatGateway")
    private = {route.inputs["routeTableId"] for route in program.of("ec2/route:Route")}
    assert private == {"network-public-id"}, "no way out of the private subnets"


def test_without_a_public_service_endpoints_leave_no_way_to_the_world(tmp_path: Path) -> None:
    inside = {path: text for path, text in TEAM.items() if not path.startswith("apis/answers")}
    secret = {"jobs/lonely/workload.toml": 'schedule = "@daily"\n[secrets]\nTOKEN = "weather"\n'}
    program = run_program(write_team(tmp_path, inside | secret), dev(network="endpoints"))
    assert not program.of("ec2/internetGateway:InternetGateway") and not program.of("ec2/route:Route")
    assert "network-secretsmanager" in names(program, "ec2/vpcEndpoint:VpcEndpoint")


@pytest.mark.parametrize(
    ("hardware", "needs_ecs"), [("fargate", False), ("fargate-spot", False), ("fargate-gpu", True), ("vm", True)]
)
def test_machines_of_pools_reach_ecs_whatever_the_pool_is_called(
    tmp_path: Path, hardware: str, needs_ecs: bool
) -> None:
    job = {"jobs/lonely/workload.toml": f'schedule = "@daily"\nhardware = "{hardware}"\n'}
    pools = {"fargate-gpu": Pool("g5.xlarge", gpu=1)}
    program = run_program(write_team(tmp_path, TEAM | job), dev(network="endpoints", pools=pools))
    ecs = {"network-ecs", "network-ecs-agent", "network-ecs-telemetry"}
    assert ecs & set(names(program, "ec2/vpcEndpoint:VpcEndpoint")) == (ecs if needs_ecs else set())


def test_subnets_do_not_overlap_and_stay_when_a_zone_is_added(run: Run) -> None:
    two, three = (
        {subnet.name: subnet.inputs["cidrBlock"] for subnet in run(name).of("ec2/subnet:Subnet")}
        for name in ("dev nat", "dev three zones")
    )
    assert two.items() <= three.items() and len(set(three.values())) == len(three) == 6


def test_nothing_is_made_of_the_companys_network_but_security_groups(run: Run) -> None:
    program = run("prod with the company's network, key and log bucket")
    made = {resource.type.rpartition(":")[2] for resource in program.below("network") if not resource.is_component}
    assert made == {"SecurityGroup", "SecurityGroupEgressRule"}
    assert {group.inputs["vpcId"] for group in program.of("securityGroup:SecurityGroup")} == {"vpc-company"}
    callers = {
        rule.inputs["cidrIpv4"]
        for rule in program.of("securityGroupIngressRule:SecurityGroupIngressRule")
        if rule.name.startswith("internal-balancer-in")
    }
    assert callers == {"10.20.0.0/16"}, "the addresses of that network, not of the setting"


# --- ownership -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_everything_waits_for_the_claim_on_the_name(name: str, run: Run) -> None:
    program = run(name)
    (claim,) = program.of("scheduler/scheduleGroup:ScheduleGroup")
    assert not claim.depends_on
    for resource in program.resources:
        if not resource.is_component and resource is not claim:
            assert claim.urn in resource.depends_on, resource.urn


def test_another_account_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    with pytest.raises(pulumi.RunError, match="herd:account = 210987654321, but the credentials are of the account"):
        run_program(write_team(tmp_path, TEAM), replace(dev(), account="210987654321"))


def missing(arguments: Any) -> dict[str, Any]:
    """As the provider says it of an image."""
    raise Refused("reading ECR Images: couldn't find resource")


def tagged(name: str, **tags: str) -> Answer:
    """The tags of whatever has `name` in its ARN."""

    def answer(arguments: Any) -> dict[str, Any]:
        found = [arn for arn in arguments["resourceArnLists"] if name in arn]
        herds = {f"herd:{key}": value for key, value in tags.items()}
        return {"resourceTagMappingLists": [{"resourceArn": arn, "tags": herds} for arn in found]}

    return answer


def answer(**values: Any) -> Answer:
    return lambda arguments: values


ADOPTED_WRONGLY: dict[str, tuple[Settings, dict[str, Answer], list[str]]] = {
    "a network that is not there": (
        dev(**VPC), {"getVpc": missing}, ["herd:vpc = vpc-company cannot be looked up: "]),
    "subnets of another network": (
        dev(**VPC), {"getSubnet": lambda told: {"vpcId": "vpc-other", "availabilityZone": told["id"][-1]}},
        ["herd:private_subnets: subnet-1a lies in vpc-other, not in vpc-company",
         "herd:private_subnets: subnet-2b lies in vpc-other, not in vpc-company",
         "herd:public_subnets: subnet-3a lies in vpc-other", "herd:public_subnets: subnet-4b lies in vpc-other"]),
    "subnets in one zone": (
        dev(**VPC), {"getSubnet": answer(vpcId="vpc-company", availabilityZone="x")},
        ["herd:private_subnets: subnet-2b and subnet-1a lie in one zone, x", "herd:public_subnets: subnet-4b and"]),
    "subnets in a zone without Fargate": (
        dev(**VPC),
        {"getSubnet": lambda told: {"vpcId": "vpc-company", "availabilityZone": told["id"],
                                    "availabilityZoneId": "use1-az3"}},
        ["herd:private_subnets: subnet-1a lies in subnet-1a (use1-az3), where Fargate starts no task",
         "herd:private_subnets: subnet-2b lies in"]),
    "buckets that are not there": (
        prod(log_bucket="acme-logs"), {"getBucket": missing},
        ["herd:data_bucket = acme-data cannot be looked up", "herd:log_bucket = acme-logs cannot be looked up"]),
    "a bucket elsewhere": (
        prod(), {"getBucket": answer(bucketRegion="us-east-1")},
        ["herd:data_bucket = acme-data lies in us-east-1; it must be in eu-west-1, as the environment"]),
    "another environment's data": (
        prod(), {"getResources": tagged("acme-data", project="herd", environment="test")},
        ["herd:data_bucket = acme-data belongs to the environment test of the project herd; an"]),
    "nobody's data": (
        prod(), {"getResources": answer(resourceTagMappingLists=[])},
        ["herd:data_bucket = acme-data belongs to no environment; an environment's data needs a bucket of its own"]),
    "a stranger's cluster": (
        dev(), {"getResources": tagged("cluster/herd-dev")},
        ["herd:environment: the cluster herd-dev exists already and belongs to no environment; choose another name"]),
    "another project's bucket": (
        dev(), {"getResources": tagged("-reports", project="other", environment="dev")},
        [f"herd:environment: the bucket herd-dev-{ACCOUNT}-reports exists already and belongs to the environment"]),
    "a repository that is not there": (
        dev(image_repositories="acme"), {"getRepository": missing},
        ["herd:image_repositories: acme/python, for images/python, cannot be looked up"]),
}  # fmt: skip


def test_a_zone_without_fargate_gets_no_subnet(tmp_path: Path) -> None:
    def zones(arguments: Any) -> dict[str, Any]:
        ids = {"us-east-1a": "use1-az3", "us-east-1b": "use1-az1", "us-east-1c": "use1-az2"}
        names = [name for name, number in ids.items() if number not in arguments.get("excludeZoneIds", [])]
        return {"names": names, "id": "us-east-1", "zoneIds": [], "groupNames": []}

    program = run_program(write_team(tmp_path, TEAM), dev(network="nat"), there={"getAvailabilityZones": zones})
    used = {subnet.inputs["availabilityZone"] for subnet in program.of("ec2/subnet:Subnet")}
    assert used == {"us-east-1b", "us-east-1c"}


@pytest.mark.parametrize("case", ADOPTED_WRONGLY)
def test_what_cannot_be_adopted_is_refused_all_at_once(case: str, tmp_path: Path) -> None:
    settings, there, expected = ADOPTED_WRONGLY[case]
    with pytest.raises(pulumi.RunError) as error:
        run_program(write_team(tmp_path, TEAM), settings, there)
    lines = str(error.value).splitlines()
    assert len(lines) == len(expected)
    for line, start in zip(lines, expected, strict=True):
        assert line.startswith(f"Pulumi.{settings.environment}.yaml: {start}")


# --- images --------------------------------------------------------------------------------------------------------


# --- what AWS takes, in which order --------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "declared"), [("dev", False), ("prod", True)])
def test_what_ecs_writes_about_containers_is_kept_no_longer_than_other_logs(
    run: Run, name: str, declared: bool
) -> None:
    program = run(name)
    groups = [one for one in program.of("cloudwatch/logGroup:LogGroup") if one.name == "cluster-insights"]
    (cluster,) = program.of("ecs/cluster:Cluster")
    assert bool(groups) is declared
    for group in groups:
        assert group.inputs["name"] == "/aws/ecs/containerinsights/herd-prod/performance"
        assert group.inputs["retentionInDays"] == 400 and group.inputs["kmsKeyId"]
        assert group.urn in cluster.depends_on, "the cluster goes first, or it would make the group again"


DESCRIPTION = re.compile(r"[a-zA-Z0-9. _\-:/()#,@\[\]+=&;{}!$*]{1,255}")
"""What EC2 takes in the description of a security group or of a rule; an apostrophe is not among it."""


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_ec2_takes_every_description(run: Run, name: str) -> None:
    for resource in run(name).resources:
        if "ecurityGroup" in resource.type and "description" in resource.inputs:
            assert DESCRIPTION.fullmatch(resource.inputs["description"]), resource.urn


@pytest.mark.parametrize("name", ["dev", "dev nat", "dev endpoints", "prod"])
def test_a_service_waits_for_the_way_by_which_it_fetches_its_image(run: Run, name: str) -> None:
    """Without it its first tasks fail, and there is nothing yet that ECS could roll back to."""
    program = run(name)
    kinds = ("ec2/route:Route", "ec2/vpcEndpoint:VpcEndpoint", "ec2/routeTableAssociation:RouteTableAssociation")
    ways = {way.urn for kind in kinds for way in program.of(kind)}
    assert ways
    for service in program.of("ecs/service:Service"):
        assert ways <= service.depends_on


def test_a_balancer_that_faces_the_internet_waits_for_the_gateway_and_goes_before_it(run: Run) -> None:
    program = run("prod")
    (gateway,) = program.of("ec2/internetGateway:InternetGateway")
    balancers = {one.name: one.depends_on for one in program.of("lb/loadBalancer:LoadBalancer")}
    assert gateway.urn in balancers["public-balancer-alb"]
    assert gateway.urn not in balancers["internal-balancer-alb"]


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_the_cost_of_every_resource_is_known(run: Run, name: str) -> None:
    """Counted, named with its price by use, or free: a type that nobody has looked up would pass for free."""
    types = {short(resource.type) for resource in run(name).resources if not resource.is_component}
    assert [type_ for type_ in sorted(types) if not (type_ in COUNTED or type_ in BY_USE or is_free(type_))] == []
