"""The Pulumi engine on the sample environment, beside the same engine on an empty program."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from bench.measure import Result, interleaved, seconds
from harness.sandbox import POLICY_PACK, ROOT, Sandbox

ROUNDS = 5


class EmptyProgram:
    """A Pulumi project without resources: engine and language host of the sandbox, a backend of its own."""

    def __init__(self, sandbox: Sandbox, folder: Path):
        self.sandbox = sandbox
        self.folder = folder
        self.variables = {k: v for k, v in sandbox.herd_env().items() if not k.startswith("PULUMI_OPTION_")}
        self.variables["PULUMI_OPTION_NON_INTERACTIVE"] = "true"
        (folder / "state").mkdir(parents=True)
        self.variables["PULUMI_BACKEND_URL"] = f"file://{folder / 'state'}"
        (folder / "Pulumi.yaml").write_text(
            f"name: {folder.name}\nruntime:\n  name: python\n  options:\n    virtualenv: {ROOT / '.venv'}\n"
        )
        (folder / "__main__.py").write_text("")
        self("stack", "init", "empty")

    def __call__(self, *arguments: str) -> None:
        """Run `pulumi` on it."""
        self.sandbox.run("pulumi", "-C", str(self.folder), *arguments, env=self.variables)


@contextmanager
def deployed(folder: Path) -> Iterator[Sandbox]:
    """The sample environment, its resources only."""
    with Sandbox(folder / "checkout") as sandbox:
        sandbox.herd("up", "--no-run")
        yield sandbox


def resources(sandbox: Sandbox) -> int:
    """How many resources the environment has."""
    state = json.loads(sandbox.pulumi("stack", "export").stdout)
    return len(state["deployment"]["resources"])


def preview(folder: Path) -> list[Result]:
    """A preview that finds no change."""
    with deployed(folder) as sandbox:
        empty = EmptyProgram(sandbox, folder / "empty")
        count = resources(sandbox)
        variables = sandbox.herd_env()
        floor, ours = interleaved(
            ROUNDS,
            lambda: empty("preview"),
            lambda: sandbox.run("pulumi", "preview", "--expect-no-changes", env=variables),
        )
        limit = 1.5 * floor + 0.012 * count
        yardstick = f"empty program {floor:.2f} s, {count} resources"
        return [Result("no-change preview", ours, limit, "s", yardstick)]


def rules(folder: Path) -> list[Result]:
    """What the rules of policy/ add to a preview."""
    with deployed(folder) as sandbox:
        variables = sandbox.herd_env()
        pack = {**variables, POLICY_PACK: str(sandbox.folder / "src/herd/policy")}
        preview = ("pulumi", "preview", "--expect-no-changes")
        without, judged = interleaved(
            ROUNDS, partial(sandbox.run, *preview, env=variables), partial(sandbox.run, *preview, env=pack)
        )
        yardstick = f"{without:.2f} s without them, {resources(sandbox)} resources"
        return [Result("rules, added to a preview", judged - without, 1.0, "s", yardstick)]


def up_and_down(folder: Path) -> list[Result]:
    """From nothing to all resources, and back."""
    up_times, down_times, empty_up, empty_down = [], [], [], []
    with Sandbox(folder / "checkout") as sandbox:
        sandbox.herd("up", "--no-run")  # packages realised, files in the page cache
        count = resources(sandbox)
        sandbox.herd("down", "--yes")
        for number in range(ROUNDS):
            pulumi = partial(sandbox.run, "pulumi", env=sandbox.herd_env())
            empty = EmptyProgram(sandbox, folder / f"empty-{number}")
            empty_up.append(seconds(partial(empty, "up", "--yes", "--skip-preview")))
            up_times.append(seconds(partial(pulumi, "up", "--yes", "--skip-preview")))
            empty_down.append(seconds(partial(empty, "destroy", "--yes", "--skip-preview")))
            down_times.append(seconds(partial(sandbox.herd, "down", "--yes")))
    floor_up, floor_down = min(empty_up), min(empty_down)
    return [
        Result(
            "up from nothing, resources only",
            sorted(up_times)[ROUNDS // 2],
            1.5 * floor_up + 0.060 * count,
            "s",
            f"empty program {floor_up:.2f} s, {count} resources",
        ),
        Result(
            "herd down",
            sorted(down_times)[ROUNDS // 2],
            1.5 * floor_down + 0.030 * count,
            "s",
            f"the empty program's destroy {floor_down:.2f} s, {count} resources",
        ),
    ]
