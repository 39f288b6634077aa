"""Load balancers and target groups. Listeners and rules are in `listeners.py`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from botocore.exceptions import ClientError

from localcloud.plugins.conversion import to_api
from localcloud.plugins.resource import Autoname, Cloud, HalfCreated, Resource, resource_type
from localcloud.plugins.tags import Tagging
from localcloud.plugins.values import Props

TAGGING = Tagging(add="add_tags", remove="remove_tags", list="describe_tags", resource="ResourceArns[]")


class _Attributed(Resource):
    """A type many of whose properties are attributes: text under a dotted key, set by a call of their own.

    `attributes`: property (or `object.property`) → key. They are sent when given, and read back in their kinds.
    """

    service = "elbv2"
    tagging = TAGGING
    attributes: ClassVar[Mapping[str, str]]
    kind: ClassVar[str]  # "load_balancer" or "target_group"
    argument: ClassVar[str]

    def create(self, cloud: Cloud, inputs: Props) -> tuple[str, Props]:
        identifier, live = super().create(cloud, inputs)
        try:
            self._set(
                cloud, identifier, {key: value for key, value in self._attributes(inputs).items() if value is not None}
            )
        except ClientError as error:
            raise HalfCreated(identifier, live, str(error)) from error
        return identifier, live

    def read(self, cloud: Cloud, identifier: str, props: Props) -> Props | None:
        live = super().read(cloud, identifier, props)
        if live is None:
            return None
        answer = self.call(cloud, f"describe_{self.kind}_attributes", **{self.argument: identifier})["Attributes"]
        attributes = {item["Key"]: item.get("Value", "") for item in answer}
        for path, key in self.attributes.items():
            name, _, inner = path.partition(".")
            known = self.fields[name].fields[inner] if inner else self.fields[name]
            text = attributes.get(key)
            if text is None or (text == "" and inner):
                continue
            value: Any = text == "true" if known.kind == "bool" else float(text or 0) if known.kind == "int" else text
            if inner:
                live.setdefault(name, {})[inner] = value
            else:
                live[name] = value
        return live

    def update(self, cloud: Cloud, identifier: str, old: Props, new: Props, changed: set[str]) -> Props:
        changed_paths = {path for path in self.attributes if path.partition(".")[0] in changed}
        wanted = {key: value for key, value in self._attributes(new, changed_paths).items()}
        self._set(cloud, identifier, {key: "" if value is None else value for key, value in wanted.items()})
        return {}

    def arguments(self, cloud: Cloud, inputs: Props, updating: bool = False) -> Props:
        apart = {path.partition(".")[0] for path in self.attributes}
        return to_api(self.fields, inputs, self.spelling, [name for name in self.fields if name not in apart])

    def _attributes(self, inputs: Props, paths: set[str] | None = None) -> dict[str, str | None]:
        wanted: dict[str, str | None] = {}
        for path, key in self.attributes.items():
            if paths is not None and path not in paths:
                continue
            name, _, inner = path.partition(".")
            known = self.fields[name].fields[inner] if inner else self.fields[name]
            value = (inputs.get(name) or {}).get(inner) if inner else inputs.get(name)
            value = known.default if value is None else value
            wanted[key] = None if value is None else _attribute(value)
        return wanted

    def _set(self, cloud: Cloud, identifier: str, wanted: Mapping[str, str | None]) -> None:
        if wanted:
            pairs = [{"Key": key, "Value": value} for key, value in wanted.items()]
            self.call(cloud, f"modify_{self.kind}_attributes", **{self.argument: identifier}, Attributes=pairs)


def _attribute(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(int(value)) if isinstance(value, float) else str(value)


def _suffix(arn: Any) -> str:
    """What metrics name it by: app/name/id, targetgroup/name/id."""
    return str(arn).split(":")[-1].removeprefix("loadbalancer/")


@resource_type
class LoadBalancer(_Attributed):
    """A load balancer; its id is its ARN."""

    token = "aws:lb/loadBalancer:LoadBalancer"
    table = """
        name ^
        namePrefix ^ =-
        internal bool ^ =-
        loadBalancerType ^ default:application =Type
        ipAddressType ?
        securityGroups set ?
        subnets set ?
        subnetMappings bag ?
            subnetId !
            allocationId
            privateIpv4Address =PrivateIPv4Address
            ipv6Address =IPv6Address
        idleTimeout int default:60
        clientKeepAlive int
        desyncMitigationMode default:defensive
        dropInvalidHeaderFields bool default:false
        enableCrossZoneLoadBalancing bool
        enableDeletionProtection bool default:false
        enableHttp2 bool default:true
        enableTlsVersionAndCipherSuiteHeaders bool
        enableWafFailOpen bool
        enableXffClientPort bool
        preserveHostHeader bool
        xffHeaderProcessingMode
        accessLogs object
            bucket !
            enabled bool
            prefix
        connectionLogs object
            bucket !
            enabled bool
            prefix
        arn ~ =LoadBalancerArn
        arnSuffix ~
        dnsName ~ =DNSName
        vpcId ~
        zoneId ~ =CanonicalHostedZoneId
    """
    autoname = Autoname(limit=32, forbidden=r"[^A-Za-z0-9-]")
    create_call, create_answer, identifier = "create_load_balancer", "LoadBalancers", "LoadBalancerArn"
    read_call, read_key, read_answer = "describe_load_balancers", "LoadBalancerArns[]", "LoadBalancers"
    delete_call, delete_key = "delete_load_balancer", "LoadBalancerArn"
    kind, argument = "load_balancer", "LoadBalancerArn"
    attributes = {
        "idleTimeout": "idle_timeout.timeout_seconds",
        "clientKeepAlive": "client_keep_alive.seconds",
        "desyncMitigationMode": "routing.http.desync_mitigation_mode",
        "dropInvalidHeaderFields": "routing.http.drop_invalid_header_fields.enabled",
        "enableCrossZoneLoadBalancing": "load_balancing.cross_zone.enabled",
        "enableDeletionProtection": "deletion_protection.enabled",
        "enableHttp2": "routing.http2.enabled",
        "enableTlsVersionAndCipherSuiteHeaders": "routing.http.x_amzn_tls_version_and_cipher_suite.enabled",
        "enableWafFailOpen": "waf.fail_open.enabled",
        "enableXffClientPort": "routing.http.xff_client_port.enabled",
        "preserveHostHeader": "routing.http.preserve_host_header.enabled",
        "xffHeaderProcessingMode": "routing.http.xff_header_processing.mode",
        "accessLogs.bucket": "access_logs.s3.bucket",
        "accessLogs.enabled": "access_logs.s3.enabled",
        "accessLogs.prefix": "access_logs.s3.prefix",
        "connectionLogs.bucket": "connection_logs.s3.bucket",
        "connectionLogs.enabled": "connection_logs.s3.enabled",
        "connectionLogs.prefix": "connection_logs.s3.prefix",
    }

    def derived(self, cloud: Cloud, props: Props) -> Props:
        return {"arnSuffix": _suffix(props["arn"])} if isinstance(props.get("arn"), str) else {}

    def arguments(self, cloud: Cloud, inputs: Props, updating: bool = False) -> Props:
        arguments = super().arguments(cloud, inputs)
        scheme = inputs.get("internal")
        return {**arguments, **({"Scheme": "internal" if scheme else "internet-facing"} if scheme is not None else {})}

    def live(self, cloud: Cloud, described: Mapping[str, Any]) -> Props:
        live = super().live(cloud, described)
        subnets = [zone["SubnetId"] for zone in described.get("AvailabilityZones", []) if zone.get("SubnetId")]
        return {**live, "internal": described.get("Scheme") == "internal", "subnets": subnets}

    def update(self, cloud: Cloud, identifier: str, old: Props, new: Props, changed: set[str]) -> Props:
        if "securityGroups" in changed:
            groups = new.get("securityGroups") or []
            self.call(cloud, "set_security_groups", LoadBalancerArn=identifier, SecurityGroups=groups)
        if {"subnets", "subnetMappings"} & changed:
            arguments = to_api(self.fields, new, self.spelling, ("subnets", "subnetMappings"))
            self.call(cloud, "set_subnets", LoadBalancerArn=identifier, **arguments)
        if "ipAddressType" in changed:
            self.call(cloud, "set_ip_address_type", LoadBalancerArn=identifier, IpAddressType=new["ipAddressType"])
        return super().update(cloud, identifier, old, new, changed)


_CHECK = {
    "enabled": "HealthCheckEnabled",
    "healthyThreshold": "HealthyThresholdCount",
    "interval": "HealthCheckIntervalSeconds",
    "path": "HealthCheckPath",
    "port": "HealthCheckPort",
    "protocol": "HealthCheckProtocol",
    "timeout": "HealthCheckTimeoutSeconds",
    "unhealthyThreshold": "UnhealthyThresholdCount",
}


@resource_type
class TargetGroup(_Attributed):
    """Where a load balancer sends requests; its id is its ARN."""

    token = "aws:lb/targetGroup:TargetGroup"
    table = """
        name ^
        namePrefix ^ =-
        port int ^
        protocol ^
        protocolVersion ^ ?
        vpcId ^
        targetType ^ default:instance
        ipAddressType ^ ?
        healthCheck object ? =-
            enabled bool default:true
            healthyThreshold int
            interval int
            matcher
            path
            port
            protocol
            timeout int
            unhealthyThreshold int
        connectionTermination bool
        deregistrationDelay int default:300
        lambdaMultiValueHeadersEnabled bool
        loadBalancingAlgorithmType ?
        loadBalancingAnomalyMitigation ?
        loadBalancingCrossZoneEnabled ?
        preserveClientIp ?
        proxyProtocolV2 bool
        slowStart int default:0
        stickiness object ?
            enabled bool default:true
            type !
            cookieDuration int default:86400
            cookieName
        arn ~ =TargetGroupArn
        arnSuffix ~
        loadBalancerArns list ~
    """
    autoname = Autoname(limit=32, forbidden=r"[^A-Za-z0-9-]")
    create_call, create_answer, identifier = "create_target_group", "TargetGroups", "TargetGroupArn"
    read_call, read_key, read_answer = "describe_target_groups", "TargetGroupArns[]", "TargetGroups"
    delete_call, delete_key = "delete_target_group", "TargetGroupArn"
    kind, argument = "target_group", "TargetGroupArn"
    attributes = {
        "connectionTermination": "deregistration_delay.connection_termination.enabled",
        "deregistrationDelay": "deregistration_delay.timeout_seconds",
        "lambdaMultiValueHeadersEnabled": "lambda.multi_value_headers.enabled",
        "loadBalancingAlgorithmType": "load_balancing.algorithm.type",
        "loadBalancingAnomalyMitigation": "load_balancing.algorithm.anomaly_mitigation",
        "loadBalancingCrossZoneEnabled": "load_balancing.cross_zone.enabled",
        "preserveClientIp": "preserve_client_ip.enabled",
        "proxyProtocolV2": "proxy_protocol_v2.enabled",
        "slowStart": "slow_start.duration_seconds",
        "stickiness.enabled": "stickiness.enabled",
        "stickiness.type": "stickiness.type",
        "stickiness.cookieDuration": "stickiness.lb_cookie.duration_seconds",
        "stickiness.cookieName": "stickiness.app_cookie.cookie_name",
    }

    def derived(self, cloud: Cloud, props: Props) -> Props:
        return {"arnSuffix": _suffix(props["arn"])} if isinstance(props.get("arn"), str) else {}

    def arguments(self, cloud: Cloud, inputs: Props, updating: bool = False) -> Props:
        return {**super().arguments(cloud, inputs), **self._check(inputs)}

    def live(self, cloud: Cloud, described: Mapping[str, Any]) -> Props:
        live = super().live(cloud, described)
        inner = self.fields["healthCheck"].fields
        check: Props = {name: described[member] for name, member in _CHECK.items() if member in described}
        if described.get("Matcher"):
            check["matcher"] = described["Matcher"].get("HttpCode") or described["Matcher"].get("GrpcCode")
        live["healthCheck"] = {
            name: float(value) if inner[name].kind == "int" else value for name, value in check.items()
        }
        return live

    def update(self, cloud: Cloud, identifier: str, old: Props, new: Props, changed: set[str]) -> Props:
        if "healthCheck" in changed:
            self.call(cloud, "modify_target_group", TargetGroupArn=identifier, **self._check(new))
        return super().update(cloud, identifier, old, new, changed)

    def _check(self, inputs: Props) -> Props:
        check = inputs.get("healthCheck") or {}
        inner = self.fields["healthCheck"].fields
        arguments = {
            member: int(check[name]) if inner[name].kind == "int" else check[name]
            for name, member in _CHECK.items()
            if check.get(name) is not None
        }
        if check.get("matcher"):
            grpc = inputs.get("protocolVersion") == "GRPC"
            arguments["Matcher"] = {"GrpcCode" if grpc else "HttpCode": check["matcher"]}
        return arguments
