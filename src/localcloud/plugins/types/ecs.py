"""ECS: clusters, task definitions and services."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from typing import Any

from botocore.exceptions import ClientError

from localcloud.plugins.conversion import camel, to_api
from localcloud.plugins.refusals import Refused
from localcloud.plugins.resource import Autoname, Cloud, HalfCreated, Resource, gone, resource_type
from localcloud.plugins.tags import LOWER, Tagging
from localcloud.plugins.values import Props

_TAGGING = Tagging("tags", LOWER, resource="resourceArn", keys="tagKeys")
_STEADY_SECONDS = 20 * 60  # pulumi-aws waits as long
_POLL_SECONDS = 0.1


@resource_type
class Cluster(Resource):
    """A cluster; its id is its ARN."""

    token = "aws:ecs/cluster:Cluster"
    service = "ecs"
    table = """
        name ^ =clusterName
        settings bag ?
            name !
            value !
        configuration object
            executeCommandConfiguration object
                kmsKeyId
                logging
                logConfiguration object
                    cloudWatchEncryptionEnabled bool
                    cloudWatchLogGroupName
                    s3BucketEncryptionEnabled bool =s3EncryptionEnabled
                    s3BucketName
                    s3KeyPrefix
            managedStorageConfiguration object
                fargateEphemeralStorageKmsKeyId
                kmsKeyId
        serviceConnectDefaults object
            namespace !
        arn ~ =clusterArn
    """
    spelling = camel
    tagging = _TAGGING
    autoname = Autoname(limit=255, forbidden=r"[^A-Za-z0-9_-]")
    create_call, create_answer, identifier = "create_cluster", "cluster", "clusterArn"

    def derived(self, cloud: Cloud, props: Props) -> Props:
        return {"arn": cloud.arn("ecs", f"cluster/{props['name']}")}

    def read(self, cloud: Cloud, identifier: str, props: Props) -> Props | None:
        clusters = self.call(
            cloud, "describe_clusters", clusters=[identifier], include=["TAGS", "SETTINGS", "CONFIGURATIONS"]
        )["clusters"]
        if not clusters or clusters[0]["status"] == "INACTIVE":
            return None
        return {"tagsAll": {}, **self.live(cloud, clusters[0])}

    def update(self, cloud: Cloud, identifier: str, old: Props, new: Props, changed: set[str]) -> Props:
        if {"settings", "configuration", "serviceConnectDefaults"} & changed:
            arguments = to_api(self.fields, new, camel, only=("settings", "configuration", "serviceConnectDefaults"))
            self.call(cloud, "update_cluster", cluster=identifier, **arguments)
        return {}

    def delete(self, cloud: Cloud, identifier: str, props: Props) -> None:
        self.call(cloud, "delete_cluster", cluster=identifier)

    def import_id(self, cloud: Cloud, identifier: str) -> str:
        return identifier if identifier.startswith("arn:") else cloud.arn("ecs", f"cluster/{identifier}")


@resource_type
class ClusterCapacityProviders(Resource):
    """What a cluster's tasks run on; its id is the cluster's name."""

    token = "aws:ecs/clusterCapacityProviders:ClusterCapacityProviders"
    service = "ecs"
    table = """
        clusterName ! ^ =cluster
        capacityProviders set
        defaultCapacityProviderStrategies bag =defaultCapacityProviderStrategy
            capacityProvider !
            base int default:0
            weight int default:0
    """
    spelling = camel

    def create(self, cloud: Cloud, inputs: Props) -> tuple[str, Props]:
        nothing: Props = {"capacityProviders": [], "defaultCapacityProviderStrategy": []}
        self.call(cloud, "put_cluster_capacity_providers", **{**nothing, **self.arguments(cloud, inputs)})
        return inputs["clusterName"], {}

    def read(self, cloud: Cloud, identifier: str, props: Props) -> Props | None:
        clusters = self.call(cloud, "describe_clusters", clusters=[identifier])["clusters"]
        if not clusters or clusters[0]["status"] == "INACTIVE":
            return None
        return {**self.live(cloud, clusters[0]), "clusterName": identifier}

    def update(self, cloud: Cloud, identifier: str, old: Props, new: Props, changed: set[str]) -> Props:
        self.create(cloud, new)
        return {}

    def delete(self, cloud: Cloud, identifier: str, props: Props) -> None:
        self.create(cloud, {"clusterName": identifier})


def _sorted_containers(text: str) -> Any:
    """Container definitions without what AWS takes as nothing, lists that have no order in order."""
    try:
        containers = json.loads(text)
    except ValueError:
        return text
    if not isinstance(containers, list):
        return containers
    return [_container(container) for container in containers if isinstance(container, dict)]


def _container(container: dict[str, Any]) -> Any:
    inner = _without_nothing({"essential": True, **container})
    for name in ("environment", "secrets", "mountPoints", "portMappings", "ulimits", "volumesFrom"):
        if isinstance(inner.get(name), list):
            inner[name] = sorted((_port(item) if name == "portMappings" else item for item in inner[name]), key=_order)
    return inner


def _order(item: Any) -> str:
    return json.dumps(item, sort_keys=True)


def _port(mapping: dict[str, Any]) -> dict[str, Any]:
    """With awsvpc networking the host's port is the container's."""
    kept = {"protocol": "tcp", **mapping}
    return {name: value for name, value in kept.items() if name != "hostPort" or value != kept.get("containerPort")}


def _without_nothing(value: Any) -> Any:
    if isinstance(value, dict):
        members = {name: _without_nothing(item) for name, item in value.items()}
        return {name: item for name, item in members.items() if item not in (None, "", 0, False, [], {})}
    return [_without_nothing(item) for item in value] if isinstance(value, list) else value


@resource_type
class TaskDefinition(Resource):
    """One revision of a family: any change makes a new one. Its id is the family, its identity the ARN."""

    token = "aws:ecs/taskDefinition:TaskDefinition"
    service = "ecs"
    table = """
        family ! ^
        containerDefinitions json ! ^
        cpu ^
        memory ^
        networkMode ^ ?
        requiresCompatibilities set ^
        executionRoleArn ^
        taskRoleArn ^
        ipcMode ^
        pidMode ^
        enableFaultInjection bool ^
        ephemeralStorage object ^
            sizeInGib int ! =sizeInGiB
        runtimePlatform object ^
            cpuArchitecture
            operatingSystemFamily
        placementConstraints bag ^
            type !
            expression
        volumes bag ^
            name !
            hostPath =host.sourcePath
            configureAtLaunch bool =configuredAtLaunch
            dockerVolumeConfiguration object
                autoprovision bool
                driver
                driverOpts map
                labels map
                scope
            efsVolumeConfiguration object
                fileSystemId !
                rootDirectory
                transitEncryption
                transitEncryptionPort int
                authorizationConfig object
                    accessPointId
                    iam
        skipDestroy bool =-
        trackLatest bool =-
        arn ~ =taskDefinitionArn
        arnWithoutRevision ~
        revision int ~
    """
    meanings = {"containerDefinitions": _sorted_containers}
    spelling = camel
    tagging = _TAGGING

    def validate(self, inputs: Props) -> list[tuple[str, str]]:
        text = inputs.get("containerDefinitions")
        if isinstance(text, str):
            parsed = json.loads(text)
            if not isinstance(parsed, list) or not all(isinstance(item, dict) and item.get("name") for item in parsed):
                return [("containerDefinitions", "must be a JSON list of objects that have a name")]
        return []

    def create(self, cloud: Cloud, inputs: Props) -> tuple[str, Props]:
        arguments = {
            **self.arguments(cloud, inputs),
            "containerDefinitions": json.loads(inputs["containerDefinitions"]),
        }
        answer = self.call(cloud, "register_task_definition", **arguments, **self.creating_tags(cloud, inputs))
        if sentence := cloud.notices.of(arguments):
            cloud.note(sentence)
        return inputs["family"], self.live(cloud, answer["taskDefinition"])

    def live(self, cloud: Cloud, described: Mapping[str, Any]) -> Props:
        live = super().live(cloud, described)
        return {**live, "arnWithoutRevision": live["arn"].rpartition(":")[0]}

    def read(self, cloud: Cloud, identifier: str, props: Props) -> Props | None:
        try:
            answer = self.call(
                cloud, "describe_task_definition", taskDefinition=props.get("arn") or identifier, include=["TAGS"]
            )
        except ClientError as error:
            if gone(error) or "Unable to describe" in str(error):
                return None
            raise
        if answer["taskDefinition"].get("status") == "INACTIVE":
            return None
        return {**self.live(cloud, answer["taskDefinition"]), "tagsAll": _TAGGING.unwrap(answer.get("tags"))}

    def delete(self, cloud: Cloud, identifier: str, props: Props) -> None:
        if props.get("skipDestroy"):
            return
        try:
            self.call(cloud, "deregister_task_definition", taskDefinition=props["arn"])
        except ClientError as error:
            if not gone(error) and "is not found" not in str(error) and "Unable to describe" not in str(error):
                raise

    def import_id(self, cloud: Cloud, identifier: str) -> str:
        """pulumi-aws imports by ARN and keeps the family."""
        return identifier.split("/")[-1] if identifier.startswith("arn:") else identifier


@resource_type
class Service(Resource):
    """A service; its id is its ARN. Deleting drains it, as AWS does."""

    token = "aws:ecs/service:Service"
    service = "ecs"
    table = """
        name ^ =serviceName
        cluster ^ ?
        taskDefinition
        desiredCount int default:0
        launchType ^ ?
        capacityProviderStrategies bag ^ =capacityProviderStrategy
            capacityProvider !
            base int default:0
            weight int default:0
        platformVersion ?
        networkConfiguration object =networkConfiguration.awsvpcConfiguration
            subnets set !
            securityGroups set
            assignPublicIp bool
        loadBalancers bag
            targetGroupArn
            elbName =loadBalancerName
            containerName !
            containerPort int !
        deploymentCircuitBreaker object =deploymentConfiguration.deploymentCircuitBreaker
            enable bool !
            rollback bool !
        deploymentMaximumPercent int default:200 =deploymentConfiguration.maximumPercent
        deploymentMinimumHealthyPercent int default:100 =deploymentConfiguration.minimumHealthyPercent
        deploymentController object ^
            type default:ECS
        availabilityZoneRebalancing ?
        enableEcsManagedTags bool =enableECSManagedTags
        enableExecuteCommand bool
        healthCheckGracePeriodSeconds int default:0
        propagateTags default:NONE
        schedulingStrategy ^ default:REPLICA
        placementConstraints bag
            type !
            expression
        orderedPlacementStrategies objects =placementStrategy
            type !
            field
        serviceRegistries object ^ =-
            registryArn !
            containerName
            containerPort int
            port int
        iamRole ^ =role
        forceDelete bool =-
        forceNewDeployment bool =-
        triggers map =-
        waitForSteadyState bool =-
        arn ~ =serviceArn
    """
    spelling = camel
    tagging = _TAGGING
    autoname = Autoname(limit=255, forbidden=r"[^A-Za-z0-9_-]")
    _updatable = (
        "taskDefinition", "desiredCount", "capacityProviderStrategies", "platformVersion", "networkConfiguration",
        "loadBalancers", "deploymentCircuitBreaker", "deploymentMaximumPercent", "deploymentMinimumHealthyPercent",
        "availabilityZoneRebalancing", "enableEcsManagedTags", "enableExecuteCommand", "healthCheckGracePeriodSeconds",
        "propagateTags", "placementConstraints", "orderedPlacementStrategies",
    )  # fmt: skip

    def derived(self, cloud: Cloud, props: Props) -> Props:
        cluster = str(props.get("cluster") or "default").split("/")[-1]
        return {"arn": cloud.arn("ecs", f"service/{cluster}/{props['name']}")}

    def arguments(self, cloud: Cloud, inputs: Props, updating: bool = False) -> Props:
        arguments = to_api(self.fields, inputs, camel, self._updatable if updating else None)
        network = arguments.get("networkConfiguration", {}).get("awsvpcConfiguration")
        if network and "assignPublicIp" in network:
            network["assignPublicIp"] = "ENABLED" if network["assignPublicIp"] else "DISABLED"
        if inputs.get("serviceRegistries") and not updating:
            arguments["serviceRegistries"] = [
                to_api(self.fields["serviceRegistries"].fields, inputs["serviceRegistries"], camel)
            ]
        if not updating and inputs.get("schedulingStrategy") != "DAEMON":
            arguments.setdefault("desiredCount", 0)
        return arguments

    def create(self, cloud: Cloud, inputs: Props) -> tuple[str, Props]:
        answer = self.call(
            cloud, "create_service", **self.arguments(cloud, inputs), **self.creating_tags(cloud, inputs)
        )
        arn, live = answer["service"]["serviceArn"], self.live(cloud, answer["service"])
        if inputs.get("waitForSteadyState"):
            try:
                self._wait_steady(cloud, arn, inputs)
            except Refused as unsteady:
                raise HalfCreated(arn, live, str(unsteady)) from unsteady
        return arn, live

    def live(self, cloud: Cloud, described: Mapping[str, Any]) -> Props:
        live = super().live(cloud, described)
        if "clusterArn" in described:
            live["cluster"] = described["clusterArn"]
        return live

    def read(self, cloud: Cloud, identifier: str, props: Props) -> Props | None:
        service = self._describe(cloud, identifier, props)
        if service is None or service["status"] != "ACTIVE":
            return None
        live = {"tagsAll": {}, **self.live(cloud, service)}
        declared = props.get("cluster")  # by name or by ARN: both say the same
        if isinstance(declared, str) and str(live.get("cluster")).endswith(f"/{declared}"):
            live["cluster"] = declared
        return live

    def update(self, cloud: Cloud, identifier: str, old: Props, new: Props, changed: set[str]) -> Props:
        changed = changed - {"tags", "tagsAll", "waitForSteadyState", "forceDelete"}
        if not changed:
            return {}
        arguments = self.arguments(cloud, new, updating=True)
        if "desiredCount" not in changed:
            arguments.pop("desiredCount", None)  # autoscaling may have changed it since
        if new.get("forceNewDeployment") or "triggers" in changed:
            arguments["forceNewDeployment"] = True
        self.call(cloud, "update_service", cluster=_cluster(new), service=identifier, **arguments)
        if new.get("waitForSteadyState"):
            try:
                self._wait_steady(cloud, identifier, new)
            except Refused as unsteady:
                raise HalfCreated(identifier, {}, str(unsteady)) from unsteady
        return {}

    def delete(self, cloud: Cloud, identifier: str, props: Props) -> None:
        cluster, name = _cluster(props), identifier.split("/")[-1]
        try:
            if props.get("schedulingStrategy") != "DAEMON":
                self.call(cloud, "update_service", cluster=cluster, service=name, desiredCount=0)
            self.call(cloud, "delete_service", cluster=cluster, service=name, force=True)
        except ClientError as error:
            if not gone(error) and "ServiceNotActive" not in str(error):
                raise

        def drained() -> bool:
            service = self._describe(cloud, identifier, props)
            return service is None or service["status"] == "INACTIVE"

        _wait(drained, f"service {name} still has tasks that do not stop")

    def import_id(self, cloud: Cloud, identifier: str) -> str:
        """`cluster/service` is what pulumi-aws imports by."""
        return identifier if identifier.startswith("arn:") else cloud.arn("ecs", f"service/{identifier}")

    def _describe(self, cloud: Cloud, identifier: str, props: Props) -> dict[str, Any] | None:
        cluster = props.get("cluster") or identifier.split("/")[-2]
        try:
            services = self.call(cloud, "describe_services", cluster=cluster, services=[identifier], include=["TAGS"])[
                "services"
            ]
        except ClientError as error:
            if gone(error):
                return None
            raise
        return dict(services[0]) if services else None

    def _wait_steady(self, cloud: Cloud, arn: str, props: Props) -> None:
        """AWS's rule: one deployment, and as many running as desired; a deployment that was given up is a failure."""
        service: dict[str, Any] = {}

        def steady() -> bool:
            service.update(self._describe(cloud, arn, props) or {})
            wanted, failed = str(props.get("taskDefinition")), None
            for deployment in service.get("deployments", []):
                if deployment.get("rolloutState") == "FAILED":
                    failed = deployment
            if failed is not None:
                reason = failed.get("rolloutStateReason") or "the deployment failed"
                raise Refused(f"{reason}; {_last_event(service)}")
            deployments = service.get("deployments", [])
            done = len(deployments) == 1 and service.get("runningCount") == service.get("desiredCount")
            if done and not str(service.get("taskDefinition")).endswith(wanted.split("/")[-1]):
                raise Refused(f"it was rolled back to {service.get('taskDefinition')}; {_last_event(service)}")
            return done and deployments[0].get("rolloutState", "COMPLETED") == "COMPLETED"

        _wait(steady, f"the service did not become steady: {_last_event(service)}")


def _cluster(props: Props) -> str:
    return str(props.get("cluster") or "default")


def _last_event(service: Mapping[str, Any]) -> str:
    events = service.get("events") or []
    return f"last event: {events[0].get('message')}" if events else "no events"


def _wait(done: Callable[[], bool], otherwise: str) -> None:
    deadline = time.monotonic() + _STEADY_SECONDS
    while not done():
        if time.monotonic() > deadline:
            raise Refused(f"{otherwise} (waited {_STEADY_SECONDS // 60} minutes)")
        time.sleep(_POLL_SECONDS)
