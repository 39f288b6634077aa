"""The patches of moto: each replaces something that is there, and does what it is for."""

from __future__ import annotations

import ast
import gc
import json
import subprocess
import sys
import threading
import weakref
from typing import Any

import pytest
from botocore.exceptions import ClientError
from moto.ec2.models import instance_types
from moto.logs.models import LogEvent

from localcloud import backends, patches
from localcloud.agent.agent import Agent
from localcloud.patches import events
from localcloud.request import Request
from localcloud.server import Server

TRUST = json.dumps(
    {"Statement": {"Effect": "Allow", "Principal": {"Service": "ecs-tasks.amazonaws.com"}, "Action": "sts:AssumeRole"}}
)

ADDED = {
    "AmiBackend.amis",
    "ApplicationAutoScalingResponse.list_tags_for_resource",
    "ApplicationAutoScalingResponse.tag_resource",
    "ApplicationAutoScalingResponse.untag_resource",
    "ApplicationAutoscalingBackend.resource_tags",
    "CloudWatchResponse.describe_alarm_history",
    "CloudWatchResponse.put_composite_alarm",
    "EventsBackend.put_own_events",
    "FakeDeleteMarker.dispose",
    "FakeRule.transforms",
    "IamResponse.add_client_id_to_open_id_connect_provider",
    "IamResponse.remove_client_id_from_open_id_connect_provider",
    "LaunchTemplate.tags",
    "NetworkInterface.private_dns_name",
    "StepFunctionResponse.list_state_machine_versions",
    "StepFunctionResponse.validate_state_machine_definition",
    "StateTaskServiceEcs._eval_sync",  # this and the rest are inherited in moto
    "StateTaskServiceEcs._from_error",
    "StateTaskServiceSfn._eval_sync",
    "S3Response.serialized",
    "Task.advance",
    "Request.want_form_data_parsed",  # forms come by POST only
}
"""What patches add to moto rather than replace there."""

COMPARE = """
import inspect, json, pkgutil, sys
import localcloud.patches
import localcloud.patches.ec2.api
for module in pkgutil.walk_packages(localcloud.patches.__path__, "localcloud.patches."):
    __import__(module.name)

def snapshot():
    seen = {}
    for name, module in list(sys.modules.items()):
        if name == "moto" or name.startswith("moto."):
            for key, value in list(vars(module).items()):
                seen[f"{name}:{key}"] = id(value)
                if inspect.isclass(value) and value.__module__ == name:
                    for member, item in list(vars(value).items()):
                        seen[f"{name}:{key}.{member}"] = id(item)
    return seen

before = snapshot()
localcloud.patches.apply()
after = snapshot()
new = sorted(key for key in after if key not in before and key.split(":")[0] + ":" in " ".join(before))
changed = sorted(key for key in after if key in before and after[key] != before[key])
print(json.dumps({"new": new, "changed": changed}))
"""


@pytest.fixture(scope="module")
def difference() -> dict[str, list[str]]:
    """What applying the patches changes in moto, found out in a process of its own."""
    output = subprocess.run([sys.executable, "-c", COMPARE], capture_output=True, text=True, check=True).stdout
    result: dict[str, list[str]] = json.loads(output)
    return result


def test_what_is_replaced_is_there(difference: dict[str, list[str]]) -> None:
    added = {name.split(":")[1] for name in difference["new"]} - {"jsonpath", "responses"}
    assert {name for name in added if not name.split(".")[-1].startswith("_abc")} == ADDED


def test_every_service_is_patched(difference: dict[str, list[str]]) -> None:
    services = {name.split(".")[1] for name in difference["changed"]}
    expected = {"applicationautoscaling", "core", "ecr", "ecs", "elbv2", "events", "iam", "s3", "scheduler"}
    assert expected | {"ec2", "stepfunctions", "sts"} <= services


def test_instance_type_offerings_are_read_when_asked_for(server: Server) -> None:
    ec2 = server.client("ec2")
    by_region = instance_types.INSTANCE_TYPE_OFFERINGS["availability-zone"]
    by_region.clear()  # another test of this process may have asked for other regions
    offered = ec2.describe_instance_type_offerings(LocationType="availability-zone")["InstanceTypeOfferings"]
    assert {offer["LocationType"] for offer in offered} == {"availability-zone"}
    assert "m5.large" in {offer["InstanceType"] for offer in offered}
    assert "us-east-1" not in by_region, "nobody asked for it"


