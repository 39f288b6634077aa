"""A bucket's website endpoint."""

from __future__ import annotations

import json
from typing import Any

import pytest


@pytest.fixture
def website(site: Any) -> str:
    """The host of a website with a page, a folder, an error document, and redirects."""
    name = site.bucket()
    s3 = site.client("s3")
    s3.delete_public_access_block(Bucket=name)
    for key, body in {"index.html": "home", "docs/index.html": "docs", "404.html": "lost", "a b.html": "space"}.items():
        s3.put_object(Bucket=name, Key=key, Body=body.encode(), ContentType="text/html")
    s3.put_object(Bucket=name, Key="moved.html", Body=b"", WebsiteRedirectLocation="/docs/")
    arn = f"arn:aws:s3:::{name}"
    s3.put_bucket_policy(Bucket=name, Policy=json.dumps({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": f"{arn}/*"},
        {"Effect": "Allow", "Principal": "*", "Action": "s3:ListBucket", "Resource": arn},
    ]}))  # fmt: skip
    s3.put_bucket_website(Bucket=name, WebsiteConfiguration={
        "IndexDocument": {"Suffix": "index.html"}, "ErrorDocument": {"Key": "404.html"},
        "RoutingRules": [
            {"Condition": {"KeyPrefixEquals": "old/"}, "Redirect": {"ReplaceKeyPrefixWith": "docs/"}},
            {"Condition": {"HttpErrorCodeReturnedEquals": "404", "KeyPrefixEquals": "api/"},
             "Redirect": {"HostName": "a.example", "Protocol": "https", "HttpRedirectCode": "307"}},
        ],
    })  # fmt: skip
    return f"{name}.s3-website.eu-west-1.localhost:{site.port}"


@pytest.mark.parametrize(
    ("path", "status", "body", "location"),
    [
        ("/", 200, b"home", None),
        ("/docs/", 200, b"docs", None),
        ("/docs", 302, b"", "/docs/"),
        ("/a%20b.html?x=1", 200, b"space", None),
        ("/nothing", 404, b"lost", None),
        ("/moved.html", 301, b"", "/docs/"),
        ("/old/x", 301, b"", "http://{host}/docs/x"),
        ("/api/x", 307, b"", "https://a.example/api/x"),
    ],
)
def test_pages_folders_and_redirects(
    site: Any, website: str, path: str, status: int, body: bytes, location: str | None
) -> None:
    answer = site.ask(website, path)
    assert (answer.status, answer.body) == (status, body)
    assert answer.headers.get("location") == (location and location.format(host=website))
    assert site.ask(website, path, "HEAD").status == status


def test_what_is_no_website_is_said_in_html(site: Any, website: str) -> None:
    assert site.ask(website, "/", "POST").status == 405
    plain = f"{site.bucket()}.s3-website.eu-west-1.localhost:{site.port}"
    answer = site.ask(plain)
    assert answer.status == 404 and "NoSuchWebsiteConfiguration" in answer.text
    nobody = site.ask(f"no-such-bucket-here.s3-website.eu-west-1.localhost:{site.port}")
    assert nobody.status == 404 and "<html>" in nobody.text


def test_what_is_private_stays_private(site: Any, website: str) -> None:
    name = website.split(".")[0]
    site.client("s3").delete_bucket_policy(Bucket=name)
    answer = site.ask(website)
    assert answer.status == 403 and "AccessDenied" in answer.text


def test_everything_may_be_redirected(site: Any, website: str) -> None:
    name = website.split(".")[0]
    everything = {"RedirectAllRequestsTo": {"HostName": "b.example", "Protocol": "https"}}
    site.client("s3").put_bucket_website(Bucket=name, WebsiteConfiguration=everything)
    answer = site.ask(website, "/x/y")
    assert (answer.status, answer.headers["location"]) == (301, "https://b.example/x/y")
