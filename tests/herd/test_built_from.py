"""The commit of an image: which one `herd up` writes down, and where files differ from it."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from herd.deploy.built_from import of_contents
from herd.infra.spec.load import AnySpec, load_specs
from herd.runner.contract.documents import BuiltFrom

FILES = {
    "defaults.toml": 'owner = "a@example.com"\nreview_by = 2030-01-01\n',
    "images/python/Dockerfile": "FROM scratch\n",
    "images/python/requirements.lock": "",
    "lib/features/__init__.py": "",
    "lib/others/__init__.py": "",
    "jobs/load/workload.toml": 'uses = ["features"]\n',
    "jobs/load/main.py": "print(1)\n",
    "jobs/load/data.csv": "",
    "jobs/tidy/workload.toml": "",
    "jobs/tidy/main.py": "print(1)\n",
}


def git(folder: Path, *arguments: str) -> str:
    command = ["git", "-C", str(folder), "-c", "user.name=a", "-c", "user.email=a@example.com", *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def write(root: Path, files: dict[str, str]) -> None:
    for path, text in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)


@pytest.fixture(params=[".", "team/a folder"], ids=["the repository", "a folder of it"])
def project(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A project whose files are committed."""
    root = tmp_path / str(request.param)
    write(root, FILES)
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", "-A")
    git(tmp_path, "commit", "-qm", "all")
    return root


def built(root: Path) -> dict[str, BuiltFrom]:
    specs: dict[str, AnySpec] = dict(load_specs(root, "dev").workloads)
    return of_contents(root, specs, {"load": "aaa", "tidy": "bbb"})


def changed(root: Path) -> list[str]:
    return [content for content, source in built(root).items() if source.changed]


def test_what_is_committed_is_of_its_commit(project: Path) -> None:
    assert built(project) == dict.fromkeys(("aaa", "bbb"), BuiltFrom(git(project, "rev-parse", "HEAD"), changed=False))


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        pytest.param(lambda root: write(root, {"jobs/load/main.py": "print(2)\n"}), ["aaa"], id="its code"),
        pytest.param(lambda root: write(root, {"jobs/load/new ü.py": ""}), ["aaa"], id="a new file"),
        pytest.param(lambda root: (root / "jobs/load/data.csv").unlink(), ["aaa"], id="a file that is gone"),
        pytest.param(lambda root: write(root, {"lib/features/x.py": ""}), ["aaa"], id="what it uses"),
        pytest.param(lambda root: write(root, {"lib/others/x.py": ""}), [], id="what nobody uses"),
        pytest.param(
            lambda root: write(root, {"images/python/Dockerfile": "FROM x\n"}), ["aaa", "bbb"], id="its image"
        ),
        pytest.param(lambda root: write(root, {"jobs/load/workload.toml": "retries = 1\n"}), [], id="its settings"),
        pytest.param(lambda root: write(root, {"README.md": "x"}), [], id="another file"),
    ],
)
def test_a_difference_counts_where_it_goes_into_the_image(
    project: Path, change: Callable[[Path], object], expected: list[str]
) -> None:
    change(project)
    assert changed(project) == expected


def test_without_a_commit_nothing_is_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    write(tmp_path / "p", FILES)
    assert built(tmp_path / "p") == {}
    git(tmp_path / "p", "init", "-q")
    assert built(tmp_path / "p") == {}
    monkeypatch.setenv("PATH", "/nonexistent")
    assert built(tmp_path / "p") == {}
