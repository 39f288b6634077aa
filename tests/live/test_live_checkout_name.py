"""A checkout in a folder of any name: spaces, quotes, what shells, URLs, CSV and patterns give a meaning to."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from harness.sandbox import Sandbox
from tests.herd.policy.partner import PARTNER, declare
from tests.live.support import processes_below

pytestmark = [pytest.mark.live, pytest.mark.xdist_group("live-name")]

NAME = '-my team\'s code, 100% "new" #1 ü [a] (b) & c;?*'


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    with Sandbox(tmp_path_factory.mktemp("names") / NAME / "my checkout", samples=False) as made:
        made.write("jobs/small/main.py", "open('outputs/said.txt', 'w').write('it ran')\n")
        made.write("jobs/small/workload.toml", "")
        yield made


def test_it_goes_up_runs_is_held_to_the_rules_and_goes_down(sandbox: Sandbox) -> None:
    herd = str(sandbox.folder / ".venv/bin/herd")
    assert "small succeeded" in sandbox.run(herd, "up").stderr
    assert "nothing changed" in sandbox.herd("preview").stdout
    assert "said.txt" in sandbox.herd("outputs", "small").stdout
    assert "this was a trial" in sandbox.herd("try", "small").stderr

    program = sandbox.herd_env()["PATH"].split(":")[0]
    assert program == str(sandbox.folder / ".venv/bin")
    assert "unchanged" in sandbox.pulumi("preview", "--expect-no-changes").stdout

    declare(sandbox.folder, PARTNER)
    refused = sandbox.herd("up", "--no-run", check=False)
    assert refused.returncode == 1 and "network-world-ports" in refused.stderr, "no rule was asked"
    declare(sandbox.folder)

    sandbox.herd("down")
    assert processes_below(sandbox.folder) == []
