"""Load balancers: one for the world, one for the environment's own network, each made only if a service needs it.

A balancer costs by the hour (`herd.infra.prices`), so services share it. Without a domain they are told apart by path:
`/delay-api/predict` reaches the service delay-api as `/predict`. With a domain each has a name of its own,
`delay-api.<domain>`, and HTTPS; port 80 then only redirects.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
from pulumi_aws.ec2.security_group import SecurityGroup
from pulumi_aws.lb.listener import Listener
from pulumi_aws.lb.listener_rule import ListenerRule
from pulumi_aws.lb.load_balancer import LoadBalancer as AwsLoadBalancer
from pulumi_aws.lb.target_group import TargetGroup
from pulumi_aws.vpc.security_group_egress_rule import SecurityGroupEgressRule
from pulumi_aws.vpc.security_group_ingress_rule import SecurityGroupIngressRule

from herd.infra.context import Component, Context
from herd.infra.hardware.access import FACING, Facing
from herd.infra.hardware.certificates import Domain
from herd.infra.hardware.network import WORLD, Network
from herd.infra.settings.schema import Settings
from herd.infra.spec.load import ServiceSpec

HTTP, HTTPS = 80, 443
TLS_POLICY = "ELBSecurityPolicy-TLS13-1-2-2021-06"
"""TLS 1.3 and 1.2 (Security Hub ELB.17)."""

PRIORITIES = 50_000
"""A listener's rules have priorities from 1 to this."""

CONDITION_VALUES = 5
"""A rule's conditions name five values at most (Application Load Balancer quotas)."""

IDLE_SECONDS = 60
"""After so long without a byte the balancer closes a connection, that to a service as well; AWS's own default."""

KEEP_ALIVE_SECONDS = IDLE_SECONDS + 15
"""How long services are to keep idle connections. Who closes first risks that a request is just on its way: 502
("HTTP 502: Bad gateway", Troubleshoot your Application Load Balancers)."""

SESSION_SECONDS = 12 * 60 * 60
"""A working day: who has left the company is out by the next. AWS's own default is a week."""


@dataclass(frozen=True)
class Shared:
    """What both balancers of an environment are made from."""

    network: Network
    services_security_group: SecurityGroup
    domain: Domain | None


