"""Keeps start-up short: takes single modules out of Pulumi's big SDK packages.

`from pulumi_aws.ec2.vpc import Vpc` needs one file, but the `from . import outputs` in it makes Python run the whole
package, all 180 resources of it. Under `single_modules` such a package is an empty shell with a path, so what is named
is loaded and nothing else. This is more than half of the time that the program takes before its first resource.
"""

import importlib.util
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

import pulumi_aws  # noqa: F401 - registers its packages, to be loaded when they are first used

_SERVICES = (
    *(
        "acm",
        "appautoscaling",
        "autoscaling",
        "cloudfront",
        "cloudwatch",
        "ec2",
        "ecr",
        "ecs",
        "iam",
        "kms",
        "lb",
        "route53",
        "s3",
    ),
    *("lambda_", "resourcegroupstaggingapi", "scheduler", "secretsmanager", "sesv2", "sfn", "sns", "sqs", "vpc"),
)
PACKAGES = (*(f"pulumi_aws.{name}" for name in _SERVICES), "pulumi_docker")


@contextmanager
def single_modules() -> Iterator[None]:
    """For the time of some imports. Afterwards the packages are as they were, for whoever imports them whole."""
    before = {package: sys.modules.get(package) for package in PACKAGES}
    try:
        for package in PACKAGES:
            sys.modules[package] = _shell(package)
        yield
    finally:
        for package, module in before.items():
            if module is None:
                del sys.modules[package]
            else:
                sys.modules[package] = module


def _shell(package: str) -> ModuleType:
    spec = importlib.util.find_spec(package)
    if spec is None or spec.submodule_search_locations is None:
        raise ModuleNotFoundError(f"{package} is not installed", name=package)
    shell = ModuleType(package)
    shell.__spec__, shell.__package__, shell.__path__ = spec, package, spec.submodule_search_locations
    return shell
