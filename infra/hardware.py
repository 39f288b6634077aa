"""The hardware layer: the network, what tasks run on, and the load balancers. Costs stand at each component."""

from herd.infra.components import Cluster, Connections, LoadBalancers, Network, PlatformRoles, endpoint_services
from herd.project import Project


class Hardware:
    """What every workload of the environment shares. What no workload needs is not made."""

    def __init__(self, project: Project) -> None:
        context, workloads = project.context, project.workloads
        self.network = Network(
            context,
            project,
            cidr=project.adopted.vpc_cidr,
            faces_internet=project.faces_internet,
            services=endpoint_services(workloads),
            logs=context.flow_logs,
        )
        # The roles of Step Functions, of Scheduler and, with pools of VMs, of their machines.
        self.roles = PlatformRoles(context, project, (spec.hardware for spec in workloads))
        # Fargate, Fargate Spot, and the pools that a workload names.
        self.cluster = Cluster(context, project, workloads, self.network, self.roles.instances)
        # The way out to the databases that workloads name.
        self.connections = Connections(context, project, workloads, self.network)
        # One for the world and one for the network, each only if a service needs it.
        self.balancers = LoadBalancers(context, project, project.services, self.network)
