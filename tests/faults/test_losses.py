"""A power cut, and files that hold garbage: an environment is made whole again, or a sentence says what is wrong."""

from __future__ import annotations

import random
import subprocess
from collections.abc import Callable, Iterator

import pytest

from harness.sandbox import Sandbox

pytestmark = [pytest.mark.live, pytest.mark.xdist_group("faults-losses")]

JOB = """
import os, pathlib
pathlib.Path(os.environ["HERD_OUTPUTS"], "table.txt").write_text("content")
print("worked")
"""


@pytest.fixture(scope="module")
def team(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    with Sandbox(tmp_path_factory.mktemp("losses") / "checkout", samples=False) as sandbox:
        sandbox.write("jobs/tick/workload.toml", 'schedule = "none"\nretries = 0\n')
        sandbox.write("jobs/tick/main.py", JOB)
        sandbox.herd("up")
        yield sandbox


def said(done: subprocess.CompletedProcess[str]) -> str:
    """What a command printed; it must be words for people."""
    text = done.stdout + done.stderr
    assert "Traceback" not in text, text
    return text


def lose(team: Sandbox, what: Callable[[bytes], bytes]) -> int:
    """Stop, and leave of the journal what `what` does; how many whole requests it has then."""
    team.herd("stop")
    journal = team.folder / ".herd/cloud/journal/requests"
    left = what(journal.read_bytes())
    journal.write_bytes(left)
    return left.count(b"\n") - 1


def last_lines(count: int) -> Callable[[bytes], bytes]:
    return lambda data: b"".join(data.splitlines(keepends=True)[:-count])


def up_to_a_byte(share: float) -> Callable[[bytes], bytes]:
    return lambda data: data[: data.index(b"\n") + 1 + int(len(data) * share)]


SEED = random.Random(9)
CUTS = {
    "the last six requests": last_lines(6),
    "in the middle of a request": up_to_a_byte(SEED.uniform(0.2, 0.8)),
    "all but the first requests": up_to_a_byte(0.03),
}


@pytest.mark.parametrize("name", CUTS)
def test_what_a_power_cut_took_is_made_again_by_up(team: Sandbox, name: str) -> None:
    before = team.status("tick")["last_run"]
    lose(team, CUTS[name])
    status = team.herd("status", check=False)
    assert status.returncode == 0 and "`herd up` makes them again" in said(status), said(status)
    if name == "the last six requests":
        run = team.herd("run", "tick", check=False)
        assert run.returncode == 1 and "`herd up`" in said(run)
        assert "to create" in said(team.herd("preview"))
    up = said(team.herd("up"))
    assert "made again, because they were missing: " in up, up
    assert team.status("tick")["last_run"] == before, "history is back, and nothing was run again"
    assert "table.txt" in said(team.herd("outputs", "tick")) and "worked" in said(team.herd("logs", "tick"))
    again = said(team.herd("up"))
    assert "nothing changed" in again and "lost" not in again
    team.pulumi("preview", "--refresh", "--expect-no-changes")


def test_after_a_loss_everything_can_be_taken_down(team: Sandbox) -> None:
    lose(team, last_lines(25))
    down = said(team.herd("down", "--yes"))
    assert "dev is removed" in down
    assert "made again" not in said(team.herd("up"))


GARBAGE = b"\xff\xfe no such thing\n"
SPOILT = {
    "Pulumi's state cut": (".herd/pulumi/.pulumi/stacks/herd/dev.json", 0.5, "Pulumi's state, cannot be read"),
    "Pulumi's state empty": (".herd/pulumi/.pulumi/stacks/herd/dev.json", 0, "Pulumi's state, cannot be read"),
    "credentials": (".herd/cloud/aws/credentials", None, "aws/credentials holds no key"),
    "port": (".herd/cloud/port", None, "port holds no number of a port"),
    "the ledger's key": (".herd/cloud/plugins/ledger.key", None, "ledger.key cannot be used: it is damaged"),
    "the journal's key": (".herd/cloud/journal/key", None, "journal/key holds no key"),
}


def test_garbage_in_a_file_ends_in_a_sentence_and_stays(team: Sandbox) -> None:
    for name, (path, share, says) in SPOILT.items():
        team.herd("stop")
        file = team.folder / path
        whole = file.read_bytes()
        spoilt = GARBAGE if share is None else whole[: int(len(whole) * share)]
        file.write_bytes(spoilt)
        for command in (("up", "--no-run"), ("status",)):
            done = team.herd(*command, check=False)
            assert done.returncode == 1 and says in said(done), (name, command, said(done))
            assert file.read_bytes() == spoilt
        file.write_bytes(whole)
    assert team.status("tick")["last_run"]["status"] == "succeeded"


def test_a_record_that_cannot_be_read_makes_up_look_and_forget_nothing(team: Sandbox) -> None:
    (team.folder / ".herd/pulumi/dev.cloud.json").write_text("{")
    before = team.status("tick")["last_run"]
    up = said(team.herd("up"))
    assert "nothing changed" in up and "lost" not in up
    assert team.status("tick")["last_run"] == before


def test_an_environment_whose_state_is_missing_is_not_emptied_by_another_ones_end(team: Sandbox) -> None:
    state = team.folder / ".herd/pulumi/.pulumi/stacks/herd/dev.json"
    away = state.rename(team.folder / "dev.json")
    down = said(team.herd("down", "-e", "pr-1", "--yes"))
    assert "it holds resources of dev" in down, down
    away.rename(state)
    assert "table.txt" in said(team.herd("outputs", "tick"))
    assert "nothing changed" in said(team.herd("up"))
