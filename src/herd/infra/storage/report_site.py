"""Where reports are published: a public bucket, a CloudFront distribution over a private one, or nowhere.

| `reports` | who can read | costs |
| --- | --- | --- |
| bucket | everybody who knows the address | the requests |
| cloudfront | everybody who knows the address; for accounts that allow no public bucket | the requests, no fee |
| none | those who may read the data bucket | nothing |
"""

import pulumi
from pulumi_aws.cloudfront.distribution import Distribution
from pulumi_aws.cloudfront.origin_access_control import OriginAccessControl
from pulumi_aws.s3.get_account_public_access_block import get_account_public_access_block

from herd.infra.context import Component, Context, Statement
from herd.infra.settings.schema import Settings
from herd.infra.storage.absence import PUBLIC_ACCESS_BLOCK
from herd.infra.storage.buckets import Bucket, public_pages

NOT_CACHED = "4135ea2d-6df8-44a3-9df3-4b5a84be39ad"
"""AWS's cache policy CachingDisabled: a page that was rendered again is seen at once."""

SECURITY_HEADERS = "67f7725c-6f97-4210-82d7-5512b31e9d03"
"""AWS's response headers policy SecurityHeadersPolicy."""


class ReportSite:
    """The reports bucket, and what the setting `reports` puts before it; `url` is where pages begin.

        site = ReportSite(project.context, project)
        site.bucket.arn, site.url

    `bucket`: the bucket is public. `cloudfront`: it is private, and a distribution reads it. `none`: there is no site.
    """

    def __init__(self, context: Context, parent: pulumi.Resource) -> None:
        arn = context.account.bucket_arn(context.reports_bucket)
        host: pulumi.Output[str]
        if context.settings.reports == "bucket":
            self.bucket = Bucket("reports", context, parent, public=True, statements=[public_pages(arn)])
            host = self.bucket.bucket.bucket_regional_domain_name
        else:
            self.bucket = Bucket("reports", context, parent, statements=None)
            distribution = ReportsDistribution(self.bucket, context, parent).distribution
            self.bucket.admit(distribution.arn.apply(lambda of: distribution_reads(arn, of)))
            host = distribution.domain_name
        self.url: pulumi.Output[str] = pulumi.Output.concat(f"{context.settings.scheme}://", host)


class ReportsDistribution(Component):
    """CloudFront over the private reports bucket: OriginAccessControl and Distribution."""

    def __init__(self, bucket: Bucket, context: Context, parent: pulumi.Resource) -> None:
        super().__init__("ReportsDistribution", "published", parent)
        control = OriginAccessControl(
            self.child("control"),
            name=f"{context.naming.prefix}-reports",
            description=f"Published reports of {context.naming.prefix}",
            origin_access_control_origin_type="s3",
            signing_behavior="always",
            signing_protocol="sigv4",
            opts=self.options(),
        )
        self.distribution = Distribution(
            self.child("distribution"),
            enabled=True,
            comment=f"Published reports of {context.naming.prefix}",
            is_ipv6_enabled=True,
            # Europe and North America; all edges cost more and reports are read by few.
            price_class="PriceClass_100",
            origins=[
                {
                    "origin_id": "reports",
                    "domain_name": bucket.bucket.bucket_regional_domain_name,
                    "origin_access_control_id": control.id,
                }
            ],
            default_cache_behavior={
                "target_origin_id": "reports",
                "allowed_methods": ["GET", "HEAD"],
                "cached_methods": ["GET", "HEAD"],
                "viewer_protocol_policy": "redirect-to-https",
                "cache_policy_id": NOT_CACHED,
                "response_headers_policy_id": SECURITY_HEADERS,
                "compress": True,
            },
            restrictions={"geo_restriction": {"restriction_type": "none"}},
            viewer_certificate={"cloudfront_default_certificate": True},
            tags=context.tags(),
            opts=self.options(),
        )
        self.register_outputs({})


def distribution_reads(bucket_arn: str, distribution_arn: str) -> Statement:
    """This distribution, and no other of anybody's, may read objects."""
    return {
        "Sid": "Distribution",
        "Effect": "Allow",
        "Principal": {"Service": "cloudfront.amazonaws.com"},
        "Action": "s3:GetObject",
        "Resource": f"{bucket_arn}/*",
        "Condition": {"StringEquals": {"AWS:SourceArn": distribution_arn}},
    }


def refuse_blocked(settings: Settings) -> None:
    """Says in the preview what PutBucketPolicy would say after half of the environment is there. Raises RunError."""
    try:
        block = get_account_public_access_block(account_id=settings.account)
    except Exception as error:  # Pulumi's invokes raise nothing narrower
        if PUBLIC_ACCESS_BLOCK.says_none(error):
            return
        raise
    if block.block_public_policy or block.restrict_public_buckets:
        raise pulumi.RunError(
            f"Pulumi.{settings.environment}.yaml: herd:reports = bucket needs a public bucket, and the "
            f"account {settings.account} (or its organisation) blocks those; write cloudfront, which reads a private "
            "one, or none"
        )
