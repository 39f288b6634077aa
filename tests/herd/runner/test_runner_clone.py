"""Copies of large files for trials: made once, never a way to the person's own file, gone with who used them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from herd.runner import clone
from herd.runner.clone import Cloner


@pytest.fixture
def large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that counts as large, on a file system without clones."""
    monkeypatch.setattr(clone, "LARGE_BYTES", 100)
    monkeypatch.setattr(clone, "clone", lambda source, target: False)
    path = tmp_path / "data.bin"
    path.write_bytes(b"x" * 1000)
    return path


def test_a_large_file_is_copied_once_and_linked_after_that(large: Path, tmp_path: Path) -> None:
    first, again = tmp_path / "first", tmp_path / "again"
    for target in (first, again):
        Cloner(tmp_path / "store")(str(large), str(target))
    assert first.samefile(again) and not first.samefile(large)
    assert first.read_bytes() == large.read_bytes() and not first.stat().st_mode & 0o222
    first.unlink()
    first.write_bytes(b"another")
    assert large.read_bytes() == again.read_bytes() == b"x" * 1000


@pytest.mark.parametrize("who", ["the person", "a program that may do everything"])
def test_what_has_changed_is_copied_anew(large: Path, tmp_path: Path, who: str) -> None:
    Cloner(tmp_path / "store")(str(large), str(tmp_path / "first"))
    if who == "the person":
        large.write_bytes(b"y" * 1000)
    else:
        (tmp_path / "first").chmod(0o644)
        (tmp_path / "first").write_bytes(b"z" * 1000)
    os.utime(large if who == "the person" else tmp_path / "first", (1, 1))
    Cloner(tmp_path / "store")(str(large), str(tmp_path / "again"))
    assert (tmp_path / "again").read_bytes() == large.read_bytes()


def test_copies_go_with_the_last_working_copy(large: Path, tmp_path: Path) -> None:
    Cloner(tmp_path / "store")(str(large), str(tmp_path / "first"))
    other = Cloner(tmp_path / "store")
    other.tidy()
    assert len(list((tmp_path / "store").iterdir())) == 1
    (tmp_path / "first").unlink()
    other.tidy()
    assert not list((tmp_path / "store").iterdir())


def test_a_small_file_and_a_clone_are_copies_of_their_own(tmp_path: Path) -> None:
    source = tmp_path / "data.bin"
    source.write_bytes(b"x" * 1000)
    Cloner(tmp_path / "store")(str(source), str(tmp_path / "copy"))
    if clone.clone(str(source), str(tmp_path / "clone")):
        assert (tmp_path / "clone").read_bytes() == source.read_bytes()
    (tmp_path / "copy").write_bytes(b"changed")
    assert source.read_bytes() == b"x" * 1000 and not (tmp_path / "store").exists()
