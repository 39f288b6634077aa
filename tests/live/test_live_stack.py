"""`--stack` for a person at a shell of their own: no PULUMI_HOME of Herd's, and AWS as their files say.

The account is the local cloud's, which the person reaches as they would reach AWS. Their PULUMI_HOME has the plugins
of `aws` and `docker`, as after a first run, and nothing that Herd put there: no language host.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.sandbox import Sandbox
from herd.toolchain import machine, pulumi_cli
from tests.live.support import LOGINS

pytestmark = [pytest.mark.live, pytest.mark.xdist_group("live-stack")]

ACCOUNT = "123456789012"
STACK = f"""
config:
  aws:region: eu-west-1
  aws:allowedAccountIds: ["{ACCOUNT}"]
  herd:account: "{ACCOUNT}"
  herd:scheme: http
"""


class Person:
    """Whose shell it is: `variables` are what is set in it."""

    def __init__(self, sandbox: Sandbox, folder: Path):
        self.sandbox = sandbox
        env = sandbox.herd_env()
        ours = sandbox.environment
        self.variables = {name: value for name, value in env.items() if name.startswith("AWS_")}
        self.variables |= {name: env[name] for name in ("NO_PROXY", "no_proxy")}
        self.home = folder / "pulumi-home"
        shutil.copytree(env["PULUMI_HOME"], self.home, ignore=shutil.ignore_patterns("language-python-*", "logs"))
        (folder / "state").mkdir()
        self.variables |= {
            "PATH": ours["PATH"],
            "PULUMI_HOME": str(self.home),
            "PULUMI_BACKEND_URL": f"file://{folder / 'state'}",
            "PULUMI_CONFIG_PASSPHRASE": "theirs",
            "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
        }

    def herd(self, *arguments: str, check: bool = True) -> Any:
        command = [str(self.sandbox.folder / ".venv/bin/python"), "-m", "herd", *arguments]
        return self.sandbox.run(*command, check=check, env=self.variables)

    def sh(self, words: str, check: bool = True) -> Any:
        """A line at their shell, after `eval "$(herd env --stack away)"`."""
        herd = f"{self.sandbox.folder}/.venv/bin/python -m herd"
        return self.sandbox.run(
            "sh", "-c", f'eval "$({herd} env --stack away)"\n{words}', check=check, env=self.variables
        )


@pytest.fixture(scope="module")
def person(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Person]:
    folder = tmp_path_factory.mktemp("stack")
    with Sandbox(folder / "checkout", samples=False) as sandbox:
        sandbox.write("Pulumi.away.yaml", STACK)
        sandbox.write("jobs/hello/main.py", 'print("hello")\n')
        sandbox.write("jobs/hello/workload.toml", "")
        yield Person(sandbox, folder)


def brings_own_host() -> bool:
    pulumi = pulumi_cli.find(machine.user_cache())
    return pulumi is not None and not pulumi_cli.has_language_host(pulumi)


def test_a_stack_is_made_and_previewed_with_the_pulumi_that_is_there(person: Person) -> None:
    person.sh("pulumi stack init away")
    done = person.herd("preview", "--stack", "away")
    assert "to create" in done.stdout
    assert f"AWS account {ACCOUNT}" in done.stderr
    assert ("Herd's own runs the program" in done.stderr) == brings_own_host()
    assert "warning" not in done.stderr


def test_plain_pulumi_works_on_it_after_herd_env(person: Person) -> None:
    assert "to create" in person.sh("pulumi preview --non-interactive").stdout


def test_up_logs_in_to_the_registry_by_itself(person: Person) -> None:
    """Nobody's Docker is set up for it, and nothing of the login stays: not in the state, not in a file."""
    person.herd("up", "--stack", "away", "--yes", "--no-run")
    state = person.sh("pulumi stack export --show-secrets").stdout
    assert "docker:index/image:Image" in state and "@sha256:" in state
    files = [path for path in person.sandbox.folder.parent.rglob("*") if path.is_file() and not path.is_symlink()]
    for login in LOGINS:
        assert login not in state
        assert not [path for path in files if login.encode() in path.read_bytes()]
    assert "unchanged" in person.sh("pulumi up --yes --non-interactive --skip-preview").stdout
    person.herd("down", "--stack", "away", "--yes")


def test_bootstrap_gets_as_far_as_asking(person: Person) -> None:
    done = person.herd("bootstrap", "--account", ACCOUNT, "--region", "eu-west-1", check=False)
    assert "+ aws:kms:Key" in done.stdout and "nothing was done" in done.stderr, done.stdout + done.stderr


def test_plugins_that_cannot_be_had_are_named_with_the_way_to_bring_them(person: Person) -> None:
    person.sh("pulumi stack select --create away")
    plugins = person.home / "plugins"
    put_away = plugins.rename(plugins.with_name("plugins-put-away"))
    try:
        done = person.herd("preview", "--stack", "away", check=False)
    finally:
        shutil.rmtree(plugins, ignore_errors=True)
        put_away.rename(plugins)
    assert done.returncode == 1
    assert "Pulumi lacks the plugins aws 7.51.1 and docker 5.2.0" in done.stderr
    assert "`pulumi plugin install resource aws 7.51.1 --file FILE`" in done.stderr
