"""The build context: the folder that COPY reads from, as its .dockerignore lets it be seen.

Paths are relative to the context's root and use slashes. Nothing outside the root can be reached: neither by `..` nor
by a symbolic link.
"""

from __future__ import annotations

import fnmatch
import hashlib
import os
import posixpath
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from e2b_dockerfile_utils import PatternMatcher

_CHUNK = 1 << 20


class ContextError(Exception):
    """Something in the build context that cannot be copied; the text names it."""


@dataclass(frozen=True)
class Item:
    """One thing in the context. `link` is the target of a symbolic link as it is written there."""

    path: str
    is_folder: bool = False
    link: str | None = None
    executable: bool = False
    size: int = 0


class Context:
    """A folder seen through its ignore file: `<Dockerfile>.dockerignore` beside the Dockerfile, else its own."""

    def __init__(self, root: Path, dockerfile: Path) -> None:
        self.root = root.resolve()
        if not self.root.is_dir():
            raise ContextError(f"{root}: the build context is not a folder")
        own = dockerfile.with_name(dockerfile.name + ".dockerignore")
        ignore = own if own.is_file() else self.root / ".dockerignore"
        self._ignored = PatternMatcher([])
        if ignore.is_file():
            try:
                self._ignored = PatternMatcher(ignore.read_text(encoding="utf-8").splitlines())
            except ValueError as error:
                raise ContextError(f"{ignore.name}: {error}") from error

    def find(self, pattern: str) -> list[Item]:
        """What a COPY source names: one item, or for a pattern with `*`, `?` or `[` any number, in order of name.

        A source that is a symbolic link stands for what it points to, as in Docker. Raises `ContextError` for a
        source that leaves the context or, without a wildcard, is not there.
        """
        parts = [part for part in pattern.split("/") if part not in ("", ".")]
        if ".." in parts:
            raise ContextError(f"{pattern}: a path with '..' may leave the build context")
        paths = [""]
        for part in parts:
            wild = any(character in part for character in "*?[")
            paths = [
                path for folder in paths for path in (self._match(folder, part) if wild else [_join(folder, part)])
            ]
        if any(character in pattern for character in "*?["):
            return [self._followed(path) for path in sorted(paths) if self._is_there(path)]
        path = paths[0]
        if not self._is_there(path):
            hint = " (excluded by .dockerignore)" if os.path.lexists(self.root / path) else ""
            raise ContextError(f"{pattern}: not in the build context{hint}")
        return [self._followed(path)]

    def walk(self, folder: str) -> Iterator[Item]:
        """Everything below a folder, folders before what is in them; symbolic links are not followed."""
        for name in sorted(os.listdir(self.root / folder)):
            path = _join(folder, name)
            item = self._item(path)
            if item.is_folder:
                if not self._ignored.matches(path):
                    yield item
                elif not self._ignored.may_match_under(path):
                    continue
                yield from self.walk(path)
            elif not self._ignored.matches(path):
                yield item

    def digest(self, item: Item) -> str:
        """SHA-256 of a file's content, in hexadecimal."""
        return self.read(item, None)

    def copy(self, item: Item, target: Path, digest: str) -> None:
        """Copy a file and check that it still has the digest; raises `ContextError` if it was changed meanwhile."""
        if self.read(item, target) != digest:
            raise ContextError(f"{item.path}: was changed while the image was being built")

    def read(self, item: Item, target: Path | None) -> str:
        """Read a file once: its digest is returned, its content written to `target` if there is one."""
        sha = hashlib.sha256()
        try:
            # O_NOFOLLOW: what was a file when it was looked at must not have become a link to somewhere else.
            descriptor = os.open(self.root / item.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
            with open(descriptor, "rb") as source:
                if target is None:
                    while chunk := source.read(_CHUNK):
                        sha.update(chunk)
                else:
                    with target.open("xb") as sink:
                        while chunk := source.read(_CHUNK):
                            sha.update(chunk)
                            sink.write(chunk)
        except OSError as error:
            raise ContextError(f"{item.path}: {error.strerror}") from error
        return sha.hexdigest()

    def _match(self, folder: str, pattern: str) -> list[str]:
        if "\\" in pattern:
            raise ContextError(f"{pattern}: a backslash in a pattern is not supported")
        place = self.root / folder
        if not place.is_dir():
            return []
        # Docker's patterns are Go's, which write [^a] for fnmatch's [!a].
        glob = pattern.replace("[^", "[!")
        return [_join(folder, name) for name in os.listdir(place) if fnmatch.fnmatchcase(name, glob)]

    def _is_there(self, path: str) -> bool:
        return os.path.lexists(self.root / path) and (path == "" or not self._ignored.matches(path))

    def _followed(self, path: str) -> Item:
        real = (self.root / path).resolve()
        if real != self.root and self.root not in real.parents:
            raise ContextError(f"{path}: a symbolic link leads out of the build context")
        if not real.exists():
            raise ContextError(f"{path}: a symbolic link to something that is not there")
        inner = "" if real == self.root else real.relative_to(self.root).as_posix()
        return self._item(inner)

    def _item(self, path: str) -> Item:
        place = self.root / path
        status = place.lstat()
        if stat.S_ISDIR(status.st_mode):
            return Item(path, is_folder=True)
        if stat.S_ISLNK(status.st_mode):
            return Item(path, link=self._safe_link(path, os.readlink(place)))
        if stat.S_ISREG(status.st_mode):
            return Item(path, executable=bool(status.st_mode & stat.S_IXUSR), size=status.st_size)
        raise ContextError(f"{path}: neither a file, a folder nor a symbolic link")

    def _safe_link(self, path: str, target: str) -> str:
        inside = posixpath.normpath(_join(posixpath.dirname(path), target))
        if target.startswith("/") or inside == ".." or inside.startswith("../"):
            raise ContextError(f"{path}: a symbolic link leads out of the build context (to {target})")
        return target


def _join(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder else name
