"""A stack of Pulumi's as the engine needs it: where it is, how AWS is reached there, who is asked before it changes."""

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
    """One stack: an environment (`herd.targets.target`), or an account that is made ready (`herd bootstrap`)."""

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
    """Does it cost money, and do others work on it? Then a person sees first what an update would change."""

    unsettled: bool = False
    """Has an update of it been cut short, so that the state may not say what there is?"""

    @functools.cached_property
    def pulumi(self) -> Path:
        """The Pulumi to use, built now if it must be."""
        try:
            return pulumi_cli.ensure(self.checkout.cache)
        except machine.ToolMissing as error:
            raise HerdError(str(error)) from None

    @abstractmethod
    def pulumi_environment(self) -> dict[str, str]:
        """The environment for running Pulumi on it."""

    def approve(self, action: str, yes: bool) -> None:
        """Let the person confirm what changes something outside this machine. Raises HerdError if they do not."""
        self.announce()
        if not yes and not console.confirm(f"{action} there?"):
            raise HerdError("nothing was done")

    @abstractmethod
    def state_resources(self) -> list[dict[str, Any]]:
        """The resources of Pulumi's state, as it writes them; none where there is no such stack."""

    def announce(self) -> None:
        """Say, once, what is acted on, where that can be mistaken."""
        return

    def broken(self) -> str:
        """Why nothing can be done on it now, if that can be seen from here; else an empty text."""
        return ""

    plugins: tuple[str, ...] = stack_env.PLUGINS
    """Packages whose resources are made here. On AWS Pulumi needs their official plugins."""