def test_instance_types_are_read_when_asked_for(server: Server) -> None:
    code = (
        "import localcloud.patches as p; p.apply(); import moto.ec2.models.instance_types as t; print(t.INSTANCE_TYPES)"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "{}\n"
    ec2 = server.client("ec2")
    assert len(ec2.describe_instance_types()["InstanceTypes"]) >= 100
    (one,) = ec2.describe_instance_types(InstanceTypes=["m5.large"])["InstanceTypes"]
    assert (one["VCpuInfo"]["DefaultVCpus"], one["MemoryInfo"]["SizeInMiB"]) == (2, 8192)
    with pytest.raises(ClientError, match="InvalidInstanceType"):
        ec2.describe_instance_types(InstanceTypes=["m5.huge"])


def test_machine_images_are_there_when_asked_for(server: Server) -> None:
    images = server.client("ec2").describe_images(Owners=["amazon"])["Images"]
    assert len(images) > 100


def test_another_moto_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patches, "_applied", False)
    monkeypatch.setattr(patches, "version", lambda name: "5.9.9")
    with pytest.raises(patches.WrongMoto, match="5.9.9"):
        patches.apply()


def test_models_are_not_kept_for_ever() -> None:
    patches.apply()
    event = weakref.ref(LogEvent(1, {"timestamp": 1, "message": "m"}))
    gc.collect()
    assert event() is None


def test_images_have_the_digest_of_their_manifest(server: Server) -> None:
    ecr = server.client("ecr")
    ecr.create_repository(repositoryName="app")
    media = "application/vnd.oci.image.manifest.v1+json"
    for manifest, digest in (
        ("{}", "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"),
        ('{"a":1}', "sha256:015abd7f5cc57a2dd94b7590f04ad8084273905ee33ec5cebeae62276a97f862"),
    ):
        image = ecr.put_image(
            repositoryName="app", imageManifest=manifest, imageManifestMediaType=media, imageTag=digest[7:15]
        )
        assert image["image"]["imageId"]["imageDigest"] == digest


def two_subnets(ec2: Any, vpc: str) -> list[str]:
    return [
        ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.0.{n}.0/24", AvailabilityZone=f"eu-west-1{zone}")["Subnet"][
            "SubnetId"
        ]
        for n, zone in enumerate("ab")
    ]


