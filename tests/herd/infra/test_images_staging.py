"""Build contexts: the same files give the same context and the same hash, and nothing gets in that does not belong."""

import os
import shutil
import stat
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from herd.infra.images import build_context
from herd.infra.images.build_context import File, Staged, Stager, StagingError, content_hash, write
from herd.infra.spec.load import JobSpec
from localcloud.images.context import Context

FILES = {
    "images/python/Dockerfile": "FROM scratch\n",
    "images/python/requirements.lock": "# image\n",
    "runner/__main__.py": "run()\n",
    "lib/features/__init__.py": "X = 1\n",
    "lib/unused/__init__.py": "",
    "jobs/train/workload.toml": 'owner = "x"\n',
    "jobs/train/main.py": "print(1)\n",
    "jobs/train/data/a.csv": "a\n",
}


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout, and beside its files the folder of the installed runner."""
    monkeypatch.setattr(build_context, "RUNNER", tmp_path / "runner")
    for path, text in FILES.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    return tmp_path


def spec(**more: Any) -> JobSpec:
    return JobSpec(
        name="train",
        folder=Path("jobs/train"),
        owner="data@example.com",
        review_by=date(2027, 6, 30),
        command=("python", "main.py"),
        **{"uses": ("features",), **more},
    )


def stage(root: Path, **more: Any) -> Staged:
    return Stager(root, "dev").stage(spec(**more))


def files(context: Path) -> dict[str, str]:
    found = (path for path in context.rglob("*") if path.is_file())
    return {path.relative_to(context).as_posix(): path.read_text() for path in found}


def test_the_layout(root: Path) -> None:
    context = stage(root).context
    assert context == root / ".herd/build/dev/train"
    assert files(context) == {
        "Dockerfile": "FROM scratch\n",
        "requirements.lock": "# image\n",
        "runner/__main__.py": "run()\n",
        "lib/features/__init__.py": "X = 1\n",
        "workload/main.py": "print(1)\n",
        "workload/data/a.csv": "a\n",
    }


def test_a_workloads_own_lock_file_takes_the_place_of_the_images(root: Path) -> None:
    (root / "jobs/train/requirements.lock").write_text("# own\n")
    staged = files(stage(root).context)
    assert staged["requirements.lock"] == "# own\n" and "workload/requirements.lock" not in staged


def test_what_runs_leave_for_the_next_one_stays_out_and_changes_nothing(root: Path) -> None:
    before = stage(root, cache=("_targets",)).content_hash
    (root / "jobs/train/_targets").mkdir()
    (root / "jobs/train/_targets/store").write_text("from my own run")
    assert stage(root, cache=("_targets",)).content_hash == before
    assert "workload/_targets/store" in files(stage(root).context), "without the setting it is a folder like others"


def test_a_workloads_tests_stay_out_and_change_nothing(root: Path) -> None:
    before = stage(root).content_hash
    (root / "jobs/train/tests").mkdir()
    (root / "jobs/train/tests/test_main.py").write_text("def test(): ...")
    assert stage(root).content_hash == before


def test_lib_is_there_even_if_nothing_is_used(root: Path) -> None:
    """`COPY lib/` fails otherwise."""
    for _ in range(2):
        assert list((stage(root, uses=()).context / "lib").iterdir()) == []


def test_a_command_without_code_has_an_empty_folder(root: Path) -> None:
    """`COPY workload/` fails otherwise."""
    for path in sorted((root / "jobs/train").rglob("*"), reverse=True):
        if path.name != "workload.toml":
            path.unlink() if path.is_file() else path.rmdir()
    assert list((stage(root).context / "workload").iterdir()) == []


def test_staging_again_writes_nothing(root: Path) -> None:
    first = stage(root)
    before = {path: path.stat().st_ctime_ns for path in first.context.rglob("*") if path.is_file()}
    again = stage(root)
    assert again == first
    assert {path: path.stat().st_ctime_ns for path in before} == before


def test_times_and_modes_are_the_same_everywhere(root: Path) -> None:
    os.utime(root / "jobs/train/main.py", (1, 1))
    (root / "jobs/train/main.py").chmod(0o600)
    (root / "runner/__main__.py").chmod(0o775)
    context = stage(root).context
    content = (root / "jobs/train/main.py").read_bytes()
    assert (context / "workload/main.py").stat().st_mtime == File(content, 0o644).time
    assert (context / "workload/main.py").stat().st_mode & 0o777 == 0o644
    assert (context / "runner/__main__.py").stat().st_mode & 0o777 == 0o755


def test_another_content_of_the_same_size_has_another_time(root: Path) -> None:
    """BuildKit sends what has another size or time, Python compiles it again: neither reads the content."""
    program = root / "jobs/train/main.py"
    times = set()
    for word in ("one", "two", "six", "one"):
        program.write_text(f"print('hello {word}')\n")
        times.add((stage(root).context / "workload/main.py").stat().st_mtime)
    assert len(times) == 3
    assert all(315_532_800 <= time < 2**31 for time in times)  # what zip files and old file systems know


UNCHANGING = {
    "touched": lambda root: os.utime(root / "jobs/train/main.py"),
    "settings": lambda root: (root / "jobs/train/workload.toml").write_text('schedule = "@daily"\n'),
    "bytecode": lambda root: put(root / "jobs/train/__pycache__/main.pyc"),
    "an environment": lambda root: put(root / "jobs/train/venv/bin/python"),
    "hidden": lambda root: put(root / "jobs/train/.env"),
    "shared code not used": lambda root: put(root / "lib/unused/more.py"),
}
CHANGING = {
    "code": lambda root: (root / "jobs/train/main.py").write_text("print(2)\n"),
    "a new file": lambda root: put(root / "jobs/train/new.py"),
    "a file less": lambda root: (root / "jobs/train/data/a.csv").unlink(),
    "shared code": lambda root: (root / "lib/features/__init__.py").write_text("X = 2\n"),
    "the runner": lambda root: put(root / "runner/more.py"),
    "the image": lambda root: (root / "images/python/Dockerfile").write_text("FROM other\n"),
    "may be run": lambda root: (root / "jobs/train/main.py").chmod(0o755),
    "renamed": lambda root: (root / "jobs/train/main.py").rename(root / "jobs/train/other.py"),
}


def put(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("x")


@pytest.mark.parametrize("change", UNCHANGING.values(), ids=UNCHANGING)
def test_what_changes_nothing(root: Path, change: Any) -> None:
    before = stage(root).content_hash
    change(root)
    assert stage(root).content_hash == before


@pytest.mark.parametrize("change", CHANGING.values(), ids=CHANGING)
def test_what_changes_the_hash_and_the_context(root: Path, change: Any) -> None:
    before = stage(root)
    change(root)
    after = stage(root)
    assert after.content_hash != before.content_hash
    fresh = Stager(root, "fresh").stage(spec())
    assert files(after.context) == files(fresh.context), "nothing of the last time is left"


def test_what_somebody_changed_in_the_context_is_put_right(root: Path) -> None:
    context = stage(root).context
    (context / "workload/main.py").write_text("print(9)\n")
    (context / "workload/data").rename(context / "elsewhere")
    stage(root)
    assert files(context) == files(Stager(root, "fresh").stage(spec()).context)


def test_nothing_is_written_through_a_link(root: Path) -> None:
    context = stage(root).context
    elsewhere = root / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "precious").write_text("precious")
    (context / "Dockerfile").unlink()
    (context / "Dockerfile").symlink_to(elsewhere / "precious")
    shutil.rmtree(context / "workload")
    (context / "workload").symlink_to(elsewhere)
    stage(root)
    assert files(elsewhere) == {"precious": "precious"}
    assert not (context / "Dockerfile").is_symlink() and not (context / "workload").is_symlink()
    shutil.rmtree(context)
    context.symlink_to(elsewhere)
    stage(root)
    assert files(elsewhere) == {"precious": "precious"} and not context.is_symlink()


def test_the_images_dockerignore_is_respected(root: Path) -> None:
    (root / "images/python/.dockerignore").write_text("# not for the image\nworkload/data\n**/*.md\n")
    put(root / "jobs/train/docs/notes.md")
    staged = files(stage(root).context)
    assert "workload/main.py" in staged
    assert not {"workload/data/a.csv", "workload/docs/notes.md", ".dockerignore"} & staged.keys()


def test_a_link_within_its_folder_becomes_a_copy(root: Path) -> None:
    (root / "jobs/train/link.py").symlink_to("main.py")
    context = stage(root).context
    assert files(context)["workload/link.py"] == "print(1)\n"
    assert not (context / "workload/link.py").is_symlink()


def test_a_link_to_another_folder_of_the_checkout_becomes_a_copy(root: Path) -> None:
    (root / "jobs/train/shared").symlink_to("../../lib/features")
    assert files(stage(root).context)["workload/shared/__init__.py"] == "X = 1\n"


BAD = {
    "out of the checkout": ("jobs/train/x", "../../../outside", "link out of the checkout"),
    "in shared code": ("lib/features/x", "/tmp", "link out of the checkout"),
    "to nothing": ("jobs/train/x", "gone.py", "link to nothing"),
    "to the local cloud": ("jobs/train/aws", "../../.herd/cloud/aws", "link to .herd/cloud/aws, and what is hidden"),
    "to its folder": ("jobs/train/cloud", "../../.herd", "link to .herd, and what is hidden"),
    "to it from shared code": ("lib/features/aws", "../../.herd/cloud/aws", "link to .herd/cloud/aws"),
    "to it from an image": ("images/python/aws", "../../.herd/cloud/aws", "link to .herd/cloud/aws"),
    "to it by its whole path": ("jobs/train/aws", "ROOT/.herd/cloud/aws", "link to .herd/cloud/aws"),
    "to it over another link": ("jobs/train/aws", "../../data/aws", "link to .herd/cloud/aws"),
    "to it through a folder": ("jobs/train/aws", "../../lib/hidden/aws", "link to .herd/cloud/aws"),
    "to Git's own folder": ("jobs/train/config", "../../.git/config", "link to .git/config"),
    "to a hidden file beside": ("jobs/train/env", ".env", "link to jobs/train/.env"),
    "as a lock file": ("jobs/train/requirements.lock", "../../.herd/cloud/aws", "link to .herd/cloud/aws"),
    "as the ignore file": ("images/python/.dockerignore", "../../.herd/cloud/aws", "link; put the file itself here"),
    "to its own folder": ("jobs/train/x", ".", "link to a folder that contains it"),
    "to the checkout": ("jobs/train/x", "../..", "link to a folder that contains it"),
}


@pytest.mark.parametrize(("link", "target", "message"), BAD.values(), ids=BAD)
def test_links_that_are_refused(root: Path, link: str, target: str, message: str) -> None:
    for hidden in (".herd/cloud/aws", ".git/config", "jobs/train/.env"):
        (root / hidden).parent.mkdir(parents=True, exist_ok=True)
        (root / hidden).write_text("hush")
    (root / "data").mkdir()
    (root / "data/aws").symlink_to("../.herd/cloud/aws")
    (root / "lib/hidden").symlink_to("../.herd/cloud")
    (root / link).symlink_to(target.replace("ROOT", str(root)))
    with pytest.raises(StagingError, match=f"^{link}: is a {message}"):
        stage(root)


@pytest.mark.parametrize("folder", ["jobs/train", "images/python", "lib/features"])
def test_a_folder_that_is_a_link_to_what_is_hidden_is_refused(root: Path, folder: str) -> None:
    (root / ".herd/cloud").mkdir(parents=True)
    shutil.rmtree(root / folder)
    (root / folder).symlink_to(root / ".herd/cloud")
    with pytest.raises(StagingError, match=f"^{folder}: is a link to .herd/cloud, and what is hidden is never copied"):
        stage(root)


@pytest.mark.parametrize("kind", [stat.S_IFIFO, stat.S_IFSOCK], ids=["pipe", "socket"])
def test_what_is_no_file_is_refused_and_not_waited_for(root: Path, kind: int) -> None:
    os.mknod(root / "jobs/train/odd", 0o600 | kind)
    with pytest.raises(StagingError, match="^jobs/train/odd: is neither a file nor a folder"):
        stage(root)


def test_links_in_a_circle_are_refused(root: Path) -> None:
    (root / "jobs/train/there").symlink_to("../../lib/features")
    (root / "lib/features/back").symlink_to("../../jobs/train")
    with pytest.raises(StagingError, match="is a link to a folder that contains it"):
        stage(root)


def test_what_is_no_file_is_refused(root: Path) -> None:
    os.mkfifo(root / "jobs/train/pipe")
    with pytest.raises(StagingError, match="jobs/train/pipe: is neither a file nor a folder"):
        stage(root)


@pytest.mark.parametrize(
    ("text", "path", "ignored"),
    [
        ("", "a", False),
        ("a", "a", True),
        ("a", "a/b", True),
        ("a", "ab", False),
        ("/a/", "a/b", True),
        ("*.md", "a.md", True),
        ("*.md", "a/b.md", False),
        ("**/*.md", "a/b.md", True),
        ("**/*.md", "b.md", True),
        ("a/**", "a/b/c", True),
        ("a?c", "abc", True),
        ("a?c", "a/c", False),
        ("*\n!keep", "keep", False),
        ("*\n!keep", "other", True),
        ("!keep\n*", "keep", True),
        ("# a\n\n  b  ", "b", True),
        ("# a", "a", False),
        ("a.b", "axb", False),
        ("[a-c].txt", "b.txt", True),
        ("[a-c].txt", "d.txt", False),
        ("*.p[y]c", "a.pyc", True),
        ("a\\*b", "a*b", True),
        ("a\\*b", "axb", False),
        ("./x", "x", True),
        ("a//b", "a/b", True),
        ("a/../b", "b", True),
        ("a/../b", "a/c", False),
        ("a\n!a/keep", "a/keep", False),
        ("a\n!a/keep", "a/other", True),
    ],
)
def test_dockerignore(root: Path, tmp_path: Path, text: str, path: str, ignored: bool) -> None:
    """As Docker reads it, when an image is staged and when the local cloud builds one."""
    shutil.rmtree(root / "images/python")
    for folder in (root / "images/python", tmp_path / "context"):
        (folder / path).parent.mkdir(parents=True)
        (folder / path).write_text("x")
        (folder / ".dockerignore").write_text(text)
    built = {item.path for item in Context(tmp_path / "context", tmp_path / "context/Dockerfile").walk("")}
    assert (path not in Stager(root, "dev").tree(spec())) is ignored
    assert (path not in built) is ignored


def test_a_dockerignore_that_cannot_be_read_is_named(root: Path) -> None:
    (root / "images/python/.dockerignore").write_text("[\n")
    with pytest.raises(StagingError, match="images/python/.dockerignore: Invalid ignore pattern"):
        stage(root)


names = st.text(st.sampled_from("abc.-_ ü"), min_size=1, max_size=8).filter(lambda name: name.strip(".") != "")
trees = st.dictionaries(
    st.builds(lambda folder, name: f"{folder}/{name}", st.sampled_from(["x", "y", "x/z"]), names),
    st.builds(File, st.binary(max_size=20), st.sampled_from([0o644, 0o755])),
    max_size=6,
).filter(lambda tree: "x/z" not in tree)


@settings(max_examples=40)
@given(trees, trees)
def test_a_context_holds_exactly_its_tree_whatever_was_there(before: dict[str, File], after: dict[str, File]) -> None:
    with TemporaryDirectory() as folder:
        check_written(before, after, Path(folder) / "context")


def check_written(before: dict[str, File], after: dict[str, File], context: Path) -> None:
    write(before, context)
    write(after, context)
    found = {path.relative_to(context).as_posix(): path for path in context.rglob("*") if path.is_file()}
    assert {name: (path.read_bytes(), path.stat().st_mode & 0o777) for name, path in found.items()} == {
        name: (file.content, file.mode) for name, file in after.items()
    }
    assert (content_hash(before) == content_hash(after)) == (before == after)


LOCK_OF_R = '{"R": {"Version": "4.5.1", "Repositories": [{"Name": "C", "URL": "https://c.example"}]}, "Packages": {}}'


def test_an_r_image_out_of_step_with_its_lock_is_not_staged(root: Path) -> None:
    (root / "images/python/renv.lock").write_text(LOCK_OF_R)
    with pytest.raises(StagingError) as refused:
        stage(root)
    again = "`herd image lock python` writes it"
    assert str(refused.value).splitlines() == [
        f"images/python/Dockerfile: has no block r-base; {again}",
        f"images/python/Dockerfile: has no block r-libraries; {again}",
    ]


def test_an_r_workload_has_no_packages_of_its_own(root: Path) -> None:
    (root / "jobs/train/renv.lock").write_text(LOCK_OF_R)
    with pytest.raises(StagingError, match="jobs/train/renv.lock: an R workload has the packages of its image"):
        stage(root)


# --- what is large ---------------------------------------------------------------------------------------------------


def make_large(root: Path, path: str, megabytes: int) -> None:
    """A file that has so many bytes and no blocks: it must not be read."""
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    with (root / path).open("wb") as file:
        file.truncate(megabytes * 1_000_000)


def test_what_is_too_large_is_refused_before_it_is_read(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_large(root, "jobs/train/data.bin", 400)
    make_large(root, "lib/features/table.csv", 30)
    monkeypatch.setattr(Path, "read_bytes", lambda path: pytest.fail(f"{path} was read"))
    with pytest.raises(StagingError) as refused:
        stage(root, uses=("features",))
    said = str(refused.value)
    assert said.startswith("jobs/train: 430 MB go into the image: data.bin (400 MB), lib/features/table.csv (30 MB), ")
    assert "; at most 250 MB. " in said and "`max_files_mb = 431` in images/python/image.toml" in said


LEFT_OUT = {
    "a test": ("jobs/train/tests/data.bin", ""),
    "hidden": ("jobs/train/.cache/data.bin", ""),
    "ignored": ("jobs/train/data.bin", "workload/*.bin\n"),
    "of another workload": ("jobs/other/data.bin", ""),
    "allowed": ("jobs/train/data.bin", None),
}


@pytest.mark.parametrize("what", LEFT_OUT)
def test_what_does_not_go_into_the_image_has_no_weight(root: Path, what: str) -> None:
    path, ignored = LEFT_OUT[what]
    make_large(root, path, 400)
    if ignored:
        (root / "images/python/.dockerignore").write_text(ignored)
    if ignored is None:
        (root / "images/python/image.toml").write_text("max_files_mb = 500\n")
    weight = Stager(root, "dev").weight(spec())
    assert weight.refusal() is None
    assert (weight.note() is not None) is (what == "allowed")
