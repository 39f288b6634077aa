"""Pulumi's archives as zip files: what is in them, the same bytes for the same files, and what is refused."""

from __future__ import annotations

import io
import os
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from localcloud.plugins import Plugins
from localcloud.plugins.archives import BadArchive, zipped
from localcloud.plugins.values import Props
from localcloud.server import Server
from tests.localcloud.plugins_cases_lambda import CODE, LAMBDA, SIGNATURE, asset
from tests.localcloud.plugins_support import Provider, World

ARCHIVE = "0def7320c3a5731c473e5ecbe6d01bc7"


def archive(**what: Any) -> Props:
    return {SIGNATURE: ARCHIVE, "hash": "h", **what}


def file(path: str) -> Props:
    return {SIGNATURE: "c44067f5952c0a294b673a41bacd8c17", "hash": "h", "path": path}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "code/inner").mkdir(parents=True)
    (tmp_path / "code/app.py").write_text("app")
    (tmp_path / "code/inner/run").write_text("run")
    (tmp_path / "code/inner/run").chmod(0o755)
    with zipfile.ZipFile(tmp_path / "code.zip", "w") as target:
        target.write(tmp_path / "code/app.py", "zipped.py")
    with tarfile.open(tmp_path / "code.tar.gz", "w:gz") as tar:
        tar.add(tmp_path / "code", "tarred")
        link = tarfile.TarInfo("link")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
    return tmp_path


PACKED: dict[str, tuple[Props, dict[str, str]]] = {
    "a folder": (archive(path="code"), {"app.py": "app", "inner/run": "run"}),
    "a zip": (archive(path="code.zip"), {"zipped.py": "app"}),
    "a tar": (archive(path="code.tar.gz"), {"tarred/app.py": "app", "tarred/inner/run": "run"}),
    "files by name": (
        archive(assets={"a.py": asset("text"), "b.py": file("code/app.py")}),
        {"a.py": "text", "b.py": "app"},
    ),
    "archives in archives": (
        archive(assets={"lib": archive(path="code"), "deep": archive(assets={"z": archive(path="code.zip")})}),
        {"lib/app.py": "app", "lib/inner/run": "run", "deep/z/zipped.py": "app"},
    ),
    "nothing": (archive(assets={}), {}),
}


@pytest.mark.parametrize("name", PACKED)
def test_what_is_packed(name: str, folder: Path) -> None:
    given, expected = PACKED[name]
    packed = zipped(given, str(folder))
    with zipfile.ZipFile(io.BytesIO(packed)) as found:
        assert {each: found.read(each).decode() for each in found.namelist()} == expected
        modes = {info.filename: info.external_attr >> 16 & 0o111 for info in found.infolist()}
    assert all(bool(mode) == each.endswith("run") for each, mode in modes.items() if name != "a zip")
    for path in folder.rglob("*.py"):
        os.utime(path, (1, 1))
    assert zipped(given, str(folder)) == packed, "when a file was touched does not matter"


BAD: dict[str, tuple[Props, str]] = {
    "remote": (archive(uri="https://example.com/a.zip"), "does not fetch remote archives"),
    "remote within": (archive(assets={"a": {**asset(""), "uri": "https://example.com/a"}}), "does not fetch remote"),
    "not there": (archive(path="nowhere"), "is no folder"),
    "a zip that is not there": (archive(path="nowhere.zip"), "cannot be read"),
    "a file": (archive(path="code/app.py"), "is no folder"),
    "a file that is not there": (archive(assets={"a": file("nowhere.py")}), "cannot be read"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_cannot_be_packed(name: str, folder: Path) -> None:
    given, said = BAD[name]
    with pytest.raises(BadArchive, match=said):
        zipped(given, str(folder))


@pytest.fixture
def world(server: Server, plugins: Plugins) -> Iterator[World]:
    provider = Provider(plugins)
    yield World(provider, server)
    provider.close()


SETTINGS = {"role": "arn:aws:iam::123456789012:role/r", "runtime": "python3.12", "handler": "app.handler"}

REFUSED: dict[str, tuple[Props, str, str]] = {
    "layers": ({"code": CODE, "layers": ["arn"]}, "layers", "does not support the property 'layers'"),
    "an image": ({"imageUri": "x", "packageType": "Image"}, "imageUri", "does not support the property 'imageUri'"),
    "no code": ({}, "code", "one of 'code' and 's3Bucket' must be given"),
    "two codes": ({"code": CODE, "s3Bucket": "b", "s3Key": "k"}, "code", "one of 'code' and 's3Bucket'"),
    "no key": ({"s3Bucket": "b"}, "s3Key", "'s3Key' must be given"),
    "an asset": ({"code": asset("x")}, "code", "must be an archive"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_functions_that_are_refused(name: str, world: World) -> None:
    given, place, said = REFUSED[name]
    _, failures = world.provider.check("urn:pulumi:dev::proj::aws:lambda/function:Function::f", {**SETTINGS, **given})
    assert said in failures[place]


def test_a_new_package_of_the_same_files_is_no_change(world: World, tmp_path: Path) -> None:
    """The engine compares archives by their hash; the live code is compared by its own."""
    (tmp_path / "app.py").write_text("def handler(event, context):\n    return 1\n")
    role = world.make("aws:iam/role:Role", assumeRolePolicy=LAMBDA).outputs["arn"]
    urn = "urn:pulumi:dev::proj::aws:lambda/function:Function::f"
    given = {**SETTINGS, "role": role, "code": archive(path=str(tmp_path))}
    made = world.provider.create(urn, world.provider.checked(urn, given))
    (tmp_path / "app.py").touch()
    read = world.provider.read(urn, made)
    assert (
        read is not None and not world.provider.diff(urn, read, world.provider.checked(urn, given, read.inputs)).diffs
    )
