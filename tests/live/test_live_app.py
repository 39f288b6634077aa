"""An app from `herd new` to a browser's session, behind the environment's load balancer."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from harness.sandbox import Sandbox
from tests.live.support import fetch

pytestmark = [pytest.mark.live, pytest.mark.xdist_group("live-app"), pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    with Sandbox(tmp_path_factory.mktemp("app") / "checkout", samples=False) as sandbox:
        sandbox.herd("new", "app", "board")
        sandbox.herd("up", timeout_seconds=300)
        yield sandbox


def test_a_new_app_answers_at_its_address(sandbox: Sandbox) -> None:
    state = sandbox.status("board")
    assert (state["kind"], state["state"]) == ("app", "healthy")
    status, headers, page = fetch(f"{state['url']}?numbers=1,2,6")
    assert status == 200 and headers["content-type"].startswith("text/html") and "<output>3</output>" in page
    assert "Please write numbers only" in fetch(f"{state['url']}?numbers=one")[2]
    assert "&lt;script&gt;" in fetch(f"{state['url']}?numbers=%3Cscript%3E")[2], "what is typed is shown as text"


def test_the_balancer_keeps_a_browser_at_one_copy(sandbox: Sandbox) -> None:
    groups = sandbox.client("elbv2")
    (group,) = groups.describe_target_groups()["TargetGroups"]
    attributes = {
        one["Key"]: one["Value"]
        for one in groups.describe_target_group_attributes(TargetGroupArn=group["TargetGroupArn"])["Attributes"]
    }
    assert (attributes["stickiness.enabled"], attributes["stickiness.type"]) == ("true", "lb_cookie")
