"""Each type of the network and of load balancing: what to declare, and what to change. Read by test_plugins_types."""

from __future__ import annotations

from typing import Any

from localcloud.plugins.values import Props
from tests.localcloud.plugins_cases import Case
from tests.localcloud.plugins_support import World


def rule(**more: Any) -> Props:
    return {"protocol": "tcp", "fromPort": 443, "toPort": 443, "cidrBlocks": ["10.0.0.0/8"], **more}


def forward(arn: str) -> list[Props]:
    return [{"type": "forward", "targetGroupArn": arn}]


def listener_rule(world: World) -> Props:
    listener, target = world.listener()
    return {
        "listenerArn": listener,
        "priority": 10,
        "actions": forward(target),
        "conditions": [{"pathPattern": {"values": ["/api", "/api/*"]}}],
        "transforms": [
            {"type": "url-rewrite", "urlRewriteConfig": {"rewrite": {"regex": "^/api/?(.*)$", "replace": "/$1"}}}
        ],
        "tags": {"a": "1"},
    }


NETWORK_CASES = [
    Case(
        "aws:ec2/vpc:Vpc",
        lambda w: {"cidrBlock": "10.1.0.0/16", "enableDnsHostnames": True, "tags": {"a": "1"}},
        {"enableDnsHostnames": False, "tags": {"b": "2"}},
        {"cidrBlock": "10.2.0.0/16"},
        drift=lambda w, m: w.server.client("ec2").modify_vpc_attribute(VpcId=m.id, EnableDnsHostnames={"Value": False}),
    ),
    Case(
        "aws:ec2/internetGateway:InternetGateway",
        lambda w: {"vpcId": w.vpc(), "tags": {"a": "1"}},
        {"tags": {"a": "2"}},
    ),
    Case(
        "aws:ec2/subnet:Subnet",
        lambda w: {"vpcId": w.vpc(), "cidrBlock": "10.0.9.0/24", "availabilityZone": "eu-west-1a"},
        {"mapPublicIpOnLaunch": True, "tags": {"a": "1"}},
        {"availabilityZone": "eu-west-1b"},
    ),
    Case("aws:ec2/routeTable:RouteTable", lambda w: {"vpcId": w.vpc()}, {"tags": {"a": "1"}}),
    Case(
        "aws:ec2/route:Route",
        lambda w: {
            "routeTableId": w.make("aws:ec2/routeTable:RouteTable", vpcId=w.vpc()).id,
            "destinationCidrBlock": "0.0.0.0/0",
            "gatewayId": w.make("aws:ec2/internetGateway:InternetGateway", vpcId=w.vpc()).id,
        },
    ),
    Case(
        "aws:ec2/routeTableAssociation:RouteTableAssociation",
        lambda w: (
            vpc := w.vpc(),
            {"routeTableId": w.make("aws:ec2/routeTable:RouteTable", vpcId=vpc).id, "subnetId": w.subnets(vpc)[0]},
        )[1],
    ),
    Case(
        "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup",
        lambda w: {"vpcId": w.vpc()},
        {"tags": {"a": "1"}},
        drift=lambda w, m: w.server.client("ec2").authorize_security_group_ingress(
            GroupId=m.id,
            IpPermissions=[{"IpProtocol": "tcp", "FromPort": 1, "ToPort": 1, "IpRanges": [{"CidrIp": "10.0.0.0/8"}]}],
        ),
        stays=True,
    ),
    Case(
        "aws:ec2/securityGroup:SecurityGroup",
        lambda w: {"vpcId": w.vpc(), "ingress": [rule()], "egress": [rule(description="out")], "tags": {"a": "1"}},
        {"ingress": [rule(fromPort=80, toPort=80), rule()]},
        {"description": "other"},
    ),
    Case(
        "aws:ec2/vpcEndpoint:VpcEndpoint",
        lambda w: (
            vpc := w.vpc(),
            {
                "vpcId": vpc,
                "serviceName": "com.amazonaws.eu-west-1.s3",
                "routeTableIds": [w.make("aws:ec2/routeTable:RouteTable", vpcId=vpc).id],
                "tags": {"a": "1"},
            },
        )[1],
        {"tags": {"a": "2"}},
    ),
    Case(
        "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule",
        lambda w: {
            "securityGroupId": w.group(w.vpc()),
            "ipProtocol": "tcp",
            "fromPort": 80,
            "toPort": 80,
            "cidrIpv4": "0.0.0.0/0",
            "description": "web",
            "tags": {"a": "1"},
        },
        {"fromPort": 81, "toPort": 81},
    ),
    Case(
        "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule",
        lambda w: (
            vpc := w.vpc(),
            {
                "securityGroupId": w.group(vpc),
                "ipProtocol": "tcp",
                "fromPort": 80,
                "toPort": 90,
                "referencedSecurityGroupId": w.group(vpc),
            },
        )[1],
        {"tags": {"a": "1"}},
    ),
    Case(
        "aws:lb/loadBalancer:LoadBalancer",
        lambda w: (
            vpc := w.vpc(),
            {
                "internal": False,
                "subnets": w.subnets(vpc),
                "securityGroups": [w.group(vpc)],
                "idleTimeout": 120,
                "dropInvalidHeaderFields": True,
                "tags": {"a": "1"},
            },
        )[1],
        {"idleTimeout": 4000, "tags": {"b": "2"}},
        {"internal": True},
        drift=lambda w, m: w.server.client("elbv2").modify_load_balancer_attributes(
            LoadBalancerArn=m.id, Attributes=[{"Key": "idle_timeout.timeout_seconds", "Value": "9"}]
        ),
    ),
    Case(
        "aws:lb/targetGroup:TargetGroup",
        lambda w: {
            "port": 8000,
            "protocol": "HTTP",
            "vpcId": w.vpc(),
            "targetType": "ip",
            "deregistrationDelay": 30,
            "healthCheck": {
                "path": "/health",
                "matcher": "200",
                "interval": 15,
                "timeout": 5,
                "healthyThreshold": 2,
                "unhealthyThreshold": 3,
            },
            "stickiness": {"type": "lb_cookie", "enabled": True, "cookieDuration": 3600},
        },
        {
            "deregistrationDelay": 5,
            "healthCheck": {"path": "/ready", "matcher": "200-299", "interval": 15, "timeout": 5},
            "tags": {"a": "1"},
        },
        {"port": 9000},
    ),
    Case(
        "aws:lb/listener:Listener",
        lambda w: (
            pair := w.balancer(),
            {
                "loadBalancerArn": pair[0],
                "port": 80,
                "protocol": "HTTP",
                "defaultActions": [
                    {
                        "type": "fixed-response",
                        "fixedResponse": {"contentType": "text/plain", "messageBody": "no", "statusCode": "404"},
                    }
                ],
            },
        )[1],
        {"port": 81, "tags": {"a": "1"}},
    ),
    Case(
        "aws:lb/listenerRule:ListenerRule",
        listener_rule,
        {
            "priority": 11,
            "transforms": None,
            "conditions": [{"hostHeader": {"values": ["a.example.com"]}}, {"pathPattern": {"values": ["/x/*"]}}],
        },
        {},
        same={"conditions": [{"pathPattern": {"values": ["/api/*", "/api"]}}]},
    ),
]
