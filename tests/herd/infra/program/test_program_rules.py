"""Rules that hold for every resource of the whole program."""

import ast
import inspect
import json
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from herd.infra import components
from localcloud.plugins.resource import REGISTRY
from localcloud.plugins.types import load_types
from tests.herd.infra.program.mocks import REGION, Program, run_program

ROOT = Path(__file__).parents[4]
INFRA = ROOT / "src/herd/infra"
PROGRAM = ROOT / "infra"

UNTAGGABLE = {
    "aws:appautoscaling/policy:Policy",
    "aws:cloudwatch/eventTarget:EventTarget",
    "aws:ec2/route:Route",
    "aws:ec2/routeTableAssociation:RouteTableAssociation",
    "aws:ecr/lifecyclePolicy:LifecyclePolicy",
    "aws:ecs/clusterCapacityProviders:ClusterCapacityProviders",
    "aws:iam/rolePolicy:RolePolicy",
    "aws:lambda/permission:Permission",
    "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration",
    "aws:s3/bucketOwnershipControls:BucketOwnershipControls",
    "aws:s3/bucketPolicy:BucketPolicy",
    "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock",
    "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration",
    "aws:s3/bucketVersioning:BucketVersioning",
    "aws:scheduler/schedule:Schedule",
    "aws:sns/topicSubscription:TopicSubscription",
    "docker:index/image:Image",
}
"""Types that have no tags in AWS (or in the provider)."""


def test_every_resource_has_a_parent_and_bears_its_name(program: Program) -> None:
    names = {resource.urn: resource.name for resource in program.resources}
    (environment,) = program.of("infra:Environment")
    for resource in program.resources:
        if resource is environment:
            continue
        assert resource.parent in names, resource.urn
        if not resource.is_component:
            assert resource.name.startswith(f"{names[resource.parent]}-"), resource.urn
    assert len(names) == len(program.resources), "two resources have one URN"


def test_everything_taggable_says_what_it_belongs_to(program: Program) -> None:
    for resource in program.resources:
        if resource.is_component or resource.type in UNTAGGABLE:
            assert "tags" not in resource.inputs, f"{resource.type} can be tagged after all"
            continue
        tags = resource.inputs.get("tags", {})
        assert tags.get("herd:environment") == "dev", resource.urn
        assert len(set(tags) & {"herd:workload", "herd:kind", "herd:owner"}) in (0, 3), resource.urn


def test_what_belongs_to_a_workload_is_tagged_with_it(program: Program) -> None:
    for name, kind in {"ingest": "job", "train": "job", "page": "report", "answers": "api"}.items():
        for resource in program.below(name):
            tags = resource.inputs.get("tags")
            if tags:
                owner = {"herd:workload": name, "herd:kind": kind, "herd:owner": "data@example.com"}
                assert tags.items() >= owner.items(), resource.urn


def test_physical_names_begin_with_project_and_environment(program: Program) -> None:
    named = {"name", "bucket", "family", "groupName"}
    for resource in program.resources:
        for key in named & resource.inputs.keys() - {"bucket" if not resource.type.endswith(":Bucket") else ""}:
            if resource.type.endswith((":RolePolicy", ":Image")):
                continue  # the name of an inline policy is seen within its role only
            assert resource.inputs[key].lstrip("/").startswith("herd-dev"), (resource.urn, key)


def test_the_provider_makes_up_no_name(program: Program) -> None:
    """It would be another at each preview, and what is deployed never what was reviewed."""
    load_types()
    named = {type_: kind.autoname.property for type_, kind in REGISTRY.items() if kind.autoname}
    assert named["aws:lambda/permission:Permission"] == "statementId"
    automatic = [one for one in program.resources if one.type in named and not one.inputs.get(named[one.type])]
    assert not [one.urn for one in automatic]


def test_every_task_knows_its_region(program: Program) -> None:
    """Machines of pools do not say it by themselves as Fargate does; boto3 then has no region, S3 that of another."""
    for workload in program.exports["workloads"]:
        variables = {one["name"]: one["value"] for one in program.container(workload)["environment"]}
        assert variables["AWS_REGION"] == variables["AWS_DEFAULT_REGION"] == REGION


def test_a_log_group_is_there_before_all_who_write_into_it(program: Program) -> None:
    """ECS starts no task without it, and on the way out it must be the last."""
    for workload in program.exports["workloads"]:
        definition = program.one("ecs/taskDefinition:TaskDefinition", f"{workload}-task")
        group = program.one("cloudwatch/logGroup:LogGroup", f"{workload}-log")
        assert group.urn in definition.depends_on


def test_a_job_has_at_most_ten_resources(program: Program) -> None:
    counts = {name: len(program.below(name)) for name in ("ingest", "train", "lonely", "page")}
    assert max(counts.values()) <= 10, counts
    assert counts["lonely"] == 10, "a job with a schedule of its own"
    assert counts["ingest"] == 9, "its schedule is the pipeline's"


