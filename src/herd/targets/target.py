"""The target of a command: one environment, in the local cloud or on AWS.

Both kinds of target have the same interface: boto3 clients, the stack's outputs, Pulumi's variables, the option that
names it. Commands use nothing else and never ask which kind it is. `herd.targets.choose` makes one.
"""

from __future__ import annotations

import functools
import time
from abc import abstractmethod
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from herd.errors import HerdError
from herd.infra.settings.keys import config_key
from herd.targets import exports
from herd.targets.exports import Exports
from herd.targets.inbox import Inbox
from herd.targets.stack import Stack

Seen = TypeVar("Seen")

DEFAULT = "dev"
"""The local environment that commands use without `-e` and `--stack`."""


@dataclass(frozen=True)
class Pace:
    """Intervals and time limits that suit the target, in seconds."""

    follow: float
    """Interval at which a run that is followed is polled."""
    poll: float
    """Interval at which everything else is polled."""
    healthy: float
    """Time limit of a deployment whose copies start within a minute, failing copies included."""
    visible: float
    """Time limit until addresses, logs and load balancers of a new resource work."""
    gone: float
    """Time limit until dependent resources disappear, as the network interfaces of a service do."""

    @staticmethod
    def pause(usual: float, waited: float) -> float:
        """Until the next look, for somebody who has waited so long: a twentieth of that, a second at most.

        Each look takes processor time from what is waited for.
        """
        return max(usual, min(1.0, waited / 20))

    def until(self, look: Callable[[], Seen], seconds: float) -> Seen:
        """Look again and again until there is something, for so long at most; what the last look has come to."""
        waited = 0.0
        while not (seen := look()) and waited < seconds:
            pause = self.pause(self.poll, waited)
            time.sleep(pause)
            waited += pause
        return seen


class Target(Stack):
    """One environment."""

    @functools.cached_property
    def deployed(self) -> Exports | None:
        """The stack's outputs as of the last deployment; None where the environment is not up. Read once."""
        return exports.parse(self.outputs(), self.name)

    @property
    def exports(self) -> Exports:
        """The stack's outputs. Raises HerdError where the environment is not up."""
        if self.deployed is None:
            raise HerdError(f"the environment {self.name} is not up; `herd up` makes it")
        return self.deployed

    def forget_exports(self) -> None:
        """Read the outputs again at the next use, because an update may have changed them."""
        self.__dict__.pop("deployed", None)

    pace: Pace

    owns_account: bool
    """True in the local cloud: all its resources are this checkout's. On AWS only those tagged or named as ours are."""

    can_remove_retained: bool
    """True where retained resources can be distinguished from others', so that `herd down --retained` removes them."""

    reaches_internal: bool
    """True where this machine can send requests to services with `access = "internal"`."""

    inbox: Inbox | None = None
    """The mail that the environment sends; None where it reaches people's own mailboxes."""

    @property
    @abstractmethod
    def option(self) -> tuple[str, str]:
        """The option of the command line that names it: `("-e", "dev")`."""

    @property
    @abstractmethod
    def settings_file(self) -> Path:
        """The stack's settings file that Pulumi reads."""

    def settings(self) -> dict[str, Any]:
        """The content of `settings_file`. Raises HerdError where it cannot be read."""
        import yaml

        try:
            return dict(yaml.safe_load(self.settings_file.read_text()) or {})
        except (OSError, yaml.YAMLError) as error:
            raise HerdError(f"{self.settings_file.name}: {error}") from None

    @property
    def is_protected(self) -> bool:
        """Whether the environment is protected against deletion: as deployed, else as its settings file says.

        Raises HerdError where neither can be read.
        """
        if self.deployed:
            return self.deployed.protected
        config = self.settings().get("config") or {}
        return str(config.get(config_key("protect"), config.get(config_key("profile")) == "prod")).lower() == "true"

    @abstractmethod
    def shell_variables(self) -> dict[str, str | None]:
        """Variables that plain `pulumi` and `aws` need in a shell; None: to be unset."""

    @abstractmethod
    def locked(self) -> AbstractContextManager[None]:
        """Hold the environment's lock, so that no other command changes it; waits for another holder."""

    @abstractmethod
    def may_exist(self) -> bool:
        """False only where `herd down` certainly has nothing to remove."""

    @abstractmethod
    def init_stack(self, secrets_provider: str | None) -> None:
        """Create the stack with `pulumi stack init`, for targets where `up` does not."""

    expired: tuple[str, ...] | None = None
    """Workloads whose review date has passed, so that their schedules are disabled; None: not determined yet."""

    lifetime: Mapping[str, str] | None = None
    """The settings by which it ends by itself (`stack_config.LIFETIME`); None: as they are."""

    is_going: bool = False
    """True once a `herd down` of it has begun, until all of it is gone."""

    def require_exports(self) -> Exports:
        """`exports`, for commands that only read; prints the stack and account first where that matters."""
        return self.exports
