"""What tasks run on: the cluster and its kinds of capacity.

| hardware | costs |
| --- | --- |
| fargate | by vCPU and GB while a task runs |
| fargate-spot | a good part less (`herd.infra.prices`); AWS may stop a task with two minutes' notice |
| vm, a pool | its machines by the hour while they are there; with `min = 0` none while nothing runs |
"""

import base64
from collections.abc import Iterable, Iterator

import pulumi
from pulumi_aws.autoscaling.group import Group as AutoScalingGroup
from pulumi_aws.cloudwatch.log_group import LogGroup
from pulumi_aws.ec2.launch_template import LaunchTemplate
from pulumi_aws.ecs.capacity_provider import CapacityProvider
from pulumi_aws.ecs.cluster import Cluster as EcsCluster
from pulumi_aws.ecs.cluster_capacity_providers import ClusterCapacityProviders
from pulumi_aws.iam.instance_profile import InstanceProfile

from herd.infra.capacity import PROVIDERS
from herd.infra.context import Component, Context
from herd.infra.hardware.network import Network
from herd.infra.offer import Offer
from herd.infra.permissions.workload import Granted
from herd.infra.settings.schema import Settings
from herd.infra.settings.tables import Pool
from herd.infra.spec.load import Specs, WorkloadSpec

IMAGE = "resolve:ssm:/aws/service/ecs/optimized-ami/amazon-linux-2023/{kind}recommended/image_id"
"""EC2 looks the parameter up whenever it starts a machine, so a new one has the newest image and no update of the
environment is needed for it. Source: "Retrieving Amazon ECS-optimized Linux AMI metadata", ECS developer guide.
"""

SYSTEM_GB = 30
"""Disk that the image itself wants, its own snapshot's size; what tasks ask for comes on top."""


class Cluster(Component):
    """Where tasks are placed: Fargate and Fargate Spot, which cost nothing themselves, and the pools that are used.

        cluster = Cluster(project.context, project, project.workloads, network, roles.instances)
        cluster.cluster.arn, cluster.pools["vm"].provider

    `instances`: the role of the pools' machines; None makes no pools.
    """

    def __init__(
        self,
        context: Context,
        parent: pulumi.Resource,
        workloads: Iterable[WorkloadSpec],
        network: Network,
        instances: Granted | None,
    ) -> None:
        super().__init__("Cluster", "cluster", parent)
        insights = self._insights_log(context) if context.settings.container_insights else []
        self.cluster = EcsCluster(
            self.child("ecs"),
            name=context.naming.cluster,
            # Container Insights is charged by metric; the records say what dev needs to know.
            settings=[
                {
                    "name": "containerInsights",
                    "value": "enhanced" if context.settings.container_insights else "disabled",
                }
            ],
            tags=context.tags(),
            opts=self.options(depends_on=insights),
        )
        self.pools = self._pools(context, list(workloads), network, instances)
        self.capacity = ClusterCapacityProviders(
            self.child("capacity"),
            cluster_name=self.cluster.name,
            capacity_providers=[
                *PROVIDERS,
                *(pool.provider.name for pool in self.pools.values()),
            ],
            default_capacity_provider_strategies=[{"capacity_provider": "FARGATE", "weight": 1}],
            opts=self.options(),
        )
        self.register_outputs({})

    def _insights_log(self, context: Context) -> list[pulumi.Resource]:
        """ECS would make it itself, without an end to what it keeps and without a key, and leave it behind."""
        return [
            LogGroup(
                self.child("insights"),
                name=context.naming.insights_log_group,
                retention_in_days=context.settings.log_retention_days,
                kms_key_id=context.key_arn,
                tags=context.tags(),
                opts=self.options(),
            )
        ]

    def _pools(
        self, context: Context, workloads: list[WorkloadSpec], network: Network, instances: Granted | None
    ) -> dict[str, "MachinePool"]:
        used = context.offer.used(spec.hardware for spec in workloads)
        if not used or instances is None:
            return {}
        profile = InstanceProfile(
            self.child("instances"),
            name=context.naming.environment_role("instances"),
            path=context.role_path,
            role=instances.role.name,
            tags=context.tags(),
            opts=self.options(depends_on=instances.ready),
        )
        disks = {name: max(spec.disk_gb for spec in workloads if spec.hardware == name) for name in used}
        return {
            name: MachinePool(name, pool, SYSTEM_GB + disks[name], profile, network, context, self)
            for name, pool in used.items()
        }


