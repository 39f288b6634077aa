"""Which images are pushed, which are taken as they are, and what of them is in Pulumi's state."""

import json
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pulumi
import pytest

from herd.infra.images.registry import hosts, refuse_without_login
from herd.infra.settings.schema import Settings
from tests.herd.infra.program.mocks import (
    ACCOUNT,
    REGION,
    SETTINGS,
    TEAM,
    Answer,
    Program,
    run_program,
    write_team,
)

ROOT = Path(__file__).parents[4]
IMAGE = "docker:index/image:Image"
OWN, SHARED = SETTINGS, replace(SETTINGS, image_repositories="acme")
REPOSITORIES = [pytest.param(OWN, id="own"), pytest.param(SHARED, id="shared")]
THERE: Answer = lambda asked: {"imageDigest": f"sha256:{asked['imageTag']}", "id": "x"}  # noqa: E731
PREFIX = f"{ACCOUNT}.dkr.ecr.{REGION}."
REGISTRY = f"{PREFIX}amazonaws.com"


def state_of(program: Program, **outputs: Any) -> dict[str, Answer]:
    """What Pulumi says of its state after this run: pulumi-docker 5.2.0's outputs of an image."""
    images = {
        image.urn: {
            "type": image.type,
            "outputs": {
                "imageName": image.inputs["imageName"],
                "baseImageName": image.inputs["imageName"],
                "dockerfile": "Dockerfile",
                "registryServer": "",
                **image.inputs["build"],
                **outputs,
            },
        }
        for image in program.of(IMAGE)
    }
    exports = program.exports
    return {
        "readStackOutputs": lambda asked: {"name": asked["name"], "outputs": exports},
        "readStackResourceOutputs": lambda asked: {"name": asked["stackName"], "outputs": images},
    }


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write_team(tmp_path, TEAM)


@pytest.mark.parametrize("settings", REPOSITORIES)
def test_no_registry_credentials_come_into_the_program(root: Path, settings: Settings) -> None:
    program = run_program(root, settings)
    assert program.of(IMAGE) and not any("registry" in image.inputs for image in program.of(IMAGE))
    for source in (*ROOT.glob("infra/*.py"), *ROOT.glob("src/herd/infra/**/*.py"), ROOT / "src/herd/project.py"):
        assert "get_authorization_token" not in source.read_text(), source


@pytest.mark.parametrize("settings", REPOSITORIES)
def test_what_is_not_there_is_pushed_under_a_tag_of_its_content(root: Path, settings: Settings) -> None:
    image = run_program(root, settings).one(IMAGE, "train-image")
    assert f"/{'acme' if settings.image_repositories else 'herd-dev'}/python:train." in image.inputs["imageName"]


@pytest.mark.parametrize("settings", REPOSITORIES)
def test_a_tag_that_is_there_is_taken_and_never_pushed_again(root: Path, settings: Settings) -> None:
    """A commit that was reverted, an update that was killed after its push, a workload that comes back."""
    program = run_program(root, settings, {"getImage": THERE})
    assert not program.of(IMAGE)
    tag = run_program(root, settings).one(IMAGE, "train-image").inputs["imageName"].rpartition(":")[2]
    assert program.container("train")["image"].endswith(f"/python@sha256:{tag}")


@pytest.mark.parametrize("settings", REPOSITORIES)
def test_the_same_again_changes_nothing(root: Path, settings: Settings) -> None:
    first = run_program(root, settings)
    again = run_program(root, settings, {"getImage": THERE, **state_of(first)})
    assert again.everything() == first.everything() and again.exports == first.exports
    assert len(again.of(IMAGE)) == 6


def test_another_environment_takes_what_the_first_has_pushed(root: Path) -> None:
    first = run_program(root, SHARED)
    beside = run_program(root, replace(SHARED, environment="other"), {"getImage": THERE})
    assert len(first.of(IMAGE)) == 6 and not beside.of(IMAGE)


@pytest.mark.parametrize("settings", REPOSITORIES)
def test_after_a_failed_update_the_commit_before_it_is_taken_from_the_registry(root: Path, settings: Settings) -> None:
    """The state has the image of the failed one under the same name, and the exports of before it."""
    before = run_program(root, settings)
    old = {path: (root / path).read_text() for path in ("jobs/train/main.py",)}
    write_team(root, {"jobs/train/main.py": "print('broken')\n"})
    failed = {**state_of(run_program(root, settings)), "readStackOutputs": state_of(before)["readStackOutputs"]}
    write_team(root, old)
    program = run_program(root, settings, {"getImage": THERE, **failed})
    assert "train-image" not in {image.name for image in program.of(IMAGE)}
    assert len(program.of(IMAGE)) == 5


@pytest.mark.parametrize(
    "earlier",
    [
        pytest.param({"registryServer": REGISTRY}, id="with the registry's credentials in its inputs"),
        pytest.param({"context": "../elsewhere/train"}, id="built from another folder"),
        pytest.param({"platform": "linux/arm64"}, id="built for another processor"),
    ],
)
def test_an_image_that_would_be_changed_is_let_go_instead_of_pushed_again(root: Path, earlier: dict[str, str]) -> None:
    """As after an upgrade of Herd: what was among the inputs goes with the resource, the image stays."""
    first = run_program(root)
    program = run_program(root, SETTINGS, {"getImage": THERE, **state_of(first, **earlier)})
    assert not program.of(IMAGE)


