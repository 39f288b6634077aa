"""IAM: roles and policies. Global, so without a region."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from botocore.exceptions import ClientError

from localcloud.plugins.resource import Autoname, Cloud, HalfCreated, Resource, gone, resource_type
from localcloud.plugins.tags import Tagging
from localcloud.plugins.values import Props


def _text(document: Any) -> str:
    """IAM's clients decode policy documents."""
    return document if isinstance(document, str) else json.dumps(document)


@resource_type
class Role(Resource):
    """A role and, where given, its managed and inline policies (exclusively, as the real provider has it)."""

    token = "aws:iam/role:Role"
    service = "iam"
    regional = False
    table = """
        name ^ =RoleName
        namePrefix ^ =-
        path ^ default:/
        assumeRolePolicy policy ! =AssumeRolePolicyDocument
        description
        forceDetachPolicies bool =-
        maxSessionDuration int default:3600
        permissionsBoundary
        managedPolicyArns set ? =-
        inlinePolicies bag ? =-
            name
            policy policy
        arn ~ =Arn
        createDate ~
        uniqueId ~ =RoleId
    """
    tagging = Tagging(add="tag_role", remove="untag_role", list="list_role_tags", resource="RoleName")
    autoname = Autoname(limit=64, forbidden=r"[^\w+=,.@-]")
    create_call, create_answer, identifier = "create_role", "Role", "RoleName"
    read_call, read_key, read_answer = "get_role", "RoleName", "Role"
    delete_call = "delete_role"

    def derived(self, cloud: Cloud, props: Props) -> Props:
        return {"arn": cloud.arn("iam", f"role{props.get('path', '/')}{props['name']}", regional=False)}

    def create(self, cloud: Cloud, inputs: Props) -> tuple[str, Props]:
        name, live = super().create(cloud, inputs)
        try:
            self._policies(cloud, name, {}, inputs)
        except ClientError as error:
            raise HalfCreated(name, live, str(error)) from error
        return name, live

    def live(self, cloud: Cloud, described: Mapping[str, Any]) -> Props:
        boundary = (described.get("PermissionsBoundary") or {}).get("PermissionsBoundaryArn")
        plain = {
            **described,
            "AssumeRolePolicyDocument": _text(described["AssumeRolePolicyDocument"]),
            "PermissionsBoundary": boundary,
        }
        return super().live(cloud, plain)

    def read(self, cloud: Cloud, identifier: str, props: Props) -> Props | None:
        live = super().read(cloud, identifier, props)
        if live is not None and props.get("managedPolicyArns"):
            attached = self.all(cloud, "list_attached_role_policies", "AttachedPolicies", RoleName=identifier)
            live["managedPolicyArns"] = [policy["PolicyArn"] for policy in attached]
        if live is not None and props.get("inlinePolicies"):
            names = self.all(cloud, "list_role_policies", "PolicyNames", RoleName=identifier)
            live["inlinePolicies"] = [
                {
                    "name": name,
                    "policy": _text(
                        self.call(cloud, "get_role_policy", RoleName=identifier, PolicyName=name)["PolicyDocument"]
                    ),
                }
                for name in names
            ]
        return live

    def update(self, cloud: Cloud, identifier: str, old: Props, new: Props, changed: set[str]) -> Props:
        if "assumeRolePolicy" in changed:
            self.call(cloud, "update_assume_role_policy", RoleName=identifier, PolicyDocument=new["assumeRolePolicy"])
        if {"description", "maxSessionDuration"} & changed:
            arguments = {
                "MaxSessionDuration": int(new.get("maxSessionDuration") or 3600),
                "Description": new.get("description") or "",
            }
            self.call(cloud, "update_role", RoleName=identifier, **arguments)
        if "permissionsBoundary" in changed:
            if new.get("permissionsBoundary"):
                boundary = {"PermissionsBoundary": new["permissionsBoundary"]}
                self.call(cloud, "put_role_permissions_boundary", RoleName=identifier, **boundary)
            else:
                self.call(cloud, "delete_role_permissions_boundary", RoleName=identifier)
        if {"managedPolicyArns", "inlinePolicies"} & changed:
            self._policies(cloud, identifier, old, new)
        return {}

    def delete(self, cloud: Cloud, identifier: str, props: Props) -> None:
        managed, inline = props.get("managedPolicyArns") or [], props.get("inlinePolicies") or []
        names = [policy["name"] for policy in inline]
        if props.get("forceDetachPolicies"):
            attached = self.all(cloud, "list_attached_role_policies", "AttachedPolicies", RoleName=identifier)
            managed = [policy["PolicyArn"] for policy in attached]
            names = self.all(cloud, "list_role_policies", "PolicyNames", RoleName=identifier)
        for arn in managed:
            self.call(cloud, "detach_role_policy", RoleName=identifier, PolicyArn=arn)
        for name in names:
            self.call(cloud, "delete_role_policy", RoleName=identifier, PolicyName=name)
        super().delete(cloud, identifier, props)

    def tagged(self, identifier: str, props: Props) -> str:
        return identifier

    def _policies(self, cloud: Cloud, name: str, old: Props, new: Props) -> None:
        had, wanted = set(old.get("managedPolicyArns") or []), set(new.get("managedPolicyArns") or [])
        for arn in sorted(wanted):
            self.call(cloud, "attach_role_policy", RoleName=name, PolicyArn=arn)
        for arn in sorted(had - wanted):
            _unless_gone(cloud, "detach_role_policy", RoleName=name, PolicyArn=arn)
        inline = {policy["name"]: policy["policy"] for policy in new.get("inlinePolicies") or []}
        for policy, document in inline.items():
            self.call(cloud, "put_role_policy", RoleName=name, PolicyName=policy, PolicyDocument=document)
        for policy in {policy["name"] for policy in old.get("inlinePolicies") or []} - set(inline):
            _unless_gone(cloud, "delete_role_policy", RoleName=name, PolicyName=policy)


