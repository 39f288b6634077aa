"""ECS services: moto keeps counts that follow the request; here the agent writes counts, deployments and events."""

from __future__ import annotations

from typing import Any

from moto.ecs import models, responses

from localcloud.patches import hooks
from localcloud.patches.ecs.api import with_security_groups

Backend = models.EC2ContainerServiceBackend

UNSTORED = {
    "availabilityZoneRebalancing": "availability_zone_rebalancing",
    "capacityProviderStrategy": "capacity_provider_strategy",
    "deploymentConfiguration": "deployment_configuration",
    "enableECSManagedTags": "enable_ecs_managed_tags",
    "enableExecuteCommand": "enable_execute_command",
    "healthCheckGracePeriodSeconds": "health_check_grace_period_seconds",
    "placementConstraints": "placement_constraints",
    "placementStrategy": "placement_strategy",
    "serviceConnectConfiguration": "service_connect_configuration",
}
"""What moto drops of CreateService and UpdateService (ecs/responses.py:288, 347) -> attribute it comes back by."""

DEFAULT_DEPLOYMENT = {
    "deploymentCircuitBreaker": {"enable": False, "rollback": False},
    "maximumPercent": 200,
    "minimumHealthyPercent": 100,
}


def apply() -> None:
    """Keep what was declared, and let the agent decide what becomes of it."""
    _patch_network()
    _patch_requests()
    _patch_update()
    _patch_delete()


def _patch_network() -> None:
    stock = models.Service._validate_network

    def validate(service: Any, network: dict[str, Any]) -> Any:
        return stock(service, with_security_groups(network))

    models.Service._validate_network = validate


def _tell(service: Any) -> None:
    listener = hooks.listener(service._account_id)
    if listener is not None:
        listener.service_changed(service)


def _patch_requests() -> None:
    response = responses.EC2ContainerServiceResponse
    for name in ("create_service", "update_service"):
        setattr(response, name, _keeping(getattr(response, name), create=name == "create_service"))


def _keeping(stock: Any, create: bool) -> Any:
    def handler(self: Any) -> Any:
        result = stock(self)
        service = result.result["service"]
        if create:
            _set_defaults(service)
        for parameter, attribute in UNSTORED.items():
            value = self._get_param(parameter)
            if value is not None:
                setattr(service, attribute, value)
        if service.capacity_provider_strategy:
            # AWS shows either the one or the other; moto made up the launch type EC2 (ecs/models.py:1631).
            service.launch_type = None
        configuration = service.deployment_configuration or {}
        service.deployment_configuration = {**DEFAULT_DEPLOYMENT, **configuration}
        if self._get_param("forceNewDeployment"):
            service.new_deployment_forced = True
        _tell(service)
        return result

    return handler


def _set_defaults(service: Any) -> None:
    service.availability_zone_rebalancing = "DISABLED"
    service.enable_ecs_managed_tags = False
    service.enable_execute_command = False
    service.new_deployment_forced = False
    for attribute in UNSTORED.values():
        if not hasattr(service, attribute):
            setattr(service, attribute, None)
    # moto starts with pending = desired (ecs/models.py:526), though no task exists yet.
    service.running_count = service.pending_count = 0
    service.created_at = service.deployments[0]["createdAt"] if service.deployments else None


def _patch_update() -> None:
    # ecs/models.py:1714 sets running = desired, and stores the task definition as it was given instead of its ARN.
    stock = Backend.update_service

    def update_service(backend: Any, properties: dict[str, Any]) -> Any:
        service = backend._get_service(properties.get("cluster", "default"), properties["service"])
        counts = service.running_count, service.pending_count
        if properties.get("task_definition"):
            definition = backend.describe_task_definition(properties["task_definition"])
            properties["task_definition"] = definition.arn
        properties.pop("force_new_deployment", None)
        if properties.get("network_configuration"):
            properties["network_configuration"] = service._validate_network(properties["network_configuration"])
        stock(backend, properties)
        service.running_count, service.pending_count = counts
        return service

    Backend.update_service = update_service  # ecs/models.py:1688


def _patch_delete() -> None:
    # ecs/models.py:1744 says INACTIVE at once; on AWS a service drains until its tasks have stopped.
    stock = Backend.delete_service

    def delete_service(backend: Any, cluster_name: str, service_name: str, force: bool) -> Any:
        service = stock(backend, cluster_name, service_name, force)
        service.desired_count = 0
        if hooks.listener(backend.account_id) is not None and service.deployments:
            service.status = "DRAINING"
        _tell(service)
        return service

    Backend.delete_service = delete_service
