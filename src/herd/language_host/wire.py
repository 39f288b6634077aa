"""The modules of Pulumi's protocol, without its SDK.

They lie inside the SDK's package, and `import pulumi.runtime.proto` runs all of that first: more than half of the time
that a process takes to start which only speaks the protocol. In the block the packages above them are empty shells:

    with without_sdk():
        from pulumi.runtime.proto import engine_pb2
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

ABOVE = {"pulumi": ".", "pulumi.runtime": "runtime"}
"""Package → its folder in the SDK's."""


@contextmanager
def without_sdk() -> Iterator[None]:
    """Afterwards the packages are as they were, for whoever imports the SDK itself."""
    spec = importlib.util.find_spec("pulumi") if "pulumi" not in sys.modules else None
    if spec is None or spec.origin is None:
        yield  # the SDK is there already, or it is missing and the import says so
        return
    for name, folder in ABOVE.items():
        shell = sys.modules[name] = ModuleType(name)
        shell.__path__ = [str(Path(spec.origin).parent / folder)]
    try:
        yield
    finally:
        for name in ABOVE:
            del sys.modules[name]
