"""What an engine's last state holds, read from the file that Pulumi keeps of a stack.

The engine tells a provider only what it is to do. Whether something is still known to a stack, by which URN, or was
retained or removed from its state, stands in the state alone. One that is kept anywhere but in files (`s3://`, an
account with Pulumi) cannot be read here.
"""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote

from localcloud.plugins.resource import REGISTRY, identity_of
from localcloud.plugins.values import Props

_FILE: Final = "file://"
_GZIP: Final = b"\x1f\x8b"
_SECRET: Final = "4dabf18193072939515e22adb298388d"
"""The key that marks a value of the state as something else than it looks: a secret, which is encrypted."""


@dataclass(frozen=True)
class Known:
    """A resource that a state holds. `identity` is "" where the ARN is a secret: then only the id tells."""

    urn: str
    identifier: str
    identity: str
    region: str
    inputs: Props = field(hash=False)
    outputs: Props = field(hash=False)


@dataclass(frozen=True)
class State:
    """What a stack holds. `written`: when, in microseconds since 1970 by the engine's clock; 0 before any update."""

    written: int = 0
    resources: tuple[Known, ...] = ()


@dataclass(frozen=True)
class Backend:
    """Where an engine keeps its states. `folder` is None where they cannot be read."""

    url: str = ""
    folder: Path | None = None
    skips_checkpoints: bool = False

    @classmethod
    def of(cls, request: Mapping[str, Any]) -> Backend:
        """As the variables of the engine say, which its plugins inherit."""
        url = str(request.get("backend") or "")
        folder = _folder(url, str(request.get("home") or "~"), str(request.get("cwd") or "."))
        return cls(url, folder, str(request.get("skip_checkpoints") or "").lower() in ("1", "true"))

    def __str__(self) -> str:
        """For people. Without what may be an address with a password."""
        if self.folder is not None:
            return f"no such stack in {self.folder}"
        kind = self.url.partition("://")[0]
        return f"it is kept at {kind}://…" if kind else "PULUMI_BACKEND_URL is not set"

    def state(self, stack: str) -> State | None:
        """The last state of `project/stack`; None if there is none, or it cannot be read."""
        file = self.file(stack)
        return _read(file) if file is not None else None

    def file(self, stack: str) -> Path | None:
        """The file of a stack: the newest, where Pulumi was told to compress it meanwhile."""
        if self.folder is None:
            return None
        stacks, name = self.folder / ".pulumi" / "stacks", stack.rpartition("/")[2]
        for base in (stacks / stack, stacks / name):  # the second as Pulumi kept them before projects had a folder
            files = [path for end in ("", ".gz", ".zst") if (path := base.with_name(f"{name}.json{end}")).exists()]
            if files:
                return max(files, key=lambda path: path.stat().st_mtime_ns)
        return None

    def past(self, stack: str) -> list[State]:
        """Earlier states, as far as Pulumi has kept them: the last one, and what it copies after each update."""
        if self.folder is None or (file := self.file(stack)) is None:
            return []
        kept = [file.with_name(f"{file.name}.bak")]
        for folder, pattern in (("history", "*.checkpoint.json*"), ("backups", "*.json*")):
            kept += (self.folder / ".pulumi" / folder / stack).glob(pattern)
        return [state for path in kept if (state := _read(path)) is not None]


def _folder(url: str, home: str, cwd: str) -> Path | None:
    if not url.startswith(_FILE):
        return None
    path = unquote(url.removeprefix(_FILE).split("?")[0])
    if path == "~" or path.startswith("~/"):
        path = os.path.join(home, path[2:])
    return Path(os.path.normpath(os.path.join(cwd, path)))


def _read(file: Path) -> State | None:
    try:
        content = file.read_bytes()
        document = json.loads(gzip.decompress(content) if content.startswith(_GZIP) else content)
        latest = document["checkpoint"].get("latest") or {}
        resources = tuple(_known(each) for each in latest.get("resources") or [] if _is_ours(each))
        return State(_microseconds((latest.get("manifest") or {}).get("time")), resources)
    except (OSError, EOFError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _is_ours(entry: Mapping[str, Any]) -> bool:
    """Of this cloud, and the engine's to remove: not a component, another provider's, or what it only looked up."""
    return bool(entry.get("custom")) and not entry.get("external") and entry["type"] in REGISTRY


def _known(entry: Mapping[str, Any]) -> Known:
    inputs, outputs = entry.get("inputs") or {}, entry.get("outputs") or {}
    identifier, arn, region = str(entry.get("id") or ""), outputs.get("arn"), outputs.get("region")
    hidden = isinstance(arn, dict) and _SECRET in arn
    identity = "" if hidden else identity_of(entry["type"], identifier, outputs)
    return Known(entry["urn"], identifier, identity, region if isinstance(region, str) else "", inputs, outputs)


def _microseconds(time: Any) -> int:
    """Go writes nanoseconds and the offset of the machine's zone; its zero time for a stack without an update."""
    if not isinstance(time, str) or time.startswith("0001-"):
        return 0
    moment = datetime.fromisoformat(time)
    return int(moment.timestamp()) * 1_000_000 + moment.microsecond
