"""RDS: database instances and the subnets that they may lie in."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from botocore.exceptions import ClientError

from localcloud.plugins.conversion import to_api
from localcloud.plugins.refusals import Refused
from localcloud.plugins.resource import Autoname, Cloud, HalfCreated, Resource, gone, resource_type
from localcloud.plugins.tags import Tagging
from localcloud.plugins.values import UNKNOWN, Props

_TAGGING = Tagging(
    add="add_tags_to_resource",
    remove="remove_tags_from_resource",
    resource="ResourceName",
    list="list_tags_for_resource",
)
_WAIT_SECONDS = 40 * 60  # pulumi-aws waits as long
_POLL_SECONDS = 0.2

_APART = frozenset({"tags", "tagsAll", "skipFinalSnapshot", "finalSnapshotIdentifier", "applyImmediately"})
_LATER = frozenset({"allowMajorVersionUpgrade", "deleteAutomatedBackups"})


@resource_type
class SubnetGroup(Resource):
    """Subnets of at least two zones; its id is its name."""

    token = "aws:rds/subnetGroup:SubnetGroup"
    service = "rds"
    table = """
        name ^ =DBSubnetGroupName
        namePrefix ^ =-
        description =DBSubnetGroupDescription
        subnetIds set ! =SubnetIds
        arn ~ =DBSubnetGroupArn
        supportedNetworkTypes list ~ =-
        vpcId ~
    """
    tagging = _TAGGING
    autoname = Autoname(limit=255, lower=True)
    create_call, create_answer, identifier = "create_db_subnet_group", "DBSubnetGroup", "DBSubnetGroupName"
    read_call, read_key, read_answer = "describe_db_subnet_groups", "DBSubnetGroupName", "DBSubnetGroups"
    update_call = "modify_db_subnet_group"
    delete_call = "delete_db_subnet_group"

    def prepared(self, cloud: Cloud, olds: Props, inputs: Props) -> Props:
        return {"description": "Managed by Pulumi", **inputs}

    def live(self, cloud: Cloud, described: Mapping[str, Any]) -> Props:
        live = super().live(cloud, described)
        live["subnetIds"] = [each["SubnetIdentifier"] for each in described["Subnets"]]
        return live | {"supportedNetworkTypes": described.get("SupportedNetworkTypes") or ["IPV4"]}


@resource_type
class Instance(Resource):
    """A database instance; its id is its resource id, its name `identifier`."""

    token = "aws:rds/instance:Instance"
    service = "rds"
    table = """
        identifier =DBInstanceIdentifier
        identifierPrefix ^ =-
        engine ^
        engineVersion ?
        instanceClass ! =DBInstanceClass
        allocatedStorage int ?
        maxAllocatedStorage int ? =-
        storageType ?
        storageThroughput int ? =-
        iops int ? =-
        storageEncrypted bool default:false ^
        kmsKeyId ? ^
        dbName ^ =DBName
        username ^ ? =MasterUsername
        password =-
        manageMasterUserPassword bool =-
        masterUserSecretKmsKeyId ? =-
        port int ? =-
        dbSubnetGroupName ? =-
        vpcSecurityGroupIds set ?
        availabilityZone ? ^
        multiAz bool default:false =MultiAZ
        publiclyAccessible bool default:false
        parameterGroupName ? =-
        backupRetentionPeriod int ?
        backupWindow ? =PreferredBackupWindow
        maintenanceWindow ? =-
        autoMinorVersionUpgrade bool default:true
        allowMajorVersionUpgrade bool =-
        applyImmediately bool =-
        copyTagsToSnapshot bool default:false
        deleteAutomatedBackups bool default:true =-
        deletionProtection bool default:false
        enabledCloudwatchLogsExports set =EnableCloudwatchLogsExports
        iamDatabaseAuthenticationEnabled bool =EnableIAMDatabaseAuthentication
        caCertIdentifier ? =CACertificateIdentifier
        monitoringInterval int default:0
        monitoringRoleArn ?
        skipFinalSnapshot bool default:false =-
        finalSnapshotIdentifier =-
        address ~ =Endpoint.Address
        arn ~ =DBInstanceArn
        endpoint ~ =-
        engineVersionActual ~ =EngineVersion
        hostedZoneId ~ =Endpoint.HostedZoneId
        latestRestorableTime ~ =-
        listenerEndpoints objects ~ =-
            address
            hostedZoneId
            port int
        masterUserSecrets objects ~ =-
            kmsKeyId
            secretArn
            secretStatus
        replicas list ~ =-
        resourceId ~ =DbiResourceId
        status ~ =DBInstanceStatus
    """
    tagging = _TAGGING
    autoname = Autoname(
        property="identifier", limit=63, lower=True, forbidden=r"[^A-Za-z0-9-]", prefix="identifierPrefix"
    )
    recomputed = frozenset({"status", "engineVersionActual", "masterUserSecrets"})

    def validate(self, inputs: Props) -> list[tuple[str, str]]:
        problems = []
        managed = inputs.get("manageMasterUserPassword")
        if managed is True and inputs.get("password") is not None:
            problems.append(("password", "cannot be given together with manageMasterUserPassword"))
        if managed is not True and inputs.get("password") is None:
            problems.append(("password", "must be given, unless manageMasterUserPassword is true"))
        problems += [
            (name, "must be given") for name in ("engine", "username", "allocatedStorage") if inputs.get(name) is None
        ]
        if not inputs.get("skipFinalSnapshot") and inputs.get("finalSnapshotIdentifier") is None:
            problems.append(("finalSnapshotIdentifier", "must be given, unless skipFinalSnapshot is true"))
        return problems

    def derived(self, cloud: Cloud, props: Props) -> Props:
        endpoint = props.get("endpoint")
        if not isinstance(endpoint, str):
            return {"port": UNKNOWN}
        return {"port": float(endpoint.rpartition(":")[2])}

    def arguments(self, cloud: Cloud, inputs: Props, updating: bool = False) -> Props:
        arguments = to_api(self.fields, inputs, self.spelling)
        for name, argument in {
            "maxAllocatedStorage": "MaxAllocatedStorage",
            "iops": "Iops",
            "storageThroughput": "StorageThroughput",
            "port": "DBPortNumber" if updating else "Port",
        }.items():
            if inputs.get(name) is not None:
                arguments[argument] = int(inputs[name])
        for name, argument in {
            "dbSubnetGroupName": "DBSubnetGroupName",
            "parameterGroupName": "DBParameterGroupName",
            "maintenanceWindow": "PreferredMaintenanceWindow",
            "password": "MasterUserPassword",
            "masterUserSecretKmsKeyId": "MasterUserSecretKmsKeyId",
        }.items():
            if inputs.get(name) is not None:
                arguments[argument] = inputs[name]
        if inputs.get("manageMasterUserPassword"):
            arguments["ManageMasterUserPassword"] = True
        return arguments

    def create(self, cloud: Cloud, inputs: Props) -> tuple[str, Props]:
        answer = self.call(
            cloud, "create_db_instance", **self.arguments(cloud, inputs), **self.creating_tags(cloud, inputs)
        )["DBInstance"]
        identifier = str(answer["DbiResourceId"])
        try:
            status = self._settled(cloud, identifier)
        except Refused as error:
            raise HalfCreated(identifier, self.live(cloud, answer), str(error)) from error
        if status != "available":
            cloud.warn(_reason(self._described(cloud, identifier)))
        return identifier, self.read(cloud, identifier, {}) or {}

    def read(self, cloud: Cloud, identifier: str, props: Props) -> Props | None:
        described = self._described(cloud, identifier)
        return self.live(cloud, described) if described else None

    def live(self, cloud: Cloud, described: Mapping[str, Any]) -> Props:
        live = super().live(cloud, described)
        endpoint = described.get("Endpoint") or {}
        live["endpoint"] = f"{endpoint.get('Address', '')}:{endpoint.get('Port', 0)}"
        live["dbSubnetGroupName"] = (described.get("DBSubnetGroup") or {}).get("DBSubnetGroupName")
        live["vpcSecurityGroupIds"] = [each["VpcSecurityGroupId"] for each in described.get("VpcSecurityGroups") or []]
        live["parameterGroupName"] = next(
            (each["DBParameterGroupName"] for each in described.get("DBParameterGroups") or []), None
        )
        live["maintenanceWindow"] = described.get("PreferredMaintenanceWindow")
        live["iamDatabaseAuthenticationEnabled"] = bool(described.get("IAMDatabaseAuthenticationEnabled"))
        live["enabledCloudwatchLogsExports"] = list(described.get("EnabledCloudwatchLogsExports") or [])
        secret = described.get("MasterUserSecret")
        live["masterUserSecrets"] = (
            [{"kmsKeyId": secret.get("KmsKeyId", ""), "secretArn": secret["SecretArn"], "secretStatus": "active"}]
            if secret
            else []
        )
        if secret:
            live["manageMasterUserPassword"] = True
        live |= {"latestRestorableTime": "", "listenerEndpoints": [], "replicas": []}
        return {name: value for name, value in live.items() if value is not None}

    def update(self, cloud: Cloud, identifier: str, old: Props, new: Props, changed: set[str]) -> Props:
        if changed - _APART - _LATER:
            arguments = self.arguments(cloud, new, updating=True)
            taken = {name: value for name, value in arguments.items() if name in _MODIFIED}
            if "enabledCloudwatchLogsExports" in changed:
                had, want = (set(each.get("enabledCloudwatchLogsExports") or []) for each in (old, new))
                taken["CloudwatchLogsExportConfiguration"] = {
                    "EnableLogTypes": sorted(want - had), "DisableLogTypes": sorted(had - want),
                }  # fmt: skip
            if "manageMasterUserPassword" in changed:
                taken["ManageMasterUserPassword"] = bool(new.get("manageMasterUserPassword"))
            else:
                taken.pop("ManageMasterUserPassword", None)
            name = self._described(cloud, identifier)["DBInstanceIdentifier"]
            if new["identifier"] != name:
                taken["NewDBInstanceIdentifier"] = new["identifier"]
            self.call(cloud, "modify_db_instance", **{**taken, "DBInstanceIdentifier": name, "ApplyImmediately": True})
            self._settled(cloud, identifier)
        live = self.read(cloud, identifier, {}) or {}
        return {name: live[name] for name in (*self.recomputed, "endpoint", "address") if name in live}

    def delete(self, cloud: Cloud, identifier: str, props: Props) -> None:
        described = self._described(cloud, identifier)
        if not described:
            return
        how: Props = {"SkipFinalSnapshot": True}
        if not props.get("skipFinalSnapshot") and props.get("finalSnapshotIdentifier"):
            how = {"SkipFinalSnapshot": False, "FinalDBSnapshotIdentifier": props["finalSnapshotIdentifier"]}
        how["DeleteAutomatedBackups"] = props.get("deleteAutomatedBackups") is not False
        self.call(cloud, "delete_db_instance", DBInstanceIdentifier=described["DBInstanceIdentifier"], **how)

    def import_id(self, cloud: Cloud, identifier: str) -> str:
        if identifier != identifier.lower():  # a resource id; names have small letters only
            return identifier
        described = self.call(cloud, "describe_db_instances", DBInstanceIdentifier=identifier)["DBInstances"][0]
        return str(described["DbiResourceId"])

    def _described(self, cloud: Cloud, identifier: str) -> dict[str, Any]:
        wanted = [{"Name": "dbi-resource-id", "Values": [identifier]}]
        try:
            instances = self.call(cloud, "describe_db_instances", Filters=wanted)["DBInstances"]
        except ClientError as error:
            if gone(error):
                return {}
            raise
        return dict(instances[0]) if instances else {}

    def _settled(self, cloud: Cloud, identifier: str) -> str:
        """Its status once it has one that stays. Raises Refused if that is a failure, or comes too late."""
        deadline = time.monotonic() + _WAIT_SECONDS
        while time.monotonic() < deadline:
            described = self._described(cloud, identifier)
            status = str(described.get("DBInstanceStatus"))
            if status == "failed":
                raise Refused(f"the database does not start: {_reason(described)}")
            if status in ("available", "stopped"):
                return status
            time.sleep(_POLL_SECONDS)
        raise Refused(f"the instance did not become available (waited {_WAIT_SECONDS // 60} minutes)")


def _reason(described: Mapping[str, Any]) -> str:
    return "; ".join(each.get("Message", "") for each in described.get("StatusInfos") or [])


_MODIFIED = frozenset(
    {
        "AllocatedStorage",
        "DBInstanceClass",
        "VpcSecurityGroupIds",
        "MasterUserPassword",
        "ManageMasterUserPassword",
        "MasterUserSecretKmsKeyId",
        "DBParameterGroupName",
        "BackupRetentionPeriod",
        "PreferredBackupWindow",
        "PreferredMaintenanceWindow",
        "MultiAZ",
        "EngineVersion",
        "AutoMinorVersionUpgrade",
        "Iops",
        "StorageType",
        "StorageThroughput",
        "MaxAllocatedStorage",
        "CACertificateIdentifier",
        "CopyTagsToSnapshot",
        "MonitoringInterval",
        "MonitoringRoleArn",
        "PubliclyAccessible",
        "EnableIAMDatabaseAuthentication",
        "DeletionProtection",
        "DBPortNumber",
        "DBSubnetGroupName",
    }
)
"""The arguments of ModifyDBInstance."""
