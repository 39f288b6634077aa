"""Pools, secrets and connections in the whole program: what is made, what is asked of whom, who may read what."""

import base64
import json
import re
import shutil
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pulumi
import pytest

from herd.infra.offer import Offer
from herd.infra.settings.tables import Connection, Dataset, Pool
from herd.infra.spec.load import load_specs
from herd.infra.storage import secrets
from herd.targets.exports import WorkloadExport
from tests.herd.infra.program.mocks import ACCOUNT, PROGRAM, REGION, SETTINGS, Program, run_program, write_team

TEAM = {
    "defaults.toml": 'owner = "data@example.com"\nreview_by = 2027-06-30\n',
    "images/python/Dockerfile": "FROM scratch\n",
    "images/python/requirements.lock": "# none\n",
    "jobs/fit/workload.toml": (
        'hardware = "gpu"\ncpu = 4\nmemory_gb = 12\ndisk_gb = 50\nschedule = "@daily"\n'
        'connects = ["warehouse", "web"]\nreads = ["lake"]\n[secrets]\nAPI_KEY = "api-key"\nLOGIN = "warehouse-login"\n'
    ),
    "jobs/fit/main.py": "",
    "jobs/arm/workload.toml": 'hardware = "graviton"\n',
    "jobs/arm/main.py": "",
    "jobs/plain/workload.toml": "",
    "jobs/plain/main.py": "",
    "apis/ask/workload.toml": 'hardware = "vm"\nconnects = ["warehouse"]\n',
    "apis/ask/main.py": "",
}
OFFERED = replace(
    SETTINGS,
    network="nat",
    encryption_key="create",
    boundary=f"arn:aws:iam::{ACCOUNT}:policy/limit",
    pools={
        "gpu": Pool("g5.xlarge", 0, 2, 1),
        "graviton": Pool("m7g.large", 1, 3, 0, True),
        "unused": Pool("m7i.large"),
    },
    connections={
        "warehouse": Connection("postgresql", "warehouse-login", 5432, "10.20.0.5"),
        "web": Connection("snowflake", "web-login", 443),
        "unused": Connection("mysql", "unused", 3306),
    },
    datasets={"lake": Dataset("s3://company-lake/raw/")},
)


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Program:
    return run_program(write_team(tmp_path_factory.mktemp("pools"), TEAM), OFFERED)


def policy(program: Program, name: str) -> list[dict[str, Any]]:
    statements: list[dict[str, Any]] = json.loads(program.one("iam/rolePolicy:RolePolicy", name).inputs["policy"])[
        "Statement"
    ]
    return statements


