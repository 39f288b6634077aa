"""A program that ended because a package is missing: which one, and how to add it."""

from __future__ import annotations

import re
from pathlib import Path

from .contract.distributions import DISTRIBUTIONS, package_of

PYTHON = re.compile(r"ModuleNotFoundError: No module named '([\w.]+)'")
R = re.compile(r"there is no package called [‘'\"`]([A-Za-z][\w.]*)[’'\"`]")


def advice(last_words: str, workload: str, folder: Path) -> str:
    """How to add the package that a program missed, to follow a sentence; "" where that is not why it ended.

    `folder`: the workload's own, as it is in the image.
    """
    if match := list(PYTHON.finditer(last_words)):
        return _python(match[-1][1], workload, folder)
    if match := list(R.finditer(last_words)):
        name = match[-1][1]
        how = "add it to renv.lock of its image, then `herd image lock <the image>`"
        return f"; the R package {name} is not installed: {how}"
    return ""


def _python(module: str, workload: str, folder: Path) -> str:
    top = module.split(".")[0]
    package = package_of(module)
    lacks = f"; the module {top} is in none of its packages: "
    for name in ("requirements.in", "pyproject.toml"):
        if (folder / name).is_file():
            return f"{lacks}add {package} to its {name}, then `herd lock {workload}`"
    shared = "" if top in DISTRIBUTIONS else f'; a folder of lib/ it gets by uses = ["{top}"]'
    return (
        f"{lacks}add {package} to requirements.in of its image, then `herd image lock <the image>`; or list all that "
        f"it needs in a requirements.in of its own, then `herd lock {workload}`{shared}"
    )
