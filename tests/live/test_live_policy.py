"""The rules at work in the real engine: preview and update refuse what they refuse, by herd and by plain pulumi."""

from __future__ import annotations

import subprocess

import pytest

from harness.sandbox import POLICY_PACK, Sandbox
from tests.herd.policy.partner import EXCEPTION, PARTNER, declare

pytestmark = [pytest.mark.live, pytest.mark.xdist_group("live-small")]

FINDING = "environment: the world may reach port 8443; allow 80 and 443 at most"


def pulumi(sandbox: Sandbox, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {**sandbox.shell, **variables}
    return sandbox.run("pulumi", *arguments, check=False, env=environment)


def test_what_the_rules_refuse_is_not_made(small: Sandbox) -> None:
    """Its team opens a port to the world."""
    sandbox = small
    assert pulumi(sandbox, "preview", "--expect-no-changes").returncode == 0, "what Herd makes passes"

    declare(sandbox.folder, PARTNER)
    seen = sandbox.herd("preview", check=False)
    assert seen.returncode == 1 and FINDING in seen.stderr, seen.stderr
    refused = sandbox.herd("up", "--no-run", check=False)
    assert refused.returncode == 1 and FINDING in refused.stderr, refused.stderr
    assert "network-world-ports" in refused.stderr
    assert "partner-in" not in sandbox.pulumi("stack", "export").stdout

    plain = pulumi(sandbox, "preview")
    assert plain.returncode != 0 and FINDING in plain.stdout
    assert "[mandatory]  network-world-ports" in plain.stdout
    assert pulumi(sandbox, "preview", **{POLICY_PACK: ""}).returncode == 0, "set to nothing, no rules are asked"

    sandbox.write("policy-exceptions.toml", EXCEPTION)
    sandbox.herd("up", "--no-run")
    assert "partner-in" in sandbox.pulumi("stack", "export").stdout

    declare(sandbox.folder)
    unneeded = sandbox.herd("up", "--no-run", check=False)
    assert unneeded.returncode == 1 and "is not needed any more; take it away" in unneeded.stderr
    (sandbox.folder / "policy-exceptions.toml").unlink()
    sandbox.herd("up", "--no-run")
