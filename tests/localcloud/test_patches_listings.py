"""Listings page by page, beside those made by hand of sorted names: any names, prefix, delimiter and page size."""

from __future__ import annotations

from itertools import groupby
from typing import Any

import pytest
from botocore.exceptions import ClientError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from localcloud import backends
from localcloud.server import Server

NAMES = st.text(
    alphabet=["a", "b", "/", "%", "&", "<", "ä", "\U0010ffff", "\r", "\n", "+", " ", "\x01"], min_size=1, max_size=5
)


@pytest.fixture
def bucket(server: Server) -> str:
    name = f"listed-{server.account}"
    s3 = server.client("s3")
    s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    return name


def wanted(names: set[str], prefix: str, delimiter: str) -> list[str]:
    """What is listed, in order: names, and common prefixes once."""

    def entry(name: str) -> str:
        before, found, _ = name.removeprefix(prefix).partition(delimiter) if delimiter else (name, "", "")
        return prefix + before + delimiter if found else name

    return [key for key, _ in groupby(sorted(entry(name) for name in names if name.startswith(prefix)))]


def pages(s3: Any, operation: str, size: int, **how: str) -> list[dict[str, Any]]:
    return list(s3.get_paginator(operation).paginate(**how, PaginationConfig={"PageSize": size}))


def listed(page: dict[str, Any]) -> list[str]:
    found = [each["Key"] for kind in ("Contents", "Versions", "DeleteMarkers") for each in page.get(kind, ())]
    return sorted(found + [each["Prefix"] for each in page.get("CommonPrefixes", ())])


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sets(NAMES, max_size=8), st.sets(NAMES, max_size=3), st.sampled_from(["", "a", "a/", "/", "b"]),
       st.sampled_from(["", "/", "a", "//"]), st.integers(min_value=1, max_value=4))  # fmt: skip
def test_pages_together_are_everything_in_order(
    server: Server, bucket: str, there: set[str], gone: set[str], prefix: str, delimiter: str, size: int
) -> None:
    s3 = server.client("s3")
    dict.clear(backends.s3(server.account).buckets[bucket].keys)
    for place, name in enumerate(sorted(there | gone, key=hash)):
        s3.put_object(Bucket=bucket, Key=name, Body=b"x")
        if name in gone:
            s3.delete_object(Bucket=bucket, Key=name)
        if place == 2:
            s3.list_objects_v2(Bucket=bucket)  # names are kept in order from now on
    how = {name: value for name, value in (("Prefix", prefix), ("Delimiter", delimiter)) if value}
    for operation in ("list_objects", "list_objects_v2"):
        found = pages(s3, operation, size, Bucket=bucket, **how)
        assert [name for page in found for name in listed(page)] == wanted(there - gone, prefix, delimiter)
        assert all(len(listed(page)) <= size for page in found)
    versions = [name for page in pages(s3, "list_object_versions", size, Bucket=bucket, **how) for name in listed(page)]
    assert [key for key, _ in groupby(versions)] == wanted(there | gone, prefix, delimiter)
    if not delimiter:
        assert len(versions) == sum(1 + (name in gone) for name in there | gone if name.startswith(prefix))


def test_versions_are_listed_newest_first_and_go_on_in_the_middle(server: Server, bucket: str) -> None:
    s3 = server.client("s3")
    ids = [s3.put_object(Bucket=bucket, Key="k", Body=b"%d" % number)["VersionId"] for number in range(5)]
    found = [each for page in pages(s3, "list_object_versions", 2, Bucket=bucket) for each in page["Versions"]]
    assert [each["VersionId"] for each in found] == ids[::-1]
    assert [each["IsLatest"] for each in found] == [True, False, False, False, False]


def test_a_page_goes_on_after_a_restart_and_a_token_that_is_none_is_refused(server: Server, bucket: str) -> None:
    s3 = server.client("s3")
    for name in ("a", "b", "c"):
        s3.put_object(Bucket=bucket, Key=name, Body=b"x")
    token = s3.list_objects_v2(Bucket=bucket, MaxKeys=1)["NextContinuationToken"]
    backends.s3(server.account)._pagination_tokens.clear()
    rest = s3.list_objects_v2(Bucket=bucket, ContinuationToken=token)
    assert [each["Key"] for each in rest["Contents"]] == ["b", "c"]
    for wrong in ("b", "x" * 32, "ü"):
        with pytest.raises(ClientError, match="InvalidArgument"):
            s3.list_objects_v2(Bucket=bucket, ContinuationToken=wrong)
    assert s3.list_objects_v2(Bucket=bucket, StartAfter="b")["KeyCount"] == 1
    assert s3.list_objects_v2(Bucket=bucket, MaxKeys=0)["KeyCount"] == 0
