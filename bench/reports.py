"""A report through the runner, beside the command that one would type: nbconvert, and rmarkdown in its container."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path

from bench.measure import Result, interleaved
from harness import base_image, docker_daemon
from harness.sandbox import ROOT
from herd.infra.offer import Offer
from herd.infra.spec.load import load_specs
from herd.infra.workloads.task import task_settings
from herd.runner.contract import variables as names
from herd.toolchain import docker, machine
from localcloud.docker.client import DockerClient

ROUNDS = 3
FACTOR, MORE_SECONDS = 1.2, 0.5
"""What the runner may add: its own start, a copy of the folder, the look at the page, the record."""

LOCK = ROOT / "tests/herd/runner/renderers/requirements.lock"
RUNNER = ROOT / "src/herd/runner"
IMAGE_RUNNER = "/opt/herd/runner"

CELLS = {
    "imports": "import math, statistics",
    "values": "values = [math.sin(n / 10) for n in range(10_000)]\nprint(statistics.fmean(values))",
    "first": "sorted(values)[:20]",
}
NOTEBOOK = {
    "nbformat": 4,
    "nbformat_minor": 5,
    "metadata": {"kernelspec": {"name": "python3", "display_name": "python3", "language": "python"}},
    "cells": [
        {"id": name, "cell_type": "code", "metadata": {}, "source": text, "outputs": [], "execution_count": None}
        for name, text in CELLS.items()
    ],
}
R_MARKDOWN = """---
title: Values
output: html_document
---

```{r}
values <- sin(seq_len(10000) / 10)
summary(values)
hist(values)
```
"""

R_BASE = base_image.Recipe(
    "r-report", ("r-base-core", "r-cran-rmarkdown", "r-cran-jsonlite", "pandoc", "python3", "ca-certificates")
)
"""Debian's own R packages: how they are installed makes no difference to the time of a report."""


def reports(folder: Path) -> list[Result]:
    """A notebook and an R Markdown document; the second not where HERD_NO_DOCKER=1."""
    return [_notebook(folder / "python"), *_r_markdown(folder / "r")]


def _notebook(root: Path) -> Result:
    venv = subprocess.run(
        [sys.executable, "-m", "localcloud", "realise", "--lock", str(LOCK), "--cache", str(machine.user_cache()),
         "--uv", "uv"],
        check=True, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
    ).stdout.strip()  # fmt: skip
    workload = _report(root, "report.ipynb", json.dumps(NOTEBOOK))
    environment = {**os.environ, "PATH": f"{venv}/bin:{os.environ['PATH']}", "HOME": str(root)}
    page = root / "try/outputs/index.html"

    def bare() -> None:
        command = [f"{venv}/bin/python", "-m", "nbconvert", "--to", "html", "--execute", "report.ipynb"]
        subprocess.run([*command, "--output", str(root / "bare.html")], cwd=workload, check=True, env=environment,
                       capture_output=True)  # fmt: skip

    def ours() -> None:
        _emptied(root / "try")
        variables = {**environment, **_variables(root, root / "try"), names.WORKLOAD_DIR: str(workload)}
        subprocess.run([sys.executable, "-I", str(RUNNER)], check=True, env=variables, capture_output=True)
        assert page.is_file()

    return _measured("a notebook as a report", "nbconvert --execute", bare, ours)


def _r_markdown(root: Path) -> list[Result]:
    if docker.is_unwanted():
        print(f"not measured: a report in R ({docker.SWITCH}=1)")
        return []
    workload = _report(root, "report.Rmd", R_MARKDOWN)
    cache = machine.user_cache()
    with docker_daemon.running(root / "daemon", cache) as host:
        client = DockerClient.find({**os.environ, "DOCKER_HOST": host})
        image = base_image.load(R_BASE, client, cache)
        run = ("run", "--rm", "--network=none", "--tmpfs", "/tmp", "-v", f"{workload}:/workload:ro")

        def bare() -> None:
            code = "rmarkdown::render('/tmp/report.Rmd', quiet = TRUE); stopifnot(file.exists('/tmp/report.html'))"
            # In a copy, as a person's folder can be written to.
            client.run(*run, image, "sh", "-c", f'cp /workload/report.Rmd /tmp && Rscript -e "{code}"')

        def ours() -> None:
            _emptied(root / "try")
            variables = {**_variables(root, Path("/try")), names.WORKLOAD_DIR: "/workload"}
            given = [part for name, value in variables.items() for part in ("-e", f"{name}={value}")]
            mounts = ("-v", f"{RUNNER}:{IMAGE_RUNNER}:ro", "-v", f"{root / 'try'}:/try")
            client.run(*run, *mounts, *given, image, "python3", "-I", IMAGE_RUNNER)
            assert (root / "try/outputs/index.html").is_file()

        return [_measured("an R Markdown report in a container", "docker run … rmarkdown::render", bare, ours)]


def _measured(what: str, command: str, bare: Callable[[], None], ours: Callable[[], None]) -> Result:
    bare()
    ours()  # what is read from the disk, and compiled, for the first time
    floor, took = interleaved(ROUNDS, bare, ours)
    return Result(what, took, FACTOR * floor + MORE_SECONDS, "s", f"{command} {floor:.2f} s")


def _report(root: Path, document: str, text: str) -> Path:
    """A project of one report; its folder."""
    folder = root / "reports/page"
    folder.mkdir(parents=True)
    (root / "defaults.toml").write_text(f'owner = "data@example.com"\nreview_by = {date.max}\n')
    (folder / "workload.toml").write_text("")
    (root / "images/python").mkdir(parents=True)
    (root / "images/python/Dockerfile").write_text("FROM scratch\n")  # named by the report, and not built here
    (folder / document).write_text(text)
    return folder


def _variables(root: Path, working: Path) -> dict[str, str]:
    spec = load_specs(root, "dev").workloads["page"]
    # A limit of memory is Docker's: cgroups of the machine are not seen from within.
    task = replace(task_settings(spec, Offer(), "dev", None), memory_gb=None, retries=0)
    (root / "store").mkdir(exist_ok=True)
    return {names.TASK: task.to_json(), names.RUN_ID: "bench", names.TRY_DIR: str(working)}


def _emptied(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
