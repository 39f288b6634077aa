"""The components that a program in `infra/` is written with, each described where it is defined.

They are imported the short way (`herd.infra.imports`), which is why a program takes them from here. A kind of workload
that is not named here has its component in `herd.infra.workloads`, which is loaded the same way.
"""

from importlib import import_module

from herd.infra.imports import single_modules
from herd.infra.spec.models import KINDS

with single_modules():
    from herd.infra.hardware.cluster import Cluster
    from herd.infra.hardware.connections import Connections
    from herd.infra.hardware.load_balancers import LoadBalancers
    from herd.infra.hardware.network import Network, endpoint_services
    from herd.infra.images.image import Images
    from herd.infra.permissions.workload import PlatformRoles
    from herd.infra.storage.buckets import DataBucket
    from herd.infra.storage.report_site import ReportSite
    from herd.infra.watching.watch import Watch
    from herd.infra.workloads.api import Api
    from herd.infra.workloads.app import App
    from herd.infra.workloads.common import Platform, Workload
    from herd.infra.workloads.job import Job
    from herd.infra.workloads.pipeline import PipelineMachine
    from herd.infra.workloads.report import Report

    COMPONENTS: dict[str, type[Workload]] = {
        kind: getattr(import_module(f"herd.infra.workloads.{module}"), name)
        for kind, (module, _, name) in ((kind, entry.component.partition(".")) for kind, entry in KINDS.items())
    }
    """Kind -> what is made of one."""

__all__ = [
    "COMPONENTS",
    "Api",
    "App",
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
    "Watch",
    "Workload",
    "endpoint_services",
]