class LoadBalancer(Component):
    """One balancer: SecurityGroup with its rules, LoadBalancer, Listener (two with a domain). `route` adds a service.

    `public` faces the internet and serves what is for the company or for everybody, `internal` is open to the network.
    Either may call the services' ports and, where people sign in, the provider; nothing else.
    """

    def __init__(
        self, facing: Facing, services: Iterable[ServiceSpec], shared: Shared, context: Context, parent: pulumi.Resource
    ) -> None:
        super().__init__("LoadBalancer", f"{facing}-balancer", parent)
        self.context = context
        self.facing = facing
        self.services_security_group = shared.services_security_group
        self._domain = shared.domain
        served = [service for service in services if FACING[service.access] == facing]
        self._priorities = rule_priorities(
            key for service in served for key, _ in enumerate_rules(service, context.settings)
        )
        security_group = shared.network.security_group(f"{facing}-balancer", f"the {facing} load balancer")
        self._let_in(served, security_group, shared.network)
        self._let_out(served, security_group, shared)
        self.balancer = self._balancer(security_group, shared)
        self.listener = self._listeners()
        self.register_outputs({})

    def url(self, service: ServiceSpec) -> pulumi.Output[str]:
        """Where people call `service`."""
        settings = self.context.settings
        if not settings.has_tls:
            return pulumi.Output.concat("http://", self.balancer.dns_name, f"{base_path(service, settings)}/")
        # A cloud whose ports are not the usual ones says so in the balancer's own address.
        port = self.balancer.dns_name.apply(lambda name: "".join(name.partition(":")[1:]))
        return pulumi.Output.concat(f"{settings.scheme}://{host(service, settings)}", port, "/")

    def route(self, service: ServiceSpec, target_group: TargetGroup, parent: Component) -> list[pulumi.Resource]:
        """Sends what is for `service` to `target_group`; without a domain the `/<name>` is taken off."""
        settings = self.context.settings
        without_name: Any = {"rewrite": {"regex": f"^/{service.name}/?(.*)$", "replace": "/$1"}}
        if self._domain is not None:
            self._domain.alias(host(service, settings), self.balancer.dns_name, self.balancer.zone_id, parent)
        return [
            ListenerRule(
                parent.child(key.replace(service.name, "rule", 1)),
                listener_arn=self.listener.arn,
                priority=self._priorities[key],
                conditions=conditions,
                transforms=None if settings.has_tls else [{"type": "url-rewrite", "url_rewrite_config": without_name}],
                actions=actions(service, settings, target_group.arn),
                tags=self.context.tags(service),
                opts=parent.options(),
            )
            for key, conditions in enumerate_rules(service, settings)
        ]

    def _balancer(self, security_group: SecurityGroup, shared: Shared) -> AwsLoadBalancer:
        naming, settings, logs = self.context.naming, self.context.settings, self.context.access_logs
        way_in = shared.network.way_in if self.facing == "public" else []
        return AwsLoadBalancer(
            self.child("alb"),
            name=naming.load_balancer(self.facing),
            load_balancer_type="application",
            internal=self.facing == "internal",
            security_groups=[security_group.id],
            subnets=shared.network.balancer_subnet_ids(self.facing),
            idle_timeout=IDLE_SECONDS,
            drop_invalid_header_fields=True,
            desync_mitigation_mode="strictest",
            enable_deletion_protection=settings.protect,
            # The prefix is the environment's: several may share a log bucket.
            access_logs=(
                {"bucket": logs.name, "prefix": f"{logs.prefix}elb/{self.facing}", "enabled": True} if logs else None
            ),
            tags=self.context.tags(),
            opts=self.options(depends_on=[*(logs.ready if logs else ()), *way_in]),
        )

    def _listeners(self) -> Listener:
        """The one that rules are added to."""
        nothing = {
            "content_type": "text/plain",
            "message_body": "There is no service at this path.",
            "status_code": "404",
        }
        missing = [{"type": "fixed-response", "fixed_response": nothing}]
        if self._domain is None:
            return self._listener("http", HTTP, missing)
        redirect = {"port": str(HTTPS), "protocol": "HTTPS", "status_code": "HTTP_301"}
        self._listener("http", HTTP, [{"type": "redirect", "redirect": redirect}])
        return self._listener("https", HTTPS, missing, self._domain.certificate_arn)

    def _listener(
        self, name: str, port: int, default: list[Any], certificate_arn: pulumi.Input[str] | None = None
    ) -> Listener:
        return Listener(
            self.child(name),
            load_balancer_arn=self.balancer.arn,
            port=port,
            protocol="HTTPS" if certificate_arn else "HTTP",
            certificate_arn=certificate_arn,
            ssl_policy=TLS_POLICY if certificate_arn else None,
            default_actions=default,
            tags=self.context.tags(),
            opts=self.options(),
        )

    def _let_in(self, services: Sequence[ServiceSpec], own: SecurityGroup, network: Network) -> None:
        settings = self.context.settings
        callers = {"network": network.cidr} if self.facing == "internal" else outside_callers(services, settings)
        for who, cidr in callers.items():
            for port in (HTTP, HTTPS) if settings.has_tls else (HTTP,):
                SecurityGroupIngressRule(
                    self.child(f"in-{who}-{port}"),
                    security_group_id=own.id,
                    description=f"callers: {who}" + (", to be redirected" if settings.has_tls and port == HTTP else ""),
                    cidr_ipv4=cidr,
                    ip_protocol="tcp",
                    from_port=port,
                    to_port=port,
                    tags=self.context.tags(),
                    opts=self.options(),
                )

    def _let_out(self, served: Sequence[ServiceSpec], own: SecurityGroup, shared: Shared) -> None:
        services = shared.services_security_group
        for port in sorted({service.port for service in served}):
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
                description=f"from the {self.facing} load balancer to port {port}",
                referenced_security_group_id=own.id,
                ip_protocol="tcp",
                from_port=port,
                to_port=port,
                tags=self.context.tags(),
                opts=self.options(),
            )
        if any(signs_in(service, self.context.settings) for service in served):
            shared.network.let_out(self, "to-provider", own, "to the provider that people sign in at")


