"""A team's work years later, when every review is overdue: it comes up, loudly, and nothing of it starts by itself.

The team has what the sample has: a job by the clock, one after it, a report and a service of what they made.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from harness.sandbox import Sandbox
from tests.live.support import fetch

pytestmark = [pytest.mark.live, pytest.mark.xdist_group("live-expired"), pytest.mark.timeout(900)]

BATCH = ("ingest", "model", "page")

SERVER = """
import http.server, os
http.server.test(http.server.SimpleHTTPRequestHandler, port=int(os.environ["PORT"]))
"""
TEAM = {
    "jobs/ingest/workload.toml": 'schedule = "0 6 * * 1"\ncommand = "seq 9 > outputs/rows.txt"\n',
    "jobs/model/workload.toml": 'after = ["ingest"]\nreads = ["ingest"]\ncommand = "cp inputs/ingest/* outputs/"\n',
    "reports/page/workload.toml": (
        'after = ["model"]\nreads = ["model"]\ncommand = "cp inputs/model/rows.txt outputs/index.html"\n'
    ),
    "apis/ask/workload.toml": 'access = "public"\nhealth = "/"\nreads = ["model"]\ncpu = 0.25\nmemory_gb = 0.5\n',
    "apis/ask/main.py": SERVER,
}


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    later = datetime.now(UTC) + timedelta(days=3 * 365)
    with Sandbox(tmp_path_factory.mktemp("expired") / "checkout", samples=False, now=later) as sandbox:
        for path, text in TEAM.items():
            sandbox.write(path, text)
        yield sandbox


def test_a_fresh_environment_has_its_report_and_its_api_and_says_which_date_to_move(sandbox: Sandbox) -> None:
    said = sandbox.herd("up", timeout_seconds=600).stderr.splitlines()
    line = next(
        number
        for number, text in enumerate((sandbox.folder / "defaults.toml").read_text().splitlines(), 1)
        if text.startswith("review_by")
    )
    last = next(text for text in reversed(said) if text.startswith("! expired"))
    assert all(name in last for name in (*BATCH, "ask"))
    assert f"move review_by in defaults.toml, line {line}" in last
    workloads = {workload["name"]: workload for workload in sandbox.json("status", "--json")["workloads"]}
    assert {name: workloads[name]["last_run"]["status"] for name in BATCH} == dict.fromkeys(BATCH, "succeeded")
    assert {name: workloads[name]["state"] for name in BATCH} == dict.fromkeys(BATCH, "expired")
    assert {workloads[name]["next_run"] for name in BATCH} == {None}
    assert fetch(workloads["page"]["url"])[0] == 200
    api = sandbox.wait_for("a healthy API", lambda: (w := sandbox.status("ask"))["healthy"] and w)
    assert api["state"] == "healthy"


def test_no_schedule_is_on_and_plain_pulumi_sees_no_difference(sandbox: Sandbox) -> None:
    schedules = sandbox.client("scheduler").list_schedules()["Schedules"]
    assert {schedule["State"] for schedule in schedules} == {"DISABLED"}
    sandbox.pulumi("preview", "--expect-no-changes")
    assert sandbox.herd("up").stdout.strip().endswith("nothing changed")


def test_it_runs_by_hand_with_a_word(sandbox: Sandbox) -> None:
    done = sandbox.herd("run", "ingest")
    assert "! ingest: review_by = " in done.stderr and "has passed" in done.stderr


def test_a_date_that_is_moved_arms_the_schedule_of_its_pipeline_alone(sandbox: Sandbox) -> None:
    assert sandbox.now is not None
    later = sandbox.now.date() + timedelta(days=200)
    settings = Path(sandbox.folder / "defaults.toml")
    lines = [
        f"review_by = {later}" if line.startswith("review_by") else line for line in settings.read_text().splitlines()
    ]
    settings.write_text("\n".join(lines) + "\n")
    said = sandbox.herd("up").stderr
    assert "! expired" not in said
    assert sandbox.status("ingest")["next_run"] is not None
