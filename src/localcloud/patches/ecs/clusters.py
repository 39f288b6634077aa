"""ECS clusters and their capacity providers: lists without what is gone, and the two providers that AWS brings."""

from __future__ import annotations

from typing import Any

from moto.ecs import models

Backend = models.EC2ContainerServiceBackend


def apply() -> None:
    """List what is there, know Fargate's capacity providers, and make a cluster once."""
    _patch_lists()
    _patch_create_cluster()
    _patch_describe_capacity_providers()


def _patch_lists() -> None:
    # ecs/models.py:1073, 1650 list deleted clusters and services for ever; AWS shows those by Describe only.
    def list_clusters(backend: Any) -> list[str]:
        return [cluster.arn for cluster in backend.clusters.values() if cluster.status == "ACTIVE"]

    stock = Backend.list_services

    def list_services(backend: Any, *args: Any, **kwargs: Any) -> list[str]:
        gone = {service.arn for service in backend.services.values() if service.status == "INACTIVE"}
        return [arn for arn in stock(backend, *args, **kwargs) if arn not in gone]

    Backend.list_clusters, Backend.list_services = list_clusters, list_services


def _patch_create_cluster() -> None:
    # ecs/models.py:963 puts a new cluster in the place of the one of that name; AWS gives back the one that is there.
    stock = Backend.create_cluster

    def create_cluster(backend: Any, cluster_name: str, *args: Any, **kwargs: Any) -> Any:
        known = backend.clusters.get(cluster_name)
        if known is not None and known.status == "ACTIVE":
            return known
        return stock(backend, cluster_name, *args, **kwargs)

    Backend.create_cluster = create_cluster


def _patch_describe_capacity_providers() -> None:
    # ecs/models.py:1049 iterates over None when no names are given (HTTP 500), and does not know Fargate's two.
    stock = Backend.describe_capacity_providers

    def describe(backend: Any, names: list[str] | None) -> tuple[list[Any], list[Any]]:
        managed = ("FARGATE", "FARGATE_SPOT")
        wanted = names or [*managed, *backend.capacity_providers]
        providers, failures = stock(backend, [name for name in wanted if name not in managed])
        partition = f"arn:aws:ecs:{backend.region_name}:{backend.account_id}:capacity-provider"
        fargate = [
            {"name": name, "status": "ACTIVE", "capacityProviderArn": f"{partition}/{name}"}
            for name in managed
            if name in wanted
        ]
        return [*fargate, *providers], failures

    Backend.describe_capacity_providers = describe
