"""A small environment in a checkout of its own, and everything that can be known of it from outside."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from harness.processes import ENDED, words_of
from harness.sandbox import Sandbox
from herd.checkout.find import Checkout
from herd.deploy import inventory
from herd.runs.status import collect
from herd.targets import local_cloud
from herd.targets.local import LocalTarget
from herd.toolchain import machine
from soak import team

IMPLIED = ("network ACL", "route table", "network interface", "security group")
"""Kinds of which AWS makes some by itself: they are counted, but need not be in Pulumi's state."""

HELPERS = ("pulumi", "language_host", "pulumi-resource-", "-m infra", "-m herd ")
"""What only lives while a command does."""


@dataclass(frozen=True)
class Command:
    """A herd command that was started."""

    arguments: tuple[str, ...]
    process: subprocess.Popen[bytes]
    log: Path

    @property
    def said(self) -> str:
        """What it has printed so far."""
        return self.log.read_text()

    def wait(self, seconds: float = 180.0) -> int:
        """Its exit status, once it has ended."""
        return self.process.wait(seconds)

    def assert_done(self) -> None:
        """Wait for its end, which must be a good one."""
        status = self.wait()
        assert status == 0, f"herd {' '.join(self.arguments)} exited with {status}:\n{self.said}"


class World(Sandbox):
    """`with World(tmp_path / "w") as world:` — the team is written, nothing is up yet.

    Temporary files of everything that runs here go to a folder of its own, so that what is left of them is seen.
    """

    def __init__(self, folder: Path):
        super().__init__(folder, samples=False)
        self.temporary = folder.parent / f"{folder.name}-tmp"
        self.temporary.mkdir(mode=0o700)
        self.checkout = Checkout(folder.resolve(), machine.user_cache())
        self.edition, self.port = "first", team.PORTS[0]
        self.edit()

    @property
    def environment(self) -> dict[str, str]:
        return {**super().environment, "TMPDIR": str(self.temporary)}

    def edit(self, edition: str | None = None, port: int | None = None) -> None:
        """Change what the team has written."""
        self.edition, self.port = edition or self.edition, port or self.port
        team.write(self, self.edition, self.port)

    def start(self, *arguments: str, label: str = "first") -> Command:
        """Start a herd command in a process group of its own. Of two that run at once the labels must differ."""
        log = self.folder.parent / f"{self.folder.name}-{label}.txt"
        with log.open("w") as stream:
            process = subprocess.Popen(
                [str(self.checkout.python), "-m", "herd", *arguments],
                cwd=self.folder,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        return Command(arguments, process, log)

    def target(self, name: str = "dev") -> LocalTarget:
        """The environment as herd's own modules see it."""
        return LocalTarget(self.checkout, name)

    # ── what there is ────────────────────────────────────────────────────────────────────────────────────────────────

    def counts(self, name: str = "dev") -> Counter[str]:
        """How many things of each kind the environment has, as the API lists them."""
        return Counter(item.kind for item in inventory.take(self.target(name)).items if item.environment == name)

    def cloud_process(self) -> psutil.Process | None:
        """The local cloud's process, whatever its address file says."""
        try:
            process = psutil.Process(int((self.checkout.cloud / "lock").read_text()))
            return process if "localcloud" in process.cmdline() else None
        except (OSError, ValueError, psutil.Error):
            return None

    def containers(self) -> list[psutil.Process]:
        """The first process of each container that runs."""
        cloud = self.cloud_process()
        found = []
        for child in cloud.children() if cloud else []:
            words = words_of(child)  # none of a zombie
            if words and not any("supervisor.py" in word for word in words):
                found.append(child)
        return found

    def processes(self) -> list[str]:
        """Command lines of everything that belongs to this checkout, by its temporary folder or its files."""
        marks = (f"TMPDIR={self.temporary}", str(self.folder), str(self.temporary))
        found = []
        for process in psutil.process_iter():
            if process.pid == os.getpid():
                continue
            try:
                line = " ".join(process.cmdline())
                places = [
                    line,
                    process.cwd(),
                    *(f"{k}={v}" for k, v in process.environ().items() if k in ("TMPDIR", "HOME")),
                ]
            except ENDED:
                continue
            if any(mark in place for place in places for mark in marks):
                found.append(f"{process.pid}: {line[:160]}")
        return found

    def journal_bytes(self) -> int:
        """How much the local cloud has written down: grows with each thing that is declared."""
        try:
            return (self.checkout.cloud / "journal" / "requests").stat().st_size
        except FileNotFoundError:
            return 0

    def state(self, name: str = "dev") -> dict[str, Any]:
        """Pulumi's state of the environment; raises when it is not valid JSON."""
        told = json.loads(self.target(name).state_file.read_text())["checkpoint"]
        return dict(told.get("latest") or {})

    # ── what must hold ───────────────────────────────────────────────────────────────────────────────────────────────

    def assert_whole(self, expected: Counter[str] | None, name: str = "dev") -> Counter[str]:
        """The environment is exactly what the files say: nothing to change, nothing double, nothing left over, well."""
        target = self.target(name)
        preview = subprocess.run(
            [str(target.pulumi), "-C", str(self.folder), "preview", "--expect-no-changes", "--diff"],
            env={**self.environment, **target.pulumi_environment(), "PULUMI_OPTION_NON_INTERACTIVE": "true"},
            capture_output=True,
            text=True,
        )
        assert preview.returncode == 0, f"there is something to change:\n{preview.stdout}\n{preview.stderr}"
        self.assert_valid(name)
        items = [item for item in inventory.take(target).items if item.environment == name]
        counted = Counter(item.kind for item in items)
        assert expected is None or counted == expected, f"too much {counted - expected}, missing {expected - counted}"
        text = target.state_file.read_text()
        # A name of several parts, such as a subscription's, has them in several places of the state.
        owned = [item for item in items if item.kind not in IMPLIED]
        strays = [str(item) for item in owned if not all(part in text for part in item.name.split())]
        assert not strays, f"exist, but are not in the state: {strays}"
        known = target.cloud.ask({"do": "status"})["stacks"][f"herd/{name}"]
        custom = [
            entry for entry in self.state(name)["resources"] if entry.get("custom") and "::pulumi:" not in entry["urn"]
        ]
        assert known == len(custom), f"the ledger knows {known} resources, the state {len(custom)}"
        self.assert_well(name)
        self.assert_quiet()
        return counted

    def assert_valid(self, name: str = "dev") -> None:
        """Pulumi's state can be read, names each resource once, and has nothing pending."""
        latest = self.state(name)
        urns = Counter(entry["urn"] for entry in latest.get("resources") or [])
        assert [urn for urn, count in urns.items() if count > 1] == []
        assert not latest.get("pending_operations")

    def assert_well(self, name: str = "dev") -> None:
        """Every workload is fine and the service answers with what was deployed last."""
        workloads = {workload.name: workload for workload in collect(self.target(name))}
        assert sorted(workloads) == ["alpha", "beta", "gamma"]
        states = {name: workload.state for name, workload in workloads.items()}
        assert states["gamma"] == "healthy", workloads["gamma"]
        assert {states["alpha"], states["beta"]} <= {"idle", "never-run"}, workloads
        assert self.answer(str(workloads["gamma"].url)) == self.edition

    def answer(self, url: str) -> str:
        """What the service says."""
        from tests.live.support import fetch

        status, _, body = fetch(url)
        assert status == 200, f"{url} answers {status}: {body}"
        return body

    def assert_quiet(self) -> None:
        """Between commands there is the local cloud with its containers and nothing else; no draft of a file."""
        self.wait_for("the helpers of killed commands to end", lambda: not self._helpers(), 60)
        folders = [path.name for path in self.temporary.iterdir()]
        control = [folder for folder in folders if folder.startswith("localcloud-")]
        containers = [folder for folder in folders if folder.startswith("container-")]
        assert len(control) <= 1, f"control folders of dead local clouds: {control}"
        self.wait_for("scratch folders to match containers", lambda: len(self._scratch()) == len(self.containers()), 60)
        others = set(folders) - {*control, *containers}
        assert not others, f"left in the folder for temporary files: {others}"
        drafts = [str(path) for path in self.checkout.state.rglob("*.new") if "pulumi-home" not in path.parts]
        assert not drafts, f"left in .herd: {drafts}"

    def _scratch(self) -> list[str]:
        return [path.name for path in self.temporary.glob("container-*")]

    def _helpers(self) -> list[str]:
        return [line for line in self.processes() if any(word in line for word in HELPERS)]

    def assert_nothing_left(self) -> None:
        """After the last `down`: no process, no port, no temporary file; in .herd what stays by design."""
        self.wait_for("every process to end", lambda: not self.processes(), 60)
        port = local_cloud.port(self.checkout)
        assert port is None or not local_cloud.is_taken(port), f"port {port} is still taken"
        assert sorted(path.name for path in self.temporary.iterdir()) == []
        from herd.deploy import leftovers

        assert leftovers.files(self.checkout) == []

    def close(self) -> None:
        """Stop everything, whatever state it is in; what belongs to this world and still runs is ended."""
        if self.folder.exists():
            super().close()
        if cloud := self.cloud_process():
            cloud.kill()


@contextmanager
def timed() -> Iterator[list[float]]:
    """Seconds that a block took, in a list that is filled at its end."""
    took: list[float] = []
    began = time.monotonic()
    yield took
    took.append(time.monotonic() - began)