def test_load_balancers_have_an_address_here(server: Server) -> None:
    elb, ec2 = server.client("elbv2"), server.client("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    subnets = two_subnets(ec2, vpc)
    balancer = elb.create_load_balancer(Name="lb", Subnets=subnets)["LoadBalancers"][0]
    name, _, rest = balancer["DNSName"].partition(".")
    assert rest == "eu-west-1.elb.localhost:4999"
    assert name.startswith("lb-") and name[3:].isdigit()


@pytest.fixture
def listener(server: Server) -> tuple[Any, str, str]:
    """An elbv2 client, a listener's ARN, a target group's ARN."""
    elb, ec2 = server.client("elbv2"), server.client("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    subnets = two_subnets(ec2, vpc)
    balancer = elb.create_load_balancer(Name="lb", Subnets=subnets)["LoadBalancers"][0]["LoadBalancerArn"]
    group = elb.create_target_group(Name="g", Protocol="HTTP", Port=80, VpcId=vpc, TargetType="ip")
    arn = group["TargetGroups"][0]["TargetGroupArn"]
    action = {"Type": "forward", "TargetGroupArn": arn}
    made = elb.create_listener(LoadBalancerArn=balancer, Protocol="HTTP", Port=80, DefaultActions=[action])
    return elb, made["Listeners"][0]["ListenerArn"], arn


def test_two_targets_on_one_address(listener: tuple[Any, str, str]) -> None:
    elb, _, group = listener
    targets = [{"Id": "127.0.0.1", "Port": 8001}, {"Id": "127.0.0.1", "Port": 8002}]
    elb.register_targets(TargetGroupArn=group, Targets=targets)
    health = elb.describe_target_health(TargetGroupArn=group)["TargetHealthDescriptions"]
    assert [(found["Target"]["Port"], found["TargetHealth"]["State"]) for found in health] == [
        (8001, "initial"),
        (8002, "initial"),
    ]
    elb.deregister_targets(TargetGroupArn=group, Targets=targets[:1])
    health = elb.describe_target_health(TargetGroupArn=group, Targets=targets)["TargetHealthDescriptions"]
    assert [found["TargetHealth"]["State"] for found in health] == ["unused", "initial"]


def test_rules_keep_their_url_rewrite(listener: tuple[Any, str, str]) -> None:
    elb, arn, group = listener
    rewrite = {"Type": "url-rewrite", "UrlRewriteConfig": {"Rewrites": [{"Regex": "^/api/(.*)$", "Replace": "/$1"}]}}
    rule = elb.create_rule(
        ListenerArn=arn,
        Priority=1,
        Conditions=[{"Field": "path-pattern", "PathPatternConfig": {"Values": ["/api/*"]}}],
        Actions=[{"Type": "forward", "TargetGroupArn": group}],
        Transforms=[rewrite],
    )["Rules"][0]
    assert rule["Transforms"] == [rewrite]
    rules = elb.describe_rules(ListenerArn=arn)["Rules"]
    assert [found.get("Transforms") for found in rules if found["Priority"] == "1"] == [[rewrite]]
    changed = {"Type": "url-rewrite", "UrlRewriteConfig": {"Rewrites": [{"Regex": "x", "Replace": "y"}]}}
    assert elb.modify_rule(RuleArn=rule["RuleArn"], Transforms=[changed])["Rules"][0]["Transforms"] == [changed]


def test_scalable_targets_have_tags(server: Server) -> None:
    scaling = server.client("application-autoscaling")
    resource = {
        "ServiceNamespace": "dynamodb",
        "ResourceId": "table/t",
        "ScalableDimension": "dynamodb:table:ReadCapacityUnits",
    }
    arn = scaling.register_scalable_target(**resource, MinCapacity=1, MaxCapacity=2, Tags={"a": "1"})[
        "ScalableTargetARN"
    ]
    assert scaling.list_tags_for_resource(ResourceARN=arn)["Tags"] == {"a": "1"}
    scaling.tag_resource(ResourceARN=arn, Tags={"b": "2"})
    scaling.untag_resource(ResourceARN=arn, TagKeys=["a"])
    assert scaling.list_tags_for_resource(ResourceARN=arn)["Tags"] == {"b": "2"}


def test_capacity_providers_are_all_listed(server: Server) -> None:
    ecs = server.client("ecs")
    names = [found["name"] for found in ecs.describe_capacity_providers()["capacityProviders"]]
    assert names == ["FARGATE", "FARGATE_SPOT"]
    missing = ecs.describe_capacity_providers(capacityProviders=["x"])
    assert (missing["capacityProviders"], missing["failures"][0]["reason"]) == ([], "MISSING")


def test_deleted_clusters_are_not_listed_but_described(server: Server) -> None:
    ecs = server.client("ecs")
    first = ecs.create_cluster(clusterName="c", settings=[{"name": "containerInsights", "value": "enabled"}])["cluster"]
    assert ecs.create_cluster(clusterName="c")["cluster"]["settings"] == first["settings"], "made once"
    ecs.delete_cluster(cluster="c")
    assert ecs.list_clusters()["clusterArns"] == []
    assert ecs.describe_clusters(clusters=["c"])["clusters"][0]["status"] == "INACTIVE"
    assert ecs.create_cluster(clusterName="c")["cluster"]["status"] == "ACTIVE"


def test_aws_managed_policies_are_known_by_name(server: Server) -> None:
    iam = server.client("iam")
    iam.create_role(RoleName="r", AssumeRolePolicyDocument=TRUST)
    arn = "arn:aws:iam::aws:policy/service-role/AmazonECSTaskExecutionRolePolicy"
    iam.attach_role_policy(RoleName="r", PolicyArn=arn)
    assert iam.list_attached_role_policies(RoleName="r")["AttachedPolicies"][0]["PolicyArn"] == arn
    assert iam.get_policy(PolicyArn=arn)["Policy"]["AttachmentCount"] == 1
    with pytest.raises(ClientError, match="NoSuchEntity"):
        iam.attach_role_policy(RoleName="r", PolicyArn="arn:aws:iam::aws:policy/NoSuchPolicy")


POLICIES: dict[str, tuple[list[dict[str, Any]], int, int]] = {
    "TLS only": (
        [
            {
                "Effect": "Deny",
                "Principal": "*",
                "Action": "s3:*",
                "Condition": {"Bool": {"aws:SecureTransport": "false"}},
            }
        ],
        200,
        403,
    ),
    "for another account": (
        [{"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::999999999999:root"}, "Action": "s3:GetObject"}],
        200,
        403,
    ),
    "for a service": (
        [{"Effect": "Allow", "Principal": {"Service": "cloudfront.amazonaws.com"}, "Action": "s3:GetObject"}],
        200,
        403,
    ),
    "for everybody": ([{"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject"}], 200, 200),
    "for nobody": ([{"Effect": "Deny", "Principal": "*", "Action": "s3:GetObject"}], 403, 403),
}


@pytest.mark.parametrize("case", POLICIES)
def test_bucket_policies_decide_only_what_can_be_judged(server: Server, case: str) -> None:
    statements, signed, unsigned = POLICIES[case]
    s3, bucket = server.client("s3"), f"policy-{server.account}"
    s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    s3.delete_public_access_block(Bucket=bucket)
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    whole = [{**statement, "Resource": f"arn:aws:s3:::{bucket}/*"} for statement in statements]
    s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps({"Statement": whole}))
    host = ("Host", f"{bucket}.s3.eu-west-1.localhost:4999")
    scope = "AWS4-HMAC-SHA256 Credential=A/20260101/eu-west-1/s3/aws4_request, SignedHeaders=host, Signature=0"
    assert server.handle(Request("GET", "/k", [host, ("Authorization", scope)], b"", "root")).status == signed
    assert server.handle(Request("GET", "/k", [host], b"", "root")).status == unsigned


