"""An environment in this checkout's local cloud."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from herd import console
from herd.checkout import stack_config
from herd.errors import HerdError
from herd.targets import environment_lock, local_cloud, losses, pulumi_env
from herd.targets.exports import Exports
from herd.targets.inbox import Inbox
from herd.targets.kept import once
from herd.targets.target import Pace, Target


class LocalTarget(Target):
    """An environment in this checkout's local cloud."""

    pace = Pace(follow=0.2, poll=0.2, healthy=90.0, visible=60.0, gone=15.0)
    is_shared = False
    owns_account = True
    can_remove_retained = True
    reaches_internal = True

    @property
    def option(self) -> tuple[str, str]:
        return "-e", self.name

    @property
    def settings_file(self) -> Path:
        return stack_config.path_of(self.checkout, self.name)

    @property
    def engine(self) -> str | None:
        return local_cloud.engine(self.checkout)

    def shell_variables(self) -> dict[str, str | None]:
        return pulumi_env.prepare(self.checkout, self.name, self.cloud, self.pulumi, self.expired, self.lifetime)

    @contextmanager
    def locked(self) -> Iterator[None]:
        with environment_lock.held(self.checkout, self.name) as lock:
            if lock.killed:
                console.note(f"{lock.killed} was killed in the middle; going on from what it left")
            yield
            pulumi_env.prune(self.checkout)

    def may_exist(self) -> bool:
        """Always: without a state file the local cloud may still hold resources."""
        return True

    def init_stack(self, secrets_provider: str | None) -> None:
        """`up` makes it, with a passphrase of the checkout's own."""

    @functools.cached_property
    def cloud(self) -> local_cloud.LocalCloud:
        return local_cloud.require(self.checkout)

    @functools.cached_property
    def inbox(self) -> Inbox:  # type: ignore[override]
        return Inbox(self.cloud)

    @once
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
        """The engine writes a local stack's state at its end only: a killed update leaves the state from before it."""
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

    @property
    def is_going(self) -> bool:
        return self._going_file.exists()

    @is_going.setter
    def is_going(self, value: bool) -> None:
        if value:
            self._going_file.touch()
        else:
            self._going_file.unlink(missing_ok=True)

    @property
    def _going_file(self) -> Path:
        return self.checkout.folder("pulumi") / f"{self.name}.going"

    def broken(self) -> str:
        if local_cloud.running(self.checkout):
            return ""
        return "the local cloud ended in the middle of it; the same command again starts it and goes on from there"

    @property
    def pending(self) -> list[str]:
        """URNs of the state's pending operations, begun by an engine that was killed; empty without checkpoints."""
        return [str(operation["resource"]["urn"]) for operation in self._checkpoint().get("pending_operations") or []]

    def _checkpoint(self) -> dict[str, Any]:
        """The latest checkpoint of Pulumi's state; {} where there is no such stack. Raises HerdError if unreadable."""
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
        """Read from the state file: starting Pulumi would take longer than the rest of `herd status`."""
        resources = self.state_resources()
        stack: dict[str, Any] = next((entry for entry in resources if entry["type"] == "pulumi:pulumi:Stack"), {})
        return dict(stack.get("outputs") or {})

    def state_resources(self) -> list[dict[str, Any]]:
        return list(self._checkpoint().get("resources") or [])

    def pulumi_environment(self) -> dict[str, str]:
        return pulumi_env.apply(self.shell_variables())

    def require_exports(self) -> Exports:
        deployed = super().require_exports()
        self._mention_losses()
        return deployed

    @once
    def _mention_losses(self) -> None:
        losses.mention(self)

    def approve(self, action: str, yes: bool) -> None:
        """A local environment needs no confirmation."""
        self.announce()

    @once
    def announce(self) -> None:
        """Print the environment and its checkout, once: there may be several checkouts on this machine."""
        how = ", tasks in Docker" if self.engine == local_cloud.DOCKER else ""
        console.note(f"environment {self.name} of {self.checkout.root}{how}", style="bold")
