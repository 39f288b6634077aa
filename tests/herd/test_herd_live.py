"""The command line with the real engine and a real local cloud: what only the whole can show, on two small jobs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.sandbox import Sandbox

pytestmark = [pytest.mark.live, pytest.mark.xdist_group("herd-live")]


@pytest.fixture(scope="module")
def team(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    with Sandbox(tmp_path_factory.mktemp("herd") / "checkout", samples=False) as sandbox:
        sandbox.herd("new", "job", "counts")
        sandbox.write("jobs/waits/workload.toml", 'schedule = "none"\nretries = 0\n')
        sandbox.write("jobs/waits/main.py", "import time\nprint('waiting', flush=True)\ntime.sleep(300)\n")
        yield sandbox


def kill_cloud(team: Sandbox) -> None:
    process = int((team.folder / ".herd/cloud/lock").read_text())
    os.kill(process, signal.SIGKILL)
    team.wait_for("the local cloud to die", lambda: not Path(f"/proc/{process}").exists())


def test_a_new_job_runs_before_anything_is_deployed(team: Sandbox) -> None:
    done = team.herd("try", "counts", "--param", "rows=3")
    assert "wrote 3 rows" in done.stdout
    assert (team.folder / ".herd/try/counts/outputs/squares.csv").read_text().count("\n") == 4
    assert not (team.folder / ".herd/cloud").exists()


def test_what_a_program_prints_on_trial_is_shown_and_not_obeyed(team: Sandbox) -> None:
    text = "\\x1b]52;c;cm0=\\x07 \\x1b[2J \\x9b2J [red]no[/red]"
    bar = "for done in range(11): sys.stderr.write(f'\\rtraining {done * 10}%')"
    team.write("jobs/loud/workload.toml", 'schedule = "none"\n')
    team.write("jobs/loud/main.py", f"import sys\nprint('{text}')\n{bar}\nsys.stderr.write('\\n')\nsys.exit(3)\n")
    done = team.herd("try", "loud", check=False)
    assert done.returncode != 0
    said = done.stdout + done.stderr
    assert not [char for char in said if (char < " " and char not in "\n\t") or "\x7f" <= char <= "\x9f"]
    assert "\\x1b]52;c;cm0=\\x07 \\x1b[2J \\x9b2J [red]no[/red]" in said and "training 100%" in said
    raw = team.herd("try", "loud", "--raw", check=False)
    assert "\x1b]52;c;cm0=\x07 \x1b[2J \x9b2J" in raw.stdout + raw.stderr
    team.run("rm", "-r", "jobs/loud")


def test_up_then_up_again(team: Sandbox) -> None:
    first = team.herd("up", "--no-run")
    assert "created" in first.stderr
    again = team.herd("up", "--no-run")
    assert again.stdout.rstrip().endswith("nothing changed")


def test_doctor_looks_at_an_account(team: Sandbox) -> None:
    """The local cloud is one, for whoever has its variables; nothing of Pulumi's is asked."""
    settings = "config:\n  aws:region: eu-west-1\n  herd:account: '123456789012'\n  herd:profile: dev\n"
    team.write("Pulumi.prod.yaml", settings)
    command = [str(team.folder / ".venv/bin/python"), "-m", "herd", "doctor", "--aws", "--stack", "prod"]
    done = team.run(*command, env=team.herd_env(), check=False)
    (team.folder / "Pulumi.prod.yaml").unlink()
    assert done.returncode == 0, done.stdout + done.stderr
    assert "arn:aws:iam::123456789012:root in account 123456789012" in done.stdout
    assert "eu-west-1a, eu-west-1b" in done.stdout
    assert "in use, up to 1 more with prod, 5 allowed" in done.stdout, "networks"


def test_a_run_is_followed_and_its_outputs_can_be_taken(team: Sandbox, tmp_path: Path) -> None:
    done = team.herd("run", "counts", "--param", "rows=7")
    assert "wrote 7 rows" in done.stdout
    assert "\x1b" not in done.stdout + done.stderr
    team.herd("outputs", "counts", "--get", str(tmp_path / "taken"))
    assert (tmp_path / "taken/squares.csv").read_text().count("\n") == 8
    # Another run's lines are not this one's.
    assert "7 rows" not in team.herd("run", "counts").stdout


def test_interrupting_detaches_and_the_run_goes_on_until_it_is_cancelled(team: Sandbox) -> None:
    # As from a terminal: tests that run in the background ignore Ctrl-C, and hand that on to what they start.
    heeding = "import runpy, signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
    following = subprocess.Popen(
        [
            sys.executable,
            "-c",
            f"{heeding}runpy.run_module('herd', run_name='__main__', alter_sys=True)",
            "run",
            "waits",
        ],
        cwd=team.folder,
        env=team.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert following.stdout is not None
    assert following.stdout.readline() == "waiting\n"
    following.send_signal(signal.SIGINT)
    _, said = following.communicate(timeout=90)
    assert following.returncode == 130
    assert "detached; the run goes on" in said
    run = team.status("waits")["last_run"]
    assert run["status"] == "running"
    assert team.herd("cancel", run["id"]).stdout == f"{run['id']} is stopped\n"
    team.wait_for("the run to stop", lambda: team.status("waits")["last_run"]["status"] == "aborted")
    assert "had already ended" in team.herd("cancel", run["id"]).stdout
    assert team.herd("cancel", "no-such-run", check=False).returncode == 2


def test_a_cloud_that_lost_what_it_held_is_noticed_and_the_environment_made_again(team: Sandbox) -> None:
    team.herd("stop")
    subprocess.run(
        [sys.executable, "-m", "localcloud", "forget", "--home", str(team.folder / ".herd/cloud")],
        cwd=team.folder,
        check=True,
        capture_output=True,
    )
    assert "is not running; `herd up` starts it" in team.herd("status", check=False).stderr
    done = team.herd("up", "--no-run")
    assert "was restarted without its state" in done.stderr
    assert team.status("counts")["state"] == "never-run"


def test_the_lock_of_a_killed_update_is_taken_away(team: Sandbox) -> None:
    locks = team.folder / ".herd/pulumi/.pulumi/locks/organization/herd/dev"
    locks.mkdir(parents=True, exist_ok=True)
    dead = subprocess.Popen(["true"])
    dead.wait()
    name = os.uname().nodename
    (locks / "one.json").write_text(
        f'{{"pid": {dead.pid}, "username": "x", "hostname": "{name}", "timestamp": "2027-01-01T00:00:00Z"}}'
    )
    assert "its lock is removed" in team.herd("up", "--no-run").stderr


def test_a_second_environment_lives_and_dies_beside_the_first(team: Sandbox) -> None:
    team.herd("up", "-e", "pr-17", "--no-run")
    assert team.herd("down", "-e", "pr-17").stdout == "pr-17 is removed\n"
    assert team.status("counts")["state"] == "never-run"


def test_down_works_when_the_cloud_was_killed(team: Sandbox) -> None:
    kill_cloud(team)
    assert team.herd("down").stdout.startswith("dev is removed")
    assert not (team.folder / ".herd/cloud/endpoint.json").exists()
    assert team.herd("down").stdout == "dev was not up\n"
    assert (team.folder / "Pulumi.dev.yaml").read_text() == (Path(__file__).parents[2] / "Pulumi.dev.yaml").read_text()
