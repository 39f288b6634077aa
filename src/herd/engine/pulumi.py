"""Runs the Pulumi engine on a stack and shows its progress."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from herd import console
from herd.console import Step
from herd.engine.changes import Changes
from herd.engine.plan import Plan, Refreshed
from herd.errors import HerdError, Interrupted
from herd.targets import registry_login
from herd.targets.stack import Stack
from herd.toolchain import pulumi_cli


class Engine:
    """`pulumi` on one stack. Its environment variables are computed once, which may install plugins."""

    def __init__(self, target: Stack) -> None:
        self._target = target
        self._environment = {
            **target.pulumi_environment(),
            "PULUMI_OPTION_NON_INTERACTIVE": "true",
            "PULUMI_OPTION_COLOR": "never",
            # Without it `preview --json` says nothing until it has ended.
            "PULUMI_ENABLE_STREAMING_JSON_PREVIEW": "true",
            # For language_host/program.py: the events that are read here have no debug messages.
            "HERD_WITHOUT_DEBUG": "1",
        }

    def up(self) -> Changes:
        """`pulumi up`. Raises HerdError with the reasons if it fails."""
        return self._update("updating", ["up", "--yes", "--skip-preview", *self._refresh_option()], Changes())

    def unprotect(self, settings: Path, urns: list[str]) -> Changes:
        """`pulumi up` of these resources only, with another settings file, so that they can be deleted."""
        # The policy pack refuses an unprotected production environment; this one is about to be deleted on purpose.
        self._environment.pop("PULUMI_OPTION_POLICY_PACK", None)
        self._environment.pop("PULUMI_OPTION_CONFIG_FILE", None)
        arguments = ["up", "--yes", "--skip-preview", "--config-file", str(settings), *_targets(urns)]
        return self._update("turning off the protection of", arguments, Changes())

    def preview(self, plan: Plan) -> Plan:
        """`pulumi preview`, added to `plan`, which has what is known also where this raises HerdError."""
        self._update("comparing", ["preview", *self._refresh_option()], plan)
        return plan

    def refresh(self, seen: Refreshed) -> Refreshed:
        """`pulumi refresh --preview-only`: what differs from the state, added to `seen`. The state stays as it is."""
        self._update("looking at", ["refresh", "--preview-only"], seen)
        return seen

    def preview_of(self, plan: Plan, urns: Sequence[str], dependents: bool = False) -> Plan:
        """`pulumi preview` of these resources, which are refreshed first; of those that use them too."""
        self._update("comparing", ["preview", "--refresh", *_targets(urns, dependents)], plan)
        return plan

    def up_of(self, urns: Sequence[str], dependents: bool = False) -> Changes:
        """`pulumi up` of the same."""
        arguments = ["up", "--yes", "--skip-preview", "--refresh", *_targets(urns, dependents)]
        return self._update("updating", arguments, Changes())

    def destroy(self) -> Changes:
        """`pulumi destroy`. The stack itself stays: `--remove` would delete the tracked settings file too."""
        return self._update("removing", ["destroy", "--yes", "--skip-preview"], Changes())

    def init(self, folder: Path) -> None:
        """`pulumi stack init`. It writes its salt into Pulumi.<stack>.yaml in `folder`, whatever file is configured."""
        self._run(folder, "stack", "init", self._target.name)

    def remove(self) -> None:
        """`pulumi stack rm` of a stack without resources."""
        self._run(self._target.checkout.root, "stack", "rm", "--yes", "--preserve-config", self._target.name)

    def forget_pending(self) -> None:
        """`pulumi refresh` that clears pending operations, which a killed engine has left."""
        self._run(self._target.checkout.root, "refresh", "--yes", "--skip-preview", "--clear-pending-creates")

    def _refresh_option(self) -> list[str]:
        """`--refresh` after an interrupted update, which has not written what it did to the state."""
        return ["--refresh"] if self._target.unsettled else []

    def _run(self, folder: Path, *arguments: str) -> None:
        environment = dict(self._environment)
        if arguments[0] == "stack":
            # These commands name the stack as an argument and fail if the variable is set too.
            environment.pop("PULUMI_OPTION_STACK", None)
        done = subprocess.run(
            [str(self._target.pulumi), "-C", str(folder), *arguments],
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )
        if done.returncode:
            raise HerdError(f"pulumi {' '.join(arguments[:2])}: {done.stderr.strip() or done.stdout.strip()}")

    def _command(self, *arguments: str) -> list[str]:
        return [str(self._target.pulumi), "-C", str(self._target.checkout.root), *arguments]

    def _update(self, label: str, arguments: list[str], changes: Changes) -> Changes:
        command = self._command(*arguments, "--json")
        if not changes.preview:
            self._target.unsettled = True
        if arguments[0] == "up":
            self._environment |= registry_login.variables(self._target, self._environment)
        with console.step(f"{label} {self._target.name}") as step:
            said, status = self._events(command, changes, step)
            step.result = changes.count()
            if status or changes.errors or changes.succeeded is False:
                # stderr repeats the diagnostics; it is the only source where the engine failed before its first event.
                reasons = changes.errors or [said or _exit_reason(status)]
                if broken := self._target.broken():
                    # The engine then reports that its plugins ended, which is a consequence and not the cause.
                    reasons = [broken]
                raise HerdError(
                    "\n".join([f"{label} {self._target.name} failed:", *reasons, *self._plugin_advice(reasons)])
                )
        if not changes.preview:
            self._target.unsettled = False
        return changes

    def _plugin_advice(self, reasons: list[str]) -> list[str]:
        """How to install the plugins that the engine could not download, if that was the reason."""
        if not any("plugin 'pulumi-resource-" in reason for reason in reasons):
            return []
        missing = pulumi_cli.missing_plugins(self._target.plugins, self._environment)
        return [pulumi_cli.plugin_install_advice(missing)] if missing else []

    def _events(self, command: list[str], changes: Changes, step: Step) -> tuple[str, int]:
        """Read the engine's events to the end; its other output and its exit status."""
        process = subprocess.Popen(
            command,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
        assert process.stdout is not None
        other: list[str] = []
        with _engine_ends_itself(), process.stdout:
            for line in process.stdout:
                try:
                    event = json.loads(line)
                except ValueError:
                    other.append(line.rstrip("\n"))
                    continue
                if isinstance(event, dict) and (change := changes.add(event)):
                    step.update(f"{len(changes.done)} · {change}")
            status = process.wait()
        return "\n".join(other).strip(), status


def _targets(urns: Sequence[str], dependents: bool = False) -> list[str]:
    return [*(word for urn in urns for word in ("--target", urn)), *(["--target-dependents"] if dependents else [])]


def _exit_reason(status: int) -> str:
    if status < 0:
        return f"pulumi was killed ({signal.Signals(-status).name}); the same command again continues from there"
    return f"pulumi ended with status {status}"


@contextmanager
def _engine_ends_itself() -> Iterator[None]:
    """Wait for the engine after Ctrl-C, which reaches it too: it finishes its operations and releases its lock."""
    interrupted = False

    def note(*_: object) -> None:
        nonlocal interrupted
        interrupted = True
        console.note("stopping Pulumi after its current operations; press Ctrl-C again to abort it")

    try:
        before = signal.signal(signal.SIGINT, note)
    except ValueError:  # not the main thread
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if interrupted:
        raise Interrupted("interrupted")
