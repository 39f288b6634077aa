"""A VPC of three tiers over two zones: public, private with NAT, and data that reaches only endpoints."""

import os

import pulumi
import pulumi_aws as aws

region = aws.get_region().region
zones = aws.get_availability_zones(state="available").names[:2]
vpc = aws.ec2.Vpc("main", cidr_block="10.20.0.0/16", enable_dns_hostnames=True, tags={"Name": "main"})
gateway = aws.ec2.InternetGateway("main", vpc_id=vpc.id)
public_table = aws.ec2.RouteTable("public", vpc_id=vpc.id)
aws.ec2.Route("out", route_table_id=public_table.id, destination_cidr_block="0.0.0.0/0", gateway_id=gateway.id)
tiers: dict[str, list[aws.ec2.Subnet]] = {"public": [], "private": [], "data": []}
for tier, base in (("public", 0), ("private", 10), ("data", 20)):
    for number, zone in enumerate(zones):
        subnet = aws.ec2.Subnet(
            f"{tier}-{number}", vpc_id=vpc.id, cidr_block=f"10.20.{base + number}.0/24", availability_zone=zone,
            map_public_ip_on_launch=tier == "public", tags={"tier": tier},
        )  # fmt: skip
        tiers[tier].append(subnet)
for number, subnet in enumerate(tiers["public"]):
    aws.ec2.RouteTableAssociation(f"public-{number}", subnet_id=subnet.id, route_table_id=public_table.id)
address = aws.ec2.Eip("nat", domain="vpc")
nat = aws.ec2.NatGateway("nat", subnet_id=tiers["public"][0].id, allocation_id=address.id, tags={"Name": "nat"})
private_table = aws.ec2.RouteTable("private", vpc_id=vpc.id)
aws.ec2.Route("via-nat", route_table_id=private_table.id, destination_cidr_block="0.0.0.0/0", nat_gateway_id=nat.id)
for number, subnet in enumerate(tiers["private"]):
    aws.ec2.RouteTableAssociation(f"private-{number}", subnet_id=subnet.id, route_table_id=private_table.id)
data_table = aws.ec2.RouteTable("data", vpc_id=vpc.id)
for number, subnet in enumerate(tiers["data"]):
    aws.ec2.RouteTableAssociation(f"data-{number}", subnet_id=subnet.id, route_table_id=data_table.id)
web = aws.ec2.SecurityGroup("web", vpc_id=vpc.id, description="web")
database = aws.ec2.SecurityGroup("database", vpc_id=vpc.id, description="database")
aws.ec2.SecurityGroupRule(
    "https", type="ingress", security_group_id=web.id, protocol="tcp", from_port=443, to_port=443,
    cidr_blocks=["0.0.0.0/0"],
)  # fmt: skip
aws.ec2.SecurityGroupRule(
    "postgres", type="ingress", security_group_id=database.id, protocol="tcp", from_port=5432, to_port=5432,
    source_security_group_id=web.id,
)  # fmt: skip
aws.vpc.SecurityGroupEgressRule("anywhere", security_group_id=web.id, ip_protocol="-1", cidr_ipv4="0.0.0.0/0")
aws.ec2.NetworkAcl(
    "data", vpc_id=vpc.id, subnet_ids=[subnet.id for subnet in tiers["data"]],
    ingress=[{"rule_no": 100, "action": "allow", "protocol": "tcp", "cidr_block": "10.20.0.0/16",
              "from_port": 5433 if os.environ.get("CHANGED") else 5432, "to_port": 5432 + 1}],
    egress=[{"rule_no": 100, "action": "allow", "protocol": "-1", "cidr_block": "0.0.0.0/0", "from_port": 0,
             "to_port": 0}],
)  # fmt: skip
aws.ec2.VpcEndpoint(
    "s3", vpc_id=vpc.id, service_name=f"com.amazonaws.{region}.s3", route_table_ids=[data_table.id, private_table.id]
)
aws.ec2.VpcEndpoint(
    "logs", vpc_id=vpc.id, service_name=f"com.amazonaws.{region}.logs", vpc_endpoint_type="Interface",
    subnet_ids=[subnet.id for subnet in tiers["data"]], security_group_ids=[web.id], private_dns_enabled=True,
)  # fmt: skip
traffic = aws.cloudwatch.LogGroup("traffic", retention_in_days=7)
trust = aws.iam.get_policy_document(
    statements=[
        {
            "principals": [{"type": "Service", "identifiers": ["vpc-flow-logs.amazonaws.com"]}],
            "actions": ["sts:AssumeRole"],
        }
    ]
)
writer = aws.iam.Role("traffic", assume_role_policy=trust.json)
aws.ec2.FlowLog("traffic", vpc_id=vpc.id, traffic_type="ALL", log_destination=traffic.arn, iam_role_arn=writer.arn)
found = aws.ec2.get_subnets_output(
    filters=[{"name": "vpc-id", "values": [vpc.id]}], tags={"tier": "data"},
    opts=pulumi.InvokeOutputOptions(depends_on=list(tiers["data"])),
)  # fmt: skip
pulumi.export("data_subnets", found.ids.apply(len))
pulumi.export("nat_address", nat.public_ip)
