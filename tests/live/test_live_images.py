"""Images under the real engine: pushed once, with a login that the program and its state know nothing of."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.sandbox import Sandbox
from tests.live.support import LOGINS

pytestmark = [pytest.mark.live, pytest.mark.xdist_group("live-images")]

REPOSITORY = "herd-dev/python"
MAIN = "jobs/hello/main.py"


class Shell:
    """A person at a shell in which `herd env` was evaluated."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self.variables = sandbox.herd_env()
        self.registry, self.tasks = sandbox.client("ecr"), sandbox.client("ecs")

    def pulumi(self, *arguments: str, check: bool = True, **variables: str) -> Any:
        env = {**self.variables, "PULUMI_OPTION_NON_INTERACTIVE": "true", **variables}
        return self.sandbox.run("pulumi", *arguments, check=check, env=env)

    def up(self, **variables: str) -> Any:
        return self.pulumi("up", "--yes", "--skip-preview", **variables)

    def images(self) -> dict[str, str]:
        """Tag -> digest of what is in the registry."""
        found = self.registry.describe_images(repositoryName=REPOSITORY)["imageDetails"]
        return {tag: image["imageDigest"] for image in found for tag in image.get("imageTags", [])}

    def runs_from(self, job: str = "hello") -> str:
        family = self.tasks.describe_task_definition(taskDefinition=f"herd-dev-{job}")
        return str(family["taskDefinition"]["containerDefinitions"][0]["image"].partition("@")[2])

    def state(self) -> dict[str, Any]:
        return dict(json.loads(self.pulumi("stack", "export", "--show-secrets").stdout))

    def assert_settled(self) -> None:
        self.pulumi("preview", "--expect-no-changes")


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    with Sandbox(tmp_path_factory.mktemp("images") / "checkout", samples=False) as sandbox:
        sandbox.write(MAIN, "print(1)\n")
        sandbox.write("jobs/hello/workload.toml", "")
        shell = Shell(sandbox)
        shell.up()
        yield shell


def test_the_state_has_no_credentials(shell: Shell) -> None:
    assert LOGINS[1] in shell.variables["DOCKER_AUTH_CONFIG"]
    state = shell.state()
    (image,) = [each for each in state["deployment"]["resources"] if each["type"] == "docker:index/image:Image"]
    assert "registry" not in image["inputs"]
    shown = [json.dumps(state), shell.pulumi("preview", "--json", "--diff").stdout]
    files = [path for path in (shell.sandbox.folder / ".herd").rglob("*") if path.is_file() and not path.is_symlink()]
    for login in LOGINS:
        assert not [path for path in files if login.encode() in path.read_bytes()]
        assert not any(login in text for text in shown)
    shell.assert_settled()


def test_without_a_login_an_update_with_something_to_push_ends_in_one_sentence(shell: Shell) -> None:
    shell.sandbox.write(MAIN, "print('no login')\n")
    nowhere = {"DOCKER_AUTH_CONFIG": "", "DOCKER_CONFIG": str(shell.sandbox.folder / "none")}
    before = shell.images()
    done = shell.pulumi("up", "--yes", "--skip-preview", check=False, **nowhere)
    said = done.stdout + done.stderr
    # In the row of the stack, and at the end.
    (line,) = {line.rpartition("error: ")[2].strip() for line in said.splitlines() if "its image cannot be" in line}
    assert done.returncode != 0 and "Traceback" not in said
    assert "ecr-login" in line and 'eval "$(herd env)"' in line
    assert shell.images() == before
    shell.pulumi("preview", **nowhere)
    shell.sandbox.write(MAIN, "print(1)\n")
    shell.pulumi("up", "--yes", "--skip-preview", **nowhere)
    shell.assert_settled()


def test_a_commit_that_is_reverted_finds_its_image(shell: Shell) -> None:
    first = shell.runs_from()
    shell.sandbox.write(MAIN, "print(2)\n")
    shell.up()
    second = shell.runs_from()
    assert second != first
    for content, digest in (("print(1)\n", first), ("print(2)\n", second), ("print(1)\n", first)):
        shell.sandbox.write(MAIN, content)
        shell.up()
        assert shell.runs_from() == digest
        shell.assert_settled()
    assert len(shell.images()) == 2


def test_a_workload_that_comes_back_finds_its_image(shell: Shell) -> None:
    shell.sandbox.write("jobs/second/main.py", "print('second')\n")
    shell.sandbox.write("jobs/second/workload.toml", "")
    shell.up()
    digest = shell.runs_from("second")
    kept = {path: path.read_text() for path in (shell.sandbox.folder / "jobs/second").iterdir()}
    for path in kept:
        path.unlink()
    (shell.sandbox.folder / "jobs/second").rmdir()
    shell.up()
    for path, text in kept.items():
        shell.sandbox.write(str(path.relative_to(shell.sandbox.folder)), text)
    shell.up()
    assert shell.runs_from("second") == digest
    shell.assert_settled()


def test_an_update_that_was_killed_after_its_push_goes_on_from_there(shell: Shell) -> None:
    shell.sandbox.write(MAIN, "print('killed')\n")
    before = shell.images()
    with subprocess.Popen(
        ["pulumi", "up", "--yes", "--skip-preview", "--non-interactive"],
        cwd=shell.sandbox.folder,
        env={**shell.sandbox.environment, **shell.variables},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as engine:
        pushed = shell.sandbox.wait_for("the push", lambda: shell.images().keys() - before.keys())
        os.killpg(engine.pid, signal.SIGKILL)
    shell.pulumi("cancel", "--yes")
    shell.up()
    (tag,) = pushed
    assert shell.runs_from() == shell.images()[tag]
    shell.assert_settled()


def test_what_an_earlier_herd_kept_in_the_state_goes_with_the_next_update(shell: Shell, tmp_path: Path) -> None:
    """The state as it was: credentials among the inputs of an image. Nothing is built, pushed or started anew."""
    shell.sandbox.write(MAIN, "print('upgrade')\n")
    shell.up()
    digest, state = shell.runs_from(), shell.state()
    (image,) = [each for each in state["deployment"]["resources"] if each["urn"].endswith("::hello-image")]
    server = image["inputs"]["imageName"].partition(":python")[0].rpartition(":hello.")[0]
    registry = {"server": server, "username": "AWS", "password": "an-old-password"}
    image["inputs"]["registry"] = image["outputs"]["registry"] = registry
    image["outputs"]["registryServer"] = server
    (tmp_path / "old.json").write_text(json.dumps(state))
    shell.pulumi("stack", "import", "--file", str(tmp_path / "old.json"))
    assert "an-old-password" in json.dumps(shell.state())
    tags = shell.images()
    shell.up(DOCKER_AUTH_CONFIG="", DOCKER_CONFIG=str(tmp_path))
    assert "an-old-password" not in json.dumps(shell.state())
    assert (shell.runs_from(), shell.images()) == (digest, tags)
    shell.assert_settled()
