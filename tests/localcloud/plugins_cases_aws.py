"""Types that the environment uses on AWS: what to declare, and what to change. Read by test_plugins_types."""

from __future__ import annotations

from typing import Any

from localcloud.plugins.values import Props
from tests.localcloud.plugins_cases import PASS, Case
from tests.localcloud.plugins_support import Made, World

READING = ["GET", "HEAD"]
CACHED = {
    "targetOriginId": "reports", "viewerProtocolPolicy": "redirect-to-https", "allowedMethods": READING,
    "cachedMethods": READING, "cachePolicyId": "658327ea-f89d-4fab-a63d-7e88639e58f6", "compress": True,
    "responseHeadersPolicyId": "67f7725c-6f97-4210-82d7-5512b31e9d03",
}  # fmt: skip


def access_control(w: World) -> str:
    return w.make(
        "aws:cloudfront/originAccessControl:OriginAccessControl",
        originAccessControlOriginType="s3", signingBehavior="always", signingProtocol="sigv4",
    ).id  # fmt: skip


def distribution(w: World) -> Props:
    bucket = w.make("aws:s3/bucket:Bucket", forceDestroy=True)
    origin = {
        "originId": "reports", "domainName": bucket.outputs["bucketRegionalDomainName"],
        "originAccessControlId": access_control(w), "customHeaders": [{"name": "x-a", "value": "1"}],
    }  # fmt: skip
    other = {
        "originId": "api", "domainName": "api.example",
        "customOriginConfig": {
            "httpPort": 80, "httpsPort": 443, "originProtocolPolicy": "https-only", "originSslProtocols": ["TLSv1.2"],
        },
    }  # fmt: skip
    return {
        "enabled": True, "comment": "reports", "defaultRootObject": "index.html", "httpVersion": "http2and3",
        "isIpv6Enabled": True, "priceClass": "PriceClass_100", "origins": [origin, other],
        "defaultCacheBehavior": CACHED,
        "orderedCacheBehaviors": [{**CACHED, "pathPattern": "/api/*", "targetOriginId": "api"}],
        "customErrorResponses": [{"errorCode": 403, "responseCode": 404, "responsePagePath": "/404.html"}],
        "restrictions": {"geoRestriction": {"restrictionType": "none"}},
        "viewerCertificate": {"cloudfrontDefaultCertificate": True}, "tags": {"a": "1"},
    }  # fmt: skip


def disable(w: World, made: Made) -> Any:
    """As somebody would at the console."""
    client = w.server.client("cloudfront")
    found = client.get_distribution_config(Id=made.id)
    config = {**found["DistributionConfig"], "Enabled": False}
    client.update_distribution(Id=made.id, IfMatch=found["ETag"], DistributionConfig=config)


def rename(w: World, made: Made) -> Any:
    client = w.server.client("cloudfront")
    found = client.get_origin_access_control(Id=made.id)
    config = {**found["OriginAccessControl"]["OriginAccessControlConfig"], "SigningBehavior": "never"}
    client.update_origin_access_control(Id=made.id, IfMatch=found["ETag"], OriginAccessControlConfig=config)


def certificate(w: World, domain: str) -> str:
    return w.make("aws:acm/certificate:Certificate", domainName=domain, validationMethod="DNS").id


def secured_listener(w: World) -> str:
    balancer, vpc = w.balancer()
    actions = [{"type": "forward", "targetGroupArn": w.target(vpc)}]
    return w.make(
        "aws:lb/listener:Listener", loadBalancerArn=balancer, port=443, protocol="HTTPS",
        certificateArn=certificate(w, "a.example"), defaultActions=actions,
    ).id  # fmt: skip


def version(w: World, name: str = "machine") -> str:
    role = w.role().outputs["arn"]
    made = w.make("aws:sfn/stateMachine:StateMachine", name=name, definition=PASS, roleArn=role, publish=True)
    return str(made.outputs["stateMachineVersionArn"])


def started_task(w: World) -> Props:
    rule = w.make("aws:cloudwatch/eventRule:EventRule", scheduleExpression="rate(1 day)").id
    return {
        "rule": rule, "arn": w.cluster().outputs["arn"], "roleArn": w.role().outputs["arn"],
        "ecsTarget": {
            "taskDefinitionArn": w.definition().outputs["arn"], "launchType": "FARGATE", "taskCount": 1,
            "networkConfiguration": {"subnets": ["subnet-1", "subnet-2"], "assignPublicIp": True},
            "enableEcsManagedTags": True, "propagateTags": "TASK_DEFINITION",
        },
    }  # fmt: skip


def interface_endpoint(w: World) -> Props:
    vpc = w.vpc()
    return {
        "vpcId": vpc, "vpcEndpointType": "Interface", "serviceName": "com.amazonaws.eu-west-1.ecr.api",
        "subnetIds": w.subnets(vpc), "securityGroupIds": [w.group(vpc)], "privateDnsEnabled": True, "tags": {"a": "1"},
    }  # fmt: skip


def machine_template(w: World) -> Props:
    """As a pool of machines for tasks has it."""
    profile = w.make("aws:iam/instanceProfile:InstanceProfile", role=w.role().id).outputs["arn"]
    return {
        "imageId": "resolve:ssm:/aws/service/ecs/optimized-ami/amazon-linux-2023/recommended/image_id",
        "instanceType": "m7i-flex.large", "updateDefaultVersion": True, "userData": "W10=",
        "iamInstanceProfile": {"arn": profile},
        "metadataOptions": {"httpEndpoint": "enabled", "httpTokens": "required", "httpPutResponseHopLimit": 1},
        "blockDeviceMappings": [
            {"deviceName": "/dev/xvda",
             "ebs": {"volumeType": "gp3", "volumeSize": 30, "encrypted": "true", "deleteOnTermination": "true"}}],
        "networkInterfaces": [
            {"deviceIndex": 0, "associatePublicIpAddress": "false", "securityGroups": [w.group(w.vpc())],
             "deleteOnTermination": "true"}],
        "tagSpecifications": [{"resourceType": "instance", "tags": {"a": "1"}}],
    }  # fmt: skip


