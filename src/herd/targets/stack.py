"""A Pulumi stack as the engine needs it: its folder and name, its variables, its AWS clients, its confirmation."""

from __future__ import annotations

import functools
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

from herd import console
from herd.checkout.find import Checkout
from herd.errors import HerdError
from herd.targets import stack_env
from herd.toolchain import machine, pulumi_cli


class Stack(ABC):
    """One stack: an environment (`herd.targets.target`), or the resources that `herd bootstrap` makes in an account."""

    def __init__(self, checkout: Checkout, name: str) -> None:
        self.checkout = checkout
        self.name = name

    @abstractmethod
    def client(self, service: str) -> Any:
        """A boto3 client of a service, for the stack's account and region."""

    @abstractmethod
    def outputs(self) -> dict[str, Any]:
        """The stack's outputs as Pulumi has them now; empty where nothing is deployed."""

    is_shared: bool
    """True for stacks on AWS, which cost money and which others use: an update is previewed and confirmed first."""

    unsettled: bool = False
    """True after an interrupted update: the state may differ from what exists, so the next one refreshes first."""

    @functools.cached_property
    def pulumi(self) -> Path:
        """The `pulumi` to use; built first if necessary. Raises HerdError if it cannot be."""
        try:
            return pulumi_cli.ensure(self.checkout.cache)
        except machine.ToolMissing as error:
            raise HerdError(str(error)) from None

    @abstractmethod
    def pulumi_environment(self) -> dict[str, str]:
        """All environment variables for running Pulumi on this stack."""

    def approve(self, action: str, yes: bool) -> None:
        """Ask for confirmation before something outside this machine changes. Raises HerdError if it is refused."""
        self.announce()
        if not yes and not console.confirm(f"{action} there?"):
            raise HerdError("nothing was done")

    @abstractmethod
    def state_resources(self) -> list[dict[str, Any]]:
        """The resources of Pulumi's state, as `pulumi stack export` writes them; empty where there is no such stack."""

    def announce(self) -> None:
        """Print which stack the command uses, once."""
        return

    @property
    def engine(self) -> str | None:
        """What runs tasks on this machine, by the local cloud's name for it; None where they run on AWS."""
        return None

    def broken(self) -> str:
        """Why the engine cannot work on it now, as far as this machine can see; "" if nothing is known."""
        return ""

    plugins: tuple[str, ...] = stack_env.PLUGINS
    """Pulumi packages that the program uses. On AWS Pulumi needs their official plugins."""
