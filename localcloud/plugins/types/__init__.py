"""The resource types, by AWS service. Importing a module registers its types."""

from __future__ import annotations

import importlib

_MODULES = ("s3", "iam", "logs")


def load_types() -> None:
    """Register every type."""
    for name in _MODULES:
        importlib.import_module(f"{__name__}.{name}")
