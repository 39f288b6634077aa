"""A clock that is years ahead in every Python of one environment, to see that nothing depends on today's date.

For a scratch clone: its own site-packages get a copy of this file, which a path file imports at each start, and the
package time-machine (docs/contributing.md has the commands). Python alone is deceived: Pulumi, files' times and
certificates go on telling the real time.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from datetime import timedelta
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType, SimpleNamespace

import time_machine  # type: ignore[import-not-found]

AHEAD = timedelta(days=780)
"""Behind every date that the project or a test names as one to come."""

DEADLINES = {
    f"grpc.{name}" for name in ("_cython.cygrpc", "_server", "_channel", "_common", "_utilities", "aio._utils")
}
"""gRPC's C core waits by the real clock for moments that these modules compute: they have to compute them by it too."""


class RealDeadlines:
    """A finder of modules that gives those of gRPC the real clock."""

    @staticmethod
    def find_spec(name: str, path: Sequence[str] | None = None, target: ModuleType | None = None) -> ModuleSpec | None:
        spec = PathFinder.find_spec(name, path, target) if name in DEADLINES else None
        if spec is None or spec.loader is None:
            return None
        execute = spec.loader.exec_module

        def exec_module(module: ModuleType) -> None:
            execute(module)
            vars(module)["time"] = SimpleNamespace(**{**vars(time), "time": time_machine.escape_hatch.time.time})

        vars(spec.loader)["exec_module"] = exec_module
        return spec


sys.meta_path.insert(0, RealDeadlines)
time_machine.travel(AHEAD, tick=True).start()