def test_new_buckets_block_public_access(server: Server) -> None:
    s3, bucket = server.client("s3"), f"block-{server.account}"
    s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    block = s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"]
    assert set(block.values()) == {True}


@pytest.mark.parametrize("single", [True, False], ids=["one by one", "all at once"])
def test_a_versioned_bucket_with_delete_markers_can_be_emptied(server: Server, single: bool) -> None:
    s3, bucket = server.client("s3"), f"versions-{server.account}"
    s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    for key in ("a", "b"):
        s3.put_object(Bucket=bucket, Key=key, Body=b"1")
        s3.put_object(Bucket=bucket, Key=key, Body=b"2")
        s3.delete_object(Bucket=bucket, Key=key)
    s3.put_object(Bucket=bucket, Key="b", Body=b"3")
    listed = s3.list_object_versions(Bucket=bucket)
    versions = [
        {"Key": found["Key"], "VersionId": found["VersionId"]}
        for found in [*listed["Versions"], *listed["DeleteMarkers"]]
    ]
    assert len(versions) == 7
    if single:
        for version in versions:
            s3.delete_object(Bucket=bucket, **version)
    else:
        s3.delete_objects(Bucket=bucket, Delete={"Objects": versions})
    s3.delete_bucket(Bucket=bucket)


def test_services_keep_what_was_declared(ticking: Agent, server: Server) -> None:
    ecs, ec2 = server.client("ecs"), server.client("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.0.0/24")["Subnet"]["SubnetId"]
    ecs.create_cluster(clusterName="c", capacityProviders=["FARGATE", "FARGATE_SPOT"])
    shared = {"family": "f", "networkMode": "awsvpc", "taskRoleArn": "arn:aws:iam::123456789012:role/r"}
    ecs.register_task_definition(**shared, containerDefinitions=[{"name": "main", "image": "i", "memory": 64}])
    strategy = [{"capacityProvider": "FARGATE_SPOT", "weight": 1, "base": 0}]
    service = ecs.create_service(
        cluster="c",
        serviceName="s",
        taskDefinition="f",
        desiredCount=0,
        capacityProviderStrategy=strategy,
        networkConfiguration={"awsvpcConfiguration": {"subnets": [subnet]}},
        enableExecuteCommand=True,
        deploymentConfiguration={"minimumHealthyPercent": 50},
    )["service"]
    assert service["capacityProviderStrategy"] == strategy
    assert "launchType" not in service
    assert service["enableExecuteCommand"] is True
    assert service["deploymentConfiguration"] == {
        "minimumHealthyPercent": 50,
        "maximumPercent": 200,
        "deploymentCircuitBreaker": {"enable": False, "rollback": False},
    }
    ecs.register_task_definition(**shared, containerDefinitions=[{"name": "main", "image": "i2", "memory": 64}])
    updated = ecs.update_service(
        cluster="c", service="s", taskDefinition="f", desiredCount=2, healthCheckGracePeriodSeconds=7
    )["service"]
    assert updated["taskDefinition"].endswith(":task-definition/f:2")
    assert updated["healthCheckGracePeriodSeconds"] == 7
    assert (updated["runningCount"], updated["desiredCount"]) == (0, 2)