class LoadBalancers:
    """The balancers that `services` need, none to two, with what they share: the security group of the tasks behind
    them and, with the setting `domain`, a Domain.

        balancers = LoadBalancers(project.context, project, project.services, network)
        balancers.serving(project.services[0]).balancer.dns_name
    """

    def __init__(
        self, context: Context, parent: pulumi.Resource, services: Sequence[ServiceSpec], network: Network
    ) -> None:
        self._by_facing: dict[Facing, LoadBalancer] = {}
        if services:
            shared = Shared(
                network=network,
                services_security_group=network.service_security_group(),
                domain=Domain(context, parent) if context.settings.has_tls else None,
            )
            self._by_facing = {
                facing: LoadBalancer(facing, services, shared, context, parent)
                for facing in sorted({FACING[service.access] for service in services})
            }

    def serving(self, service: ServiceSpec) -> LoadBalancer:
        """The one that `service`, which must be one of `services`, is reached by."""
        return self._by_facing[FACING[service.access]]


# --- what a service's rules say ------------------------------------------------------------------------------------


def host(service: ServiceSpec, settings: Settings) -> str:
    """The name of a service below the environment's domain."""
    return f"{service.name}.{settings.domain}"


def base_path(service: ServiceSpec, settings: Settings) -> str:
    """Where a service is mounted: below its name, or with a domain at the root of a host of its own."""
    return "" if settings.has_tls else f"/{service.name}"


def signs_in(service: ServiceSpec, settings: Settings) -> bool:
    """Whether the load balancer asks people who they are before they reach `service`."""
    return service.access == "company" and settings.sign_in is not None


def outside_callers(services: Iterable[ServiceSpec], settings: Settings) -> dict[str, str]:
    """Who may knock at the balancer that faces the internet: name -> addresses. The world, unless every service behind
    it is for the company's own addresses.
    """
    if any(service.access == "public" for service in services) or not settings.company_cidrs:
        return {"world": WORLD}
    return {f"company-{number}": cidr for number, cidr in enumerate(settings.company_cidrs, start=1)}


def enumerate_rules(service: ServiceSpec, settings: Settings) -> list[tuple[str, list[Any]]]:
    """The rules of a service: key and conditions. More than one only where the company has more addresses than fit."""
    if settings.has_tls:
        place: list[Any] = [{"host_header": {"values": [host(service, settings)]}}]
        room = CONDITION_VALUES - 1
    else:
        place = [{"path_pattern": {"values": [f"/{service.name}", f"/{service.name}/*"]}}]
        room = CONDITION_VALUES - 2
    if service.access != "company" or not settings.company_cidrs:
        return [(service.name, place)]
    return [
        (service.name if number == 1 else f"{service.name}-{number}", [*place, {"source_ip": {"values": list(cidrs)}}])
        for number, start in enumerate(range(0, len(settings.company_cidrs), room), start=1)
        for cidrs in [settings.company_cidrs[start : start + room]]
    ]


def actions(service: ServiceSpec, settings: Settings, target_group_arn: pulumi.Input[str]) -> list[Any]:
    """Forward; for the company's people only after they have signed in."""
    forward = {"type": "forward", "target_group_arn": target_group_arn}
    provider = settings.sign_in
    if provider is None or not signs_in(service, settings):
        return [forward]
    sign_in = {
        "issuer": provider.issuer,
        "authorization_endpoint": provider.authorization_endpoint,
        "token_endpoint": provider.token_endpoint,
        "user_info_endpoint": provider.user_info_endpoint,
        "client_id": provider.client_id,
        "client_secret": pulumi.Output.secret(provider.client_secret),
        "scope": "openid email",
        "session_timeout": SESSION_SECONDS,
        "on_unauthenticated_request": "authenticate",
    }
    return [{"type": "authenticate-oidc", "order": 1, "authenticate_oidc": sign_in}, {**forward, "order": 2}]


def rule_priorities(keys: Iterable[str]) -> Mapping[str, int]:
    """A place for each rule that (almost) never moves when another service comes or goes.

    Two rules cannot have one priority, not even for a moment, so counting up would make every new name a shuffle.
    Which of them is looked at first does not matter: what they match excludes each other.
    """
    taken: dict[int, str] = {}
    for key in sorted(keys):
        priority = int(hashlib.sha256(key.encode()).hexdigest(), 16) % PRIORITIES
        while priority in taken:
            priority = (priority + 1) % PRIORITIES
        taken[priority] = key
    return {key: priority + 1 for priority, key in taken.items()}
