"""The kinds of workloads, and the folder of a project that each lies in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, get_args

Kind = Literal["job", "report", "api", "app"]
KINDS: tuple[Kind, ...] = get_args(Kind)

FOLDERS: Mapping[Kind, str] = {kind: f"{kind}s" for kind in KINDS}
KIND_OF_FOLDER: Mapping[str, Kind] = {folder: kind for kind, folder in FOLDERS.items()}

SERVICES: frozenset[Kind] = frozenset({"api", "app"})
"""What always runs and answers requests; the others start, do their work and end."""

PAGES: frozenset[Kind] = frozenset({"report"})
"""What is published as a page."""
