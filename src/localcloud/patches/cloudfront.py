"""CloudFront: a distribution's configuration stays as it was given, and its address leads here."""

from __future__ import annotations

import re
from typing import Any

from moto.cloudfront import models

from localcloud.patches import hooks

_BUCKET = re.compile(r".+\.s3[.-].+")
_LISTS = ("Aliases", "OriginGroups", "CacheBehaviors", "CustomErrorResponses")


class Configuration:
    """What moto keeps of a distribution, answered member by member."""

    def __init__(self, document: dict[str, Any]):
        origins = document["Origins"]["Items"]
        if document["DefaultCacheBehavior"]["TargetOriginId"] not in [origin["Id"] for origin in origins]:
            raise models.OriginDoesNotExist
        for origin in origins:
            if "S3OriginConfig" in origin and not _BUCKET.fullmatch(origin["DomainName"]):
                raise models.DomainNameNotAnS3Bucket
        absent: dict[str, Any] = {name: {"Quantity": 0} for name in _LISTS}
        absent |= {
            "Logging": {"Enabled": False, "IncludeCookies": False, "Bucket": "", "Prefix": ""},
            "Restrictions": {"GeoRestriction": {"RestrictionType": "none", "Quantity": 0}},
            "ViewerCertificate": {"CloudFrontDefaultCertificate": True, "MinimumProtocolVersion": "TLSv1"},
            "PriceClass": "PriceClass_All", "HttpVersion": "http2", "IsIPV6Enabled": True,
            "DefaultRootObject": "", "WebACLId": "",
        }  # fmt: skip
        self.__dict__.update({**absent, **document})
        self.caller_reference = document["CallerReference"]


def apply() -> None:
    """Keep configurations whole, and give distributions an address of this cloud."""
    # cloudfront/models.py:198: origin access control, cache policies and response header policies are dropped, so
    # that a program sees a difference for ever; and only origins at amazonaws.com are taken for buckets.
    models.DistributionConfig = Configuration
    stock = models.Distribution.__init__

    # cloudfront/models.py:281: `<id>.cloudfront.net`, which leads to the real AWS.
    def init(self: Any, account_id: str, region_name: str, config: dict[str, Any]) -> None:
        stock(self, account_id, region_name, config)
        site = hooks.site(account_id)
        if site is not None:
            self.domain_name = f"d{self.domain_name.partition('.')[0]}.cloudfront.localhost:{site.port}"

    models.Distribution.__init__ = init
