"""The manifest of a workload's cache: the files that it keeps between its runs, `cache = ["_targets"]`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

from .documents import SCHEMA, from_json, to_json

MOST_BYTES: Final = 10 * 1000**3
MOST_FILES: Final = 20_000
"""Of one cache: each file is an object, and S3 takes some milliseconds for each."""

EXPIRES_DAYS: Final = 60
"""So long after it was uploaded an object of a cache is removed; what is in use is uploaded again well before."""

FILE, FOLDER, LINK = "file", "folder", "link"


@dataclass(frozen=True)
class Entry:
    """A file, a folder or a link. `path` is relative to the working directory.

    Of a file: `key` is the object that has its content, `uploaded` when that was. Of a link: `target` as it was read.
    """

    path: str
    kind: str
    mode: int
    mtime_ns: int = 0
    bytes: int = 0
    sha256: str = ""
    key: str = ""
    uploaded: str = ""
    target: str = ""

    @classmethod
    def from_entry(cls, entry: Mapping[str, Any]) -> Entry:
        """Raises ValueError for what would be written outside of the working directory, or is no entry."""
        try:
            made = cls(**entry)
        except TypeError as error:
            raise ValueError(f"not an entry of a cache: {error}") from error
        texts = (made.path, made.kind, made.sha256, made.key, made.uploaded, made.target)
        numbers = (made.mode, made.mtime_ns, made.bytes)
        if not all(isinstance(text, str) for text in texts) or not all(type(number) is int for number in numbers):
            raise ValueError(f"not an entry of a cache: {entry!r}")
        parts = made.path.split("/")
        if any(part in ("", ".", "..") for part in parts) or "\0" in made.path or made.kind not in (FILE, FOLDER, LINK):
            raise ValueError(f"not an entry of a cache: {made.path!r}")
        return made


@dataclass(frozen=True)
class Cache:
    """What the last run has left, in one object, so that a run finds one whole state: `entries` in order of paths."""

    workload: str
    run_id: str
    saved: str
    entries: tuple[Entry, ...]

    def to_json(self) -> bytes:
        entries = [{name: value for name, value in asdict(entry).items() if value} for entry in self.entries]
        return to_json(
            {
                "schema": SCHEMA,
                "workload": self.workload,
                "run_id": self.run_id,
                "saved": self.saved,
                "entries": [{"mode": 0, **entry} for entry in entries],
            }
        )

    @classmethod
    def from_json(cls, text: bytes) -> Cache:
        """Raises ValueError."""
        data = from_json(text)
        try:
            entries = tuple(map(Entry.from_entry, data["entries"]))
            return cls(str(data["workload"]), str(data["run_id"]), str(data["saved"]), entries)
        except (KeyError, TypeError) as error:
            raise ValueError(f"not a manifest of a cache: {error!r}") from error
