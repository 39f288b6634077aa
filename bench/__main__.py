"""`make bench`: measure what Herd promises, each figure against a yardstick of the same run.

python -m bench              all of them (about ten minutes)
python -m bench gateway idle only these
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from bench import both_engines, checks, docker, engine, environment, files, gateway, image, prod, reports, tasks, wide
from bench.measure import Result
from harness.sandbox import POLICY_PACK
from herd.toolchain.machine import ToolMissing

MEASURES: dict[str, Callable[[Path], list[Result]]] = {
    "preview": engine.preview,
    "rules": engine.rules,
    "up-down": engine.up_and_down,
    "make-up": environment.make_up,
    "task": tasks.start_of_a_task,
    "container": docker.first_instruction,
    "try": tasks.herd_try,
    "checks": checks.tables,
    "gateway": gateway.through_the_gateway,
    "growth": environment.growth,
    "idle": environment.at_rest,
    "gigabyte": files.one_gigabyte,
    "small-objects": files.small_objects,
    "page": files.public_page,
    "wide": wide.wide,
    "prod": prod.profiles,
    "image": image.code_change,
    "engines": both_engines.updates,
    "reports": reports.reports,
}


def main(names: list[str]) -> int:
    """Run the named measures, all of them without names; 1 when a goal was missed, 2 for a name that is not one."""
    unknown = [name for name in names if name not in MEASURES]
    if unknown:
        print(f"no such benchmark: {', '.join(unknown)}; there are {', '.join(MEASURES)}", file=sys.stderr)
        return 2
    # The goals are the engine's and the local cloud's; what the rules cost has a goal of its own.
    os.environ[POLICY_PACK] = ""
    missed = 0
    for name in names or MEASURES:
        with tempfile.TemporaryDirectory(prefix="herd-bench-") as folder:
            try:
                results = MEASURES[name](Path(folder))
            except ToolMissing as error:
                print(f"not measured: {name}: {error}", flush=True)
                continue
            for result in results:
                print(result, flush=True)
                missed += not result.reached
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
