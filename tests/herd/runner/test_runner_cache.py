"""`cache`: what a workload keeps between its runs."""

from __future__ import annotations

import os
import signal
import stat
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from herd.runner import cache
from herd.runner.contract.cached import EXPIRES_DAYS, Cache, Entry
from herd.runner.contract.keys import cache_manifest_key
from herd.runner.contract.task import TaskSettings
from herd.runner.storage import Storage, StorageError, Stored
from herd.runner.task import DeployedTask, task_of
from herd.runner.workspace import remove

Make = Callable[..., Any]
MANIFEST = "job/cache/manifest.json"
COUNTS = "mkdir -p _targets; cat _targets/n 2>/dev/null; echo run >> _targets/n; "


class Memory(Storage):
    """S3's conditions, in memory: so that a test can look at each state and say who comes between two requests."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.uploaded: list[str] = []
        self.before_put: Callable[[], None] | None = None

    def get_with_etag(self, bucket: str, key: str) -> tuple[bytes, str] | None:
        return (self.objects[key], str(hash(self.objects[key]))) if key in self.objects else None

    def put(
        self,
        bucket: str,
        key: str,
        body: bytes,
        *,
        only_if_absent: bool = False,
        only_if: str | None = None,
        **extra: str,
    ) -> bool:
        if self.before_put is not None:
            act, self.before_put = self.before_put, None
            act()
        now = self.get_with_etag(bucket, key)
        if (only_if_absent and now is not None) or (only_if is not None and (now is None or now[1] != only_if)):
            return False
        self.objects[key] = body
        return True

    def upload(self, source: BinaryIO, bucket: str, key: str, **extra: str) -> None:
        assert extra["Tagging"] == "herd%3Acache=true", "what is not in use any more expires"
        source.seek(0)
        self.objects[key] = source.read()
        self.uploaded.append(key)

    def download(self, bucket: str, key: str, target: Path, size: int) -> None:
        if key not in self.objects:
            raise StorageError(f"NoSuchKey {key}")
        target.write_bytes(self.objects[key])

    def delete(self, bucket: str, key: str) -> None:
        self.objects.pop(key, None)

    def list(self, bucket: str, prefix: str) -> Any:
        return (Stored(key, len(body)) for key, body in sorted(self.objects.items()) if key.startswith(prefix))

    def whole(self) -> bool:
        """Whether each object that the manifest names is there."""
        named = {entry.key for entry in Cache.from_json(self.objects[MANIFEST]).entries if entry.key}
        return named <= self.objects.keys()


def a_task(run_id: str, *paths: str) -> DeployedTask:
    told = TaskSettings(
        environment="dev", workload="job", kind="job", command=("true",), data_bucket="data", params={}, cache=paths
    )
    task = task_of({"HERD_TASK": told.to_json(), "HERD_RUN_ID": run_id})
    assert isinstance(task, DeployedTask)
    return task


def never() -> bool:
    return False


def picture(folder: Path) -> dict[str, tuple[object, ...]]:
    """All that is to survive, by path."""
    seen: dict[str, tuple[object, ...]] = {}
    for path in sorted(folder.rglob("*")):
        status, name = path.lstat(), str(path.relative_to(folder))
        if path.is_symlink():
            seen[name] = ("link", os.readlink(path))
        elif path.is_dir():
            seen[name] = ("folder", stat.S_IMODE(status.st_mode))
        else:
            seen[name] = ("file", stat.S_IMODE(status.st_mode), status.st_mtime_ns, path.read_bytes())
    return seen


NAMES = st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=8).filter(
    lambda name: name not in (".", "..")
)
LEAVES = st.one_of(
    st.tuples(st.just("file"), st.binary(max_size=20), st.sampled_from([0o644, 0o755, 0o400, 0o600])),
    st.tuples(st.just("link"), st.sampled_from(["a", "../x", "/nowhere", "."])),
)
TREES = st.dictionaries(
    NAMES, st.recursive(LEAVES, lambda inner: st.dictionaries(NAMES, inner, max_size=4), max_leaves=8), max_size=5
)


def grow(folder: Path, tree: Mapping[str, Any]) -> None:
    folder.mkdir(exist_ok=True)
    for name, leaf in tree.items():
        if isinstance(leaf, dict):
            grow(folder / name, leaf)
        elif leaf[0] == "link":
            (folder / name).symlink_to(leaf[1])
        else:
            (folder / name).write_bytes(leaf[1])
            os.utime(folder / name, ns=(10**18 + 7, 10**18 + 7))
            (folder / name).chmod(leaf[2])


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(TREES, TREES)
def test_what_was_kept_comes_back_as_it_was(
    tmp_path_factory: pytest.TempPathFactory, first: dict[str, Any], second: dict[str, Any]
) -> None:
    """Links, hidden files, empty folders, modes, times, any name; and what the second run has removed stays away."""
    storage = Memory()
    for number, tree in enumerate((first, second)):
        folder = tmp_path_factory.mktemp("run").resolve()
        task = a_task(f"r{number}", "_targets")
        cache.restore(storage, task, folder)
        remove(folder / "_targets")
        grow(folder / "_targets", tree)
        cache.save(storage, task, folder, never, trusted=True)
        before = picture(folder)
        back = tmp_path_factory.mktemp("next").resolve()
        cache.restore(storage, a_task("later", "_targets"), back)
        assert picture(back) == before
        named = {entry.key for entry in Cache.from_json(storage.objects[MANIFEST]).entries if entry.key}
        assert storage.objects.keys() == named | {MANIFEST}, "nothing is left behind"


def written(folder: Path, **files: str) -> Path:
    (folder / "_targets").mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / "_targets" / name).write_text(text)
    return folder.resolve()


def test_what_has_not_changed_is_not_uploaded_again(tmp_path: Path) -> None:
    storage, folder = Memory(), written(tmp_path / "a", one="1", same="1", two="2")
    cache.save(storage, a_task("r1", "_targets"), folder, never, trusted=True)
    assert len(storage.uploaded) == 2, "the same content once"
    written(folder, two="2 changed")
    cache.save(storage, a_task("r2", "_targets"), folder, never, trusted=True)
    assert len(storage.uploaded) == 3 and storage.whole()


def test_what_would_soon_expire_is_uploaded_again(tmp_path: Path) -> None:
    storage, folder = Memory(), written(tmp_path / "a", one="1")
    cache.save(storage, a_task("r1", "_targets"), folder, never, trusted=True)
    saved = Cache.from_json(storage.objects[MANIFEST])
    old = tuple(replace(entry, uploaded=entry.uploaded and "2020-01-01T00:00:00.000Z") for entry in saved.entries)
    storage.objects[MANIFEST] = replace(saved, entries=old).to_json()
    cache.save(storage, a_task("r2", "_targets"), folder, never, trusted=True)
    assert len(storage.uploaded) == 2 and storage.whole() and EXPIRES_DAYS > 30


def test_two_runs_at_once_leave_one_of_both_and_it_is_whole(tmp_path: Path) -> None:
    storage = Memory()
    cache.save(storage, a_task("r0", "_targets"), written(tmp_path / "0", shared="s", old="o"), never, trusted=True)
    slow, fast = written(tmp_path / "1", shared="s", mine="slow"), written(tmp_path / "2", other="fast")
    storage.before_put = lambda: cache.save(storage, a_task("fast", "_targets"), fast, never, trusted=True)
    cache.save(storage, a_task("slow", "_targets"), slow, never, trusted=True)
    assert storage.whole(), "the fast run has deleted `shared`, which the slow one meant to take over"
    back = (tmp_path / "back").resolve()
    back.mkdir()
    cache.restore(storage, a_task("next", "_targets"), back)
    assert (back / "_targets" / "mine").read_text() == "slow" and not (back / "_targets" / "other").exists()


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda storage, key: storage.objects.pop(key), id="an object has expired"),
        pytest.param(lambda storage, key: storage.objects.update({key: b"x"}), id="an object is damaged"),
        pytest.param(lambda storage, key: storage.objects.update({MANIFEST: b"{"}), id="the manifest is damaged"),
    ],
)
def test_a_cache_that_is_not_whole_is_said_and_done_without(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], change: Callable[[Memory, str], object]
) -> None:
    storage = Memory()
    cache.save(storage, a_task("r1", "_targets"), written(tmp_path / "a", one="1", two="2"), never, trusted=True)
    change(storage, storage.uploaded[0])
    back = (tmp_path / "back").resolve()
    back.mkdir()
    assert not cache.restore(storage, a_task("r2", "_targets"), back)
    assert "not restored, the run does without: " in capsys.readouterr().err
    assert list(back.iterdir()) == [], "no half of it"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "back"]
    cache.save(storage, a_task("r2", "_targets"), written(back, one="1", two="2"), never, trusted=False)
    assert storage.whole() and len(storage.uploaded) == 4, "the next one is well again"
    assert {storage.objects[key] for key in storage.uploaded[2:]} == {b"1", b"2"}


@pytest.mark.parametrize("path", ["../x", "/etc/x", "a/../../x", "a//b", ""])
def test_a_manifest_cannot_write_outside_of_the_working_directory(path: str) -> None:
    with pytest.raises(ValueError, match="not an entry of a cache"):
        Entry.from_entry({"path": path, "kind": "file", "mode": 0o644})


def test_nothing_is_written_or_read_through_a_link(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    storage, outside = Memory(), tmp_path / "outside"
    cache.save(storage, a_task("r1", "data/kept"), written_at(tmp_path / "a", "data/kept"), never, trusted=True)
    outside.mkdir()
    root = (tmp_path / "b").resolve()
    root.mkdir()
    (root / "data").symlink_to(outside)
    task = a_task("r2", "data/kept")
    cache.restore(storage, task, root)
    cache.save(storage, task, root, never, trusted=True)
    (outside / "kept").write_text("secret")
    cache.save(storage, task, root, never, trusted=True)
    assert capsys.readouterr().err.count("'data/kept' lies behind a link") == 2
    assert not any(body == b"secret" for body in storage.objects.values())


def written_at(folder: Path, path: str) -> Path:
    (folder / path).parent.mkdir(parents=True)
    (folder / path).write_text("kept")
    return folder.resolve()


def test_it_has_a_bound(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    storage, folder = Memory(), written(tmp_path / "a", one="1")
    cache.save(storage, a_task("r1", "_targets"), folder, never, trusted=True)
    monkeypatch.setattr(cache, "MOST_BYTES", 100_000_000)
    with (folder / "_targets" / "big").open("wb") as big:
        big.truncate(150_000_000)
    cache.save(storage, a_task("r2", "_targets"), folder, never, trusted=True)
    said = "cache: not saved, what was saved before stays: it has more than 0.1 GB"
    assert said in capsys.readouterr().err and storage.whole()


def test_a_pipe_is_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    storage, folder = Memory(), written(tmp_path / "a", one="1")
    os.mkfifo(folder / "_targets" / "pipe")
    cache.save(storage, a_task("r1", "_targets"), folder, never, trusted=True)
    assert "'_targets/pipe' is left out: it is neither a file" in capsys.readouterr().err
    paths = [entry.path for entry in Cache.from_json(storage.objects[MANIFEST]).entries]
    assert paths == ["_targets", "_targets/one"]


# --- whole runs, against S3 -----------------------------------------------------------------------------------------


def test_a_run_finds_what_the_last_one_left_also_after_a_failure(make: Make) -> None:
    job = make("job", f"{COUNTS} exit $1", cache=["_targets"], command=["sh", "main.sh", "0"])
    assert job.run("r1").status == 0
    job.settings["command"] = ["sh", "main.sh", "3"]
    second = job.run("r2")
    assert second.status == 3 and second.log.startswith("herd: cache: 1 file restored\nrun\n")
    assert "cache: 1 file kept, 1 of them uploaded" in second.log
    job.settings["command"] = ["sh", "main.sh", "0"]
    third = job.run("r3")
    assert third.log.count("run\n") == 2, third.log
    assert job.tags(MANIFEST) == {"herd:cache": "true"}
    assert {key.split("/")[1] for key in list(job.keys()) if key.startswith("job/")} == {"cache"}, "it is no output"


def test_a_failed_check_keeps_the_cache_and_rejects_the_outputs(make: Make) -> None:
    job = make("job", COUNTS + "echo x > outputs/x", cache=["_targets"], checks=[{"file": "missing.csv"}])
    assert job.run("r1").status == 65
    assert job.latest is None and job.get(MANIFEST)["run_id"] == "r1"


@pytest.mark.parametrize("end", ["kill -9 $$", "kill -TERM $PPID; sleep 30"])
def test_what_a_killed_run_left_is_not_kept(make: Make, end: str) -> None:
    job = make("job", f"{COUNTS} {end}", cache=["_targets"])
    assert job.run("r1").status in (128 + signal.SIGKILL, 128 + signal.SIGTERM)
    assert job.get(MANIFEST) is None


def test_items_of_a_fan_out_have_caches_of_their_own(make: Make) -> None:
    job = make("job", COUNTS + "echo $HERD_ITEM >> _targets/n", cache=["_targets"], fan_out=["north", "south"])
    for run in ("r1", "r2"):
        for item in ("north", "south"):
            log = job.run(run, HERD_ITEM=item).log
    assert "south\n" in log and "north" not in log
    assert job.get(cache_manifest_key("job", "north"))["run_id"] == "r2" and job.get(MANIFEST) is None


def test_a_cache_that_may_not_be_written_fails_no_run(make: Make) -> None:
    job = make("job", COUNTS + "echo x > outputs/x", cache=["_targets"])
    job.s3.denied = "cache/manifest.json"
    try:
        run = job.run("r1")
    finally:
        job.s3.denied = None
    assert run.status == 0 and job.latest["run_id"] == "r1", run.log


def test_a_trial_keeps_its_own_on_this_machine(offline: Make, tmp_path: Path) -> None:
    job = offline("job", COUNTS + "touch left-over; ls", cache=["_targets"])
    for name in ("n", "from-my-own-run"):
        (job.folder / "_targets").mkdir(exist_ok=True)
        (job.folder / "_targets" / name).write_text("from the folder\n")
    assert "from the folder" in job.run("try-1").log
    second = job.run("try-2").log
    assert "run\n" in second and second.count("left-over") == 1
    assert sorted(path.name for path in tmp_path.iterdir() if "cache" in path.name) == []


def test_saving_ends_when_the_task_is_asked_to(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    storage = Memory()
    cache.save(storage, a_task("r1", "_targets"), written(tmp_path / "a", one="1"), lambda: True, trusted=True)
    assert "the task was asked to stop" in capsys.readouterr().err and storage.objects == {}
