"""A team's extension that the rules refuse, and the exception that lets it pass."""

from __future__ import annotations

EXTEND = """
import pulumi
from pulumi_aws.vpc import SecurityGroupIngressRule

def extend(environment):
    SecurityGroupIngressRule(
        "partner-in",
        security_group_id=environment.network.tasks_security_group.id,
        description="the partner",
        ip_protocol="tcp",
        from_port=8443,
        to_port=8443,
        cidr_ipv4="0.0.0.0/0",
        tags=environment.context.tags(),
        opts=pulumi.ResourceOptions(parent=environment),
    )
"""
EXCEPTION = """
[[exception]]
rule = "network-world-ports"
resource = "partner-in"
reason = "the partner's firewall lets 8443 through only"
expires = 2999-01-31
"""
