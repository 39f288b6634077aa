"""What AWS refuses and neither botocore's models nor moto do: one table of calls, and what is still in use."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from localcloud import rules
from localcloud.request import models
from localcloud.server import Server

ROLE = "arn:aws:iam::123456789012:role/r"


def policy(**statement: Any) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


TRUST = policy(Effect="Allow", Principal={"Service": "ecs-tasks.amazonaws.com"}, Action="sts:AssumeRole")
READ = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::b/*"}
EVERYBODY = {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::BUCKET/*"}
WINDOW = {"Mode": "OFF"}
TARGET = {"Arn": "arn:aws:sqs:eu-west-1:1:q", "RoleArn": ROLE}
ANSWER = [{"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "404"}}]
SIGN_IN = {
    "Type": "authenticate-oidc", "Order": 1,
    "AuthenticateOidcConfig": {
        "Issuer": "https://i.example", "AuthorizationEndpoint": "https://i.example/a", "ClientId": "c",
        "TokenEndpoint": "https://i.example/t", "UserInfoEndpoint": "https://i.example/u", "ClientSecret": "canary",
    },
}  # fmt: skip


def waiting(name: str, other: str, condition: str = "START") -> dict[str, Any]:
    """A container that depends on another one."""
    return {"name": name, "image": "i", "dependsOn": [{"containerName": other, "condition": condition}]}


def code_of(action: Callable[[], Any]) -> str:
    with pytest.raises(ClientError) as caught:
        action()
    return str(caught.value.response["Error"]["Code"])


# --- policy documents ------------------------------------------------------------------------------------------------

DOCUMENTS: dict[str, tuple[str, str]] = {
    "no JSON": ("{", "MalformedPolicyDocument"),
    "nothing": ("{}", "MalformedPolicyDocument"),
    "an old version": (json.dumps({"Version": "2020-01-01", "Statement": [READ]}), "MalformedPolicyDocument"),
    "an unknown key": (json.dumps({"Statement": [READ], "Comment": "x"}), "MalformedPolicyDocument"),
    "an unknown key in a statement": (policy(**READ, Comment="x"), "MalformedPolicyDocument"),
    "no effect": (policy(Action="s3:Get*", Resource="*"), "MalformedPolicyDocument"),
    "another effect": (policy(**{**READ, "Effect": "Permit"}), "MalformedPolicyDocument"),
    "an action of no service": (policy(**{**READ, "Action": "GetObject"}), "MalformedPolicyDocument"),
    "an action with a space": (policy(**{**READ, "Action": "s3:Get Object"}), "MalformedPolicyDocument"),
    "both actions": (policy(**READ, NotAction="s3:*"), "MalformedPolicyDocument"),
    "no action": (policy(Effect="Allow", Resource="*"), "MalformedPolicyDocument"),
    "no resource": (policy(Effect="Allow", Action="s3:*"), "MalformedPolicyDocument"),
    "a resource that is no ARN": (policy(**{**READ, "Resource": "bucket/*"}), "MalformedPolicyDocument"),
    "a short ARN": (policy(**{**READ, "Resource": "arn:aws:s3"}), "MalformedPolicyDocument"),
    "a principal": (policy(**READ, Principal="*"), "MalformedPolicyDocument"),
    "an unknown operator": (
        policy(**READ, Condition={"StringIs": {"aws:SourceIp": "x"}}), "MalformedPolicyDocument",
    ),
    "a condition key of no service": (
        policy(**READ, Condition={"StringEquals": {"SourceIp": "x"}}), "MalformedPolicyDocument",
    ),
    "one name twice": (
        json.dumps({"Statement": [{**READ, "Sid": "a"}, {**READ, "Sid": "a"}]}), "MalformedPolicyDocument",
    ),
    "a name with a hyphen": (policy(**READ, Sid="a-b"), "MalformedPolicyDocument"),
    "6,145 characters": (
        policy(**{**READ, "Resource": [f"arn:aws:s3:::{'b' * 90}{n}/*" for n in range(58)]}), "LimitExceeded",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", DOCUMENTS)
def test_documents_that_iam_refuses(server: Server, case: str) -> None:
    text, code = DOCUMENTS[case]
    iam = server.client("iam")
    assert code_of(lambda: iam.create_policy(PolicyName="p", PolicyDocument=text)) == code
    assert iam.list_policies(Scope="Local")["Policies"] == []


TRUSTS: dict[str, str] = {
    "a resource": policy(Effect="Allow", Principal="*", Action="sts:AssumeRole", Resource="*"),
    "nobody": policy(Effect="Allow", Action="sts:AssumeRole"),
    "a service that is none": policy(Effect="Allow", Principal={"Service": "ecs"}, Action="sts:AssumeRole"),
    "a principal that is none": policy(Effect="Allow", Principal={"AWS": "me"}, Action="sts:AssumeRole"),
    "an unknown kind": policy(Effect="Allow", Principal={"Person": "me"}, Action="sts:AssumeRole"),
}


@pytest.mark.parametrize("case", TRUSTS)
def test_trust_policies_that_iam_refuses(server: Server, case: str) -> None:
    create = server.client("iam").create_role
    refused = code_of(lambda: create(RoleName="r", AssumeRolePolicyDocument=TRUSTS[case]))
    assert refused == "MalformedPolicyDocument"


def test_roles_have_room_for_so_much_and_no_more(server: Server) -> None:
    iam = server.client("iam")
    iam.create_role(RoleName="r", AssumeRolePolicyDocument=TRUST)
    large = policy(**{**READ, "Resource": [f"arn:aws:s3:::{'b' * 90}{n}/*" for n in range(55)]})
    iam.put_role_policy(RoleName="r", PolicyName="one", PolicyDocument=large)
    iam.put_role_policy(RoleName="r", PolicyName="one", PolicyDocument=large)  # in its own place it counts once
    put = iam.put_role_policy
    assert code_of(lambda: put(RoleName="r", PolicyName="two", PolicyDocument=large)) == "LimitExceeded"
    services = [f"{name}.amazonaws.com" for name in ("ecs-tasks", "states", "scheduler")] * 40
    wide = policy(Effect="Allow", Principal={"Service": services}, Action="sts:AssumeRole")
    assert code_of(lambda: iam.create_role(RoleName="s", AssumeRolePolicyDocument=wide)) == "LimitExceeded"
    attach, document = iam.attach_role_policy, policy(**READ)
    arns = [iam.create_policy(PolicyName=f"p{n}", PolicyDocument=document)["Policy"]["Arn"] for n in range(11)]
    for arn in arns[:10]:
        attach(RoleName="r", PolicyArn=arn)
    assert code_of(lambda: attach(RoleName="r", PolicyArn=arns[10])) == "LimitExceeded"


@pytest.mark.parametrize(
    "statement",
    [
        {**EVERYBODY, "Action": "sqs:SendMessage"},
        {**EVERYBODY, "Resource": "arn:aws:s3:::another/*"},
        {**EVERYBODY, "Principal": None},
        {key: value for key, value in EVERYBODY.items() if key != "Resource"},
    ],
    ids=["another service", "another bucket", "nobody", "no resource"],
)
def test_bucket_policies_speak_of_their_bucket(server: Server, statement: dict[str, Any]) -> None:
    bucket = open_bucket(server)
    text = policy(**statement).replace("BUCKET", bucket)
    assert code_of(lambda: server.client("s3").put_bucket_policy(Bucket=bucket, Policy=text)) == "MalformedPolicy"


@pytest.mark.parametrize(
    ("service", "operation", "arguments", "code"),
    [
        ("sqs", "create_queue", {"QueueName": "q", "Attributes": {"Policy": "{}"}}, "InvalidAttributeValue"),
        ("sns", "create_topic", {"Name": "t", "Attributes": {"Policy": "{}"}}, "InvalidParameter"),
        ("kms", "create_key", {"Policy": "{}"}, "MalformedPolicyDocumentException"),
    ],
)
def test_other_services_refuse_them_in_their_own_words(
    server: Server, service: str, operation: str, arguments: dict[str, Any], code: str
) -> None:
    assert code_of(lambda: getattr(server.client(service), operation)(**arguments)) == code


# --- public access ---------------------------------------------------------------------------------------------------


def open_bucket(server: Server) -> str:
    """A bucket that blocks nothing."""
    s3, name = server.client("s3"), f"open-{server.account}"
    s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    s3.delete_public_access_block(Bucket=name)
    return name


PUBLIC: dict[str, tuple[dict[str, Any], bool]] = {
    "everybody": ({}, True),
    "over TLS": ({"Bool": {"aws:SecureTransport": "true"}}, True),
    "with a user agent": ({"StringLike": {"aws:UserAgent": "x"}}, True),
    "from one address": ({"IpAddress": {"aws:SourceIp": "192.0.2.1/32"}}, False),
    "from anywhere": ({"IpAddress": {"aws:SourceIp": "0.0.0.0/0"}}, True),
    "of one organisation": ({"StringEquals": {"aws:PrincipalOrgID": "o-1"}}, False),
    "of any organisation": ({"StringLike": {"aws:PrincipalOrgID": "o-*"}}, True),
    "for one distribution": ({"ArnLike": {"aws:SourceArn": "arn:aws:cloudfront::123456789012:distribution/*"}}, False),
    "not from one address": ({"NotIpAddress": {"aws:SourceIp": "192.0.2.1/32"}}, True),
}


@pytest.mark.parametrize("case", PUBLIC)
@pytest.mark.parametrize("who", ["bucket", "account"])
def test_public_policies_are_refused_where_they_are_blocked(server: Server, case: str, who: str) -> None:
    condition, public = PUBLIC[case]
    s3, bucket, block = server.client("s3"), open_bucket(server), {"BlockPublicPolicy": True}
    text = policy(**EVERYBODY, **({"Condition": condition} if condition else {})).replace("BUCKET", bucket)
    s3.put_bucket_policy(Bucket=bucket, Policy=text)
    if who == "bucket":
        s3.put_public_access_block(Bucket=bucket, PublicAccessBlockConfiguration=block)
    else:
        control = server.client("s3control")
        control.put_public_access_block(AccountId=server.account, PublicAccessBlockConfiguration=block)
    if public:
        assert code_of(lambda: s3.put_bucket_policy(Bucket=bucket, Policy=text)) == "AccessDenied"
    else:
        s3.put_bucket_policy(Bucket=bucket, Policy=text)


def test_public_acls_are_refused_where_they_are_blocked(server: Server) -> None:
    s3, bucket = server.client("s3"), open_bucket(server)
    s3.put_public_access_block(Bucket=bucket, PublicAccessBlockConfiguration={"BlockPublicAcls": True})
    assert code_of(lambda: s3.put_bucket_acl(Bucket=bucket, ACL="public-read")) == "AccessDenied"


# --- schedules, logs, tasks ------------------------------------------------------------------------------------------

VALUES: dict[str, tuple[str, str, dict[str, Any], str]] = {
    f"schedule {expression}": (
        "scheduler", "create_schedule",
        {"Name": "s", "ScheduleExpression": expression, "FlexibleTimeWindow": WINDOW, "Target": TARGET},
        "ValidationException",
    )
    for expression in (
        "cron(99 99 ? * * *)", "cron(0 6 * * *)", "cron(0 6 * * * *)", "cron(0 6 ? * 8 *)", "cron(0 6 32 * ? *)",
        "cron(0 6 ? 13 * *)", "cron(0 6 ? * 2#6 *)", "rate(0 minutes)", "rate(5 seconds)", "rate(hour)", "at(tomorrow)",
        "every day",
    )
} | {
    f"rule {expression}": ("events", "put_rule", {"Name": "r", "ScheduleExpression": expression}, "ValidationException")
    for expression in ("at(2027-01-01T00:00:00)", "rate(1 minutes)", "rate(5 minute)", "cron(0 6 * * *)")
} | {
    "zone": (
        "scheduler", "create_schedule",
        {"Name": "s", "ScheduleExpression": "rate(1 hour)", "ScheduleExpressionTimezone": "Mars/Olympus",
         "FlexibleTimeWindow": WINDOW, "Target": TARGET}, "ValidationException",
    ),
    "window without length": (
        "scheduler", "create_schedule",
        {"Name": "s", "ScheduleExpression": "rate(1 hour)", "FlexibleTimeWindow": {"Mode": "FLEXIBLE"},
         "Target": TARGET}, "ValidationException",
    ),
    "end before the beginning": (
        "scheduler", "create_schedule",
        {"Name": "s", "ScheduleExpression": "rate(1 hour)", "FlexibleTimeWindow": WINDOW, "Target": TARGET,
         "StartDate": 1_900_000_000, "EndDate": 1_800_000_000}, "ValidationException",
    ),
    "retention": (
        "logs", "put_retention_policy", {"logGroupName": "g", "retentionInDays": 15}, "InvalidParameterException",
    ),
    "long overrides": (
        "ecs", "run_task",
        {"taskDefinition": "t", "overrides": {"containerOverrides": [{"name": "m", "command": ["x" * 8192]}]}},
        "InvalidParameterException",
    ),
    "an apostrophe in a group's description": (
        "ec2", "create_security_group", {"GroupName": "g", "Description": "AWS's own"}, "InvalidParameterValue",
    ),
    "a group called as if it were an id": (
        "ec2", "create_security_group", {"GroupName": "sg-dev", "Description": "d"}, "InvalidParameterValue",
    ),
    "an apostrophe in a rule's description": (
        "ec2", "authorize_security_group_egress",
        {"GroupId": "sg-12345678", "IpPermissions": [
            {"IpProtocol": "tcp", "FromPort": 1, "ToPort": 1,
             "IpRanges": [{"CidrIp": "10.0.0.0/8", "Description": "AWS's own"}]}]},
        "InvalidParameterValue",
    ),
    "waits for a container that is not there": (
        "ecs", "register_task_definition", {"family": "f", "containerDefinitions": [waiting("main", "other")]},
        "ClientException",
    ),
    "containers that wait for one another": (
        "ecs", "register_task_definition",
        {"family": "f", "containerDefinitions": [waiting("main", "b"), waiting("b", "main")]}, "ClientException",
    ),
    "waits for the end of an essential container": (
        "ecs", "register_task_definition",
        {"family": "f", "containerDefinitions": [waiting("main", "b", "SUCCESS"), {"name": "b", "image": "i"}]},
        "ClientException",
    ),
    "waits for the health of what has no check": (
        "ecs", "register_task_definition",
        {"family": "f", "containerDefinitions": [waiting("main", "b", "HEALTHY"), {"name": "b", "image": "i"}]},
        "ClientException",
    ),
    "no essential container": (
        "ecs", "register_task_definition",
        {"family": "f", "containerDefinitions": [{"name": "m", "image": "i", "essential": False}]}, "ClientException",
    ),
    "GPU on Fargate": (
        "ecs", "register_task_definition",
        {"family": "f", "networkMode": "awsvpc", "cpu": "256", "memory": "512", "requiresCompatibilities": ["FARGATE"],
         "containerDefinitions": [
             {"name": "m", "image": "i", "resourceRequirements": [{"type": "GPU", "value": "1"}]}]},
        "ClientException",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", VALUES)
def test_values_that_aws_does_not_take(server: Server, case: str) -> None:
    service, operation, arguments, code = VALUES[case]
    assert code_of(lambda: getattr(server.client(service), operation)(**arguments)) == code


# --- load balancers --------------------------------------------------------------------------------------------------


class Network:
    """A VPC with two subnets, a group, and what is put into it."""

    def __init__(self, server: Server):
        self.server, self.ec2, self.elb = server, server.client("ec2"), server.client("elbv2")
        self.vpc = self.ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
        self.subnets = [
            self.ec2.create_subnet(VpcId=self.vpc, CidrBlock=f"10.0.{n}.0/24", AvailabilityZone=f"eu-west-1{zone}")[
                "Subnet"
            ]["SubnetId"]
            for n, zone in enumerate("ab")
        ]
        self.group = self.ec2.create_security_group(GroupName="g", Description="d", VpcId=self.vpc)["GroupId"]

    def balancer(self) -> str:
        made = self.elb.create_load_balancer(Name="b", Subnets=self.subnets, SecurityGroups=[self.group])
        return str(made["LoadBalancers"][0]["LoadBalancerArn"])

    def target_group(self, name: str = "t") -> str:
        made = self.elb.create_target_group(Name=name, Protocol="HTTP", Port=80, VpcId=self.vpc, TargetType="ip")
        return str(made["TargetGroups"][0]["TargetGroupArn"])

    def listener(self, balancer: str, **more: Any) -> str:
        told = {"Protocol": "HTTP", "Port": 80, "DefaultActions": ANSWER, **more}
        return str(self.elb.create_listener(LoadBalancerArn=balancer, **told)["Listeners"][0]["ListenerArn"])


@pytest.fixture
def network(server: Server) -> Network:
    return Network(server)


def test_load_balancers_have_limits(network: Network) -> None:
    elb, balancer = network.elb, network.balancer()
    two_of_one_zone = [network.subnets[0], network.subnets[0]]
    assert code_of(lambda: elb.create_load_balancer(Name="c", Subnets=two_of_one_zone)) == "ValidationError"
    listener, arn = network.listener(balancer), network.target_group()
    path = [{"Field": "path-pattern", "Values": ["/a"]}]

    def rule(priority: int, conditions: Any = path, actions: Any = ANSWER) -> Any:
        return elb.create_rule(ListenerArn=listener, Priority=priority, Conditions=conditions, Actions=actions)

    rule(1)
    assert code_of(lambda: rule(1)) == "PriorityInUse"
    assert code_of(lambda: rule(50_001)) == "ValidationError"
    six = [{"Field": "path-pattern", "PathPatternConfig": {"Values": [f"/{n}" for n in range(6)]}}]
    assert code_of(lambda: rule(2, six)) == "ValidationError"
    many = [{"Type": "forward", "ForwardConfig": {"TargetGroups": [{"TargetGroupArn": arn, "Weight": 1}] * 6}}]
    assert code_of(lambda: rule(2, path, many)) == "TooManyTargets"
    assert code_of(lambda: rule(2, path, [SIGN_IN, {**ANSWER[0], "Order": 2}])) == "InvalidLoadBalancerAction"
    for priority in range(2, 101):
        rule(priority)
    assert code_of(lambda: rule(101)) == "TooManyRules"
    targets = [{"Id": f"10.0.{n // 250}.{n % 250 + 1}", "Port": 80} for n in range(1001)]
    assert code_of(lambda: elb.register_targets(TargetGroupArn=arn, Targets=targets)) == "TooManyTargets"


def test_encryption_needs_a_certificate_that_exists_and_keeps_its_secrets(network: Network) -> None:
    balancer = network.balancer()
    absent = [{"CertificateArn": "arn:aws:acm:eu-west-1:1:certificate/x"}]
    secure = {"Protocol": "HTTPS", "Port": 443}
    assert code_of(lambda: network.listener(balancer, **secure)) == "ValidationError"
    assert code_of(lambda: network.listener(balancer, **secure, Certificates=absent)) == "CertificateNotFound"
    assert code_of(lambda: network.listener(balancer, Certificates=absent)) == "InvalidConfigurationRequest"
    made = network.server.client("acm").request_certificate(DomainName="a.example")["CertificateArn"]
    shown = [{"CertificateArn": made}]
    unknown = {"SslPolicy": "ELBSecurityPolicy-None", "Certificates": shown}
    assert code_of(lambda: network.listener(balancer, **secure, **unknown)) == "SSLPolicyNotFound"
    actions = [SIGN_IN, {**ANSWER[0], "Order": 2}]
    assert code_of(lambda: network.listener(balancer, **secure, Certificates=shown, DefaultActions=[SIGN_IN])) == (
        "InvalidLoadBalancerAction"
    )
    listener = network.listener(balancer, **secure, Certificates=shown, DefaultActions=actions)
    found = network.elb.describe_listeners(ListenerArns=[listener])["Listeners"][0]["DefaultActions"][0]
    assert found["AuthenticateOidcConfig"]["ClientId"] == "c" and "ClientSecret" not in found["AuthenticateOidcConfig"]
    acm = network.server.client("acm")
    assert code_of(lambda: acm.delete_certificate(CertificateArn=made)) == "ResourceInUseException"
    network.elb.delete_listener(ListenerArn=listener)
    acm.delete_certificate(CertificateArn=made)


# --- what is in use --------------------------------------------------------------------------------------------------


def test_what_has_a_load_balancer_or_targets_stays(network: Network) -> None:
    elb, ec2, balancer, target = network.elb, network.ec2, network.balancer(), network.target_group()
    listener = network.listener(balancer, DefaultActions=[{"Type": "forward", "TargetGroupArn": target}])
    assert code_of(lambda: elb.delete_target_group(TargetGroupArn=target)) == "ResourceInUse"
    assert code_of(lambda: ec2.delete_security_group(GroupId=network.group)) == "DependencyViolation"
    assert code_of(lambda: ec2.delete_subnet(SubnetId=network.subnets[0])) == "DependencyViolation"
    protected = [{"Key": "deletion_protection.enabled", "Value": "true"}]
    elb.modify_load_balancer_attributes(LoadBalancerArn=balancer, Attributes=protected)
    assert code_of(lambda: elb.delete_load_balancer(LoadBalancerArn=balancer)) == "OperationNotPermitted"
    protected[0]["Value"] = "false"
    elb.modify_load_balancer_attributes(LoadBalancerArn=balancer, Attributes=protected)
    elb.delete_listener(ListenerArn=listener)
    elb.delete_load_balancer(LoadBalancerArn=balancer)
    elb.delete_target_group(TargetGroupArn=target)
    ec2.delete_security_group(GroupId=network.group)


def test_networks_go_from_the_inside_out(network: Network) -> None:
    ec2 = network.ec2
    other = ec2.create_security_group(GroupName="h", Description="d", VpcId=network.vpc)["GroupId"]
    pair = {"GroupId": network.group}
    ec2.authorize_security_group_ingress(
        GroupId=other, IpPermissions=[{"IpProtocol": "tcp", "FromPort": 1, "ToPort": 1, "UserIdGroupPairs": [pair]}]
    )
    assert code_of(lambda: ec2.delete_security_group(GroupId=network.group)) == "DependencyViolation"
    gateway = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=network.vpc)
    address = ec2.allocate_address(Domain="vpc")["AllocationId"]
    made = ec2.create_nat_gateway(SubnetId=network.subnets[0], AllocationId=address)["NatGateway"]["NatGatewayId"]
    detach = ec2.detach_internet_gateway
    assert code_of(lambda: detach(InternetGatewayId=gateway, VpcId=network.vpc)) == "DependencyViolation"
    assert code_of(lambda: ec2.delete_internet_gateway(InternetGatewayId=gateway)) == "DependencyViolation"
    assert code_of(lambda: ec2.release_address(AllocationId=address)) == "InvalidIPAddress.InUse"
    assert code_of(lambda: ec2.delete_subnet(SubnetId=network.subnets[0])) == "DependencyViolation"
    ec2.delete_nat_gateway(NatGatewayId=made)
    ec2.release_address(AllocationId=address)
    service = {"VpcEndpointType": "Interface", "ServiceName": "com.amazonaws.eu-west-1.ecr.api"}
    endpoint = ec2.create_vpc_endpoint(
        VpcId=network.vpc, SubnetIds=network.subnets, SecurityGroupIds=[other], **service
    )["VpcEndpoint"]["VpcEndpointId"]
    assert code_of(lambda: ec2.delete_subnet(SubnetId=network.subnets[1])) == "DependencyViolation"
    ec2.delete_vpc_endpoints(VpcEndpointIds=[endpoint])
    for subnet in network.subnets:
        ec2.delete_subnet(SubnetId=subnet)
    assert code_of(lambda: ec2.delete_vpc(VpcId=network.vpc)) == "DependencyViolation"
    detach(InternetGatewayId=gateway, VpcId=network.vpc)
    ec2.delete_internet_gateway(InternetGatewayId=gateway)
    for group in (other, network.group):
        ec2.delete_security_group(GroupId=group)
    ec2.delete_vpc(VpcId=network.vpc)


def test_policies_go_after_those_who_have_them(server: Server) -> None:
    iam, document = server.client("iam"), policy(**READ)
    attached, bound, spare = (
        iam.create_policy(PolicyName=name, PolicyDocument=document)["Policy"]["Arn"] for name in "abc"
    )
    iam.create_role(RoleName="r", AssumeRolePolicyDocument=TRUST, PermissionsBoundary=bound)
    iam.attach_role_policy(RoleName="r", PolicyArn=attached)
    iam.create_policy_version(PolicyArn=spare, PolicyDocument=document)
    for arn in (attached, bound, spare):
        assert code_of(lambda arn=arn: iam.delete_policy(PolicyArn=arn)) == "DeleteConflict"  # type: ignore[misc]
    assert code_of(lambda: iam.delete_role(RoleName="r")) == "DeleteConflict"
    iam.create_instance_profile(InstanceProfileName="i")
    iam.add_role_to_instance_profile(InstanceProfileName="i", RoleName="r")
    iam.detach_role_policy(RoleName="r", PolicyArn=attached)
    assert code_of(lambda: iam.delete_role(RoleName="r")) == "DeleteConflict"
    iam.remove_role_from_instance_profile(InstanceProfileName="i", RoleName="r")
    iam.delete_role(RoleName="r")
    for arn in (attached, bound):
        iam.delete_policy(PolicyArn=arn)


def test_distributions_are_disabled_first_and_keep_their_access_control(server: Server) -> None:
    client = server.client("cloudfront")
    control = client.create_origin_access_control(
        OriginAccessControlConfig={
            "Name": "c", "SigningProtocol": "sigv4", "SigningBehavior": "always", "OriginAccessControlOriginType": "s3"}
    )  # fmt: skip
    number = control["OriginAccessControl"]["Id"]
    methods = {"Quantity": 2, "Items": ["GET", "HEAD"]}
    origin = {
        "Id": "o", "DomainName": "b.s3.eu-west-1.localhost", "OriginAccessControlId": number,
        "S3OriginConfig": {"OriginAccessIdentity": ""},
    }  # fmt: skip
    config = {
        "CallerReference": "x", "Comment": "", "Enabled": True, "Origins": {"Quantity": 1, "Items": [origin]},
        "DefaultCacheBehavior": {
            "TargetOriginId": "o", "ViewerProtocolPolicy": "https-only", "CachePolicyId": "p",
            "AllowedMethods": {**methods, "CachedMethods": methods}},
    }  # fmt: skip
    made = client.create_distribution(DistributionConfig=config)
    distribution, etag = made["Distribution"]["Id"], made["ETag"]
    delete = client.delete_distribution
    assert code_of(lambda: delete(Id=distribution, IfMatch=etag)) == "DistributionNotDisabled"
    drop = client.delete_origin_access_control
    assert code_of(lambda: drop(Id=number, IfMatch=control["ETag"])) == "OriginAccessControlInUse"
    client.update_distribution(Id=distribution, IfMatch=etag, DistributionConfig={**config, "Enabled": False})
    delete(Id=distribution, IfMatch=etag)
    drop(Id=number, IfMatch=control["ETag"])


def test_every_rule_is_about_an_operation_that_exists() -> None:
    keys = {*rules.RULES, *rules.AFTERWARDS, *rules.policies.DOCUMENTS, *rules.policies.ATTRIBUTES}
    for service, operation in keys:
        known = models.model(service)
        assert known is not None and operation in known.operation_names, f"{service} has no {operation}"
