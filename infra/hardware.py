"""What tasks run on: the cluster and its kinds of capacity."""

import pulumi
from pulumi_aws.ecs.cluster import Cluster as EcsCluster
from pulumi_aws.ecs.cluster_capacity_providers import ClusterCapacityProviders

from infra.context import Component, Context


class Cluster(Component):
    """Where tasks are placed: Fargate, or Fargate Spot at about 30 % of its price. Costs nothing itself."""

    def __init__(self, context: Context, parent: pulumi.Resource) -> None:
        super().__init__("Cluster", "cluster", parent)
        self.cluster = EcsCluster(
            self.child("ecs"),
            name=context.naming.cluster,
            # Container Insights is charged by metric; the records say what dev needs to know.
            settings=[{"name": "containerInsights", "value": "disabled"}],
            tags=context.tags(),
            opts=self.options(),
        )
        self.capacity = ClusterCapacityProviders(
            self.child("capacity"),
            cluster_name=self.cluster.name,
            capacity_providers=["FARGATE", "FARGATE_SPOT"],
            default_capacity_provider_strategies=[{"capacity_provider": "FARGATE", "weight": 1}],
            opts=self.options(),
        )
        self.register_outputs({})
