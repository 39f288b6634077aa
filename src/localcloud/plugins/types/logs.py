"""CloudWatch Logs."""

from __future__ import annotations

from botocore.exceptions import ClientError

from localcloud.plugins.conversion import camel
from localcloud.plugins.resource import Autoname, Cloud, HalfCreated, Resource, resource_type
from localcloud.plugins.tags import Tagging
from localcloud.plugins.values import Props


@resource_type
class LogGroup(Resource):
    """A log group."""

    token = "aws:cloudwatch/logGroup:LogGroup"
    service = "logs"
    table = """
        name ^ =logGroupName
        namePrefix ^ =-
        retentionInDays int =retentionInDays default:0
        kmsKeyId
        logGroupClass ^ ?
        skipDestroy bool =-
        arn ~ =-
    """
    spelling = camel
    tagging = Tagging("tags", pairs=None, resource="resourceArn", keys="tagKeys")
    autoname = Autoname(limit=512, forbidden=r"[^A-Za-z0-9_./#-]")
    create_call = "create_log_group"
    delete_call, delete_key = "delete_log_group", "logGroupName"

    def derived(self, cloud: Cloud, props: Props) -> Props:
        return {"arn": cloud.arn("logs", f"log-group:{props['name']}")}

    def arguments(self, cloud: Cloud, inputs: Props, updating: bool = False) -> Props:
        arguments = super().arguments(cloud, inputs)
        arguments.pop("retentionInDays", None)
        return arguments

    def create(self, cloud: Cloud, inputs: Props) -> tuple[str, Props]:
        name = inputs["name"]
        self.call(cloud, self.create_call, **self.arguments(cloud, inputs), **self.creating_tags(cloud, inputs))
        if inputs.get("retentionInDays"):
            try:
                self._retention(cloud, name, inputs)
            except ClientError as error:
                raise HalfCreated(name, {}, str(error)) from error
        return name, {}

    def read(self, cloud: Cloud, identifier: str, props: Props) -> Props | None:
        groups = self.call(cloud, "describe_log_groups", logGroupNamePrefix=identifier)["logGroups"]
        group = next((group for group in groups if group["logGroupName"] == identifier), None)
        if group is None:
            return None
        tags = self.call(cloud, "list_tags_for_resource", resourceArn=cloud.arn("logs", f"log-group:{identifier}"))
        return {"retentionInDays": 0.0, **self.live(cloud, group), "tagsAll": tags.get("tags", {})}

    def update(self, cloud: Cloud, identifier: str, old: Props, new: Props, changed: set[str]) -> Props:
        if "retentionInDays" in changed:
            self._retention(cloud, identifier, new)
        if "kmsKeyId" in changed:
            if new.get("kmsKeyId"):
                self.call(cloud, "associate_kms_key", logGroupName=identifier, kmsKeyId=new["kmsKeyId"])
            else:
                self.call(cloud, "disassociate_kms_key", logGroupName=identifier)
        return {}

    def delete(self, cloud: Cloud, identifier: str, props: Props) -> None:
        if not props.get("skipDestroy"):
            super().delete(cloud, identifier, props)

    def tagged(self, identifier: str, props: Props) -> str:
        return str(props.get("arn") or identifier)

    def _retention(self, cloud: Cloud, name: str, inputs: Props) -> None:
        days = inputs.get("retentionInDays")
        if days:
            self.call(cloud, "put_retention_policy", logGroupName=name, retentionInDays=int(days))
        else:
            self.call(cloud, "delete_retention_policy", logGroupName=name)
