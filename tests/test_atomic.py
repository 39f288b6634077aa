"""Files that are written in one step, in both packages: whole or not at all, whoever else writes them."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType

import pytest

from herd.toolchain import atomic as herd_atomic
from localcloud import atomic as localcloud_atomic

MODULES = pytest.mark.parametrize("atomic", [herd_atomic, localcloud_atomic], ids=["herd", "localcloud"])


@MODULES
def test_it_replaces_an_earlier_one_and_leaves_no_draft(atomic: ModuleType, tmp_path: Path) -> None:
    file = tmp_path / "report.md"
    for content in ("one", b"two"):
        atomic.write(file, content, 0o640)
        assert file.read_text() in ("one", "two") and file.stat().st_mode & 0o777 == 0o640
        assert list(tmp_path.iterdir()) == [file]


@MODULES
def test_two_that_write_at_once_leave_the_whole_of_one(atomic: ModuleType, tmp_path: Path) -> None:
    file = tmp_path / "settings.yaml"
    contents = [letter * 50_000 for letter in "abcdefgh"]

    def write(content: str) -> str:
        atomic.write(file, content)
        return file.read_text()

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(write, contents * 4)) <= set(contents)
    assert list(tmp_path.iterdir()) == [file]


@MODULES
def test_a_write_that_fails_leaves_the_earlier_one(
    atomic: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "key"
    atomic.write(file, "earlier")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        atomic.write(file, "later")
    assert file.read_text() == "earlier" and list(tmp_path.iterdir()) == [file]


def test_one_for_each_package_that_stands_alone_and_no_other() -> None:
    """The drafts of whole folders (an environment, a build) and of streams are no files that are replaced."""
    root = Path(__file__).parents[1] / "src"
    replacing = {
        str(path.relative_to(root)): text.count("os.replace(")
        for path in sorted(root.rglob("*.py"))
        if "os.replace(" in (text := path.read_text(encoding="utf-8"))
    }
    assert replacing == {
        "herd/checkout/apply.py": 1,  # several files, whose drafts lie apart until all are in place
        "herd/runner/clone.py": 1,  # a copy of a large file, which is cloned or streamed
        "herd/runner/fetch.py": 1,  # a download, which streams
        "herd/runner/service.py": 1,  # a link
        "herd/runs/outputs.py": 1,  # a download
        "herd/toolchain/atomic.py": 1,
        "localcloud/atomic.py": 1,
        "localcloud/journal/journal.py": 1,  # a draft that another process made
        "localcloud/journal/lines.py": 1,  # a whole journal, line by line
        "localcloud/runtime/objects.py": 1,  # an object, whose drafts are found again after a kill
    }
