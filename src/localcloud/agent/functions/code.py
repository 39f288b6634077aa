"""Deployment packages: zip files of strangers, unpacked once."""

from __future__ import annotations

import io
import secrets
import shutil
import stat
import threading
import zipfile
import zlib
from collections.abc import Collection, Iterator
from pathlib import Path, PurePosixPath

from localcloud.patches.hooks import BadPackage

MAX_UNPACKED_BYTES = 262_144_000
"""Source: https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html (250 MB, layers included)"""

MAX_ENTRIES = 65_535
"""Files and folders of a zip without the 64-bit extension; each costs an inode, however small it is."""

_CHUNK = 1 << 20
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


def check(content: bytes) -> None:
    """Raise `BadPackage` for a package that `Packages` would not unpack."""
    for info, archive in _entries(content):
        if not info.is_dir():
            for _ in _read(archive, info):
                pass


class Packages:
    """Unpacked packages below `folder`, by the SHA-256 of their zip. Safe with several threads."""

    def __init__(self, folder: Path):
        self._folder = folder
        self._lock = threading.Lock()

    def unpacked(self, digest: str, content: bytes) -> Path:
        """The folder of a package's files, which are read-only; unpacked now if need be. Raises `BadPackage`."""
        place = self._folder / digest
        with self._lock:
            if not place.is_dir():
                self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                draft = self._folder / f"draft-{secrets.token_hex(8)}"
                try:
                    _unpack(content, draft)
                    draft.rename(place)
                except BaseException:
                    shutil.rmtree(draft, ignore_errors=True)
                    raise
        return place

    def names(self) -> list[str]:
        """Digests of the packages that are unpacked."""
        return [place.name for place in self._folder.iterdir()] if self._folder.is_dir() else []

    def keep(self, digests: Collection[str]) -> None:
        """Remove every package but these."""
        with self._lock:
            for place in self._folder.iterdir() if self._folder.is_dir() else ():
                if place.name not in digests:
                    shutil.rmtree(place, ignore_errors=True)


def _unpack(content: bytes, folder: Path) -> None:
    folder.mkdir(mode=0o700)
    for info, archive in _entries(content):
        target = folder / PurePosixPath(info.filename)
        try:
            if info.is_dir():
                target.mkdir(parents=True, exist_ok=True)
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("xb") as file:
                for chunk in _read(archive, info):
                    file.write(chunk)
        except (FileExistsError, NotADirectoryError):
            raise BadPackage(f"{_COULD_NOT}: {info.filename!r} is there twice, or is a file and a folder") from None
        target.chmod(0o555 if info.external_attr >> 16 & 0o111 else 0o444)


_COULD_NOT = "Could not unzip uploaded file. Please check your file, then try to upload again"


def _entries(content: bytes) -> Iterator[tuple[zipfile.ZipInfo, zipfile.ZipFile]]:
    """The entries of a zip, once all their names and claims have been checked."""
    try:
        archive = zipfile.ZipFile(io.BytesIO(content))
    except (zipfile.BadZipFile, ValueError, OSError, NotImplementedError) as error:
        raise BadPackage(f"{_COULD_NOT}: {error}") from None
    with archive:
        entries = archive.infolist()
        if len(entries) > MAX_ENTRIES:
            raise BadPackage(f"{_COULD_NOT}: it has {len(entries)} entries, and {MAX_ENTRIES} are allowed")
        for info in entries:
            _check_entry(info)
        claimed = sum(info.file_size for info in entries)
        if claimed > MAX_UNPACKED_BYTES:
            raise BadPackage(f"Unzipped size must be smaller than {MAX_UNPACKED_BYTES} bytes")
        yield from ((info, archive) for info in entries)


def _check_entry(info: zipfile.ZipInfo) -> None:
    name, mode = info.filename, info.external_attr >> 16
    parts = PurePosixPath(name).parts
    if not parts or name.startswith("/") or ".." in parts or "\\" in name or not name.isprintable():
        raise BadPackage(f"{_COULD_NOT}: the name {name!r} leads out of the package")
    if len(name.encode(errors="replace")) > 4096 or any(len(part.encode(errors="replace")) > 255 for part in parts):
        raise BadPackage(f"{_COULD_NOT}: the name {name[:80]!r}… is too long")
    kind = stat.S_IFMT(mode)
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise BadPackage(f"{_COULD_NOT}: {name!r} is a link or a device; the local cloud takes files and folders")
    if info.flag_bits & 0x1:
        raise BadPackage(f"{_COULD_NOT}: {name!r} is encrypted")
    if info.compress_type not in _METHODS:
        raise BadPackage(f"{_COULD_NOT}: {name!r} is compressed by another method than deflate")


def _read(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Iterator[bytes]:
    """An entry's bytes: no more than it claims, whose sum was checked."""
    left = info.file_size
    try:
        with archive.open(info) as file:
            while chunk := file.read(_CHUNK):
                left -= len(chunk)
                if left < 0:
                    raise BadPackage(f"{_COULD_NOT}: {info.filename!r} is larger than it says")
                yield chunk
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError, NotImplementedError) as error:
        raise BadPackage(f"{_COULD_NOT}: {info.filename!r}: {error}") from None