PATTERNS: dict[str, tuple[dict[str, Any], dict[str, Any], bool]] = {
    "value": ({"source": ["a"]}, {"source": "a"}, True),
    "nested": ({"detail": {"x": {"y": [1]}}}, {"detail": {"x": {"y": 1}}}, True),
    "list of objects": ({"detail": {"c": {"e": [1]}}}, {"detail": {"c": [{"e": 0}, {"e": 1}]}}, True),
    "list of objects, none": ({"detail": {"c": {"e": [2]}}}, {"detail": {"c": [{"e": 0}, {"e": 1}]}}, False),
    "anything but": ({"detail": {"c": {"e": [{"anything-but": 0}]}}}, {"detail": {"c": [{"e": 3}]}}, True),
    "absent": ({"detail": {"e": [{"exists": False}]}}, {"detail": {}}, True),
    "prefix": ({"source": [{"prefix": "aws."}]}, {"source": "aws.ecs"}, True),
    "either": ({"$or": [{"a": [1]}, {"b": [2]}]}, {"b": 2}, True),
    "neither": ({"$or": [{"a": [1]}, {"b": [2]}]}, {"b": 3}, False),
}


@pytest.mark.parametrize("case", PATTERNS)
def test_event_patterns(case: str) -> None:
    pattern, event, expected = PATTERNS[case]
    assert events.matches(pattern, event) is expected


def test_a_task_in_another_cluster_is_not_found(server: Server) -> None:
    ecs = server.client("ecs")
    for name in ("c", "c2"):
        ecs.create_cluster(clusterName=name)
    ecs.register_task_definition(family="f", containerDefinitions=[{"name": "main", "image": "i", "memory": 64}])
    arn = ecs.run_task(cluster="c2", taskDefinition="f", launchType="FARGATE")["tasks"][0]["taskArn"]
    assert ecs.list_tasks(cluster="c")["taskArns"] == []
    assert ecs.describe_tasks(cluster="c", tasks=[arn])["tasks"] == []
    with pytest.raises(ClientError, match="The referenced task was not found"):
        ecs.stop_task(cluster="c", task=arn)
    shown = ecs.describe_tasks(cluster="c2", tasks=[arn])["tasks"][0]
    assert (shown["lastStatus"], shown["containers"][0]["lastStatus"]) == ("PROVISIONING", "PENDING")
    assert ecs.describe_tasks(cluster="c2", tasks=[arn])["tasks"][0]["lastStatus"] == "PROVISIONING"


def test_look_ups_by_service_load_only_that_service(server: Server) -> None:
    server.client("ecs").create_cluster(clusterName="c")
    assert [region for region, _ in backends.regions("ecs", server.account)] == ["eu-west-1"]


def test_a_vpc_takes_its_default_acl_with_it(server: Server) -> None:
    ec2 = server.client("ec2")
    before = {acl["NetworkAclId"] for acl in ec2.describe_network_acls()["NetworkAcls"]}
    vpc = ec2.create_vpc(CidrBlock="10.1.0.0/16")["Vpc"]["VpcId"]
    ec2.delete_vpc(VpcId=vpc)
    assert {acl["NetworkAclId"] for acl in ec2.describe_network_acls()["NetworkAcls"]} == before


def test_an_object_that_came_in_parts_has_an_owner(server: Server) -> None:
    s3, bucket = server.client("s3"), f"parts-{server.account}"
    s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    upload = s3.create_multipart_upload(Bucket=bucket, Key="k")["UploadId"]
    part = s3.upload_part(Bucket=bucket, Key="k", UploadId=upload, PartNumber=1, Body=b"x")["ETag"]
    s3.complete_multipart_upload(
        Bucket=bucket, Key="k", UploadId=upload, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": part}]}
    )
    assert s3.get_object_acl(Bucket=bucket, Key="k")["Grants"][0]["Permission"] == "FULL_CONTROL"


def test_a_deleted_gateway_takes_its_interface_along(server: Server) -> None:
    ec2 = server.client("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.0.0/24")["Subnet"]["SubnetId"]
    address = ec2.allocate_address(Domain="vpc")["AllocationId"]
    gateway = ec2.create_nat_gateway(SubnetId=subnet, AllocationId=address)["NatGateway"]["NatGatewayId"]
    assert len(ec2.describe_network_interfaces()["NetworkInterfaces"]) == 1
    ec2.delete_nat_gateway(NatGatewayId=gateway)
    assert ec2.describe_network_interfaces()["NetworkInterfaces"] == []
    assert "AssociationId" not in ec2.describe_addresses(AllocationIds=[address])["Addresses"][0]


