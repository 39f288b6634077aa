"""`herd image list`: what the registry says of the images that deployed workloads run."""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

import pytest

from herd.commands import tables
from herd.deploy.image_list import ImageEntry, collect
from herd.targets.target import Target
from localcloud.server import Server

_accounts = itertools.count(300000000000 + os.getpid() * 1000)
MEDIA = "application/vnd.oci.image.manifest.v1+json"


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server(str(next(_accounts)), "eu-west-1", "http://127.0.0.1:4999")
    yield server
    server.close()


def pushed(server: Server, repository: str, manifest: dict[str, Any]) -> str:
    """Its reference."""
    ecr = server.client("ecr")
    if repository not in {one["repositoryName"] for one in ecr.describe_repositories()["repositories"]}:
        ecr.create_repository(repositoryName=repository)
    text = json.dumps(manifest)
    image = ecr.put_image(repositoryName=repository, imageManifest=text, imageManifestMediaType=MEDIA, imageTag="t")
    return f"1.dkr.ecr.eu-west-1.localhost:4999/{repository}@{image['image']['imageId']['imageDigest']}"


def environment(server: Server, images: dict[str, str]) -> Target:
    ecs = server.client("ecs")
    for name, image in images.items():
        container = {"name": "main", "image": image, "memory": 128}
        ecs.register_task_definition(family=f"dev-{name}", containerDefinitions=[container])
    workloads = {name: SimpleNamespace(task_definition=f"dev-{name}") for name in [*images, "removed"]}
    return cast(Target, SimpleNamespace(client=server.client, exports=SimpleNamespace(workloads=workloads)))


def test_each_image_is_listed_with_its_size_and_users(server: Server) -> None:
    stored = pushed(server, "p-dev/python", {"config": {"size": 10}, "layers": [{"size": 200}, {"size": 3000}]})
    files = pushed(server, "p-dev/geo", {"config": {}, "layers": []})
    gone = stored.replace("python@sha256:", "r@sha256:")
    target = environment(server, {"load": stored, "tidy": stored, "map": files, "old": gone, "other": "busybox"})
    listed = {entry.image: entry for entry in collect(target, {"load": "python", "map": "geo"})}
    assert {name: (entry.size_bytes, entry.used_by) for name, entry in listed.items()} == {
        "python": (3210, ("load", "tidy")),
        "geo": (None, ("map",)),
        "r": (None, ("old",)),
    }
    assert listed["r"].pushed is None
    assert listed["python"].pushed and abs(listed["python"].pushed - datetime.now(UTC)) < timedelta(minutes=10)
    assert json.loads(json.dumps(listed["python"].as_json()))["digest"] == stored.partition("@")[2]


def test_the_table_fits_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    from herd import console

    console.out.cache_clear()
    digest = "sha256:" + "a" * 64
    tables.images([ImageEntry("python", "p/python", digest, 878_000_000, datetime.now(UTC), ("w" * 30,))])
    printed = capsys.readouterr().out
    console.out.cache_clear()
    assert max(map(len, printed.splitlines())) <= 80
    assert "aaaaaaaaaaaa  878.0 MB  0 s" in printed and "a" * 13 not in printed
