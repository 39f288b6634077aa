"""`herd up --engine docker` with the real engine: images built and pushed, tasks in containers, nothing left after."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.sandbox import ROOT, Sandbox
from herd.toolchain import docker, machine
from localcloud.config import Config
from localcloud.docker.client import DockerClient
from localcloud.engines.docker.engine import LABEL
from tests.live.support import fetch

pytestmark = [
    pytest.mark.live,
    pytest.mark.skipif(docker.is_unwanted(), reason=f"{docker.SWITCH}=1: no image was built and nothing ran in one"),
    pytest.mark.xdist_group("docker-live"),
    pytest.mark.timeout(900),  # the first one waits for the image
]

JOB = """
import json, os
from pathlib import Path

def writable(folder):
    try:
        Path(folder, "canary").write_text("x")
    except OSError:
        return False
    return True

facts = {"user": os.getuid(), "root": writable("/"), "tmp": writable("/tmp")}
Path("outputs/facts.json").write_text(json.dumps(facts))
print("word", "one")
"""

API = """
import json, os, socket
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        body = json.dumps({"copy": socket.gethostname(), "port": os.environ["PORT"], "word": "one"}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass

ThreadingHTTPServer(("0.0.0.0", int(os.environ["PORT"])), Handler).serve_forever()
"""

TESTS = """
import sys

def test_where():
    assert sys.prefix == "/opt/venv"
"""

HUNGRY = 'memory_gb = 0.5\ncpu = 0.25\nretries = 0\nschedule = "@daily"\npaused = "started by hand"\n'


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory, docker_host: str, python_base: str) -> Iterator[Sandbox]:
    """A job, one that eats its memory, and an API of two copies; one package, so that it is quick."""
    with (
        pytest.MonkeyPatch.context() as patch,
        Sandbox(tmp_path_factory.mktemp("docker") / "checkout", samples=False) as made,
    ):
        patch.setenv("DOCKER_HOST", docker_host)
        dockerfile = made.folder / "images/python/Dockerfile"
        dockerfile.write_text(re.sub(r"(?m)^ARG BASE=.*$", f"ARG BASE={python_base}", dockerfile.read_text()))
        lock = (ROOT / "images/python/requirements.lock").read_text()
        entry = re.search(r"(?m)^idna==.*(\n +.*)*", lock)
        assert entry is not None
        made.write("images/python/requirements.in", "idna\n")
        made.write("images/python/requirements.lock", f"{entry[0]}\n")
        made.write("jobs/look/workload.toml", "")
        made.write("jobs/look/main.py", JOB)
        made.write("jobs/hungry/workload.toml", HUNGRY)
        made.write("jobs/hungry/main.py", "hoard = bytearray(1 << 30)\nprint(len(hoard))\n")
        made.write("jobs/tested/workload.toml", 'schedule = "@daily"\npaused = "only its tests are run"\n')
        made.write("jobs/tested/main.py", "print(1)\n")
        made.write("jobs/tested/test_main.py", TESTS)
        made.write("jobs/tested/requirements.lock", (ROOT / "tests/herd/pytest.lock").read_text())
        made.write("apis/echo/workload.toml", "replicas = { min = 2, max = 2 }\ncpu = 0.25\nmemory_gb = 0.5\n")
        made.write("apis/echo/main.py", API)
        made.herd("up", "--engine", "docker", timeout_seconds=600)
        yield made


def copies(sandbox: Sandbox) -> dict[str, dict[str, str]]:
    """What each copy of the API says of itself, by its host's name."""
    url = sandbox.status("echo")["url"]
    answers = []
    for _ in range(8):
        status, _headers, text = fetch(url)
        answers.append(json.loads(text) if status == 200 else {"copy": f"status {status}"})
    return {answer["copy"]: answer for answer in answers}


def test_a_job_runs_as_on_fargate(sandbox: Sandbox) -> None:
    sandbox.herd("outputs", "look", "--get", "out")
    (facts,) = sandbox.folder.glob("out/**/facts.json")
    assert json.loads(facts.read_text()) == {"user": 10001, "root": False, "tmp": True}


def test_copies_of_an_api_have_a_port_of_their_own_each(sandbox: Sandbox) -> None:
    both = sandbox.wait_for("two copies", lambda: len(found := copies(sandbox)) == 2 and found)
    assert {answer["port"] for answer in both.values()} == {"8000"}


def test_a_task_that_passes_its_memory_is_killed_and_says_so(sandbox: Sandbox) -> None:
    done = sandbox.herd("run", "hungry", check=False)
    assert done.returncode == 1
    run = sandbox.status("hungry")["last_run"]
    assert (run["status"], run["exit_code"]) == ("killed", 137)
    assert "OutOfMemoryError" in run["reason"]


def test_a_workloads_tests_run_in_its_image(sandbox: Sandbox) -> None:
    done = sandbox.herd("test", "tested", check=False, timeout_seconds=600)
    assert done.returncode == 0 and "1 passed" in done.stdout, done.stdout + done.stderr


def test_a_shell_is_in_its_image(sandbox: Sandbox) -> None:
    done = sandbox.herd("image", "shell", "look", "--", "sh", "-c", "command -v python; ls", timeout_seconds=600)
    assert done.stdout.split() == ["/opt/venv/bin/python", "inputs", "main.py", "outputs", "workload.toml"]


def test_status_says_what_tasks_run_as(sandbox: Sandbox) -> None:
    assert "tasks run as containers of Docker" in sandbox.herd("status").stderr
    assert sandbox.json("status", "--json")["engine"] == "docker"
    assert "its build cache takes" in " ".join(sandbox.herd("doctor", check=False).stdout.split())


def test_unchanged_files_change_nothing(sandbox: Sandbox) -> None:
    done = sandbox.herd("up")
    assert "nothing changed" in done.stdout


def test_changed_code_answers_after_an_update(sandbox: Sandbox) -> None:
    sandbox.write("apis/echo/main.py", API.replace('"word": "one"', '"word": "two"'))
    sandbox.herd("up")
    said = sandbox.wait_for(
        "the new code in both copies",
        lambda: {answer.get("word") for answer in copies(sandbox).values()} == {"two"},
    )
    assert said


def test_a_program_that_opens_another_port_is_said_by_an_update(sandbox: Sandbox) -> None:
    sandbox.write("apis/mute/workload.toml", "cpu = 0.25\nmemory_gb = 0.5\n")
    sandbox.write("apis/mute/main.py", API.replace('int(os.environ["PORT"])', "9999"))
    up = sandbox.herd("up", check=False, timeout_seconds=300)
    assert up.returncode == 1
    assert "nothing answers on port 8000 60 s after the start: the program must listen on $PORT" in up.stderr
    shutil.rmtree(sandbox.folder / "apis/mute")
    sandbox.herd("up", timeout_seconds=300)


def test_nothing_of_it_is_left_in_docker(sandbox: Sandbox, docker_client: DockerClient) -> None:
    """The last test here: it takes everything down."""
    identity = Config(sandbox.folder.resolve() / ".herd/cloud", machine.user_cache(), Path("uv")).identity
    ours = f"label={LABEL}={identity}"
    kinds = {"container": ("ps", "--all"), "network": ("network", "ls"), "volume": ("volume", "ls")}
    assert docker_client.run("ps", "--all", "--quiet", "--filter", ours).split()
    sandbox.herd("down")
    left = {kind: docker_client.run(*words, "--quiet", "--filter", ours).split() for kind, words in kinds.items()}
    assert left == {"container": [], "network": [], "volume": []}
    names = docker_client.run("images", "--format", "{{.Repository}}").split()
    # Others use this daemon at the same time, and try workloads of other names.
    tried = {"herd-try/herd-tested", "herd-try/herd-look"}
    assert [name for name in names if "herd-dev" in name or name in tried] == []
