"""The components that a program in `infra/` is written with, each described where it is defined.

They are imported the short way (`herd.infra.imports`), which is why a program takes them from here.
"""

from herd.infra.imports import single_modules

with single_modules():
    from herd.infra.hardware.cluster import Cluster
    from herd.infra.hardware.connections import Connections
    from herd.infra.hardware.load_balancers import LoadBalancers
    from herd.infra.hardware.network import Network, endpoint_services
    from herd.infra.images.image import Images
    from herd.infra.permissions.workload import PlatformRoles
    from herd.infra.storage.buckets import DataBucket
    from herd.infra.storage.report_site import ReportSite
    from herd.infra.workloads.api import Api
    from herd.infra.workloads.common import Platform, Workload
    from herd.infra.workloads.job import Job
    from herd.infra.workloads.pipeline import PipelineMachine
    from herd.infra.workloads.report import Report

__all__ = [
    "Api",
    "Cluster",
    "Connections",
    "DataBucket",
    "Images",
    "Job",
    "LoadBalancers",
    "Network",
    "PipelineMachine",
    "Platform",
    "PlatformRoles",
    "Report",
    "ReportSite",
    "Workload",
    "endpoint_services",
]
