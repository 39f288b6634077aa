"""IAM: users and groups, instance profiles, identity providers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from botocore.exceptions import ClientError

from localcloud.plugins.resource import Autoname, Cloud, Resource, gone, resource_type
from localcloud.plugins.tags import Tagging
from localcloud.plugins.values import Props

_FORBIDDEN = r"[^\w+=,.@-]"


@resource_type
class InstanceProfile(Resource):
    """What gives an instance its role; its id is its name."""

    token = "aws:iam/instanceProfile:InstanceProfile"
    service = "iam"
    regional = False
    table = """
        name ^ =InstanceProfileName
        namePrefix ^ =-
        path ^ default:/
        role =-
        arn ~
        createDate ~
        uniqueId ~ =InstanceProfileId
    """
    tagging = Tagging(
        add="tag_instance_profile", remove="untag_instance_profile", list="list_instance_profile_tags",
        resource="InstanceProfileName",
    )  # fmt: skip
    autoname = Autoname(limit=128, forbidden=_FORBIDDEN)
    create_call, create_answer, identifier = "create_instance_profile", "InstanceProfile", "InstanceProfileName"
    read_call, read_key, read_answer = "get_instance_profile", "InstanceProfileName", "InstanceProfile"
    delete_call = "delete_instance_profile"

    def derived(self, cloud: Cloud, props: Props) -> Props:
        return {"arn": cloud.arn("iam", f"instance-profile{props.get('path', '/')}{props['name']}", regional=False)}

    def create(self, cloud: Cloud, inputs: Props) -> tuple[str, Props]:
        name, live = super().create(cloud, inputs)
        if inputs.get("role"):
            self.call(cloud, "add_role_to_instance_profile", InstanceProfileName=name, RoleName=inputs["role"])
        return name, {**live, **({"role": inputs["role"]} if inputs.get("role") else {})}

    def live(self, cloud: Cloud, described: Mapping[str, Any]) -> Props:
        roles = [role["RoleName"] for role in described.get("Roles", [])]
        return {**super().live(cloud, described), **({"role": roles[0]} if roles else {})}

    def update(self, cloud: Cloud, identifier: str, old: Props, new: Props, changed: set[str]) -> Props:
        if "role" in changed:
            self._empty(cloud, identifier)
            if new.get("role"):
                self.call(cloud, "add_role_to_instance_profile", InstanceProfileName=identifier, RoleName=new["role"])
        return {}

    def delete(self, cloud: Cloud, identifier: str, props: Props) -> None:
        self._empty(cloud, identifier)
        super().delete(cloud, identifier, props)

    def tagged(self, identifier: str, props: Props) -> str:
        return identifier

    def _empty(self, cloud: Cloud, identifier: str) -> None:
        profile = self.call(cloud, "get_instance_profile", InstanceProfileName=identifier)["InstanceProfile"]
        for role in profile["Roles"]:
            name = role["RoleName"]
            self.call(cloud, "remove_role_from_instance_profile", InstanceProfileName=identifier, RoleName=name)


@resource_type
class User(Resource):
    """A user; its id is the name that it was made by, which a later name does not change: Pulumi keeps ids.

    `forceDestroy` takes access keys and policies along.
    """

    token = "aws:iam/user:User"
    service = "iam"
    regional = False
    table = """
        name =UserName
        path default:/
        forceDestroy bool =-
        permissionsBoundary
        arn ~
        uniqueId ~ =UserId
    """
    tagging = Tagging(add="tag_user", remove="untag_user", list="list_user_tags", resource="UserName")
    autoname = Autoname(limit=64, forbidden=_FORBIDDEN)
    create_call, create_answer, identifier = "create_user", "User", "UserName"
    read_call, read_key, read_answer = "get_user", "UserName", "User"
    delete_call = "delete_user"

    def derived(self, cloud: Cloud, props: Props) -> Props:
        return {"arn": cloud.arn("iam", f"user{props.get('path', '/')}{props['name']}", regional=False)}

    def live(self, cloud: Cloud, described: Mapping[str, Any]) -> Props:
        boundary = (described.get("PermissionsBoundary") or {}).get("PermissionsBoundaryArn")
        return super().live(cloud, {**described, "PermissionsBoundary": boundary})

    def update(self, cloud: Cloud, identifier: str, old: Props, new: Props, changed: set[str]) -> Props:
        name = self._name(identifier, new)
        if {"name", "path"} & changed:
            former = self._name(identifier, old)
            if former != name and self._exists(cloud, name) and not self._exists(cloud, former):
                former = name  # an update that was interrupted has renamed it
            path = new.get("path") or "/"
            self.call(cloud, "update_user", UserName=former, NewUserName=name, NewPath=path)
        if "permissionsBoundary" in changed:
            if new.get("permissionsBoundary"):
                boundary = new["permissionsBoundary"]
                self.call(cloud, "put_user_permissions_boundary", UserName=name, PermissionsBoundary=boundary)
            else:
                self.call(cloud, "delete_user_permissions_boundary", UserName=name)
        return {"name": name}

    def delete(self, cloud: Cloud, identifier: str, props: Props) -> None:
        user = self._name(identifier, props)
        if props.get("forceDestroy"):
            for key in self.all(cloud, "list_access_keys", "AccessKeyMetadata", UserName=user):
                self.call(cloud, "delete_access_key", UserName=user, AccessKeyId=key["AccessKeyId"])
            for name in self.all(cloud, "list_user_policies", "PolicyNames", UserName=user):
                self.call(cloud, "delete_user_policy", UserName=user, PolicyName=name)
        super().delete(cloud, identifier, props)

    def key(self, argument: str, identifier: str, props: Props) -> dict[str, Any]:
        return {argument: self._name(identifier, props)}

    def tagged(self, identifier: str, props: Props) -> str:
        return self._name(identifier, props)

    def _name(self, identifier: str, props: Props) -> str:
        return str(props.get("name") or identifier)

    def _exists(self, cloud: Cloud, name: str) -> bool:
        try:
            self.call(cloud, self.read_call, UserName=name)
        except ClientError as error:
            if not gone(error):
                raise
            return False
        return True


@resource_type
class Group(Resource):
    """A group of users; its id is its name."""

    token = "aws:iam/group:Group"
    service = "iam"
    regional = False
    table = """
        name ^ =GroupName
        path ^ default:/
        arn ~
        uniqueId ~ =GroupId
    """
    autoname = Autoname(limit=128, forbidden=_FORBIDDEN)
    create_call, create_answer, identifier = "create_group", "Group", "GroupName"
    read_call, read_key, read_answer = "get_group", "GroupName", "Group"
    delete_call = "delete_group"

    def derived(self, cloud: Cloud, props: Props) -> Props:
        return {"arn": cloud.arn("iam", f"group{props.get('path', '/')}{props['name']}", regional=False)}


@resource_type
class OpenIdConnectProvider(Resource):
    """Trust in another's identities (of a code host's pipelines, say); its id is its ARN."""

    token = "aws:iam/openIdConnectProvider:OpenIdConnectProvider"
    service = "iam"
    regional = False
    table = """
        url ! ^
        clientIdLists set ! =ClientIDList
        thumbprintLists list ? =ThumbprintList
        arn ~
    """
    meanings = {"url": lambda text: text.removeprefix("https://")}
    tagging = Tagging(
        add="tag_open_id_connect_provider", remove="untag_open_id_connect_provider",
        list="list_open_id_connect_provider_tags", resource="OpenIDConnectProviderArn",
    )  # fmt: skip
    create_call, identifier = "create_open_id_connect_provider", "OpenIDConnectProviderArn"
    read_call, read_key = "get_open_id_connect_provider", "OpenIDConnectProviderArn"
    delete_call = "delete_open_id_connect_provider"

    def derived(self, cloud: Cloud, props: Props) -> Props:
        host = str(props["url"]).removeprefix("https://")
        return {"arn": cloud.arn("iam", f"oidc-provider/{host}", regional=False)}

    def update(self, cloud: Cloud, identifier: str, old: Props, new: Props, changed: set[str]) -> Props:
        if "thumbprintLists" in changed:
            arguments = {"OpenIDConnectProviderArn": identifier, "ThumbprintList": new.get("thumbprintLists") or []}
            self.call(cloud, "update_open_id_connect_provider_thumbprint", **arguments)
        if "clientIdLists" in changed:
            had = self.call(cloud, self.read_call, OpenIDConnectProviderArn=identifier)["ClientIDList"]
            for client in set(new["clientIdLists"]) ^ set(had):
                verb = "add_client_id_to" if client not in had else "remove_client_id_from"
                named = {"OpenIDConnectProviderArn": identifier, "ClientID": client}
                self.call(cloud, f"{verb}_open_id_connect_provider", **named)
        return {}

    def tagged(self, identifier: str, props: Props) -> str:
        return identifier
