"""Where things are: the checkout, its git-ignored state folder, and the user's cache."""

from __future__ import annotations

import os
import re
import shlex
from dataclasses import dataclass
from pathlib import Path

from herd import PACKAGE
from herd.errors import WrongInput
from herd.toolchain import machine


@dataclass(frozen=True)
class Checkout:
    """One checkout of a Herd project. Everything that commands leave behind in it lies below `.herd/`."""

    root: Path
    cache: Path

    @property
    def state(self) -> Path:
        return self.root / ".herd"

    @property
    def cloud(self) -> Path:
        """The local cloud's home: its state, log, address and credentials."""
        return self.state / "cloud"

    @property
    def pulumi(self) -> Path:
        """Pulumi's state backend for local environments."""
        return self.state / "pulumi"

    @property
    def pulumi_home(self) -> Path:
        """A PULUMI_HOME of its own, so that the local cloud's plugins are seen by nobody else."""
        return self.state / "pulumi-home"

    @property
    def python(self) -> Path:
        return self.root / ".venv" / "bin" / "python"

    @property
    def project(self) -> str:
        """The project's name, as Pulumi.yaml says. Raises WrongInput where there is no such file."""
        try:
            text = (self.root / "Pulumi.yaml").read_text()
        except OSError:
            raise WrongInput(f"{self.root / 'Pulumi.yaml'}: no such file; is this a Herd project?") from None
        match = re.search(r"^name:\s*[\"']?([A-Za-z0-9._-]+)", text, re.MULTILINE)
        if not match:
            raise WrongInput("Pulumi.yaml: has no `name:`")
        return match[1]

    def folder(self, *parts: str) -> Path:
        """A folder below `.herd/` that only this user may enter, made if absent."""
        self.state.mkdir(mode=0o700, exist_ok=True)
        path = self.state.joinpath(*parts)
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        return path


def find_checkout() -> Checkout:
    """The checkout that one stands in, or any that HERD_CHECKOUT names. Raises WrongInput where there is none.

    Also where it is another than this Herd is part of: its packages, its Pulumi and its rules may be others.
    """
    named = os.environ.get("HERD_CHECKOUT")
    own = next((folder for folder in PACKAGE.parents if is_one(folder)), None)
    return Checkout(_stood_in(own) if named is None else _named(named), machine.user_cache())


def is_one(folder: Path) -> bool:
    """Is it the root of a Herd project? A Pulumi project below it (bootstrap/) is none."""
    return (folder / "Pulumi.yaml").is_file() and (folder / "defaults.toml").is_file()


def _named(text: str) -> Path:
    root = Path(text).resolve() if text.strip() and "\0" not in text else None
    if root is None or not (root / "Pulumi.yaml").is_file():
        raise WrongInput(f"HERD_CHECKOUT={text!r} is not the folder of a Herd project; set it to one, or unset it")
    return root


def _stood_in(own: Path | None) -> Path:
    try:
        here = Path.cwd()
    except FileNotFoundError:
        raise WrongInput("the folder that you stand in is gone; go to the one of your project") from None
    root = next((folder for folder in (here, *here.parents) if is_one(folder)), None)
    if root is not None and own in (root, None):
        return root
    if root is None:
        whose = f"; this Herd belongs to {own} (HERD_CHECKOUT={shlex.quote(str(own))} acts on it from anywhere)"
        raise WrongInput(
            f"{here} lies in no Herd project, so nothing says what to act on. Go to your project's folder"
            f"{whose if own else ''}"
        )
    program = root / ".venv" / "bin" / "herd"
    how = (
        f"type {shlex.quote(str(program))}" if program.exists() else f"`make tools` in {root} makes its own, {program}"
    )
    raise WrongInput(f"you stand in the checkout {root}, and this Herd belongs to another, {own}: {how}")