def _unless_gone(cloud: Cloud, operation: str, **arguments: Any) -> None:
    try:
        getattr(cloud.client("iam"), operation)(**arguments)
    except ClientError as error:
        if not gone(error):
            raise


@resource_type
class RolePolicy(Resource):
    """A policy that belongs to one role; its id is `role:name`."""

    token = "aws:iam/rolePolicy:RolePolicy"
    service = "iam"
    regional = False
    table = """
        name ^ =PolicyName
        namePrefix ^ =-
        role ! ^ =RoleName
        policy policy ! =PolicyDocument
    """
    autoname = Autoname(limit=128, forbidden=r"[^\w+=,.@-]")

    def create(self, cloud: Cloud, inputs: Props) -> tuple[str, Props]:
        self.call(cloud, "put_role_policy", **self.arguments(cloud, inputs))
        return f"{inputs['role']}:{inputs['name']}", {}

    def read(self, cloud: Cloud, identifier: str, props: Props) -> Props | None:
        role, _, name = identifier.partition(":")
        answer = self.call(cloud, "get_role_policy", RoleName=role, PolicyName=name)
        return self.live(cloud, {**answer, "PolicyDocument": _text(answer["PolicyDocument"])})

    def update(self, cloud: Cloud, identifier: str, old: Props, new: Props, changed: set[str]) -> Props:
        self.call(cloud, "put_role_policy", **self.arguments(cloud, new))
        return {}

    def delete(self, cloud: Cloud, identifier: str, props: Props) -> None:
        role, _, name = identifier.partition(":")
        self.call(cloud, "delete_role_policy", RoleName=role, PolicyName=name)


@resource_type
class Policy(Resource):
    """A managed policy; its id is its ARN. An update makes a new default version and drops the oldest of five."""

    token = "aws:iam/policy:Policy"
    service = "iam"
    regional = False
    table = """
        name ^ =PolicyName
        namePrefix ^ =-
        path ^ default:/
        description ^
        policy policy ! =PolicyDocument
        arn ~
        policyId ~
        attachmentCount int ~
    """
    tagging = Tagging(add="tag_policy", remove="untag_policy", list="list_policy_tags", resource="PolicyArn")
    autoname = Autoname(limit=128, forbidden=r"[^\w+=,.@-]")
    create_call, create_answer, identifier = "create_policy", "Policy", "Arn"
    delete_key = "PolicyArn"

    def derived(self, cloud: Cloud, props: Props) -> Props:
        return {"arn": cloud.arn("iam", f"policy{props.get('path', '/')}{props['name']}", regional=False)}

    def read(self, cloud: Cloud, identifier: str, props: Props) -> Props | None:
        policy = self.call(cloud, "get_policy", PolicyArn=identifier)["Policy"]
        version = self.call(cloud, "get_policy_version", PolicyArn=identifier, VersionId=policy["DefaultVersionId"])
        return self.live(cloud, {**policy, "PolicyDocument": _text(version["PolicyVersion"]["Document"])})

    def update(self, cloud: Cloud, identifier: str, old: Props, new: Props, changed: set[str]) -> Props:
        if "policy" in changed:
            spare = self._spare_versions(cloud, identifier)
            if len(spare) >= 4:
                self.call(cloud, "delete_policy_version", PolicyArn=identifier, VersionId=spare[0])
            self.call(
                cloud, "create_policy_version", PolicyArn=identifier, PolicyDocument=new["policy"], SetAsDefault=True
            )
        return {}

    def delete(self, cloud: Cloud, identifier: str, props: Props) -> None:
        for version in self._spare_versions(cloud, identifier):
            self.call(cloud, "delete_policy_version", PolicyArn=identifier, VersionId=version)
        self.call(cloud, "delete_policy", PolicyArn=identifier)

    def _spare_versions(self, cloud: Cloud, arn: str) -> list[str]:
        versions = self.all(cloud, "list_policy_versions", "Versions", PolicyArn=arn)
        spare = [version["VersionId"] for version in versions if not version["IsDefaultVersion"]]
        return sorted(spare, key=lambda version: int(version[1:]))


@resource_type
class RolePolicyAttachment(Resource):
    """A managed policy attached to a role; its id is `role/policy ARN`."""

    token = "aws:iam/rolePolicyAttachment:RolePolicyAttachment"
    service = "iam"
    regional = False
    table = """
        role ! ^ =RoleName
        policyArn ! ^
    """

    def create(self, cloud: Cloud, inputs: Props) -> tuple[str, Props]:
        self.call(cloud, "attach_role_policy", **self.arguments(cloud, inputs))
        return f"{inputs['role']}/{inputs['policyArn']}", {}

    def read(self, cloud: Cloud, identifier: str, props: Props) -> Props | None:
        role, _, arn = identifier.partition("/")
        attached = self.all(cloud, "list_attached_role_policies", "AttachedPolicies", RoleName=role)
        return {"role": role, "policyArn": arn} if any(policy["PolicyArn"] == arn for policy in attached) else None

    def delete(self, cloud: Cloud, identifier: str, props: Props) -> None:
        role, _, arn = identifier.partition("/")
        self.call(cloud, "detach_role_policy", RoleName=role, PolicyArn=arn)
