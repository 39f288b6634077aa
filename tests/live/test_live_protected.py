"""A protected environment: goes only by its name, and then wholly, although AWS itself would refuse to delete it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from botocore.exceptions import ClientError

from harness.sandbox import Sandbox

pytestmark = [pytest.mark.live, pytest.mark.xdist_group("live-protected")]


@pytest.fixture(scope="module")
def team(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    with Sandbox(tmp_path_factory.mktemp("protected") / "checkout", samples=False) as sandbox:
        settings = (sandbox.folder / "Pulumi.dev.yaml").read_text()
        sandbox.write("Pulumi.dev.yaml", f"{settings.rstrip()}\n  herd:protect: true\n")
        sandbox.write("apis/web/workload.toml", 'access = "public"\nhealth = "/"\ncpu = 0.25\nmemory_gb = 0.5\n')
        sandbox.write("apis/web/main.py", "import http.server, os\n" + SERVE)
        sandbox.write("reports/page/workload.toml", 'schedule = "none"\ncommand = "echo hello > outputs/index.html"\n')
        sandbox.herd("up")
        yield sandbox
        sandbox.herd("down", "--confirm", "dev", check=False)


SERVE = "http.server.test(http.server.SimpleHTTPRequestHandler, port=int(os.environ['PORT']))\n"


def test_neither_yes_nor_another_name_takes_it_down(team: Sandbox) -> None:
    for arguments, status in ((["--yes"], 1), (["--confirm", "prod"], 2)):
        done = team.herd("down", *arguments, check=False)
        assert done.returncode == status, done.stderr
        assert team.status("web")["state"] == "healthy"


def test_what_is_protected_cannot_be_deleted_behind_its_back(team: Sandbox) -> None:
    elb = team.client("elbv2")
    (balancer,) = [each["LoadBalancerArn"] for each in elb.describe_load_balancers()["LoadBalancers"]]
    with pytest.raises(ClientError, match="(?i)deletion protection"):
        elb.delete_load_balancer(LoadBalancerArn=balancer)


def test_by_its_name_it_goes_with_all_that_is_in_it(team: Sandbox) -> None:
    done = team.herd("down", "--confirm", "dev", check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "dev is protected. Taking it down removes all of its" in done.stderr
    assert "turns off what keeps these from being deleted: " in done.stderr and "public-balancer" in done.stderr
    assert "dev is removed" in done.stdout and "nothing is left" in done.stderr
