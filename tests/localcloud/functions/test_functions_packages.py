"""Deployment packages of strangers: what is not taken, and that nothing of it lands outside."""

from __future__ import annotations

import io
import stat
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import strategies as st

from localcloud.agent.functions import code
from localcloud.agent.functions.code import Packages, check
from localcloud.patches.hooks import BadPackage
from tests.localcloud.functions.conftest import Functions, package


def archive(*entries: tuple[str, bytes, int]) -> bytes:
    """A zip of names, contents and Unix modes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as target:
        for name, content, mode in entries:
            info = zipfile.ZipInfo(name)
            info.external_attr = mode << 16
            info.compress_type = zipfile.ZIP_DEFLATED
            target.writestr(info, content)
    return buffer.getvalue()


def lying() -> bytes:
    """A file that says it has three bytes and has a thousand."""
    content = archive(("a", b"x" * 1000, 0o644))
    return content.replace(struct.pack("<L", 1000), struct.pack("<L", 3))


BAD: dict[str, tuple[Callable[[], bytes], str]] = {
    "no zip": (lambda: b"#!/bin/sh\n", "Could not unzip uploaded file"),
    "nothing": (lambda: b"", "Could not unzip uploaded file"),
    "half of one": (lambda: archive(("a", b"x" * 100, 0o644))[:60], "Could not unzip uploaded file"),
    "above": (lambda: archive(("../a", b"", 0o644)), "leads out"),
    "above, further in": (lambda: archive(("a/../../b", b"", 0o644)), "leads out"),
    "absolute": (lambda: archive(("/etc/passwd", b"", 0o644)), "leads out"),
    "backslashes": (lambda: archive(("..\\a", b"", 0o644)), "leads out"),
    "a line break": (lambda: archive(("a\nb", b"", 0o644)), "leads out"),
    "a link": (lambda: archive(("a", b"/etc/passwd", stat.S_IFLNK | 0o777)), "link or a device"),
    "a pipe": (lambda: archive(("a", b"", stat.S_IFIFO | 0o644)), "link or a device"),
    "a long name": (lambda: archive(("a" * 300, b"", 0o644)), "too long"),
    "larger than it says": (lying, "Could not unzip uploaded file"),
    "twice": (lambda: archive(("a", b"1", 0o644), ("a", b"2", 0o644)), "twice"),
    "a file and a folder": (lambda: archive(("a", b"1", 0o644), ("a/b", b"2", 0o644)), "twice"),
}


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("name", BAD)
def test_packages_that_are_not_taken(name: str, tmp_path: Path) -> None:
    make, said = BAD[name]
    with pytest.raises(BadPackage, match=said):
        Packages(tmp_path / "code").unpacked("digest", make())
    assert [path for path in tmp_path.rglob("*") if path.name != "code"] == []


def test_a_bomb(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(code, "MAX_UNPACKED_BYTES", 1_000_000)
    with pytest.raises(BadPackage, match="Unzipped size must be smaller than 1000000 bytes"):
        check(archive(*((f"f{number}", b"\0" * 100_001, 0o644) for number in range(10))))
    check(archive(*((f"f{number}", b"\0" * 99_999, 0o644) for number in range(10))))


NAMES = st.lists(
    st.sampled_from(["a", "b", "..", ".", "", "c d", "é"]), min_size=1, max_size=4
).map("/".join)  # fmt: skip


@given(st.dictionaries(NAMES, st.binary(max_size=20), min_size=1, max_size=4))
def test_whatever_the_names_are_nothing_lands_outside(files: dict[str, bytes]) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        try:
            place = Packages(root / "code").unpacked("digest", archive(*((n, c, 0o644) for n, c in files.items())))
        except BadPackage:
            place = None
        outside = [path for path in root.rglob("*") if place is None or not path.is_relative_to(place)]
        assert [path for path in outside if path.name != "code"] == []
        if place is not None:
            held = {path.read_bytes() for path in place.rglob("*") if path.is_file()}
            assert held <= set(files.values())


def test_what_is_unpacked_is_read_only_and_stays_executable(tmp_path: Path) -> None:
    place = Packages(tmp_path).unpacked("digest", archive(("bin/run", b"", 0o755), ("text", b"t", 0o666)))
    assert stat.S_IMODE((place / "bin/run").stat().st_mode) == 0o555
    assert stat.S_IMODE((place / "text").stat().st_mode) == 0o444


def test_lambda_refuses_it_when_the_function_is_made_and_when_its_code_is_replaced(functions: Functions) -> None:
    with pytest.raises(ClientError, match="Could not unzip uploaded file"):
        functions.api.create_function(
            FunctionName="f", Role=functions.role, Runtime="python3.12", Handler="a.b", Code={"ZipFile": b"no zip"}
        )
    functions.make("def handler(event, context):\n    return 1\n")
    with pytest.raises(ClientError) as refused:
        functions.api.update_function_code(FunctionName="f", ZipFile=archive(("../a", b"", 0o644)))
    assert refused.value.response["Error"]["Code"] == "InvalidParameterValueException"
    assert functions.invoke({}) == 1


def test_code_from_s3(functions: Functions) -> None:
    s3 = functions.server.client("s3")
    s3.create_bucket(Bucket="code-of-mine", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    s3.put_object(Bucket="code-of-mine", Key="f.zip", Body=package({"app.py": "def handler(e, c):\n    return 3\n"}))
    place = {"S3Bucket": "code-of-mine", "S3Key": "f.zip"}
    given_ = {"Role": functions.role, "Runtime": "python3.12", "Handler": "app.handler"}
    functions.api.create_function(FunctionName="f", Code=place, **given_)
    assert functions.invoke({}) == 3
    with pytest.raises(ClientError, match="S3 Error Code: NoSuchKey"):
        functions.api.create_function(FunctionName="g", Code={**place, "S3Key": "nothing"}, **given_)
