"""The sample workloads as `herd try` runs them: the real runner, the real packages of their image, no cloud."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from herd.infra.offer import Offer
from herd.infra.spec.load import load_specs
from herd.infra.workloads.task import task_settings
from herd.runner.contract import variables as names
from herd.runner.contract.task import TaskSettings
from tests.image_packages import python_image

ROOT = Path(__file__).resolve().parents[2]
SPECS = load_specs(ROOT, "dev").workloads


@dataclass
class Ran:
    status: int
    log: str
    outputs: Path


@pytest.fixture(scope="session")
def venv() -> Path:
    """The packages of images/python, as the local cloud installs them for its tasks."""
    return python_image()


@dataclass
class Samples:
    """Runs sample workloads; `store` plays the part of the data bucket: one folder a workload."""

    venv: Path
    folder: Path

    @property
    def store(self) -> Path:
        return self.folder / "store"

    def environment(self, name: str, item: str | None = None, **variables: str) -> dict[str, str]:
        (self.folder / "tmp").mkdir(parents=True, exist_ok=True)
        environ = {
            "PATH": f"{self.venv / 'bin'}:/usr/local/bin:/usr/bin:/bin",
            "HOME": str(self.folder),
            "TMPDIR": str(self.folder / "tmp"),
            **SPECS[name].env,
            "PYTHONWARNINGS": "error",  # a sample that somebody copies must not start with old habits
            names.TASK: sample_task(name).to_json(),
            names.WORKLOAD_DIR: str(ROOT / SPECS[name].folder),
            names.LIB_DIR: str(ROOT / "lib"),
            names.RUN_ID: f"run-of-{name}",
            names.TRY_DIR: str(self.folder / "try" / name / (item or "")),
            names.TRY_INPUTS: str(self.store),
        }
        return environ | ({names.ITEM: item} if item else {}) | variables

    def start(self, environ: Mapping[str, str]) -> subprocess.Popen[str]:
        command = [sys.executable, "-I", str(ROOT / "src/herd/runner")]
        return subprocess.Popen(
            command,
            env=dict(environ),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def run(self, name: str, item: str | None = None, **variables: str) -> Ran:
        environ = self.environment(name, item, **variables)
        process = self.start(environ)
        try:
            log, _ = process.communicate(timeout=120)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
        return Ran(process.returncode, log, Path(environ[names.TRY_DIR], "outputs"))

    def publish(self, name: str, **variables: str) -> Ran:
        """Run a workload, every item of it, and put what it wrote where its readers find it."""
        for item in getattr(SPECS[name], "fan_out", ()) or (None,):
            ran = self.run(name, item, **variables)
            assert ran.status == 0, ran.log
            target = self.store / name / (item or "")
            shutil.rmtree(target, ignore_errors=True)
            shutil.copytree(ran.outputs, target)
        return ran


def sample_task(name: str, **differing: Any) -> TaskSettings:
    """What a task definition says about a sample, from its own workload.toml: run once, below a prefix."""
    common = {"data_bucket": None, "retries": 0, "timeout_seconds": None, "memory_gb": None, "base_path": f"/{name}"}
    return replace(task_settings(SPECS[name], Offer(), "dev", None), **(common | differing))


@pytest.fixture(scope="session")
def pipeline(venv: Path, tmp_path_factory: pytest.TempPathFactory) -> Samples:
    """The whole pipeline has run once; tests read what it left in the store and do not change it."""
    samples = Samples(venv, tmp_path_factory.mktemp("pipeline"))
    for name in ("ingest-flights", "delay-model", "choose-model", "delay-report"):
        samples.publish(name)
    return samples


@pytest.fixture
def samples(venv: Path, tmp_path: Path) -> Samples:
    return Samples(venv, tmp_path)


@pytest.fixture(scope="session")
def tell() -> Callable[..., TaskSettings]:
    return sample_task
