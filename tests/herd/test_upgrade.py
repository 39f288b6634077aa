"""`herd upgrade`: what a release changes is merged into what a team has changed; a conflict leaves all as it was."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from harness.wheels import LATER, TEMPLATES, later
from herd.checkout import apply, init, merge, project_files, upgrade
from herd.checkout.merge import Conflict
from herd.errors import HerdError, WrongInput
from herd.version import VERSION

ROOT = Path(__file__).parents[2]
REMOVE = {f"{TEMPLATES}/Makefile.txt": ("remove all of it", "remove everything")}


@pytest.fixture
def project(tmp_path: Path, wheels: Path) -> Path:
    root = tmp_path / "project"
    root.mkdir()
    init.write(init.plan(root, "flights", None, wheels))
    return root


def tree(root: Path) -> dict[str, bytes]:
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def take(root: Path, wheels: Path, monkeypatch: pytest.MonkeyPatch, *keep: str) -> upgrade.Plan:
    """Without installing."""
    monkeypatch.setattr(apply, "_install", lambda root: None)
    planned = upgrade.plan(root, wheels, keep=keep)
    apply.apply(root, planned.release, planned.files, planned.removed)
    return planned


def test_what_nobody_touched_becomes_the_releases(
    project: Path, wheels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    new = later(wheels, tmp_path / "new", REMOVE)
    planned = take(project, new, monkeypatch)
    assert (planned.release, planned.conflicts) == (LATER, {})
    assert "remove everything" in (project / "Makefile").read_text()
    assert {path.name for path in (project / "wheels").iterdir()} == {path.name for path in new.iterdir()}
    assert json.loads((project / ".herd-project.json").read_text())["release"] == LATER
    entries = dict(project_files.entries_of((project / "herd.lock").read_text()))
    assert entries["herd-environments"].startswith(f"herd-environments=={LATER} ")
    assert f"herd-environments=={LATER}" in (project / "pyproject.toml").read_text()


def test_the_teams_changes_stay(project: Path, wheels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    new = later(wheels, tmp_path / "new", REMOVE)
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
    new = later(wheels, tmp_path / "new", REMOVE)
    makefile = project / "Makefile"
    makefile.write_text(makefile.read_text().replace("remove all of it", "take it down"))
    before = tree(project)
    planned = upgrade.plan(project, new)
    number = makefile.read_text().splitlines().index("down: tools  ## take it down") + 1
    assert {path: str(where) for path, where in planned.conflicts.items()} == {"Makefile": f"line {number}"}
    assert upgrade.put_beside(project, planned) == {"Makefile": f"Makefile.of-{LATER}"}
    after = tree(project)
    assert "remove everything" in after.pop(f"Makefile.of-{LATER}").decode()
    assert after == before

    upgrade.put_beside(project, planned)
    take(project, new, monkeypatch, "Makefile")
    assert not (project / f"Makefile.of-{LATER}").exists(), "it has done its work"
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
    planned = upgrade.plan(project, later(wheels, tmp_path / "new"))
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(project / ".venv")], check=True)
    before = tree(project)
    with pytest.raises(HerdError, match="everything is as it was"):
        apply.apply(project, planned.release, planned.files, planned.removed)
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


def test_what_to_compare_with_comes_from_the_projects_own_wheels(
    project: Path, wheels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whichever Herd runs: this one is of another release than the project, and then the newer one is taken back."""
    take(project, later(wheels, tmp_path / "new", REMOVE), monkeypatch)
    makefile = project / "Makefile"
    makefile.write_text(makefile.read_text() + "ours:\n")
    planned = take(project, wheels, monkeypatch)
    assert planned.notes == [f"{VERSION} is older than {LATER}"]
    assert "remove all of it" in makefile.read_text() and makefile.read_text().endswith("ours:\n")


def test_without_the_wheels_of_its_release_nothing_is_compared(project: Path, wheels: Path, tmp_path: Path) -> None:
    new = later(wheels, tmp_path / "new")
    next((project / "wheels").glob("herd_localcloud-*.whl")).unlink()
    with pytest.raises(WrongInput, match="put them back from Git"):
        upgrade.plan(project, new)


