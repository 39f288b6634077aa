"""The environment as a whole: `make up` from nothing, growth with the number of workloads, and its cost at rest."""

from __future__ import annotations

import json
import time
from functools import partial
from pathlib import Path

import psutil

from bench.engine import resources
from bench.measure import Result, interleaved, seconds
from harness.sandbox import Sandbox

MORE_JOBS, MORE_SERVICES = 50, 5
IDLE_SECONDS = 30
SERVICE = """
import os
from http.server import BaseHTTPRequestHandler, HTTPServer


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")


HTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"""


def _answers(url: str, sandbox: Sandbox) -> bool:
    return sandbox.run("curl", "-sSf", "-o", "/dev/null", url, check=False).returncode == 0


def make_up(folder: Path) -> list[Result]:
    """`make up` on a fresh checkout, tools and packages cached, until the report can be read and the API answers."""
    with Sandbox(folder / "checkout") as sandbox:
        (sandbox.folder / ".venv").unlink()

        def everything() -> None:
            sandbox.run("make", "up", timeout_seconds=600)
            report, api = (sandbox.status(name)["url"] for name in ("delay-report", "delay-api"))
            sandbox.wait_for("the report", lambda: _answers(report, sandbox))
            sandbox.wait_for("the API", lambda: _answers(f"{api.rstrip('/')}/model", sandbox))

        return [Result("make up from nothing", seconds(everything), 45, "s", "tools and packages cached")]


def _add_workloads(sandbox: Sandbox) -> None:
    for number in range(MORE_JOBS):
        sandbox.write(f"jobs/extra-{number:02d}/workload.toml", 'schedule = "0 3 * * *"\n')
        sandbox.write(f"jobs/extra-{number:02d}/main.py", f"print({number})\n")
    for number in range(MORE_SERVICES):
        sandbox.write(f"apis/extra-api-{number}/workload.toml", 'command = ["python", "main.py"]\naccess = "public"\n')
        sandbox.write(f"apis/extra-api-{number}/main.py", SERVICE)


def growth(folder: Path) -> list[Result]:
    """50 more jobs and 5 more services: time per resource against that of the sample environment."""
    figures = []
    for name in ("sample", "large"):
        with Sandbox(folder / name) as sandbox:
            if name == "large":
                _add_workloads(sandbox)
            variables = sandbox.herd_env()
            pulumi = partial(sandbox.run, "pulumi", env=variables, timeout_seconds=900)
            up = seconds(partial(pulumi, "up", "--yes", "--skip-preview"))
            (again,) = interleaved(2, partial(pulumi, "preview", "--expect-no-changes"))
            figures.append((resources(sandbox), up, again))
    (few, up_few, preview_few), (many, up_many, preview_many) = figures
    return [
        Result(
            f"{what}, {MORE_JOBS} more jobs and {MORE_SERVICES} more services",
            1000 * large / many,
            1.2 * 1000 * sample / few,
            "ms a resource",
            f"sample environment {1000 * sample / few:.1f} ms a resource; {few} and {many} resources",
        )
        for what, sample, large in (("up", up_few, up_many), ("no-change preview", preview_few, preview_many))
    ]


def at_rest(folder: Path) -> list[Result]:
    """Memory and processor time of the local cloud while nothing happens."""
    with Sandbox(folder / "checkout") as sandbox:
        sandbox.herd("up", timeout_seconds=600)
        time.sleep(10)
        endpoint = json.loads((sandbox.folder / ".herd/cloud/endpoint.json").read_text())
        process = psutil.Process(endpoint["pid"])
        before = process.cpu_times()
        time.sleep(IDLE_SECONDS)
        after = process.cpu_times()
        used = (after.user + after.system) - (before.user + before.system)
        memory = process.memory_info().rss / 2**20
    return [
        Result("idle local cloud, memory", memory, 350, "MB", "sample environment up and its pipeline run"),
        Result("idle local cloud, processor", 100 * used / IDLE_SECONDS, 2, "% of a core", f"over {IDLE_SECONDS} s"),
    ]
