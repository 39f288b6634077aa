"""Bytes in files: what is cut and joined reads as bytes would, and nothing is read that need not be."""

from __future__ import annotations

import hashlib
import zlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localcloud.stored import ContentFile, Piece, Stored, crc32_of_parts

WHOLE = bytes(range(256)) * 4


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> ContentFile:
    path = tmp_path_factory.mktemp("stored") / "content"
    path.write_bytes(WHOLE)
    return ContentFile(path, len(WHOLE), kept=True)


@given(st.data())
def test_cuts_and_joins_are_those_of_bytes(file: ContentFile, data: st.DataObject) -> None:
    places = st.integers(min_value=-5, max_value=len(WHOLE) + 5)
    stored, plain = Stored(), b""
    for _ in range(data.draw(st.integers(min_value=0, max_value=4))):
        start, stop = data.draw(places), data.draw(places)
        whole = Stored([Piece(file, 0, file.size)]) if data.draw(st.booleans()) else Stored.of(WHOLE)
        stored, plain = Stored.joined([stored, whole[start:stop]]), plain + WHOLE[start:stop]
    start, stop = data.draw(places), data.draw(places)
    assert (stored.read(), len(stored)) == (plain, len(plain))
    assert stored[start:stop].read() == plain[start:stop]
    for name in ("md5", "sha256", "sha1"):
        assert stored.digest(name) == hashlib.new(name, plain).digest()
    assert stored.digest("crc32") == zlib.crc32(plain).to_bytes(4, "big")


@given(st.lists(st.binary(max_size=300), max_size=5))
def test_checksums_of_parts_make_that_of_the_whole(parts: list[bytes]) -> None:
    known = [(zlib.crc32(part).to_bytes(4, "big"), len(part)) for part in parts]
    assert crc32_of_parts(known) == zlib.crc32(b"".join(parts)).to_bytes(4, "big")


def test_a_draft_goes_with_the_last_who_knows_it(tmp_path: Path) -> None:
    path = tmp_path / "draft"
    path.write_bytes(b"0123456789")
    stored = Stored([Piece(ContentFile(path, 10, kept=False), 0, 10)])
    cut = stored[2:4]
    del stored
    assert cut.read() == b"23"
    del cut
    assert not path.exists()


def test_whoever_holds_bytes_is_known_to_read_them(file: ContentFile) -> None:
    held = Stored([Piece(file, 0, 5)]).held()
    assert len(file.readers) == 1 and held.read() == WHOLE[:5]
    del held
    assert not file.readers


def test_a_file_that_became_shorter_is_an_error_and_no_end(tmp_path: Path) -> None:
    path = tmp_path / "content"
    path.write_bytes(b"0123")
    with pytest.raises(OSError, match="is shorter than it was"):
        Stored([Piece(ContentFile(path, 10, kept=True), 0, 10)]).read()
