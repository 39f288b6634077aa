"""After the local cloud was killed or stopped an environment is there again: for people, for clients and for Pulumi."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from harness.sandbox import Sandbox
from herd.checkout.find import Checkout
from herd.targets.local import LocalTarget
from herd.toolchain import machine

pytestmark = [pytest.mark.live, pytest.mark.xdist_group("faults-comes-back")]

START_SECONDS = 60.0  # about three; the machine may be busy


@pytest.fixture(scope="module")
def team(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    with Sandbox(tmp_path_factory.mktemp("back") / "checkout", samples=False) as sandbox:
        sandbox.write("reports/page/workload.toml", 'schedule = "none"\n')
        sandbox.write("reports/page/main.py", REPORT)
        sandbox.write("jobs/waits/workload.toml", 'schedule = "none"\nretries = 2\n')
        sandbox.write("jobs/waits/main.py", "import time\nprint('waiting', flush=True)\ntime.sleep(300)\n")
        sandbox.write("apis/hello/workload.toml", API)
        sandbox.write("apis/hello/main.py", "print('hello', flush=True)\n")
        sandbox.write("value", SECRET)
        sandbox.herd("secret", "set", "warehouse-key", "--file", "value", "--yes")
        sandbox.herd("up", "--no-run")
        sandbox.herd("run", "page")
        yield sandbox


SECRET = "the value of a secret"
REPORT = """
import os, pathlib
print("rendering", flush=True)
pathlib.Path(os.environ["HERD_OUTPUTS"], "index.html").write_text("<h1>" + os.environ["HERD_RUN_ID"] + "</h1>")
"""
API = """
command = "python -m http.server --bind 127.0.0.1 $PORT"
health = "/"
access = "public"
cpu = 0.25
memory_gb = 0.5
"""


def get(url: str) -> tuple[int, str]:
    parts = urlsplit(url)
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", parts.port, timeout=10)) as connection:
        connection.request("GET", parts.path, headers={"Host": parts.netloc})
        answer = connection.getresponse()
        return answer.status, hashlib.sha256(answer.read()).hexdigest()


def shown(team: Sandbox) -> dict[str, Any]:
    """What people see of it, without what depends on the time of day."""
    status = team.json("status", "--json")
    workloads = {each["name"]: each for each in status["workloads"]}
    for workload in workloads.values():
        for name in ("state", "reason", "next_run"):
            workload.pop(name, None)
    return {
        "workloads": workloads,
        "page": get(workloads["page"]["url"]),
        "logs": team.herd("logs", "page").stdout,
        "data": team.herd("outputs", "page").stdout,
        "secrets": secrets(team),
    }


def secrets(team: Sandbox) -> dict[str, str]:
    """Every secret of the account by the ARN that it has for life, with its value."""
    client = LocalTarget(Checkout(team.folder.resolve(), machine.user_cache()), "dev").client("secretsmanager")
    arns = [each["ARN"] for each in client.list_secrets()["SecretList"]]
    return {arn: client.get_secret_value(SecretId=arn)["SecretString"] for arn in arns}


def kill_cloud(team: Sandbox) -> None:
    process = int((team.folder / ".herd/cloud/lock").read_text())
    os.kill(process, signal.SIGKILL)
    team.wait_for("the local cloud to die", lambda: not Path(f"/proc/{process}").exists())


def test_any_command_brings_it_back_after_a_kill(team: Sandbox) -> None:
    before = shown(team)
    assert before["page"][0] == 200 and "rendering" in before["logs"] and "index.html" in before["data"]
    assert list(before["secrets"].values()) == [SECRET]
    kill_cloud(team)
    began = time.monotonic()
    team.herd("status")
    assert time.monotonic() - began < START_SECONDS
    assert shown(team) == before
    team.wait_for("the API", lambda: get(before["workloads"]["hello"]["url"])[0] == 200)


def test_pulumi_sees_no_change(team: Sandbox) -> None:
    team.wait_for("the API to be healthy", lambda: team.status("hello")["state"] == "healthy")
    team.pulumi("preview", "--refresh", "--expect-no-changes", "--non-interactive")


def test_what_ran_is_aborted_with_the_reason_and_not_run_again(team: Sandbox) -> None:
    team.herd("run", "waits", "--detach")
    team.wait_for("the run to wait", lambda: "waiting" in team.herd("logs", "waits", check=False).stdout)
    run = team.status("waits")["last_run"]
    kill_cloud(team)
    again = team.status("waits")["last_run"]
    assert (again["id"], again["status"]) == (run["id"], "aborted")
    assert "the local cloud was stopped while it ran" in again["reason"]
    assert again["started"] == run["started"]
    assert "waiting" in team.herd("logs", "waits").stdout


def test_stop_and_up_change_nothing(team: Sandbox) -> None:
    before = shown(team)
    team.herd("stop")
    done = team.herd("up", "--no-run")
    assert done.stdout.rstrip().endswith("nothing changed")
    assert shown(team) == before
