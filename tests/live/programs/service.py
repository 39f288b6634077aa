"""A Fargate service behind a load balancer, written as Pulumi's examples write it."""

import json
import os

import pulumi
import pulumi_aws as aws
import pulumi_docker as docker

who = "someone else" if os.environ.get("CHANGED") else "world"
vpc = aws.ec2.Vpc("vpc", cidr_block="10.0.0.0/16", enable_dns_hostnames=True)
gateway = aws.ec2.InternetGateway("gateway", vpc_id=vpc.id)
table = aws.ec2.RouteTable("table", vpc_id=vpc.id, routes=[{"cidr_block": "0.0.0.0/0", "gateway_id": gateway.id}])
zones = aws.get_availability_zones(state="available").names[:2]
subnets = []
for number, zone in enumerate(zones):
    subnet = aws.ec2.Subnet(f"subnet{number}", vpc_id=vpc.id, cidr_block=f"10.0.{number}.0/24", availability_zone=zone)
    aws.ec2.RouteTableAssociation(f"way{number}", subnet_id=subnet.id, route_table_id=table.id)
    subnets.append(subnet.id)
group = aws.ec2.SecurityGroup(
    "web", vpc_id=vpc.id, description="HTTP",
    ingress=[{"protocol": "tcp", "from_port": 80, "to_port": 80, "cidr_blocks": ["0.0.0.0/0"]}],
    egress=[{"protocol": "-1", "from_port": 0, "to_port": 0, "cidr_blocks": ["0.0.0.0/0"]}],
)  # fmt: skip
balancer = aws.lb.LoadBalancer("web", security_groups=[group.id], subnets=subnets)
target = aws.lb.TargetGroup("app", port=80, protocol="HTTP", target_type="ip", vpc_id=vpc.id)
listener = aws.lb.Listener(
    "web", load_balancer_arn=balancer.arn, port=80,
    default_actions=[{"type": "forward", "target_group_arn": target.arn}],
)  # fmt: skip
repository = aws.ecr.Repository("app", force_delete=True)
token = aws.ecr.get_authorization_token_output()
image = docker.Image(
    "app", image_name=pulumi.Output.concat(repository.repository_url, ":v1"),
    build={"context": "service_app", "platform": "linux/amd64"},
    registry={"server": repository.repository_url, "username": token.user_name, "password": token.password},
)  # fmt: skip
trust = {"Effect": "Allow", "Principal": {"Service": "ecs-tasks.amazonaws.com"}, "Action": "sts:AssumeRole"}
role = aws.iam.Role("task", assume_role_policy=json.dumps({"Version": "2012-10-17", "Statement": [trust]}))
execution = "arn:aws:iam::aws:policy/service-role/AmazonECSTaskExecutionRolePolicy"
aws.iam.RolePolicyAttachment("task", role=role.name, policy_arn=execution)
cluster = aws.ecs.Cluster("cluster")
task = aws.ecs.TaskDefinition(
    "app", family="app", cpu="256", memory="512", network_mode="awsvpc", requires_compatibilities=["FARGATE"],
    execution_role_arn=role.arn,
    container_definitions=image.repo_digest.apply(
        lambda name: json.dumps(
            [
                {
                    "name": "app", "image": name, "portMappings": [{"containerPort": 80}],
                    "environment": [{"name": "WHO", "value": who}],
                }
            ]
        )
    ),
)  # fmt: skip
aws.ecs.Service(
    "app", cluster=cluster.arn, desired_count=1, launch_type="FARGATE", task_definition=task.arn,
    network_configuration={"assign_public_ip": True, "subnets": subnets, "security_groups": [group.id]},
    load_balancers=[{"target_group_arn": target.arn, "container_name": "app", "container_port": 80}],
    opts=pulumi.ResourceOptions(depends_on=[listener]),
)  # fmt: skip
pulumi.export("url", pulumi.Output.concat("http://", balancer.dns_name))
