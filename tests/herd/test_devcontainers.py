"""`herd image devcontainer`: an editor's container that is built as production's images are."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from herd.checkout import scaffold
from herd.checkout.find import Checkout
from herd.deploy.devcontainers import user_of
from tests.herd.command_line import invoke

ROOT = Path(__file__).resolve().parents[2]

KNOWN: dict[str, type] = {
    "name": str,
    "build": dict,
    "initializeCommand": list,
    "overrideCommand": bool,
    "init": bool,
    "remoteUser": str,
    "userEnvProbe": str,
    "remoteEnv": dict,
    "mounts": list,
    "customizations": dict,
}
"""Properties and their types, from https://github.com/devcontainers/spec (schemas/devContainer.base.schema.json)."""

PROBES = ("none", "loginShell", "loginInteractiveShell", "interactiveShell")
BUILD = {"dockerfile", "context", "target", "args", "cacheFrom", "options"}


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Checkout:
    root = tmp_path / "project"
    root.mkdir()
    (root / ".venv").symlink_to(sys.prefix)
    (root / "Pulumi.yaml").write_text("name: flights\n")
    shutil.copytree(ROOT / "images/python", root / "images/python")
    monkeypatch.setenv("HERD_CHECKOUT", str(root))
    return Checkout(root, tmp_path / "cache")


def written(checkout: Checkout, image: str = "python") -> Any:
    return json.loads((checkout.root / ".devcontainer" / image / "devcontainer.json").read_text())


def test_what_is_written_is_what_editors_read(checkout: Checkout) -> None:
    assert invoke("image", "devcontainer", "python").exit_code == 0
    made = written(checkout)
    assert {name: type(value) for name, value in made.items()} == {name: KNOWN[name] for name in made}
    assert set(made["build"]) <= BUILD and made["userEnvProbe"] in PROBES
    assert all(isinstance(value, str) for value in [*made["remoteEnv"].values(), *made["mounts"]])
    assert made["remoteUser"] == "task" and made["initializeCommand"][-2:] == ["python", "--stage"]


def test_it_is_built_from_the_images_own_dockerfile_and_lock(checkout: Checkout) -> None:
    invoke("image", "devcontainer", "python")
    build, at = written(checkout)["build"], checkout.root / ".devcontainer/python"
    context = (at / build["context"]).resolve()
    assert (at / build["dockerfile"]).resolve() == context / "Dockerfile"
    for name in ("Dockerfile", "requirements.lock"):
        assert (context / name).read_bytes() == (ROOT / "images/python" / name).read_bytes()
    assert (context / "runner/__main__.py").is_file() and (context / "runner/requirements.lock").is_file()
    assert list((context / "workload").iterdir()) == list((context / "lib").iterdir()) == []


def test_again_changes_nothing_and_staging_follows_the_image(checkout: Checkout) -> None:
    assert "+ .devcontainer/python/devcontainer.json" in invoke("image", "devcontainer", "python").output
    assert "is as it would be written" in invoke("image", "devcontainer", "python").output
    with (checkout.root / "images/python/Dockerfile").open("a") as file:
        file.write("# more\n")
    assert invoke("image", "devcontainer", "python", "--stage").exit_code == 0
    staged = checkout.root / ".herd/build/devcontainer/python/Dockerfile"
    assert staged.read_text().endswith("# more\n")


@pytest.mark.parametrize("text", ["{}", "// with comments\n{}", '{"customizations": {"herd": {"image": "r"}}}', "[]"])
def test_a_file_of_somebody_elses_stays(checkout: Checkout, text: str) -> None:
    file = checkout.root / ".devcontainer/python/devcontainer.json"
    file.parent.mkdir(parents=True)
    file.write_text(text)
    result = invoke("image", "devcontainer", "python")
    assert result.exit_code == 2 and "Herd did not write it" in " ".join(result.output.split())
    assert file.read_text() == text


def test_nothing_is_written_through_a_link(checkout: Checkout, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (checkout.root / ".devcontainer").symlink_to(tmp_path / "elsewhere")
    assert invoke("image", "devcontainer", "python").exit_code == 2
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_an_r_image(checkout: Checkout) -> None:
    (checkout.root / "defaults.toml").write_text('owner = "data@example.com"\nreview_by = 2099-06-30\n')
    scaffold.create(checkout, "job", "totals", "r")
    assert invoke("image", "devcontainer", "r").exit_code == 0
    made = written(checkout, "r")
    assert made["remoteUser"] == "task" and "PYTHONPATH" not in made["remoteEnv"]
    assert made["customizations"]["vscode"]["extensions"] == ["REditorSupport.r"]


def test_an_image_that_is_not_there(checkout: Checkout) -> None:
    result = invoke("image", "devcontainer", "pyton")
    assert result.exit_code == 2 and "did you mean 'python'" in " ".join(result.output.split())


@pytest.mark.parametrize(
    ("dockerfile", "user"),
    [
        ("FROM a\nRUN useradd --uid 10001 --shell /x task\nUSER 10001:10001\n", "task"),
        ("FROM a\nRUN apt-get x \\\n && useradd -u 7 \\\n  -m ann \\\n && echo\nUSER 7\n", "ann"),
        ("FROM a\nUSER ann\n", "ann"),
        ("FROM a\nUSER ann\nFROM b\n", None),
        ("FROM a\nUSER 10001\n", None),
        ("FROM a\nuser root\n", None),
    ],
)
def test_the_user_of_an_image(dockerfile: str, user: str | None) -> None:
    assert user_of(dockerfile) == user
