"""Load balancers: one for the world, one for the environment's own network, each made only if a service needs it.

A balancer costs about 16 USD a month, so services share it. Without a domain of their own they are told apart by path:
`/delay-api/predict` reaches the service delay-api as `/predict`.
"""

import hashlib
from collections.abc import Iterable, Mapping
from typing import Literal

import pulumi
from pulumi_aws.ec2.security_group import SecurityGroup
from pulumi_aws.lb.listener import Listener
from pulumi_aws.lb.listener_rule import ListenerRule
from pulumi_aws.lb.load_balancer import LoadBalancer as AwsLoadBalancer
from pulumi_aws.lb.target_group import TargetGroup
from pulumi_aws.vpc.security_group_egress_rule import SecurityGroupEgressRule
from pulumi_aws.vpc.security_group_ingress_rule import SecurityGroupIngressRule

from infra.context import Component, Context
from infra.hardware import WORLD, Network
from infra.spec import ApiSpec

Access = Literal["internal", "public"]
HTTP = 80
PRIORITIES = 50_000
"""A listener's rules have priorities from 1 to this."""


class LoadBalancer(Component):
    """One balancer: SecurityGroup with its rules, LoadBalancer, Listener on port 80. `route` adds a service.

    `public` is open to the world, `internal` to the VPC. Either may call the services' ports and nothing else.
    """

    def __init__(
        self,
        access: Access,
        services: Iterable[ApiSpec],
        services_security_group: SecurityGroup,
        network: Network,
        context: Context,
        parent: pulumi.Resource,
    ) -> None:
        super().__init__("LoadBalancer", f"{access}-balancer", parent)
        self.context = context
        served = [service for service in services if service.access == access]
        self._priorities = rule_priorities(service.name for service in served)
        security_group = network.security_group(f"{access}-balancer", f"the {access} load balancer")
        self._rules(access, security_group, services_security_group, {service.port for service in served})
        self.balancer = AwsLoadBalancer(
            self.child("alb"),
            name=context.naming.load_balancer(access),
            load_balancer_type="application",
            internal=access == "internal",
            security_groups=[security_group.id],
            subnets=network.subnet_ids,
            drop_invalid_header_fields=True,
            desync_mitigation_mode="strictest",
            enable_deletion_protection=False,
            tags=context.tags(),
            opts=self.options(),
        )
        self.listener = Listener(
            self.child("http"),
            load_balancer_arn=self.balancer.arn,
            port=HTTP,
            protocol="HTTP",
            default_actions=[
                {
                    "type": "fixed-response",
                    "fixed_response": {
                        "content_type": "text/plain",
                        "message_body": "There is no service at this path.",
                        "status_code": "404",
                    },
                }
            ],
            tags=context.tags(),
            opts=self.options(),
        )
        self.register_outputs({})

    def url(self, service: ApiSpec) -> pulumi.Output[str]:
        """Where people call `service`. Plain HTTP: a certificate needs a domain."""
        return pulumi.Output.concat("http://", self.balancer.dns_name, f"/{service.name}/")

    def route(self, service: ApiSpec, target_group: TargetGroup, parent: Component) -> ListenerRule:
        """Sends `/<name>` and everything below it to `target_group`, without the `/<name>`."""
        return ListenerRule(
            parent.child("rule"),
            listener_arn=self.listener.arn,
            priority=self._priorities[service.name],
            conditions=[{"path_pattern": {"values": [f"/{service.name}", f"/{service.name}/*"]}}],
            transforms=[
                {
                    "type": "url-rewrite",
                    "url_rewrite_config": {"rewrite": {"regex": f"^/{service.name}/?(.*)$", "replace": "/$1"}},
                }
            ],
            actions=[{"type": "forward", "target_group_arn": target_group.arn}],
            tags=self.context.tags(service),
            opts=parent.options(),
        )

    def _rules(self, access: Access, own: SecurityGroup, services: SecurityGroup, ports: set[int]) -> None:
        SecurityGroupIngressRule(
            self.child("in"),
            security_group_id=own.id,
            description="callers: the world" if access == "public" else "callers: this network",
            cidr_ipv4=WORLD if access == "public" else self.context.settings.vpc_cidr,
            ip_protocol="tcp",
            from_port=HTTP,
            to_port=HTTP,
            tags=self.context.tags(),
            opts=self.options(),
        )
        for port in sorted(ports):
            SecurityGroupEgressRule(
                self.child(f"to-{port}"),
                security_group_id=own.id,
                description=f"to services on port {port}",
                referenced_security_group_id=services.id,
                ip_protocol="tcp",
                from_port=port,
                to_port=port,
                tags=self.context.tags(),
                opts=self.options(),
            )
            SecurityGroupIngressRule(
                self.child(f"from-{port}"),
                security_group_id=services.id,
                description=f"from the {access} load balancer to port {port}",
                referenced_security_group_id=own.id,
                ip_protocol="tcp",
                from_port=port,
                to_port=port,
                tags=self.context.tags(),
                opts=self.options(),
            )


def rule_priorities(names: Iterable[str]) -> Mapping[str, int]:
    """A place for each service's rule that (almost) never moves when another service comes or goes.

    Two rules cannot have one priority, not even for a moment, so counting up would make every new name a shuffle.
    Which of them is looked at first does not matter: their paths exclude each other.
    """
    taken: dict[int, str] = {}
    for name in sorted(names):
        priority = int(hashlib.sha256(name.encode()).hexdigest(), 16) % PRIORITIES
        while priority in taken:
            priority = (priority + 1) % PRIORITIES
        taken[priority] = name
    return {name: priority + 1 for priority, name in taken.items()}
