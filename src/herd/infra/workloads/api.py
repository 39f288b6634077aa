"""An API: copies of a program that answer requests behind a load balancer."""

from typing import Any, ClassVar

import pulumi
from pulumi_aws.appautoscaling.policy import Policy as ScalingPolicy
from pulumi_aws.appautoscaling.target import Target as ScalingTarget
from pulumi_aws.ec2.security_group import SecurityGroup
from pulumi_aws.ecs.service import Service
from pulumi_aws.lb.target_group import TargetGroup

from herd.infra.hardware.load_balancers import LoadBalancer
from herd.infra.spec.models import ServiceSpec
from herd.infra.workloads.common import Platform, Workload
from herd.runner.contract.task import CONTAINER, STOP_SECONDS

CHECK_SECONDS, CHECK_TIMEOUT_SECONDS, UNHEALTHY_AFTER, HEALTHY_AFTER = 15, 5, 3, 2


class Api(Workload):
    """A folder of apis/: copies of a program answer at `<balancer>/<name>/`, with a domain at `<name>.<domain>`.

        api = Api(spec, platform, balancers.serving(spec), project)
        api.url, api.service.name, api.target_group.arn

    Beside what every workload has: TargetGroup, ListenerRule, with a domain a Record, ECS Service, and with
    `replicas.max > replicas.min` a scaling target and policy. A deployment whose tasks do not become healthy is rolled
    back by ECS itself. `pulumi up` does not wait for that: ECS reports a rollback as a success, so whoever deploys has
    to look at the result anyway.
    """

    TYPE: ClassVar[str] = "Api"
    STICKY_SECONDS: ClassVar[int | None] = None
    """How long the balancer sends a browser to the copy that it saw last; None: every request to any copy."""

    def __init__(
        self,
        spec: ServiceSpec,
        platform: Platform,
        balancer: LoadBalancer,
        parent: pulumi.Resource,
    ) -> None:
        super().__init__(self.TYPE, spec, platform, parent)
        self.spec = spec
        self.balancer = balancer
        self.url = balancer.url(spec)
        self.target_group = self._target_group(platform)
        rules = balancer.route(spec, self.target_group, self)
        # ECS refuses a target group that no listener knows. While the service drains its roles must still be there.
        roles = [*self.execution_role.ready, *self.task_role.ready]
        needed = [*rules, platform.cluster.capacity, *platform.network.way_out, *roles]
        self.service = self._service(platform, balancer.services_security_group, needed)
        if spec.replicas.max > spec.replicas.min:
            self._scaling()
        self.register_outputs({"url": self.url})

    def exports(self) -> dict[str, Any]:
        return super().exports() | {
            "kind": self.spec.kind,
            "url": self.url,
            "service": self.service.name,
            "health": self.spec.health,
            "start_seconds": self.spec.start_minutes * 60,
            "task_definition_arn": self.task_definition.arn,
            "review_by": self.spec.review_by.isoformat(),
        }

    def _target_group(self, platform: Platform) -> TargetGroup:
        spec = self.spec
        return TargetGroup(
            self.child("targets"),
            # Another port is another target group, made while the old one still serves: the name must differ.
            name=self.context.naming.target_group(f"{spec.name}-{spec.port}"),
            port=spec.port,
            protocol="HTTP",
            target_type="ip",
            vpc_id=platform.network.vpc_id,
            deregistration_delay=STOP_SECONDS,
            stickiness=(
                {"enabled": True, "type": "lb_cookie", "cookie_duration": self.STICKY_SECONDS}
                if self.STICKY_SECONDS
                else None
            ),
            health_check={
                "path": spec.health,
                "matcher": "200",
                "interval": CHECK_SECONDS,
                "timeout": CHECK_TIMEOUT_SECONDS,
                "healthy_threshold": HEALTHY_AFTER,
                "unhealthy_threshold": UNHEALTHY_AFTER,
            },
            tags=self.context.tags(spec),
            opts=self.options(),
        )

    def _service(self, platform: Platform, security_group: SecurityGroup, needed: list[pulumi.Resource]) -> Service:
        spec = self.spec
        place = platform.place(spec)
        scales = spec.replicas.max > spec.replicas.min
        return Service(
            self.child("service"),
            name=self.context.naming.service(spec.name),
            cluster=platform.cluster.cluster.arn,
            task_definition=self.task_definition.arn,
            desired_count=spec.replicas.min,
            capacity_provider_strategies=[{"capacity_provider": place.capacity_provider, "weight": 1}],
            network_configuration={
                "subnets": platform.network.task_subnet_ids,
                "security_groups": [security_group.id, *place.security_groups],
                "assign_public_ip": place.assign_public_ip,
            },
            load_balancers=[
                {
                    "target_group_arn": self.target_group.arn,
                    "container_name": CONTAINER,
                    "container_port": spec.port,
                }
            ],
            # Failing health checks of a new task are forgiven so long: packages are imported, a model is loaded.
            health_check_grace_period_seconds=spec.start_minutes * 60,
            deployment_minimum_healthy_percent=100,
            deployment_maximum_percent=200,
            deployment_circuit_breaker={"enable": True, "rollback": True},
            enable_ecs_managed_tags=True,
            propagate_tags="SERVICE",
            force_delete=True,
            wait_for_steady_state=False,
            tags=self.context.tags(spec),
            opts=self.options(depends_on=needed, ignore_changes=["desiredCount"] if scales else None),
        )

    def _scaling(self) -> None:
        spec, naming = self.spec, self.context.naming
        target = ScalingTarget(
            self.child("scaling"),
            service_namespace="ecs",
            scalable_dimension="ecs:service:DesiredCount",
            resource_id=pulumi.Output.concat(f"service/{naming.cluster}/", self.service.name),
            min_capacity=spec.replicas.min,
            max_capacity=spec.replicas.max,
            tags=self.context.tags(spec),
            opts=self.options(),
        )
        ScalingPolicy(
            self.child("scaling"),
            name=f"{naming.service(spec.name)}-cpu",
            policy_type="TargetTrackingScaling",
            service_namespace=target.service_namespace,
            scalable_dimension=target.scalable_dimension,
            resource_id=target.resource_id,
            target_tracking_scaling_policy_configuration={
                "predefined_metric_specification": {"predefined_metric_type": "ECSServiceAverageCPUUtilization"},
                "target_value": spec.replicas.target_cpu,
            },
            opts=self.options(),
        )
