"""Both wheels of this Herd, built once for all tests of a run, and those of a later release made from them."""

from __future__ import annotations

import base64
import hashlib
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from herd.checkout import releases
from herd.toolchain import machine
from herd.version import VERSION

LATER = "0.1.1"
TEMPLATES = "herd/checkout/project"


def built(factory: pytest.TempPathFactory) -> Path:
    """The folder with both wheels. Workers of one run share it: whoever comes first builds them."""
    base = factory.getbasetemp()
    shared = (base.parent if base.name.startswith("popen-") else base) / "wheels-of-this-herd"
    with machine.exclusive(shared.with_suffix(".lock"), lambda: None):
        if not shared.exists():
            draft = factory.mktemp("draft")
            releases.of_this_herd(draft)
            draft.rename(shared)
    return shared


def later(
    wheels: Path, folder: Path, changes: Mapping[str, tuple[str, str] | None] | None = None, version: str = LATER
) -> Path:
    """Both wheels of another release, installable: a text of some files replaced (None: without the file)."""
    folder.mkdir()
    number = f'"{VERSION}"', f'"{version}"'
    changes = {"herd/version.py": number, "localcloud/version.py": number, **(changes or {})}
    for path in wheels.glob("*.whl"):
        name = path.name.split("-")[0]
        old, new = f"{name}-{VERSION}.dist-info/", f"{name}-{version}.dist-info/"
        with (
            zipfile.ZipFile(path) as source,
            zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w", zipfile.ZIP_DEFLATED) as target,
        ):
            record = ""
            for entry in source.infolist():
                change = changes.get(entry.filename, ("", ""))
                if change is None or entry.filename == f"{old}RECORD":
                    continue
                content = source.read(entry)
                if change[0]:
                    assert change[0].encode() in content, entry.filename
                    content = content.replace(change[0].encode(), change[1].encode())
                if entry.filename == f"{old}METADATA":
                    for text in ("\nVersion: {}\n", "herd-localcloud=={}\n"):
                        content = content.replace(text.format(VERSION).encode(), text.format(version).encode())
                inside = entry.filename.replace(old, new)
                made = zipfile.ZipInfo(inside, entry.date_time)
                made.external_attr, made.compress_type = entry.external_attr, zipfile.ZIP_DEFLATED
                target.writestr(made, content)
                digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
                record += f"{inside},sha256={digest},{len(content)}\n"
            target.writestr(f"{new}RECORD", f"{record}{new}RECORD,,\n")
    return folder
