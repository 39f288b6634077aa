"""The workflows' scripts, against a local cloud: a review, a deployment held against it, and the end."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from harness.sandbox import Sandbox

pytestmark = [pytest.mark.live, pytest.mark.xdist_group("workflows-live")]

JOB = "jobs/counts/workload.toml"
WRITES = "import os\nprint('{0}', os.environ['HERD_PARAM_MONTH'])\nopen('outputs/total.txt', 'w').write('{0}')\n"


@pytest.fixture(scope="module")
def team(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    with Sandbox(tmp_path_factory.mktemp("workflows") / "checkout", samples=False) as sandbox:
        sandbox.write(JOB, 'schedule = "0 6 * * *"\n')
        sandbox.write("jobs/counts/main.py", "print('counted')\n")
        yield sandbox


def script(team: Sandbox, name: str, *arguments: str, summary: Path | None = None) -> subprocess.CompletedProcess[str]:
    told = {"GITHUB_STEP_SUMMARY": str(summary)} if summary else {}
    return team.run(str(team.folder / ".github/scripts" / name), *arguments, check=False, env=told)


def test_a_pull_request_is_tried_on_a_local_cloud(team: Sandbox) -> None:
    done = script(team, "try-locally")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "counts" in done.stdout and "dev is removed" in done.stdout


def test_what_was_reviewed_is_deployed(team: Sandbox, tmp_path: Path) -> None:
    summary = tmp_path / "summary.md"
    reviewed = script(team, "preview", "reviewed", summary=summary)
    assert reviewed.returncode == 0, reviewed.stderr
    comment = (team.folder / "reviewed/comment.md").read_text()
    assert comment.startswith("<!-- herd preview of dev -->\n### What this changes in `dev`\n")
    assert "`aws:scheduler:Schedule` `counts-schedule`" in comment
    assert summary.read_text() == comment
    assert (team.folder / "reviewed/review.md").read_text() == comment, "it fits"
    assert (team.folder / "reviewed/review.html").read_text().startswith("<!doctype html>")
    done = script(team, "deploy", "reviewed")
    assert done.returncode == 0, done.stdout + done.stderr
    assert team.status("counts")["state"] == "never-run"


def test_what_changed_since_is_not_deployed_and_the_difference_is_named(team: Sandbox) -> None:
    schedule = (team.folder / JOB).read_text()
    team.write(JOB, "retries = 4\n" + schedule)
    assert script(team, "preview", "reviewed").returncode == 0
    team.write(JOB, "retries = 5\nmemory_gb = 4\n" + schedule)
    done = script(team, "deploy", "reviewed")
    assert done.returncode == 1
    assert "nothing was done: the list of changes is not the reviewed one any more" in done.stderr
    assert "aws:ecs:TaskDefinition counts-task" in done.stderr
    assert script(team, "preview", "again").returncode == 0, "it was not touched"
    assert "`memory`" in (team.folder / "again/comment.md").read_text()
    assert script(team, "deploy", "again").returncode == 0
    assert script(team, "preview", "after").returncode == 0
    assert "Nothing: what is deployed is what the files say." in (team.folder / "after/comment.md").read_text()


def test_a_job_that_may_read_more_is_a_permission_that_widens(team: Sandbox) -> None:
    team.write("jobs/reads/workload.toml", 'schedule = "none"\n')
    team.write("jobs/reads/main.py", "print('x')\n")
    script(team, "preview", "first")
    assert script(team, "deploy", "first").returncode == 0
    team.write("jobs/reads/workload.toml", 'schedule = "none"\nreads = ["counts"]\n')
    assert script(team, "preview", "wider").returncode == 0
    comment = (team.folder / "wider/comment.md").read_text()
    dangers = comment.split("#### ⚠️ Dangers")[1].split("<details>")[0]
    assert "- `job reads: may do more than today`" in dangers
    assert "  - `s3:GetObject on " in dangers and "/counts/versions/*`" in dangers
    assert "everybody" not in comment


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("environment-up", ("", "17", "--here")),
        ("environment-up", ("environment", "017", "--here")),
        ("environment-up", ("environment", "17; touch x", "--here")),
        ("environment-up", ("environment", "../17", "--here")),
        ("environment-down", ("environment", "", "--here")),
        ("environment-down", ("environment", "17", "--there")),
        ("run", ("", "", "false")),
        ("run", ("--help", "", "false")),
        ("run", ("counts", "month='", "false")),
        ("run", ("counts", "month=1", "yes")),
    ],
)
def test_a_script_that_is_asked_for_nonsense_does_nothing(team: Sandbox, name: str, arguments: tuple[str, ...]) -> None:
    done = script(team, name, *arguments)
    assert done.returncode == 2 and done.stdout == "" and len(done.stderr.splitlines()) == 1, done.stderr


def test_the_life_of_a_pull_request(team: Sandbox, tmp_path: Path) -> None:
    """Opened, pushed again, run by hand, its time over; killed while it comes and while it goes. Nothing is left."""
    summary, comment = tmp_path / "summary.md", team.folder / "environment/comment.md"
    # Another test's job reads what has not been published in a new environment.
    shutil.rmtree(team.folder / "jobs/reads", ignore_errors=True)
    team.write("apis/hello/workload.toml", "")
    team.write("apis/hello/main.py", SERVICE)
    team.write(JOB, 'schedule = "none"\n[params]\nmonth = 1\n')
    team.write("jobs/counts/main.py", WRITES.format("month"))
    opened = script(team, "environment-up", "environment", "17", "--here", summary=summary)
    assert opened.returncode == 0, opened.stdout + opened.stderr
    text = comment.read_text()
    assert text.startswith("<!-- herd environment pr-17 -->\n### The environment `pr-17`\n") and "It is up" in text
    assert "| `hello` | api | http://" in text and "each push renews it" in text and summary.read_text() == text
    first = team.json("status", "--json", "-e", "pr-17")["ends_at"]

    team.write("jobs/counts/main.py", WRITES.format("pushed"))
    assert script(team, "environment-up", "environment", "17", "--here").returncode == 0
    assert team.json("status", "--json", "-e", "pr-17")["ends_at"] > first, "it is renewed"
    assert comment.read_text().splitlines()[0] == text.splitlines()[0], "it takes its comment's place"
    ran = script(team, "run", "counts", "month=3", "false", "-e", "pr-17")
    assert ran.returncode == 0 and "pushed 3" in ran.stdout, ran.stderr

    assert "nothing to remove" in script(team, "janitor", "--here").stdout
    later = {"HERD_NOW": "2098-01-01T00:00:00+00:00"}
    over = team.run(
        str(team.folder / ".github/scripts/janitor"),
        "--here",
        check=False,
        env={**later, "GITHUB_STEP_SUMMARY": str(summary)},
    )
    assert over.returncode == 0 and "pr-17: over its time" in over.stdout, over.stdout + over.stderr
    assert "pr-17 is removed" in summary.read_text()
    assert_nothing_is_left(team, "pr-17")

    # The state is written at the end of an update: what is there in the middle of one only the cloud says. A bucket is
    # among the first that comes, a state machine among the first that goes.
    s3, states = team.client("s3"), team.client("stepfunctions")

    def buckets() -> list[str]:
        return [one["Name"] for one in s3.list_buckets()["Buckets"] if one["Name"].startswith("herd-pr-17-")]

    def machines() -> list[str]:
        names = [one["name"] for one in states.list_state_machines()["stateMachines"]]
        return [name for name in names if name.startswith("herd-pr-17-")]

    killed(team, "environment-up", lambda: bool(buckets()))
    swept = script(team, "janitor", "--here")
    assert swept.returncode == 0 and "pr-17: half made" in swept.stdout, swept.stdout + swept.stderr
    assert_nothing_is_left(team, "pr-17")

    assert script(team, "environment-up", "environment", "17", "--here").returncode == 0
    killed(team, "environment-down", lambda: not machines())
    swept = script(team, "janitor", "--here")
    assert swept.returncode == 0 and "pr-17: half destroyed" in swept.stdout, swept.stdout + swept.stderr
    assert_nothing_is_left(team, "pr-17")
    closed = script(team, "environment-down", "environment", "17", "--here")
    assert closed.returncode == 0 and "The environment `pr-17` is removed." in comment.read_text()
    assert team.status("counts")["state"], "dev is as it was"


SERVICE = """
import http.server, os

