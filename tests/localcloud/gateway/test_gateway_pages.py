"""Unsigned requests to a bucket's host: what S3's REST endpoint would answer."""

from __future__ import annotations

import json
from typing import Any

import pytest


@pytest.fixture
def bucket(site: Any) -> str:
    """A bucket whose `public/` anyone may read, and a private file beside it."""
    name = site.bucket()
    s3 = site.client("s3")
    s3.delete_public_access_block(Bucket=name)  # new buckets block public policies
    s3.put_object(Bucket=name, Key="public/index.html", Body=b"<h1>hello</h1>", ContentType="text/html; charset=utf-8",
                  CacheControl="no-cache")  # fmt: skip
    s3.put_object(Bucket=name, Key="public/a b/ü.txt", Body=b"0123456789")
    s3.put_object(Bucket=name, Key="private.txt", Body=b"secret")
    arn = f"arn:aws:s3:::{name}"
    s3.put_bucket_policy(Bucket=name, Policy=json.dumps({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": f"{arn}/public/*"},
        {"Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": [arn, f"{arn}/*"],
         "Condition": {"Bool": {"aws:SecureTransport": "false"}}},
    ]}))  # fmt: skip
    return name


def host_of(site: Any, bucket: str) -> str:
    return f"{bucket}.s3.eu-west-1.localhost:{site.port}"


def test_a_public_page_is_served_with_its_own_headers(site: Any, bucket: str) -> None:
    answer = site.ask(host_of(site, bucket), "/public/index.html")
    assert (answer.status, answer.body) == (200, b"<h1>hello</h1>")
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["cache-control"] == "no-cache"
    assert answer.headers["content-length"] == "14"
    assert answer.headers["etag"].startswith('"')
    assert "last-modified" in answer.headers


def test_head_tells_the_same_without_the_page(site: Any, bucket: str) -> None:
    answer = site.ask(host_of(site, bucket), "/public/index.html", "HEAD")
    assert (answer.status, answer.body) == (200, b"")
    assert answer.headers["content-length"] == "14"
    assert answer.headers["content-type"] == "text/html; charset=utf-8"


def test_names_are_decoded_and_unknown_parameters_ignored(site: Any, bucket: str) -> None:
    assert site.ask(host_of(site, bucket), "/public/a%20b/%C3%BC.txt?v=3&x-id=GetObject").body == b"0123456789"


def test_a_plus_in_a_path_is_a_space_as_s3_has_it(site: Any, bucket: str) -> None:
    host = host_of(site, bucket)
    site.client("s3").put_object(Bucket=bucket, Key="public/fig+1.png", Body=b"picture")
    assert site.ask(host, "/public/a+b/%C3%BC.txt").body == b"0123456789"
    assert site.ask(host, "/public/fig+1.png").status == 403
    assert site.ask(host, "/public/fig%2B1.png").body == b"picture"


RANGES = {
    "bytes=2-4": (206, b"234", "bytes 2-4/10"),
    "bytes=7-": (206, b"789", "bytes 7-9/10"),
    "bytes=-3": (206, b"789", "bytes 7-9/10"),
    "bytes=5-100": (206, b"56789", "bytes 5-9/10"),
    "bytes=10-": (416, None, None),
    "lines=1-2": (200, b"0123456789", None),
}


@pytest.mark.parametrize("given", RANGES)
def test_ranges(site: Any, bucket: str, given: str) -> None:
    status, body, content_range = RANGES[given]
    answer = site.ask(host_of(site, bucket), "/public/a%20b/%C3%BC.txt", Range=given)
    assert answer.status == status
    if body is not None:
        assert answer.body == body
        assert answer.headers.get("content-range") == content_range
        assert answer.headers["content-length"] == str(len(body))


def test_conditional_requests(site: Any, bucket: str) -> None:
    host, path = host_of(site, bucket), "/public/index.html"
    first = site.ask(host, path)
    tag, changed = first.headers["etag"], first.headers["last-modified"]
    unchanged = site.ask(host, path, If_None_Match=tag)
    assert (unchanged.status, unchanged.body) == (304, b"")
    assert site.ask(host, path, If_None_Match='"other"').status == 200
    assert site.ask(host, path, If_Modified_Since=changed).status == 304
    assert site.ask(host, path, If_Match='"other"').status == 412
    assert site.ask(host, path, If_Match=tag).status == 200


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/private.txt"),
        ("HEAD", "/private.txt"),
        ("GET", "/"),
        ("GET", "/?list-type=2"),
        ("GET", "/public/"),
        ("GET", "/public"),
        ("GET", "/public/missing.html"),
        ("GET", "/?policy"),
        ("GET", "/?acl"),
        ("GET", "/public/index.html?acl"),
        ("GET", "/public/index.html?uploadId=1"),
        ("GET", "/public/../private.txt"),
        ("GET", "/public/index.html?versionId=null"),
        ("PUT", "/public/new.html"),
        ("DELETE", "/public/index.html"),
        ("POST", "/"),
        ("OPTIONS", "/public/index.html"),
    ],
)
def test_everything_else_is_denied(site: Any, bucket: str, method: str, path: str) -> None:
    answer = site.ask(host_of(site, bucket), path, method, b"x" if method in ("PUT", "POST") else None)
    assert answer.status == 403
    if method != "HEAD":
        assert answer.headers["content-type"] == "application/xml"
        assert "<Code>AccessDenied</Code>" in answer.text
    assert site.client("s3").head_object(Bucket=bucket, Key="public/index.html")["ContentLength"] == 14


def test_who_may_list_is_told_what_is_missing(site: Any) -> None:
    bucket = site.bucket()
    site.client("s3").delete_public_access_block(Bucket=bucket)
    statement = {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": ["s3:GetObject", "s3:ListBucket"],
                 "Resource": [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"]}  # fmt: skip
    site.client("s3").put_bucket_policy(Bucket=bucket, Policy=json.dumps({"Statement": [statement]}))
    answer = site.ask(host_of(site, bucket), "/missing")
    assert (answer.status, "<Code>NoSuchKey</Code>" in answer.text) == (404, True)
    listing = site.ask(host_of(site, bucket), "/?list-type=2&prefix=x")
    assert (listing.status, "<ListBucketResult" in listing.text) == (200, True)


def test_a_bucket_that_does_not_exist(site: Any) -> None:
    answer = site.ask(host_of(site, "no-such-bucket-anywhere"), "/x")
    assert (answer.status, "<Code>NoSuchBucket</Code>" in answer.text) == (404, True)


def test_block_public_access_closes_it(site: Any, bucket: str) -> None:
    host = host_of(site, bucket)
    assert site.ask(host, "/public/index.html").status == 200
    site.client("s3").put_public_access_block(
        Bucket=bucket, PublicAccessBlockConfiguration={"RestrictPublicBuckets": True}
    )
    assert site.ask(host, "/public/index.html").status == 403
    site.client("s3").put_public_access_block(
        Bucket=bucket, PublicAccessBlockConfiguration={"BlockPublicAcls": True, "IgnorePublicAcls": True}
    )
    assert site.ask(host, "/public/index.html").status == 200


def test_without_a_policy_nothing_is_public(site: Any) -> None:
    bucket = site.bucket()
    site.client("s3").put_object(Bucket=bucket, Key="x", Body=b"x", ACL="public-read")
    assert site.ask(host_of(site, bucket), "/x").status == 403


def test_a_bogus_signature_opens_nothing(site: Any, bucket: str) -> None:
    for authorization in (
        "x",
        "AWS4-HMAC-SHA256 Credential=a/20200101/r/s3/aws4_request, SignedHeaders=host, Signature=0",
    ):
        answer = site.ask(host_of(site, bucket), "/public/index.html", Authorization=authorization)
        assert answer.status in (400, 403)


def test_answers_may_not_be_overridden_by_strangers(site: Any, bucket: str) -> None:
    answer = site.ask(host_of(site, bucket), "/public/index.html?response-content-type=text/plain")
    assert (answer.status, "InvalidRequest" in answer.text) == (400, True)