def listed(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else value


def granted(program: Program, name: str, action: str) -> list[str]:
    """The resources on which a role may do something."""
    return [
        resource
        for statement in policy(program, name)
        if any(fnmatchcase(action, pattern) for pattern in listed(statement["Action"]))
        for resource in listed(statement["Resource"])
    ]


# --- hardware ------------------------------------------------------------------------------------------------------


def test_only_pools_that_are_used_are_made(program: Program) -> None:
    assert {pool.name for pool in program.of("infra:MachinePool")} == {"pool-gpu", "pool-graviton", "pool-vm"}
    capacity = program.one("clusterCapacityProviders:ClusterCapacityProviders", "cluster-capacity").inputs
    assert capacity["capacityProviders"] == [
        *("FARGATE", "FARGATE_SPOT"),
        *("herd-dev-gpu", "herd-dev-graviton", "herd-dev-vm"),
    ]


def test_a_machine_is_hardened(program: Program) -> None:
    template = program.one("launchTemplate:LaunchTemplate", "pool-gpu-template").inputs
    assert template["instanceType"] == "g5.xlarge"
    assert template["metadataOptions"] == {
        "httpEndpoint": "enabled",
        "httpTokens": "required",
        "httpPutResponseHopLimit": 1,
    }
    (disk,) = template["blockDeviceMappings"]
    assert disk["ebs"]["encrypted"] == "true" and disk["ebs"]["volumeSize"] == 30 + 50
    (interface,) = template["networkInterfaces"]
    assert interface["associatePublicIpAddress"] == "false"
    assert template["imageId"].startswith("resolve:ssm:/aws/service/ecs/optimized-ami/amazon-linux-2023/gpu/")
    started = base64.b64decode(template["userData"]).decode()
    assert "ECS_CLUSTER=herd-dev\n" in started and "ECS_AWSVPC_BLOCK_IMDS=true\n" in started
    assert "arm64" in program.one("launchTemplate:LaunchTemplate", "pool-graviton-template").inputs["imageId"]


def test_a_pool_scales_to_nothing_and_is_drained(program: Program) -> None:
    group = program.one("autoscaling/group:Group", "pool-gpu-group")
    assert (group.inputs["minSize"], group.inputs["maxSize"]) == (0, 2)
    assert group.inputs["protectFromScaleIn"] and group.ignore_changes == ["desiredCapacity"]
    assert program.one("autoscaling/group:Group", "pool-graviton-group").inputs["minSize"] == 1
    provider = program.one("capacityProvider:CapacityProvider", "pool-gpu-provider").inputs["autoScalingGroupProvider"]
    assert provider["managedScaling"]["status"] == "ENABLED"
    assert provider["managedTerminationProtection"] == provider["managedDraining"] == "ENABLED"


def test_tasks_go_where_their_hardware_is(program: Program) -> None:
    asked = {name: program.definition(name)["States"]["Run"]["Parameters"] for name in ("fit", "arm", "plain")}
    assert {name: told["CapacityProviderStrategy"][0]["CapacityProvider"] for name, told in asked.items()} == {
        "fit": "herd-dev-gpu",
        "arm": "herd-dev-graviton",
        "plain": "FARGATE",
    }
    assert {told["NetworkConfiguration"]["AwsvpcConfiguration"]["AssignPublicIp"] for told in asked.values()} == {
        "DISABLED"
    }
    (strategy,) = program.one("ecs/service:Service", "ask-service").inputs["capacityProviderStrategies"]
    assert strategy["capacityProvider"] == "herd-dev-vm"


def test_a_task_definition_is_for_its_hardware(program: Program) -> None:
    made = {
        name: program.one("taskDefinition:TaskDefinition", f"{name}-task").inputs for name in ("fit", "arm", "plain")
    }
    assert {name: task["requiresCompatibilities"] for name, task in made.items()} == {
        "fit": ["EC2"],
        "arm": ["EC2"],
        "plain": ["FARGATE"],
    }
    assert {name: task["runtimePlatform"]["cpuArchitecture"] for name, task in made.items()} == {
        "fit": "X86_64",
        "arm": "ARM64",
        "plain": "X86_64",
    }
    assert "ephemeralStorage" not in made["fit"] and "ephemeralStorage" in made["plain"]
    assert program.container("fit")["resourceRequirements"] == [{"type": "GPU", "value": "1"}]
    images = {name: program.one("image:Image", f"{name}-image").inputs["build"]["platform"] for name in ("fit", "arm")}
    assert images == {"fit": "linux/amd64", "arm": "linux/arm64"}


def test_machines_need_a_way_out(tmp_path: Path) -> None:
    refused = 'jobs/arm/workload.toml: hardware = "graviton" does not go with the network `public` of dev'
    with pytest.raises(pulumi.RunError, match=refused):
        run_program(write_team(tmp_path, TEAM), replace(OFFERED, network="public"))


# --- secrets -------------------------------------------------------------------------------------------------------


def test_a_task_definition_holds_addresses_of_secrets_only(program: Program) -> None:
    arn = f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:herd-dev"
    assert program.container("fit")["secrets"] == [
        {"name": "API_KEY", "valueFrom": f"{arn}/api-key-AbCdEf"},
        {"name": "HERD_CONNECTION_WAREHOUSE_SECRET", "valueFrom": f"{arn}/warehouse-login-AbCdEf"},
        {"name": "HERD_CONNECTION_WEB_SECRET", "valueFrom": f"{arn}/web-login-AbCdEf"},
        {"name": "LOGIN", "valueFrom": f"{arn}/warehouse-login-AbCdEf"},
    ]
    assert "secrets" not in program.container("plain")
    assert program.exports["workloads"]["fit"]["secrets"] == ["api-key", "warehouse-login", "web-login"]


def test_only_the_role_that_starts_a_workload_reads_its_secrets(program: Program) -> None:
    arn = f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:herd-dev"
    read = "secretsmanager:GetSecretValue"
    names = ("api-key", "warehouse-login", "web-login")
    assert granted(program, "fit-execution", read) == [f"{arn}/{name}-??????" for name in names]
    for other in program.of("iam/rolePolicy:RolePolicy"):
        if other.name not in ("fit-execution", "ask-execution"):
            assert granted(program, other.name, read) == [], other.name
    # What begins alike is another secret.
    assert not fnmatchcase(f"{arn}/api-key-2-AbCdEf", f"{arn}/api-key-??????")
    by_key = [
        statement for statement in policy(program, "fit-execution") if "kms:Decrypt" in listed(statement["Action"])
    ]
    assert by_key[0]["Condition"]["StringEquals"] == {"kms:ViaService": f"secretsmanager.{REGION}.amazonaws.com"}


def test_all_that_is_missing_is_said_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> Any:
        raise RuntimeError(f"reading Secrets Manager Secret ({name}): couldn't find resource")

    monkeypatch.setattr(secrets, "get_secret", absent)
    team = {
        **TEAM,
        "jobs/plain/workload.toml": '[secrets]\nA = "missing-one"\nB = "missing-two"\n',
        "jobs/arm/workload.toml": '[secrets]\nA = "missing-one"\n',
    }
    team |= {"jobs/fit/workload.toml": "", "apis/ask/workload.toml": ""}
    with pytest.raises(pulumi.RunError) as error:
        secrets.look_up(load_specs(write_team(tmp_path, team), "dev", Offer.of(OFFERED)), OFFERED)
    assert str(error.value).splitlines() == [
        "jobs/arm/workload.toml: [secrets] A: the secret 'missing-one' does not exist in dev; "
        "set it with: herd secret set missing-one",
        "jobs/plain/workload.toml: [secrets] A: the secret 'missing-one' does not exist in dev; "
        "set it with: herd secret set missing-one",
        "jobs/plain/workload.toml: [secrets] B: the secret 'missing-two' does not exist in dev; "
        "set it with: herd secret set missing-two",
    ]
    elsewhere = replace(OFFERED, environment="pr-17")
    with pytest.raises(pulumi.RunError, match=r"set missing-two -e pr-17 \(on AWS: --stack pr-17\)$"):
        secrets.look_up(load_specs(tmp_path, "pr-17", Offer.of(OFFERED)), elsewhere)


def test_a_look_up_that_fails_is_no_missing_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(name: str) -> Any:
        raise RuntimeError("AccessDeniedException: not authorized to perform: secretsmanager:DescribeSecret")

    monkeypatch.setattr(secrets, "get_secret", denied)
    specs = load_specs(write_team(tmp_path, TEAM), "dev", Offer.of(OFFERED))
    with pytest.raises(pulumi.RunError, match="could not be looked up: AccessDenied"):
        secrets.look_up(specs, OFFERED)


# --- connections and datasets --------------------------------------------------------------------------------------


def test_the_way_out_is_open_to_who_connects(program: Program) -> None:
    rules = {rule.name: rule.inputs for rule in program.of("securityGroupEgressRule:SecurityGroupEgressRule")}
    (way,) = [name for name in rules if name.startswith("connections-")]
    rule = rules[way]
    assert (rule["cidrIpv4"], rule["fromPort"], rule["toPort"]) == ("10.20.0.5/32", 5432, 5432)
    groups = {
        name: program.definition(name)["States"]["Run"]["Parameters"]["NetworkConfiguration"]["AwsvpcConfiguration"][
            "SecurityGroups"
        ]
        for name in ("fit", "plain")
    }
    assert groups == {"fit": ["network-tasks-id", "network-to-warehouse-id"], "plain": ["network-tasks-id"]}
    service = program.one("ecs/service:Service", "ask-service").inputs["networkConfiguration"]["securityGroups"]
    assert service == ["network-services-id", "network-to-warehouse-id"]


def test_a_connection_binds_to_other_targets_in_another_stack(program: Program, tmp_path: Path) -> None:
    elsewhere = {**OFFERED.connections, "warehouse": Connection("mysql", "warehouse-login", 3306, "db.example.com")}
    other = run_program(write_team(tmp_path, TEAM), replace(OFFERED, environment="prod", connections=elsewhere))
    assert program.task("fit")["connections"][0] == {
        "name": "warehouse",
        "driver": "postgresql",
        "host": "10.20.0.5",
        "port": 5432,
    }
    assert other.task("fit")["connections"][0]["driver"] == "mysql"
    rule = other.one("securityGroupEgressRule:SecurityGroupEgressRule", "connections-warehouse").inputs
    assert (rule["cidrIpv4"], rule["fromPort"]) == ("0.0.0.0/0", 3306)
    assert all("herd-prod/" in secret["valueFrom"] for secret in other.container("fit")["secrets"])


WAYS_OUT = {
    "a name, which may move": ({"host": "db.example.com"}, "0.0.0.0/0"),
    "an address": ({"host": "10.20.0.5"}, "10.20.0.5/32"),
    "a name in a network": ({"host": "db.example.com", "cidr": "10.1.0.0/16"}, "10.1.0.0/16"),
    "an address and where its stand-ins are": ({"host": "10.1.0.5", "cidr": "10.1.0.0/24"}, "10.1.0.0/24"),
    "a host that only the secret knows": ({}, "0.0.0.0/0"),
    "a network though only the secret knows the host": ({"cidr": "10.1.0.0/16"}, "10.1.0.0/16"),
}


@pytest.mark.parametrize("case", WAYS_OUT)
def test_a_connection_leads_no_further_than_what_is_known_of_it(case: str, tmp_path: Path) -> None:
    given, addresses = WAYS_OUT[case]
    connections = {**OFFERED.connections, "warehouse": Connection("postgresql", "warehouse-login", 5432, **given)}
    made = run_program(write_team(tmp_path, TEAM), replace(OFFERED, connections=connections))
    rule = made.one("securityGroupEgressRule:SecurityGroupEgressRule", "connections-warehouse").inputs
    assert (rule["cidrIpv4"], rule["fromPort"], rule["toPort"]) == (addresses, 5432, 5432)


def test_a_dataset_may_be_read_and_nothing_else(program: Program) -> None:
    assert {"name": "lake", "fetch": False, "uri": "s3://company-lake/raw/"} in program.task("fit")["reads"]
    lake = "arn:aws:s3:::company-lake"
    assert f"{lake}/raw/*" in granted(program, "fit-task", "s3:GetObject")
    assert not [resource for resource in granted(program, "fit-task", "s3:PutObject") if resource.startswith(lake)]


# --- roles ---------------------------------------------------------------------------------------------------------


def test_every_role_has_the_boundary_and_lies_below_the_path(program: Program) -> None:
    for role in program.of("iam/role:Role"):
        assert role.inputs["permissionsBoundary"] == OFFERED.boundary, role.name
        assert role.inputs["path"].startswith("/herd-dev/"), role.name


def test_environments_of_one_account_have_nothing_of_each_other(program: Program, tmp_path: Path) -> None:
    """No resource that a role of dev may act on is prod's, by any name that prod gives."""
    prod = run_program(write_team(tmp_path, TEAM), replace(OFFERED, environment="prod"))
    for mine, other in ((program, "herd-prod"), (prod, "herd-dev")):
        for document in mine.of("iam/rolePolicy:RolePolicy"):
            for statement in policy(mine, document.name):
                for resource in listed(statement["Resource"]):
                    assert other not in resource, (document.name, resource)
                    if resource == "*":
                        assert listed(statement["Action"])[0] in (
                            "ecr:GetAuthorizationToken",
                            "ecs:DiscoverPollEndpoint",
                            "scheduler:ListSchedules",
                        ), document.name
                    elif ":kms:" in resource:
                        alias = statement["Condition"]["ForAnyValue:StringEquals"]["kms:ResourceAliases"]
                        assert other not in alias


def test_what_cannot_be_started_lies_in_a_queue(program: Program) -> None:
    schedule = program.one("scheduler/schedule:Schedule", "fit-schedule").inputs
    assert schedule["target"]["deadLetterConfig"] == {"arn": "arn:dev-missed-schedules"}
    queue = program.one("sqs/queue:Queue", "dev-missed-schedules").inputs
    assert queue["name"] == "herd-dev-missed_schedules" and queue["kmsMasterKeyId"]
    arn = f"arn:aws:sqs:{REGION}:{ACCOUNT}:herd-dev-missed_schedules"
    assert granted(program, "roles-scheduler", "sqs:SendMessage") == [arn]


LEADS = '\nhardware.connections.lead_to("{name}", "db.internal", 6000)'


def leading(tmp_path: Path, name: str, connection: Connection) -> Program:
    """The program of a team that makes the server of a connection itself."""
    root = write_team(tmp_path, TEAM)
    shutil.copytree(PROGRAM, root / "infra")
    entry = root / "infra/__main__.py"
    made = "hardware = Hardware(project)"
    entry.write_text(re.sub(re.escape(made) + "[^\n]*", made + LEADS.format(name=name), entry.read_text()))
    return run_program(root, replace(OFFERED, connections={**OFFERED.connections, "warehouse": connection}))


def test_a_connection_leads_to_a_server_that_the_program_makes(program: Program, tmp_path: Path) -> None:
    """Its address is in the task, and in the exports, for `herd try`; of others there is nothing."""
    made = leading(tmp_path, "warehouse", Connection("postgresql", "warehouse-login", 5432))
    reached = {"name": "warehouse", "driver": "postgresql", "host": "db.internal", "port": 6000}
    assert made.task("fit")["connections"][0] == reached and made.task("ask")["connections"] == [reached]
    assert made.task("fit")["connections"][1]["name"] == "web" and made.task("plain")["connections"] == []
    entries = made.exports["workloads"]
    assert WorkloadExport.model_validate(entries["fit"]).addresses == {"warehouse": ("db.internal", 6000)}
    assert "addresses" not in entries["plain"] and "addresses" not in program.exports["workloads"]["fit"]


@pytest.mark.parametrize(
    ("name", "host", "words"),
    [
        ("warehose", "", "'warehose' is not a connection in the stack's settings"),
        ("warehouse", "db.example.com", "has a host in the stack's settings, 'db.example.com'"),
    ],
)
def test_a_connection_that_leads_elsewhere_is_refused(name: str, host: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(pulumi.RunError, match=words):
        leading(tmp_path, name, Connection("postgresql", "warehouse-login", 5432, host))
