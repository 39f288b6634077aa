"""ECR: image repositories."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from localcloud.plugins.conversion import camel, to_api
from localcloud.plugins.resource import Autoname, Cloud, Resource, resource_type
from localcloud.plugins.tags import Tagging
from localcloud.plugins.values import Props


@resource_type
class Repository(Resource):
    """A repository of images; its id is its name."""

    token = "aws:ecr/repository:Repository"
    service = "ecr"
    table = """
        name ^ =repositoryName
        imageTagMutability default:MUTABLE
        imageTagMutabilityExclusionFilters bag
            filter !
            filterType !
        imageScanningConfiguration object
            scanOnPush bool !
        encryptionConfigurations objects ^ =-
            encryptionType default:AES256
            kmsKey
        forceDelete bool =-
        arn ~ =repositoryArn
        registryId ~
        repositoryUrl ~ =repositoryUri
    """
    spelling = camel
    tagging = Tagging("tags", resource="resourceArn", keys="tagKeys")
    autoname = Autoname(limit=256, lower=True, forbidden=r"[^A-Za-z0-9._/-]")
    create_call, create_answer, identifier = "create_repository", "repository", "repositoryName"
    read_call, read_key, read_answer = "describe_repositories", "repositoryNames[]", "repositories"

    def derived(self, cloud: Cloud, props: Props) -> Props:
        return {
            "arn": cloud.arn("ecr", f"repository/{props['name']}"),
            "registryId": cloud.account,
            "repositoryUrl": f"{cloud.registry_host()}/{props['name']}",
        }

    def arguments(self, cloud: Cloud, inputs: Props, updating: bool = False) -> Props:
        arguments = super().arguments(cloud, inputs)
        if inputs.get("encryptionConfigurations"):
            inner = self.fields["encryptionConfigurations"].fields
            arguments["encryptionConfiguration"] = {
                "encryptionType": "AES256",
                **to_api(inner, inputs["encryptionConfigurations"][0], camel),
            }
        return arguments

    def live(self, cloud: Cloud, described: Mapping[str, Any]) -> Props:
        live = super().live(cloud, described)
        if encryption := described.get("encryptionConfiguration"):
            live["encryptionConfigurations"] = [dict(encryption)]
        if encryption == {"encryptionType": "AES256"}:  # what nothing means
            live.pop("encryptionConfigurations")
        return live

    def update(self, cloud: Cloud, identifier: str, old: Props, new: Props, changed: set[str]) -> Props:
        if {"imageTagMutability", "imageTagMutabilityExclusionFilters"} & changed:
            arguments = to_api(self.fields, new, camel, ("imageTagMutability", "imageTagMutabilityExclusionFilters"))
            self.call(
                cloud,
                "put_image_tag_mutability",
                repositoryName=identifier,
                **{"imageTagMutability": "MUTABLE", **arguments},
            )
        if "imageScanningConfiguration" in changed:
            scanning = new.get("imageScanningConfiguration") or {"scanOnPush": False}
            self.call(
                cloud,
                "put_image_scanning_configuration",
                repositoryName=identifier,
                imageScanningConfiguration=scanning,
            )
        return {}

    def delete(self, cloud: Cloud, identifier: str, props: Props) -> None:
        self.call(cloud, "delete_repository", repositoryName=identifier, force=bool(props.get("forceDelete")))
        if cloud.images is not None:
            cloud.images.remove(f"{cloud.registry_host()}/{identifier}")


@resource_type
class LifecyclePolicy(Resource):
    """Which images expire; its id is the repository's name."""

    token = "aws:ecr/lifecyclePolicy:LifecyclePolicy"
    service = "ecr"
    table = """
        repository ! ^ =repositoryName
        policy json ! =lifecyclePolicyText
        registryId ~
    """
    spelling = camel
    create_call, identifier = "put_lifecycle_policy", "repositoryName"
    read_call, read_key = "get_lifecycle_policy", "repositoryName"
    update_call = "put_lifecycle_policy"
    delete_call = "delete_lifecycle_policy"


@resource_type
class RepositoryPolicy(Resource):
    """Who may do what with a repository; its id is the repository's name."""

    token = "aws:ecr/repositoryPolicy:RepositoryPolicy"
    service = "ecr"
    table = """
        repository ! ^ =repositoryName
        policy policy ! =policyText
        registryId ~
    """
    spelling = camel
    create_call, identifier = "set_repository_policy", "repositoryName"
    read_call, read_key = "get_repository_policy", "repositoryName"
    delete_call = "delete_repository_policy"

    def update(self, cloud: Cloud, identifier: str, old: Props, new: Props, changed: set[str]) -> Props:
        self.call(cloud, "set_repository_policy", **self.arguments(cloud, new))
        return {}
