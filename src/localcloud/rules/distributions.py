"""CloudFront: what a distribution's parts must agree on, and what they name must be there.

Source: https://docs.aws.amazon.com/cloudfront/latest/APIReference/API_CreateDistribution.html (errors) and
API_DistributionConfig.html.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from localcloud import backends
from localcloud.request import Call, Refused

Config = Mapping[str, Any]


def distribution_is_valid(asked: Call) -> None:
    """Of CreateDistribution, with tags and without, and UpdateDistribution."""
    arguments = asked.arguments
    config = (arguments.get("DistributionConfigWithTags") or arguments).get("DistributionConfig") or {}
    if asked.operation == "UpdateDistribution":
        _etag(asked)
    for code, message in (*_viewers(config), *_origins(asked, config), *_behaviours(config)):
        raise Refused(code, message)


def invalidation_is_valid(asked: Call) -> None:
    """Paths begin with a slash, and a batch names each once."""
    batch = asked.arguments.get("InvalidationBatch") or {}
    paths = _items(batch.get("Paths"))
    for path in paths:
        if not str(path).startswith("/"):
            raise Refused("InvalidArgument", "Your request contains one or more invalid invalidation paths.")
    if len(paths) != (batch.get("Paths") or {}).get("Quantity"):
        raise Refused("InconsistentQuantities", "The value of Quantity and the size of Items don't match.")


def access_control_is_new(asked: Call) -> None:
    """A name belongs to one origin access control of an account."""
    name = (asked.arguments.get("OriginAccessControlConfig") or {}).get("Name")
    for control in backends.cloudfront(asked.account).origin_access_controls.values():
        if control.name == name:
            raise Refused("OriginAccessControlAlreadyExists", f"An origin access control named {name} exists.", 409)


def _items(listed: Any) -> list[Any]:
    return list((listed or {}).get("Items") or [])


def _etag(asked: Call) -> None:
    distribution = backends.cloudfront(asked.account).distributions.get(asked.text("Id"))
    etag = asked.text("IfMatch")
    if distribution is not None and etag and etag != distribution.etag:
        message = "The If-Match version is missing or not valid for the resource."
        raise Refused("InvalidIfMatchVersion", message)


def _viewers(config: Config) -> Iterator[tuple[str, str]]:
    certificate = config.get("ViewerCertificate") or {}
    arn = str(certificate.get("ACMCertificateArn") or "")
    if _items(config.get("Aliases")) and not (arn or certificate.get("IAMCertificateId")):
        message = "To add an alternate domain name (CNAME) to a CloudFront distribution, you must attach a trusted"
        yield (
            "InvalidViewerCertificate",
            f"{message} certificate that validates your authorization to use the domain name.",
        )
    if arn and arn.split(":")[3:4] != ["us-east-1"]:
        message = "The specified SSL certificate doesn't exist, isn't in us-east-1 region, isn't valid, or doesn't"
        yield "InvalidViewerCertificate", f"{message} include a valid certificate chain."
    if arn and not certificate.get("SSLSupportMethod"):
        yield "InvalidViewerCertificate", "SSLSupportMethod must be given with a certificate."
    if str(config.get("DefaultRootObject") or "").startswith("/"):
        yield "InvalidDefaultRootObject", "The parameter DefaultRootObject must not begin with a slash."


def _origins(asked: Call, config: Config) -> Iterator[tuple[str, str]]:
    origins = _items(config.get("Origins"))
    names = [origin.get("Id") for origin in origins]
    if len(set(names)) < len(names):
        yield "InvalidArgument", "The Id of each origin must be unique within the distribution."
    controls = backends.cloudfront(asked.account).origin_access_controls
    for origin in origins:
        control = origin.get("OriginAccessControlId")
        if control and control not in controls:
            yield "NoSuchOriginAccessControl", f"The origin access control {control} does not exist."
        if origin.get("S3OriginConfig") is not None and origin.get("CustomOriginConfig") is not None:
            yield "InvalidOrigin", "An origin is either S3's or a custom one."
        if "/" in str(origin.get("DomainName")):
            yield "InvalidArgument", "The parameter origin name must be a domain name."
    for behaviour in [config.get("DefaultCacheBehavior") or {}, *_items(config.get("CacheBehaviors"))]:
        if behaviour and behaviour.get("TargetOriginId") not in names:
            yield "NoSuchOrigin", "One or more of your origins or origin groups do not exist."


def _behaviours(config: Config) -> Iterator[tuple[str, str]]:
    behaviours = [config.get("DefaultCacheBehavior") or {}, *_items(config.get("CacheBehaviors"))]
    patterns = [one.get("PathPattern") for one in behaviours[1:]]
    if len(set(patterns)) < len(patterns):
        yield "InvalidArgument", "The path pattern of each cache behavior must be unique."
    for one in behaviours:
        policy = one.get("CachePolicyId")
        if policy and one.get("ForwardedValues"):
            yield "InvalidArgument", "The parameter ForwardedValues cannot be used when a cache policy is associated."
        times = [one[name] for name in ("MinTTL", "DefaultTTL", "MaxTTL") if one.get(name) is not None]
        if not policy and times != sorted(times):
            yield "InvalidTTLOrder", "The order of the TTLs must be MinTTL, DefaultTTL, MaxTTL."
        methods = set(_items(one.get("AllowedMethods")))
        if methods and methods not in ALLOWED_METHODS:
            yield "InvalidArgument", "The parameter AllowedMethods is invalid."


ALLOWED_METHODS = (
    {"GET", "HEAD"},
    {"GET", "HEAD", "OPTIONS"},
    {"GET", "HEAD", "OPTIONS", "PUT", "POST", "PATCH", "DELETE"},
)
"""Source: AllowedMethods, Amazon CloudFront API reference."""
