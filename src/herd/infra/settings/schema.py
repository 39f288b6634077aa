"""What a stack may set: the settings of an environment, with type, default and meaning. No Pulumi.

Their keys are `herd:<setting>` in every project, whatever it is called. Pulumi lets a Pulumi.yaml declare only keys of
its own project, so they are declared here: docs/reference/settings.md is generated from this table, and
`herd.infra.settings.load` refuses what is not in it. Keys of the project's own name are the team's.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

NAMESPACE = "herd"

BY_PROFILE = "profile"
"""The default of a setting that has one for each profile; a stack may write it too."""


@dataclass(frozen=True)
class Declared:
    """`description`: of people, one sentence or two."""

    type: Literal["string", "boolean", "integer", "array", "object"]
    default: Any
    description: str


def config_key(setting: str) -> str:
    """The key of a setting in a stack's file: `herd:network`."""
    return f"{NAMESPACE}:{setting}"


def own(config: Mapping[str, Any]) -> dict[str, Any]:
    """The settings among all keys of a stack's file: `{"herd:profile": "prod"}` -> `{"profile": "prod"}`."""
    prefix = config_key("")
    return {str(name).removeprefix(prefix): value for name, value in config.items() if str(name).startswith(prefix)}


def misplaced(project: str, config: Mapping[str, Any]) -> Iterator[str]:
    """A line for each setting below the project's own name, where earlier versions of Herd had it."""
    for name in sorted(map(str, config)):
        namespace, _, setting = name.partition(":")
        if namespace == project != NAMESPACE and setting in SETTINGS:
            yield f"{name}: settings are herd:<setting> in every project; rename it to {config_key(setting)}"


SETTINGS: Mapping[str, Declared] = {
    "account": Declared(
        "string",
        "",
        "The AWS account, 12 digits in quotes; must be given. aws:allowedAccountIds names it for the provider too",
    ),
    "profile": Declared(
        "string",
        "dev",
        "A set of defaults - dev is cheap and disposable, prod is protected, encrypted and logged",
    ),
    "access_logs": Declared(
        "boolean",
        "profile",
        "Whether buckets and load balancers log who asked for what - true or false; dev false, prod true",
    ),
    "allow_public": Declared(
        "boolean",
        False,
        'Whether an API with access = "public" may be reached from the internet. Off, it is refused in every preview',
    ),
    "boundary": Declared("string", "", "The ARN of the IAM policy that limits every role. prod must name one"),
    "certificate": Declared(
        "string",
        "",
        "The ARN of a certificate for the domain; without it one is made and proven in dns_zone",
    ),
    "company_cidrs": Declared(
        "array",
        [],
        'The company\'s own networks, which alone may reach what has access = "company" - also instead of sign_in',
    ),
    "connections": Declared(
        "object",
        {},
        'Databases by name - driver and secret, also port, host and cidr. Workloads say connects = ["name"]',
    ),
    "container_insights": Declared(
        "boolean",
        "profile",
        "Whether CloudWatch keeps metrics of each container - true or false; dev false, prod true",
    ),
    "data_bucket": Declared(
        "string",
        "",
        "The bucket for data, made elsewhere for this environment alone. Without it the environment has its "
        "own; prod must name one",
    ),
    "datasets": Declared(
        "object",
        {},
        'Data made elsewhere, by name - uri is s3://bucket/prefix/. Workloads say reads = ["name"]',
    ),
    "dns_zone": Declared("string", "", "The hosted zone in Route 53 that the domain lies in"),
    "domain": Declared(
        "string",
        "",
        "The name below which workloads answer, by host and HTTPS. Without it they answer by path at the load "
        "balancer's name",
    ),
    "encryption_key": Declared(
        "string",
        "profile",
        "What encrypts data, logs and images - none (AWS's own keys), create (one key for the environment) or "
        "the ARN of a key; dev none, prod create",
    ),
    "expired": Declared(
        "array",
        [],
        "Workloads whose review_by has passed - their schedules are off. `herd up` and `herd preview` write "
        "it by the calendar",
    ),
    "flow_logs": Declared(
        "boolean",
        "profile",
        "Whether the network's connections are logged - true or false; dev false, prod true",
    ),
    "iam_path": Declared(
        "string",
        "",
        "The path of IAM that the environment's own path of roles lies below, like /acme/",
    ),
    "image_repositories": Declared(
        "string",
        "",
        "The beginning of the names of repositories made elsewhere, one for each image folder "
        "(<this>/<folder>), shared by environments",
    ),
    "keep_versions_days": Declared(
        "integer",
        "profile",
        "Days that a superseded version of an output is kept, 1 to 3650; dev 30, prod 400. The current one "
        "never expires",
    ),
    "log_bucket": Declared(
        "string",
        "",
        "The bucket for access and flow logs, made elsewhere. Without it the environment has its own",
    ),
    "log_retention_days": Declared("integer", "profile", "Days that CloudWatch keeps log lines; dev 14, prod 400"),
    "network": Declared(
        "string",
        "profile",
        "How tasks reach the world - public (an address each), nat (one gateway) or endpoints (AWS only); dev "
        "public, prod nat",
    ),
    "pools": Declared(
        "object",
        {},
        'VMs by name - instance_type, also min, max and gpu. Workloads say hardware = "name"',
    ),
    "private_subnets": Declared(
        "array",
        [],
        "With vpc, the subnets for tasks and internal load balancers, two or more",
    ),
    "protect": Declared(
        "boolean",
        "profile",
        "Whether deletion is refused where something would be lost - true or false; dev false, prod true",
    ),
    "public_subnets": Declared(
        "array",
        [],
        "With vpc, the subnets for load balancers that face the internet, two or more",
    ),
    "reports": Declared(
        "string",
        "bucket",
        "Where reports are published - bucket (a public one), cloudfront (over a private one) or none",
    ),
    "require_tls": Declared(
        "boolean",
        "profile",
        "Whether services must be reached by HTTPS, which needs a domain - true or false; dev false, prod true",
    ),
    "schedules": Declared("string", "on", "on or off. Off, everything is deployed and starts by hand only"),
    "scheme": Declared(
        "string",
        "https",
        "The scheme of addresses that are shown - https on AWS; http where the cloud below has no certificates",
    ),
    "sign_in": Declared(
        "object",
        {},
        "The company's OpenID Connect provider - issuer, authorization_endpoint, token_endpoint, "
        "user_info_endpoint, client_id, client_secret",
    ),
    "tags": Declared("object", {}, "The company's own tags, on every resource that takes tags"),
    "vpc": Declared("string", "", "The id of a VPC made elsewhere. Without it the environment has its own"),
    "vpc_cidr": Declared(
        "string",
        "10.0.0.0/16",
        "The addresses of the environment's own network, /16 to /23. Another network means `herd down` first, "
        "then `herd up`",
    ),
    "zones": Declared("integer", 2, "Availability zones of the environment's own network, 2 or 3"),
}
