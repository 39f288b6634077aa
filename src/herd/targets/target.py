"""The environment that a command acts on: one in the local cloud, or, with `--stack`, one on AWS.

Commands know no difference but this module: both give boto3 clients, what the program exported, and Pulumi's variables.
"""

from __future__ import annotations

import functools
import json
import subprocess
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

from herd import console
from herd.checkout import find as checkouts
from herd.checkout import stack_config
from herd.checkout.find import Checkout
from herd.errors import HerdError, WrongInput
from herd.targets import exports, local_cloud
from herd.targets import pulumi_env as shell
from herd.targets import stack_env as stack_shell
from herd.targets.exports import Exports
from herd.toolchain import machine, pulumi_cli

DEFAULT = "dev"
CONNECT_SECONDS = 10


class Target(ABC):
    """One environment."""

    def __init__(self, checkout: Checkout, name: str) -> None:
        self.checkout = checkout
        self.name = name

    @abstractmethod
    def client(self, service: str) -> Any:
        """A boto3 client of a service, for this environment's account and region."""

    @abstractmethod
    def outputs(self) -> dict[str, Any]:
        """The stack's outputs as Pulumi has them now; empty where nothing is deployed."""

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

    expired: tuple[str, ...] | None = None
    """Workloads whose schedules are to be off, by the calendar; None: nobody has looked at it."""

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

    plugins: tuple[str, ...] = stack_shell.PLUGINS
    """Packages whose resources are made here. On AWS Pulumi needs their official plugins."""

    def require_exports(self) -> Exports:
        """`exports` for a command that only looks: says first where it looks, if that can be mistaken."""
        return self.exports


class LocalTarget(Target):
    """An environment in this checkout's local cloud."""

    @functools.cached_property
    def cloud(self) -> local_cloud.LocalCloud:
        return local_cloud.require(self.checkout)

    @functools.cache  # noqa: B019 - a command has one target and ends with it
    def client(self, service: str) -> Any:
        from botocore.config import Config

        endpoint = self.cloud.endpoint
        return self._session.client(
            service,
            endpoint_url=endpoint,
            config=Config(s3={"addressing_style": "path"}, proxies={}, retries={"max_attempts": 2}),
        )

    @functools.cached_property
    def _session(self) -> Any:
        """A boto3 session that cannot see the person's own AWS settings, whatever their files and variables say."""
        import boto3
        from botocore.session import Session

        aws = self.checkout.cloud / "aws"
        key = local_cloud.credentials(self.checkout)
        session = Session(
            session_vars={
                "profile": (None, None, None, None),
                "config_file": (None, None, str(aws / "config"), None),
                "credentials_file": (None, None, str(aws / "credentials"), None),
            }
        )
        session.set_credentials(key.key, key.secret)
        session.set_config_variable("region", key.region)
        return boto3.Session(botocore_session=session)

    @property
    def state_file(self) -> Path:
        """Where Pulumi's file backend keeps this stack."""
        return self.checkout.pulumi / ".pulumi" / "stacks" / self.checkout.project / f"{self.name}.json"

    @property
    def unsettled(self) -> bool:
        """Here the engine writes its state at the end only, so one that is killed leaves the state of before."""
        return self._unsettled_file.exists()

    @unsettled.setter
    def unsettled(self, value: bool) -> None:
        if value:
            self._unsettled_file.touch()
        else:
            self._unsettled_file.unlink(missing_ok=True)

    @property
    def _unsettled_file(self) -> Path:
        return self.checkout.pulumi / f"{self.name}.unsettled"

    def broken(self) -> str:
        if local_cloud.running(self.checkout):
            return ""
        return "the local cloud ended in the middle of it; the same command again starts it and goes on from there"

    @property
    def pending(self) -> list[str]:
        """What an engine began and never finished, as it wrote down (it does so only with checkpoints): URNs."""
        return [str(operation["resource"]["urn"]) for operation in self._checkpoint().get("pending_operations") or []]

    def _checkpoint(self) -> dict[str, Any]:
        """What Pulumi's state says; {} where there is no such stack. Raises HerdError where it cannot be read."""
        file = self.state_file
        try:
            latest = json.loads(file.read_bytes())["checkpoint"].get("latest") or {}
            if not isinstance(latest, dict):
                raise ValueError("it is of another shape")
            return latest
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise HerdError(f"{file}, Pulumi's state, cannot be read: {error.strerror}; nothing was changed") from None
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise HerdError(
                f"{file}, Pulumi's state, cannot be read: {error}; nothing was changed. Pulumi keeps the state of "
                f"before as {file.name}.bak: `cp {file}.bak {file}` (or put a copy of your own there), then `herd up`"
            ) from None

    def outputs(self) -> dict[str, Any]:
        """Read from the state itself: starting Pulumi for it would take longer than all the rest of `herd status`."""
        resources = self.state_resources()
        stack: dict[str, Any] = next((entry for entry in resources if entry["type"] == "pulumi:pulumi:Stack"), {})
        return dict(stack.get("outputs") or {})

    def state_resources(self) -> list[dict[str, Any]]:
        return list(self._checkpoint().get("resources") or [])

    def pulumi_environment(self) -> dict[str, str]:
        return shell.apply(shell.prepare(self.checkout, self.name, self.cloud, self.pulumi, self.expired))

    def require_exports(self) -> Exports:
        deployed = super().require_exports()
        self._mention_losses()
        return deployed

    @functools.cache  # noqa: B019 - a command has one target and ends with it
    def _mention_losses(self) -> None:
        from herd.deploy import losses

        losses.mention(self)

    def approve(self, action: str, yes: bool) -> None:
        """On the laptop nothing needs to be confirmed."""
        self.announce()

    @functools.cache  # noqa: B019 - a command has one target and ends with it
    def announce(self) -> None:
        """Say, once, which checkout's environment is acted on: there may be several on this machine."""
        console.note(f"environment {self.name} of {self.checkout.root}", style="bold")


