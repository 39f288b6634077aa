"""A team's own resource that the rules refuse, and the exception that lets it pass."""

from __future__ import annotations

from pathlib import Path

PARTNER = """
import pulumi
from pulumi_aws.vpc import SecurityGroupIngressRule

SecurityGroupIngressRule(
    "partner-in",
    security_group_id=hardware.network.tasks_security_group.id,
    description="the partner",
    ip_protocol="tcp",
    from_port=8443,
    to_port=8443,
    cidr_ipv4="0.0.0.0/0",
    tags=project.context.tags(),
    opts=pulumi.ResourceOptions(parent=project),
)
"""
EXCEPTION = """
[[exception]]
rule = "network-world-ports"
resource = "partner-in"
reason = "the partner's firewall lets 8443 through only"
expires = 2999-01-31
"""


def declare(checkout: Path, own: str = "") -> None:
    """The program as it was, with the team's own resources at its end."""
    program, original = checkout / "infra/__main__.py", checkout / "infra/original.txt"
    if not original.exists():
        original.write_text(program.read_text())
    program.write_text(original.read_text() + own)