def machine_group(w: World) -> Props:
    template = w.make("aws:ec2/launchTemplate:LaunchTemplate", imageId="ami-12c6146b", instanceType="t3.micro").id
    return {
        "minSize": 0, "maxSize": 4, "vpcZoneIdentifiers": w.subnets(w.vpc()), "protectFromScaleIn": True,
        "launchTemplate": {"id": template, "version": "$Default"}, "forceDelete": True,
        "tags": [{"key": "AmazonECSManaged", "value": "true", "propagateAtLaunch": True}],
    }  # fmt: skip


def machine_provider(w: World) -> Props:
    group = w.make("aws:autoscaling/group:Group", **machine_group(w)).outputs["arn"]
    return {
        "autoScalingGroupProvider": {
            "autoScalingGroupArn": group, "managedScaling": {"status": "ENABLED", "targetCapacity": 100},
            "managedTerminationProtection": "ENABLED", "managedDraining": "ENABLED",
        }
    }  # fmt: skip


def signing_in(w: World) -> Props:
    balancer, vpc = w.balancer()
    sign_in = {
        "issuer": "https://i.example", "authorizationEndpoint": "https://i.example/a", "clientId": "c",
        "tokenEndpoint": "https://i.example/t", "userInfoEndpoint": "https://i.example/u", "clientSecret": "s",
    }  # fmt: skip
    return {
        "loadBalancerArn": balancer, "port": 443, "protocol": "HTTPS", "certificateArn": certificate(w, "a.example"),
        "sslPolicy": "ELBSecurityPolicy-TLS13-1-2-2021-06",
        "defaultActions": [
            {"type": "authenticate-oidc", "order": 1, "authenticateOidc": sign_in},
            {"type": "forward", "order": 2, "targetGroupArn": w.target(vpc)}],
    }  # fmt: skip


AWS_CASES = [
    Case(
        "aws:ec2/vpcEndpoint:VpcEndpoint",
        interface_endpoint,
        {"privateDnsEnabled": False, "tags": {"b": "2"}},
        {"serviceName": "com.amazonaws.eu-west-1.logs"},
    ),
    Case(
        "aws:ec2/natGateway:NatGateway",
        lambda w: {"subnetId": w.subnets(w.vpc())[0], "connectivityType": "private"},
        {},
        {"connectivityType": "public", "allocationId": "eipalloc-1"},
    ),
    Case(
        "aws:ec2/launchTemplate:LaunchTemplate",
        machine_template,
        {"instanceType": "m7i-flex.xlarge"},
        {"name": "another"},
    ),
    Case("aws:autoscaling/group:Group", machine_group, {"maxSize": 6}, {"name": "another"}),
    Case(
        "aws:ecs/capacityProvider:CapacityProvider",
        machine_provider,
        {},
        {"name": "another"},
    ),
    Case("aws:lb/listener:Listener", signing_in, {"sslPolicy": "ELBSecurityPolicy-TLS13-1-3-2021-06"}, imported=None),
    Case(
        "aws:cloudfront/distribution:Distribution",
        distribution,
        {
            "comment": "other", "priceClass": "PriceClass_All", "defaultCacheBehavior": {**CACHED, "compress": False},
            "orderedCacheBehaviors": None, "tags": {"b": "2"},
        },
        same={"httpVersion": "http2and3", "waitForDeployment": True},
        drift=disable,
    ),
    Case(
        "aws:cloudfront/originAccessControl:OriginAccessControl",
        lambda w: {
            "originAccessControlOriginType": "s3", "signingBehavior": "always", "signingProtocol": "sigv4",
            "description": "d",
        },
        {"description": "e"},
        {"name": "another"},
        drift=rename,
    ),
    Case(
        "aws:s3/accountPublicAccessBlock:AccountPublicAccessBlock",
        lambda w: {"blockPublicPolicy": True, "restrictPublicBuckets": True},
        {"blockPublicPolicy": False, "ignorePublicAcls": True},
        {"accountId": "111111111111"},
        drift=lambda w, m: w.server.client("s3control").put_public_access_block(
            AccountId=m.id, PublicAccessBlockConfiguration={"BlockPublicPolicy": False}
        ),
    ),
    Case(
        "aws:sfn/alias:Alias",
        lambda w: {"routingConfigurations": [{"stateMachineVersionArn": version(w), "weight": 100}]},
        {"description": "e"},
        {"name": "another"},
        drift=lambda w, m: w.server.client("stepfunctions").update_state_machine_alias(
            stateMachineAliasArn=m.id, description="other"
        ),
    ),
    Case(
        "aws:lb/listenerCertificate:ListenerCertificate",
        lambda w: {"listenerArn": secured_listener(w), "certificateArn": certificate(w, "b.example")},
        {},
        {"certificateArn": "arn:aws:acm:eu-west-1:1:certificate/x"},
    ),
    Case(
        "aws:cloudwatch/eventTarget:EventTarget",
        started_task,
        {"input": "{}"},
        {"rule": "another"},
        imported=lambda m: f"{m.outputs['rule']}/{m.outputs['targetId']}",
    ),
]  # fmt: skip
