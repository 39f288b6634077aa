"""`herd lock`: a workload's own packages."""

from __future__ import annotations

from typing import Annotated

import typer

from herd import console
from herd.commands.options import Name


def lock(
    name: Name,
    upgrade: Annotated[bool, typer.Option("--upgrade", help="Take newer versions of all packages.")] = False,
) -> None:
    """Lock a workload's own packages again and show what is different.

    They are named in requirements.in, in a pyproject.toml (uv.lock), or in a `# /// script` block of its script. Uses
    the network; builds and deploys nothing.
    """
    from herd.checkout import stack_config, team_files
    from herd.checkout.find import find_checkout
    from herd.deploy import workload_locks
    from herd.errors import WrongInput, unknown

    here = find_checkout()
    specs = team_files.load(here, stack_config.TEMPLATE, name)
    if name not in specs.workloads:
        raise WrongInput(unknown(name, list(specs.workloads), "workload"))
    with console.step(f"locking {specs.workloads[name].folder.as_posix()}") as step:
        locked = workload_locks.lock(here, specs.workloads[name], upgrade)
        step.result = f"{len(locked.packages)} packages"
    for line in locked.difference:
        console.say(line)
    if not locked.difference:
        console.note("nothing is different")
    for path in locked.written:
        console.note(f"~ {path.relative_to(here.root).as_posix()}")
