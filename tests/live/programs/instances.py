"""A cluster that could run on instances: launch template from the newest image, group, capacity provider."""

import json
import os

import pulumi
import pulumi_aws as aws

image = aws.ec2.get_ami(most_recent=True, owners=["amazon"], filters=[{"name": "name", "values": ["amzn2-ami-*"]}])
trust = {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}
role = aws.iam.Role("instance", assume_role_policy=json.dumps({"Version": "2012-10-17", "Statement": [trust]}))
profile = aws.iam.InstanceProfile("instance", role=role.name)
vpc = aws.ec2.Vpc("vpc", cidr_block="10.30.0.0/16")
subnet = aws.ec2.Subnet("subnet", vpc_id=vpc.id, cidr_block="10.30.0.0/24")
template = aws.ec2.LaunchTemplate(
    "instance", image_id=image.id, instance_type="t3.large" if os.environ.get("CHANGED") else "t3.medium",
    update_default_version=True, iam_instance_profile={"arn": profile.arn},
    metadata_options={"http_tokens": "required"}, tags={"team": "data"},
    tag_specifications=[{"resource_type": "instance", "tags": {"team": "data"}}],
)  # fmt: skip
group = aws.autoscaling.Group(
    "instances", min_size=0, max_size=4, desired_capacity=0, vpc_zone_identifiers=[subnet.id],
    launch_template={"id": template.id, "version": "$Latest"}, protect_from_scale_in=True,
    tags=[{"key": "AmazonECSManaged", "value": "true", "propagate_at_launch": True}],
)  # fmt: skip
provider = aws.ecs.CapacityProvider(
    "instances",
    auto_scaling_group_provider={
        "auto_scaling_group_arn": group.arn,
        "managed_termination_protection": "ENABLED",
        "managed_scaling": {"status": "ENABLED", "target_capacity": 100},
    },
)
cluster = aws.ecs.Cluster("cluster")
aws.ecs.ClusterCapacityProviders("cluster", cluster_name=cluster.name, capacity_providers=[provider.name])
aws.iam.User("operator", force_destroy=True)
aws.iam.Group("operators")
pulumi.export("template", template.id)
