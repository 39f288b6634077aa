"""Pulumi's archives as zip files, the same bytes for the same files."""

from __future__ import annotations

import io
import tarfile
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from localcloud.plugins.values import is_archive

MAX_BYTES = 262_144_000
"""Of all files together: what Lambda takes unpacked."""

_LONG_AGO = (1980, 1, 1, 0, 0, 0)


class BadArchive(Exception):
    """An archive that cannot be packed; the text is for the person whose program has it."""


def zipped(archive: Mapping[str, Any], folder: str) -> bytes:
    """The zip of an archive; relative paths are those of `folder`. A zip file stays as it is. Raises `BadArchive`."""
    path = archive.get("path")
    if path is not None and str(path).endswith(".zip") and Path(folder, str(path)).is_file():
        return _file(Path(folder, str(path)))
    buffer = io.BytesIO()
    size = 0
    names: set[str] = set()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as target:
        for name, content, executable in sorted(_files(archive, folder, "")):
            size += len(content)
            if size > MAX_BYTES:
                raise BadArchive(f"the files of the archive have more than {MAX_BYTES} bytes")
            if name in names:
                raise BadArchive(f"the archive has {name!r} twice")
            names.add(name)
            info = zipfile.ZipInfo(name, _LONG_AGO)
            info.external_attr = (0o100755 if executable else 0o100644) << 16
            info.compress_type = zipfile.ZIP_DEFLATED
            target.writestr(info, content)
    return buffer.getvalue()


_Packed = tuple[str, bytes, bool]
"""Name in the zip, content, and whether it is executable."""


def _files(value: Mapping[str, Any], folder: str, prefix: str) -> Iterator[_Packed]:
    if value.get("uri") is not None:
        raise BadArchive("the local cloud does not fetch remote archives and assets; use files, folders or texts")
    if not is_archive(value):
        if value.get("path") is not None:
            path = Path(folder, str(value["path"]))
            yield prefix, _file(path), _is_executable(path)
        else:
            yield prefix, str(value.get("text", "")).encode(), False
    elif value.get("path") is not None:
        yield from _of_path(Path(folder, str(value["path"])), f"{prefix}/" if prefix else "")
    else:
        for name, each in (value.get("assets") or {}).items():
            if not isinstance(each, dict):
                raise BadArchive(f"{name!r} in the archive is neither an asset nor an archive")
            yield from _files(each, folder, f"{prefix}/{name}" if prefix else str(name))


def _of_path(path: Path, prefix: str) -> Iterator[_Packed]:
    if path.is_dir():
        for file in sorted(path.rglob("*")):
            inside = file.relative_to(path)
            if file.is_file() and ".pulumi" not in inside.parts:  # which Pulumi leaves out, too
                yield f"{prefix}{inside.as_posix()}", _file(file), _is_executable(file)
    elif path.name.endswith(".zip"):
        yield from _of_zip(path, prefix)
    elif path.name.endswith((".tar", ".tgz", ".tar.gz")):
        yield from _of_tar(path, prefix)
    else:
        raise BadArchive(f"{path} is no folder, and its name does not end in .zip, .tar, .tgz or .tar.gz")


def _of_zip(path: Path, prefix: str) -> Iterator[_Packed]:
    try:
        with zipfile.ZipFile(path) as archive:
            for info in archive.infolist():
                _check_size(path, info.file_size)
                if not info.is_dir():
                    yield f"{prefix}{info.filename}", archive.read(info), bool(info.external_attr >> 16 & 0o111)
    except (OSError, zipfile.BadZipFile, RuntimeError) as error:
        raise BadArchive(f"{path} cannot be read: {error}") from error


def _of_tar(path: Path, prefix: str) -> Iterator[_Packed]:
    try:
        with tarfile.open(path) as archive:
            for member in archive:
                _check_size(path, member.size)
                file = archive.extractfile(member) if member.isfile() else None
                if file is not None:
                    yield f"{prefix}{member.name}", file.read(), bool(member.mode & 0o111)
    except (OSError, tarfile.TarError, EOFError) as error:
        raise BadArchive(f"{path} cannot be read: {error}") from error


def _check_size(path: Path, size: int) -> None:
    if size > MAX_BYTES:
        raise BadArchive(f"a file in {path} has more than {MAX_BYTES} bytes")


def _file(path: Path) -> bytes:
    try:
        _check_size(path, path.stat().st_size)
        return path.read_bytes()
    except OSError as error:
        raise BadArchive(f"{path} cannot be read: {error.strerror}") from error


def _is_executable(path: Path) -> bool:
    return bool(path.stat().st_mode & 0o100)
