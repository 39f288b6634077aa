"""The team's own database: PostgreSQL on RDS. The tasks that connect to it reach it, and nobody else."""

import json

import pulumi
from pulumi_aws.rds.instance import Instance
from pulumi_aws.rds.subnet_group import SubnetGroup
from pulumi_aws.secretsmanager.get_secret_version import get_secret_version
from pulumi_aws.vpc.security_group_ingress_rule import SecurityGroupIngressRule

from hardware import Hardware
from herd.project import Project

NAME = "warehouse"
PORT = 5432


class Warehouse(pulumi.ComponentResource):
    """An Instance in a SubnetGroup, with a SecurityGroup. About 15 USD a month and 0.12 USD a GB (eu-west-1)."""

    def __init__(self, project: Project, hardware: Hardware) -> None:
        super().__init__("team:Warehouse", NAME, None, pulumi.ResourceOptions(parent=project))
        context, inside = project.context, pulumi.ResourceOptions(parent=self)
        name = f"{project.naming.prefix}-{NAME}"
        # What `herd secret set` keeps: {"username": …, "password": …, "dbname": …}. Jobs read the same secret.
        secret = context.secrets[context.settings.connections[NAME].secret]
        login = json.loads(get_secret_version(secret_id=secret).secret_string)
        group = hardware.network.security_group(NAME, "database of the team")
        SecurityGroupIngressRule(
            f"{NAME}-tasks",
            security_group_id=group.id,
            referenced_security_group_id=hardware.connections.security_groups[NAME].id,
            description="tasks that connect to it",
            ip_protocol="tcp",
            from_port=PORT,
            to_port=PORT,
            tags=context.tags(),
            opts=inside,
        )
        subnets = SubnetGroup(
            f"{NAME}-subnets", name=name, subnet_ids=hardware.network.task_subnet_ids, tags=context.tags(), opts=inside
        )
        keep = context.settings.protect
        self.instance = Instance(
            f"{NAME}-instance",
            identifier=name,
            engine="postgres",
            engine_version="16",
            instance_class="db.t4g.micro",
            allocated_storage=20,
            storage_type="gp3",
            storage_encrypted=True,
            kms_key_id=context.key_arn,
            db_name=login["dbname"],
            username=login["username"],
            password=pulumi.Output.secret(login["password"]),
            db_subnet_group_name=subnets.name,
            vpc_security_group_ids=[group.id],
            publicly_accessible=False,
            backup_retention_period=7,
            copy_tags_to_snapshot=True,
            deletion_protection=keep,
            skip_final_snapshot=not keep,
            final_snapshot_identifier=f"{name}-last" if keep else None,
            tags=context.tags(),
            opts=inside,
        )
        # From here on `connects = ["warehouse"]` leads to it.
        hardware.connections.lead_to(NAME, self.instance.address, self.instance.port)
        self.register_outputs({})