# --- the login -----------------------------------------------------------------------------------------------------


def without_login(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DOCKER_AUTH_CONFIG", "")
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "none"))


def test_an_update_without_a_login_ends_in_one_sentence_before_anything_is_made(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_login(monkeypatch, tmp_path)
    made = []
    monkeypatch.setattr("herd.project.Project._schedule_group", lambda *_: made.append(1))
    with pytest.raises(pulumi.RunError) as refused:
        run_program(root)
    (line,) = str(refused.value).splitlines()
    assert f"Docker has no login for the registry {PREFIX}" in line and not made
    assert '"ecr-login"' in line and 'eval "$(herd env)"' in line and "`herd up`" in line


def test_a_preview_and_an_update_that_pushes_nothing_need_no_login(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_login(monkeypatch, tmp_path)
    assert len(run_program(root, preview=True).of(IMAGE)) == 6
    assert not run_program(root, SETTINGS, {"getImage": THERE}).of(IMAGE)


def auths(*names: str) -> dict[str, Any]:
    return {"auths": {name: {"auth": "QVdTOmE="} for name in names}}


def helper(name: str) -> dict[str, Any]:
    return {"credHelpers": {REGISTRY: name}}


LOGINS: dict[str, tuple[Mapping[str, Any] | str, Mapping[str, Any] | str, bool]] = {
    "nothing": ({}, {}, False),
    "`docker login`": ({}, auths(REGISTRY), True),
    "`docker login` with https": ({}, auths(f"https://{REGISTRY}"), True),
    "another registry": (auths("ghcr.io"), auths("https://index.docker.io/v1/"), False),
    "another region": ({}, auths(f"{ACCOUNT}.dkr.ecr.us-east-1.amazonaws.com"), False),
    "in the variable": (auths(REGISTRY), {}, True),
    "ECR's helper": ({}, helper("ecr-login"), True),
    "a helper that is not installed": ({}, helper("absent"), False),
    "ECR's helper for everything": ({}, {"credsStore": "ecr-login"}, True),
    "a keychain that has it": ({}, {"credsStore": "full", "auths": {REGISTRY: {}}}, True),
    "a keychain that has others": ({}, {"credsStore": "other"}, False),
    "a keychain that fails": ({}, {"credsStore": "broken"}, False),
    "an entry without credentials": ({}, {"auths": {REGISTRY: {}}}, False),
    "files that are no configuration": ("[", "[1]", False),
}


@pytest.mark.parametrize("name", LOGINS)
def test_which_of_dockers_configurations_are_a_login(name: str, tmp_path: Path) -> None:
    variable, config, is_login = LOGINS[name]
    for store, lists in {"ecr-login": {}, "full": {f"https://{REGISTRY}": "AWS"}, "other": {"ghcr.io": "me"}}.items():
        program = tmp_path / f"docker-credential-{store}"
        program.write_text(f"#!/bin/sh\necho '{json.dumps(lists)}'\n")
        program.chmod(0o755)
    (tmp_path / "docker-credential-broken").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "docker-credential-broken").chmod(0o755)
    (tmp_path / "config.json").write_text(config if isinstance(config, str) else json.dumps(config))
    environment = {
        "PATH": f"{tmp_path}{os.pathsep}{os.defpath}",
        "DOCKER_CONFIG": str(tmp_path),
        "DOCKER_AUTH_CONFIG": variable if isinstance(variable, str) else json.dumps(variable),
    }
    assert any(host == "*" or host.startswith(PREFIX) for host in hosts(environment)) is is_login
    home = {"HOME": str(tmp_path / "home"), "PATH": environment["PATH"]}
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / ".docker").symlink_to(tmp_path)
    assert list(hosts(home)) == list(hosts({**environment, "DOCKER_AUTH_CONFIG": ""}))


def test_it_looks_at_no_credentials(tmp_path: Path) -> None:
    """A store is asked for names only."""
    program = tmp_path / "docker-credential-store"
    program.write_text(f'#!/bin/sh\necho "$1" >> {tmp_path}/asked\necho "{{}}"\n')
    program.chmod(0o755)
    (tmp_path / "config.json").write_text('{"credsStore": "store"}')
    environment = {"PATH": f"{tmp_path}{os.pathsep}{os.defpath}", "DOCKER_CONFIG": str(tmp_path)}
    assert list(hosts(environment)) == []
    assert (tmp_path / "asked").read_text() == "list\n"


def test_the_sentence_has_no_credentials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pulumi.runtime, "is_dry_run", lambda: False)
    with pytest.raises(pulumi.RunError) as refused:
        refuse_without_login(PREFIX, "train", {"DOCKER_AUTH_CONFIG": json.dumps(auths("ghcr.io")), "HOME": "/nowhere"})
    assert "QVdTOmE=" not in str(refused.value)