class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"hello")

http.server.ThreadingHTTPServer(("", int(os.environ["PORT"])), Answer).serve_forever()
"""


def state_of(team: Sandbox, name: str) -> str:
    try:
        return (team.folder / f".herd/pulumi/.pulumi/stacks/herd/{name}.json").read_text()
    except FileNotFoundError:
        return ""


def killed(team: Sandbox, name: str, when: Callable[[], bool]) -> None:
    """Run a script on pull request 17, and kill it and all that it started as soon as `when` is true."""
    command = [str(team.folder / ".github/scripts" / name), "environment", "17", "--here"]
    with (team.home / "killed.log").open("w") as log:
        process = subprocess.Popen(
            command, cwd=team.folder, env=team.environment, stdout=log, stderr=log, start_new_session=True
        )
        while not when() and process.poll() is None:
            time.sleep(0.02)  # an update takes few seconds: what polls less often would see it whole
        assert process.poll() is None, (team.home / "killed.log").read_text()
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def assert_nothing_is_left(team: Sandbox, name: str) -> None:
    assert state_of(team, name) == ""
    buckets = team.client("s3").list_buckets()["Buckets"]
    machines = team.client("stepfunctions").list_state_machines()["stateMachines"]
    groups = team.client("scheduler").list_schedule_groups()["ScheduleGroups"]
    names = [one["Name"] for one in (*buckets, *groups)] + [one["name"] for one in machines]
    assert [one for one in names if one.startswith(f"herd-{name}")] == [] and any("herd-dev" in one for one in names)
    assert "nothing to remove" in team.herd("janitor", "--dry-run").stderr


def test_what_cannot_be_deployed_is_a_comment_too(team: Sandbox) -> None:
    team.write("jobs/reads/workload.toml", "scheduel = 1\n")
    done = script(team, "preview", "wrong")
    assert done.returncode == 2
    comment = (team.folder / "wrong/comment.md").read_text()
    assert comment.startswith("<!-- herd preview of dev -->\n### `dev` cannot be deployed like this\n")
    assert "jobs/reads/workload.toml: unknown setting 'scheduel'" in comment
    assert not (team.folder / "wrong/changes.json").exists()


def test_what_was_changed_by_hand_is_in_the_nightly_summary(team: Sandbox, tmp_path: Path) -> None:
    summary = tmp_path / "summary.md"
    assert script(team, "drift", summary=summary).returncode == 0
    team.client("logs").put_retention_policy(logGroupName="/herd-dev/counts", retentionInDays=3)
    done = script(team, "drift", summary=summary)
    assert done.returncode == 11, done.stderr
    assert "log_retention_days 14 → 3" in done.stdout and "log_retention_days 14 → 3" in summary.read_text()


def test_it_is_destroyed_by_its_name_only(team: Sandbox) -> None:
    assert script(team, "destroy", "prod").returncode == 2
    done = script(team, "destroy", "dev")
    assert done.returncode == 0 and "dev is removed" in done.stdout, done.stdout + done.stderr


def test_a_fork_gets_its_review_and_its_pages_without_any_account(team: Sandbox, tmp_path: Path) -> None:
    """As `preview.yml` has them done: against the first parent of the merge, by nobody whom AWS or GitHub knows."""
    team.write("jobs/reads/workload.toml", 'schedule = "none"\n')
    team.write("jobs/reads/main.py", "print('x')\n")
    git(team, "init", "-q")
    git(team, "add", ".")
    git(team, "commit", "-q", "-m", "main")
    team.write("reports/sampled/workload.toml", 'schedule = "none"\nreads = ["counts"]\n')
    team.write("reports/sampled/main.py", PAGE.format("open('inputs/counts/total.txt').read()"))
    team.write("reports/sampled/tests/inputs/counts/total.txt", "of a sample")
    team.write("reports/made/workload.toml", 'schedule = "none"\n')
    team.write("reports/made/main.py", PAGE.format("'made here'"))
    summary = tmp_path / "summary.md"
    reviewed = script(team, "review-files", "files", "HEAD", summary=summary)
    assert reviewed.returncode == 0, reviewed.stderr
    comment = (team.folder / "files/comment.md").read_text()
    assert comment.startswith("<!-- herd preview of dev -->\n")
    assert "Worked out from the files of `HEAD`" in comment and "- `new report sampled`" in comment
    assert summary.read_text() == comment
    shown = script(team, "changed-reports", "pages", "HEAD")
    assert shown.returncode == 0, shown.stdout + shown.stderr
    assert "of a sample" in (team.folder / "pages/sampled/index.html").read_text()
    assert "made here" in (team.folder / "pages/made/index.html").read_text()
    comment = (team.folder / "pages/comment.md").read_text()
    assert comment.startswith("<!-- herd pages -->\n### Reports that this changes\n")
    assert "- `sampled/index.html`" in comment and "- `made/index.html`" in comment and "delay" not in comment
    git(team, "add", ".")
    git(team, "commit", "-q", "-m", "merged")
    assert script(team, "changed-reports", "none", "HEAD").returncode == 0
    assert (team.folder / "none/comment.md").read_text() == (
        "<!-- herd pages -->\n<!-- only to update -->\nNo report changes.\n"
    )
    assert script(team, "review-files", "", "HEAD").returncode == script(team, "changed-reports", "x").returncode == 2


PAGE = "import pathlib\npathlib.Path('outputs/index.html').write_text({})\n"


def git(team: Sandbox, *arguments: str) -> None:
    known = ("-c", "user.name=ada", "-c", "user.email=ada@example.com", "-c", "commit.gpgsign=false")
    subprocess.run(["git", *known, *arguments], cwd=team.folder, check=True, capture_output=True)
