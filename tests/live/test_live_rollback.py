"""An update whose service never becomes healthy: ECS takes it back and calls that a success; `herd up` does not."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from harness.sandbox import Sandbox
from tests.live.support import fetch

pytestmark = [pytest.mark.live, pytest.mark.xdist_group("live-rollback")]

SERVER = """
import http.server, os

class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response({status} if self.path.endswith("/health") else 200)
        self.end_headers()
        self.wfile.write(b"version {version}")

    def log_message(self, *_):
        pass

print("version {version} listens", flush=True)
http.server.ThreadingHTTPServer(("0.0.0.0", int(os.environ["PORT"])), Answer).serve_forever()
"""


@pytest.fixture(scope="module")
def team(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    with Sandbox(tmp_path_factory.mktemp("rollback") / "checkout", samples=False) as sandbox:
        sandbox.write("apis/web/workload.toml", 'access = "public"\ncpu = 0.25\nmemory_gb = 0.5\n')
        sandbox.write("apis/web/main.py", SERVER.format(status=200, version=1))
        sandbox.herd("up")
        yield sandbox


def test_a_program_that_does_not_start_is_rolled_back_and_fails_the_update(team: Sandbox) -> None:
    team.write("apis/web/main.py", "raise SystemExit('no model to load')\n")
    up = team.herd("up", check=False)
    assert up.returncode == 1, up.stdout + up.stderr
    assert "✗ web is rolled-back: runs herd-dev-web:1, wanted is herd-dev-web:2" in up.stderr
    web = team.status("web")
    assert (web["state"], web["healthy"]) == ("rolled-back", False)
    # The old one goes on serving.
    assert fetch(web["url"])[2] == "version 1"


def test_so_does_the_same_update_again_although_pulumi_finds_nothing_to_change(team: Sandbox) -> None:
    up = team.herd("up", check=False)
    assert (up.returncode, "web is rolled-back" in up.stderr) == (1, True)


def test_one_that_starts_and_fails_its_health_check_fails_the_update_too(team: Sandbox) -> None:
    team.write("apis/web/main.py", SERVER.format(status=404, version=3))
    up = team.herd("up", check=False)
    assert up.returncode == 1, up.stdout + up.stderr
    assert '✗ web is deploying: GET /health answers 404; name a path that answers 200: health = "/"' in up.stderr
    assert "version 3 listens" in up.stderr, up.stderr
    assert fetch(team.status("web")["url"])[2] == "version 1"
    be_impatient(team)
    team.wait_for("ECS to take it back", lambda: team.status("web")["state"] == "rolled-back", 200)


def be_impatient(team: Sandbox) -> None:
    """Let ECS and the load balancer give the copies that are still to be tried up at once: three take three minutes."""
    ecs, elb = team.client("ecs"), team.client("elbv2")
    (service,) = ecs.list_services(cluster="herd-dev")["serviceArns"]
    (group,) = [each["TargetGroupArn"] for each in elb.describe_target_groups()["TargetGroups"]]
    elb.modify_target_group(
        TargetGroupArn=group, HealthCheckIntervalSeconds=5, HealthCheckTimeoutSeconds=2, UnhealthyThresholdCount=2
    )
    ecs.update_service(cluster="herd-dev", service=service, healthCheckGracePeriodSeconds=1)


def test_the_repaired_program_is_a_success(team: Sandbox) -> None:
    team.write("apis/web/main.py", SERVER.format(status=200, version=4))
    team.herd("up")
    web = team.status("web")
    assert (web["state"], fetch(web["url"])[2]) == ("healthy", "version 4")
