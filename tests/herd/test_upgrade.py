"""`herd upgrade`: what a release changes is merged into what a team has changed; a conflict leaves all as it was."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from herd.checkout import init, project_files, releases, upgrade
from herd.errors import HerdError, WrongInput
from herd.version import VERSION

LATER = "0.1.1"
TEMPLATES = "herd/checkout/project"


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheels")
    releases.of_this_herd(folder)
    return folder


@pytest.fixture
def project(tmp_path: Path, wheels: Path) -> Path:
    root = tmp_path / "project"
    root.mkdir()
    init.write(init.plan(root, "flights", None, wheels))
    return root


def later(wheels: Path, folder: Path, changes: Mapping[str, tuple[str, str] | None]) -> Path:
    """Both wheels of a later release: files of it with a text replaced (None: without the file)."""
    folder.mkdir()
    changes = {"herd/version.py": (f'"{VERSION}"', f'"{LATER}"'), **changes}
    for path in wheels.glob("*.whl"):
        with (
            zipfile.ZipFile(path) as old,
            zipfile.ZipFile(folder / path.name.replace(f"-{VERSION}-", f"-{LATER}-"), "w") as new,
        ):
            for name in old.namelist():
                content, change = old.read(name), changes.get(name, ("", ""))
                if change is not None:
                    assert change[0].encode() in content
                    new.writestr(name, content.replace(*(part.encode() for part in change)) if change[0] else content)
    return folder


def tree(root: Path) -> dict[str, bytes]:
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def take(root: Path, wheels: Path, monkeypatch: pytest.MonkeyPatch, *keep: str) -> upgrade.Plan:
    """Without installing."""
    monkeypatch.setattr(upgrade, "_install", lambda root: None)
    planned = upgrade.plan(root, wheels, keep)
    upgrade.apply(root, planned)
    return planned


def test_what_nobody_touched_becomes_the_releases(
    project: Path, wheels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    new = later(wheels, tmp_path / "new", {f"{TEMPLATES}/Makefile.txt": ("remove all of it", "remove everything")})
    planned = take(project, new, monkeypatch)
    assert (planned.release, planned.conflicts) == (LATER, {})
    assert "remove everything" in (project / "Makefile").read_text()
    assert {path.name for path in (project / "wheels").iterdir()} == {path.name for path in new.iterdir()}
    assert json.loads((project / ".herd-project.json").read_text())["release"] == LATER
    entries = dict(project_files.entries_of((project / "herd.lock").read_text()))
    assert entries["herd-environments"].startswith(f"herd-environments=={LATER} ")
    assert f"herd-environments=={LATER}" in (project / "pyproject.toml").read_text()


def test_the_teams_changes_stay(project: Path, wheels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    new = later(wheels, tmp_path / "new", {f"{TEMPLATES}/Makefile.txt": ("remove all of it", "remove everything")})
    own = "\nlint: tools\n\t@.venv/bin/ruff check .\n"
    for path, more in (("Makefile", own), ("herd.lock", "zzz==1 \\\n    --hash=sha256:00\n"), ("README.md", "Ours.\n")):
        (project / path).write_text((project / path).read_text() + more)
    (project / "reports/overview/main.py").unlink()
    (project / "extra.txt").write_text("ours")
    take(project, new, monkeypatch)
    makefile = (project / "Makefile").read_text()
    assert "remove everything" in makefile and own in makefile
    entries = dict(project_files.entries_of((project / "herd.lock").read_text()))
    assert "zzz" in entries and f"=={LATER} " in entries["herd-localcloud"]
    assert (project / "README.md").read_text().endswith("Ours.\n")
    assert not (project / "reports/overview/main.py").exists(), "what was removed comes back"


def test_a_conflict_leaves_both_versions_and_the_old_lock(
    project: Path, wheels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    new = later(wheels, tmp_path / "new", {f"{TEMPLATES}/Makefile.txt": ("remove all of it", "remove everything")})
    makefile = project / "Makefile"
    makefile.write_text(makefile.read_text().replace("remove all of it", "take it down"))
    before = tree(project)
    planned = upgrade.plan(project, new)
    assert list(planned.conflicts) == ["Makefile"]
    assert upgrade.put_beside(project, planned) == [f"Makefile.of-{LATER}"]
    after = tree(project)
    assert "remove everything" in after.pop(f"Makefile.of-{LATER}").decode()
    assert after == before

    planned = take(project, new, monkeypatch, "Makefile")
    assert "take it down" in makefile.read_text() and f"=={LATER} " in (project / "herd.lock").read_text()


def test_the_command_says_where_a_conflict_is(
    project: Path, wheels: Path, tmp_path: Path, cli: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    new = later(wheels, tmp_path / "new", {f"{TEMPLATES}/defaults.toml.txt": ('"UTC" ', '"Europe/Berlin"')})
    defaults = project / "defaults.toml"
    defaults.write_text(defaults.read_text().replace('"UTC" ', '"Europe/Rome"'))
    lock = (project / "herd.lock").read_bytes()
    monkeypatch.setenv("HERD_CHECKOUT", str(project))
    result = cli("upgrade", "--to", str(new))
    assert result.exit_code == 1 and f"defaults.toml.of-{LATER}" in result.stderr
    assert (project / "herd.lock").read_bytes() == lock


def test_a_lock_that_cannot_be_installed_leaves_everything_as_it_was(
    project: Path, wheels: Path, tmp_path: Path
) -> None:
    new = later(wheels, tmp_path / "new", {})
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(project / ".venv")], check=True)
    before = tree(project)
    with pytest.raises(HerdError, match="everything is as it was"):
        upgrade.apply(project, upgrade.plan(project, new))
    assert tree(project) == before


def test_the_same_release_again_is_nothing_to_take(project: Path, wheels: Path) -> None:
    assert upgrade.plan(project, wheels).files == {}


def test_what_was_somebody_elses_is_never_merged(tmp_path: Path, wheels: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tmp_path / "theirs"
    root.mkdir()
    for path in ("Makefile", "README.md"):
        (root / path).write_text("theirs\n")
    init.write(init.plan(root, "sales", None, wheels))
    changes = {
        f"{TEMPLATES}/README.md.txt": ("removes all of it", "removes everything"),
        f"{TEMPLATES}/Makefile.txt": ("remove all of it", "remove everything"),
    }
    take(root, later(wheels, tmp_path / "new", changes), monkeypatch)
    assert (root / "README.md").read_text() == (root / "Makefile").read_text() == "theirs\n"
    assert "remove everything" in (root / "herd.mk").read_text()


def test_a_folder_that_init_did_not_begin_is_refused(tmp_path: Path, wheels: Path) -> None:
    with pytest.raises(WrongInput, match="was not begun by"):
        upgrade.plan(tmp_path, wheels)


def test_files_of_another_release_than_the_one_that_runs_are_refused(
    project: Path, wheels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    new = later(wheels, tmp_path / "new", {})
    take(project, new, monkeypatch)
    with pytest.raises(WrongInput, match="make tools"):
        upgrade.plan(project, wheels)


def test_notes_are_those_of_later_releases_the_oldest_first() -> None:
    notes = {
        "release": [
            {"version": "0.10.0", "replaced": ["every service"]},
            {"version": "0.2.0", "settings": ["`x` is now `y`"], "images": ["all"]},
            {"version": "0.1.0", "other": ["the first"]},
        ]
    }
    assert upgrade.notes_since(notes, "0.1.0") == [
        "0.2.0: settings: `x` is now `y`",
        "0.2.0: images rebuilt: all",
        "0.10.0: resources replaced: every service",
    ]


def test_notes_come_from_the_release_that_is_taken(project: Path, wheels: Path, tmp_path: Path) -> None:
    entry = f'[[release]]\nversion = "{LATER}"\nreplaced = ["the load balancers"]\n\n[[release]]\n'
    new = later(wheels, tmp_path / "new", {"herd/release_notes.toml": ("[[release]]\n", entry)})
    assert upgrade.plan(project, new).notes == [f"{LATER}: resources replaced: the load balancers"]


def test_this_release_has_notes() -> None:
    import tomllib

    from herd import PACKAGE

    notes = tomllib.loads((PACKAGE / upgrade.NOTES).read_text())
    assert notes["release"][0]["version"] == VERSION
    assert all(entry.keys() <= {"version", *upgrade.KINDS} for entry in notes["release"])
