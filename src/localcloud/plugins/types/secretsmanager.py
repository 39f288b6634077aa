"""Secrets Manager and Systems Manager's parameters."""

from __future__ import annotations

import base64
from typing import Any

from botocore.exceptions import ClientError

from localcloud.plugins.resource import Autoname, Cloud, HalfCreated, Resource, resource_type
from localcloud.plugins.tags import Tagging
from localcloud.plugins.values import Props


@resource_type
class Secret(Resource):
    """A secret without its value; its id is its ARN. With a recovery window its name stays taken, as on AWS."""

    token = "aws:secretsmanager/secret:Secret"
    service = "secretsmanager"
    table = """
        name ^
        namePrefix ^ =-
        description
        kmsKeyId
        policy policy ? =-
        recoveryWindowInDays int default:30 =-
        forceOverwriteReplicaSecret bool =-
        arn ~ =ARN
    """
    tagging = Tagging(resource="SecretId", list="describe_secret")
    autoname = Autoname(limit=512, forbidden=r"[^A-Za-z0-9/_+=.@-]")
    create_call, identifier = "create_secret", "ARN"
    read_call, read_key = "describe_secret", "SecretId"

    def create(self, cloud: Cloud, inputs: Props) -> tuple[str, Props]:
        arn, live = super().create(cloud, inputs)
        if inputs.get("policy"):
            try:
                self.call(cloud, "put_resource_policy", SecretId=arn, ResourcePolicy=inputs["policy"])
            except ClientError as error:
                raise HalfCreated(arn, live, str(error)) from error
        return arn, live

    def read(self, cloud: Cloud, identifier: str, props: Props) -> Props | None:
        described = self.call(cloud, "describe_secret", SecretId=identifier)
        if described.get("DeletedDate"):
            return None
        live = {**self.live(cloud, described), "tagsAll": Tagging().unwrap(described.get("Tags"))}
        policy = self.call(cloud, "get_resource_policy", SecretId=identifier).get("ResourcePolicy")
        return {**live, "policy": policy} if policy else live

    def update(self, cloud: Cloud, identifier: str, old: Props, new: Props, changed: set[str]) -> Props:
        if changed & {"description", "kmsKeyId"}:
            arguments: Props = {"Description": new.get("description") or ""}
            if new.get("kmsKeyId"):
                arguments["KmsKeyId"] = new["kmsKeyId"]
            self.call(cloud, "update_secret", SecretId=identifier, **arguments)
        if "policy" in changed:
            if new.get("policy"):
                self.call(cloud, "put_resource_policy", SecretId=identifier, ResourcePolicy=new["policy"])
            else:
                self.call(cloud, "delete_resource_policy", SecretId=identifier)
        return {}

    def delete(self, cloud: Cloud, identifier: str, props: Props) -> None:
        if self.call(cloud, "describe_secret", SecretId=identifier).get("DeletedDate"):
            return
        days = props.get("recoveryWindowInDays")
        how: Props = {"RecoveryWindowInDays": int(30 if days is None else days)}
        self.call(
            cloud, "delete_secret", SecretId=identifier, **(how if days != 0 else {"ForceDeleteWithoutRecovery": True})
        )


@resource_type
class SecretVersion(Resource):
    """A secret's value; its id is `ARN|version`. The current version cannot be deleted but with its secret."""

    token = "aws:secretsmanager/secretVersion:SecretVersion"
    service = "secretsmanager"
    table = """
        secretId ! ^
        secretString ^
        secretBinary ^ =-
        versionStages set ?
        arn ~ =-
        hasSecretStringWo bool ~ =-
        secretArn ~ =ARN
        versionId ~
    """
    arn_of_another = True

    def validate(self, inputs: Props) -> list[tuple[str, str]]:
        if (inputs.get("secretString") is None) == (inputs.get("secretBinary") is None):
            return [("secretString", "exactly one of secretString and secretBinary must be given")]
        return []

    def create(self, cloud: Cloud, inputs: Props) -> tuple[str, Props]:
        arguments = self.arguments(cloud, inputs)
        if inputs.get("secretBinary"):
            arguments["SecretBinary"] = base64.b64decode(inputs["secretBinary"])
        answer = self.call(cloud, "put_secret_value", **arguments)
        live = {"secretArn": answer["ARN"], "versionId": answer["VersionId"], "versionStages": answer["VersionStages"]}
        return f"{answer['ARN']}|{answer['VersionId']}", {**live, "arn": answer["ARN"], "hasSecretStringWo": False}

    def read(self, cloud: Cloud, identifier: str, props: Props) -> Props | None:
        arn, _, version = identifier.partition("|")
        described = self.call(cloud, "get_secret_value", SecretId=arn, VersionId=version)
        live = self.live(cloud, described)
        if "SecretBinary" in described:
            live["secretBinary"] = base64.b64encode(described["SecretBinary"]).decode()
        return {**live, "secretId": props.get("secretId") or arn, "arn": arn, "hasSecretStringWo": False}

    def update(self, cloud: Cloud, identifier: str, old: Props, new: Props, changed: set[str]) -> Props:
        arn, _, version = identifier.partition("|")
        had, wanted = set(old.get("versionStages") or []), set(new.get("versionStages") or [])
        for stage in sorted(wanted - had if "versionStages" in changed else []):
            self._stage(cloud, arn, stage, MoveToVersionId=version)
        for stage in sorted(had - wanted - {"AWSCURRENT"} if "versionStages" in changed else []):
            self._stage(cloud, arn, stage, RemoveFromVersionId=version)
        return {"versionStages": sorted(wanted or had)}

    def delete(self, cloud: Cloud, identifier: str, props: Props) -> None:
        arn, _, version = identifier.partition("|")
        described = self.call(cloud, "describe_secret", SecretId=arn)
        if described.get("DeletedDate"):
            return
        for stage in described.get("VersionIdsToStages", {}).get(version, []):
            if stage != "AWSCURRENT":
                self._stage(cloud, arn, stage, RemoveFromVersionId=version)

    def _stage(self, cloud: Cloud, secret: str, stage: str, **move: Any) -> None:
        self.call(cloud, "update_secret_version_stage", SecretId=secret, VersionStage=stage, **move)


