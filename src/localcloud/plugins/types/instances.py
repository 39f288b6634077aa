"""What instances are made of: launch templates, Auto Scaling groups, ECS capacity providers. No instance runs here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from localcloud.plugins.conversion import camel, from_api, pascal, to_api
from localcloud.plugins.resource import Autoname, Cloud, Resource, dig, resource_type
from localcloud.plugins.tags import LOWER, Ec2Tagging, Tagging
from localcloud.plugins.types.ec2 import Ec2
from localcloud.plugins.values import Props


@resource_type
class LaunchTemplate(Ec2):
    """How instances are made; each change is a new version."""

    token = "aws:ec2/launchTemplate:LaunchTemplate"
    kind = "launch-template"
    table = """
        name ^ =-
        namePrefix ^ =-
        description =-
        defaultVersion int ? =-
        updateDefaultVersion bool =-
        imageId
        instanceType
        keyName
        userData
        ebsOptimized
        disableApiTermination bool
        instanceInitiatedShutdownBehavior
        vpcSecurityGroupIds set =SecurityGroupIds
        securityGroupNames set =SecurityGroups
        iamInstanceProfile object
            arn
            name
        monitoring object
            enabled bool
        metadataOptions object
            httpEndpoint
            httpProtocolIpv6
            httpPutResponseHopLimit int
            httpTokens
            instanceMetadataTags
        blockDeviceMappings bag
            deviceName
            noDevice
            virtualName
            ebs object
                deleteOnTermination
                encrypted
                iops int
                kmsKeyId
                snapshotId
                throughput int
                volumeSize int
                volumeType
        networkInterfaces objects
            associatePublicIpAddress
            deleteOnTermination
            description
            deviceIndex int
            networkInterfaceId
            privateIpAddress
            securityGroups set =Groups
            subnetId
        tagSpecifications bag
            resourceType
            tags map
        arn ~ =-
        latestVersion int ~ =LatestVersionNumber
    """
    tagging = Ec2Tagging(kind="launch-template")
    autoname = Autoname(limit=128, forbidden=r"[^A-Za-z0-9()./_-]")
    recomputed = frozenset({"latestVersion", "defaultVersion"})
    _flags = ("deleteOnTermination", "encrypted", "associatePublicIpAddress", "ebsOptimized")  # text in Pulumi

    def create(self, cloud: Cloud, inputs: Props) -> tuple[str, Props]:
        answer = self.call(
            cloud, "create_launch_template", LaunchTemplateName=inputs["name"], LaunchTemplateData=self._data(inputs),
            **self._described(inputs), **self.creating_tags(cloud, inputs),
        )["LaunchTemplate"]  # fmt: skip
        return str(answer["LaunchTemplateId"]), _versions(answer)

    def read(self, cloud: Cloud, identifier: str, props: Props) -> Props | None:
        template = dig(self.call(cloud, "describe_launch_templates", LaunchTemplateIds=[identifier]), "LaunchTemplates")
        if not template:
            return None
        versions = self.call(
            cloud, "describe_launch_template_versions", LaunchTemplateId=identifier, Versions=["$Latest"]
        )["LaunchTemplateVersions"]
        data = versions[0]["LaunchTemplateData"]
        for each in data.get("TagSpecifications", []):
            each["Tags"] = Tagging().unwrap(each["Tags"])
        said = {"description": versions[0]["VersionDescription"]} if versions[0].get("VersionDescription") else {}
        tags = {"tagsAll": Ec2Tagging().unwrap(template.get("Tags"))}
        live = _as_text(from_api(self.fields, data, pascal), self._flags)
        return {"name": template["LaunchTemplateName"], **live, **said, **_versions(template), **tags}

    def update(self, cloud: Cloud, identifier: str, old: Props, new: Props, changed: set[str]) -> Props:
        if changed - {"tags", "tagsAll", "defaultVersion", "updateDefaultVersion"}:
            self.call(
                cloud, "create_launch_template_version", LaunchTemplateId=identifier,
                LaunchTemplateData=self._data(new), **self._described(new),
            )  # fmt: skip
        answer = self.call(cloud, "describe_launch_templates", LaunchTemplateIds=[identifier])["LaunchTemplates"][0]
        wanted = answer["LatestVersionNumber"] if new.get("updateDefaultVersion") else new.get("defaultVersion")
        if wanted and int(wanted) != answer["DefaultVersionNumber"]:
            number = str(int(wanted))
            answer = {**answer, "DefaultVersionNumber": int(wanted)}
            self.call(cloud, "modify_launch_template", LaunchTemplateId=identifier, DefaultVersion=number)
        return _versions(answer)

    def delete(self, cloud: Cloud, identifier: str, props: Props) -> None:
        self.call(cloud, "delete_launch_template", LaunchTemplateId=identifier)

    def _described(self, inputs: Props) -> Props:
        return {"VersionDescription": inputs["description"]} if inputs.get("description") else {}

    def _data(self, inputs: Props) -> Props:
        data = _as_flags(to_api(self.fields, inputs, pascal), [name[:1].upper() + name[1:] for name in self._flags])
        for each in data.get("TagSpecifications", []):
            each["Tags"] = Tagging().wrap(each.get("Tags") or {})
        return dict(data)


def _versions(template: Mapping[str, Any]) -> Props:
    return {
        "latestVersion": float(template["LatestVersionNumber"]),
        "defaultVersion": float(template["DefaultVersionNumber"]),
    }


def _as_flags(value: Any, names: list[str]) -> Any:
    """`"true"` becomes true where the API wants a switch."""
    if isinstance(value, dict):
        return {key: item == "true" if key in names else _as_flags(item, names) for key, item in value.items()}
    return [_as_flags(item, names) for item in value] if isinstance(value, list) else value


def _as_text(value: Any, names: tuple[str, ...]) -> Any:
    if isinstance(value, dict):
        return {key: str(item).lower() if key in names else _as_text(item, names) for key, item in value.items()}
    return [_as_text(item, names) for item in value] if isinstance(value, list) else value


@resource_type
class AutoScalingGroup(Resource):
    """A group of equal instances; its id is its name."""

    token = "aws:autoscaling/group:Group"
    service = "autoscaling"
    table = """
        name ^ =AutoScalingGroupName
        namePrefix ^ =-
        minSize int !
        maxSize int !
        desiredCapacity int ?
        defaultCooldown int default:300
        healthCheckType default:EC2
        healthCheckGracePeriod int ?
        availabilityZones set ?
        vpcZoneIdentifiers set ? =-
        launchTemplate object
            id ? =LaunchTemplateId
            name ? =LaunchTemplateName
            version default:$Default
        targetGroupArns set ? =TargetGroupARNs
        terminationPolicies list ?
        protectFromScaleIn bool default:false =NewInstancesProtectedFromScaleIn
        capacityRebalance bool default:false
        maxInstanceLifetime int
        forceDelete bool =-
        waitForCapacityTimeout =-
        tags bag =-
            key !
            value !
            propagateAtLaunch bool !
        arn ~ =AutoScalingGroupARN
        predictedCapacity int ~
        warmPoolSize int ~
    """
    autoname = Autoname(limit=255)
    create_call, named_by, reads_back = "create_auto_scaling_group", "name", True
    read_call, read_key, read_answer = "describe_auto_scaling_groups", "AutoScalingGroupNames[]", "AutoScalingGroups"

    def arguments(self, cloud: Cloud, inputs: Props, updating: bool = False) -> Props:
        arguments = super().arguments(cloud, inputs)
        if inputs.get("vpcZoneIdentifiers"):
            arguments["VPCZoneIdentifier"] = ",".join(sorted(inputs["vpcZoneIdentifiers"]))
            arguments.pop("AvailabilityZones", None)
        if updating:
            arguments.pop("TargetGroupARNs", None)
        elif inputs.get("tags"):
            arguments["Tags"] = [self._tag(inputs["name"], tag) for tag in inputs["tags"]]
        return arguments

    def live(self, cloud: Cloud, described: Mapping[str, Any]) -> Props:
        live = super().live(cloud, described)
        subnets = [name for name in str(described.get("VPCZoneIdentifier") or "").split(",") if name]
        tags = [
            {"key": tag["Key"], "value": tag["Value"], "propagateAtLaunch": tag["PropagateAtLaunch"]}
            for tag in described.get("Tags", [])
        ]
        return {"predictedCapacity": 0.0, "warmPoolSize": 0.0, **live, "vpcZoneIdentifiers": subnets, "tags": tags}

    def update(self, cloud: Cloud, identifier: str, old: Props, new: Props, changed: set[str]) -> Props:
        if changed - {"tags", "tagsAll", "targetGroupArns", "forceDelete"}:
            self.call(cloud, "update_auto_scaling_group", **self.arguments(cloud, new, updating=True))
        if "tags" in changed:
            self._retag(cloud, identifier, new)
        if "targetGroupArns" in changed:
            had, wanted = set(old.get("targetGroupArns") or []), set(new.get("targetGroupArns") or [])
            for verb, groups in (("attach", wanted - had), ("detach", had - wanted)):
                if groups:
                    named = {"AutoScalingGroupName": identifier, "TargetGroupARNs": sorted(groups)}
                    self.call(cloud, f"{verb}_load_balancer_target_groups", **named)
        return {}

    def delete(self, cloud: Cloud, identifier: str, props: Props) -> None:
        self.call(cloud, "delete_auto_scaling_group", AutoScalingGroupName=identifier, ForceDelete=True)

    def _retag(self, cloud: Cloud, identifier: str, new: Props) -> None:
        group = dig(self.call(cloud, self.read_call, AutoScalingGroupNames=[identifier]), self.read_answer)
        wanted = {tag["key"] for tag in new.get("tags") or []}
        old = [{"ResourceId": identifier, "ResourceType": "auto-scaling-group", "Key": tag["Key"]}
               for tag in group.get("Tags", []) if tag["Key"] not in wanted]  # fmt: skip
        if old:
            self.call(cloud, "delete_tags", Tags=old)
        if new.get("tags"):
            self.call(cloud, "create_or_update_tags", Tags=[self._tag(identifier, tag) for tag in new["tags"]])

    def _tag(self, name: str, tag: Props) -> Props:
        whose = {"ResourceId": name, "ResourceType": "auto-scaling-group"}
        return {**whose, "Key": tag["key"], "Value": tag["value"], "PropagateAtLaunch": tag["propagateAtLaunch"]}


@resource_type
class CapacityProvider(Resource):
    """An Auto Scaling group that a cluster's tasks may run on; its id is its ARN."""

    token = "aws:ecs/capacityProvider:CapacityProvider"
    service = "ecs"
    table = """
        name ^
        autoScalingGroupProvider object
            autoScalingGroupArn ! ^
            managedDraining ?
            managedTerminationProtection ?
            managedScaling object ?
                instanceWarmupPeriod int ?
                maximumScalingStepSize int ?
                minimumScalingStepSize int ?
                status ?
                targetCapacity int ?
        arn ~ =capacityProviderArn
    """
    spelling = camel
    tagging = Tagging("tags", LOWER, resource="resourceArn", keys="tagKeys")
    autoname = Autoname(limit=255)
    create_call, create_answer, identifier = "create_capacity_provider", "capacityProvider", "capacityProviderArn"
    read_call, read_key, read_answer = "describe_capacity_providers", "capacityProviders[]", "capacityProviders"
    delete_call, delete_key = "delete_capacity_provider", "capacityProvider"

    def validate(self, inputs: Props) -> list[tuple[str, str]]:
        return [] if inputs.get("autoScalingGroupProvider") else [("autoScalingGroupProvider", "must be given")]

    def derived(self, cloud: Cloud, props: Props) -> Props:
        return {"arn": cloud.arn("ecs", f"capacity-provider/{props['name']}")}

    def read(self, cloud: Cloud, identifier: str, props: Props) -> Props | None:
        provider = dig(
            self.call(cloud, self.read_call, capacityProviders=[identifier], include=["TAGS"]), self.read_answer
        )
        return self.live(cloud, {"tags": [], **provider}) if provider and provider["status"] == "ACTIVE" else None

    def delete(self, cloud: Cloud, identifier: str, props: Props) -> None:
        if self.read(cloud, identifier, props) is not None:
            super().delete(cloud, identifier, props)

    def update(self, cloud: Cloud, identifier: str, old: Props, new: Props, changed: set[str]) -> Props:
        if "autoScalingGroupProvider" in changed:
            arguments = self.arguments(cloud, new)["autoScalingGroupProvider"]
            arguments.pop("autoScalingGroupArn", None)
            self.call(cloud, "update_capacity_provider", name=new["name"], autoScalingGroupProvider=arguments)
        return {}
