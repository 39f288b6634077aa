"""A review from files alone: against a commit and against a folder, with no cloud, no account and no credential."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from herd.checkout.find import Checkout
from herd.errors import WrongInput
from herd.review.between_files import MASKED, _in_events, tree_of
from herd.review.iam_changes import UNKNOWN
from herd.review.replacing import REPLACING, forcing
from localcloud.plugins.resource import REGISTRY
from localcloud.plugins.schema import Fields
from localcloud.plugins.types import load_types
from tests.herd.review import recorded


def git(folder: Path, *arguments: str) -> None:
    known = ("-c", "user.name=ada", "-c", "user.email=ada@example.com", "-c", "commit.gpgsign=false")
    subprocess.run(["git", *known, *arguments], cwd=folder, check=True, capture_output=True)


@pytest.fixture(scope="module")
def team(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository whose project lies one folder deep, with a change that is not committed."""
    repository = tmp_path_factory.mktemp("repository")
    made = recorded.tree(recorded.BASE, repository)
    root = made.root.rename(repository / "project")
    (root / ".gitignore").write_text(".herd/\n.venv\n")
    (root / ".venv").symlink_to(recorded.ROOT / ".venv")
    git(repository, "init", "-q", "-b", "main")
    git(repository, "add", ".")
    git(repository, "commit", "-q", "-m", "what is deployed")
    settings = root / "jobs/train/workload.toml"
    settings.write_text(settings.read_text().replace("min = 0.60", "min = 0.50"))
    return root


def preview(team: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    unable = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "PULUMI_"))}
    variables = {
        **unable,
        "HERD_CHECKOUT": str(team),
        "HERD_NOW": recorded.NOW,
        "PYTHONPATH": str(recorded.ROOT / "src"),
        "HTTPS_PROXY": "http://127.0.0.1:9",
    }
    command = [str(recorded.ROOT / ".venv/bin/python"), "-m", "herd", "preview", *arguments]
    return subprocess.run(command, cwd=team, env=variables, capture_output=True, text=True)


def test_a_review_against_a_commit_needs_no_account(team: Path, tmp_path: Path) -> None:
    whole = tmp_path / "whole"
    options = ("--against", "main", "--stack", "prod", "--format", "markdown", "--detailed", "--whole", str(whole))
    done = preview(team, *options)
    assert done.returncode == 11, done.stderr
    assert "Worked out from the files of `main` and those of this change." in done.stdout
    assert "  - `check auc: min 0.6 → 0.5`\n" in done.stdout
    review = json.loads((whole / "review.json").read_text())
    assert (review["against"], review["dangers"][0]["change"]) == ("main", "job train: check auc: min 0.6 → 0.5")
    assert (whole / "review.md").read_text() == done.stdout
    page = (whole / "review.html").read_text()
    assert "<script" not in page and "http://" not in page and "https://" not in page
    assert not (team / ".herd/cloud").exists() and not (team / ".herd/pulumi").exists()


def test_against_a_folder_that_says_the_same_nothing_changes(team: Path) -> None:
    done = preview(team, "--against", str(team), "--stack", "prod", "--detailed")
    assert (done.returncode, done.stdout) == (0, "nothing changed\n"), done.stderr


@pytest.mark.parametrize(
    ("against", "why"),
    [
        ("no-such-branch", "is neither a folder nor a commit of this repository"),
        ("--upload-pack=touch x", "is neither a folder nor a commit"),
        ("", "is neither a folder nor a commit"),
        ("main^{tree}", "is neither a folder nor a commit"),
        (".git/..", "has no Pulumi.yaml and defaults.toml"),
    ],
)
def test_what_it_cannot_be_compared_with(team: Path, against: str, why: str) -> None:
    other = str(team.parent) if against == ".git/.." else against
    with pytest.raises(WrongInput, match=why), tree_of(Checkout(team, team), other):
        raise AssertionError("it has files")


def test_the_files_of_a_commit_leave_the_checkout_as_it_is(team: Path) -> None:
    before = (team.parent / ".git/index").read_bytes()
    with tree_of(Checkout(team, team), "main") as other:
        assert "min = 0.60" in (other.root / "jobs/train/workload.toml").read_text()
        assert other.root.parent.parent != team
    assert not other.root.exists()
    assert (team.parent / ".git/index").read_bytes() == before


@pytest.mark.parametrize(
    ("wire", "shown"),
    [
        (3.0, 3),
        (0.5, 0.5),
        ({"4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270", "value": "canary"}, MASKED),
        ({"4dabf18193072939515e22adb298388d": "d0e6a833031e9bbcd3f4e8bde6ca49a4"}, UNKNOWN),
        (
            {"4dabf18193072939515e22adb298388d": "d0e6a833031e9bbcd3f4e8bde6ca49a4", "value": "x", "secret": True},
            MASKED,
        ),
        ({"a": [{"b": 1.0}]}, {"a": [{"b": 1}]}),
    ],
)
def test_values_are_as_the_engine_would_say_them(wire: object, shown: object) -> None:
    assert _in_events(wire) == shown


def test_what_makes_a_resource_anew_is_what_the_local_cloud_says() -> None:
    load_types()
    expected = {token: frozenset(_replacing(kind.fields)) for token, kind in REGISTRY.items()}
    assert {token: paths for token, paths in expected.items() if paths} == dict(REPLACING)


def _replacing(fields: Fields, below: str = "") -> Iterator[str]:
    for name, field in fields.items():
        if field.output or name == "region":
            continue
        if field.replaces:
            yield below + name
        elif field.kind == "object":
            yield from _replacing(field.fields, f"{below}{name}.")


def test_a_property_of_an_object_that_makes_it_anew() -> None:
    old = {"autoScalingGroupProvider": {"autoScalingGroupArn": "a", "managedScaling": {"status": "ENABLED"}}}
    scaled = {"autoScalingGroupProvider": {"autoScalingGroupArn": "a", "managedScaling": {"status": "DISABLED"}}}
    other = {"autoScalingGroupProvider": {"autoScalingGroupArn": "b"}}
    provider = "aws:ecs/capacityProvider:CapacityProvider"
    assert forcing(provider, old, scaled) == []
    assert forcing(provider, old, other) == ["autoScalingGroupProvider"]
