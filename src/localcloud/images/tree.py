"""What lies where inside an image, worked out before a byte is copied.

A `Tree` maps absolute image paths to entries. It is small (one entry a file) and can be copied, so that a stage that
starts `FROM` another one starts with its tree.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from dataclasses import dataclass

from .context import Item


class TreeError(Exception):
    """Something cannot lie where it is put; the text names the place."""


@dataclass(frozen=True)
class Folder:
    """A folder."""


@dataclass(frozen=True)
class File:
    """A file out of the build context. `mode` is its permissions in the image."""

    item: Item
    digest: str
    mode: int


@dataclass(frozen=True)
class Link:
    """A symbolic link, always relative, never leading out of the image."""

    target: str


@dataclass(frozen=True)
class Venv:
    """A virtual environment that is made from a lock file, named by the hash of its content."""

    lock: str


Entry = Folder | File | Link | Venv


class Tree:
    """Image paths and what lies there. Parent folders come by themselves."""

    def __init__(self, entries: dict[str, Entry] | None = None) -> None:
        self._entries: dict[str, Entry] = dict(entries or {"/": Folder()})

    def copy(self) -> Tree:
        """A tree that can be changed without changing this one."""
        return Tree(self._entries)

    def get(self, path: str) -> Entry | None:
        """What lies at a path."""
        return self._entries.get(path)

    def items(self) -> Iterator[tuple[str, Entry]]:
        """Everything in order of path, so folders come before what is in them."""
        yield from sorted(self._entries.items())

    def below(self, path: str) -> Iterator[tuple[str, Entry]]:
        """What lies below a path, with paths relative to it."""
        prefix = path.rstrip("/") + "/"
        for name, entry in self.items():
            if name.startswith(prefix) and name != prefix:
                yield name.removeprefix(prefix), entry

    def put(self, path: str, entry: Entry) -> None:
        """Lay an entry at a path, over a file or link that is there. Raises `TreeError` where the two do not fit."""
        self._make_parents(path)
        there = self._entries.get(path)
        if isinstance(there, Folder) and isinstance(entry, Folder):
            return
        if there is not None and isinstance(there, Folder) != isinstance(entry, Folder):
            raise TreeError(f"{path} would be both a folder and a file")
        if isinstance(there, Venv):
            raise TreeError(f"{path} is a virtual environment named by a label")
        if isinstance(there, Link) and not isinstance(entry, Link):
            raise TreeError(f"{path} is a symbolic link; copy to what it points to")
        if isinstance(entry, Link):
            self._check_link(path, entry)
        self._entries[path] = entry

    def put_venv(self, path: str, lock: str) -> None:
        """Lay a virtual environment at a path that must be free, or an empty folder."""
        if any(True for _ in self.below(path)):
            raise TreeError(f"{path} is a virtual environment named by a label; nothing else can lie in it")
        self._entries.pop(path, None)
        self.put(path, Venv(lock))

    def _make_parents(self, path: str) -> None:
        parent = posixpath.dirname(path)
        there = self._entries.get(parent)
        if there is None:
            self._make_parents(parent)
            self._entries[parent] = Folder()
        elif isinstance(there, Venv):
            raise TreeError(f"{path} would lie in {parent}, a virtual environment named by a label")
        elif not isinstance(there, Folder):
            raise TreeError(f"{path} would lie in {parent}, which is not a folder")

    @staticmethod
    def _check_link(path: str, link: Link) -> None:
        depth = posixpath.dirname(path).count("/") if posixpath.dirname(path) != "/" else 0
        for part in link.target.split("/"):
            depth += -1 if part == ".." else 0 if part in ("", ".") else 1
            if depth < 0:
                raise TreeError(f"{path} is a symbolic link that leads out of the image (to {link.target})")
