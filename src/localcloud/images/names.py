"""What images are called: repository → tags and digests, in one file.

<folder>/names.json     {"host/repository": {"tags": {"v1": "sha256:…"}, "digests": ["sha256:…"]}}
"""

from __future__ import annotations

import fcntl
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from localcloud import atomic
from localcloud.unreadable import Reason, Unreadable, using

FILE = "names.json"


class ImageNotFound(Exception):
    """No image has this name or digest."""


class Names:
    """The names of a folder's images, by the digests that they stand for. Safe with several threads and processes."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        with using(folder):
            folder.mkdir(parents=True, exist_ok=True)
            read_names(folder)
            if not (folder / FILE).exists():
                atomic.write(folder / FILE, "{}")  # from now on it is missed

    def add(self, reference: str, digest: str) -> None:
        """`repository:tag` or `repository@digest`, which moves no tag; the repository knows the digest either way."""
        repository, tag, without_tag = split(reference)
        with self._changed() as names:
            known = names.setdefault(repository, {"tags": {}, "digests": []})
            if without_tag is None:
                known["tags"][tag] = digest
            if digest not in known["digests"]:
                known["digests"].append(digest)

    def find(self, reference: str) -> str:
        """The digest of a name. Raises `ImageNotFound`."""
        repository, tag, wanted = split(reference)
        known = read_names(self._folder).get(repository)
        if known is None:
            raise ImageNotFound(f"{reference}: there is no repository {repository}")
        digest: str | None = wanted if wanted in known["digests"] else None if wanted else known["tags"].get(tag)
        if digest is None:
            raise ImageNotFound(f"{reference}: not found")
        return digest

    def remove(self, reference: str) -> list[str]:
        """Forget a repository, or one tag or digest of it; the digests that it named. What is not there is no error."""
        whole = ":" not in reference.rpartition("/")[2]
        repository, tag, wanted = split(reference)
        with self._changed() as names:
            known = names.get(repository)
            if known is None:
                return []
            digest = wanted or known["tags"].get(tag)
            gone = list(known["digests"]) if whole else [digest] if digest else []
            known["digests"] = [kept for kept in known["digests"] if kept not in gone]
            known["tags"] = {name: kept for name, kept in known["tags"].items() if kept not in gone}
            if whole:
                del names[repository]
        return gone

    def has(self, digest: str) -> bool:
        """Does any repository know it?"""
        return any(digest in known["digests"] for known in read_names(self._folder).values())

    @contextmanager
    def _changed(self) -> Iterator[dict[str, Any]]:
        """The names, to be changed: written back whole when the block ends."""
        with (self._folder / "names.lock").open("w") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            names = read_names(self._folder)
            yield names
            atomic.write(self._folder / FILE, json.dumps(names, indent=1))


def read_names(folder: Path) -> dict[str, Any]:
    """Repository → tags and digests. Raises `Unreadable`: without its names every image would seem to be nobody's."""
    path = folder / FILE
    with using(path):
        try:
            names = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            if any(folder.glob("*/image.json")):
                raise Unreadable(path, Reason.missing, "but there are images") from None
            return {}
    if not isinstance(names, dict):
        raise Unreadable(path, Reason.damaged, "it is of another shape")
    return names


def split(reference: str) -> tuple[str, str, str | None]:
    """Repository, tag and digest: `host:1/a:b` → (`host:1/a`, `b`, None); without a tag it is `latest`."""
    name, _, digest = reference.partition("@")
    head, slash, last = name.rpartition("/")
    last, colon, tag = last.partition(":")
    return f"{head}{slash}{last}", tag if colon else "latest", digest or None