def test_nothing_that_aws_narrows_has_a_star_for_a_resource(program: Program) -> None:
    for resource in program.of("iam/rolePolicy:RolePolicy"):
        for statement in _statements(resource.inputs["policy"]):
            actions, resources = _listed(statement["Action"]), _listed(statement["Resource"])
            assert not any("*" in action for action in actions), resource.urn
            if actions not in (["ecr:GetAuthorizationToken"], ["scheduler:ListSchedules"]):
                assert all(not arn.endswith(":*:*") and arn.split(":", 5)[5] not in ("*", "") for arn in resources)


def test_only_the_public_load_balancer_and_the_reports_are_open_to_the_world(program: Program) -> None:
    world = [
        rule.name
        for rule in program.of("securityGroupIngressRule:SecurityGroupIngressRule")
        if rule.inputs.get("cidrIpv4") == "0.0.0.0/0"
    ]
    assert world == ["public-balancer-in-world-80"]
    public = [
        policy.name
        for policy in program.of("bucketPolicy:BucketPolicy")
        if any(s["Effect"] == "Allow" and s["Principal"] == "*" for s in _statements(policy.inputs["policy"]))
    ]
    assert public == ["reports-policy"]
    blocks = {block.name: block.inputs for block in program.of("bucketPublicAccessBlock:BucketPublicAccessBlock")}
    assert all(value is True for key, value in blocks["data-access"].items() if key != "bucket")
    assert blocks["reports-access"]["blockPublicAcls"] and blocks["reports-access"]["ignorePublicAcls"]


def test_rules_of_security_groups_are_described_and_narrow(program: Program) -> None:
    rules = program.of("SecurityGroupIngressRule") + program.of("SecurityGroupEgressRule")
    assert rules
    for rule in rules:
        assert rule.inputs["description"] and rule.inputs["ipProtocol"] == "tcp"
        assert rule.inputs["fromPort"] == rule.inputs["toPort"]


def test_two_runs_on_the_same_files_are_the_same(team: Path) -> None:
    assert run_program(team).everything() == run_program(team).everything()


def test_no_resource_is_made_inside_an_apply() -> None:
    """Such a resource would be missing from every preview that does not know the output yet."""
    resources = set(_imported_resources())
    for path in INFRA.rglob("*.py"):
        for call in ast.walk(ast.parse(path.read_text())):
            if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr == "apply"):
                continue
            made = {
                inner.func.id
                for argument in call.args
                for inner in ast.walk(argument)
                if isinstance(inner, ast.Call) and isinstance(inner.func, ast.Name)
            }
            assert not made & resources, f"{path.name}:{call.lineno}"


def test_the_program_does_not_ask_where_it_runs() -> None:
    forbidden = re.compile(r"is_?local|local_?(cloud|host)|127\.0\.0\.1|moto\b|emulat", re.IGNORECASE)
    for path in (*INFRA.rglob("*.py"), *PROGRAM.glob("*.py"), ROOT / "src/herd/project.py"):
        assert not forbidden.search(path.read_text()), path.name


def test_the_program_is_short_and_as_good_for_any_team() -> None:
    """`herd init` writes these files as they are: nothing in them is the sample's."""
    files = {path.name: path.read_text() for path in PROGRAM.glob("*.py")}
    assert files.keys() == {"__main__.py", "hardware.py", "images.py", "outputs.py"}
    assert sum(len(text.splitlines()) for text in files.values()) <= 200
    samples = [path.name for kind in ("jobs", "reports", "apis") for path in (ROOT / kind).iterdir()]
    assert samples and not [name for name in samples if any(name in text for text in files.values())]


SHOWN = ("Network", "Cluster", "LoadBalancers", "Images", "DataBucket", "ReportSite", "Job", "Report", "Api")


@pytest.mark.parametrize("name", SHOWN)
def test_a_component_begins_with_an_example_that_makes_one(name: str) -> None:
    component = getattr(components, name)
    text = inspect.getdoc(component) or ""
    example = textwrap.dedent("\n".join(line for line in text.splitlines() if line.startswith("    ")))
    calls = [call for call in ast.walk(ast.parse(example)) if isinstance(call, ast.Call)]
    (made,) = [call for call in calls if isinstance(call.func, ast.Name) and call.func.id == name]
    keywords = {keyword.arg: keyword.value for keyword in made.keywords if keyword.arg}
    inspect.signature(component).bind(*made.args, **keywords)


@pytest.mark.parametrize("path", sorted(INFRA.rglob("*.py")), ids=lambda path: path.name)
def test_modules_and_functions_are_of_readable_length(path: Path) -> None:
    text = path.read_text()
    assert len(text.splitlines()) <= 500
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef):
            assert node.end_lineno is not None and node.end_lineno - node.lineno < 60, node.name


def _imported_resources() -> Iterator[str]:
    for path in INFRA.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(("pulumi_aws", "pulumi_docker")):
                yield from (alias.asname or alias.name for alias in node.names)


def _statements(policy: str) -> list[dict[str, Any]]:
    return json.loads(policy)["Statement"]


def _listed(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value
