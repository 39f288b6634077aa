"""`herd verify`, by the real engine: on the laptop, where a stack is, interrupted and killed; nothing of it is left."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from harness.processes import ENDED
from harness.sandbox import Sandbox
from herd.deploy.verify.promises import PROMISES
from tests.live.support import processes_below

pytestmark = [pytest.mark.live, pytest.mark.xdist_group("live-verify")]

ACCOUNT = "123456789012"
STACK = f"""config:
  aws:region: eu-west-1
  aws:allowedAccountIds: ["{ACCOUNT}"]
  herd:account: "{ACCOUNT}"
  herd:scheme: http
  herd:allow_public: true
  herd:profile: prod
  herd:require_tls: false
  herd:data_bucket: acme-secret-project-data
  herd:tags: {{cost-centre: quantum-gravity}}
"""


class Team:
    """A checkout without workloads, and what `herd verify` keeps outside of it."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self.cache = Path(sandbox.environment["XDG_CACHE_HOME"]) / "herd" / "verify"
        self.file = sandbox.folder.parent / "verified.md"

    @property
    def records(self) -> list[Path]:
        return list((self.sandbox.folder / ".herd/verify").glob("verify-*.json"))

    @property
    def kept(self) -> dict[str, str]:
        """How each promise came out, as the file says."""
        rows = [line.strip("| ").split(" | ") for line in self.file.read_text().splitlines() if line.startswith("| ")]
        return {cells[0]: cells[1] for cells in rows if len(cells) == 3 and cells[0] not in ("promise", "---")}

    def start(self) -> subprocess.Popen[str]:
        """The command as a shell starts it: in a process group of its own."""
        command = [str(self.sandbox.folder / ".venv/bin/python"), "-m", "herd", "verify", "--file", str(self.file)]
        return subprocess.Popen(
            command,
            cwd=self.sandbox.folder,
            env=self.sandbox.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def nothing_left(self, folders: list[Path]) -> None:
        assert self.records == []
        assert [folder for folder in folders if folder.exists()] == []
        assert [line for folder in folders for line in processes_below(folder)] == []


@pytest.fixture(scope="module")
def team(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Team]:
    with Sandbox(tmp_path_factory.mktemp("verify") / "checkout", samples=False) as sandbox:
        yield Team(sandbox)


def reached(process: subprocess.Popen[str], words: str) -> str:
    """Read what it prints until it says something; what it said so far."""
    assert process.stdout is not None
    said = ""
    for line in process.stdout:
        said += line
        if words in line:
            return said
    raise AssertionError(f"it ended before it said {words!r}:\n{said}")


def test_on_the_laptop_every_promise_is_kept_and_nothing_is_left(team: Team) -> None:
    before = set(team.cache.glob("*"))
    done = team.sandbox.herd("verify", "--file", str(team.file), check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert set(team.kept.values()) == {"yes"} and len(team.kept) == len(PROMISES) + 2, team.file.read_text()
    text = team.file.read_text()
    for word in (ACCOUNT, str(team.sandbox.folder), str(Path.home()), "verify-1", ".localhost"):
        assert word not in text
    team.nothing_left(list(set(team.cache.glob("*")) - before))
    assert not (team.sandbox.folder / ".herd/cloud/endpoint.json").exists(), "the checkout's own cloud is not touched"


def test_what_a_killed_one_has_left_is_removed_by_the_next_which_ctrl_c_ends_in_order(team: Team) -> None:
    killed = team.start()
    team.sandbox.wait_for("its record", lambda: any('"made": true' in path.read_text() for path in team.records))
    reached(killed, "first run:")
    (record,) = team.records
    folder = team.cache / record.stem
    for process in (*psutil.Process(killed.pid).children(recursive=True), psutil.Process(killed.pid)):
        with suppress(*ENDED):
            if os.getpgid(process.pid) == killed.pid:
                process.kill()
    assert killed.stdout is not None
    killed.stdout.close()
    killed.wait()
    assert folder.is_dir() and processes_below(folder), "the local cloud goes on without it"

    second = team.start()
    said = reached(second, "an earlier verification was interrupted")
    said += reached(second, "the environment verify-")
    assert not folder.exists() and processes_below(folder) == []
    said += reached(second, "starting the local cloud")
    folders = [team.cache / path.stem for path in team.records]
    os.killpg(second.pid, signal.SIGINT)
    rest, _ = second.communicate(timeout=180)
    assert second.returncode == 1, said + rest
    assert "interrupted: removing" in rest, rest
    assert "Traceback" not in said + rest
    assert team.kept["it is removed, and nothing of it is left"] == "yes", rest
    team.nothing_left(folders)


def test_where_a_stack_is_with_its_settings_and_a_file_that_names_nobody(team: Team) -> None:
    """The way of `--stack`, with the local cloud in AWS's place: own backend, stack, credentials by environment."""
    sandbox = team.sandbox
    sandbox.write("jobs/small/main.py", "print('small')\n")
    sandbox.write("jobs/small/workload.toml", "")
    sandbox.herd("up", "--no-run")
    person = {name: value for name, value in sandbox.herd_env().items() if not name.startswith("PULUMI_OPTION_")}
    port = (sandbox.folder / ".herd/cloud/port").read_text().strip()
    person |= {"AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}"}
    sandbox.write("Pulumi.trial.yaml", STACK)
    sandbox.run("pulumi", "stack", "init", "trial", env=person)
    herd = [str(sandbox.folder / ".venv/bin/python"), "-m", "herd", "verify", "--stack", "trial"]

    for wrong, words in (
        ([], "nobody is at the terminal to say the account"),
        (["--yes"], "--yes needs --account"),
        (["--yes", "--account", "210987654321"], "your credentials are of"),
    ):
        refused = sandbox.run(*herd, *wrong, check=False, env=person)
        assert refused.returncode != 0 and words in refused.stderr, refused.stderr
    assert team.records == []

    command = [*herd, "--account", ACCOUNT, "--yes", "--file", str(team.file)]
    done = sandbox.run(*command, check=False, env=person, timeout_seconds=400)
    text = team.file.read_text()
    assert done.returncode == 0, text + done.stdout + done.stderr
    assert set(team.kept.values()) == {"yes"}, text
    for word in (ACCOUNT, "trial", "acme", "quantum", "cost-centre", str(sandbox.folder), "localhost"):
        assert word not in text, text
    stacks = sandbox.run("pulumi", "stack", "ls", env=person).stdout
    assert "trial" in stacks and "verify-" not in stacks, "its own stack is gone, the one it verified is not touched"
    assert team.records == []
    assert sandbox.status("small")["state"] == "never-run", "the environment beside it is as it was"
