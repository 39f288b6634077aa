"""More things than one page of a listing holds: all of them are found, and all of them go."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from localcloud import backends
from localcloud.plugins import Plugins
from localcloud.plugins.values import Props
from localcloud.server import Server
from tests.localcloud.plugins_support import Made, Provider, World, policy

ALLOW = policy({"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"})
MANIFEST = "application/vnd.oci.image.manifest.v1+json"


@pytest.fixture
def world(server: Server, plugins: Plugins, tmp_path: Path) -> Iterator[World]:
    provider = Provider(plugins)
    yield World(provider, server)
    provider.close()


def at_once(action: Any, items: Any) -> None:
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(action, items))


def test_a_bucket_with_thousands_of_versions_and_markers_goes_at_once(world: World) -> None:
    made = world.make("aws:s3/bucket:Bucket", bucket="many-objects", forceDestroy=True)
    s3, bucket = world.server.client("s3"), made.id
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    keys = [f"job/versions/{number:04}" for number in range(3000)]
    with world.server.lock:
        for key in keys:  # as many requests would take ten times as long as what is to be shown
            backends.s3(world.server.account).put_object(bucket, key, b"")
    for key in keys[:100]:
        s3.put_object(Bucket=bucket, Key=key, Body=b"again")
    for start in range(0, len(keys), 1000):
        gone = [{"Key": key} for key in keys[start : start + 1000]]
        s3.delete_objects(Bucket=bucket, Delete={"Objects": gone, "Quiet": True})
    s3.create_multipart_upload(Bucket=bucket, Key="begun and never completed")
    world.provider.delete(world.made[-1][0], made)
    with pytest.raises(ClientError, match="404"):
        s3.head_bucket(Bucket=bucket)


def test_one_key_with_pages_of_versions_goes_at_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOTO_S3_DEFAULT_MAX_KEYS", "20")
    s3, bucket = world.server.client("s3"), world.make("aws:s3/bucket:Bucket", bucket="many-versions").id
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    made = world.make("aws:s3/bucketObjectv2:BucketObjectv2", bucket=bucket, key="page", content="")
    for number in range(70):
        s3.put_object(Bucket=bucket, Key="page", Body=b"%d" % number)
    s3.put_object(Bucket=bucket, Key="page-of-another", Body=b"stays")
    assert s3.list_object_versions(Bucket=bucket)["IsTruncated"], "a page must be shorter than this"
    world.provider.delete(world.made[-1][0], made)
    assert [each["Key"] for each in s3.list_object_versions(Bucket=bucket)["Versions"]] == ["page-of-another"]


def test_what_cannot_be_deleted_is_named(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """`Quiet` leaves failures in the answer, and a bucket that is never empty must not be tried for ever."""
    made = world.make("aws:s3/bucket:Bucket", bucket="many-held", forceDestroy=True, objectLockEnabled=True)
    s3 = world.server.client("s3")
    held = {"ObjectLockMode": "GOVERNANCE", "ObjectLockRetainUntilDate": "2999-01-01T00:00:00Z"}
    s3.put_object(Bucket=made.id, Key="kept", Body=b"", ChecksumAlgorithm="SHA256", **held)
    with pytest.raises(Exception, match=r"(kept.*AccessDenied|AccessDenied.*kept|BucketNotEmpty)"):
        world.provider.delete(world.made[-1][0], made)
    assert s3.list_objects_v2(Bucket=made.id)["KeyCount"] == 1


def a_zone(world: World) -> Made:
    made = world.make("aws:route53/zone:Zone", name="example.com", forceDestroy=True)
    changes = [
        {"Action": "CREATE", "ResourceRecordSet": {
            "Name": f"r{number:03}.example.com", "Type": "TXT", "TTL": 60, "ResourceRecords": [{"Value": '"x"'}]}}
        for number in range(350)
    ]  # fmt: skip
    client = world.server.client("route53")
    for start in range(0, 350, 50):
        batch = {"Changes": changes[start : start + 50]}
        client.change_resource_record_sets(HostedZoneId=made.id, ChangeBatch=batch)
    return made


def a_repository(world: World) -> Made:
    made = world.make("aws:ecr/repository:Repository", name="many", forceDelete=True)
    ecr = world.server.client("ecr")
    for number in range(150):
        manifest = json.dumps({"schemaVersion": 2, "config": {"digest": f"sha256:{number:064x}"}, "layers": []})
        ecr.put_image(
            repositoryName="many", imageManifest=manifest, imageManifestMediaType=MANIFEST, imageTag=f"t{number}"
        )
    return made


def a_log_group(world: World) -> Made:
    made = world.make("aws:cloudwatch/logGroup:LogGroup", name="/many")
    logs = world.server.client("logs")
    for number in range(120):
        logs.create_log_stream(logGroupName="/many", logStreamName=f"s{number}")
    return made


@pytest.mark.parametrize("make", [a_zone, a_repository, a_log_group], ids=lambda make: make.__name__)
def test_what_holds_more_than_a_page_goes_at_once(world: World, make: Any) -> None:
    made = make(world)
    urn = world.made[-1][0]
    world.provider.delete(urn, made)
    assert world.provider.read(urn, made) is None


def test_a_policy_that_was_changed_often_goes(world: World) -> None:
    made = world.make("aws:iam/policy:Policy", policy=ALLOW)
    urn = world.made[-1][0]
    for number in range(7):
        changed = policy({"Effect": "Allow", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::b{number}/*"})
        inputs = {**made.inputs, "policy": changed}
        made = replace(world.provider.update(urn, made, inputs), inputs=inputs)
    world.provider.delete(urn, made)
    assert world.provider.read(urn, made) is None


def last_of_a_rule(world: World) -> tuple[str, Props]:
    world.make("aws:cloudwatch/eventRule:EventRule", name="many", eventPattern='{"source": ["x"]}')
    events = world.server.client("events")
    for number in range(4):
        target = {"Id": f"t{number}", "Arn": f"arn:aws:sqs:eu-west-1:{world.server.account}:q"}
        events.put_targets(Rule="many", Targets=[target])
    arn = f"arn:aws:sqs:eu-west-1:{world.server.account}:q"
    return "aws:cloudwatch/eventTarget:EventTarget", {"rule": "many", "targetId": "zz", "arn": arn}


def last_stream(world: World) -> tuple[str, Props]:
    a_log_group(world)
    for number in range(120):
        world.server.client("logs").create_log_stream(logGroupName="/many", logStreamName=f"z{number:03}")
    return "aws:cloudwatch/logStream:LogStream", {"logGroupName": "/many", "name": "z"}


@pytest.mark.parametrize("make", [last_of_a_rule, last_stream], ids=lambda make: make.__name__)
def test_what_stands_behind_the_first_page_is_found(world: World, make: Any) -> None:
    token, inputs = make(world)
    made = world.make(token, **inputs)
    assert world.provider.read(world.made[-1][0], made) is not None
