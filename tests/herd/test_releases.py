"""Where releases come from: which one a name means, which is the newest, what is refused; and the wheels of each."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import pytest

from harness.wheels import LATER, TEMPLATES, later
from herd import PACKAGE
from herd.checkout import init, releases, sources, upgrade
from herd.checkout.sources import Release
from herd.errors import HerdError, WrongInput
from herd.version import VERSION

ROOT = Path(__file__).parents[2]


def tree(root: Path) -> dict[str, bytes]:
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def git(folder: Path, *arguments: str) -> None:
    command = ["git", "-C", str(folder), "-c", "user.name=x", "-c", "user.email=x@example.com", *arguments]
    subprocess.run(command, check=True, capture_output=True)


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Herd's own, with a tag for each of some releases; only v9.8.7 has files to build."""
    source = tmp_path_factory.mktemp("repository") / "herd"
    source.mkdir()
    git(source, "init", "-q")
    for tag in ("v0.1.0", "v0.9.0", "v0.10.0", "v1.0.0rc1", "nightly"):
        git(source, "commit", "-q", "--allow-empty", "-m", tag)
        git(source, "tag", tag)
    shutil.copytree(ROOT / "src", source / "src", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("infra", "images", ".github"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("requirements.lock", "requirements-dev.lock"):
        shutil.copy(ROOT / name, source)
    for package in ("herd", "localcloud"):
        path = source / "src" / package / "version.py"
        path.write_text(path.read_text().replace(f'"{VERSION}"', '"9.8.7"'))
    git(source, "add", ".")
    git(source, "commit", "-qm", "x")
    for tag in ("v9.8.7", "v9.9.9"):
        git(source, "tag", tag)
    return source


# --- which one is meant -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "tag"),
    [
        pytest.param(None, "v9.9.9", id="none: the newest"),
        pytest.param("v0.9.0", "v0.9.0", id="a bare tag"),
        pytest.param("0.9.0", "v0.9.0", id="a number"),
        pytest.param("{}", "", id="a checkout: what it holds"),
        pytest.param("{}@nightly", "nightly", id="repository and tag"),
        pytest.param("{}/.git", "v9.9.9", id="a repository: its newest"),
        pytest.param("file://{}", "v9.9.9", id="an address: its newest"),
        pytest.param("file://{}@v0.10.0", "v0.10.0", id="an address and a tag"),
    ],
)
def test_which_release_of_a_repository_is_meant(repository: Path, text: str | None, tag: str) -> None:
    release = sources.resolve(None if text is None else text.format(repository), str(repository))
    assert release.tag == tag
    assert repository.name in release.source


@pytest.mark.parametrize(
    "address", ["git@example.com:acme/herd.git", "https://ada@example.com/herd", "ssh://git@example.com/herd"]
)
def test_the_user_of_an_address_is_no_repository(address: str) -> None:
    assert sources._divide(address) == ("", "")
    assert sources._divide(f"{address}@v0.2.0") == (address, "v0.2.0")


def test_which_release_of_a_folder_of_wheels_is_meant(tmp_path: Path, wheels: Path) -> None:
    folder = tmp_path / "releases"
    shutil.copytree(wheels, folder)
    for version in ("0.9.0", "0.10.0"):
        for path in later(wheels, tmp_path / version, version=version).iterdir():
            shutil.copy(path, folder)
    next(folder.glob("herd_environments-0.10.0*")).rename(folder / "herd_environments-0.11.0-py3-none-any.whl")
    assert sources.resolve(None, str(folder)) == Release(str(folder), version="0.9.0"), "of others one wheel is missing"
    assert sources.resolve(VERSION, str(folder)) == Release(str(folder), version=VERSION)
    made = tmp_path / "made"
    made.mkdir()
    releases.of(sources.resolve(str(next(folder.glob("herd_localcloud-0.9.0*"))), ""), made)
    assert {path.name.split("-")[1] for path in made.iterdir()} == {"0.9.0"}


@pytest.mark.parametrize(
    ("text", "known", "words"),
    [
        pytest.param("nothing", "", "cannot be a release of Herd", id="nothing there"),
        pytest.param("", "", "cannot be a release of Herd", id="empty"),
        pytest.param("@v1", "", "cannot be a release of Herd", id="a tag of nothing"),
        pytest.param("v0.2.0", "", "cannot be a release of Herd", id="a tag, and no source is known"),
        pytest.param(None, "", "name one with --to", id="none, and no source is known"),
        pytest.param(None, "/nowhere/herd", "is not on this machine; name another with --to", id="the source is gone"),
        pytest.param(
            "v3.0.0", "{}", "no release v3.0.0; there are: 9.9.9, 9.8.7, 0.10.0, 0.9.0, 0.1.0", id="no such tag"
        ),
        pytest.param("{}@v3.0.0", "", "there are: 9.9.9", id="no such tag of a repository"),
        pytest.param("{}@v0.9.0", "", "holds no Herd", id="a tag without Herd"),
        pytest.param("/nowhere/herd@v1", "", "Git could not fetch that tag", id="no such repository"),
        pytest.param("--upload-pack=x@v1", "", "Git could not fetch that tag", id="an option"),
        pytest.param("ext::sh -c id@v1", "", "not allowed", id="an address that is a command"),
    ],
)
def test_what_is_no_release_is_refused(
    repository: Path, tmp_path: Path, text: str | None, known: str, words: str
) -> None:
    with pytest.raises(HerdError, match=words):
        release = sources.resolve(text and text.format(repository), known.format(repository))
        releases.of(release, tmp_path)


def test_a_release_by_a_tag_is_built_from_it(repository: Path, tmp_path: Path) -> None:
    releases.of(sources.resolve("9.8.7", str(repository)), tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "herd_environments-9.8.7-py3-none-any.whl",
        "herd_localcloud-9.8.7-py3-none-any.whl",
    ]
    with pytest.raises(WrongInput, match="the tag holds release 9.8.7"):
        releases._refuse_another(Release(str(repository), "v9.9.9"), tmp_path)


# --- what a project notes ---------------------------------------------------------------------------------------------


def test_a_project_notes_a_folder_by_its_way_and_an_address_without_its_password(tmp_path: Path) -> None:
    root = tmp_path / "team/project"
    noted = sources.noted(str(tmp_path / "team/herd"), root)
    assert noted == "../herd"
    assert sources.read(noted, root) == str(tmp_path / "team/herd")
    for address, kept in {
        "https://ada:secret@example.com:8443/herd": "https://example.com:8443/herd",
        "ssh://git@example.com/herd": "ssh://git@example.com/herd",
        "git@example.com:herd": "git@example.com:herd",
    }.items():
        assert sources.noted(address, root) == sources.read(kept, root) == kept


@pytest.fixture
def project(tmp_path: Path, wheels: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = tmp_path / "project"
    root.mkdir()
    shutil.copytree(wheels, tmp_path / "releases")
    monkeypatch.setattr(sources, "of_this_herd", lambda root: "../releases")
    init.write(init.plan(root, "flights", None, wheels))
    monkeypatch.setenv("HERD_CHECKOUT", str(root))
    return root


def test_without_a_name_the_newest_is_taken_and_said(
    project: Path, tmp_path: Path, wheels: Path, cli: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HERD_CHECKOUT", str(project))
    said = cli("upgrade").stdout
    assert said == f"{VERSION} is the newest release of {tmp_path / 'releases'}; this project is on {VERSION}\n"
    for path in later(
        wheels, tmp_path / "new", {f"{TEMPLATES}/Makefile.txt": ("remove all", "remove it all")}
    ).iterdir():
        shutil.copy(path, tmp_path / "releases")
    makefile = project / "Makefile"
    makefile.write_text(makefile.read_text().replace("remove all of it", "ours"))
    result = cli("upgrade")
    assert f"the newest release: {tmp_path / 'releases'} {LATER}" in result.stderr
    assert re.search(rf"Makefile, line \d+: Makefile.of-{LATER}", result.stderr)
    assert "--keep Makefile" in result.stderr


def test_the_source_that_is_named_is_the_next_ones(project: Path, tmp_path: Path, wheels: Path) -> None:
    new = later(wheels, tmp_path / "elsewhere")
    planned = upgrade.plan(project, new, sources.noted(str(new), project))
    assert b'"source": "../elsewhere"' in planned.files[".herd-project.json"]


# --- one number -------------------------------------------------------------------------------------------------------


def test_a_release_has_one_number_notes_and_a_changelog() -> None:
    """Packages and command line: test_packaging.py."""
    notes = tomllib.loads((PACKAGE / upgrade.NOTES).read_text())["release"]
    assert notes[0]["version"] == VERSION
    assert all(entry.keys() <= {"version", *upgrade.KINDS} for entry in notes)
    numbers = [entry["version"] for entry in notes]
    assert numbers == sorted(numbers, key=sources.order, reverse=True), "the newest first"
    assert all(sources.RELEASE_TAG.fullmatch(f"v{number}") for number in numbers)
    headings = re.findall(r"(?m)^## (.+)$", (ROOT / "CHANGELOG.md").read_text())
    assert [re.sub(r"[^\d.]", "", heading.partition(" (2")[0]) for heading in headings] == numbers
    assert all(re.fullmatch(r"[\d.]+ \(\d{4}-\d\d-\d\d\)", heading) for heading in headings[1:])
    listed = subprocess.run(["git", "-C", str(ROOT), "tag", "--points-at", "HEAD"], capture_output=True, text=True)
    if tags := [tag for tag in listed.stdout.split() if sources.RELEASE_TAG.fullmatch(tag)]:
        assert tags == [f"v{VERSION}"] and not headings[0].startswith("Unreleased")
    else:
        assert headings[0] == f"Unreleased ({VERSION})" or headings[0].startswith(f"{VERSION} (2")


def test_wheels_put_together_from_what_is_installed_hold_the_same_files(tmp_path: Path, wheels: Path) -> None:
    site = tmp_path / "site"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", str(site)]
    subprocess.run([*pip, *map(str, wheels.glob("*.whl"))], check=True)
    made = tmp_path / "made"
    made.mkdir()
    program = (
        "import sys, pathlib, importlib.metadata as m\n"
        "from herd.checkout import releases, sources\n"
        "for name in sources.DISTRIBUTIONS:\n"
        "    releases._put_together(m.distribution(name), pathlib.Path(sys.argv[1]))\n"
    )
    variables = {**os.environ, "PYTHONPATH": str(site)}
    subprocess.run([sys.executable, "-P", "-c", program, str(made)], check=True, env=variables, cwd=tmp_path)
    for path in wheels.glob("*.whl"):
        with zipfile.ZipFile(path) as built, zipfile.ZipFile(made / path.name) as again:
            names = [name for name in built.namelist() if not name.endswith("RECORD")]
            assert {name: built.read(name) for name in names} == {
                name: again.read(name) for name in again.namelist() if not name.endswith("RECORD")
            }
            host = "herd/language_host/pulumi-language-python"
            if host in names:
                assert again.getinfo(host).external_attr >> 16 & 0o111

    (site / "herd/testing.py").write_text("# changed\n")
    refused = subprocess.run(
        [sys.executable, "-P", "-c", program, str(made)], capture_output=True, text=True, env=variables, cwd=tmp_path
    )
    assert "is not as it was installed" in refused.stderr
