"""KMS: keys and their aliases."""

from __future__ import annotations

from typing import Any

from botocore.exceptions import ClientError

from localcloud.plugins.resource import Autoname, Cloud, HalfCreated, Resource, resource_type
from localcloud.plugins.tags import Tagging
from localcloud.plugins.values import Props


def _last(text: str) -> Any:
    """A key's id out of its ARN."""
    return text.rsplit("/", 1)[-1]


@resource_type
class Key(Resource):
    """A key; its id is its id. AWS deletes one after a while: from then on it is pending and counts as gone."""

    token = "aws:kms/key:Key"
    service = "kms"
    table = """
        description ?
        keyUsage ^ default:ENCRYPT_DECRYPT
        customerMasterKeySpec ^ default:SYMMETRIC_DEFAULT =CustomerMasterKeySpec
        policy policy ? =-
        bypassPolicyLockoutSafetyCheck bool =-
        deletionWindowInDays int =-
        enableKeyRotation bool default:false =-
        rotationPeriodInDays int ? =-
        isEnabled bool default:true =-
        multiRegion bool ^ default:false
        arn ~
        keyId ~
    """
    tagging = Tagging(pairs=("TagKey", "TagValue"), list="list_resource_tags", resource="KeyId")
    create_call, create_answer, identifier = "create_key", "KeyMetadata", "KeyId"
    read_call, read_key, read_answer = "describe_key", "KeyId", "KeyMetadata"

    def derived(self, cloud: Cloud, props: Props) -> Props:
        return {"arn": cloud.arn("kms", f"key/{props['id']}"), "keyId": props["id"]} if "id" in props else {}

    def arguments(self, cloud: Cloud, inputs: Props, updating: bool = False) -> Props:
        policy = {"Policy": inputs["policy"]} if inputs.get("policy") else {}
        return {**super().arguments(cloud, inputs), **policy}

    def create(self, cloud: Cloud, inputs: Props) -> tuple[str, Props]:
        identifier, live = super().create(cloud, inputs)
        try:
            self.update(
                cloud, identifier, {}, inputs, {"enableKeyRotation"} if inputs.get("enableKeyRotation") else set()
            )
            if inputs.get("isEnabled") is False:
                self.call(cloud, "disable_key", KeyId=identifier)
        except ClientError as error:
            raise HalfCreated(identifier, live, str(error)) from error
        return identifier, live

    def read(self, cloud: Cloud, identifier: str, props: Props) -> Props | None:
        metadata = self.call(cloud, "describe_key", KeyId=identifier)["KeyMetadata"]
        if metadata["KeyState"] == "PendingDeletion":
            return None
        live = self.live(cloud, metadata)
        live["isEnabled"] = bool(metadata["Enabled"])
        live["policy"] = self.call(cloud, "get_key_policy", KeyId=identifier, PolicyName="default")["Policy"]
        if metadata.get("CustomerMasterKeySpec") == "SYMMETRIC_DEFAULT" and live["isEnabled"]:
            rotation = self.call(cloud, "get_key_rotation_status", KeyId=identifier)
            live["enableKeyRotation"] = rotation["KeyRotationEnabled"]
            if rotation["KeyRotationEnabled"]:
                live["rotationPeriodInDays"] = float(rotation.get("RotationPeriodInDays", 365))
        live["tagsAll"] = self.tagging.read(cloud.client("kms"), identifier) if self.tagging else {}
        return live

    def update(self, cloud: Cloud, identifier: str, old: Props, new: Props, changed: set[str]) -> Props:
        if "isEnabled" in changed and new.get("isEnabled") is not False:
            self.call(cloud, "enable_key", KeyId=identifier)
        if "description" in changed:
            self.call(cloud, "update_key_description", KeyId=identifier, Description=new.get("description") or "")
        if "policy" in changed and new.get("policy"):
            self.call(cloud, "put_key_policy", KeyId=identifier, PolicyName="default", Policy=new["policy"])
        if changed & {"enableKeyRotation", "rotationPeriodInDays"}:
            if new.get("enableKeyRotation"):
                days = new.get("rotationPeriodInDays")
                period = {"RotationPeriodInDays": int(days)} if days else {}
                self.call(cloud, "enable_key_rotation", KeyId=identifier, **period)
            else:
                self.call(cloud, "disable_key_rotation", KeyId=identifier)
        if "isEnabled" in changed and new.get("isEnabled") is False:
            self.call(cloud, "disable_key", KeyId=identifier)
        return {}

    def delete(self, cloud: Cloud, identifier: str, props: Props) -> None:
        if self.call(cloud, "describe_key", KeyId=identifier)["KeyMetadata"]["KeyState"] != "PendingDeletion":
            days = int(props.get("deletionWindowInDays") or 30)
            self.call(cloud, "schedule_key_deletion", KeyId=identifier, PendingWindowInDays=days)

    def tagged(self, identifier: str, props: Props) -> str:
        return identifier


@resource_type
class Alias(Resource):
    """A name for a key; its id is that name, which begins with `alias/`."""

    token = "aws:kms/alias:Alias"
    service = "kms"
    table = """
        name ^ =AliasName
        namePrefix ^ =-
        targetKeyId !
        arn ~ =AliasArn
        targetKeyArn ~ =-
    """
    meanings = {"targetKeyId": _last}
    autoname = Autoname(limit=240, forbidden=r"[^A-Za-z0-9/_-]")
    create_call, named_by = "create_alias", "name"
    delete_call, delete_key = "delete_alias", "AliasName"
    recomputed = frozenset({"targetKeyArn"})

    def validate(self, inputs: Props) -> list[tuple[str, str]]:
        name = inputs.get("name")
        if isinstance(name, str) and not name.startswith("alias/") and "name" not in inputs.get("__defaults", []):
            return [("name", "the name of an alias begins with 'alias/'")]
        return []

    def prepared(self, cloud: Cloud, olds: Props, inputs: Props) -> Props:
        """A name that was made here gets the beginning that AWS wants."""
        return {**inputs, "name": f"alias/{str(inputs['name']).removeprefix('alias/')}"}

    def derived(self, cloud: Cloud, props: Props) -> Props:
        outputs = {"arn": cloud.arn("kms", props["name"])}
        if isinstance(props.get("targetKeyId"), str):
            outputs["targetKeyArn"] = cloud.arn("kms", f"key/{_last(props['targetKeyId'])}")
        return outputs

    def read(self, cloud: Cloud, identifier: str, props: Props) -> Props | None:
        for page in cloud.client("kms").get_paginator("list_aliases").paginate():
            for alias in page["Aliases"]:
                if alias["AliasName"] == identifier:
                    return self.live(cloud, alias)
        return None

    def update(self, cloud: Cloud, identifier: str, old: Props, new: Props, changed: set[str]) -> Props:
        self.call(cloud, "update_alias", AliasName=identifier, TargetKeyId=new["targetKeyId"])
        return {}
