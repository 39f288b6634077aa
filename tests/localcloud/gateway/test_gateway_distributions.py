"""CloudFront over a private bucket: the world reads through the distribution and no other way."""

from __future__ import annotations

import json
import uuid
from typing import Any

import pytest

REGION = "eu-west-1"


class Published:
    """A private bucket with a page, and a distribution that may read it."""

    def __init__(self, site: Any):
        self.site, self.s3, self.cloudfront = site, site.client("s3"), site.client("cloudfront")
        self.bucket = site.bucket()
        self.s3.put_object(Bucket=self.bucket, Key="delays/index.html", Body=b"<p>late</p>", ContentType="text/html")
        self.s3.put_public_access_block(
            Bucket=self.bucket,
            PublicAccessBlockConfiguration={
                "BlockPublicAcls": True, "IgnorePublicAcls": True, "BlockPublicPolicy": True,
                "RestrictPublicBuckets": True,
            },
        )  # fmt: skip
        self.control = self.cloudfront.create_origin_access_control(
            OriginAccessControlConfig={
                "Name": "reports", "SigningProtocol": "sigv4", "SigningBehavior": "always",
                "OriginAccessControlOriginType": "s3",
            }
        )["OriginAccessControl"]["Id"]  # fmt: skip
        made = self.cloudfront.create_distribution(DistributionConfig=self.config())
        self.arn, self.host = made["Distribution"]["ARN"], made["Distribution"]["DomainName"]

    def config(self, **more: Any) -> dict[str, Any]:
        origin = {
            "Id": "bucket", "DomainName": f"{self.bucket}.s3.{REGION}.localhost:{self.site.port}",
            "OriginAccessControlId": self.control, "S3OriginConfig": {"OriginAccessIdentity": ""},
        }  # fmt: skip
        return {
            "CallerReference": uuid.uuid4().hex,
            "Comment": "",
            "Enabled": True,
            "Origins": {"Quantity": 1, "Items": [origin]},
            "DefaultCacheBehavior": {
                "TargetOriginId": "bucket",
                "ViewerProtocolPolicy": "redirect-to-https",
                "CachePolicyId": "4135ea2d-6df8-44a3-9df3-4b5a84be39ad",
            },
            **more,
        }

    def let_read(self, distribution_arn: str) -> None:
        statement = {
            "Effect": "Allow",
            "Principal": {"Service": "cloudfront.amazonaws.com"},
            "Action": "s3:GetObject",
            "Resource": f"arn:aws:s3:::{self.bucket}/*",
            "Condition": {"StringEquals": {"AWS:SourceArn": distribution_arn}},
        }
        policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        self.s3.put_bucket_policy(Bucket=self.bucket, Policy=policy)

    def ask(self, path: str, **more: Any) -> Any:
        return self.site.ask(self.host, path, **more)


@pytest.fixture
def published(site: Any) -> Published:
    return Published(site)


def test_the_world_reads_through_the_distribution_only(published: Published) -> None:
    assert published.host.endswith(f".cloudfront.localhost:{published.site.port}")
    assert published.ask("/delays/index.html").status == 403, "the bucket has no policy yet"
    published.let_read(published.arn)
    page = published.ask("/delays/index.html")
    assert (page.status, page.text, page.headers["content-type"]) == (200, "<p>late</p>", "text/html")
    direct = published.site.ask(f"{published.bucket}.s3.{REGION}.localhost:{published.site.port}", "/delays/index.html")
    assert direct.status == 403


def test_only_the_distribution_that_is_named_may_read(published: Published) -> None:
    published.let_read(published.arn + "X")
    assert published.ask("/delays/index.html").status == 403


@pytest.mark.parametrize(
    ("path", "method"), [("/no.html", "GET"), ("/?list-type=2", "GET"), ("/x", "PUT"), ("/", "POST")]
)
def test_nothing_else_is_to_be_had(published: Published, path: str, method: str) -> None:
    published.let_read(published.arn)
    assert published.ask(path, method=method).status == 403


def test_a_query_does_not_reach_the_bucket(published: Published) -> None:
    published.let_read(published.arn)
    assert published.ask("/delays/index.html?acl").text == "<p>late</p>"


def test_the_default_root_object_and_a_page_for_errors(published: Published) -> None:
    published.let_read(published.arn)
    errors = [
        {"ErrorCode": 403, "ResponsePagePath": "/delays/index.html", "ResponseCode": "404", "ErrorCachingMinTTL": 0}
    ]
    made = published.cloudfront.create_distribution(
        DistributionConfig=published.config(
            DefaultRootObject="delays/index.html", CustomErrorResponses={"Quantity": 1, "Items": errors}
        )
    )["Distribution"]
    published.let_read(made["ARN"])
    assert published.site.ask(made["DomainName"], "/").status == 200
    missing = published.site.ask(made["DomainName"], "/missing.html")
    assert (missing.status, missing.text) == (404, "<p>late</p>")


def test_one_that_was_disabled_or_never_was(published: Published) -> None:
    published.let_read(published.arn)
    number = published.arn.rpartition("/")[2]
    found = published.cloudfront.get_distribution_config(Id=number)
    config = {**found["DistributionConfig"], "Enabled": False}
    published.cloudfront.update_distribution(Id=number, IfMatch=found["ETag"], DistributionConfig=config)
    assert published.ask("/delays/index.html").status == 404
    assert published.site.ask(f"dnever.cloudfront.localhost:{published.site.port}").status == 404
