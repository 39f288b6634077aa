"""The file in which an engine keeps what a stack holds, for tests that play the engine."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from localcloud.plugins import Plugins
from localcloud.plugins.ledger import stack_of, type_of
from localcloud.plugins.provider import Provider
from localcloud.plugins.states import Backend
from localcloud.plugins.values import Props

Held = tuple[str, str, Props, Props]
"""URN, id, inputs, outputs."""


class StateFiles:
    """A file backend: `write` is what an engine does at the end of an update that is not killed."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.backend = Backend(folder.as_uri(), folder, skips_checkpoints=True)
        self.seconds = 0

    def session(self, plugins: Plugins) -> Provider:
        """A provider for an engine that keeps its state here, and writes it at the end only."""
        return plugins.provider("aws", backend=self.backend)

    def write(self, *held: Held, stack: str = "proj/dev", by_hand: bool = False) -> None:
        """The whole state; `by_hand` as `pulumi state` does, which keeps the time and no copy but the last."""
        file = self.folder / ".pulumi" / "stacks" / f"{stack}.json"
        file.parent.mkdir(parents=True, exist_ok=True)
        if file.exists():
            file.with_suffix(".json.bak").write_bytes(file.read_bytes())
        self.seconds += not by_hand
        file.write_text(json.dumps(self._told(held)))
        if not by_hand:
            history = self.folder / ".pulumi" / "history" / stack
            history.mkdir(parents=True, exist_ok=True)
            (history / f"{stack.rpartition('/')[2]}-{self.seconds}.checkpoint.json").write_bytes(file.read_bytes())

    def _told(self, held: tuple[Held, ...]) -> dict[str, Any]:
        resources = [
            {"urn": urn, "custom": True, "id": id_, "type": type_of(urn), "inputs": inputs, "outputs": outputs}
            for urn, id_, inputs, outputs in held
        ]
        time = f"2026-01-{1 + self.seconds // 86400:02}T{self.seconds // 3600 % 24:02}:{self.seconds // 60 % 60:02}"
        manifest = {"time": f"{time}:{self.seconds % 60:02}.123456789+02:00"}
        return {"version": 3, "checkpoint": {"stack": "dev", "latest": {"manifest": manifest, "resources": resources}}}

    def file(self, urn: str) -> Path:
        """The file of a URN's stack."""
        return self.folder / ".pulumi" / "stacks" / f"{stack_of(urn)}.json"
