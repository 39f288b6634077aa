"""The example docs/examples/flights-r as a project of its own, its images built by Docker and its tasks run in them.

The one thing that differs from what a team has: the base and the packages come from Debian's mirror (harness/cran.py).
Tasks run by the real runner as on Fargate, with a read-only root, as user 10001, without capabilities; folders play the
part of the data bucket, as for `herd try`.
"""

from __future__ import annotations

import os
import re
import shutil
import ssl
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from harness.sandbox import ROOT
from herd.checkout.find import Checkout
from herd.deploy import image_locks
from herd.infra.images.build_context import Stager
from herd.infra.offer import Offer
from herd.infra.spec.load import load_specs
from herd.infra.workloads.task import task_settings
from herd.runner.contract import variables as names
from localcloud.docker.client import CommandFailed, DockerClient

EXAMPLE = ROOT / "docs/examples/flights-r"
FOLDERS = ("images", "jobs", "lib", "reports", "apis")
USER = 10001
AS_ON_FARGATE = ("--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges", f"--user={USER}:{USER}")


def copy_example(root: Path, base: str, repository: str) -> None:
    """The example's folders, with another base and repository."""
    for name in FOLDERS:
        shutil.copytree(EXAMPLE / name, root / name, dirs_exist_ok=True)
    image = root / "images/r"
    own = f"ARG BASE={base}\nARG DISTRIBUTION=debian-13\n"
    dockerfile = image / "Dockerfile"
    text, number = re.subn(r"# >>> herd r-base .*?# <<< herd r-base <<<\n", own, dockerfile.read_text(), flags=re.S)
    assert number == 1
    dockerfile.write_text(text)
    lock = image / "renv.lock"
    lock.write_text(re.sub(r'"URL": "[^"]+"', f'"URL": "{repository}"', lock.read_text()))


@dataclass
class Project:
    root: Path
    client: DockerClient
    tag: str = field(default_factory=lambda: f"herd-test-r-{uuid.uuid4().hex[:8]}")

    @classmethod
    def make(cls, root: Path, client: DockerClient, base: str, repository: str) -> Project:
        copy_example(root, base, repository)
        (root / "defaults.toml").write_text('owner = "data@example.com"\nreview_by = 2999-01-01\n')
        return cls(root, client)

    @property
    def store(self) -> Path:
        return self.root / "store"

    def lock(self) -> image_locks.LockedImage:
        """What `herd image lock r` does."""
        return image_locks.lock(Checkout(self.root, self.root), self.root / "images/r", upgrade=False)

    def build(self, name: str) -> str:
        """A workload's image; its name in the daemon."""
        staged = Stager(self.root, "dev").stage(load_specs(self.root, "dev").workloads[name])
        return build(self.client, staged.context, f"{self.tag}:{name}")

    def publish(self, name: str, item: str | None = None) -> str:
        """Run a workload and put what it wrote where its readers find it; its log."""
        folder = self.root / "try" / name / (item or "")
        lines: list[str] = []
        self.client.run(
            *(
                "run",
                "--rm",
                "--network=none",
                *AS_ON_FARGATE,
                *self.settings(name, folder, item),
                f"{self.tag}:{name}",
            ),
            on_line=lines.append,
            timeout_seconds=300,
        )
        shutil.copytree(folder / "outputs", self.store / name / (item or ""))
        return "\n".join(lines)

    @contextmanager
    def serving(self, name: str, port: int) -> Iterator[str]:
        """The id of a container of a service that listens on a port of this machine's loopback."""
        variables = ("-e", f"PORT={port}", "-e", "HOST=127.0.0.1")
        settings = self.settings(name, self.root / "try" / name, None)
        command = ("run", "--detach", "--network=host", *AS_ON_FARGATE, *settings, *variables, f"{self.tag}:{name}")
        container = self.client.run(*command).strip()
        try:
            yield container
        finally:
            self.client.run("rm", "--force", "--volumes", container)

    def settings(self, name: str, folder: Path, item: str | None) -> list[str]:
        """Options of `docker run`: what a task definition says, and the folders."""
        spec = load_specs(self.root, "dev").workloads[name]
        # A limit of memory is Docker's: cgroups of the machine are not seen from within.
        differing: dict[str, Any] = {"data_bucket": None, "retries": 0, "memory_gb": None, "base_path": f"/{name}"}
        task = replace(task_settings(spec, Offer(), "dev", None), **differing)
        folder.mkdir(parents=True, exist_ok=True)
        os.chown(folder, USER, USER)
        self.store.mkdir(exist_ok=True)
        variables = {
            **spec.env,
            names.TASK: task.to_json(),
            names.RUN_ID: f"run-of-{name}",
            names.TRY_DIR: "/try",
            names.TRY_INPUTS: "/store",
            **({names.ITEM: item} if item else {}),
        }
        options = [part for key, value in variables.items() for part in ("-e", f"{key}={value}")]
        return [*options, "-v", f"{folder}:/try", "-v", f"{self.store}:/store:ro"]

    def remove(self) -> None:
        """Images of this project, and no others."""
        listed = self.client.run("image", "ls", "--quiet", self.tag).split()
        if listed:
            self.client.run("image", "rm", "--force", *sorted(set(listed)))


def build(client: DockerClient, context: Path, tag: str, *options: str) -> str:
    """Raises AssertionError with the output."""
    lines: list[str] = []
    try:
        client.run("build", "--tag", tag, *_certificates(), *options, str(context), on_line=lines.append)
    except CommandFailed:
        raise AssertionError("\n".join(lines)) from None
    return tag


def _certificates() -> list[str]:
    """This machine's, which may know a proxy that the base does not."""
    bundle = os.environ.get("SSL_CERT_FILE") or ssl.get_default_verify_paths().cafile
    return ["--secret", f"id=ca,src={bundle}"] if bundle else []


def seconds_until_ended(client: DockerClient, container: str, signal: str) -> tuple[float, int]:
    """From the signal to the container's end, without what a command of Docker's takes; and its exit status."""
    began = time.time()
    client.run("inspect", "--format", "{{.Id}}", container)
    sent = time.time()
    client.run("kill", "--signal", signal, container)
    status = int(client.run("wait", container))
    ended = client.run("inspect", "--format", "{{.State.FinishedAt}}", container).strip()
    at = datetime.fromisoformat(ended[:26].rstrip("Z") + "+00:00").timestamp()
    return at - sent - (sent - began), status
