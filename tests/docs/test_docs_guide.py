"""The guide to the first job, followed to the letter: its files are written, its commands are run, as it says."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.sandbox import Sandbox
from tests.docs.markdown import ROOT, blocks

pytestmark = [pytest.mark.live, pytest.mark.xdist_group("docs-guide"), pytest.mark.timeout(600)]

HERD = 'herd() { .venv/bin/python -m herd "$@"; }\n'
"""The installed command belongs to our own checkout; this is the sandbox's."""


def test_the_first_job_works_as_the_guide_says(tmp_path: Path) -> None:
    with Sandbox(tmp_path / "checkout", samples=False) as sandbox:
        sandbox.herd("up")  # the guide begins after `make up`
        for block in blocks(ROOT / "docs/guide/first-job.md"):
            if block.file:
                sandbox.write(block.file, block.text)
            elif block.language == "sh":
                sandbox.run("sh", "-ec", HERD + block.text)
        names = [workload["name"] for workload in sandbox.json("status", "--json")["workloads"]]
        assert names == [], "the guide ends with the removal of what it made"
