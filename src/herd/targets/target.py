"""What a command acts on: one environment, in the local cloud or on AWS.

Commands know no difference but by what stands here: both kinds give boto3 clients, what the program exported, Pulumi's
variables, and how a person names them. `herd.targets.choose` makes the one that is meant.
"""

from __future__ import annotations

import functools
from abc import abstractmethod
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from herd.errors import HerdError
from herd.infra.settings.schema import config_key
from herd.targets import exports
from herd.targets.exports import Exports
from herd.targets.stack import Stack

DEFAULT = "dev"
"""The environment that is meant where none is named."""


@dataclass(frozen=True)
class Pace:
    """How fast things happen there, in seconds."""

    follow: float
    """Between two looks at a run that somebody watches."""
    poll: float
    """Between two looks at what comes true by itself."""
    healthy: float
    """How long a deployment may take whose copies start within a minute, failing ones included."""
    visible: float
    """How long addresses, logs and balancers may come after what they belong to."""
    gone: float
    """How long something may stay after what it belonged to, as a network interface does after its service."""


class Target(Stack):
    """One environment."""

    @functools.cached_property
    def deployed(self) -> Exports | None:
        """What the program exported when it was deployed last; None where the environment is not up."""
        return exports.parse(self.outputs(), self.name)

    @property
    def exports(self) -> Exports:
        """What is deployed. Raises HerdError when nothing is."""
        if self.deployed is None:
            raise HerdError(f"the environment {self.name} is not up; `herd up` makes it")
        return self.deployed

    def forget_exports(self) -> None:
        """The outputs may have changed: they are read again when they are needed next."""
        self.__dict__.pop("deployed", None)

    pace: Pace

    owns_account: bool
    """Does everything in its account belong to this checkout? Else only what says that it is the environment's."""

    can_remove_retained: bool
    """Can what no state names be told apart from what is somebody's, and so be removed with the environment?"""

    reaches_internal: bool
    """Does this machine reach services whose access is internal?"""

    @property
    @abstractmethod
    def option(self) -> tuple[str, str]:
        """How a person names it on the command line: `("-e", "dev")`."""

    @property
    @abstractmethod
    def settings_file(self) -> Path:
        """The stack's settings as Pulumi reads them."""

    def settings(self) -> dict[str, Any]:
        """The whole of that file. Raises HerdError where it cannot be read."""
        import yaml

        try:
            return dict(yaml.safe_load(self.settings_file.read_text()) or {})
        except (OSError, yaml.YAMLError) as error:
            raise HerdError(f"{self.settings_file.name}: {error}") from None

    @property
    def is_protected(self) -> bool:
        """Is what it holds not to be deleted by mistake? As deployed; where its update was cut short, as its file says.

        Raises HerdError where neither can be read.
        """
        if self.deployed:
            return self.deployed.protected
        config = self.settings().get("config") or {}
        return str(config.get(config_key("protect"), config.get(config_key("profile")) == "prod")).lower() == "true"

    @abstractmethod
    def shell_variables(self) -> dict[str, str | None]:
        """What plain `pulumi` and `aws` need in a person's shell; None: not set."""

    @abstractmethod
    def alone(self) -> AbstractContextManager[None]:
        """Be the only command that changes the environment; waits for whoever does."""

    @abstractmethod
    def may_exist(self) -> bool:
        """May anything of it be there to be taken down?"""

    @abstractmethod
    def init_stack(self, secrets_provider: str | None) -> None:
        """Make the stack as a person would, where `up` does not make it by itself."""

    expired: tuple[str, ...] | None = None
    """Workloads whose schedules are to be off, by the calendar; None: nobody has looked at it."""

    def require_exports(self) -> Exports:
        """`exports` for a command that only looks: says first where it looks, if that can be mistaken."""
        return self.exports