@resource_type
class SecretPolicy(Resource):
    """Who may do what with a secret; its id is the secret's ARN."""

    token = "aws:secretsmanager/secretPolicy:SecretPolicy"
    service = "secretsmanager"
    table = """
        secretArn ! ^ =SecretId
        policy policy ! =ResourcePolicy
        blockPublicPolicy bool
    """
    create_call = update_call = "put_resource_policy"
    named_by = "secretArn"
    delete_call, delete_key = "delete_resource_policy", "SecretId"

    def read(self, cloud: Cloud, identifier: str, props: Props) -> Props | None:
        policy = self.call(cloud, "get_resource_policy", SecretId=identifier).get("ResourcePolicy")
        return {"secretArn": identifier, "policy": policy} if policy else None


class _ParameterTagging(Tagging):
    """The tag calls also want to know what kind of thing it is."""

    def _names(self, resource: str) -> dict[str, Any]:
        return {"ResourceType": "Parameter", "ResourceId": resource}

    def read(self, client: Any, resource: str) -> dict[str, str]:
        return self.unwrap(client.list_tags_for_resource(**self._names(resource)).get("TagList"))


@resource_type
class Parameter(Resource):
    """A parameter; its id is its name. `value` is kept secret by the SDK, `insecureValue` is not."""

    token = "aws:ssm/parameter:Parameter"
    service = "ssm"
    table = """
        name ^
        type !
        value =-
        insecureValue =-
        description
        allowedPattern
        dataType ^ default:text
        keyId ?
        tier default:Standard
        overwrite bool =-
        arn ~ =ARN
        hasValueWo bool ~ =-
        version int ~
    """
    tagging = _ParameterTagging(add="add_tags_to_resource", remove="remove_tags_from_resource")
    autoname = Autoname(limit=1011, forbidden=r"[^A-Za-z0-9_./-]")
    recomputed = frozenset({"version"})
    create_call, named_by = "put_parameter", "name"
    delete_call, delete_key = "delete_parameter", "Name"

    def validate(self, inputs: Props) -> list[tuple[str, str]]:
        if (inputs.get("value") is None) == (inputs.get("insecureValue") is None):
            return [("value", "exactly one of value and insecureValue must be given")]
        if inputs.get("type") not in ("String", "StringList", "SecureString") and isinstance(inputs.get("type"), str):
            return [("type", f"{inputs['type']!r} is not one of String, StringList, SecureString")]
        return []

    def derived(self, cloud: Cloud, props: Props) -> Props:
        return {"arn": cloud.arn("ssm", f"parameter/{str(props['name']).removeprefix('/')}")}

    def arguments(self, cloud: Cloud, inputs: Props, updating: bool = False) -> Props:
        value = inputs["value"] if inputs.get("value") is not None else inputs["insecureValue"]
        arguments = {**super().arguments(cloud, inputs), "Value": value}
        return {**arguments, "Overwrite": True} if updating or inputs.get("overwrite") else arguments

    def creating_tags(self, cloud: Cloud, inputs: Props) -> Props:
        return {} if inputs.get("overwrite") else super().creating_tags(cloud, inputs)

    def create(self, cloud: Cloud, inputs: Props) -> tuple[str, Props]:
        name = inputs["name"]
        version = self.call(
            cloud, "put_parameter", **self.arguments(cloud, inputs), **self.creating_tags(cloud, inputs)
        )
        if inputs.get("overwrite") and self.tagging is not None:
            self.tagging.change(cloud.client("ssm"), name, {}, self.all_tags(cloud, inputs))
        return name, {"version": float(version["Version"]), "hasValueWo": False}

    def read(self, cloud: Cloud, identifier: str, props: Props) -> Props | None:
        parameter = self.call(cloud, "get_parameter", Name=identifier, WithDecryption=True)["Parameter"]
        filters = [{"Key": "Name", "Option": "Equals", "Values": [identifier]}]
        described = self.call(cloud, "describe_parameters", ParameterFilters=filters)["Parameters"]
        live = self.live(cloud, {**(described[0] if described else {}), **parameter})
        shown = "insecureValue" if "insecureValue" in props else "value"
        tags = _ParameterTagging().read(cloud.client("ssm"), identifier)
        return {**live, shown: parameter["Value"], "hasValueWo": False, "tagsAll": tags}

    def update(self, cloud: Cloud, identifier: str, old: Props, new: Props, changed: set[str]) -> Props:
        if not changed - {"tags", "tagsAll"}:
            return {}
        arguments = {"Description": "", **self.arguments(cloud, new, updating=True)}
        return {"version": float(self.call(cloud, "put_parameter", **arguments)["Version"])}

    def tagged(self, identifier: str, props: Props) -> str:
        return identifier
