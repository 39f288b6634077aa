"""A copy of an environment, made by the real engine beside it, and a difference that is planted in it."""

from __future__ import annotations

import json
import shutil

import pytest

from harness.sandbox import Sandbox

pytestmark = [pytest.mark.live, pytest.mark.xdist_group("live-small")]


def test_a_copy_is_made_run_and_proven(small: Sandbox) -> None:
    small.write("jobs/keeps/main.py", "open('outputs/x.txt', 'w').write('1')\n")
    small.write("jobs/keeps/workload.toml", 'schedule = "@daily"\n[environments.dev]\nmemory_gb = 4\n')
    try:
        small.herd("up")
        small.herd("snapshot", "monday")
        run = small.status("keeps")["last_run"]["id"]
        made = small.herd("clone", "dev", "copy", "--with-data", "monday")
        assert "keeps succeeded" in " ".join(made.stdout.split())
        assert "schedules on → off" in made.stdout and "a file names each of these differences" in made.stdout
        data = small.client("s3").get_object(Bucket="herd-copy-123456789012-data", Key=f"keeps/versions/{run}/x.txt")
        assert data["Body"].read() == b"1", "it began with what the snapshot names"
        assert "schedules are off" in small.herd("status", "-e", "copy").stderr
        again = small.herd("clone", "dev", "copy", check=False)
        assert again.returncode == 2 and "--resume` goes on with it" in again.stderr
        small.write("jobs/keeps/workload.toml", 'schedule = "@weekly"\n[environments.dev]\nmemory_gb = 4\n')
        small.herd("up", "-e", "copy")
        found = small.herd("diff", "dev", "copy", "--json", check=False)
        assert found.returncode == 10
        unnamed = [row for row in json.loads(found.stdout)["differences"] if not row["named"]]
        assert [(row["whose"], row["what"]) for row in unnamed] == [("job keeps", "schedule 00:00 → 00:00 Sun")]
        refused = small.herd("clone", "dev", "other", check=False)
        assert refused.returncode == 2 and "job keeps: schedule 00:00 → 00:00 Sun" in refused.stderr
    finally:
        small.herd("down", "-e", "copy")
        (small.folder / "Pulumi.copy.yaml").unlink(missing_ok=True)
        shutil.rmtree(small.folder / "jobs/keeps")
        small.herd("up", "--no-run")