def test_an_endpoint_goes_after_its_route_table(server: Server) -> None:
    ec2 = server.client("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    tables = [ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"] for _ in range(2)]
    endpoint = ec2.create_vpc_endpoint(
        VpcId=vpc, ServiceName="com.amazonaws.eu-west-1.s3", RouteTableIds=tables, VpcEndpointType="Gateway"
    )["VpcEndpoint"]["VpcEndpointId"]
    ec2.delete_route_table(RouteTableId=tables[0])
    ec2.delete_vpc_endpoints(VpcEndpointIds=[endpoint])
    assert [e for e in ec2.describe_vpc_endpoints()["VpcEndpoints"] if e["State"] != "deleted"] == []
    left = ec2.describe_route_tables(RouteTableIds=[tables[1]])["RouteTables"][0]["Routes"]
    assert all("DestinationPrefixListId" not in route for route in left)
    ec2.delete_route_table(RouteTableId=tables[1])
    ec2.delete_vpc(VpcId=vpc)


class TestThreads:
    def test_parse_python_at_the_same_time(self) -> None:
        """The interpreter's fault shows where the collector hands over to another thread in the middle of a tree."""
        patches.apply()
        failures: list[str] = []

        def parse(depth: int) -> None:
            for _ in range(300):
                try:
                    ast.parse("f(" * depth + ")" * depth)
                except SystemError as error:
                    failures.append(str(error))

        def hand_over(*_: Any) -> None:
            pass

        threads = [threading.Thread(target=parse, args=(depth,)) for depth in (5, 20, 30, 8)]
        interval, threshold = sys.getswitchinterval(), gc.get_threshold()
        gc.callbacks.append(hand_over)
        sys.setswitchinterval(1e-6)
        gc.set_threshold(50)
        try:
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        finally:
            gc.callbacks.remove(hand_over)
            sys.setswitchinterval(interval)
            gc.set_threshold(*threshold)
        assert failures == []


def test_a_rule_of_a_security_group_changes_its_source_and_never_its_kind(server: Server) -> None:
    ec2 = server.client("ec2")
    group = ec2.create_security_group(GroupName="g", Description="d")["GroupId"]
    other = ec2.create_security_group(GroupName="h", Description="d")["GroupId"]
    source = [{"IpProtocol": "tcp", "FromPort": 80, "ToPort": 80, "UserIdGroupPairs": [{"GroupId": group}]}]
    made = ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=source)["SecurityGroupRules"]
    number = made[0]["SecurityGroupRuleId"]

    def modify(**rule: Any) -> None:
        asked = {"SecurityGroupRuleId": number, "SecurityGroupRule": {"IpProtocol": "tcp", **rule}}
        ec2.modify_security_group_rules(GroupId=group, SecurityGroupRules=[asked])

    modify(FromPort=1, ToPort=90, ReferencedGroupId=other)
    rule = ec2.describe_security_group_rules(SecurityGroupRuleIds=[number])["SecurityGroupRules"][0]
    assert (rule["FromPort"], rule["ToPort"], rule["ReferencedGroupInfo"]["GroupId"]) == (1, 90, other)
    with pytest.raises(ClientError, match="You may not specify CidrIpv4 for an existing ReferencedGroupId rule"):
        modify(FromPort=80, ToPort=80, CidrIpv4="0.0.0.0/0")


def test_a_family_is_its_latest_revision_that_was_not_deregistered(server: Server) -> None:
    ecs = server.client("ecs")
    asked = {"family": "f", "containerDefinitions": [{"name": "main", "image": "x", "memory": 64}]}
    first, second = (ecs.register_task_definition(**asked)["taskDefinition"]["taskDefinitionArn"] for _ in range(2))
    assert ecs.describe_task_definition(taskDefinition="f")["taskDefinition"]["taskDefinitionArn"] == second
    ecs.deregister_task_definition(taskDefinition=second)
    assert ecs.describe_task_definition(taskDefinition="f")["taskDefinition"]["taskDefinitionArn"] == first
    assert ecs.describe_task_definition(taskDefinition=second)["taskDefinition"]["status"] == "INACTIVE"
    ecs.deregister_task_definition(taskDefinition=first)
    with pytest.raises(ClientError, match="Unable to describe task definition"):
        ecs.describe_task_definition(taskDefinition="f")