class MachinePool(Component):
    """Machines of one type that come with tasks and go without: LaunchTemplate, Auto Scaling group, CapacityProvider.

    ECS starts machines for tasks that wait, and drains one before it ends it. A machine has no way in; what runs on it
    cannot reach its metadata (IMDSv2, one hop, and the agent blocks it), so tasks have the rights of their roles only.
    Its disk is encrypted with AWS's own key: for another one Auto Scaling would need a grant.
    """

    def __init__(
        self,
        name: str,
        pool: Pool,
        disk_gb: int,
        profile: InstanceProfile,
        network: Network,
        context: Context,
        parent: pulumi.Resource,
    ) -> None:
        super().__init__("MachinePool", f"pool-{name}", parent)
        self.context = context
        self.named = context.naming.pool(name)
        template = self._template(pool, disk_gb, profile, network)
        self.group = self._group(pool, template, network)
        self.provider = CapacityProvider(
            self.child("provider"),
            name=self.named,
            auto_scaling_group_provider={
                "auto_scaling_group_arn": self.group.arn,
                "managed_scaling": {"status": "ENABLED", "target_capacity": 100},
                "managed_termination_protection": "ENABLED",
                "managed_draining": "ENABLED",
            },
            tags=context.tags(),
            opts=self.options(),
        )
        self.register_outputs({})

    def _template(self, pool: Pool, disk_gb: int, profile: InstanceProfile, network: Network) -> LaunchTemplate:
        tags = self.context.tags(Name=self.named)
        return LaunchTemplate(
            self.child("template"),
            name=self.named,
            image_id=IMAGE.format(kind="gpu/" if pool.gpu else "arm64/" if pool.arm64 else ""),
            instance_type=pool.instance_type,
            iam_instance_profile={"arn": profile.arn},
            metadata_options={
                "http_endpoint": "enabled",
                "http_tokens": "required",
                "http_put_response_hop_limit": 1,
            },
            block_device_mappings=[
                {
                    "device_name": "/dev/xvda",
                    "ebs": {
                        "volume_type": "gp3",
                        "volume_size": disk_gb,
                        "encrypted": "true",
                        "delete_on_termination": "true",
                    },
                }
            ],
            network_interfaces=[
                {
                    "device_index": 0,
                    "associate_public_ip_address": "false",
                    "security_groups": [network.tasks_security_group.id],
                    "delete_on_termination": "true",
                }
            ],
            user_data=base64.b64encode(agent_settings(self.context, pool).encode()).decode(),
            update_default_version=True,
            tag_specifications=[{"resource_type": kind, "tags": tags} for kind in ("instance", "volume")],
            tags=self.context.tags(),
            opts=self.options(),
        )

    def _group(self, pool: Pool, template: LaunchTemplate, network: Network) -> AutoScalingGroup:
        tags = {**self.context.tags(Name=self.named), "AmazonECSManaged": "true"}
        return AutoScalingGroup(
            self.child("group"),
            name=self.named,
            min_size=pool.min,
            max_size=pool.max,
            vpc_zone_identifiers=network.task_subnet_ids,
            launch_template={"id": template.id, "version": "$Default"},
            # How many there are is ECS's to say, and it ends one only when no task runs on it.
            protect_from_scale_in=True,
            force_delete=True,
            tags=[{"key": key, "value": value, "propagate_at_launch": True} for key, value in sorted(tags.items())],
            opts=self.options(ignore_changes=["desiredCapacity"]),
        )


def unreachable(specs: Specs, settings: Settings) -> Iterator[str]:
    """A line for each workload that would wait for ever: machines have no address of their own, nor have tasks on them,
    so the network needs another way out.
    """
    offer = Offer.of(settings)
    for spec in specs.workloads.values():
        if settings.network == "public" and offer.pool(spec.hardware):
            yield (
                f'{(spec.folder / "workload.toml").as_posix()}: hardware = "{spec.hardware}" does not go with the '
                f"network `public` of {settings.environment}, which only has a way out for Fargate; "
                f"set herd:network to nat or endpoints in Pulumi.{settings.environment}.yaml"
            )


def agent_settings(context: Context, pool: Pool) -> str:
    """What a machine runs when it starts. Source: "Amazon ECS container agent configuration", ECS developer guide."""
    settings = {
        "ECS_CLUSTER": context.naming.cluster,
        "ECS_AWSVPC_BLOCK_IMDS": "true",
        "ECS_ENABLE_TASK_IAM_ROLE": "true",
        "ECS_CONTAINER_STOP_TIMEOUT": "30s",
        **({"ECS_ENABLE_GPU_SUPPORT": "true"} if pool.gpu else {}),
    }
    lines = [f"{name}={value}" for name, value in settings.items()]
    return "\n".join(["#!/bin/bash", "cat >> /etc/ecs/ecs.config <<'END'", *lines, "END", ""])
