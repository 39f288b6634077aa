"""`herd image devcontainer`: an editor's container from an image folder (https://containers.dev/implementors/json_reference).

The file is committed. What it is built from is staged below `.herd/`, by the command that the editor runs first: the
Dockerfile copies files that no folder of the project has in one place.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from herd.checkout.find import Checkout
from herd.deploy import image_locks
from herd.errors import WrongInput
from herd.infra.images.build_context import Stager, StagingError
from herd.packages import renv
from herd.runner.contract import variables
from herd.toolchain import atomic

FILE = "devcontainer.json"
INPUTS = "/inputs"
"""Where the working copies of `herd try` are in the container, with the inputs that they have."""

_USER = re.compile(r"^USER[ \t]+([^\s:]+)", re.MULTILINE | re.IGNORECASE)
_ADDED = re.compile(r"\buseradd\b((?:[^\n]|\\\n)*?)[ \t]([a-z_][a-z0-9_-]*)[ \t]*(?:\\?\n|&&|\Z)")


def stage(checkout: Checkout, image: str) -> Path:
    """Bring the build context up to date. Raises WrongInput for an image that is not there or cannot be staged."""
    image_locks.folder(checkout, image)
    checkout.folder("try")
    context = checkout.folder("build", "devcontainer", image)
    try:
        Stager(checkout.root, "devcontainer").stage_image(image, context)
    except StagingError as error:
        raise WrongInput(str(error)) from None
    return context


def write(checkout: Checkout, image: str) -> tuple[Path, str]:
    """Write the file, if there is none or Herd's own; "+", "~" or "" for no change. Raises WrongInput."""
    path = checkout.root / ".devcontainer" / image / FILE
    for part in (path.parent.parent, path.parent, path):
        if part.is_symlink():
            raise WrongInput(f"{part.relative_to(checkout.root).as_posix()} is a link: put the file itself there")
    text = json.dumps(content(checkout, image), indent=2) + "\n"
    before = path.read_text("utf-8", "replace") if path.is_file() else None
    if before == text:
        return path, ""
    if before is not None and _image_of(before) != image:
        raise WrongInput(
            f"{path.relative_to(checkout.root).as_posix()} is there, and Herd did not write it: move it, or keep it"
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    atomic.write(path, text.encode())
    return path, "+" if before is None else "~"


def content(checkout: Checkout, image: str) -> dict[str, Any]:
    """What the file says. Paths are relative to it, as the reference has them."""
    folder = checkout.root / "images" / image
    dockerfile = (folder / "Dockerfile").read_text("utf-8", "replace")
    context = f"../../.herd/build/devcontainer/{image}"
    user = user_of(dockerfile)
    is_r = (folder / renv.FILE).is_file()
    editor: dict[str, Any] = (
        {"extensions": ["REditorSupport.r"]}
        if is_r
        else {
            "extensions": ["ms-python.python"],
            "settings": {"python.defaultInterpreterPath": "/opt/venv/bin/python"},
        }
    )
    lib = "${containerWorkspaceFolder}/lib"
    return {
        "name": f"{checkout.project}: {image}",
        "build": {"dockerfile": f"{context}/Dockerfile", "context": context},
        # On the host, before anything is built.
        "initializeCommand": [".venv/bin/herd", "image", "devcontainer", image, "--stage"],
        # The image's own entry point runs a workload once and ends.
        "overrideCommand": True,
        "init": True,
        **({"remoteUser": user} if user else {}),
        # The image's user has no login shell that an editor could ask.
        "userEnvProbe": "none",
        "remoteEnv": {"SHELL": "/bin/bash", variables.LIB: lib, **({} if is_r else {"PYTHONPATH": lib})},
        "mounts": [f"type=bind,source=${{localWorkspaceFolder}}/.herd/try,target={INPUTS},readonly"],
        "customizations": {"vscode": editor, "herd": {"image": image}},
    }


def user_of(dockerfile: str) -> str | None:
    """The name of the user of the final stage; None for root, or for a number that no name is made for."""
    final = re.split(r"^FROM\b", dockerfile, flags=re.MULTILINE | re.IGNORECASE)[-1]
    users = _USER.findall(final)
    if not users or users[-1] in ("root", "0"):
        return None
    if not users[-1].isdigit():
        return str(users[-1])
    for options, name in _ADDED.findall(final):
        if re.search(rf"(?:--uid[ =]|-u[ ]?){users[-1]}\b", options):
            return str(name)
    return None


def _image_of(text: str) -> str | None:
    """Whose file it is: Herd's say so."""
    try:
        image = json.loads(text)["customizations"]["herd"]["image"]
    except (ValueError, TypeError, KeyError):
        return None
    return image if isinstance(image, str) else None
