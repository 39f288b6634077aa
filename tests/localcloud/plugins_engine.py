"""The real `pulumi` and a local cloud of its own, for a folder with programs."""

from __future__ import annotations

import json
import os
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from herd.toolchain import pulumi_cli
from herd.toolchain.machine import user_cache

ROOT = Path(__file__).parents[2]


@dataclass
class Engine:
    """A project, a local cloud of its own, and the real `pulumi`."""

    folder: Path
    pulumi: Path
    variables: dict[str, str] = field(default_factory=dict)
    cloud: subprocess.Popen[str] | None = None

    @property
    def endpoint(self) -> dict[str, Any]:
        return dict(json.loads((self.folder / "cloud" / "endpoint.json").read_text()))

    def start(self, *arguments: str, path: str = "/one/") -> subprocess.Popen[str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("PULUMI_", "AWS_"))}
        variables = {
            "ROLE_PATH": path, "PULUMI_HOME": str(self.folder / "pulumi-home"), "PULUMI_CONFIG_PASSPHRASE": "x",
            "PULUMI_BACKEND_URL": (self.folder / "state").as_uri(), "PULUMI_SKIP_UPDATE_CHECK": "true",
            "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true", "PULUMI_IGNORE_AMBIENT_PLUGINS": "true",
            "PULUMI_OPTION_NON_INTERACTIVE": "true", "PULUMI_OPTION_COLOR": "never", "PULUMI_SKIP_CHECKPOINTS": "true",
        }  # fmt: skip
        command = [str(self.pulumi), "-C", str(self.folder / "program"), *arguments]
        return subprocess.Popen(
            command, env={**kept, **variables, **self.variables}, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            start_new_session=True,
        )  # fmt: skip

    def __call__(self, *arguments: str, path: str = "/one/", status: int = 0) -> str:
        with self.start(*arguments, path=path) as process:
            output = process.communicate(timeout=240)[0]
        assert process.returncode == status, output
        return output

    def up(self, path: str) -> str:
        return self("up", "--yes", "--skip-preview", path=path)

    def killed_up(self, path: str, entries: int, undo: Callable[[], object]) -> None:
        """Start an update, and kill the engine when the cloud knows so many resources.

        On a busy machine an update may be over before we looked; then it is undone, and tried again.
        """
        for _ in range(5):
            with self.start("up", "--yes", "--skip-preview", path=path) as process:
                deadline = time.monotonic() + 100
                while self.known() < entries and process.poll() is None and time.monotonic() < deadline:
                    time.sleep(0.005)
                process.kill()
            if process.returncode == -9:
                self("cancel", "--yes")
                return
            assert process.returncode == 0, process.returncode
            undo()
        raise AssertionError("the update was over before it could be killed, five times")

    def ask(self, **request: Any) -> dict[str, Any]:
        with socket.socket(socket.AF_UNIX) as control:
            control.connect(self.endpoint["control"])
            control.sendall(json.dumps(request).encode() + b"\n")
            return dict(json.loads(control.makefile().readline()))

    def known(self) -> int:
        return int(self.ask(do="status")["stacks"].get("proj/dev", 0))

    def client(self, service: str) -> Any:
        session = boto3.session.Session(**self.credentials(), region_name="eu-west-1")
        config = Config(s3={"addressing_style": "path"})
        return session.client(service, endpoint_url=f"http://127.0.0.1:{self.endpoint['port']}", config=config)

    def serve(self) -> None:
        """Start the local cloud, and wait until it answers."""
        python, home = [sys.executable, "-m", "localcloud", "serve"], ["--home", str(self.folder / "cloud")]
        command = [*python, *home, "--cache", str(self.folder / "cache"), "--uv", "uv"]
        self.cloud = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        assert self.cloud.stdout is not None and "ready" in self.cloud.stdout.readline()

    def end(self, how: int = signal.SIGTERM) -> None:
        """Stop the local cloud, or kill it."""
        if self.cloud is not None and self.cloud.stdout is not None:
            self.cloud.send_signal(how)
            self.cloud.stdout.close()
            self.cloud.wait(90)

    def credentials(self) -> dict[str, str]:
        lines = (self.folder / "cloud" / "aws" / "credentials").read_text().splitlines()
        found = dict(line.replace(" ", "").split("=", 1) for line in lines if "=" in line)
        return {name: found[name] for name in ("aws_access_key_id", "aws_secret_access_key")}


@contextmanager
def engine_in(folder: Path) -> Iterator[Engine]:
    """A running local cloud, its plugins, and a project `proj` without a program and stack; all gone afterwards."""
    engine = Engine(folder, pulumi_cli.ensure(user_cache()))
    for name in ("cloud", "cache", "program", "state", "pulumi-home/plugins"):
        (folder / name).mkdir(parents=True)
    (folder / "program" / "Pulumi.yaml").write_text(
        f"name: proj\nruntime:\n  name: python\n  options:\n    virtualenv: {Path(sys.prefix)}\n"
    )
    if not pulumi_cli.has_language_host(engine.pulumi):
        host = folder / "pulumi-home" / "plugins" / f"language-python-v{pulumi_cli.VERSION}" / "pulumi-language-python"
        host.parent.mkdir()
        start = f"cd {shlex.quote(str(ROOT))} && exec {shlex.quote(sys.executable)} -m herd.language_host"
        host.write_text(f'#!/bin/sh\n{start} "$@"\n')
        host.chmod(0o755)
    python, home = [sys.executable, "-m", "localcloud"], ["--home", str(folder / "cloud")]
    install = [*python, "install-plugins", *home, "--pulumi-home", str(folder / "pulumi-home")]
    subprocess.run(install, check=True, cwd=ROOT)
    engine.serve()
    try:
        yield engine
    finally:
        engine.end()