def test_wheels_of_the_teams_own_stay(
    project: Path, wheels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = project / "wheels/ourlib-1.0-py3-none-any.whl"
    own.write_bytes(b"ours")
    entry = "ourlib==1.0 \\\n    --hash=sha256:00\n"
    (project / "herd.lock").write_text((project / "herd.lock").read_text() + entry)
    take(project, later(wheels, tmp_path / "new"), monkeypatch)
    assert own.read_bytes() == b"ours" and entry in (project / "herd.lock").read_text()


def test_a_later_build_of_the_same_number_is_another_release(
    project: Path, wheels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    new = later(wheels, tmp_path / "new", REMOVE, VERSION)
    old = (project / "herd.lock").read_text()
    take(project, new, monkeypatch)
    assert "remove everything" in (project / "Makefile").read_text()
    same = apply._built_anew(old.encode(), (project / "herd.lock").read_bytes())
    assert [line.split(" ")[0] for line in same.splitlines() if "==" in line] == [
        f"herd-environments=={VERSION}",
        f"herd-localcloud=={VERSION}",
    ], "to pip both are installed already"
    assert tree(project / "wheels") == tree(new)


def test_a_lock_that_was_removed_comes_back(
    project: Path, wheels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project / "herd.lock").unlink()
    take(project, later(wheels, tmp_path / "new"), monkeypatch)
    assert f"=={LATER} " in (project / "herd.lock").read_text()


def test_a_file_that_is_a_link_now_stays_one(
    project: Path, wheels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    for name in ("Makefile", "reports"):
        (project / name).rename(elsewhere / name)
        (project / name).symlink_to(elsewhere / name)
    before = tree(elsewhere)
    changes = {**REMOVE, f"{TEMPLATES}/reports/overview/main.py.txt": ("<table>", "<table class=wide>")}
    planned = take(project, later(wheels, tmp_path / "new", changes), monkeypatch)
    assert tree(elsewhere) == before
    assert [line.split(":")[0] for line in planned.notes] == ["Makefile", "reports/overview/main.py"]


def test_a_file_keeps_its_permissions(
    project: Path, wheels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project / "Makefile").chmod(0o755)
    take(project, later(wheels, tmp_path / "new", REMOVE), monkeypatch)
    assert (project / "Makefile").stat().st_mode & 0o777 == 0o755


def test_a_lock_that_is_kept_must_name_the_new_wheels(project: Path, wheels: Path, tmp_path: Path) -> None:
    with pytest.raises(WrongInput, match="bring over the lines of herd-environments and herd-localcloud"):
        upgrade.plan(project, later(wheels, tmp_path / "new"), keep=["herd.lock"])


LOCKED = "{0}=={1} \\\n    --hash=sha256:00\n"


@pytest.mark.parametrize(
    ("base", "ours", "theirs", "merged"),
    [
        pytest.param("a1 b1", "a1 b1 c1", "a2 b1", "a2 b1 c1", id="ours is added, theirs is newer"),
        pytest.param("a1 b1", "a1", "a1 b1 c1", "a1 c1", id="ours is removed"),
        pytest.param("a1 b1", "a1 b1", "a1", "a1", id="theirs is removed"),
        pytest.param("n1 n2", "n1 n2 z1", "n1 n3", "n1 n3 z1", id="one package in two versions, for two Pythons"),
        pytest.param("a1", "a3", "a2", Conflict(("a",)), id="both changed one"),
    ],
)
def test_lock_files_are_merged_by_package(base: str, ours: str, theirs: str, merged: str | Conflict) -> None:
    def lock(text: str) -> bytes:
        return "".join(LOCKED.format(word[0], word[1]) for word in text.split()).encode()

    expected = merged if isinstance(merged, Conflict) else lock(merged)
    assert merge.merge("x.lock", lock(base), lock(ours), lock(theirs)) == expected


@pytest.mark.parametrize(
    ("ours", "theirs", "where"),
    [
        pytest.param("aBcdefghi", "a2cdefghi", "line 2", id="one line"),
        pytest.param("xaBCdefghi", "a22defghi", "lines 3-4", id="below a line of ours"),
        pytest.param("Bcdefghi", "2bcdefghi", "line 1", id="the first line"),
        pytest.param("aBcdefgHi", "a2cdefg3i", "line 2, line 8", id="two places"),
        pytest.param("acdefghi", "a2cdefghi", "line 2", id="a line that is gone"),
    ],
)
def test_where_a_conflict_is(ours: str, theirs: str, where: str) -> None:
    base, ours_, theirs_ = ("".join(f"{line}\n" for line in lines).encode() for lines in ("abcdefghi", ours, theirs))
    assert str(merge.merge("x.py", base, ours_, theirs_)) == where


# --- killed at any moment ---------------------------------------------------------------------------------------------

KILLED = """
import json, os, shutil, sys
from pathlib import Path
from herd.checkout import apply, upgrade

root, wheels = map(Path, sys.argv[1:])
planned = upgrade.plan(root, wheels)
saved = shutil.copytree(root, root.with_name("saved"))
left = None  # what may still be done before the kill

def step(*ignored):
    global left
    if left == 0:
        os.kill(os.getpid(), 9)
    left = None if left is None else left - 1

def tree():
    paths = (path for path in root.rglob("*") if path.is_file() and ".herd" not in path.relative_to(root).parts)
    return {path.relative_to(root).as_posix(): path.read_bytes().hex() for path in paths}

apply._install = step
sys.addaudithook(lambda event, _: step() if event in ("os.rename", "os.remove", "os.rmdir") else None)
before, trees, outcomes, steps = tree(), [], [], 0
while not outcomes or outcomes[-1] != "done":
    child = os.fork()
    if child == 0:
        left = steps
        apply.apply(root, planned.release, planned.files, planned.removed)
        os._exit(0)
    status = os.waitpid(child, 0)[1]
    killed = os.WIFSIGNALED(status)
    assert killed or status == 0, status
    finished = apply.resume(root) is not None
    outcomes.append("finished" if finished else "not begun" if killed and tree() == before else "done")
    if outcomes[-1] != "not begun" and tree() not in trees:
        trees.append(tree())
    assert not (root / apply.UNDER_WAY).exists()
    if tree() != before:
        shutil.rmtree(root)
        shutil.copytree(saved, root)
    steps += 1
print(json.dumps([outcomes, trees]))
"""


def test_killed_at_any_step_it_is_finished_by_the_next(project: Path, wheels: Path, tmp_path: Path) -> None:
    """Or had not begun: never a mixture of two releases, nor a draft that stays."""
    makefile = project / "Makefile"
    makefile.write_text(makefile.read_text() + "ours:\n")
    command = [sys.executable, "-c", KILLED, str(project), str(later(wheels, tmp_path / "new", REMOVE))]
    done = subprocess.run(command, env={**os.environ, "PYTHONPATH": str(ROOT / "src")}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    outcomes, (after,) = json.loads(done.stdout)
    begun = outcomes.index("finished")
    assert set(outcomes[:begun]) == {"not begun"} and set(outcomes[begun:]) <= {"finished", "done"}
    assert outcomes.count("finished") > 8
    text = bytes.fromhex(after["Makefile"])
    assert b"remove everything" in text and text.endswith(b"ours:\n")


def test_what_somebody_wrote_in_between_is_theirs(
    project: Path, wheels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    planned = upgrade.plan(project, later(wheels, tmp_path / "new", REMOVE))
    with monkeypatch.context() as patched:
        patched.setattr(apply, "_carry_out", lambda root, change: change)
        apply.apply(project, planned.release, planned.files, planned.removed)  # written down, and then killed
    (project / "Makefile").write_text("ours\n")
    monkeypatch.setattr(apply, "_install", lambda root: None)
    change = apply.resume(project)
    assert change is not None and change.touched == ["Makefile"]
    assert (project / "Makefile").read_text() == "ours\n"
    assert apply.resume(project) is None


def test_what_the_files_were_is_kept(
    project: Path, wheels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = tree(project)
    take(project, later(wheels, tmp_path / "new", REMOVE), monkeypatch)
    kept = tree(project / apply.BEFORE)
    assert kept == {path: before[path] for path in kept} and {"Makefile", "herd.lock"} < set(kept)


# --- notes ------------------------------------------------------------------------------------------------------------


def test_notes_are_those_of_later_releases_the_oldest_first() -> None:
    notes = {
        "release": [
            {"version": "0.10.0", "replaced": ["every service"]},
            {"version": "0.2.0", "settings": ["`x` is now `y`"], "images": ["all"]},
            {"version": "0.1.0", "other": ["the first"]},
        ]
    }
    assert upgrade.notes_between(notes, "0.1.0", "0.10.0") == [
        "0.2.0: settings: `x` is now `y`",
        "0.2.0: images rebuilt: all",
        "0.10.0: resources replaced: every service",
    ]


def test_notes_come_from_the_release_that_is_taken(project: Path, wheels: Path, tmp_path: Path) -> None:
    entry = f'[[release]]\nversion = "{LATER}"\nreplaced = ["the load balancers"]\n\n[[release]]\n'
    new = later(wheels, tmp_path / "new", {"herd/release_notes.toml": ("[[release]]\n", entry)})
    assert upgrade.plan(project, new).notes == [f"{LATER}: resources replaced: the load balancers"]


def test_workflows_come_and_go_on_the_same_release(project: Path, wheels: Path) -> None:
    before = tree(project)

    def change(workflows: str) -> upgrade.Plan:
        planned = upgrade.plan(project, project / "wheels", workflows=workflows)
        for path, content in planned.files.items():
            (project / path).parent.mkdir(parents=True, exist_ok=True)
            (project / path).write_bytes(content)
        for path in planned.removed:
            (project / path).unlink()
        return planned

    assert change("usual").files == {}
    planned = change("all")
    assert ".github/workflows/janitor.yml" in planned.files and not planned.conflicts
    assert upgrade.plan(project, project / "wheels", workflows="all").files == {}
    assert ".github/scripts/janitor" in change("usual").removed
    after = tree(project)
    assert after.pop(".herd-project.json") != before.pop(".herd-project.json") and after == before


def test_a_workflow_that_the_team_changed_is_not_overwritten(project: Path, wheels: Path) -> None:
    path = project / ".github/workflows/preview.yml"
    path.write_text(path.read_text().replace("timeout-minutes: 30", "timeout-minutes: 10"))
    planned = upgrade.plan(project, project / "wheels", workflows="all")
    assert list(planned.conflicts) == [".github/workflows/preview.yml"]


def test_all_workflows_from_the_start(tmp_path: Path, wheels: Path) -> None:
    init.write(init.plan(tmp_path / "new", "flights", None, wheels, workflows="all"))
    started = tmp_path / "new/.github/scripts/environment-up"
    assert started.stat().st_mode & 0o777 == 0o755
    again = init.plan(tmp_path / "new", None, None, wheels)
    assert again.files == {}
    with pytest.raises(WrongInput, match="herd upgrade --workflows usual"):
        init.plan(tmp_path / "new", None, None, wheels, workflows="usual")