class AwsTarget(Target):
    """A stack on AWS: the person's own Pulumi login, profile and region are used as they are."""

    @functools.cache  # noqa: B019 - a command has one target and ends with it
    def client(self, service: str) -> Any:
        from botocore.config import Config

        return self._session.client(
            service, config=Config(connect_timeout=CONNECT_SECONDS, retries={"mode": "standard"})
        )

    @functools.cached_property
    def _session(self) -> Any:
        import boto3

        return boto3.Session(region_name=self.region)

    @functools.cached_property
    def region(self) -> str:
        """The stack's own, not the shell's."""
        return self._ask("config", "get", "aws:region").strip()

    @functools.cached_property
    def account(self) -> str:
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            return str(self.client("sts").get_caller_identity()["Account"])
        except (BotoCoreError, ClientError) as error:
            raise HerdError(f"stack {self.name}: AWS does not know you: {error}") from None

    def outputs(self) -> dict[str, Any]:
        return dict(json.loads(self._ask("stack", "output", "--json")))

    def state_resources(self) -> list[dict[str, Any]]:
        return list((json.loads(self._ask("stack", "export")).get("deployment") or {}).get("resources") or [])

    def pulumi_environment(self) -> dict[str, str]:
        own = {"PULUMI_OPTION_STACK": self.name, "PULUMI_STACK": None}
        copy = stack_config.with_expired(self.checkout, self.name, self.expired)
        settings = {"PULUMI_OPTION_CONFIG_FILE": str(copy)} if copy else {}
        return shell.apply({**stack_shell.variables(self.checkout.root, self.pulumi), **own, **settings})

    def require_exports(self) -> Exports:
        self.announce()
        return super().require_exports()

    @functools.cache  # noqa: B019 - a command has one target and ends with it
    def announce(self) -> None:
        """Say, once, what is acted on: a look at the wrong account is a mistake too."""
        console.note(f"stack {self.name}, AWS account {self.account}, region {self.region}", style="bold")
        if about := stack_shell.about_host(self.pulumi):
            console.note(about)

    def _ask(self, *arguments: str) -> str:
        command = [str(self.pulumi), "-C", str(self.checkout.root), *arguments, "--non-interactive"]
        done = subprocess.run(command, env=self.pulumi_environment(), capture_output=True, text=True)
        if done.returncode:
            raise HerdError(f"stack {self.name}: {done.stderr.strip() or done.stdout.strip()}")
        return done.stdout


def choose(environment: str | None, stack: str | None) -> Target:
    """The target that the options `-e` and `--stack` name. Raises WrongInput for both."""
    checkout = checkouts.current()
    if stack is not None:
        if environment is not None:
            raise WrongInput("--environment names a local environment and --stack one on AWS: give one of them")
        return AwsTarget(checkout, stack)
    return local(environment)


def local(environment: str | None) -> LocalTarget:
    """The local environment of that name; None: the one that is meant where none is named."""
    return LocalTarget(checkouts.current(), DEFAULT if environment is None else environment)
