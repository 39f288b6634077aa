"""The thirty recorded changes: what the files of `recorded/base` declare, and what they do with each patch.

`python -m tests.herd.review.recorded FOLDER` writes both for every change. The program is loaded once and forked for
each: to load it takes longer than to run it.
"""

from __future__ import annotations

import gc
import json
import os
import pickle
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from herd.checkout.find import Checkout
from herd.review import between_files, check
from herd.review.between_files import Declared

RECORDED = Path(__file__).with_name("recorded")
ROOT = Path(__file__).parents[3]
STACK = "prod"
NOW = "2027-03-01T20:00:00+00:00"
"""A Monday evening; no review date is near."""
BASE = "base"

CHANGES = sorted(path.stem for path in RECORDED.glob("*.diff"))


def tree(change: str, folder: Path) -> Checkout:
    """The files after a change; before any for BASE."""
    root = folder / change
    shutil.copytree(RECORDED / BASE, root)
    shutil.copytree(ROOT / "infra", root / "infra", ignore=shutil.ignore_patterns("__pycache__"))
    if change != BASE:
        patch = ["git", "apply", "--whitespace=nowarn", str(RECORDED / f"{change}.diff")]
        subprocess.run(patch, cwd=root, check=True, env={**os.environ, "GIT_CEILING_DIRECTORIES": str(folder)})
    return Checkout(root, folder / "cache")


def record(change: str, folder: Path, results: Path) -> None:
    """Write what a change's files declare."""
    (results / f"{change}.pickle").write_bytes(pickle.dumps(between_files.declared(tree(change, folder), STACK)))


def load(change: str, results: Path) -> Declared:
    declared = pickle.loads((results / f"{change}.pickle").read_bytes())
    assert isinstance(declared, Declared)
    return declared


def main(results: Path, changes: list[str]) -> None:
    os.environ["HERD_NOW"] = NOW
    from herd.language_host import offline

    run = subprocess.run

    def in_this_process(arguments: list[str], **options: Any) -> Any:
        if str(check.OFFLINE) not in arguments:
            return run(arguments, **options)
        os.chdir(options["cwd"])
        os.environ.update(options["env"])
        Path(arguments[4]).write_text(json.dumps(offline.run(json.loads(arguments[3]))))
        return subprocess.CompletedProcess(arguments, 0, "", "")

    import herd.project  # noqa: F401  (with Pulumi's SDKs, which every run needs)
    from herd.infra import components  # noqa: F401

    gc.disable()  # a child ends before it matters, and what it shares with its parent stays shared
    with tempfile.TemporaryDirectory(prefix="herd-recorded-") as made:
        for change in changes or [BASE, *CHANGES]:
            child = os.fork()
            if child == 0:
                status = 1
                try:
                    check.subprocess.run = in_this_process  # type: ignore[attr-defined]
                    record(change, Path(made).resolve(), results)
                    status = 0
                except BaseException as error:
                    sys.stderr.write(f"{change}: {error}\n")
                finally:
                    os._exit(status)
            if os.waitpid(child, 0)[1] != 0:
                sys.exit(f"{change}: failed")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
