"""A program that ended because a package is missing: which one, and how to add it."""

from __future__ import annotations

import re
from pathlib import Path

PYTHON = re.compile(r"ModuleNotFoundError: No module named '([\w.]+)'")
R = re.compile(r"there is no package called [‘'\"`]([A-Za-z][\w.]*)[’'\"`]")

DISTRIBUTIONS = {
    "Crypto": "pycryptodome", "MySQLdb": "mysqlclient", "OpenSSL": "pyopenssl", "PIL": "pillow", "attr": "attrs",
    "bs4": "beautifulsoup4", "cv2": "opencv-python-headless", "dateutil": "python-dateutil", "docx": "python-docx",
    "dotenv": "python-dotenv", "fitz": "pymupdf", "git": "gitpython", "jwt": "pyjwt", "kafka": "kafka-python",
    "pptx": "python-pptx", "psycopg2": "psycopg2-binary", "serial": "pyserial", "skimage": "scikit-image",
    "sklearn": "scikit-learn", "slugify": "python-slugify", "snowflake": "snowflake-connector-python",
    "umap": "umap-learn", "yaml": "pyyaml", "zmq": "pyzmq",
}  # fmt: skip
"""Imported name -> the package that has it, where they differ."""


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
    package = "-".join(module.split(".")[:3]) if module.startswith("google.cloud.") else DISTRIBUTIONS.get(top, top)
    lacks = f"; the module {top} is in none of its packages: "
    for name in ("requirements.in", "pyproject.toml"):
        if (folder / name).is_file():
            return f"{lacks}add {package} to its {name}, then `herd lock {workload}`"
    shared = "" if top in DISTRIBUTIONS else f'; a folder of lib/ it gets by uses = ["{top}"]'
    return (
        f"{lacks}add {package} to requirements.in of its image, then `herd image lock <the image>`; or list all that "
        f"it needs in a requirements.in of its own, then `herd lock {workload}`{shared}"
    )
