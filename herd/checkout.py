"""Where things are: the checkout, its git-ignored state folder, and the user's cache."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

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


def current() -> Checkout:
    """The checkout that this command belongs to; HERD_CHECKOUT names another (tests and scripts)."""
    root = os.environ.get("HERD_CHECKOUT") or Path(__file__).parents[1]
    return Checkout(Path(root).resolve(), machine.user_cache())
