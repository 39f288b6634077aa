"""The login to the image registry: who gets it, and that it is in nothing that is printed."""

from __future__ import annotations

import json
import shlex
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from herd.checkout.find import Checkout
from herd.targets import pulumi_env, registry_login, stack
from herd.targets.aws import AwsTarget
from herd.targets.local import LocalTarget

REGISTRY = "210987654321.dkr.ecr.eu-central-1.amazonaws.com"
TOKEN = "QVdTOnRvcC1zZWNyZXQ="
PERSONS = json.dumps({"auths": {"ghcr.io": {"auth": "bWU6bWluZQ=="}}})


class Aws:
    """Stands in for boto3's session: gives a login, or refuses."""

    def __init__(self) -> None:
        self.refuses = False

    def client(self, name: str, **_: Any) -> Any:
        return {"ecr": SimpleNamespace(get_authorization_token=self.login)}[name]

    def login(self) -> Any:
        if self.refuses:
            raise ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, "GetAuthorizationToken")
        return {"authorizationData": [{"authorizationToken": TOKEN, "proxyEndpoint": f"https://{REGISTRY}"}]}


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Aws:
    made = Aws()
    for kind in (AwsTarget, LocalTarget):
        monkeypatch.setattr(kind, "client", lambda self, service: made.client(service))
    return made


def test_a_login_is_added_to_what_the_persons_docker_has(checkout: Checkout, aws: Aws) -> None:
    found = registry_login.variables(AwsTarget(checkout, "prod"), {"DOCKER_AUTH_CONFIG": PERSONS})
    assert json.loads(found["DOCKER_AUTH_CONFIG"])["auths"] == {
        "ghcr.io": {"auth": "bWU6bWluZQ=="},
        REGISTRY: {"auth": TOKEN},
    }


@pytest.mark.parametrize("text", ["", "[", "[]", '{"auths": 1}', "null"])
def test_what_is_no_configuration_is_left_out(checkout: Checkout, aws: Aws, text: str) -> None:
    found = registry_login.variables(AwsTarget(checkout, "prod"), {"DOCKER_AUTH_CONFIG": text})
    assert list(json.loads(found["DOCKER_AUTH_CONFIG"])["auths"]) == [REGISTRY]


def test_the_persons_logins_do_not_come_to_the_local_cloud(checkout: Checkout, aws: Aws) -> None:
    base = {"DOCKER_AUTH_CONFIG": PERSONS, "PATH": "/bin"}
    found = registry_login.variables(LocalTarget(checkout, "dev"), base)
    assert list(json.loads(found["DOCKER_AUTH_CONFIG"])["auths"]) == [REGISTRY]
    assert pulumi_env.variables(checkout, "dev", Path("/opt/pulumi"), base)["DOCKER_AUTH_CONFIG"] is None


def test_who_may_not_log_in_can_deploy_what_pushes_nothing(
    checkout: Checkout, aws: Aws, capsys: pytest.CaptureFixture[str]
) -> None:
    aws.refuses = True
    assert registry_login.variables(AwsTarget(checkout, "prod"), {}) == {}


def test_herd_env_prints_the_command_and_not_the_login(cli: Any, aws: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stack.pulumi_cli, "ensure", lambda cache: Path("/opt/pulumi/pulumi"))
    printed = cli("env", "--stack", "prod").stdout
    assert TOKEN not in printed and "export PULUMI_STACK=prod" in printed
    assert 'export DOCKER_AUTH_CONFIG="$(' in printed and "env --stack prod --docker-login" in printed
    assert TOKEN in cli("env", "--stack", "prod", "--docker-login").stdout


def test_a_shell_gets_what_the_command_prints() -> None:
    command = shlex.join(["printf", "%s", "a 'b' \"c\" $HOME\n"])
    script = pulumi_env.script({}, {}, {"LOGIN": command})
    done = subprocess.run(["sh", "-euc", f'{script}\nprintf %s "$LOGIN"'], capture_output=True, text=True, check=True)
    assert done.stdout == "a 'b' \"c\" $HOME"
