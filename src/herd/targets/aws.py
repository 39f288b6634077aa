"""A stack on AWS."""

from __future__ import annotations

import functools
import json
import subprocess
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

from herd import console
from herd.checkout import stack_config
from herd.errors import HerdError
from herd.targets import pulumi_env, stack_env
from herd.targets.exports import Exports
from herd.targets.kept import once
from herd.targets.target import Pace, Target

CONNECT_SECONDS = 10


class AwsTarget(Target):
    """A stack on AWS: the person's own Pulumi login, profile and region are used as they are."""

    pace = Pace(follow=2.0, poll=5.0, healthy=900.0, visible=300.0, gone=120.0)
    is_shared = True
    owns_account = False
    can_remove_retained = False
    reaches_internal = False

    @property
    def option(self) -> tuple[str, str]:
        return "--stack", self.name

    @property
    def settings_file(self) -> Path:
        return self.checkout.root / f"Pulumi.{self.name}.yaml"

    def shell_variables(self) -> dict[str, str | None]:
        """The person's own login and profile stay as they are."""
        return {**stack_env.variables(self.checkout.root, self.pulumi), "PULUMI_STACK": self.name}

    def locked(self) -> AbstractContextManager[None]:
        """Pulumi's backend locks the stack, for all machines."""
        return nullcontext()

    def may_exist(self) -> bool:
        return any(str(entry["name"]).rpartition("/")[2] == self.name for entry in self.stacks())

    def stacks(self) -> list[dict[str, Any]]:
        """The project's stacks, as Pulumi lists them. Raises HerdError."""
        return list(json.loads(self._pulumi("stack", "ls", "--json")))

    def stack_names(self) -> list[str]:
        """Their names, in order."""
        return sorted(str(entry["name"]) for entry in self.stacks())

    def init_stack(self, secrets_provider: str | None) -> None:
        provider = ["--secrets-provider", secrets_provider] if secrets_provider else []
        self._pulumi("stack", "init", self.name, *provider)

    def _pulumi(self, *arguments: str) -> str:
        """Run a command of Pulumi that fails when PULUMI_OPTION_STACK is set, because it names the stack itself."""
        environment = {**self.pulumi_environment(), "PULUMI_OPTION_NON_INTERACTIVE": "true"}
        environment.pop("PULUMI_OPTION_STACK", None)
        command = [str(self.pulumi), "-C", str(self.checkout.root), *arguments]
        done = subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True)
        if done.returncode:
            raise HerdError(f"pulumi {' '.join(arguments[:2])}: {done.stderr.strip() or done.stdout.strip()}")
        return done.stdout

    @once
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
            raise HerdError(f"stack {self.name}: AWS rejected these credentials: {error}") from None

    def outputs(self) -> dict[str, Any]:
        return dict(json.loads(self._ask("stack", "output", "--json")))

    def state_resources(self) -> list[dict[str, Any]]:
        return list((json.loads(self._ask("stack", "export")).get("deployment") or {}).get("resources") or [])

    def pulumi_environment(self) -> dict[str, str]:
        own = {"PULUMI_OPTION_STACK": self.name, "PULUMI_STACK": None}
        copy = stack_config.with_calendar(self.checkout, self.name, self.expired, self.lifetime)
        settings = {"PULUMI_OPTION_CONFIG_FILE": str(copy)} if copy else {}
        return pulumi_env.apply({**stack_env.variables(self.checkout.root, self.pulumi), **own, **settings})

    def require_exports(self) -> Exports:
        self.announce()
        return super().require_exports()

    @once
    def announce(self) -> None:
        """Print the stack, account and region, once: reading from the wrong account is a mistake too."""
        console.note(f"stack {self.name}, AWS account {self.account}, region {self.region}", style="bold")
        if about := stack_env.about_host(self.pulumi):
            console.note(about)

    def _ask(self, *arguments: str) -> str:
        command = [str(self.pulumi), "-C", str(self.checkout.root), *arguments, "--non-interactive"]
        done = subprocess.run(command, env=self.pulumi_environment(), capture_output=True, text=True)
        if done.returncode:
            raise HerdError(f"stack {self.name}: {done.stderr.strip() or done.stdout.strip()}")
        return done.stdout
