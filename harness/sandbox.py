"""A checkout of its own in an empty folder, as a person would clone it; for the benchmarks and the live tests."""

from __future__ import annotations

import compileall
import importlib.util
import json
import os
import re
import shlex
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self

import boto3
import botocore.session
from botocore.config import Config as BotoConfig

from harness.processes import runs
from herd.checkout.find import Checkout
from herd.errors import HerdError
from herd.runs.status import collect
from herd.targets import environment_lock, local_cloud
from herd.targets.local import LocalTarget
from herd.targets.target import DEFAULT
from herd.toolchain import machine

ROOT = Path(__file__).parents[1]

LEFT_OUT = ("AWS_", "PULUMI_", "HERD_", "VIRTUAL_ENV", "PYTHONDONTWRITEBYTECODE")
"""Variables of whoever runs us that would change what is measured or tested."""

POLICY_PACK = "PULUMI_OPTION_POLICY_PACK"
"""The exception: empty, it switches the rules of policy/ off, as benchmarks do."""


TEAMS_FOLDERS = ("jobs/", "reports/", "apis/", "lib/")
"""Where workloads lie."""


class Sandbox:
    """A copy of this checkout's files (tracked or new, as they are on disk) with state of its own and our .venv.

    Without `samples` it has no workloads. `home` is the person's home folder; the user's cache (tools, realised
    packages) is shared on purpose. The team's `review_by` lies half a year ahead, whatever day it is; `now` is the
    moment at which its calendar is looked at, where that is another than the clock's.

        with Sandbox(tmp_path / "checkout") as sandbox:
            sandbox.herd("up")
            sandbox.json("status", "--json")["workloads"]
    """

    def __init__(self, folder: Path, *, home: Path | None = None, samples: bool = True, now: datetime | None = None):
        self.folder = folder
        self.now = now
        self._shell: tuple[tuple[object, ...], dict[str, str]] | None = None
        self._clients: dict[str, Any] = {}
        self._clients_of: tuple[str, str] | None = None
        self.home = home or folder.parent / f"{folder.name}-home"
        self.home.mkdir(parents=True, exist_ok=True)
        folder.mkdir(parents=True)
        # Else each copy would be compiled anew, some seconds of it before its local cloud is up.
        compileall.compile_dir(ROOT / "src", quiet=2)
        listed = subprocess.run(
            ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            check=True,
            capture_output=True,
        ).stdout.decode()
        for name in filter(None, listed.split("\0")):
            source = ROOT / name
            if not source.is_file():
                continue  # deleted in the work tree, not yet in the index
            if not samples and name.startswith(TEAMS_FOLDERS):
                continue
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target)
            if name.startswith("src/") and name.endswith(".py"):
                _copy_bytecode(source, target)
        (folder / ".venv").symlink_to(ROOT / ".venv")
        defaults = folder / "defaults.toml"
        ahead = datetime.now(UTC).date() + timedelta(days=182)
        defaults.write_text(re.sub(r"(?m)^(review_by *=) \S+", rf"\1 {ahead}", defaults.read_text()))

    @property
    def environment(self) -> dict[str, str]:
        """What a person's shell has, without what belongs to the shell that runs us."""
        kept = {key: value for key, value in os.environ.items() if not key.startswith(LEFT_OUT) or key == POLICY_PACK}
        cache = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
        # Our .venv leads to the checkout it was made for, whose modules would be taken instead of this one's.
        source = str(self.folder / "src")
        ours = {"PYTHONPATH": source, "HOME": str(self.home), "XDG_CACHE_HOME": cache, "NO_COLOR": "1"}
        return {**kept, **ours, **({"HERD_NOW": self.now.isoformat()} if self.now else {})}

    def run(
        self, *command: str, check: bool = True, timeout_seconds: float = 300, env: dict[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a command in the checkout; with `check` a failure raises with all that it printed."""
        done = subprocess.run(
            command,
            cwd=self.folder,
            env={**self.environment, **(env or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout_seconds,
        )
        if check and done.returncode != 0:
            raise AssertionError(f"{shlex.join(command)} exited with {done.returncode}\n{done.stdout}\n{done.stderr}")
        return done

    def herd(
        self, *arguments: str, check: bool = True, timeout_seconds: float = 300
    ) -> subprocess.CompletedProcess[str]:
        """Run `herd` here."""
        return self.run(
            str(self.folder / ".venv/bin/python"),
            "-m",
            "herd",
            *arguments,
            check=check,
            timeout_seconds=timeout_seconds,
        )

    def json(self, *arguments: str) -> Any:
        """What a herd command printed, read as JSON."""
        return json.loads(self.herd(*arguments).stdout)

    def herd_env(self, *arguments: str) -> dict[str, str]:
        """The variables that `eval "$(herd env)"` leaves in a shell here."""
        script = self.herd("env", *arguments).stdout
        shell = self.run("sh", "-c", f"{script}\nenv -0")
        return dict(pair.split("=", 1) for pair in shell.stdout.split("\0") if "=" in pair)

    @property
    def shell(self) -> dict[str, str]:
        """`herd_env`, asked for again when the local cloud is another one or the team's files have changed."""
        cloud = self._cloud()
        if cloud is None:
            return self.herd_env()
        now = (cloud, *self._signatures())
        if self._shell is None or self._shell[0] != now:
            self._shell = now, self.herd_env()
        return dict(self._shell[1])

    def _signatures(self) -> Iterator[tuple[str, int, int]]:
        """What tells whether a file that `herd env` may read was written since."""
        folders = [self.folder / name for name in (*TEAMS_FOLDERS, "images", "infra")]
        files = (path for folder in folders for path in sorted(folder.rglob("*")))
        for path in (*sorted(self.folder.iterdir()), *files):
            if path.is_file():
                status = path.stat()
                yield str(path), status.st_mtime_ns, status.st_size

    def client(self, service: str) -> Any:
        """AWS's API as boto3 has it, for the person at this checkout: the local cloud's, which must run.

        One a service while the cloud stays the same: each keeps its connections, and a process may open about 1,000.
        """
        cloud = self.folder / ".herd/cloud"
        of = (cloud / "endpoint.json").read_text(), (cloud / "aws/credentials").read_text()
        if of != self._clients_of:
            self._close_clients()
            self._clients_of = of
        if service not in self._clients:
            session = botocore.session.Session()
            session.set_config_variable("credentials_file", str(cloud / "aws/credentials"))
            session.set_config_variable("config_file", str(cloud / "aws/config"))
            self._clients[service] = boto3.session.Session(botocore_session=session).client(
                service,
                endpoint_url=f"http://127.0.0.1:{json.loads(of[0])['port']}",
                config=BotoConfig(s3={"addressing_style": "path"}, proxies={}),
            )
        return self._clients[service]

    def _close_clients(self) -> None:
        for client in self._clients.values():
            client.close()
        self._clients.clear()

    def pulumi(
        self, *arguments: str, check: bool = True, timeout_seconds: float = 300
    ) -> subprocess.CompletedProcess[str]:
        """Run plain `pulumi` as after `eval "$(herd env)"`."""
        variables = self.shell
        program = shutil.which("pulumi", path=variables["PATH"]) or "pulumi"
        return self.run(program, *arguments, check=check, timeout_seconds=timeout_seconds, env=variables)

    def status(self, name: str) -> dict[str, Any]:
        """The entry of one workload in `herd status --json`.

        Where the local cloud runs it is asked without the command, which takes ten times as long and starts one.
        """
        if self.now is None and self._cloud() is not None:
            workloads = [workload.as_json() for workload in collect(_Target(self))]
        else:
            workloads = self.json("status", "--json")["workloads"]
        return next(workload for workload in workloads if workload["name"] == name)

    def _cloud(self) -> bytes | None:
        """The address of the local cloud that runs; None where there is none."""
        try:
            endpoint = (self.folder / ".herd/cloud/endpoint.json").read_bytes()
        except FileNotFoundError:
            return None
        return endpoint if runs(json.loads(endpoint)["pid"]) else None

    def wait_for(self, what: str, condition: Any, timeout_seconds: float = 120) -> Any:
        """Poll until `condition()` is true and return its value; a wait that ends says what it waited for."""
        deadline = time.monotonic() + timeout_seconds
        while True:
            asked = time.monotonic()
            value = condition()
            if value:
                return value
            if time.monotonic() > deadline:
                raise AssertionError(f"waited {timeout_seconds:g} s for {what}")
            # A condition may run a command: asked without a pause it would take the cores from what it waits for.
            time.sleep(max(0.2, 3 * (time.monotonic() - asked)))

    def write(self, path: str, text: str) -> None:
        """Write a file of the team's."""
        target = self.folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)

    def close(self) -> None:
        """Stop the local cloud and every task, whatever state they are in.

        The environment is nothing without them but files below the folder. Removing it resource by resource would take
        longer than many a test; what `down` leaves is looked at where `down` is tested.
        """
        here = Checkout(self.folder.resolve(), machine.user_cache())
        if here.cloud.is_dir():  # else there never was one, or a test has removed it
            # What `herd stop` does, without a process of its own.
            with suppress(HerdError, OSError), environment_lock.all_held(here), local_cloud.start_lock(here):
                local_cloud.stop(here)
        self._close_clients()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _Target(LocalTarget):
    """The environment as Herd's own functions see it, asked through the clients that are there."""

    def __init__(self, sandbox: Sandbox) -> None:
        super().__init__(Checkout(sandbox.folder.resolve(), machine.user_cache()), DEFAULT)
        self._sandbox = sandbox

    def client(self, service: str) -> Any:
        return self._sandbox.client(service)


def _copy_bytecode(source: Path, target: Path) -> None:
    """A module's bytecode holds for a copy too: Python compares the source's size and time, and sets the new path."""
    compiled = Path(importlib.util.cache_from_source(str(source)))
    if compiled.is_file():
        copy = Path(importlib.util.cache_from_source(str(target)))
        copy.parent.mkdir(exist_ok=True)
        shutil.copy2(compiled, copy)
