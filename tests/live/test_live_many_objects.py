"""`herd down` of an environment whose data bucket holds more than a page of a listing: it goes at once, and wholly."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from herd.targets.local import LocalTarget
from soak.world import World

pytestmark = [pytest.mark.live, pytest.mark.xdist_group("live-many-objects"), pytest.mark.timeout(900)]

OBJECTS = 2001
"""Three pages of a listing, and three requests that delete."""

AGAIN, REMOVED = 200, 1100
"""So many of them are written twice; so many have a delete marker, which is more than a page of those alone."""


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    """A job alone. Short: the path of a unix socket lies in it."""
    with (
        tempfile.TemporaryDirectory(prefix="herd-", ignore_cleanup_errors=True) as folder,
        World(Path(folder) / "many") as world,
    ):
        for folder in ("apis", "reports"):
            shutil.rmtree(world.folder / folder)
        yield world
        world.herd("down", "--confirm", "dev", check=False)


def fill(target: LocalTarget) -> None:
    """Put the objects into its data bucket."""
    s3, bucket = target.client("s3"), target.exports.data_bucket
    keys = [f"load/versions/{number // 100:02}/{number:04}.txt" for number in range(OBJECTS)]

    def put(key: str) -> None:
        s3.put_object(Bucket=bucket, Key=key, Body=key.encode())

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(put, keys))
        list(pool.map(put, keys[:AGAIN]))
    for start in range(0, REMOVED, 1000):
        gone = [{"Key": key} for key in keys[start : min(start + 1000, REMOVED)]]
        s3.delete_objects(Bucket=bucket, Delete={"Objects": gone, "Quiet": True})
    assert versions(s3, bucket) == (OBJECTS + AGAIN, REMOVED)


def versions(s3: Any, bucket: str) -> tuple[int, int]:
    """How many versions and how many delete markers a bucket holds, beside what `herd up` says of each image."""
    pages = list(s3.get_paginator("list_object_versions").paginate(Bucket=bucket))

    def count(kind: str) -> int:
        return sum(not one["Key"].startswith("_images/") for page in pages for one in page.get(kind, []))

    return count("Versions"), count("DeleteMarkers")


@pytest.mark.parametrize(
    ("settings", "confirmed"),
    [pytest.param("", "--yes", id="as it is"), pytest.param("  herd:protect: true\n", "--confirm=dev", id="protected")],
)
def test_it_goes_at_once_and_nothing_is_left(world: World, settings: str, confirmed: str) -> None:
    told = world.folder / "Pulumi.dev.yaml"
    before = told.read_text()
    told.write_text(f"{before.rstrip()}\n{settings}")
    try:
        up_with_an_empty_bucket(world)
        fill(world.target())
        done = world.herd("down", confirmed, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "dev is removed" in done.stdout and "nothing is left" in done.stderr
        world.assert_nothing_left()
    finally:
        told.write_text(before)


def test_the_next_one_of_this_name_begins_empty(world: World) -> None:
    up_with_an_empty_bucket(world)
    world.herd("down")
    world.assert_nothing_left()


def up_with_an_empty_bucket(world: World) -> None:
    """Whatever the one before it, of the same name, has held."""
    world.herd("up", "--no-run")
    target = world.target()
    assert target.exports.data_bucket == "herd-dev-123456789012-data"
    assert versions(target.client("s3"), target.exports.data_bucket) == (0, 0)
